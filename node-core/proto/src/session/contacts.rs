//! Whom to greet and when: the control half of sessions (chapter 7.5).
//!
//! A contact is a remote key with a session, with a greeting of ours that waits for an answer, or
//! both. What is to be *said* is kept as a debt ([`Greeting`]) until there is a path, so that an
//! answer never gets lost for want of one.
//!
//! ```text
//!   (none) -- data to send --> [greeting] -- Init or Ack --> [session] -- 60 s silence --> (none)
//!      \---------------------- Init or Ack -------------------^
//! ```
//!
//! Unlike the reference, a session lives by what arrives, not by what is sent; so a far end that
//! lost its keys, even one whose clock was set back, is greeted afresh within a minute. Where all
//! goes in one direction, or the far end is kept warm, it is greeted before that
//! ([`Contacts::silent`]), and its answer keeps the session.

use std::collections::BTreeMap;

use crate::{
    crypto::ExchangeSecret,
    identity::NodeKey,
    limits::{
        CALLED_TIME, CALLER_FADING, FADING_GAP, GUEST_GREETING_GAP, GUEST_TIME, GUESTS_MAX,
        INIT_GAP, INIT_RETRIES_STEADY, INIT_RETRY, SESSION_FADING, SESSION_TIMEOUT,
    },
    time::{Duration, Instant},
};

/// A message owed to a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// From the keys of the greeting under way.
    FirstInit,
    /// From the keys of the session, or from keys thrown away if there is none.
    Init,
    /// From the keys of the session.
    Ack,
}

/// The keys of a greeting that waits for an answer.
pub(crate) struct Pending {
    pub(crate) current: ExchangeSecret,
    pub(crate) next: ExchangeSecret,
    /// Version of the newest Init that was sent from these keys.
    version: Option<u64>,
    tries: u32,
    /// When the Init is repeated, once it went out.
    retry_at: Option<Instant>,
    expires: Instant,
}

/// What is known of one remote key.
#[derive(Default)]
pub(crate) struct Contact {
    pub(crate) pending: Option<Pending>,
    /// Highest accepted version of its greetings, while there is a session.
    pub(crate) session_seq: Option<u64>,
    updated: Instant,
    /// This node has called it.
    was_called: bool,
    /// When it was last looked whether the session fades.
    watched: Instant,
    pub(crate) since: Instant,
    owed: Option<Greeting>,
    owed_since: Instant,
    /// When what is owed may be said, if the last Init was too recent.
    owed_at: Option<Instant>,
    /// Version of our Init that was under way when the session began.
    crossed: Option<u64>,
    init_at: Option<Instant>,
    /// Since when its session is that of a guest, if it is.
    guest_since: Option<Instant>,
}

/// A session in which nothing has been heard for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silent {
    pub(crate) key: NodeKey,
    /// When it was last heard.
    pub(crate) since: Instant,
    /// This node has called it.
    pub(crate) was_called: bool,
}

/// All contacts.
#[derive(Default)]
pub(crate) struct Contacts {
    contacts: BTreeMap<NodeKey, Contact>,
    sessions: usize,
    /// When each guest last greeted. Outlives the guest's session, so that its rate holds.
    guests: BTreeMap<NodeKey, Instant>,
}

impl Contacts {
    /// Whether this node has greeted `key` of its own accord, not long ago: what comes back is
    /// wanted.
    pub(crate) fn has_called(&self, key: &NodeKey, now: Instant) -> bool {
        self.get(key).is_some_and(|contact| {
            let greeted = contact.init_at.is_some_and(|at| now < at + CALLED_TIME);
            contact.guest_since.is_none() && (contact.pending.is_some() || greeted)
        })
    }

