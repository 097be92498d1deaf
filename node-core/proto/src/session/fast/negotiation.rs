//! When to agree on keys, and what is said for it: the control half of fast sessions.
//!
//! Each ordinary session has a [`Talk`]. Both ends say hello in it; a few times at most as long as
//! nobody answers, for the far end may be a stock node. Who is known to know fast
//! sessions and has the higher key is offered keys, and answers. The other end cannot offer, so it
//! asks for an offer by another hello when it has no keys, or used them up.
//!
//! ```text
//!   lower key:    [hello] -- can --> [offer] -- answer --> [confirm] -- heard --> at rest
//!                                       ^                                            |
//!                                       +-- 120 s or much use, no keys, "wants keys" +
//!   higher key:   [hello] -- can --> [ask] -- offer, which it answers --> at rest
//!                                       ^                                    |
//!                                       +------- no keys, or much use -------+
//! ```
//!
//! Whatever is not answered is said again three times. Then the talk rests, and begins again when
//! the session is used. Keys that have served their time end by themselves, and the compatible
//! session carries on: no answer has to come for that.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::{FastKeys, OfferError, Offered, Parties, Suites, answer_offer, generation_of};
use crate::{
    crypto::sha256,
    identity::NodeKey,
    limits::{
        EXTENSION_GAP, EXTENSION_REPEATS, EXTENSION_TIMEOUT, FAST_HELLOS, FAST_LOOK_GAP,
        FAST_OFFER_GAP, FAST_OFFER_RATE, FAST_OFFERS_RATE, FAST_OPEN_TIME, FAST_REKEY, FAST_RETRY,
        FAST_RETRY_MAX, FAST_SEAL_TIME, FAST_SETTLING, FAST_TICK, FAST_USE,
    },
    rate::RateLimiter,
    session::SessionTable,
    time::Instant,
};

/// The talks of all sessions.
pub(crate) struct Negotiations {
    own: NodeKey,
    /// What this machine computes fast; `None`: there are no fast sessions.
    fast: Option<Suites>,
    talks: BTreeMap<NodeKey, Talk>,
    /// Offers of all far ends.
    offers: RateLimiter,
    /// When to look whether sessions are used, [`Self::look`].
    look_at: Option<Instant>,
    looked: Instant,
}

/// How far this node has come with one far end.
struct Talk {
    /// This node has the lower key, so it offers.
    offers: bool,
    far: Far,
    step: Option<Step>,
    /// The number of the last hello, which its answer repeats.
    hello: Option<u32>,
    /// How often hello was said to a far end that may be a stock node.
    hellos: u32,
    /// The last generation that this node offered.
    generation: u8,
    newest: Option<Keys>,
    former: Option<Keys>,
    answered: Option<Box<Answered>>,
    /// What is said or heard after this is use.
    quiet_from: Instant,
    /// Nothing is begun before this.
    rests_until: Instant,
    /// How often in a row nobody answered.
    failures: u32,
    /// Its offers.
    rate: RateLimiter,
}

/// What a far end is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Far {
    /// It has not said.
    Unknown,
    /// It knew fast sessions before it began anew.
    Renewed,
    /// It knows fast sessions.
    Able,
    /// It does not.
    Unable,
}

/// What is being said, until it is answered.
struct Step {
    kind: StepKind,
    id: u32,
    /// How often it was said.
    said: u32,
    /// When it is said again; `None`: as soon as there is a way.
    again_at: Option<Instant>,
    /// When it is given up, once it was said.
    until: Option<Instant>,
}

enum StepKind {
    /// A hello: what are you, and do offer me keys.
    Hello,
    Offer(Box<Offered>),
    /// An empty packet, which shows the answerer that this end has the keys.
    Confirm,
}

/// The keys of a generation.
#[derive(Clone, Copy)]
struct Keys {
    generation: u8,
    since: Instant,
    /// Nothing is sealed under them any more.
    has_ended: bool,
}
/// The last offer that was answered. What is left of it outlives the answer: to answer it in
/// another way would replace keys that are in use.
struct Answered {
    id: u32,
    generation: u8,
    offer_hash: [u8; 32],
    answer: Vec<u8>,
    at: Instant,
}

/// What is to be said to a far end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Saying {
    /// A hello with this number.
    Hello(u32),
    /// An offer with this number.
    Offer(u32, Vec<u8>),
    /// An empty packet.
    Empty,
}

