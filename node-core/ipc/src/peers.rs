//! Public peers, testing peers, and choosing among them.
//!
//! A test takes seconds, so it is a *job*: a request starts it and is answered at once, and
//! [`Request::PeerJob`](crate::Request::PeerJob) asks again and again what is new, waiting a moment
//! when nothing is. A client that stops asking, or says so, ends the job; what was found by then
//! stays true.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::{ApiError, ErrorCode};
use crate::identity::{NodeKey, UnixTime};
use crate::limits;
use crate::status::{PeerEntry, PeerError};

/// Which public peers are meant: those for which everything that is given holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PublicFilter {
    /// In this country, as the list names it: `united-states`. Case, spaces and hyphens do not
    /// matter.
    #[serde(default)]
    pub country: Option<String>,
    /// In this part of the world: `north-america`.
    #[serde(default)]
    pub region: Option<String>,
    /// With one of these transports; any if empty.
    #[serde(default)]
    pub transports: Vec<String>,
    /// With this text in URI, country or region.
    #[serde(default)]
    pub search: Option<String>,
}

/// Answer to `peer_public` and `peer_public_refresh`: the list of public peers in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PublicPeers {
    /// When this answer was made, by the service's clock.
    pub time: UnixTime,
    /// Who says so, in the list's own words.
    pub source: String,
    /// Day of the list, as `2026-01-31`.
    pub date: String,
    /// How many days ago that was.
    pub age_days: u64,
    /// Why it can be trusted.
    pub trust: ListTrust,
    /// When it was fetched, or `null` for the list that ships with the program.
    pub fetched_at: Option<UnixTime>,
    /// Whether the configuration names a URL to refresh it from.
    pub refreshable: bool,
    /// Why the last refresh failed, or `null`.
    pub refresh_error: Option<PeerError>,
    /// Number of entries that can be understood.
    pub total: u64,
    /// Those of them that were asked for, in the order of the list.
    pub peers: Vec<PublicPeer>,
    /// Number of entries that cannot be understood.
    pub rejected_total: u64,
    /// The first of those.
    pub rejected: Vec<RejectedEntry>,
}

/// Why a list of public peers can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ListTrust {
    /// It came with the program.
    Shipped,
    /// It was fetched, and signed with the key in the configuration.
    Signed,
    /// It was fetched from the URL in the configuration, which is all that is known.
    Unsigned,
}

/// A public peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PublicPeer {
    /// Where it is, without options.
    pub uri: String,
    /// Part of the world.
    pub region: String,
    /// Country.
    pub country: String,
    /// Transport: the scheme of the URI.
    pub transport: String,
    /// Whether this node can dial it: it has the transport.
    pub usable: bool,
    /// Whether this node keeps a link to it.
    pub in_use: bool,
    /// What is known of it from earlier, or `null`.
    pub record: Option<PeerRecord>,
}

/// An entry that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RejectedEntry {
    /// Its number in the list, from 1.
    pub entry: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What is remembered of a peer over restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeerRecord {
    /// How often it was tried.
    pub tries: u64,
    /// How often it answered.
    pub answers: u64,
    /// Shortest round trip in milliseconds, or `null` if it never answered.
    pub best_ms: Option<f64>,
    /// Median of the latest round trips in milliseconds, or `null` if it never answered.
    pub median_ms: Option<f64>,
    /// When it last answered, or `null` if it never did.
    pub last_good: Option<UnixTime>,
}

/// Answer to everything about jobs: how far it is, and what is new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeerJob {
    /// Number of the job.
    pub job: u64,
    /// Whether it has ended.
    pub done: bool,
    /// Whether it ended early because somebody wished so.
    pub cancelled: bool,
    /// How many peers are to be tested, as far as is known; it may grow while the job runs.
    pub total: u64,
    /// How many have been tested.
    pub tested: u64,
    /// The results after those that the request says it has seen, in the order in which they came.
    pub results: Vec<PeerTest>,
    /// The peers chosen, once the job is done, the best first. Empty for a plain test.
    pub choices: Vec<PeerChoice>,
    /// What went wrong with the job as a whole, or `null`.
    pub error: Option<ApiError>,
}

/// How one peer answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeerTest {
    /// Where it is, without options.
    pub uri: String,
    /// Interface it was dialled from, or `null`.
    pub interface: Option<String>,
    /// Country of a public peer, or `null`.
    pub country: Option<String>,
    /// Key that signed its answer, or `null` if there was none.
    pub key: Option<NodeKey>,
    /// Address that answered, or `null`.
    pub remote: Option<IpAddr>,
    /// Time to open the connection, in milliseconds, or `null`.
    pub connect_ms: Option<f64>,
    /// Time from this node's greeting to the peer's verified answer, in milliseconds: one round
    /// trip. `null` if there was no such answer.
    pub round_trip_ms: Option<f64>,
    /// Why not, or `null`.
    pub error: Option<PeerError>,
}

/// A public peer that was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeerChoice {
    /// Where it is, without options.
    pub uri: String,
    /// Part of the world.
    pub region: String,
    /// Country.
    pub country: String,
    /// Its round trip in milliseconds.
    pub round_trip_ms: f64,
    /// Why this one, in plain words.
    pub reason: String,
    /// The peer as it was stored, or `null` if it was not to be added.
    pub added: Option<PeerEntry>,
}

impl PublicFilter {
    /// Checks the lengths.
    ///
    /// # Errors
    /// The error to answer with.
    pub fn check(&self) -> Result<(), ApiError> {
        let texts = [&self.country, &self.region, &self.search].into_iter().flatten();
        let most = limits::FILTER_LEN_MAX;
        let long = texts.chain(&self.transports).any(|text| text.is_empty() || text.len() > most);
        if long || self.transports.len() > limits::FILTER_TRANSPORTS_MAX {
            let text = format!("a filter has 1 to {most} bytes, and names at most 16 transports");
            return Err(ApiError::new(ErrorCode::InvalidRequest, text));
        }
        Ok(())
    }
}

/// Checks the URIs of a test.
///
/// # Errors
/// The error to answer with.
pub(crate) fn check_test(uris: &[String]) -> Result<(), ApiError> {
    let most = limits::PEER_TEST_MAX;
    if uris.len() > most {
        let text = format!("{} peers to test, where {most} fit", uris.len());
        return Err(ApiError::new(ErrorCode::InvalidRequest, text));
    }
    Ok(())
}
