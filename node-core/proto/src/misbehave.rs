//! What a neighbour can do wrong so that its link is closed.
//!
//! Everything else that is unexpected (stale, off-tree, unsolicited, small-order keys, forged
//! answers) is ignored and counted, because a neighbour may relay it in good faith.

use thiserror::Error;

use crate::wire::{DecodeError, FrameError, FrameKind};

/// Why a link is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// The stream cannot be cut into frames.
    #[error("sent a broken frame: {0}")]
    Frame(#[from] FrameError),
    /// A frame type that this version of the protocol does not have.
    #[error("sent a frame of unknown type {0}")]
    UnknownFrame(u8),
    /// A message does not decode.
    #[error("sent a malformed {kind:?}: {source}")]
    Malformed {
        /// What it claimed to be.
        kind: FrameKind,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// An announcement without the signatures it needs, or with port zero below another node.
    #[error("sent an announcement that is not signed properly")]
    InvalidAnnounce,
    /// A signed edge whose signature does not fit the neighbour's key.
    #[error("sent an edge that it did not sign")]
    InvalidSigRes,
    /// More announcements than any real network causes.
    #[error("flooded announcements")]
    AnnounceFlood,
    /// More links than [`crate::limits::LINKS_MAX`].
    #[error("too many links")]
    TooManyLinks,
}
