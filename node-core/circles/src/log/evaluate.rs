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
    label::Label,
    operation::{OpId, Operation},
    suggestion::Suggestion,
    view::{Claim, End, Generation, Membership, State, View},
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
    uses: BTreeMap<OpId, u32>,
    metas: Vec<(Standing, &'a Option<Label>, &'a Option<Vec<Suggestion>>)>,
    keys: BTreeMap<u32, Generation>,
}

struct Removal {
    rank: u32,
    by: NodeKey,
    seq: u32,
    cutoff: u32,
}

/// What stands before what: by rank, then the latest, then by name. The smallest wins.
type Standing = (u32, core::cmp::Reverse<u32>, OpId);

impl<'a> Evaluation<'a> {
    fn new(log: &'a Log) -> Self {
        let seniors = log.seniors();
        let mut pending: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (rank, key) in (0..).zip(seniors) {
            pending.entry(rank).or_default().push(Claim::of_senior(*key, rank));
        }
        Self {
            log,
            // At most `SENIORS_MAX`.
            seniors: seniors.len() as u32,
            pending,
            settled: BTreeMap::new(),
            removals: BTreeMap::new(),
            counting: BTreeMap::new(),
            uses: BTreeMap::new(),
            metas: Vec::new(),
            keys: BTreeMap::new(),
        }
    }

    /// Settles a membership all of whose superiors are settled.
    fn settle(&mut self, mut claim: Claim) {
        let removals = self.removals.get(&claim.id).into_iter().flatten();
        let first = removals
            .filter(|removal| removal.rank < claim.rank && removal.by != claim.member)
            .min_by_key(|removal| (removal.cutoff, removal.rank, removal.by, removal.seq));
        if let Some(removal) = first {
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
        let mut invites = Invites::default();
        let log = self.log;
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
                    let latest = core::cmp::Reverse(operation.seq());
                    self.metas.push(((claim.rank, latest, operation.id()), name, suggested));
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
        let Kind::Add { member, role, label, from, via } = operation.kind() else { return false };
        if *member == by.member {
            return false;
        }
        if let Some(via) = via {
            *self.uses.entry(*via).or_default() += 1;
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

    fn finish(mut self) -> View {
        self.metas.sort_by_key(|(standing, ..)| *standing);
        let named = self.metas.iter().find_map(|(standing, name, _)| {
            name.as_ref().map(|name| ((standing.0, standing.1.0), name.clone()))
        });
        let suggests = self.metas.iter().find_map(|(standing, _, suggested)| {
            suggested.as_ref().map(|list| ((standing.0, standing.1.0), list.clone()))
        });
        let (name_by, name) = named.unwrap_or_else(|| ((u32::MAX, 0), self.log.name().clone()));
        let (suggested_by, suggested) = suggests.unwrap_or(((u32::MAX, 0), Vec::new()));
        // Generations count up by one: who skips some cannot keep others from going on.
        let generation = (1..).map_while(|number| self.keys.get(&number)).last().copied();
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
            name_by,
            suggested_by,
            claims: self.settled,
            uses: self.uses,
            counting: self.counting,
        }
    }
}

/// The invites that an author has made so far, and how often each was used.
#[derive(Default)]
struct Invites(BTreeMap<OpId, (Role, u32)>);

impl Invites {
    /// Notes the author's next operation, and says whether the invite that it names, if any, lets
    /// somebody in.
    fn allow(&mut self, operation: &Operation) -> bool {
        match operation.kind() {
            Kind::Invite { uses, role, .. } => {
                self.0.insert(operation.id(), (*role, *uses));
                true
            }
            Kind::Add { via: Some(via), role, .. } => match self.0.get_mut(via) {
                Some((invited, left)) if invited == role && *left > 0 => {
                    *left -= 1;
                    true
                }
                _ => false,
            },
            _ => true,
        }
    }
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
