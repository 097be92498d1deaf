//! Who is a member: a pure function of the set of operations.
//!
//! No clock decides anything, nor does the order in which operations came. Memberships are settled
//! by rank, from low to high. What settles one, the operation that adds it and those that remove
//! it, has authors of smaller ranks, and those are settled already; so it always ends, and nobody's
//! word counts against who stands above him.
//!
//! 1. An author's chain counts as far as it is sound (`chain.rs`).
//! 2. A membership is one ADD, or a senior's place, with the interval of its member's numbers from
//!    `from` to the smallest cutoff of the REMOVEs that count against it. An operation counts if
//!    its number lies in the interval of an admin's membership of its author; its rank is then the
//!    smallest such membership's. ACCEPT and leaving need only the membership they name.
//! 3. An ADD makes a membership of its rank plus one, at least the number of seniors. It does not
//!    count for its own author, nor if it names an invite that its author has not made before, with
//!    the same role and with a use left. A REMOVE counts if its rank is smaller than the
//!    membership's. Who removes itself keeps what it said up to then, whatever cutoff it gives.
//! 4. A key is a member if one of its memberships was accepted and not removed.
//!
//! Source: `research/beyond.md` section 4.3; all rules, with what follows from them, are in
//! `docs/circles.md`.

use std::collections::{BTreeMap, BTreeSet};

use planetary_proto::NodeKey;

use super::{
    Log,
    body::{Kind, Role},
    checkpoint::Standing,
    label::Label,
    operation::{OpId, Operation},
    suggestion::Suggestion,
    view::{Claim, End, Generation, Membership, OpenInvite, State, View},
};
use crate::limits::MEMBERS_MAX;

pub(super) fn evaluate(log: &Log) -> View {
    let mut evaluation = Evaluation::new(log);
    while let Some((_, claims)) = evaluation.pending.pop_first() {
        for claim in claims {
            evaluation.settle(claim);
        }
    }
    evaluation.finish()
}

struct Evaluation<'a> {
    log: &'a Log,
    seniors: u32,
    /// Memberships that wait for their turn, by rank.
    pending: BTreeMap<u32, Vec<Claim>>,
    settled: BTreeMap<OpId, Claim>,
    /// REMOVEs that count wherever their rank is small enough, by the membership they name.
    removals: BTreeMap<OpId, Vec<Removal>>,
    counting: BTreeMap<OpId, u32>,
    name: Chosen<Label>,
    suggested: Chosen<Vec<Suggestion>>,
    keys: BTreeMap<u32, Generation>,
}

struct Removal {
    rank: u32,
    by: NodeKey,
    seq: u32,
    cutoff: u32,
}

/// What was chosen last, and by which operation.
type Chosen<T> = Option<(Standing, T)>;

/// The smallest rank wins, then the latest number, then the smallest name.
fn choose<T: Clone>(chosen: &mut Chosen<T>, by: Standing, value: Option<&T>) {
    let order = |(rank, seq, id): Standing| (rank, core::cmp::Reverse(seq), id);
    if let Some(value) = value
        && chosen.as_ref().is_none_or(|(best, _)| order(by) < order(*best))
    {
        *chosen = Some((by, value.clone()));
    }
}

impl<'a> Evaluation<'a> {
    fn new(log: &'a Log) -> Self {
        let seniors = log.seniors();
        let base = log.base();
        let begun: Vec<_> = match base {
            Some(base) => base.claims.values().cloned().collect(),
            None => {
                let ranked = (0..).zip(seniors);
                ranked.map(|(rank, key)| Claim::of_senior(*key, rank)).collect()
            }
        };
        let mut pending: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for claim in begun {
            pending.entry(claim.rank).or_default().push(claim);
        }
        let chosen = |by: Option<Standing>| by.and_then(|by| base.map(|base| (by, base)));
        let keys = base.and_then(|base| base.generation).map(|last| (last.number, last));
        Self {
            log,
            // At most `SENIORS_MAX`.
            seniors: seniors.len() as u32,
            pending,
            settled: BTreeMap::new(),
            removals: BTreeMap::new(),
            counting: BTreeMap::new(),
            name: chosen(base.and_then(|base| base.name_by))
                .map(|(by, base)| (by, base.name.clone())),
            suggested: chosen(base.and_then(|base| base.suggested_by))
                .map(|(by, base)| (by, base.suggested.clone())),
            keys: keys.into_iter().collect(),
        }
    }

