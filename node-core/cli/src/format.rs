//! How things look: units, tables, colours, JSON. All printing goes through here.
//!
//! Text comes out readable without colour and safe on a terminal: whatever a peer or the service
//! put into a string, no control character of it reaches the screen. Functions that make text are
//! pure; [`Printer`] alone writes.

use std::borrow::Cow;
use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use planetary_ipc::friends::Protocol;
use planetary_ipc::{
    Access, Audience, CircleRef, HealthItem, LocalService, NodeKey, Party, Question, Severity,
    State, Subject, UnixTime,
};
use serde::Serialize;

/// Standard output, and whether it is to be JSON.
pub(crate) struct Printer {
    json: bool,
    style: Style,
}

/// Whether words may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Colour,
}

/// What a colour means.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Warning,
    Bad,
    Muted,
    Strong,
}

impl Printer {
    pub(crate) fn new(json: bool) -> Self {
        let colour = on_screen() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, style: if colour { Style::Colour } else { Style::Plain } }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Prints a value as JSON, or the text made of it.
    pub(crate) fn print<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T, Style) -> String,
    ) -> io::Result<()> {
        if self.json {
            let mut json = serde_json::to_string_pretty(value)?;
            json.push('\n');
            write_out(&json)
        } else {
            write_out(&text(value, self.style))
        }
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json_line<T: Serialize>(&self, value: &T) -> io::Result<()> {
        let mut json = serde_json::to_string(value)?;
        json.push('\n');
        write_out(&json)
    }
}

/// Whether standard output is a terminal that can move its cursor and show colours. One that does
/// not say what it is may be anything; only Windows never says.
pub(crate) fn on_screen() -> bool {
    let able = match env::var_os("TERM") {
        Some(term) => !term.is_empty() && term != "dumb",
        None => cfg!(windows),
    };
    able && io::stdout().is_terminal()
}

/// Writes to standard output, to its end.
pub(crate) fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

impl Style {
    pub(crate) fn paint<'a>(self, tone: Tone, text: &'a str) -> Cow<'a, str> {
        let code = match (self, tone) {
            (Self::Plain, _) => return text.into(),
            (Self::Colour, Tone::Good) => "32",
            (Self::Colour, Tone::Warning) => "33",
            (Self::Colour, Tone::Bad) => "31",
            (Self::Colour, Tone::Muted) => "2",
            (Self::Colour, Tone::Strong) => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m").into()
    }
}

pub(crate) fn state_tone(state: State) -> Tone {
    match state {
        State::Connected => Tone::Good,
        State::Connecting | State::Degraded => Tone::Warning,
        State::Offline => Tone::Bad,
        State::Down => Tone::Muted,
    }
}

/// The text without control characters, which could make a terminal do things.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, "?").into()
    } else {
        text.into()
    }
}

/// A name as it can be typed in a shell.
pub(crate) fn quoted(name: &str) -> Cow<'_, str> {
    if name.chars().all(|letter| letter.is_alphanumeric() || "-_.".contains(letter)) {
        name.into()
    } else {
        format!("'{}'", name.replace('\'', "'\\''")).into()
    }
}

/// A node in a sentence: by your name for it; by what a circle calls it, which nobody has checked,
/// and the begin of its key; or by that alone.
pub(crate) fn party(party: &Party) -> String {
    let digits = digits(party.key);
    match (&party.name, &party.label) {
        (Some(name), _) => plain(name.as_str()).into_owned(),
        (None, Some(label)) => format!("\"{}\" ({digits})", plain(label.as_str())),
        (None, None) => digits,
    }
}

/// The begin of a key, by which it can be named.
pub(crate) fn digits(key: NodeKey) -> String {
    format!("{:.8}", key.to_string())
}

/// Services, or what stands for none.
pub(crate) fn services(list: &[LocalService], none: &str) -> String {
    match list {
        [] => none.to_owned(),
        list => list.iter().map(LocalService::to_string).collect::<Vec<_>>().join(" "),
    }
}

