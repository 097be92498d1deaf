//! Bytes and behaviour of those who mean no good.

use planetary_proto::{Identity, Now, time::Duration, upper::ExtensionMessage};
use proptest::prelude::*;

use super::world::{World, label};
use crate::{
    exchange::{
        Output, Standing,
        messages::{Message, Span, Tag, kind},
    },
    limits::{FAULTY_FOR, ROUND},
    log::{CircleId, Draft, Head, Operation, Role},
};

/// The answer of a node to a message, if it gives one.
fn answer(world: &mut World, node: usize, from: usize, message: &Message) -> Option<Message> {
    let (sender, sent) = (world.key(from), world.sent.len());
    let message = ExtensionMessage { kind: message.kind(), id: 7, body: message.emit() };
    world.with(node, |exchange, now| exchange.handle(sender, &message, now));
    let answer = world.sent[sent..].iter().rfind(|sent| sent.message.kind % 2 == 1)?;
    assert_eq!((answer.from, answer.to, answer.message.id), (node, from, 7));
    Message::parse(answer.message.kind, &answer.message.body).ok()
}

fn tag(world: &mut World, node: usize, other: usize, circle: CircleId) -> Tag {
    let other = world.key(other);
    world.nodes[node].exchange.pairs.tag(&other, &circle).unwrap()
}

#[test]
fn strangers_are_told_what_a_node_without_circles_tells() {
    let mut world = World::new(4, 1);
    let circle = world.circle_of_all(0, &[]);
    // Node 3 knows everything about the circle, and is none of its members.
    world.remove(0, circle, 3).unwrap();
    world.run(60);
    world.with(3, |exchange, _| exchange.forget(&circle));
    let mut stranger = World::new(5, 2);
    let tag_of_four = {
        let key = world.key(0);
        stranger.nodes[4].exchange.pairs.tag(&key, &circle).unwrap()
    };
    let four = stranger.key(4);
    let ask = |world: &mut World, node: usize, message: &Message| {
        let now = world.now();
        let message = ExtensionMessage { kind: message.kind(), id: 1, body: message.emit() };
        world.nodes[node].exchange.handle(four, &message, now);
        world.nodes[node].exchange.poll().map(|output| match output {
            Output::Answer { message, .. } => message.body,
            other => panic!("{other:?}"),
        })
    };
    let span = Span::default();
    for tag in [tag_of_four, Tag([0; 16])] {
        for message in [
            Message::Have { tag, heads: Vec::new(), span },
            Message::Push { tag, operations: Vec::new() },
            Message::Secret { tag, generation: 1, secret: None },
            Message::Join { tag, proof: [0; 32], label: None },
            Message::Offer { circle },
        ] {
            let told = ask(&mut world, 0, &message);
            assert_eq!(told, ask(&mut stranger, 0, &message), "{:#x}", message.kind());
        }
    }
}

#[test]
fn what_is_signed_by_nobody_is_not_taken() {
    let mut world = World::new(3, 3);
    let circle = world.circle_of_all(0, &[]);
    let tag = tag(&mut world, 0, 1, circle);
    let before = world.backup(0, circle);
    let stranger = Identity::from_seed(&[77; 32]);
    let log = world.nodes[0].exchange.log(&circle).unwrap().clone();
    // A member writes what only admins may, and somebody adds himself.
    let forged = {
        let admin =
            Draft::new(&log, world.key(0), log.addition(stranger.key(), Role::Admin, None, None));
        let mut bytes = admin.unwrap().bytes().to_vec();
        bytes.extend_from_slice(stranger.sign(&bytes).as_bytes());
        bytes
    };
    assert!(Operation::parse(&forged).is_err());
    let push = Message::Push { tag, operations: vec![forged] };
    let heads = log.heads();
    assert!(answer(&mut world, 0, 1, &push) == Some(Message::Held { heads: Some(heads) }));
    assert_eq!(world.nodes[0].exchange.log(&circle).unwrap().to_bytes(), before.to_bytes());
    // It is not listened to for a while, whatever it says.
    let good = world.act(0, |it, now| it.change(&circle, Some(label("Lab")), None, now));
    good.unwrap();
    let push = Message::Push { tag, operations: Vec::new() };
    assert!(answer(&mut world, 0, 1, &push) == Some(Message::Held { heads: None }));
    world.run(2 * FAULTY_FOR.as_secs());
    assert!(answer(&mut world, 0, 1, &push) != Some(Message::Held { heads: None }));
    world.assert_equal(circle);
}

#[test]
fn who_claims_what_it_does_not_give_is_not_asked_for_ever() {
    let mut world = World::new(2, 4);
    let circle = world.circle_of_all(0, &[]);
    let tag = tag(&mut world, 0, 1, circle);
    world.stop(1);
    let since = world.now().mono;
    for _ in 0..100 {
        let claimed = Head { author: [1; 8], seq: 1_000, id: [2; 8] };
        let have = Message::Have { tag, heads: vec![claimed], span: Span::default() };
        answer(&mut world, 0, 1, &have);
        world.run(1);
    }
    let said = world.said(0, 1, since);
    let asked = said.iter().filter(|message| message.kind() % 2 == 0).count();
    assert!(asked < 10, "{asked} questions");
}

