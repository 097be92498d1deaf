//! `planetary status`: how the node is, in one page.

use std::fmt::Write as _;

use planetary_ipc::{PeerStatus, Status, UnixTime};

use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style, Tone};
use crate::session::Session;

pub(super) async fn run(session: &Session, printer: &Printer) -> Result<(), Failure> {
    // The greeting carries the whole state, so there is nothing to ask.
    let client = session.client().await?;
    Ok(printer.print(&client.hello().status, |status, style| render(status, style))?)
}

/// The whole page.
pub(super) fn render(status: &Status, style: Style) -> String {
    let mut text = headline(status, style);
    text.push('\n');
    text += &format::fields(&about(status));
    text.push('\n');
    text += &peers(status, style);
    for item in &status.health {
        text.push('\n');
        text += &format::health_item(item, status.time, style);
    }
    text
}

/// The state in a sentence.
pub(super) fn headline(status: &Status, style: Style) -> String {
    let state = style.paint(format::state_tone(status.state), status.state.name()).into_owned();
    let since = format::duration(status.time.0.saturating_sub(status.state_since.0));
    match &status.state_text {
        Some(text) => format!("The node is {state}: {} (for {since}).\n", format::plain(text)),
        None => format!("The node is {state} (for {since}).\n"),
    }
}

fn about(status: &Status) -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let interface = match &status.tun {
        Some(tun) => format!("{}, MTU {}", tun.name, tun.mtu),
        None => "none".to_owned(),
    };
    let total = |bytes| format::bytes(bytes);
    vec![
        ("address", status.address.to_string()),
        ("subnet", status.subnet.to_string()),
        ("key", status.key.to_string()),
        ("coordinates", format::coordinates(status.coordinates.as_deref())),
        ("root", status.root.map_or_else(unknown, |root| root.to_string())),
        (
            "last answer",
            status.proven_at.map_or_else(|| "none yet".into(), |at| format::ago(at, status.time)),
        ),
        (
            "received",
            format!("{}, {} in all", format::rate(status.rx_rate), total(status.rx_bytes)),
        ),
        ("sent", format!("{}, {} in all", format::rate(status.tx_rate), total(status.tx_bytes))),
        ("sessions", format!("{} open, {} paths known", status.sessions, status.paths)),
        ("interface", interface),
        ("service", format!("{}, up {}", status.version, format::duration(status.uptime_s))),
    ]
}

/// How many peers there are, and a table of them.
pub(super) fn peers(status: &Status, style: Style) -> String {
    let up = status.peers.iter().filter(|peer| peer.up && !peer.suspect).count();
    let all = format::count(status.peers.len(), "peer", "peers");
    if status.peers.is_empty() {
        return "No peers. Add one with: planetary peer add URI\n".to_owned();
    }
    let mut text = format!("{}\n", style.paint(Tone::Strong, &format!("{up} of {all} connected")));
    let heading = [
        ("PEER", Align::Left),
        ("WAY", Align::Left),
        ("STATE", Align::Left),
        ("LATENCY", Align::Right),
        ("RECEIVED", Align::Right),
        ("SENT", Align::Right),
        ("FOR", Align::Right),
    ];
    let rows: Vec<_> = status.peers.iter().map(row).collect();
    text += &format::table(heading, &rows, style);
    for peer in status.peers.iter().filter(|peer| !peer.up) {
        if let Some(trouble) = trouble(peer, status.time) {
            let _ = writeln!(text, "  {}: {trouble}", format::plain(&peer.uri));
        }
    }
    text
}

fn row(peer: &PeerStatus) -> [String; 7] {
    let state = match (peer.up, peer.suspect) {
        (true, false) => "up",
        (true, true) => "suspect",
        (false, _) => "down",
    };
    let uri = match &peer.interface {
        Some(interface) => format!("{} on {interface}", peer.uri),
        None => peer.uri.clone(),
    };
    [
        uri,
        peer.direction.name().to_owned(),
        state.to_owned(),
        format::milliseconds(peer.latency_ms),
        format::bytes(peer.rx_bytes),
        format::bytes(peer.tx_bytes),
        peer.uptime_s.map_or_else(format::dash, format::duration),
    ]
}

/// Why a link is down, and when it is tried again.
fn trouble(peer: &PeerStatus, now: UnixTime) -> Option<String> {
    let failed = peer
        .last_error
        .as_ref()
        .map(|error| format!("{} ({})", format::plain(&error.message), format::ago(error.at, now)));
    let retry = peer.reconnect_in_s.map(|seconds| match seconds {
        0 => "connecting".to_owned(),
        seconds => format!("next try in {}", format::duration(seconds)),
    });
    match (failed, retry) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(failed), Some(retry)) => Some(format!("{failed}, {retry}")),
    }
}