/// A service of one port with what usually is there: `tcp/22 (ssh)`.
pub(crate) fn known_service(service: &LocalService) -> String {
    let usual = match service.protocol {
        Protocol::Tcp(22, 22) => "ssh",
        Protocol::Tcp(80, 80) | Protocol::Tcp(443, 443) => "web",
        Protocol::Tcp(445, 445) => "shared files",
        Protocol::Tcp(631, 631) => "printer",
        Protocol::Tcp(3_389, 3_389) => "remote desktop",
        Protocol::Tcp(5_900, 5_900) => "shared screen",
        _ => return service.to_string(),
    };
    format!("{service} ({usual})")
}

/// What is asked, in a sentence without its full stop.
pub(crate) fn question(question: &Question) -> String {
    match &question.subject {
        Subject::Knock { who, circles, service } => {
            let of = match &circles[..] {
                [] => String::new(),
                circles => format!(" of {}", names(circles)),
            };
            let service = known_service(service);
            format!("{}{of} wants to reach {service} of this computer", party(who))
        }
        Subject::Guest { who, circle, .. } => {
            format!("{} wants to join {}", party(who), plain(circle.name.as_str()))
        }
    }
}

/// Names of circles in a sentence.
pub(crate) fn names(circles: &[CircleRef]) -> String {
    let all: Vec<_> = circles.iter().map(|circle| plain(circle.name.as_str())).collect();
    all.join(" and ")
}

/// When something last came from a node.
pub(crate) fn seen(online: bool, last: Option<UnixTime>, now: UnixTime) -> String {
    match last {
        _ if online => "online".to_owned(),
        Some(at) => ago(at, now),
        None => "never".to_owned(),
    }
}

