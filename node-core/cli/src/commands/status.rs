//! `planetary status`: how the node is, in one page.

use std::fmt::Write as _;

use planetary_ipc::{
    Direction, ListenerStatus, Names, NamesState, PeerSource, PeerStatus, State, Status, UnixTime,
};

use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style, Tone};
use crate::session::Session;

pub(super) async fn run(session: &Session, printer: &Printer) -> Result<(), Failure> {
    // The greeting carries the whole state, so there is nothing to ask.
    let client = session.client().await?;
    Ok(printer.print(&client.hello().status, |status, style| render(status, Room::ALL, style))?)
}

/// How much of a page is shown. What is left out of a list is counted at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Whether facts are shown that stay what they are.
    lasting: bool,
    peers: usize,
    health: usize,
}

impl Room {
    const ALL: Self = Self { lasting: true, peers: usize::MAX, health: usize::MAX };

    /// No more of each list than could be shown on so many lines.
    fn of_lines(lines: usize, status: &Status) -> Self {
        let (peers, health) = (status.peers.len().min(lines), status.health.len().min(lines));
        Self { lasting: true, peers, health }
    }

    /// A little less: what lasts goes first, then the longer end of each list.
    fn smaller(self) -> Option<Self> {
        match self {
            Self { lasting: true, .. } => Some(Self { lasting: false, ..self }),
            Self { peers: 4.., .. } => Some(Self { peers: self.peers - 1, ..self }),
            Self { health: 2.., .. } => Some(Self { health: self.health - 1, ..self }),
            Self { peers: 1.., .. } => Some(Self { peers: self.peers - 1, ..self }),
            Self { health: 1, .. } => Some(Self { health: 0, ..self }),
            _ => None,
        }
    }
}

/// The page, with as much in it as fits into so many lines.
pub(super) fn fitting(status: &Status, lines: usize, style: Style) -> String {
    let mut room = Room::of_lines(lines, status);
    loop {
        let text = render(status, room, style);
        match room.smaller() {
            Some(smaller) if text.lines().count() > lines => room = smaller,
            _ => return text,
        }
    }
}

