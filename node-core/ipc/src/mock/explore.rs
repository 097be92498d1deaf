//! Exploring in the mock: nodes tell of their neighbours and of others that nobody else knows. The
//! lighthouse is closed, and so is every fourth of those others.

use super::world::{LIGHTHOUSE, World, address_of, made_up_key};
use crate::error::{ApiError, ErrorCode};
use crate::explore::Explored;
use crate::identity::{NodeKey, Target};
use crate::topology::{Edge, EdgeKind, Node, Role, Topology};

/// How long what was learnt is remembered, in seconds.
const KEPT_S: u64 = 600;

/// Nodes that were explored: when, and whom they name.
#[derive(Debug, Default)]
pub(super) struct Explorations {
    nodes: Vec<(u64, NodeKey, Vec<NodeKey>)>,
    count: u64,
}

impl Explorations {
    pub(super) fn revision(&self) -> u64 {
        self.count
    }

    /// Adds what was learnt to a topology.
    pub(super) fn draw(&self, whole: &mut Topology, second: u64) {
        for (_, from, peers) in self.nodes.iter().filter(|(at, ..)| at + KEPT_S > second) {
            for key in std::iter::once(from).chain(peers) {
                let known = whole.nodes.iter_mut().find(|node| node.key == *key);
                match known {
                    Some(node) if !node.roles.contains(&Role::Explored) => {
                        node.roles.push(Role::Explored);
                    }
                    Some(_) => {}
                    None => whole.nodes.push(Node {
                        roles: vec![Role::Explored],
                        ..Node::new(*key, address_of(*key))
                    }),
                }
            }
            let link = |to: &NodeKey| Edge {
                from: *from,
                to: *to,
                kind: EdgeKind::Link,
                latency_ms: None,
            };
            whole.edges.extend(peers.iter().map(link));
        }
    }

    fn keep(&mut self, second: u64, key: NodeKey, peers: Vec<NodeKey>) {
        self.nodes.retain(|(_, known, _)| *known != key);
        self.nodes.push((second, key, peers));
        self.count += 1;
    }

    fn names(&self, key: NodeKey) -> bool {
        self.nodes.iter().any(|(.., peers)| peers.contains(&key))
    }
}

impl World {
    pub(super) fn explore(&mut self, key: NodeKey) -> Result<Explored, ApiError> {
        self.up()?;
        let time = self.now();
        let index = self.find(Target::Key(key));
        let closed = index.map_or(key.0[31].is_multiple_of(4), |index| index == LIGHTHOUSE);
        let found = index.map(|index| self.neighbourhood(index));
        let found = found.or_else(|| {
            let named = self.explored.names(key);
            named.then(|| (key, address_of(key), 70.0, Vec::new()))
        });
        let Some((key, address, round_trip_ms, mut around)) = found else {
            let text = format!("{key}: no answer in time");
            return Err(ApiError::new(ErrorCode::Unreachable, text));
        };
        let answered = !closed;
        if answered {
            // Some that only this node knows, the same each time.
            let first = u64::from(u16::from_be_bytes([key.0[30], key.0[31]])) + 0x1_0000;
            around.extend((first..first + 6).map(made_up_key));
            around.sort_unstable();
        }
        let said = |text: &str| answered.then(|| text.to_owned());
        let peers = answered.then_some(around);
        if let Some(peers) = &peers {
            let second = self.age_of_service();
            self.explored.keep(second, key, peers.clone());
        }
        Ok(Explored {
            time,
            key,
            address,
            answered,
            name: said("a node of the mock"),
            program: said("yggdrasil 0.5.14"),
            system: said("linux amd64"),
            routing_entries: answered.then_some(13),
            round_trip_ms: answered.then_some(round_trip_ms),
            tree: peers.clone(),
            peers,
        })
    }
}
