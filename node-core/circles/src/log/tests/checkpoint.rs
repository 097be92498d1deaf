//! A log amounts to the same without what a checkpoint covers.

use proptest::prelude::*;

use super::{
    super::{Draft, Kind, Log, OpId, Role, State, checkpoint::Base},
    admit, circle, expel, force, identity, key, merged, offer, write,
};
use crate::limits::SEQUENCE_GAP_MAX;

fn set_checkpoint(log: &mut Log, senior: usize) -> OpId {
    let kinds = log.checkpoint(&key(senior)).unwrap();
    let parts = kinds.into_iter().map(|kind| write(log, senior, kind).unwrap().id());
    parts.last().unwrap()
}

/// A circle with some history.
fn lively() -> Log {
    let mut log = circle(&[0, 1], true);
    admit(&mut log, 1, 2, Role::Admin);
    admit(&mut log, 2, 3, Role::Member);
    admit(&mut log, 1, 4, Role::Member);
    expel(&mut log, 2, 3);
    offer(&mut log, 1, 5, Role::Member);
    let name = Some("Home".parse().unwrap());
    let suggested = Some(vec!["tcp/22".parse().unwrap()]);
    write(&mut log, 1, Kind::Meta { name, suggested }).unwrap();
    write(&mut log, 2, Kind::Key { generation: 1, commitment: [1; 32] }).unwrap();
    let invite = Kind::Invite { token_hash: [2; 32], expires: 1, uses: 3, role: Role::Member };
    let invite = write(&mut log, 1, invite).unwrap().id();
    let guest = log.addition(key(6), Role::Member, None, Some(invite));
    write(&mut log, 1, guest).unwrap();
    log
}

#[test]
fn what_is_covered_goes_and_everything_goes_on() {
    let mut full = lively();
    let checkpoint = set_checkpoint(&mut full, 1);
    assert_eq!(full.checkpoints(), [checkpoint]);
    let mut short = full.compacted(&checkpoint).unwrap();
    assert!(short.len() < full.len() && short.began_at() == Some(checkpoint));
    assert_eq!(short.heads(), full.heads());
    assert!(short.missing(&full.heads(), 99, 1 << 20).is_empty());
    assert!(full.missing(&short.heads(), 99, 1 << 20).is_empty());

    // Members agree, leave, are removed and invited in both alike.
    let invite = *short.view().invites.keys().next().unwrap();
    for log in [&mut full, &mut short] {
        assert_eq!(log.view().invite_uses_left(&invite), 2);
        let accept = log.acceptance(&key(5), None).unwrap();
        write(log, 5, accept).unwrap();
        expel(log, 0, 2);
        let guest = log.addition(key(7), Role::Member, None, Some(invite));
        write(log, 1, guest).unwrap();
        expel(log, 4, 4);
        write(log, 1, Kind::Key { generation: 2, commitment: [3; 32] }).unwrap();
        admit(log, 1, 3, Role::Admin);
    }
    assert_eq!(full.heads(), short.heads());
    assert_eq!(full.view().members, short.view().members);
    assert_eq!(full.view().generation, short.view().generation);
    assert_eq!(full.view().name, short.view().name);
    // A second checkpoint stands on the first.
    let second = set_checkpoint(&mut short, 1);
    let shorter = short.compacted(&second).unwrap();
    assert_eq!(shorter.view().members, full.view().members);
    assert_eq!(shorter.began_at(), Some(second));
}

#[test]
fn what_is_covered_does_not_come_back() {
    let mut full = lively();
    let checkpoint = set_checkpoint(&mut full, 1);
    let mut short = full.compacted(&checkpoint).unwrap();
    let before = short.view().clone();
    for operation in full.operations() {
        short.insert(operation.clone()).unwrap();
    }
    assert_eq!(short.view(), &before);
    assert!(short.len() < full.len());
}

#[test]
fn a_checkpoint_that_lies_lets_nothing_go() {
    let log = lively();
    let state = |change: fn(&mut Base)| {
        let mut log = log.clone();
        let Some(Kind::Checkpoint { state, .. }) =
            log.checkpoint(&key(1)).map(|mut kinds| kinds.remove(0))
        else {
            panic!("no checkpoint");
        };
        // The whole of it: one part holds the first bytes only.
        let mut whole = state;
        for kind in log.checkpoint(&key(1)).unwrap().into_iter().skip(1) {
            let Kind::Checkpoint { state, .. } = kind else { panic!("{kind:?}") };
            whole.extend(state);
        }
        let mut base = Base::parse(&whole).unwrap();
        change(&mut base);
        let bytes = base.emit();
        let parts = bytes.chunks(1_000).len() as u32;
        let last = (0..).zip(bytes.chunks(1_000)).map(|(part, state)| {
            force(&mut log, 1, &Kind::Checkpoint { part, parts, state: state.to_vec() }).id()
        });
        let last = last.last().unwrap();
        log.compacted(&last).is_some()
    };
    assert!(state(|_| ()));
    assert!(!state(|base| drop(base.claims.pop_first())));
    assert!(!state(|base| base.claims.values_mut().for_each(|claim| claim.role = Role::Admin)));
    assert!(!state(|base| base.name = "Another".parse().unwrap()));
    assert!(!state(|base| base.heads.values_mut().for_each(|(seq, _)| *seq += 1)));
    assert!(!state(|base| base.generation = None));
    assert!(!state(|base| base.invites.clear()));
}

