//! `planetary status`: how the node is, in one page.

use std::fmt::Write as _;

use planetary_ipc::{
    Direction, Gateway, ListenerStatus, Names, NamesState, PeerSource, PeerStatus, Release,
    Releases, Saving, State, Status, Transit, UnixTime,
};

use super::lan;
use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style, Tone};
use crate::session::Session;

pub(super) async fn run(session: &Session, printer: &Printer) -> Result<(), Failure> {
    // The greeting carries the whole state, so there is nothing to ask.
    let client = session.client().await?;
    Ok(printer.print(&client.hello().status, |status, style| render(status, style))?)
}

fn render(status: &Status, style: Style) -> String {
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
    let interface = match &status.tun {
        Some(tun) => format!("{}, MTU {}", tun.name, tun.mtu),
        None => "none".to_owned(),
    };
    let traffic = |rate, total| format!("{}, {} in all", format::rate(rate), format::bytes(total));
    let root = status.root.map_or_else(|| "unknown".to_owned(), |root| root.to_string());
    let mut rows = vec![
        ("address", status.address.to_string()),
        ("open to", format::access(&status.access, status.time)),
    ];
    rows.extend(questions(status).map(|text| ("asks you", text)));
    rows.extend([
        ("subnet", status.subnet.to_string()),
        ("key", status.key.to_string()),
        ("coordinates", format::coordinates(status.coordinates.as_deref())),
        ("root", root),
    ]);
    // Of a node that is down it would tell of another time.
    if let Some(at) = status.proven_at.filter(|_| status.state != State::Down) {
        rows.push(("last answer", format::ago(at, status.time)));
    }
    rows.push(("received", traffic(status.rx_rate, status.rx_bytes)));
    rows.push(("sent", traffic(status.tx_rate, status.tx_bytes)));
    if let Some(refused) = refused(status) {
        rows.push(("kept out", refused));
    }
    rows.extend(carried(&status.transit).map(|text| ("for others", text)));
    rows.push(("sessions", sessions(status)));
    let names = std::iter::once("listens on").chain(std::iter::repeat("and on"));
    rows.extend(names.zip(status.listeners.iter().map(listener)));
    rows.extend(lan::in_short(status).map(|text| ("local", text)));
    rows.push(("interface", interface));
    rows.extend(gateway(&status.gateway).map(|text| ("gateway", text)));
    rows.extend(names_of_nodes(&status.names).map(|text| ("names", text)));
    let uptime = format::duration(status.uptime_s);
    rows.push(("service", format!("{}, up {uptime}", status.version)));
    rows.extend(newer(&status.releases).map(|text| ("newer", text)));
    rows
}

/// The newest version, if it is not the one that runs.
fn newer(releases: &Releases) -> Option<String> {
    let Release { version, date, notes_url } = releases.newer.as_ref()?;
    Some(format!("{version} of {date}: {}", format::plain(notes_url)))
}

/// How many questions wait for the person.
pub(super) fn questions(status: &Status) -> Option<String> {
    let waiting = format::count(status.questions.len(), "question waits", "questions wait");
    let text = format!("{waiting} for an answer: planetary questions");
    (!status.questions.is_empty()).then_some(text)
}

pub(super) fn sessions(status: &Status) -> String {
    format!("{} open, {} paths known", status.sessions, status.paths)
}

/// Why next to nothing is carried for other nodes.
pub(super) fn saving(transit: &Transit) -> Option<&'static str> {
    Some(match transit.saving? {
        Saving::Battery => "next to nothing while on battery",
        Saving::Metered => "next to nothing while the network is paid by volume",
    })
}