/// What becomes of an offer.
pub(crate) enum Taken {
    /// It is answered: with this, and these keys if the offer was not repeated.
    Answer(Vec<u8>, Option<FastKeys>),
    /// It is not one that may be made, or was made before.
    Ignored,
    /// There are too many.
    RateLimited,
}

impl Negotiations {
    pub(crate) const fn new(own: NodeKey, fast: Option<Suites>, now: Instant) -> Self {
        Self {
            own,
            fast,
            talks: BTreeMap::new(),
            offers: RateLimiter::new(FAST_OFFERS_RATE, now),
            look_at: None,
            looked: Instant::START,
        }
    }

    /// Whether keys may be agreed on with `key`: it has a session and is no guest.
    pub(crate) fn has(&self, key: &NodeKey) -> bool {
        self.talks.contains_key(key)
    }

    /// Whether this node wants keys with `key`: it has none, or asks for further ones.
    pub(crate) fn wants_keys(&self, key: &NodeKey) -> bool {
        let asks = |talk: &Talk| talk.far == Far::Able && talk.says_hello();
        self.talks.get(key).is_some_and(|talk| !talk.has_keys() || asks(talk))
    }

    // ---- sessions begin and end ----

    /// A session with `key`, which is no guest's, has begun.
    pub(crate) fn opened(&mut self, key: NodeKey, rng: &mut ChaCha20Rng, now: Instant) {
        if self.fast.is_none() {
            return;
        }
        let (generation, id) = (rng.next_u32().to_be_bytes()[0], rng.next_u32());
        let mut talk = Talk {
            offers: self.own < key,
            far: Far::Unknown,
            step: None,
            hello: None,
            hellos: 0,
            generation,
            newest: None,
            former: None,
            answered: None,
            quiet_from: now,
            rests_until: now,
            failures: 0,
            rate: RateLimiter::new(FAST_OFFER_RATE, now),
        };
        talk.begin(StepKind::Hello, id);
        self.talks.insert(key, talk);
    }

    /// The session with `key` is over.
    pub(crate) fn closed(&mut self, key: &NodeKey) {
        self.talks.remove(key);
    }

    /// The far end has begun anew: it may have none of the keys. Returns whether there may be any
    /// here, so that this end is to fall back.
    pub(crate) fn renewed(&mut self, key: &NodeKey, rng: &mut ChaCha20Rng, now: Instant) -> bool {
        let Some(talk) = self.talks.get_mut(key) else { return false };
        talk.former = None;
        if let Some(newest) = &mut talk.newest {
            newest.has_ended = true;
        }
        talk.answered = None;
        (talk.quiet_from, talk.rests_until, talk.failures, talk.hellos) = (now, now, 0, 0);
        if talk.far == Far::Able {
            // It is no stock node, so that it may be told more than once.
            talk.far = Far::Renewed;
            talk.begin(StepKind::Hello, rng.next_u32());
        } else if !talk.says_hello() {
            talk.step = None;
        }
        talk.newest.is_some()
    }

    /// The far end greets as before and has said nothing in the session: it does not have it yet,
    /// so that it has heard no hello either.
    pub(crate) fn greeted_again(&mut self, key: &NodeKey, rng: &mut ChaCha20Rng) {
        if let Some(talk) = self.talks.get_mut(key)
            && (talk.far, talk.step.is_none()) == (Far::Unknown, true)
        {
            talk.begin(StepKind::Hello, rng.next_u32());
        }
    }

    // ---- what is said ----

    /// Whether something is to be said to `key` as soon as there is a way.
    pub(crate) fn waits_for(&self, key: &NodeKey) -> bool {
        let step = self.talks.get(key).and_then(|talk| talk.step.as_ref());
        step.is_some_and(|step| step.again_at.is_none())
    }

