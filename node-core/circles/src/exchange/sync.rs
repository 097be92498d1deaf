//! Comparing logs with other members, and telling them what is new.
//!
//! ```text
//! asks     HAVE heads ->                         tells    PUSH new ->
//!          <- OPS what it lacks, more                     <- HELD heads
//!          HAVE …, until no more: <- OPS, heads           PUSH …, until nothing is missing
//!          PUSH what the other lacks
//! ```
//!
//! Each contact is `due` or not, and one request to it is under way at most. What is said to it is
//! decided when its turn comes, from what is known then ([`Exchange::step`]). So news that comes
//! in bursts goes out together, and whoever was not reached gets all of it when it is heard.
//!
//! Only members and invited keys are answered. Anybody else gets the answer of a node that has
//! never heard of the circle.

use std::collections::BTreeSet;

use planetary_proto::{Instant, NodeKey, Now};

use super::{
    About, Exchange, Output, SOON, Span, Standing, Talk,
    circle::{Budget, Circle, Contact},
    messages::{Message, Tag},
};
use crate::{
    hash::blake2b_256,
    limits::{
        ASKED_MAX, FANOUT, FAULTY_FOR, HEADS_PER_MESSAGE_MAX, LOOK_BACK_MAX, MESSAGE_BODY_MAX,
        OPERATION_LEN_MAX, OPERATION_TAIL_LEN, OPERATIONS_BYTES_PER_MESSAGE_MAX,
        OPERATIONS_PER_MESSAGE_MAX, PASS_ON_WITHIN, ROUND, TALK_ROUNDS_MAX, TELL_AGAIN,
    },
    log::{CircleId, Head, Inserted, Kind, Log, OpId, Operation},
};

/// What is said to a contact next.
enum Step {
    Offer,
    Farewell(Vec<Vec<u8>>),
    Push(Vec<Vec<u8>>),
    Have,
    TellSecret(u32, [u8; 32]),
    AskSecret(u32),
}

impl Talk {
    pub(super) fn new(circle: CircleId) -> Self {
        Self { circle, span: Span::default(), rounds: TALK_ROUNDS_MAX, told: None }
    }
}

impl Exchange {
    /// Says what is due, as far as there are not too many requests under way.
    pub(super) fn pump(&mut self, now: Now) {
        let mut due: Vec<(Instant, CircleId, NodeKey)> = Vec::new();
        for (id, circle) in &self.circles {
            for (key, contact) in &circle.contacts {
                if let Some(at) = contact.due.filter(|at| *at <= now.mono)
                    && contact.asked.is_none()
                    && !contact.is_faulty(now)
                {
                    due.push((at, *id, *key));
                }
            }
        }
        due.sort();
        for (_, circle, key) in due {
            if self.asked.len() >= ASKED_MAX {
                return;
            }
            self.speak(circle, key);
        }
    }

    /// Says to a contact whose turn it is what is to be said.
    fn speak(&mut self, id: CircleId, key: NodeKey) {
        let step = self.step(&id, &key);
        let Some((step, tag)) = step.zip(self.pairs.tag(&key, &id)) else {
            if let Some(contact) = self.contact(&id, &key) {
                contact.due = None;
            }
            return;
        };
        let Some(circle) = self.circles.get(&id) else { return };
        let talk = Talk::new(id);
        let (message, about) = match step {
            Step::Offer => (Message::Offer { circle: id }, About::Offer(id)),
            Step::Farewell(operations) => (Message::Push { tag, operations }, About::Farewell(id)),
            Step::Push(operations) => {
                (Message::Push { tag, operations }, About::Push(talk, Some(circle.arrived)))
            }
            Step::Have => return self.compare(key, talk, None),
            Step::TellSecret(generation, secret) => (
                Message::Secret { tag, generation, secret: Some(secret) },
                About::TellSecret(id, generation),
            ),
            Step::AskSecret(generation) => (
                Message::Secret { tag, generation, secret: None },
                About::AskSecret(id, generation),
            ),
        };
        let ticket = self.ask(key, &message, about);
        if let Some(contact) = self.contact(&id, &key) {
            contact.due = None;
            contact.asked = Some(ticket);
        }
    }

