//! Destinations that are kept warm: session and path outlive silence at both ends, so that the
//! first packet after an idle hour is as quick as the one before it.
//!
//! A key becomes warm when its session falls silent, if this node has called it and said something
//! not long ago. While it is warm its session is greeted before it would end, and the answer keeps
//! session and path of both ends, stock ones included. A session that ends all the same is looked
//! for at growing gaps, and at once when this machine has slept or its network has changed.
//!
//! ```text
//!   (none) -- silence --> [warm] -- no answer --> [missing] -- found and greeted --> [warm]
//!      ^                    |                         |
//!      +--- not used for a day, or others are more worth it
//! ```

use std::{cmp::Reverse, collections::BTreeMap};

use super::Standing;
use crate::{
    identity::NodeKey,
    limits::{WARM_MAX, WARM_RETRY, WARM_RETRY_MAX, WARM_TIME, WARM_TIME_OTHERS},
    time::{Duration, Instant},
};

/// See the module.
#[derive(Default)]
pub(crate) struct Warm {
    /// Nothing is kept warm: bytes cost money here.
    is_off: bool,
    kept: BTreeMap<NodeKey, Kept>,
}

/// One of them.
struct Kept {
    standing: Standing,
    /// When something was last said to it for another reason than to keep it warm.
    used: Instant,
    missing: Option<Missing>,
}

/// A session that has ended and is looked for.
struct Missing {
    retry_at: Instant,
    gap: Duration,
}

impl Kept {
    /// Friends first, then those used last.
    const fn worth(&self) -> (Standing, Instant) {
        (self.standing, self.used)
    }

    fn ends_at(&self) -> Instant {
        let is_friend = self.standing >= Standing::Welcome;
        self.used + if is_friend { WARM_TIME } else { WARM_TIME_OTHERS }
    }
}

impl Warm {
    /// Keeps destinations warm, or none from here on.
    pub(crate) fn set(&mut self, is_on: bool) {
        self.is_off = !is_on;
        if self.is_off {
            self.kept.clear();
        }
    }

    /// The session of `key` is silent; something was last said in it at `used`. Returns whether it
    /// is to be kept. Only those that were called come in.
    pub(crate) fn consider(
        &mut self,
        key: NodeKey,
        standing: Standing,
        was_called: bool,
        used: Option<Instant>,
        now: Instant,
    ) -> bool {
        let known = self.kept.get(&key);
        let used = used.into_iter().chain(known.map(|kept| kept.used)).max();
        let is_candidate = !self.is_off && (was_called || known.is_some());
        let Some(used) = used.filter(|_| is_candidate && standing >= Standing::Wanted) else {
            self.kept.remove(&key);
            return false;
        };
        let kept = Kept { standing, used, missing: None };
        if kept.ends_at() <= now {
            self.kept.remove(&key);
            return false;
        }
        if known.is_none() && self.kept.len() >= WARM_MAX {
            let least = self.kept.iter().min_by_key(|(_, kept)| kept.worth());
            match least.map(|(key, least)| (*key, least.worth())) {
                Some((least, worth)) if worth < kept.worth() => self.kept.remove(&least),
                _ => return false,
            };
        }
        self.kept.insert(key, kept);
        true
    }

    /// All that are kept and have a session.
    pub(crate) fn with_session(&self) -> Vec<NodeKey> {
        let there = self.kept.iter().filter(|(_, kept)| kept.missing.is_none());
        there.map(|(key, _)| *key).collect()
    }

    /// Whether the session of `key` has ended and is looked for.
    pub(crate) fn is_missing(&self, key: &NodeKey) -> bool {
        self.kept.get(key).is_some_and(|kept| kept.missing.is_some())
    }

    /// The session of `key` has ended in silence.
    pub(crate) fn lost(&mut self, key: &NodeKey, now: Instant) {
        if let Some(kept) = self.kept.get_mut(key) {
            kept.missing.get_or_insert(Missing { retry_at: now + WARM_RETRY, gap: WARM_RETRY });
        }
    }

    /// There is a session with `key`.
    pub(crate) fn found(&mut self, key: &NodeKey) {
        if let Some(kept) = self.kept.get_mut(key) {
            kept.missing = None;
        }
    }

    /// The rules have changed. Who is blocked, or a friend no longer, is not called back.
    pub(crate) fn review(&mut self, mut standing: impl FnMut(&NodeKey) -> Standing) {
        self.kept.retain(|key, kept| match standing(key) {
            Standing::Blocked => false,
            standing => standing >= Standing::Welcome || kept.standing < Standing::Welcome,
        });
    }

    /// `key` is of no interest any more.
    pub(crate) fn forget(&mut self, key: &NodeKey) {
        self.kept.remove(key);
    }

