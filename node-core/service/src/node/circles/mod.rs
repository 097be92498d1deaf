//! Circles as the running node has them: every change becomes a file first, then the rules of the
//! packet filter, then news for other nodes and for clients.
//!
//! ```text
//! a person:    prepare -> write log and record -> commit -> rules -> tell others
//! a message:   exchange -> write what changed  -> rules           -> answer, tell others
//! ```
//!
//! The [`Exchange`] knows what members have signed, the [`CirclesKeeper`] what this computer says
//! about it. [`attending`] is the one task that feeds the exchange with messages and does what it
//! wants done; requests of clients only prepare and commit. While the disk refuses to be written,
//! nothing is sent and no message is heard: what this node signed must never be forgotten by it.
//!
//! Lock order: circles before friends.

mod asking;
mod attending;
mod doing;

use std::collections::{BTreeMap, BTreeSet};

use planetary_circles::RulesError;
use planetary_circles::exchange::{
    Exchange, Invite as OwnInvite, Join as Followed, JoinState, Kept, Output, Secret as OwnSecret,
    Standing, Ticket,
};
use planetary_circles::invite::Token;
use planetary_circles::log::{self as core, Label, Log, OpId, Role, State, View};
use planetary_ipc::{
    CircleId, CircleRef, CircleState, FriendName, MemberRole, NodeKey, Question, Severity,
};
use planetary_proto::Now;
use planetary_proto::identity::{self, Identity};
use planetary_proto::time::Instant;
use planetary_runtime::SessionSnapshot;

pub use self::asking::{Asked, Asking, Visited};
use self::asking::{Questions, Visits};
pub use self::doing::{ActError, NewInvite, suggestion};
use super::{ChangeError, Node, core_key};
use crate::health::{Condition, Moment};
use crate::policy::{self, Doors, OpenCircle};
use crate::report::circles::{CircleFacts, question};
use crate::report::plain;
use crate::state::circles::{
    Checkpoint, Circle, Circles, CirclesError, CirclesKeeper, Hex, Invite, Join, LoadedCircles,
    Phase, SECRETS_MAX, Secret, StoreError,
};
use crate::state::record::Damage;

/// A session in which something arrived within this time is told to the exchange, which is asked
/// about once a second.
const JUST_NOW: std::time::Duration = std::time::Duration::from_secs(2);

/// Circles, and what is going on with them.
pub(super) struct Keeping {
    keeper: CirclesKeeper,
    exchange: Exchange,
    questions: Questions,
    visits: Visits,
    /// Keys of members from which something came lately.
    online: BTreeSet<NodeKey>,
    /// Logs that are to be written before anything is sent.
    unwritten: BTreeSet<CircleId>,
    /// Whether invites, joins or secrets are.
    is_record_unwritten: bool,
    /// What was polled and has to wait for that.
    held: Option<Output>,
    /// Requests under way by their numbers, and when they were sent.
    requests: BTreeMap<u32, (Ticket, Instant)>,
    revision: u64,
    /// Where the time of the exchange begins.
    began: std::time::Instant,
}

