//! One signed record of a circle, as bytes and as what they say.
//!
//! ```text
//! "PLNC1" | circle 32 | author 32 | seq u32 | prev 32 | kind u8 | length u16 | body | signature 64
//! ```
//!
//! An [`Operation`] exists only with a valid signature over exactly these bytes, and its body has
//! exactly one encoding; so what names it, the hash of everything before the signature, names one
//! meaning. Whether it counts is the matter of `evaluate.rs`.

use core::fmt;
use std::sync::Arc;

use planetary_proto::{NodeKey, Signature};
use thiserror::Error;

use super::body::{BodyError, Kind};
use crate::{
    hash::blake2b_256,
    limits::{BODY_LEN_MAX, OPERATION_HEAD_LEN, OPERATION_TAIL_LEN},
};

/// What every operation begins with: the format and its version.
pub(super) const MAGIC: &[u8; 5] = b"PLNC1";
/// Stands before an operation when it is signed, so that the signature says nothing elsewhere.
const SIGNED_AS: &[u8] = b"planetary circle op\0";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes 32 bytes for what names something.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Enough to tell them apart in tests; a circle's is a secret among its members.
                write!(f, concat!(stringify!($name), "({:02x}{:02x}…)"), self.0[0], self.0[1])
            }
        }
    };
}

id! {
    /// What names a circle: the [`OpId`] of its first operation.
    ///
    /// A secret among members, so it has no `Display` and must not reach a log.
    CircleId
}

id! {
    /// What names an operation: the hash of everything in it but the signature.
    OpId
}

impl OpId {
    /// What names the membership of a senior, which no operation of its own adds: its key.
    #[must_use]
    pub const fn of_senior(key: &NodeKey) -> Self {
        Self(*key.as_bytes())
    }
}

impl CircleId {
    /// The same as what names the first operation.
    #[must_use]
    pub const fn genesis(&self) -> OpId {
        OpId(self.0)
    }
}

/// Why bytes are not an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OperationError {
    /// Not of the layout, or with bytes behind it.
    #[error("the bytes are no operation of this version")]
    Layout,
    /// The body says nothing, or says it in an unusual way.
    #[error("the body of the operation is wrong")]
    Body(#[from] BodyError),
    /// Circle, number, previous operation or author do not suit the kind: the first operation has
    /// none of the former and is its first senior's, all others have all of them.
    #[error("the operation has no possible place")]
    Place,
    /// The author's key is one with which anybody can sign.
    #[error("the author's key is weak")]
    WeakKey,
    /// The signature is not its author's.
    #[error("the signature of the operation is wrong")]
    Signature,
}

/// A signed operation. Clones share their bytes.
#[derive(Clone)]
pub struct Operation(Arc<Inner>);

struct Inner {
    bytes: Box<[u8]>,
    id: OpId,
    head: OpHead,
    kind: Kind,
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpHead {
    /// All zero for the first operation.
    pub(super) circle: CircleId,
    pub(super) author: NodeKey,
    pub(super) seq: u32,
    pub(super) prev: OpId,
}

impl Operation {
    /// Takes bytes of anybody for a whole operation, and verifies the signature.
    ///
    /// # Errors
    /// [`OperationError`] says what is wrong first. The signature comes last: it costs most.
    pub fn parse(bytes: &[u8]) -> Result<Self, OperationError> {
        let operation = Self::parse_unverified(bytes)?;
        operation.verify()?;
        Ok(operation)
    }

    /// The operation with these parts, whose signature is anybody's guess.
    pub(super) fn parse_unverified(bytes: &[u8]) -> Result<Self, OperationError> {
        let (head, body) = split(bytes).ok_or(OperationError::Layout)?;
        let kind = Kind::parse(bytes[OPERATION_HEAD_LEN - 3], body)?;
        let stands = match &kind {
            Kind::Genesis { seniors, .. } => {
                head.circle.0 == [0; 32]
                    && head.seq == 0
                    && head.prev.0 == [0; 32]
                    && seniors.first() == Some(&head.author)
            }
            _ => head.circle.0 != [0; 32] && head.seq > 0,
        };
        if !stands {
            return Err(OperationError::Place);
        }
        let id = OpId(blake2b_256(&[&bytes[..bytes.len() - OPERATION_TAIL_LEN]]));
        Ok(Self(Arc::new(Inner { bytes: bytes.into(), id, head, kind })))
    }

