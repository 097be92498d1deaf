//! Each rule of `docs/circles.md`, and what follows from it.

use planetary_proto::NodeKey;

use super::{
    super::{Draft, Kind, Log, LogError, OpId, Role, RuleError, State, body::BodyError},
    admit, circle, expel, force, forge, key, merged, offer, write,
};
use crate::limits::{ADMINS_MAX, MEMBERS_MAX, OPERATIONS_OF_STRANGERS_MAX, SEQUENCE_GAP_MAX};

fn add(who: usize, role: Role, from: u32) -> Kind {
    Kind::Add { member: key(who), role, label: None, from, via: None }
}

fn remove(add: OpId, cutoff: u32) -> Kind {
    Kind::Remove { add, cutoff, reason: "".parse().unwrap() }
}

fn meta(name: &str) -> Kind {
    Kind::Meta { name: Some(name.parse().unwrap()), suggested: None }
}

fn is_member(log: &Log, who: usize) -> bool {
    log.view().is_member(&key(who))
}

#[test]
fn seniors_are_members_from_the_beginning_and_a_key_on_paper_is_none() {
    let view = circle(&[0, 1], false).view().clone();
    assert_eq!(view.members[&key(0)].rank, 0);
    assert_eq!(view.members[&key(1)].rank, 1);
    assert!(view.members.values().all(|one| one.state == State::Member && one.role == Role::Admin));
    assert_eq!(view.paper, None);

    let view = circle(&[0, 1], true).view().clone();
    assert_eq!(view.members.keys().collect::<Vec<_>>(), [&key(1)]);
    assert_eq!(view.paper, Some(key(0)));
    assert!(view.is_admin(&key(0)) && view.is_senior(&key(0)) && !view.is_member(&key(0)));
}

#[test]
fn who_is_added_has_a_rank_more_than_who_adds_and_at_least_the_number_of_seniors() {
    let mut log = circle(&[0, 1, 2], false);
    admit(&mut log, 0, 3, Role::Admin);
    admit(&mut log, 2, 4, Role::Admin);
    admit(&mut log, 3, 5, Role::Member);
    let rank = |who| log.view().members[&key(who)].rank;
    assert_eq!([rank(3), rank(4), rank(5)], [3, 3, 4]);
}

#[test]
fn nobody_is_a_member_without_agreeing() {
    let mut log = circle(&[0], false);
    let add = offer(&mut log, 0, 1, Role::Member);
    let invited = &log.view().members[&key(1)];
    assert_eq!((invited.state, invited.offered), (State::Invited, Some(add)));
    // Somebody else's word, and a word about nothing, are none.
    force(&mut log, 2, &Kind::Accept { add, proof: None });
    let nothing = log.id().genesis();
    force(&mut log, 1, &Kind::Accept { add: nothing, proof: None });
    assert!(!is_member(&log, 1));
    write(&mut log, 1, Kind::Accept { add, proof: None }).unwrap();
    assert!(is_member(&log, 1));
    assert_eq!(log.view().members[&key(1)].offered, None);
}

#[test]
fn an_invited_key_declines() {
    let mut log = circle(&[0], false);
    offer(&mut log, 0, 1, Role::Member);
    expel(&mut log, 1, 1);
    assert!(!log.view().members.contains_key(&key(1)));
    assert_eq!(log.view().past[&key(1)], key(1));
}

#[test]
fn members_that_are_no_admins_change_nothing() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Member);
    let before = log.view().clone();
    for kind in [
        add(2, Role::Member, 1),
        remove(OpId::of_senior(&key(0)), 0),
        meta("Mine"),
        Kind::Key { generation: 1, commitment: [1; 32] },
    ] {
        assert_eq!(write(&mut log, 1, kind.clone()), Err(RuleError::NotAdmin));
        force(&mut log, 1, &kind);
    }
    let after = log.view();
    assert_eq!((&after.members, &after.name), (&before.members, &before.name));
    assert_eq!(after.generation, None);
}

