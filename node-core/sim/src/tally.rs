//! What a host has done so far, in numbers.

use core::ops::{AddAssign, Sub};

use planetary_proto::wire::FrameKind;

/// Frames and bytes that were handed to lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// How many frames.
    pub frames: u64,
    /// Their length in bytes.
    pub bytes: u64,
}

/// Counters of a host, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks performed.
    pub tasks: u64,
    /// Wake-ups that the node asked for.
    pub wakes: u64,
    /// What was sent, by the number of the frame's kind.
    pub sent: [Carried; 10],
    /// Packets that a busy line pushed out of its queue.
    pub dropped: u64,
    /// Packets of fast sessions that opened and were new.
    pub fast: u64,
    /// Packets of fast sessions that were not, and those under keys that were not there.
    pub fast_refused: u64,
}

impl Tally {
    /// Notes a frame of `kind` and `len` bytes.
    pub(crate) const fn sent(&mut self, kind: FrameKind, len: usize) {
        let carried = &mut self.sent[kind as usize];
        carried.frames += 1;
        carried.bytes += len as u64;
    }

    /// All frames but those that carry end-to-end data.
    #[must_use]
    pub fn control(&self) -> Carried {
        let mut control = Carried::default();
        for (kind, carried) in self.sent.iter().enumerate() {
            if kind != FrameKind::Traffic as usize {
                control.frames += carried.frames;
                control.bytes += carried.bytes;
            }
        }
        control
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.tasks += other.tasks;
        self.wakes += other.wakes;
        self.dropped += other.dropped;
        self.fast += other.fast;
        self.fast_refused += other.fast_refused;
        for (mine, theirs) in self.sent.iter_mut().zip(other.sent) {
            mine.frames += theirs.frames;
            mine.bytes += theirs.bytes;
        }
    }
}

impl Sub for Tally {
    type Output = Self;

    /// What was added since `earlier`.
    fn sub(mut self, earlier: Self) -> Self {
        self.tasks -= earlier.tasks;
        self.wakes -= earlier.wakes;
        self.dropped -= earlier.dropped;
        self.fast -= earlier.fast;
        self.fast_refused -= earlier.fast_refused;
        for (mine, theirs) in self.sent.iter_mut().zip(earlier.sent) {
            mine.frames -= theirs.frames;
            mine.bytes -= theirs.bytes;
        }
        self
    }
}
