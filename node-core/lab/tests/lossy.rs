//! Links over a slow line that loses packets.
//!
//! ```text
//!   [west] ours ======slow, lossy wire====== [east] ours or the reference
//! ```
//!
//! The line is as long as one across a continent and loses one packet of two hundred in each
//! direction, and the hosts take each loss for congestion, as most systems do.

#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Kind, Lab, Node, Ping, Relay, Transfer, Wire, run, until};

/// What gets lost of a thousand packets.
const LOSS: u16 = 5;

/// Half of a round trip.
const DELAY: Duration = Duration::from_millis(10);

struct Grounds {
    wire: Arc<Wire>,
    west: Arc<Node>,
    east: Arc<Node>,
}

impl Grounds {
    /// A node of ours that has dialled another one over a line that loses nothing yet.
    fn new(lab: &Lab, scheme: &str, other: Kind) -> Result<Self> {
        let [near, far] = [lab.host("west")?, lab.host("east")?];
        for host in [&near, &far] {
            host.run("sysctl", ["-qw", "net.ipv4.tcp_congestion_control=reno"])?;
        }
        let relay = Relay { delay: DELAY, ..Relay::default() };
        let wire = lab.slow_wire(&near, &far, relay)?;
        let uri = wire.ends()[1].uri(scheme, 9001);
        let east = lab.start(lab.node(other, &far)?.listen(&uri))?;
        let west = lab.start(lab.node(Ours, &near)?.peer(&uri))?;
        west.wait_for_link(&east, Deadline::seconds(10))?;
        west.wait_until_reaches(&east, Deadline::seconds(10))?;
        Ok(Self { wire, west, east })
    }

    /// Moves so many megabytes from west to east in one connection.
    fn moves(&self, megabytes: u64) -> Result<()> {
        let (from, to) = (self.west.host(), self.east.host());
        let deadline = Deadline::seconds(30);
        let bytes = megabytes << 20;
        let moved = Transfer::start(from, to, self.east.address(), bytes, deadline)?.finish()?;
        ensure!(moved.connections == 1, "the connection broke: {moved}");
        Ok(())
    }

    /// That most pings of a size come back.
    fn pings(&self, packet: usize) -> Result<()> {
        let ping = Ping::new(self.east.address()).times(20, Duration::from_millis(100));
        let answered = ping.packet(packet).once(self.west.host(), 2)?.round_trips_ms.len();
        ensure!(answered >= 16, "{answered} of 20 pings of {packet} bytes came back");
        Ok(())
    }
}

#[test]
fn quic_carries_as_much_as_the_line_does_to_both_kinds() {
    for other in [Ours, Reference] {
        run(&format!("lossy quic {other:?}"), |lab| {
            let grounds = Grounds::new(lab, "quic", other)?;
            grounds.wire.lose(LOSS)?;
            grounds.pings(100)?;
            grounds.pings(20_000)?;
            // A window that is halved at each loss moves half of it in the time there is.
            grounds.moves(80)
        });
    }
}

#[test]
fn a_socket_on_a_line_that_loses_gets_another_congestion_control() {
    for other in [Ours, Reference] {
        run(&format!("lossy tcp {other:?}"), |lab| {
            let grounds = Grounds::new(lab, "tcp", other)?;
            let sockets = || {
                let host = grounds.west.host();
                host.run("ss", ["-tniH", "state", "established", "dport = 9001"])
            };
            grounds.moves(20)?;
            ensure!(sockets()?.contains("reno"), "nothing was lost:\n{}", sockets()?);
            grounds.wire.lose(LOSS)?;
            grounds.pings(100)?;
            until("another congestion control", Deadline::seconds(90), || {
                grounds.moves(4)?;
                let told = sockets()?;
                Ok(told.contains("bbr").then_some(()))
            })?;
            grounds.moves(40)
        });
    }
}
