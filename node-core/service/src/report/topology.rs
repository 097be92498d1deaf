//! The known part of the network, as nodes with roles and edges with kinds.

use std::collections::{BTreeMap, BTreeSet};

use planetary_ipc::{Edge, EdgeKind, Node, Role, Topology};
use planetary_proto::identity::NodeKey;
use planetary_runtime::{self as runtime, TreeSnapshot};

use super::{address, milliseconds, plain};

/// Edges of the tree by the child.
type Tree = BTreeMap<NodeKey, TreeSnapshot>;

/// Returns the whole topology; `coordinates` are the node's own.
#[must_use]
pub fn draw(known: &runtime::Topology, coordinates: Option<Vec<u64>>, revision: u64) -> Topology {
    let mut nodes: BTreeMap<NodeKey, Node> = BTreeMap::new();
    let mut edges = Vec::new();
    let own = known.own;
    let tree: Tree = known.tree.iter().map(|place| (place.key, *place)).collect();
    role(&mut nodes, own, Role::Myself);
    for (key, round_trip) in &known.peers {
        role(&mut nodes, *key, Role::Peer);
        edges.push(edge(own, *key, EdgeKind::Peer, round_trip.map(milliseconds)));
    }
    // What else the tree remembers was on somebody's way to the root once.
    let ends = std::iter::once(own).chain(known.peers.iter().map(|(key, _)| *key));
    let ways: BTreeSet<NodeKey> =
        ends.flat_map(|key| way_up(&tree, key)).map(|place| place.key).collect();
    for place in ways.iter().filter_map(|key| tree.get(key)) {
        let node = role(&mut nodes, place.key, Role::Ancestor);
        node.parent = Some(plain(&place.parent));
        node.port = Some(place.port);
        node.sequence = Some(place.seq);
        node.coordinates = coordinates_of(&tree, place.key);
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
    let first = nodes.remove(&own).map(|node| Node { coordinates, ..node });
    let nodes = first.into_iter().chain(nodes.into_values()).collect();
    Topology { revision, page: 0, pages: 1, nodes, edges }
}

/// The edges from `key` up to the root, as far as they are known.
fn way_up(tree: &Tree, key: NodeKey) -> impl Iterator<Item = &TreeSnapshot> {
    let above = |place: &&TreeSnapshot| match place.parent == place.key {
        true => None,
        false => tree.get(&place.parent),
    };
    // Edges of different age can make a circle.
    std::iter::successors(tree.get(&key), above).take(tree.len())
}

/// The ports from the root down to `key`; `None` while a piece of the way is not known.
fn coordinates_of(tree: &Tree, key: NodeKey) -> Option<Vec<u64>> {
    let mut way: Vec<_> = way_up(tree, key).collect();
    let root = way.pop().filter(|place| place.parent == place.key);
    root.map(|_| way.iter().rev().map(|place| place.port).collect())
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
