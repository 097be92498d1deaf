//! The way to one other node.

use planetary_ipc::{NextHop, PathReport, SessionReport, SessionState, Target};
use planetary_runtime::{self as runtime, Snapshot, Topology};

use super::{address, milliseconds, plain};

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
        },
        age_s: path.map(|path| path.age.as_secs()),
    }
}

/// The links to the neighbour that packets go to, the one in use first.
fn next_hops(hop: planetary_proto::identity::NodeKey, snapshot: &Snapshot) -> Vec<NextHop> {
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