/// The text cut to a length that fits into a sentence.
pub(crate) fn shortened(text: &str) -> Cow<'_, str> {
    const CHARS_MAX: usize = 120;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Bytes in decimal units: `12.4 MB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1_000 {
        return format!("{count} B");
    }
    // Precision beyond 2^53 bytes does not matter for two digits.
    let mut value = count as f64 / 1_000.0;
    let mut unit = 0;
    // Below the point where one digit after the point would round to 1000.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Bytes a second, or a dash.
pub(crate) fn rate(count: Option<u64>) -> String {
    count.map_or_else(dash, |count| format!("{}/s", bytes(count)))
}

/// Milliseconds with sensible digits, or a dash.
pub(crate) fn milliseconds(value: Option<f64>) -> String {
    match value {
        Some(ms) if ms < 9.995 => format!("{ms:.2} ms"),
        Some(ms) if ms < 99.95 => format!("{ms:.1} ms"),
        Some(ms) => format!("{ms:.0} ms"),
        None => dash(),
    }
}

/// A span of time in its two largest units: `3 h 12 min`.
pub(crate) fn duration(seconds: u64) -> String {
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// How long before `now` something was.
pub(crate) fn ago(then: UnixTime, now: UnixTime) -> String {
    match now.0.saturating_sub(then.0) {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", duration(seconds)),
    }
}

/// How long something has lasted at `now`.
pub(crate) fn lasting(since: UnixTime, now: UnixTime) -> String {
    match now.0.saturating_sub(since.0) {
        0 => "just now".to_owned(),
        seconds => format!("for {}", duration(seconds)),
    }
}

/// A point in time as `2026-01-01T00:00:00Z`.
pub(crate) fn timestamp(time: UnixTime) -> String {
    let (days, second) = (time.0 / 86_400, time.0 % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The time of the day alone: `23:59:59`, of UTC.
pub(crate) fn time_of_day(time: UnixTime) -> String {
    let second = time.0 % 86_400;
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day counted from 1970-01-01, by the rules of the Gregorian calendar.
///
/// Counts in years that begin in March, so that the day added in leap years is the last one.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Who may reach this computer, to follow "open to".
pub(crate) fn access(access: &Access, now: UnixTime) -> String {
    if let Some(pause) = access.paused {
        return match pause.until {
            Some(until) => {
                let left = duration(until.0.saturating_sub(now.0));
                format!("nobody: paused until {} (for {left})", timestamp(until))
            }
            None => "nobody: paused until `planetary resume`".to_owned(),
        };
    }
    let mut open = Vec::new();
    match access.inbound {
        Audience::Everyone => return "everyone, every port".to_owned(),
        Audience::Nobody => {}
        Audience::Circles => {
            let friends = usize::try_from(access.friends).unwrap_or(usize::MAX);
            if friends > 0 {
                open.push(format!("{}, as allowed", count(friends, "friend", "friends")));
            }
            if access.members > 0 {
                let members = usize::try_from(access.members).unwrap_or(usize::MAX);
                let circles = usize::try_from(access.circles).unwrap_or(usize::MAX);
                let (members, circles) =
                    (count(members, "member", "members"), count(circles, "circle", "circles"));
                open.push(format!("{members} of {circles}, as allowed"));
            }
            if !access.everyone.is_empty() {
                open.push(format!("everyone for {}", first_services(&access.everyone)));
            }
        }
    }
    match access.echo {
        Audience::Everyone => open.push("everyone for pings".to_owned()),
        Audience::Circles if access.inbound == Audience::Nobody => {
            let who = match (access.friends > 0, access.members > 0) {
                (true, true) => Some("friends and members of circles"),
                (true, false) => Some("friends"),
                (false, true) => Some("members of circles"),
                (false, false) => None,
            };
            open.extend(who.map(|who| format!("{who} for pings")));
        }
        Audience::Circles | Audience::Nobody => {}
    }
    if open.is_empty() { "nobody".to_owned() } else { open.join("; ") }
}

/// The first services of a list, and how many there are beyond them.
fn first_services(list: &[LocalService]) -> String {
    const SHOWN_MAX: usize = 4;
    let shown: Vec<_> = list.iter().take(SHOWN_MAX).map(LocalService::to_string).collect();
    match list.len() - shown.len() {
        0 => shown.join(" "),
        more => format!("{} and {more} more", shown.join(" ")),
    }
}

/// Ports from the root down: `7 3 12`.
pub(crate) fn coordinates(ports: Option<&[u64]>) -> String {
    match ports {
        None => "unknown".to_owned(),
        Some([]) => "none, this is the root".to_owned(),
        Some(ports) => {
            let ports: Vec<_> = ports.iter().map(u64::to_string).collect();
            ports.join(" ")
        }
    }
}

pub(crate) fn dash() -> String {
    "-".to_owned()
}

/// `1 peer`, `2 peers`.
pub(crate) fn count(number: usize, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

/// `and 2 more peers` for what a list leaves out.
pub(crate) fn and_more(number: usize, singular: &str, plural: &str) -> String {
    format!("and {number} more {}", if number == 1 { singular } else { plural })
}

/// Lines of a name and a value each, values beneath each other.
pub(crate) fn fields(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "  {name:width$}  {}", plain(value));
        text
    })
}

/// How a column of a table is set.
#[derive(Clone, Copy)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table with a heading; columns as wide as their widest cell.
pub(crate) fn table<const N: usize>(
    heading: [(&str, Align); N],
    rows: &[[String; N]],
    style: Style,
) -> String {
    let mut widths = heading.map(|(name, _)| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::from(" ");
        for ((cell, width), (_, align)) in cells.into_iter().zip(widths).zip(heading) {
            let _ = match align {
                Align::Left => write!(line, " {cell:width$} "),
                Align::Right => write!(line, " {cell:>width$} "),
            };
        }
        line.trim_end().to_owned()
    };
    let mut text = style.paint(Tone::Muted, &line(heading.map(|(name, _)| name))).into_owned();
    text.push('\n');
    for row in rows {
        let cells: [_; N] = std::array::from_fn(|index| plain(&row[index]));
        text += &line(std::array::from_fn(|index| &*cells[index]));
        text.push('\n');
    }
    text
}

/// How severe something is, in a word.
pub(crate) fn health_mark(severity: Severity, style: Style) -> Cow<'static, str> {
    let (mark, tone) = match severity {
        Severity::Ok => ("ok", Tone::Good),
        Severity::Info => ("note", Tone::Strong),
        Severity::Warning => ("warning", Tone::Warning),
        Severity::Error => ("error", Tone::Bad),
    };
    style.paint(tone, mark)
}

/// A health item: a mark and the title, then the text and what to do.
pub(crate) fn health_item(item: &HealthItem, now: UnixTime, style: Style) -> String {
    let mark = health_mark(item.severity, style);
    let since = item.since.map(|since| format!(" ({})", lasting(since, now))).unwrap_or_default();
    let mut text = format!("{mark}: {}{since}\n", plain(&item.title));
    let _ = writeln!(text, "    {}", plain(&item.text));
    if let Some(action) = &item.action {
        let _ = writeln!(text, "    -> {}", plain(action));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_told_in_one_line() {
        let now = UnixTime(1_767_225_600);
        let pause = |until| Some(planetary_ipc::Pause { until });
        let open = |text: &str| vec![text.parse().unwrap()];
        let base = Access::default();
        for (access_is, text) in [
            (base.clone(), "nobody"),
            (Access { friends: 1, ..base.clone() }, "1 friend, as allowed"),
            (
                Access { friends: 2, everyone: open("tcp/80"), ..base.clone() },
                "2 friends, as allowed; everyone for tcp/80",
            ),
            (Access { inbound: Audience::Everyone, ..base.clone() }, "everyone, every port"),
            (Access { inbound: Audience::Nobody, ..base.clone() }, "nobody"),
            (Access { inbound: Audience::Nobody, friends: 1, ..base.clone() }, "friends for pings"),
            (Access { echo: Audience::Everyone, ..base.clone() }, "everyone for pings"),
            (
                Access { friends: 1, circles: 1, members: 2, ..base.clone() },
                "1 friend, as allowed; 2 members of 1 circle, as allowed",
            ),
            (
                Access { inbound: Audience::Nobody, circles: 2, members: 1, ..base.clone() },
                "members of circles for pings",
            ),
            (
                Access { paused: pause(None), friends: 3, ..base.clone() },
                "nobody: paused until `planetary resume`",
            ),
            (
                Access { paused: pause(Some(UnixTime(now.0 + 7_200))), ..base.clone() },
                "nobody: paused until 2026-01-01T02:00:00Z (for 2 h)",
            ),
        ] {
            assert_eq!(access(&access_is, now), text);
        }
        let everyone = (1..9).map(|port| format!("tcp/{port}").parse().unwrap()).collect();
        let text = access(&Access { everyone, ..base }, now);
        assert_eq!(text, "everyone for tcp/1 tcp/2 tcp/3 tcp/4 and 4 more");
    }

    #[test]
    fn bytes_have_one_digit_after_the_point() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (12_400_000, "12.4 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn milliseconds_have_three_digits_at_least() {
        for (ms, text) in [
            (0.0, "0.00 ms"),
            (0.612, "0.61 ms"),
            (9.996, "10.0 ms"),
            (18.34, "18.3 ms"),
            (99.96, "100 ms"),
            (231.4, "231 ms"),
        ] {
            assert_eq!(milliseconds(Some(ms)), text);
        }
        assert_eq!(milliseconds(None), "-");
    }

    #[test]
    fn duration_has_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (192, "3 min 12 s"),
            (3_600, "1 h"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn timestamp_knows_the_calendar() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(UnixTime(time)), text);
        }
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\n\u{9b}"), "a?[2Jb??");
        let rows = [["\x1b]0;x\x07".to_owned()]];
        assert!(!table([("H", Align::Left)], &rows, Style::Plain).contains('\x1b'));
    }

    #[test]
    fn table_columns_are_as_wide_as_their_cells() {
        let rows = [["a".to_owned(), "1".to_owned()], ["ççç".to_owned(), "100".to_owned()]];
        let text = table([("X", Align::Left), ("N", Align::Right)], &rows, Style::Plain);
        assert_eq!(text, "  X      N\n  a      1\n  ççç  100\n");
    }

    #[test]
    fn long_text_is_cut_between_letters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ü".repeat(100_000)), format!("{}…", "ü".repeat(120)));
    }

    #[test]
    fn condition_lasts_and_event_is_past() {
        let (then, now) = (UnixTime(1_000), UnixTime(1_023));
        assert_eq!((lasting(then, now), ago(then, now)), ("for 23 s".into(), "23 s ago".into()));
        assert_eq!(lasting(now, now), "just now");
    }
}
