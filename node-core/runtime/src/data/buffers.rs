//! Buffers that are used again instead of being allocated per packet.
//!
//! Three sizes: one for a frame around a short packet, which is most of what waits, a small one
//! for packets of ordinary size, and one that holds any packet. A [`Packet`] has room before it for
//! everything that sealing and routing put there, so a packet is read once and never moved; a
//! [`Frame`] is finished and only waits.
//!
//! Only what waits, and what the node says itself, takes a buffer. The pool of each size is in
//! parts with a lock each. A thread begins at a part of its own and passes by those that others are
//! using, so no lock is shared by all packets and nobody waits for one.

use std::{
    io::IoSlice,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use parking_lot::Mutex;
use planetary_proto::{limits::MTU_MAX, session::SEAL_OVERHEAD_MAX, wire::Coords};

/// Room for the routing header with coordinates of ordinary length; longer ones take a detour over
/// the heap.
const HEADER_ROOM: usize = 4 + 2 * COORDS_ROOM + 64 + 10;
const COORDS_ROOM: usize = 128;
/// Bytes before the packet in a buffer, the payload type byte included.
pub(crate) const HEADROOM: usize = (HEADER_ROOM + SEAL_OVERHEAD_MAX + 1).next_multiple_of(64);
/// Packets up to this size are copied into a small buffer when they have to wait.
pub(crate) const SMALL_PACKET_MAX: usize = 2_048;

/// Frames of other nodes around an acknowledgement or a ping fit; no packet does.
const TINY_LEN: usize = 512;
const SMALL_LEN: usize = HEADROOM + SMALL_PACKET_MAX;
const LARGE_LEN: usize = HEADROOM + MTU_MAX;

/// The pools, smallest first: length of a buffer, and how many are kept at most. A busy node has a
/// few dozen in flight.
static POOLS: [Pool; 3] =
    [Pool::new(TINY_LEN, 512), Pool::new(SMALL_LEN, 512), Pool::new(LARGE_LEN, 64)];

/// Parts of a pool, about as many as there are busy threads.
const PARTS: usize = 8;

/// Free buffers of one size.
struct Pool {
    len: usize,
    kept_per_part: usize,
    parts: [Mutex<Vec<Box<[u8]>>>; PARTS],
}

impl Pool {
    const fn new(len: usize, kept: usize) -> Self {
        let parts = [const { Mutex::new(Vec::new()) }; PARTS];
        Self { len, kept_per_part: kept / PARTS, parts }
    }

    fn take(&self) -> Box<[u8]> {
        let free = self.parts().find_map(|part| part.try_lock()?.pop());
        free.unwrap_or_else(|| vec![0; self.len].into_boxed_slice())
    }

    fn give(&self, buffer: Box<[u8]>) {
        let room =
            self.parts().filter_map(Mutex::try_lock).find(|part| part.len() < self.kept_per_part);
        if let Some(mut part) = room {
            part.push(buffer);
        }
    }

    /// All parts, the one of this thread first.
    fn parts(&self) -> impl Iterator<Item = &Mutex<Vec<Box<[u8]>>>> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static FIRST: usize = NEXT.fetch_add(1, Relaxed) % PARTS;
        }
        let (before, from) = self.parts.split_at(FIRST.with(|first| *first));
        from.iter().chain(before)
    }
}

/// A buffer that goes back to its pool.
struct Buffer(Box<[u8]>);

impl Buffer {
    /// A buffer of at least `len` bytes. Frames of other nodes may be larger than any packet; for
    /// those it is allocated.
    fn of_len(len: usize) -> Self {
        let pool = POOLS.iter().find(|pool| len <= pool.len);
        Self(pool.map_or_else(|| vec![0; len].into_boxed_slice(), Pool::take))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(pool) = POOLS.iter().find(|pool| self.0.len() == pool.len) {
            pool.give(std::mem::take(&mut self.0));
        }
    }
}

/// A frame, or what is left of one, that waits to be written.
pub(crate) struct Frame {
    buffer: Buffer,
    start: usize,
    end: usize,
}

