//! The state of the node as one value, and the small part of it that changes all the time.
//!
//! A [`Status`] is whole: it is what `Hello` carries, what `planetary status --json` prints and
//! what a client shows. [`Traffic`] is its moving part (counters, rates, latencies), sent once a
//! second to those who asked, so that the whole is sent only when something else changed.
//! `status.apply_traffic(&newer.traffic())` never changes anything else.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::circles::{Names, Question};
use crate::friends::{Access, Dropped};
use crate::gateway::Gateway;
use crate::health::HealthItem;
use crate::identity::{NodeKey, Subnet, UnixTime};
use crate::lan::Lan;
use crate::releases::Releases;
use crate::transit::Transit;

/// Whether the node is on the network, in the service's own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Switched off by the person: no links, no TUN; the service itself runs.
    Down,
    /// On its way: links are being made, or nothing has answered yet.
    Connecting,
    /// A link is up, and within the last 60 s an answer from another node came through the network.
    Connected,
    /// Connected, but worse than it should be; the health items say why.
    Degraded,
    /// No way out of this computer: no network, or no peer could be reached for 10 s.
    Offline,
}

impl State {
    /// The state as it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Degraded => "degraded",
            Self::Offline => "offline",
        }
    }
}

/// Everything about the node that a client shows, except the topology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// When this state was taken, by the service's clock. Ages are counted from here, so that two
    /// clocks never mix.
    pub time: UnixTime,
    /// Whether the node is on the network.
    pub state: State,
    /// What the node is doing or waiting for, in plain words ("asking 3 peers"), or `null` when
    /// there is nothing to say.
    pub state_text: Option<String>,
    /// Since when `state` is what it is.
    pub state_since: UnixTime,
    /// When another node last answered through the network, or `null` if none has yet.
    pub proven_at: Option<UnixTime>,
    /// Public key of this node, 64 hexadecimal digits.
    pub key: NodeKey,
    /// Address of this node, in `200::/8`.
    pub address: Ipv6Addr,
    /// Routed subnet of this node, in `300::/8`, ending in `/64`.
    pub subnet: Subnet,
    /// Place in the tree: the ports from the root down to this node, empty at the root, `null`
    /// while unknown.
    pub coordinates: Option<Vec<u64>>,
    /// Key of the root of the tree, or `null` while unknown.
    pub root: Option<NodeKey>,
    /// Key of this node's parent in the tree: its own key at the root, `null` while unknown.
    pub parent: Option<NodeKey>,
    /// Version of the service, such as `0.1.0`.
    pub version: String,
    /// How long the service has been running, in seconds.
    pub uptime_s: u64,
    /// All links, also those that are down; outbound before inbound.
    pub peers: Vec<PeerStatus>,
    /// Sockets on which this node accepts peers.
    pub listeners: Vec<ListenerStatus>,
    /// The TUN interface, or `null` in user-space mode and while the node is down.
    pub tun: Option<TunStatus>,
    /// Number of open sessions with other nodes.
    pub sessions: u64,
    /// Number of known paths to other nodes.
    pub paths: u64,
    /// Number of nodes whose place in the tree is known.
    pub routing_entries: u64,
    /// Bytes received over all links since the service started.
    pub rx_bytes: u64,
    /// Bytes sent over all links since the service started.
    pub tx_bytes: u64,
    /// Bytes received in the last second, or `null` before the first second is over.
    pub rx_rate: Option<u64>,
    /// Bytes sent in the last second, or `null` before the first second is over.
    pub tx_rate: Option<u64>,
    /// Who may reach this computer.
    pub access: Access,
    /// What the packet filter did not let pass; reasons without a packet are left out.
    pub dropped: Vec<Dropped>,
    /// Lasting conditions, the worst first; empty when all is well.
    pub health: Vec<HealthItem>,
    /// Grows whenever the topology changes; ask for it again when it does.
    pub topology_revision: u64,
    /// Grows whenever friends, blocked keys or who is online changes; ask for them again when it
    /// does.
    pub friends_revision: u64,
    /// Grows whenever circles, members, who of them is online, invites or visits change; ask for
    /// them again when it does.
    pub circles_revision: u64,
    /// What waits for an answer of the person, the oldest first.
    pub questions: Vec<Question>,
    /// How names such as `ada.pln.internal` are answered on this computer.
    pub names: Names,
    /// What is done about other nodes on the local network.
    pub lan: Lan,
    /// What the node carries for others.
    pub transit: Transit,
    /// Proxies and forwarded ports.
    pub gateway: Gateway,
    /// What is known of newer versions of the program.
    pub releases: Releases,
}

/// Who opened a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This node dialled.
    Out,
    /// The other node dialled.
    In,
}

