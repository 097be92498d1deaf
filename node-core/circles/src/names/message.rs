//! The messages of the DNS, as far as one question and one answer need them.
//!
//! A question is looked at where it lies and copied into its answer as it came, letters of either
//! case included: resolvers choose the case at random to know their answers again. Everything in a
//! question that this server has no use for is skipped by its length, and what has a wrong one is
//! refused with "format error".

use std::net::Ipv6Addr;

use super::{NEGATIVE_TTL_S, TTL_S};

/// Longest question that is looked at: what resolvers send over IPv6 without fragments. Longer ones
/// are dropped.
pub const QUERY_LEN_MAX: usize = 1232;

/// Longest answer, which also those get that say nothing about how much they can take.
pub const ANSWER_LEN_MAX: usize = 512;

const HEAD_LEN: usize = 12;
/// Length of a name as it is sent, with the byte that ends it.
const NAME_LEN_MAX: usize = 255;
const LABEL_LEN_MAX: usize = 63;
/// A label of which this many leading bits are set is a pointer to where the name goes on.
const POINTER: u8 = 0xc0;

const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const AUTHORITATIVE: u16 = 0x0400;
const RECURSION_DESIRED: u16 = 0x0100;
const RECURSION_AVAILABLE: u16 = 0x0080;
const CHECKING_DISABLED: u16 = 0x0010;

const CLASS_INTERNET: u16 = 1;
const CLASS_ANY: u16 = 255;
const TYPE_SOA: u16 = 6;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;

/// Name, in the place of a mailbox, of whoever is responsible for the zone: nobody.
const NOBODY: &[u8] = b"\x06nobody\x07invalid\x00";

/// The labels of a name, the first one first.
pub(super) type Labels<'a> = Vec<&'a [u8]>;

/// How an answer begins: what it repeats of its question.
#[derive(Clone, Copy)]
pub(super) struct Head {
    id: u16,
    flags: u16,
}

/// A question, with what is known of who asks.
pub(super) struct Query<'a> {
    head: Head,
    /// The question as it came.
    bytes: &'a [u8],
    pub(super) labels: Labels<'a>,
    pub(super) kind: Kind,
    pub(super) is_internet: bool,
    /// The version of EDNS, if it is spoken.
    pub(super) edns: Option<u8>,
}

/// What is asked about a name.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Aaaa,
    Ptr,
    Soa,
    Any,
    /// The whole zone.
    Transfer,
    /// What no name here has.
    Other,
}

/// What becomes of bytes that are no question to be looked at.
pub(super) enum Refused {
    Silently,
    With(Head, Rcode),
}

/// How it went.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rcode {
    NoError = 0,
    Format = 1,
    NoName = 3,
    NotImplemented = 4,
    Refused = 5,
    BadVersion = 16,
}

/// What an answer says of a name.
pub(super) enum Content {
    Aaaa(Ipv6Addr),
    Ptr(String),
    Soa,
}

/// An answer before it is bytes.
pub(super) struct Reply {
    rcode: Rcode,
    content: Option<Content>,
    /// How many labels stand before the name of the zone, if the name is in one.
    apex: Option<usize>,
}

/// Reads a message from its beginning.
struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Query<'a> {
    /// Takes a message apart.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Refused> {
        let mut cursor = Cursor { message, at: 0 };
        let mut word = || cursor.word().ok_or(Refused::Silently);
        let head = Head { id: word()?, flags: word()? };
        let counts = [word()?, word()?, word()?, word()?];
        if head.flags & RESPONSE != 0 || message.len() > QUERY_LEN_MAX {
            return Err(Refused::Silently);
        }
        if head.flags & OPCODE != 0 {
            return Err(Refused::With(head, Rcode::NotImplemented));
        }
        let wrong = Refused::With(head, Rcode::Format);
        let [1, 0, 0, more] = counts else { return Err(wrong) };
        Self::parse_rest(head, cursor, more).ok_or(wrong)
    }

    fn parse_rest(head: Head, mut cursor: Cursor<'a>, more: u16) -> Option<Self> {
        let labels = cursor.labels()?;
        let (kind, class) = (cursor.word()?, cursor.word()?);
        let bytes = &cursor.message[HEAD_LEN..cursor.at];
        let mut edns = None;
        for _ in 0..more {
            let is_root = cursor.skip_name()?;
            let (kind, _size) = (cursor.word()?, cursor.word()?);
            let [_rcode, version, _, _] = *cursor.take(4)? else { return None };
            let len = cursor.word()?;
            cursor.take(usize::from(len))?;
            if kind == TYPE_OPT && (!is_root || edns.replace(version).is_some()) {
                return None;
            }
        }
        (cursor.at == cursor.message.len()).then_some(Self {
            head,
            bytes,
            labels,
            kind: Kind::of(kind),
            is_internet: matches!(class, CLASS_INTERNET | CLASS_ANY),
            edns,
        })
    }

    /// Where, in the answer, the name begins that is left when `count` labels are taken away.
    fn name_at(&self, count: usize) -> u16 {
        let before: usize = self.labels.iter().take(count).map(|label| 1 + label.len()).sum();
        // A name has 255 bytes.
        (HEAD_LEN + before) as u16
    }
}

