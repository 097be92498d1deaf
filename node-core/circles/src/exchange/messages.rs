//! Messages between members, guests and issuers of invites: bytes in, values out, and back.
//!
//! A body is one CBOR map with small numbers as keys, in the one way that `docs/circles.md` writes
//! down: what is read is written again and compared, so a message has exactly one form and nothing
//! can hide in it. Whatever is longer than a bound, unknown, missing or left over refuses the whole
//! message. That a message can be read says nothing about whether its sender may send it.

use core::{convert::Infallible, fmt};

use minicbor::{Decoder, Encoder, encode};
use thiserror::Error;

use crate::{
    limits::{
        HEADS_PER_MESSAGE_MAX, MESSAGE_BODY_MAX, OPERATION_LEN_MAX, OPERATIONS_PER_MESSAGE_MAX,
    },
    log::{CircleId, Head, Label},
};

/// Kinds of messages: requests are even, the answer of each is the next number.
pub mod kind {
    use planetary_proto::upper::extension;

    /// "This I have of a circle"; answered with [`OPS`].
    pub const HAVE: u8 = extension::HAVE;
    /// "This you lack."
    pub const OPS: u8 = 0x21;
    /// "Let me in"; answered with [`JOINED`].
    pub const JOIN: u8 = extension::JOIN;
    /// "Come in", "wait" or "no".
    pub const JOINED: u8 = 0x23;
    /// "This is the circle's secret", or "tell me the secret"; answered with [`TAKEN`].
    pub const SECRET: u8 = extension::SECRET;
    /// "I have it", or the secret that was asked for.
    pub const TAKEN: u8 = 0x25;
    /// "This is new"; answered with [`HELD`].
    pub const PUSH: u8 = extension::PUSH;
    /// "This I have with it."
    pub const HELD: u8 = 0x27;
    /// "You were added to a circle"; answered with [`SEEN`].
    pub const OFFER: u8 = extension::OFFER;
    /// "I know."
    pub const SEEN: u8 = 0x29;
}

/// What names a circle between two nodes that both know it, and tells nobody else anything:
/// `BLAKE2b-128(key = secret of the pair, "planetary circle tag" || circle id)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(pub [u8; 16]);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(…)")
    }
}

/// Authors that a message is about: those whose key begins with `from` or more, and with less than
/// `below`. A log of more authors than fit a message is compared in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first; `None` from the beginning.
    pub from: Option<[u8; 8]>,
    /// The first that is no longer meant; `None` to the end.
    pub below: Option<[u8; 8]>,
}

impl Span {
    /// Whether an author is meant.
    #[must_use]
    pub fn contains(&self, author: &[u8; 8]) -> bool {
        self.from.is_none_or(|from| from <= *author)
            && self.below.is_none_or(|below| *author < below)
    }

    /// Whether all authors are meant.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.from.is_none() && self.below.is_none()
    }
}

/// A request or an answer about a circle.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// See [`kind::HAVE`].
    Have {
        /// Which circle.
        tag: Tag,
        /// What the sender has of authors in `span`, by author.
        heads: Vec<Head>,
        /// Which authors are meant.
        span: Span,
    },
    /// See [`kind::OPS`].
    Ops {
        /// Operations that the asker lacks, in an order in which each can be placed.
        operations: Vec<Vec<u8>>,
        /// Whether there are more of them.
        more: bool,
        /// What the sender has of the authors that were asked about, if it says so.
        heads: Option<Vec<Head>>,
    },
    /// See [`kind::JOIN`].
    Join {
        /// Which circle.
        tag: Tag,
        /// That the sender has the link: see [`crate::invite`].
        proof: [u8; 32],
        /// What the sender calls itself.
        label: Option<Label>,
    },
    /// See [`kind::JOINED`].
    Joined(Joined),
    /// See [`kind::SECRET`].
    Secret {
        /// Which circle.
        tag: Tag,
        /// Which of its secrets.
        generation: u32,
        /// The secret; `None` asks for it.
        secret: Option<[u8; 32]>,
    },
    /// See [`kind::TAKEN`].
    Taken {
        /// The secret that was asked for, if it is told.
        secret: Option<[u8; 32]>,
    },
    /// See [`kind::PUSH`].
    Push {
        /// Which circle.
        tag: Tag,
        /// Operations, in an order in which each can be placed.
        operations: Vec<Vec<u8>>,
    },
    /// See [`kind::HELD`].
    Held {
        /// What the sender has, if it takes part in the circle and all of it fits.
        heads: Option<Vec<Head>>,
    },
    /// See [`kind::OFFER`].
    Offer {
        /// The circle's id: who was added may know it.
        circle: CircleId,
    },
    /// See [`kind::SEEN`].
    Seen,
}

