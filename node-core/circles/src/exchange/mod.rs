//! How members of a circle keep one another's logs equal, and how others become members.
//!
//! An [`Exchange`] holds the logs of all circles of this node, the invites that it made and the
//! links that it follows. It is fed with messages, answers, signs of life and times; it gives
//! messages to send and news to keep. It decides nothing about who may reach what: it knows only
//! what members have signed. It reads no clock, sends nothing itself and keeps nothing: so a
//! network of exchanges runs in a test, hours in a second.
//!
//! **One change, then drain.** After any call that takes a time, take [`Exchange::poll`] until it
//! is empty, in order: what [`Output::Changed`], [`Output::InviteChanged`] and their like name is
//! to be on the disk before a later output is carried out. Else a node that dies could sign two
//! different operations under one number. [`Exchange::tick`] is due once a second.
//!
//! What members do to a circle is prepared as a [`Change`], which can be written to the disk first,
//! and then committed.
//!
//! The messages are in [`messages`], and with the rules of the exchange in `docs/circles.md`.

mod act;
mod circle;
mod guests;
mod joins;
pub mod messages;
mod pairs;
mod pulls;
mod secrets;
mod sync;
#[cfg(test)]
mod tests;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use planetary_proto::{Identity, Instant, NodeKey, Now, time::Duration, upper::ExtensionMessage};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use thiserror::Error;

pub use self::{
    act::{ActError, Change, Stale},
    guests::Invite,
    joins::{Join, JoinError, JoinState},
    secrets::Secret,
};
use self::{
    circle::Circle,
    guests::Waiting,
    joins::Following,
    messages::{Message, Span},
    pairs::Pairs,
    pulls::Pull,
};
use crate::{
    limits::{CIRCLES_MAX, ONLINE_FOR},
    log::{CircleId, Label, Log, OpId},
};

/// See the module.
pub struct Exchange {
    pairs: Pairs,
    own: NodeKey,
    rng: ChaCha20Rng,
    friends: BTreeSet<NodeKey>,
    circles: BTreeMap<CircleId, Circle>,
    invites: BTreeMap<OpId, Invite>,
    waiting: BTreeMap<(OpId, NodeKey), Waiting>,
    joins: BTreeMap<CircleId, Following>,
    pulls: BTreeMap<CircleId, Pull>,
    /// When members, and those whose links are followed, were last heard.
    heard: BTreeMap<NodeKey, Instant>,
    asked: BTreeMap<Ticket, Asked>,
    next_ticket: u64,
    outputs: VecDeque<Output>,
}

/// The number of a request of this exchange, until it is answered or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What an exchange wants done, or known.
#[derive(Debug)]
pub enum Output {
    /// Ask `to`. Ends in [`Exchange::answered`] or [`Exchange::unanswered`] with the ticket.
    Request {
        /// What to name the request with.
        ticket: Ticket,
        /// Whom.
        to: NodeKey,
        /// Kind of the message.
        kind: u8,
        /// Body of the message.
        body: Vec<u8>,
    },
    /// Answer `to`.
    Answer {
        /// Whom.
        to: NodeKey,
        /// The answer.
        message: ExtensionMessage,
    },
    /// The log of a circle is another, so members, roles, names and [`Exchange::standing`] may be:
    /// keep [`Exchange::log`], and renew the rules.
    Changed(CircleId),
    /// An invite of this node let somebody in or is otherwise another: keep [`Exchange::invites`].
    InviteChanged(OpId),
    /// A link that is followed stands otherwise: keep [`Exchange::joins`].
    JoinChanged(CircleId),
    /// There is a new secret: keep [`Exchange::secrets`].
    SecretChanged(CircleId),
    /// This node and another member have compared what they know; said once a minute at most.
    /// Keep [`Exchange::synced_at`] and [`Exchange::checkpoint_seen`].
    Synced(CircleId),
    /// A guest wants to be let in and a person has to answer with [`Exchange::settle_guest`].
    Guest {
        /// By which invite.
        invite: OpId,
        /// To which circle.
        circle: CircleId,
        /// Who.
        guest: NodeKey,
        /// What the guest calls itself.
        label: Option<Label>,
    },
}

