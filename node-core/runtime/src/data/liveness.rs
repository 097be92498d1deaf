//! The two timers of a link ([`planetary_proto::link::Liveness`]) in atomics, so that any thread
//! may send and receive.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use planetary_proto::{limits::KEEP_ALIVE_DELAY, link::Liveness, time::Instant, wire::FrameKind};

/// Zero stands for "no such time"; the clock starts later than that.
#[derive(Debug, Default)]
pub(crate) struct SharedLiveness {
    waiting_since: AtomicU64,
    keep_alive_at: AtomicU64,
}

impl SharedLiveness {
    /// A frame was handed to the socket.
    pub(crate) fn sent(&self, kind: FrameKind, now: Instant) {
        if self.keep_alive_at.load(Relaxed) != 0 {
            self.keep_alive_at.store(0, Relaxed);
        }
        if kind.wants_answer() && self.waiting_since.load(Relaxed) == 0 {
            self.waiting_since.store(now.as_micros(), Relaxed);
        }
    }

    /// A frame arrived.
    pub(crate) fn received(&self, kind: FrameKind, now: Instant) {
        if self.waiting_since.load(Relaxed) != 0 {
            self.waiting_since.store(0, Relaxed);
        }
        if kind.wants_answer() && self.keep_alive_at.load(Relaxed) == 0 {
            self.keep_alive_at.store((now + KEEP_ALIVE_DELAY).as_micros(), Relaxed);
        }
    }

    /// The timers at this moment.
    pub(crate) fn snapshot(&self) -> Liveness {
        let time = |atomic: &AtomicU64| match atomic.load(Relaxed) {
            0 => None,
            micros => Some(Instant::from_micros(micros)),
        };
        Liveness {
            waiting_since: time(&self.waiting_since),
            keep_alive_at: time(&self.keep_alive_at),
        }
    }
}