    /// Whether the greeting of a guest is to be opened; counts it if so.
    pub(crate) fn admit_guest(&mut self, key: NodeKey, now: Instant) -> bool {
        let guests = &mut self.guests;
        if let Some(at) = guests.get_mut(&key) {
            let is_due = *at + GUEST_GREETING_GAP <= now;
            if is_due {
                *at = now;
            }
            return is_due;
        }
        if guests.len() >= GUESTS_MAX {
            let contacts = &self.contacts;
            guests.retain(|key, at| {
                let stays = contacts.get(key).is_some_and(|contact| contact.guest_since.is_some());
                stays || now < *at + GUEST_GREETING_GAP
            });
        }
        let has_room = guests.len() < GUESTS_MAX;
        if has_room {
            guests.insert(key, now);
        }
        has_room
    }

    /// Everybody that something is known of.
    pub(crate) fn keys(&self) -> impl Iterator<Item = NodeKey> {
        self.contacts.keys().copied()
    }

    /// Whether the session with `key` is that of a guest.
    pub(crate) fn is_guest(&self, key: &NodeKey) -> bool {
        self.get(key).is_some_and(|contact| contact.guest_since.is_some())
    }

    /// The session with `key` is that of a guest.
    pub(crate) fn confine(&mut self, key: &NodeKey, now: Instant) {
        if let Some(contact) = self.contacts.get_mut(key) {
            contact.guest_since.get_or_insert(now);
        }
    }

    /// A guest becomes an ordinary contact. Returns whether it was a guest.
    pub(crate) fn promote(&mut self, key: &NodeKey) -> bool {
        self.guests.remove(key);
        let contact = self.contacts.get_mut(key);
        contact.is_some_and(|contact| contact.guest_since.take().is_some())
    }

    /// Forgets all about `key`. Returns whether it had a session.
    pub(crate) fn forget(&mut self, key: &NodeKey) -> bool {
        self.guests.remove(key);
        let contact = self.contacts.remove(key);
        let had_session = contact.is_some_and(|contact| contact.session_seq.is_some());
        self.sessions -= usize::from(had_session);
        had_session
    }

    pub(crate) fn has_session(&self, key: &NodeKey) -> bool {
        self.get(key).is_some_and(|contact| contact.session_seq.is_some())
    }

    pub(crate) const fn session_count(&self) -> usize {
        self.sessions
    }