#[test]
fn a_removal_beats_what_the_removed_says_at_the_same_time() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    let mut theirs = log.clone();
    expel(&mut log, 0, 1);
    // The removed does not know yet, or does not want to: all of it vanishes.
    admit(&mut theirs, 1, 2, Role::Admin);
    admit(&mut theirs, 2, 3, Role::Member);
    write(&mut theirs, 1, meta("Mine")).unwrap();
    assert!(is_member(&theirs, 3));
    let whole = merged(&[&log, &theirs]);
    let members: Vec<_> = whole.view().members.keys().copied().collect();
    assert_eq!(members, [key(0)]);
    assert_eq!(whole.view().name.as_str(), "Family");
    assert_eq!(whole.view().past[&key(1)], key(0));
}

#[test]
fn what_was_said_before_the_removal_stays() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    admit(&mut log, 1, 2, Role::Member);
    expel(&mut log, 0, 1);
    assert!(is_member(&log, 2) && !is_member(&log, 1));
    assert_eq!(log.view().members[&key(2)].rank, 2);
}

/// Numbers up to the cutoff are taken, so there is none under which something new would count.
#[test]
fn nobody_can_date_back() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    write(&mut log, 1, meta("Before")).unwrap();
    expel(&mut log, 0, 1);
    let cutoff = log.tip(&key(1)).0;
    force(&mut log, 1, &add(2, Role::Member, 1));
    assert!(!log.view().members.contains_key(&key(2)));
    // Under a number that is taken it is a fork, and voids what was said, too.
    let forged = forge(&log, 1, cutoff, log.id().genesis(), &add(2, Role::Member, 1));
    log.insert(forged).unwrap();
    assert!(!log.view().members.contains_key(&key(2)));
    assert_eq!(log.view().name.as_str(), "Family");
    assert!(log.view().forked.contains(&key(1)));
}

#[test]
fn equals_cannot_remove_each_other_and_inferiors_cannot_remove_superiors() {
    let mut log = circle(&[0], false);
    let first = admit(&mut log, 0, 1, Role::Admin);
    let second = admit(&mut log, 0, 2, Role::Admin);
    let below = admit(&mut log, 1, 3, Role::Admin);
    for (by, add) in [(1, second), (2, first), (3, first), (1, OpId::of_senior(&key(0)))] {
        assert_eq!(write(&mut log, by, remove(add, 0)), Err(RuleError::Outranked));
        force(&mut log, by, &remove(add, 0));
    }
    assert!((0..4).all(|who| is_member(&log, who)));
    let view = log.view();
    assert!(!view.can_remove(&key(1), &key(2)) && !view.can_remove(&key(3), &key(1)));
    // Whoever stands above somebody removes him, whoever added him.
    assert!(view.can_remove(&key(2), &key(3)) && view.can_remove(&key(0), &key(3)));
    write(&mut log, 2, remove(below, 9)).unwrap();
    assert!(!is_member(&log, 3));
}

#[test]
fn the_last_senior_cannot_be_removed_but_can_leave() {
    let mut log = circle(&[0, 1], false);
    admit(&mut log, 1, 2, Role::Admin);
    expel(&mut log, 0, 1);
    assert!(!is_member(&log, 1));
    assert!((1..3).all(|by| !log.view().can_remove(&key(by), &key(0))));
    expel(&mut log, 0, 0);
    assert_eq!(log.view().members.keys().collect::<Vec<_>>(), [&key(2)]);
}

#[test]
fn who_leaves_keeps_what_it_said_whatever_cutoff_it_gives() {
    let mut log = circle(&[0], false);
    let first = admit(&mut log, 0, 1, Role::Admin);
    admit(&mut log, 1, 2, Role::Member);
    write(&mut log, 1, remove(first, 0)).unwrap();
    assert!(is_member(&log, 2) && !is_member(&log, 1));
    force(&mut log, 1, &meta("Mine"));
    assert_eq!(log.view().name.as_str(), "Family");
    assert_eq!(log.view().past[&key(1)], key(1));
}

#[test]
fn who_was_removed_comes_back_with_a_higher_from() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    expel(&mut log, 0, 1);
    // Said after the removal: it does not come back either.
    force(&mut log, 1, &add(2, Role::Member, 1));
    admit(&mut log, 0, 1, Role::Admin);
    assert!(is_member(&log, 1) && !log.view().members.contains_key(&key(2)));
    admit(&mut log, 1, 3, Role::Member);
    assert!(is_member(&log, 3));
}

