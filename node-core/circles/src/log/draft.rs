//! New operations: checked against the log, then signed.
//!
//! The rules of `evaluate.rs` let anything be written and let count what may. Who writes here is
//! told beforehand: a draft exists only if, by what the log knows, it will have an effect.

use planetary_proto::{Identity, NodeKey};
use thiserror::Error;

use super::{
    Log,
    body::{BodyError, Kind, Role},
    checkpoint::Standing,
    label::{Label, RemovalReason},
    operation::{CircleId, OpHead, OpId, Operation, OperationError, emit_unsigned, signed_bytes},
    view::{Claim, State},
};
use crate::limits::{ADMINS_MAX, MEMBERS_MAX};

/// An operation without a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    author: NodeKey,
    unsigned: Vec<u8>,
}

/// Why somebody cannot write something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The author is no admin of the circle.
    #[error("only an admin of the circle can do this")]
    NotAdmin,
    /// The author is none of those with whom the circle began.
    #[error("only those with whom the circle began can do this")]
    NotSenior,
    /// Whom it concerns stands as high as the author, or higher; or somebody higher has chosen the
    /// circle's name.
    #[error("somebody of the same or a higher rank is in the way")]
    Outranked,
    /// There is no such membership, or it is over.
    #[error("there is no such membership")]
    NoMembership,
    /// The key already is what it is to become.
    #[error("the key already is what it is to become")]
    AlreadyMember,
    /// The key is one with which anybody can sign.
    #[error("the key is weak")]
    WeakKey,
    /// The circle has [`MEMBERS_MAX`] members.
    #[error("the circle has as many members as it can have")]
    TooManyMembers,
    /// The circle has [`ADMINS_MAX`] admins.
    #[error("the circle has as many admins as it can have")]
    TooManyAdmins,
    /// The author has not made this invite, or it has no use left.
    #[error("the invite lets nobody in")]
    InviteUsed,
    /// The secret's next generation has another number.
    #[error("the next generation of the secret has another number")]
    Generation,
    /// Two operations of the author have one number: nothing that it writes counts any more.
    #[error("the key has signed two things under one number")]
    Forked,
    /// The log takes no more operations.
    #[error("the log takes no more operations")]
    Full,
    /// A value that no operation can have.
    #[error("the operation has an impossible value")]
    Body(#[from] BodyError),
}

impl Draft {
    /// The first operation of a new circle; `nonce` is random. The author is `seniors[0]`, which is
    /// a key on paper if `paper` says so.
    ///
    /// # Errors
    /// [`RuleError::Body`] for no seniors, too many, one twice, or nobody besides a key on paper;
    /// [`RuleError::WeakKey`].
    pub fn genesis(
        name: Label,
        seniors: Vec<NodeKey>,
        nonce: [u8; 16],
        paper: bool,
    ) -> Result<Self, RuleError> {
        let author = *seniors.first().ok_or(RuleError::Body(BodyError::Value))?;
        if seniors.iter().any(NodeKey::is_weak) {
            return Err(RuleError::WeakKey);
        }
        let head = OpHead {
            circle: CircleId::from_bytes([0; 32]),
            author,
            seq: 0,
            prev: OpId::from_bytes([0; 32]),
        };
        Self::emit(&head, &Kind::Genesis { name, seniors, nonce, paper })
    }

    /// The next operation of `author`, if the log says that it will have an effect.
    ///
    /// # Errors
    /// [`RuleError`] says what is in the way.
    pub fn new(log: &Log, author: NodeKey, kind: Kind) -> Result<Self, RuleError> {
        if log.is_forked(&author) {
            return Err(RuleError::Forked);
        }
        let (last, prev) = log.tip(&author);
        let seq = last.checked_add(1).ok_or(RuleError::Full)?;
        let head = OpHead { circle: log.id(), author, seq, prev };
        let draft = Self::emit(&head, &kind)?;
        allow(log, &draft, seq, &kind)?;
        log.room(&author, draft.unsigned.len()).map_err(|_| RuleError::Full)?;
        Ok(draft)
    }

    fn emit(head: &OpHead, kind: &Kind) -> Result<Self, RuleError> {
        kind.check()?;
        let unsigned = emit_unsigned(head, kind).ok_or(RuleError::Body(BodyError::Value))?;
        Ok(Self { author: head.author, unsigned })
    }

    /// Everything of the operation but the signature. What is signed is
    /// `"planetary circle op\0" | bytes`; the operation is these bytes and the signature.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.unsigned
    }

    /// Who is to sign it.
    #[must_use]
    pub const fn author(&self) -> NodeKey {
        self.author
    }

    /// The operation, signed by its author.
    ///
    /// # Errors
    /// [`OperationError::Signature`] if `identity` is somebody else.
    pub fn sign(&self, identity: &Identity) -> Result<Operation, OperationError> {
        self.signed(*identity.sign(&signed_bytes(&self.unsigned)).as_bytes())
    }

    /// The operation with a signature that was made elsewhere.
    ///
    /// # Errors
    /// [`OperationError::Signature`] if it is not the author's over [`Draft::bytes`].
    pub fn signed(&self, signature: [u8; 64]) -> Result<Operation, OperationError> {
        Operation::parse(&[&self.unsigned[..], &signature].concat())
    }
}

/// What to write so that something happens.
impl Log {
    /// What adds a key, or offers a member another role. It counts from the member's next
    /// operation on, so that nothing it has said before comes back.
    #[must_use]
    pub fn addition(
        &self,
        member: NodeKey,
        role: Role,
        label: Option<Label>,
        via: Option<OpId>,
    ) -> Kind {
        Kind::Add { member, role, label, from: self.tip(&member).0.saturating_add(1), via }
    }