    /// What is to be said to `key` now that there is a way.
    pub(crate) fn take_due(&mut self, key: &NodeKey, now: Instant) -> Option<Saying> {
        let talk = self.talks.get_mut(key)?;
        let step = talk.step.as_mut().filter(|step| step.again_at.is_none())?;
        step.again_at = Some(now + EXTENSION_GAP * (1 << step.said.min(EXTENSION_REPEATS)));
        step.until.get_or_insert(now + EXTENSION_TIMEOUT);
        step.said += 1;
        Some(match &step.kind {
            StepKind::Hello => {
                let id = step.id;
                talk.hello = Some(id);
                if talk.far == Far::Unknown {
                    // It may be a stock node: once more is for later, if the session is used then.
                    talk.step = None;
                    (talk.quiet_from, talk.rests_until) =
                        (now, now + FAST_RETRY * (1 << talk.hellos));
                    talk.hellos += 1;
                }
                Saying::Hello(id)
            }
            StepKind::Offer(offered) => Saying::Offer(step.id, offered.message().to_vec()),
            StepKind::Confirm => Saying::Empty,
        })
    }

    /// Keys to which something is to be said again. What has been said often enough without an
    /// answer is given up.
    pub(crate) fn due(&mut self, table: &impl SessionTable, now: Instant) -> Vec<NodeKey> {
        let mut due = Vec::new();
        for (key, talk) in &mut self.talks {
            let Some(step) = &mut talk.step else { continue };
            let is_over = step.until.is_some_and(|until| until <= now);
            let is_due = step.again_at.is_some_and(|at| at <= now);
            let said = step.until.unwrap_or(now) - EXTENSION_TIMEOUT;
            match step.kind {
                StepKind::Confirm if is_over => talk.step = None,
                StepKind::Hello | StepKind::Offer(_) if is_over => talk.give_up(now),
                _ if !is_due => {}
                // Whatever was sealed meanwhile serves as well as an empty packet.
                StepKind::Confirm
                    if table.fast_state(key).is_some_and(|state| state.heard)
                        || table.last_said(key).is_some_and(|at| said + EXTENSION_GAP / 2 < at) =>
                {
                    talk.step = None;
                }
                _ => {
                    step.again_at = None;
                    due.push(*key);
                }
            }
        }
        due
    }

    /// The answer to a hello of this node, or a hello: the far end knows fast sessions or not, and
    /// it wants keys.
    pub(crate) fn learn(
        &mut self,
        key: &NodeKey,
        is_able: bool,
        wants_keys: bool,
        rng: &mut ChaCha20Rng,
        now: Instant,
    ) {
        let fast = self.fast;
        let Some((talk, fast)) = self.talks.get_mut(key).zip(fast) else { return };
        talk.far = if is_able { Far::Able } else { Far::Unable };
        if !is_able {
            talk.step = None;
            return;
        }
        if talk.step.is_some() && !talk.says_hello() {
            return;
        }
        if talk.offers {
            talk.step = None;
            let are_fresh = talk.newest.is_some_and(|keys| now < keys.since + FAST_OFFER_GAP);
            if !talk.has_keys() || wants_keys && !are_fresh {
                talk.offer(fast, rng);
            }
        } else if talk.has_keys() {
            talk.step = None;
        } else if talk.step.is_none() {
            // What it has heard or hears of this node at this moment, a hello or the answer to its
            // own, asks for an offer.
            talk.begin(StepKind::Hello, rng.next_u32()).again_at = Some(now + EXTENSION_GAP);
        }
    }

    /// Whether this is the number of the last hello to `key`, which can be answered once.
    pub(crate) fn take_hello(&mut self, key: &NodeKey, id: u32) -> bool {
        let talk = self.talks.get_mut(key);
        talk.is_some_and(|talk| talk.hello.take_if(|hello| *hello == id).is_some())
    }

    // ---- offers and answers ----

    /// An offer arrived.
    pub(crate) fn take_offer(
        &mut self,
        key: &NodeKey,
        id: u32,
        offer: &[u8],
        rng: &mut ChaCha20Rng,
        now: Instant,
    ) -> Taken {
        let parties = Parties { offerer: *key, answerer: self.own };
        let Some((talk, fast)) = self.talks.get_mut(key).zip(self.fast) else {
            return Taken::Ignored;
        };
        let Some(generation) = generation_of(offer).filter(|_| !talk.offers) else {
            return Taken::Ignored;
        };
        let offer_hash = sha256(&[offer]);
        if let Some(answered) = &talk.answered {
            if (answered.id, answered.offer_hash) == (id, offer_hash) {
                if answered.answer.is_empty() {
                    return Taken::Ignored;
                }
                return Taken::Answer(answered.answer.clone(), None);
            }
            // Offers follow each other; one from before that was under way for long must not take
            // the place of keys that are in use.
            if !(1..128).contains(&generation.wrapping_sub(answered.generation)) {
                return Taken::Ignored;
            }
        }
        if !(talk.rate.allow(now) && self.offers.allow(now)) {
            return Taken::RateLimited;
        }
        let (message, keys) = match answer_offer(offer, &parties, fast, rng) {
            Ok(answered) => answered,
            Err(OfferError::Malformed | OfferError::NoSuite | OfferError::WeakKey) => {
                return Taken::Ignored;
            }
        };
        let answer = message.to_vec();
        let kept = Answered { id, generation, offer_hash, answer: answer.clone(), at: now };
        talk.answered = Some(Box::new(kept));
        talk.far = Far::Able;
        talk.step = None;
        talk.agreed(generation, now);
        Taken::Answer(answer, Some(keys))
    }

