//! The root of the tree, and how often it changes.
//!
//! Everybody's root is the node with the highest claim; a new one comes now and then, and all nodes
//! look for their places again. When that happens often, somebody is fighting for it or keeps
//! coming and going, and traffic stumbles each time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use planetary_ipc::Severity;
use planetary_proto::identity::NodeKey;

use super::Facts;
use crate::health::Condition;

/// The time over which changes are counted.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// So many changes within [`WINDOW`] are worth telling.
const CHANGES_MIN: usize = 3;

/// No more changes are counted.
const CHANGES_MAX: usize = 100;

/// Counts changes of the root.
pub(super) struct RootWatch {
    own: NodeKey,
    /// The last root that was another node.
    last: Option<NodeKey>,
    changes: VecDeque<Instant>,
}

impl RootWatch {
    pub(super) fn new(own: NodeKey) -> Self {
        Self { own, last: None, changes: VecDeque::new() }
    }

    /// Takes in the root of this moment, returns how often it has changed lately. A node that is
    /// its own root has lost its links, which is no change of the root.
    pub(super) fn see(&mut self, root: Option<NodeKey>, now: Instant) -> usize {
        if let Some(root) = root.filter(|root| *root != self.own) {
            if self.last.is_some_and(|last| last != root) {
                self.changes.push_back(now);
            }
            self.last = Some(root);
        }
        let old = |at: &Instant| now.saturating_duration_since(*at) > WINDOW;
        while self.changes.front().is_some_and(old) || self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.len()
    }
}

pub(super) fn root_changes(facts: &Facts) -> Option<Condition> {
    (facts.root_changes >= CHANGES_MIN).then(|| Condition {
        code: "root_changes",
        severity: Severity::Info,
        title: "The root of the network changes often".to_owned(),
        text: format!(
            "It changed {} times within ten minutes; traffic stumbles each time.",
            facts.root_changes
        ),
        action: Some("Nothing can be done here; links to friends suffer least.".to_owned()),
        affects_connectivity: false,
        may_pass: false,
    })
}

#[cfg(test)]
mod tests {
    use planetary_proto::identity::Identity;

    use super::*;

    fn key(seed: u8) -> NodeKey {
        Identity::from_seed(&[seed; 32]).key()
    }

    #[test]
    fn changes_are_counted_for_ten_minutes_and_losing_all_links_is_none() {
        let start = Instant::now();
        let mut watch = RootWatch::new(key(1));
        let mut see = |seconds: u64, root: Option<u8>| {
            watch.see(root.map(key), start + Duration::from_secs(seconds))
        };
        assert_eq!(see(0, None), 0);
        assert_eq!(see(1, Some(1)), 0, "its own root, before the first link");
        assert_eq!(see(2, Some(5)), 0);
        assert_eq!(see(3, Some(1)), 0);
        assert_eq!(see(4, Some(5)), 0, "back at the same");
        assert_eq!(see(100, Some(6)), 1);
        assert_eq!(see(200, Some(5)), 2);
        assert_eq!(see(700, Some(5)), 2);
        assert_eq!(see(701, Some(5)), 1);
        assert_eq!(see(900, None), 0);
    }
}
