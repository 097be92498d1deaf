//! The page of the live view: what is so now, what ran in the last minutes, what happened.
//!
//! Pure: states in, lines out, as many as fit on the screen. A state that comes a second after
//! another adds a sample to each series, so the page knows what a single state does not.

use std::collections::{BTreeMap, VecDeque};

use planetary_ipc::{HealthItem, PeerStatus, Status, Traffic, UnixTime};

use crate::changes::changes;
use crate::commands::{lan, status};
use crate::format::{self, Align, Style, Tone};

/// Samples that are kept of each series: as many seconds as a wide terminal has columns for.
const SAMPLES_MAX: usize = 120;

/// Events that are kept: more than a tall terminal has lines for.
const EVENTS_MAX: usize = 100;

/// Health items that get a line each.
const HEALTH_MAX: usize = 3;

/// Lines kept for events where there is room, with the blank line and the heading.
const EVENT_LINES: usize = 6;

/// Lines from which on the page has room for more than what moves.
const TALL: usize = 30;

/// Levels of a sparkline, from next to nothing to the most.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Columns and lines there are for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

/// A node that is watched: its state, and what is remembered of the time before.
pub(super) struct Watched {
    status: Box<Status>,
    received: Series,
    sent: Series,
    carried: Series,
    /// Traffic of each link, both ways together.
    links: BTreeMap<u64, Series>,
    /// What happened, the latest first.
    events: VecDeque<(UnixTime, String)>,
}

/// A value a second, the newest last; `None` where there is none.
#[derive(Default)]
struct Series(VecDeque<Option<u64>>);

impl Watched {
    pub(super) fn new(status: Box<Status>) -> Self {
        let mut watched = Self {
            status,
            received: Series::default(),
            sent: Series::default(),
            carried: Series::default(),
            links: BTreeMap::new(),
            events: VecDeque::new(),
        };
        watched.sample(1);
        watched
    }

    /// Takes a newer state.
    pub(super) fn become_newer(&mut self, newer: Box<Status>) {
        for change in changes(Some(&self.status), &newer) {
            self.happened(newer.time, change);
        }
        let passed = passed(self.status.time, newer.time);
        self.status = newer;
        self.sample(passed);
    }

    /// Takes the newer moving part of the state.
    pub(super) fn take(&mut self, traffic: &Traffic) {
        let passed = passed(self.status.time, traffic.time);
        self.status.apply_traffic(traffic);
        self.sample(passed);
    }

    /// Remembers something that the service could not tell.
    pub(super) fn note(&mut self, event: String) {
        self.happened(self.status.time, event);
    }

    fn happened(&mut self, at: UnixTime, event: String) {
        self.events.push_front((at, event));
        self.events.truncate(EVENTS_MAX);
    }

    fn sample(&mut self, passed: u64) {
        let Status { rx_rate, tx_rate, transit, peers, .. } = &*self.status;
        self.received.take(passed, *rx_rate);
        self.sent.take(passed, *tx_rate);
        self.carried.take(passed, transit.rate);
        self.links.retain(|link, _| peers.iter().any(|peer| peer.link == *link));
        for peer in peers {
            let rate = peer.rx_rate.zip(peer.tx_rate).map(|(rx, tx)| rx.saturating_add(tx));
            self.links.entry(peer.link).or_default().take(passed, rate);
        }
    }

    /// The page, no longer than there is room for. A line may be too wide.
    pub(super) fn page(&self, size: Size, style: Style) -> Vec<String> {
        let headline = status::headline(&self.status, style);
        let mut lines = vec![headline.trim_end().to_owned(), String::new()];
        lines.extend(format::fields(&self.facts(size)).lines().map(str::to_owned));
        lines.extend(self.traffic(size, style));
        lines.push(String::new());
        let health = health(&self.status.health, style);
        let left = size.lines.saturating_sub(lines.len() + health.len());
        // Events give way to peers, but for the latest.
        let events = if size.lines >= TALL { EVENT_LINES } else { EVENT_LINES / 2 };
        lines.extend(self.peers(left.saturating_sub(events), size.columns, style));
        lines.extend(health);
        lines.extend(self.happenings(size.lines.saturating_sub(lines.len()), style));
        lines.truncate(size.lines);
        lines
    }

    fn facts(&self, size: Size) -> Vec<(&'static str, String)> {
        let status = &self.status;
        let mut rows = vec![
            ("address", status.address.to_string()),
            ("coordinates", format::coordinates(status.coordinates.as_deref())),
        ];
        if size.lines >= TALL {
            rows.push(("open to", format::access(&status.access, status.time)));
            rows.extend(lan::in_short(status).map(|text| ("local", text)));
        }
        rows.extend(status::questions(status).map(|text| ("asks you", text)));
        rows.push(("sessions", status::sessions(status)));
        rows
    }

