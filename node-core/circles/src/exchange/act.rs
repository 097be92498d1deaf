//! What this node does to its circles: prepared, kept on the disk, then committed.

use planetary_proto::{NodeKey, Now};
use thiserror::Error;

use super::{Exchange, Invite, Output, Secret, Standing, circle::Circle, messages::first_eight};
use crate::{
    invite::{TOKEN_LEN, Token},
    limits::{CIRCLES_MAX, INVITES_MAX},
    log::{
        CircleId, Draft, Kind, Label, Log, LogError, OpId, Operation, OperationError,
        RemovalReason, Role, RuleError, Suggestion,
    },
};

/// Something that this node is about to do to a circle: signed, and known to nobody.
///
/// Whoever keeps the exchange on a disk writes what is in it, and commits it with
/// [`Exchange::commit`]; dropped, it never was.
#[derive(Debug)]
pub struct Change {
    log: Log,
    operations: Vec<Operation>,
    secret: Option<Secret>,
    invite: Option<Invite>,
    /// Number of this node's last operation that the change builds on.
    after: u32,
}

impl Change {
    /// The circle.
    #[must_use]
    pub fn circle(&self) -> CircleId {
        self.log.id()
    }

    /// The circle's log with the change.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// A secret that the change begins, to be kept before the others.
    #[must_use]
    pub const fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// The invite that the change makes.
    #[must_use]
    pub const fn invite(&self) -> Option<&Invite> {
        self.invite.as_ref()
    }
}

/// This node has written something else in the circle since the change was prepared: prepare it
/// anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the circle has changed meanwhile")]
pub struct Stale;

/// Why something cannot be done to a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ActError {
    /// There is no log of this circle.
    #[error("there is no such circle")]
    NoCircle,
    /// There are [`CIRCLES_MAX`] circles.
    #[error("there are as many circles as there can be")]
    TooManyCircles,
    /// [`INVITES_MAX`] invites are open.
    #[error("as many invites are open as can be")]
    TooManyInvites,
    /// This node has just started, and asks others first what it may have said before: else it
    /// could say two things under one number, which voids both. Over when one of them has
    /// answered, after [`SETTLE_FOR`](crate::limits::SETTLE_FOR) at the latest.
    #[error("other members are being asked for news first")]
    Settling,
    /// The rules of the circle are against it.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// What was signed elsewhere is no operation of this circle's key on paper.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// What was signed elsewhere has no place in the log.
    #[error(transparent)]
    Place(#[from] LogError),
}

impl Exchange {
    /// Begins a circle of which this node is the first senior, and its first secret.
    ///
    /// # Errors
    /// [`ActError::TooManyCircles`].
    pub fn create(&mut self, name: Label) -> Result<Change, ActError> {
        let genesis = Draft::genesis(name, vec![self.own], self.random_bytes(), false)?;
        let genesis = genesis.sign(self.pairs.identity())?;
        self.begin(genesis)
    }

    /// What a key on paper signs to begin a circle above this node.
    ///
    /// # Errors
    /// [`ActError::TooManyCircles`], or [`ActError::Rule`] for a key that cannot be one.
    pub fn draft_create(&mut self, name: Label, paper: NodeKey) -> Result<Draft, ActError> {
        self.has_room()?;
        Ok(Draft::genesis(name, vec![paper, self.own], self.random_bytes(), true)?)
    }

    /// Takes a new circle whose first operation was signed elsewhere, or an operation of the key
    /// on paper of a circle that is here.
    ///
    /// # Errors
    /// [`ActError::Rule`] with [`RuleError::NoMembership`] if this node is no senior of the new
    /// circle; else see [`ActError`].
    pub fn submit(&mut self, operation: Operation, now: Now) -> Result<Change, ActError> {
        let circle = operation.circle();
        match operation.kind() {
            Kind::Genesis { seniors, .. } => {
                if !seniors.contains(&self.own) {
                    return Err(RuleError::NoMembership.into());
                }
                self.begin(operation)
            }
            _ => {
                let log = self.log(&circle).ok_or(ActError::NoCircle)?;
                if log.view().paper != Some(operation.author()) {
                    return Err(RuleError::NotSenior.into());
                }
                let removes = matches!(operation.kind(), Kind::Remove { .. });
                let mut change = self.change_of(&circle)?;
                change.log.insert(operation.clone())?;
                change.operations.push(operation);
                if removes && self.is_settled(&circle, now) {
                    self.renew_secret(&mut change);
                }
                Ok(change)
            }
        }
    }

    fn begin(&mut self, genesis: Operation) -> Result<Change, ActError> {
        self.has_room()?;
        if self.circles.contains_key(&genesis.circle()) {
            return Err(RuleError::AlreadyMember.into());
        }
        let log = Log::new(genesis.clone())?;
        let mut change =
            Change { log, operations: vec![genesis], secret: None, invite: None, after: 0 };
        self.renew_secret(&mut change);
        Ok(change)
    }

