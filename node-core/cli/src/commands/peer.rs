//! `planetary peer`: lists, adds and removes peers.

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
    Ok(printer.confirm(&entry, |entry| {
        let kept = if entry.persistent { "" } else { " for this run only" };
        format!("Added the peer {}{kept}.", name(entry))
    })?)
}

pub(super) async fn remove(
    session: &Session,
    printer: &Printer,
    peer: PeerName,
) -> Result<(), Failure> {
    let entry = session.client().await?.remove_peer(peer.uri, peer.interface).await?;
    Ok(printer.confirm(&entry, |entry| format!("Removed the peer {}.", name(entry)))?)
}

fn name(entry: &PeerEntry) -> String {
    let uri = format::plain(&entry.uri);
    match &entry.interface {
        Some(interface) => format!("{uri} on {}", format::plain(interface)),
        None => uri.into_owned(),
    }
}