    fn step(&self, id: &CircleId, key: &NodeKey) -> Option<Step> {
        let circle = self.circles.get(id)?;
        let contact = circle.contacts.get(key)?;
        if contact.removed {
            return Some(Step::Farewell(farewell(&circle.log, key)));
        }
        if !circle.is_live() {
            // Who left says so, and asks nothing any more.
            let leaving = circle.standing == Standing::Left && contact.has != Some(circle.arrived);
            return leaving.then(|| Step::Push(end_of_chain(&circle.log, &self.own, u32::MAX)));
        }
        if circle.is_invited(key) && !contact.knows {
            return (circle.standing == Standing::Member).then_some(Step::Offer);
        }
        match contact.has {
            Some(count) if count == circle.arrived => {
                if let Some(secret) = circle.secret_for(key) {
                    return Some(Step::TellSecret(secret.generation, *secret.bytes));
                }
                if let Some(generation) = circle.wants_secret(key) {
                    return Some(Step::AskSecret(generation));
                }
                Some(Step::Have)
            }
            Some(count) => {
                let new = circle.since(count).and_then(|new| {
                    // In the order in which they came: who is added before what it says.
                    let found: Vec<Operation> =
                        new.iter().filter_map(|id| circle.log.get(id)).cloned().collect();
                    let len: usize = found.iter().map(|operation| operation.bytes().len()).sum();
                    let fits = found.len() == new.len() && len <= OPERATIONS_BYTES_PER_MESSAGE_MAX;
                    fits.then(|| bytes_of(&found))
                });
                Some(new.map_or(Step::Have, Step::Push))
            }
            None => Some(Step::Have),
        }
    }

    /// Asks a contact about a span of authors, that of `talk` or the one from `from` on.
    fn compare(&mut self, key: NodeKey, mut talk: Talk, from: Option<[u8; 8]>) {
        let Some(tag) = self.pairs.tag(&key, &talk.circle) else { return };
        let Some(circle) = self.circles.get_mut(&talk.circle) else { return };
        let (span, heads) = span_from(&circle.log, from);
        talk.span = span;
        let Some(rounds) = talk.rounds.checked_sub(1) else { return };
        talk.rounds = rounds;
        let ticket = self.ask(key, &Message::Have { tag, heads, span }, About::Sync(talk));
        if let Some(contact) = self.contact(&talk.circle, &key) {
            contact.due = None;
            contact.asked = Some(ticket);
        }
    }

    pub(super) fn contact(&mut self, circle: &CircleId, key: &NodeKey) -> Option<&mut Contact> {
        self.circles.get_mut(circle)?.contacts.get_mut(key)
    }

    /// The circle that this node and `from` call `tag`, if `test` holds of it.
    pub(super) fn circle_of(
        &mut self,
        from: &NodeKey,
        tag: Tag,
        test: impl Fn(&Circle) -> bool,
    ) -> Option<CircleId> {
        let Self { circles, pairs, .. } = self;
        let mut candidates = circles.iter().filter(|(_, circle)| test(circle));
        candidates.find(|(id, _)| pairs.tag(from, id) == Some(tag)).map(|(id, _)| *id)
    }

