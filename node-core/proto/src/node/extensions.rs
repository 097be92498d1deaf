//! Messages between nodes of this program, inside of sessions ([`crate::upper::extension`]).

use super::Node;
use crate::{
    identity::NodeKey,
    outbox::Event,
    session::{SessionTable, Standing},
    time::Now,
    upper::{
        Answered, ExtensionMessage, MessageError,
        extension::{FAST, HELLO, JOIN, is_own_affair, is_request},
    },
};

impl<S: SessionTable> Node<S> {
    /// Session data from `source` that begins with [`crate::upper::PAYLOAD_EXTENSION`]; `data` is
    /// what follows that byte.
    ///
    /// Answers are taken from whoever was asked. Requests are heard of people; a guest may say
    /// hello and ask to be let into a circle, and whoever may do neither is not answered. Who has a
    /// session that is no guest's may agree on keys in it.
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
        let is_about_keys = is_own_affair(message.kind) && self.fast.has(&source);
        let may_ask = match standing {
            Standing::Welcome => true,
            Standing::Guest | Standing::Wanted => {
                is_about_keys || matches!(message.kind, HELLO | JOIN)
            }
            Standing::Stranger => is_about_keys,
            Standing::Blocked => false,
        };
        // Guests, who cost nothing to make, cannot keep others from agreeing on keys.
        let is_person = standing == Standing::Welcome || is_about_keys;
        if !may_ask {
            self.stats.strangers_ignored += 1;
        } else if !self.extensions.may_ask(source, is_person, message.encoded_len(), now.mono) {
            self.stats.rate_limited += 1;
        } else if message.kind == HELLO {
            self.take_hello(source, standing, &message, now);
        } else if message.kind == FAST {
            self.take_offer(source, &message, now);
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
        let own = self.capabilities(&source);
        self.reply(source, &ExtensionMessage::hello(HELLO + 1, message.id, own), now);
        self.learn_capabilities(source, capabilities, now);
        self.say_requests(source, now);
    }

    fn take_answer(&mut self, source: NodeKey, message: ExtensionMessage, now: Now) {
        match message.answers() {
            Some(HELLO) => self.take_hello_answer(source, &message, now),
            Some(FAST) => self.take_offer_answer(source, &message, now),
            _ => match self.extensions.answered(source, &message, now.mono) {
                Answered::Request => {
                    self.outbox.events.push_back(Event::Answered(source, message));
                }
                Answered::Hello | Answered::Unasked => self.stats.messages_ignored += 1,
            },
        }
    }

