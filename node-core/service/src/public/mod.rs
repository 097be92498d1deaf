//! Public peers: the list of them, testing, choosing, and what is remembered.
//!
//! ```text
//!  list (shipped, or fetched) --filter--> candidates --sample, probe--> answers --choose--> chosen
//!          ^                                                |                                 |
//!        store <- fetch (URL of the configuration)      statistics           kept, dialled by Node
//! ```
//!
//! What is judged is pure: [`mod@list`] is the format, [`choice`] which to test and to take,
//! [`replace`] when one is given up. [`probe`] and [`fetch`] are the only doors to the network,
//! [`jobs`] is what a client sees of work that takes a while, and [`tend`] what happens by itself.
//! The chosen peers stand beside the person's own, which nothing here ever touches.

pub mod choice;
pub(crate) mod fetch;
pub mod filter;
pub mod jobs;
pub mod kept;
pub mod list;
pub mod probe;
pub mod replace;
mod search;
pub mod statistics;
pub mod store;
pub mod tend;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use planetary_ipc::{ApiError, PublicFilter, PublicPeer, PublicPeers, RejectedEntry, UnixTime};
use planetary_runtime::links::peers::PeerId;
use planetary_runtime::links::probe::Reach;
use tokio::sync::Semaphore;

use self::jobs::Jobs;
use self::replace::Watch;
use self::statistics::{Statistics, StatisticsRecord};
use self::store::{InUse, ListRecord, Lists, RefreshError};
use crate::health::Moment;
use crate::node::Node;

/// Handshakes of tests at one time, in all: enough for a short wait, too few to look like a scan.
pub const PROBES_MAX: usize = 8;

/// Entries that cannot be understood, of which a client is told; the number tells of the others.
const REJECTED_SHOWN_MAX: usize = 32;

/// What the node has for all this.
pub struct Public {
    /// Whether nobody outside this computer is to be talked to.
    pub(crate) offline: bool,
    lists: Mutex<Lists>,
    statistics: Mutex<Statistics>,
    /// What clients have asked for.
    pub jobs: Jobs,
    places: Arc<Semaphore>,
    refreshing: tokio::sync::Mutex<()>,
    watch: Mutex<Watch>,
    /// How often each peer was dialled, as far as the statistics know.
    counted: Mutex<BTreeMap<PeerId, u64>>,
}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Public").finish_non_exhaustive()
    }
}

impl Public {
    /// From what the state folder holds.
    #[must_use]
    pub fn new(list: ListRecord, statistics: StatisticsRecord) -> Self {
        Self {
            offline: is_offline(),
            lists: Mutex::new(Lists::new(list)),
            statistics: Mutex::new(Statistics::new(statistics)),
            jobs: Jobs::default(),
            places: Arc::new(Semaphore::new(PROBES_MAX)),
            refreshing: tokio::sync::Mutex::default(),
            watch: Mutex::default(),
            counted: Mutex::default(),
        }
    }

    /// Where public peers may be: anywhere on the internet, or on this computer where nobody
    /// outside is to be talked to.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.offline { Reach::Loopback } else { Reach::Public }
    }

    /// The statistics, if they are to be written before the end.
    pub fn take_statistics(&self, now: Moment) -> Option<StatisticsRecord> {
        self.statistics.lock().take(now)
    }
}

/// Whether this process is to talk to nobody outside this computer, for tests and demonstrations.
fn is_offline() -> bool {
    std::env::var_os("PLANETARY_OFFLINE").is_some()
}

/// The public peers that match, and what is known of the list.
///
/// # Errors
/// Something is asked for that the list does not have.
pub fn list(node: &Node, filter: Option<&PublicFilter>) -> Result<PublicPeers, ApiError> {
    let public = node.public();
    let (InUse { list, trust, fetched_at }, refresh_error) = {
        let mut lists = public.lists.lock();
        let in_use = lists.in_use(&node.public_config());
        (in_use, lists.error.clone())
    };
    let now = Moment::now();
    let wanted = node.wanted();
    let known = |name: &str| public.statistics.lock().of(name);
    let matching = match filter {
        Some(filter) => filter::matching(&list, filter)?,
        None => Vec::new(),
    };
    let peers = matching.into_iter().map(|peer| PublicPeer {
        uri: peer.name.clone(),
        region: peer.region.clone(),
        country: peer.country.clone(),
        transport: peer.transport.clone(),
        usable: peer.dial.is_some(),
        in_use: wanted.keys().any(|id| id.uri == peer.name),
        record: known(&peer.name),
    });
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let rejected = list.rejected.iter().take(REJECTED_SHOWN_MAX);
    Ok(PublicPeers {
        time: UnixTime(now.unix_s),
        source: list.source.clone(),
        date: list.date.to_string(),
        age_days: list.date.days_until(now.unix_s),
        trust,
        fetched_at,
        refreshable: !node.public_config().url.is_empty(),
        refresh_error,
        total: count(list.peers.len()),
        peers: peers.collect(),
        rejected_total: count(list.rejected.len()),
        rejected: rejected
            .map(|entry| RejectedEntry { entry: count(entry.entry), reason: entry.reason.clone() })
            .collect(),
    })
}

/// Fetches the list anew and takes it into use.
///
/// # Errors
/// [`RefreshError`]; the list in use stays then, and clients are told why.
pub async fn refresh(node: &Node) -> Result<(), RefreshError> {
    let public = node.public();
    // A second wish waits for the first, and then fetches again: the person may have mended it.
    let _one_at_a_time = public.refreshing.lock().await;
    let config = node.public_config();
    let copy = public.lists.lock().copy();
    let (now, offline) = (Moment::now().unix_s, public.offline);
    let fetching =
        tokio::task::spawn_blocking(move || store::refresh(&config, &copy, offline, now));
    let fetched = match fetching.await {
        Ok(fetched) => fetched,
        Err(_) => Err(std::io::Error::other("the download broke off").into()),
    };
    let stored = fetched.and_then(|copy| {
        node.store_record(copy.clone())?;
        Ok(copy)
    });
    let mut lists = public.lists.lock();
    match stored {
        Ok(copy) => {
            lists.adopt(copy);
            lists.error = None;
            let InUse { list, trust, .. } = lists.in_use(&node.public_config());
            let (entries, rejected) = (list.peers.len(), list.rejected.len());
            let date = &list.date;
            tracing::info!(entries, rejected, %date, ?trust, "list of public peers fetched");
            Ok(())
        }
        Err(error) => {
            if !matches!(error, RefreshError::Off) {
                tracing::warn!(%error, "list of public peers not fetched");
                lists.error = Some(planetary_ipc::PeerError {
                    code: error.code().to_owned(),
                    message: error.to_string(),
                    at: UnixTime(now),
                });
            }
            Err(error)
        }
    }
}