    /// `from` says what it has and asks for what it lacks.
    pub(super) fn take_have(
        &mut self,
        from: NodeKey,
        tag: Tag,
        heads: &[Head],
        span: Span,
        now: Now,
    ) -> Option<Message> {
        let nothing = Message::Ops { operations: Vec::new(), more: false, heads: None };
        let is_past = |circle: &Circle| circle.log.view().past.contains_key(&from);
        let answers =
            |circle: &Circle| circle.is_live() && (circle.takes_part(&from) || is_past(circle));
        let Some(id) = self.circle_of(&from, tag, answers) else { return Some(nothing) };
        let circle = self.circles.get_mut(&id)?;
        if !circle.takes_part(&from) {
            // Up to its removal it was a member, so that much it may know: that it is none.
            let operations = farewell(&circle.log, &from);
            return Some(Message::Ops { operations, more: false, heads: None });
        }
        let (operations, more) = missing(&circle.log, heads, span);
        let mut in_span = circle.log.heads();
        in_span.retain(|head| span.contains(&head.author));
        let is_same = *heads == *in_span;
        let arrived = circle.arrived;
        let is_member = circle.log.view().is_member(&from);
        if let Some(contact) = circle.contacts.get_mut(&from) {
            contact.knows |= !heads.is_empty();
            if is_same && span.is_all() {
                contact.has = Some(arrived);
                contact.same_at = Some(now.mono);
            }
        }
        if is_same && span.is_all() && is_member {
            self.compared(id, now);
        }
        let operations = bytes_of(&operations);
        if !more && in_span.len() <= HEADS_PER_MESSAGE_MAX {
            let whole = Message::Ops { operations: operations.clone(), more, heads: Some(in_span) };
            if whole.emit().len() <= MESSAGE_BODY_MAX {
                return Some(whole);
            }
        }
        // Without heads beside operations it asks once more when it has these.
        Some(Message::Ops { operations, more, heads: None })
    }

    /// `from` says that something is new.
    pub(super) fn take_push(
        &mut self,
        from: NodeKey,
        tag: Tag,
        operations: &[Vec<u8>],
        now: Now,
    ) -> Option<Message> {
        let nothing = Message::Held { heads: None };
        let answers = |circle: &Circle| circle.is_live() && circle.takes_part(&from);
        let Some(id) = self.circle_of(&from, tag, answers) else { return Some(nothing) };
        if self.contact(&id, &from).is_some_and(|contact| contact.is_faulty(now)) {
            return Some(nothing);
        }
        let before = self.circles.get(&id)?.arrived;
        self.take_operations(id, from, operations, now);
        let circle = self.circles.get_mut(&id)?;
        let arrived = circle.arrived;
        if let Some(contact) = circle.contacts.get_mut(&from) {
            contact.knows = true;
            if contact.has == Some(before) {
                contact.has = Some(arrived);
            }
        }
        if !circle.takes_part(&from) {
            return Some(nothing);
        }
        let heads = circle.log.heads();
        let heads = (heads.len() <= HEADS_PER_MESSAGE_MAX).then_some(heads);
        Some(Message::Held { heads })
    }

    /// The answer to [`Message::Have`].
    pub(super) fn take_ops(
        &mut self,
        from: NodeKey,
        talk: Talk,
        operations: &[Vec<u8>],
        more: bool,
        heads: Option<&[Head]>,
        now: Now,
    ) {
        self.has_answered(&talk.circle, &from);
        let taken = self.take_operations(talk.circle, from, operations, now);
        let Some(circle) = self.circles.get(&talk.circle) else { return };
        if !circle.takes_part(&from) || !circle.is_live() {
            return;
        }
        if more {
            if taken > 0 {
                self.compare(from, talk, talk.span.from);
            }
            return;
        }
        self.go_on_from_checkpoint(talk.circle, from, now);
        if let Some(heads) = heads {
            self.go_on(from, talk, heads, false, now);
        } else if taken > 0 {
            // The heads did not fit beside the operations.
            self.compare(from, talk, talk.span.from);
        }
        // Else it takes no part in the circle, as it sees it.
    }

    /// A member has told all that it has. Where something is still missing everybody has let it
    /// go.
    fn go_on_from_checkpoint(&mut self, id: CircleId, from: NodeKey, now: Now) {
        let Some(circle) = self.circles.get_mut(&id) else { return };
        if circle.log.has_gaps() && circle.log.adopt_checkpoint() {
            self.changed(id, Some(from), now);
        }
    }

