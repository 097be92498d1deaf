//! Members that keep one another's logs equal.

use planetary_proto::Identity;

use super::world::{World, label};
use crate::{
    exchange::{ActError, Stale, Standing, messages::Message},
    hash::blake2b_256,
    limits::{HEADS_PER_MESSAGE_MAX, OPERATIONS_BURST, ROUND, SETTLE_FOR},
    log::{Draft, Kind, Label, Log, Operation, RemovalReason, Role, RuleError},
};

#[test]
fn what_one_member_does_reaches_all_within_seconds() {
    let mut world = World::new(5, 1);
    let circle = world.circle_of_all(0, &[1]);
    world.act(1, |exchange, now| exchange.change(&circle, Some(label("Lab")), None, now)).unwrap();
    world.run(5);
    for node in 0..5 {
        assert_eq!(world.view(node, circle).name.as_str(), "Lab", "node {node}");
        let synced_at = world.nodes[node].exchange.synced_at(&circle).unwrap();
        assert!(world.now().unix_s - synced_at < 120, "node {node}");
    }
}

#[test]
fn two_halves_whose_admins_add_and_remove_agree_after_they_meet() {
    for seed in 0..10 {
        let mut world = World::new(7, seed);
        world.loss = 20;
        let circle = world.create(0);
        // Who lets whom in, and as what; nodes 5 and 6 stay outside for now.
        let admin = Role::Admin;
        let member = Role::Member;
        for (by, node, role) in [(0, 1, admin), (0, 2, admin), (1, 3, member), (2, 4, member)] {
            let link = world.link(by, circle, role, 1, false);
            world.follow(node, &link);
            world.run(90);
            world.act(node, |exchange, now| exchange.accept(&circle, now)).unwrap();
        }
        world.run(600);
        world.assert_equal(circle);
        assert_eq!(world.members(3, circle), [0, 1, 2, 3, 4], "seed {seed}");

        // Here the founder, who removes an admin; there that admin, and another one.
        for node in [1, 2, 4, 6] {
            world.nodes[node].side = 1;
        }
        world.make_friends(0, 5);
        world.make_friends(2, 6);
        let (five, six) = (world.key(5), world.key(6));
        world.remove(0, circle, 1).unwrap();
        world.act(0, |it, now| it.add(&circle, five, member, None, now)).unwrap();
        world.remove(1, circle, 4).unwrap();
        world.remove(2, circle, 3).unwrap();
        world.act(2, |it, now| it.add(&circle, six, member, None, now)).unwrap();
        world.run(120);
        for node in [5, 6] {
            assert_eq!(world.standing(node, circle), Some(Standing::Invited), "seed {seed}");
            world.act(node, |it, now| it.accept(&circle, now)).unwrap();
        }
        world.run(120);
        assert_eq!(world.members(0, circle), [0, 2, 3, 4, 5], "seed {seed}");
        assert_eq!(world.members(2, circle), [0, 1, 2, 6], "seed {seed}");

        for node in 0..7 {
            world.nodes[node].side = 0;
        }
        world.run(6 * ROUND.as_secs());
        // Node 4 may have asked somebody who did not know yet, and asks again ever more seldom.
        world.run(6 * 3_600);
        // What the removed admin did without the founder's knowledge is void, and nothing else.
        for node in [0, 2, 4, 5, 6] {
            let members = world.members(node, circle);
            assert_eq!(members, [0, 2, 4, 5, 6], "seed {seed}, node {node}");
        }
        assert_eq!(world.standing(3, circle), Some(Standing::Removed), "seed {seed}");
        assert_eq!(world.standing(1, circle), Some(Standing::Removed), "seed {seed}");
        world.assert_equal(circle);
    }
}

#[test]
fn who_was_away_gets_everything_when_it_is_back() {
    let mut world = World::new(3, 2);
    let circle = world.circle_of_all(0, &[]);
    world.stop(2);
    for count in 0..100 {
        let name: Label = label(&format!("Home {count}"));
        world.act(0, |exchange, now| exchange.change(&circle, Some(name), None, now)).unwrap();
        world.run(1);
    }
    world.run(60);
    world.start(2);
    world.run(60);
    assert_eq!(world.view(2, circle).name.as_str(), "Home 99");
    world.assert_equal(circle);
}

