//! Destinations that were used of late answer at once, however long nothing was said.

use planetary_proto::{time::Duration, wire::FrameKind};
use planetary_sim::{HostId, Line, Memory, Stop, World};

const LATENCY: Duration = Duration::from_millis(10);

/// Three hops in a row that have found each other. The first has spoken with the last.
fn acquainted(seed: u64) -> (World, Vec<HostId>) {
    let mut world = World::new(seed);
    let hosts: Vec<HostId> = (0..4).map(|_| world.add_host()).collect();
    for pair in hosts.windows(2) {
        world.connect(pair[0], pair[1], Line::new(LATENCY));
    }
    world.run_for(Duration::from_secs(10));
    assert!(speaks(&mut world, hosts[0], hosts[3], Duration::from_secs(1)), "seed {seed}");
    (world, hosts)
}

/// Whether an echo comes back within `time`.
fn speaks(world: &mut World, from: HostId, to: HostId, time: Duration) -> bool {
    let ping = world.ping(from, to);
    world.run_for(time);
    world.answer(ping).is_some()
}

/// A round trip over three hops, and nothing more.
const ROUND_TRIP: Duration = Duration::from_millis(65);

fn assert_clean(world: &World) {
    let violations: Vec<String> = world.violations().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "seed {}: {violations:#?}", world.seed());
}

#[test]
fn after_an_idle_hour_the_first_packet_takes_one_round_trip_and_the_hour_costs_little() {
    for seed in 0..5 {
        let (mut world, hosts) = acquainted(seed);
        world.run_for(Duration::from_secs(120));
        let before = world.total();
        world.run_for(Duration::from_secs(3600));
        let sent = world.total() - before;
        // Over three hops.
        let traffic = sent.sent[FrameKind::Traffic as usize].bytes / 3;
        eprintln!("an hour: {traffic} bytes of greetings, {} of control", sent.control().bytes);
        assert!((20_000..60_000).contains(&traffic), "seed {seed}: {traffic} bytes");
        assert!(speaks(&mut world, hosts[0], hosts[3], ROUND_TRIP), "seed {seed}");
        // Both ends are warm.
        world.run_for(Duration::from_secs(600));
        assert!(speaks(&mut world, hosts[3], hosts[0], ROUND_TRIP), "seed {seed}");
        assert_clean(&world);
    }
}

#[test]
fn after_a_day_without_use_it_is_forgotten() {
    let (mut world, hosts) = acquainted(1);
    world.run_for(Duration::from_secs(24 * 3600 + 180));
    let open = hosts.iter().filter_map(|host| world.node(*host));
    assert_eq!(open.map(|node| node.sessions().count()).sum::<usize>(), 0);
}

#[test]
fn one_that_was_away_is_greeted_again_before_anybody_speaks() {
    for seed in 0..5 {
        let (mut world, hosts) = acquainted(seed);
        world.run_for(Duration::from_secs(120));
        world.stop(hosts[3], Stop::PowerLoss);
        world.run_for(Duration::from_secs(400));
        world.start(hosts[3], Memory::Sequence);
        // Looked for after one, two, four and eight minutes.
        world.run_for(Duration::from_secs(15 * 60));
        assert!(speaks(&mut world, hosts[0], hosts[3], ROUND_TRIP), "seed {seed}");
        assert_clean(&world);
    }
}
