//! Fast sessions: how they come up, what ends them, and what packets go through meanwhile.

use planetary_proto::{
    session::{SESSION_FAST, SESSION_TRAFFIC, Suite, Suites},
    time::Duration,
};
use planetary_sim::{HostId, Line, Memory, Stop, Weather, World};

const LATENCY: Duration = Duration::from_millis(10);
/// Between the ends of a row of three.
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// Three hosts in a row that have found each other. The first and the last have no session.
fn row(seed: u64) -> (World, [HostId; 3]) {
    let mut world = World::new(seed);
    let hosts = [(); 3].map(|()| world.add_host());
    for pair in hosts.windows(2) {
        world.connect(pair[0], pair[1], Line::new(LATENCY));
    }
    world.run_for(Duration::from_secs(5));
    (world, hosts)
}

/// A row whose ends have a fast session.
fn fast_row(seed: u64) -> (World, HostId, HostId) {
    let (mut world, [first, _, last]) = row(seed);
    world.ping(first, last);
    world.run_for(Duration::from_secs(1));
    assert!(is_fast(&world, first, last), "seed {seed}");
    (world, first, last)
}

/// What `from` seals for `to` with.
fn suite(world: &World, from: HostId, to: HostId) -> Option<Suite> {
    let table = world.node(from)?.session_table();
    table.session(&world.key(to))?.suite()
}

fn generation(world: &World, from: HostId, to: HostId) -> Option<u8> {
    let table = world.node(from)?.session_table();
    table.session(&world.key(to))?.generation()
}

/// Whether both ends seal under keys of the same generation.
fn is_fast(world: &World, one: HostId, other: HostId) -> bool {
    let [there, back] = [(one, other), (other, one)].map(|(a, b)| generation(world, a, b));
    there.is_some() && there == back
}

/// Pings each way every 100 ms for `time`. Returns how many of them were not answered.
fn talk(world: &mut World, one: HostId, other: HostId, time: Duration) -> usize {
    let mut pings = Vec::new();
    for turn in 0..time.as_millis() / 100 {
        let (from, to) = if turn % 2 == 0 { (one, other) } else { (other, one) };
        pings.push(world.ping(from, to));
        world.run_for(Duration::from_millis(100));
    }
    world.run_for(Duration::from_secs(1));
    pings.iter().filter(|ping| world.answer(**ping).is_none()).count()
}

fn assert_clean(world: &World) {
    let violations: Vec<String> = world.violations().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "seed {}: {violations:#?}", world.seed());
}

#[test]
fn it_is_there_two_round_trips_after_the_session() {
    for seed in 0..8 {
        let (mut world, [first, _, last]) = row(seed);
        let ping = world.ping(first, last);
        while world.answer(ping).is_none() {
            world.run_for(Duration::from_millis(1));
        }
        // The session has been there at both ends for the round trip of the ping.
        assert!(!is_fast(&world, first, last), "seed {seed}");
        world.run_for(ROUND_TRIP + ROUND_TRIP / 2 + Duration::from_millis(2));
        assert!(is_fast(&world, first, last), "seed {seed}");
        assert_eq!(suite(&world, first, last), Some(Suite::Aes256Gcm));
        assert_eq!(suite(&world, last, first), Some(Suite::Aes256Gcm));
        assert_eq!(talk(&mut world, first, last, Duration::from_secs(2)), 0);
        assert_eq!(world.total().fast_refused, 0);
        assert_clean(&world);
    }
}

#[test]
fn a_machine_without_instructions_for_aes_decides_for_both() {
    for seed in 0..4 {
        let (mut world, [first, _, last]) = row(seed);
        world.set_fast(last, Some(Suites::fast_with(false)));
        world.stop(last, Stop::Ended);
        world.start(last, Memory::Sequence);
        world.run_for(Duration::from_secs(5));
        world.ping_every(first, last, Duration::from_millis(200));
        world.run_for(Duration::from_secs(3));
        assert_eq!(suite(&world, first, last), Some(Suite::ChaCha20Poly1305), "seed {seed}");
        assert_eq!(suite(&world, last, first), Some(Suite::ChaCha20Poly1305), "seed {seed}");
    }
}

#[test]
fn keys_change_under_traffic_and_not_a_packet_is_lost() {
    for seed in 0..4 {
        let (mut world, first, last) = fast_row(seed);
        let before = world.total();
        let mut generations = Vec::new();
        for _ in 0..50 {
            assert_eq!(talk(&mut world, first, last, Duration::from_secs(10)), 0, "seed {seed}");
            generations.extend(generation(&world, first, last));
        }
        generations.dedup();
        assert!(generations.len() >= 4, "seed {seed}: {generations:?}");
        let all = world.total() - before;
        assert_eq!(all.fast_refused, 0);
        assert!(all.fast >= 10_000, "{} packets", all.fast);
        assert_clean(&world);
    }
}