    /// Keys with a session, and since when.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (NodeKey, Instant)> {
        self.contacts
            .iter()
            .filter(|(_, contact)| contact.session_seq.is_some())
            .map(|(key, contact)| (*key, contact.since))
    }

    pub(crate) fn get(&self, key: &NodeKey) -> Option<&Contact> {
        self.contacts.get(key)
    }

    /// Data waits for a session with `key`: begins a greeting if none is under way.
    pub(crate) fn begin(
        &mut self,
        key: NodeKey,
        now: Instant,
        secrets: impl FnOnce() -> [ExchangeSecret; 2],
    ) {
        let contact = self.contacts.entry(key).or_default();
        contact.was_called = true;
        let expires = now + SESSION_TIMEOUT;
        match &mut contact.pending {
            Some(pending) => pending.expires = expires,
            None => {
                let [current, next] = secrets();
                contact.pending = Some(Pending {
                    current,
                    next,
                    version: None,
                    tries: 0,
                    retry_at: None,
                    expires,
                });
                contact.owe(Greeting::FirstInit, now);
            }
        }
    }

    /// A session with `key` begins at `seq`; the greeting that was under way is returned.
    pub(crate) fn opened(&mut self, key: NodeKey, seq: u64, now: Instant) -> Option<Pending> {
        let contact = self.contacts.entry(key).or_default();
        if contact.session_seq.is_none() {
            self.sessions += 1;
            contact.since = now;
        }
        contact.session_seq = Some(seq);
        contact.updated = now;
        contact.owed = None;
        let pending = contact.pending.take();
        contact.crossed = pending.as_ref().and_then(|pending| pending.version);
        pending
    }

    /// A greeting of `key` with a higher version was accepted.
    pub(crate) fn updated(&mut self, key: &NodeKey, seq: u64, now: Instant) {
        if let Some(contact) = self.contacts.get_mut(key) {
            contact.session_seq = Some(seq);
            contact.updated = now;
        }
    }

    pub(crate) fn owe(&mut self, key: NodeKey, greeting: Greeting, now: Instant) {
        self.contacts.entry(key).or_default().owe(greeting, now);
    }

    /// What may be said to `key` now that there is a path.
    pub(crate) fn take_owed(&mut self, key: &NodeKey, now: Instant) -> Option<Greeting> {
        let contact = self.contacts.get_mut(key)?;
        let greeting = contact.owed?;
        if greeting != Greeting::Ack {
            if let Some(at) = contact.init_at.filter(|at| now < *at + INIT_GAP) {
                contact.owed_at = Some(at + INIT_GAP);
                return None;
            }
            contact.init_at = Some(now);
        }
        contact.owed = None;
        Some(greeting)
    }

    /// The version of the Ack that a session begins with, if it is not a new one.
    ///
    /// The far end may have opened its session with our Init. Then data of ours fits the keys of
    /// that Init, and an Ack that counted would take them away; so it repeats the version, and
    /// counts only if the Init was lost.
    pub(crate) fn take_crossed(&mut self, key: &NodeKey) -> Option<u64> {
        self.contacts.get_mut(key)?.crossed.take()
    }

    /// The greeting under way went out with this version.
    pub(crate) fn init_sent(&mut self, key: &NodeKey, version: u64, now: Instant) {
        if let Some(pending) = self.contacts.get_mut(key).and_then(|c| c.pending.as_mut()) {
            pending.version = Some(version);
            pending.retry_at = Some(now + pending.gap());
        }
    }

    /// Contacts to which something may be said now that could not be said before, or is to be said
    /// again.
    ///
    /// Each is named once: without a way to it, its turn comes when one is found.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<NodeKey> {
        let mut due = Vec::new();
        for (key, contact) in &mut self.contacts {
            let mut speaks = false;
            if contact.owed_at.is_some_and(|at| at <= now) {
                contact.owed_at = None;
                speaks = contact.owed.is_some();
            }
            if let Some(pending) = &mut contact.pending
                && pending.retry_at.is_some_and(|at| at <= now)
            {
                pending.tries += 1;
                pending.retry_at = Some(now + pending.gap());
                contact.owe(Greeting::FirstInit, now);
                speaks = true;
            }
            if speaks {
                due.push(*key);
            }
        }
        due
    }

    /// When something is said to `key`, again or at last.
    pub(crate) fn speaks_at(&self, key: &NodeKey) -> Option<Instant> {
        let contact = self.get(key)?;
        let retry = contact.pending.as_ref().and_then(|pending| pending.retry_at);
        contact.owed_at.into_iter().chain(retry).min()
    }

    /// Sessions that end before long if nothing is heard in them. Each is named every
    /// [`FADING_GAP`] until it does.
    pub(crate) fn silent(
        &mut self,
        now: Instant,
        last_heard: impl Fn(&NodeKey) -> Option<Instant>,
    ) -> Vec<Silent> {
        let mut silent = Vec::new();
        for (key, contact) in &mut self.contacts {
            if contact.fades_at().is_some_and(|at| at <= now)
                && contact.is_silent(contact.patience(), now, last_heard(key))
            {
                contact.watched = now;
                let (since, was_called) = (contact.updated, contact.was_called);
                silent.push(Silent { key: *key, since, was_called });
            }
        }
        silent
    }

    /// Whether nothing was heard in the session of `key` for `time`.
    pub(crate) fn is_silent(
        &mut self,
        key: &NodeKey,
        time: Duration,
        now: Instant,
        last_heard: Option<Instant>,
    ) -> bool {
        let contact = self.contacts.get_mut(key).filter(|contact| contact.session_seq.is_some());
        contact.is_some_and(|contact| contact.is_silent(time, now, last_heard))
    }

    /// Forgets sessions and greetings that nothing was heard of. Returns the keys of closed
    /// sessions.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        last_heard: impl Fn(&NodeKey) -> Option<Instant>,
    ) -> Vec<NodeKey> {
        let mut closed = Vec::new();
        for (key, contact) in &mut self.contacts {
            if contact.pending.as_ref().is_some_and(|pending| pending.expires <= now) {
                contact.pending = None;
            }
            if contact.guest_since.is_some_and(|since| since + GUEST_TIME <= now) {
                contact.guest_since = None;
                // Nothing is owed to a guest that has gone.
                (contact.owed, contact.owed_at, contact.init_at) = (None, None, None);
                if contact.session_seq.take().is_some() {
                    closed.push(*key);
                }
            }
            if contact.session_seq.is_some() && contact.updated + SESSION_TIMEOUT <= now {
                contact.updated = contact.updated.max(last_heard(key).unwrap_or_default());
                if contact.updated + SESSION_TIMEOUT <= now {
                    contact.session_seq = None;
                    closed.push(*key);
                }
            }
        }
        self.sessions -= closed.len();
        self.contacts.retain(|_, contact| {
            let greeted = contact.init_at.is_some_and(|at| now < at + SESSION_TIMEOUT);
            let owed = contact.owed.is_some() && now < contact.owed_since + SESSION_TIMEOUT;
            contact.session_seq.is_some() || contact.pending.is_some() || greeted || owed
        });
        closed
    }

    /// When [`Self::due`], [`Self::silent`] or [`Self::expire`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let times = self.contacts.values().flat_map(|contact| {
            let session = contact.session_seq.map(|_| contact.updated + SESSION_TIMEOUT);
            let pending = contact.pending.as_ref();
            let expires = pending.map(|pending| pending.expires);
            let retry = pending.and_then(|pending| pending.retry_at);
            let fades = contact.fades_at().filter(|at| session.is_some_and(|end| *at < end));
            let leaves = contact.guest_since.map(|since| since + GUEST_TIME);
            [session, fades, expires, retry, contact.owed_at, leaves].into_iter().flatten()
        });
        times.min()
    }
}

