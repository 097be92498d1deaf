//! Packet buffers that are used again instead of being allocated per packet.
//!
//! Two sizes: a small one for the many little packets that wait, and one that holds any packet.
//! Each has room before the packet for everything that sealing and routing put there, so a packet
//! is read once and never moved.

use std::sync::LazyLock;

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

/// Buffers kept of each size. A busy node has a few dozen in flight.
const SMALL_KEPT: usize = 512;
const LARGE_KEPT: usize = 64;

static SMALL: LazyLock<Mutex<Vec<Box<[u8]>>>> = LazyLock::new(Mutex::default);
static LARGE: LazyLock<Mutex<Vec<Box<[u8]>>>> = LazyLock::new(Mutex::default);

/// One packet with room before it.
pub(crate) struct Packet {
    buffer: Box<[u8]>,
    /// Length of the packet behind [`HEADROOM`].
    pub(crate) len: usize,
}

impl Packet {
    /// A buffer for any packet.
    pub(crate) fn large() -> Self {
        let buffer = LARGE.lock().pop();
        let buffer = buffer.unwrap_or_else(|| vec![0; HEADROOM + MTU_MAX].into_boxed_slice());
        Self { buffer, len: 0 }
    }

    /// A buffer that holds a copy of `packet`, which is at most [`MTU_MAX`] bytes long.
    pub(crate) fn copy_of(packet: &[u8]) -> Self {
        let mut copy = if packet.len() <= SMALL_PACKET_MAX {
            let buffer = SMALL.lock().pop();
            let small = || vec![0; HEADROOM + SMALL_PACKET_MAX].into_boxed_slice();
            Self { buffer: buffer.unwrap_or_else(small), len: 0 }
        } else {
            Self::large()
        };
        copy.len = packet.len().min(copy.buffer.len() - HEADROOM);
        copy.buffer[HEADROOM..HEADROOM + copy.len].copy_from_slice(&packet[..copy.len]);
        copy
    }

    /// The packet.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[HEADROOM..HEADROOM + self.len]
    }

    /// The packet, to be changed.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[HEADROOM..HEADROOM + self.len]
    }

    /// Room for a packet to be read into; set [`Self::len`] afterwards.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[HEADROOM..]
    }

    /// Headroom and packet; the packet begins at [`HEADROOM`].
    pub(crate) fn whole(&mut self) -> &mut [u8] {
        &mut self.buffer[..HEADROOM + self.len]
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let (pool, kept) = if buffer.len() > HEADROOM + SMALL_PACKET_MAX {
            (&LARGE, LARGE_KEPT)
        } else {
            (&SMALL, SMALL_KEPT)
        };
        let mut pool = pool.lock();
        if pool.len() < kept {
            pool.push(buffer);
        }
    }
}

/// Whether both coordinates fit the room that every buffer has for them.
pub(crate) fn header_fits(path: &Coords, from: &Coords) -> bool {
    path.encoded_len() + from.encoded_len() <= 2 * COORDS_ROOM
}