/// How this node stands to a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A link is followed, and the node that made it has not answered yet.
    Asking,
    /// It has; a person has to say yes.
    Waiting,
    /// The link lets nobody in.
    Refused,
    /// The time of the link was over before anybody was let in.
    Expired,
    /// It was added and has not agreed yet.
    Invited,
    /// It is a member.
    Member,
    /// Somebody else ended its membership.
    Removed,
    /// It left, or declined.
    Left,
}

/// What is kept of a circle besides its log.
#[derive(Debug, Default)]
pub struct Kept {
    /// Its secrets, the latest first.
    pub secrets: Vec<Secret>,
    /// When this node and another member last compared what they know, in seconds of UNIX time.
    pub synced_at: Option<u64>,
}

/// Why something kept is not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There are [`CIRCLES_MAX`] circles, or as many invites or links as there may be.
    #[error("there are too many")]
    TooMany,
    /// It is here already.
    #[error("it is here twice")]
    Twice,
}

/// A request under way.
struct Asked {
    to: NodeKey,
    about: About,
}

/// What a request under way is about.
enum About {
    Sync(Talk),
    /// Operations that were said to be new, up to this count of arrivals if all before were known.
    Push(Talk, Option<u64>),
    Offer(CircleId),
    Farewell(CircleId),
    TellSecret(CircleId, u32),
    AskSecret(CircleId, u32),
    Join(CircleId),
    Pull(CircleId),
}

/// A comparison with a member, which takes several messages.
#[derive(Clone, Copy)]
struct Talk {
    circle: CircleId,
    span: Span,
    /// Messages that it may still take: who keeps it going without an end is left alone.
    rounds: u16,
    /// The first of the operations that were told last: who lacks it still does not take it.
    told: Option<OpId>,
}

