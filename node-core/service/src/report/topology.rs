//! The known part of the network, as nodes with roles and edges with kinds.

use std::collections::{BTreeMap, BTreeSet};

use planetary_ipc::{Edge, EdgeKind, FriendName, Node, Role, Topology};
use planetary_proto::identity::NodeKey;
use planetary_runtime::{self as runtime, TreeSnapshot};

use super::{address, milliseconds, plain};
use crate::explore::Memory;

/// Edges of the tree by the child.
type Tree = BTreeMap<NodeKey, TreeSnapshot>;

/// Returns the whole topology; `coordinates` are the node's own, `name` tells friends.
#[must_use]
pub fn draw(
    known: &runtime::Topology,
    coordinates: Option<Vec<u64>>,
    revision: u64,
    name: impl Fn(&planetary_ipc::NodeKey) -> Option<FriendName>,
    explored: &Memory,
) -> Topology {
    let mut nodes: BTreeMap<NodeKey, Node> = BTreeMap::new();
    let mut edges = Vec::new();
    let own = known.own;
    let tree: Tree = known.tree.iter().map(|place| (place.key, *place)).collect();
    role(&mut nodes, own, Role::Myself);
    for (key, round_trip) in &known.peers {
        let node = role(&mut nodes, *key, Role::Peer);
        node.direct = true;
        node.latency_ms = round_trip.map(milliseconds);
        node.via = Some(plain(key));
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
        let node = role(&mut nodes, path.key, Role::Path);
        node.coordinates = Some(path.coords.clone());
        node.via = node.via.or(path.via.as_ref().map(plain));
        edges.push(edge(own, path.key, EdgeKind::Path, None));
    }
    for session in &known.sessions {
        let node = role(&mut nodes, session.key, Role::Session);
        node.rx_bytes = Some(session.rx_bytes);
        node.tx_bytes = Some(session.tx_bytes);
        edges.push(edge(own, session.key, EdgeKind::Session, None));
    }
    add_explored(&mut nodes, &mut edges, own, explored);
    if let Some(node) = nodes.get_mut(&own) {
        node.coordinates = coordinates;
    }
    edges.extend(read_parents(&mut nodes));
    for node in nodes.values_mut() {
        node.name = name(&node.key);
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

/// Adds explored nodes and their links, which are their word.
fn add_explored(
    nodes: &mut BTreeMap<NodeKey, Node>,
    edges: &mut Vec<Edge>,
    own: NodeKey,
    explored: &Memory,
) {
    let mut seen = BTreeSet::new();
    for (key, learnt) in explored.nodes() {
        let node = role(nodes, *key, Role::Explored);
        node.latency_ms = node.latency_ms.or(learnt.round_trip.map(milliseconds));
        // Whom this node has links to it knows better.
        for peer in learnt.peers.iter().filter(|peer| **peer != own) {
            role(nodes, *peer, Role::Explored);
            if seen.insert((*key.min(peer), *key.max(peer))) {
                edges.push(edge(*key, *peer, EdgeKind::Link, None));
            }
        }
    }
}

/// Reads from the places of nodes who is whose parent, where nobody announced it here.
fn read_parents(nodes: &mut BTreeMap<NodeKey, Node>) -> Vec<Edge> {
    let mut places: Places = BTreeMap::new();
    for (key, node) in &*nodes {
        if let Some(ports) = &node.coordinates {
            take_place(&mut places, ports.clone(), *key);
        }
    }
    let mut edges = Vec::new();
    for (key, node) in nodes.iter_mut().filter(|(_, node)| node.parent.is_none()) {
        let place = node.coordinates.as_deref().and_then(|ports| ports.split_last());
        let Some((port, above)) = place else { continue };
        if let Some(Some(parent)) = places.get(above) {
            node.parent = Some(plain(parent));
            node.port = Some(*port);
            edges.push(edge(*key, *parent, EdgeKind::Tree, None));
        }
    }
    edges
}

/// Nodes by their place in the tree; `None` at a place that several claim.
pub(super) type Places = BTreeMap<Vec<u64>, Option<NodeKey>>;

fn take_place(places: &mut Places, ports: Vec<u64>, key: NodeKey) {
    let at = places.entry(ports).or_insert(Some(key));
    if *at != Some(key) {
        // One of them has moved.
        *at = None;
    }
}

/// Every place that is known, with this node at its own.
pub(super) fn places(known: &runtime::Topology, own: Option<&[u64]>) -> Places {
    let tree: Tree = known.tree.iter().map(|place| (place.key, *place)).collect();
    let mut places = Places::new();
    if let Some(ports) = own {
        take_place(&mut places, ports.to_vec(), known.own);
    }
    for key in tree.keys().filter(|key| **key != known.own) {
        if let Some(ports) = coordinates_of(&tree, *key) {
            take_place(&mut places, ports, *key);
        }
    }
    for path in &known.paths {
        take_place(&mut places, path.coords.clone(), path.key);
    }
    places
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
    let node = nodes.entry(key).or_insert_with(|| Node::new(plain(&key), address(&key)));
    if !node.roles.contains(&role) {
        node.roles.push(role);
    }
    node
}

fn edge(from: NodeKey, to: NodeKey, kind: EdgeKind, latency_ms: Option<f64>) -> Edge {
    Edge { from: plain(&from), to: plain(&to), kind, latency_ms }
}
