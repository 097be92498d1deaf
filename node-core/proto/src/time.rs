//! Time as the core sees it: numbers handed in, never read from a clock.
//!
//! [`Instant`] counts microseconds since an arbitrary start chosen by the caller and never runs
//! backwards. [`Now`] adds the wall clock, which may jump and is used only where the protocol puts
//! UNIX seconds on the wire.

use core::{
    fmt,
    ops::{Add, Sub},
};

pub use core::time::Duration;

/// A point on the caller's monotonic clock, in microseconds since its start.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const START: Self = Self(0);

    /// The instant `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of the clock, some 584,000 years after its start.
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// Saturates at the start of the clock.
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Both clocks at one moment, as every input of the core carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time.
    pub mono: Instant,
    /// Wall clock, seconds since the UNIX epoch.
    pub unix_s: u64,
}

/// Versions of what is said on the wire: the wall clock's seconds, but never less than before.
///
/// While the wall clock is behind, each of its seconds counts as one more. So however much is said,
/// versions do not run away from the clock, and what is said twice within a second has one version,
/// as the protocol has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Versions {
    last: u64,
    /// What the wall clock showed when `last` was chosen.
    at_unix_s: Option<u64>,
}

impl Versions {
    /// Versions that begin at `first` or later.
    pub(crate) const fn starting_at(first: u64) -> Self {
        Self { last: first.saturating_sub(1), at_unix_s: None }
    }

    /// The version of something said now.
    pub(crate) fn at(&mut self, now: Now) -> u64 {
        if self.at_unix_s != Some(now.unix_s) {
            self.at_unix_s = Some(now.unix_s);
            self.last = now.unix_s.max(self.last.saturating_add(1));
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_the_clock_and_never_fall() {
        let mut versions = Versions::starting_at(0);
        let mut at = |unix_s| versions.at(Now { mono: Instant::START, unix_s });
        assert_eq!([at(100), at(100), at(103)], [100, 100, 103]);
        // Set back by a minute: one more for each second, however often it is asked.
        assert_eq!([at(43), at(43), at(44), at(44)], [104, 104, 105, 105]);
        assert_eq!(at(200), 200);
        let mut restarted = Versions::starting_at(201);
        assert_eq!(restarted.at(Now { mono: Instant::START, unix_s: 200 }), 201);
    }
}