#[test]
fn only_seniors_set_checkpoints() {
    let mut log = lively();
    assert!(log.checkpoint(&key(2)).is_none());
    let kinds = log.checkpoint(&key(1)).unwrap();
    let last = kinds.iter().map(|kind| force(&mut log, 2, kind).id()).last().unwrap();
    assert!(log.checkpoints().is_empty() && log.compacted(&last).is_none());
}

#[test]
fn what_reaches_behind_a_checkpoint_keeps_it_from_letting_go() {
    let mut log = lively();
    let mut above = log.clone();
    // Unseen by the checkpoint, somebody above voids what it builds on.
    let add = above.view().members[&key(2)].add.unwrap();
    let reason = "".parse().unwrap();
    write(&mut above, 0, Kind::Remove { add, cutoff: 1, reason }).unwrap();
    let checkpoint = set_checkpoint(&mut log, 1);
    assert!(log.compacted(&checkpoint).is_some());
    let whole = merged(&[&log, &above]);
    assert!(whole.compacted(&checkpoint).is_none());
}

#[test]
fn whoever_was_away_for_long_goes_on_from_a_checkpoint_of_a_senior() {
    let mut away = lively();
    let mut full = away.clone();
    for number in 0..SEQUENCE_GAP_MAX + 50 {
        let name = Some(number.to_string().parse().unwrap());
        write(&mut full, 1, Kind::Meta { name, suggested: None }).unwrap();
    }
    admit(&mut full, 1, 3, Role::Member);
    let checkpoint = set_checkpoint(&mut full, 1);
    let short = full.compacted(&checkpoint).unwrap();
    assert!(!away.adopt_checkpoint(), "there is none");
    for operation in short.missing(&away.heads(), 9_999, 1 << 20) {
        // Some lie too far ahead until the checkpoint is taken.
        let _ = away.insert(operation.clone());
    }
    assert!(away.has_gaps());
    assert!(!away.heads().iter().any(|head| short.lacks(head)));
    assert!(away.adopt_checkpoint());
    for operation in short.missing(&away.heads(), 9_999, 1 << 20) {
        away.insert(operation.clone()).unwrap();
    }
    assert_eq!(away.heads(), short.heads());
    assert_eq!(away.view().members, full.view().members);
    assert!(!away.adopt_checkpoint(), "there is nothing new in it");

    // A guest that has nothing but the first operation does the same.
    let mut guest = Log::new(full.genesis().clone()).unwrap();
    for operation in short.missing(&guest.heads(), 9_999, 1 << 20) {
        let _ = guest.insert(operation.clone());
    }
    assert!(guest.adopt_checkpoint());
    assert_eq!(guest.view().members, full.view().members);
}

#[test]
fn a_removed_seniors_checkpoint_is_not_taken() {
    let mut log = lively();
    let mut theirs = log.clone();
    expel(&mut log, 0, 1);
    let name = Some("x".parse().unwrap());
    write(&mut theirs, 1, Kind::Meta { name, suggested: None }).unwrap();
    set_checkpoint(&mut theirs, 1);
    for operation in theirs.operations().filter(|one| matches!(one.kind(), Kind::Checkpoint { .. }))
    {
        log.insert(operation.clone()).unwrap();
    }
    assert!(log.has_gaps());
    assert!(!log.adopt_checkpoint());
}

#[test]
fn a_log_that_began_from_a_checkpoint_is_read_as_it_was_written() {
    let draft = Draft::genesis("Family".parse().unwrap(), vec![key(0)], [7; 16], false).unwrap();
    let mut log = Log::new(draft.sign(identity(0)).unwrap()).unwrap();
    let sign = |log: &mut Log, who: usize, kind: Kind| {
        let operation = Draft::new(log, key(who), kind).unwrap().sign(identity(who)).unwrap();
        log.insert(operation.clone()).unwrap();
        operation.id()
    };
    let add = log.addition(key(1), Role::Admin, None, None);
    sign(&mut log, 0, add);
    let accept = log.acceptance(&key(1), None).unwrap();
    sign(&mut log, 1, accept);
    let kinds = log.checkpoint(&key(0)).unwrap();
    let checkpoint = kinds.into_iter().map(|kind| sign(&mut log, 0, kind)).last().unwrap();
    let mut short = log.compacted(&checkpoint).unwrap();
    let invite = short.addition(key(2), Role::Member, None, None);
    sign(&mut short, 1, invite);
    let read = Log::read(&short.to_bytes()).unwrap();
    assert_eq!(read.view(), short.view());
    assert_eq!(read.began_at(), Some(checkpoint));
    assert_eq!(read.to_bytes(), short.to_bytes());
    assert_eq!(read.view().members[&key(2)].state, State::Invited);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_state_reads_as_it_was_written_and_no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let _ = Base::parse(&bytes);
        let log = lively();
        let mut whole = Vec::new();
        for kind in log.checkpoint(&key(1)).unwrap() {
            let Kind::Checkpoint { state, .. } = kind else { panic!("{kind:?}") };
            whole.extend(state);
        }
        let base = Base::parse(&whole).unwrap();
        prop_assert_eq!(base.emit(), &whole[..]);
        let at = at.index(whole.len());
        whole[at] = byte;
        if let Ok(other) = Base::parse(&whole) {
            prop_assert_eq!(other.emit(), whole);
        }
    }
}
