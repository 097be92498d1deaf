//! Six nodes in a circle, ours and the reference in turn: a cut is survived, and nothing loops.
//!
//! ```text
//!        [a] ---wire1--> [b] ---wire2--> [c]
//!         ^                               |
//!       wire6                           wire3
//!         |                               v
//!        [f] <--wire5--- [e] <--wire4--- [d]
//! ```

#![cfg(target_os = "linux")]

use std::time::Duration;

use anyhow::{Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Node, Ping, Row, run};

const KINDS: [planetary_lab::Kind; 6] = [Ours, Reference, Ours, Reference, Ours, Reference];

#[test]
fn a_cut_is_survived_and_healed() {
    run("ring of six", |lab| {
        let ring = lab.ring(&KINDS, "tcp")?;
        lab.settled(&ring.all(), Deadline::seconds(60))?;
        let (a, b) = (&ring.nodes[0], &ring.nodes[1]);
        for other in &ring.nodes[1..] {
            a.wait_until_reaches(other, Deadline::seconds(100))?;
        }
        nothing_loops(&ring, "whole")?;

        ring.wires[0].cut()?;
        // The link must be noticed to be dead before a way around it is looked for.
        let there = a.wait_until_reaches(b, Deadline::seconds(100))?;
        let back = b.wait_until_reaches(a, Deadline::seconds(100))?;
        eprintln!("around the cut: {:.1} s there, {:.1} s back", seconds(there), seconds(back));
        lab.settled(&ring.all(), Deadline::seconds(60))?;
        nothing_loops(&ring, "cut")?;

        ring.wires[0].heal()?;
        a.wait_for_link(b, Deadline::seconds(100))?;
        lab.settled(&ring.all(), Deadline::seconds(60))?;
        a.wait_until_reaches(b, Deadline::seconds(100))?;
        nothing_loops(&ring, "healed")
    });
}

/// Sends a known amount between two opposite nodes and counts what all wires carried.
///
/// A packet that loops is carried until something drops it, so that the sum grows far beyond one
/// crossing of each wire in each direction.
fn nothing_loops(ring: &Row, state: &str) -> Result<()> {
    const COUNT: u32 = 400;
    const SIZE: usize = 1200;
    let (a, d) = (&ring.nodes[0], &ring.nodes[3]);
    a.wait_until_reaches(d, Deadline::seconds(100))?;
    let before = carried(ring)?;
    let ping = Ping::new(d.address()).packet(SIZE).times(COUNT, Duration::from_millis(5));
    ping.all_answered(a.host(), 10)?;
    let carried = carried(ring)? - before;
    let sent = u64::from(COUNT) * SIZE as u64;
    let crossings = carried as f64 / sent as f64;
    eprintln!("{state}: each byte crossed {crossings:.1} wires, there and back");
    // There and back over at most five wires is ten; headers and control frames add a little.
    ensure!(crossings < 14.0, "each byte crossed {crossings:.1} wires: packets loop");
    Ok(())
}

fn carried(ring: &Row) -> Result<u64> {
    ring.wires.iter().flat_map(|wire| wire.ends()).map(|end| end.bytes_sent()).sum()
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// A node that dies in the ring is missed by nobody else.
#[test]
fn a_node_that_dies_is_routed_around() {
    run("ring with a death", |lab| {
        let ring = lab.ring(&KINDS, "tcp")?;
        lab.settled(&ring.all(), Deadline::seconds(60))?;
        let [a, b, c, ..] = &ring.nodes[..] else { unreachable!("six kinds make six nodes") };
        a.wait_until_reaches(c, Deadline::seconds(100))?;
        b.kill()?;
        a.wait_until_reaches(c, Deadline::seconds(100))?;
        let alive: Vec<&Node> = ring.all().into_iter().filter(|node| node.is_running()).collect();
        lab.settled(&alive, Deadline::seconds(100))?;
        b.start()?;
        a.wait_until_reaches(b, Deadline::seconds(100))?;
        lab.settled(&ring.all(), Deadline::seconds(60))
    });
}