impl fmt::Debug for Message {
    /// Shows the kind alone: the rest holds secrets, and names what strangers must not know.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:#04x})", self.kind())
    }
}

/// What becomes of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is not let in, for whatever reason.
    Refused,
    /// A person has to say so first.
    Waiting,
    /// It was added: it may ask for the circle's operations.
    Welcome,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than any message.
    #[error("a message about a circle is {MESSAGE_BODY_MAX} bytes at most")]
    TooLong,
    /// No kind of this module.
    #[error("kind {0:#04x} is no message about a circle")]
    UnknownKind(u8),
    /// Not what `docs/circles.md` has for the kind: wrong in form, beyond a bound, or not written
    /// in the one way.
    #[error("malformed message about a circle")]
    Malformed,
}

impl Message {
    /// The kind of the message.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Have { .. } => kind::HAVE,
            Self::Ops { .. } => kind::OPS,
            Self::Join { .. } => kind::JOIN,
            Self::Joined(_) => kind::JOINED,
            Self::Secret { .. } => kind::SECRET,
            Self::Taken { .. } => kind::TAKEN,
            Self::Push { .. } => kind::PUSH,
            Self::Held { .. } => kind::HELD,
            Self::Offer { .. } => kind::OFFER,
            Self::Seen => kind::SEEN,
        }
    }

    /// Reads the body of a message of a kind.
    ///
    /// # Errors
    /// See [`MessageError`]; the sender is at fault.
    pub fn parse(kind: u8, body: &[u8]) -> Result<Self, MessageError> {
        if body.len() > MESSAGE_BODY_MAX {
            return Err(MessageError::TooLong);
        }
        if !(kind::HAVE..=kind::SEEN).contains(&kind) {
            return Err(MessageError::UnknownKind(kind));
        }
        let message = Reader::message(kind, body).ok_or(MessageError::Malformed)?;
        if message.emit() != body {
            return Err(MessageError::Malformed);
        }
        Ok(message)
    }

    /// The body. Within [`MESSAGE_BODY_MAX`] if the lists are within their bounds, of which the
    /// sender takes care.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Writer(Encoder::new(Vec::new()));
        match self {
            Self::Have { tag, heads, span } => {
                let members = 2 + u64::from(span.from.is_some()) + u64::from(span.below.is_some());
                out.map(members).bytes(0, &tag.0).heads(1, heads);
                out.optional(2, span.from.as_ref()).optional(3, span.below.as_ref());
            }
            Self::Ops { operations, more, heads } => {
                out.map(2 + u64::from(heads.is_some())).operations(0, operations).flag(1, *more);
                if let Some(heads) = heads {
                    out.heads(2, heads);
                }
            }
            Self::Join { tag, proof, label } => {
                out.map(2 + u64::from(label.is_some())).bytes(0, &tag.0).bytes(1, proof);
                if let Some(label) = label {
                    out.text(2, label.as_str());
                }
            }
            Self::Joined(joined) => {
                let result = match joined {
                    Joined::Refused => 0,
                    Joined::Waiting => 1,
                    Joined::Welcome => 2,
                };
                out.map(1).number(0, result);
            }
            Self::Secret { tag, generation, secret } => {
                out.map(2 + u64::from(secret.is_some())).bytes(0, &tag.0).number(1, *generation);
                out.optional(2, secret.as_ref());
            }
            Self::Taken { secret } => {
                out.map(u64::from(secret.is_some())).optional(0, secret.as_ref());
            }
            Self::Push { tag, operations } => {
                out.map(2).bytes(0, &tag.0).operations(1, operations);
            }
            Self::Held { heads } => {
                out.map(u64::from(heads.is_some()));
                if let Some(heads) = heads {
                    out.heads(0, heads);
                }
            }
            Self::Offer { circle } => {
                out.map(1).bytes(0, circle.as_bytes());
            }
            Self::Seen => {
                out.map(0);
            }
        }
        out.0.into_writer()
    }
}

