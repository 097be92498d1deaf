//! When the person is told that the connection was lost, and that it is back.
//!
//! ```text
//! quiet ── well ──> well ── not well ──> missing ── 10 s ──> told (lost)
//!   ^                ^                     │                   │
//!   │                └──── well ───────────┴── well (regained) ┘
//!   └── switched off, from anywhere
//! ```
//!
//! Nothing is told that did not last, nothing while the person has switched the node off, and
//! nothing twice. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// How long a loss lasts before it is told: a Wi-Fi that is changed, a service that is restarted
/// and a peer that is replaced are over by then.
const LOSS_AGE_MIN: Duration = Duration::from_secs(10);

/// How the connection is, as far as notices go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Proven.
    Well,
    /// Not proven, because of the network.
    Away,
    /// Not known, because the service does not answer.
    Unknown,
    /// Switched off by the person.
    Off,
}

/// What is worth a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The network cannot be reached.
    Lost,
    /// The service no longer answers.
    LostService,
    /// It is as it was.
    Regained,
}

/// Decides what is told.
#[derive(Debug, Default)]
pub(super) struct Notices {
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Quiet,
    Well,
    Missing {
        since: Instant,
        notice: Notice,
    },
    Told,
}

impl Notices {
    /// Takes in how it is.
    pub(super) fn see(&mut self, standing: Standing, now: Instant) -> Option<Notice> {
        let notice = match standing {
            Standing::Off => {
                self.phase = Phase::Quiet;
                return None;
            }
            Standing::Well => {
                let told = matches!(self.phase, Phase::Told);
                self.phase = Phase::Well;
                return told.then_some(Notice::Regained);
            }
            Standing::Away => Notice::Lost,
            Standing::Unknown => Notice::LostService,
        };
        match self.phase {
            Phase::Well => self.phase = Phase::Missing { since: now, notice },
            Phase::Missing { since, .. } => self.phase = Phase::Missing { since, notice },
            Phase::Quiet | Phase::Told => {}
        }
        self.ring(now)
    }

    /// When [`ring`](Self::ring) is to be called, if nothing changes before.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Missing { since, .. } => Some(since + LOSS_AGE_MIN),
            Phase::Quiet | Phase::Well | Phase::Told => None,
        }
    }

    /// Tells a loss that has lasted.
    pub(super) fn ring(&mut self, now: Instant) -> Option<Notice> {
        match self.phase {
            Phase::Missing { since, notice } if now >= since + LOSS_AGE_MIN => {
                self.phase = Phase::Told;
                Some(notice)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Second, standing, what is told.
    fn play(steps: &[(u64, Standing, Option<Notice>)]) {
        let start = Instant::now();
        let mut notices = Notices::default();
        for (second, standing, told) in steps {
            let now = start + Duration::from_secs(*second);
            assert_eq!(notices.see(*standing, now), *told, "second {second}");
        }
    }

    #[test]
    fn loss_that_lasts_is_told_once_and_so_is_the_return() {
        use Standing::{Away, Unknown, Well};
        play(&[
            (0, Well, None),
            (1, Away, None),
            (10, Unknown, None),
            (11, Away, Some(Notice::Lost)),
            (60, Unknown, None),
            (61, Well, Some(Notice::Regained)),
            (62, Well, None),
            (70, Unknown, None),
            (80, Unknown, Some(Notice::LostService)),
        ]);
    }

    #[test]
    fn blips_and_what_the_person_did_are_not_told() {
        use Standing::{Away, Off, Unknown, Well};
        // Never connected: there is nothing to lose.
        play(&[(0, Unknown, None), (20, Away, None), (40, Well, None)]);
        play(&[(0, Well, None), (1, Away, None), (9, Well, None), (30, Well, None)]);
        play(&[
            (0, Well, None),
            (1, Off, None),
            (30, Off, None),
            (31, Away, None),
            (60, Away, None),
        ]);
        play(&[(0, Well, None), (1, Away, None), (2, Off, None), (20, Away, None)]);
    }

    #[test]
    fn loss_rings_when_it_is_due() {
        let start = Instant::now();
        let mut notices = Notices::default();
        notices.see(Standing::Well, start);
        assert_eq!(notices.due(), None);
        notices.see(Standing::Away, start);
        let due = notices.due().unwrap();
        assert_eq!(notices.ring(due - Duration::from_millis(1)), None);
        assert_eq!(notices.ring(due), Some(Notice::Lost));
        assert_eq!(notices.due(), None);
    }
}
