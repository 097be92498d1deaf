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
//! gets to see eleven bytes that it ignores. Offers of keys for fast sessions and what comes of
//! them travel as such messages, too, but are said and repeated elsewhere (`docs/fast-session.md`).

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
/// An offer of keys for a fast session. Nodes ask and answer this by themselves.
pub const FAST: u8 = 0x40;

/// Bit of the capabilities: the node knows the kinds from [`HAVE`] to [`OFFER`].
pub const CAPABLE_OF_CIRCLES: u32 = 1;
/// Bit of the capabilities: the node knows fast sessions.
pub const CAPABLE_OF_FAST: u32 = 2;
/// Bit of the capabilities, which says what is at the moment: the node has no keys for a fast
/// session with this far end, or has used them up.
pub const WANTS_FAST: u32 = 4;

/// Whether requests of this kind are made and answered by nodes themselves, not by their owners.
pub(crate) const fn is_own_affair(kind: u8) -> bool {
    matches!(kind, HELLO | FAST)
}

/// Whether messages of this kind are requests, which are answered by the next kind.
#[must_use]
pub const fn is_request(kind: u8) -> bool {
    matches!(kind, HELLO | HAVE | JOIN | SECRET | PUSH | OFFER | FAST)
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
    pub(crate) fn hello(kind: u8, id: u32, capabilities: u32) -> Self {
        Self { kind, id, body: capabilities.to_be_bytes().to_vec() }
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
        if !is_request(kind) || is_own_affair(kind) {
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

    /// What is to be said to `key` now that there is a way: session data. `hello` is what this node
    /// is capable of, `None` if that was said a moment ago.
    pub(crate) fn take_due(
        &mut self,
        key: &NodeKey,
        hello: Option<u32>,
        now: Instant,
    ) -> Vec<Vec<u8>> {
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
            } else if let Some(capabilities) = hello
                && due.is_empty()
            {
                // One hello is enough for all.
                due.push(ExtensionMessage::hello(HELLO, *id, capabilities).emit());
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

    /// Whether a request of `len` bytes is heard. What is no person's is measured with what guests
    /// ask.
    pub(crate) fn may_ask(
        &mut self,
        from: NodeKey,
        is_person: bool,
        len: usize,
        now: Instant,
    ) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    use super::*;

    fn key(number: usize) -> NodeKey {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        NodeKey::from_bytes(bytes)
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    fn message(kind: u8, id: u32) -> ExtensionMessage {
        ExtensionMessage { kind, id, body: vec![1, 2, 3] }
    }

    /// Requests of a node that knows what key 1 is capable of.
    struct Bench {
        extensions: Extensions,
        rng: ChaCha20Rng,
    }

    impl Bench {
        fn new() -> Self {
            let mut extensions = Extensions::new(at(0));
            extensions.learn(key(1), CAPABLE_OF_CIRCLES, at(0));
            Self { extensions, rng: ChaCha20Rng::from_seed([1; 32]) }
        }

        fn ask(&mut self, to: usize, kind: u8, now: Instant) -> Result<u32, MessageError> {
            self.extensions.ask(key(to), kind, vec![1, 2, 3], &mut self.rng, now)
        }

        /// What is said to a key at this moment if there is a way.
        fn say(&mut self, to: usize, now: Instant) -> Vec<ExtensionMessage> {
            let _ = self.extensions.due(now);
            let said = self.extensions.take_due(&key(to), Some(CAPABLE_OF_CIRCLES), now);
            said.iter().map(|data| ExtensionMessage::parse(&data[1..]).unwrap()).collect()
        }
    }

    #[test]
    fn layout() {
        let message = ExtensionMessage { kind: JOIN, id: 0x0102_0304, body: b"hi".to_vec() };
        assert_eq!(message.emit(), b"\x50\x01\x22\x01\x02\x03\x04hi");
        assert_eq!(message.encoded_len(), 9);
        assert_eq!(format!("{message:?}"), "ExtensionMessage(0x22, 0x01020304, 2 bytes)");
        // The design allows sixteen bytes to anybody.
        assert_eq!(
            ExtensionMessage::hello(HELLO, 5, CAPABLE_OF_CIRCLES).emit(),
            b"\x50\x01\x01\0\0\0\x05\0\0\0\x01"
        );
        let kinds = [HELLO, HAVE, JOIN, SECRET, PUSH, OFFER, FAST];
        for kind in 0..=255 {
            assert_eq!(is_request(kind), kinds.contains(&kind));
            let answers = ExtensionMessage { kind, ..message.clone() }.answers();
            assert_eq!(answers, kinds.into_iter().find(|asked| asked + 1 == kind));
        }
    }

    #[test]
    fn what_is_no_message_is_ignored() {
        let parse = ExtensionMessage::parse;
        let whole = [&[1, HAVE, 0, 0, 0, 9][..], &[0; ExtensionMessage::BODY_MAX]].concat();
        assert_eq!(parse(&whole).map(|message| message.encoded_len()), Some(EXTENSION_LEN_MAX));
        assert_eq!(parse(&[&whole[..], &[0]].concat()), None, "too long");
        assert_eq!(parse(&whole[..6]).map(|message| message.id), Some(9));
        assert_eq!(parse(&whole[..5]), None);
        assert_eq!(parse(&[2, HAVE, 0, 0, 0, 9]), None, "another version");
        let cut = ExtensionMessage { body: vec![0; 3], ..message(HELLO, 1) };
        assert_eq!(cut.capabilities(), None);
        let longer = ExtensionMessage { body: vec![0, 0, 0, 3, 9], ..cut };
        assert_eq!(longer.capabilities(), Some(3));
    }

    #[test]
    fn a_request_is_said_four_times_and_over_after_eight_seconds() {
        let mut bench = Bench::new();
        let id = bench.ask(1, HAVE, at(0)).unwrap();
        let mut said = Vec::new();
        let mut now = at(0);
        let late = loop {
            let messages = bench.say(1, now);
            assert!(messages.iter().all(|said| *said == message(HAVE, id)));
            said.extend(messages.iter().map(|_| now));
            let late = bench.extensions.expire(now);
            if !late.is_empty() {
                break late;
            }
            let next = bench.extensions.next_timeout().unwrap();
            assert!(next > now, "nobody is woken for nothing");
            now = next;
        };
        assert_eq!(said, [at(0), at(1000), at(3000), at(7000)]);
        assert_eq!((late, now), (vec![(key(1), id)], at(8000)));
        assert_eq!((bench.extensions.next_timeout(), bench.extensions.sizes()), (None, (0, 0)));
    }

    #[test]
    fn without_a_way_nothing_is_due_but_the_end() {
        let mut bench = Bench::new();
        let id = bench.ask(1, HAVE, at(0)).unwrap();
        assert_eq!(bench.extensions.due(at(5000)), []);
        assert_eq!(bench.extensions.next_timeout(), Some(at(8000)));
        assert!(bench.extensions.waits_for(&key(1)));
        assert_eq!(bench.say(1, at(7999)), [message(HAVE, id)]);
        assert_eq!(bench.extensions.expire(at(8000)), [(key(1), id)]);
        assert!(!bench.extensions.waits_for(&key(1)));
    }

    #[test]
    fn only_the_answer_to_a_request_that_waits_counts() {
        let mut bench = Bench::new();
        let id = bench.ask(1, HAVE, at(0)).unwrap();
        let mut answered =
            |from, kind, id| bench.extensions.answered(key(from), &message(kind, id), at(1));
        assert_eq!(answered(2, HAVE + 1, id), Answered::Unasked, "of somebody else");
        assert_eq!(answered(1, HAVE + 1, id ^ 1), Answered::Unasked, "to another question");
        assert_eq!(answered(1, JOIN + 1, id), Answered::Unasked, "of another kind");
        assert_eq!(answered(1, HELLO + 1, id), Answered::Unasked, "no hello was said");
        assert_eq!(answered(1, HAVE + 1, id), Answered::Request);
        assert_eq!(answered(1, HAVE + 1, id), Answered::Unasked, "twice");
        assert_eq!(bench.extensions.sizes().0, 0);
    }

    #[test]
    fn an_unknown_far_end_is_told_hello_until_it_answers() {
        let mut bench = Bench::new();
        let ids = [HAVE, JOIN].map(|kind| bench.ask(2, kind, at(0)).unwrap());
        let first = *ids.iter().min().unwrap();
        let hello = ExtensionMessage::hello(HELLO, first, CAPABLE_OF_CIRCLES);
        let said = bench.say(2, at(0));
        assert_eq!(said, std::slice::from_ref(&hello), "one hello for both, and nothing else");
        assert_eq!(bench.say(2, at(1000)), [hello]);
        let ack = ExtensionMessage::hello(HELLO + 1, first, CAPABLE_OF_CIRCLES);
        let answered =
            |bench: &mut Bench, from| bench.extensions.answered(key(from), &ack, at(1100));
        assert_eq!(answered(&mut bench, 3), Answered::Unasked);
        assert_eq!(answered(&mut bench, 2), Answered::Hello);
        assert!(bench.extensions.waits_for(&key(2)));
        let mut kinds: Vec<_> = bench.say(2, at(1100)).iter().map(|said| said.kind).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, [HAVE, JOIN]);
        assert_eq!(bench.say(2, at(2100)).len(), 2, "repeated from its first saying on");
        assert_eq!(answered(&mut bench, 2), Answered::Unasked, "it has said so");
    }

    #[test]
    fn a_far_end_that_says_hello_itself_is_asked_at_once() {
        let mut bench = Bench::new();
        let id = bench.ask(2, HAVE, at(0)).unwrap();
        bench.say(2, at(0));
        bench.extensions.learn(key(2), CAPABLE_OF_CIRCLES | 8, at(10));
        assert_eq!(bench.say(2, at(10)), [message(HAVE, id)]);
        // What it is capable of besides does not begin anything anew.
        bench.extensions.learn(key(2), CAPABLE_OF_CIRCLES, at(20));
        assert_eq!(bench.say(2, at(20)), []);
    }

    #[test]
    fn who_knows_nothing_of_circles_is_not_asked() {
        let mut bench = Bench::new();
        let first = bench.ask(2, HAVE, at(0)).unwrap();
        bench.say(2, at(0));
        bench.extensions.learn(key(2), 0, at(10));
        let second = bench.ask(2, HAVE, at(20)).unwrap();
        assert_eq!(bench.say(2, at(20)), []);
        let mut late = bench.extensions.expire(at(20));
        late.sort_unstable_by_key(|(_, id)| *id != first);
        assert_eq!(late, [(key(2), first), (key(2), second)]);
        // It may have become another program.
        bench.ask(2, HAVE, at(30)).unwrap();
        assert_eq!(bench.say(2, at(30))[0].kind, HELLO);
    }

    #[test]
    fn what_cannot_be_a_request_is_refused() {
        let mut bench = Bench::new();
        for kind in [0, HELLO, HELLO + 1, HAVE + 1, 0x10, 0x2a, 0xff] {
            assert_eq!(bench.ask(1, kind, at(0)), Err(MessageError::WrongKind(kind)));
        }
        let Bench { extensions, rng } = &mut bench;
        let long = vec![0; ExtensionMessage::BODY_MAX + 1];
        let refused = extensions.ask(key(1), HAVE, long, rng, at(0));
        assert_eq!(refused, Err(MessageError::TooLong(ExtensionMessage::BODY_MAX + 1)));
        for number in 0..EXTENSION_REQUESTS_MAX {
            bench.ask(number, HAVE, at(0)).unwrap();
        }
        assert_eq!(bench.ask(1, HAVE, at(0)), Err(MessageError::Busy));
        bench.extensions.expire(at(8000));
        assert!(bench.ask(1, HAVE, at(8000)).is_ok());
    }

    #[test]
    fn guests_share_a_rate_and_people_do_not() {
        let mut extensions = Extensions::new(at(0));
        let mut heard =
            |from: usize, is_person, len, now| extensions.may_ask(key(from), is_person, len, now);
        let guests = EXTENSION_GUESTS_RATE.burst as usize;
        assert!((0..guests).all(|guest| heard(guest, false, 100, at(0))));
        assert!(!heard(guests, false, 100, at(0)), "whoever comes after them");
        assert!((0..100).all(|person| heard(person, true, 100, at(0))));
        // Each person has a rate of its own, in messages and in bytes.
        let burst = EXTENSION_RATE.burst as usize;
        let of_one = (0..burst + 9).filter(|_| heard(1000, true, 9, at(0)));
        assert_eq!(of_one.count(), burst);
        let mut bytes = 0;
        for second in 0..60 {
            while heard(2000, true, EXTENSION_LEN_MAX, at(second * 1000)) {
                bytes += EXTENSION_LEN_MAX;
            }
        }
        let most = EXTENSION_BYTES.burst + 60 * EXTENSION_BYTES.per_s;
        assert!((most as usize - EXTENSION_LEN_MAX..=most as usize).contains(&bytes), "{bytes}");
        let guest = |extensions: &mut Extensions| {
            extensions.may_ask(key(1), false, EXTENSION_LEN_MAX, at(90_000))
        };
        assert!(guest(&mut extensions) && guest(&mut extensions) && !guest(&mut extensions));
    }

    #[test]
    fn tables_do_not_grow_and_who_was_quiet_longest_goes() {
        let mut extensions = Extensions::new(at(0));
        for number in 0..2 * EXTENSION_ABLE_MAX {
            let now = at(number as u64 * 1000);
            extensions.learn(key(number), 1, now);
            extensions.may_ask(key(number), true, 9, now);
            extensions.may_ask(key(number), false, 9, now);
            extensions.may_ask(key(0), true, 9, now);
        }
        assert_eq!(
            extensions.sizes(),
            (0, EXTENSION_ABLE_MAX + EXTENSION_PEOPLE_MAX + EXTENSION_GUESTS_MAX)
        );
        assert!(
            extensions.people.contains_key(&key(0)) && !extensions.people.contains_key(&key(1))
        );
        let last = key(2 * EXTENSION_ABLE_MAX - 1);
        assert!(extensions.able.contains_key(&last) && extensions.guests.contains_key(&last));
    }

    proptest! {
        #[test]
        fn messages_come_back_as_they_were(
            kind: u8,
            id: u32,
            body in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let message = ExtensionMessage { kind, id, body };
            let data = message.emit();
            prop_assert_eq!(data.len(), message.encoded_len());
            prop_assert_eq!(ExtensionMessage::parse(&data[1..]), Some(message));
        }

        /// Whatever far ends say and whenever there is a way, each request ends once, in time, and
        /// is said at most four times more than its far end becomes known.
        #[test]
        fn every_request_ends_once(steps in prop::collection::vec(any::<[u8; 4]>(), 0..120)) {
            let mut bench = Bench::new();
            let mut now = 0;
            let mut open = BTreeMap::new();
            let mut ids = vec![0];
            for [what, who, which, wait] in steps {
                let to = usize::from(who % 3);
                let id = ids[usize::from(which) % ids.len()];
                match what % 5 {
                    0 => {
                        let id = bench.ask(to, HAVE, at(now)).unwrap();
                        prop_assert!(open.insert((key(to), id), (now, 0)).is_none());
                        ids.push(id);
                    }
                    1 => for said in bench.say(to, at(now)) {
                        let (asked, times) = open.get_mut(&(key(to), said.id)).unwrap();
                        *times += u32::from(said.kind != HELLO);
                        prop_assert!(now - *asked < 8000 && *times <= 4);
                    },
                    2 => {
                        let answer = message(HAVE + 1, id);
                        let answered = bench.extensions.answered(key(to), &answer, at(now));
                        let was_open = open.remove(&(key(to), id)).is_some();
                        prop_assert_eq!(answered == Answered::Request, was_open);
                    }
                    3 => {
                        let hello = ExtensionMessage::hello(HELLO + 1, id, CAPABLE_OF_CIRCLES);
                        let _ = bench.extensions.answered(key(to), &hello, at(now));
                    }
                    _ => {
                        now += u64::from(wait) * 20;
                        for late in bench.extensions.expire(at(now)) {
                            let (asked, _) = open.remove(&late).unwrap();
                            prop_assert!(now - asked >= 8000);
                        }
                    }
                }
                prop_assert_eq!(bench.extensions.sizes().0, open.len());
                let end = open.values().map(|(asked, _)| asked + 8000).min();
                let wakes = bench.extensions.next_timeout();
                prop_assert!(wakes <= end.map(at).or(wakes) && wakes.is_some() == end.is_some());
            }
        }
    }
}