#[test]
fn keys_that_nobody_uses_end_and_others_come_with_the_first_use() {
    for seed in 0..6 {
        let (mut world, first, last) = fast_row(seed);
        let old = generation(&world, first, last);
        world.run_for(Duration::from_secs(600));
        assert_eq!(generation(&world, first, last), None, "seed {seed}");
        assert_eq!(generation(&world, last, first), None, "seed {seed}");
        // Either end may be the one who speaks.
        let (from, to) = if seed % 2 == 0 { (first, last) } else { (last, first) };
        let ping = world.ping(from, to);
        world.run_for(Duration::from_secs(3));
        assert!(world.answer(ping).is_some(), "seed {seed}");
        assert!(is_fast(&world, first, last), "seed {seed}");
        assert_ne!(generation(&world, first, last), old);
        assert_clean(&world);
    }
}

#[test]
fn an_idle_session_costs_no_new_keys() {
    let (mut world, ..) = fast_row(3);
    world.run_for(Duration::from_secs(120));
    let before = world.total().fast;
    world.run_for(Duration::from_secs(3600));
    assert_eq!(world.total().fast, before);
}

#[test]
fn after_a_restart_of_either_end_it_comes_back_by_itself() {
    for seed in 0..8 {
        for (memory, stop) in [(Memory::Sequence, Stop::Ended), (Memory::Nothing, Stop::PowerLoss)]
        {
            let (mut world, first, last) = fast_row(seed);
            let (stays, restarts) = if seed % 2 == 0 { (first, last) } else { (last, first) };
            world.stop(restarts, stop);
            world.run_for(Duration::from_millis(300));
            world.start(restarts, memory);
            world.run_for(Duration::from_secs(8));
            // Who stays does not know that anything has happened, and speaks first.
            let ping = world.ping_every(stays, restarts, Duration::from_millis(200));
            // With a clock behind its last greeting it is not believed for some seconds.
            world.run_for(Duration::from_secs(8));
            assert!(world.answer(ping).is_some(), "seed {seed} {memory:?}");
            world.run_for(Duration::from_secs(4));
            assert!(is_fast(&world, first, last), "seed {seed} {memory:?}");
            assert_eq!(talk(&mut world, first, last, Duration::from_secs(2)), 0);
            assert_clean(&world);
        }
    }
}

#[test]
fn a_restarted_end_that_speaks_first_is_understood() {
    for seed in 0..8 {
        let (mut world, first, last) = fast_row(seed);
        let (stays, restarts) = if seed % 2 == 0 { (first, last) } else { (last, first) };
        world.stop(restarts, Stop::Ended);
        world.start(restarts, Memory::Sequence);
        world.run_for(Duration::from_secs(5));
        let ping = world.ping_every(restarts, stays, Duration::from_millis(200));
        world.run_for(Duration::from_secs(3));
        assert!(world.answer(ping).is_some(), "seed {seed}");
        assert!(is_fast(&world, first, last), "seed {seed}");
        assert_eq!(talk(&mut world, first, last, Duration::from_secs(2)), 0);
    }
}

#[test]
fn who_comes_back_without_fast_sessions_is_spoken_with_in_the_old_way() {
    for seed in 0..6 {
        let (mut world, first, last) = fast_row(seed);
        let (stays, changes) = if seed % 2 == 0 { (first, last) } else { (last, first) };
        world.set_fast(changes, None);
        world.stop(changes, Stop::Ended);
        world.start(changes, Memory::Sequence);
        world.run_for(Duration::from_secs(5));
        let ping = world.ping_every(stays, changes, Duration::from_millis(200));
        world.run_for(Duration::from_secs(5));
        assert!(world.answer(ping).is_some(), "seed {seed}");
        assert_eq!(talk(&mut world, first, last, Duration::from_secs(10)), 0, "seed {seed}");
        assert_eq!(suite(&world, stays, changes), None);
        // And back again.
        world.set_fast(changes, Some(Suites::ALL));
        world.stop(changes, Stop::Ended);
        world.start(changes, Memory::Sequence);
        world.run_for(Duration::from_secs(5));
        world.ping_every(changes, stays, Duration::from_millis(200));
        world.run_for(Duration::from_secs(5));
        assert!(is_fast(&world, first, last), "seed {seed}");
    }
}

