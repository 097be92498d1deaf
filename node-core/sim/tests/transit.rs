//! What nodes carry for others: everybody stays reachable, and roads lead around who is none.

use planetary_proto::{Transit, time::Duration};
use planetary_sim::{
    HostId, Line, World, check,
    topology::{Topology, build},
};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn assert_clean(world: &World) {
    let violations: Vec<String> = world.violations().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "seed {}: {violations:#?}", world.seed());
}

fn root_of(world: &World, host: HostId) -> HostId {
    let root = world.node(host).expect("a running host").root();
    world.host_ids().find(|host| world.key(*host) == root).expect("a key of this world")
}

/// Paths between all pairs, as hosts on the way; every packet arrives.
fn paths(world: &World) -> Vec<Vec<HostId>> {
    let pairs = world.host_ids().flat_map(|from| world.host_ids().map(move |to| (from, to)));
    pairs
        .map(|(from, to)| match check::follow_hosts(world, from, to) {
            Ok(passed) => passed,
            Err(error) => panic!("seed {}, {from:?} to {to:?}: {error}", world.seed()),
        })
        .collect()
}

/// How many of these paths lead through one of `hosts`.
fn crossing(paths: &[Vec<HostId>], hosts: &[HostId]) -> usize {
    let between = |path: &&Vec<HostId>| {
        let inner = path.get(1..path.len().saturating_sub(1)).unwrap_or_default();
        inner.iter().any(|host| hosts.contains(host))
    };
    paths.iter().filter(between).count()
}

/// Everybody gets an answer of the last host.
fn assert_answers(world: &mut World) {
    let all: Vec<HostId> = world.host_ids().collect();
    let (last, others) = all.split_last().expect("hosts");
    let pings: Vec<_> = others.iter().map(|host| world.ping_every(*host, *last, secs(1))).collect();
    world.run_for(secs(8));
    for ping in pings {
        assert!(world.answer(ping).is_some(), "seed {}: {ping:?}", world.seed());
    }
    assert_clean(world);
}

/// A network of relays, and as many leaves again, each with links to two relays and to a leaf.
fn leaves_at_relays(seed: u64, relays: usize) -> (World, Vec<HostId>) {
    let mut world = World::new(seed);
    let relays = build(&mut world, Topology::Random, relays, 4);
    let leaves: Vec<_> = relays.iter().map(|_| world.add_host()).collect();
    for (index, leaf) in leaves.iter().enumerate() {
        world.set_transit(*leaf, Transit::Leaf);
        for other in [relays[index], relays[(index * 7 + 3) % relays.len()]] {
            world.connect(*leaf, other, Line::new(Duration::from_millis(3)));
        }
        world.connect(
            *leaf,
            leaves[(index + 1) % leaves.len()],
            Line::new(Duration::from_millis(1)),
        );
    }
    (world, leaves)
}

#[test]
fn nothing_goes_through_a_leaf_and_everybody_is_reached() {
    let mut lowest = 0;
    for seed in 0..6 {
        let (mut world, leaves) = leaves_at_relays(seed, 16);
        world.run_for(secs(20));
        assert_eq!(crossing(&paths(&world), &leaves), 0, "seed {seed}");
        // All are in one tree, and no leaf is its root, not even the one with the lowest key.
        let roots: Vec<_> = world.host_ids().map(|host| root_of(&world, host)).collect();
        assert!(roots.iter().all(|root| *root == roots[0] && !leaves.contains(root)), "{roots:?}");
        let first = world.host_ids().min_by_key(|host| world.key(*host)).expect("hosts");
        lowest += usize::from(leaves.contains(&first));
        assert_answers(&mut world);
    }
    assert!((1..6).contains(&lowest), "{lowest} seeds gave a leaf the lowest key");
}

#[test]
fn reluctance_moves_roads_to_relays_and_nobody_is_lost() {
    let (mut before, mut after) = (0, 0);
    for seed in 0..4 {
        let crossed = |transit| {
            let mut world = World::new(seed);
            let hosts = build(&mut world, Topology::Random, 40, 5);
            let half: Vec<_> = hosts.into_iter().step_by(2).collect();
            for host in &half {
                world.set_transit(*host, transit);
            }
            world.run_for(secs(20));
            assert_eq!(check::settled(&world), Ok(()), "seed {seed}");
            let crossed = crossing(&paths(&world), &half);
            assert_answers(&mut world);
            crossed
        };
        before += crossed(Transit::Relay);
        after += crossed(Transit::Reluctant);
    }
    assert!(after * 10 < before * 7, "{after} paths through reluctant nodes, {before} before");
}

#[test]
fn a_reluctant_neighbour_costs_more_and_is_as_near_as_it_is() {
    let mut world = World::new(1);
    let hosts = build(&mut world, Topology::Star, 4, 0);
    world.set_transit(hosts[0], Transit::Reluctant);
    world.run_for(secs(3));
    let mut costs = Vec::new();
    for host in &hosts[1..] {
        let hub = world.node(*host).and_then(|node| node.neighbours().next());
        let link = &hub.expect("one neighbour").links[0];
        let round_trip = link.round_trip.expect("a measured link");
        assert!(round_trip < Duration::from_millis(90), "{round_trip:?}");
        costs.push(link.cost);
    }
    // Whoever came first was the only neighbour.
    costs.sort_unstable();
    assert!(costs[0] < 200 && costs[1] > 600, "{costs:?}");
}

#[test]
fn who_becomes_a_leaf_is_left_within_two_refreshes_and_hardly_anything_is_lost() {
    for seed in 0..3 {
        let mut world = World::new(seed);
        let hosts = build(&mut world, Topology::Grid, 16, 4);
        world.run_for(secs(10));
        let root = root_of(&world, hosts[0]);
        let inner =
            |path: &Vec<HostId>| path.get(1..path.len().max(2) - 1).unwrap_or_default().to_vec();
        // The root, and one of those that most paths lead through.
        let mut uses = vec![0; hosts.len()];
        for host in paths(&world).iter().flat_map(inner) {
            uses[host.0] += 1;
        }
        let busiest = hosts.iter().filter(|host| **host != root).max_by_key(|host| uses[host.0]);
        for leaf in [*busiest.expect("hosts"), root] {
            world.set_transit(leaf, Transit::Leaf);
            let mut pings = Vec::new();
            for second in 0..9 * 60 {
                let from = hosts[second % hosts.len()];
                pings.push(world.ping(from, hosts[(second * 5 + 7) % hosts.len()]));
                world.run_for(secs(1));
            }
            world.run_for(secs(5));
            let lost = pings.iter().filter(|ping| world.answer(**ping).is_none()).count();
            // Everything below a root that resigns moves once.
            let most = pings.len() / if leaf == root { 25 } else { 100 };
            assert!(lost <= most, "seed {seed}: {lost} of {} lost", pings.len());
            assert_eq!(crossing(&paths(&world), &[leaf]), 0, "seed {seed}");
            world.set_transit(leaf, Transit::Relay);
            world.run_for(secs(10));
            assert_eq!(check::settled(&world), Ok(()), "seed {seed}");
        }
        assert_clean(&world);
    }
}
