//! How soon two nodes that never spoke reach each other.

use planetary_proto::{
    time::Duration,
    upper::extension::{HAVE, PUSH},
};
use planetary_sim::{HostId, Line, Memory, Mischief, News, Stop, World, check};

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

/// How many requests of a host were answered, and how many were not.
fn requests(world: &World, host: HostId) -> (usize, usize) {
    let news = || world.news(host).iter().map(|(_, news)| news);
    let answered = news().filter(|news| matches!(news, News::Replied(..))).count();
    (answered, news().filter(|news| matches!(news, News::NotReplied(..))).count())
}

#[test]
fn a_request_is_answered_over_four_hops_and_nobody_answers_for_nobody() {
    let mut world = World::new(7);
    let hosts = chain(&mut world, 5, millis(10));
    let nobody = world.add_host();
    world.run_for(millis(1_000));
    let id = world.request(hosts[0], hosts[4], PUSH, b"abc").unwrap();
    let lost = world.request(hosts[0], nobody, HAVE, b"").unwrap();
    // A lookup, the greetings, hello and the request: four times there and back.
    world.run_for(millis(600));
    let [(_, News::Replied(from, answer))] = world.news(hosts[0]) else {
        panic!("{:?}", world.news(hosts[0]));
    };
    assert_eq!((*from, answer.id, &answer.body[..]), (world.key(hosts[4]), id, &b"cba"[..]));
    world.run_for(millis(8_000));
    let (at, last) = world.news(hosts[0]).last().unwrap();
    assert_eq!(*last, News::NotReplied(world.key(nobody), lost));
    assert!(at.since(world.news(hosts[0])[0].0) < millis(8_100));
    assert_clean(&world);
}

#[test]
fn requests_get_through_where_packets_are_lost() {
    let mut world = World::new(3);
    let [a, b] = [world.add_host(), world.add_host()];
    let between = world.add_rogue(Mischief::LoseTraffic(0));
    for end in [a, b] {
        world.connect(end, between, Line::new(millis(5)));
    }
    world.run_for(millis(2_000));
    for _ in 0..20 {
        world.request(a, b, HAVE, b"from a").unwrap();
        world.request(b, a, PUSH, b"from b").unwrap();
        world.run_for(millis(1_700));
    }
    world.run_for(millis(8_000));
    // Of single packets four in nine would come and be answered.
    for host in [a, b] {
        let (answered, not) = requests(&world, host);
        assert!(answered >= 15 && answered + not == 20, "{answered} and {not}");
    }
    assert_clean(&world);
}

#[test]
fn a_far_end_that_has_lost_its_session_is_asked_again() {
    for seed in 0..5 {
        let mut world = World::new(seed);
        let hosts = chain(&mut world, 3, millis(10));
        world.run_for(millis(1_000));
        world.request(hosts[0], hosts[2], HAVE, b"1").unwrap();
        world.run_for(millis(2_000));
        assert_eq!(requests(&world, hosts[0]), (1, 0));
        world.stop(hosts[2], Stop::Ended);
        world.start(hosts[2], Memory::Sequence);
        // The near end still has the session, and its neighbour has dialled again.
        world.run_for(millis(10_000));
        world.request(hosts[0], hosts[2], HAVE, b"2").unwrap();
        world.run_for(millis(5_000));
        assert_eq!(requests(&world, hosts[0]), (2, 0), "seed {seed}");
        assert_clean(&world);
    }
}