/// Why circles were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CircleError {
    /// The change makes no sense here.
    #[error(transparent)]
    Refused(#[from] CirclesError),
    /// The rules of the circle are against it, or it is not the time.
    #[error(transparent)]
    Act(#[from] ActError),
    /// It could not be stored.
    #[error(transparent)]
    Storage(#[from] StoreError),
    /// It concerns rules of the packet filter, which were not changed.
    #[error(transparent)]
    Rules(#[from] ChangeError),
}

impl From<RulesError> for CircleError {
    fn from(error: RulesError) -> Self {
        Self::Rules(error.into())
    }
}

impl Keeping {
    /// Takes up what was kept. Returns what was wrong with logs.
    pub(super) fn new(
        loaded: LoadedCircles,
        identity: &Identity,
        seed: [u8; 32],
        moment: Moment,
    ) -> (Self, Vec<Damage>) {
        let LoadedCircles { mut keeper, logs, mut damage } = loaded;
        let mut whole = Vec::new();
        for (id, bytes) in logs {
            match Log::read(&bytes) {
                Ok(log) if plain_id(&log.id()) == id => whole.push(log),
                Ok(_) => {
                    let reason = "it is the log of another circle".to_owned();
                    damage.push(keeper.set_log_aside(&id, reason, moment.unix_s));
                }
                Err(error) => {
                    damage.push(keeper.set_log_aside(&id, error.to_string(), moment.unix_s));
                }
            }
        }
        let mut keeping = Self {
            keeper,
            exchange: Exchange::new(identity.clone(), seed),
            questions: Questions::default(),
            visits: Visits::default(),
            online: BTreeSet::new(),
            unwritten: BTreeSet::new(),
            is_record_unwritten: false,
            held: None,
            requests: BTreeMap::new(),
            revision: 0,
            began: moment.mono,
        };
        keeping.restore(whole, moment);
        (keeping, damage)
    }

    /// Gives the exchange what was kept.
    fn restore(&mut self, logs: Vec<Log>, moment: Moment) {
        let now = self.now(moment);
        let record = self.keeper.circles();
        for log in logs {
            let circle = record.circles().get(&plain_id(&log.id()));
            let secrets = circle.into_iter().flat_map(|circle| &circle.secrets);
            let kept = Kept {
                secrets: secrets.map(own_secret).collect(),
                synced_at: circle.and_then(|circle| circle.synced_at),
            };
            let id = log.id();
            if let Err(error) = self.exchange.restore_circle(log, kept, now) {
                tracing::warn!(%error, "a circle was not taken up");
            }
            if let Some(checkpoint) = circle.and_then(|circle| circle.checkpoint.as_ref()) {
                let operation = OpId::from_bytes(checkpoint.operation.0);
                self.exchange.restore_checkpoint_seen(&id, (operation, checkpoint.seen_at));
            }
        }
        for (id, circle) in record.circles() {
            if let Some(join) = &circle.join {
                self.exchange.restore_join(followed(id, join), now);
            }
        }
        for invite in record.invites().values() {
            if let Some(invite) = own_invite(invite)
                && let Err(error) = self.exchange.restore_invite(invite)
            {
                tracing::warn!(%error, "an invite was not taken up");
            }
        }
    }

    /// Goes on as a node of another key: its circles are where that key is a member.
    pub(super) fn turn_to(&mut self, identity: &Identity, seed: [u8; 32], moment: Moment) {
        let ids: Vec<_> = self.keeper.circles().circles().keys().map(core_id).collect();
        let logs = ids.iter().filter_map(|id| self.exchange.log(id)).cloned().collect();
        self.exchange = Exchange::new(identity.clone(), seed);
        self.questions = Questions::default();
        self.online.clear();
        self.requests.clear();
        self.held = None;
        self.restore(logs, moment);
        self.revision += 1;
    }

    /// The time as the exchange has it.
    fn now(&self, moment: Moment) -> Now {
        let passed = moment.mono.saturating_duration_since(self.began);
        Now { mono: Instant::START + passed, unix_s: moment.unix_s }
    }

    fn view(&self, id: &CircleId) -> Option<&View> {
        self.exchange.log(&core_id(id)).map(Log::view)
    }

    /// How this computer stands to a circle.
    fn state(&self, id: &CircleId) -> CircleState {
        let circle = self.keeper.circles().circles().get(id);
        state_of(self.exchange.standing(&core_id(id)), circle)
    }

    /// What the rules have to know, if the record were like that.
    fn rights(&self, record: &Circles, own: &NodeKey, asks: bool, unix_s: u64) -> policy::Circles {
        let mut rights = policy::Circles {
            declined: record.declined().to_vec(),
            asks,
            ..policy::Circles::default()
        };
        for (id, circle) in record.circles() {
            let state = state_of(self.exchange.standing(&core_id(id)), Some(circle));
            if state == CircleState::Waiting {
                // It has answered, and says itself when its person has.
                rights.messages_only.extend(circle.join.as_ref().map(|join| join.inviter));
            }
            let Some(view) = self.view(id) else { continue };
            let others = view.members.iter().filter(|(key, _)| plain(key) != *own);
            match state {
                CircleState::Member => {
                    let (members, invited): (Vec<_>, Vec<_>) =
                        others.partition(|(_, member)| member.state == State::Member);
                    rights.count += 1;
                    rights.members.extend(members.iter().map(|(key, _)| plain(key)));
                    rights.messages_only.extend(invited.iter().map(|(key, _)| plain(key)));
                    let members = members.into_iter().map(|(key, _)| plain(key));
                    if circle.access.enabled {
                        let with_services = |key: NodeKey| (key, circle.services_of(&key).to_vec());
                        rights.open.push(OpenCircle {
                            access: circle.access.clone(),
                            members: members.map(with_services).collect(),
                        });
                    } else {
                        rights.messages_only.extend(members);
                    }
                }
                CircleState::Invited => {
                    let admins = others.filter(|(key, _)| view.is_admin(key));
                    rights.messages_only.extend(admins.map(|(key, _)| plain(key)));
                }
                _ => {}
            }
        }
        let is_answered = |invite: &&Invite| {
            invite.is_answered(unix_s)
                && record.circles().get(&invite.circle).is_some_and(|circle| {
                    let standing = self.exchange.standing(&core_id(&invite.circle));
                    state_of(standing, Some(circle)) == CircleState::Member
                })
        };
        let answered = record.invites().values().filter(is_answered);
        rights.invites_until = answered.map(|invite| invite.expires).max();
        rights
    }

    /// What the rules have to know at the start.
    pub(super) fn rights_at(&self, own: &NodeKey, unix_s: u64) -> policy::Circles {
        self.rights(self.keeper.circles(), own, false, unix_s)
    }

    /// What a client is told of a circle.
    fn facts<'a>(&'a self, id: &'a CircleId, own: &NodeKey) -> Option<CircleFacts<'a>> {
        Some(CircleFacts {
            id,
            circle: self.keeper.circles().circles().get(id)?,
            view: self.view(id),
            state: self.state(id),
            synced_at: self.exchange.synced_at(&core_id(id)),
            own: *own,
            circles: self.keeper.circles(),
            online: &self.online,
        })
    }

    /// The latest checkpoint of a log.
    fn checkpoint(&self, id: &core::CircleId) -> Option<Checkpoint> {
        let (operation, seen_at) = self.exchange.checkpoint_seen(id)?;
        Some(Checkpoint { operation: Hex(*operation.as_bytes()), seen_at })
    }

    /// Brings what the exchange keeps into the record.
    fn collect(&self, record: &mut Circles, unix_s: u64) {
        let ids: Vec<CircleId> = record.circles().keys().copied().collect();
        for id in &ids {
            let core_id = core_id(id);
            let join = self.exchange.joins().find(|join| join.circle == core_id);
            let secrets = self.exchange.secrets(&core_id).iter().take(SECRETS_MAX);
            let synced_at = self.exchange.synced_at(&core_id);
            let Ok(circle) = record.circle_mut(id) else { continue };
            circle.synced_at = synced_at.or(circle.synced_at);
            circle.checkpoint = self.checkpoint(&core_id).or_else(|| circle.checkpoint.take());
            circle.secrets = secrets.map(kept_secret).collect();
            circle.join = match (join, circle.join.take()) {
                (Some(followed), Some(kept)) => Some(Join { phase: phase(followed.state), ..kept }),
                _ => None,
            };
        }
        for own in self.exchange.invites() {
            record.update_invite(own.operation.as_bytes(), |invite| {
                invite.revoked = own.revoked;
                invite.guests = own.guests.iter().map(plain).collect();
                invite.refused = own.declined.iter().map(plain).collect();
            });
        }
        record.erase_tokens(unix_s);
        let views: BTreeMap<CircleId, &View> =
            ids.iter().filter_map(|id| Some((*id, self.view(id)?))).collect();
        record.keep_members(|id, key| {
            views.get(id).is_some_and(|view| view.members.contains_key(&core_key(key)))
        });
    }
}

impl Node {
    /// How many clients show questions to a person.
    pub fn show_questions(&self, clients: usize) {
        self.askers.store(clients, std::sync::atomic::Ordering::Relaxed);
        // The rules follow with the next look at the clock.
        self.news.notify_one();
    }

    /// Whether there is somebody to be asked.
    pub(super) fn asks(&self) -> bool {
        self.askers.load(std::sync::atomic::Ordering::Relaxed) > 0
    }

    /// What the rules have to know of circles.
    pub(super) fn rights_of_circles(&self, unix_s: u64) -> policy::Circles {
        let (own, asks) = (plain(&self.key()), self.asks());
        let circles = self.circles.lock();
        circles.rights(circles.keeper.circles(), &own, asks, unix_s)
    }

    /// Whether there is a circle, in whatever state.
    pub(super) fn has_circles(&self) -> bool {
        !self.circles.lock().keeper.circles().circles().is_empty()
    }

    /// Friends may offer circles.
    pub(super) fn tell_circles_of_friends(&self) {
        let (friends, _) = self.friends();
        let keys = friends.friends().keys().filter(|key| !friends.blocked().contains_key(key));
        let keys = keys.map(core_key).collect();
        self.circles.lock().exchange.set_friends(keys);
    }

    /// Looks at a circle with everything that is known of it.
    pub fn look_at_circle<T>(
        &self,
        id: &CircleId,
        look: impl FnOnce(CircleFacts<'_>) -> T,
    ) -> Option<T> {
        let own = plain(&self.key());
        let circles = self.circles.lock();
        circles.facts(id, &own).map(look)
    }

    /// Looks at all circles, by number.
    pub fn look_at_circles<T>(&self, look: impl FnMut(CircleFacts<'_>) -> T) -> Vec<T> {
        let own = plain(&self.key());
        let circles = self.circles.lock();
        let ids = circles.keeper.circles().circles().keys();
        ids.filter_map(|id| circles.facts(id, &own)).map(look).collect()
    }

    /// What is stored about circles.
    #[must_use]
    pub fn stored_circles(&self) -> Circles {
        self.circles.lock().keeper.circles().clone()
    }

    /// What a circle that both are in calls a key.
    #[must_use]
    pub fn label_of(&self, key: &NodeKey) -> Option<FriendName> {
        self.look_at_circles(|facts| facts.label(key)).into_iter().flatten().next()
    }

    /// Whether the circle knows the key as a member, or as somebody who was added.
    #[must_use]
    pub fn is_member_of(&self, id: &CircleId, key: &NodeKey) -> bool {
        let circles = self.circles.lock();
        circles.view(id).is_some_and(|view| view.members.contains_key(&core_key(key)))
    }

    /// The questions that wait, as clients get them.
    pub(super) fn questions(&self) -> Vec<Question> {
        let asked = self.asked();
        if asked.is_empty() {
            return Vec::new();
        }
        let (friends, _) = self.friends();
        let told = asked.iter().filter_map(|one| {
            let (key, ids) = match &one.about {
                Asking::Knock { key, .. } => (*key, self.circles_shared_with(key)),
                Asking::Guest { key, circle, .. } => (*key, vec![*circle]),
            };
            let shared = ids.iter().filter_map(|id| {
                self.look_at_circle(id, |facts| {
                    (CircleRef { id: *id, name: facts.name() }, facts.label(&key))
                })
            });
            question(one, &friends, &shared.collect::<Vec<_>>())
        });
        told.collect()
    }

    /// Changes what this computer says about circles, or none of it.
    ///
    /// # Errors
    /// [`CircleError`]; nothing is changed then.
    pub async fn change_circles<T>(
        &self,
        change: impl FnOnce(&mut Circles) -> Result<T, CircleError>,
    ) -> Result<T, CircleError> {
        let _intent = self.changing.lock().await;
        let done = self.change_record(change)?;
        let doors = Doors::of(&self.settings.read().config);
        self.tell_rules(&doors).await;
        self.news.notify_one();
        Ok(done)
    }

    /// As [`Self::change_circles`], for a caller who holds the lock and tells the rules.
    fn change_record<T>(
        &self,
        change: impl FnOnce(&mut Circles) -> Result<T, CircleError>,
    ) -> Result<T, CircleError> {
        let doors = Doors::of(&self.settings.read().config);
        let (own, asks, unix_s) = (plain(&self.key()), self.asks(), Moment::now().unix_s);
        let mut circles = self.circles.lock();
        let before = circles.keeper.circles();
        let mut record = before.clone();
        let done = change(&mut record)?;
        self.check_addresses_of(&record, before)?;
        let rights = circles.rights(&record, &own, asks, unix_s);
        let mut friends = self.friends.lock();
        let rules = friends.rules_with(&doors, &rights, unix_s)?;
        circles.keeper.store(record)?;
        circles.revision += 1;
        friends.take_circles(rights, rules, unix_s);
        Ok(done)
    }

    /// Services at one address only make sense at an address that is here. Those that were there
    /// before are of a former identity, and in nobody's way.
    fn check_addresses_of(&self, record: &Circles, before: &Circles) -> Result<(), ChangeError> {
        let services = |circles: &Circles| -> BTreeSet<_> {
            let all = circles.circles().values().flat_map(Circle::services);
            all.filter(|service| service.at.is_some()).copied().collect()
        };
        let former: BTreeSet<_> =
            services(before).iter().filter_map(|service| service.at).collect();
        let new = services(record).into_iter();
        let new: Vec<_> =
            new.filter(|service| service.at.is_none_or(|at| !former.contains(&at))).collect();
        self.elsewhere(&new).map_or(Ok(()), |address| Err(ChangeError::Elsewhere(address)))
    }

    /// Notes which members are online, and gives the exchange its signs of life.
    pub(super) fn see_members(&self, sessions: &[SessionSnapshot], unix_s: u64) {
        let own = self.key();
        let moment = Moment { unix_s, ..Moment::now() };
        let mut circles = self.circles.lock();
        let now = circles.now(moment);
        let ids: Vec<_> = circles.keeper.circles().circles().keys().map(core_id).collect();
        let views = ids.iter().filter_map(|id| circles.exchange.log(id)).map(Log::view);
        let members: BTreeSet<identity::NodeKey> =
            views.flat_map(|view| view.members.keys()).copied().filter(|key| *key != own).collect();
        let mut heard = Vec::new();
        for session in sessions {
            let ago = session.heard_ago.unwrap_or(session.uptime);
            if ago <= JUST_NOW {
                circles.exchange.heard(&session.key, now);
            }
            if members.contains(&session.key) && ago <= super::friends::ONLINE_MAX {
                heard.push((plain(&session.key), unix_s.saturating_sub(ago.as_secs())));
            }
        }
        let online: BTreeSet<_> = heard.iter().map(|(key, _)| *key).collect();
        if online != circles.online {
            circles.online = online;
            circles.revision += 1;
        }
        let see = |record: &mut Circles| {
            heard.into_iter().fold(false, |news, (key, at)| record.see(key, at) | news)
        };
        if let Err(error) = circles.keeper.see(unix_s, see) {
            tracing::warn!(%error, "when members were last seen was not stored");
        }
        drop(circles);
        self.circles_due.notify_one();
    }

    /// Writes what packets changed about circles, at the end.
    pub(super) fn settle_circles(&self) {
        let mut circles = self.circles.lock();
        circles.online.clear();
        if let Err(error) = circles.keeper.settle(Moment::now().unix_s) {
            tracing::warn!(%error, "when members were last seen was not stored");
        }
    }
}

/// How this computer stands to a circle, by what members have signed and its person has said.
fn state_of(standing: Option<Standing>, circle: Option<&Circle>) -> CircleState {
    match standing {
        Some(Standing::Asking) => CircleState::Asking,
        Some(Standing::Waiting) => CircleState::Waiting,
        Some(Standing::Refused) => CircleState::Refused,
        Some(Standing::Expired) => CircleState::Expired,
        // To be named by others makes nobody a member here.
        Some(Standing::Member) if !circle.is_some_and(|circle| circle.agreed) => {
            CircleState::Invited
        }
        Some(Standing::Member) => CircleState::Member,
        Some(Standing::Invited) => CircleState::Invited,
        Some(Standing::Left) => CircleState::Left,
        None if circle.is_some_and(|circle| circle.left) => CircleState::Left,
        // Without its log nobody knows better.
        Some(Standing::Removed) | None => CircleState::Removed,
    }
}

fn core_id(id: &CircleId) -> core::CircleId {
    core::CircleId::from_bytes(id.0)
}

fn plain_id(id: &core::CircleId) -> CircleId {
    CircleId(*id.as_bytes())
}

/// A role as the circle has it.
const fn core_role(role: MemberRole) -> Role {
    match role {
        MemberRole::Member => Role::Member,
        MemberRole::Admin => Role::Admin,
    }
}

/// A text as the circle has it. Names of ours are stricter than labels.
fn core_label(name: &FriendName) -> Option<Label> {
    name.as_str().parse().ok()
}

fn phase(state: JoinState) -> Phase {
    match state {
        JoinState::Asking => Phase::Asking,
        JoinState::Waiting => Phase::Waiting,
        JoinState::Refused => Phase::Refused,
        JoinState::Expired => Phase::Expired,
        JoinState::Welcome => Phase::Welcome,
    }
}

fn followed(id: &CircleId, join: &Join) -> Followed {
    Followed {
        circle: core_id(id),
        inviter: core_key(&join.inviter),
        token: Token::from_bytes(join.token.0),
        expires: join.expires,
        label: join.label.as_ref().and_then(core_label),
        state: match join.phase {
            Phase::Asking => JoinState::Asking,
            Phase::Waiting => JoinState::Waiting,
            Phase::Refused => JoinState::Refused,
            Phase::Expired => JoinState::Expired,
            Phase::Welcome => JoinState::Welcome,
        },
    }
}

/// An invite as the exchange has it; `None` once its token is erased.
fn own_invite(invite: &Invite) -> Option<OwnInvite> {
    Some(OwnInvite {
        operation: OpId::from_bytes(invite.operation.0),
        circle: core_id(&invite.circle),
        token: Token::from_bytes(invite.token.as_ref()?.0),
        expires: invite.expires,
        uses: invite.uses,
        role: core_role(invite.role),
        asks: invite.asks,
        revoked: invite.revoked,
        guests: invite.guests.iter().map(core_key).collect(),
        declined: invite.refused.iter().map(core_key).collect(),
    })
}

fn own_secret(secret: &Secret) -> OwnSecret {
    OwnSecret { generation: secret.generation, bytes: secret.secret.0.into() }
}

fn kept_secret(secret: &OwnSecret) -> Secret {
    Secret { generation: secret.generation, secret: Hex(*secret.bytes) }
}

const CIRCLES_DAMAGED: &str = "circles_damaged";

/// Files about circles were damaged.
pub(super) fn circles_damaged(damage: &[Damage]) -> Option<Condition> {
    let first = damage.first()?;
    let (path, reason) = (first.path.display(), &first.reason);
    let whereabouts = match &first.kept {
        Ok(kept) => format!("It was kept as {}.", kept.display()),
        Err(error) => format!("It could not be renamed ({error}), and no change is stored."),
    };
    let others = match damage.len() {
        1 => String::new(),
        more => format!(" {} more files are.", more - 1),
    };
    Some(Condition {
        code: CIRCLES_DAMAGED,
        severity: Severity::Error,
        title: "Something about circles was lost".to_owned(),
        text: format!(
            "{path} is damaged ({reason}). {whereabouts}{others} What was lost opens nothing: \
             circles that it was about have no rights on this computer until you say so."
        ),
        action: Some(
            "Stop the service and put a good copy in its place, or look at your circles and say \
             again what they may reach; one whose log was lost can be forgotten and joined anew."
                .to_owned(),
        ),
        affects_connectivity: false,
        may_pass: false,
    })
}