#[test]
fn adding_twice_is_harmless() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    let mut other = log.clone();
    let low = admit(&mut log, 0, 2, Role::Member);
    let high = admit(&mut other, 1, 2, Role::Member);
    let _ = high;
    // Both have agreed under one number: the same node would not, so it forks.
    let whole = merged(&[&log, &other]);
    assert_eq!(whole.view().members[&key(2)].state, State::Invited);

    // What really happens: it agrees to one, then to the other.
    let mut whole = log.clone();
    let again = force(&mut whole, 1, &add(2, Role::Member, 2));
    write(&mut whole, 2, Kind::Accept { add: again.id(), proof: None }).unwrap();
    let member = &whole.view().members[&key(2)];
    assert_eq!((member.rank, member.add), (1, Some(low)));
    // To be out, both memberships must end.
    assert_eq!(expel(&mut whole, 0, 2).len(), 2);
    assert!(!is_member(&whole, 2));
}

#[test]
fn nobody_adds_itself() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    assert_eq!(write(&mut log, 1, add(1, Role::Admin, 1)), Err(RuleError::AlreadyMember));
    let own = force(&mut log, 1, &add(1, Role::Admin, 1));
    assert!(!log.view().counts(&own.id()));
    expel(&mut log, 0, 1);
    assert!(!is_member(&log, 1));
}

#[test]
fn a_role_changes_by_a_second_membership_to_which_its_node_agrees() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Member);
    for role in [Role::Admin, Role::Member] {
        let kinds = log.role_change(&key(0), &key(1), role);
        assert_eq!(kinds.len(), 2);
        for kind in kinds {
            write(&mut log, 0, kind).unwrap();
        }
        let member = &log.view().members[&key(1)];
        assert_eq!((member.state, member.role), (State::Invited, role));
        // It had agreed to the membership that this one replaces.
        assert!(member.renews);
        let accept = log.acceptance(&key(1), None).unwrap();
        write(&mut log, 1, accept).unwrap();
        let member = &log.view().members[&key(1)];
        assert_eq!((member.state, member.role), (State::Member, role));
    }
    // Who is removed and added again is asked anew.
    expel(&mut log, 0, 1);
    offer(&mut log, 0, 1, Role::Member);
    assert!(!log.view().members[&key(1)].renews);
}

#[test]
fn a_second_role_on_offer_leaves_the_first_until_it_is_taken() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Member);
    let more = offer(&mut log, 0, 1, Role::Admin);
    let member = &log.view().members[&key(1)];
    assert_eq!((member.role, member.offered), (Role::Member, Some(more)));
    let accept = log.acceptance(&key(1), None).unwrap();
    write(&mut log, 1, accept).unwrap();
    assert_eq!(log.view().members[&key(1)].role, Role::Admin);
}

#[test]
fn an_invite_lets_in_as_often_as_it_says_with_its_role_and_by_its_author() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    let invite = Kind::Invite { token_hash: [1; 32], expires: 1, uses: 2, role: Role::Member };
    let invite = write(&mut log, 0, invite).unwrap().id();
    assert_eq!(log.view().invite_uses_left(&invite), 2);
    let by = |who: usize, role| Kind::Add {
        member: key(who),
        role,
        label: None,
        from: 1,
        via: Some(invite),
    };
    for (author, kind) in [(1, by(2, Role::Member)), (0, by(2, Role::Admin))] {
        assert_eq!(write(&mut log, author, kind.clone()), Err(RuleError::InviteUsed));
        let forced = force(&mut log, author, &kind);
        assert!(!log.view().counts(&forced.id()));
    }
    write(&mut log, 0, by(3, Role::Member)).unwrap();
    write(&mut log, 0, by(4, Role::Member)).unwrap();
    assert_eq!(log.view().invite_uses_left(&invite), 0);
    assert_eq!(write(&mut log, 0, by(5, Role::Member)), Err(RuleError::InviteUsed));
    force(&mut log, 0, &by(5, Role::Member));
    assert!(!log.view().members.contains_key(&key(5)));
}