fn render(status: &Status, room: Room, style: Style) -> String {
    let mut text = headline(status, style);
    text.push('\n');
    text += &format::fields(&about(status, room));
    text.push('\n');
    text += &peers(status, room.peers, style);
    for item in status.health.iter().take(room.health) {
        text.push('\n');
        text += &format::health_item(item, status.time, style);
    }
    let left = status.health.len().saturating_sub(room.health);
    if left > 0 {
        let more = format::and_more(left, "thing", "things");
        let _ = writeln!(text, "\n{more} to look at: planetary doctor");
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

fn about(status: &Status, room: Room) -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let interface = match &status.tun {
        Some(tun) => format!("{}, MTU {}", tun.name, tun.mtu),
        None => "none".to_owned(),
    };
    let traffic = |rate, total| format!("{}, {} in all", format::rate(rate), format::bytes(total));
    let mut rows = vec![
        ("address", status.address.to_string()),
        ("open to", format::access(&status.access, status.time)),
    ];
    if !status.questions.is_empty() {
        let waiting = format::count(status.questions.len(), "question waits", "questions wait");
        rows.push(("asks you", format!("{waiting} for an answer: planetary questions")));
    }
    if room.lasting {
        rows.push(("subnet", status.subnet.to_string()));
        rows.push(("key", status.key.to_string()));
    }
    rows.push(("coordinates", format::coordinates(status.coordinates.as_deref())));
    if room.lasting {
        rows.push(("root", status.root.map_or_else(unknown, |root| root.to_string())));
    }
    // Of a node that is down it would tell of another time.
    if let Some(at) = status.proven_at.filter(|_| status.state != State::Down) {
        rows.push(("last answer", format::ago(at, status.time)));
    }
    rows.push(("received", traffic(status.rx_rate, status.rx_bytes)));
    rows.push(("sent", traffic(status.tx_rate, status.tx_bytes)));
    if let Some(refused) = refused(status) {
        rows.push(("kept out", refused));
    }
    rows.push(("sessions", format!("{} open, {} paths known", status.sessions, status.paths)));
    if room.lasting {
        let names = std::iter::once("listens on").chain(std::iter::repeat("and on"));
        rows.extend(names.zip(status.listeners.iter().map(listener)));
        let uptime = format::duration(status.uptime_s);
        rows.push(("interface", interface));
        rows.extend(names_of_nodes(&status.names).map(|text| ("names", text)));
        rows.push(("service", format!("{}, up {uptime}", status.version)));
    }
    rows
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

/// How many peers there are, and a table of so many of them.
pub(super) fn peers(status: &Status, most: usize, style: Style) -> String {
    if status.peers.is_empty() {
        return no_peers(status);
    }
    let up = status.peers.iter().filter(|peer| peer.up && !peer.suspect).count();
    let all = format::count(status.peers.len(), "peer", "peers");
    let mut text = format!("{}\n", style.paint(Tone::Strong, &format!("{up} of {all} connected")));
    if most == 0 {
        return text;
    }
    let heading = [
        ("PEER", Align::Left),
        ("WAY", Align::Left),
        ("STATE", Align::Left),
        ("LATENCY", Align::Right),
        ("RECEIVED", Align::Right),
        ("SENT", Align::Right),
        ("FOR", Align::Right),
    ];
    let shown = &status.peers[..most.min(status.peers.len())];
    let rows: Vec<_> = shown.iter().map(row).collect();
    text += &format::table(heading, &rows, style);
    let left = status.peers.len() - shown.len();
    if left > 0 {
        let _ = writeln!(text, "  {}", format::and_more(left, "peer", "peers"));
    }
    for peer in shown.iter().filter(|peer| !peer.up && !peer.paused) {
        if let Some(trouble) = trouble(peer, status.time) {
            let _ = writeln!(text, "  {}: {trouble}", format::plain(&peer.uri));
        }
    }
    text
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
    let state = match (peer.up, peer.suspect) {
        _ if peer.paused => "paused",
        (true, false) => "up",
        (true, true) => "suspect",
        (false, _) => "down",
    };
    let mut uri = peer.uri.clone();
    if let Some(interface) = &peer.interface {
        let _ = write!(uri, " on {interface}");
    }
    if peer.source == PeerSource::Chosen {
        uri += " (chosen)";
    }
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
    fn page_is_cut_to_the_lines_there_are_and_counts_what_is_left_out() {
        let status = status(|status| {
            let one = status.peers[2].clone();
            status.peers.extend((100..150).map(|link| PeerStatus { link, ..one.clone() }));
        });
        let whole = render(&status, Room::ALL, Style::Plain);
        let many = fitting(&status, 1_000, Style::Plain);
        assert_eq!(many, whole);
        assert!(!whole.contains("more"), "{whole}");
        for lines in 15..whole.lines().count() {
            let text = fitting(&status, lines, Style::Plain);
            assert!(text.lines().count() <= lines, "{lines} lines: {text}");
            assert!(text.contains("3 of 55 peers connected\n"), "{text}");
        }
        let text = fitting(&status, 22, Style::Plain);
        let shown = text.lines().filter(|line| line.contains("  out  ")).count();
        assert!(text.contains(&format!("\n  and {} more peers\n", 55 - shown)), "{text}");
        assert!(text.contains("\nand 1 more thing to look at: planetary doctor\n"), "{text}");
    }

    #[test]
    fn node_without_peers_that_listens_says_where() {
        let listening = status(|status| status.peers.clear());
        let text = peers(&listening, usize::MAX, Style::Plain);
        assert_eq!(text, "No peers. This node only listens, on tls://[::]:12345.\n");
        let alone = status(|status| {
            status.peers.clear();
            status.listeners.clear();
        });
        let text = peers(&alone, usize::MAX, Style::Plain);
        assert!(text.starts_with("No peers. Choose public ones with: planetary peer public"));
    }

    #[test]
    fn listener_that_failed_says_why() {
        let failed = status(|status| {
            let last_error = status.peers[3].last_error.clone();
            let uri = "tcp://[::]:1".to_owned();
            status.listeners.push(ListenerStatus { uri, up: false, last_error });
        });
        let text = render(&failed, Room::ALL, Style::Plain);
        assert!(text.contains("\n  listens on   tls://[::]:12345\n"), "{text}");
        assert!(text.contains("\n  and on       tcp://[::]:1: no, connection refused\n"), "{text}");
    }

    #[test]
    fn last_answer_is_told_of_a_node_that_is_up_and_had_one() {
        let has_answer = |change: fn(&mut Status)| {
            render(&status(change), Room::ALL, Style::Plain).contains("last answer")
        };
        assert!(has_answer(|_| {}));
        assert!(!has_answer(|status| status.proven_at = None));
        assert!(!has_answer(|status| status.state = State::Down));
    }
}
