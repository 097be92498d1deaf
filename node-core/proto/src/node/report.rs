//! What others may know of a node.

use super::Node;
use crate::{
    identity::NodeKey,
    link::LinkId,
    lookup::KnownPath,
    session::SessionTable,
    stats::Stats,
    time::{Duration, Instant},
    upper::ipv6::Target,
    wire::{Announce, Coords},
};

impl<S: SessionTable> Node<S> {
    /// The own key.
    #[must_use]
    pub const fn key(&self) -> NodeKey {
        self.tree.own()
    }

    /// The highest sequence number sent. It must be stored, and [`crate::NodeConfig::first_seq`] of
    /// the next run must be higher.
    #[must_use]
    pub const fn highest_seq(&self) -> u64 {
        self.seq
    }

    /// The root of the own ancestry.
    #[must_use]
    pub fn root(&self) -> NodeKey {
        self.tree.root_of(&self.tree.own()).0
    }

    /// The own parent, the own key for a root.
    #[must_use]
    pub fn parent(&self) -> NodeKey {
        self.tree.parent()
    }

    /// All known edges, ordered by key.
    pub fn announces(&self) -> impl Iterator<Item = &Announce> {
        self.tree.announces()
    }

    /// Coordinates of a key as far as the tree knows.
    #[must_use]
    pub fn coords_of(&self, key: &NodeKey) -> Option<Coords> {
        self.tree.known_coords(key)
    }

    /// The neighbours: key, our port for it, and its links with priority, cost, smoothed round trip
    /// and suspicion.
    pub fn neighbours(&self) -> impl Iterator<Item = NeighbourReport> {
        self.tree.neighbours().iter().map(|(key, neighbour)| NeighbourReport {
            key: *key,
            port: neighbour.port,
            links: neighbour
                .links
                .iter()
                .map(|(id, link)| LinkReport {
                    id: *id,
                    priority: link.priority,
                    cost: link.cost(),
                    round_trip: link.round_trip,
                    suspect: link.suspect,
                })
                .collect(),
        })
    }

    /// The known paths.
    pub fn paths(&self) -> impl Iterator<Item = (&NodeKey, &KnownPath)> {
        self.paths.iter()
    }

    /// The key behind an address, if it is known.
    #[must_use]
    pub fn resolve(&self, target: &Target) -> Option<NodeKey> {
        self.keys.find(target)
    }

    /// Keys with a session, and since when.
    pub fn sessions(&self) -> impl Iterator<Item = (NodeKey, Instant)> {
        self.contacts.sessions()
    }

    /// The data half's sessions.
    pub const fn session_table(&self) -> &S {
        &self.sessions
    }

    /// The data half's sessions, for a driver that keeps them here.
    pub const fn session_table_mut(&mut self) -> &mut S {
        &mut self.sessions
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Sizes of what the node keeps, for the checkers of the simulator.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            infos: self.tree.info_count(),
            links: self.tree.link_count(),
            sessions: self.contacts.session_count(),
            paths: self.paths.iter().count(),
            lookups: self.paths.lookup_count(),
            keys: self.keys.len(),
            requests: self.extensions.sizes().0,
            correspondents: self.extensions.sizes().1,
            waiting: self.unresolved.len().max(self.undelivered.len()),
        }
    }
}

/// A neighbour, as others may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourReport {
    /// Its key.
    pub key: NodeKey,
    /// Our number for it.
    pub port: u64,
    /// Its links.
    pub links: Vec<LinkReport>,
}

/// A link, as others may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkReport {
    /// Its name.
    pub id: LinkId,
    /// Smaller is better.
    pub priority: u8,
    /// Milliseconds of smoothed round trip, at least 1; 4294 while unknown.
    pub cost: u64,
    /// Smoothed round trip; a first sample counts double.
    pub round_trip: Option<Duration>,
    /// It owes an answer for too long.
    pub suspect: bool,
}

/// How much a node keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Tree edges.
    pub infos: usize,
    /// Links.
    pub links: usize,
    /// Sessions.
    pub sessions: usize,
    /// Paths.
    pub paths: usize,
    /// Lookups under way.
    pub lookups: usize,
    /// Keys that addresses and subnets lead to.
    pub keys: usize,
    /// Requests to other nodes that wait for an answer.
    pub requests: usize,
    /// Keys that such requests came from or may go to.
    pub correspondents: usize,
    /// Destinations that packets wait for: a key, or a path and a session, whichever are more.
    pub waiting: usize,
}
