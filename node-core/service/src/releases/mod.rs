//! Telling of newer versions: a signed feed, asked for at most once a day.
//!
//! ```text
//!  feed, signature --https, bounded--> believed? not older? --> kept --> Status::releases
//! ```
//!
//! Place and key are given when the program is built ([`BUILT_IN`]); without them nothing is asked,
//! and clients are told that this is so. Nobody is asked either while the settings or
//! `PLANETARY_OFFLINE` forbid it, while the node is down, and while the network is paid by volume.
//! Who answers learns an address and the name of this program, nothing else. Nothing here installs,
//! or opens anything.

mod feed;

use std::fmt;

use parking_lot::Mutex;
use planetary_ipc::{PeerError, Release, ReleaseCheck, Saving, UnixTime};
use planetary_proto::identity::NodeKey;
use planetary_runtime::links::has_outside_address;
use planetary_runtime::links::probe::Reach;
use serde::{Deserialize, Serialize};

use self::feed::{FEED_LEN_MAX, Feed, FeedError, Version};
use crate::health::Moment;
use crate::node::Node;
use crate::public::fetch;
use crate::public::store::{SIGNATURE_LEN_MAX, hex, read_signature};
use crate::state::record::Record;

/// Time between two questions, in seconds.
const INTERVAL_S: u64 = 86_400;

/// Spread of those moments over nodes.
const SPREAD_S: u64 = 7_200;

/// Where a program asks, and whom it believes.
#[derive(Clone, Copy)]
struct Source {
    /// URL of the feed; the signature is at the same with `.sig` behind it.
    url: &'static str,
    /// The release key.
    key: NodeKey,
}

/// What `PLANETARY_RELEASE_FEED` and `PLANETARY_RELEASE_KEY` (64 hexadecimal digits) said when this
/// was built. Anything but both of them, or none, is no build.
const BUILT_IN: Option<Source> = match (given(URL), given(KEY)) {
    (None, None) => None,
    (Some(url), Some(key)) => {
        assert!(is_https(url.as_bytes()), "PLANETARY_RELEASE_FEED must begin with https://");
        Some(Source { url, key: NodeKey::from_bytes(key_of(key.as_bytes())) })
    }
    _ => panic!("PLANETARY_RELEASE_FEED and PLANETARY_RELEASE_KEY go together"),
};

const URL: Option<&str> = option_env!("PLANETARY_RELEASE_FEED");
const KEY: Option<&str> = option_env!("PLANETARY_RELEASE_KEY");

/// An empty variable is as good as none.
const fn given(text: Option<&'static str>) -> Option<&'static str> {
    match text {
        Some(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

const fn is_https(url: &[u8]) -> bool {
    matches!(url, [b'h', b't', b't', b'p', b's', b':', b'/', b'/', _, ..])
}

const fn key_of(digits: &[u8]) -> [u8; 32] {
    assert!(digits.len() == 64, "PLANETARY_RELEASE_KEY must have 64 hexadecimal digits");
    let mut key = [0; 32];
    let mut at = 0;
    while at < 64 {
        let value = match digits[at] {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("PLANETARY_RELEASE_KEY must have 64 hexadecimal digits, in lower case"),
        };
        key[at / 2] = key[at / 2] << 4 | value;
        at += 1;
    }
    key
}

/// `releases.json`: the last question, and the last good answer.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasesRecord {
    /// When somebody was last asked, whatever came of it.
    tried_at: u64,
    /// When the answer came.
    checked_at: u64,
    /// In hexadecimal digits.
    signature: String,
    /// As it came, to the byte, because that is what is signed. Empty if there is none.
    feed: String,
}

impl Record for ReleasesRecord {
    const FILE_NAME: &'static str = "releases.json";
    /// A feed of which every byte is written as six.
    const LEN_MAX: u64 = 32 << 10;
}

/// What is known of newer versions.
pub struct Releases {
    source: Option<Source>,
    known: Mutex<Known>,
}

struct Known {
    record: ReleasesRecord,
    /// What the record's feed says, if it is believed.
    feed: Option<Feed>,
    error: Option<PeerError>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("the list of versions could not be fetched: {0}")]
    Fetch(String),
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl CheckError {
    /// A stable name.
    const fn code(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "versions_not_fetched",
            Self::Feed(FeedError::Signature) => "versions_not_signed",
            Self::Feed(FeedError::Older { .. } | FeedError::Ahead(_)) => "versions_older",
            Self::Feed(_) => "versions_unusable",
        }
    }
}

impl fmt::Debug for Releases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Releases").finish_non_exhaustive()
    }
}

impl Releases {
    /// From what the state folder holds.
    #[must_use]
    pub fn new(record: ReleasesRecord) -> Self {
        Self::of(BUILT_IN, record)
    }

    fn of(source: Option<Source>, record: ReleasesRecord) -> Self {
        let feed = source.and_then(|source| record.judge(&source.key));
        Self { source, known: Mutex::new(Known { record, feed, error: None }) }
    }

