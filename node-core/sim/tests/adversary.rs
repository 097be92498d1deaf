//! Honest nodes next to rogues: they stay within their bounds and keep working.

use planetary_proto::{limits::COORDS_MAX, time::Duration};
use planetary_sim::{
    HostId, Line, Mischief, News, World, check,
    topology::{Topology, build},
};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Twelve honest hosts on a grid, with a rogue at each of the first three.
fn grid_with_rogues(seed: u64, mischief: &Mischief) -> (World, Vec<HostId>, Vec<HostId>) {
    let mut world = World::new(seed);
    let hosts = build(&mut world, Topology::Grid, 12, 4);
    let rogues = hosts.iter().take(3).map(|host| {
        let rogue = world.add_rogue(mischief.clone());
        world.connect(rogue, *host, Line::new(Duration::from_millis(5)));
        rogue
    });
    let rogues = rogues.collect();
    (world, hosts, rogues)
}

fn assert_clean(world: &World) {
    let violations: Vec<String> = world.violations().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "seed {}: {violations:#?}", world.seed());
}

/// Honest hosts agree on everything, and all reach the first one.
fn assert_work(world: &mut World, hosts: &[HostId]) {
    assert_eq!(check::settled(world), Ok(()), "seed {}", world.seed());
    let pings: Vec<_> =
        hosts[1..].iter().map(|host| world.ping_every(*host, hosts[0], secs(1))).collect();
    world.run_for(secs(5));
    for ping in pings {
        assert!(world.answer(ping).is_some(), "seed {}: {ping:?}", world.seed());
    }
    assert_clean(world);
}

fn most_edges(world: &World, hosts: &[HostId]) -> usize {
    let sizes = hosts.iter().filter_map(|host| world.node(*host)).map(|node| node.sizes().infos);
    sizes.max().unwrap_or_default()
}

/// Why honest hosts closed links to rogues.
fn closings(world: &World, hosts: &[HostId]) -> Vec<String> {
    let news = hosts.iter().flat_map(|host| world.news(*host));
    let reasons = news.filter_map(|(_, news)| match news {
        News::Closed(_, misbehaviour) => Some(misbehaviour.to_string()),
        News::Answer(..) | News::NoAnswer(..) => None,
    });
    reasons.collect()
}

#[test]
fn a_chain_deeper_than_any_sane_tree_attracts_nobody() {
    let (mut world, hosts, _) = grid_with_rogues(1, &Mischief::deep_chain(COORDS_MAX + 20));
    world.run_for(secs(20));
    for host in &hosts {
        let node = world.node(*host).unwrap();
        let depth = node.coords_of(&node.key()).unwrap().ports().len();
        assert!(depth < 20, "host {} is {depth} deep", host.0);
        assert!(hosts.iter().any(|host| world.key(*host) == node.root()));
    }
    assert_clean(&world);
}