impl Contact {
    /// Whether nothing was heard for `time`, neither greetings nor, at `last_heard`, anything else.
    fn is_silent(&mut self, time: Duration, now: Instant, last_heard: Option<Instant>) -> bool {
        self.updated = self.updated.max(last_heard.unwrap_or_default());
        self.updated + time <= now
    }

    /// When to look whether the session fades.
    fn fades_at(&self) -> Option<Instant> {
        self.session_seq?;
        // A guest is not called.
        if self.guest_since.is_some() {
            return None;
        }
        Some((self.updated + self.patience()).max(self.watched + FADING_GAP))
    }

    /// How long the session may be silent. Who has called is the first to lose patience, so that
    /// the other need not even wake up.
    const fn patience(&self) -> Duration {
        if self.was_called { CALLER_FADING } else { SESSION_FADING }
    }

    /// An Ack says all that an Init says, so it is not replaced by one.
    fn owe(&mut self, greeting: Greeting, now: Instant) {
        self.owed_since = now;
        if self.owed != Some(Greeting::Ack) {
            self.owed = Some(greeting);
        }
    }
}

impl Pending {
    /// How long to wait for an answer before the greeting is repeated.
    fn gap(&self) -> Duration {
        INIT_RETRY * (1 << self.tries.saturating_sub(INIT_RETRIES_STEADY).min(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: NodeKey = NodeKey::from_bytes([1; 32]);

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    fn secrets() -> [ExchangeSecret; 2] {
        [1, 2].map(|byte| ExchangeSecret::from_bytes(&[byte; 32]))
    }

    #[test]
    fn a_greeting_without_a_way_does_not_ask_to_be_looked_at_again_and_again() {
        let mut contacts = Contacts::default();
        contacts.owe(KEY, Greeting::Init, at(0));
        assert_eq!(contacts.take_owed(&KEY, at(0)), Some(Greeting::Init));
        contacts.owe(KEY, Greeting::Init, at(100));
        assert_eq!(contacts.take_owed(&KEY, at(100)), None);
        assert_eq!(contacts.next_timeout(), Some(at(500)));
        // Nobody takes what is owed, for want of a path.
        assert_eq!(contacts.due(at(500)), [KEY]);
        assert_eq!(contacts.due(at(520)), []);
        assert_eq!(contacts.next_timeout(), None);
        assert_eq!(contacts.take_owed(&KEY, at(30_000)), Some(Greeting::Init));
    }

    #[test]
    fn an_init_is_repeated_at_growing_gaps_while_data_waits() {
        let mut contacts = Contacts::default();
        contacts.begin(KEY, at(0), secrets);
        assert_eq!(
            contacts.next_timeout(),
            Some(at(60_000)),
            "nothing was sent, only expiry is left"
        );
        assert_eq!(contacts.take_owed(&KEY, at(5_000)), Some(Greeting::FirstInit));
        contacts.init_sent(&KEY, 1, at(5_000));
        let mut looks = 0;
        while let Some(next) = contacts.next_timeout().filter(|next| *next < at(60_000)) {
            assert_eq!(contacts.due(next), [KEY]);
            assert!(contacts.next_timeout() > Some(next));
            looks += 1;
        }
        assert!((3..12).contains(&looks), "{looks} looks");
        contacts.expire(at(60_000), |_| None);
        assert_eq!(contacts.due(at(60_000)), []);
    }

    #[test]
    fn a_silent_session_is_named_until_something_is_heard_or_it_ends() {
        let mut contacts = Contacts::default();
        contacts.opened(KEY, 1, at(0));
        let nothing = |_: &NodeKey| None;
        let heard = |when| move |_: &NodeKey| Some(at(when));
        let silent = |since| Silent { key: KEY, since: at(since), was_called: false };
        assert_eq!(contacts.next_timeout(), Some(at(45_000)));
        assert_eq!(contacts.silent(at(44_999), nothing), []);
        assert_eq!(contacts.silent(at(45_000), nothing), [silent(0)]);
        assert_eq!(contacts.next_timeout(), Some(at(50_000)));
        assert_eq!(contacts.silent(at(49_999), nothing), []);
        assert_eq!(contacts.silent(at(50_000), nothing), [silent(0)]);
        contacts.updated(&KEY, 2, at(50_100));
        assert_eq!(contacts.next_timeout(), Some(at(95_100)));
        // What arrives needs no greeting.
        assert_eq!(contacts.silent(at(95_100), heard(90_000)), []);
        assert!(contacts.is_silent(&KEY, Duration::from_secs(25), at(115_000), None));
        assert!(!contacts.is_silent(&KEY, Duration::from_secs(26), at(115_000), None));
        assert_eq!(contacts.silent(at(135_000), nothing), [silent(90_000)]);
        assert_eq!(contacts.expire(at(150_000), nothing), [KEY]);
        assert_eq!(contacts.next_timeout(), None);
        assert!(!contacts.is_silent(&KEY, Duration::ZERO, at(150_000), None), "no session");
    }

    #[test]
    fn what_is_owed_to_a_stranger_waits_a_minute_for_a_path() {
        let mut contacts = Contacts::default();
        contacts.owe(KEY, Greeting::Init, at(0));
        contacts.expire(at(59_999), |_| None);
        assert_eq!(contacts.take_owed(&KEY, at(59_999)), Some(Greeting::Init));
        contacts.owe(KEY, Greeting::Ack, at(60_000));
        contacts.expire(at(120_000), |_| None);
        assert_eq!(contacts.take_owed(&KEY, at(120_000)), None);
    }
}