/// The first bytes of a key or of what names an operation, as heads have them.
pub(super) fn first_eight(bytes: &[u8; 32]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&bytes[..8]);
    short
}

/// Reads the members of a map in the order of their keys. What it takes for a message may still
/// have been written in another way: see [`Message::parse`].
struct Reader<'a> {
    decoder: Decoder<'a>,
    /// Members that have not been read.
    left: u64,
}

impl<'a> Reader<'a> {
    fn message(kind: u8, body: &'a [u8]) -> Option<Message> {
        let mut decoder = Decoder::new(body);
        let left = decoder.map().ok()??;
        let mut map = Self { decoder, left };
        let message = match kind {
            kind::HAVE => Message::Have {
                tag: Tag(map.bytes(0)?),
                heads: map.heads(1)?,
                span: Span {
                    from: map.optional(2, |map| map.bytes(2))?,
                    below: map.optional(3, |map| map.bytes(3))?,
                },
            },
            kind::OPS => Message::Ops {
                operations: map.operations(0)?,
                more: map.value(1)?.bool().ok()?,
                heads: map.optional(2, |map| map.heads(2))?,
            },
            kind::JOIN => Message::Join {
                tag: Tag(map.bytes(0)?),
                proof: map.bytes(1)?,
                label: map.optional(2, Self::label)?,
            },
            kind::JOINED => Message::Joined(match map.value(0)?.u8().ok()? {
                0 => Joined::Refused,
                1 => Joined::Waiting,
                2 => Joined::Welcome,
                _ => return None,
            }),
            kind::SECRET => Message::Secret {
                tag: Tag(map.bytes(0)?),
                generation: map.value(1)?.u32().ok()?,
                secret: map.optional(2, |map| map.bytes(2))?,
            },
            kind::TAKEN => Message::Taken { secret: map.optional(0, |map| map.bytes(0))? },
            kind::PUSH => Message::Push { tag: Tag(map.bytes(0)?), operations: map.operations(1)? },
            kind::HELD => Message::Held { heads: map.optional(0, |map| map.heads(0))? },
            kind::OFFER => Message::Offer { circle: CircleId::from_bytes(map.bytes(0)?) },
            kind::SEEN => Message::Seen,
            _ => return None,
        };
        (map.left == 0 && map.decoder.position() == body.len()).then_some(message)
    }

    /// Goes to the value of the next member, whose key must be `key`.
    fn value(&mut self, key: u8) -> Option<&mut Decoder<'a>> {
        self.left = self.left.checked_sub(1)?;
        (self.decoder.u8().ok()? == key).then_some(&mut self.decoder)
    }

    /// Reads the next member with `read` if its key is `key`; the outer `None` says that it cannot
    /// be read.
    fn optional<T>(
        &mut self,
        key: u8,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.left == 0 || self.decoder.probe().u8().ok()? != key {
            return Some(None);
        }
        read(self).map(Some)
    }

    fn bytes<const N: usize>(&mut self, key: u8) -> Option<[u8; N]> {
        self.value(key)?.bytes().ok()?.try_into().ok()
    }

    fn label(&mut self) -> Option<Label> {
        self.value(2)?.str().ok()?.parse().ok()
    }

    /// A list, whose length is checked before anything is allocated for it.
    fn list<T>(
        &mut self,
        key: u8,
        max: usize,
        mut item: impl FnMut(&mut Decoder<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let decoder = self.value(key)?;
        let len = usize::try_from(decoder.array().ok()??).ok().filter(|len| *len <= max)?;
        (0..len).map(|_| item(decoder)).collect()
    }

    fn operations(&mut self, key: u8) -> Option<Vec<Vec<u8>>> {
        self.list(key, OPERATIONS_PER_MESSAGE_MAX, |decoder| {
            let bytes = decoder.bytes().ok()?;
            (bytes.len() <= OPERATION_LEN_MAX).then(|| bytes.to_vec())
        })
    }

    /// Heads, which must stand in the order of their authors, each once.
    fn heads(&mut self, key: u8) -> Option<Vec<Head>> {
        let heads = self.list(key, HEADS_PER_MESSAGE_MAX, |decoder| {
            let is_triple = decoder.array().ok()? == Some(3);
            is_triple.then_some(())?;
            Some(Head {
                author: decoder.bytes().ok()?.try_into().ok()?,
                seq: decoder.u32().ok()?,
                id: decoder.bytes().ok()?.try_into().ok()?,
            })
        })?;
        heads.windows(2).all(|pair| pair[0].author < pair[1].author).then_some(heads)
    }
}

