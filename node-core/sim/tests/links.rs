//! Links that are slow, doubled, silent for a while, or idle.

use planetary_proto::{
    time::Duration,
    upper::{InbandAnswer, InbandKind},
    wire::FrameKind,
};
use planetary_sim::{Cut, HostId, Line, News, World, check};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn assert_clean(world: &World) {
    let violations: Vec<String> = world.violations().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "seed {}: {violations:#?}", world.seed());
}

/// How many links a host's node has.
fn links(world: &World, host: HostId) -> usize {
    world.node(host).map_or(0, |node| node.sizes().links)
}

#[test]
fn a_flood_over_a_slow_line_pushes_out_itself_and_nobody_else() {
    let mut world = World::new(1);
    let [flooder, quiet, middle, far] = [(); 4].map(|()| world.add_host());
    let fast = Line::new(millis(2));
    world.connect(flooder, middle, fast);
    world.connect(quiet, middle, fast);
    let slow = Line { latency: millis(2), bytes_per_s: Some(50_000) };
    world.connect(middle, far, slow);
    world.run_for(millis(1_000));
    for host in [flooder, quiet] {
        // Sessions are there before the line is busy.
        world.ping(host, far);
    }
    world.run_for(millis(1_000));
    let flood: Vec<_> = (0..2_000).map(|_| world.ping(flooder, far)).collect();
    world.run_for(millis(100));
    let through = world.ping(quiet, far);
    world.run_for(millis(20_000));
    let answered = flood.iter().filter(|ping| world.answer(**ping).is_some()).count();
    assert!(world.total().dropped > 500, "the line was not too slow");
    assert!(answered > 300, "only {answered} of the flood arrived");
    assert!(world.answer(through).is_some(), "the quiet one was pushed out");
    assert_eq!(links(&world, far), 1);
    assert_clean(&world);
}

#[test]
fn a_second_link_carries_on_when_the_first_is_lost() {
    for cut in [Cut::Told, Cut::Silent] {
        let mut world = World::new(2);
        let [a, b] = [(); 2].map(|()| world.add_host());
        let first = world.connect(a, b, Line::new(millis(1)));
        world.connect(a, b, Line::new(millis(8)));
        world.run_for(millis(1_000));
        assert_eq!(links(&world, a), 2);
        let before = world.ping(a, b);
        world.run_for(millis(500));
        assert!(
            world.answer(before).is_some_and(|time| time < millis(16)),
            "the faster one is used"
        );
        let coords = |world: &World| world.node(b).unwrap().coords_of(&world.key(b));
        let place = coords(&world);
        world.cut(first, cut);
        let after = world.ping_every(a, b, millis(100));
        world.run_for(millis(5_000));
        // The end that only answers asks its parent once a second.
        let limit = if cut == Cut::Told { millis(20) } else { millis(2_600) };
        assert!(world.answer(after).is_some_and(|time| time <= limit), "{:?}", world.answer(after));
        assert_eq!(coords(&world), place, "the tree has no reason to change");
        assert_eq!(links(&world, a), 1);
        assert_clean(&world);
    }
}

#[test]
fn a_line_that_is_silent_for_two_seconds_is_suspected_and_kept() {
    let mut world = World::new(3);
    let [a, b] = [(); 2].map(|()| world.add_host());
    let cable = world.connect(a, b, Line::new(millis(1)));
    world.run_for(millis(2_000));
    world.cut(cable, Cut::Silent);
    let ping = world.ping(a, b);
    let suspects = |world: &World, host: HostId| {
        let peers = world.node(host).unwrap().neighbours();
        peers.flat_map(|peer| peer.links).filter(|link| link.suspect).count()
    };
    world.run_for(millis(1_400));
    assert_eq!(suspects(&world, a), 0);
    world.run_for(millis(600));
    assert_eq!(suspects(&world, a), 1);
    world.mend(cable);
    world.run_for(millis(1_000));
    assert_eq!(suspects(&world, a), 0);
    assert_eq!((links(&world, a), links(&world, b)), (1, 1));
    assert!(world.answer(ping).is_some(), "what was under way arrives after all");
    assert_clean(&world);
}

