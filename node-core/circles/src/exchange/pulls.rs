//! Fetching the log of a circle that this node is to join: by a link, or because a friend or a
//! fellow member has added it.
//!
//! What is fetched counts for nothing until it is whole, begins with the operation that the link or
//! the offer names, and has this node among the members or the invited. Nobody agrees to anything
//! by that: a person sees name and members first.

use planetary_proto::{Instant, NodeKey, Now};

use super::{
    About, Exchange, Output, Span, Standing, Ticket, act::last_seq, circle::Circle,
    messages::Message, sync::span_from,
};
use crate::{
    limits::{CIRCLES_MAX, JOIN_OFTEN, OFFERS_MAX, PULL_TRIES_MAX, SETTLE_FOR},
    log::{CircleId, Inserted, Log, Operation},
};

pub(super) struct Pull {
    from: NodeKey,
    /// What has come so far, if anything has.
    log: Option<Log>,
    /// The authors that are asked about.
    span: Span,
    asked: Option<Ticket>,
    next: Instant,
    /// How often nothing came.
    tries: u32,
    /// Whether somebody offered it, unasked.
    offered: bool,
}

impl Exchange {
    /// `from` says that this node was added to a circle. Not answered unless it is taken.
    pub(super) fn take_offer(
        &mut self,
        from: NodeKey,
        circle: CircleId,
        now: Now,
    ) -> Option<Message> {
        let follows =
            self.joins.get(&circle).is_some_and(|following| following.join.inviter == from);
        if !follows && !self.friends.contains(&from) && !self.is_fellow(&from) {
            return None;
        }
        if self.circles.get(&circle).is_some_and(|circle| circle.is_live()) {
            if let Some(contact) = self.contact(&circle, &from) {
                contact.has = None;
                contact.due_by(now.mono);
            }
        } else if follows {
            self.ask_again(&from, now);
        } else if !self.pulls.contains_key(&circle) {
            let pulls = self.pulls.values().filter(|pull| pull.offered).count();
            let invited = self.circles.iter().filter(|(id, circle)| {
                circle.standing == Standing::Invited && !self.joins.contains_key(*id)
            });
            if pulls + invited.count() >= OFFERS_MAX {
                return None;
            }
            self.begin_pull(circle, from, true, now);
        }
        Some(Message::Seen)
    }

    pub(super) fn begin_pull(&mut self, id: CircleId, from: NodeKey, offered: bool, now: Now) {
        let known = self.circles.get(&id);
        if self.pulls.contains_key(&id) || known.is_some_and(|circle| circle.is_live()) {
            return;
        }
        let log = known.map(|circle| circle.log.clone());
        let (span, asked, next) = (Span::default(), None, now.mono);
        self.pulls.insert(id, Pull { from, log, span, asked, next, tries: 0, offered });
        self.pull_on(now);
    }

    /// Asks wherever it is time.
    pub(super) fn pull_on(&mut self, now: Now) {
        let due = self.pulls.iter().filter(|(_, it)| it.asked.is_none() && it.next <= now.mono);
        let due: Vec<CircleId> = due.map(|(id, _)| *id).collect();
        for id in due {
            let Some(pull) = self.pulls.get_mut(&id) else { continue };
            let from = pull.from;
            let (span, heads) = match &pull.log {
                Some(log) => span_from(log, pull.span.from),
                None => (Span::default(), Vec::new()),
            };
            pull.span = span;
            let Some(tag) = self.pairs.tag(&from, &id) else {
                self.pulls.remove(&id);
                continue;
            };
            let ticket = self.ask(from, &Message::Have { tag, heads, span }, About::Pull(id));
            if let Some(pull) = self.pulls.get_mut(&id) {
                pull.asked = Some(ticket);
            }
        }
    }

    pub(super) fn take_pulled(
        &mut self,
        id: CircleId,
        operations: &[Vec<u8>],
        more: bool,
        now: Now,
    ) {
        let Some(pull) = self.pulls.get_mut(&id) else { return };
        pull.asked = None;
        let mut new = 0;
        for bytes in operations {
            let operation = Operation::parse(bytes).ok().filter(|it| it.circle() == id);
            let Some(operation) = operation else {
                // Whoever sends such things is not asked again before it offers again.
                self.pulls.remove(&id);
                return;
            };
            match &mut pull.log {
                // An operation that no log takes is left out: it may be a flood's.
                Some(log) => new += usize::from(log.insert(operation) == Ok(Inserted::New)),
                log @ None => match Log::new(operation) {
                    Ok(begun) => {
                        *log = Some(begun);
                        new += 1;
                    }
                    Err(_) => {
                        self.pulls.remove(&id);
                        return;
                    }
                },
            }
        }
        if new > 0 {
            pull.tries = 0;
        }
        if let (false, Some(log)) = (more, &mut pull.log)
            && log.has_gaps()
        {
            // What is missing has been let go by all: a checkpoint stands for it.
            log.adopt_checkpoint();
        }
        let is_in = |log: &Log| log.view().members.contains_key(&self.own);
        if more && new > 0 {
            pull.next = now.mono;
            self.pull_on(now);
        } else if let (false, Some(below)) = (more, pull.span.below) {
            pull.span.from = Some(below);
            pull.next = now.mono;
            self.pull_on(now);
        } else if !more && pull.log.as_ref().is_some_and(is_in) {
            self.adopt(id, now);
        } else {
            // Not, or not yet, somebody to be told: it may have written the ADD a moment ago.
            self.pull_unanswered(&id, now);
        }
    }

    pub(super) fn pull_unanswered(&mut self, id: &CircleId, now: Now) {
        let Some(pull) = self.pulls.get_mut(id) else { return };
        pull.asked = None;
        pull.tries += 1;
        pull.next = now.mono + JOIN_OFTEN * pull.tries;
        if pull.tries >= PULL_TRIES_MAX {
            // A link is asked about again, and an offer made again.
            self.pulls.remove(id);
        }
    }

    /// A log that is whole becomes one of this node's circles.
    fn adopt(&mut self, id: CircleId, now: Now) {
        let Some(Pull { from, log: Some(log), .. }) = self.pulls.remove(&id) else { return };
        let has_room = self.circles.len() < CIRCLES_MAX;
        match self.circles.get_mut(&id) {
            Some(circle) => {
                for operation in log.operations() {
                    let name = operation.id();
                    if circle.log.insert(operation.clone()) == Ok(Inserted::New) {
                        circle.has_arrived(name);
                    }
                }
            }
            None if has_room => {
                let mut circle = Circle::new(log, &self.own, now);
                if last_seq(&circle.log, &self.own) > 0 {
                    // This node was in it before and has lost it: others may know more.
                    circle.settles_at = now.mono + SETTLE_FOR;
                }
                self.circles.insert(id, circle);
            }
            None => return,
        }
        self.changed(id, Some(from), now);
        if self.joins.contains_key(&id) {
            self.outputs.push_back(Output::JoinChanged(id));
        }
        if let Some(contact) = self.contact(&id, &from) {
            contact.knows = true;
        }
        self.heard(&from, now);
    }
}
