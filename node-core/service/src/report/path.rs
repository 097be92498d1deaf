//! The way to one other node.

use planetary_ipc::{Cipher, Hop, NextHop, PathReport, SessionReport, SessionState, Target};
use planetary_proto::{identity::NodeKey, session::Suite};
use planetary_runtime::{self as runtime, Snapshot, Topology};

use super::{address, milliseconds, plain, topology};

/// Returns what is known of the way to `target`.
#[must_use]
pub fn describe(
    target: Target,
    found: &runtime::PathReport,
    snapshot: &Snapshot,
    known: &Topology,
) -> PathReport {
    let path = known.paths.iter().find(|path| path.key == found.key);
    let session = known.sessions.iter().find(|session| session.key == found.key);
    let next_hops = match found.next_hop {
        Some(hop) if found.key != known.own => next_hops(hop, snapshot),
        _ => Vec::new(),
    };
    PathReport {
        target,
        key: plain(&found.key),
        address: address(&found.key),
        coordinates: found.coords.clone(),
        distance: found.distance,
        next_hops,
        session: SessionReport {
            state: match (session, found.session) {
                (Some(_), _) => SessionState::Established,
                (None, true) => SessionState::Opening,
                (None, false) => SessionState::None,
            },
            rx_bytes: session.map(|session| session.rx_bytes),
            tx_bytes: session.map(|session| session.tx_bytes),
            uptime_s: session.map(|session| session.uptime.as_secs()),
            cipher: session.map(|session| cipher(session.fast)),
        },
        age_s: path.map(|path| path.age.as_secs()),
        hops: hops(found, snapshot, known),
    }
}

const fn cipher(fast: Option<Suite>) -> Cipher {
    match fast {
        None => Cipher::Compatible,
        Some(Suite::Aes256Gcm) => Cipher::Aes256Gcm,
        Some(Suite::ChaCha20Poly1305) => Cipher::Chacha20Poly1305,
    }
}

/// The way from this node over the neighbour that packets go to, and from there over the tree.
fn hops(found: &runtime::PathReport, snapshot: &Snapshot, known: &Topology) -> Vec<Hop> {
    let own = hop(Some(known.own), snapshot.coords.clone());
    if found.key == known.own {
        return vec![own];
    }
    let Some(first) = found.next_hop else { return Vec::new() };
    let last = hop(Some(found.key), found.coords.clone());
    if first == found.key {
        return vec![own, last];
    }
    let places = topology::places(known, snapshot.coords.as_deref());
    let from = places.iter().find(|(_, key)| **key == Some(first)).map(|(ports, _)| ports);
    let (Some(from), Some(to)) = (from, &found.coords) else { return Vec::new() };
    let shared = from.iter().zip(to).take_while(|(one, other)| one == other).count();
    let rise = (shared..=from.len()).rev().map(|len| &from[..len]);
    let fall = (shared + 1..=to.len()).map(|len| &to[..len]);
    let key_at = |ports: &[u64]| places.get(ports).copied().flatten();
    let mut way: Vec<Hop> = std::iter::once(own)
        .chain(rise.chain(fall).map(|ports| hop(key_at(ports), Some(ports.to_vec()))))
        .collect();
    // The target is on the way up from the neighbour, or below it.
    way.pop();
    way.push(last);
    way
}

fn hop(key: Option<NodeKey>, coordinates: Option<Vec<u64>>) -> Hop {
    Hop { key: key.as_ref().map(plain), address: key.as_ref().map(address), coordinates }
}

/// The links to the neighbour that packets go to, the one in use first.
fn next_hops(hop: NodeKey, snapshot: &Snapshot) -> Vec<NextHop> {
    let mut links: Vec<_> = snapshot.links.iter().filter(|link| link.key == hop).collect();
    links.sort_by_key(|link| (link.suspect, link.priority, link.cost));
    links
        .into_iter()
        .map(|link| NextHop {
            key: plain(&link.key),
            address: address(&link.key),
            uri: link.uri.clone(),
            port: link.port,
            latency_ms: link.round_trip.map(milliseconds),
        })
        .collect()
}
