//! `planetary friend list` and `planetary friend show`.

use planetary_ipc::{BlockedKey, Client, Friend, LocalService, UnixTime};
use serde::Serialize;

use super::{friend_named, reach, services};
use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style};

/// Why a friend has no name for programs.
const NO_HOST: &str = "none: the name makes no host name, or another friend's makes the same";

/// What `planetary friend list --json` prints.
#[derive(Serialize)]
struct List {
    friends: Vec<Friend>,
    everyone: Vec<LocalService>,
    blocked: Vec<BlockedKey>,
    #[serde(skip)]
    time: UnixTime,
}

pub(super) async fn list(client: &Client, printer: &Printer) -> Result<(), Failure> {
    let (mut friends, everyone) = client.friends().await?;
    let blocked = client.blocked().await?;
    friends.sort_by_key(|friend| friend.name.folded());
    let list = List { friends, everyone, blocked, time: client.hello().status.time };
    Ok(printer.print(&list, render)?)
}

fn render(list: &List, style: Style) -> String {
    let mut text = friends(list, style);
    text += &match &list.everyone[..] {
        [] => "\nNothing is open to everyone.\n".to_owned(),
        open => format!("\nOpen to everyone: {}\n", services(open)),
    };
    if !list.blocked.is_empty() {
        let count = format::count(list.blocked.len(), "key is", "keys are");
        text += &format!("\n{count} blocked:\n");
        let heading = [("NAME", Align::Left), ("FOR", Align::Right), ("KEY", Align::Left)];
        let row = |blocked: &BlockedKey| {
            let name = blocked.name.as_ref().map_or_else(format::dash, |name| name.to_string());
            let lasts = list.time.0.saturating_sub(blocked.blocked_at.0);
            [name, format::duration(lasts), blocked.key.to_string()]
        };
        let rows: Vec<_> = list.blocked.iter().map(row).collect();
        text += &format::table(heading, &rows, style);
    }
    text
}

fn friends(list: &List, style: Style) -> String {
    if list.friends.is_empty() {
        return "No friends yet. Add one with: planetary friend add LINK\n\
                `planetary share` makes the link with which others add you.\n"
            .to_owned();
    }
    let heading = [
        ("FRIEND", Align::Left),
        ("SEEN", Align::Left),
        ("VERIFIED", Align::Left),
        ("MAY REACH", Align::Left),
        ("HOST", Align::Left),
        ("ADDRESS", Align::Left),
    ];
    let row = |friend: &Friend| {
        [
            friend.name.to_string(),
            seen(friend, list.time),
            yes_or_no(friend.verified).to_owned(),
            if friend.blocked { "blocked".to_owned() } else { reach(friend) },
            friend.host.clone().unwrap_or_else(format::dash),
            friend.address.to_string(),
        ]
    };
    let rows: Vec<_> = list.friends.iter().map(row).collect();
    format::table(heading, &rows, style)
}

pub(super) async fn show(client: &Client, printer: &Printer, who: &str) -> Result<(), Failure> {
    let friend = friend_named(client, who).await?;
    let time = client.hello().status.time;
    Ok(printer.print(&friend, |friend, _| page(friend, time))?)
}

fn page(friend: &Friend, time: UnixTime) -> String {
    let mut rows = vec![
        ("name", friend.name.to_string()),
        ("key", friend.key.to_string()),
        ("address", friend.address.to_string()),
        ("host", friend.host.clone().unwrap_or_else(|| NO_HOST.to_owned())),
        ("subnet", friend.subnet.to_string()),
        ("verified", yes_or_no(friend.verified).to_owned()),
        ("may reach", reach(friend)),
        ("seen", seen(friend, time)),
        ("added", format::ago(friend.added_at, time)),
    ];
    if friend.blocked {
        rows.insert(0, ("blocked", "yes: nothing passes to or from it".to_owned()));
    }
    let names = std::iter::once("notes").chain(std::iter::repeat(""));
    rows.extend(names.zip(friend.notes.lines().map(str::to_owned)));
    format::fields(&rows)
}

fn seen(friend: &Friend, time: UnixTime) -> String {
    format::seen(friend.online, friend.last_seen, time)
}

fn yes_or_no(it_is: bool) -> &'static str {
    if it_is { "yes" } else { "no" }
}
