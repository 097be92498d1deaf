//! `planetary friend block` and `unblock`.

use planetary_ipc::friends::FindError;
use planetary_ipc::{BlockedKey, Client, FriendName, NodeKey};

use super::{find_blocked, find_friend, not_found};
use crate::failure::Failure;
use crate::format::{self, Printer};

pub(super) async fn block(
    client: &Client,
    printer: &Printer,
    who: &str,
    given: Option<FriendName>,
    note: String,
) -> Result<(), Failure> {
    let (friends, _) = client.friends().await?;
    let key = match find_friend(&friends, who) {
        Ok(friend) => friend.key,
        // A stranger is named by its whole key.
        Err(error @ FindError::Nobody(_)) => {
            who.trim().parse::<NodeKey>().map_err(|_| not_found(error))?
        }
        Err(error) => return Err(not_found(error)),
    };
    let blocked = client.block(key, given, note).await?;
    Ok(printer.print(&blocked, |blocked, _| {
        format!("Blocked {}: nothing passes to or from it.\n", called(blocked))
    })?)
}

pub(super) async fn unblock(client: &Client, printer: &Printer, who: &str) -> Result<(), Failure> {
    let all = client.blocked().await?;
    let key = match find_blocked(&all, who) {
        Ok(blocked) => blocked.key,
        // The service says it better about a friend that is not blocked.
        Err(error) => {
            let (friends, _) = client.friends().await?;
            find_friend(&friends, who).map_err(|_| not_found(error))?.key
        }
    };
    let unblocked = client.unblock(key).await?;
    Ok(printer.print(&unblocked, |unblocked, _| {
        let rights = match unblocked.friend {
            true => "and may what it was allowed again",
            false => "and is a stranger",
        };
        format!("{} is no longer blocked, {rights}.\n", called(unblocked))
    })?)
}

fn called(blocked: &BlockedKey) -> String {
    match &blocked.name {
        Some(name) => format::plain(name.as_str()).into_owned(),
        None => blocked.key.to_string(),
    }
}