impl Kind {
    const fn of(kind: u16) -> Self {
        match kind {
            TYPE_AAAA => Self::Aaaa,
            TYPE_PTR => Self::Ptr,
            TYPE_SOA => Self::Soa,
            255 => Self::Any,
            251 | 252 => Self::Transfer,
            _ => Self::Other,
        }
    }
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.message.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn word(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// A name that is written out, as the first one of a message must be.
    fn labels(&mut self) -> Option<Labels<'a>> {
        let (mut labels, start) = (Vec::new(), self.at);
        loop {
            match usize::from(self.byte()?) {
                0 => return (self.at - start <= NAME_LEN_MAX).then_some(labels),
                len @ 1..=LABEL_LEN_MAX => labels.push(self.take(len)?),
                _ => return None,
            }
        }
    }

    /// Skips a name that does not matter, and tells whether it is that of the root.
    fn skip_name(&mut self) -> Option<bool> {
        let start = self.at;
        loop {
            match self.byte()? {
                0 => return Some(self.at - start == 1),
                // It goes on elsewhere; nobody follows it there.
                high if high & POINTER == POINTER => return self.byte().map(|_| false),
                len if usize::from(len) <= LABEL_LEN_MAX => drop(self.take(usize::from(len))?),
                _ => return None,
            }
        }
    }
}

impl Head {
    /// An answer without a question, for one that could not be read.
    pub(super) fn refuse(self, rcode: Rcode) -> Vec<u8> {
        self.emit(rcode, false, [0; 4])
    }

    fn emit(self, rcode: Rcode, authoritative: bool, counts: [u16; 4]) -> Vec<u8> {
        let kept = self.flags & (OPCODE | RECURSION_DESIRED | CHECKING_DISABLED);
        let mut flags = RESPONSE | kept | (rcode as u16 & 0xf);
        if authoritative {
            flags |= AUTHORITATIVE;
        }
        // Some resolvers pass over a server that will not do all the work, and here that is no
        // more than the answer.
        if kept & RECURSION_DESIRED != 0 {
            flags |= RECURSION_AVAILABLE;
        }
        let mut bytes = Vec::with_capacity(ANSWER_LEN_MAX);
        for word in [self.id, flags].into_iter().chain(counts) {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}

impl Reply {
    /// A refusal of a question that is not about a name of ours.
    pub(super) const fn error(rcode: Rcode) -> Self {
        Self { rcode, content: None, apex: None }
    }

    /// Nothing, with the name of the zone that says so; it begins after `apex` labels.
    pub(super) const fn none(rcode: Rcode, apex: usize) -> Self {
        Self { rcode, content: None, apex: Some(apex) }
    }

    /// What was asked for.
    pub(super) const fn with(content: Content, apex: usize) -> Self {
        Self { rcode: Rcode::NoError, content: Some(content), apex: Some(apex) }
    }

    /// The bytes of the answer to `query`.
    pub(super) fn emit(&self, query: &Query<'_>) -> Vec<u8> {
        let Self { rcode, content, apex } = self;
        let negative = content.is_none() && apex.is_some();
        let counts =
            [1, u16::from(content.is_some()), u16::from(negative), u16::from(query.edns.is_some())];
        let mut bytes = query.head.emit(*rcode, apex.is_some(), counts);
        bytes.extend_from_slice(query.bytes);
        let apex = query.name_at(apex.unwrap_or(0));
        match content {
            Some(Content::Aaaa(address)) => {
                record(&mut bytes, query.name_at(0), TYPE_AAAA, TTL_S, &address.octets());
            }
            Some(Content::Ptr(host)) => {
                record(&mut bytes, query.name_at(0), TYPE_PTR, TTL_S, &name(host));
            }
            Some(Content::Soa) => record(&mut bytes, apex, TYPE_SOA, TTL_S, &authority(apex)),
            // How long that may be kept is told by the zone (RFC 2308 section 3).
            None if negative => {
                record(&mut bytes, apex, TYPE_SOA, NEGATIVE_TTL_S, &authority(apex));
            }
            None => {}
        }
        if query.edns.is_some() {
            let size = (QUERY_LEN_MAX as u16).to_be_bytes();
            bytes.extend_from_slice(&[0, 0, TYPE_OPT as u8, size[0], size[1]]);
            // Version 0, and the part of the code that the head has no room for.
            bytes.extend_from_slice(&[(*rcode as u16 >> 4) as u8, 0, 0, 0, 0, 0]);
        }
        bytes
    }
}

/// Appends a record about the name that stands at `name_at` already.
fn record(bytes: &mut Vec<u8>, name_at: u16, kind: u16, ttl_s: u32, data: &[u8]) {
    bytes.extend_from_slice(&pointer(name_at));
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&CLASS_INTERNET.to_be_bytes());
    bytes.extend_from_slice(&ttl_s.to_be_bytes());
    // The longest is a name.
    bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(data);
}

fn pointer(name_at: u16) -> [u8; 2] {
    (name_at | u16::from(POINTER) << 8).to_be_bytes()
}

/// The data of the record about a zone: its server, for which its own name stands, nobody, and
/// times.
fn authority(apex: u16) -> Vec<u8> {
    const SERIAL: u32 = 1;
    const DAY_S: u32 = 86_400;
    let mut data = pointer(apex).to_vec();
    data.extend_from_slice(NOBODY);
    for number in [SERIAL, DAY_S, DAY_S, DAY_S, NEGATIVE_TTL_S] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    data
}

/// A name as it is sent. Those here are made of labels that fit.
fn name(host: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(host.len() + 2);
    for label in host.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