#[test]
fn two_operations_under_one_number_void_that_number_and_all_later_ones() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    admit(&mut log, 1, 2, Role::Member);
    let (seq, prev) = log.tip(&key(1));
    write(&mut log, 1, meta("One")).unwrap();
    admit(&mut log, 1, 3, Role::Member);
    let other = forge(&log, 1, seq + 1, prev, &meta("Other"));
    log.insert(other).unwrap();
    let view = log.view();
    assert_eq!(view.name.as_str(), "Family");
    assert!(view.forked.contains(&key(1)) && log.is_forked(&key(1)));
    // What it said before counts, it stays a member, and it cannot go on.
    assert!(is_member(&log, 1) && is_member(&log, 2));
    assert!(!view.members.contains_key(&key(3)));
    assert_eq!(write(&mut log, 1, meta("More")), Err(RuleError::Forked));
    expel(&mut log, 0, 1);
    assert!(!is_member(&log, 1));
}

#[test]
fn a_chain_counts_up_to_its_first_gap_until_the_gap_is_filled() {
    let mut log = circle(&[0], false);
    let mut ahead = log.clone();
    let first = write(&mut ahead, 0, meta("One")).unwrap();
    let second = write(&mut ahead, 0, meta("Two")).unwrap();
    log.insert(second).unwrap();
    assert!(log.has_gaps());
    assert_eq!(log.view().name.as_str(), "Family");
    log.insert(first).unwrap();
    assert!(!log.has_gaps());
    assert_eq!(log.view().name.as_str(), "Two");
}

#[test]
fn the_name_is_the_smallest_ranks_then_the_highest_numbers() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    write(&mut log, 1, meta("Low")).unwrap();
    assert_eq!(log.view().name.as_str(), "Low");
    write(&mut log, 0, meta("High")).unwrap();
    write(&mut log, 0, meta("Higher")).unwrap();
    assert_eq!(log.view().name.as_str(), "Higher");
    assert_eq!(write(&mut log, 1, meta("Low again")), Err(RuleError::Outranked));
    force(&mut log, 1, &meta("Low again"));
    assert_eq!(log.view().name.as_str(), "Higher");
    // What is suggested has a history of its own.
    let suggested = vec!["tcp/22".parse().unwrap()];
    write(&mut log, 1, Kind::Meta { name: None, suggested: Some(suggested.clone()) }).unwrap();
    assert_eq!(log.view().suggested, suggested);
}

#[test]
fn of_two_generations_of_one_number_the_lowest_commitment_wins_and_none_is_skipped() {
    let mut log = circle(&[0, 1], false);
    let generation = |number, byte| Kind::Key { generation: number, commitment: [byte; 32] };
    assert_eq!(write(&mut log, 0, generation(2, 9)), Err(RuleError::Generation));
    let mut other = log.clone();
    write(&mut log, 0, generation(1, 9)).unwrap();
    write(&mut other, 1, generation(1, 4)).unwrap();
    let mut whole = merged(&[&log, &other]);
    let last = whole.view().generation.unwrap();
    assert_eq!((last.number, last.commitment, last.author), (1, [4; 32], key(1)));
    force(&mut whole, 0, &generation(u32::MAX, 0));
    assert_eq!(whole.view().generation, Some(last));
    write(&mut whole, 0, generation(2, 9)).unwrap();
    assert_eq!(whole.view().generation.unwrap().number, 2);
}

#[test]
fn a_circle_has_no_more_members_and_admins_than_it_may() {
    let mut log = circle(&[0], false);
    let strangers = |count: usize| {
        (0..count).map(|at| {
            let mut bytes = *key(1).as_bytes();
            bytes[..8].copy_from_slice(&(at as u64).to_be_bytes());
            NodeKey::from_bytes(bytes)
        })
    };
    // Half of these are no keys at all, which only a draft looks at.
    let add = |member, role| Kind::Add { member, role, label: None, from: 1, via: None };
    for stranger in strangers(ADMINS_MAX - 1) {
        force(&mut log, 0, &add(stranger, Role::Admin));
    }
    assert_eq!(write(&mut log, 0, add(key(2), Role::Admin)), Err(RuleError::TooManyAdmins));
    for stranger in strangers(MEMBERS_MAX + 9).skip(ADMINS_MAX - 1) {
        force(&mut log, 0, &add(stranger, Role::Member));
    }
    assert_eq!(log.view().members.len(), MEMBERS_MAX);
    assert!(is_member(&log, 0), "the smallest rank goes last");
    assert_eq!(write(&mut log, 0, add(key(2), Role::Member)), Err(RuleError::TooManyMembers));
}

