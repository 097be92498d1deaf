//! Greetings of sessions: Init and Ack, theirs and ours (chapter 7.5).

use super::Node;
use crate::{
    crypto::ExchangeSecret,
    identity::NodeKey,
    limits::{GUEST_TIME, SESSION_TIMEOUT, SESSIONS_MAX},
    session::{
        Greeting, Groups, Handshake, HandshakeKind, Opener, SessionTable, Standing, compose,
        open_handshake,
    },
    time::{Instant, Now},
};

impl<S: SessionTable> Node<S> {
    /// An Init or Ack from `source` arrived.
    pub fn handle_handshake(&mut self, source: NodeKey, message: &[u8], now: Now) {
        // Before anything is computed: a stranger costs a look into a table.
        if !self.admits(source, now) {
            self.stats.strangers_ignored += 1;
            return;
        }
        if !self.handshakes.allow(now.mono) {
            self.stats.rate_limited += 1;
            return;
        }
        let opened =
            open_handshake(message, &self.identity, self.groups.secret_for(&source), &source);
        let taken =
            opened.is_some_and(|(kind, said)| self.take_handshake(source, kind, &said, now));
        if !taken {
            self.stats.handshakes_ignored += 1;
        }
        self.settle(now);
    }

    /// Whether a greeting in the name of `source` is opened at all.
    fn admits(&mut self, source: NodeKey, now: Now) -> bool {
        match self.standing(&source, now) {
            Standing::Blocked => false,
            Standing::Stranger => self.contacts.has_session(&source),
            Standing::Guest => self.contacts.admit_guest(source, now.mono),
            Standing::Wanted | Standing::Welcome => true,
        }
    }

    /// What the rules say of a key, and that it is wanted if this node has called it.
    pub fn standing(&mut self, key: &NodeKey, now: Now) -> Standing {
        match self.sessions.standing(key, now.mono) {
            Standing::Stranger | Standing::Guest if self.contacts.has_called(key, now.mono) => {
                Standing::Wanted
            }
            standing => standing,
        }
    }

    /// The rules have changed: sessions that they do not allow end, guests that they welcome stay.
    pub fn review_sessions(&mut self, now: Now) {
        self.warm.review(|key| self.sessions.standing(key, now.mono));
        let keys: Vec<NodeKey> = self.contacts.keys().collect();
        for key in keys {
            match self.standing(&key, now) {
                Standing::Blocked | Standing::Stranger => self.part(&key),
                Standing::Guest if !self.contacts.is_guest(&key) => self.part(&key),
                Standing::Guest => {}
                Standing::Wanted | Standing::Welcome => {
                    self.promote(&key, now.mono);
                    self.say_about_keys(key, now);
                }
            }
        }
        self.settle(now);
    }

    /// Replaces the secrets of closed groups. Sessions with keys for which another one counts now
    /// end: whoever has left a group, or knew only the former password, is in none of them.
    pub fn set_groups(&mut self, groups: Groups, now: Now) {
        let former = std::mem::replace(&mut self.groups, groups);
        let keys: Vec<NodeKey> = self.contacts.keys().collect();
        for key in keys {
            if former.secret_for(&key) != self.groups.secret_for(&key) {
                self.part(&key);
            }
        }
        self.settle(now);
    }

    /// Forgets a key, its session and what waits for it.
    fn part(&mut self, key: &NodeKey) {
        self.stats.waiting_dropped += self.undelivered.take(key).len() as u64;
        self.warm.forget(key);
        if self.contacts.forget(key) {
            self.sessions.close(key);
            self.fast.closed(key);
        }
    }

    /// A guest's session becomes an ordinary one.
    pub(super) fn promote(&mut self, key: &NodeKey, now: Instant) {
        if self.contacts.promote(key) {
            self.sessions.confine(key, false);
            if self.contacts.has_session(key) {
                self.fast.opened(*key, &mut self.rng, now);
            }
        }
    }

    /// Applies a verified handshake. Returns whether it was news.
    fn take_handshake(
        &mut self,
        source: NodeKey,
        kind: HandshakeKind,
        said: &Handshake,
        now: Now,
    ) -> bool {
        if source == self.tree.own() || said.seq == 0 {
            return false;
        }
        self.paths.touch(&source, now.mono);
        let known = self.contacts.get(&source).and_then(|contact| contact.session_seq);
        if known.is_none() {
            if self.contacts.session_count() >= SESSIONS_MAX {
                self.stats.sessions_refused += 1;
                return false;
            }
            self.open_session(source, said, now);
        } else if known >= Some(said.seq) {
            return false;
        }
        let fresh = self.fresh_secret();
        let spare = self.fresh_secret();
        let begins_anew = self.sessions.with(&source, |opener, sealer| {
            let begins_anew = known.is_some() && !opener.is_continued_by(said);
            if known.is_none() || !opener.is_repetition(said) {
                sealer.install(opener.update(said, fresh));
            }
            refill(opener, spare);
            begins_anew
        });
        if begins_anew == Some(true) {
            if self.fast.renewed(&source, &mut self.rng, now.mono) {
                self.sessions.fall_back(&source);
            }
        } else if kind == HandshakeKind::Init && self.sessions.last_heard(&source).is_none() {
            self.fast.greeted_again(&source, &mut self.rng);
        }
        self.contacts.updated(&source, said.seq, now.mono);
        if kind == HandshakeKind::Init || known.is_none() {
            self.contacts.owe(source, Greeting::Ack, now.mono);
            if !self.is_reachable(&source) {
                self.look_up(source, now);
            }
            self.greet(&source, now);
        }
        self.keys.learn(source, now.mono);
        if self.has_to_say(&source) {
            self.pursue(source, now);
        }
        true
    }