#[test]
fn members_that_never_speak_still_find_one_another() {
    let mut world = World::new(4, 3);
    let circle = world.circle_of_all(0, &[1]);
    // All alone while something happens, then all restarted: nobody has heard of anybody.
    for node in 0..4 {
        world.nodes[node].side = node as u32;
    }
    world.act(1, |exchange, now| exchange.change(&circle, Some(label("Lab")), None, now)).unwrap();
    world.run(60);
    for node in 0..4 {
        world.nodes[node].side = 0;
        world.restart(node);
    }
    world.run(60);
    for node in 0..4 {
        assert_eq!(world.view(node, circle).name.as_str(), "Lab", "node {node}");
    }
}

#[test]
fn a_quiet_circle_costs_little() {
    let mut world = World::new(5, 4);
    world.circle_of_all(0, &[]);
    let before = world.sent.len();
    world.run(6 * 3_600);
    let per_node_and_hour = (world.sent.len() - before) / 5 / 6;
    // Six rounds an hour, each a question and an answer, and as many that others begin.
    assert!(per_node_and_hour <= 24, "{per_node_and_hour} messages");
}

#[test]
fn a_removed_member_is_told_so_and_nothing_else() {
    let mut world = World::new(4, 5);
    world.make_friends(2, 3);
    let circle = world.circle_of_all(0, &[1]);
    world.run(60);
    let since = world.now().mono;
    let before = world.backup(3, circle);
    world.remove(0, circle, 3).unwrap();
    world.act(0, |exchange, now| exchange.change(&circle, Some(label("Lab")), None, now)).unwrap();
    world.run(30);
    assert_eq!(world.standing(3, circle), Some(Standing::Removed));
    // It does not give up, and node 2 still hears it.
    world.restart(3);
    world.run(2 * ROUND.as_secs());
    for from in 0..3 {
        for message in world.said(from, 3, since) {
            let (Message::Ops { operations, .. } | Message::Push { operations, .. }) = message
            else {
                continue;
            };
            for bytes in operations {
                let operation = Operation::parse(&bytes).unwrap();
                let allowed = match operation.kind() {
                    Kind::Remove { .. } => true,
                    _ => before.get(&operation.id()).is_some(),
                };
                assert!(allowed, "node {from} told {operation:?}");
            }
        }
    }
    assert_eq!(world.view(3, circle).name.as_str(), "Home");
    assert_eq!(world.members(2, circle), [0, 1, 2]);
}

#[test]
fn a_member_that_was_away_when_it_was_removed_learns_of_it() {
    let mut world = World::new(3, 6);
    let circle = world.circle_of_all(0, &[]);
    world.stop(2);
    world.remove(0, circle, 2).unwrap();
    world.run(120);
    world.start(2);
    world.run(600);
    assert_eq!(world.standing(2, circle), Some(Standing::Removed));
}

#[test]
fn who_leaves_is_gone_for_all() {
    let mut world = World::new(4, 7);
    let circle = world.circle_of_all(0, &[]);
    world.nodes[3].side = 1;
    world.act(2, |exchange, now| exchange.leave(&circle, now)).unwrap();
    world.run(30);
    assert_eq!(world.standing(2, circle), Some(Standing::Left));
    assert_eq!(world.members(0, circle), [0, 1, 3]);
    world.nodes[3].side = 0;
    world.run(ROUND.as_secs() * 2);
    assert_eq!(world.members(3, circle), [0, 1, 3]);
    let since = world.now().mono;
    world.run(ROUND.as_secs() * 2);
    for node in [0, 1, 3] {
        assert!(world.said(node, 2, since).is_empty(), "node {node} goes on");
        assert!(world.said(2, node, since).is_empty(), "it goes on to node {node}");
    }
}

