//! What the service tells about the node: facts in, words and numbers for people out.
//!
//! [`Facts`] is everything known at one moment. [`Observer`] turns it into the [`Status`] that
//! clients get; it remembers only what one moment cannot show: rates, totals, numbers of entries,
//! since when the state is what it is. The judgements are pure functions of the facts: the
//! [`state`] word, the [`conditions`] that hold, the checklist of [`doctor`]. Nothing here asks,
//! waits or writes.

pub mod circles;
mod computer;
mod conditions;
pub mod doctor;
mod interface;
mod links;
pub mod path;
pub mod pseudonym;
mod root;
mod state;
pub mod support;
pub mod topology;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use planetary_circles::Reason;
use planetary_ipc::{
    Access, Direction, Dropped, Gateway, HealthItem, Lan, ListenerStatus, Names, NodeKey,
    PeerError, Question, Releases, Saving, Status, Subnet, Transit, TransitMode, TunStatus,
    UnixTime,
};
use planetary_proto::identity;
use planetary_runtime::Snapshot;
use planetary_runtime::links::peers::{ListenerStatus as Listener, PeerId, PeerStatus as Peer};

use self::links::Links;
use self::root::RootWatch;
use self::state::Standing;
use crate::health::{Health, Moment};
use crate::node::{FailedListener, WantedPeer};
use crate::survey::Survey;
use crate::survey::supply::Supply;

/// The network's addresses, as people write them.
const OVERLAY: &str = "200::/7";

/// How long a proof of being connected counts.
pub const PROOF_AGE_MAX: Duration = Duration::from_secs(60);

/// Everything known at one moment.
#[derive(Clone)]
pub struct Facts {
    /// When.
    pub now: Moment,
    /// How long the service has been running.
    pub uptime: Duration,
    /// Whether the person wants the node on the network, and it is running.
    pub up: bool,
    /// The engine's word; `None` while the node is down, or when the engine broke off.
    pub snapshot: Option<Snapshot>,
    /// What the settings ask for.
    pub wanted: BTreeMap<PeerId, WantedPeer>,
    /// The configured peers.
    pub peers: Vec<Peer>,
    /// The open listeners.
    pub listeners: Vec<Listener>,
    /// The listeners that could not be opened.
    pub failed_listeners: Vec<FailedListener>,
    /// Whether the settings ask for an interface.
    pub wanted_tun: bool,
    /// Name and MTU of the interface.
    pub tun: Option<(String, u16)>,
    /// Grows when links or routes change, while one engine runs.
    pub revision: u64,
    /// Who may reach this computer.
    pub access: Access,
    /// Grows when friends change.
    pub friends_revision: u64,
    /// Grows when circles change.
    pub circles_revision: u64,
    /// What waits for an answer of the person.
    pub questions: Vec<Question>,
    /// How names are answered on this computer.
    pub names: Names,
    /// Proxies and forwarded ports.
    pub gateway: Gateway,
    /// What is done about the local networks.
    pub lan: Lan,
    /// Who the node is.
    pub key: Option<identity::NodeKey>,
    /// What was seen around the node lately.
    pub survey: Arc<Survey>,
    /// What power and network cost.
    pub supply: Supply,
    /// What the node is to carry for others, and what it carries now.
    pub transit: (TransitMode, TransitMode),
    /// Why these differ, if they do.
    pub saving: Option<Saving>,
    /// What is known of newer versions.
    pub releases: Releases,
    /// How often the root of the tree changed lately; the observer counts.
    pub root_changes: usize,
    /// Conditions that were noticed elsewhere and are to be shown.
    pub health: Vec<HealthItem>,
}

/// Makes a status of each moment's facts.
pub struct Observer {
    key: identity::NodeKey,
    standing: Standing,
    links: Links,
    /// Conditions that the facts themselves show.
    health: Health,
    roots: RootWatch,
    /// Added to the engine's revision, so that it grows over restarts of the engine as well.
    revision_base: u64,
    revision: u64,
}

impl Facts {
    /// The facts before anything runs.
    #[must_use]
    pub fn of_silence(health: &Health, now: Moment) -> Self {
        Self {
            now,
            uptime: Duration::ZERO,
            up: false,
            snapshot: None,
            wanted: BTreeMap::new(),
            peers: Vec::new(),
            listeners: Vec::new(),
            failed_listeners: Vec::new(),
            wanted_tun: false,
            tun: None,
            revision: 0,
            access: Access::default(),
            friends_revision: 0,
            circles_revision: 0,
            questions: Vec::new(),
            names: crate::names::off(),
            gateway: Gateway::default(),
            lan: Lan::default(),
            key: None,
            survey: Arc::default(),
            supply: Supply::default(),
            transit: Default::default(),
            saving: None,
            releases: Releases::default(),
            root_changes: 0,
            health: health.visible(now),
        }
    }

    /// Whether another node answered within the last minute.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proven_ago().is_some_and(|ago| ago <= PROOF_AGE_MAX)
    }

    fn proven_ago(&self) -> Option<Duration> {
        self.snapshot.as_ref()?.proven_ago
    }

    /// Number of links that are up.
    #[must_use]
    pub fn links_up(&self) -> usize {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.links.len())
    }

    fn unix_ago(&self, ago: Duration) -> UnixTime {
        UnixTime(self.now.unix_s.saturating_sub(ago.as_secs()))
    }
}

impl Observer {
    /// An observer of the node with this key.
    #[must_use]
    pub fn new(key: identity::NodeKey, now: Moment) -> Self {
        Self {
            key,
            standing: Standing::new(now),
            links: Links::new(now.mono),
            health: Health::default(),
            roots: RootWatch::new(key),
            revision_base: 0,
            revision: 0,
        }
    }