    /// What `by` writes, one after the other, so that `whom` is out of the circle: it ends each of
    /// its memberships, after what is known of its operations. Empty if there are none, or if `by`
    /// cannot end all of them.
    #[must_use]
    pub fn removal(&self, by: &NodeKey, whom: &NodeKey, reason: &RemovalReason) -> Vec<Kind> {
        let view = self.view();
        if !view.can_remove(by, whom) {
            return Vec::new();
        }
        let cutoff = self.tip(whom).0;
        let end = |claim: &Claim| Kind::Remove { add: claim.id, cutoff, reason: reason.clone() };
        view.current(whom).map(end).collect()
    }

    /// What `by` writes, one after the other, so that the member has another role: a new
    /// membership, then the end of the others. Its node agrees to it without asking, see
    /// [`Membership::renews`](super::Membership). Empty if `by` cannot end the others.
    #[must_use]
    pub fn role_change(&self, by: &NodeKey, member: &NodeKey, role: Role) -> Vec<Kind> {
        let ends = self.removal(by, member, &RemovalReason::default());
        if ends.is_empty() || by == member {
            return Vec::new();
        }
        let label = self.view().members.get(member).and_then(|known| known.label.clone());
        let mut kinds = vec![self.addition(*member, role, label, None)];
        kinds.extend(ends);
        kinds
    }

    /// What `member` writes to agree to what it is offered; `None` if it is offered nothing.
    #[must_use]
    pub fn acceptance(&self, member: &NodeKey, proof: Option<[u8; 32]>) -> Option<Kind> {
        let add = self.view().members.get(member)?.offered?;
        Some(Kind::Accept { add, proof })
    }
}

/// Whether an operation will have an effect.
fn allow(log: &Log, draft: &Draft, seq: u32, kind: &Kind) -> Result<(), RuleError> {
    let (view, author) = (log.view(), draft.author);
    let admin = || view.admin_rank(&author).ok_or(RuleError::NotAdmin);
    match kind {
        Kind::Genesis { .. } => Err(BodyError::Kind(0).into()),
        Kind::Add { member, role, via, .. } => {
            let rank = admin()?;
            allow_addition(log, rank, *member, *role)?;
            let invited = via.is_none_or(|via| {
                let invite = view.invites.get(&via);
                invite.is_some_and(|invite| invite.author == author && invite.role == *role)
            });
            if *member == author {
                Err(RuleError::AlreadyMember)
            } else if !invited {
                Err(RuleError::InviteUsed)
            } else {
                Ok(())
            }
        }
        Kind::Accept { add, .. } => {
            let claim = current(log, add)?;
            if claim.member != author || !claim.covers(seq) {
                return Err(RuleError::NoMembership);
            }
            if claim.accepted { Err(RuleError::AlreadyMember) } else { Ok(()) }
        }
        Kind::Remove { add, .. } => {
            let claim = current(log, add)?;
            if claim.member == author {
                return if claim.covers(seq) { Ok(()) } else { Err(RuleError::NoMembership) };
            }
            if admin()? < claim.rank { Ok(()) } else { Err(RuleError::Outranked) }
        }
        Kind::Invite { .. } => admin().map(|_| ()),
        Kind::Key { generation, .. } => {
            admin()?;
            let next = view.generation.map_or(1, |last| last.number.saturating_add(1));
            if *generation == next { Ok(()) } else { Err(RuleError::Generation) }
        }
        Kind::Meta { name, suggested } => {
            let rank = admin()?;
            let wins = |chosen: Option<Standing>| {
                chosen
                    .is_none_or(|(above, latest, _)| rank < above || rank == above && seq > latest)
            };
            let effective = (name.is_none() || wins(view.name_by))
                && (suggested.is_none() || wins(view.suggested_by));
            if effective { Ok(()) } else { Err(RuleError::Outranked) }
        }
        Kind::Checkpoint { .. } => {
            if view.is_senior(&author) {
                Ok(())
            } else {
                Err(RuleError::NotSenior)
            }
        }
    }
}

fn allow_addition(log: &Log, by: u32, member: NodeKey, role: Role) -> Result<(), RuleError> {
    let view = log.view();
    if member.is_weak() {
        return Err(RuleError::WeakKey);
    }
    if log.is_forked(&member) {
        return Err(RuleError::Forked);
    }
    if view.paper == Some(member) {
        return Err(RuleError::AlreadyMember);
    }
    if let Some(known) = view.members.get(&member) {
        let same = match known.state {
            State::Member => known.role == role,
            State::Invited => view.current(&member).any(|claim| claim.role == role),
        };
        if same {
            return Err(RuleError::AlreadyMember);
        }
        if known.rank <= by {
            return Err(RuleError::Outranked);
        }
    } else if view.members.len() >= MEMBERS_MAX {
        return Err(RuleError::TooManyMembers);
    }
    let admin = view.current(&member).any(|claim| claim.role == Role::Admin);
    if role == Role::Admin && !admin && view.admins() >= ADMINS_MAX {
        return Err(RuleError::TooManyAdmins);
    }
    Ok(())
}

/// A membership that is not over.
fn current<'a>(log: &'a Log, add: &OpId) -> Result<&'a Claim, RuleError> {
    let claim = log.view().claims.get(add).filter(|claim| claim.end.is_none());
    claim.ok_or(RuleError::NoMembership)
}
