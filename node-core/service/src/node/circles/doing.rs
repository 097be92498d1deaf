//! What the person of this computer does to circles: prepared, written, then taken over and told.

use std::time::{Duration, Instant};

pub use planetary_circles::exchange::ActError;
use planetary_circles::exchange::{Change, Exchange, JoinError};
use planetary_circles::log::{Draft, Label, Operation, RemovalReason, RuleError, Suggestion};
use planetary_circles::{Reached, Settled};
use planetary_ipc::{
    CircleDraft, CircleId, CircleState, FriendName, JoinLink, LocalService, MemberRole, NodeKey,
};
use planetary_proto::Now;
use tokio::time;

use super::asking::{Asked, Asking, Visited};
use super::{
    Circle, CircleError, Circles, CirclesError, Hex, Invite, Join, Keeping, Node, Phase,
    StoreError, core_id, core_key, core_label, core_role, followed, plain_id,
};
use crate::health::Moment;
use crate::policy;
use crate::state::circles::Declined;

/// How long a request waits for other members to be asked for news first: the server gives it ten
/// seconds, and an answer that says so should be among the answers.
const SETTLE_PATIENCE: Duration = Duration::from_secs(8);

/// Time between two looks whether they have answered.
const SETTLE_STEP: Duration = Duration::from_millis(200);

/// What a new invite is like.
#[derive(Clone, Debug)]
pub struct NewInvite {
    /// What guests may do in the circle.
    pub role: MemberRole,
    /// How many it lets in.
    pub uses: u32,
    /// For how long, in seconds.
    pub valid_s: u64,
    /// Whether the person is asked.
    pub asks: bool,
    /// The peers in its link.
    pub peers: Vec<String>,
}

impl Node {
    /// Begins a circle of which this computer is the only member.
    ///
    /// # Errors
    /// [`CircleError`]; nothing is changed then, as for all of these.
    pub async fn create_circle(&self, name: &FriendName) -> Result<CircleId, CircleError> {
        let name = label(name)?;
        let create = |exchange: &mut Exchange, _| exchange.create(name.clone());
        self.act(create, begin).await
    }

    /// Prepares what a key on paper is to sign. Returns its bytes.
    ///
    /// # Errors
    /// [`CircleError`].
    pub fn draft_for_paper(&self, draft: CircleDraft) -> Result<Vec<u8>, CircleError> {
        let mut circles = self.circles.lock();
        let exchange = &mut circles.exchange;
        let draft: Draft = match draft {
            CircleDraft::Create { name, recovery } => {
                exchange.draft_create(label(&name)?, core_key(&recovery))?
            }
            CircleDraft::Add { circle, recovery, key } => {
                let admin = core_role(MemberRole::Admin);
                let add = |log: &super::Log| {
                    let key = core_key(&key);
                    let known = log.view().members.get(&key);
                    let called = known.and_then(|member| member.label.clone());
                    Some(log.addition(key, admin, called, None))
                };
                exchange.draft(&core_id(&circle), core_key(&recovery), add)?
            }
            CircleDraft::Remove { circle, recovery, key } => {
                let (by, whom) = (core_key(&recovery), core_key(&key));
                let why = RemovalReason::default();
                let remove = |log: &super::Log| log.removal(&by, &whom, &why).into_iter().next();
                exchange.draft(&core_id(&circle), by, remove)?
            }
        };
        Ok(draft.bytes().to_vec())
    }

