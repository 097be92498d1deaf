//! What a log amounts to: the circle's name, its members, and what each may do.

use std::collections::{BTreeMap, BTreeSet};

use planetary_proto::NodeKey;

use super::{
    body::Role, checkpoint::Standing, label::Label, operation::OpId, suggestion::Suggestion,
};

/// What a log amounts to, from what is known of it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What the circle is called.
    pub name: Label,
    /// What it suggests that its members should reach; nothing of it holds by itself.
    pub suggested: Vec<Suggestion>,
    /// Its members and those that were added and have not agreed yet, at most
    /// [`MEMBERS_MAX`](crate::limits::MEMBERS_MAX). A key on paper is not among them.
    pub members: BTreeMap<NodeKey, Membership>,
    /// Whose memberships are over, and who ended them: themselves where they left or declined.
    pub past: BTreeMap<NodeKey, NodeKey>,
    /// Who signed two things under one number.
    pub forked: BTreeSet<NodeKey>,
    /// The latest generation of the circle's secret, if there is one.
    pub generation: Option<Generation>,
    /// The key on paper that stands above everybody, if there is one.
    pub paper: Option<NodeKey>,
    /// The operation that chose the name, if one did since the first.
    pub(super) name_by: Option<Standing>,
    /// The same for what the circle suggests.
    pub(super) suggested_by: Option<Standing>,
    /// All memberships that count, those that are over among them.
    pub(super) claims: BTreeMap<OpId, Claim>,
    /// Invites with a use left.
    pub(super) invites: BTreeMap<OpId, OpenInvite>,
    /// The operations that count, each with its author's rank in it.
    pub(super) counting: BTreeMap<OpId, u32>,
}

/// A member, or who was added and has not agreed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Whether it has agreed.
    pub state: State,
    /// What it may do. With several memberships, the most that one of them allows.
    pub role: Role,
    /// Its rank: who has a smaller one can remove it. With several memberships, the smallest.
    pub rank: u32,
    /// The operation that added it; `None` for a senior.
    pub add: Option<OpId>,
    /// What it is called in the circle.
    pub label: Option<Label>,
    /// Who added it; `None` for a senior.
    pub added_by: Option<NodeKey>,
    /// An operation that added it and to which it has not agreed: for an invited key how it may
    /// come in, for a member a further membership, such as one with another role.
    pub offered: Option<OpId>,
    /// Whether `offered` takes the place of a membership to which it had agreed, so that its node
    /// agrees without asking: its own author has ended the other one afterwards.
    pub renews: bool,
}

/// Whether a key has agreed to be a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It was added and has not agreed.
    Invited,
    /// It has.
    Member,
}

/// A generation of the circle's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u32,
    /// `BLAKE2b-256` of the secret.
    pub commitment: [u8; 32],
    /// Who made it.
    pub author: NodeKey,
}

/// One membership: an operation that adds a key, or a senior's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) id: OpId,
    pub(super) member: NodeKey,
    pub(super) role: Role,
    pub(super) rank: u32,
    pub(super) label: Option<Label>,
    /// Who added it, and with which number; `None` for a senior.
    pub(super) added: Option<(NodeKey, u32)>,
    /// The first number of the member's operations that counts, and the last.
    pub(super) from: u32,
    pub(super) cutoff: u32,
    pub(super) accepted: bool,
    pub(super) end: Option<End>,
}

/// An invite with a use left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenInvite {
    pub(super) author: NodeKey,
    pub(super) role: Role,
    pub(super) left: u32,
}

/// What ended a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) by: NodeKey,
    pub(super) seq: u32,
}

impl Claim {
    /// The place of the senior with this rank.
    pub(super) fn of_senior(member: NodeKey, rank: u32) -> Self {
        Self {
            id: OpId::of_senior(&member),
            member,
            role: Role::Admin,
            rank,
            label: None,
            added: None,
            from: 1,
            cutoff: u32::MAX,
            accepted: true,
            end: None,
        }
    }

    pub(super) const fn covers(&self, seq: u32) -> bool {
        self.from <= seq && seq <= self.cutoff
    }

    /// The operation that added it; `None` for a senior.
    pub(super) fn add(&self) -> Option<OpId> {
        self.added.map(|_| self.id)
    }
}

impl View {
    /// Whether the key has agreed to be a member, and is one.
    #[must_use]
    pub fn is_member(&self, key: &NodeKey) -> bool {
        self.members.get(key).is_some_and(|member| member.state == State::Member)
    }

    /// Whether the key is a member that may add and remove others, or the key on paper.
    #[must_use]
    pub fn is_admin(&self, key: &NodeKey) -> bool {
        self.admin_rank(key).is_some()
    }

    /// Whether the key is one of those with whom the circle began, and still is a member or the
    /// key on paper.
    #[must_use]
    pub fn is_senior(&self, key: &NodeKey) -> bool {
        self.current(key).any(|claim| claim.added.is_none())
    }

    /// Whether `by` can remove `whom`, a member or an invited key: itself always, others if it is
    /// an admin of a smaller rank.
    #[must_use]
    pub fn can_remove(&self, by: &NodeKey, whom: &NodeKey) -> bool {
        if by == whom {
            return self.current(whom).next().is_some();
        }
        let lowest = self.current(whom).map(|claim| claim.rank).min();
        self.admin_rank(by).is_some_and(|rank| lowest.is_some_and(|lowest| rank < lowest))
    }

    /// How many more guests the invite lets in; 0 for one that is not known.
    #[must_use]
    pub fn invite_uses_left(&self, invite: &OpId) -> u32 {
        self.invites.get(invite).map_or(0, |invite| invite.left)
    }

    /// Whether the operation has an effect, or had one before others took its place.
    #[must_use]
    pub fn counts(&self, operation: &OpId) -> bool {
        self.counting.contains_key(operation)
    }

    /// The smallest rank in which the key is an admin now.
    pub(super) fn admin_rank(&self, key: &NodeKey) -> Option<u32> {
        self.current(key)
            .filter(|claim| claim.role == Role::Admin && claim.accepted)
            .map(|claim| claim.rank)
            .min()
    }

    /// The memberships of the key that are not over.
    pub(super) fn current(&self, key: &NodeKey) -> impl Iterator<Item = &Claim> {
        let key = *key;
        self.claims.values().filter(move |claim| claim.member == key && claim.end.is_none())
    }

    /// Members, invited keys and the key on paper that may add and remove.
    pub(super) fn admins(&self) -> usize {
        let admins: BTreeSet<_> = self
            .claims
            .values()
            .filter(|claim| claim.role == Role::Admin && claim.end.is_none())
            .map(|claim| claim.member)
            .collect();
        admins.len()
    }
}
