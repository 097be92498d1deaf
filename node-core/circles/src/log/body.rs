//! What an operation says, and its one encoding.
//!
//! A body is a CBOR map whose keys are small numbers, in ascending order, everything in its
//! shortest form and of definite length (RFC 8949 section 4.2.1); what is absent has no entry. A
//! body is read and written again, and refused when the bytes differ: nobody can say one thing
//! in two ways. `docs/circles.md` has the tables.

use core::convert::Infallible;

use minicbor::{Decoder, Encoder, decode, encode};
use planetary_proto::NodeKey;
use thiserror::Error;

use super::{
    label::{Label, RemovalReason},
    operation::OpId,
    suggestion::Suggestion,
};
use crate::limits::{INVITE_USES_MAX, SENIORS_MAX, SUGGESTIONS_MAX};

/// What a member may do in its circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Belong to it.
    Member,
    /// Add and invite others, remove those below it, and change what the circle is called.
    Admin,
}

/// What an operation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Begins a circle.
    Genesis {
        /// Its name.
        name: Label,
        /// Who stands above all others, by rank: 1 to [`SENIORS_MAX`] different keys, the author
        /// first.
        seniors: Vec<NodeKey>,
        /// Makes circles differ whose other fields are the same.
        nonce: [u8; 16],
        /// Whether the first senior is a key on paper, which is no node and no member. It needs a
        /// second senior.
        paper: bool,
    },
    /// Makes a key a member, once it agrees.
    Add {
        /// The key.
        member: NodeKey,
        /// What it may do.
        role: Role,
        /// What the author calls it, or what it calls itself.
        label: Option<Label>,
        /// The first number of the member's operations that counts: 1, or higher after a removal.
        from: u32,
        /// The invite by which it came.
        via: Option<OpId>,
    },
    /// The author agrees to be a member.
    Accept {
        /// The operation that added it.
        add: OpId,
        /// What showed the inviter that the author has the link; see [`crate::invite`].
        proof: Option<[u8; 32]>,
    },
    /// Ends a membership.
    Remove {
        /// The operation that began it; for a senior [`OpId::of_senior`].
        add: OpId,
        /// The last number of the member's operations that counts. Who leaves keeps all it said.
        cutoff: u32,
        /// Why.
        reason: RemovalReason,
    },
    /// Lets guests join by a link.
    Invite {
        /// What stands for the link's secret; see [`crate::invite::Token::hash`].
        token_hash: [u8; 32],
        /// When it is over, in seconds of UNIX time. Only the author's node looks at it.
        expires: u64,
        /// How many guests it lets in: 1 to [`INVITE_USES_MAX`].
        uses: u32,
        /// What guests may do.
        role: Role,
    },
    /// Begins a generation of the circle's secret.
    Key {
        /// Its number, from 1.
        generation: u32,
        /// `BLAKE2b-256` of the secret.
        commitment: [u8; 32],
    },
    /// Changes what the circle is called or suggests; at least one of both.
    Meta {
        /// The new name.
        name: Option<Label>,
        /// What to suggest from here on: at most [`SUGGESTIONS_MAX`].
        suggested: Option<Vec<Suggestion>>,
    },
    /// A part of what the log amounts to; see `checkpoint.rs`.
    Checkpoint {
        /// Which part, from 0. The others are the author's operations before and after it.
        part: u32,
        /// How many there are.
        parts: u32,
        /// The bytes of this part.
        state: Vec<u8>,
    },
}

/// Why bytes are no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// No kind has this number.
    #[error("there is no operation of kind {0}")]
    Kind(u8),
    /// Not the fields of the kind.
    #[error("the fields are not those of the kind")]
    Fields,
    /// A field has a value that the kind does not allow.
    #[error("a field has an impossible value")]
    Value,
    /// There is a shorter or more usual encoding of the same.
    #[error("the encoding is not the canonical one")]
    Encoding,
}

impl From<decode::Error> for BodyError {
    fn from(_: decode::Error) -> Self {
        Self::Fields
    }
}

