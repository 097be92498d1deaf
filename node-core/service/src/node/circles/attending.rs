//! The one task that gives the exchange its messages and does what it wants done.
//!
//! The engine's news come in here, and every request to another node goes out from here, so that
//! the number of a request is noted before its answer can be looked at.

use std::sync::Arc;
use std::time::Duration;

use planetary_circles::Reached;
use planetary_circles::exchange::{Output, Ticket};
use planetary_ipc::{CircleId, NodeKey, Severity, VisitOutcome};
use planetary_proto::ExtensionMessage;
use planetary_proto::identity;
use planetary_runtime::News;
use tokio::time::{self, Instant};

use super::asking::{Asking, KNOCK_S};
use super::{Circle, Keeping, StoreError, core, core_id, plain_id};
use crate::health::{Condition, Moment};
use crate::node::Node;
use crate::report::circles::shown;
use crate::report::plain;
use crate::state::circles::Circles;

/// Time between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);

/// The same while nothing is known to become due.
const TICK_IDLE: Duration = Duration::from_secs(60);

/// The engine gives up a request after 8 s. One that it says nothing of by now was lost with an
/// engine that ended.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// How long the engine may take to take a message.
const ENGINE_PATIENCE: Duration = Duration::from_secs(1);

/// News that are taken in one go, before what follows from them is done.
const NEWS_AT_ONCE: usize = 64;

/// What is to be done next.
enum Step {
    /// Write what has changed.
    Keep,
    /// Ask another node.
    Ask { ticket: Ticket, to: identity::NodeKey, kind: u8, body: Vec<u8> },
    /// Answer another node.
    Answer { to: identity::NodeKey, message: ExtensionMessage },
    /// Nothing.
    Rest,
}

impl Node {
    /// Attends to circles for as long as the service runs. To be called once.
    pub async fn attend_circles(self: Arc<Self>) {
        let mut ticked = Instant::now();
        self.tell_circles_of_friends();
        loop {
            let gap = if self.circles.lock().are_idle() { TICK_IDLE } else { TICK };
            tokio::select! {
                news = self.next_told() => {
                    let Some(news) = news else { return };
                    self.take_news(news);
                    for _ in 1..NEWS_AT_ONCE {
                        let Some(news) = self.told_already() else { break };
                        self.take_news(news);
                    }
                }
                () = time::sleep_until(ticked + gap) => {
                    self.tick_circles();
                    ticked = Instant::now();
                }
                () = self.circles_due.notified() => {}
            }
            self.carry_out().await;
        }
    }

    fn tick_circles(&self) {
        let moment = Moment::now();
        let mut circles = self.circles.lock();
        circles.expire(moment);
        let now = circles.now(moment);
        circles.exchange.tick(now);
    }

    fn take_news(self: &Arc<Self>, news: News) {
        if news == News::NetworkChanged {
            // It asks other programs, and nothing here waits for what they say.
            let node = Arc::clone(self);
            tokio::spawn(async move { node.look_at_supply().await });
            return;
        }
        let moment = Moment::now();
        let mut circles = self.circles.lock();
        let now = circles.now(moment);
        match news {
            // What is not heard is asked again, and nothing may follow from it before the disk has
            // what was.
            News::Message { from, message } if circles.is_kept() => {
                circles.exchange.handle(from, &message, now);
            }
            News::Message { .. } => {}
            News::Answered { from, id, answer } => {
                if let Some((ticket, _)) = circles.requests.remove(&id) {
                    circles.exchange.answered(ticket, from, &answer, now);
                }
            }
            News::Unanswered { id, .. } => {
                if let Some((ticket, _)) = circles.requests.remove(&id) {
                    circles.exchange.unanswered(ticket, now);
                }
            }
            News::Opened { from, service } => {
                circles.visits.note(plain(&from), service, VisitOutcome::Opened, moment.unix_s);
                circles.revision += 1;
            }
            News::Refused { from, service } => {
                circles.visits.note(plain(&from), service, VisitOutcome::Refused, moment.unix_s);
                circles.revision += 1;
            }
            News::Knocked { from, service } => {
                drop(circles);
                self.note_knock(&plain(&from), service);
            }
            _ => {}
        }
    }