    fn open_session(&mut self, source: NodeKey, said: &Handshake, now: Now) {
        let is_guest = self.standing(&source, now) == Standing::Guest;
        let pending = self.contacts.opened(source, said.seq - 1, now.mono);
        let recv = self.fresh_secret();
        let (send, next) = match pending {
            Some(pending) => (pending.current, pending.next),
            None => (self.fresh_secret(), self.fresh_secret()),
        };
        let (opener, sealer) = Opener::new(said, recv, send, next);
        self.sessions.open(source, opener, sealer);
        self.warm.found(&source);
        let path = self.paths.get(&source).map(|path| &path.coords);
        self.sessions.set_path(&source, path);
        if is_guest {
            self.contacts.confine(&source, now.mono);
            self.sessions.confine(&source, true);
            self.wake_by(now.mono + GUEST_TIME);
        } else {
            self.fast.opened(source, &mut self.rng, now.mono);
        }
        self.wake_by(now.mono + SESSION_TIMEOUT);
        self.handle_use(now.mono);
    }

    /// A packet of `source` could not be opened: there is no session, or it uses other keys. The
    /// source is greeted, within bounds, if it is anybody to speak with.
    pub fn handle_undecryptable(&mut self, source: NodeKey, now: Now) {
        if source == self.tree.own() {
            return;
        }
        if self.standing(&source, now) < Standing::Wanted && !self.contacts.has_session(&source) {
            self.stats.strangers_ignored += 1;
            return;
        }
        if !self.stranger_inits.allow(now.mono) {
            self.stats.rate_limited += 1;
            return;
        }
        self.contacts.owe(source, Greeting::Init, now.mono);
        if !self.is_reachable(&source) {
            self.look_up(source, now);
        }
        self.greet(&source, now);
        self.settle(now);
    }

    /// The data half followed a step of the ratchet: the next pair is made ahead of its need.
    pub fn handle_rekeyed(&mut self, key: &NodeKey) {
        let needs_one = self.sessions.with(key, |opener, _| opener.needs_refill());
        if needs_one == Some(true) {
            let spare = self.fresh_secret();
            self.sessions.with(key, |opener, _| refill(opener, spare));
        }
    }

    /// Says to `key` what is owed to it, if there is a way.
    pub(super) fn greet(&mut self, key: &NodeKey, now: Now) {
        if self.is_reachable(key) {
            self.say_owed(key, now);
            if let Some(at) = self.contacts.speaks_at(key) {
                self.wake_by(at);
            }
        }
    }

    fn say_owed(&mut self, key: &NodeKey, now: Now) {
        let Some(greeting) = self.contacts.take_owed(key, now.mono) else { return };
        let (kind, repeated) = match greeting {
            Greeting::Ack => (HandshakeKind::Ack, self.contacts.take_crossed(key)),
            Greeting::FirstInit | Greeting::Init => (HandshakeKind::Init, None),
        };
        let seq = repeated.unwrap_or_else(|| self.version(now));
        let pending = self.contacts.get(key).and_then(|contact| contact.pending.as_ref());
        let offer = if let Some(pending) = pending {
            let (current, next) = (pending.current.public(), pending.next.public());
            self.contacts.init_sent(key, seq, now.mono);
            Handshake { current, next, key_seq: 0, seq }
        } else if let Some(offer) = self.sessions.with(key, |opener, _| opener.offer(seq)) {
            offer
        } else {
            // An answer makes a session all the same; it brings keys of its own.
            let (current, next) = (self.fresh_secret().public(), self.fresh_secret().public());
            Handshake { current, next, key_seq: 0, seq }
        };
        let ephemeral = self.fresh_secret();
        let group = self.groups.secret_for(key);
        if let Some(message) = compose(kind, &offer, &self.identity, group, key, &ephemeral) {
            self.send_payload(key, &message, now);
        }
    }
}

fn refill(opener: &mut Opener, spare: ExchangeSecret) {
    if opener.needs_refill() {
        opener.refill(spare);
    }
}