impl Kind {
    /// The number of the kind in the layout.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::Genesis { .. } => 0,
            Self::Add { .. } => 1,
            Self::Accept { .. } => 2,
            Self::Remove { .. } => 3,
            Self::Invite { .. } => 4,
            Self::Key { .. } => 5,
            Self::Meta { .. } => 6,
            Self::Checkpoint { .. } => 7,
        }
    }

    /// Reads the body of an operation of kind `number`.
    pub(super) fn parse(number: u8, body: &[u8]) -> Result<Self, BodyError> {
        let mut fields = Fields::open(body)?;
        let kind = Self::read(number, &mut fields)?;
        fields.close()?;
        kind.check()?;
        if kind.emit() != body {
            return Err(BodyError::Encoding);
        }
        Ok(kind)
    }

    fn read(number: u8, fields: &mut Fields<'_>) -> Result<Self, BodyError> {
        Ok(match number {
            0 => Self::Genesis {
                name: fields.need(0, label)?,
                seniors: fields.need(1, |decoder| list(decoder, SENIORS_MAX, key))?,
                nonce: fields.need(2, array)?,
                paper: fields.may(3, |decoder| Ok(decoder.bool()?))?.unwrap_or(false),
            },
            1 => Self::Add {
                member: fields.need(0, key)?,
                role: fields.need(1, role)?,
                label: fields.may(2, label)?,
                from: fields.need(3, number_32)?,
                via: fields.may(4, id)?,
            },
            2 => Self::Accept { add: fields.need(0, id)?, proof: fields.may(1, array)? },
            3 => Self::Remove {
                add: fields.need(0, id)?,
                cutoff: fields.need(1, number_32)?,
                reason: fields.may(2, reason)?.unwrap_or_default(),
            },
            4 => Self::Invite {
                token_hash: fields.need(0, array)?,
                expires: fields.need(1, |decoder| Ok(decoder.u64()?))?,
                uses: fields.need(2, number_32)?,
                role: fields.need(3, role)?,
            },
            5 => Self::Key {
                generation: fields.need(0, number_32)?,
                commitment: fields.need(1, array)?,
            },
            6 => Self::Meta {
                name: fields.may(0, label)?,
                suggested: fields.may(1, |decoder| list(decoder, SUGGESTIONS_MAX, suggestion))?,
            },
            7 => Self::Checkpoint {
                part: fields.need(0, number_32)?,
                parts: fields.need(1, number_32)?,
                state: fields.need(2, |decoder| Ok(decoder.bytes()?.to_vec()))?,
            },
            _ => return Err(BodyError::Kind(number)),
        })
    }

    /// Whether the values are possible; what the types cannot say.
    pub(super) fn check(&self) -> Result<(), BodyError> {
        let possible = match self {
            Self::Genesis { seniors, paper, .. } => {
                let different =
                    seniors.iter().enumerate().all(|(at, key)| !seniors[..at].contains(key));
                let least = if *paper { 2 } else { 1 };
                (least..=SENIORS_MAX).contains(&seniors.len()) && different
            }
            Self::Add { from, .. } => *from >= 1,
            Self::Invite { uses, .. } => (1..=INVITE_USES_MAX).contains(uses),
            Self::Key { generation, .. } => *generation >= 1,
            Self::Meta { name, suggested } => {
                (name.is_some() || suggested.is_some())
                    && suggested.as_ref().is_none_or(|list| list.len() <= SUGGESTIONS_MAX)
            }
            Self::Checkpoint { part, parts, .. } => part < parts,
            Self::Accept { .. } | Self::Remove { .. } => true,
        };
        if possible { Ok(()) } else { Err(BodyError::Value) }
    }

    /// The body.
    pub(super) fn emit(&self) -> Vec<u8> {
        // Writing to a vector cannot fail.
        self.write().expect("a vector takes every byte")
    }

    fn write(&self) -> Result<Vec<u8>, encode::Error<Infallible>> {
        let mut out = Encoder::new(Vec::new());
        match self {
            Self::Genesis { name, seniors, nonce, paper } => {
                out.map(if *paper { 4 } else { 3 })?;
                out.u8(0)?.str(name.as_str())?;
                out.u8(1)?.array(seniors.len() as u64)?;
                for senior in seniors {
                    out.bytes(senior.as_bytes())?;
                }
                out.u8(2)?.bytes(nonce)?;
                if *paper {
                    out.u8(3)?.bool(true)?;
                }
            }
            Self::Add { member, role, label, from, via } => {
                out.map(3 + u64::from(label.is_some()) + u64::from(via.is_some()))?;
                out.u8(0)?.bytes(member.as_bytes())?;
                out.u8(1)?.u8(role.number())?;
                if let Some(label) = label {
                    out.u8(2)?.str(label.as_str())?;
                }
                out.u8(3)?.u32(*from)?;
                if let Some(via) = via {
                    out.u8(4)?.bytes(via.as_bytes())?;
                }
            }
            Self::Accept { add, proof } => {
                out.map(1 + u64::from(proof.is_some()))?.u8(0)?.bytes(add.as_bytes())?;
                if let Some(proof) = proof {
                    out.u8(1)?.bytes(proof)?;
                }
            }
            Self::Remove { add, cutoff, reason } => {
                let reason = reason.as_str();
                out.map(2 + u64::from(!reason.is_empty()))?;
                out.u8(0)?.bytes(add.as_bytes())?.u8(1)?.u32(*cutoff)?;
                if !reason.is_empty() {
                    out.u8(2)?.str(reason)?;
                }
            }
            Self::Invite { token_hash, expires, uses, role } => {
                out.map(4)?.u8(0)?.bytes(token_hash)?.u8(1)?.u64(*expires)?;
                out.u8(2)?.u32(*uses)?.u8(3)?.u8(role.number())?;
            }
            Self::Key { generation, commitment } => {
                out.map(2)?.u8(0)?.u32(*generation)?.u8(1)?.bytes(commitment)?;
            }
            Self::Meta { name, suggested } => {
                out.map(u64::from(name.is_some()) + u64::from(suggested.is_some()))?;
                if let Some(name) = name {
                    out.u8(0)?.str(name.as_str())?;
                }
                if let Some(suggested) = suggested {
                    out.u8(1)?.array(suggested.len() as u64)?;
                    for suggestion in suggested {
                        out.str(&suggestion.to_string())?;
                    }
                }
            }
            Self::Checkpoint { part, parts, state } => {
                out.map(3)?.u8(0)?.u32(*part)?.u8(1)?.u32(*parts)?.u8(2)?.bytes(state)?;
            }
        }
        Ok(out.into_writer())
    }
}

