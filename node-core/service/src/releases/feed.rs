//! The feed: a small file that says which version is the newest, and its signature.
//!
//! ```json
//! {"format": 1, "version": "0.2.0", "date": "2026-11-30", "notes_url": "https://host.example/…"}
//! ```
//!
//! The signature is over the bytes of the file, and is looked at before anything in it is. Members
//! are these and no others. Who answers may be anybody, and may give out a feed that was once good:
//! one that is older than the last, or that names a lower version, is refused, and so is one from
//! the future, which would shut out all that follow. Pure functions.

use std::fmt;

use planetary_proto::Signature;
use planetary_proto::identity::NodeKey;
use serde::Deserialize;
use ureq::http::Uri;

use crate::config::printable;
use crate::public::list::Date;

/// Longest feed, in bytes; a usual one has about 150.
pub(super) const FEED_LEN_MAX: usize = 4_096;

/// Longest URL of notes, in bytes.
const URL_LEN_MAX: usize = 512;

/// How far a feed may be ahead of the clock of this computer, in days: time zones, and a clock that
/// is a little wrong.
const AHEAD_MAX: u64 = 2;

/// The format that this program reads.
const FORMAT: u64 = 1;

/// What a feed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Feed {
    /// The newest version.
    pub(super) version: Version,
    /// The day of its release.
    pub(super) date: Date,
    /// What changed, and where to have it.
    pub(super) notes_url: String,
}

/// A version: three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u32; 3]);