    /// Settles a membership all of whose superiors are settled.
    fn settle(&mut self, mut claim: Claim) {
        let removals = self.removals.get(&claim.id).into_iter().flatten();
        let first = removals
            .filter(|removal| removal.rank < claim.rank && removal.by != claim.member)
            .min_by_key(|removal| (removal.cutoff, removal.rank, removal.by, removal.seq));
        if let Some(removal) = first
            && claim.end.is_none()
        {
            claim.cutoff = removal.cutoff;
            claim.end = Some(End { by: removal.by, seq: removal.seq });
        }
        let log = self.log;
        for operation in log.sound(&claim.member) {
            if !claim.covers(operation.seq()) {
                continue;
            }
            match operation.kind() {
                Kind::Accept { add, .. } if *add == claim.id => claim.accepted = true,
                Kind::Remove { add, .. } if *add == claim.id => {
                    claim.cutoff = operation.seq();
                    claim.end = Some(End { by: claim.member, seq: operation.seq() });
                }
                _ => continue,
            }
            self.counting.entry(operation.id()).or_insert(claim.rank);
        }
        if claim.role == Role::Admin {
            self.hear(&claim);
        }
        self.settled.insert(claim.id, claim);
    }

    /// Lets count what the admin of this membership has said, as far as no membership of a smaller
    /// rank has done so.
    fn hear(&mut self, claim: &Claim) {
        let log = self.log;
        let mut invites = Invites::of(log, &claim.member);
        for operation in log.sound(&claim.member) {
            let invited = invites.allow(operation);
            if !claim.covers(operation.seq()) || self.counting.contains_key(&operation.id()) {
                continue;
            }
            let counts = match operation.kind() {
                Kind::Add { .. } => invited && self.add(claim, operation),
                Kind::Remove { add, cutoff, .. } => {
                    self.removals.entry(*add).or_default().push(Removal {
                        rank: claim.rank,
                        by: claim.member,
                        seq: operation.seq(),
                        cutoff: *cutoff,
                    });
                    true
                }
                Kind::Meta { name, suggested } => {
                    let by = (claim.rank, operation.seq(), operation.id());
                    choose(&mut self.name, by, name.as_ref());
                    choose(&mut self.suggested, by, suggested.as_ref());
                    true
                }
                Kind::Key { generation, commitment } => {
                    let new = Generation {
                        number: *generation,
                        commitment: *commitment,
                        author: claim.member,
                    };
                    let known = self.keys.entry(*generation).or_insert(new);
                    if (new.commitment, new.author) < (known.commitment, known.author) {
                        *known = new;
                    }
                    true
                }
                Kind::Invite { .. } => true,
                Kind::Checkpoint { .. } => claim.added.is_none(),
                Kind::Accept { .. } | Kind::Genesis { .. } => false,
            };
            if counts {
                self.counting.insert(operation.id(), claim.rank);
            }
        }
    }

    /// Whether the membership that the operation adds may begin.
    fn add(&mut self, by: &Claim, operation: &Operation) -> bool {
        let Kind::Add { member, role, label, from, .. } = operation.kind() else { return false };
        if *member == by.member {
            return false;
        }
        let rank = by.rank.saturating_add(1).max(self.seniors);
        self.pending.entry(rank).or_default().push(Claim {
            id: operation.id(),
            member: *member,
            role: *role,
            rank,
            label: label.clone(),
            added: Some((by.member, operation.seq())),
            from: *from,
            cutoff: u32::MAX,
            accepted: false,
            end: None,
        });
        true
    }

    fn finish(self) -> View {
        let log = self.log;
        let name = self.name.as_ref().map_or(log.name(), |(_, name)| name).clone();
        let suggested = self.suggested.as_ref().map(|(_, list)| list.clone()).unwrap_or_default();
        // Generations count up by one: who skips some cannot keep others from going on.
        let first = log.base().and_then(|base| base.generation).map_or(1, |last| last.number);
        let generation = (first..).map_while(|number| self.keys.get(&number)).last().copied();
        let paper = self.log.paper().filter(|key| {
            self.settled.get(&OpId::of_senior(key)).is_some_and(|claim| claim.end.is_none())
        });
        View {
            name,
            suggested,
            members: members(&self.settled, self.log.paper()),
            past: past(&self.settled, self.log.paper()),
            forked: self.log.forked().collect::<BTreeSet<_>>(),
            generation,
            paper,
            name_by: self.name.map(|(by, _)| by),
            suggested_by: self.suggested.map(|(by, _)| by),
            invites: open_invites(log, &self.settled),
            claims: self.settled,
            counting: self.counting,
        }
    }
}

/// The invites that an author has made so far and that have a use left.
struct Invites(BTreeMap<OpId, OpenInvite>);

