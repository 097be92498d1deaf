//! Guests, the nodes that invite them, and offers.

use super::world::{World, label};
use crate::{
    exchange::{
        ActError, Join, JoinError, JoinState, Standing,
        messages::{Joined, Message, kind},
    },
    invite::Token,
    limits::OFFERS_MAX,
    log::{Kind, Role, RuleError},
};

#[test]
fn a_guest_sees_name_and_members_before_it_agrees() {
    let mut world = World::new(4, 1);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 1, false);
    world.follow(3, &link);
    assert_eq!(world.standing(3, circle), Some(Standing::Asking));
    world.run(10);
    assert_eq!(world.standing(3, circle), Some(Standing::Invited));
    assert_eq!(world.view(3, circle).name.as_str(), "Home");
    assert_eq!(world.members(3, circle), [0]);
    assert_eq!(world.members(0, circle), [0]);
    let guest = world.key(3);
    let seen = &world.view(0, circle).members[&guest];
    assert_eq!(seen.label.as_ref().map(|label| label.as_str()), Some("guest"));
    world.act(3, |exchange, now| exchange.accept(&circle, now)).unwrap();
    world.run(10);
    assert_eq!(world.members(0, circle), [0, 3]);
    assert_eq!(world.nodes[3].exchange.joins().count(), 0);
    // Its agreement carries the proof that the link was the inviter's.
    let log = world.nodes[0].exchange.log(&circle).unwrap();
    let proof = log.operations().find_map(|operation| match operation.kind() {
        Kind::Accept { proof, .. } => *proof,
        _ => None,
    });
    assert_eq!(proof, Some(link.token.proof(&guest, &world.key(0))));
}

#[test]
fn a_guest_declines_and_is_gone() {
    let mut world = World::new(2, 2);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 1, false);
    world.follow(1, &link);
    world.run(10);
    world.act(1, |exchange, now| exchange.leave(&circle, now)).unwrap();
    world.run(10);
    assert_eq!(world.standing(1, circle), Some(Standing::Left));
    assert!(!world.view(0, circle).members.contains_key(&world.key(1)));
    assert_eq!(world.nodes[1].exchange.joins().count(), 0);
    // The link is used up, for the same guest too.
    world.follow(1, &link);
    world.run(10);
    assert_eq!(world.standing(1, circle), Some(Standing::Refused));
    // Another one brings it back.
    let link = world.link(0, circle, Role::Member, 1, false);
    world.follow(1, &link);
    world.run(10);
    assert_eq!(world.standing(1, circle), Some(Standing::Invited));
    world.act(1, |exchange, now| exchange.accept(&circle, now)).unwrap();
    world.run(10);
    assert_eq!(world.members(0, circle), [0, 1]);
}

#[test]
fn whoever_is_not_let_in_gets_the_same_answer() {
    let mut world = World::new(8, 3);
    let circle = world.create(0);
    let other_circle = world.create(1);
    // Node 2 is in, so the link is used up.
    let used = world.link(0, circle, Role::Member, 1, false);
    world.follow(2, &used);
    world.run(10);
    world.act(2, |exchange, now| exchange.accept(&circle, now)).unwrap();
    let altered = Join { token: Token::from_bytes([9; 16]), ..used.clone() };
    let revoked = world.link(0, circle, Role::Member, 1, false);
    let revoked_id = {
        let mut invites = world.nodes[0].exchange.invites();
        let is_it = |token: &Token| token.as_bytes() == revoked.token.as_bytes();
        invites.find(|invite| is_it(&invite.token)).unwrap().operation
    };
    world.with(0, |exchange, _| exchange.revoke(&revoked_id));
    let open = world.link(0, circle, Role::Member, 1, false);
    let of_another = Join { inviter: world.key(1), ..open.clone() };
    let unknown = Join { circle: other_circle, ..open };
    // One that is over there; the guest's own clock, an hour late, does not say so.
    let expires = world.now().unix_s + 1_000_000;
    let over = Join { expires, ..world.link(0, circle, Role::Member, 1, false) };
    let since = world.now().mono;
    let links = [&used, &altered, &revoked, &of_another, &unknown];
    for (guest, link) in (3..).zip(links) {
        world.follow(guest, link);
    }
    world.run(20);
    for (guest, link) in (3..).zip(links) {
        assert_eq!(world.standing(guest, link.circle), Some(Standing::Refused), "guest {guest}");
    }
    world.run(172_800);
    world.follow(3, &over);
    world.run(10);
    assert_eq!(world.standing(3, circle), Some(Standing::Refused));
    let answers: Vec<&[u8]> = world
        .sent
        .iter()
        .filter(|sent| sent.at >= since && sent.message.kind == kind::JOINED)
        .map(|sent| &sent.message.body[..])
        .collect();
    assert_eq!(answers.len(), 6);
    let refusal = Message::Joined(Joined::Refused).emit();
    assert!(answers.iter().all(|answer| *answer == refusal));
    assert_eq!(world.members(0, circle), [0, 2]);
    assert!(world.nodes[0].questions.is_empty());
}

