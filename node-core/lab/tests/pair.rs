//! Two nodes and one link: whoever dials, over tcp and tls, all that a network is for works.
//!
//! ```text
//!   [a] dials ======wire1======> [b] listens
//! ```

#![cfg(target_os = "linux")]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Kind, Node, Ping, Transfer, run};

const GIGABYTE: u64 = 1_000_000_000;

/// Packets from the smallest MTU of IPv6 to the largest that the network carries.
const SIZES: [usize; 10] = [1280, 1281, 1500, 4096, 9000, 16_384, 32_768, 49_152, 65_534, 65_535];

#[test]
fn ours_dials_the_reference_over_tcp() {
    direct("pair ours-reference tcp", [Ours, Reference], "tcp");
}

#[test]
fn the_reference_dials_ours_over_tcp() {
    direct("pair reference-ours tcp", [Reference, Ours], "tcp");
}

#[test]
fn ours_dials_the_reference_over_tls() {
    direct("pair ours-reference tls", [Ours, Reference], "tls");
}

#[test]
fn the_reference_dials_ours_over_tls() {
    direct("pair reference-ours tls", [Reference, Ours], "tls");
}

#[test]
fn ours_dials_ours_over_tcp() {
    direct("pair ours-ours tcp", [Ours, Ours], "tcp");
}

#[test]
fn a_packet_too_big_for_the_far_interface_is_reported() {
    for (scenario, kinds) in [
        ("packet too big, small ours", [Reference, Ours]),
        ("packet too big, small reference", [Ours, Reference]),
    ] {
        run(scenario, |lab| {
            let (near, far) = (lab.host("near")?, lab.host("far")?);
            let wire = lab.wire(&near, &far)?;
            let uri = wire.ends()[1].uri("tcp", 9001);
            let small = lab.start(lab.node(kinds[1], &far)?.listen(&uri).mtu(1280))?;
            let large = lab.start(lab.node(kinds[0], &near)?.peer(&uri))?;
            large.wait_until_reaches(&small, Deadline::seconds(100))?;
            let ping = Ping::new(small.address());
            ping.clone().packet(1280).all_answered(&near, 5)?;
            let result = ping.packet(4000).once(&near, 2)?;
            let (answers, text) = (result.round_trips_ms.len(), &result.text);
            ensure!(answers == 0 && text.contains("mtu=1280"), "no report in:\n{text}");
            let route = near.ip(["-6", "route", "get", &small.address().to_string()])?;
            ensure!(route.contains("mtu 1280"), "the path's MTU was not learned: {route}");
            // TCP lives with it: the kernel has learned how much fits.
            both_ways(&small, &large, GIGABYTE / 10)
        });
    }
}

fn direct(scenario: &str, kinds: [Kind; 2], scheme: &str) {
    run(scenario, |lab| {
        let chain = lab.chain(&kinds, scheme)?;
        let [a, b] = &chain.nodes[..] else { unreachable!("two kinds make two nodes") };
        a.wait_for_link(b, Deadline::seconds(20))?;
        lab.settled(&chain.all(), Deadline::seconds(60))?;
        let link = a.status()?.peers.into_iter().next().context("the dialler lists no link")?;
        ensure!(link.up && !link.inbound, "the dialler sees its link as {link:?}");
        let link = b.status()?.peers.into_iter().next().context("the listener lists no link")?;
        ensure!(link.up && link.inbound, "the listener sees its link as {link:?}");
        a.wait_until_reaches(b, Deadline::seconds(100))?;
        b.wait_until_reaches(a, Deadline::seconds(100))?;
        for (from, to) in [(a, b), (b, a)] {
            for size in SIZES {
                let ping = Ping::new(to.address()).packet(size);
                ping.times(3, Duration::from_millis(5)).all_answered(from.host(), 5)?;
            }
        }
        both_ways(a, b, GIGABYTE)
    });
}

/// Moves so many bytes in each direction, both at once.
fn both_ways(a: &Node, b: &Node, bytes: u64) -> Result<()> {
    let deadline = Deadline::seconds(180);
    let there = Transfer::start(a.host(), b.host(), b.address(), bytes, deadline)?;
    let back = Transfer::start(b.host(), a.host(), a.address(), bytes, deadline)?;
    for result in [there.finish()?, back.finish()?] {
        ensure!(result.connections == 1, "the connection broke: {result}");
    }
    Ok(())
}