#[test]
fn a_log_takes_little_of_authors_whom_nobody_has_added_and_nothing_far_ahead() {
    let mut log = circle(&[0], false);
    let mut prev = log.id().genesis();
    for seq in 1..=OPERATIONS_OF_STRANGERS_MAX as u32 {
        let operation = forge(&log, 1, seq, prev, &meta("Flood"));
        prev = operation.id();
        log.insert(operation).unwrap();
    }
    let next = forge(&log, 1, 1 + OPERATIONS_OF_STRANGERS_MAX as u32, prev, &meta("Flood"));
    assert_eq!(log.insert(next.clone()), Err(LogError::Full));
    let far = forge(&log, 0, SEQUENCE_GAP_MAX + 1, prev, &meta("Far"));
    assert_eq!(log.insert(far), Err(LogError::TooFarAhead));
    // Once it is added, there is room for it.
    offer(&mut log, 0, 1, Role::Member);
    assert!(log.names(&key(1)));
    log.insert(next).unwrap();
    let other = circle(&[2], false);
    assert_eq!(log.insert(forge(&other, 2, 1, prev, &meta("x"))), Err(LogError::OtherCircle));
}

#[test]
fn who_floods_a_log_can_still_be_removed() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Member);
    let (mut seq, mut prev) = log.tip(&key(1));
    let full = loop {
        seq += 1;
        let flood = forge(&log, 1, seq, prev, &meta("Flood"));
        prev = flood.id();
        if let Err(error) = log.insert(flood) {
            break error;
        }
    };
    assert_eq!(full, LogError::Full);
    expel(&mut log, 0, 1);
    assert!(!is_member(&log, 1));
}

#[test]
fn drafts_of_impossible_values_are_refused() {
    let log = circle(&[0], false);
    let genesis = |seniors: &[usize], paper| {
        let seniors = seniors.iter().map(|who| key(*who)).collect();
        Draft::genesis("x".parse().unwrap(), seniors, [0; 16], paper).map(|_| ())
    };
    assert_eq!(genesis(&[0, 1, 2, 3], true), Ok(()));
    for (seniors, paper) in
        [(&[][..], false), (&[0, 0], false), (&[0], true), (&[0, 1, 2, 3, 4], false)]
    {
        assert_eq!(genesis(seniors, paper), Err(RuleError::Body(BodyError::Value)), "{seniors:?}");
    }
    let draft = |kind| Draft::new(&log, key(0), kind).map(|_| ());
    assert_eq!(
        draft(Kind::Meta { name: None, suggested: None }),
        Err(RuleError::Body(BodyError::Value))
    );
    assert_eq!(draft(add(1, Role::Member, 0)), Err(RuleError::Body(BodyError::Value)));
    let weak = NodeKey::from_bytes([0; 32]);
    assert_eq!(draft(log.addition(weak, Role::Member, None, None)), Err(RuleError::WeakKey));
    assert_eq!(draft(remove(log.id().genesis(), 0)), Err(RuleError::NoMembership));
    assert_eq!(draft(add(0, Role::Admin, 1)), Err(RuleError::AlreadyMember));
}

#[test]
fn an_operation_that_names_another_predecessor_proves_a_fork_as_well() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    let (seq, _) = log.tip(&key(1));
    let branch = forge(&log, 1, seq + 1, log.id().genesis(), &meta("Other"));
    log.insert(branch).unwrap();
    assert!(log.view().forked.contains(&key(1)) && is_member(&log, 1));
    assert_eq!(write(&mut log, 1, meta("More")), Err(RuleError::Forked));
}