impl Frame {
    /// A buffer that holds a copy of `frame`.
    pub(crate) fn copy_of(frame: &[u8]) -> Self {
        let mut buffer = Buffer::of_len(frame.len());
        buffer.0[..frame.len()].copy_from_slice(frame);
        Self { buffer, start: 0, end: frame.len() }
    }

    /// What is left of `frames` when their first `taken` bytes are written.
    pub(crate) fn rest_of(frames: &[IoSlice<'_>], mut taken: usize) -> Option<Self> {
        let len = frames.iter().map(|frame| frame.len()).sum::<usize>().checked_sub(taken)?;
        if len == 0 {
            return None;
        }
        let mut rest = Self { buffer: Buffer::of_len(len), start: 0, end: 0 };
        for frame in frames {
            let skipped = taken.min(frame.len());
            taken -= skipped;
            let part = &frame[skipped..];
            rest.buffer.0[rest.end..rest.end + part.len()].copy_from_slice(part);
            rest.end += part.len();
        }
        Some(rest)
    }

    /// What is to be written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer.0[self.start..self.end]
    }

    /// The first `len` bytes are written.
    pub(crate) fn skip(&mut self, len: usize) {
        self.start += len;
    }
}

/// One packet with room before it.
pub(crate) struct Packet {
    buffer: Buffer,
    /// Length of the packet behind [`HEADROOM`].
    pub(crate) len: usize,
}

impl Packet {
    /// A buffer for any packet.
    pub(crate) fn large() -> Self {
        Self { buffer: Buffer::of_len(LARGE_LEN), len: 0 }
    }

    /// A buffer that holds a copy of `packet`, which is at most [`MTU_MAX`] bytes long.
    pub(crate) fn copy_of(packet: &[u8]) -> Self {
        let len = packet.len().min(MTU_MAX);
        let mut buffer = Buffer::of_len(HEADROOM + len.max(SMALL_PACKET_MAX));
        buffer.0[HEADROOM..HEADROOM + len].copy_from_slice(&packet[..len]);
        Self { buffer, len }
    }

    /// A buffer that holds a copy of a packet in parts, which is at most [`MTU_MAX`] bytes long.
    pub(crate) fn joined(parts: &[IoSlice<'_>]) -> Self {
        let mut packet = Self::large();
        for part in parts {
            let room = &mut packet.buffer.0[HEADROOM + packet.len..];
            let len = part.len().min(room.len());
            room[..len].copy_from_slice(&part[..len]);
            packet.len += len;
        }
        packet
    }

    /// A buffer for a packet of `len` bytes, at most [`MTU_MAX`], to be written into it. Its
    /// headers are zero, the rest is what was there before.
    pub(crate) fn of_len(len: usize) -> Self {
        /// All headers of a packet of TCP or UDP.
        const HEADERS_LEN: usize = 40 + 60;
        let len = len.min(MTU_MAX);
        let mut packet = Self { buffer: Buffer::of_len(HEADROOM + len.max(SMALL_PACKET_MAX)), len };
        packet.bytes_mut()[..len.min(HEADERS_LEN)].fill(0);
        packet
    }

    /// Moves a small packet into a small buffer, for it must not keep a large one while it waits.
    /// Gives the large one back if it is free.
    pub(crate) fn fit(&mut self) -> Option<Self> {
        let fits = self.len <= SMALL_PACKET_MAX && self.buffer.0.len() > SMALL_LEN;
        fits.then(|| {
            let copy = Self::copy_of(self.bytes());
            std::mem::replace(self, copy)
        })
    }

    /// The packet.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer.0[HEADROOM..HEADROOM + self.len]
    }

