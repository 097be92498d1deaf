//! Honest nodes next to rogues: they stay within their bounds and keep working.

use planetary_proto::{limits::COORDS_MAX, time::Duration};
use planetary_sim::{
    HostId, Line, Mischief, News, Stop, World, check,
    topology::{Topology, build},
};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Twelve honest hosts on a grid, with a rogue at each of the first few.
fn grid_with_rogues(seed: u64, count: usize, mischief: &Mischief) -> (World, Vec<HostId>) {
    let mut world = World::new(seed);
    let hosts = build(&mut world, Topology::Grid, 12, 4);
    for host in &hosts[..count] {
        let rogue = world.add_rogue(mischief.clone());
        world.connect(rogue, *host, Line::new(Duration::from_millis(5)));
    }
    (world, hosts)
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
        _ => None,
    });
    reasons.collect()
}

#[test]
fn a_flood_of_announcements_closes_the_link_and_harms_nobody() {
    let (mut world, hosts) = grid_with_rogues(2, 1, &Mischief::FloodAnnounces(2_500));
    world.run_for(secs(6));
    assert_work(&mut world, &hosts);
    let closings = closings(&world, &hosts);
    assert!(closings.iter().any(|why| why == "flooded announcements"), "{closings:?}");
    // Nobody passes on what is in nobody's ancestry.
    let bystanders = most_edges(&world, &hosts[6..]);
    assert!(bystanders < 40, "a bystander knows {bystanders} edges");
}

#[test]
fn a_slow_flood_of_announcements_stays_where_it_arrives() {
    let (mut world, hosts) = grid_with_rogues(3, 1, &Mischief::FloodAnnounces(100));
    world.run_for(secs(15));
    assert_work(&mut world, &hosts);
    assert!(most_edges(&world, &hosts[..1]) > 1_000, "the flood did not arrive");
    let bystanders = most_edges(&world, &hosts[6..]);
    assert!(bystanders < 40, "a bystander knows {bystanders} edges");
    // Five minutes after the flood has ended all of it is forgotten.
    world.stop(HostId(hosts.len()), Stop::Ended);
    world.run_for(secs(330));
    assert!(most_edges(&world, &hosts) < 40, "edges of nobody are not forgotten");
    assert_work(&mut world, &hosts);
}

#[test]
fn filters_that_claim_everything_do_not_hide_anybody() {
    let (mut world, hosts) = grid_with_rogues(4, 3, &Mischief::FullFilters);
    world.run_for(secs(10));
    assert_work(&mut world, &hosts);
}

#[test]
fn a_mute_neighbour_gets_no_traffic() {
    let (mut world, hosts) = grid_with_rogues(5, 3, &Mischief::Mute);
    for _ in 0..40 {
        world.run_for(Duration::from_millis(700));
        // It says nothing of where it is, so it is nobody's way to anywhere.
        for host in &hosts[..3] {
            let hops = world.node(*host).unwrap().forwarding_table().hops().iter();
            let mut rogues = hops.filter(|hop| !hosts.iter().any(|it| world.key(*it) == hop.key));
            assert!(rogues.all(|hop| hop.coords.is_none()));
        }
    }
    assert_work(&mut world, &hosts);
}

#[test]
fn random_bytes_close_the_link() {
    let (mut world, hosts) = grid_with_rogues(6, 3, &Mischief::Noise);
    world.run_for(secs(30));
    assert_work(&mut world, &hosts);
    assert!(closings(&world, &hosts).len() > 20, "noise was listened to");
}

#[test]
fn replayed_handshakes_change_nothing() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let a = world.add_host();
        let rogue = world.add_rogue(Mischief::ReplayHandshakes(Vec::new()));
        let b = world.add_host();
        for host in [a, b] {
            world.connect(host, rogue, Line::new(Duration::from_millis(5)));
        }
        world.run_for(secs(1));
        let first = world.ping(a, b);
        world.run_for(secs(20));
        assert!(world.answer(first).is_some(), "seed {seed}");
        let since = |world: &World, host| {
            world.node(host).unwrap().sessions().map(|(_, since)| since).collect::<Vec<_>>()
        };
        let sessions = (since(&world, a), since(&world, b));
        assert_eq!((sessions.0.len(), sessions.1.len()), (1, 1));
        // Old greetings come again and again; every single packet still gets through.
        for _ in 0..10 {
            let ping = world.ping(b, a);
            world.run_for(secs(3));
            assert!(world.answer(ping).is_some(), "seed {seed}");
        }
        assert_eq!((since(&world, a), since(&world, b)), sessions);
        let ignored = world.node(a).unwrap().stats().handshakes_ignored;
        assert!(ignored > 10, "only {ignored} replays arrived");
        assert_clean(&world);
    }
}

#[test]
fn a_chain_deeper_than_any_sane_tree_attracts_nobody() {
    let (mut world, hosts) = grid_with_rogues(1, 1, &Mischief::deep_chain(COORDS_MAX + 20));
    world.run_for(secs(20));
    for host in &hosts {
        let node = world.node(*host).unwrap();
        let depth = node.coords_of(&node.key()).unwrap().ports().len();
        assert!(depth < 20, "host {} is {depth} deep", host.0);
        assert!(hosts.iter().any(|host| world.key(*host) == node.root()));
    }
    assert_clean(&world);
}