    fn verify(&self) -> Result<(), OperationError> {
        if self.author().is_weak() {
            return Err(OperationError::WeakKey);
        }
        let (unsigned, signature) = self
            .bytes()
            .split_last_chunk::<OPERATION_TAIL_LEN>()
            // The layout has been checked.
            .ok_or(OperationError::Layout)?;
        let signature = Signature::from_bytes(*signature);
        if !self.author().verify(&signed_bytes(unsigned), &signature) {
            return Err(OperationError::Signature);
        }
        Ok(())
    }

    /// The whole operation, signature included.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// What names it.
    #[must_use]
    pub fn id(&self) -> OpId {
        self.0.id
    }

    /// The circle it belongs to.
    #[must_use]
    pub fn circle(&self) -> CircleId {
        match self.0.kind {
            Kind::Genesis { .. } => CircleId(self.0.id.0),
            _ => self.0.head.circle,
        }
    }

    /// Who signed it.
    #[must_use]
    pub fn author(&self) -> NodeKey {
        self.0.head.author
    }

    /// Its number among its author's operations in this circle: 0 for the first of all, else from
    /// 1.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.0.head.seq
    }

    /// Its author's operation before it, or the circle's first for number 1.
    #[must_use]
    pub fn prev(&self) -> OpId {
        self.0.head.prev
    }

    /// What it says.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }
}

impl PartialEq for Operation {
    /// By what names them: two signatures under the same words are one operation.
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Operation {}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { id, head, kind, .. } = &*self.0;
        write!(f, "{id:?} by {:?}, number {}: {kind:?}", head.author, head.seq)
    }
}

/// What an author signs for an operation whose bytes without signature these are.
pub(super) fn signed_bytes(unsigned: &[u8]) -> Vec<u8> {
    [SIGNED_AS, unsigned].concat()
}

/// Everything of an operation but the signature. `None` if the body is too long.
pub(super) fn emit_unsigned(head: &OpHead, kind: &Kind) -> Option<Vec<u8>> {
    let body = kind.emit();
    let len = u16::try_from(body.len()).ok().filter(|_| body.len() <= BODY_LEN_MAX)?;
    let mut bytes = Vec::with_capacity(OPERATION_HEAD_LEN + body.len() + OPERATION_TAIL_LEN);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&head.circle.0);
    bytes.extend_from_slice(head.author.as_bytes());
    bytes.extend_from_slice(&head.seq.to_be_bytes());
    bytes.extend_from_slice(&head.prev.0);
    bytes.push(kind.number());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&body);
    Some(bytes)
}

/// Head and body, if the bytes have the layout.
fn split(bytes: &[u8]) -> Option<(OpHead, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (circle, rest) = rest.split_first_chunk::<32>()?;
    let (author, rest) = rest.split_first_chunk::<32>()?;
    let (seq, rest) = rest.split_first_chunk::<4>()?;
    let (prev, rest) = rest.split_first_chunk::<32>()?;
    let (_kind, rest) = rest.split_first()?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (body, _signature) = rest.split_last_chunk::<OPERATION_TAIL_LEN>()?;
    let whole = body.len() == usize::from(u16::from_be_bytes(*len)) && body.len() <= BODY_LEN_MAX;
    let head = OpHead {
        circle: CircleId(*circle),
        author: NodeKey::from_bytes(*author),
        seq: u32::from_be_bytes(*seq),
        prev: OpId(*prev),
    };
    whole.then_some((head, body))
}
