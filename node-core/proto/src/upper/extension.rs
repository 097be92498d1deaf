//! Messages between two nodes of this program inside a session, which other nodes ignore.
//!
//! ```text
//! 0x50 | ver u8 = 1 | kind u8 | id u32 be | body        at most 8 KiB in all
//! ```
//!
//! A request has one of the kinds of [`is_request`]; its answer has the next kind and the same id.
//! Sessions lose packets, so a request is said again until its answer comes ([`Extensions`]) and
//! has to mean the same however often it is heard. A far end that has not said so far that it knows
//! such messages is told hello first, and what is to be asked only after its answer: a stock node
//! gets to see eleven bytes that it ignores.

use core::fmt;
use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use thiserror::Error;

use super::PAYLOAD_EXTENSION;
use crate::{
    identity::NodeKey,
    limits::{
        EXTENSION_ABLE_MAX, EXTENSION_BYTES, EXTENSION_BYTES_GUEST, EXTENSION_GAP,
        EXTENSION_GUESTS_MAX, EXTENSION_GUESTS_RATE, EXTENSION_LEN_MAX, EXTENSION_PEOPLE_MAX,
        EXTENSION_RATE, EXTENSION_REPEATS, EXTENSION_REQUESTS_MAX, EXTENSION_TIMEOUT,
    },
    rate::RateLimiter,
    session::Standing,
    time::Instant,
};

/// The version of the messages.
const VERSION: u8 = 1;
/// Bytes before the body.
const HEAD_LEN: usize = 7;

/// Which messages a node knows, as it says in its hello; what is to be asked comes after that.
pub const HELLO: u8 = 0x01;
/// A member's state of a circle, or operations of one that were asked for.
pub const HAVE: u8 = 0x20;
/// A guest with a token asks to be let in. The only question but [`HELLO`] that strangers may ask.
pub const JOIN: u8 = 0x22;
/// The secret of a circle.
pub const SECRET: u8 = 0x24;
/// New operations of a circle.
pub const PUSH: u8 = 0x26;
/// A circle that the far end was added to.
pub const OFFER: u8 = 0x28;

/// Bit of the capabilities: the node knows the kinds from [`HAVE`] to [`OFFER`].
pub const CAPABLE_OF_CIRCLES: u32 = 1;

/// Whether messages of this kind are requests, which are answered by the next kind.
#[must_use]
pub const fn is_request(kind: u8) -> bool {
    matches!(kind, HELLO | HAVE | JOIN | SECRET | PUSH | OFFER)
}

/// A message. Its body may hold secrets, so it is shown by its length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtensionMessage {
    /// What it is.
    pub kind: u8,
    /// The number of the request, chosen by who asks; the same in its answer.
    pub id: u32,
    /// At most [`ExtensionMessage::BODY_MAX`] bytes.
    pub body: Vec<u8>,
}

impl ExtensionMessage {
    /// Bytes that a body may have.
    pub const BODY_MAX: usize = EXTENSION_LEN_MAX - HEAD_LEN;

    /// Reads session data without its first byte; `None` for another version, and for what is too
    /// short or too long.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (&[version, kind, a, b, c, d], body) = data.split_first_chunk()?;
        let is_message = version == VERSION && body.len() <= Self::BODY_MAX;
        let id = u32::from_be_bytes([a, b, c, d]);
        is_message.then(|| Self { kind, id, body: body.to_vec() })
    }

    /// The session data that carries this message.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(self.encoded_len());
        data.extend_from_slice(&[PAYLOAD_EXTENSION, VERSION, self.kind]);
        data.extend_from_slice(&self.id.to_be_bytes());
        data.extend_from_slice(&self.body);
        data
    }

    /// Bytes of [`Self::emit`].
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        HEAD_LEN + self.body.len()
    }

    /// What this node says of itself, asking or answering.
    pub(crate) fn hello(kind: u8, id: u32) -> Self {
        Self { kind, id, body: CAPABLE_OF_CIRCLES.to_be_bytes().to_vec() }
    }

    /// The capabilities that a hello or its answer names. What follows them is for later versions.
    pub(crate) fn capabilities(&self) -> Option<u32> {
        self.body.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// The kind of the request that this would answer.
    pub(crate) const fn answers(&self) -> Option<u8> {
        match self.kind.checked_sub(1) {
            Some(asked) if is_request(asked) => Some(asked),
            _ => None,
        }
    }
}