#[test]
fn a_role_changes_without_another_question() {
    let mut world = World::new(3, 8);
    let circle = world.circle_of_all(0, &[]);
    let key = world.key(1);
    for role in [Role::Admin, Role::Member, Role::Admin] {
        world.act(0, |exchange, now| exchange.add(&circle, key, role, None, now)).unwrap();
        world.run(30);
        for node in 0..3 {
            let member = &world.view(node, circle).members[&key];
            assert_eq!(member.role, role, "node {node}");
            assert!(world.view(node, circle).is_member(&key), "node {node}");
        }
    }
    assert_eq!(world.members(2, circle), [0, 1, 2]);
}

#[test]
fn a_restored_backup_learns_its_own_chain_before_it_writes() {
    let mut world = World::new(3, 9);
    let circle = world.circle_of_all(0, &[1]);
    let backup = world.backup(1, circle);
    for name in ["Lab", "Den"] {
        let name = Some(label(name));
        world.act(1, |exchange, now| exchange.change(&circle, name, None, now)).unwrap();
        world.run(10);
    }
    world.restore(1, circle, backup);
    let rename = |world: &mut World| {
        let name = Some(label("Attic"));
        world.act(1, |exchange, now| exchange.change(&circle, name, None, now))
    };
    assert_eq!(rename(&mut world), Err(ActError::Settling));
    world.run(5);
    assert_eq!(world.view(1, circle).name.as_str(), "Den");
    rename(&mut world).unwrap();
    world.run(10);
    for node in 0..3 {
        assert_eq!(world.view(node, circle).name.as_str(), "Attic", "node {node}");
        assert!(world.view(node, circle).forked.is_empty(), "node {node}");
    }
}

#[test]
fn a_node_that_finds_nobody_writes_after_a_while() {
    let mut world = World::new(2, 10);
    let circle = world.circle_of_all(0, &[]);
    world.stop(1);
    world.restart(0);
    let rename = |world: &mut World| {
        let name = Some(label("Lab"));
        world.act(0, |exchange, now| exchange.change(&circle, name, None, now))
    };
    world.run(SETTLE_FOR.as_secs() - 2);
    assert_eq!(rename(&mut world), Err(ActError::Settling));
    world.run(2);
    rename(&mut world).unwrap();
    // Alone in its circle, nobody can know more.
    let mut world = World::new(1, 11);
    let circle = world.create(0);
    world.restart(0);
    let name = Some(label("Lab"));
    world.act(0, |exchange, now| exchange.change(&circle, name, None, now)).unwrap();
}

#[test]
fn an_own_fork_is_seen_by_all_and_ends_nothing_else() {
    let mut world = World::new(4, 12);
    let circle = world.circle_of_all(0, &[1]);
    let backup = world.backup(1, circle);
    // Two nodes with one key: one is cut off, restored and writes.
    world.act(1, |it, now| it.change(&circle, Some(label("Lab")), None, now)).unwrap();
    world.run(10);
    world.nodes[1].side = 1;
    world.restore(1, circle, backup);
    world.run(SETTLE_FOR.as_secs());
    world.act(1, |it, now| it.change(&circle, Some(label("Den")), None, now)).unwrap();
    world.nodes[1].side = 0;
    world.run(2 * ROUND.as_secs());
    for node in 0..4 {
        assert_eq!(world.view(node, circle).forked.len(), 1, "node {node}");
        assert_eq!(world.view(node, circle).name.as_str(), "Home", "node {node}");
    }
    let refused = world.act(1, |it, now| it.change(&circle, Some(label("Den")), None, now));
    assert_eq!(refused, Err(ActError::Rule(RuleError::Forked)));
    world.act(0, |it, now| it.change(&circle, Some(label("Attic")), None, now)).unwrap();
    world.run(ROUND.as_secs());
    world.assert_equal(circle);
    assert_eq!(world.view(3, circle).name.as_str(), "Attic");
}