#[test]
fn who_answers_with_claims_alone_is_asked_once_in_a_round() {
    let mut world = World::new(2, 8);
    let circle = world.circle_of_all(0, &[]);
    world.stop(1);
    let liar = world.key(1);
    let claimed = Head { author: [1; 8], seq: 1_000, id: [2; 8] };
    let mut questions = 0;
    for second in 0..ROUND.as_secs() {
        let now = world.now();
        let mono = now.mono + Duration::from_secs(second);
        let now = Now { mono, unix_s: now.unix_s + second };
        let exchange = &mut world.nodes[0].exchange;
        exchange.heard(&liar, now);
        exchange.tick(now);
        while let Some(output) = exchange.poll() {
            let Output::Request { ticket, kind, .. } = output else { continue };
            questions += 1;
            let heads = Some(vec![claimed]);
            let answer = match kind {
                kind::HAVE => Message::Ops { operations: Vec::new(), more: false, heads },
                _ => Message::Held { heads },
            };
            let answer = ExtensionMessage { kind: answer.kind(), id: 1, body: answer.emit() };
            exchange.answered(ticket, liar, &answer, now);
        }
    }
    assert!((1..10).contains(&questions), "{questions} questions");
    assert!(world.nodes[0].exchange.log(&circle).is_some());
}

#[test]
fn an_offer_of_something_else_leads_nowhere() {
    let mut world = World::new(2, 5);
    world.make_friends(0, 1);
    let circle = world.create(0);
    // The key was never added, so it is told nothing.
    let offer = Message::Offer { circle };
    assert!(answer(&mut world, 1, 0, &offer) == Some(Message::Seen));
    world.run(600);
    assert_eq!(world.standing(1, circle), None);
    assert_eq!(world.nodes[1].exchange.pulls.len(), 0);
}

#[test]
fn answers_of_another_kind_count_as_none() {
    let mut world = World::new(2, 6);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 1, false);
    world.stop(0);
    let inviter = world.key(0);
    let now = world.now();
    let exchange = &mut world.nodes[1].exchange;
    exchange.join(link, now).unwrap();
    let request = std::iter::from_fn(|| exchange.poll()).find_map(|output| match output {
        Output::Request { ticket, kind: kind::JOIN, .. } => Some(ticket),
        _ => None,
    });
    let ticket = request.unwrap();
    let held = Message::Held { heads: None };
    let held = ExtensionMessage { kind: held.kind(), id: 1, body: held.emit() };
    // From somebody else it is none at all, and the question stays open.
    let other = Identity::from_seed(&[50; 32]).key();
    exchange.answered(ticket, other, &held, now);
    assert_eq!(exchange.asked.len(), 1);
    exchange.answered(ticket, inviter, &held, now);
    assert!(!exchange.asked.contains_key(&ticket));
    assert_eq!(exchange.standing(&circle), Some(Standing::Asking));
}

#[derive(Clone, Debug)]
enum Step {
    Raw(u8, Vec<u8>),
    Tagged(u8, Vec<u8>),
    Answer(u8, Vec<u8>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        (kind::HAVE..=kind::SEEN, bytes()).prop_map(|(kind, body)| Step::Raw(kind, body)),
        (0_u8..6, bytes()).prop_map(|(which, bytes)| Step::Tagged(which, bytes)),
        (kind::HAVE..=kind::SEEN, bytes()).prop_map(|(kind, body)| Step::Answer(kind, body)),
        (1_u64..600).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a member says, the log stays what others have signed, and the node stays able to
    /// work.
    #[test]
    fn a_member_that_says_anything_breaks_nothing(steps in prop::collection::vec(step(), 0..40)) {
        let mut world = World::new(2, 7);
        let circle = world.create(0);
        let key = world.key(1);
        world.act(0, |it, now| it.add(&circle, key, Role::Member, None, now)).unwrap();
        world.stop(1);
        let tag = tag(&mut world, 0, 1, circle);
        let before = world.backup(0, circle);
        for step in steps {
            let now = world.now();
            let array = |bytes: &[u8]| -> [u8; 32] {
                std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0))
            };
            match step {
                Step::Raw(kind, body) => {
                    let message = ExtensionMessage { kind, id: 1, body };
                    world.with(0, |exchange, now| exchange.handle(key, &message, now));
                }
                Step::Tagged(which, bytes) => {
                    let short = |at: usize| {
                        std::array::from_fn(|i| bytes.get(at + i).copied().unwrap_or(0))
                    };
                    let seq = u32::from(array(&bytes)[8]);
                    let head = Head { author: short(0), seq, id: short(9) };
                    let message = match which {
                        0 => Message::Have { tag, heads: vec![head], span: Span::default() },
                        1 => Message::Push { tag, operations: vec![bytes.clone()] },
                        2 => Message::Secret { tag, generation: 1, secret: Some(array(&bytes)) },
                        3 => Message::Secret { tag, generation: 1, secret: None },
                        4 => Message::Join { tag, proof: array(&bytes), label: None },
                        _ => Message::Have {
                            tag,
                            heads: Vec::new(),
                            span: Span { from: Some(short(0)), below: Some(short(8)) },
                        },
                    };
                    answer(&mut world, 0, 1, &message);
                }
                Step::Answer(kind, body) => {
                    let exchange = &mut world.nodes[0].exchange;
                    if let Some(ticket) = exchange.asked.keys().next().copied() {
                        let message = ExtensionMessage { kind, id: 1, body };
                        exchange.answered(ticket, key, &message, now);
                    }
                }
                Step::Wait(seconds) => world.run(seconds),
            }
        }
        let log = world.nodes[0].exchange.log(&circle).unwrap();
        prop_assert_eq!(log.to_bytes(), before.to_bytes());
        prop_assert!(world.nodes[0].exchange.asked.len() <= crate::limits::ASKED_MAX);
        world.act(0, |it, now| it.change(&circle, Some(label("Lab")), None, now)).unwrap();
    }
}