impl fmt::Debug for ExtensionMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, body } = self;
        write!(f, "ExtensionMessage({kind:#04x}, {id:#010x}, {} bytes)", body.len())
    }
}

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// As many requests wait for their answers as may. Later.
    #[error("{EXTENSION_REQUESTS_MAX} requests wait for their answers")]
    Busy,
    /// The body is longer than a message holds.
    #[error("a message of {0} bytes, the longest has {max}", max = ExtensionMessage::BODY_MAX)]
    TooLong(usize),
    /// The kind is not one of a request, or of an answer, or this node alone says it.
    #[error("a message of kind {0:#04x} cannot be sent so")]
    WrongKind(u8),
    /// To the node itself.
    #[error("a message of a node to itself")]
    ToItself,
}

/// What became of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Nothing waits for it.
    Unasked,
    /// It says what the far end is capable of; requests may be due now.
    Hello,
    /// It is news.
    Request,
}

/// A request of ours.
struct Request {
    kind: u8,
    body: Vec<u8>,
    /// How often it was said.
    said: u32,
    /// When it is said again; `None`: as soon as there is a way.
    again_at: Option<Instant>,
    until: Instant,
}

/// How much one far end may still ask.
struct Meter {
    messages: RateLimiter,
    bytes: RateLimiter,
    used_at: Instant,
}

/// Requests of ours that wait, what far ends are capable of, and how much they have asked.
pub(crate) struct Extensions {
    requests: BTreeMap<(NodeKey, u32), Request>,
    /// Capabilities, and when they were learnt.
    able: BTreeMap<NodeKey, (u32, Instant)>,
    people: BTreeMap<NodeKey, Meter>,
    guests: BTreeMap<NodeKey, Meter>,
    /// Of all guests together.
    of_guests: RateLimiter,
}

