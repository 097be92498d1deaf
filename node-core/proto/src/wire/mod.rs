//! Frames and messages as they travel on a link.
//!
//! Each message has `parse`, from the body of a frame, and `emit`, to a whole frame with its
//! length. Numbers are decoded with a bound and re-encoded in minimal form, so what a signature
//! covers never depends on how a peer wrote a number.
//!
//! Source: protocol chapter 3 and the message tables of chapters 4 to 6.

mod coords;
mod lookup;
mod number;
mod traffic;
mod tree;

pub use coords::Coords;
pub(crate) use coords::distance;
pub use lookup::{PathBroken, PathLookup, PathNotify};
pub(crate) use number::put_number_before;
pub use number::{number_len, put_number};
pub use traffic::{TrafficHeader, TrafficView};
pub use tree::{Announce, EdgeDraft, SigReq, SigRes};

use thiserror::Error;

use crate::{
    crypto::{SIGNATURE_LEN, Signature},
    identity::{KEY_LEN, NodeKey},
    limits::FRAME_LEN_MAX,
};

/// What a frame carries, its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum FrameKind {
    /// Ignored; the stock node never sends it.
    Dummy = 0,
    /// Nothing but a sign of life.
    KeepAlive = 1,
    /// Request to sign an edge.
    SigReq = 2,
    /// Signed edge.
    SigRes = 3,
    /// An edge of the tree.
    Announce = 4,
    /// Which keys are reachable here.
    BloomFilter = 5,
    /// Search for a key.
    PathLookup = 6,
    /// Answer to a search.
    PathNotify = 7,
    /// A packet got stuck.
    PathBroken = 8,
    /// End-to-end data.
    Traffic = 9,
}

impl FrameKind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Dummy,
            1 => Self::KeepAlive,
            2 => Self::SigReq,
            3 => Self::SigRes,
            4 => Self::Announce,
            5 => Self::BloomFilter,
            6 => Self::PathLookup,
            7 => Self::PathNotify,
            8 => Self::PathBroken,
            9 => Self::Traffic,
            _ => return None,
        })
    }

    /// Whether frames of this kind ask for an answer within the peer timeout (chapter 3.3).
    #[must_use]
    pub const fn wants_answer(self) -> bool {
        !matches!(self, Self::Dummy | Self::KeepAlive)
    }
}

/// The keep-alive frame.
pub const KEEP_ALIVE: [u8; 2] = [1, FrameKind::KeepAlive as u8];

/// Why bytes are not the message they claim to be. The link they came over is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A field runs past the end.
    #[error("message is cut short")]
    Truncated,
    /// A number does not fit 64 bits.
    #[error("number is too large")]
    Overflow,
    /// Bytes are left over.
    #[error("message has trailing bytes")]
    Trailing,
    /// A Bloom filter word is flagged as all zeros and all ones.
    #[error("filter flags contradict each other")]
    Contradiction,
}

/// Reads fields off the front of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(crate) fn number(&mut self) -> Result<u64, DecodeError> {
        let (value, len) = number::parse_number(self.0)?;
        self.0 = &self.0[len..];
        Ok(value)
    }

    pub(crate) fn coords(&mut self) -> Result<Coords, DecodeError> {
        let mut ports = Vec::new();
        loop {
            match self.number()? {
                0 => return Ok(Coords::new(ports)),
                port => ports.push(port),
            }
        }
    }

    /// Skips a path without keeping it.
    pub(crate) fn skip_coords(&mut self) -> Result<(), DecodeError> {
        while self.number()? != 0 {}
        Ok(())
    }

    pub(crate) fn key(&mut self) -> Result<NodeKey, DecodeError> {
        self.array::<KEY_LEN>().map(NodeKey::from_bytes)
    }

    pub(crate) fn signature(&mut self) -> Result<Signature, DecodeError> {
        self.array::<SIGNATURE_LEN>().map(Signature::from_bytes)
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}

/// A frame of `kind` around the body that `write` appends.
pub(crate) fn frame(kind: FrameKind, body_len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(body_len + 4);
    put_number(&mut out, (body_len + 1) as u64);
    out.push(kind as u8);
    let start = out.len();
    write(&mut out);
    debug_assert_eq!(out.len() - start, body_len, "{kind:?} announced another length");
    out
}

/// Why a stream of bytes cannot be cut into frames; the link is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A length of zero.
    #[error("frame is empty")]
    Empty,
    /// A length beyond [`FRAME_LEN_MAX`], or one that is no number.
    #[error("frame is too long")]
    Oversized,
}

/// The first frame of `stream`: offset of its type byte and offset behind its end, or `None` while
/// it is incomplete.
///
/// # Errors
/// A length that is zero, too large or no number.
pub fn cut_frame(stream: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let (len, prefix) = match number::parse_number(stream) {
        Ok(parsed) => parsed,
        // Ten bytes hold any number, so a longer wait would be for ever.
        Err(DecodeError::Truncated) if stream.len() < number::NUMBER_LEN_MAX => return Ok(None),
        Err(_) => return Err(FrameError::Oversized),
    };
    match usize::try_from(len) {
        Ok(0) => Err(FrameError::Empty),
        Ok(len) if len <= FRAME_LEN_MAX => {
            let end = prefix + len;
            Ok((stream.len() >= end).then_some((prefix, end)))
        }
        _ => Err(FrameError::Oversized),
    }
}