    /// What was out of reach may be within it now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for kept in self.kept.values_mut().filter(|kept| kept.missing.is_some()) {
            kept.missing = Some(Missing { retry_at: now, gap: WARM_RETRY });
        }
    }

    /// Whom to look for now, the dearest first. Forgets those that nobody has used for too long.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<NodeKey> {
        self.kept.retain(|_, kept| kept.missing.is_none() || now < kept.ends_at());
        let mut due = Vec::new();
        for (key, kept) in &mut self.kept {
            if let Some(missing) = &mut kept.missing
                && missing.retry_at <= now
            {
                missing.gap = (missing.gap * 2).min(WARM_RETRY_MAX);
                missing.retry_at = now + missing.gap;
                due.push((Reverse(kept.worth()), *key));
            }
        }
        due.sort_unstable();
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// When [`Self::due`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.kept.values().filter_map(|kept| Some(kept.missing.as_ref()?.retry_at)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(number: u8) -> NodeKey {
        NodeKey::from_bytes([number; 32])
    }

    const fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    #[test]
    fn what_was_called_and_used_is_kept_for_a_day_and_a_strangers_for_two_hours() {
        for (standing, lasts) in
            [(Standing::Welcome, WARM_TIME), (Standing::Wanted, WARM_TIME_OTHERS)]
        {
            let mut warm = Warm::default();
            let end = at(10) + lasts;
            assert!(!warm.consider(key(1), standing, true, None, at(50)), "nothing was said");
            assert!(!warm.consider(key(1), standing, false, Some(at(10)), at(50)), "it called");
            assert!(warm.consider(key(1), standing, true, Some(at(10)), at(50)));
            // It stays, whoever begins its next session, in which nothing has been said yet.
            assert!(warm.consider(key(1), standing, false, None, end - Duration::from_secs(1)));
            assert!(!warm.consider(key(1), standing, true, Some(at(10)), end));
            assert_eq!(warm.with_session(), []);
        }
    }

    #[test]
    fn strangers_are_not_kept_and_nobody_where_bytes_cost_money() {
        let mut warm = Warm::default();
        assert!(!warm.consider(key(1), Standing::Guest, true, Some(at(1)), at(50)));
        assert!(warm.consider(key(1), Standing::Welcome, true, Some(at(1)), at(50)));
        warm.set(false);
        assert_eq!(warm.with_session(), []);
        assert!(!warm.consider(key(1), Standing::Welcome, true, Some(at(1)), at(60)));
        warm.set(true);
        assert!(warm.consider(key(1), Standing::Welcome, true, Some(at(1)), at(70)));
    }

    #[test]
    fn friends_and_those_used_last_push_others_out() {
        let mut warm = Warm::default();
        for number in 1..=WARM_MAX as u8 {
            let used = Some(at(100 + u64::from(number)));
            assert!(warm.consider(key(number), Standing::Wanted, true, used, at(200)));
        }
        assert!(!warm.consider(key(99), Standing::Wanted, true, Some(at(100)), at(200)));
        assert!(warm.consider(key(99), Standing::Welcome, true, Some(at(99)), at(200)));
        assert!(!warm.with_session().contains(&key(1)) && warm.with_session().contains(&key(99)));
        assert_eq!(warm.with_session().len(), WARM_MAX);
    }

    #[test]
    fn a_lost_one_is_looked_for_at_growing_gaps_and_at_once_when_there_is_hope() {
        let mut warm = Warm::default();
        warm.consider(key(1), Standing::Welcome, true, Some(at(0)), at(50));
        assert_eq!(warm.next_timeout(), None);
        warm.lost(&key(1), at(60));
        assert!(warm.is_missing(&key(1)) && warm.with_session().is_empty());
        for (looked, next) in [(120, 240), (240, 480), (480, 960)] {
            assert_eq!(warm.due(at(looked)), [key(1)]);
            assert_eq!(warm.next_timeout(), Some(at(next)));
        }
        warm.hurry(at(500));
        assert_eq!(warm.due(at(500)), [key(1)]);
        let mut looks = 0;
        while let Some(next) = warm.next_timeout() {
            looks += warm.due(next).len();
        }
        assert!((24..40).contains(&looks), "{looks} in a day");
        assert!(!warm.is_missing(&key(1)), "given up");
    }

    #[test]
    fn who_is_blocked_or_no_friend_any_more_is_not_called_back() {
        let mut warm = Warm::default();
        let kept = [Standing::Welcome, Standing::Welcome, Standing::Wanted, Standing::Wanted];
        for (number, standing) in (1..).zip(kept) {
            warm.consider(key(number), standing, true, Some(at(0)), at(50));
        }
        let rules = [Standing::Welcome, Standing::Stranger, Standing::Stranger, Standing::Blocked];
        let rules: BTreeMap<NodeKey, Standing> = (1..).map(key).zip(rules).collect();
        warm.review(|key| rules[key]);
        assert_eq!(warm.with_session(), [key(1), key(3)]);
    }

    #[test]
    fn a_found_one_is_not_looked_for() {
        let mut warm = Warm::default();
        warm.consider(key(1), Standing::Welcome, true, Some(at(0)), at(50));
        warm.lost(&key(1), at(60));
        warm.found(&key(1));
        assert_eq!((warm.next_timeout(), warm.with_session()), (None, vec![key(1)]));
        warm.hurry(at(70));
        assert_eq!(warm.due(at(70)), []);
        warm.forget(&key(1));
        assert_eq!(warm.with_session(), []);
    }
}
