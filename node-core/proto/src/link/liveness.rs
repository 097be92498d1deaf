//! Whether the other end of a link is alive (chapter 3.3).
//!
//! Every frame but a keep-alive asks for some frame in return. [`Liveness`] tells when to send a
//! keep-alive, when an answer is so late that the link should carry no traffic, and when the link
//! is dead. It is a plain value: the runtime keeps the same two times in atomics beside each link
//! and asks the same questions.
//!
//! ```text
//!            any frame received                 any frame received
//!        +-----------------------+          +------------------------+
//!        v                       |          v                        |
//!     [quiet] -- frame sent --> [waiting] -- 1 s + 4 round trips --> [suspect] -- 3 s --> [dead]
//! ```

use crate::{
    limits::{KEEP_ALIVE_DELAY, PEER_TIMEOUT, SUSPECT_BASE, SUSPECT_MIN, SUSPECT_ROUND_TRIPS},
    time::{Duration, Instant},
    wire::FrameKind,
};

/// What is known of a link's other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It answers, or nothing has been asked.
    Alive,
    /// It owes an answer for longer than it should; nothing is routed over the link.
    Suspect,
    /// It owes an answer for so long that the link is closed.
    Dead,
}

/// The two timers of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Liveness {
    /// When the first frame went out that has had no answer.
    pub waiting_since: Option<Instant>,
    /// When a keep-alive is due.
    pub keep_alive_at: Option<Instant>,
}

impl Liveness {
    /// A frame of `kind` was handed to the socket.
    pub fn sent(&mut self, kind: FrameKind, now: Instant) {
        self.keep_alive_at = None;
        if kind.wants_answer() && self.waiting_since.is_none() {
            self.waiting_since = Some(now);
        }
    }

    /// A frame of `kind` arrived.
    pub fn received(&mut self, kind: FrameKind, now: Instant) {
        self.waiting_since = None;
        if kind.wants_answer() && self.keep_alive_at.is_none() {
            self.keep_alive_at = Some(now + KEEP_ALIVE_DELAY);
        }
    }

    /// Whether a keep-alive frame is to be sent now.
    #[must_use]
    pub fn keep_alive_due(&self, now: Instant) -> bool {
        self.keep_alive_at.is_some_and(|at| at <= now)
    }

    /// What to think of the other end, given the smoothed round trip if one is known.
    #[must_use]
    pub fn health(&self, round_trip: Option<Duration>, now: Instant) -> Health {
        let Some(since) = self.waiting_since else {
            return Health::Alive;
        };
        let waited = now.since(since);
        if waited >= PEER_TIMEOUT {
            Health::Dead
        } else if waited >= suspect_after(round_trip) {
            Health::Suspect
        } else {
            Health::Alive
        }
    }

    /// When an answer of this function or of [`Self::keep_alive_due`] may change next.
    #[must_use]
    pub fn next_change(&self, round_trip: Option<Duration>, now: Instant) -> Option<Instant> {
        let waiting = self.waiting_since.map(|since| {
            let suspect = since + suspect_after(round_trip);
            if now < suspect { suspect } else { since + PEER_TIMEOUT }
        });
        waiting.into_iter().chain(self.keep_alive_at).min()
    }
}

/// How long an answer may take before the link is suspect.
#[must_use]
pub fn suspect_after(round_trip: Option<Duration>) -> Duration {
    let patience = SUSPECT_BASE + round_trip.unwrap_or_default() * SUSPECT_ROUND_TRIPS;
    patience.clamp(SUSPECT_MIN, PEER_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    #[test]
    fn a_received_frame_is_answered_within_a_second_and_keep_alives_are_not() {
        let mut link = Liveness::default();
        link.received(FrameKind::Traffic, at(0));
        link.received(FrameKind::Traffic, at(500));
        assert!(!link.keep_alive_due(at(999)));
        assert!(link.keep_alive_due(at(1000)));
        link.sent(FrameKind::KeepAlive, at(1000));
        assert_eq!(link, Liveness::default());
        link.received(FrameKind::KeepAlive, at(1100));
        assert_eq!(link, Liveness::default());
    }

    #[test]
    fn silence_makes_a_link_suspect_then_dead_and_sending_more_does_not_help() {
        let mut link = Liveness::default();
        link.sent(FrameKind::SigReq, at(0));
        link.sent(FrameKind::Traffic, at(1400));
        let rtt = Some(Duration::from_millis(20));
        assert_eq!(link.health(rtt, at(1499)), Health::Alive);
        assert_eq!(link.health(rtt, at(1500)), Health::Suspect);
        assert_eq!(link.health(Some(Duration::from_millis(300)), at(2199)), Health::Alive);
        assert_eq!(link.health(rtt, at(3000)), Health::Dead);
        assert_eq!(link.next_change(rtt, at(1600)), Some(at(3000)));
        link.received(FrameKind::KeepAlive, at(2900));
        assert_eq!(link.health(rtt, at(9000)), Health::Alive);
    }
}
