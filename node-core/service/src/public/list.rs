//! The format of a list of public peers, and its parser.
//!
//! ```json
//! {
//! "version": 1,
//! "source": "who says so, and in which state of theirs",
//! "date": "2026-06-09",
//! "peers": [
//! {"uri": "tls://host.example:443?key=…", "region": "europe", "country": "iceland"}
//! ]
//! }
//! ```
//!
//! A list is facts and nothing else: where a peer is dialled, and where it stands. It holds entries
//! of every transport of the network; those that lead through somebody's proxy are kept, so that
//! they can be shown, and are never tried. An entry that cannot be understood is set apart with its
//! number and the reason, and the rest is used; only a list that is no list is refused as a whole.
//! Unknown members are ignored.
//!
//! A list may come from anywhere: everything in it is bounded, and what may be shown has no control
//! characters and no options.

use std::collections::BTreeMap;
use std::fmt;

use planetary_ipc::status::public_uri;
use planetary_runtime::links::uri::{Endpoint, Host, PeerUri, UriError};
use serde::Deserialize;
use serde_json::Value;

use crate::config::printable;

/// Longest list that is read, in bytes. The network's whole list takes a thirtieth of it.
pub const LIST_LEN_MAX: usize = 1 << 20;

/// Most entries of a list, the unusable ones included. A longer list is refused, since whoever
/// wrote it meant something else.
pub const ENTRIES_MAX: usize = 4096;

/// Longest text that says where a list comes from, in bytes.
const SOURCE_LEN_MAX: usize = 256;

/// Longest name of a region or a country, in bytes.
const PLACE_LEN_MAX: usize = 64;

/// The version of the format that this program reads.
const VERSION: u64 = 1;

/// The list that ships with the program.
const SHIPPED: &str = include_str!("../../facts/public-peers.json");

/// A list of public peers.
#[derive(Clone, Debug)]
pub struct PublicList {
    /// Who says so.
    pub source: String,
    /// Of which day it is.
    pub date: Date,
    /// What can be understood, in the order of the list.
    pub peers: Vec<Listed>,
    /// What cannot.
    pub rejected: Vec<Rejected>,
}

/// An entry of a list.
#[derive(Clone)]
pub struct Listed {
    /// As it stands in the list, options included.
    uri: String,
    /// Without options: its name, and what may be shown.
    pub name: String,
    /// Part of the world, in lower case with hyphens: `north-america`.
    pub region: String,
    /// Country, in the same way: `united-states`.
    pub country: String,
    /// The scheme of its URI.
    pub transport: String,
    /// Where it is.
    pub host: Host,
    /// At which port.
    pub port: u16,
    /// How to dial it; `None` if only its own neighbours could.
    pub dial: Option<PeerUri>,
}

/// An entry that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its number in the list, from 1.
    pub entry: usize,
    /// What is wrong with it, without secrets and control characters.
    pub reason: String,
}

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// Why something is not a list of public peers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// Longer than [`LIST_LEN_MAX`].
    #[error("the list has {0} bytes, and at most {LIST_LEN_MAX} are read")]
    TooLong(usize),
    /// Not JSON, or not of the right shape.
    #[error("this is no list of public peers: {}", printable(&.0.to_string()))]
    Shape(#[from] serde_json::Error),
    /// Of a version that this program does not read.
    #[error("the list is of version {0}, and this program reads version {VERSION}")]
    Version(u64),
    /// More than [`ENTRIES_MAX`] entries.
    #[error("the list has {0} entries, and at most {ENTRIES_MAX} are read")]
    TooManyEntries(usize),
    /// Its date is none.
    #[error("the date of the list, \"{}\", is not of the form 2026-01-31", printable(.0))]
    Date(String),
    /// Its source is missing or far too long.
    #[error("the list does not say in a sentence where it comes from (`source`)")]
    Source,
    /// There is nothing in it.
    #[error("no entry of the list can be understood")]
    Empty,
}