    /// The answer to [`Message::Push`].
    pub(super) fn take_held(
        &mut self,
        from: NodeKey,
        talk: Talk,
        upto: Option<u64>,
        heads: Option<&[Head]>,
        now: Now,
    ) {
        self.has_answered(&talk.circle, &from);
        let Some(circle) = self.circles.get(&talk.circle) else { return };
        if !circle.is_live() {
            // It was told that this node left.
            if let Some(contact) = self.contact(&talk.circle, &from) {
                contact.has = upto;
            }
            return;
        }
        if !circle.takes_part(&from) {
            return;
        }
        let many = circle.log.heads().len() > HEADS_PER_MESSAGE_MAX;
        match heads {
            Some(heads) if talk.span.is_all() => self.go_on(from, talk, heads, true, now),
            // Of a log with many authors it does not say what it has.
            _ if many && upto.is_some() => {
                if let Some(contact) = self.contact(&talk.circle, &from) {
                    contact.has = upto;
                }
            }
            _ if many => self.compare(from, talk, talk.span.from),
            _ => {}
        }
    }

    /// `from` has what `heads` say of the span of a talk: tells it what it lacks, asks for what is
    /// lacking here unless it has just told all it has, goes on to the next span, or is done.
    fn go_on(&mut self, from: NodeKey, mut talk: Talk, heads: &[Head], ask: bool, now: Now) {
        let Some(circle) = self.circles.get(&talk.circle) else { return };
        let (mut operations, _) = missing(&circle.log, heads, talk.span);
        // It takes part, so the first operation is there.
        operations.retain(|operation| operation.seq() > 0);
        let in_span = heads.iter().filter(|head| talk.span.contains(&head.author));
        let lacks_here = in_span.into_iter().any(|head| circle.log.lacks(head));
        let arrived = circle.arrived;
        let is_member = circle.log.view().is_member(&from);
        if let Some(first) = operations.first().map(Operation::id) {
            let Some(rounds) = talk.rounds.checked_sub(1) else { return };
            let Some(tag) = self.pairs.tag(&from, &talk.circle) else { return };
            if talk.told.replace(first) == Some(first) {
                return;
            }
            talk.rounds = rounds;
            let operations = bytes_of(&operations);
            let message = Message::Push { tag, operations };
            let ticket = self.ask(from, &message, About::Push(talk, None));
            if let Some(contact) = self.contact(&talk.circle, &from) {
                contact.asked = Some(ticket);
            }
        } else if lacks_here {
            // If it was not told now, then at the next comparison: perhaps it was too much.
            if ask {
                self.compare(from, talk, talk.span.from);
            }
        } else if let Some(next) = talk.span.below {
            self.compare(from, talk, Some(next));
        } else {
            let is_first = self.contact(&talk.circle, &from).is_some_and(|contact| {
                contact.knows = true;
                contact.same_at = Some(now.mono);
                contact.has.replace(arrived) != Some(arrived)
            });
            if is_member {
                self.compared(talk.circle, now);
            }
            if is_first {
                self.secrets_are_due(&talk.circle, &from, now);
            }
        }
    }

