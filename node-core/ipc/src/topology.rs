//! The part of the network this node knows: itself, its peers, its ancestors, known paths, open
//! sessions, and what was explored lately.
//!
//! A service hands over the whole as one [`Topology`]; the server cuts it into pages that fit a
//! frame ([`Topology::into_pages`]) and the client joins them again. It is a snapshot: nodes and
//! edges belong together.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::friends::FriendName;
use crate::identity::NodeKey;
use crate::limits;

/// Nodes and the edges between them, whole or one page of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Topology {
    /// Which state of the topology this is; equal on all pages.
    pub revision: u64,
    /// Number of this page, from 0.
    pub page: u32,
    /// Number of pages, at least 1.
    pub pages: u32,
    /// The nodes, this node first.
    pub nodes: Vec<Node>,
    /// The edges. Their ends may be on another page.
    pub edges: Vec<Edge>,
}

/// Why a node is in the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// This node.
    #[serde(rename = "self")]
    Myself,
    /// A link to it is up.
    Peer,
    /// It is between this node, or one of its peers, and the root.
    Ancestor,
    /// A path to it is known.
    Path,
    /// A session with it is open.
    Session,
    /// It was explored lately, or one that was named it as its peer.
    Explored,
}

/// A node of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Node {
    /// Public key, 64 hexadecimal digits.
    pub key: NodeKey,
    /// Address that follows from the key.
    pub address: Ipv6Addr,
    /// Why it is here; at least one.
    pub roles: Vec<Role>,
    /// Key of its parent in the tree (its own at the root), or `null` while unknown.
    pub parent: Option<NodeKey>,
    /// Its port at the parent, or `null` while unknown.
    pub port: Option<u64>,
    /// Place in the tree, ports from the root down, or `null` while unknown.
    pub coordinates: Option<Vec<u64>>,
    /// Sequence number of its last announcement, or `null` while unknown.
    pub sequence: Option<u64>,
    /// The name of the friend whose node it is, or `null`.
    pub name: Option<FriendName>,
    /// Whether a link to it is up.
    pub direct: bool,
    /// Round trip to it in milliseconds, over the best link of a peer, or as it took to explore it;
    /// `null` while unknown.
    pub latency_ms: Option<f64>,
    /// Bytes received in the session with it, or `null` without one.
    pub rx_bytes: Option<u64>,
    /// Bytes sent in the session with it, or `null` without one.
    pub tx_bytes: Option<u64>,
    /// Key of the peer that packets to it leave through, its own for a direct peer; `null` for
    /// nodes without path and session, and while no peer leads there.
    pub via: Option<NodeKey>,
}

impl Node {
    /// A node of which nothing is known but the key.
    pub fn new(key: NodeKey, address: Ipv6Addr) -> Self {
        Self {
            key,
            address,
            roles: Vec::new(),
            parent: None,
            port: None,
            coordinates: None,
            sequence: None,
            name: None,
            direct: false,
            latency_ms: None,
            rx_bytes: None,
            tx_bytes: None,
            via: None,
        }
    }
}

/// What joins two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// From a child to its parent in the tree. Announced by both, or read from their places.
    Tree,
    /// From this node to a peer.
    Peer,
    /// From this node to a node whose path is known.
    Path,
    /// From this node to a node with which a session is open.
    Session,
    /// From an explored node to a peer of it, by its own word.
    Link,
}

/// A relation between two nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Edge {
    /// Key of the one node.
    pub from: NodeKey,
    /// Key of the other.
    pub to: NodeKey,
    /// What joins them.
    pub kind: EdgeKind,
    /// Round-trip time in milliseconds, or `null` while unknown.
    pub latency_ms: Option<f64>,
}

impl Topology {
    /// Cuts a whole topology into pages within the limits; at least one.
    pub fn into_pages(self) -> Vec<Self> {
        let of_nodes = self.nodes.len().div_ceil(limits::TOPOLOGY_PAGE_NODES_MAX);
        let of_edges = self.edges.len().div_ceil(limits::TOPOLOGY_PAGE_EDGES_MAX);
        let count = of_nodes.max(of_edges).max(1);
        let (mut nodes, mut edges) = (self.nodes.into_iter(), self.edges.into_iter());
        let pages = u32::try_from(count).unwrap_or(u32::MAX);
        (0..pages)
            .map(|page| Self {
                revision: self.revision,
                page,
                pages,
                nodes: nodes.by_ref().take(limits::TOPOLOGY_PAGE_NODES_MAX).collect(),
                edges: edges.by_ref().take(limits::TOPOLOGY_PAGE_EDGES_MAX).collect(),
            })
            .collect()
    }

    /// Takes in what the next page holds.
    pub fn append(&mut self, next: Self) {
        self.nodes.extend(next.nodes);
        self.edges.extend(next.edges);
    }
}