    /// The answer to an offer arrived: its keys, if it is the one that is waited for.
    pub(crate) fn take_answer(
        &mut self,
        key: &NodeKey,
        id: u32,
        answer: &[u8],
        now: Instant,
    ) -> Option<FastKeys> {
        let parties = Parties { offerer: self.own, answerer: *key };
        let talk = self.talks.get_mut(key)?;
        let step = talk.step.as_ref().filter(|step| step.id == id)?;
        let StepKind::Offer(offered) = &step.kind else { return None };
        let keys = offered.accept(answer, &parties).ok()?;
        let generation = offered.generation();
        talk.begin(StepKind::Confirm, id);
        talk.agreed(generation, now);
        Some(keys)
    }

    // ---- time and use ----

    /// The node is used: sessions are looked at before long.
    pub(crate) fn used(&mut self, at: Instant) -> Option<Instant> {
        if self.talks.is_empty() {
            return None;
        }
        let look_at = at.max(self.looked + FAST_LOOK_GAP);
        Some(*self.look_at.get_or_insert(look_at))
    }

    /// Ends keys that have served their time, and begins to agree on others where the session is
    /// used. Returns the keys of far ends to which something is to be said.
    pub(crate) fn look(
        &mut self,
        table: &mut impl SessionTable,
        rng: &mut ChaCha20Rng,
        now: Instant,
    ) -> Vec<NodeKey> {
        let Some(fast) = self.fast else { return Vec::new() };
        let is_use = self.look_at.is_some_and(|at| at <= now);
        if is_use {
            (self.look_at, self.looked) = (None, now);
        }
        let mut due = Vec::new();
        for (key, talk) in &mut self.talks {
            talk.end(key, table, now);
            if !(is_use && talk.is_to_begin(key, table, now)) {
                continue;
            }
            if talk.offers && talk.far == Far::Able {
                talk.offer(fast, rng);
            } else {
                talk.begin(StepKind::Hello, rng.next_u32());
            }
            due.push(*key);
        }
        due
    }

    /// When [`Self::due`] or [`Self::look`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.talks.values().filter_map(Talk::next_timeout).chain(self.look_at).min()
    }

    /// When it is for the sake of `key`.
    pub(crate) fn timeout_of(&self, key: &NodeKey) -> Option<Instant> {
        self.talks.get(key)?.next_timeout()
    }
}

impl Talk {
    /// Whether there are keys that may be sealed under, or will be once the far end has used them.
    fn has_keys(&self) -> bool {
        self.newest.is_some_and(|keys| !keys.has_ended)
    }

    const fn says_hello(&self) -> bool {
        matches!(self.step, Some(Step { kind: StepKind::Hello, .. }))
    }

    /// Begins to say something.
    fn begin(&mut self, kind: StepKind, id: u32) -> &mut Step {
        self.step.insert(Step { kind, id, said: 0, again_at: None, until: None })
    }

    fn offer(&mut self, fast: Suites, rng: &mut ChaCha20Rng) {
        self.generation = self.generation.wrapping_add(1);
        let offered = Offered::new(self.generation, fast, rng);
        self.begin(StepKind::Offer(Box::new(offered)), rng.next_u32());
    }

    /// Nobody answered.
    fn give_up(&mut self, now: Instant) {
        self.step = None;
        let rest = FAST_RETRY * (1 << self.failures.min(8));
        (self.quiet_from, self.rests_until) = (now, now + rest.min(FAST_RETRY_MAX));
        self.failures += 1;
    }