/// Writes members of a map. Writing into memory cannot fail.
struct Writer(Encoder<Vec<u8>>);

impl Writer {
    fn map(&mut self, members: u64) -> &mut Self {
        self.write(|to| to.map(members).map(drop))
    }

    fn bytes(&mut self, key: u8, bytes: &[u8]) -> &mut Self {
        self.write(|to| to.u8(key)?.bytes(bytes).map(drop))
    }

    fn optional<const N: usize>(&mut self, key: u8, bytes: Option<&[u8; N]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.bytes(key, bytes),
            None => self,
        }
    }

    fn text(&mut self, key: u8, text: &str) -> &mut Self {
        self.write(|to| to.u8(key)?.str(text).map(drop))
    }

    fn number(&mut self, key: u8, number: u32) -> &mut Self {
        self.write(|to| to.u8(key)?.u32(number).map(drop))
    }

    fn flag(&mut self, key: u8, flag: bool) -> &mut Self {
        self.write(|to| to.u8(key)?.bool(flag).map(drop))
    }

    fn operations(&mut self, key: u8, operations: &[Vec<u8>]) -> &mut Self {
        self.write(|to| {
            to.u8(key)?.array(operations.len() as u64)?;
            operations.iter().try_for_each(|operation| to.bytes(operation).map(drop))
        })
    }

    fn heads(&mut self, key: u8, heads: &[Head]) -> &mut Self {
        self.write(|to| {
            to.u8(key)?.array(heads.len() as u64)?;
            heads.iter().try_for_each(|Head { author, seq, id }| {
                to.array(3)?.bytes(author)?.u32(*seq)?.bytes(id).map(drop)
            })
        })
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Result<(), encode::Error<Infallible>>,
    ) -> &mut Self {
        match write(&mut self.0) {
            Ok(()) => self,
            // The error of a vector has no values, and lengths are known before they are written.
            Err(error) => unreachable!("written into memory: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heads() -> impl Strategy<Value = Vec<Head>> {
        let head = (any::<u32>(), any::<[u8; 8]>());
        prop::collection::btree_map(any::<[u8; 8]>(), head, 0..20).prop_map(|heads| {
            let head = |(author, (seq, id))| Head { author, seq, id };
            heads.into_iter().map(head).collect()
        })
    }

    fn operations() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let operation = prop::collection::vec(any::<u8>(), 0..40);
        prop::collection::vec(operation, 0..OPERATIONS_PER_MESSAGE_MAX)
    }

    fn message() -> impl Strategy<Value = Message> {
        let tag = || any::<[u8; 16]>().prop_map(Tag);
        let secret = || any::<Option<[u8; 32]>>();
        let label = prop::option::of("[a-zäЖ]{1,12}".prop_map(|text| text.parse().unwrap()));
        prop_oneof![
            (tag(), heads(), any::<[Option<[u8; 8]>; 2]>()).prop_map(
                |(tag, heads, [from, below])| {
                    Message::Have { tag, heads, span: Span { from, below } }
                }
            ),
            (operations(), any::<bool>(), prop::option::of(heads()))
                .prop_map(|(operations, more, heads)| Message::Ops { operations, more, heads }),
            (tag(), any::<[u8; 32]>(), label).prop_map(|(tag, proof, label)| Message::Join {
                tag,
                proof,
                label
            }),
            prop::sample::select(vec![Joined::Refused, Joined::Waiting, Joined::Welcome])
                .prop_map(Message::Joined),
            (tag(), any::<u32>(), secret()).prop_map(|(tag, generation, secret)| Message::Secret {
                tag,
                generation,
                secret
            }),
            secret().prop_map(|secret| Message::Taken { secret }),
            (tag(), operations()).prop_map(|(tag, operations)| Message::Push { tag, operations }),
            prop::option::of(heads()).prop_map(|heads| Message::Held { heads }),
            any::<[u8; 32]>().prop_map(|id| Message::Offer { circle: CircleId::from_bytes(id) }),
            Just(Message::Seen),
        ]
    }

    fn parse(kind: u8, body: &[u8]) -> Option<Message> {
        Message::parse(kind, body).ok()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message in message()) {
            let body = message.emit();
            prop_assert!(parse(message.kind(), &body) == Some(message.clone()));
            // Nothing may follow it, and nothing of it may be left out.
            let longer = [&body[..], &[0xf6]].concat();
            prop_assert!(parse(message.kind(), &longer).is_none());
            prop_assert!(parse(message.kind(), &body[..body.len() - 1]).is_none());
        }

        #[test]
        fn whatever_is_read_has_one_form(
            kind in kind::HAVE..=kind::SEEN,
            message in message(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut body = message.emit();
            for (at, value) in flips {
                let at = at.index(body.len());
                body[at] = value;
            }
            for kind in [kind, message.kind()] {
                if let Some(message) = parse(kind, &body) {
                    prop_assert_eq!(message.kind(), kind);
                    prop_assert_eq!(message.emit(), &body[..]);
                }
            }
        }
    }

    #[test]
    fn forms_other_than_the_one_are_refused() {
        let joined = |body: &[u8]| parse(kind::JOINED, body);
        assert!(joined(&[0xa1, 0, 2]) == Some(Message::Joined(Joined::Welcome)));
        // Longer numbers, a map without a length, other keys, other values, a second member.
        assert!(joined(&[0xa1, 0, 0x18, 2]).is_none());
        assert!(joined(&[0xa1, 0x18, 0, 2]).is_none());
        assert!(joined(&[0xbf, 0, 2, 0xff]).is_none());
        assert!(joined(&[0xa1, 1, 2]).is_none());
        assert!(joined(&[0xa1, 0, 3]).is_none());
        assert!(joined(&[0xa2, 0, 2, 0, 2]).is_none());
        assert!(joined(&[]).is_none());

        let head = |author| Head { author: [author; 8], seq: 1, id: [0; 8] };
        let held = |heads: &[Head]| Message::Held { heads: Some(heads.to_vec()) }.emit();
        assert!(parse(kind::HELD, &held(&[head(1), head(2)])).is_some());
        assert!(parse(kind::HELD, &held(&[head(2), head(1)])).is_none());
        assert!(parse(kind::HELD, &held(&[head(1), head(1)])).is_none());
    }

    #[test]
    fn a_list_that_claims_to_be_long_is_refused_before_room_is_made() {
        // A map of one list of 2^63 - 1 heads.
        let body = [&[0xa1, 0, 0x9b, 0x7f][..], &[0xff; 7]].concat();
        assert_eq!(Message::parse(kind::HELD, &body).err(), Some(MessageError::Malformed));
        let body = vec![0; MESSAGE_BODY_MAX + 1];
        assert_eq!(Message::parse(kind::HELD, &body).err(), Some(MessageError::TooLong));
        for kind in [0, 1, 0x1f, 0x2a, 0xff] {
            assert_eq!(Message::parse(kind, &[]).err(), Some(MessageError::UnknownKind(kind)));
        }
    }

    #[test]
    fn the_longest_lists_fit() {
        let heads: Vec<Head> = (0..HEADS_PER_MESSAGE_MAX as u64)
            .map(|at| Head { author: at.to_be_bytes(), seq: u32::MAX, id: [255; 8] })
            .collect();
        let span = Span { from: Some([1; 8]), below: Some([2; 8]) };
        for message in [
            Message::Have { tag: Tag([0; 16]), heads: heads.clone(), span },
            Message::Ops { operations: Vec::new(), more: false, heads: Some(heads) },
        ] {
            let body = message.emit();
            assert!(body.len() <= MESSAGE_BODY_MAX);
            assert!(parse(message.kind(), &body) == Some(message));
        }
    }

    #[test]
    fn labels_are_what_members_may_be_called() {
        let join = |label: &str| {
            let mut out = Writer(Encoder::new(Vec::new()));
            out.map(3).bytes(0, &[1; 16]).bytes(1, &[2; 32]).text(2, label);
            parse(kind::JOIN, &out.0.into_writer())
        };
        assert!(join("Ada's laptop").is_some());
        for label in ["", " a", "a ", "a\nb", "a\u{1b}[2J", &"x".repeat(49)] {
            assert!(join(label).is_none(), "{label:?}");
        }
    }
}
