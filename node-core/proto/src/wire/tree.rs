//! The messages of the spanning tree (chapter 4.2).

use super::{Coords, DecodeError, FrameKind, Reader, frame, number_len, put_number};
use crate::{
    crypto::{SIGNATURE_LEN, Signature},
    identity::{Identity, KEY_LEN, NodeKey},
};

/// "Sign an edge for me": what the two ends of an edge agree on before it has a parent and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigReq {
    /// The requester's current sequence number plus one.
    pub seq: u64,
    /// Random, fresh for each request.
    pub nonce: u64,
}

/// The answer to a [`SigReq`]: port and signature of the parent-to-be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigRes {
    /// The request that is answered.
    pub request: SigReq,
    /// The answering node's port for the requester.
    pub port: u64,
    /// The answering node's signature over the edge.
    pub psig: Signature,
}

/// What both ends of an edge sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeDraft {
    /// The child.
    pub node: NodeKey,
    /// Its parent, itself for a root.
    pub parent: NodeKey,
    /// Version.
    pub request: SigReq,
    /// Parent's port for the child.
    pub port: u64,
}

/// One edge of the tree, as its child announces it. The signatures are as received; see
/// [`Announce::is_valid`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// What is signed.
    pub edge: EdgeDraft,
    /// The parent's signature.
    pub psig: Signature,
    /// The child's signature.
    pub sig: Signature,
}

impl SigReq {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let request = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(request)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seq: reader.number()?, nonce: reader.number()? })
    }

    fn encoded_len(self) -> usize {
        number_len(self.seq) + number_len(self.nonce)
    }

    fn put(self, out: &mut Vec<u8>) {
        put_number(out, self.seq);
        put_number(out, self.nonce);
    }

    /// The whole frame.
    #[must_use]
    pub fn emit(self) -> Vec<u8> {
        frame(FrameKind::SigReq, self.encoded_len(), |out| self.put(out))
    }
}

impl SigRes {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let response = Self {
            request: SigReq::read(&mut reader)?,
            port: reader.number()?,
            psig: reader.signature()?,
        };
        reader.finish()?;
        Ok(response)
    }

    /// The whole frame.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let len = self.request.encoded_len() + number_len(self.port) + SIGNATURE_LEN;
        frame(FrameKind::SigRes, len, |out| {
            self.request.put(out);
            put_number(out, self.port);
            out.extend_from_slice(self.psig.as_bytes());
        })
    }
}

impl EdgeDraft {
    /// The bytes that both ends sign (chapter 4.2).
    #[must_use]
    pub fn signature_input(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 * KEY_LEN + 30);
        out.extend_from_slice(self.node.as_bytes());
        out.extend_from_slice(self.parent.as_bytes());
        self.request.put(&mut out);
        put_number(&mut out, self.port);
        out
    }

    /// One end's signature.
    #[must_use]
    pub fn sign(&self, identity: &Identity) -> Signature {
        identity.sign(&self.signature_input())
    }
}

impl Announce {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let node = reader.key()?;
        let parent = reader.key()?;
        let request = SigReq::read(&mut reader)?;
        let port = reader.number()?;
        let announce = Self {
            edge: EdgeDraft { node, parent, request, port },
            psig: reader.signature()?,
            sig: reader.signature()?,
        };
        reader.finish()?;
        Ok(announce)
    }

    /// Whether port and both signatures are as chapter 4.2 wants them. Costs up to two
    /// verifications.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let edge = &self.edge;
        if edge.port == 0 && !self.is_root() {
            return false;
        }
        let input = edge.signature_input();
        if self.is_root() && self.sig == self.psig {
            return edge.node.verify(&input, &self.sig);
        }
        edge.node.verify(&input, &self.sig) && edge.parent.verify(&input, &self.psig)
    }

    /// Whether the node announces itself as a root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.edge.node == self.edge.parent
    }

    /// The whole frame.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let edge = &self.edge;
        let len =
            2 * KEY_LEN + edge.request.encoded_len() + number_len(edge.port) + 2 * SIGNATURE_LEN;
        frame(FrameKind::Announce, len, |out| {
            out.extend_from_slice(&edge.signature_input());
            out.extend_from_slice(self.psig.as_bytes());
            out.extend_from_slice(self.sig.as_bytes());
        })
    }
}

/// Signature input of a [`super::PathNotify`] (chapter 5.6).
pub(super) fn notify_signature_input(seq: u64, coords: &Coords) -> Vec<u8> {
    let mut out = Vec::with_capacity(10 + coords.encoded_len());
    put_number(&mut out, seq);
    coords.emit(&mut out);
    out
}