    /// What runs over all links, and what of it is passed on for others.
    fn traffic(&self, size: Size, style: Style) -> Vec<String> {
        let Status { rx_rate, tx_rate, rx_bytes, tx_bytes, transit, .. } = &*self.status;
        let most = self.received.most().max(self.sent.most()).max(self.carried.most());
        let mut rows = vec![
            ("received", rx_rate, rx_bytes, &self.received),
            ("sent", tx_rate, tx_bytes, &self.sent),
        ];
        if transit.bytes > 0 {
            rows.push(("for others", &transit.rate, &transit.bytes, &self.carried));
        }
        let mut lines = Vec::new();
        for (name, rate, bytes, series) in rows {
            let (rate, bytes) = (format::rate(*rate), format::bytes(*bytes));
            let line = format!("  {name:11}  {rate:>10}  {bytes:>8}  ");
            let room = size.columns.saturating_sub(line.chars().count());
            lines.push(line + &style.paint(Tone::Good, &series.drawn(room, most)));
        }
        let saving = status::saving(transit);
        lines.extend(saving.map(|saving| format!("  {:11}  {saving}", "")));
        lines
    }

    /// A table of the links, on so many lines with all that belongs to it.
    fn peers(&self, lines: usize, columns: usize, style: Style) -> Vec<String> {
        let all = &self.status.peers;
        let mut text = vec![status::peers_title(&self.status, style)];
        // The title, the heading, and the line that counts the rest.
        let shown = match lines.saturating_sub(2) {
            room if room >= all.len() => all.len(),
            room => room.saturating_sub(1),
        };
        if shown == 0 {
            return text;
        }
        let heading = [
            ("PEER", Align::Left),
            ("STATE", Align::Left),
            ("LATENCY", Align::Right),
            ("RECEIVED", Align::Right),
            ("SENT", Align::Right),
        ];
        let rows: Vec<_> = all.iter().take(shown).map(row).collect();
        let table = format::table(heading, &rows, Style::Plain);
        let width = table.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        let room = columns.saturating_sub(width + 2);
        let mut table = table.lines();
        text.extend(table.next().map(|line| style.paint(Tone::Muted, line).into_owned()));
        for (line, peer) in table.zip(all) {
            let series = self.links.get(&peer.link).filter(|_| peer.up);
            let drawn = series.map(|series| series.drawn(room, series.most())).unwrap_or_default();
            text.push(
                format!("{line:width$}  {}", style.paint(Tone::Good, &drawn)).trim_end().to_owned(),
            );
        }
        if shown < all.len() {
            text.push(format!("  {}", format::and_more(all.len() - shown, "peer", "peers")));
        }
        text
    }

    fn happenings(&self, lines: usize, style: Style) -> Vec<String> {
        let room = lines.saturating_sub(2);
        if room == 0 || self.events.is_empty() {
            return Vec::new();
        }
        let event = |(at, text): &(UnixTime, String)| {
            let time = format::time_of_day(*at);
            format!("  {}  {text}", style.paint(Tone::Muted, &time))
        };
        let title = style.paint(Tone::Strong, "Lately").into_owned();
        let head = [String::new(), title];
        head.into_iter().chain(self.events.iter().take(room).map(event)).collect()
    }
}

impl Series {
    /// Takes the value of a moment so many seconds after the last one.
    fn take(&mut self, passed: u64, value: Option<u64>) {
        if passed == 0 {
            self.0.pop_back();
        }
        let missed = passed.saturating_sub(1);
        let missed = usize::try_from(missed).unwrap_or(SAMPLES_MAX).min(SAMPLES_MAX);
        self.0.extend(std::iter::repeat_n(None, missed));
        self.0.push_back(value);
        self.0.drain(..self.0.len().saturating_sub(SAMPLES_MAX));
    }

    fn most(&self) -> u64 {
        self.0.iter().copied().flatten().max().unwrap_or(0)
    }

    /// The latest samples as a line of so many columns at most, against a scale that ends at
    /// `most`.
    fn drawn(&self, columns: usize, most: u64) -> String {
        let level = |value: u64| {
            let scaled = u128::from(value) * LEVELS.len() as u128 / (u128::from(most) + 1);
            // Below the length, because the value is not above the most.
            LEVELS.get(usize::try_from(scaled).unwrap_or(usize::MAX)).copied().unwrap_or('█')
        };
        let from = self.0.len().saturating_sub(columns);
        self.0.iter().skip(from).map(|value| value.map_or(' ', level)).collect()
    }
}

/// Seconds from one state to the next. A clock that was set back tells no more than that time went
/// on.
fn passed(before: UnixTime, after: UnixTime) -> u64 {
    after.0.checked_sub(before.0).unwrap_or(1)
}

fn row(peer: &PeerStatus) -> [String; 5] {
    [
        status::peer_name(peer),
        status::peer_state(peer).to_owned(),
        format::milliseconds(peer.latency_ms),
        format::rate(peer.rx_rate),
        format::rate(peer.tx_rate),
    ]
}

