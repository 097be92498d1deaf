//! Random sets of operations, in random order and split, amount to one and the same.
//!
//! Authors here know no rules: they add, agree, remove, invite, fork and leave gaps as it comes, so
//! that much of it counts and much does not. `PLANETARY_CASES` asks for another number of cases.

use std::cell::RefCell;

use proptest::{prelude::*, test_runner::TestRunner};

use super::{
    super::{Kind, Log, OpId, Operation, Role, State, sync::Head},
    circle, forge, key,
    oracle::{Answer, answer},
};

const CASES: u32 = 3_000;
/// So many people take part; few, so that they have to do with one another.
const PEOPLE: usize = 6;

type Step = [u8; 8];

/// What authors have written so far.
struct World {
    log: Log,
    /// Each author's chain, as the author has it.
    chains: Vec<Vec<Operation>>,
    /// What others may come to know.
    known: Vec<Operation>,
}

impl World {
    fn step(&mut self, step: Step) {
        let [author, kind, target, role, number, pick, trouble, more] = step;
        // Seniors say most.
        let author = [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5][author as usize % 12];
        if trouble < 6 {
            // A second node with the same key, or one that was restored, goes on from before.
            let keep = number as usize % (self.chains[author].len() + 1);
            self.chains[author].truncate(keep);
        }
        let kind = self.kind(author, kind, target as usize % PEOPLE, role, number, pick);
        let chain = &mut self.chains[author];
        let prev = chain.last().map_or(self.log.id().genesis(), Operation::id);
        let operation = forge(&self.log, author, chain.len() as u32 + 1, prev, &kind);
        chain.push(operation.clone());
        if more >= 4 {
            self.known.push(operation);
        }
    }

    fn kind(&self, author: usize, kind: u8, target: usize, role: u8, number: u8, pick: u8) -> Kind {
        let role = if role < 150 { Role::Admin } else { Role::Member };
        let number = u32::from(number);
        let pick = pick as usize;
        match kind {
            0..80 => {
                let later = if number < 50 { number % 5 } else { 0 };
                Kind::Add { member: key(target), role, label: None, from: 1 + later, via: None }
            }
            80..125 => Kind::Accept { add: self.membership(Some(author), pick), proof: None },
            125..195 => {
                let whom = if pick < 64 { author } else { target };
                let said = self.chains[whom].len() as u32;
                Kind::Remove {
                    add: self.membership(Some(whom), pick),
                    cutoff: said.saturating_sub(number % 4).saturating_add(number / 200),
                    reason: "".parse().unwrap(),
                }
            }
            195..205 => Kind::Invite { token_hash: [pick as u8; 32], expires: 9, uses: 1, role },
            205..220 => {
                let via = Some(self.invite(pick));
                Kind::Add { member: key(target), role, label: None, from: 1, via }
            }
            220..235 => {
                let name = ["Ada", "Bob", "Eve"][pick % 3].parse().unwrap();
                Kind::Meta { name: Some(name), suggested: None }
            }
            235..250 => Kind::Key { generation: 1 + number % 3, commitment: [pick as u8; 32] },
            250.. => Kind::Checkpoint { part: 0, parts: 1, state: vec![0xf6] },
        }
    }

    /// A membership of somebody, if there is one, else anything.
    fn membership(&self, whom: Option<usize>, pick: usize) -> OpId {
        let of: Vec<_> = self
            .chains
            .iter()
            .flatten()
            .filter(|one| match one.kind() {
                Kind::Add { member, .. } => whom.is_none_or(|whom| *member == key(whom)),
                _ => false,
            })
            .map(Operation::id)
            .chain(whom.filter(|whom| *whom < 2).map(|whom| OpId::of_senior(&key(whom))))
            .collect();
        if of.is_empty() { OpId::of_senior(&key(pick % PEOPLE)) } else { of[pick % of.len()] }
    }

    fn invite(&self, pick: usize) -> OpId {
        let of: Vec<_> = self
            .chains
            .iter()
            .flatten()
            .filter(|one| matches!(one.kind(), Kind::Invite { .. }))
            .map(Operation::id)
            .collect();
        if of.is_empty() { self.log.id().genesis() } else { of[pick % of.len()] }
    }
}

