//! Lookups under way and the paths they found (chapters 5.6 to 5.8).
//!
//! A path is kept while traffic from its key arrives; the data half notes when that was, and expiry
//! asks it. A lookup repeats itself with growing gaps until it is answered. Unlike the reference,
//! an answer with the coordinates already known counts as news that the path is alive.

use std::collections::BTreeMap;

use crate::{
    identity::{NodeKey, PartialKey},
    limits::{COORDS_MAX, LOOKUP_GAP, LOOKUP_RETRIES, LOOKUPS_MAX, PATH_TIMEOUT, PATHS_MAX},
    time::Instant,
    wire::{Coords, PathNotify},
};

/// Where a key is, as it last said itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPath {
    /// Its coordinates.
    pub coords: Coords,
    /// Version: its UNIX time in seconds when it answered.
    pub seq: u64,
    /// When the path was found.
    pub since: Instant,
    /// A packet got stuck on the way, and no newer answer has come.
    pub broken: bool,
    expires: Instant,
}

/// A search that may still be answered.
#[derive(Clone, Debug)]
struct Lookup {
    /// What was searched for, full or partial.
    target: NodeKey,
    /// When it last went out to somebody, which repetitions count from. Forgotten when it may go
    /// out anew.
    sent_at: Option<Instant>,
    /// How often it was repeated since it was last asked for.
    repeats: u32,
    answered: bool,
    expires: Instant,
}

/// What an answer was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: stale, forged or not asked for.
    Ignored,
    /// The path is as known.
    Confirmed,
    /// The path is new or has changed.
    Changed {
        /// Whose path was forgotten to make room for it.
        displaced: Option<NodeKey>,
    },
}

/// See the module.
#[derive(Default)]
pub(crate) struct Paths {
    paths: BTreeMap<NodeKey, KnownPath>,
    lookups: BTreeMap<PartialKey, Lookup>,
}

impl Paths {
    pub(crate) fn get(&self, key: &NodeKey) -> Option<&KnownPath> {
        self.paths.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&NodeKey, &KnownPath)> {
        self.paths.iter()
    }

    pub(crate) fn lookup_count(&self) -> usize {
        self.lookups.len()
    }

    /// Somebody wants to know where `target` is. Returns whether a lookup may go out now.
    pub(crate) fn want(&mut self, target: NodeKey, now: Instant) -> bool {
        let transformed = target.transform();
        if !self.lookups.contains_key(&transformed) && self.lookups.len() >= LOOKUPS_MAX {
            let oldest = self.lookups.iter().min_by_key(|(_, lookup)| lookup.expires);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.lookups.remove(&key);
            }
        }
        let expires = now + PATH_TIMEOUT;
        let lookup = self.lookups.entry(transformed).or_insert(Lookup {
            target,
            sent_at: None,
            repeats: 0,
            answered: false,
            expires,
        });
        lookup.target = target;
        lookup.repeats = 0;
        lookup.answered = false;
        lookup.expires = expires;
        let may_go = lookup.sent_at.is_none_or(|at| now >= at + LOOKUP_GAP);
        if may_go {
            // Nobody may be there to take it. Counted from a time that is long over, all
            // repetitions would be due at once.
            lookup.sent_at = None;
        }
        may_go
    }

    /// The lookup for `target` went out to somebody.
    pub(crate) fn sent(&mut self, target: &NodeKey, now: Instant) {
        if let Some(lookup) = self.lookups.get_mut(&target.transform()) {
            lookup.sent_at = Some(now);
        }
    }

    /// Targets whose lookup is due for a repetition.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<NodeKey> {
        let mut due = Vec::new();
        for lookup in self.lookups.values_mut() {
            if lookup.next_repeat().is_some_and(|at| at <= now) {
                lookup.repeats += 1;
                due.push(lookup.target);
            }
        }
        due
    }

    /// Targets without an answer that may be found now that more is reachable. Those whose last
    /// lookup is too recent are due as soon as they may.
    pub(crate) fn open(&mut self, now: Instant) -> Vec<NodeKey> {
        let mut open = Vec::new();
        for lookup in self.lookups.values_mut().filter(|lookup| !lookup.answered) {
            if lookup.sent_at.is_none_or(|at| now >= at + LOOKUP_GAP) {
                open.push(lookup.target);
            } else {
                lookup.repeats = 0;
            }
        }
        open
    }

    /// Takes an answer that arrived here (chapter 5.6). Costs a verification only for answers that
    /// were asked for.
    pub(crate) fn handle_notify(&mut self, notify: &PathNotify, now: Instant) -> Verdict {
        if notify.coords.ports().len() > COORDS_MAX {
            return Verdict::Ignored;
        }
        let known = self.paths.get(&notify.source);
        let acceptable = match known {
            Some(path) => notify.seq > path.seq,
            None => self.lookups.contains_key(&notify.source.transform()),
        };
        if !acceptable || !notify.is_authentic() {
            return Verdict::Ignored;
        }
        if let Some(lookup) = self.lookups.get_mut(&notify.source.transform()) {
            lookup.answered = true;
        }
        let unchanged = known.is_some_and(|path| path.coords == notify.coords);
        let since = known.map_or(now, |path| path.since);
        let mut displaced = None;
        if known.is_none() && self.paths.len() >= PATHS_MAX {
            let oldest = self.paths.iter().min_by_key(|(_, path)| path.expires);
            displaced = oldest.map(|(key, _)| *key);
        }
        if let Some(key) = &displaced {
            self.paths.remove(key);
        }
        let path = KnownPath {
            coords: notify.coords.clone(),
            seq: notify.seq,
            since,
            broken: false,
            expires: now + PATH_TIMEOUT,
        };
        self.paths.insert(notify.source, path);
        if unchanged { Verdict::Confirmed } else { Verdict::Changed { displaced } }
    }

    /// A packet for `dest` got stuck. Returns whether a lookup may go out.
    pub(crate) fn handle_broken(&mut self, dest: &NodeKey, now: Instant) -> bool {
        let Some(path) = self.paths.get_mut(dest) else { return false };
        path.broken = true;
        self.want(*dest, now)
    }

    /// A handshake of `key` arrived: its path is alive unless it is broken.
    pub(crate) fn touch(&mut self, key: &NodeKey, now: Instant) {
        if let Some(path) = self.paths.get_mut(key)
            && !path.broken
        {
            path.expires = now + PATH_TIMEOUT;
        }
    }

    /// Forgets what nobody used. `last_heard` tells when traffic of a key last arrived. Returns the
    /// keys whose paths are gone.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        last_heard: impl Fn(&NodeKey) -> Option<Instant>,
    ) -> Vec<NodeKey> {
        self.lookups.retain(|_, lookup| now < lookup.expires);
        let mut gone = Vec::new();
        self.paths.retain(|key, path| {
            if now >= path.expires && !path.broken {
                let heard = last_heard(key).map(|at| at + PATH_TIMEOUT);
                path.expires = path.expires.max(heard.unwrap_or(path.expires));
            }
            let alive = now < path.expires;
            if !alive {
                gone.push(*key);
            }
            alive
        });
        gone
    }

    /// When [`Self::expire`] or [`Self::due`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let lookups = self
            .lookups
            .values()
            .flat_map(|lookup| lookup.next_repeat().into_iter().chain([lookup.expires]));
        self.paths.values().map(|path| path.expires).chain(lookups).min()
    }
}

