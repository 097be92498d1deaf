//! The clocks of this machine, as the core wants them.
//!
//! The monotonic one goes on counting while a laptop sleeps, so that after a wake everything that
//! has timed out is seen to have.

use std::time::{SystemTime, UNIX_EPOCH};

use planetary_proto::time::{Instant, Now};

/// Reads both clocks. Cheap to copy; all copies count from the same start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Reading,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Reading::take() }
    }

    /// Monotonic time since the start. It begins at one second, so that zero can stand for "never"
    /// in atomics.
    #[must_use]
    pub fn mono(&self) -> Instant {
        Instant::from_micros(1_000_000 + Reading::take().micros_since(&self.start))
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.mono(), unix_s: unix.as_secs() }
    }
}

#[cfg(unix)]
mod reading {
    use rustix::time::{ClockId, Timespec, clock_gettime};

    /// Monotonic, and counts through sleep.
    #[cfg(target_os = "macos")]
    const CLOCK: ClockId = ClockId::Monotonic;
    /// Monotonic, and counts through sleep.
    #[cfg(not(target_os = "macos"))]
    const CLOCK: ClockId = ClockId::Boottime;

    #[derive(Clone, Copy, Debug)]
    pub(super) struct Reading(Timespec);

    impl Reading {
        pub(super) fn take() -> Self {
            Self(clock_gettime(CLOCK))
        }

        pub(super) fn micros_since(&self, start: &Self) -> u64 {
            let nanos = i128::from(self.0.tv_sec - start.0.tv_sec) * 1_000_000_000
                + i128::from(self.0.tv_nsec - start.0.tv_nsec);
            u64::try_from(nanos / 1_000).unwrap_or(0)
        }
    }
}

#[cfg(windows)]
mod reading {
    use std::time::Instant;

    /// The standard library's clock, which counts through sleep on Windows.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Reading(Instant);

    impl Reading {
        pub(super) fn take() -> Self {
            Self(Instant::now())
        }

        pub(super) fn micros_since(&self, start: &Self) -> u64 {
            let elapsed = self.0.saturating_duration_since(start.0);
            u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
        }
    }
}

use reading::Reading;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_forwards_from_one_second() {
        let clock = Clock::start();
        let first = clock.mono();
        assert!(first >= Instant::from_micros(1_000_000));
        assert!(clock.mono() >= first);
        assert!(clock.now().unix_s > 1_700_000_000);
    }
}
