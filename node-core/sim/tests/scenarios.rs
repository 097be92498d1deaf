//! Whole runs on fixed seeds. A failure says which command replays it.

use planetary_proto::time::Duration;
use planetary_sim::{
    Cut, HostId, Line, World,
    scenario::{Plan, Report, Scenario, run},
    topology::Topology,
};

/// Runs a plan that must succeed.
fn succeed(plan: Plan) -> Report {
    run(plan).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn fifty_nodes_settle_in_every_shape() {
    for (seed, topology) in
        [Topology::Random, Topology::Ring, Topology::Grid, Topology::ScaleFree, Topology::Star]
            .into_iter()
            .enumerate()
    {
        let plan = Plan { topology, ..Plan::new(50, seed as u64, Scenario::Settle) };
        let report = succeed(plan);
        // A ring of 50 is 25 hops of 21 ms across, and the news of the root travels it.
        assert!(report.settled_ms < 2_500.0, "{report}");
        assert!(report.first_contact.median < 3_000.0, "{report}");
        assert!(report.stretch.ratio.mean < 3.0, "{report}");
    }
}

#[test]
fn two_hundred_nodes_settle_within_a_second() {
    let report = succeed(Plan { minutes: 6, ..Plan::new(200, 42, Scenario::Settle) });
    assert!(report.settled_ms < 1_000.0, "{report}");
    assert!(report.control.settling < 80_000.0, "{report}");
    assert!(report.control.settled < 3_000.0, "{report}");
    assert!(report.wakes_per_s < 0.2, "{report}");
    assert!(report.memory.edges.max < 200.0, "{report}");
}

#[test]
fn cuts_are_routed_around() {
    for seed in 1..=2 {
        let report = succeed(Plan { minutes: 1, ..Plan::new(40, seed, Scenario::Cut) });
        assert!(!report.phases.is_empty(), "{report}");
    }
}

#[test]
fn parts_settle_apart_and_together_again() {
    for seed in 1..=2 {
        let report = succeed(Plan { minutes: 1, ..Plan::new(40, seed, Scenario::Partition) });
        for phase in report.phases.iter().filter(|phase| phase.what != "partition, Silent") {
            assert!(phase.settled_ms < 5_000.0, "{report}");
        }
    }
}

#[test]
fn restarts_are_recovered_from() {
    for seed in 1..=2 {
        let report = succeed(Plan { minutes: 1, ..Plan::new(40, seed, Scenario::Restart) });
        assert_eq!(report.phases.len(), 6, "{report}");
    }
}

#[test]
fn clocks_may_jump() {
    for seed in 1..=2 {
        succeed(Plan { minutes: 1, ..Plan::new(40, seed, Scenario::Clock) });
    }
}

#[test]
fn random_changes_end_where_the_model_says() {
    for seed in 1..=3 {
        succeed(Plan { minutes: 8, ..Plan::new(24, seed, Scenario::Churn) });
    }
    let plan = Plan::new(16, 9, Scenario::Churn);
    succeed(Plan { topology: Topology::Ring, minutes: 6, ..plan });
    succeed(Plan { topology: Topology::Grid, minutes: 6, ..plan });
}

#[test]
fn one_seed_is_one_run_on_any_number_of_threads() {
    let trace = |seed: u64, threads: usize| {
        let mut world = World::new(seed);
        world.set_threads(threads);
        let hosts = planetary_sim::topology::build(&mut world, Topology::Random, 80, 4);
        world.run_for(Duration::from_secs(2));
        world.ping(hosts[3], hosts[70]);
        world.step_clock(hosts[5], 77);
        world.cut(planetary_sim::CableId(7), Cut::Silent);
        world.run_for(Duration::from_secs(8));
        world.trace()
    };
    assert_eq!(trace(1, 1), trace(1, 2));
    assert_eq!(trace(1, 3), trace(1, 2));
    assert_ne!(trace(1, 2), trace(2, 2));
    let plan = Plan { minutes: 3, ..Plan::new(20, 5, Scenario::Churn) };
    assert_eq!(succeed(plan).trace, succeed(plan).trace);
}

#[test]
fn a_silent_cut_on_the_path_is_healed_within_five_seconds() {
    for seed in 0..12 {
        let mut world = World::new(seed);
        let hosts: Vec<HostId> = (0..6).map(|_| world.add_host()).collect();
        let cables: Vec<_> = (0..6)
            .map(|at| {
                let line = Line::new(Duration::from_millis(10));
                world.connect(hosts[at], hosts[(at + 1) % 6], line)
            })
            .collect();
        world.run_for(Duration::from_secs(30));
        let second = Duration::from_secs(1);
        for (a, b) in [(0, 2), (1, 4), (5, 3)] {
            let (a, b) = (hosts[a], hosts[b]);
            world.ping(a, b);
            world.run_for(second * 3);
            let path = planetary_sim::check::follow_hosts(&world, a, b).unwrap();
            let cable = cables
                .iter()
                .find(|cable| {
                    let (x, y) = world.cable_ends(**cable);
                    [[x, y], [y, x]].contains(&[path[0], path[1]])
                })
                .copied()
                .unwrap();
            world.cut(cable, Cut::Silent);
            // Both talk, so both ends of the cut link notice.
            let pings = [(a, b), (b, a)]
                .map(|(from, to)| world.ping_every(from, to, Duration::from_millis(200)));
            world.run_for(second * 5);
            for ping in pings {
                assert!(world.answer(ping).is_some(), "seed {seed}: {a:?} and {b:?} do not talk");
            }
            world.mend(cable);
            world.run_for(second * 10);
        }
        assert_eq!(world.violations().next(), None);
    }
}