    /// There are keys of this generation.
    fn agreed(&mut self, generation: u8, now: Instant) {
        self.former = self.newest.filter(|keys| !keys.has_ended);
        self.newest = Some(Keys { generation, since: now, has_ended: false });
        (self.quiet_from, self.rests_until, self.failures) = (now + FAST_SETTLING, now, 0);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let step = self.step.iter().flat_map(|step| [step.again_at, step.until]);
        step.chain([self.ends_at()]).flatten().min()
    }

    /// Whether it is time to agree on keys.
    fn is_to_begin(&self, key: &NodeKey, table: &impl SessionTable, now: Instant) -> bool {
        let is_worth_it = match self.far {
            Far::Able => true,
            Far::Unknown => self.hellos < FAST_HELLOS,
            Far::Renewed | Far::Unable => false,
        };
        if !is_worth_it || self.step.is_some() || now < self.rests_until {
            return false;
        }
        // The far end of who offers need not count the time.
        let is_time = self
            .newest
            .is_none_or(|keys| keys.has_ended || self.offers && keys.since + FAST_REKEY <= now);
        let used = table.last_said(key).max(table.last_heard(key));
        let is_used = used.is_some_and(|at| self.quiet_from < at && now < at + FAST_USE);
        let is_worn = || table.fast_state(key).is_some_and(|state| state.wants_rekey);
        is_used && is_time || is_worn()
    }
    /// When to end keys, to be sealed under or altogether: those of many sessions together, so that
    /// the machine is woken once.
    fn ends_at(&self) -> Option<Instant> {
        let ends = |keys: Keys| {
            let time = if keys.has_ended { FAST_OPEN_TIME } else { FAST_SEAL_TIME };
            let tick = FAST_TICK.as_micros() as u64;
            Instant::from_micros((keys.since + time).as_micros().div_ceil(tick) * tick)
        };
        self.former.map(ends).into_iter().chain(self.newest.map(ends)).min()
    }
    /// Ends keys that have served their time.
    fn end(&mut self, key: &NodeKey, table: &mut impl SessionTable, now: Instant) {
        for keys in [&mut self.former, &mut self.newest].into_iter().flatten() {
            if !keys.has_ended && keys.since + FAST_SEAL_TIME <= now {
                keys.has_ended = true;
                if table.fast_state(key).is_some_and(|state| state.generation == keys.generation) {
                    table.fall_back(key);
                }
            }
        }
        self.former = self.former.filter(|keys| !keys.has_ended);
        if self.newest.is_some_and(|keys| keys.since + FAST_OPEN_TIME <= now) {
            table.drop_fast(key);
            (self.former, self.newest) = (None, None);
        }
        if let Some(answered) = &mut self.answered
            && answered.at + EXTENSION_TIMEOUT * 2 <= now
        {
            answered.answer = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;
    use crate::{
        session::{FastState, Generations, Opener, Sealer},
        wire::Coords,
    };

    const LOW: NodeKey = NodeKey::from_bytes([1; 32]);
    const HIGH: NodeKey = NodeKey::from_bytes([2; 32]);

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000_000 + millis * 1000)
    }

    /// The one session that there is.
    #[derive(Default)]
    struct Table {
        keys: Generations<FastKeys>,
        used: Option<Instant>,
        wants_rekey: bool,
        heard: bool,
        fell_back: usize,
        dropped: usize,
    }

    impl SessionTable for Table {
        fn open(&mut self, _: NodeKey, _: Opener, _: Sealer) {}

        fn close(&mut self, _: &NodeKey) {}

        fn with<R>(
            &mut self,
            _: &NodeKey,
            _: impl FnOnce(&mut Opener, &mut Sealer) -> R,
        ) -> Option<R> {
            None
        }

        fn set_path(&mut self, _: &NodeKey, _: Option<&Coords>) {}

        fn last_heard(&self, _: &NodeKey) -> Option<Instant> {
            self.used
        }

        fn last_said(&self, _: &NodeKey) -> Option<Instant> {
            None
        }

        fn add_fast(&mut self, _: &NodeKey, keys: FastKeys) {
            self.keys.add(keys.sealer.generation(), keys, true);
        }

        fn fall_back(&mut self, _: &NodeKey) {
            self.fell_back += 1;
            self.keys.fall_back();
        }

