//! How soon two nodes that never spoke reach each other.

use planetary_proto::time::Duration;
use planetary_sim::{HostId, Line, World, check};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Hosts in a row, with lines of the same latency.
fn chain(world: &mut World, hosts: usize, latency: Duration) -> Vec<HostId> {
    let hosts: Vec<HostId> = (0..hosts).map(|_| world.add_host()).collect();
    for pair in hosts.windows(2) {
        world.connect(pair[0], pair[1], Line::new(latency));
    }
    hosts
}

fn assert_clean(world: &World) {
    let violations: Vec<String> = world.violations().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "seed {}: {violations:#?}", world.seed());
}

#[test]
fn two_on_a_lan_echo_within_a_tenth_of_a_second() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        let hosts = chain(&mut world, 2, millis(1));
        // The ping is there before the link is: what waits is sent as soon as there is a way.
        let ping = world.ping(hosts[0], hosts[1]);
        world.run_for(millis(100));
        let answer = world.answer(ping);
        assert!(answer.is_some_and(|answer| answer <= millis(20)), "seed {seed}: {answer:?}");
        assert_clean(&world);
    }
}

#[test]
fn first_contact_over_four_hops_takes_few_round_trips() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        let hosts = chain(&mut world, 5, millis(10));
        let ping = world.ping(hosts[0], hosts[4]);
        world.run_for(millis(1_000));
        // Links are up at 40 ms; then the tree, filters, a lookup, the greetings and the echo, each
        // up and down the chain.
        let answer = world.answer(ping);
        assert!(answer.is_some_and(|answer| answer <= millis(600)), "seed {seed}: {answer:?}");
        assert_eq!(check::settled(&world), Ok(()), "seed {seed}");
        assert_clean(&world);
    }
}

#[test]
fn a_greeting_that_is_repeated_before_its_answer_is_no_new_one() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        // An Init is repeated after little more than a second, and there and back takes 1.6.
        let hosts = chain(&mut world, 5, millis(200));
        world.run_for(millis(30_000));
        let pings: Vec<_> = (0..3).map(|_| world.ping(hosts[0], hosts[4])).collect();
        world.run_for(millis(8_000));
        for ping in pings {
            let answer = world.answer(ping);
            assert!(
                answer.is_some_and(|answer| answer <= millis(6_500)),
                "seed {seed}: {answer:?}"
            );
        }
        assert_clean(&world);
    }
}

#[test]
fn greetings_that_cross_make_one_session() {
    for seed in 0..10 {
        for (apart, clock_s) in [(0, 0), (0, -3_600), (7, 0), (7, -3_600), (25, -3_600)] {
            let mut world = World::new(seed);
            let hosts = chain(&mut world, 3, millis(10));
            world.run_for(millis(900));
            world.step_clock(hosts[0], clock_s);
            world.step_clock(hosts[2], clock_s);
            // More than one packet waits at each end: the first must not lock out the others.
            let mut pings: Vec<_> = (0..3).map(|_| world.ping(hosts[0], hosts[2])).collect();
            world.run_for(millis(apart));
            pings.extend((0..3).map(|_| world.ping(hosts[2], hosts[0])));
            world.run_for(millis(1_000));
            let answers: Vec<_> = pings.iter().map(|ping| world.answer(*ping)).collect();
            assert!(
                answers.iter().all(Option::is_some),
                "seed {seed}, {apart} ms apart, clock set by {clock_s} s: {answers:?}"
            );
            assert_clean(&world);
        }
    }
}

#[test]
fn newcomers_reach_the_far_end_before_it_knows_of_them() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        let hosts = chain(&mut world, 16, millis(1));
        world.run_for(millis(30_000));
        let root = world.node(hosts[0]).map(planetary_proto::Node::root);
        // So many come in a row that filters are held back: greetings overtake the entries by which
        // they could be answered.
        let pings = (0..16).map(|_| {
            let newcomer = world.add_host();
            world.connect(newcomer, hosts[0], Line::new(millis(1)));
            let ping = world.ping(newcomer, hosts[15]);
            world.run_for(millis(40));
            ping
        });
        let pings: Vec<_> = pings.collect();
        world.run_for(millis(2_000));
        if root != world.node(hosts[0]).map(planetary_proto::Node::root) {
            // A newcomer became the root. Everybody has moved, and packets on the way are lost.
            continue;
        }
        for ping in pings {
            let answer = world.answer(ping);
            assert!(answer.is_some_and(|answer| answer <= millis(800)), "seed {seed}: {answer:?}");
        }
        assert_clean(&world);
    }
}