    /// Asks the person about somebody at the door.
    pub(crate) fn note_knock(&self, key: &NodeKey, reached: Reached) {
        let unix_s = Moment::now().unix_s;
        let about = Asking::Knock { key: *key, reached };
        let until = unix_s.saturating_add(KNOCK_S);
        if self.circles.lock().questions.ask(about, unix_s, until) {
            self.news.notify_one();
        }
    }

    /// Does what the exchange wants done, in its order.
    async fn carry_out(&self) {
        loop {
            let step = self.circles.lock().next_step();
            match step {
                Step::Rest => return,
                Step::Keep => {
                    if !self.keep_circles().await {
                        return;
                    }
                }
                Step::Ask { ticket, to, kind, body } => self.ask(ticket, to, kind, body).await,
                Step::Answer { to, message } => {
                    if let Some(engine) = self.engine() {
                        let answered = time::timeout(ENGINE_PATIENCE, engine.answer(to, message));
                        // Who gets no answer asks again.
                        let _ = answered.await;
                    }
                }
            }
        }
    }

    async fn ask(&self, ticket: Ticket, to: identity::NodeKey, kind: u8, body: Vec<u8>) {
        let id = match self.engine() {
            Some(engine) => {
                let asked = time::timeout(ENGINE_PATIENCE, engine.request(to, kind, body)).await;
                asked.ok().and_then(Result::ok)
            }
            None => None,
        };
        let mut circles = self.circles.lock();
        let now = circles.now(Moment::now());
        match id {
            Some(id) => drop(circles.requests.insert(id, (ticket, now.mono))),
            None => circles.exchange.unanswered(ticket, now),
        }
    }

    /// Writes what has changed and makes the rules follow. Returns whether the disk has it.
    async fn keep_circles(&self) -> bool {
        let _intent = self.changing.lock().await;
        let unix_s = Moment::now().unix_s;
        let written = self.circles.lock().write(unix_s);
        match written {
            Ok(()) => self.health.lock().clear(CIRCLES_NOT_STORED),
            Err(error) => {
                tracing::error!(%error, "nothing is sent about circles until they can be stored");
                self.raise(not_stored(&error));
                return false;
            }
        }
        self.renew_rules().await;
        self.news.notify_one();
        true
    }
}

impl Keeping {
    /// Whether the disk has everything that it must have before something is sent.
    fn is_kept(&self) -> bool {
        self.unwritten.is_empty() && !self.is_record_unwritten
    }

    fn next_step(&mut self) -> Step {
        loop {
            let Some(output) = self.held.take().or_else(|| self.exchange.poll()) else {
                return if self.is_kept() { Step::Rest } else { Step::Keep };
            };
            match output {
                Output::Request { .. } | Output::Answer { .. } if !self.is_kept() => {
                    self.held = Some(output);
                    return Step::Keep;
                }
                Output::Request { ticket, to, kind, body } => {
                    return Step::Ask { ticket, to, kind, body };
                }
                Output::Answer { to, message } => return Step::Answer { to, message },
                Output::Changed(id) => {
                    self.unwritten.insert(plain_id(&id));
                    self.is_record_unwritten = true;
                }
                Output::InviteChanged(_) | Output::JoinChanged(_) | Output::SecretChanged(_) => {
                    self.is_record_unwritten = true;
                }
                Output::Synced(id) => self.note_synced(&id),
                Output::Guest { invite, circle, guest, label } => {
                    let record = self.keeper.circles();
                    let found = record.invite_of(invite.as_bytes());
                    let Some((number, known)) = found else { continue };
                    let (until, unix_s) = (known.expires, Moment::now().unix_s);
                    let about = Asking::Guest {
                        key: plain(&guest),
                        label: label.as_ref().and_then(shown),
                        circle: plain_id(&circle),
                        invite: number,
                        operation: invite,
                    };
                    if self.questions.ask(about, unix_s, until) {
                        self.revision += 1;
                    }
                }
            }
        }
    }