        fn drop_fast(&mut self, _: &NodeKey) {
            self.dropped += 1;
            self.keys = Generations::default();
        }

        fn fast_state(&self, _: &NodeKey) -> Option<FastState> {
            let generation = self.keys.sealing()?.sealer.generation();
            Some(FastState { generation, wants_rekey: self.wants_rekey, heard: self.heard })
        }
    }

    /// One end of a session.
    struct End {
        talks: Negotiations,
        table: Table,
        rng: ChaCha20Rng,
        far: NodeKey,
        now: Instant,
    }

    impl End {
        /// An end that has said hello.
        fn new(own: NodeKey, far: NodeKey) -> Self {
            let mut end = Self {
                talks: Negotiations::new(own, Some(Suites::ALL), at(0)),
                table: Table::default(),
                rng: ChaCha20Rng::from_seed(*own.as_bytes()),
                far,
                now: at(0),
            };
            end.talks.opened(far, &mut end.rng, at(0));
            assert!(matches!(end.say(at(0)), Some(Saying::Hello(_))));
            end
        }

        fn say(&mut self, now: Instant) -> Option<Saying> {
            self.talks.take_due(&self.far, now)
        }

        fn learn(&mut self, is_able: bool, wants_keys: bool, now: Instant) {
            self.talks.learn(&self.far, is_able, wants_keys, &mut self.rng, now);
        }

        fn take_offer(&mut self, id: u32, offer: &[u8], now: Instant) -> Taken {
            self.talks.take_offer(&self.far, id, offer, &mut self.rng, now)
        }

        /// The far end begins anew.
        fn renew(&mut self, now: Instant) -> bool {
            self.talks.renewed(&self.far, &mut self.rng, now)
        }

        /// Does what is due until `end`. `is_used`: something is heard all the time. Returns what
        /// is said, and when.
        fn pass(&mut self, end: u64, is_used: bool) -> Vec<(u64, Saying)> {
            let mut said = Vec::new();
            loop {
                if is_used {
                    self.table.used = Some(self.now);
                    self.talks.used(self.now);
                }
                let Some(next) = self.talks.next_timeout().filter(|next| *next <= at(end)) else {
                    self.now = at(end);
                    return said;
                };
                self.now = next;
                self.talks.due(&self.table, next);
                self.talks.look(&mut self.table, &mut self.rng, next);
                let millis = next.since(at(0)).as_millis() as u64;
                said.extend(self.say(next).map(|saying| (millis, saying)));
                assert_ne!(self.talks.next_timeout(), Some(next), "a timer spins");
                assert!(said.len() < 500);
            }
        }
    }

    fn ends() -> (End, End) {
        (End::new(LOW, HIGH), End::new(HIGH, LOW))
    }

    /// Both ends with keys that were agreed on at `now`.
    fn agree(low: &mut End, high: &mut End, now: Instant) {
        low.learn(true, true, now);
        let Some(Saying::Offer(id, offer)) = low.say(now) else { panic!("no offer") };
        let Taken::Answer(answer, Some(keys)) = high.take_offer(id, &offer, now) else {
            panic!("no answer")
        };
        high.table.add_fast(&LOW, keys);
        let keys = low.talks.take_answer(&HIGH, id, &answer, now).expect("the answer fits");
        low.table.add_fast(&HIGH, keys);
        assert_eq!(low.say(now), Some(Saying::Empty));
    }

    fn kinds(said: Vec<(u64, Saying)>) -> Vec<(u64, &'static str)> {
        let kind = |saying: &Saying| match saying {
            Saying::Hello(_) => "hello",
            Saying::Offer(..) => "offer",
            Saying::Empty => "empty",
        };
        said.iter().map(|(at, saying)| (*at, kind(saying))).collect()
    }