/// What is wrong, a line each.
fn health(items: &[HealthItem], style: Style) -> Vec<String> {
    if items.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new()];
    let line = |item: &HealthItem| {
        let mark = format::health_mark(item.severity, style);
        format!("{mark}: {}. {}", format::plain(&item.title), format::plain(&item.text))
    };
    lines.extend(items.iter().take(HEALTH_MAX).map(line));
    let left = items.len().saturating_sub(HEALTH_MAX);
    if left > 0 {
        let more = format::and_more(left, "thing", "things");
        lines.push(format!("{more} to look at: planetary doctor"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use planetary_ipc::mock::Mock;

    use super::*;

    const SMALL: Size = Size { columns: 80, lines: 22 };

    /// The mock's node, watched for some seconds before `second`.
    fn watched(from: u64, second: u64) -> Watched {
        let mock = Mock::after(from);
        let mut watched = Watched::new(Box::new(mock.status()));
        for _ in from..second {
            mock.tick();
            watched.become_newer(Box::new(mock.status()));
        }
        watched
    }

    fn page(watched: &Watched, size: Size) -> String {
        let lines = watched.page(size, Style::Plain);
        assert!(lines.len() <= size.lines, "{lines:#?}");
        lines.join("\n")
    }

    #[test]
    fn page_tells_of_the_moment_and_of_the_time_before() {
        let text = page(&watched(40, 45), Size { columns: 100, lines: 40 });
        for part in [
            "The node is connected (for 43 s).\n\n  address      205:8512:",
            "  sessions     2 open, 2 paths known\n",
            "4 of 6 peers connected\n  PEER ",
            "warning: A peer does not answer. tls://tokyo.example:9001 cannot be reached: no",
            "\nLately\n  00:00:42  health A peer does not answer: tls://tokyo.example:9001 cannot",
            "\n  00:00:42  peer tls://tokyo.example:9001 down: no answer for 3 s",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
        let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap();
        let drawn = |line: &str| line.chars().filter(|letter| LEVELS.contains(letter)).count();
        for (name, samples) in [
            ("  received ", 6),
            ("  sent ", 6),
            ("  for others ", 6),
            ("tls://frankfurt.example:443 ", 6),
            ("  tls://tokyo.example:9001 ", 0),
        ] {
            assert_eq!(drawn(line(name)), samples, "{text}");
        }
    }

    #[test]
    fn page_fits_whatever_the_size_and_counts_what_is_left_out() {
        let mut many = watched(40, 45);
        let one = many.status.peers[0].clone();
        many.status.peers.extend((100..150).map(|link| PeerStatus { link, ..one.clone() }));
        for lines in 0..80 {
            let text = page(&many, Size { columns: 80, lines });
            let is_told = text.contains("\n54 of 56 peers connected");
            assert_eq!(is_told, lines > 10, "{lines}: {text}");
            let shown = text.matches(" up ").count() + text.matches(" down ").count();
            let more = format!("\n  and {} more peers", 56 - shown);
            assert_eq!(text.contains(&more), (1..56).contains(&shown), "{lines}: {text}");
            assert!(shown > 0 || lines < 20, "{lines}: {text}");
        }
        let whole = page(&many, Size { columns: 80, lines: 100 });
        assert!(!whole.contains(" more "), "{whole}");
        for columns in 0..200 {
            page(&many, Size { columns, lines: 24 });
        }
    }

    #[test]
    fn peers_and_the_latest_event_have_room_on_a_small_screen() {
        let text = page(&watched(40, 45), SMALL);
        for part in ["4 of 6 peers connected\n", "  tls://frankfurt", "\nLately\n  00:00:4"] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }

    #[test]
    fn a_series_knows_gaps_and_forgets_the_oldest() {
        let mut series = Series::default();
        for (passed, value) in [(1, Some(0)), (1, Some(50)), (3, Some(99)), (0, Some(100))] {
            series.take(passed, value);
        }
        assert_eq!((series.drawn(80, 100).as_str(), series.most()), ("▁▄  █", 100));
        assert_eq!(series.drawn(2, 100), " █");
        assert_eq!(series.drawn(0, 100), "");
        series.take(u64::MAX, None);
        assert_eq!((series.0.len(), series.most()), (SAMPLES_MAX, 0));
        series.take(1, Some(u64::MAX));
        assert_eq!(series.drawn(1, u64::MAX), "█");
        assert_eq!(series.drawn(1, 0), "█");
    }

    #[test]
    fn a_clock_that_is_set_back_is_a_second_that_passed() {
        assert_eq!(passed(UnixTime(100), UnixTime(103)), 3);
        assert_eq!(passed(UnixTime(100), UnixTime(50)), 1);
    }

    #[test]
    fn what_the_service_could_not_tell_is_remembered_and_nothing_without_end() {
        let mut watched = watched(44, 45);
        for number in 0..EVENTS_MAX + 1 {
            watched.note(format!("event {number}"));
        }
        let text = page(&watched, Size { columns: 80, lines: 200 });
        assert!(text.contains("\nLately\n  00:00:45  event 100\n"), "{text}");
        assert_eq!(text.matches("  event ").count(), EVENTS_MAX);
    }
}