impl Invites {
    /// Those of which no operation of the author's chain tells: they lie before its base.
    fn of(log: &Log, author: &NodeKey) -> Self {
        let before = log.base().into_iter().flat_map(|base| &base.invites);
        let own = before.filter(|(_, invite)| invite.author == *author);
        Self(own.map(|(id, invite)| (*id, *invite)).collect())
    }

    /// Notes the author's next operation, and says whether the invite that it names, if any, lets
    /// somebody in.
    fn allow(&mut self, operation: &Operation) -> bool {
        match operation.kind() {
            Kind::Invite { uses, role, .. } => {
                let author = operation.author();
                self.0.insert(operation.id(), OpenInvite { author, role: *role, left: *uses });
                true
            }
            Kind::Add { via: Some(via), role, .. } => {
                let Some(invite) = self.0.get_mut(via) else { return false };
                if invite.role != *role {
                    return false;
                }
                invite.left -= 1;
                if invite.left == 0 {
                    self.0.remove(via);
                }
                true
            }
            _ => true,
        }
    }
}

/// The invites of all who ever were admins that have a use left.
fn open_invites(log: &Log, claims: &BTreeMap<OpId, Claim>) -> BTreeMap<OpId, OpenInvite> {
    let admins: BTreeSet<_> = claims
        .values()
        .filter(|claim| claim.role == Role::Admin)
        .map(|claim| claim.member)
        .collect();
    let mut open = BTreeMap::new();
    for admin in admins {
        let mut invites = Invites::of(log, &admin);
        for operation in log.sound(&admin) {
            invites.allow(operation);
        }
        open.append(&mut invites.0);
    }
    open
}

/// Members and invited keys, from all memberships; the key on paper is none of them.
fn members(
    claims: &BTreeMap<OpId, Claim>,
    paper: Option<NodeKey>,
) -> BTreeMap<NodeKey, Membership> {
    let mut current: Vec<_> = claims
        .values()
        .filter(|claim| claim.end.is_none() && Some(claim.member) != paper)
        .collect();
    current.sort_by_key(|claim| (claim.rank, claim.id));
    let mut members: BTreeMap<NodeKey, Membership> = BTreeMap::new();
    // Agreed ones first: they say what a key is, the others what it is offered besides.
    for claim in current.iter().filter(|claim| claim.accepted) {
        match members.get_mut(&claim.member) {
            Some(member) => member.role = member.role.max(claim.role),
            None => {
                members.insert(claim.member, membership(claim));
            }
        }
    }
    for claim in current.iter().filter(|claim| !claim.accepted) {
        let renews = renews(claims, claim);
        let member = members.entry(claim.member).or_insert_with(|| membership(claim));
        if member.offered.is_none() || (renews && !member.renews) {
            member.offered = Some(claim.id);
            member.renews = renews;
        }
    }
    if members.len() > MEMBERS_MAX {
        let mut order: Vec<_> =
            members.iter().map(|(key, member)| (member.rank, member.add, *key)).collect();
        order.sort();
        for (_, _, key) in &order[MEMBERS_MAX..] {
            members.remove(key);
        }
    }
    members
}

fn membership(claim: &Claim) -> Membership {
    Membership {
        state: if claim.accepted { State::Member } else { State::Invited },
        role: claim.role,
        rank: claim.rank,
        add: claim.add(),
        label: claim.label.clone(),
        added_by: claim.added.map(|(by, _)| by),
        offered: None,
        renews: false,
    }
}

/// Whether the membership takes the place of one that was accepted: who added it ended the other
/// afterwards.
fn renews(claims: &BTreeMap<OpId, Claim>, new: &Claim) -> bool {
    let Some((by, seq)) = new.added else { return false };
    claims.values().any(|old| {
        old.member == new.member
            && old.accepted
            && old.end.is_some_and(|end| end.by == by && end.seq > seq)
    })
}

/// Who is neither a member nor invited any more, and who ended the last of its memberships.
fn past(claims: &BTreeMap<OpId, Claim>, paper: Option<NodeKey>) -> BTreeMap<NodeKey, NodeKey> {
    let mut last: BTreeMap<NodeKey, &Claim> = BTreeMap::new();
    for claim in claims.values().filter(|claim| Some(claim.member) != paper) {
        let known = last.entry(claim.member).or_insert(claim);
        let weight = |claim: &Claim| (claim.end.is_none(), claim.from, claim.id);
        if weight(claim) > weight(known) {
            *known = claim;
        }
    }
    last.into_iter().filter_map(|(key, claim)| claim.end.map(|end| (key, end.by))).collect()
}
