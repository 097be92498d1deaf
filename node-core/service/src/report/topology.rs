//! The known part of the network, as nodes with roles and edges with kinds.

use std::collections::BTreeMap;

use planetary_ipc::{Edge, EdgeKind, Node, Role, Topology};
use planetary_proto::identity::NodeKey;
use planetary_runtime as runtime;

use super::{address, milliseconds, plain};

/// Returns the whole topology; `coordinates` are the node's own.
#[must_use]
pub fn draw(known: &runtime::Topology, coordinates: Option<Vec<u64>>, revision: u64) -> Topology {
    let mut nodes: BTreeMap<NodeKey, Node> = BTreeMap::new();
    let mut edges = Vec::new();
    let own = known.own;
    role(&mut nodes, own, Role::Myself).coordinates = coordinates;
    for (key, round_trip) in &known.peers {
        role(&mut nodes, *key, Role::Peer);
        edges.push(edge(own, *key, EdgeKind::Peer, round_trip.map(milliseconds)));
    }
    for place in &known.tree {
        let node = role(&mut nodes, place.key, Role::Ancestor);
        node.parent = Some(plain(&place.parent));
        node.port = Some(place.port);
        node.sequence = Some(place.seq);
        if place.parent != place.key {
            edges.push(edge(place.key, place.parent, EdgeKind::Tree, None));
        }
    }
    for path in &known.paths {
        role(&mut nodes, path.key, Role::Path).coordinates = Some(path.coords.clone());
        edges.push(edge(own, path.key, EdgeKind::Path, None));
    }
    for session in &known.sessions {
        role(&mut nodes, session.key, Role::Session);
        edges.push(edge(own, session.key, EdgeKind::Session, None));
    }
    for node in nodes.values_mut() {
        // Peers and this node are in the tree as well; they are called what they are to a person.
        if node.roles.len() > 1
            && node.roles.iter().any(|role| matches!(role, Role::Myself | Role::Peer))
        {
            node.roles.retain(|role| *role != Role::Ancestor);
        }
        node.roles.sort_unstable();
    }
    // This node first.
    let first = nodes.remove(&own);
    let nodes = first.into_iter().chain(nodes.into_values()).collect();
    Topology { revision, page: 0, pages: 1, nodes, edges }
}

fn role(nodes: &mut BTreeMap<NodeKey, Node>, key: NodeKey, role: Role) -> &mut Node {
    let node = nodes.entry(key).or_insert_with(|| Node {
        key: plain(&key),
        address: address(&key),
        roles: Vec::new(),
        parent: None,
        port: None,
        coordinates: None,
        sequence: None,
    });
    if !node.roles.contains(&role) {
        node.roles.push(role);
    }
    node
}

fn edge(from: NodeKey, to: NodeKey, kind: EdgeKind, latency_ms: Option<f64>) -> Edge {
    Edge { from: plain(&from), to: plain(&to), kind, latency_ms }
}