    #[test]
    fn who_does_not_answer_hello_is_left_alone() {
        for mut end in [End::new(LOW, HIGH), End::new(HIGH, LOW)] {
            assert_eq!(kinds(end.pass(1_000_000, false)), []);
            let said = kinds(end.pass(2_000_000, true));
            let gaps: Vec<_> = said.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
            assert_eq!((said[0], gaps), ((1_000_000, "hello"), vec![60_000, 120_000]));
            end.learn(false, false, at(2_000_000));
            assert_eq!(kinds(end.pass(3_000_000, true)), []);
            assert!(!end.renew(at(3_000_000)));
            assert_eq!(kinds(end.pass(4_000_000, true)), []);
            // Only after a hello that was said, and once.
            let mut end = End::new(end.talks.own, end.far);
            let id = end.talks.talks[&end.far].hello.unwrap();
            assert!(!end.talks.take_hello(&end.far, id.wrapping_add(1)));
            assert!(end.talks.take_hello(&end.far, id) && !end.talks.take_hello(&end.far, id));
        }
    }

    #[test]
    fn an_offer_is_repeated_given_up_and_made_again_while_the_session_is_used() {
        let (mut low, _) = ends();
        low.learn(true, true, at(0));
        let Some(Saying::Offer(id, offer)) = low.say(at(0)) else { panic!("no offer") };
        for (millis, said) in low.pass(8_000, true) {
            assert!([1000, 3000, 7000].contains(&millis));
            assert_eq!(said, Saying::Offer(id, offer.clone()));
        }
        let said = kinds(low.pass(60_000, true));
        assert_eq!(said.first(), Some(&(38_000, "offer")), "after a rest of 30 s");
        assert_eq!(said.len(), 4);
        assert_eq!(kinds(low.pass(600_000, false)), [], "nobody uses it");
        assert!(kinds(low.pass(700_000, true)).len() >= 4);
    }

    #[test]
    fn the_higher_key_asks_for_an_offer_and_makes_none() {
        let (_, mut high) = ends();
        high.learn(true, true, at(0));
        assert!(high.talks.wants_keys(&LOW));
        let said = kinds(high.pass(8_000, true));
        assert_eq!(said, [(1000, "hello"), (2000, "hello"), (4000, "hello"), (8000, "hello")]);
        // And it does not look at one of the other's kind.
        let offered = Offered::new(9, Suites::ALL, &mut high.rng);
        let (mut low, _) = ends();
        assert!(matches!(low.take_offer(1, offered.message(), at(0)), Taken::Ignored));
    }

    #[test]
    fn a_repeated_offer_gets_the_same_answer_and_an_older_one_none() {
        let (_, mut high) = ends();
        let offers = [7, 8].map(|byte| Offered::new(byte, Suites::ALL, &mut high.rng));
        let [old, new] = offers.each_ref().map(Offered::message);
        let Taken::Answer(first, Some(_)) = high.take_offer(1, old, at(0)) else { panic!() };
        for _ in 0..50 {
            let again = high.take_offer(1, old, at(3000));
            assert!(matches!(again, Taken::Answer(answer, None) if answer == first));
        }
        assert!(matches!(high.take_offer(2, old, at(3000)), Taken::Ignored), "another number");
        assert!(matches!(high.take_offer(2, new, at(3000)), Taken::Answer(_, Some(_))));
        assert!(matches!(high.take_offer(1, old, at(3000)), Taken::Ignored));
        high.pass(200_000, false);
        assert!(matches!(high.take_offer(2, new, at(200_000)), Taken::Ignored), "too late");
        // Whoever begins anew may begin anywhere.
        high.renew(at(200_000));
        assert!(matches!(high.take_offer(1, old, at(200_000)), Taken::Answer(_, Some(_))));
    }

    #[test]
    fn offers_are_answered_at_a_rate() {
        let (_, mut high) = ends();
        let mut take = |number: u8, now| {
            let offered = Offered::new(number, Suites::ALL, &mut ChaCha20Rng::from_seed([9; 32]));
            high.take_offer(number.into(), offered.message(), now)
        };
        let answered =
            (0..20).filter(|number| matches!(take(*number, at(0)), Taken::Answer(..))).count();
        assert_eq!(answered, FAST_OFFER_RATE.burst as usize);
        assert!(matches!(take(30, at(0)), Taken::RateLimited));
        assert!(matches!(take(30, at(1000)), Taken::Answer(..)));
        assert!(matches!(take(31, at(1000)), Taken::RateLimited));
    }

