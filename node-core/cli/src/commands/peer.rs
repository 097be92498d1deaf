//! `planetary peer`: lists, adds, removes, pauses and resumes peers.

use planetary_ipc::{PeerEntry, PeerStatus, Status};
use serde::Serialize;

use super::status;
use crate::args::PeerName;
use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::session::Session;

/// What `planetary peer list --json` prints.
#[derive(Serialize)]
struct PeerList<'a> {
    peers: &'a [PeerStatus],
    #[serde(skip)]
    status: &'a Status,
}

pub(super) async fn list(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let client = session.client().await?;
    let status = &client.hello().status;
    let list = PeerList { peers: &status.peers, status };
    Ok(printer.print(&list, |list, style| status::peers(list.status, style))?)
}

pub(super) async fn add(
    session: &Session,
    printer: &Printer,
    peer: PeerName,
) -> Result<(), Failure> {
    let entry = session.client().await?.add_peer(peer.uri, peer.interface).await?;
    Ok(printer.print(&entry, |entry, _| {
        let kept = if entry.persistent { "" } else { " for this run only" };
        format!("Added the peer {}{kept}.\n", name(entry))
    })?)
}

pub(super) async fn remove(
    session: &Session,
    printer: &Printer,
    peer: PeerName,
) -> Result<(), Failure> {
    let entry = session.client().await?.remove_peer(peer.uri, peer.interface).await?;
    Ok(printer.print(&entry, |entry, _| removed(entry))?)
}

pub(super) async fn pause(
    session: &Session,
    printer: &Printer,
    peer: PeerName,
) -> Result<(), Failure> {
    let entry = session.client().await?.pause_peer(peer.uri, peer.interface).await?;
    Ok(printer.print(&entry, |entry, _| {
        let name = name(entry);
        format!("Paused the peer {name}. Dial it again with: planetary peer resume {name}\n")
    })?)
}

pub(super) async fn resume(
    session: &Session,
    printer: &Printer,
    peer: PeerName,
) -> Result<(), Failure> {
    let entry = session.client().await?.resume_peer(peer.uri, peer.interface).await?;
    Ok(printer.print(&entry, |entry, _| format!("Resumed the peer {}.\n", name(entry)))?)
}

fn removed(entry: &PeerEntry) -> String {
    let name = name(entry);
    match entry.argument {
        true => format!(
            "Removed the peer {name} for this run; the command line of the service names it.\n"
        ),
        false => format!("Removed the peer {name}.\n"),
    }
}

fn name(entry: &PeerEntry) -> String {
    let uri = format::plain(&entry.uri);
    match &entry.interface {
        Some(interface) => format!("{uri} on {}", format::plain(interface)),
        None => uri.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_that_comes_back_with_the_next_start_is_said_to() {
        let uri = "tls://host.example:443".to_owned();
        let entry = PeerEntry { uri, interface: None, persistent: true, argument: false };
        assert_eq!(removed(&entry), "Removed the peer tls://host.example:443.\n");
        let text = removed(&PeerEntry { argument: true, ..entry });
        assert!(text.contains(" for this run; the command line of the service"), "{text}");
    }
}
