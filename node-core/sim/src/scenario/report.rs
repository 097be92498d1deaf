//! What a run found out, for people and for programs.

use core::fmt;

use planetary_proto::time::Duration;
use serde::Serialize;

use super::{Plan, name};
use crate::measure::{Spread, Stretch};

/// Control traffic of a node: all frames but those with end-to-end data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Control {
    /// Bytes a node sent until the network was at rest for the first time.
    pub settling: f64,
    /// Bytes a node sends in a minute at rest.
    pub settled: f64,
}

/// Memory of the whole process in bytes, before there was a host and when all had settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Before.
    pub before: Option<u64>,
    /// After.
    pub after: Option<u64>,
    /// Tree edges that a node knows.
    pub edges: Spread,
}

/// One change, and how long the network took to recover.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// What was done.
    pub what: String,
    /// Until all agreed on roots and coordinates.
    pub settled_ms: f64,
    /// From then on, until sampled pairs had answers.
    pub reach_ms: Spread,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    /// Virtual time until all agreed on the root and had coordinates.
    pub settled_ms: f64,
    /// Virtual time until no frame moved any more.
    pub still_ms: f64,
    /// Length of greedy paths.
    pub stretch: Stretch,
    /// Milliseconds until a host had its first answer from one that it never spoke to, in a network
    /// at rest.
    pub first_contact: Spread,
    /// Control traffic.
    pub control: Control,
    /// Wake-ups of a node at rest, per second.
    pub wakes_per_s: f64,
    /// Memory.
    pub memory: Memory,
    /// What was done to the network, in order.
    pub phases: Vec<Phase>,
    /// Seconds of virtual time.
    pub virtual_s: f64,
    /// Seconds it took.
    pub wall_s: f64,
    /// Things that happened.
    pub events: u64,
    /// Things that happened per second of wall time.
    pub events_per_s: f64,
    /// Differs whenever anything in the run did.
    pub trace: String,
}

impl Phase {
    pub(super) fn new(what: &str, settled: Duration, reach_ms: Spread) -> Self {
        Self { what: what.to_owned(), settled_ms: settled.as_secs_f64() * 1000.0, reach_ms }
    }
}

impl Report {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            settled_ms: 0.0,
            still_ms: 0.0,
            stretch: Stretch::default(),
            first_contact: Spread::default(),
            control: Control::default(),
            wakes_per_s: 0.0,
            memory: Memory::default(),
            phases: Vec::new(),
            virtual_s: 0.0,
            wall_s: 0.0,
            events: 0,
            events_per_s: 0.0,
            trace: String::new(),
        }
    }

    /// Bytes of memory that a node added to the process.
    #[must_use]
    pub fn bytes_per_node(&self) -> Option<u64> {
        let grown = self.memory.after?.saturating_sub(self.memory.before?);
        grown.checked_div(self.plan.nodes as u64)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { nodes, seed, degree, scenario, topology, .. } = self.plan;
        let (scenario, topology) = (name(scenario), name(topology));
        writeln!(f, "{nodes} nodes, {topology} of degree {degree}, {scenario}, seed {seed}")?;
        let (settled, still) = (self.settled_ms / 1000.0, self.still_ms / 1000.0);
        writeln!(f, "converged      {settled:.2} s, at rest after {still:.2} s (virtual time)")?;
        let Stretch { hops, ratio } = self.stretch;
        let (mean, p99, pairs) = (ratio.mean, ratio.p99, ratio.count);
        writeln!(f, "stretch        mean {mean:.2}, p99 {p99:.2} over {pairs} pairs")?;
        writeln!(
            f,
            "hops           mean {:.1}, p99 {:.0}, most {:.0}",
            hops.mean, hops.p99, hops.max
        )?;
        let first = self.first_contact;
        writeln!(f, "first contact  median {:.0} ms, most {:.0} ms", first.median, first.max)?;
        let Control { settling, settled } = self.control;
        let per_minute = settling / (self.still_ms / 60_000.0).max(f64::MIN_POSITIVE);
        writeln!(
            f,
            "control        {settling:.0} bytes per node to settle ({per_minute:.0} a minute), \
             {settled:.0} a minute when settled"
        )?;
        writeln!(f, "wake-ups       {:.3} per node and second when settled", self.wakes_per_s)?;
        let edges = self.memory.edges;
        match self.bytes_per_node() {
            Some(bytes) => write!(f, "memory         {} KiB per node", bytes / 1024)?,
            None => write!(f, "memory         unknown")?,
        }
        writeln!(f, "; tree edges known: mean {:.0}, most {:.0}", edges.mean, edges.max)?;
        for phase in &self.phases {
            let Phase { what, settled_ms, reach_ms } = phase;
            let (settled, reach) = (settled_ms / 1000.0, reach_ms.max / 1000.0);
            writeln!(
                f,
                "  {what}: converged after {settled:.2} s, all answered {reach:.2} s later"
            )?;
        }
        let (wall, of, events, rate) =
            (self.wall_s, self.virtual_s, self.events, self.events_per_s);
        writeln!(
            f,
            "wall time      {wall:.2} s for {of:.0} s; {events} events, {rate:.0} a second"
        )?;
        write!(f, "trace          {}", self.trace)
    }
}