    #[test]
    fn keys_are_replaced_while_they_are_used_and_end_when_they_are_not() {
        let (mut low, mut high) = ends();
        agree(&mut low, &mut high, at(0));
        low.table.heard = true;
        let said = kinds(low.pass(125_000, true));
        assert_eq!(said.first(), Some(&(120_000, "offer")));
        for (own, far) in [(LOW, HIGH), (HIGH, LOW)] {
            let (mut low, mut high) = ends();
            agree(&mut low, &mut high, at(0));
            low.table.heard = true;
            let mut end = if own == LOW { low } else { high };
            assert_eq!(kinds(end.pass(179_000, false)), []);
            assert_eq!((end.table.fell_back, end.table.dropped), (0, 0));
            end.pass(190_000, false);
            assert_eq!((end.table.fell_back, end.table.dropped), (1, 0));
            assert!(end.talks.wants_keys(&far));
            end.pass(220_000, false);
            assert_eq!((end.table.fell_back, end.table.dropped), (1, 1));
            assert_eq!(end.talks.next_timeout(), None, "nothing wakes an idle node");
            let kind = if own == LOW { "offer" } else { "hello" };
            assert_eq!(kinds(end.pass(220_500, true)), [(220_000, kind)], "the first use");
        }
    }

    #[test]
    fn worn_keys_are_replaced_at_once_whoever_has_worn_them() {
        let (mut low, mut high) = ends();
        agree(&mut low, &mut high, at(0));
        low.table.heard = true;
        for end in [&mut low, &mut high] {
            end.table.wants_rekey = true;
            end.talks.used(at(12_000));
        }
        assert_eq!(kinds(low.pass(12_500, true)), [(12_000, "offer")]);
        assert_eq!(kinds(high.pass(12_500, true)), [(12_000, "hello")]);
        assert!(high.talks.wants_keys(&LOW));
    }

    #[test]
    fn a_far_end_that_wants_keys_gets_an_offer_unless_it_has_just_had_one() {
        let (mut low, mut high) = ends();
        agree(&mut low, &mut high, at(0));
        low.table.heard = true;
        low.pass(1_500, false);
        low.learn(true, true, at(1_500));
        assert!(!low.talks.waits_for(&HIGH));
        low.learn(true, false, at(3_000));
        assert!(!low.talks.waits_for(&HIGH), "it is content");
        low.learn(true, true, at(3_000));
        assert!(matches!(low.say(at(3_000)), Some(Saying::Offer(..))));
    }

    #[test]
    fn whoever_begins_anew_is_told_hello_and_gets_other_keys() {
        let (mut low, mut high) = ends();
        agree(&mut low, &mut high, at(0));
        for end in [&mut low, &mut high] {
            assert!(end.renew(at(5_000)), "there are keys to fall back from");
            end.table.fall_back(&end.far.clone());
            assert!(end.talks.wants_keys(&end.far));
            assert!(matches!(end.say(at(5_000)), Some(Saying::Hello(_))));
        }
        agree(&mut low, &mut high, at(6_000));
        for end in [&low, &high] {
            assert!(!end.talks.wants_keys(&end.far));
            assert!(end.table.keys.sealing().is_some());
        }
    }

    #[test]
    fn an_answer_fits_its_own_offer_alone() {
        let (mut low, mut high) = ends();
        low.learn(true, true, at(0));
        let Some(Saying::Offer(id, offer)) = low.say(at(0)) else { panic!("no offer") };
        let Taken::Answer(answer, _) = high.take_offer(id, &offer, at(0)) else { panic!() };
        let mut take =
            |id: u32, answer: &[u8]| low.talks.take_answer(&HIGH, id, answer, at(100)).is_some();
        let mut forged = answer.clone();
        forged[1155] ^= 1;
        assert!(!take(id.wrapping_add(1), &answer));
        assert!(!take(id, &forged) && !take(id, &[]) && !take(id, &answer[1..]));
        assert!(take(id, &answer), "what was wrong has changed nothing");
        assert!(!take(id, &answer), "once");
    }

    #[test]
    fn a_node_without_fast_sessions_has_no_talks() {
        let mut talks = Negotiations::new(LOW, None, at(0));
        let mut rng = ChaCha20Rng::from_seed([0; 32]);
        talks.opened(HIGH, &mut rng, at(0));
        talks.learn(&HIGH, true, true, &mut rng, at(0));
        assert!(!talks.has(&HIGH) && !talks.waits_for(&HIGH) && !talks.wants_keys(&HIGH));
        assert_eq!((talks.next_timeout(), talks.used(at(0))), (None, None));
    }
}
