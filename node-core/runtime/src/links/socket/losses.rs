//! Whether the line of a TCP link loses packets by itself, and what is done about it.
//!
//! The congestion control of most systems takes each loss for a sign that the line is full, and on
//! a line that loses one packet of two hundred by itself it sends a hundredth of what could pass.
//! Such a line is known by two things: much is sent again, and nothing waits in its queues, for the
//! round trip is hardly longer than the shortest. The socket of that link gets BBR, which follows
//! what arrives instead; it keeps it until it closes. All other links stay as the system made them.
//!
//! BBR is fair to itself and, where queues are not very short, about fair to others; but on a line
//! that is full it would take more than its share from them. So it must be losses without a queue.
//!
//! Only Linux says enough and has it; without the system's permission nothing changes.

use std::time::Duration;

use socket2::Socket;

#[cfg(target_os = "linux")]
use super::unix::{tcp_counts, use_bbr};

/// A sample ends with so many repetitions ...
const REPEATED_ENOUGH: u32 = 10;
/// ... or with so many segments, and then the line is clean enough.
const SEGMENTS_ENOUGH: u32 = 20_000;
/// A line loses by itself if it is one of so many segments or more.
const SEGMENTS_PER_LOSS: u32 = 2_000;
/// Below this round trip losses are made good before they matter.
const TRIP_MIN: Duration = Duration::from_millis(2);
/// A round trip that is longer than twice the shortest and this has waited in a queue.
const TRIP_NOISE: Duration = Duration::from_millis(5);

/// What the system counts for a TCP connection, all from its beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Segments with data, repeated ones among them.
    pub(super) segments: u32,
    pub(super) repeated: u32,
    /// Smoothed round trip, and the shortest.
    pub(super) trip: Duration,
    pub(super) trip_min: Duration,
}

/// Watches the line of one link.
#[derive(Debug, Default)]
pub(crate) struct LossWatch {
    /// Where the sample began.
    from: Counts,
    /// There is no more to do for this link.
    settled: bool,
}

impl LossWatch {
    /// Looks at the socket of a link over which something was sent lately. Costs a system call.
    /// Returns whether its congestion control was changed.
    #[cfg(target_os = "linux")]
    pub(crate) fn look(&mut self, socket: &Socket) -> bool {
        if self.settled {
            return false;
        }
        let Some(counts) = tcp_counts(socket) else {
            // No TCP, or the link is closed.
            self.settled = true;
            return false;
        };
        self.settled = self.is_lossy(counts);
        self.settled && use_bbr(socket)
    }

    /// This system says too little.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn look(&mut self, _: &Socket) -> bool {
        self.settled = true;
        false
    }

    /// Whether a sample has ended that shows a line which loses by itself.
    #[cfg_attr(
        not(any(target_os = "linux", test)),
        expect(dead_code, reason = "nothing is counted there")
    )]
    fn is_lossy(&mut self, counts: Counts) -> bool {
        // The counters may run over.
        let segments = counts.segments.wrapping_sub(self.from.segments);
        let repeated = counts.repeated.wrapping_sub(self.from.repeated);
        if repeated < REPEATED_ENOUGH && segments < SEGMENTS_ENOUGH {
            return false;
        }
        self.from = counts;
        let is_lossy = repeated.saturating_mul(SEGMENTS_PER_LOSS) >= segments;
        let is_queue_short = counts.trip <= 2 * counts.trip_min + TRIP_NOISE;
        is_lossy && is_queue_short && counts.trip_min >= TRIP_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(segments: u32, repeated: u32, trip: u64, trip_min: u64) -> Counts {
        let [trip, trip_min] = [trip, trip_min].map(Duration::from_millis);
        Counts { segments, repeated, trip, trip_min }
    }

    #[test]
    fn losses_without_a_queue_are_those_of_the_line() {
        let mut watch = LossWatch::default();
        assert!(!watch.is_lossy(counts(1_000, 9, 21, 20)), "too few to tell");
        assert!(watch.is_lossy(counts(2_000, 10, 21, 20)));
        for (what, full) in [
            ("the queue is long", counts(2_000, 10, 60, 20)),
            ("the line is short", counts(2_000, 10, 1, 1)),
            ("one of ten thousand", counts(100_000, 10, 21, 20)),
        ] {
            assert!(!LossWatch::default().is_lossy(full), "{what}");
        }
    }

    #[test]
    fn what_was_lost_long_ago_does_not_count() {
        let mut watch = LossWatch::default();
        assert!(!watch.is_lossy(counts(20_000, 9, 21, 20)), "a clean sample");
        assert!(!watch.is_lossy(counts(21_000, 15, 21, 20)), "six of a thousand, too few to tell");
        assert!(watch.is_lossy(counts(22_000, 20, 21, 20)));
        let mut over = LossWatch { from: counts(u32::MAX, u32::MAX, 0, 0), settled: false };
        assert!(over.is_lossy(counts(1_000, 20, 21, 20)), "counters run over");
    }
}