#[test]
fn a_stranger_never_sees_id_or_name_of_a_circle() {
    let mut world = World::new(4, 4);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 1, false);
    // The link names a stranger, by mistake or malice; and a stranger asks with another token.
    world.follow(1, &Join { inviter: world.key(3), ..link.clone() });
    world.follow(3, &Join { token: Token::from_bytes([9; 16]), ..link.clone() });
    world.follow(2, &link);
    world.run(60);
    world.act(2, |exchange, now| exchange.accept(&circle, now)).unwrap();
    world.run(1_200);
    assert_eq!(world.standing(1, circle), Some(Standing::Refused));
    let to_strangers = world.sent.iter().filter(|sent| sent.from != 3 && sent.to == 3);
    let mut count = 0;
    for sent in to_strangers {
        count += 1;
        for secret in [&circle.as_bytes()[..8], b"Home", &link.token.as_bytes()[..8]] {
            let body = &sent.message.body;
            assert!(!body.windows(secret.len()).any(|part| part == secret));
        }
    }
    assert!(count >= 2, "nothing was said");
}

#[test]
fn an_issuer_that_is_away_is_found_when_it_is_back() {
    let mut world = World::new(2, 5);
    world.loss = 20;
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 1, false);
    world.stop(0);
    world.follow(1, &link);
    world.run(3_600);
    assert_eq!(world.standing(1, circle), Some(Standing::Asking));
    // Ever more seldom: each question is said four times.
    let asked = world.sent.iter().filter(|sent| sent.message.kind == kind::JOIN).count();
    assert!((100..=200).contains(&asked), "{asked} messages");
    world.restart(1);
    world.run(60);
    world.start(0);
    world.run(400);
    assert_eq!(world.standing(1, circle), Some(Standing::Invited));
}

#[test]
fn a_link_that_is_over_is_given_up() {
    let mut world = World::new(2, 6);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 1, false);
    world.stop(0);
    world.follow(1, &link);
    world.run(172_801 + 300);
    assert_eq!(world.standing(1, circle), Some(Standing::Expired));
    let since = world.sent.len();
    world.start(0);
    world.run(1_200);
    assert_eq!(world.sent.len(), since);
    world.restart(1);
    world.run(60);
    assert_eq!(world.standing(1, circle), Some(Standing::Expired));
}

#[test]
fn a_guest_that_asks_again_uses_nothing_up() {
    let mut world = World::new(4, 7);
    world.loss = 40;
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 2, false);
    for guest in [1, 2] {
        world.follow(guest, &link);
        // Forgets that it was let in, and asks again.
        world.run(30);
        world.restart(guest);
        world.run(120);
        assert_eq!(world.standing(guest, circle), Some(Standing::Invited), "guest {guest}");
    }
    world.restart(0);
    world.run(60);
    world.follow(3, &link);
    world.run(60);
    assert_eq!(world.standing(3, circle), Some(Standing::Refused));
    let invite = world.nodes[0].exchange.invites().next().unwrap();
    assert_eq!(invite.guests, [world.key(1), world.key(2)]);
    let log = world.nodes[0].exchange.log(&circle).unwrap();
    let adds = log.operations().filter(|it| matches!(it.kind(), Kind::Add { .. })).count();
    assert_eq!(adds, 2);
}

#[test]
fn a_person_is_asked_first_where_the_invite_says_so() {
    let mut world = World::new(3, 8);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 2, true);
    world.follow(1, &link);
    world.follow(2, &link);
    world.run(300);
    for guest in [1, 2] {
        assert_eq!(world.standing(guest, circle), Some(Standing::Waiting));
    }
    // Once each, however often they ask.
    let questions = world.nodes[0].questions.clone();
    assert_eq!(questions.len(), 2);
    let (yes, no) = (world.key(1), world.key(2));
    for (invite, guest, name) in questions {
        assert_eq!(name, Some(label("guest")));
        let answer = |exchange: &mut crate::exchange::Exchange, now| {
            exchange.settle_guest(&invite, &guest, guest == yes, now)
        };
        world.with(0, answer).unwrap().unwrap();
        // There is nothing to answer any more.
        assert_eq!(world.with(0, answer).unwrap(), Err(ActError::NoCircle));
    }
    // The one that is let in is told, the other one finds out.
    world.run(5);
    assert_eq!(world.standing(1, circle), Some(Standing::Invited));
    world.run(60);
    assert_eq!(world.standing(2, circle), Some(Standing::Refused));
    assert!(!world.view(0, circle).members.contains_key(&no));
    // It is not asked about again, even after a restart.
    world.restart(0);
    world.run(60);
    world.follow(2, &link);
    world.run(60);
    assert_eq!(world.standing(2, circle), Some(Standing::Refused));
    assert_eq!(world.nodes[0].questions.len(), 2);
}