impl Exchange {
    /// The exchange of a node, without circles. `seed` is random: tokens and secrets come of it,
    /// and when whom is asked.
    #[must_use]
    pub fn new(identity: Identity, seed: [u8; 32]) -> Self {
        let own = identity.key();
        Self {
            pairs: Pairs::new(identity),
            own,
            rng: ChaCha20Rng::from_seed(seed),
            friends: BTreeSet::new(),
            circles: BTreeMap::new(),
            invites: BTreeMap::new(),
            waiting: BTreeMap::new(),
            joins: BTreeMap::new(),
            pulls: BTreeMap::new(),
            heard: BTreeMap::new(),
            asked: BTreeMap::new(),
            next_ticket: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes a log back that was kept.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing has changed then.
    pub fn restore_circle(&mut self, log: Log, kept: Kept, now: Now) -> Result<(), RestoreError> {
        let id = log.id();
        if self.circles.contains_key(&id) {
            return Err(RestoreError::Twice);
        }
        if self.circles.len() >= CIRCLES_MAX {
            return Err(RestoreError::TooMany);
        }
        let soon = self.random_within(SOON);
        let circle = Circle::restored(log, kept, &self.own, soon, now);
        self.circles.insert(id, circle);
        Ok(())
    }

    /// Whom offers are taken from, besides members of common circles.
    pub fn set_friends(&mut self, friends: BTreeSet<NodeKey>) {
        self.friends = friends;
    }

    /// The circles with a log here, and those whose links are followed.
    pub fn circles(&self) -> impl Iterator<Item = CircleId> {
        let followed = self.joins.keys().filter(|circle| !self.circles.contains_key(*circle));
        self.circles.keys().chain(followed).copied()
    }

    /// The log of a circle.
    #[must_use]
    pub fn log(&self, circle: &CircleId) -> Option<&Log> {
        self.circles.get(circle).map(|circle| &circle.log)
    }

    /// How this node stands to a circle; `None` if it knows nothing of it.
    #[must_use]
    pub fn standing(&self, circle: &CircleId) -> Option<Standing> {
        let followed = self.joins.get(circle).map(|following| following.join.state.standing());
        match self.circles.get(circle).map(|circle| circle.standing) {
            // Somebody who once was a member may follow a link to come back.
            known @ (None | Some(Standing::Removed | Standing::Left)) => followed.or(known),
            known => known,
        }
    }

    /// When this node and another member last compared what they know, in seconds of UNIX time.
    #[must_use]
    pub fn synced_at(&self, circle: &CircleId) -> Option<u64> {
        self.circles.get(circle)?.synced_at
    }

    /// The secrets of a circle that are known here, the latest first.
    #[must_use]
    pub fn secrets(&self, circle: &CircleId) -> &[Secret] {
        self.circles.get(circle).map_or(&[], |circle| &circle.secrets)
    }

    /// Whether a member was heard within the last minute.
    #[must_use]
    pub fn is_online(&self, key: &NodeKey, now: Now) -> bool {
        let heard = self.heard.get(key);
        heard.is_some_and(|at| now.mono.since(*at) <= ONLINE_FOR)
    }

    /// Forgets a circle with everything that belongs to it: log, invites, links, secrets. A node
    /// that is a member should leave first.
    pub fn forget(&mut self, circle: &CircleId) {
        self.circles.remove(circle);
        self.joins.remove(circle);
        self.pulls.remove(circle);
        let of_circle = |invite: &Invite| invite.circle == *circle;
        let invites: Vec<OpId> = self
            .invites
            .values()
            .filter(|invite| of_circle(invite))
            .map(|it| it.operation)
            .collect();
        for invite in invites {
            self.invites.remove(&invite);
            self.waiting.retain(|(of, _), _| *of != invite);
        }
        self.asked.retain(|_, asked| asked.about.circle() != *circle);
    }

    /// Somebody sent something: a packet, a message, a sign of life. Cheap, and without effect for
    /// keys that have nothing to do with a circle.
    pub fn heard(&mut self, key: &NodeKey, now: Now) {
        let is_known = self.circles.values().any(|circle| circle.contacts.contains_key(key))
            || self.joins.values().any(|following| following.join.inviter == *key);
        if !is_known {
            self.heard.remove(key);
            return;
        }
        let was_online = self.is_online(key, now);
        self.heard.insert(*key, now.mono);
        if !was_online {
            self.greet(key, now);
            self.ask_again(key, now);
            self.pump(now);
        }
    }

    /// A request of `from` has come. What is no message of circles changes nothing and gets no
    /// answer.
    pub fn handle(&mut self, from: NodeKey, message: &ExtensionMessage, now: Now) {
        let Ok(parsed) = Message::parse(message.kind, &message.body) else { return };
        let answer = match parsed {
            Message::Have { tag, heads, span } => self.take_have(from, tag, &heads, span, now),
            Message::Push { tag, operations } => self.take_push(from, tag, &operations, now),
            Message::Join { tag, proof, label } => {
                self.take_join(from, tag, &proof, label, now).map(Message::Joined)
            }
            Message::Secret { tag, generation, secret } => {
                self.take_secret(from, tag, generation, secret)
            }
            Message::Offer { circle } => self.take_offer(from, circle, now),
            Message::Ops { .. }
            | Message::Joined(_)
            | Message::Taken { .. }
            | Message::Held { .. }
            | Message::Seen => None,
        };
        if let Some(answer) = answer {
            let message =
                ExtensionMessage { kind: answer.kind(), id: message.id, body: answer.emit() };
            self.outputs.push_back(Output::Answer { to: from, message });
        }
        self.heard(&from, now);
        self.pump(now);
    }

    /// The answer to a request has come. One of another kind than the request asks for counts as
    /// none.
    pub fn answered(
        &mut self,
        ticket: Ticket,
        from: NodeKey,
        message: &ExtensionMessage,
        now: Now,
    ) {
        if self.asked.get(&ticket).is_none_or(|asked| asked.to != from) {
            return;
        }
        let Ok(parsed) = Message::parse(message.kind, &message.body) else {
            return self.unanswered(ticket, now);
        };
        let Some(Asked { about, .. }) = self.asked.remove(&ticket) else { return };
        match (about, parsed) {
            (About::Sync(talk), Message::Ops { operations, more, heads }) => {
                self.take_ops(from, talk, &operations, more, heads.as_deref(), now);
            }
            (About::Push(talk, upto), Message::Held { heads }) => {
                self.take_held(from, talk, upto, heads.as_deref(), now);
            }
            (About::Pull(circle), Message::Ops { operations, more, .. }) => {
                self.take_pulled(circle, &operations, more, now);
            }
            (About::Join(circle), Message::Joined(joined)) => {
                self.take_joined(circle, joined, now);
            }
            (About::Offer(circle), Message::Seen) => self.offer_was_seen(circle, &from),
            (About::Farewell(circle), Message::Held { .. }) => {
                self.farewell_was_heard(circle, &from);
            }
            (About::TellSecret(circle, generation), Message::Taken { .. }) => {
                self.secret_was_taken(circle, &from, generation);
            }
            (About::AskSecret(circle, generation), Message::Taken { secret }) => {
                self.take_told(circle, &from, generation, secret);
            }
            (about, _) => self.give_up_asking(&from, &about, now),
        }
        self.heard(&from, now);
        self.pump(now);
    }

    /// No answer to a request has come, or it could not be sent.
    pub fn unanswered(&mut self, ticket: Ticket, now: Now) {
        let Some(Asked { to, about }) = self.asked.remove(&ticket) else { return };
        self.give_up_asking(&to, &about, now);
        self.pump(now);
    }

    /// A second has passed.
    pub fn tick(&mut self, now: Now) {
        self.begin_rounds(now);
        self.follow(now);
        self.pull_on(now);
        self.keep_house(now);
        self.pump(now);
    }

    /// Whether time alone changes nothing here, so that [`Exchange::tick`] may be left out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.circles.is_empty()
            && self.invites.is_empty()
            && self.waiting.is_empty()
            && self.joins.is_empty()
            && self.pulls.is_empty()
            && self.asked.is_empty()
            && self.outputs.is_empty()
    }

    /// The next thing to be done or known; in order, see the module.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn give_up_asking(&mut self, to: &NodeKey, about: &About, now: Now) {
        match about {
            About::Join(circle) => self.join_unanswered(circle, now),
            About::Pull(circle) => self.pull_unanswered(circle, now),
            About::Sync(_)
            | About::Push(..)
            | About::Offer(_)
            | About::Farewell(_)
            | About::TellSecret(..)
            | About::AskSecret(..) => self.contact_unanswered(to, about, now),
        }
    }

