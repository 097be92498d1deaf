//! Random packets, rules and pauses: the filter and the oracle say the same about each.
//!
//! A step is a few bytes, so that what fails shrinks to few and small ones. There are few keys,
//! addresses, ports and identifiers, so that packets meet flows, and small bounds, so that tables
//! are full.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use planetary_circles::{
    Answer, Budget, Filter, Notice, Person, Policy, Reached, Reason, Rules, Settled, Verdict,
};
use planetary_proto::time::Instant;
use proptest::{prelude::*, test_runner::TestRunner};

use super::{
    choices::{Choices, Earlier, lively},
    oracle::{Bounds, Oracle, SECOND},
    packets::{Body, PEERS, own, remote},
};

/// One key fills what it may have, or all keys together do.
const BOUNDS: [Bounds; 2] = [
    Bounds { all: 24, inbound: 12, per_key: 6, per_key_inbound: 3 },
    Bounds { all: 6, inbound: 3, per_key: 5, per_key_inbound: 2 },
];

const PAUSES: [u64; 16] = [
    1_000,
    1_000,
    50_000,
    100_000,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    10 * SECOND + 1,
    20 * SECOND,
    30 * SECOND,
    30 * SECOND + 1,
    60 * SECOND,
    100 * SECOND,
    180 * SECOND + 1,
    7440 * SECOND + 1,
];

type Step = [u8; 14];

/// How often each verdict came.
#[derive(Default)]
struct Tally {
    packets: usize,
    accepted: usize,
    rejected: usize,
    reasons: BTreeMap<Reason, usize>,
    /// States that flows were found in by accepted packets, by their timeouts.
    states: BTreeMap<u64, usize>,
    /// What was told: visits, refusals, and questions.
    told: [usize; 3],
    /// Questions that were answered with yes and no, and too late.
    answers: [usize; 3],
}

fn compare(
    bounds: Bounds,
    steps: &[(Step, [u8; 36])],
    tally: &mut Tally,
) -> Result<(), TestCaseError> {
    let Bounds { all, inbound, per_key, per_key_inbound } = bounds;
    let numbers = [all, inbound, per_key, per_key_inbound, 4].map(|number| number as u32);
    let budget = Budget::with_numbers(1, numbers);
    let rules = |policy: &Policy| Arc::new(Rules::compile(policy).unwrap());
    let mut filter = Filter::new(own(), rules(&lively()), budget);
    let mut oracle = Oracle::new(lively(), bounds, PEERS);
    let (mut now, mut earlier) = (0, Vec::<Earlier>::new());
    let mut asked: Option<(usize, Reached)> = None;
    let mut notices = Vec::new();
    for (step, more) in steps {
        let mut choices = Choices(step.iter());
        now += match choices.byte() {
            0..235 => 1_000,
            choice => PAUSES[choice % PAUSES.len()],
        };
        let at = Instant::from_micros(now);
        if choices.chance(2) {
            let policy = Choices(more.iter()).policy();
            filter.set_rules(rules(&policy));
            oracle.set_policy(policy);
        }
        if let Some((peer, reached)) = asked
            && more[35] < 32
        {
            let settled = if more[34] < 160 { Settled::Once } else { Settled::Refused };
            let is_open = filter.settle_knock(&remote(peer).key, reached, settled, at);
            prop_assert_eq!(is_open, oracle.settle(peer, reached, settled, now));
            tally.answers[if is_open { settled as usize } else { 2 }] += 1;
            asked = None;
        }
        if choices.chance(5) {
            filter.sweep(at);
            prop_assert_eq!(filter.sizes().flows as usize, oracle.live_flows(now));
        }
        let bytes = step[5..].iter().chain(more).copied().collect::<Vec<_>>();
        let mut content = Choices(bytes.iter());
        let Earlier { out, peer, sketch } = if choices.chance(75) && !earlier.is_empty() {
            let before = &earlier[earlier.len() - 1 - choices.byte() % earlier.len().min(6)];
            let peer = before.peer;
            let (out, sketch) = content.follower(before);
            Earlier { out, peer, sketch }
        } else {
            let (peer, out) = (choices.byte() % PEERS, choices.chance(45));
            Earlier { out, peer, sketch: content.sketch(out, peer, false) }
        };
        let bytes = sketch.bytes();
        for _ in 0..if choices.chance(6) { 12 } else { 1 } {
            now += 1;
            let at = Instant::from_micros(now);
            let judged = if out {
                filter.outbound(&remote(peer), &bytes, at)
            } else {
                filter.inbound(&remote(peer), &bytes, at)
            };
            let expected = oracle.judge(out, peer, &sketch, now);
            prop_assert_eq!(judged, expected, "{} {} {:?} at {}", out, peer, sketch, now);
            if let Verdict::Reject(_) = judged {
                prop_assert!(Answer::to(&bytes).is_some());
            }
            let sizes = filter.sizes();
            prop_assert!(sizes.flows as usize <= all && sizes.inbound as usize <= inbound);
            tally.packets += 1;
            tally.accepted += usize::from(judged.is_accept());
            tally.rejected += usize::from(matches!(judged, Verdict::Reject(_)));
            judged.reason().inspect(|reason| *tally.reasons.entry(*reason).or_default() += 1);
            if judged.is_accept() {
                let state = oracle.timeout_of(out, peer, &sketch);
                state.inspect(|state| *tally.states.entry(state / SECOND).or_default() += 1);
            }
        }
        filter.take_notices(&mut notices);
        prop_assert_eq!(&notices, &std::mem::take(&mut oracle.notices));
        for notice in notices.drain(..) {
            let kind = match notice {
                Notice::Opened(..) => 0,
                Notice::Refused(..) => 1,
                Notice::Knocked(_, reached) => {
                    asked = Some((peer, reached));
                    2
                }
            };
            tally.told[kind] += 1;
        }
        if !matches!(sketch.body, Body::Error { .. } | Body::Icmp(_)) {
            earlier.push(Earlier { out, peer, sketch });
        }
    }
    Ok(())
}

