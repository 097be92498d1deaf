//! `planetary friend`: friends, what each may reach here, and blocked keys.

mod add;
mod block;
mod change;
mod list;
mod transfer;

use std::process::ExitCode;

use planetary_ipc::friends::{FindError, find};
use planetary_ipc::{ApiError, BlockedKey, Client, ErrorCode, Friend, LocalService, RequestError};

use crate::args::FriendCommand;
use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::session::Session;

pub(super) async fn run(
    command: FriendCommand,
    session: &Session,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let client = session.client().await?;
    let done = match command {
        FriendCommand::List => list::list(&client, printer).await,
        FriendCommand::Show { friend } => list::show(&client, printer, &friend).await,
        FriendCommand::Add(args) => return add::add(&client, printer, args).await,
        FriendCommand::Remove { friend } => change::remove(&client, printer, &friend).await,
        FriendCommand::Rename { friend, name } => {
            change::rename(&client, printer, &friend, name).await
        }
        FriendCommand::Allow(args) => change::allow(&client, printer, args).await,
        FriendCommand::Deny(args) => change::deny(&client, printer, args).await,
        FriendCommand::Verify { friend, yes, undo } => {
            return change::verify(&client, printer, &friend, yes, undo).await;
        }
        FriendCommand::Block { who, name, note } => {
            block::block(&client, printer, &who, name, note).await
        }
        FriendCommand::Unblock { who } => block::unblock(&client, printer, &who).await,
        FriendCommand::Note { friend, text } => change::note(&client, printer, &friend, text).await,
        FriendCommand::Export { file } => transfer::export(&client, printer, file).await,
        FriendCommand::Import { file, overwrite, yes } => {
            return transfer::import(&client, printer, &file, overwrite, yes).await;
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// The friend that was meant.
async fn friend_named(client: &Client, text: &str) -> Result<Friend, Failure> {
    let (friends, _) = client.friends().await?;
    find_friend(&friends, text).cloned().map_err(not_found)
}

pub(super) fn find_friend<'a>(friends: &'a [Friend], text: &str) -> Result<&'a Friend, FindError> {
    find(text, friends, |friend| {
        (friend.key, friend.address, Some(friend.subnet), Some(friend.name.clone()))
    })
}

fn find_blocked<'a>(blocked: &'a [BlockedKey], text: &str) -> Result<&'a BlockedKey, FindError> {
    find(text, blocked, |blocked| (blocked.key, blocked.address, None, blocked.name.clone()))
}

pub(super) fn not_found(error: FindError) -> Failure {
    refused(ApiError::new(ErrorCode::FriendNotFound, error.to_string()))
}

/// An error that the service would give, found before it was asked.
pub(super) fn refused(error: ApiError) -> Failure {
    Failure::Request(RequestError::Refused(error))
}

/// What a friend may reach, in words.
fn reach(friend: &Friend) -> String {
    let echo = friend.echo.then(|| "echo".to_owned());
    let all: Vec<_> =
        echo.into_iter().chain(friend.services.iter().map(LocalService::to_string)).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(" ") }
}

fn services(list: &[LocalService]) -> String {
    format::services(list, "")
}

/// A name that may stand in a sentence.
fn name(friend: &Friend) -> String {
    format::plain(friend.name.as_str()).into_owned()
}