impl Extensions {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            requests: BTreeMap::new(),
            able: BTreeMap::new(),
            people: BTreeMap::new(),
            guests: BTreeMap::new(),
            of_guests: RateLimiter::new(EXTENSION_GUESTS_RATE, now),
        }
    }

    /// Requests that wait, and keys that something is remembered of.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.requests.len(), self.able.len() + self.people.len() + self.guests.len())
    }

    // ---- requests of ours ----

    /// Enters a request, which is due at once. Returns its number.
    pub(crate) fn ask(
        &mut self,
        to: NodeKey,
        kind: u8,
        body: Vec<u8>,
        rng: &mut ChaCha20Rng,
        now: Instant,
    ) -> Result<u32, MessageError> {
        if !is_request(kind) || kind == HELLO {
            return Err(MessageError::WrongKind(kind));
        }
        if body.len() > ExtensionMessage::BODY_MAX {
            return Err(MessageError::TooLong(body.len()));
        }
        if self.requests.len() >= EXTENSION_REQUESTS_MAX {
            return Err(MessageError::Busy);
        }
        let mut id = rng.next_u32();
        while self.requests.contains_key(&(to, id)) {
            id = id.wrapping_add(1);
        }
        let is_deaf = self.able.get(&to).is_some_and(|(able, _)| able & CAPABLE_OF_CIRCLES == 0);
        let until = if is_deaf { now } else { now + EXTENSION_TIMEOUT };
        self.requests.insert((to, id), Request { kind, body, said: 0, again_at: None, until });
        Ok(id)
    }

    /// Whether something is to be said to `key` as soon as there is a way.
    pub(crate) fn waits_for(&self, key: &NodeKey) -> bool {
        self.of(key).any(|(_, request)| request.again_at.is_none())
    }

    /// What is to be said to `key` now that there is a way: session data.
    pub(crate) fn take_due(&mut self, key: &NodeKey, now: Instant) -> Vec<Vec<u8>> {
        let is_able = self.able.contains_key(key);
        let mut due = Vec::new();
        for ((_, id), request) in self.requests.range_mut((*key, 0)..=(*key, u32::MAX)) {
            if request.again_at.is_some() || request.until <= now {
                continue;
            }
            request.again_at =
                Some(now + EXTENSION_GAP * (1 << request.said.min(EXTENSION_REPEATS)));
            request.said += 1;
            if is_able {
                let Request { kind, body, .. } = &*request;
                let message = ExtensionMessage { kind: *kind, id: *id, body: body.clone() };
                due.push(message.emit());
            } else if due.is_empty() {
                // One hello is enough for all.
                due.push(ExtensionMessage::hello(HELLO, *id).emit());
            }
        }
        due
    }

    /// Keys to which something is to be said again.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<NodeKey> {
        let mut due = Vec::new();
        for ((key, _), request) in &mut self.requests {
            let is_due = request.again_at.is_some_and(|at| at <= now);
            if is_due && request.said <= EXTENSION_REPEATS {
                request.again_at = None;
                if due.last() != Some(key) {
                    due.push(*key);
                }
            }
        }
        due
    }

    /// Takes an answer; the request that it answers is over.
    pub(crate) fn answered(
        &mut self,
        from: NodeKey,
        message: &ExtensionMessage,
        now: Instant,
    ) -> Answered {
        let Some(request) = self.requests.get(&(from, message.id)) else {
            return Answered::Unasked;
        };
        if message.answers() == Some(HELLO) {
            let Some(capabilities) = message.capabilities() else { return Answered::Unasked };
            if self.able.contains_key(&from) {
                return Answered::Unasked;
            }
            self.learn(from, capabilities, now);
            return Answered::Hello;
        }
        if message.answers() != Some(request.kind) {
            return Answered::Unasked;
        }
        self.requests.remove(&(from, message.id));
        Answered::Request
    }

    /// A far end has said what it is capable of: what waits for it is due, or over if it cannot
    /// understand.
    pub(crate) fn learn(&mut self, key: NodeKey, capabilities: u32, now: Instant) {
        let known = self.able.get(&key).map(|(known, _)| *known);
        if known != Some(capabilities) {
            for (_, request) in self.requests.range_mut((key, 0)..=(key, u32::MAX)) {
                if capabilities & CAPABLE_OF_CIRCLES == 0 {
                    request.until = now;
                } else if known.is_none() {
                    (request.said, request.again_at) = (0, None);
                }
            }
        }
        if known.is_none() && self.able.len() >= EXTENSION_ABLE_MAX {
            forget_oldest(&mut self.able, |(_, at)| *at);
        }
        self.able.insert(key, (capabilities, now));
    }

    /// Requests that nobody answered.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(NodeKey, u32)> {
        let late: Vec<_> =
            self.requests.extract_if(.., |_, request| request.until <= now).collect();
        late.into_iter()
            .map(|(place, _)| {
                // It may have become another program.
                self.able.remove(&place.0);
                place
            })
            .collect()
    }

    /// When [`Self::due`] or [`Self::expire`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let times = self.requests.values().flat_map(|request| {
            let again = request.again_at.filter(|_| request.said <= EXTENSION_REPEATS);
            [Some(request.until), again].into_iter().flatten()
        });
        times.min()
    }

    fn of(&self, key: &NodeKey) -> impl Iterator<Item = (&(NodeKey, u32), &Request)> {
        self.requests.range((*key, 0)..=(*key, u32::MAX))
    }

    // ---- requests of others ----

    /// Whether a request of `len` bytes is heard.
    pub(crate) fn may_ask(
        &mut self,
        from: NodeKey,
        standing: Standing,
        len: usize,
        now: Instant,
    ) -> bool {
        let is_person = standing == Standing::Welcome;
        if !is_person && !self.of_guests.allow(now) {
            return false;
        }
        let (meters, most, bytes) = if is_person {
            (&mut self.people, EXTENSION_PEOPLE_MAX, EXTENSION_BYTES)
        } else {
            (&mut self.guests, EXTENSION_GUESTS_MAX, EXTENSION_BYTES_GUEST)
        };
        if meters.len() >= most && !meters.contains_key(&from) {
            forget_oldest(meters, |meter| meter.used_at);
        }
        let meter = meters.entry(from).or_insert_with(|| Meter {
            messages: RateLimiter::new(EXTENSION_RATE, now),
            bytes: RateLimiter::new(bytes, now),
            used_at: now,
        });
        meter.used_at = now;
        // Messages are short.
        meter.messages.allow(now) && meter.bytes.allow_many(len as u32, now)
    }
}

/// Makes room for one.
fn forget_oldest<T>(table: &mut BTreeMap<NodeKey, T>, at: impl Fn(&T) -> Instant) {
    let oldest = table.iter().min_by_key(|(_, entry)| at(entry)).map(|(key, _)| *key);
    if let Some(key) = oldest {
        table.remove(&key);
    }
}
