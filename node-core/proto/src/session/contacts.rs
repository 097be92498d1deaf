//! Whom to greet and when: the control half of sessions (chapter 7.5).
//!
//! A contact is a remote key with a session, with a greeting of ours that waits for an answer, or both. What is to be *said* is kept
//! as a debt ([`Greeting`]) until there is a path, so that an answer never gets lost for want of one.
//!
//! ```text
//!   (none) -- data to send --> [greeting] -- Init or Ack --> [session] -- 60 s of silence --> (none)
//!      \---------------------- Init or Ack -------------------^
//! ```
//!
//! Unlike the reference, a session lives by what arrives, not by what is sent; so a far end that lost its keys, even one whose clock
//! was set back, is greeted afresh within a minute.

use std::collections::BTreeMap;

use crate::{
    crypto::ExchangeSecret,
    identity::NodeKey,
    limits::{INIT_GAP, INIT_RETRIES_STEADY, INIT_RETRY, SESSION_TIMEOUT},
    time::Instant,
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
    expires: Instant,
}

/// What is known of one remote key.
#[derive(Default)]
pub(crate) struct Contact {
    pub(crate) pending: Option<Pending>,
    /// Highest accepted version of its greetings, while there is a session.
    pub(crate) session_seq: Option<u64>,
    updated: Instant,
    pub(crate) since: Instant,
    owed: Option<Greeting>,
    /// Version of our Init that was under way when the session began.
    crossed: Option<u64>,
    init_at: Option<Instant>,
}

/// All contacts.
#[derive(Default)]
pub(crate) struct Contacts {
    contacts: BTreeMap<NodeKey, Contact>,
    sessions: usize,
}

impl Contacts {
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
        let expires = now + SESSION_TIMEOUT;
        match &mut contact.pending {
            Some(pending) => pending.expires = expires,
            None => {
                let [current, next] = secrets();
                contact.pending = Some(Pending { current, next, version: None, tries: 0, expires });
                contact.owe(Greeting::FirstInit);
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

    pub(crate) fn owe(&mut self, key: NodeKey, greeting: Greeting) {
        self.contacts.entry(key).or_default().owe(greeting);
    }

    /// What may be said to `key` now that there is a path.
    pub(crate) fn take_owed(&mut self, key: &NodeKey, now: Instant) -> Option<Greeting> {
        let contact = self.contacts.get_mut(key)?;
        let greeting = contact.owed?;
        if greeting != Greeting::Ack {
            if contact.init_at.is_some_and(|at| now < at + INIT_GAP) {
                return None;
            }
            contact.init_at = Some(now);
        }
        contact.owed = None;
        Some(greeting)
    }

    /// The version of the Ack that a session begins with, if it is not a new one.
    ///
    /// The far end may have opened its session with our Init. Then data of ours fits the keys of that Init, and an Ack that counted
    /// would take them away; so it repeats the version, and counts only if the Init was lost.
    pub(crate) fn take_crossed(&mut self, key: &NodeKey) -> Option<u64> {
        self.contacts.get_mut(key)?.crossed.take()
    }

    /// The greeting under way went out with this version.
    pub(crate) fn init_sent(&mut self, key: &NodeKey, version: u64) {
        if let Some(pending) = self.contacts.get_mut(key).and_then(|c| c.pending.as_mut()) {
            pending.version = Some(version);
        }
    }

    /// Greetings without an answer that are due again while data waits.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<NodeKey> {
        let mut due = Vec::new();
        for (key, contact) in &mut self.contacts {
            if contact.retry_at().is_some_and(|at| at <= now) {
                if let Some(pending) = &mut contact.pending {
                    pending.tries += 1;
                    contact.owe(Greeting::FirstInit);
                }
                due.push(*key);
            } else if contact.owed.is_some()
                && contact.init_at.is_some_and(|at| at + INIT_GAP <= now)
            {
                due.push(*key);
            }
        }
        due
    }

    /// Forgets sessions and greetings that nothing was heard of. Returns the keys of closed sessions.
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
            contact.session_seq.is_some() || contact.pending.is_some() || greeted
        });
        closed
    }

    /// When [`Self::due`] or [`Self::expire`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let times = self.contacts.values().flat_map(|contact| {
            let session = contact.session_seq.map(|_| contact.updated + SESSION_TIMEOUT);
            let pending = contact.pending.as_ref().map(|pending| pending.expires);
            let owed = contact.owed.and(contact.init_at).map(|at| at + INIT_GAP);
            session.into_iter().chain(pending).chain(contact.retry_at()).chain(owed)
        });
        times.min()
    }
}

impl Contact {
    /// An Ack says all that an Init says, so it is not replaced by one.
    fn owe(&mut self, greeting: Greeting) {
        if self.owed != Some(Greeting::Ack) {
            self.owed = Some(greeting);
        }
    }

    /// When the greeting under way is repeated.
    fn retry_at(&self) -> Option<Instant> {
        let pending = self.pending.as_ref()?;
        let doublings = pending.tries.saturating_sub(INIT_RETRIES_STEADY).min(5);
        self.init_at.map(|at| at + INIT_RETRY * (1 << doublings))
    }
}
