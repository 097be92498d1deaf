//! What heads tell, and what is sent to whom.

use super::{
    super::{Kind, Log, Role, sync::Head},
    admit, circle, force, forge, key, merged, write,
};

fn meta(name: &str) -> Kind {
    Kind::Meta { name: Some(name.parse().unwrap()), suggested: None }
}

fn exchange(from: &Log, to: &mut Log) -> usize {
    let missing: Vec<_> = from.missing(&to.heads(), 1_000, 1 << 20).into_iter().cloned().collect();
    for one in &missing {
        to.insert(one.clone()).unwrap();
    }
    missing.len()
}

#[test]
fn whoever_knows_nothing_gets_everything_in_the_order_in_which_it_can_be_understood() {
    let mut log = circle(&[0], false);
    // Keys in descending order and the seniors' last, so that no accident puts them in order.
    admit(&mut log, 0, 3, Role::Admin);
    admit(&mut log, 3, 2, Role::Admin);
    admit(&mut log, 2, 1, Role::Member);
    let all = log.missing(&[], 1_000, 1 << 20);
    assert_eq!(all[0], log.genesis());
    let mut copy = Log::new(all[0].clone()).unwrap();
    for one in &all[1..] {
        assert!(copy.names(&one.author()), "{one:?} comes before its author");
        copy.insert((*one).clone()).unwrap();
    }
    assert_eq!(copy.view(), log.view());
}

#[test]
fn only_what_is_missing_is_sent_and_no_more_than_asked_for() {
    let mut log = circle(&[0], false);
    let behind = log.clone();
    for number in 0..10 {
        write(&mut log, 0, meta(&number.to_string())).unwrap();
    }
    let mut half = behind.clone();
    for one in log.missing(&half.heads(), 5, 1 << 20).into_iter().skip(1) {
        half.insert(one.clone()).unwrap();
    }
    assert_eq!(half.heads()[0].seq, 4);
    assert!(half.lacks(&log.heads()[0]) && !log.lacks(&half.heads()[0]));
    let rest = log.missing(&half.heads(), 100, 1 << 20);
    assert_eq!(rest.len(), 6);
    let len = rest[0].bytes().len();
    assert_eq!(log.missing(&half.heads(), 100, 2 * len + 1).len(), 2);
    assert!(half.missing(&log.heads(), 100, 1 << 20).is_empty());
}

#[test]
fn a_fork_is_passed_on_with_both_its_sides() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    let (mut one, mut other) = (log.clone(), log);
    write(&mut one, 1, meta("One")).unwrap();
    write(&mut one, 1, meta("More")).unwrap();
    write(&mut other, 1, meta("Other")).unwrap();
    write(&mut other, 1, meta("Yet another")).unwrap();
    // Neither knows of a fork; each sees that the other has another chain.
    assert!(!one.is_forked(&key(1)) && !other.is_forked(&key(1)));
    let theirs: Vec<Head> = other.heads();
    assert!(theirs.iter().any(|head| one.lacks(head)));
    exchange(&one, &mut other);
    exchange(&other, &mut one);
    assert!(one.is_forked(&key(1)) && other.is_forked(&key(1)));
    assert_eq!(one.heads(), other.heads());
    assert_eq!(one.view(), other.view());
    // A third, who knows one side, learns of it and does not go on telling.
    let mut third = circle(&[0], false);
    exchange(&one, &mut third);
    assert_eq!(third.heads(), one.heads());
    assert_eq!(exchange(&one, &mut third) + exchange(&third, &mut one), 0);
    // Another pair proves the same.
    let (seq, prev) = third.tip(&key(1));
    let mut fourth = merged(&[&circle(&[0], false)]);
    for operation in third.operations().filter(|one| one.seq() <= seq || one.author() == key(0)) {
        fourth.insert(operation.clone()).unwrap();
    }
    for name in ["Third", "Fourth"] {
        let side = forge(&fourth, 1, seq + 1, prev, &meta(name));
        fourth.insert(side).unwrap();
    }
    assert_eq!(fourth.heads(), third.heads());
    assert!(!fourth.heads().iter().any(|head| third.lacks(head)));
}

/// A node that was restored from a backup goes on for long before anybody notices.
#[test]
fn chains_that_parted_long_ago_are_traced_back_in_small_messages() {
    let mut log = circle(&[0], false);
    admit(&mut log, 0, 1, Role::Admin);
    write(&mut log, 1, meta("Both")).unwrap();
    let parted = log.tip(&key(1)).0 + 1;
    let (mut one, mut other) = (log.clone(), log);
    for number in 0..40 {
        write(&mut one, 1, meta(&format!("One {number}"))).unwrap();
        write(&mut other, 1, meta(&format!("Other {number}"))).unwrap();
    }
    for _ in 0..30 {
        let (ours, theirs) = (one.clone(), other.clone());
        for (from, to) in [(&ours, &mut other), (&theirs, &mut one)] {
            for operation in from.missing(&to.heads(), 4, 1 << 20) {
                to.insert(operation.clone()).unwrap();
            }
        }
    }
    assert_eq!(one.heads(), other.heads());
    assert_eq!(one.view(), other.view());
    assert!(one.heads().iter().any(|head| head.seq == parted));
    assert_eq!(one.view().name.as_str(), "Both");
}

#[test]
fn what_lies_behind_a_gap_is_not_sent() {
    let mut log = circle(&[0], false);
    let mut ahead = log.clone();
    force(&mut ahead, 0, &meta("One"));
    let second = force(&mut ahead, 0, &meta("Two"));
    log.insert(second).unwrap();
    assert!(log.missing(&[], 9, 1 << 20).len() == 1 && log.heads().is_empty());
}