#[test]
fn a_flood_of_one_author_is_taken_slowly() {
    let mut world = World::new(3, 13);
    let circle = world.circle_of_all(0, &[]);
    world.nodes[2].side = 1;
    let count = OPERATIONS_BURST + 50;
    for number in 0..count {
        let name = Some(label(&format!("Home {number}")));
        world.act(0, |exchange, now| exchange.change(&circle, name, None, now)).unwrap();
    }
    world.run(60);
    let taken = |world: &World, node: usize| {
        let log = world.nodes[node].exchange.log(&circle).unwrap();
        log.operations().filter(|it| it.author() == world.key(0)).count() as u64
    };
    let all = taken(&world, 0);
    assert!(taken(&world, 1) < all);
    let sent = world.sent.len();
    world.run(120);
    // What is left out is not asked for again and again.
    assert!(world.sent.len() - sent < 40, "{} messages", world.sent.len() - sent);
    world.run(3 * 3_600);
    assert_eq!(taken(&world, 1), all);
    world.nodes[2].side = 0;
    world.run(3 * 3_600);
    world.assert_equal(circle);
}

#[test]
fn members_have_the_latest_secret_and_removed_ones_do_not() {
    let mut world = World::new(4, 14);
    let circle = world.circle_of_all(0, &[1]);
    let secret = |world: &World, node: usize| {
        let secrets = world.nodes[node].exchange.secrets(&circle);
        secrets.first().map(|secret| (secret.generation, *secret.bytes))
    };
    world.run(120);
    let first = secret(&world, 0).unwrap();
    assert_eq!(first.0, 1);
    for node in 1..4 {
        assert_eq!(secret(&world, node), Some(first), "node {node}");
    }
    world.nodes[2].side = 1;
    world.remove(0, circle, 3).unwrap();
    world.run(60);
    let second = secret(&world, 0).unwrap();
    assert_eq!(second.0, 2);
    assert_ne!(second.1, first.1);
    assert_eq!(secret(&world, 1), Some(second));
    // Whoever was away asks, even when the one that made it is gone.
    world.stop(0);
    world.nodes[2].side = 0;
    world.run(2 * ROUND.as_secs());
    assert_eq!(secret(&world, 2), Some(second));
    assert_eq!(secret(&world, 3), Some(first));
    // Both are kept over a restart.
    world.restart(2);
    assert_eq!(world.nodes[2].exchange.secrets(&circle).len(), 2);
}

#[test]
fn two_generations_at_one_time_end_in_one_secret() {
    let mut world = World::new(5, 15);
    let circle = world.create(0);
    for (by, node, role) in
        [(0, 1, Role::Admin), (0, 2, Role::Member), (0, 3, Role::Member), (1, 4, Role::Member)]
    {
        let link = world.link(by, circle, role, 1, false);
        world.follow(node, &link);
        world.run(30);
        world.act(node, |exchange, now| exchange.accept(&circle, now)).unwrap();
    }
    world.run(120);
    world.nodes[1].side = 1;
    world.nodes[2].side = 1;
    world.remove(0, circle, 3).unwrap();
    world.remove(1, circle, 4).unwrap();
    world.run(60);
    for node in 0..5 {
        world.nodes[node].side = 0;
    }
    world.run(3 * ROUND.as_secs());
    let latest = world.view(0, circle).generation.unwrap();
    assert_eq!(latest.number, 2);
    for node in 0..3 {
        assert_eq!(world.view(node, circle).generation, Some(latest), "node {node}");
        let secrets = world.nodes[node].exchange.secrets(&circle);
        let commitment = blake2b_256(&[&*secrets[0].bytes]);
        assert_eq!(commitment, latest.commitment, "node {node}");
    }
}