    /// Adds a key, which then has to agree, or gives a member another role.
    ///
    /// # Errors
    /// See [`ActError`].
    pub fn add(
        &mut self,
        circle: &CircleId,
        key: NodeKey,
        role: Role,
        label: Option<Label>,
        now: Now,
    ) -> Result<Change, ActError> {
        let mut change = self.prepare(circle, now)?;
        let member = change.log.view().members.get(&key).map(|member| member.role);
        let kinds = match member {
            // Less than before: the other membership has to end.
            Some(before) if role < before && change.log.view().is_member(&key) => {
                change.log.role_change(&self.own, &key, role)
            }
            _ => Vec::new(),
        };
        let kinds = match kinds.is_empty() {
            true => vec![change.log.addition(key, role, label, None)],
            false => kinds,
        };
        self.write_all(&mut change, kinds)?;
        Ok(change)
    }

    /// Removes a member or an invited key, and begins a new secret without it.
    ///
    /// # Errors
    /// See [`ActError`].
    pub fn remove(
        &mut self,
        circle: &CircleId,
        key: &NodeKey,
        reason: &RemovalReason,
        now: Now,
    ) -> Result<Change, ActError> {
        let mut change = self.prepare(circle, now)?;
        let view = change.log.view();
        let kinds = change.log.removal(&self.own, key, reason);
        if kinds.is_empty() {
            return Err(match view.members.contains_key(key) {
                false => RuleError::NoMembership.into(),
                true if view.is_admin(&self.own) => RuleError::Outranked.into(),
                true => RuleError::NotAdmin.into(),
            });
        }
        self.write_all(&mut change, kinds)?;
        self.renew_secret(&mut change);
        Ok(change)
    }

    /// Changes what a circle is called, or what it suggests.
    ///
    /// # Errors
    /// See [`ActError`].
    pub fn change(
        &mut self,
        circle: &CircleId,
        name: Option<Label>,
        suggested: Option<Vec<Suggestion>>,
        now: Now,
    ) -> Result<Change, ActError> {
        let mut change = self.prepare(circle, now)?;
        self.write_all(&mut change, vec![Kind::Meta { name, suggested }])?;
        Ok(change)
    }

    /// Agrees to be a member.
    ///
    /// # Errors
    /// [`RuleError::NoMembership`] if this node was not added; else see [`ActError`].
    pub fn accept(&mut self, circle: &CircleId, now: Now) -> Result<Change, ActError> {
        let mut change = self.prepare(circle, now)?;
        let proof = self.joins.get(circle).map(|following| following.join.proof(&self.own));
        let kind = change.log.acceptance(&self.own, proof);
        self.write_all(&mut change, vec![kind.ok_or(RuleError::NoMembership)?])?;
        Ok(change)
    }

    /// Leaves a circle, or declines to join it.
    ///
    /// # Errors
    /// [`RuleError::NoMembership`] if this node is neither a member nor invited; else see
    /// [`ActError`].
    pub fn leave(&mut self, circle: &CircleId, now: Now) -> Result<Change, ActError> {
        let mut change = self.prepare(circle, now)?;
        let kinds = change.log.removal(&self.own, &self.own, &RemovalReason::default());
        if kinds.is_empty() {
            return Err(RuleError::NoMembership.into());
        }
        self.write_all(&mut change, kinds)?;
        Ok(change)
    }

    /// Makes an invite, which this node alone redeems. `expires` is in seconds of UNIX time; with
    /// `asks` a person has to say yes to each guest.
    ///
    /// # Errors
    /// See [`ActError`].
    pub fn invite(
        &mut self,
        circle: &CircleId,
        role: Role,
        uses: u32,
        expires: u64,
        asks: bool,
        now: Now,
    ) -> Result<Change, ActError> {
        let open = self.invites.values().filter(|invite| invite.is_open(now));
        if open.count() >= INVITES_MAX {
            return Err(ActError::TooManyInvites);
        }
        let token = Token::from_bytes(self.random_bytes::<TOKEN_LEN>());
        self.make_room_for_invite(now);
        let mut change = self.prepare(circle, now)?;
        let token_hash = token.hash(circle);
        self.write_all(&mut change, vec![Kind::Invite { token_hash, expires, uses, role }])?;
        let operation = change.operations.last().map_or(circle.genesis(), Operation::id);
        change.invite = Some(Invite {
            operation,
            circle: *circle,
            token,
            expires,
            uses,
            role,
            asks,
            revoked: false,
            guests: Vec::new(),
            declined: Vec::new(),
        });
        Ok(change)
    }

    /// What a key on paper signs in a circle that is here.
    ///
    /// # Errors
    /// [`ActError::NoCircle`], or [`RuleError::NotSenior`] for another key.
    pub fn draft(
        &self,
        circle: &CircleId,
        paper: NodeKey,
        kind: impl FnOnce(&Log) -> Option<Kind>,
    ) -> Result<Draft, ActError> {
        let log = self.log(circle).ok_or(ActError::NoCircle)?;
        if log.view().paper != Some(paper) {
            return Err(RuleError::NotSenior.into());
        }
        let kind = kind(log).ok_or(RuleError::NoMembership)?;
        Ok(Draft::new(log, paper, kind)?)
    }

