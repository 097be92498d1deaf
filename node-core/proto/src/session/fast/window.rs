//! Which counters were seen.

/// Words of 64 counters. One of them is only partly in the window.
const WORDS: u64 = 256;
/// Counters below the highest that are told apart.
const WIDTH: u64 = (WORDS - 1) * 64;

/// The counters of packets that were opened under one key: each is accepted once, in any order, as
/// long as it is less than 16,320 behind the highest. What is older is refused, seen or not.
///
/// The width covers what a fast line carries on one road of a link while a loss holds up the other.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    highest: u64,
    /// A ring: counter `n` is bit `n % 64` of word `n / 64 % WORDS`.
    seen: [u64; WORDS as usize],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplayWindow {
    /// Nothing was seen.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: 0, seen: [0; WORDS as usize] }
    }

    /// The highest counter that was accepted, 0 before the first.
    #[must_use]
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// What [`Self::accept`] would say. Serves to drop replays before they cost an opening; only
    /// packets that opened may be accepted.
    #[must_use]
    pub const fn would_accept(&self, counter: u64) -> bool {
        if counter > self.highest {
            return true;
        }
        counter != 0
            && self.highest - counter < WIDTH
            && self.seen[(counter / 64 % WORDS) as usize] & (1 << (counter % 64)) == 0
    }

    /// Notes the counter of a packet that has opened. Returns whether it is to be taken: it is new.
    #[must_use]
    pub fn accept(&mut self, counter: u64) -> bool {
        if !self.would_accept(counter) {
            return false;
        }
        let word = counter / 64;
        if counter > self.highest {
            let newest = self.highest / 64;
            for stale in newest + 1..=word.min(newest + WORDS) {
                self.seen[(stale % WORDS) as usize] = 0;
            }
            self.highest = counter;
        }
        self.seen[(word % WORDS) as usize] |= 1 << (counter % 64);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_counter_is_taken_once_and_zero_never() {
        let mut window = ReplayWindow::new();
        assert!(!window.would_accept(0) && !window.accept(0));
        for counter in [1, 3, 2, 64, 63, 50_000, 50_000 - WIDTH + 1] {
            assert!(window.would_accept(counter) && window.accept(counter), "{counter}");
            assert!(!window.would_accept(counter) && !window.accept(counter), "{counter}");
        }
        assert!(!window.accept(0));
        assert_eq!(window.highest(), 50_000);
    }

    #[test]
    fn the_window_has_an_end_at_which_nothing_comes_back() {
        const { assert!(WIDTH >= 2048) };
        let mut window = ReplayWindow::new();
        assert!(window.accept(100_000));
        assert!(window.accept(100_001 - WIDTH));
        assert!(!window.accept(100_000 - WIDTH));
        // A leap beyond everything clears it all, and no bit of a former round is left.
        assert!(window.accept(100_000 + WORDS * 64 * 3));
        for back in 1..WIDTH {
            assert!(window.would_accept(100_000 + WORDS * 64 * 3 - back), "{back}");
        }
        assert!(window.accept(u64::MAX));
        assert!(!window.accept(u64::MAX));
    }

    proptest! {
        #[test]
        fn it_says_what_a_set_of_all_counters_says(
            steps in prop::collection::vec((any::<bool>(), 0u64..200, 0u64..40_000), 1..400)
        ) {
            let mut window = ReplayWindow::new();
            let (mut seen, mut highest) = (BTreeSet::new(), 0u64);
            for (is_back, near, far) in steps {
                let step = if near % 10 == 0 { far } else { near };
                let counter =
                    if is_back { highest.saturating_sub(step) } else { highest + step };
                let is_recent = counter > highest || highest - counter < WIDTH;
                let expected = counter != 0 && is_recent && seen.insert(counter);
                prop_assert_eq!(window.would_accept(counter), expected);
                prop_assert_eq!(window.accept(counter), expected);
                highest = highest.max(counter);
            }
        }
    }
}