    /// Takes what a key on paper has signed: the first operation of a circle, or a further one.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn submit_of_paper(&self, bytes: &[u8]) -> Result<CircleId, CircleError> {
        let operation = Operation::parse(bytes).map_err(ActError::from)?;
        let submit = |exchange: &mut Exchange, now: Now| exchange.submit(operation.clone(), now);
        let note = |record: &mut Circles, change: &Change| {
            let is_new = !record.circles().contains_key(&plain_id(&change.circle()));
            if is_new { begin(record, change) } else { Ok(()) }
        };
        self.act(submit, note).await
    }

    /// Changes what a circle is called, and what it suggests.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn rename_circle(
        &self,
        id: &CircleId,
        name: Option<&FriendName>,
        suggested: Option<Vec<Suggestion>>,
    ) -> Result<(), CircleError> {
        let name = name.map(label).transpose()?;
        let change = |exchange: &mut Exchange, now: Now| {
            exchange.change(&core_id(id), name.clone(), suggested.clone(), now)
        };
        self.act_in(id, change).await
    }

    /// Adds a key to a circle, or gives a member another role.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn add_to_circle(
        &self,
        id: &CircleId,
        key: &NodeKey,
        role: MemberRole,
        called: Option<&FriendName>,
    ) -> Result<(), CircleError> {
        let called = called.map(label).transpose()?;
        let add = |exchange: &mut Exchange, now: Now| {
            exchange.add(&core_id(id), core_key(key), core_role(role), called.clone(), now)
        };
        self.act_in(id, add).await
    }

    /// Removes a member, or somebody who was added.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn remove_from_circle(
        &self,
        id: &CircleId,
        key: &NodeKey,
    ) -> Result<(), CircleError> {
        let remove = |exchange: &mut Exchange, now: Now| {
            exchange.remove(&core_id(id), &core_key(key), &RemovalReason::default(), now)
        };
        self.act_in(id, remove).await
    }

    /// Agrees to be a member.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn accept_circle(&self, id: &CircleId) -> Result<(), CircleError> {
        let agree = |record: &mut Circles| {
            let circle = record.circle_mut(id)?;
            (circle.agreed, circle.left) = (true, false);
            Ok(())
        };
        let is_member = {
            let circles = self.circles.lock();
            circles.view(id).is_some_and(|view| view.is_member(&self.key()))
        };
        if is_member {
            // A senior has signed nothing to say so: it is for its person alone to agree.
            return self.change_circles(|record| agree(record).map_err(CircleError::Refused)).await;
        }
        let accept = |exchange: &mut Exchange, now: Now| exchange.accept(&core_id(id), now);
        self.act(accept, |record, _| agree(record)).await.map(drop)
    }

    /// Leaves a circle, declines to join it, or gives up asking.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn leave_circle(&self, id: &CircleId) -> Result<(), CircleError> {
        let state = self.state_of_circle(id)?;
        let leave = |record: &mut Circles| {
            let circle = record.circle_mut(id)?;
            // Whoever comes back begins with nothing open.
            let Circle { access, members, .. } = Circle::new(circle.added_at);
            (circle.access, circle.members) = (access, members);
            (circle.agreed, circle.left) = (false, true);
            Ok(())
        };
        match state {
            CircleState::Member | CircleState::Invited => {
                let act = |exchange: &mut Exchange, now: Now| exchange.leave(&core_id(id), now);
                self.act(act, |record, _| leave(record)).await.map(drop)
            }
            CircleState::Asking | CircleState::Waiting => {
                let stop = |record: &mut Circles| {
                    record.circle_mut(id)?.join = None;
                    leave(record)
                };
                self.change_circles(|record| stop(record).map_err(CircleError::Refused)).await?;
                self.circles.lock().exchange.give_up(&core_id(id));
                Ok(())
            }
            _ => Err(ActError::from(RuleError::NoMembership).into()),
        }
    }

    /// Forgets a circle of which this computer is no member.
    ///
    /// # Errors
    /// [`CircleError`]; [`ActError::Rule`] with [`RuleError::AlreadyMember`] for a member.
    pub async fn forget_circle(&self, id: &CircleId) -> Result<(), CircleError> {
        if self.state_of_circle(id)? == CircleState::Member {
            return Err(ActError::from(RuleError::AlreadyMember).into());
        }
        let _intent = self.changing.lock().await;
        {
            let mut circles = self.circles.lock();
            let mut record = circles.keeper.circles().clone();
            record.remove(id)?;
            // The log first: a circle without one has no members, while a log alone would bring
            // the circle back.
            circles.keeper.remove_log(id).map_err(StoreError::from)?;
            circles.keeper.store(record)?;
            circles.exchange.forget(&core_id(id));
            circles.unwritten.remove(id);
            circles.revision += 1;
        }
        self.renew_rules().await;
        self.news.notify_one();
        Ok(())
    }

    /// Follows a link.
    ///
    /// # Errors
    /// [`CircleError`]; [`CirclesError::Exists`] if this computer is in the circle already.
    pub async fn join_circle(
        &self,
        link: &JoinLink,
        called: Option<FriendName>,
    ) -> Result<(), CircleError> {
        let _intent = self.changing.lock().await;
        let moment = Moment::now();
        {
            let mut circles = self.circles.lock();
            let id = link.circle;
            let known = circles.keeper.circles().circles().contains_key(&id);
            let is_in = matches!(circles.state(&id), CircleState::Member | CircleState::Invited);
            if known && is_in {
                return Err(CirclesError::Exists.into());
            }
            let join = Join {
                name: link.name.clone(),
                inviter: link.inviter,
                token: Hex(*link.token),
                expires: link.expires.0,
                label: called,
                phase: Phase::Asking,
            };
            let follow = followed(&id, &join);
            let mut record = circles.keeper.circles().clone();
            if !known {
                record.add(id, Circle::new(moment.unix_s))?;
            }
            let circle = record.circle_mut(&id)?;
            circle.inviter = Some(link.inviter);
            circle.left = false;
            circle.join = Some(join);
            let before = circles.keeper.circles().clone();
            circles.keeper.store(record)?;
            let now = circles.now(moment);
            if let Err(error) = circles.exchange.join(follow, now) {
                // What was stored would be followed at the next start.
                circles.keeper.store(before)?;
                return Err(join_error(error));
            }
            circles.revision += 1;
        }
        self.circles_due.notify_one();
        self.news.notify_one();
        Ok(())
    }

    /// Makes an invite and returns its number.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn make_invite(&self, id: &CircleId, new: NewInvite) -> Result<u64, CircleError> {
        let unix_s = Moment::now().unix_s;
        let expires = unix_s.saturating_add(new.valid_s);
        let (role, uses, asks) = (core_role(new.role), new.uses, new.asks);
        let invite = |exchange: &mut Exchange, now: Now| {
            exchange.invite(&core_id(id), role, uses, expires, asks, now)
        };
        let mut number = 0;
        let note = |record: &mut Circles, change: &Change| {
            let made = change.invite().ok_or(CirclesError::NoInvite(0))?;
            let invite = Invite {
                circle: *id,
                operation: Hex(*made.operation.as_bytes()),
                token: Some(Hex(*made.token.as_bytes())),
                peers: new.peers.clone(),
                role: new.role,
                uses,
                asks,
                created_at: unix_s,
                expires,
                revoked: false,
                guests: Vec::new(),
                refused: Vec::new(),
            };
            number = record.add_invite(invite, unix_s)?;
            Ok(())
        };
        self.act_as_member(id, invite, note).await?;
        Ok(number)
    }

    /// Takes an invite back.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn revoke_invite(&self, number: u64) -> Result<(), CircleError> {
        let revoke = |record: &mut Circles| {
            let invite = record.invite_mut(number)?;
            invite.revoked = true;
            let operation = invite.operation.0;
            record.erase_tokens(Moment::now().unix_s);
            Ok(operation)
        };
        let operation =
            self.change_circles(|record| revoke(record).map_err(CircleError::Refused)).await?;
        self.circles.lock().exchange.revoke(&super::OpId::from_bytes(operation));
        self.circles_due.notify_one();
        Ok(())
    }

    /// How this computer stands to a circle that the record knows.
    ///
    /// # Errors
    /// [`CirclesError::Unknown`].
    pub fn state_of_circle(&self, id: &CircleId) -> Result<CircleState, CirclesError> {
        let circles = self.circles.lock();
        circles.keeper.circles().circle(id).map(|_| circles.state(id))
    }

    /// The questions that wait.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.circles.lock().questions.waiting().to_vec()
    }

    /// A question that waits.
    #[must_use]
    pub fn find_question(&self, id: u64) -> Option<Asked> {
        self.circles.lock().questions.find(id, Moment::now().unix_s).cloned()
    }

    /// Takes away a question that was answered.
    pub fn end_question(&self, id: u64) {
        let mut circles = self.circles.lock();
        circles.questions.remove(id);
        circles.revision += 1;
    }

    /// Tells the packet filter what was answered to a knock. Returns whether it still waited.
    #[must_use]
    pub fn settle_knock(&self, key: &NodeKey, reached: Reached, settled: Settled) -> bool {
        self.engine().is_some_and(|engine| engine.settle_knock(core_key(key), reached, settled))
    }

    /// Remembers for a day that somebody is not to be asked about.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn decline_knock(&self, key: NodeKey, reached: Reached) -> Result<(), CircleError> {
        let Some(service) = policy::plain_service(reached) else { return Ok(()) };
        let declined = Declined { key, service, at: Moment::now().unix_s };
        self.change_circles(|record| {
            record.decline(declined);
            Ok(())
        })
        .await
    }

    /// Lets a guest in, or refuses it.
    ///
    /// # Errors
    /// [`CircleError`].
    pub async fn settle_guest(&self, asked: &Asked, yes: bool) -> Result<(), CircleError> {
        let Asking::Guest { key, operation, .. } = &asked.about else { return Ok(()) };
        let deadline = Instant::now() + SETTLE_PATIENCE;
        loop {
            let settled = {
                let mut circles = self.circles.lock();
                let now = circles.now(Moment::now());
                circles.exchange.settle_guest(operation, &core_key(key), yes, now)
            };
            match settled {
                Err(ActError::Settling) if Instant::now() < deadline => {}
                settled => {
                    self.circles_due.notify_one();
                    return Ok(settled?);
                }
            }
            time::sleep(SETTLE_STEP).await;
        }
    }

    /// The circles in which a key has rights, by number: both are members, and none is paused.
    #[must_use]
    pub fn circles_shared_with(&self, key: &NodeKey) -> Vec<CircleId> {
        let circles = self.circles.lock();
        let is_shared = |id: &&CircleId, circle: &Circle| {
            circle.access.enabled
                && circles.state(id) == CircleState::Member
                && circles.view(id).is_some_and(|view| view.is_member(&core_key(key)))
        };
        let all = circles.keeper.circles().circles().iter();
        all.filter(|(id, circle)| is_shared(id, circle)).map(|(id, _)| *id).collect()
    }

    /// Who came to the door, the latest first.
    #[must_use]
    pub fn visited(&self) -> Vec<Visited> {
        self.circles.lock().visits.all().cloned().collect()
    }

    /// How often circles have changed.
    pub(crate) fn circles_revision(&self) -> u64 {
        self.circles.lock().revision
    }

    /// Changes a circle in which this computer is a member.
    async fn act_in(
        &self,
        id: &CircleId,
        prepare: impl FnMut(&mut Exchange, Now) -> Result<Change, ActError>,
    ) -> Result<(), CircleError> {
        self.act_as_member(id, prepare, |_, _| Ok(())).await
    }

    async fn act_as_member(
        &self,
        id: &CircleId,
        prepare: impl FnMut(&mut Exchange, Now) -> Result<Change, ActError>,
        note: impl FnOnce(&mut Circles, &Change) -> Result<(), CirclesError>,
    ) -> Result<(), CircleError> {
        if self.state_of_circle(id)? != CircleState::Member {
            return Err(ActError::from(RuleError::NoMembership).into());
        }
        self.act(prepare, note).await.map(drop)
    }

    /// Prepares a change, writes it, takes it over and lets the rules follow. Waits a while for
    /// other members to be asked for news first.
    async fn act(
        &self,
        mut prepare: impl FnMut(&mut Exchange, Now) -> Result<Change, ActError>,
        note: impl FnOnce(&mut Circles, &Change) -> Result<(), CirclesError>,
    ) -> Result<CircleId, CircleError> {
        let deadline = Instant::now() + SETTLE_PATIENCE;
        let mut note = Some(note);
        loop {
            {
                let _intent = self.changing.lock().await;
                let moment = Moment::now();
                let prepared = {
                    let mut circles = self.circles.lock();
                    let now = circles.now(moment);
                    match prepare(&mut circles.exchange, now) {
                        Ok(change) => match note.take() {
                            Some(note) => Some(circles.take(change, note, moment)?),
                            // Taken above, and returned.
                            None => None,
                        },
                        Err(ActError::Settling) if Instant::now() < deadline => None,
                        Err(error) => return Err(error.into()),
                    }
                };
                if let Some(id) = prepared {
                    self.renew_rules().await;
                    self.circles_due.notify_one();
                    self.news.notify_one();
                    return Ok(id);
                }
            }
            // Not while nobody else may change anything.
            time::sleep(SETTLE_STEP).await;
        }
    }
}

