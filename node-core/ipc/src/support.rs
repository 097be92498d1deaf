//! The report that a person may show to somebody who helps: how the node is, and nothing about
//! whom it knows.
//!
//! Everything in it is on this list or is not in it: there are no texts of the system or of other
//! nodes, no keys, addresses, host names, paths or passwords. What must be told apart has a
//! *pseudonym*, `node-`, `host-` or `interface-` and eight letters, which a node makes with a
//! secret of its own: the same in every report of one node, and meaning nothing to anybody else.

use serde::{Deserialize, Serialize};

use crate::health::Severity;
use crate::identity::UnixTime;
use crate::status::{Direction, PeerSource, State};

/// Answer to `report`: what may be told to anybody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SupportReport {
    /// When it was made, by the service's clock.
    pub time: UnixTime,
    /// Version of the service, such as `0.1.0`.
    pub version: String,
    /// Operating system, such as `linux`.
    pub os: String,
    /// Processor, such as `x86_64`.
    pub arch: String,
    /// Whether the pseudonyms are those of other reports of this node. They are not when the
    /// secret for them could not be kept.
    pub pseudonyms_last: bool,
    /// The node itself.
    pub node: ReportedNode,
    /// What `doctor` says, without its texts.
    pub health: Vec<ReportedItem>,
    /// What is configured, by class: how many, whether, which of a few words.
    pub settings: Vec<ReportedSetting>,
    /// All links, also those that are down.
    pub links: Vec<ReportedLink>,
    /// Sockets on which the node accepts peers.
    pub listeners: Vec<ReportedListener>,
    /// The network interface, or `null` in user-space mode and while the node is down.
    pub interface: Option<ReportedInterface>,
    /// The clock beside those of other nodes.
    pub clock: ReportedClock,
    /// How often what happened, and how much of what there is, by name.
    pub counters: Vec<Counter>,
}

/// The node itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedNode {
    /// Pseudonym of the node.
    pub name: String,
    /// Whether it is on the network.
    pub state: State,
    /// How long it has been so, in seconds.
    pub state_for_s: u64,
    /// How long the service has been running, in seconds.
    pub uptime_s: u64,
    /// How long ago another node last answered, in seconds, or `null` if none has yet.
    pub proven_ago_s: Option<u64>,
    /// Hops to the root of the tree, or `null` while unknown.
    pub depth: Option<u64>,
    /// Pseudonym of the root, or `null` while unknown.
    pub root: Option<String>,
    /// Pseudonym of the parent in the tree, or `null` while unknown.
    pub parent: Option<String>,
}

/// One line of the checklist, without words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedItem {
    /// Its code, as `docs/ipc.md` lists it.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// How long it has been so, in seconds, or `null` for a check made just now.
    pub for_s: Option<u64>,
    /// Whether traffic suffers from it.
    pub affects_connectivity: bool,
}

/// A key of the configuration, and the class of its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedSetting {
    /// Name of the key, such as `tun.mtu`.
    pub name: String,
    /// A word, a number or a count; never a text that a person has written.
    pub value: String,
}

/// A link, without where it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedLink {
    /// Pseudonym of the other node, or `null` before the first handshake.
    pub node: Option<String>,
    /// Pseudonym of the other end's host, or `null` when the URI has none.
    pub host: Option<String>,
    /// What kind of host that is: `name`, `ipv4`, `ipv6`, `link_local`, or `none`.
    pub host_kind: String,
    /// Scheme of the URI, or `other`.
    pub transport: String,
    /// Whether the port is 443, which passes most firewalls.
    pub is_port_443: bool,
    /// Pseudonym of the interface it is bound to, or `null`.
    pub interface: Option<String>,
    /// Who opened it.
    pub direction: Direction,
    /// How it came to be.
    pub source: PeerSource,
    /// Whether it carries traffic.
    pub up: bool,
    /// Whether the other side has not answered in time.
    pub suspect: bool,
    /// Priority, 0 to 255.
    pub priority: u8,
    /// Cost as the routing sees it, or `null` while it is down.
    pub cost: Option<u64>,
    /// Smoothed round-trip time in milliseconds, or `null` before the first measurement.
    pub latency_ms: Option<f64>,
    /// How long the connection has lasted, in seconds, or `null` while it is down.
    pub uptime_s: Option<u64>,
    /// When the next attempt is made, in seconds, or `null` when none is planned.
    pub reconnect_in_s: Option<u64>,
    /// Bytes received on this or the last connection.
    pub rx_bytes: u64,
    /// Bytes sent on this or the last connection.
    pub tx_bytes: u64,
    /// The last failure, or `null` if there was none.
    pub last_error: Option<ReportedError>,
}

/// A failure, without its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedError {
    /// Its code, as `docs/ipc.md` lists it.
    pub code: String,
    /// How long ago it happened, in seconds.
    pub ago_s: u64,
}

/// A listener, without its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedListener {
    /// Scheme of the URI, or `other`.
    pub transport: String,
    /// Whether it accepts connections.
    pub up: bool,
    /// Why it does not, or `null`.
    pub last_error: Option<ReportedError>,
}

/// The network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedInterface {
    /// Its name if that is one of our own making, such as `planetary0`, else a pseudonym.
    pub name: String,
    /// Largest packet in bytes.
    pub mtu: u32,
}

/// The clock beside those of other nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedClock {
    /// How far it is ahead of the middle one, in seconds, or `null` when too few are known.
    pub ahead_s: Option<i64>,
    /// How many nodes were listened to.
    pub witnesses: u64,
    /// By how much it was set within the last ten minutes, in seconds, or `null`.
    pub jump_s: Option<i64>,
}

/// A number with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counter {
    /// Its name, in snake case.
    pub name: String,
    /// The number.
    pub value: u64,
}
