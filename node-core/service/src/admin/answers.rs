//! The answers, of the shape that the reference gives them (chapter 11.3). Members that are zero,
//! empty or false are left out where the chapter says so.

use std::cmp::Ordering;
use std::net::Ipv6Addr;

use planetary_ipc::{Direction, LanState, PeerStatus, Status};
use planetary_proto::identity::NodeKey;
use planetary_runtime::{SessionSnapshot, Topology};
use serde::Serialize;
use serde_json::{Value, json};

/// Latency is told to this many nanoseconds.
const LATENCY_STEP: f64 = 10_000.0;

pub(super) fn this_node(status: &Status) -> Value {
    json!({
        "build_name": env!("CARGO_PKG_NAME"),
        "build_version": status.version,
        "key": status.key.to_string(),
        "address": status.address.to_string(),
        "routing_entries": status.routing_entries,
        "subnet": status.subnet.to_string(),
    })
}

/// A link, up or down.
#[derive(Serialize)]
struct Peer {
    #[serde(skip_serializing_if = "String::is_empty")]
    remote: String,
    up: bool,
    inbound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Ipv6Addr>,
    key: String,
    port: u64,
    priority: u8,
    cost: u64,
    #[serde(skip_serializing_if = "is_zero")]
    bytes_recvd: u64,
    #[serde(skip_serializing_if = "is_zero")]
    bytes_sent: u64,
    #[serde(skip_serializing_if = "is_zero")]
    rate_recvd: u64,
    #[serde(skip_serializing_if = "is_zero")]
    rate_sent: u64,
    #[serde(skip_serializing_if = "is_zero")]
    uptime: u64,
    #[serde(skip_serializing_if = "is_zero")]
    latency: u64,
    #[serde(skip_serializing_if = "is_zero")]
    last_error_time: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_error: String,
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub(super) fn peers(status: &Status, sort: &str) -> Value {
    let mut peers: Vec<_> = status.peers.iter().map(|peer| Peer::of(peer, status.time.0)).collect();
    peers.sort_by(|a, b| a.compare(b, sort));
    json!({ "peers": peers })
}

impl Peer {
    fn of(peer: &PeerStatus, now_unix_s: u64) -> Self {
        // At most some hours, in nanoseconds: far from the greatest number.
        let latency = peer.latency_ms.map_or(0.0, |ms| (ms * 1e6 / LATENCY_STEP).round());
        let error = peer.last_error.as_ref();
        Self {
            remote: peer.uri.clone(),
            up: peer.up,
            inbound: peer.direction == Direction::In,
            address: peer.address.filter(|_| peer.up),
            key: peer.key.filter(|_| peer.up).map(|key| key.to_string()).unwrap_or_default(),
            port: peer.port.unwrap_or_default(),
            priority: peer.priority,
            cost: peer.cost.unwrap_or_default(),
            bytes_recvd: peer.rx_bytes,
            bytes_sent: peer.tx_bytes,
            rate_recvd: peer.rx_rate.unwrap_or_default(),
            rate_sent: peer.tx_rate.unwrap_or_default(),
            uptime: peer.uptime_s.unwrap_or_default(),
            latency: (latency * LATENCY_STEP) as u64,
            last_error_time: error.map_or(0, |error| {
                // A second at least: nothing is not told.
                now_unix_s.saturating_sub(error.at.0).max(1).saturating_mul(1_000_000_000)
            }),
            last_error: error.map(|error| error.message.clone()).unwrap_or_default(),
        }
    }

    fn compare(&self, other: &Self, sort: &str) -> Ordering {
        let key = self.key.cmp(&other.key);
        let priority = self.priority.cmp(&other.priority);
        let cost = self.cost.cmp(&other.cost);
        let uptime = self.uptime.cmp(&other.uptime);
        match sort {
            "cost" => cost.then(key).then(priority).then(uptime),
            "uptime" => uptime.then(key).then(priority).then(cost),
            _ => {
                let inbound = self.inbound.cmp(&other.inbound);
                inbound.then(key).then(priority).then(cost).then(uptime)
            }
        }
    }
}

pub(super) fn tree(topology: &Topology) -> Value {
    let edges = topology.tree.iter().map(|edge| {
        json!({
            "address": address(&edge.key),
            "key": edge.key.to_string(),
            "parent": edge.parent.to_string(),
            "sequence": edge.seq,
        })
    });
    json!({ "tree": edges.collect::<Vec<_>>() })
}

pub(super) fn paths(topology: &Topology) -> Value {
    let paths = topology.paths.iter().map(|path| {
        json!({
            "address": address(&path.key),
            "key": path.key.to_string(),
            "path": path.coords,
            "sequence": path.seq,
        })
    });
    json!({ "paths": paths.collect::<Vec<_>>() })
}

pub(super) fn sessions(sessions: &[SessionSnapshot]) -> Value {
    let sessions = sessions.iter().map(|session| {
        json!({
            "address": address(&session.key),
            "key": session.key.to_string(),
            "bytes_recvd": session.rx_bytes,
            "bytes_sent": session.tx_bytes,
            "uptime": session.uptime.as_secs_f64(),
        })
    });
    json!({ "sessions": sessions.collect::<Vec<_>>() })
}

/// The port that a beacon names is not told: it is another one for each interface and network.
pub(super) fn multicast(status: &Status, password: bool) -> Value {
    let active = status.lan.interfaces.iter().filter(|one| one.state == LanState::Active);
    let interfaces = active.map(|interface| {
        json!({
            "name": interface.name,
            "address": "-",
            "beacon": true,
            "listen": true,
            "password": password,
        })
    });
    json!({ "multicast_interfaces": interfaces.collect::<Vec<_>>() })
}

pub(super) fn tun(status: &Status) -> Value {
    match &status.tun {
        Some(tun) => json!({ "enabled": true, "name": tun.name, "mtu": tun.mtu }),
        None => json!({ "enabled": false }),
    }
}

fn address(key: &NodeKey) -> String {
    key.address().to_ipv6().to_string()
}