    /// Goes on with a node of another key.
    pub fn turn_to(&mut self, key: identity::NodeKey) {
        self.key = key;
    }

    /// Returns what clients are to be told at this moment.
    #[must_use]
    pub fn observe(&mut self, mut facts: Facts) -> Status {
        let root = facts.snapshot.as_ref().map(|snapshot| snapshot.root);
        facts.root_changes = self.roots.see(root, facts.now.mono);
        conditions::update(&mut self.health, &facts);
        let mut health = facts.health.clone();
        health.extend(self.health.visible(facts.now));
        health.sort_by_key(|item| (std::cmp::Reverse(item.severity), item.since));
        let (state, state_text) = self.standing.settle(&facts, &health);
        let peers = self.links.observe(&facts);
        let (carried, carried_rate) = self.links.carried();
        self.revise(&facts);

        let snapshot = facts.snapshot.as_ref();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Status {
            time: UnixTime(facts.now.unix_s),
            state,
            state_text,
            state_since: self.standing.since(),
            proven_at: facts.proven_ago().map(|ago| facts.unix_ago(ago)),
            key: plain(&self.key),
            address: self.key.address().to_ipv6(),
            subnet: Subnet::containing(self.key.subnet().to_ipv6()),
            coordinates: snapshot.and_then(|snapshot| snapshot.coords.clone()),
            root: snapshot.map(|snapshot| plain(&snapshot.root)),
            parent: snapshot.map(|snapshot| plain(&snapshot.parent)),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: facts.uptime.as_secs(),
            peers,
            listeners: listeners(&facts),
            tun: tun(&facts),
            sessions: snapshot.map_or(0, |snapshot| count(snapshot.sessions)),
            paths: snapshot.map_or(0, |snapshot| count(snapshot.paths)),
            routing_entries: snapshot.map_or(0, |snapshot| count(snapshot.infos)),
            rx_bytes: self.links.total.rx_bytes(),
            tx_bytes: self.links.total.tx_bytes(),
            rx_rate: self.links.total.rx_rate(),
            tx_rate: self.links.total.tx_rate(),
            access: facts.access,
            dropped: snapshot.map(dropped).unwrap_or_default(),
            health,
            topology_revision: self.revision,
            friends_revision: facts.friends_revision,
            circles_revision: facts.circles_revision,
            questions: facts.questions,
            names: facts.names,
            lan: facts.lan,
            transit: Transit {
                setting: facts.transit.0,
                mode: facts.transit.1,
                saving: facts.saving.filter(|_| facts.transit.0 != facts.transit.1),
                bytes: carried,
                rate: carried_rate,
                metered: facts.supply.metered,
                battery: facts.supply.battery,
            },
            gateway: facts.gateway,
            releases: facts.releases,
        }
    }

    fn revise(&mut self, facts: &Facts) {
        // An engine that was started anew counts from zero.
        if self.revision_base + facts.revision < self.revision {
            self.revision_base = self.revision + 1;
        }
        self.revision = self.revision_base + facts.revision;
    }
}

/// What the packet filter did not let pass.
fn dropped(snapshot: &Snapshot) -> Vec<Dropped> {
    let (drops, _) = &snapshot.filtered;
    let counts = Reason::ALL.into_iter().flat_map(|reason| {
        [(Direction::In, drops.inbound(reason)), (Direction::Out, drops.outbound(reason))]
            .map(|(direction, packets)| (reason, direction, packets))
    });
    let guests = snapshot.counters.drop_guest;
    let mut dropped: Vec<Dropped> = counts
        .filter(|(.., packets)| *packets > 0)
        .map(|(reason, direction, packets)| Dropped {
            reason: reason.as_str().to_owned(),
            direction,
            packets,
        })
        .collect();
    if guests > 0 {
        let reason = "guest of the lobby".to_owned();
        dropped.push(Dropped { reason, direction: Direction::In, packets: guests });
    }
    dropped
}

/// A key as clients get it.
#[must_use]
pub fn plain(key: &identity::NodeKey) -> NodeKey {
    NodeKey(*key.as_bytes())
}

/// The address of a key, as clients get it.
#[must_use]
pub fn address(key: &identity::NodeKey) -> Ipv6Addr {
    key.address().to_ipv6()
}

fn listeners(facts: &Facts) -> Vec<ListenerStatus> {
    let open = facts.listeners.iter().map(|listener| ListenerStatus {
        uri: with_real_port(listener),
        up: true,
        last_error: None,
    });
    let failed = facts.failed_listeners.iter().map(|listener| ListenerStatus {
        uri: listener.uri.clone(),
        up: false,
        last_error: Some(listener.error.clone()),
    });
    open.chain(failed).collect()
}

/// The URI, with the port that the system chose in place of port 0.
fn with_real_port(listener: &Listener) -> String {
    match (listener.uri.strip_suffix(":0"), listener.address) {
        (Some(rest), Some(address)) => format!("{rest}:{}", address.port()),
        _ => listener.uri.clone(),
    }
}

fn tun(facts: &Facts) -> Option<TunStatus> {
    let lost = facts.snapshot.as_ref().is_some_and(|snapshot| snapshot.tun_lost.is_some());
    let (name, mtu) = facts.tun.as_ref().filter(|_| !lost)?;
    Some(TunStatus { name: name.clone(), mtu: u32::from(*mtu) })
}

/// Why something failed, as clients get it.
pub(crate) fn peer_error(error: &planetary_runtime::links::peers::LastError) -> PeerError {
    let since = error.at.duration_since(std::time::SystemTime::UNIX_EPOCH);
    PeerError {
        code: error.code.to_owned(),
        message: error.message.clone().into_owned(),
        at: UnixTime(since.map_or(0, |since| since.as_secs())),
    }
}

/// Milliseconds, to a thousandth.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
pub(crate) mod tests;