/// Why a feed is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    /// It is of somebody else, or was changed on the way.
    #[error("the list of versions is not signed with the release key of this program")]
    Signature,
    /// Not JSON, or not of the right shape.
    #[error("this is no list of versions: {}", printable(&.0.to_string()))]
    Shape(#[from] serde_json::Error),
    /// Longer than [`FEED_LEN_MAX`].
    #[error("the list of versions has {0} bytes, and at most {FEED_LEN_MAX} are read")]
    TooLong(usize),
    /// Of a format that this program does not read.
    #[error("the list of versions is of format {0}, and this program reads format {FORMAT}")]
    Format(u64),
    /// A member cannot be understood.
    #[error("the list of versions has no proper `{0}`")]
    Member(&'static str),
    /// Older than the last, or of a lower version.
    #[error("the list of versions is older than the last one, which named {version} of {date}")]
    Older {
        /// What the last one named.
        version: Version,
        /// Its day.
        date: Date,
    },
    /// Of a day that is to come.
    #[error("the list of versions is of {0}, which is to come; is the clock right?")]
    Ahead(Date),
}

impl Feed {
    /// Reads a feed that is signed with `key`.
    pub(super) fn open(
        bytes: &[u8],
        signature: &Signature,
        key: &NodeKey,
    ) -> Result<Self, FeedError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            format: u64,
            version: String,
            date: String,
            notes_url: String,
        }
        if bytes.len() > FEED_LEN_MAX {
            return Err(FeedError::TooLong(bytes.len()));
        }
        if !key.verify(bytes, signature) {
            return Err(FeedError::Signature);
        }
        let Members { format, version, date, notes_url } = serde_json::from_slice(bytes)?;
        if format != FORMAT {
            return Err(FeedError::Format(format));
        }
        Ok(Self {
            version: Version::parse(&version).ok_or(FeedError::Member("version"))?,
            date: Date::parse(&date).ok_or(FeedError::Member("date"))?,
            notes_url: is_web_page(&notes_url)
                .then_some(notes_url)
                .ok_or(FeedError::Member("notes_url"))?,
        })
    }

    /// Whether it may follow `last` at the time `now`, in seconds since 1970.
    pub(super) fn check(&self, last: Option<&Self>, now: u64) -> Result<(), FeedError> {
        if self.date.days() > now / 86_400 + AHEAD_MAX {
            return Err(FeedError::Ahead(self.date));
        }
        match last {
            Some(last) if self.date < last.date || self.version < last.version => {
                Err(FeedError::Older { version: last.version, date: last.date })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a text is an `https` URL with a host and no user, of characters that can be shown.
fn is_web_page(text: &str) -> bool {
    let fits = text.len() <= URL_LEN_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    let Some(uri) = text.parse::<Uri>().ok().filter(|_| fits) else { return false };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = uri.host().unwrap_or("");
    uri.scheme_str() == Some("https") && !host.is_empty() && !authority.contains('@')
}

impl Version {
    /// Reads `1.2.3`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut number = || -> Option<u32> {
            let part = parts.next()?;
            let plain = part == "0" || !part.starts_with('0');
            let fits = (1..=6).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            (plain && fits).then(|| part.parse().ok())?
        };
        let version = Self([number()?, number()?, number()?]);
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use planetary_proto::identity::Identity;
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-28.
    const NOW: u64 = 1_795_824_000;

    fn signer() -> Identity {
        Identity::from_seed(&[7; 32])
    }

    fn opened(text: &str) -> Result<Feed, FeedError> {
        let signature = signer().sign(text.as_bytes());
        Feed::open(text.as_bytes(), &signature, &signer().key())
    }

    fn feed(version: &str, date: &str) -> Feed {
        opened(&text(1, version, date, "https://host.example/0.2.0")).unwrap()
    }

    fn text(format: u64, version: &str, date: &str, url: &str) -> String {
        format!(
            r#"{{"format":{format},"version":"{version}","date":"{date}","notes_url":"{url}"}}"#
        )
    }

    #[test]
    fn feed_of_the_release_key_is_read() {
        let feed = feed("0.2.0", "2026-11-28");
        assert_eq!(
            (feed.version.to_string(), feed.date.to_string()),
            ("0.2.0".into(), { "2026-11-28".into() })
        );
        assert_eq!(feed.notes_url, "https://host.example/0.2.0");
        feed.check(None, NOW).unwrap();
    }

    /// What `cargo xtask release` wrote and signed, with a key that was made for it by openssl.
    #[test]
    fn feed_that_the_release_makes_is_read() {
        let key: NodeKey =
            "221810c66c0d89392c61a29842a96ad6733e58bcc538e49b1cc15957bca5d6b3".parse().unwrap();
        let (bytes, signature) = (include_bytes!("sample.json"), include_bytes!("sample.json.sig"));
        let signature = crate::public::store::read_signature(signature).unwrap();
        let feed = Feed::open(bytes, &signature, &key).unwrap();
        assert_eq!(feed.version.to_string(), "0.1.0");
        assert_eq!(feed.notes_url, "https://host.example/r/0.1.0");
    }

    #[test]
    fn feed_of_another_key_or_changed_by_a_bit_is_refused() {
        let text = text(1, "0.2.0", "2026-11-28", "https://host.example/");
        let signature = signer().sign(text.as_bytes());
        let other = Identity::from_seed(&[8; 32]).key();
        let of_other = Feed::open(text.as_bytes(), &signature, &other);
        assert!(matches!(of_other, Err(FeedError::Signature)));
        let mut changed = text.clone().into_bytes();
        for at in 0..changed.len() {
            changed[at] ^= 1;
            let opened = Feed::open(&changed, &signature, &signer().key());
            assert!(matches!(opened, Err(FeedError::Signature)), "{at}");
            changed[at] ^= 1;
        }
    }

    #[test]
    fn what_is_no_feed_is_refused_even_if_it_is_signed() {
        let good = "https://host.example/";
        for (text, expected) in [
            (String::new(), "no list"),
            ("<html>".to_owned(), "no list"),
            ("[]".to_owned(), "no list"),
            (text(2, "0.2.0", "2026-11-28", good), "format 2"),
            (text(1, "0.2", "2026-11-28", good), "`version`"),
            (text(1, "0.2.0-beta", "2026-11-28", good), "`version`"),
            (text(1, "0.02.0", "2026-11-28", good), "`version`"),
            (text(1, "0.2.9999999", "2026-11-28", good), "`version`"),
            (text(1, "0.2.0", "28.11.2026", good), "`date`"),
            (text(1, "0.2.0", "2026-02-30", good), "`date`"),
            (text(1, "0.2.0", "2026-11-28", "http://host.example/"), "`notes_url`"),
            (text(1, "0.2.0", "2026-11-28", "file:///etc/passwd"), "`notes_url`"),
            (text(1, "0.2.0", "2026-11-28", "https://bank.example@evil.example/"), "`notes_url`"),
            (text(1, "0.2.0", "2026-11-28", "https://"), "`notes_url`"),
            (text(1, "0.2.0", "2026-11-28", "https://a.example/\u{202e}gpj"), "`notes_url`"),
            (text(1, "0.2.0", "2026-11-28", &format!("{good}{}", "x".repeat(512))), "`notes_url`"),
            (text(1, "0.2.0", "2026-11-28", good).replace('}', r#","run":"x"}"#), "no list"),
            (" ".repeat(FEED_LEN_MAX + 1), "at most 4096"),
        ] {
            let error = opened(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn feed_that_goes_back_is_refused() {
        let last = feed("0.3.0", "2026-11-20");
        let refused = |version, date| feed(version, date).check(Some(&last), NOW).is_err();
        assert!(refused("0.3.0", "2026-11-19"), "an old one again");
        assert!(refused("0.2.9", "2026-11-21"), "a lower version");
        assert!(!refused("0.3.0", "2026-11-20"), "the same");
        assert!(!refused("0.10.0", "2026-11-21"), "a higher one");
        assert!(refused("0.4.0", "2026-12-01"), "of a day to come");
        assert!(!refused("0.4.0", "2026-11-30"), "a clock may be a little wrong");
    }

    proptest! {
        #[test]
        fn no_signed_rubbish_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let signature = signer().sign(&bytes);
            prop_assert!(Feed::open(&bytes, &signature, &signer().key()).is_err());
        }

        #[test]
        fn versions_are_read_as_they_are_written(parts: [u16; 3]) {
            let version = Version(parts.map(u32::from));
            prop_assert_eq!(Version::parse(&version.to_string()), Some(version));
        }
    }
}