impl Direction {
    /// The direction as it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}

/// How a link came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PeerSource {
    /// From the configuration file: it is there again after a restart.
    Config,
    /// From the command line of the service: for this run only.
    Argument,
    /// Chosen among the public peers: it is there again after a restart.
    Chosen,
    /// The other node dialled us.
    Inbound,
    /// Found on the local network.
    Lan,
}

/// One link, up or down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeerStatus {
    /// Number of this entry while the service runs; never used twice.
    pub link: u64,
    /// Where the link goes, without user information and query: `tls://host.example:443`.
    pub uri: String,
    /// Interface the link is bound to, or `null`.
    pub interface: Option<String>,
    /// Who opened it.
    pub direction: Direction,
    /// How it came to be.
    pub source: PeerSource,
    /// Whether the person paused it: it is not dialled until resumed.
    #[serde(default)]
    pub paused: bool,
    /// Whether the link carries traffic.
    pub up: bool,
    /// Whether the other side has not answered in time. A suspect link is not routed over.
    pub suspect: bool,
    /// Key of the other node, or `null` before the first handshake.
    pub key: Option<NodeKey>,
    /// Address of the other node, or `null` before the first handshake.
    pub address: Option<Ipv6Addr>,
    /// Port of this link in the tree, or `null` while it is down.
    pub port: Option<u64>,
    /// Priority, 0 to 255; the lowest number is used first.
    pub priority: u8,
    /// Cost of the link as the routing sees it, or `null` while it is down.
    pub cost: Option<u64>,
    /// Smoothed round-trip time in milliseconds, or `null` before the first measurement.
    pub latency_ms: Option<f64>,
    /// Bytes received on this connection, or on the last one while the link is down.
    pub rx_bytes: u64,
    /// Bytes sent on this connection, or on the last one while the link is down.
    pub tx_bytes: u64,
    /// Bytes received in the last second, or `null` while the link is down.
    pub rx_rate: Option<u64>,
    /// Bytes sent in the last second, or `null` while the link is down.
    pub tx_rate: Option<u64>,
    /// How long the connection has lasted, in seconds, or `null` while the link is down.
    pub uptime_s: Option<u64>,
    /// When the next attempt is made, in seconds from now, or `null` when none is planned.
    pub reconnect_in_s: Option<u64>,
    /// The last failure of this link, also when it is up again, or `null` if there was none.
    pub last_error: Option<PeerError>,
}

/// Why a link failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeerError {
    /// Stable name in snake case, such as `cannot_connect`; the list is in `docs/ipc.md`.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// When it happened.
    pub at: UnixTime,
}

/// A socket on which this node accepts peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ListenerStatus {
    /// Where it listens, without user information and query, with the real port.
    pub uri: String,
    /// Whether it accepts connections.
    pub up: bool,
    /// Why it does not, or `null`.
    pub last_error: Option<PeerError>,
}

/// The network interface of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TunStatus {
    /// Name of the interface, such as `planetary0`.
    pub name: String,
    /// Largest packet in bytes.
    pub mtu: u32,
}

/// A peer as the service stored it, the answer to adding or removing one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeerEntry {
    /// Where it goes, without user information and query.
    pub uri: String,
    /// Interface it is bound to, or `null`.
    pub interface: Option<String>,
    /// Whether it outlives a restart: it stands (or stood) in the configuration file, or among the
    /// chosen peers.
    pub persistent: bool,
    /// Whether the command line of the service names it as well. Removing the peer ends that for
    /// this run; the next start with the same command line dials it again.
    #[serde(default)]
    pub argument: bool,
}

/// The moving part of a [`Status`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Traffic {
    /// As in the status.
    pub time: UnixTime,
    /// As in the status.
    pub proven_at: Option<UnixTime>,
    /// As in the status.
    pub uptime_s: u64,
    /// As in the status.
    pub sessions: u64,
    /// As in the status.
    pub paths: u64,
    /// As in the status.
    pub routing_entries: u64,
    /// As in the status.
    pub rx_bytes: u64,
    /// As in the status.
    pub tx_bytes: u64,
    /// As in the status.
    pub rx_rate: Option<u64>,
    /// As in the status.
    pub tx_rate: Option<u64>,
    /// As in the status.
    pub dropped: Vec<Dropped>,
    /// As in the status, of the transit.
    pub transit_bytes: u64,
    /// As in the status, of the transit.
    pub transit_rate: Option<u64>,
    /// One entry per link.
    pub links: Vec<LinkTraffic>,
}

/// The moving part of a [`PeerStatus`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LinkTraffic {
    /// Number of the link.
    pub link: u64,
    /// As in the peer's status.
    pub cost: Option<u64>,
    /// As in the peer's status.
    pub latency_ms: Option<f64>,
    /// As in the peer's status.
    pub rx_bytes: u64,
    /// As in the peer's status.
    pub tx_bytes: u64,
    /// As in the peer's status.
    pub rx_rate: Option<u64>,
    /// As in the peer's status.
    pub tx_rate: Option<u64>,
    /// As in the peer's status.
    pub uptime_s: Option<u64>,
    /// As in the peer's status.
    pub reconnect_in_s: Option<u64>,
}