    /// Takes a change over: from here on it is told to others.
    ///
    /// # Errors
    /// [`Stale`] if it no longer fits what this node has written; nothing has changed then.
    pub fn commit(&mut self, change: Change, now: Now) -> Result<(), Stale> {
        self.take_over(change, now)?;
        self.pump(now);
        Ok(())
    }

    pub(super) fn take_over(&mut self, change: Change, now: Now) -> Result<(), Stale> {
        let id = change.circle();
        let Change { log, operations, secret, invite, after } = change;
        match self.circles.get_mut(&id) {
            None if operations.first().is_some_and(|first| first.seq() == 0) => {
                self.circles.insert(id, Circle::new(log, &self.own, now));
            }
            None => return Err(Stale),
            Some(circle) => {
                if last_seq(&circle.log, &self.own) != after {
                    return Err(Stale);
                }
                // All of them or none: a log may have filled up since the change was prepared.
                let mut grown = circle.log.clone();
                for operation in &operations {
                    grown.insert(operation.clone()).map_err(|_| Stale)?;
                }
                circle.log = grown;
                operations.iter().for_each(|operation| circle.has_arrived(operation.id()));
            }
        }
        let Some(circle) = self.circles.get_mut(&id) else { return Err(Stale) };
        if let Some(secret) = secret {
            circle.tells = Some(secret.generation);
            circle.keep_secret(secret);
            self.outputs.push_back(Output::SecretChanged(id));
        }
        if let Some(invite) = invite {
            self.outputs.push_back(Output::InviteChanged(invite.operation));
            self.invites.insert(invite.operation, invite);
        }
        self.changed(id, None, now);
        if self.circles.get(&id).is_some_and(|circle| circle.standing != Standing::Invited) {
            self.has_come_in(&id);
        }
        Ok(())
    }

    fn has_room(&self) -> Result<(), ActError> {
        if self.circles.len() < CIRCLES_MAX { Ok(()) } else { Err(ActError::TooManyCircles) }
    }

    fn is_settled(&self, circle: &CircleId, now: Now) -> bool {
        self.circles.get(circle).is_some_and(|circle| circle.is_settled(&self.own, now))
    }

    /// A change of a circle in which this node may write.
    pub(super) fn prepare(&self, circle: &CircleId, now: Now) -> Result<Change, ActError> {
        let change = self.change_of(circle)?;
        // With a gap, what is missing of this node's own chain is about to come.
        let settled = self.is_settled(circle, now) && !has_gap(&change.log, &self.own);
        if settled { Ok(change) } else { Err(ActError::Settling) }
    }

    fn change_of(&self, circle: &CircleId) -> Result<Change, ActError> {
        let log = self.log(circle).ok_or(ActError::NoCircle)?.clone();
        let after = last_seq(&log, &self.own);
        Ok(Change { log, operations: Vec::new(), secret: None, invite: None, after })
    }

    /// Writes operations of this node, one after the other.
    pub(super) fn write_all(&self, change: &mut Change, kinds: Vec<Kind>) -> Result<(), ActError> {
        for kind in kinds {
            let draft = Draft::new(&change.log, self.own, kind)?;
            let operation = draft.sign(self.pairs.identity())?;
            change.log.insert(operation.clone())?;
            change.operations.push(operation);
        }
        Ok(())
    }

    /// Begins a new generation of the secret, if this node may.
    pub(super) fn renew_secret(&mut self, change: &mut Change) {
        let secret = Secret::of(&change.log, self.random_bytes());
        let kind = Kind::Key { generation: secret.generation, commitment: secret.commitment() };
        // A circle goes on without a new one, if the log is full or somebody else is to make it.
        if self.write_all(change, vec![kind]).is_ok() {
            change.secret = Some(secret);
        }
    }
}

/// Number of the last operation of an author that is known and in its place.
pub(super) fn last_seq(log: &Log, author: &NodeKey) -> u32 {
    let short = first_eight(author.as_bytes());
    let head = log.heads().into_iter().find(|head| head.author == short);
    head.map_or(0, |head| head.seq)
}

/// Whether the log knows operations of an author that lie behind others which it does not know.
fn has_gap(log: &Log, author: &NodeKey) -> bool {
    let last = last_seq(log, author);
    log.operations().any(|operation| operation.author() == *author && operation.seq() > last)
}

/// Whom an invite has let in, as the log says.
pub(super) fn added_by_invite<'a>(
    log: &'a Log,
    invite: &'a OpId,
) -> impl Iterator<Item = NodeKey> + 'a {
    log.operations().filter_map(move |operation| match operation.kind() {
        Kind::Add { member, via: Some(via), .. } if via == invite => Some(*member),
        _ => None,
    })
}