#[test]
fn a_question_is_asked_again_after_a_restart() {
    let mut world = World::new(2, 9);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 1, true);
    world.follow(1, &link);
    world.run(30);
    world.nodes[0].questions.clear();
    world.restart(0);
    world.run(400);
    assert_eq!(world.nodes[0].questions.len(), 1);
    // Yes comes too late: the invite was taken back.
    let (invite, guest, _) = world.nodes[0].questions[0].clone();
    world.with(0, |exchange, _| exchange.revoke(&invite));
    let late = world.with(0, |exchange, now| exchange.settle_guest(&invite, &guest, true, now));
    assert_eq!(late, Some(Err(ActError::NoCircle)));
    world.run(400);
    assert_eq!(world.standing(1, circle), Some(Standing::Refused));
}

#[test]
fn an_issuer_that_is_no_admin_any_more_lets_nobody_in() {
    let mut world = World::new(4, 10);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Admin, 1, false);
    world.follow(1, &link);
    world.run(10);
    world.act(1, |exchange, now| exchange.accept(&circle, now)).unwrap();
    world.run(10);
    let link = world.link(1, circle, Role::Member, 1, false);
    let key = world.key(1);
    world.act(0, |exchange, now| exchange.add(&circle, key, Role::Member, None, now)).unwrap();
    world.run(10);
    world.follow(2, &link);
    world.run(10);
    assert_eq!(world.standing(2, circle), Some(Standing::Refused));
    let now = world.now();
    let expires = now.unix_s + 60;
    let result = world.nodes[1].exchange.invite(&circle, Role::Member, 1, expires, false, now);
    assert_eq!(result.err(), Some(ActError::Rule(RuleError::NotAdmin)));
}

#[test]
fn a_friend_that_is_added_is_offered_the_circle() {
    let mut world = World::new(3, 11);
    world.make_friends(0, 1);
    let circle = world.create(0);
    world.stop(1);
    let key = world.key(1);
    world.act(0, |exchange, now| exchange.add(&circle, key, Role::Member, None, now)).unwrap();
    world.run(120);
    world.start(1);
    world.run(600);
    assert_eq!(world.standing(1, circle), Some(Standing::Invited));
    assert_eq!(world.view(1, circle).members[&key].added_by, Some(world.key(0)));
    world.act(1, |exchange, now| exchange.accept(&circle, now)).unwrap();
    world.run(10);
    assert_eq!(world.members(0, circle), [0, 1]);
    // A stranger's offer is not heard.
    let key = world.key(2);
    world.act(0, |exchange, now| exchange.add(&circle, key, Role::Member, None, now)).unwrap();
    world.run(600);
    assert_eq!(world.standing(2, circle), None);
}

#[test]
fn offers_are_few() {
    let mut world = World::new(2, 12);
    world.make_friends(0, 1);
    let key = world.key(1);
    for _ in 0..OFFERS_MAX + 3 {
        let circle = world.create(0);
        world.act(0, |exchange, now| exchange.add(&circle, key, Role::Member, None, now)).unwrap();
        world.run(30);
    }
    assert_eq!(world.nodes[1].exchange.circles().count(), OFFERS_MAX);
    // One that is declined makes room.
    let first = world.nodes[1].exchange.circles().next().unwrap();
    world.act(1, |exchange, now| exchange.leave(&first, now)).unwrap();
    world.with(1, |exchange, _| exchange.forget(&first));
    world.run(7_200);
    assert_eq!(world.nodes[1].exchange.circles().count(), OFFERS_MAX);
}

#[test]
fn who_was_removed_can_be_added_again() {
    let mut world = World::new(2, 13);
    world.make_friends(0, 1);
    let circle = world.circle_of_all(0, &[]);
    world.remove(0, circle, 1).unwrap();
    world.run(30);
    assert_eq!(world.standing(1, circle), Some(Standing::Removed));
    let key = world.key(1);
    world.act(0, |exchange, now| exchange.add(&circle, key, Role::Member, None, now)).unwrap();
    world.run(30);
    // It has to agree again.
    assert_eq!(world.standing(1, circle), Some(Standing::Invited));
    world.act(1, |exchange, now| exchange.accept(&circle, now)).unwrap();
    world.run(30);
    assert_eq!(world.members(0, circle), [0, 1]);
    world.assert_equal(circle);
}

#[test]
fn links_that_make_no_sense_are_not_followed() {
    let mut world = World::new(2, 14);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 1, false);
    let own = link.clone();
    let result = world.with(0, |exchange, now| exchange.join(own, now));
    assert_eq!(result, Some(Err(JoinError::Own)));
    world.follow(1, &link);
    world.run(10);
    let again = link.clone();
    let result = world.with(1, |exchange, now| exchange.join(again, now));
    assert_eq!(result, Some(Err(JoinError::AlreadyIn)));
    // Nobody holds the key 0.
    let weak = planetary_proto::NodeKey::from_bytes([0; 32]);
    let circle = crate::log::CircleId::from_bytes([7; 32]);
    let nobody = Join { circle, inviter: weak, state: JoinState::Asking, ..link };
    world.follow(1, &nobody);
    world.run(10);
    assert_eq!(world.standing(1, circle), Some(Standing::Refused));
    world.with(1, |exchange, _| exchange.give_up(&circle));
    assert_eq!(world.standing(1, circle), None);
}