#[test]
fn a_key_on_paper_removes_the_node_that_began_the_circle() {
    let mut world = World::new(3, 16);
    let paper = Identity::from_seed(&[99; 32]);
    let exchange = &mut world.nodes[0].exchange;
    let genesis = exchange.draft_create(label("Home"), paper.key()).unwrap();
    let genesis = genesis.sign(&paper).unwrap();
    let circle = world.act(0, |exchange, now| exchange.submit(genesis, now)).unwrap();
    assert_eq!(world.view(0, circle).paper, Some(paper.key()));
    for node in [1, 2] {
        let link = world.link(0, circle, Role::Admin, 1, false);
        world.follow(node, &link);
        world.run(20);
        world.act(node, |exchange, now| exchange.accept(&circle, now)).unwrap();
    }
    world.run(60);
    let founder = world.key(0);
    let draft = world.nodes[1].exchange.draft(&circle, paper.key(), |log| {
        log.removal(&paper.key(), &founder, &"stolen".parse().unwrap()).into_iter().next()
    });
    let removal = draft.unwrap().sign(&paper).unwrap();
    world.act(1, |exchange, now| exchange.submit(removal, now)).unwrap();
    world.run(60);
    assert_eq!(world.members(2, circle), [1, 2]);
    assert_eq!(world.standing(0, circle), Some(Standing::Removed));
    // Only the circle's own key on paper is heard.
    let other = world.nodes[1].exchange.draft(&circle, founder, |_| None);
    assert_eq!(other.err(), Some(ActError::Rule(RuleError::NotSenior)));
}

#[test]
fn a_change_that_was_prepared_too_early_is_refused_and_does_nothing() {
    let mut world = World::new(2, 17);
    let circle = world.circle_of_all(0, &[]);
    let now = world.now();
    let exchange = &mut world.nodes[0].exchange;
    let early = exchange.change(&circle, Some(label("Lab")), None, now).unwrap();
    world.act(0, |exchange, now| exchange.change(&circle, Some(label("Den")), None, now)).unwrap();
    let result = world.with(0, |exchange, now| exchange.commit(early, now));
    assert_eq!(result, Some(Err(Stale)));
    world.run(10);
    assert_eq!(world.view(1, circle).name.as_str(), "Den");
    assert!(world.view(1, circle).forked.is_empty());
}

#[test]
fn a_log_of_more_authors_than_a_message_holds_is_compared_in_spans() {
    let mut world = World::new(3, 18);
    let circle = world.create(0);
    let link = world.link(0, circle, Role::Member, 1, false);
    world.follow(1, &link);
    world.run(20);
    world.act(1, |exchange, now| exchange.accept(&circle, now)).unwrap();
    world.run(60);

    let founder = world.nodes[0].identity.clone();
    let mut log = world.backup(0, circle);
    let write = |log: &mut Log, author: &Identity, kind: Kind| {
        let draft = Draft::new(log, author.key(), kind).unwrap();
        log.insert(draft.sign(author).unwrap()).unwrap();
    };
    for number in 0..280_u16 {
        let mut seed = [200; 32];
        seed[..2].copy_from_slice(&number.to_be_bytes());
        let guest = Identity::from_seed(&seed);
        let addition = log.addition(guest.key(), Role::Member, None, None);
        write(&mut log, &founder, addition);
        let acceptance = log.acceptance(&guest.key(), None).unwrap();
        write(&mut log, &guest, acceptance);
        if number % 8 == 0 {
            for kind in log.removal(&founder.key(), &guest.key(), &RemovalReason::default()) {
                write(&mut log, &founder, kind);
            }
        }
    }
    assert!(log.heads().len() > HEADS_PER_MESSAGE_MAX);
    world.restore(0, circle, log);
    let since = world.now().mono;
    // An hour and a bit, because the founder has said more than is taken at once.
    world.run(2 * 3_600);
    world.assert_equal(circle);
    let spans = world.said(1, 0, since);
    let is_part = |it: &Message| matches!(it, Message::Have { span, .. } if !span.is_all());
    assert!(spans.iter().any(is_part), "nothing was asked in spans");

    // A guest fetches all of it at once.
    let link = world.link(0, circle, Role::Member, 1, false);
    world.follow(2, &link);
    world.run(60);
    assert_eq!(world.standing(2, circle), Some(Standing::Invited));
    let logs = [0, 2].map(|node| world.nodes[node].exchange.log(&circle).unwrap().to_bytes());
    assert!(logs[0] == logs[1]);
}
