//! What happens to a node in the course of a day, and how long it takes until it is back.
//!
//! Each mishap builds grounds of its own, waits until two nodes reach each other, strikes, and
//! measures to the millisecond from the moment from which it *could* work again until an echo
//! passes.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::echo::Echo;
use crate::host::Host;
use crate::lab::Lab;
use crate::node::{Kind, Node};
use crate::topology::Row;
use crate::transfer::Transfer;
use crate::wait::Deadline;
use crate::wire::Wire;

/// The port that the nodes listen at.
const PORT: u16 = 9001;

/// The reference finds no path for over a minute now and then.
const PATIENCE_SECONDS: u64 = 130;

/// At 50 Mbit/s, three seconds, and as long as the line is lost.
const LOAD_BYTES: u64 = 20_000_000;

/// The load has got going.
const LOAD_FIRST: u64 = 2_000_000;

/// A mishap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// The line is cut in silence for this long, and healed: `[a]---[b]`.
    Cut(Duration),
    /// A node is frozen for this long, as sleep does, and thawed.
    Nap(Duration),
    /// The machine of the node that dials gets another address.
    Move,
    /// The only peer is killed and is started again after this long.
    Restart(Duration),
    /// One of two peers is killed while bytes flow through it:
    ///
    /// ```text
    ///    [a]---[b]---[c]---[d]---[a]      a sends to c, b or d dies
    /// ```
    Kill,
    /// As [`Mishap::Kill`], but the line to that peer is cut in silence, in both directions.
    CutOne,
    /// As [`Mishap::CutOne`], in the direction to the peer alone.
    MuteOne,
    /// The default route goes for this long and comes back: `[a]---router---[b]`.
    RouteLost(Duration),
}

impl Mishap {
    /// Lets it happen to nodes of these kinds, the one that it happens to first; returns how long
    /// it took until an echo passed again.
    ///
    /// # Errors
    /// When the grounds cannot be had, or no echo passes before a deadline of over two minutes.
    pub fn strike(self, lab: &Lab, kinds: [Kind; 2]) -> Result<Duration> {
        match self {
            Self::Kill | Self::CutOne | Self::MuteOne => self.strike_one_of_two(lab, kinds),
            Self::RouteLost(time) => lose_route(lab, kinds, time),
            Self::Cut(_) | Self::Nap(_) | Self::Move | Self::Restart(_) => {
                let Row { nodes, wires } = lab.chain(&kinds, "tcp")?;
                let [a, b] = &nodes[..] else { unreachable!("two kinds make two nodes") };
                let way = Way::between(a, b)?;
                let since = self.strike_pair(a, b, &wires[0])?;
                way.passes_after(since)
            }
        }
    }

    /// Returns when it could work again.
    fn strike_pair(self, a: &Node, b: &Node, wire: &Wire) -> Result<Instant> {
        match self {
            Self::Cut(time) => {
                wire.cut()?;
                thread::sleep(time);
                wire.heal()?;
            }
            Self::Nap(time) => {
                a.freeze()?;
                thread::sleep(time);
                a.thaw()?;
            }
            Self::Restart(time) => {
                b.kill()?;
                thread::sleep(time);
                b.launch()?;
            }
            Self::Move => {
                let end = &wire.ends()[0];
                let [first, second, third, _] = end.v4.octets();
                let (old, new) = (end.v4, std::net::Ipv4Addr::new(first, second, third, 101));
                let host = &end.host;
                host.ip(["address", "del", &format!("{old}/24"), "dev", &end.device])?;
                host.ip(["address", "add", &format!("{new}/24"), "dev", &end.device])?;
            }
            Self::Kill | Self::CutOne | Self::MuteOne | Self::RouteLost(_) => {
                unreachable!("these have grounds of their own")
            }
        }
        Ok(Instant::now())
    }

    fn strike_one_of_two(self, lab: &Lab, [kind, others]: [Kind; 2]) -> Result<Duration> {
        let Row { nodes, wires } = lab.ring(&[kind, others, others, others], "tcp")?;
        let [a, b, c, d] = &nodes[..] else { unreachable!("four kinds make four nodes") };
        let way = Way::between(a, c)?;
        for wire in &wires {
            wire.limit(50)?;
        }
        // The wires of a, each with the peer behind it and the number of the peer's end.
        let ways = [(&wires[0], b, 1), (&wires[3], d, 0)];
        let carried = || -> Result<Vec<u64>> {
            ways.iter().map(|(wire, _, far)| wire.ends()[1 - far].bytes_sent()).collect()
        };
        let before = carried()?;
        let deadline = Deadline::seconds(2 * PATIENCE_SECONDS);
        let transfer = Transfer::start(a.host(), c.host(), c.address(), LOAD_BYTES, deadline)?;
        transfer.wait_for(LOAD_FIRST, deadline)?;
        let after = carried()?;
        let (wire, peer, far) = ways[usize::from(after[1] - before[1] > after[0] - before[0])];
        match self {
            Self::CutOne => wire.cut()?,
            Self::MuteOne => wire.cut_towards(far)?,
            _ => peer.kill()?,
        }
        let back = way.passes_after(Instant::now())?;
        transfer.finish()?;
        Ok(back)
    }
}

/// A way between two nodes that works.
struct Way {
    from: Host,
    to: Arc<Echo>,
    address: std::net::Ipv6Addr,
}

impl Way {
    fn between(a: &Node, b: &Node) -> Result<Self> {
        let echo = Echo::start(b.host())?;
        echo.first(a.host(), b.address(), Deadline::seconds(PATIENCE_SECONDS))?;
        Ok(Self { from: a.host().clone(), to: Arc::new(echo), address: b.address() })
    }

    fn passes_after(&self, since: Instant) -> Result<Duration> {
        let back = self.to.first(&self.from, self.address, Deadline::seconds(PATIENCE_SECONDS))?;
        Ok(back.saturating_duration_since(since))
    }
}

fn lose_route(lab: &Lab, [kind, other]: [Kind; 2], time: Duration) -> Result<Duration> {
    let (near, router, far) = (lab.host("a")?, lab.host("router")?, lab.host("b")?);
    let (inner, outer) = (lab.wire(&near, &router)?, lab.wire(&router, &far)?);
    router
        .enter(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1"))?
        .context("the router cannot forward")?;
    let gateway = inner.ends()[1].v4.to_string();
    let back = outer.ends()[0].v4.to_string();
    near.ip(["route", "add", "default", "via", &gateway])?;
    far.ip(["route", "add", "default", "via", &back])?;
    let uri = outer.ends()[1].uri("tcp", PORT);
    let b = lab.start(lab.node(other, &far)?.listen(&uri))?;
    let a = lab.start(lab.node(kind, &near)?.peer(&uri))?;
    let way = Way::between(&a, &b)?;
    near.ip(["route", "del", "default"])?;
    thread::sleep(time);
    near.ip(["route", "add", "default", "via", &gateway])?;
    way.passes_after(Instant::now())
}