    /// The packet, to be changed.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer.0[HEADROOM..HEADROOM + self.len]
    }

    /// Room for a packet to be read into; set [`Self::len`] afterwards.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.buffer.0[HEADROOM..]
    }

    /// Headroom and packet; the packet begins at [`HEADROOM`].
    pub(crate) fn whole(&self) -> &[u8] {
        &self.buffer.0[..HEADROOM + self.len]
    }

    /// Headroom and packet, to be changed.
    pub(crate) fn whole_mut(&mut self) -> &mut [u8] {
        &mut self.buffer.0[..HEADROOM + self.len]
    }
}

/// Whether both coordinates fit the room that every buffer has for them.
pub(crate) fn header_fits(path: &Coords, from: &Coords) -> bool {
    path.encoded_len() + from.encoded_len() <= 2 * COORDS_ROOM
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, thread};

    use super::*;

    /// Buffers of a size that no other test takes part in, and where they are.
    fn taken(pool: &Pool, count: usize) -> (Vec<Box<[u8]>>, BTreeSet<*const u8>) {
        let buffers: Vec<_> = (0..count).map(|_| pool.take()).collect();
        let places = buffers.iter().map(|buffer| buffer.as_ptr()).collect();
        (buffers, places)
    }

    #[test]
    fn buffers_are_used_again_by_whichever_thread() {
        let pool = Pool::new(100, 64);
        let (buffers, places) = taken(&pool, 64);
        let give = || buffers.into_iter().for_each(|buffer| pool.give(buffer));
        thread::scope(|scope| scope.spawn(give).join()).unwrap();
        assert_eq!(taken(&pool, 64).1, places);
    }

    #[test]
    fn no_more_buffers_are_kept_than_the_pool_may() {
        let pool = Pool::new(100, 64);
        let (buffers, _) = taken(&pool, 65);
        buffers.into_iter().for_each(|buffer| pool.give(buffer));
        let kept: usize = pool.parts.iter().map(|part| part.lock().len()).sum();
        assert_eq!(kept, 64);
    }

    #[test]
    fn a_part_in_use_is_passed_by() {
        let pool = Pool::new(100, 64);
        pool.give(pool.take());
        let used = pool.parts().next().unwrap().lock();
        pool.give(pool.take());
        assert_eq!(used.len(), 1, "the buffer there was not taken");
        assert_eq!(pool.parts().nth(1).unwrap().lock().len(), 1, "another was put elsewhere");
    }

    #[test]
    fn a_small_packet_leaves_a_large_buffer_and_a_large_one_stays() {
        let mut packet = Packet::large();
        packet.space()[..3].copy_from_slice(b"abc");
        packet.len = 3;
        let free = packet.fit().expect("the large buffer");
        assert_eq!((packet.bytes(), packet.buffer.0.len()), (&b"abc"[..], SMALL_LEN));
        assert_eq!(free.buffer.0.len(), LARGE_LEN);
        assert!(packet.fit().is_none(), "it is small already");
        let mut packet = Packet::copy_of(&[7; SMALL_PACKET_MAX + 1]);
        assert!(packet.fit().is_none());
        assert_eq!(packet.bytes(), [7; SMALL_PACKET_MAX + 1]);
    }

    #[test]
    fn frames_of_all_sizes_are_kept_whole() {
        for len in [0, 1, 512, 513, SMALL_LEN, SMALL_LEN + 1, LARGE_LEN, LARGE_LEN + 1, 131_073] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut frame = Frame::copy_of(&bytes);
            assert!(frame.bytes() == bytes, "a frame of {len} bytes");
            frame.skip(len / 2);
            assert!(frame.bytes() == &bytes[len / 2..], "the rest of a frame of {len} bytes");
        }
    }

    #[test]
    fn what_is_left_of_several_frames_is_all_that_was_not_taken() {
        let frames: [&[u8]; 4] = [b"first", b"", b"second", b"third"];
        let whole = frames.concat();
        let parts = frames.map(IoSlice::new);
        for taken in 0..whole.len() {
            let rest = Frame::rest_of(&parts, taken).expect("something is left");
            assert_eq!(rest.bytes(), &whole[taken..]);
        }
        assert!(Frame::rest_of(&parts, whole.len()).is_none());
    }
}
