//! `planetary friend remove|rename|allow|deny|verify|note`.

use std::process::ExitCode;

use planetary_ipc::{Client, Friend, FriendChange, FriendName, LocalService, NodeKey};
use serde::Serialize;

use super::add::not_done;
use super::{friend_named, name, reach, services};
use crate::args::{Right, RightsArgs, is_everyone};
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Printer};

/// What allowing something to everyone prints as JSON.
#[derive(Serialize)]
struct Open {
    everyone: Vec<LocalService>,
}

pub(super) async fn remove(client: &Client, printer: &Printer, who: &str) -> Result<(), Failure> {
    let friend = friend_named(client, who).await?;
    let removed = client.remove_friend(friend.key).await?;
    Ok(printer.print(&removed, |removed, _| {
        let blocked = if removed.blocked { " The key stays blocked." } else { "" };
        format!("Removed {}, and all it could reach.{blocked}\n", name(removed))
    })?)
}

pub(super) async fn rename(
    client: &Client,
    printer: &Printer,
    who: &str,
    new: FriendName,
) -> Result<(), Failure> {
    let friend = friend_named(client, who).await?;
    let change = FriendChange { name: Some(new), ..FriendChange::default() };
    let renamed = client.change_friend(friend.key, change).await?;
    Ok(printer.print(&renamed, |renamed, _| {
        format!("{} is called {}.\n", name(&friend), name(renamed))
    })?)
}

pub(super) async fn allow(
    client: &Client,
    printer: &Printer,
    args: RightsArgs,
) -> Result<(), Failure> {
    let (echo, allow) = split(&args.services);
    if is_everyone(&args.who) {
        refuse_echo(echo)?;
        let everyone = client.change_open(allow, Vec::new()).await?;
        return open(printer, everyone);
    }
    let friend = friend_named(client, &args.who).await?;
    let change = FriendChange { allow, echo: echo.then_some(true), ..FriendChange::default() };
    let changed = client.change_friend(friend.key, change).await?;
    Ok(printer.print(&changed, |changed, _| may_reach(changed))?)
}

pub(super) async fn deny(
    client: &Client,
    printer: &Printer,
    args: RightsArgs,
) -> Result<(), Failure> {
    let (echo, deny) = split(&args.services);
    if is_everyone(&args.who) {
        refuse_echo(echo)?;
        let everyone = client.change_open(Vec::new(), deny).await?;
        return open(printer, everyone);
    }
    let friend = friend_named(client, &args.who).await?;
    let change = FriendChange { deny, echo: echo.then_some(false), ..FriendChange::default() };
    let changed = client.change_friend(friend.key, change).await?;
    let (_, everyone) = client.friends().await?;
    Ok(printer.print(&changed, |changed, _| {
        let mut text = may_reach(changed);
        if !everyone.is_empty() {
            text += &format!("Like everyone it reaches: {}\n", services(&everyone));
        }
        text
    })?)
}

fn split(rights: &[Right]) -> (bool, Vec<LocalService>) {
    let services = rights.iter().filter_map(|right| match right {
        Right::Echo => None,
        Right::Service(service) => Some(*service),
    });
    (rights.contains(&Right::Echo), services.collect())
}

/// Pings of strangers are a setting, because they show that the computer is on.
fn refuse_echo(echo: bool) -> Result<(), Failure> {
    if !echo {
        return Ok(());
    }
    let tip = "set filter.echo in the configuration, then reload the service";
    Err(ask::usage("echo is not opened to everyone by a command", tip))
}

fn open(printer: &Printer, everyone: Vec<LocalService>) -> Result<(), Failure> {
    Ok(printer.print(&Open { everyone }, |open, _| match &open.everyone[..] {
        [] => "Nothing is open to everyone.\n".to_owned(),
        all => format!("Open to everyone, strangers too: {}\n", services(all)),
    })?)
}

fn may_reach(friend: &Friend) -> String {
    let blocked = if friend.blocked { ", once it is unblocked" } else { "" };
    format!("{} may reach here{blocked}: {}\n", name(friend), reach(friend))
}

pub(super) async fn verify(
    client: &Client,
    printer: &Printer,
    who: &str,
    yes: bool,
    undo: bool,
) -> Result<ExitCode, Failure> {
    let friend = friend_named(client, who).await?;
    let about = format!(
        "The key of {} is\n\n{}\nOn its computer, `planetary address --key` prints the key. \
         Compare all of it, over the\ntelephone or where you meet, not by the way the link came.\n",
        name(&friend),
        grouped(friend.key)
    );
    if !undo && !ask::confirm(printer, &about, "Is it the same?", yes).await? {
        return not_done();
    }
    let change = FriendChange { verified: Some(!undo), ..FriendChange::default() };
    let changed = client.change_friend(friend.key, change).await?;
    printer.print(&changed, |changed, _| match changed.verified {
        true => format!("The key of {} is verified.\n", name(changed)),
        false => format!("The key of {} is not verified.\n", name(changed)),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A key in lines of four groups of four digits.
fn grouped(key: NodeKey) -> String {
    let digits = key.to_string();
    let groups: Vec<_> = (0..digits.len()).step_by(4).map(|at| &digits[at..at + 4]).collect();
    groups.chunks(4).map(|line| format!("    {}\n", line.join(" "))).collect()
}

pub(super) async fn note(
    client: &Client,
    printer: &Printer,
    who: &str,
    text: Option<String>,
) -> Result<(), Failure> {
    let friend = friend_named(client, who).await?;
    let Some(text) = text else {
        return Ok(printer.print(&friend, |friend, _| match friend.notes.as_str() {
            "" => format!("There are no notes about {}.\n", name(friend)),
            notes => notes.lines().map(|line| format!("{}\n", format::plain(line))).collect(),
        })?);
    };
    let change = FriendChange { notes: Some(text), ..FriendChange::default() };
    let changed = client.change_friend(friend.key, change).await?;
    Ok(printer.print(&changed, |changed, _| match changed.notes.is_empty() {
        true => format!("The notes about {} are gone.\n", name(changed)),
        false => format!("Noted about {}.\n", name(changed)),
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_grouped_in_lines() {
        let text = grouped(NodeKey(std::array::from_fn(|index| index as u8)));
        assert_eq!(text.lines().count(), 4);
        assert_eq!(text.lines().next(), Some("    0001 0203 0405 0607"));
        assert_eq!(text.lines().last(), Some("    1819 1a1b 1c1d 1e1f"));
    }
}
