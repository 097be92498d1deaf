//! Corner cases of the spanning tree.

use planetary_proto::time::Duration;
use planetary_sim::{Cut, HostId, Line, World, check};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn assert_clean(world: &World) {
    let violations: Vec<String> = world.violations().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "seed {}: {violations:#?}", world.seed());
}

/// A root with some children, and the cables to them.
fn star(seed: u64, children: usize) -> Option<(World, HostId, Vec<planetary_sim::CableId>)> {
    let mut world = World::new(seed);
    let hub = world.add_host();
    let line = Line::new(millis(2));
    let cables = (0..children).map(|_| {
        let child = world.add_host();
        world.connect(child, hub, line)
    });
    let cables = cables.collect();
    world.run_for(millis(500));
    let root = world.host_ids().min_by_key(|host| world.key(*host));
    (root == Some(hub)).then_some((world, hub, cables))
}

#[test]
fn a_port_that_went_to_another_child_is_given_up() {
    let mut tried = 0;
    for (mut world, hub, cables) in (0..40).filter_map(|seed| star(seed, 2)) {
        tried += 1;
        // A child loses its link for a moment; meanwhile another one comes and is given its port.
        world.cut(cables[0], Cut::Told);
        let newcomer = world.add_host();
        world.connect(newcomer, hub, Line::new(millis(2)));
        world.run_for(millis(100));
        world.mend(cables[0]);
        world.run_for(millis(3_000));
        assert_eq!(check::settled(&world), Ok(()), "seed {}", world.seed());
        assert_eq!(check::quarrels(&world), []);
        assert_clean(&world);
    }
    assert!(tried > 0, "no seed made the hub the root");
}