    /// This node and another member have compared what they know. Nothing hangs on it, so it is
    /// written at most every ten minutes.
    fn note_synced(&mut self, id: &core::CircleId) {
        let (synced_at, checkpoint) = (self.exchange.synced_at(id), self.checkpoint(id));
        let note = |record: &mut Circles| {
            let Ok(circle) = record.circle_mut(&plain_id(id)) else { return false };
            (circle.synced_at, circle.checkpoint) = (synced_at, checkpoint);
            true
        };
        if let Err(error) = self.keeper.see(Moment::now().unix_s, note) {
            tracing::warn!(%error, "when circles were compared was not stored");
        }
        self.revision += 1;
    }

    /// Writes logs, then the record.
    fn write(&mut self, unix_s: u64) -> Result<(), StoreError> {
        let mut record = self.keeper.circles().clone();
        let ids: Vec<CircleId> = self.unwritten.iter().copied().collect();
        for id in ids {
            if !self.has_room_for(&mut record, &id, unix_s) {
                // An offer that came when all places were taken.
                self.exchange.forget(&core_id(&id));
                self.unwritten.remove(&id);
                continue;
            }
            if let Some(log) = self.exchange.log(&core_id(&id)) {
                self.keeper.store_log(&id, &log.to_bytes())?;
            }
            self.unwritten.remove(&id);
        }
        self.collect(&mut record, unix_s);
        if record != *self.keeper.circles() {
            self.keeper.store(record)?;
        }
        self.is_record_unwritten = false;
        self.revision += 1;
        Ok(())
    }

    /// Makes sure that the record knows the circle.
    fn has_room_for(&self, record: &mut Circles, id: &CircleId, unix_s: u64) -> bool {
        if record.circles().contains_key(id) {
            return true;
        }
        let join = self.exchange.joins().find(|join| join.circle == core_id(id));
        let mut circle = Circle::new(unix_s);
        circle.inviter = join.map(|join| plain(&join.inviter));
        record.add(*id, circle).is_ok()
    }

    /// Whether there is nothing that becomes due with the time.
    fn are_idle(&self) -> bool {
        self.exchange.is_idle()
            && self.requests.is_empty()
            && self.questions.waiting().is_empty()
            && self.keeper.circles().invites().is_empty()
    }

    /// Ends what is over: questions, and requests that an engine took with it.
    fn expire(&mut self, moment: Moment) {
        let now = self.now(moment);
        let lost: Vec<u32> = self
            .requests
            .iter()
            .filter(|(_, (_, sent))| now.mono.since(*sent) > REQUEST_MAX)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            if let Some((ticket, _)) = self.requests.remove(&id) {
                self.exchange.unanswered(ticket, now);
            }
        }
        let record = self.keeper.circles();
        let still = |about: &Asking| match about {
            Asking::Knock { .. } => true,
            Asking::Guest { operation, .. } => {
                let invite = record.invite_of(operation.as_bytes());
                invite.is_some_and(|(_, invite)| invite.is_open(moment.unix_s))
            }
        };
        if self.questions.keep(moment.unix_s, still) {
            self.revision += 1;
        }
        if record.invites().values().any(|invite| invite.is_to_be_erased(moment.unix_s)) {
            self.is_record_unwritten = true;
        }
    }
}

const CIRCLES_NOT_STORED: &str = "circles_not_stored";

fn not_stored(error: &StoreError) -> Condition {
    Condition {
        code: CIRCLES_NOT_STORED,
        severity: Severity::Error,
        title: "Circles cannot be stored".to_owned(),
        text: format!(
            "{error}. What other members say is not heard, and nothing is told to them, until it \
             can be stored."
        ),
        action: Some("Free space on the disk, or check who owns the state folder.".to_owned()),
        affects_connectivity: false,
        may_pass: true,
    }
}