    /// One hello serves all that is to be asked, whatever it was said for.
    fn take_hello_answer(&mut self, source: NodeKey, message: &ExtensionMessage, now: Now) {
        let Some(capabilities) = message.capabilities() else {
            self.stats.messages_ignored += 1;
            return;
        };
        if self.fast.take_hello(&source, message.id) {
            self.extensions.learn(source, capabilities, now.mono);
        } else if self.extensions.answered(source, message, now.mono) != Answered::Hello {
            self.stats.messages_ignored += 1;
            return;
        }
        self.learn_capabilities(source, capabilities, now);
        self.say_requests(source, now);
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
        if answer.answers().is_none_or(is_own_affair) {
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
    pub(super) fn reply(&mut self, to: NodeKey, answer: &ExtensionMessage, now: Now) {
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
            self.promote(&key, now.mono);
            self.pursue(key, now);
        }
        if let Some(at) = self.extensions.next_timeout() {
            self.wake_by(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::{CALLED_TIME, EXTENSION_RATE, GUEST_TIME},
        node::bounds::{LINK, Sessions, assert_rate, at, drain, identity, init, node},
        session::{Negotiations, Suites},
        upper::extension::{
            CAPABLE_OF_CIRCLES, CAPABLE_OF_FAST, HAVE, OFFER, PUSH, SECRET, WANTS_FAST,
        },
        wire::FrameKind,
    };

    const FAR: u8 = 2;

    fn message(kind: u8, id: u32) -> ExtensionMessage {
        ExtensionMessage { kind, id, body: vec![7; 20] }
    }

    impl Node<Sessions> {
        /// A message of the far end arrives.
        fn hear(&mut self, message: &ExtensionMessage, now: Now) {
            self.handle_extension(identity(FAR).key(), &message.emit()[1..], now);
        }

        /// What is said to the far end, in messages of this kind, and what is told; the rest is
        /// forgotten.
        fn outcome(&mut self) -> (Vec<ExtensionMessage>, Vec<Event>) {
            let (mut said, mut told) = (Vec::new(), Vec::new());
            while self.poll_transmit().is_some() {}
            while let Some(event) = self.poll_event() {
                match event {
                    Event::Send(key, data) => {
                        assert_eq!(key, identity(FAR).key());
                        said.extend(ExtensionMessage::parse(&data[1..]));
                    }
                    Event::Requested(..) | Event::Answered(..) | Event::Unanswered(..) => {
                        told.push(event);
                    }
                    _ => {}
                }
            }
            (said, told)
        }

        /// Does what is due until `end`.
        fn pass(&mut self, end: Now) -> (Vec<(u64, ExtensionMessage)>, Vec<Event>) {
            let (mut said, mut told) = (Vec::new(), Vec::new());
            while let Some((due, _)) = self.poll_timeout().filter(|(due, _)| *due <= end.mono) {
                let millis = due.as_micros().div_ceil(1000);
                self.handle_timeout(at(millis));
                let (more, news) = self.outcome();
                said.extend(more.into_iter().map(|message| (millis, message)));
                told.extend(news);
            }
            (said, told)
        }
    }

    /// A node with a session with its neighbour, of which the rules say this.
    fn with_session(standing: Standing) -> Node<Sessions> {
        let far = identity(FAR);
        let mut node = node();
        node.regard(far.key(), standing, at(0));
        if standing == Standing::Wanted {
            node.regard(far.key(), Standing::Welcome, at(0));
        }
        node.handle_handshake(far.key(), &init(&far, 1), at(0));
        node.regard(far.key(), standing, at(0));
        drain(&mut node);
        node
    }

    #[test]
    fn who_may_ask_what() {
        use Standing::{Guest, Wanted, Welcome};
        let far = identity(FAR).key();
        for standing in [Guest, Wanted, Welcome] {
            let mut node = with_session(standing);
            assert!(node.has_session(&far));
            for (id, kind) in (0..).zip([HAVE, JOIN, SECRET, PUSH, OFFER]) {
                node.hear(&message(kind, id), at(10));
                let told = Event::Requested(far, message(kind, id));
                let expected =
                    if standing == Welcome || kind == JOIN { vec![told] } else { vec![] };
                assert_eq!(node.outcome(), (vec![], expected), "{standing:?} {kind:#x}");
            }
            let ignored = if standing == Welcome { 0 } else { 4 };
            assert_eq!(node.stats.strangers_ignored, ignored);
            // Everybody may find out what this node is.
            node.hear(&ExtensionMessage::hello(HELLO, 9, CAPABLE_OF_CIRCLES), at(20));
            let ack = ExtensionMessage::hello(HELLO + 1, 9, CAPABLE_OF_CIRCLES);
            assert_eq!(node.outcome(), (vec![ack], vec![]));
        }
        for standing in [Standing::Blocked, Standing::Stranger] {
            let mut node = node();
            node.regard(far, standing, at(0));
            for kind in [HELLO, JOIN, HAVE] {
                node.hear(&message(kind, 1), at(0));
            }
            assert_eq!(node.outcome(), (vec![], vec![]));
            assert_eq!(node.stats.strangers_ignored, 3);
        }
    }

    #[test]
    fn what_is_no_request_and_no_answer_is_counted() {
        let mut node = with_session(Standing::Welcome);
        for kind in [0, 0x10, 0x30, 0xff, HAVE + 1, HELLO + 1] {
            node.hear(&message(kind, 1), at(0));
        }
        node.handle_extension(identity(FAR).key(), &[], at(0));
        node.handle_extension(identity(FAR).key(), &[1, HELLO, 0, 0, 0, 1, 0], at(0));
        assert_eq!(node.outcome(), (vec![], vec![]));
        assert_eq!(node.stats.messages_ignored, 8);
    }

    #[test]
    fn requests_are_heard_at_a_rate() {
        assert_rate(
            EXTENSION_RATE,
            &mut with_session(Standing::Welcome),
            |node, now| node.hear(&message(HAVE, 1), now),
            |node| {
                let is_request = |event: &&Event| matches!(event, Event::Requested(..));
                node.outbox.events.iter().filter(is_request).count()
            },
        );
    }

    #[test]
    fn a_request_calls_says_hello_and_is_repeated() {
        let far = identity(FAR);
        let mut node = node();
        node.regard(far.key(), Standing::Stranger, at(0));
        let id = node.request(far.key(), JOIN, vec![7; 20], at(0)).unwrap();
        assert_eq!(node.sends(FrameKind::Traffic), 1, "a greeting");
        assert_eq!(node.outcome(), (vec![], vec![]));
        node.handle_handshake(far.key(), &init(&far, 1), at(100));
        assert_eq!(node.outcome().0, [ExtensionMessage::hello(HELLO, id, CAPABLE_OF_CIRCLES)]);
        node.hear(&ExtensionMessage::hello(HELLO + 1, id, CAPABLE_OF_CIRCLES), at(200));
        assert_eq!(node.outcome().0, [message(JOIN, id)]);
        let (said, told) = node.pass(at(5_000));
        assert_eq!(said, [(1200, message(JOIN, id)), (3200, message(JOIN, id))]);
        assert_eq!(told, []);
        let answer = message(JOIN + 1, id);
        node.hear(&answer, at(5_000));
        assert_eq!(node.outcome(), (vec![], vec![Event::Answered(far.key(), answer)]));
        let (said, told) = node.pass(at(20_000));
        assert_eq!((said, told), (vec![], vec![]));

        // It is known now.
        let next = node.request(far.key(), HAVE, vec![7; 20], at(20_000)).unwrap();
        assert_eq!(node.outcome().0, [message(HAVE, next)]);
        let (said, told) = node.pass(at(28_100));
        assert_eq!(said.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [21_000, 23_000, 27_000]);
        assert_eq!(told, [Event::Unanswered(far.key(), next)]);
    }

    #[test]
    fn a_request_to_nowhere_is_over_in_eight_seconds() {
        let mut node = node();
        node.handle_link_down(LINK, at(0));
        let far = identity(FAR).key();
        let id = node.request(far, HAVE, vec![], at(0)).unwrap();
        let blocked = identity(9).key();
        node.regard(blocked, Standing::Blocked, at(0));
        let to_blocked = node.request(blocked, HAVE, vec![], at(0)).unwrap();
        assert_eq!(node.request(node.key(), HAVE, vec![], at(0)), Err(MessageError::ToItself));
        let (said, mut told) = node.pass(at(8_100));
        told.sort_by_key(|event| *event != Event::Unanswered(far, id));
        assert_eq!(said, []);
        assert_eq!(told, [Event::Unanswered(far, id), Event::Unanswered(blocked, to_blocked)]);
        assert_eq!(node.sizes().requests, 0);
    }

    #[test]
    fn an_answer_to_a_guest_leaves_it_a_guest() {
        let far = identity(FAR).key();
        let mut node = with_session(Standing::Guest);
        node.hear(&message(JOIN, 5), at(0));
        node.outcome();
        node.answer(far, &message(JOIN + 1, 5), at(10)).unwrap();
        assert_eq!(node.outcome().0, [message(JOIN + 1, 5)]);
        assert!(node.sessions.guests.contains(&far));
        node.handle_timeout(at(GUEST_TIME.as_secs() * 1000 + 20));
        assert!(!node.has_session(&far));
        // Nobody is called for the sake of an answer.
        node.answer(far, &message(JOIN + 1, 5), at(40_000)).unwrap();
        assert_eq!(node.sends(FrameKind::Traffic), 0);
        assert_eq!(node.outcome(), (vec![], vec![]));
        // A guest that is asked something itself was called.
        let mut node = with_session(Standing::Guest);
        node.request(far, HAVE, vec![], at(100)).unwrap();
        assert!(node.sessions.guests.is_empty());
        assert_eq!(node.outcome().0[0].kind, HELLO);
        assert!(CALLED_TIME > GUEST_TIME);
    }

    #[test]
    fn what_is_no_answer_is_not_sent_as_one() {
        let far = identity(FAR).key();
        let mut node = with_session(Standing::Welcome);
        for kind in [HELLO, HELLO + 1, HAVE, 0x11] {
            let refused = node.answer(far, &message(kind, 1), at(0));
            assert_eq!(refused, Err(MessageError::WrongKind(kind)));
        }
        let long = ExtensionMessage { body: vec![0; 9000], ..message(HAVE + 1, 1) };
        assert_eq!(node.answer(far, &long, at(0)), Err(MessageError::TooLong(9000)));
        let own = node.key();
        assert_eq!(node.answer(own, &message(HAVE + 1, 1), at(0)), Err(MessageError::ToItself));
        assert_eq!(node.outcome(), (vec![], vec![]));
    }

    #[test]
    fn a_guest_hears_of_no_fast_sessions_until_it_is_none_any_more() {
        let far = identity(FAR);
        let mut node = node();
        node.fast = Negotiations::new(node.key(), Some(Suites::ALL), at(0).mono);
        node.regard(far.key(), Standing::Guest, at(0));
        node.handle_handshake(far.key(), &init(&far, 1), at(0));
        assert_eq!(node.outcome().0, []);
        node.hear(&ExtensionMessage::hello(HELLO, 1, CAPABLE_OF_CIRCLES), at(10));
        let answer = ExtensionMessage::hello(HELLO + 1, 1, CAPABLE_OF_CIRCLES);
        assert_eq!(node.outcome().0, [answer]);
        node.hear(&message(FAST, 1), at(10));
        assert_eq!((node.stats.strangers_ignored, node.outcome().0), (1, vec![]));
        node.regard(far.key(), Standing::Welcome, at(20));
        let said = node.outcome().0;
        let capabilities = CAPABLE_OF_CIRCLES | CAPABLE_OF_FAST | WANTS_FAST;
        assert_eq!(said.len(), 1);
        assert_eq!((said[0].kind, said[0].capabilities()), (HELLO, Some(capabilities)));
        // It is heard now, and this is no offer.
        node.hear(&message(FAST, 1), at(30));
        assert_eq!((node.stats.messages_ignored, node.outcome().0), (1, vec![]));
        // Whoever is blocked says nothing about keys either.
        node.regard(far.key(), Standing::Blocked, at(40));
        node.hear(&message(FAST, 1), at(50));
        assert_eq!(node.stats.strangers_ignored, 2);
    }

    #[test]
    fn a_session_that_ends_in_between_is_greeted_again() {
        let far = identity(FAR);
        let mut node = with_session(Standing::Welcome);
        node.hear(&ExtensionMessage::hello(HELLO, 1, CAPABLE_OF_CIRCLES), at(0));
        node.outcome();
        let id = node.request(far.key(), HAVE, vec![7; 20], at(0)).unwrap();
        assert_eq!(node.outcome().0, [message(HAVE, id)]);
        node.contacts.forget(&far.key());
        node.sessions.close(&far.key());
        let (said, _) = node.pass(at(1_500));
        assert_eq!(said, []);
        node.handle_handshake(far.key(), &init(&far, 2), at(1_600));
        assert_eq!(node.outcome().0, [message(HAVE, id)]);
    }
}
