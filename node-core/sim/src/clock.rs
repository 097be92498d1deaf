//! A host's clocks, made from virtual time.
//!
//! The simulator counts virtual time from zero. No host sees it: each has a monotonic clock that
//! began at some other moment, as the clock of a computer began when it was switched on, and a wall
//! clock that is a little off and may be set. So a node that compares its times with anybody
//! else's, or trusts the wall clock, fails here first.

use planetary_proto::{Instant, Now, time::Duration};

/// UNIX time at virtual zero.
const EPOCH_S: u64 = 1_700_000_000;

/// The clocks of one host since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// How far the monotonic clock is ahead of virtual time.
    lead: Duration,
    /// How many seconds the wall clock is wrong by.
    skew_s: i64,
}

impl Clock {
    pub(crate) const fn new(lead: Duration, skew_s: i64) -> Self {
        Self { lead, skew_s }
    }

    /// Both clocks at the virtual time `at`.
    pub(crate) fn now(&self, at: Instant) -> Now {
        let unix_s = EPOCH_S + at.as_micros() / 1_000_000;
        Now { mono: at + self.lead, unix_s: unix_s.saturating_add_signed(self.skew_s) }
    }

    /// The virtual time at which the monotonic clock shows `mono`.
    pub(crate) fn to_virtual(self, mono: Instant) -> Instant {
        mono - self.lead
    }

    /// The same wall clock beside a fresh monotonic one.
    pub(crate) const fn restarted(&self, lead: Duration) -> Self {
        Self { lead, skew_s: self.skew_s }
    }

    /// Sets the wall clock forth, or back.
    pub(crate) const fn step(&mut self, seconds: i64) {
        self.skew_s = self.skew_s.saturating_add(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_may_be_set_and_the_other_never() {
        let mut clock = Clock::new(Duration::from_secs(77), -5);
        let at = Instant::from_micros(3_500_000);
        let before = clock.now(at);
        clock.step(-3600);
        let after = clock.now(at);
        assert_eq!(before.mono, after.mono);
        assert_eq!(before.unix_s, EPOCH_S + 3 - 5);
        assert_eq!(after.unix_s, before.unix_s - 3600);
        assert_eq!(clock.to_virtual(after.mono), at);
    }
}