impl PublicList {
    /// The list that ships with the program.
    #[must_use]
    pub fn shipped() -> Self {
        // A test reads it, so this is never the empty list; a reader need not take our word.
        Self::parse(SHIPPED.as_bytes()).unwrap_or_else(|_| Self {
            source: "none".to_owned(),
            date: Date { year: 1970, month: 1, day: 1 },
            peers: Vec::new(),
            rejected: Vec::new(),
        })
    }

    /// Reads a list.
    ///
    /// # Errors
    /// [`ListError`]; a single entry that is wrong is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        #[derive(Deserialize)]
        struct Members {
            version: u64,
            source: String,
            date: String,
            peers: Vec<Value>,
        }
        if bytes.len() > LIST_LEN_MAX {
            return Err(ListError::TooLong(bytes.len()));
        }
        let Members { version, source, date, peers } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(ListError::Version(version));
        }
        if peers.len() > ENTRIES_MAX {
            return Err(ListError::TooManyEntries(peers.len()));
        }
        if source.trim().is_empty() || source.len() > SOURCE_LEN_MAX {
            return Err(ListError::Source);
        }
        let source = printable(source.trim());
        let date = Date::parse(&date).ok_or(ListError::Date(date))?;
        let mut list = Self { source, date, peers: Vec::new(), rejected: Vec::new() };
        let mut numbers = BTreeMap::new();
        for (entry, value) in (1..).zip(&peers) {
            match Listed::parse(value) {
                Ok(listed) => match numbers.get(&listed.name) {
                    Some(first) => {
                        let reason = format!("{} is entry {first} already", listed.name);
                        list.rejected.push(Rejected { entry, reason });
                    }
                    None => {
                        numbers.insert(listed.name.clone(), entry);
                        list.peers.push(listed);
                    }
                },
                Err(reason) => list.rejected.push(Rejected { entry, reason }),
            }
        }
        if list.peers.is_empty() {
            return Err(ListError::Empty);
        }
        Ok(list)
    }
}

impl Listed {
    /// Reads an entry, or says what is wrong with it.
    fn parse(value: &Value) -> Result<Self, String> {
        let text = |name: &str| match value.get(name) {
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(format!("its `{name}` is not a text")),
            None => Err(format!("it has no `{name}`")),
        };
        if !value.is_object() {
            return Err("it is not an object".to_owned());
        }
        let (uri, region, country) = (text("uri")?, text("region")?, text("country")?);
        let place = |name: &str, text: &str| {
            place(text).ok_or_else(|| format!("its `{name}` is not a name of a place"))
        };
        let (region, country) = (place("region", region)?, place("country", country)?);
        let refused = |error: UriError| format!("{}: {error}", printable(&public_uri(uri)));
        let dial: PeerUri = uri.parse().map_err(refused)?;
        let Some(Endpoint { host, port }) = dial.endpoint().cloned() else {
            return Err("a socket file is on one computer only".to_owned());
        };
        Ok(Self {
            uri: uri.to_owned(),
            name: dial.to_string(),
            region,
            country,
            transport: dial.scheme().name().to_owned(),
            host,
            port,
            dial: dial.scheme().is_public().then_some(dial),
        })
    }

    /// As it stands in the list, with its options: for files of this node, never to be shown.
    #[must_use]
    pub fn uri_with_options(&self) -> &str {
        &self.uri
    }
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listed")
            .field("name", &self.name)
            .field("region", &self.region)
            .field("country", &self.country)
            .finish_non_exhaustive()
    }
}

/// The name of a region or a country in the form in which names are compared: lower case, hyphens
/// between words. `None` if it is none.
#[must_use]
pub fn place(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = |c: char| c.is_alphabetic() || c.is_ascii_digit() || " -_.'()".contains(c);
    if text.is_empty() || text.len() > PLACE_LEN_MAX || !text.chars().all(fits) {
        return None;
    }
    Some(text.to_lowercase().replace([' ', '_'], "-"))
}