impl Lookup {
    fn next_repeat(&self) -> Option<Instant> {
        let at = self.sent_at.filter(|_| !self.answered)?;
        (self.repeats < LOOKUP_RETRIES).then(|| at + LOOKUP_GAP * (1 << self.repeats))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    const CHANGED: Verdict = Verdict::Changed { displaced: None };

    fn notify(identity: &Identity, seq: u64, ports: &[u64]) -> PathNotify {
        let coords = Coords::from(ports.to_vec());
        PathNotify {
            path: Coords::default(),
            watermark: 0,
            source: identity.key(),
            dest: NodeKey::from_bytes([0; 32]),
            seq,
            sig: PathNotify::sign(identity, seq, &coords),
            coords,
        }
    }

    fn key(number: usize) -> NodeKey {
        let mut bytes = [0xff; 32];
        bytes[..4].copy_from_slice(&(number as u32 + 1).to_be_bytes());
        NodeKey::from_bytes(bytes)
    }

    impl Paths {
        /// Puts in paths to nowhere, as many as there is room for.
        pub(crate) fn fill(&mut self, now: Instant) {
            let path = KnownPath {
                coords: Coords::default(),
                seq: 1,
                since: now,
                broken: false,
                expires: now + PATH_TIMEOUT,
            };
            for number in 0..PATHS_MAX - self.paths.len() {
                self.paths.insert(key(number), path.clone());
            }
        }
    }

    const fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    #[test]
    fn only_answers_that_were_asked_for_and_signed_are_taken() {
        let far = Identity::from_seed(&[1; 32]);
        let mut paths = Paths::default();
        assert_eq!(paths.handle_notify(&notify(&far, 5, &[1]), at(0)), Verdict::Ignored);
        assert!(paths.want(far.key().address().partial_key().as_key(), at(0)));
        let mut forged = notify(&far, 5, &[1]);
        forged.seq = 6;
        assert_eq!(paths.handle_notify(&forged, at(0)), Verdict::Ignored);
        assert_eq!(paths.handle_notify(&notify(&far, 5, &[1]), at(0)), CHANGED);
        assert_eq!(paths.handle_notify(&notify(&far, 5, &[2]), at(0)), Verdict::Ignored);
        assert_eq!(paths.handle_notify(&notify(&far, 6, &[1]), at(0)), Verdict::Confirmed);
        assert_eq!(paths.handle_notify(&notify(&far, 7, &[2]), at(0)), CHANGED);
    }

    #[test]
    fn one_lookup_a_second_and_repeats_with_growing_gaps() {
        let target = NodeKey::from_bytes([9; 32]);
        let mut paths = Paths::default();
        assert!(paths.want(target, at(0)));
        // Nobody was there to hear it, so it may go out at any time.
        assert!(paths.want(target, at(0)));
        paths.sent(&target, at(0));
        assert!(!paths.want(target, at(0)));
        assert_eq!(paths.due(at(1)), [target]);
        paths.sent(&target, at(1));
        assert!(paths.due(at(2)).is_empty());
        assert_eq!(paths.due(at(3)), [target]);
    }

    /// The simulator saw it: a node that is cut off and asks again after a pause woke up for each
    /// repetition in turn.
    #[test]
    fn a_lookup_that_reaches_nobody_any_more_waits_for_news() {
        let target = NodeKey::from_bytes([9; 32]);
        let mut paths = Paths::default();
        assert!(paths.want(target, at(0)));
        paths.sent(&target, at(0));
        assert!(paths.want(target, at(30)));
        assert_eq!(paths.next_timeout(), Some(at(30) + PATH_TIMEOUT));
        assert!(paths.due(at(31)).is_empty());
        assert_eq!(paths.open(at(31)), [target]);
    }

    #[test]
    fn a_lookup_stays_open_until_it_is_answered() {
        let far = Identity::from_seed(&[1; 32]);
        let mut paths = Paths::default();
        paths.want(far.key(), at(0));
        assert_eq!(paths.open(at(0)), [far.key()]);
        paths.sent(&far.key(), at(0));
        assert!(paths.open(at(0)).is_empty());
        assert_eq!(paths.open(at(1)), [far.key()]);
        paths.handle_notify(&notify(&far, 5, &[1]), at(1));
        assert!(paths.open(at(2)).is_empty() && paths.due(at(2)).is_empty());
        // Broken paths are searched for anew.
        assert!(paths.handle_broken(&far.key(), at(3)));
        assert_eq!(paths.open(at(3)), [far.key()]);
    }

    #[test]
    fn news_of_the_network_make_a_patient_lookup_due_again() {
        let target = NodeKey::from_bytes([9; 32]);
        let mut paths = Paths::default();
        paths.want(target, at(0));
        for now in [0, 1, 3] {
            paths.sent(&target, at(now));
            assert_eq!(paths.due(at(2 * now + 1)), [target]);
        }
        paths.sent(&target, at(7));
        assert!(paths.due(at(8)).is_empty(), "the gap has grown");
        assert!(paths.open(at(7)).is_empty(), "too soon");
        assert_eq!(paths.due(at(8)), [target]);
    }

    #[test]
    fn a_path_lives_while_traffic_arrives_unless_it_is_broken() {
        let far = Identity::from_seed(&[1; 32]);
        let mut paths = Paths::default();
        paths.want(far.key(), at(0));
        paths.handle_notify(&notify(&far, 5, &[1]), at(0));
        assert!(paths.expire(at(61), |_| Some(at(30))).is_empty());
        assert!(paths.handle_broken(&far.key(), at(62)));
        assert_eq!(paths.expire(at(91), |_| Some(at(89))), [far.key()]);
        assert!(!paths.handle_broken(&far.key(), at(92)));
    }

    #[test]
    fn the_oldest_path_makes_room_and_is_named() {
        let far = Identity::from_seed(&[1; 32]);
        let mut paths = Paths::default();
        let oldest = Identity::from_seed(&[2; 32]);
        paths.want(oldest.key(), at(0));
        assert_eq!(paths.handle_notify(&notify(&oldest, 5, &[1]), at(0)), CHANGED);
        paths.fill(at(1));
        paths.want(far.key(), at(2));
        let verdict = paths.handle_notify(&notify(&far, 5, &[1]), at(2));
        assert_eq!(verdict, Verdict::Changed { displaced: Some(oldest.key()) });
        assert!(paths.get(&oldest.key()).is_none() && paths.get(&far.key()).is_some());
        assert_eq!(paths.paths.len(), PATHS_MAX);
        // A known path needs no room.
        let verdict = paths.handle_notify(&notify(&far, 6, &[2]), at(2));
        assert_eq!(verdict, Verdict::Changed { displaced: None });
    }

    #[test]
    fn the_oldest_lookup_makes_room() {
        let mut paths = Paths::default();
        for number in 0..LOOKUPS_MAX {
            paths.want(key(number), at(if number == 5 { 0 } else { 1 }));
        }
        paths.want(key(0), at(2));
        assert!(paths.lookups.contains_key(&key(5).transform()), "an old one needs no room");
        paths.want(key(LOOKUPS_MAX), at(2));
        assert_eq!(paths.lookups.len(), LOOKUPS_MAX);
        assert!(!paths.lookups.contains_key(&key(5).transform()));
        assert!(paths.lookups.contains_key(&key(LOOKUPS_MAX).transform()));
    }
}
