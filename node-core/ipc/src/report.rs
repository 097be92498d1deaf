//! Answers about one other node: the way to it, and how long an echo takes.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::identity::{NodeKey, Target};

/// What is known about the way to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PathReport {
    /// The target as it was asked for.
    pub target: Target,
    /// Key of the node that answers for the target.
    pub key: NodeKey,
    /// Address of that node (not an address inside its subnet).
    pub address: Ipv6Addr,
    /// Place of the node in the tree, or `null` while unknown.
    pub coordinates: Option<Vec<u64>>,
    /// Hops over the tree from this node to that one, or `null` while unknown. Shortcuts make the
    /// real way shorter.
    pub distance: Option<u64>,
    /// Peers that lead there, the one in use first; empty when the target is this node or no peer
    /// does.
    pub next_hops: Vec<NextHop>,
    /// The session with the node.
    pub session: SessionReport,
    /// How long ago the path was learnt, in seconds, or `null` for a direct peer and for this node.
    pub age_s: Option<u64>,
    /// The way from this node, the first, to that one, the last: over the peer in use, and from
    /// there over the tree. Each node on it may know a shorter one. Empty while it is not known.
    pub hops: Vec<Hop>,
}

/// A node on the way to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hop {
    /// Its key, or `null` while only its place is known.
    pub key: Option<NodeKey>,
    /// Its address, or `null` while only its place is known.
    pub address: Option<Ipv6Addr>,
    /// Its place in the tree, ports from the root down, or `null` while unknown.
    pub coordinates: Option<Vec<u64>>,
}

/// A peer that leads towards a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NextHop {
    /// Key of the peer.
    pub key: NodeKey,
    /// Address of the peer.
    pub address: Ipv6Addr,
    /// URI of the link, without user information and query.
    pub uri: String,
    /// Port of the link in the tree.
    pub port: u64,
    /// Round-trip time of the link in milliseconds, or `null` while unknown.
    pub latency_ms: Option<f64>,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// There is none.
    None,
    /// Asked for, not yet answered.
    Opening,
    /// Open.
    Established,
}

/// What a session is sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Cipher {
    /// XSalsa20-Poly1305 under keys of X25519, as every node of the network knows it.
    #[serde(rename = "compatible")]
    Compatible,
    /// AES-256-GCM under keys of X25519 and ML-KEM-768 together, between nodes of this program.
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
    /// ChaCha20-Poly1305 under keys of X25519 and ML-KEM-768 together, between nodes of this
    /// program.
    #[serde(rename = "chacha20-poly1305")]
    Chacha20Poly1305,
}

/// The session with a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionReport {
    /// How far it is.
    pub state: SessionState,
    /// Bytes received, or `null` without a session.
    pub rx_bytes: Option<u64>,
    /// Bytes sent, or `null` without a session.
    pub tx_bytes: Option<u64>,
    /// How long it has been open, in seconds, or `null` without a session.
    pub uptime_s: Option<u64>,
    /// What is sealed with at this moment, or `null` without a session.
    pub cipher: Option<Cipher>,
}

/// Result of sending echo requests to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PingReport {
    /// The target as it was asked for.
    pub target: Target,
    /// Address that was sent to.
    pub address: Ipv6Addr,
    /// Key of the node that answers for it, or `null` when it was not found.
    pub key: Option<NodeKey>,
    /// One entry per request sent, in the order of sending.
    pub replies: Vec<PingReply>,
    /// Requests sent.
    pub sent: u32,
    /// Answers received in time.
    pub received: u32,
    /// Shortest round trip in milliseconds, or `null` without an answer.
    pub min_ms: Option<f64>,
    /// Mean round trip in milliseconds, or `null` without an answer.
    pub avg_ms: Option<f64>,
    /// Longest round trip in milliseconds, or `null` without an answer.
    pub max_ms: Option<f64>,
}

/// What became of one echo request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PingReply {
    /// Number of the request, from 1.
    pub seq: u32,
    /// Round trip in milliseconds, or `null` when no answer came in time.
    pub rtt_ms: Option<f64>,
}

impl PingReport {
    /// Counts and measures `replies`.
    pub fn new(
        target: Target,
        address: Ipv6Addr,
        key: Option<NodeKey>,
        replies: Vec<PingReply>,
    ) -> Self {
        let times = || replies.iter().filter_map(|reply| reply.rtt_ms);
        // Counts are bounded by `limits::PING_COUNT_MAX` in one request; a client that goes on for
        // ever saturates.
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (sent, received) = (count(replies.len()), count(times().count()));
        Self {
            target,
            address,
            key,
            sent,
            received,
            min_ms: times().reduce(f64::min),
            avg_ms: (received > 0).then(|| times().sum::<f64>() / f64::from(received)),
            max_ms: times().reduce(f64::max),
            replies,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ping_report_counts_and_measures() {
        let address = "200::1".parse().unwrap();
        let replies = [Some(1.0), None, Some(3.0)];
        let replies = (1..).zip(replies).map(|(seq, rtt_ms)| PingReply { seq, rtt_ms }).collect();
        let report = PingReport::new(Target::Address(address), address, None, replies);
        assert_eq!((report.sent, report.received), (3, 2));
        assert_eq!(
            (report.min_ms, report.avg_ms, report.max_ms),
            (Some(1.0), Some(2.0), Some(3.0))
        );
    }

    #[test]
    fn ping_report_without_an_answer_has_no_times() {
        let address = "200::1".parse().unwrap();
        let replies = vec![PingReply { seq: 1, rtt_ms: None }];
        let report = PingReport::new(Target::Address(address), address, None, replies);
        assert_eq!((report.sent, report.received, report.avg_ms), (1, 0, None));
    }
}