impl Date {
    /// Reads `2026-01-31`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| -> Option<u16> {
            let part = parts.next()?;
            let fits = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            fits.then(|| part.parse().ok())?
        };
        let (year, month, day) = (number(4)?, number(2)?, number(2)?);
        let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
        let last = match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let fits = parts.next().is_none()
            && (1970..=2999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=last).contains(&day);
        fits.then_some(Self { year, month, day })
    }

    /// Days from this one to the one of `unix_s`; 0 if that is earlier.
    #[must_use]
    pub fn days_until(self, unix_s: u64) -> u64 {
        (unix_s / 86_400).saturating_sub(self.days())
    }

    /// Days since 1970-01-01.
    pub(crate) fn days(self) -> u64 {
        // Years that begin in March have their odd day at the end.
        let shifted = u64::from(self.year) - u64::from(self.month <= 2);
        let month = (u64::from(self.month) + 9) % 12;
        let in_year = (153 * month + 2) / 5 + u64::from(self.day) - 1;
        let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + in_year;
        days.saturating_sub(DAYS_TO_1970)
    }
}

/// From the first of March of the year 0 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list_of(entries: &str) -> Result<PublicList, ListError> {
        let text = format!(
            r#"{{"version": 1, "source": "a test", "date": "2026-02-28", "peers": [{entries}]}}"#
        );
        PublicList::parse(text.as_bytes())
    }

    fn entry(uri: &str) -> String {
        format!(r#"{{"uri": "{uri}", "region": "Europe", "country": "New Land"}}"#)
    }

    fn reason(entries: &str) -> String {
        let good = entry("tcp://good.example:1");
        let list = list_of(&format!("{good}, {entries}")).unwrap();
        assert_eq!((list.peers.len(), list.rejected.len()), (1, 1), "{list:?}");
        assert_eq!(list.rejected[0].entry, 2);
        list.rejected[0].reason.clone()
    }

    #[test]
    fn shipped_list_is_understood_to_its_last_entry() {
        let list = PublicList::shipped();
        assert!(list.peers.len() > 100, "{}", list.peers.len());
        assert_eq!(list.rejected, []);
        let can_dial = |peer: &&Listed| peer.dial.is_some();
        assert!(list.peers.iter().filter(can_dial).count() > 100);
        for transport in ["tcp", "tls", "quic", "ws", "wss"] {
            let speaks = |peer: &&Listed| peer.transport == transport && peer.dial.is_some();
            assert!(list.peers.iter().find(speaks).is_some(), "{transport}");
        }
        assert!(list.peers.iter().any(|peer| peer.port == 443 && peer.dial.is_some()));
    }

    #[test]
    fn places_are_compared_in_one_form() {
        let list = list_of(&entry("tls://host.example:443")).unwrap();
        assert_eq!((&*list.peers[0].region, &*list.peers[0].country), ("europe", "new-land"));
        assert_eq!(place(" Côte d'Ivoire "), Some("côte-d'ivoire".to_owned()));
        for odd in ["", "  ", "a\u{1b}[2J", "a;b", &"x".repeat(65)] {
            assert_eq!(place(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn every_transport_is_kept_and_proxies_are_not_dialled() {
        for (uri, name, dialled) in [
            ("quic://a.example:1?priority=1", "quic://a.example:1", true),
            ("wss://a.example:443/path?priority=1", "wss://a.example:443/path", true),
            ("socks://127.0.0.1:9050/a.example:1", "socks://127.0.0.1:9050/a.example:1", false),
        ] {
            let list = list_of(&entry(uri)).unwrap();
            assert_eq!((&*list.peers[0].name, list.peers[0].dial.is_some()), (name, dialled));
            assert_eq!(list.peers[0].uri_with_options(), uri);
        }
    }

    #[test]
    fn entry_that_is_wrong_is_set_apart_with_number_and_reason() {
        for (entries, part) in [
            ("7", "not an object"),
            ("{}", "no `uri`"),
            (r#"{"uri": 7}"#, "`uri` is not a text"),
            (r#"{"uri": "tcp://a.example:1", "region": "x"}"#, "no `country`"),
            (r#"{"uri": "tcp://a.example:1", "region": "", "country": "x"}"#, "`region`"),
            (&entry("tcp://good.example:1?priority=3"), "entry 1 already"),
            (&entry("tcp://a.example"), "tcp://a.example:"),
            (&entry("carrier-pigeon://a.example:1"), "carrier-pigeon"),
            (&entry("quic://a.example"), "quic://a.example"),
            (&entry("unix:///run/a.sock"), "one computer only"),
            (&entry("tcp://a.example:1?pasword=x"), "unknown option"),
        ] {
            let reason = reason(entries);
            assert!(reason.contains(part), "{entries}: {reason}");
        }
    }

    #[test]
    fn no_password_and_no_control_character_is_shown() {
        let list = list_of(&format!(
            "{}, {}",
            entry("tcp://a.example:1?password=hVq3"),
            entry("tcp://b.example:1?password=hVq3&\\u001bx=1"),
        ));
        let shown = format!("{list:?}");
        assert!(!shown.contains("hVq3") && !shown.contains(char::is_control), "{shown}");
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_reason() {
        let peers = entry("tcp://a.example:1");
        let with = |version: &str, source: &str, date: &str| {
            let text = format!(
                r#"{{"version":{version},"source":"{source}","date":"{date}","peers":[{peers}]}}"#
            );
            PublicList::parse(text.as_bytes())
        };
        assert!(with("1", "x", "2028-02-29").is_ok());
        assert!(matches!(with("2", "x", "2026-01-01"), Err(ListError::Version(2))));
        assert!(matches!(with("1", " ", "2026-01-01"), Err(ListError::Source)));
        for date in ["", "2026", "2026-1-01", "2026-13-01", "2026-02-29", "2026-02-00", "1-1-1-1"] {
            assert!(matches!(with("1", "x", date), Err(ListError::Date(_))), "{date}");
        }
        assert!(matches!(PublicList::parse(b"<html>"), Err(ListError::Shape(_))));
        assert!(matches!(PublicList::parse(b"{}"), Err(ListError::Shape(_))));
        assert!(matches!(list_of(""), Err(ListError::Empty)));
        let many = vec!["0"; ENTRIES_MAX + 1].join(",");
        assert!(matches!(list_of(&many), Err(ListError::TooManyEntries(4097))));
        let long = vec![b' '; LIST_LEN_MAX + 1];
        assert!(matches!(PublicList::parse(&long), Err(ListError::TooLong(_))));
    }

    #[test]
    fn ages_are_counted_in_days() {
        let day = |text: &str, days: u64| Date::parse(text).unwrap().days_until(days * 86_400);
        assert_eq!(day("1970-01-01", 0), 0);
        assert_eq!(day("1970-01-01", 59), 59);
        // 2026-06-09 is day 20,613.
        assert_eq!(day("2026-06-09", 20_613), 0);
        assert_eq!(day("2026-06-09", 20_643), 30);
        assert_eq!(day("2026-06-09", 1), 0);
        assert_eq!(day("2024-02-29", 19_783), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = PublicList::parse(&bytes);
        }

        #[test]
        fn any_entries_are_used_or_rejected(uris in prop::collection::vec(".{0,40}", 1..20)) {
            let entries: Vec<_> = uris
                .iter()
                .map(|uri| serde_json::json!({"uri": uri, "region": "r", "country": uri}))
                .collect();
            let text = serde_json::json!(
                {"version": 1, "source": "s", "date": "2026-01-01", "peers": entries}
            );
            match PublicList::parse(text.to_string().as_bytes()) {
                Ok(list) => prop_assert_eq!(list.peers.len() + list.rejected.len(), uris.len()),
                Err(error) => prop_assert!(matches!(error, ListError::Empty)),
            }
        }
    }
}