    /// What clients are told. `wanted` is the setting.
    #[must_use]
    pub fn told(&self, wanted: bool, offline: bool) -> planetary_ipc::Releases {
        let check = match (self.source, wanted, offline) {
            (None, ..) => ReleaseCheck::Unavailable,
            (Some(_), false, _) => ReleaseCheck::Off,
            (Some(_), true, true) => ReleaseCheck::Offline,
            (Some(_), true, false) => ReleaseCheck::On,
        };
        let known = self.known.lock();
        // Whoever switched it off does not want to hear of it either.
        if matches!(check, ReleaseCheck::Unavailable | ReleaseCheck::Off) {
            return planetary_ipc::Releases { check, ..planetary_ipc::Releases::default() };
        }
        let own = Version::parse(env!("CARGO_PKG_VERSION"));
        let newer = known.feed.as_ref().filter(|feed| own.is_some_and(|own| feed.version > own));
        planetary_ipc::Releases {
            check,
            checked_at: known.feed.is_some().then_some(UnixTime(known.record.checked_at)),
            error: known.error.clone(),
            newer: newer.map(|feed| Release {
                version: feed.version.to_string(),
                date: feed.date.to_string(),
                notes_url: feed.notes_url.clone(),
            }),
        }
    }

    /// Whom to ask, if it is time to; that is noted as an attempt, in the record to be kept.
    fn take_due(&self, own: &NodeKey, now: u64) -> Option<(Source, ReleasesRecord)> {
        let source = self.source?;
        let [first, second, ..] = own.as_bytes();
        let spread = u64::from(u16::from_be_bytes([*first, *second])) % SPREAD_S;
        let mut known = self.known.lock();
        // A time in the future is one of a clock that was wrong.
        let age = now.checked_sub(known.record.tried_at);
        if age.is_some_and(|age| age < INTERVAL_S + spread) {
            return None;
        }
        known.record.tried_at = now;
        Some((source, known.record.clone()))
    }

    /// Takes an answer, and returns the record to be kept if it is a good one.
    fn take(
        &self,
        answer: Result<(Feed, ReleasesRecord), CheckError>,
        now: u64,
    ) -> Option<ReleasesRecord> {
        let mut known = self.known.lock();
        match answer {
            Ok((feed, record)) => {
                tracing::info!(version = %feed.version, date = %feed.date, "newest version known");
                (known.feed, known.error) = (Some(feed), None);
                known.record = record.clone();
                Some(record)
            }
            Err(error) => {
                tracing::warn!(%error, "the newest version is not known");
                known.error = Some(PeerError {
                    code: error.code().to_owned(),
                    message: error.to_string(),
                    at: UnixTime(now),
                });
                None
            }
        }
    }
}

impl ReleasesRecord {
    /// What the feed says, if it is signed with `key`.
    fn judge(&self, key: &NodeKey) -> Option<Feed> {
        let signature = read_signature(self.signature.as_bytes())?;
        Feed::open(self.feed.as_bytes(), &signature, key).ok()
    }
}

/// Asks whether there is a newer version, if it is time to and nothing forbids it.
pub async fn look(node: &Node, now: Moment) {
    let metered = node.saving() == Some(Saving::Metered);
    let wanted = node.looks_for_releases() && !node.public().offline;
    if !wanted || metered || !has_outside_address() {
        return;
    }
    let Some((source, record)) = node.releases().take_due(&node.key(), now.unix_s) else { return };
    keep(node, record.clone());
    let asking = tokio::task::spawn_blocking(move || {
        ask(&source, &record, Way { reach: Reach::Public, secure_only: true }, now.unix_s)
    });
    let answer = match asking.await {
        Ok(answer) => answer,
        Err(_) => Err(CheckError::Fetch("the download broke off".to_owned())),
    };
    if let Some(record) = node.releases().take(answer, now.unix_s) {
        keep(node, record);
    }
    node.publish().await;
}

fn keep(node: &Node, record: ReleasesRecord) {
    if let Err(error) = node.store_record(record) {
        tracing::warn!(%error, "what is known of newer versions was not stored");
    }
}

/// How far to go for a feed.
#[derive(Clone, Copy)]
struct Way {
    reach: Reach,
    secure_only: bool,
}

/// Fetches the feed and returns what it says, with the record to be kept. Blocks for up to a
/// minute.
fn ask(
    source: &Source,
    record: &ReleasesRecord,
    way: Way,
    now: u64,
) -> Result<(Feed, ReleasesRecord), CheckError> {
    let fetched = |url: &str, len_max| {
        let bytes = fetch::download(url, len_max, way.secure_only, way.reach);
        bytes.map_err(CheckError::Fetch)
    };
    let bytes = fetched(source.url, FEED_LEN_MAX)?;
    let signature = fetched(&format!("{}.sig", source.url), SIGNATURE_LEN_MAX)?;
    let signature = read_signature(&signature).ok_or(FeedError::Signature)?;
    let feed = Feed::open(&bytes, &signature, &source.key)?;
    feed.check(record.judge(&source.key).as_ref(), now)?;
    let record = ReleasesRecord {
        tried_at: record.tried_at,
        checked_at: now,
        signature: hex(signature.as_bytes()),
        // A feed is JSON, so it is UTF-8.
        feed: String::from_utf8_lossy(&bytes).into_owned(),
    };
    Ok((feed, record))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
