//! The rules of `docs/circles.md` once more, word by word and without a thought about cost.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use planetary_proto::NodeKey;

use super::super::{Kind, Label, OpId, Operation, Role, State, View};

/// What the rules say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) name: Label,
    pub(super) members: BTreeMap<NodeKey, (State, Role, u32, Option<OpId>)>,
    pub(super) forked: BTreeSet<NodeKey>,
    pub(super) generation: Option<(u32, [u8; 32])>,
    pub(super) paper: Option<NodeKey>,
}

impl Answer {
    /// The same of a view.
    pub(super) fn of(view: &View) -> Self {
        let members = view
            .members
            .iter()
            .map(|(key, member)| (*key, (member.state, member.role, member.rank, member.add)));
        Self {
            name: view.name.clone(),
            members: members.collect(),
            forked: view.forked.clone(),
            generation: view.generation.map(|last| (last.number, last.commitment)),
            paper: view.paper,
        }
    }
}

struct Place {
    id: OpId,
    member: NodeKey,
    role: Role,
    rank: u32,
    from: u32,
    cutoff: u32,
    over: bool,
    senior: bool,
}

/// Rule 1: operations up to the first number with none, with two, or with another predecessor.
fn sound(circle: OpId, all: &[Operation]) -> (Vec<&Operation>, BTreeSet<NodeKey>) {
    let (mut sound, mut forked) = (Vec::new(), BTreeSet::new());
    for author in all.iter().map(Operation::author).collect::<BTreeSet<_>>() {
        let mut prev = circle;
        for seq in 1.. {
            let here: BTreeMap<OpId, &Operation> = all
                .iter()
                .filter(|one| one.author() == author && one.seq() == seq)
                .map(|one| (one.id(), one))
                .collect();
            if here.len() > 1 {
                forked.insert(author);
            }
            let Some((id, one)) = here.first_key_value().filter(|_| here.len() == 1) else { break };
            if one.prev() != prev {
                forked.insert(author);
                break;
            }
            prev = *id;
            sound.push(*one);
        }
    }
    (sound, forked)
}

/// Rule 2: the smallest rank below `below` in which the author was an admin when it said this.
fn rank_of(operation: &Operation, places: &[Place], below: u32) -> Option<u32> {
    places
        .iter()
        .filter(|place| place.rank < below && place.role == Role::Admin)
        .filter(|place| place.member == operation.author())
        .filter(|place| place.from <= operation.seq() && operation.seq() <= place.cutoff)
        .map(|place| place.rank)
        .min()
}

/// Whether the invite that an addition names, if any, lets its member in.
fn invited(addition: &Operation, sound: &[&Operation]) -> bool {
    let Kind::Add { via: Some(via), role, .. } = addition.kind() else { return true };
    let before = || {
        sound.iter().filter(|one| one.author() == addition.author() && one.seq() < addition.seq())
    };
    let Some(invite) = before().find(|one| one.id() == *via) else { return false };
    let Kind::Invite { uses, role: invited, .. } = invite.kind() else { return false };
    let used = before().filter(|one| match one.kind() {
        Kind::Add { via: other, role, .. } => {
            *other == Some(*via) && role == invited && one.seq() > invite.seq()
        }
        _ => false,
    });
    invited == role && used.count() < *uses as usize
}

/// Rule 3: the last number that counts, and whether the membership is over.
fn close(place: &mut Place, sound: &[&Operation], places: &[Place]) {
    for one in sound.iter().filter(|one| one.author() != place.member) {
        if let Kind::Remove { add, cutoff, .. } = one.kind()
            && *add == place.id
            && rank_of(one, places, place.rank).is_some()
        {
            place.cutoff = place.cutoff.min(*cutoff);
            place.over = true;
        }
    }
    let left = sound.iter().filter(|one| {
        matches!(one.kind(), Kind::Remove { add, .. } if *add == place.id)
            && one.author() == place.member
            && place.from <= one.seq()
            && one.seq() <= place.cutoff
    });
    if let Some(seq) = left.map(|one| one.seq()).min() {
        place.cutoff = seq;
        place.over = true;
    }
}

