//! What a packet may lack until somebody finishes it: its checksum, and being cut into packets that
//! fit the wire.
//!
//! Systems leave both to the network adapter and take back from it what it has joined: one pass
//! through their stack for up to 64 KiB instead of one for each segment. A TUN device can do the
//! same, and between two nodes that know of it a packet crosses the overlay unfinished: nobody sums
//! up what a session authenticates anyway, and who receives it hands it to its system as it is.
//!
//! [`Offload`] says what is left to do. Here are the functions that do it for those who need
//! finished packets, [`finish`] and [`Cut`], and the way back, [`Coalescer`]. All are pure: bytes
//! in, bytes out, no allocation. Packets and what is said of them come from programs of this
//! machine and from other nodes, so nothing is believed before [`Transport::of`] has found the
//! headers that it needs.

mod checksum;
mod cut;
mod headers;
mod join;

use std::num::NonZeroU16;

use thiserror::Error;

pub use self::{
    checksum::{finish, finish_at},
    cut::{Checksums, Cut},
    headers::Transport,
    join::Coalescer,
};

/// Most packets that are ever joined into one. Linux joins no more datagrams of UDP.
pub const JOINED_MAX: usize = 64;

/// Most datagrams that a packet may be cut into, as Linux has it.
pub const DATAGRAMS_MAX: usize = 128;

/// Smallest size of TCP segments that a packet may be cut into, the one below which Linux does not
/// go by itself. So there are never more than 1,365 of them.
pub const TCP_SEGMENT_MIN: u16 = 48;

/// What is left to do to an IPv6 packet of TCP or UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offload {
    /// Nothing: it is finished. Any other packet is, too.
    #[default]
    None,
    /// To complete the checksum. Its field holds the sum of the pseudo-header, not inverted, to
    /// which header and payload are to be added.
    Checksum,
    /// To cut it into segments, and to complete the checksum of each. The length in the
    /// pseudo-header, whose sum the checksum field holds, is the whole packet's.
    Segments(Segments),
}

/// How a packet is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// What it carries.
    pub kind: Kind,
    /// Payload of every segment but the last, in bytes.
    pub size: NonZeroU16,
}

/// A protocol whose packets can be left unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP: segments are numbered by their first byte.
    Tcp,
    /// UDP: segments are datagrams.
    Udp,
}

/// The headers of a packet do not allow for what is said to be left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the packet's headers do not fit what is left to do to it")]
pub struct Unfit;

impl Offload {
    /// Bits of the first byte on the wire.
    const PARTIAL: u8 = 1;
    const TCP: u8 = 2;
    const UDP: u8 = 4;

    /// The bytes that stand before an unfinished packet in a fast session: flags, and the size of
    /// segments or 0, big endian.
    #[must_use]
    pub fn emit(self) -> [u8; 3] {
        let (flags, size) = match self {
            Self::None => (0, 0),
            Self::Checksum => (Self::PARTIAL, 0),
            Self::Segments(Segments { kind, size }) => match kind {
                Kind::Tcp => (Self::PARTIAL | Self::TCP, size.get()),
                Kind::Udp => (Self::PARTIAL | Self::UDP, size.get()),
            },
        };
        let [high, low] = size.to_be_bytes();
        [flags, high, low]
    }

    /// Reads what [`Offload::emit`] writes. `None` for unknown flags and for combinations of flags
    /// and size that mean nothing.
    #[must_use]
    pub fn parse([flags, high, low]: [u8; 3]) -> Option<Self> {
        const TCP: u8 = Offload::PARTIAL | Offload::TCP;
        const UDP: u8 = Offload::PARTIAL | Offload::UDP;
        let size = NonZeroU16::new(u16::from_be_bytes([high, low]));
        match (flags, size) {
            (0, None) => Some(Self::None),
            (Self::PARTIAL, None) => Some(Self::Checksum),
            (TCP, Some(size)) => Some(Self::Segments(Segments { kind: Kind::Tcp, size })),
            (UDP, Some(size)) => Some(Self::Segments(Segments { kind: Kind::Udp, size })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