/// What was passed on for other nodes, and why it is little.
fn carried(transit: &Transit) -> Option<String> {
    let bytes = (transit.bytes > 0).then(|| {
        format!("{}, {} in all", format::rate(transit.rate), format::bytes(transit.bytes))
    });
    let parts: Vec<_> = bytes.as_deref().into_iter().chain(saving(transit)).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The proxies, and how many ports are forwarded.
fn gateway(gateway: &Gateway) -> Option<String> {
    let Gateway { socks, http, dns, forwards, connections, .. } = gateway;
    let mut parts: Vec<_> = [socks, http, dns].into_iter().flatten().map(listener).collect();
    let counted = |number: u64, singular, plural| {
        format::count(usize::try_from(number).unwrap_or(usize::MAX), singular, plural)
    };
    if *forwards > 0 {
        parts.push(counted(*forwards, "forwarded port", "forwarded ports"));
    }
    if *connections > 0 {
        parts.push(format!("{} open", counted(*connections, "connection", "connections")));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How programs of this computer find nodes by name, or what to do so that they do.
fn names_of_nodes(names: &Names) -> Option<String> {
    let all = format!("NAME.{}", names.suffix);
    match (names.state, &names.hint) {
        (NamesState::Off, _) => None,
        (NamesState::Wired, _) => Some(match &names.resolver {
            Some(resolver) => format!("{all}, asked through {resolver}"),
            None => all,
        }),
        (NamesState::Answering, hint) => {
            let server = names.server.map_or_else(String::new, |server| format!(" at {server}"));
            let hint = hint.as_deref().map_or_else(String::new, |hint| format!("; {hint}"));
            Some(format!("{all}, answered{server}, but the system does not ask there{hint}"))
        }
    }
}

/// How many packets of others were not let in, and mostly why.
fn refused(status: &Status) -> Option<String> {
    let inward = status.dropped.iter().filter(|dropped| dropped.direction == Direction::In);
    let most = inward.clone().max_by_key(|dropped| dropped.packets)?;
    let packets: u64 = inward.map(|dropped| dropped.packets).sum();
    let noun = if packets == 1 { "packet" } else { "packets" };
    Some(format!("{packets} {noun}, mostly: {}", most.reason))
}

fn listener(listener: &ListenerStatus) -> String {
    match (&listener.last_error, listener.up) {
        (_, true) => listener.uri.clone(),
        (Some(error), false) => format!("{}: no, {}", listener.uri, error.message),
        (None, false) => format!("{}: not open", listener.uri),
    }
}

/// How many peers there are, and a table of them.
pub(super) fn peers(status: &Status, style: Style) -> String {
    if status.peers.is_empty() {
        return no_peers(status);
    }
    let mut text = peers_title(status, style);
    text.push('\n');
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
    for peer in status.peers.iter().filter(|peer| !peer.up && !peer.paused) {
        if let Some(trouble) = trouble(peer, status.time) {
            let _ = writeln!(text, "  {}: {trouble}", format::plain(&peer.uri));
        }
    }
    text
}

/// How many peers there are.
pub(super) fn peers_title(status: &Status, style: Style) -> String {
    let up = status.peers.iter().filter(|peer| peer.up && !peer.suspect).count();
    let all = format::count(status.peers.len(), "peer", "peers");
    style.paint(Tone::Strong, &format!("{up} of {all} connected")).into_owned()
}

fn no_peers(status: &Status) -> String {
    let open = status.listeners.iter().filter(|listener| listener.up);
    let open: Vec<_> = open.map(|listener| format::plain(&listener.uri)).collect();
    if open.is_empty() {
        return "No peers. Choose public ones with: planetary peer public --best 3 --add\n\
                or add your own with: planetary peer add URI\n"
            .to_owned();
    }
    format!("No peers. This node only listens, on {}.\n", open.join(", "))
}

fn row(peer: &PeerStatus) -> [String; 7] {
    [
        peer_name(peer),
        peer.direction.name().to_owned(),
        peer_state(peer).to_owned(),
        format::milliseconds(peer.latency_ms),
        format::bytes(peer.rx_bytes),
        format::bytes(peer.tx_bytes),
        peer.uptime_s.map_or_else(format::dash, format::duration),
    ]
}

/// Where a link goes, and how it came to be where that is not plain.
pub(super) fn peer_name(peer: &PeerStatus) -> String {
    let mut name = peer.uri.clone();
    if let Some(interface) = &peer.interface {
        let _ = write!(name, " on {interface}");
    }
    name += match peer.source {
        PeerSource::Chosen => " (chosen)",
        PeerSource::Lan => " (found)",
        PeerSource::Config | PeerSource::Argument | PeerSource::Inbound => "",
    };
    name
}

pub(super) fn peer_state(peer: &PeerStatus) -> &'static str {
    match (peer.up, peer.suspect) {
        _ if peer.paused => "paused",
        (true, false) => "up",
        (true, true) => "suspect",
        (false, _) => "down",
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use planetary_ipc::mock::Mock;

    /// A state of the mock service, with what the test makes of it.
    fn status(change: impl FnOnce(&mut Status)) -> Status {
        let mut status = Mock::after(45).status();
        change(&mut status);
        status
    }

    #[test]
    fn node_without_peers_that_listens_says_where() {
        let listening = status(|status| status.peers.clear());
        let text = peers(&listening, Style::Plain);
        assert_eq!(text, "No peers. This node only listens, on tls://[::]:12345.\n");
        let alone = status(|status| {
            status.peers.clear();
            status.listeners.clear();
        });
        let text = peers(&alone, Style::Plain);
        assert!(text.starts_with("No peers. Choose public ones with: planetary peer public"));
    }

    #[test]
    fn listener_that_failed_says_why() {
        let failed = status(|status| {
            let last_error = status.peers[3].last_error.clone();
            let uri = "tcp://[::]:1".to_owned();
            status.listeners.push(ListenerStatus { uri, up: false, last_error });
        });
        let text = render(&failed, Style::Plain);
        assert!(text.contains("\n  listens on   tls://[::]:12345\n"), "{text}");
        assert!(text.contains("\n  and on       tcp://[::]:1: no, connection refused\n"), "{text}");
    }

    #[test]
    fn roads_are_told_of_when_there_is_something_to_say() {
        let page = |change: fn(&mut Status)| render(&status(change), Style::Plain);
        let quiet = page(|status| {
            status.transit = Transit::default();
            status.lan = planetary_ipc::Lan::default();
        });
        for row in ["for others", "local", "gateway"] {
            assert!(!quiet.contains(&format!("\n  {row} ")), "{quiet}");
        }
        let saving = page(|status| status.transit.saving = Some(Saving::Battery));
        assert!(saving.contains(" in all; next to nothing while on battery\n"), "{saving}");
        let saving = page(|status| {
            status.transit = Transit { saving: Some(Saving::Metered), ..Transit::default() };
        });
        let row = "  for others   next to nothing while the network is paid by volume\n";
        assert!(saving.contains(row), "{saving}");
        let open = page(|status| {
            let listener = |uri: &str, up| {
                let (uri, last_error) = (uri.to_owned(), None);
                Some(ListenerStatus { uri, up, last_error })
            };
            status.gateway.socks = listener("socks://127.0.0.1:1080", true);
            status.gateway.http = listener("http://127.0.0.1:8080", false);
            (status.gateway.forwards, status.gateway.connections) = (1, 2);
        });
        let row = "  gateway      socks://127.0.0.1:1080, http://127.0.0.1:8080: not open, \
                   1 forwarded port, 2 connections open\n";
        assert!(open.contains(row), "{open}");
    }

    #[test]
    fn last_answer_is_told_of_a_node_that_is_up_and_had_one() {
        let has_answer =
            |change: fn(&mut Status)| render(&status(change), Style::Plain).contains("last answer");
        assert!(has_answer(|_| {}));
        assert!(!has_answer(|status| status.proven_at = None));
        assert!(!has_answer(|status| status.state = State::Down));
    }
}