/// What the operations amount to, in whatever order they are.
pub(super) fn answer(genesis: &Operation, all: &[Operation]) -> Answer {
    let Kind::Genesis { name, seniors, paper, .. } = genesis.kind() else { unreachable!() };
    let (sound, forked) = sound(genesis.id(), all);
    let mut places: Vec<Place> = Vec::new();
    for rank in 0..(seniors.len() + sound.len()) as u32 {
        let mut here = Vec::new();
        if let Some(senior) = seniors.get(rank as usize) {
            here.push(Place {
                id: OpId::of_senior(senior),
                member: *senior,
                role: Role::Admin,
                rank,
                from: 1,
                cutoff: u32::MAX,
                over: false,
                senior: true,
            });
        }
        for one in &sound {
            let Kind::Add { member, role, from, .. } = one.kind() else { continue };
            let by = rank_of(one, &places, rank);
            if by.map(|by| (by + 1).max(seniors.len() as u32)) != Some(rank)
                || *member == one.author()
                || !invited(one, &sound)
            {
                continue;
            }
            here.push(Place {
                id: one.id(),
                member: *member,
                role: *role,
                rank,
                from: *from,
                cutoff: u32::MAX,
                over: false,
                senior: false,
            });
        }
        here.iter_mut().for_each(|place| close(place, &sound, &places));
        places.extend(here);
    }
    let paper = paper.then_some(seniors[0]);
    let paper_stays =
        places.iter().any(|place| Some(place.member) == paper && place.senior && !place.over);
    Answer {
        name: last_name(&sound, &places).unwrap_or_else(|| name.clone()),
        members: members(&sound, &places, paper),
        forked,
        generation: generation(&sound, &places),
        paper: paper.filter(|_| paper_stays),
    }
}

/// Rule 4.
fn members(
    sound: &[&Operation],
    places: &[Place],
    paper: Option<NodeKey>,
) -> BTreeMap<NodeKey, (State, Role, u32, Option<OpId>)> {
    let agreed = |place: &Place| {
        place.senior
            || sound.iter().any(|one| {
                matches!(one.kind(), Kind::Accept { add, .. } if *add == place.id)
                    && one.author() == place.member
                    && place.from <= one.seq()
                    && one.seq() <= place.cutoff
            })
    };
    let mut members = BTreeMap::new();
    for key in places.iter().map(|place| place.member).collect::<BTreeSet<_>>() {
        let current = || places.iter().filter(|place| place.member == key && !place.over);
        let best = |places: Vec<&Place>| {
            places
                .iter()
                .min_by_key(|place| (place.rank, place.id))
                .map(|first| (first.rank, (!first.senior).then_some(first.id), first.role))
        };
        let agreed: Vec<_> = current().filter(|place| agreed(place)).collect();
        let most = agreed.iter().map(|place| place.role).max();
        let member = match (best(agreed), best(current().collect())) {
            (Some((rank, add, _)), _) => most.map(|role| (State::Member, role, rank, add)),
            (None, Some((rank, add, role))) => Some((State::Invited, role, rank, add)),
            (None, None) => None,
        };
        if let Some(member) = member.filter(|_| Some(key) != paper) {
            members.insert(key, member);
        }
    }
    members
}

fn last_name(sound: &[&Operation], places: &[Place]) -> Option<Label> {
    let names = sound.iter().filter_map(|one| {
        let Kind::Meta { name: Some(name), .. } = one.kind() else { return None };
        let rank = rank_of(one, places, u32::MAX)?;
        Some(((rank, Reverse(one.seq()), one.id()), name))
    });
    names.min_by_key(|(order, _)| *order).map(|(_, name)| name.clone())
}

fn generation(sound: &[&Operation], places: &[Place]) -> Option<(u32, [u8; 32])> {
    let commitments = |number: u32| {
        sound.iter().filter_map(move |one| match one.kind() {
            Kind::Key { generation, commitment } if *generation == number => {
                rank_of(one, places, u32::MAX).map(|_| *commitment)
            }
            _ => None,
        })
    };
    (1..).map_while(|number| commitments(number).min().map(|lowest| (number, lowest))).last()
}