    /// Verifies operations of others and adds them to the log, as far as there is room and their
    /// authors have not said too much. Returns how many were new.
    fn take_operations(
        &mut self,
        id: CircleId,
        from: NodeKey,
        operations: &[Vec<u8>],
        now: Now,
    ) -> usize {
        let mut taken = 0;
        let own = self.own;
        let Some(circle) = self.circles.get_mut(&id) else { return taken };
        let known: BTreeSet<OpId> = match operations {
            [] => return taken,
            _ => circle.log.operations().map(Operation::id).collect(),
        };
        for bytes in operations {
            if name_of(bytes).is_some_and(|name| known.contains(&name)) {
                continue;
            }
            let parsed = Operation::parse(bytes).ok().filter(|operation| operation.circle() == id);
            let Some(operation) = parsed else {
                if let Some(contact) = circle.contacts.get_mut(&from) {
                    contact.faulty_until = Some(now.mono + FAULTY_FOR);
                }
                break;
            };
            let author = operation.author();
            let budget = circle.budgets.entry(author).or_insert_with(|| Budget::new(now));
            // What this node signed itself before it was set back to a backup is no flood.
            if author != own && !budget.allow(now) {
                continue;
            }
            let name = operation.id();
            if circle.log.insert(operation) == Ok(Inserted::New) {
                taken += 1;
                circle.has_arrived(name);
            }
        }
        // Budgets are only kept for authors whose operations are, of which there are few enough.
        if circle.budgets.len() > circle.log.heads().len() {
            let authors: BTreeSet<NodeKey> =
                circle.log.operations().map(Operation::author).collect();
            circle.budgets.retain(|author, _| authors.contains(author));
        }
        if taken > 0 {
            self.changed(id, Some(from), now);
        }
        taken
    }

    /// The log of a circle has grown, by what `from` told, or by what was done here.
    pub(super) fn changed(&mut self, id: CircleId, from: Option<NodeKey>, now: Now) {
        let own = self.own;
        let Some(circle) = self.circles.get_mut(&id) else { return };
        let mut passed_on = circle.refresh_contacts(&own, from.is_none());
        self.outputs.push_back(Output::Changed(id));
        if let Some(from) = from {
            let others = circle.contacts.keys().filter(|key| **key != from);
            let others: Vec<NodeKey> = others.copied().collect();
            let online = others.into_iter().filter(|key| self.is_online(key, now)).collect();
            passed_on.retain(|key| self.is_online(key, now));
            passed_on.extend(self.some_of(online, FANOUT));
            for key in passed_on {
                let at = now.mono + self.random_within(PASS_ON_WITHIN);
                if let Some(contact) = self.contact(&id, &key) {
                    contact.due_by(at);
                }
            }
            self.agree_to_renewal(id, now);
        } else {
            // The author tells everybody, whether or not it was heard lately.
            circle.contacts.values_mut().for_each(|contact| contact.due_by(now.mono));
        }
        self.heard.retain(|key, _| {
            self.circles.values().any(|circle| circle.contacts.contains_key(key))
                || self.joins.values().any(|following| following.join.inviter == *key)
        });
    }

    /// Somebody is heard again: what it may have missed, or may know, is due.
    pub(super) fn greet(&mut self, key: &NodeKey, now: Now) {
        let at = now.mono + self.random_within(SOON);
        for circle in self.circles.values_mut() {
            let (arrived, live) = (circle.arrived, circle.is_live());
            let speaks_of_secret =
                circle.secret_for(key).is_some() || circle.wants_secret(key).is_some();
            let Some(contact) = circle.contacts.get_mut(key) else { continue };
            contact.told = 0;
            contact.has_no_secret = false;
            let is_fresh = contact.same_at.is_some_and(|at| now.mono.since(at) < ROUND);
            if contact.has != Some(arrived) || live && (!is_fresh || speaks_of_secret) {
                contact.due_by(at);
            }
        }
    }

    /// Looks around in each circle whose time has come: with one member that is online, or, while
    /// nobody was found lately, with some. A node that was removed asks others ever more seldom
    /// whether that still holds.
    pub(super) fn begin_rounds(&mut self, now: Now) {
        let due = self.circles.iter().filter(|(_, circle)| circle.next_round <= now.mono);
        let due: Vec<CircleId> = due.map(|(id, _)| *id).collect();
        for id in due {
            self.look_around(id, now);
            let Some(circle) = self.circles.get_mut(&id) else { continue };
            let is_live = circle.is_live();
            let is_found = is_live && circle.compared_at.is_some();
            let pause = if is_found { ROUND } else { circle.pause };
            circle.pause = (pause * 2).min(if is_live { ROUND } else { LOOK_BACK_MAX });
            // A fifth earlier or later, so that members do not all ask at one moment.
            let spread = pause / 5;
            let jitter = self.random_within(spread * 2);
            if let Some(circle) = self.circles.get_mut(&id) {
                circle.next_round = now.mono + (pause - spread) + jitter;
            }
        }
    }