/// Seeds of failures are printed and not kept in files.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

#[test]
fn the_filter_and_the_oracle_agree() {
    let steps = prop::collection::vec(any::<(Step, [u8; 36])>(), 1..600);
    let strategy = (prop::sample::select(BOUNDS.to_vec()), steps);
    let tally = RefCell::new(Tally::default());
    let mut runner = TestRunner::new(config(500));
    let run =
        runner.run(&strategy, |(bounds, steps)| compare(bounds, &steps, &mut tally.borrow_mut()));
    run.unwrap_or_else(|error| panic!("{error}"));
    let tally = tally.into_inner();
    println!(
        "{} {} {} {:?} {:?} {:?} {:?}",
        tally.packets,
        tally.accepted,
        tally.rejected,
        tally.reasons,
        tally.states,
        tally.told,
        tally.answers
    );
    assert!(tally.told.iter().all(|count| *count >= 200), "{:?} told", tally.told);
    assert!(tally.answers.iter().all(|count| *count >= 10), "{:?} answered", tally.answers);
    assert!(tally.packets > 50_000, "{} packets", tally.packets);
    for reason in Reason::ALL {
        let count = tally.reasons.get(&reason).copied().unwrap_or(0);
        assert!(count >= 20, "{count} times {reason:?}");
    }
    let states: Vec<_> = tally.states.iter().filter(|(_, count)| **count >= 100).collect();
    assert_eq!(states.len(), 6, "{:?}", tally.states);
    assert!(tally.rejected > 1_000, "{} rejected", tally.rejected);
    let share = tally.accepted * 100 / tally.packets;
    assert!((15..85).contains(&share), "{share} % accepted");
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn nothing_comes_in_without_a_rule_or_a_flow(
        steps in prop::collection::vec(any::<[u8; 44]>(), 1..200),
    ) {
        let people = lively().people.into_iter();
        let people = people.map(|p| Person { echo: false, services: vec![], ..p }).collect();
        let policy = Policy { people, asks: true, ..Policy::default() };
        let rules = Arc::new(Rules::compile(&policy).unwrap());
        let mut filter = Filter::new(own(), rules, Budget::new(64));
        for (step, now) in steps.iter().zip(1..) {
            let mut choices = Choices(step.iter());
            let peer = choices.byte() % PEERS;
            let sketch = choices.sketch(false, peer, false);
            let at = Instant::from_micros(now * 1_000);
            let judged = filter.inbound(&remote(peer), &sketch.bytes(), at);
            prop_assert!(!judged.is_accept(), "{:?}", sketch);
            prop_assert_eq!(filter.sizes().flows, 0);
        }
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(
        packets in prop::collection::vec(any::<(bool, [u8; 44], Vec<(u8, u8)>)>(), 1..100),
    ) {
        let rules = Arc::new(Rules::compile(&lively()).unwrap());
        let mut filter = Filter::new(own(), rules, Budget::new(64));
        for (at, (out, choices, changes)) in (1..).zip(packets) {
            let mut choices = Choices(choices.iter());
            let mut bytes = choices.sketch(out, 0, false).bytes();
            for (place, byte) in changes {
                // Headers behind the addresses, where there is something to misread.
                let place = [4, 5, 6, 40 + usize::from(place)][usize::from(byte) % 4];
                if let Some(slot) = bytes.get_mut(place) {
                    *slot ^= byte;
                }
            }
            let now = Instant::from_micros(at * 1_000);
            let judged = if out {
                filter.outbound(&remote(0), &bytes, now)
            } else {
                filter.inbound(&remote(0), &bytes, now)
            };
            if let Verdict::Reject(_) = judged {
                prop_assert!(Answer::to(&bytes).is_some());
            }
            let _ = Answer::to(&bytes);
        }
    }
}