#[test]
fn a_line_that_stays_silent_is_closed_by_the_end_that_waits() {
    let mut world = World::new(4);
    let [a, b] = [(); 2].map(|()| world.add_host());
    let cable = world.connect(a, b, Line::new(millis(1)));
    world.run_for(millis(5_000));
    world.cut(cable, Cut::Silent);
    world.ping(a, b);
    world.run_for(millis(2_900));
    assert_eq!(links(&world, a), 1);
    world.run_for(millis(200));
    // The other end sent nothing and waits for nothing.
    assert_eq!((links(&world, a), links(&world, b)), (0, 1));
    world.mend(cable);
    world.run_for(millis(2_000));
    assert_eq!((links(&world, a), links(&world, b)), (1, 1));
    assert_eq!(check::settled(&world), Ok(()));
    assert_clean(&world);
}

/// Wherever the root is and whenever it happens: the end that sends, or the child that misses its
/// parent, notices; the tree follows, and whoever moved says so.
#[test]
fn a_ring_finds_the_other_way_round_after_a_silent_cut() {
    let mut times = Vec::new();
    for seed in 0..60 {
        let mut world = World::new(100 + seed);
        let hosts = [(); 4].map(|()| world.add_host());
        let cables = [0, 1, 2, 3]
            .map(|at| world.connect(hosts[at], hosts[(at + 1) % 4], Line::new(millis(1))));
        let [a, b, c, _] = hosts;
        world.run_for(millis(3_000));
        for _ in 0..50 + seed {
            world.ping(a, c);
            world.run_for(millis(20));
        }
        let way = check::follow_hosts(&world, a, c).unwrap();
        world.cut(if way[1] == b { cables[1] } else { cables[2] }, Cut::Silent);
        let ping = world.ping_every(a, c, millis(20));
        world.run_for(millis(10_000));
        times.push(world.answer(ping).expect("the other way is found"));
        assert_clean(&world);
    }
    times.sort_unstable();
    assert!(times[30] < millis(1_700) && times[59] < millis(2_700), "{times:?}");
}

/// Whoever talks with a node that moves is told, and need not look it up.
#[test]
fn a_node_that_moves_is_followed_at_once() {
    for seed in 0..20 {
        let mut world = World::new(200 + seed);
        let hosts: Vec<HostId> = (0..8).map(|_| world.add_host()).collect();
        // A trunk of four, and a branch of three.
        for (one, other) in [(0, 1), (1, 2), (2, 3), (1, 4), (4, 5), (5, 6)] {
            world.connect(hosts[one], hosts[other], Line::new(millis(5)));
        }
        let (far, mover) = (hosts[3], hosts[7]);
        let cable = world.connect(hosts[0], mover, Line::new(millis(5)));
        world.run_for(millis(3_000));
        world.ping(far, mover);
        world.run_for(millis(1_000));
        world.cut(cable, Cut::Told);
        let ping = world.ping_every(far, mover, millis(10));
        world.run_for(millis(300));
        world.connect(hosts[6], mover, Line::new(millis(5)));
        world.run_for(millis(5_000));
        let time = world.answer(ping).expect("it is followed");
        assert!(time < millis(600), "seed {seed}: {time:?}");
        assert_clean(&world);
    }
}

/// A child whose parent falls silent tries to spare those below it the wait, yet a line that
/// stammers must not move them all the time.
#[test]
fn a_stammering_line_moves_those_below_it_once_in_a_while() {
    let mut world = World::new(7);
    let mut hosts: Vec<HostId> = (0..4).map(|_| world.add_host()).collect();
    hosts.sort_unstable_by_key(|host| world.key(*host));
    let cables: Vec<_> = hosts
        .windows(2)
        .map(|pair| world.connect(pair[0], pair[1], Line::new(millis(1))))
        .collect();
    world.run_for(millis(3_000));
    let (root, child, last) = (hosts[0], hosts[1], hosts[3]);
    let place = |world: &World| world.node(last).unwrap().forwarding_table().coords().clone();
    let home = place(&world);
    assert_eq!(home.ports().len(), 3);
    world.ping(last, root);
    world.run_for(millis(500));
    let seq = |world: &World| world.node(child).unwrap().highest_seq();
    let before = seq(&world);
    let mut away = 0;
    for _ in 0..20 {
        world.cut(cables[0], Cut::Silent);
        world.ping(child, root);
        world.run_for(millis(2_500));
        away += usize::from(place(&world) != home);
        world.mend(cables[0]);
        world.run_for(millis(1_500));
        assert_eq!(place(&world), home);
    }
    let ping = world.ping(last, root);
    world.run_for(millis(500));
    assert!(world.answer(ping).is_some());
    assert_eq!((away, links(&world, child)), (2, 2), "in 80 seconds");
    assert!(seq(&world) - before < 90, "{} steps", seq(&world) - before);
    assert_eq!(check::settled(&world), Ok(()));
    assert_clean(&world);
}