impl Keeping {
    /// Writes a change and takes it over.
    fn take(
        &mut self,
        change: Change,
        note: impl FnOnce(&mut Circles, &Change) -> Result<(), CirclesError>,
        moment: Moment,
    ) -> Result<CircleId, CircleError> {
        let id = plain_id(&change.circle());
        let mut record = self.keeper.circles().clone();
        note(&mut record, &change)?;
        if let Some(secret) = change.secret() {
            record.circle_mut(&id)?.keep_secret(super::kept_secret(secret));
        }
        // Nothing of it is sent before both are on the disk. A crash between the two leaves an
        // operation that goes out after the next start.
        self.keeper.store_log(&id, &change.log().to_bytes())?;
        if record != *self.keeper.circles()
            && let Err(error) = self.keeper.store(record)
        {
            self.put_log_back(&id);
            return Err(error.into());
        }
        let now = self.now(moment);
        // Nobody else has written since it was prepared.
        self.exchange.commit(change, now).map_err(|_| ActError::Settling)?;
        self.revision += 1;
        Ok(id)
    }

    /// Takes back a log that was written for a change that did not come to be.
    fn put_log_back(&self, id: &CircleId) {
        let put_back = match self.exchange.log(&core_id(id)) {
            Some(log) => self.keeper.store_log(id, &log.to_bytes()),
            None => self.keeper.remove_log(id).map_err(StoreError::from),
        };
        if let Err(error) = put_back {
            tracing::warn!(%error, "a change that was refused may come back after a restart");
        }
    }
}

/// Puts a circle that begins here into the record.
fn begin(record: &mut Circles, change: &Change) -> Result<(), CirclesError> {
    let mut circle = Circle::new(Moment::now().unix_s);
    circle.agreed = true;
    record.add(plain_id(&change.circle()), circle)
}

fn label(name: &FriendName) -> Result<Label, CircleError> {
    // Not reached: what a name may be is less than what a label may be.
    core_label(name).ok_or_else(|| ActError::from(RuleError::NoMembership).into())
}

fn join_error(error: JoinError) -> CircleError {
    match error {
        JoinError::AlreadyIn => CirclesError::Exists.into(),
        JoinError::Own => CirclesError::OwnLink.into(),
        _ => CirclesError::TooMany(planetary_circles::limits::JOINS_MAX, "links at once").into(),
    }
}

/// A service as a circle can suggest it.
#[must_use]
pub fn suggestion(service: &LocalService) -> Option<Suggestion> {
    use planetary_ipc::friends::Protocol;
    let made = match (service.protocol, service.at) {
        (Protocol::Tcp(first, last), None) => Suggestion::tcp(first, last),
        (Protocol::Udp(first, last), None) => Suggestion::udp(first, last),
        _ => return None,
    };
    made.ok()
}
