//! What was learnt by exploring, bounded in number and in time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use planetary_proto::identity::NodeKey;

/// How long it is kept: long enough to walk on from it, short enough that the map shows the network
/// as it is.
pub const AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// Nodes that are remembered. One more makes the oldest go. Ten minutes at one node a second would
/// be 600; the map of a person's walk is smaller.
pub const NODES_MAX: usize = 256;

/// Peers of all of them together: 512 kB of keys. Beyond it the oldest nodes go.
pub const LINKS_MAX: usize = 16_384;

/// What was learnt of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// When.
    pub at: Instant,
    /// How long an answer took.
    pub round_trip: Option<Duration>,
    /// The nodes that it has links to, by its own word.
    pub peers: Vec<NodeKey>,
}

/// What was learnt of all of them.
#[derive(Debug, Default)]
pub struct Memory {
    nodes: BTreeMap<NodeKey, Learnt>,
    revision: u64,
}

impl Memory {
    /// Keeps what was learnt of a node, in place of what was known of it.
    pub fn keep(&mut self, key: NodeKey, learnt: Learnt) {
        self.nodes.insert(key, learnt);
        while self.nodes.len() > NODES_MAX || self.links() > LINKS_MAX {
            let oldest = self.nodes.iter().min_by_key(|(_, learnt)| learnt.at);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            self.nodes.remove(&oldest);
        }
        self.revision += 1;
    }

    /// Forgets what is too old.
    pub fn forget_old(&mut self, now: Instant) {
        let before = self.nodes.len();
        self.nodes.retain(|_, learnt| now.saturating_duration_since(learnt.at) < AGE_MAX);
        self.revision += u64::from(self.nodes.len() != before);
    }

    /// What is remembered, in the order of keys.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeKey, &Learnt)> {
        self.nodes.iter()
    }

    /// Grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn links(&self) -> usize {
        self.nodes.values().map(|learnt| learnt.peers.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> NodeKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        NodeKey::from_bytes(key)
    }

    fn learnt(at: Instant, peers: usize) -> Learnt {
        Learnt { at, round_trip: None, peers: (0..peers).map(key).collect() }
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let start = Instant::now();
        let mut memory = Memory::default();
        for number in 0..NODES_MAX + 10 {
            memory.keep(key(number), learnt(start + Duration::from_secs(number as u64), 1));
        }
        let kept: Vec<_> = memory.nodes().map(|(key, _)| *key).collect();
        assert_eq!((kept.len(), kept[0]), (NODES_MAX, key(10)));
        // One that names many makes room for itself.
        memory.keep(key(0), learnt(start + Duration::from_secs(10_000), LINKS_MAX - 3));
        assert!(memory.links() <= LINKS_MAX && memory.nodes().any(|(at, _)| *at == key(0)));
        assert_eq!(memory.nodes().count(), 4);
        assert_eq!(memory.revision(), NODES_MAX as u64 + 11);
    }

    #[test]
    fn old_news_are_forgotten_and_that_is_told() {
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.keep(key(1), learnt(start, 1));
        memory.keep(key(2), learnt(start + Duration::from_secs(9), 1));
        memory.forget_old(start + AGE_MAX - Duration::from_secs(1));
        assert_eq!((memory.nodes().count(), memory.revision()), (2, 2));
        memory.forget_old(start + AGE_MAX);
        assert_eq!((memory.nodes().count(), memory.revision()), (1, 3));
        memory.keep(key(2), learnt(start + AGE_MAX, 0));
        assert_eq!(memory.nodes().next().unwrap().1.peers, []);
    }
}
