//! Fast sessions: what becomes of offers and answers, and when they are made
//! ([`crate::session::Negotiations`]).

use super::Node;
use crate::{
    identity::NodeKey,
    session::{Saying, SessionTable, Taken},
    time::Now,
    upper::{
        ExtensionMessage,
        extension::{CAPABLE_OF_CIRCLES, CAPABLE_OF_FAST, FAST, HELLO, WANTS_FAST},
    },
};

/// Session data that says nothing.
const EMPTY: [u8; 1] = [0];

impl Saying {
    /// The session data that says it; a hello says what this node is capable of.
    pub(super) fn emit(self, capabilities: u32) -> Vec<u8> {
        match self {
            Self::Hello(id) => ExtensionMessage::hello(HELLO, id, capabilities).emit(),
            Self::Offer(id, body) => ExtensionMessage { kind: FAST, id, body }.emit(),
            Self::Empty => EMPTY.to_vec(),
        }
    }
}

impl<S: SessionTable> Node<S> {
    /// What this node says of itself to `key`.
    pub(super) fn capabilities(&self, key: &NodeKey) -> u32 {
        let mut capabilities = CAPABLE_OF_CIRCLES;
        // Not to a guest, whose offers would not be answered.
        if self.fast.has(key) {
            capabilities |= CAPABLE_OF_FAST;
        }
        if self.fast.wants_keys(key) {
            capabilities |= WANTS_FAST;
        }
        capabilities
    }

    /// `source` has said what it is capable of.
    pub(super) fn learn_capabilities(&mut self, source: NodeKey, capabilities: u32, now: Now) {
        let [is_able, wants_keys] =
            [CAPABLE_OF_FAST, WANTS_FAST].map(|bit| capabilities & bit != 0);
        self.fast.learn(&source, is_able, wants_keys, &mut self.rng, now.mono);
        self.say_about_keys(source, now);
    }

    /// An offer of `source` arrived.
    pub(super) fn take_offer(&mut self, source: NodeKey, message: &ExtensionMessage, now: Now) {
        let ExtensionMessage { id, body, .. } = message;
        match self.fast.take_offer(&source, *id, body, &mut self.rng, now.mono) {
            Taken::Answer(body, keys) => {
                // The answer goes out after this, so what is sealed under the keys finds them.
                if let Some(keys) = keys {
                    self.sessions.add_fast(&source, keys);
                    self.fast.timeout_of(&source).into_iter().for_each(|at| self.wake_by(at));
                }
                self.reply(source, &ExtensionMessage { kind: FAST + 1, id: *id, body }, now);
            }
            Taken::Ignored => self.stats.messages_ignored += 1,
            Taken::RateLimited => self.stats.rate_limited += 1,
        }
    }

    /// The answer to an offer arrived.
    pub(super) fn take_offer_answer(
        &mut self,
        source: NodeKey,
        message: &ExtensionMessage,
        now: Now,
    ) {
        match self.fast.take_answer(&source, message.id, &message.body, now.mono) {
            Some(keys) => {
                self.sessions.add_fast(&source, keys);
                self.say_about_keys(source, now);
            }
            None => self.stats.messages_ignored += 1,
        }
    }

    /// Says what is due, ends keys, and makes others where sessions are used.
    pub(super) fn renew_keys(&mut self, now: Now) {
        let mut due = self.fast.due(&self.sessions, now.mono);
        due.extend(self.fast.look(&mut self.sessions, &mut self.rng, now.mono));
        for key in due {
            self.say_about_keys(key, now);
        }
    }

    /// Says to `key` what is due about keys.
    pub(super) fn say_about_keys(&mut self, key: NodeKey, now: Now) {
        if self.fast.waits_for(&key) {
            self.pursue(key, now);
        }
        self.fast.timeout_of(&key).into_iter().for_each(|at| self.wake_by(at));
    }
}
