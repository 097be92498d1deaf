//! When a chosen peer is given up for another: only after lasting failure, and one at a time.
//!
//! A peer has failed for good when it was down for [`DOWN_MAX`] of time in which this computer had
//! a network, and was dialled [`TRIES_MIN`] times in that time. Between two replacements lies
//! [`BETWEEN`]. The person's own peers are never looked at, nor are paused ones.
//!
//! Time and everything else comes in as an argument; whoever calls looks about once a minute, and a
//! gap in the looks (the computer slept) counts as one look.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a peer must be down: longer than an operator's update and restart.
pub const DOWN_MAX: Duration = Duration::from_secs(15 * 60);

/// How often it must have been dialled meanwhile.
pub const TRIES_MIN: u64 = 10;

/// Time between two replacements.
pub const BETWEEN: Duration = Duration::from_secs(3_600);

/// Most that one look counts.
const LOOK_MAX: Duration = Duration::from_secs(120);

/// A chosen peer at the moment of a look.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What names it.
    pub name: String,
    /// Whether its link is up.
    pub up: bool,
    /// How often it was dialled, counted from some point.
    pub attempts: u64,
}

/// What the looks so far have shown.
#[derive(Debug, Default)]
pub struct Watch {
    looked: Option<Instant>,
    failing: BTreeMap<String, Failing>,
    replaced: Option<Instant>,
    /// Whom nothing could be found for, and when.
    searched: Option<Instant>,
}

/// A peer that is down.
#[derive(Clone, Copy, Debug)]
struct Failing {
    /// For how long, while there was a network.
    down: Duration,
    tries: u64,
    attempts: u64,
}

impl Watch {
    /// Takes in a look; returns the peer that is to be replaced, if there is one.
    ///
    /// `network` says whether this computer has a way out: another link is up, or it has an address
    /// of its own.
    pub fn look(&mut self, peers: &[Seen], network: bool, now: Instant) -> Option<String> {
        let before = self.looked.replace(now).unwrap_or(now);
        let passed = now.saturating_duration_since(before).min(LOOK_MAX);
        self.failing.retain(|name, _| peers.iter().any(|peer| peer.name == *name && !peer.up));
        for peer in peers.iter().filter(|peer| !peer.up) {
            let begun = Failing { down: Duration::ZERO, tries: 0, attempts: peer.attempts };
            let known = self.failing.contains_key(&peer.name);
            let failing = self.failing.entry(peer.name.clone()).or_insert(begun);
            if known && network {
                failing.down += passed;
                // A peer that was added anew counts from zero.
                failing.tries += peer.attempts.saturating_sub(failing.attempts);
            }
            failing.attempts = peer.attempts;
        }
        let recent = |then: Option<Instant>, gap| {
            then.is_some_and(|then| now.saturating_duration_since(then) < gap)
        };
        if !network || recent(self.replaced, BETWEEN) || recent(self.searched, DOWN_MAX) {
            return None;
        }
        let lasting = self
            .failing
            .iter()
            .filter(|(_, failing)| failing.down >= DOWN_MAX && failing.tries >= TRIES_MIN);
        lasting.max_by_key(|(_, failing)| failing.down).map(|(name, _)| name.clone())
    }

    /// How long a peer has been down while there was a network.
    #[must_use]
    pub fn down_for(&self, name: &str) -> Duration {
        self.failing.get(name).map_or(Duration::ZERO, |failing| failing.down)
    }

    /// A peer was replaced.
    pub fn note_replaced(&mut self, name: &str, now: Instant) {
        self.failing.remove(name);
        self.replaced = Some(now);
    }

    /// Nothing was found to replace a peer with: the search is not repeated at once.
    pub fn note_searched(&mut self, now: Instant) {
        self.searched = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock and the looks at it.
    struct Trial {
        watch: Watch,
        now: Instant,
        attempts: u64,
    }

    impl Trial {
        fn new() -> Self {
            Self { watch: Watch::default(), now: Instant::now(), attempts: 0 }
        }

        /// Looks once a minute; returns the first name that is given.
        fn minutes(&mut self, minutes: u64, up: &[(&str, bool)], network: bool) -> Option<String> {
            (0..minutes).find_map(|_| {
                self.now += Duration::from_secs(60);
                self.attempts += 1;
                let seen = |(name, up): &(&str, bool)| Seen {
                    name: (*name).to_owned(),
                    up: *up,
                    attempts: self.attempts,
                };
                let seen: Vec<_> = up.iter().map(seen).collect();
                self.watch.look(&seen, network, self.now)
            })
        }
    }

    #[test]
    fn peer_that_is_down_for_a_quarter_of_an_hour_is_given_up() {
        let mut trial = Trial::new();
        assert_eq!(trial.minutes(15, &[("a", false), ("b", true)], true), None);
        assert_eq!(trial.minutes(1, &[("a", false), ("b", true)], true).unwrap(), "a");
        assert_eq!(trial.watch.down_for("a"), DOWN_MAX);
    }

    #[test]
    fn peer_that_comes_back_begins_anew() {
        let mut trial = Trial::new();
        for _ in 0..10 {
            assert_eq!(trial.minutes(14, &[("a", false)], true), None);
            assert_eq!(trial.minutes(1, &[("a", true)], true), None);
        }
    }

    #[test]
    fn time_without_a_network_does_not_count() {
        let mut trial = Trial::new();
        assert_eq!(trial.minutes(600, &[("a", false)], false), None);
        assert_eq!(trial.minutes(14, &[("a", false)], true), None);
        assert!(trial.minutes(2, &[("a", false)], true).is_some());
    }

    #[test]
    fn peer_that_was_hardly_dialled_is_kept() {
        let mut trial = Trial::new();
        for minute in 0..120 {
            trial.now += Duration::from_secs(60);
            let seen = Seen { name: "a".into(), up: false, attempts: minute / 20 };
            assert_eq!(trial.watch.look(&[seen], true, trial.now), None);
        }
    }

    #[test]
    fn sleep_of_the_computer_counts_as_one_look() {
        let mut trial = Trial::new();
        trial.minutes(2, &[("a", false)], true);
        trial.now += Duration::from_secs(86_400);
        trial.attempts += 100;
        assert_eq!(trial.minutes(11, &[("a", false)], true), None);
        assert!(trial.minutes(3, &[("a", false)], true).is_some());
    }

    #[test]
    fn one_an_hour_is_replaced_and_the_longest_down_first() {
        let mut trial = Trial::new();
        trial.minutes(3, &[("a", true), ("b", false)], true);
        let both = [("a", false), ("b", false)];
        assert_eq!(trial.minutes(20, &both, true).unwrap(), "b");
        trial.watch.note_replaced("b", trial.now);
        assert_eq!(trial.minutes(59, &[("a", false), ("c", true)], true), None);
        assert_eq!(trial.minutes(1, &[("a", false), ("c", true)], true).unwrap(), "a");
    }

    #[test]
    fn vain_search_is_not_repeated_at_once() {
        let mut trial = Trial::new();
        assert!(trial.minutes(20, &[("a", false)], true).is_some());
        trial.watch.note_searched(trial.now);
        assert_eq!(trial.minutes(14, &[("a", false)], true), None);
        assert!(trial.minutes(1, &[("a", false)], true).is_some());
    }

    #[test]
    fn peer_that_is_gone_is_forgotten() {
        let mut trial = Trial::new();
        trial.minutes(14, &[("a", false)], true);
        trial.minutes(1, &[], true);
        assert_eq!(trial.minutes(14, &[("a", false)], true), None);
        assert!(trial.watch.failing.len() == 1);
    }
}