/// The operations in another order.
fn shuffled(operations: &[Operation], seed: u64) -> Vec<Operation> {
    let mut order = operations.to_vec();
    let mut state = seed;
    for at in (1..order.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(at, (state >> 33) as usize % (at + 1));
    }
    order
}

fn take(log: &mut Log, operations: &[Operation]) {
    for operation in operations {
        log.insert(operation.clone()).unwrap();
    }
}

/// Lets two logs tell each other what they lack until both have the same heads.
fn converse(one: &mut Log, other: &mut Log) {
    for _ in 0..60 {
        let (ours, theirs): (Vec<Head>, Vec<Head>) = (one.heads(), other.heads());
        if ours == theirs {
            assert!(!ours.iter().any(|head| other.lacks(head)));
            return;
        }
        // A few at a time, as messages carry them.
        let to_other: Vec<_> = one.missing(&theirs, 9, 4_000).into_iter().cloned().collect();
        let to_one: Vec<_> = other.missing(&ours, 9, 4_000).into_iter().cloned().collect();
        assert!(!to_one.is_empty() || !to_other.is_empty(), "{ours:?} {theirs:?}");
        take(other, &to_other);
        take(one, &to_one);
    }
    panic!("two logs do not come to terms: {:?} {:?}", one.heads(), other.heads());
}

/// How much of the sets meant something.
#[derive(Default)]
struct Tally {
    operations: usize,
    counting: usize,
    members: usize,
    invited: usize,
    past: usize,
    forked: usize,
}

fn compare(steps: &[Step], paper: bool, seed: u64, tally: &mut Tally) -> Result<(), TestCaseError> {
    let log = circle(&[0, 1], paper);
    let mut world = World { log: log.clone(), chains: vec![Vec::new(); PEOPLE], known: Vec::new() };
    for step in steps {
        world.step(*step);
    }
    let mut whole = log.clone();
    take(&mut whole, &world.known);
    let expected = answer(log.genesis(), &world.known);
    prop_assert_eq!(Answer::of(whole.view()), expected);

    let order = shuffled(&world.known, seed);
    let mut other = log.clone();
    take(&mut other, &order);
    prop_assert_eq!(other.view(), whole.view());
    prop_assert_eq!(other.heads(), whole.heads());

    let (left, right) = order.split_at(seed as usize % (order.len() + 1));
    let (mut one, mut two) = (log.clone(), log);
    take(&mut one, left);
    take(&mut two, right);
    converse(&mut one, &mut two);
    prop_assert_eq!(one.view(), two.view());
    // What nobody sent lies behind a gap.
    prop_assert_eq!(Answer::of(one.view()), Answer::of(whole.view()));

    let view = whole.view();
    tally.operations += world.known.len();
    tally.counting += view.counting.len();
    tally.members += view.members.values().filter(|one| one.state == State::Member).count();
    tally.invited += view.members.values().filter(|one| one.state == State::Invited).count();
    tally.past += view.past.len();
    tally.forked += view.forked.len();
    Ok(())
}

#[test]
fn random_sets_amount_to_the_same_in_any_order_and_as_the_rules_say() {
    let cases = std::env::var("PLANETARY_CASES").ok().map(|cases| cases.parse().unwrap());
    let cases = cases.unwrap_or(CASES);
    let mut runner =
        TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..Default::default() });
    let mut tally = Tally::default();
    let steps = prop::collection::vec(any::<Step>(), 0..40);
    let shared = RefCell::new(&mut tally);
    runner
        .run(&(steps, any::<bool>(), any::<u64>()), |(steps, paper, seed)| {
            compare(&steps, paper, seed, &mut shared.borrow_mut())
        })
        .unwrap();
    let Tally { operations, counting, members, invited, past, forked } = tally;
    let cases = cases as usize;
    println!("{operations} operations, of which {counting} count");
    println!("{members} members, {invited} invited, {past} past, {forked} forked");
    // Sets that mean nothing would prove nothing.
    assert!(counting > operations / 5, "{counting} of {operations}");
    assert!(counting < operations, "{counting} of {operations}");
    assert!(members > cases && invited > cases / 2 && past > cases / 4 && forked > cases / 10);
}