#[test]
fn idle_nodes_sleep_and_look_after_their_parents_only() {
    let mut world = World::new(5);
    let hosts: Vec<HostId> = (0..10).map(|_| world.add_host()).collect();
    for pair in hosts.windows(2) {
        world.connect(pair[0], pair[1], Line::new(millis(5)));
    }
    world.run_for(millis(60_000));
    let before = world.total();
    // Edges are announced anew four minutes after the start at the earliest.
    world.run_for(millis(150_000));
    let idle = world.total() - before;
    let frames = |kind| idle.sent[kind as usize].frames;
    // Nine children, each every 20 seconds; answers are acknowledged.
    assert!((60..=72).contains(&frames(FrameKind::SigReq)), "{}", frames(FrameKind::SigReq));
    assert_eq!(frames(FrameKind::SigRes), frames(FrameKind::SigReq));
    let all: u64 = idle.sent.iter().map(|kind| kind.frames).sum();
    let checks = frames(FrameKind::SigReq) + frames(FrameKind::SigRes);
    assert_eq!(all, checks + frames(FrameKind::KeepAlive), "other frames on idle links");
    assert!(idle.wakes < 400, "{} wake-ups of ten nodes in 150 s", idle.wakes);
    let before = world.total();
    world.run_for(millis(240_000));
    let refresh = world.total() - before;
    let announces = refresh.sent[FrameKind::Announce as usize].frames;
    // Everybody announces its edge once, which goes to all below it and their neighbours.
    assert!((18..=200).contains(&announces), "{announces} announcements");
    assert_clean(&world);
}

#[test]
fn a_flow_in_one_direction_keeps_its_session_and_its_path() {
    let mut world = World::new(8);
    let hosts: Vec<HostId> = (0..4).map(|_| world.add_host()).collect();
    for pair in hosts.windows(2) {
        world.connect(pair[0], pair[1], Line::new(millis(5)));
    }
    world.run_for(millis(1_000));
    let (from, to) = (hosts[0], hosts[3]);
    world.say(from, to);
    world.run_for(millis(1_000));
    let began = |world: &World, host: HostId| {
        let sessions: Vec<_> = world.node(host).unwrap().sessions().collect();
        assert_eq!(sessions.len(), 1);
        sessions[0].1
    };
    let (at_sender, at_receiver) = (began(&world, from), began(&world, to));
    let before = world.total();
    for _ in 0..300 {
        world.say(from, to);
        world.run_for(millis(1_000));
    }
    assert_eq!(began(&world, from), at_sender);
    assert_eq!(began(&world, to), at_receiver);
    let sent = (world.total() - before).sent;
    assert_eq!(sent[FrameKind::PathLookup as usize].frames, 0, "the path is never forgotten");
    // Three links: each packet, a greeting and its answer every 45 seconds, and every 120 seconds
    // an offer of keys, its answer and an empty packet.
    let traffic = sent[FrameKind::Traffic as usize].frames;
    assert!((900 + 36 + 18..=900 + 42 + 27).contains(&traffic), "{traffic}");
    // Silence ends it all the same, after a day and a minute.
    world.run_for(millis(24 * 3_600_000 + 121_000));
    assert_eq!(world.node(from).unwrap().sessions().count(), 0);
    assert_clean(&world);
}

#[test]
fn questions_are_answered_over_a_session() {
    let mut world = World::new(6);
    let hosts: Vec<HostId> = (0..4).map(|_| world.add_host()).collect();
    for pair in hosts.windows(2) {
        world.connect(pair[0], pair[1], Line::new(millis(5)));
    }
    let nobody = world.add_host();
    world.run_for(millis(1_000));
    world.ask(hosts[0], hosts[3], InbandKind::NodeInfo);
    world.ask(hosts[0], hosts[3], InbandKind::GetPeers);
    world.ask(hosts[0], nobody, InbandKind::GetSelf);
    world.run_for(millis(7_000));
    let news: Vec<&News> = world.news(hosts[0]).iter().map(|(_, news)| news).collect();
    let far = world.key(hosts[3]);
    let peers = InbandAnswer::GetPeers(vec![world.key(hosts[2])]);
    assert!(news.contains(&&News::Answer(far, InbandAnswer::NodeInfo(b"{}".to_vec()))));
    assert!(news.contains(&&News::Answer(far, peers)));
    assert!(news.contains(&&News::NoAnswer(world.key(nobody), InbandKind::GetSelf)));
    assert_eq!(news.len(), 3);
    assert_clean(&world);
}