impl Status {
    /// The moving part.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            time: self.time,
            proven_at: self.proven_at,
            uptime_s: self.uptime_s,
            sessions: self.sessions,
            paths: self.paths,
            routing_entries: self.routing_entries,
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            rx_rate: self.rx_rate,
            tx_rate: self.tx_rate,
            dropped: self.dropped.clone(),
            transit_bytes: self.transit.bytes,
            transit_rate: self.transit.rate,
            links: self.peers.iter().map(PeerStatus::traffic).collect(),
        }
    }

    /// Overwrites the moving part. Links that are not in `self` are ignored: a whole status will
    /// name them.
    pub fn apply_traffic(&mut self, traffic: &Traffic) {
        self.time = traffic.time;
        self.proven_at = traffic.proven_at;
        self.uptime_s = traffic.uptime_s;
        self.sessions = traffic.sessions;
        self.paths = traffic.paths;
        self.routing_entries = traffic.routing_entries;
        self.rx_bytes = traffic.rx_bytes;
        self.tx_bytes = traffic.tx_bytes;
        self.rx_rate = traffic.rx_rate;
        self.tx_rate = traffic.tx_rate;
        self.dropped.clone_from(&traffic.dropped);
        self.transit.bytes = traffic.transit_bytes;
        self.transit.rate = traffic.transit_rate;
        let mut links = traffic.links.iter();
        for peer in &mut self.peers {
            // Both lists have the same order, so this is one pass; a missing entry leaves its peer
            // as it is.
            let mut rest = links.clone();
            if let Some(newer) = rest.find(|newer| newer.link == peer.link) {
                peer.apply_traffic(newer);
                links = rest;
            }
        }
    }

    /// Whether `newer` differs in nothing but its moving part and the revisions of the topology
    /// and of the friends.
    pub fn same_apart_from_traffic(&self, newer: &Self) -> bool {
        let mut brought_forward = self.clone();
        brought_forward.apply_traffic(&newer.traffic());
        brought_forward.topology_revision = newer.topology_revision;
        brought_forward.friends_revision = newer.friends_revision;
        brought_forward.circles_revision = newer.circles_revision;
        brought_forward == *newer
    }
}

impl PeerStatus {
    fn traffic(&self) -> LinkTraffic {
        LinkTraffic {
            link: self.link,
            cost: self.cost,
            latency_ms: self.latency_ms,
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            rx_rate: self.rx_rate,
            tx_rate: self.tx_rate,
            uptime_s: self.uptime_s,
            reconnect_in_s: self.reconnect_in_s,
        }
    }

    fn apply_traffic(&mut self, newer: &LinkTraffic) {
        self.cost = newer.cost;
        self.latency_ms = newer.latency_ms;
        self.rx_bytes = newer.rx_bytes;
        self.tx_bytes = newer.tx_bytes;
        self.rx_rate = newer.rx_rate;
        self.tx_rate = newer.tx_rate;
        self.uptime_s = newer.uptime_s;
        self.reconnect_in_s = newer.reconnect_in_s;
    }
}

/// Removes what a peer URI may hold that is nobody's business: user information, query and
/// fragment.
///
/// Works on text that is not a valid URI as well, since it also serves error messages.
pub fn public_uri(uri: &str) -> String {
    // Options behind a wrong sign are no less secret.
    let end = uri.find(['?', '#', '&', ';', '=']).unwrap_or(uri.len());
    let Some((scheme, rest)) = uri[..end].split_once("://") else {
        let shown = uri[..end].rsplit_once('@').map_or(&uri[..end], |(_, behind)| behind);
        return shown.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    if let Some((_, behind)) = path.rsplit_once('@') {
        // The slash is part of a password.
        return format!("{scheme}://{behind}");
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_uri_hides_secrets() {
        for (given, shown) in [
            ("tls://host.example:443?password=x&key=00", "tls://host.example:443"),
            ("socks://user:secret@[::1]:9050/host:1", "socks://[::1]:9050/host:1"),
            ("tcp://a@b@host:1", "tcp://host:1"),
            ("tcp://user:sec/ret@host:1", "tcp://host:1"),
            ("unix:///run/a.sock?priority=1", "unix:///run/a.sock"),
            ("tcp://host:1#secret", "tcp://host:1"),
            ("user:secret@host", "host"),
            ("tcp:/user:secret@host:1", "host:1"),
            ("tls://host:1;password=x", "tls://host:1"),
            ("tls://host:1&password=x", "tls://host:1"),
            ("tls://host:1password=x", "tls://host:1password"),
            ("", ""),
        ] {
            assert_eq!(public_uri(given), shown);
        }
    }
}