    fn look_around(&mut self, id: CircleId, now: Now) {
        let Some(circle) = self.circles.get(&id) else { return };
        let view = circle.log.view();
        let members = view.members.keys().filter(|key| view.is_member(key) && **key != self.own);
        let (online, offline): (Vec<NodeKey>, Vec<NodeKey>) =
            members.copied().partition(|key| self.is_online(key, now));
        let lately = circle.compared_at.is_some_and(|at| now.mono.since(at) < ROUND * 2);
        let count = if lately { 1 } else { FANOUT };
        match circle.standing {
            Standing::Member | Standing::Invited => {
                let asked = if online.is_empty() { offline } else { online };
                for key in self.some_of(asked, count) {
                    if let Some(contact) = self.contact(&id, &key) {
                        contact.due_by(now.mono);
                    }
                }
            }
            // Whoever removed this node may have been removed itself, with what it did.
            Standing::Removed if self.asked.len() < ASKED_MAX => {
                for key in self.some_of([online, offline].concat(), FANOUT) {
                    self.compare(key, Talk::new(id), None);
                }
            }
            _ => {}
        }
    }

    pub(super) fn contact_unanswered(&mut self, key: &NodeKey, about: &About, now: Now) {
        let circle = about.circle();
        let is_online = self.is_online(key, now);
        let Some(contact) = self.contact(&circle, key) else { return };
        contact.asked = None;
        match about {
            About::Offer(_) | About::Farewell(_) => match TELL_AGAIN.get(contact.told) {
                Some(pause) => {
                    contact.told += 1;
                    contact.due_by(now.mono + *pause);
                }
                None if contact.removed => {
                    if let Some(circle) = self.circles.get_mut(&circle) {
                        circle.contacts.remove(key);
                    }
                }
                None => {}
            },
            About::Sync(talk) | About::Push(talk, _)
                if is_online && talk.rounds < TALK_ROUNDS_MAX - 1 =>
            {
                // It was answering, and may have said as much as it may in a minute.
                contact.due_by(now.mono + TELL_AGAIN[0]);
            }
            // It is asked again when it is heard.
            _ => {}
        }
    }

    pub(super) fn offer_was_seen(&mut self, circle: CircleId, key: &NodeKey) {
        if let Some(contact) = self.contact(&circle, key) {
            contact.asked = None;
        }
    }

    pub(super) fn farewell_was_heard(&mut self, circle: CircleId, key: &NodeKey) {
        self.has_answered(&circle, key);
        if let Some(circle) = self.circles.get_mut(&circle)
            && circle.contacts.get(key).is_some_and(|contact| contact.removed)
        {
            circle.contacts.remove(key);
        }
    }

    fn has_answered(&mut self, circle: &CircleId, key: &NodeKey) {
        if let Some(contact) = self.contact(circle, key) {
            contact.asked = None;
        }
    }

    fn compared(&mut self, id: CircleId, now: Now) {
        let Some(circle) = self.circles.get_mut(&id) else { return };
        let is_first = circle.compared_at.replace(now.mono).is_none();
        let before = circle.synced_at.replace(now.unix_s);
        if is_first || before.is_none_or(|before| now.unix_s.abs_diff(before) >= 60) {
            self.outputs.push_back(Output::Synced(id));
        } else {
            // What was said stays said, so that a minute passes between two of them.
            circle.synced_at = before;
        }
        if is_first {
            self.agree_to_renewal(id, now);
        }
    }

    /// At most `count` of the keys, by chance.
    fn some_of(&mut self, mut keys: Vec<NodeKey>, count: usize) -> Vec<NodeKey> {
        let mut chosen = Vec::new();
        while chosen.len() < count && !keys.is_empty() {
            let at = self.random_below(keys.len());
            chosen.push(keys.swap_remove(at));
        }
        chosen
    }
}