    fn ask(&mut self, to: NodeKey, message: &Message, about: About) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.asked.insert(ticket, Asked { to, about });
        let (kind, body) = (message.kind(), message.emit());
        self.outputs.push_back(Output::Request { ticket, to, kind, body });
        ticket
    }

    /// A random time below `most`, in steps of a millisecond.
    fn random_within(&mut self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(self.rng.next_u64() % millis)
    }

    fn random_bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A random index of a list with `len` entries, of which there is one at least.
    fn random_below(&mut self, len: usize) -> usize {
        let drawn = self.rng.next_u64() % (len.max(1) as u64);
        // Less than `len`.
        drawn as usize
    }

    /// Whether `key` is a member of a circle of which this node is one too.
    fn is_fellow(&self, key: &NodeKey) -> bool {
        self.circles
            .values()
            .any(|circle| circle.standing == Standing::Member && circle.log.view().is_member(key))
    }
}

impl About {
    const fn circle(&self) -> CircleId {
        match self {
            Self::Sync(talk) | Self::Push(talk, _) => talk.circle,
            Self::Offer(circle)
            | Self::Farewell(circle)
            | Self::TellSecret(circle, _)
            | Self::AskSecret(circle, _)
            | Self::Join(circle)
            | Self::Pull(circle) => *circle,
        }
    }
}

/// What is done by many nodes at the same moment is spread over this time.
const SOON: Duration = Duration::from_secs(2);
