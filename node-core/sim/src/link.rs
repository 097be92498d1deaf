//! One end of a link: a reliable, ordered stream of frames with latency and, if wanted, a
//! bandwidth.
//!
//! An end belongs to its host and knows nothing of the other one but its number. Frames leave in
//! the order of chapter 3.4: direct ones at once, queued ones only while the writer is idle, else
//! through the fair queue. A cut cable holds frames back, as a transport does that repeats them
//! until somebody gives up; it loses none of them unless an end is closed meanwhile.

use planetary_proto::{Instant, NodeKey, link::Liveness, queue::FairQueue, time::Duration};

use crate::HostId;

/// What a cable is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// One way.
    pub latency: Duration,
    /// Without it the line carries any amount at once.
    pub bytes_per_s: Option<u64>,
}

impl Line {
    /// A line without a bound on its bandwidth.
    #[must_use]
    pub const fn new(latency: Duration) -> Self {
        Self { latency, bytes_per_s: None }
    }
}

/// What travels over a line.
#[derive(Clone, Debug)]
pub(crate) enum Cargo {
    Bytes(Vec<u8>),
    /// The other end has closed the link.
    Close,
}

/// See the module.
pub(crate) struct End {
    pub(crate) peer: HostId,
    pub(crate) key: NodeKey,
    line: Line,
    pub(crate) liveness: Liveness,
    pub(crate) suspect: bool,
    /// For when the next look at [`Self::liveness`] is scheduled.
    pub(crate) timer_at: Option<Instant>,
    /// The last byte handed to the line leaves then.
    busy_until: Instant,
    pub(crate) queue: FairQueue<Vec<u8>>,
    /// A look at [`Self::queue`] is scheduled.
    pub(crate) writing: bool,
    /// Bytes that arrived and are no whole frame yet.
    pub(crate) stream: Vec<u8>,
}

impl End {
    pub(crate) fn new(peer: HostId, key: NodeKey, line: Line) -> Self {
        Self {
            peer,
            key,
            line,
            liveness: Liveness::default(),
            suspect: false,
            timer_at: None,
            busy_until: Instant::START,
            queue: FairQueue::default(),
            writing: false,
            stream: Vec::new(),
        }
    }

    /// When the writer is done with what it has, if it is not idle.
    pub(crate) fn busy(&self, now: Instant) -> Option<Instant> {
        (now < self.busy_until).then_some(self.busy_until)
    }

    /// Hands `len` bytes to the line. Returns when they arrive: never before what was handed over
    /// earlier.
    pub(crate) fn carry(&mut self, len: usize, now: Instant) -> Instant {
        let start = self.busy_until.max(now);
        let writing = self.line.bytes_per_s.map_or(Duration::ZERO, |rate| {
            Duration::from_micros((len as u64).saturating_mul(1_000_000) / rate.max(1))
        });
        self.busy_until = start + writing;
        self.busy_until + self.line.latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: NodeKey = NodeKey::from_bytes([1; 32]);

    #[test]
    fn bytes_arrive_after_latency_and_one_after_the_other() {
        let at = |millis: u64| Instant::from_micros(millis * 1000);
        let line = Line { latency: Duration::from_millis(5), bytes_per_s: Some(1000) };
        let mut end = End::new(HostId(1), KEY, line);
        assert_eq!(end.carry(10, at(0)), at(15));
        assert_eq!(end.busy(at(9)), Some(at(10)));
        assert_eq!(end.carry(10, at(0)), at(25));
        assert_eq!(end.busy(at(20)), None);
        let mut wide = End::new(HostId(1), KEY, Line::new(Duration::from_millis(5)));
        assert_eq!(wide.carry(1 << 20, at(1)), at(6));
        assert_eq!(wide.busy(at(1)), None);
    }
}