/// What names an operation with these bytes, without looking whether they are one.
fn name_of(bytes: &[u8]) -> Option<OpId> {
    let unsigned = bytes.len().checked_sub(OPERATION_TAIL_LEN)?;
    Some(OpId::from_bytes(blake2b_256(&[&bytes[..unsigned]])))
}

/// The heads of a log from `from` on, as many as fit a message, and the span that they are of.
pub(super) fn span_from(log: &Log, from: Option<[u8; 8]>) -> (Span, Vec<Head>) {
    let mut heads = log.heads();
    heads.retain(|head| from.is_none_or(|from| from <= head.author));
    let below = heads.get(HEADS_PER_MESSAGE_MAX).map(|head| head.author);
    heads.truncate(HEADS_PER_MESSAGE_MAX);
    (Span { from, below }, heads)
}

/// What a member lacks that has `theirs` of the authors in a span, as much as fits a message, and
/// whether there is more. Whoever has nothing at all may lack the first operation, too.
fn missing(log: &Log, theirs: &[Head], span: Span) -> (Vec<Operation>, bool) {
    let in_span = theirs.iter().filter(|head| span.contains(&head.author)).copied();
    let mut heads: Vec<Head> = in_span.collect();
    if !span.is_all() {
        // What lies outside is not asked for: it counts as known.
        heads.extend(log.heads().into_iter().filter(|head| !span.contains(&head.author)));
    }
    let (most, len_max) = (OPERATIONS_PER_MESSAGE_MAX, OPERATIONS_BYTES_PER_MESSAGE_MAX);
    // One more than fits tells whether there is more.
    let found = log.missing(&heads, most + 1, len_max + OPERATION_LEN_MAX);
    let mut len = 0;
    let mut sent: Vec<Operation> = found.iter().copied().cloned().collect();
    let fitting = sent.iter().take(most).take_while(|operation| {
        len += operation.bytes().len();
        len <= len_max
    });
    let fitting = fitting.count();
    sent.truncate(fitting);
    (sent, fitting < found.len())
}

fn bytes_of(operations: &[Operation]) -> Vec<Vec<u8>> {
    operations.iter().map(|operation| operation.bytes().to_vec()).collect()
}

/// What tells `key` that it was removed: the end of the chain of whoever did it.
fn farewell(log: &Log, key: &NodeKey) -> Vec<Vec<u8>> {
    let adds: Vec<OpId> = log
        .operations()
        .filter(|it| matches!(it.kind(), Kind::Add { member, .. } if member == key))
        .map(Operation::id)
        .chain([OpId::of_senior(key)])
        .collect();
    let removals = log.operations().filter(|operation| match operation.kind() {
        Kind::Remove { add, .. } => adds.contains(add) && log.view().counts(&operation.id()),
        _ => false,
    });
    let Some(last) = removals.filter(|it| it.author() != *key).max_by_key(|it| it.seq()) else {
        return Vec::new();
    };
    end_of_chain(log, &last.author(), last.seq())
}

/// The last operations of an author up to a number, in order, as many as fit a message.
fn end_of_chain(log: &Log, author: &NodeKey, last: u32) -> Vec<Vec<u8>> {
    let chain = log.operations().filter(|it| it.author() == *author && it.seq() <= last);
    let mut chain: Vec<&Operation> = chain.collect();
    chain.sort_by_key(|operation| core::cmp::Reverse(operation.seq()));
    let mut left = OPERATIONS_BYTES_PER_MESSAGE_MAX;
    let fitting = chain.into_iter().take(OPERATIONS_PER_MESSAGE_MAX).take_while(|operation| {
        let fits = operation.bytes().len() <= left;
        left = left.saturating_sub(operation.bytes().len());
        fits
    });
    let mut told: Vec<Vec<u8>> = fitting.map(|operation| operation.bytes().to_vec()).collect();
    told.reverse();
    told
}
