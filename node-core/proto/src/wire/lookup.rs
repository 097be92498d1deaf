//! The messages of the path lookup (chapters 5.5 to 5.7).

use super::{
    Coords, DecodeError, FrameKind, Reader, frame, number_len, put_number,
    tree::notify_signature_input,
};
use crate::{
    crypto::{SIGNATURE_LEN, Signature},
    identity::{Identity, KEY_LEN, NodeKey},
};

/// Search for a key, multicast along the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathLookup {
    /// Who searches.
    pub source: NodeKey,
    /// The key searched for, full or partial.
    pub dest: NodeKey,
    /// The searcher's coordinates.
    pub from: Coords,
}

/// Answer to a lookup, routed greedily to the searcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathNotify {
    /// The searcher's coordinates.
    pub path: Coords,
    /// Routing watermark.
    pub watermark: u64,
    /// Who answers.
    pub source: NodeKey,
    /// Who searched.
    pub dest: NodeKey,
    /// Version: the answering node's UNIX time in seconds.
    pub seq: u64,
    /// The answering node's coordinates.
    pub coords: Coords,
    /// The answering node's signature over `seq` and `coords`.
    pub sig: Signature,
}

/// Word to a sender that its packet found no way, routed greedily to the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathBroken {
    /// The sender's coordinates.
    pub path: Coords,
    /// Routing watermark.
    pub watermark: u64,
    /// The sender.
    pub source: NodeKey,
    /// Whom it could not reach.
    pub dest: NodeKey,
}

impl PathLookup {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let lookup = Self { source: reader.key()?, dest: reader.key()?, from: reader.coords()? };
        reader.finish()?;
        Ok(lookup)
    }

    /// The whole frame.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        frame(FrameKind::PathLookup, 2 * KEY_LEN + self.from.encoded_len(), |out| {
            out.extend_from_slice(self.source.as_bytes());
            out.extend_from_slice(self.dest.as_bytes());
            self.from.emit(out);
        })
    }
}

impl PathNotify {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let notify = Self {
            path: reader.coords()?,
            watermark: reader.number()?,
            source: reader.key()?,
            dest: reader.key()?,
            seq: reader.number()?,
            coords: reader.coords()?,
            sig: reader.signature()?,
        };
        reader.finish()?;
        Ok(notify)
    }

    /// The signature that belongs to `seq` and `coords`.
    #[must_use]
    pub fn sign(identity: &Identity, seq: u64, coords: &Coords) -> Signature {
        identity.sign(&notify_signature_input(seq, coords))
    }

    /// Whether the answering node signed this answer.
    #[must_use]
    pub fn is_authentic(&self) -> bool {
        self.source.verify(&notify_signature_input(self.seq, &self.coords), &self.sig)
    }

    /// The whole frame.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let len = self.path.encoded_len()
            + number_len(self.watermark)
            + 2 * KEY_LEN
            + number_len(self.seq)
            + self.coords.encoded_len()
            + SIGNATURE_LEN;
        frame(FrameKind::PathNotify, len, |out| {
            self.path.emit(out);
            put_number(out, self.watermark);
            out.extend_from_slice(self.source.as_bytes());
            out.extend_from_slice(self.dest.as_bytes());
            put_number(out, self.seq);
            self.coords.emit(out);
            out.extend_from_slice(self.sig.as_bytes());
        })
    }
}

impl PathBroken {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let broken = Self {
            path: reader.coords()?,
            watermark: reader.number()?,
            source: reader.key()?,
            dest: reader.key()?,
        };
        reader.finish()?;
        Ok(broken)
    }

    /// The whole frame.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let len = self.path.encoded_len() + number_len(self.watermark) + 2 * KEY_LEN;
        frame(FrameKind::PathBroken, len, |out| {
            self.path.emit(out);
            put_number(out, self.watermark);
            out.extend_from_slice(self.source.as_bytes());
            out.extend_from_slice(self.dest.as_bytes());
        })
    }
}
