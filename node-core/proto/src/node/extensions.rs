//! Messages between nodes of this program, inside of sessions ([`crate::upper::extension`]).

use super::Node;
use crate::{
    identity::NodeKey,
    outbox::Event,
    session::{SessionTable, Standing},
    time::Now,
    upper::{
        Answered, ExtensionMessage, MessageError,
        extension::{HELLO, JOIN, is_request},
    },
};

impl<S: SessionTable> Node<S> {
    /// Session data from `source` that begins with [`crate::upper::PAYLOAD_EXTENSION`]; `data` is
    /// what follows that byte.
    ///
    /// Answers are taken from whoever was asked. Requests are heard of people; a guest may say
    /// hello and ask to be let into a circle, and whoever may do neither is not answered.
    pub fn handle_extension(&mut self, source: NodeKey, data: &[u8], now: Now) {
        match ExtensionMessage::parse(data) {
            Some(message) if is_request(message.kind) => self.take_request(source, message, now),
            Some(message) if message.answers().is_some() => self.take_answer(source, message, now),
            Some(_) | None => self.stats.messages_ignored += 1,
        }
        self.settle(now);
    }

    fn take_request(&mut self, source: NodeKey, message: ExtensionMessage, now: Now) {
        let standing = self.standing(&source, now);
        let may_ask = match standing {
            Standing::Welcome => true,
            Standing::Guest | Standing::Wanted => matches!(message.kind, HELLO | JOIN),
            Standing::Blocked | Standing::Stranger => false,
        };
        if !may_ask {
            self.stats.strangers_ignored += 1;
        } else if !self.extensions.may_ask(source, standing, message.encoded_len(), now.mono) {
            self.stats.rate_limited += 1;
        } else if message.kind == HELLO {
            self.take_hello(source, standing, &message, now);
        } else {
            self.outbox.events.push_back(Event::Requested(source, message));
        }
    }

    fn take_hello(
        &mut self,
        source: NodeKey,
        standing: Standing,
        message: &ExtensionMessage,
        now: Now,
    ) {
        let Some(capabilities) = message.capabilities() else {
            self.stats.messages_ignored += 1;
            return;
        };
        // What guests are capable of is not worth a place in the table.
        if standing == Standing::Welcome {
            self.extensions.learn(source, capabilities, now.mono);
        }
        self.reply(source, &ExtensionMessage::hello(HELLO + 1, message.id), now);
        self.say_requests(source, now);
    }

    fn take_answer(&mut self, source: NodeKey, message: ExtensionMessage, now: Now) {
        match self.extensions.answered(source, &message, now.mono) {
            Answered::Request => {
                self.outbox.events.push_back(Event::Answered(source, message));
            }
            Answered::Hello => self.say_requests(source, now),
            Answered::Unasked => self.stats.messages_ignored += 1,
        }
    }

    /// Asks another node something, which is repeated until the answer comes, or eight seconds are
    /// over: [`Event::Answered`] or [`Event::Unanswered`] with the number that is returned. The far
    /// end may hear it more than once.
    ///
    /// # Errors
    /// [`MessageError`]: too many requests wait, the body is too long, or the kind is not one of
    /// [`is_request`] that callers may ask.
    pub fn request(
        &mut self,
        to: NodeKey,
        kind: u8,
        body: Vec<u8>,
        now: Now,
    ) -> Result<u32, MessageError> {
        if to == self.tree.own() {
            return Err(MessageError::ToItself);
        }
        let id = self.extensions.ask(to, kind, body, &mut self.rng, now.mono)?;
        self.say_requests(to, now);
        self.settle(now);
        Ok(id)
    }

    /// Answers a request of another node. Nothing is sent when its session is gone: who still wants
    /// to know asks again.
    ///
    /// # Errors
    /// [`MessageError`]: the body is too long, or the kind is not one of an answer.
    pub fn answer(
        &mut self,
        to: NodeKey,
        answer: &ExtensionMessage,
        now: Now,
    ) -> Result<(), MessageError> {
        if answer.answers().is_none_or(|asked| asked == HELLO) {
            return Err(MessageError::WrongKind(answer.kind));
        }
        if answer.body.len() > ExtensionMessage::BODY_MAX {
            return Err(MessageError::TooLong(answer.body.len()));
        }
        if to == self.tree.own() {
            return Err(MessageError::ToItself);
        }
        self.reply(to, answer, now);
        self.settle(now);
        Ok(())
    }

    /// Unlike a call, an answer makes nobody more than a guest.
    fn reply(&mut self, to: NodeKey, answer: &ExtensionMessage, now: Now) {
        if !self.contacts.has_session(&to) {
            self.stats.waiting_dropped += 1;
        } else if self.is_reachable(&to) {
            self.outbox.events.push_back(Event::Send(to, answer.emit()));
        } else {
            self.stats.waiting_dropped += self.undelivered.push(to, answer.emit(), now.mono);
            self.pursue(to, now);
        }
    }

    /// Says to `key` what waits for it, or calls it.
    pub(super) fn say_requests(&mut self, key: NodeKey, now: Now) {
        if self.extensions.waits_for(&key)
            && self.sessions.standing(&key, now.mono) != Standing::Blocked
        {
            self.promote(&key);
            self.pursue(key, now);
        }
        if let Some(at) = self.extensions.next_timeout() {
            self.wake_by(at);
        }
    }
}