#[test]
fn a_lossy_line_only_delays_it() {
    for seed in 0..40 {
        let (mut world, [first, _, last]) = row(seed);
        for host in [first, last] {
            world.set_weather(host, Weather { loss: 50, ..Weather::FAIR });
        }
        world.ping_every(first, last, Duration::from_millis(100));
        talk(&mut world, first, last, Duration::from_secs(15));
        if !is_fast(&world, first, last) {
            // Both have lost their hello, which is said again after half a minute.
            talk(&mut world, first, last, Duration::from_secs(60));
        }
        assert!(is_fast(&world, first, last), "seed {seed}");
    }
}

#[test]
fn packets_out_of_order_are_taken_and_copies_are_not() {
    for seed in 0..4 {
        let (mut world, first, last) = fast_row(seed);
        for host in [first, last] {
            world.set_weather(host, Weather { copies: 300, delays: 500, ..Weather::FAIR });
        }
        let before = world.total();
        let lost = talk(&mut world, first, last, Duration::from_secs(300));
        assert_eq!(lost, 0, "seed {seed}");
        let all = world.total() - before;
        assert!(all.fast_refused > all.fast / 5, "{all:?}");
        assert!(is_fast(&world, first, last));
        assert_clean(&world);
    }
}

#[test]
fn whoever_holds_back_the_offers_is_left_with_a_session_of_the_old_kind_that_works() {
    let is_long = |payload: &[u8]| payload.len() > 1000 && payload[0] == SESSION_TRAFFIC;
    for seed in 0..4 {
        let (mut world, [first, _, last]) = row(seed);
        for host in [first, last] {
            world.set_weather(host, Weather { drops: is_long, ..Weather::FAIR });
        }
        world.ping_every(first, last, Duration::from_millis(100));
        world.run_for(Duration::from_secs(2));
        assert_eq!(talk(&mut world, first, last, Duration::from_secs(20)), 0, "seed {seed}");
        assert_eq!(suite(&world, first, last), None);
        // As soon as nobody does, it comes up, because the session is used.
        for host in [first, last] {
            world.set_weather(host, Weather::FAIR);
        }
        talk(&mut world, first, last, Duration::from_secs(70));
        assert!(is_fast(&world, first, last), "seed {seed}");
    }
}

#[test]
fn whoever_holds_back_fast_packets_stops_the_session_and_does_not_change_its_kind() {
    for seed in 0..4 {
        let (mut world, first, last) = fast_row(seed);
        let is_fast_packet = |payload: &[u8]| payload.first() == Some(&SESSION_FAST);
        for host in [first, last] {
            world.set_weather(host, Weather { drops: is_fast_packet, ..Weather::FAIR });
        }
        let pings = 100;
        assert_eq!(talk(&mut world, first, last, Duration::from_secs(10)), pings, "seed {seed}");
        for (from, to) in [(first, last), (last, first)] {
            assert!(suite(&world, from, to).is_some(), "seed {seed}");
        }
    }
}

#[test]
fn a_node_that_knows_nothing_of_it_sees_eleven_bytes_once_in_a_session() {
    for seed in 0..4 {
        let (mut world, [first, _, last]) = row(seed);
        world.set_fast(last, None);
        world.stop(last, Stop::Ended);
        world.start(last, Memory::Sequence);
        world.run_for(Duration::from_secs(5));
        // A compatible message has at most 79 bytes around its data; an echo has 56 of them.
        let is_hello = |payload: &[u8]| payload[0] == SESSION_TRAFFIC && payload.len() < 79 + 12;
        let is_more = |payload: &[u8]| payload[0] == SESSION_FAST || payload.len() > 300;
        let counted = |world: &mut World, drops: fn(&[u8]) -> bool| {
            world.set_weather(last, Weather { drops, ..Weather::FAIR });
        };
        // Whatever is more than a hello does not get through, and nothing is missing.
        counted(&mut world, is_more);
        let ping = world.ping_every(first, last, Duration::from_millis(300));
        world.run_for(Duration::from_secs(3));
        assert!(world.answer(ping).is_some(), "seed {seed}");
        assert_eq!(talk(&mut world, first, last, Duration::from_secs(300)), 0, "seed {seed}");
        // After the first hello, which has been, nothing so short comes any more.
        counted(&mut world, is_hello);
        assert_eq!(talk(&mut world, first, last, Duration::from_secs(300)), 0, "seed {seed}");
        assert_clean(&world);
    }
}