impl Role {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Member => 0,
            Self::Admin => 1,
        }
    }
}

/// The entries of a map, in the order of their keys.
struct Fields<'b> {
    decoder: Decoder<'b>,
    left: u64,
}

impl<'b> Fields<'b> {
    fn open(body: &'b [u8]) -> Result<Self, BodyError> {
        let mut decoder = Decoder::new(body);
        let left = decoder.map()?.ok_or(BodyError::Encoding)?;
        Ok(Self { decoder, left })
    }

    /// The entry `key`, if it is the next one.
    fn may<T>(
        &mut self,
        key: u8,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<T, BodyError>,
    ) -> Result<Option<T>, BodyError> {
        if self.left == 0 || self.decoder.probe().u8().ok() != Some(key) {
            return Ok(None);
        }
        self.decoder.u8()?;
        self.left -= 1;
        read(&mut self.decoder).map(Some)
    }

    fn need<T>(
        &mut self,
        key: u8,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<T, BodyError>,
    ) -> Result<T, BodyError> {
        self.may(key, read)?.ok_or(BodyError::Fields)
    }

    fn close(self) -> Result<(), BodyError> {
        let whole = self.left == 0 && self.decoder.position() == self.decoder.input().len();
        if whole { Ok(()) } else { Err(BodyError::Fields) }
    }
}

pub(super) fn array<const N: usize>(decoder: &mut Decoder<'_>) -> Result<[u8; N], BodyError> {
    decoder.bytes()?.try_into().map_err(|_| BodyError::Value)
}

pub(super) fn key(decoder: &mut Decoder<'_>) -> Result<NodeKey, BodyError> {
    array(decoder).map(NodeKey::from_bytes)
}

pub(super) fn id(decoder: &mut Decoder<'_>) -> Result<OpId, BodyError> {
    array(decoder).map(OpId::from_bytes)
}

pub(super) fn number_32(decoder: &mut Decoder<'_>) -> Result<u32, BodyError> {
    Ok(decoder.u32()?)
}

pub(super) fn role(decoder: &mut Decoder<'_>) -> Result<Role, BodyError> {
    match decoder.u8()? {
        0 => Ok(Role::Member),
        1 => Ok(Role::Admin),
        _ => Err(BodyError::Value),
    }
}

pub(super) fn label(decoder: &mut Decoder<'_>) -> Result<Label, BodyError> {
    decoder.str()?.parse().map_err(|_| BodyError::Value)
}

pub(super) fn suggestion(decoder: &mut Decoder<'_>) -> Result<Suggestion, BodyError> {
    decoder.str()?.parse().map_err(|_| BodyError::Value)
}

fn reason(decoder: &mut Decoder<'_>) -> Result<RemovalReason, BodyError> {
    decoder.str()?.parse().map_err(|_| BodyError::Value)
}

pub(super) fn list<T>(
    decoder: &mut Decoder<'_>,
    max: usize,
    read: fn(&mut Decoder<'_>) -> Result<T, BodyError>,
) -> Result<Vec<T>, BodyError> {
    let len = decoder.array()?.ok_or(BodyError::Encoding)?;
    if len > max as u64 {
        return Err(BodyError::Value);
    }
    (0..len).map(|_| read(decoder)).collect()
}
