//! Whole runs: build a network, let it settle, do something to it, and see whether it recovers.
//!
//! A run follows from its [`Plan`] alone, so a failure says which command replays it. Every run
//! begins and ends alike: the network must settle, every sampled pair must reach each other, and at
//! rest nothing moves that the protocol does not need. What happens in between is the [`Scenario`].

mod churn;
mod events;
mod report;

use core::fmt;

use clap::ValueEnum;
use planetary_proto::{Instant, time::Duration, wire::FrameKind};
use rand_chacha::ChaCha20Rng;
pub use report::{Control, Memory, Phase, Report};
use serde::Serialize;
use thiserror::Error;

use crate::{
    Carried, HostId, World,
    check::{follow_hosts, settled},
    measure::{Spread, Stretch, resident_bytes, sample_pairs, stretch},
    model::Model,
    topology::{Topology, build},
};

/// A network may take this long to settle after a change that its nodes hear of.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Over a link that is idle a loss is noticed when the next edge is announced anew, after four
/// minutes at most; then some seconds.
const NOTICE_MAX: Duration = Duration::from_secs(6 * 60);
/// Sampled pairs must reach each other within this time, asking once a second.
const REACH_MAX: Duration = Duration::from_secs(20);
/// A node that came back with an earlier clock and no memory looks like a replay of itself until
/// others have forgotten it.
const FORGET_MAX: Duration = Duration::from_secs(90);
/// How often is looked whether the network has settled.
const LOOK: Duration = Duration::from_millis(20);
/// Nothing moves for this long: the network is at rest.
const REST: Duration = Duration::from_secs(5);
/// Sessions, paths and keys that are not kept warm are forgotten by then, and the keys of all fast
/// sessions.
const EXPIRY: Duration = Duration::from_secs(230);
/// A node at rest may be woken this often, per second: 0.3 for itself, and once in 40 seconds at
/// either end of each session that is kept warm, of which there are about a dozen.
const WAKES_MAX: f64 = 0.6;
/// Pairs that ping each other at a time.
const PAIRS: usize = 40;
/// Pairs whose paths are measured.
const STRETCH_PAIRS: usize = 10_000;

/// What happens to a network that has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Nothing.
    Settle,
    /// Links on the path between two hosts vanish silently, one after the other.
    Cut,
    /// The network falls apart and is joined again.
    Partition,
    /// Hosts are restarted, the root among them.
    Restart,
    /// Wall clocks are set back and forth.
    Clock,
    /// All of this at random.
    Churn,
}

/// What a run follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// How many hosts.
    pub nodes: usize,
    /// Where all randomness comes from.
    pub seed: u64,
    /// How they are wired.
    pub topology: Topology,
    /// How many neighbours a host has on average, where the topology leaves a choice.
    pub degree: usize,
    /// What happens.
    pub scenario: Scenario,
    /// How long the network is watched at rest, in minutes of virtual time; for churn, how long it
    /// lasts.
    pub minutes: u64,
}

impl Plan {
    /// A random network of `nodes` hosts with four neighbours each.
    #[must_use]
    pub const fn new(nodes: usize, seed: u64, scenario: Scenario) -> Self {
        Self { nodes, seed, topology: Topology::Random, degree: 4, scenario, minutes: 10 }
    }
}

impl fmt::Display for Plan {
    /// The command that runs this plan.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, seed, degree, minutes, .. } = self;
        write!(
            f,
            "planetary-sim --nodes {nodes} --seed {seed} --topology {}",
            name(self.topology)
        )?;
        write!(f, " --degree {degree} --scenario {} --minutes {minutes}", name(self.scenario))
    }
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Why a run failed.
#[derive(Debug, Error)]
#[error("at {at:?} of virtual time: {reason}\nreplay it with: {plan}")]
pub struct Failure {
    at: Instant,
    reason: String,
    plan: Plan,
}

/// Runs a plan.
///
/// # Errors
/// A rule was broken, or the network did not recover.
pub fn run(plan: Plan) -> Result<Report, Failure> {
    let wall = std::time::Instant::now();
    let mut run = Run::new(plan);
    run.begin()?;
    match plan.scenario {
        Scenario::Settle => {}
        Scenario::Cut => run.cut_links()?,
        Scenario::Partition => run.fall_apart()?,
        Scenario::Restart => run.restart_hosts()?,
        Scenario::Clock => run.set_clocks()?,
        Scenario::Churn => run.churn()?,
    }
    run.rest()?;
    Ok(run.finish(wall.elapsed()))
}

/// A run under way.
struct Run {
    plan: Plan,
    world: World,
    rng: ChaCha20Rng,
    report: Report,
}

impl Run {
    fn new(plan: Plan) -> Self {
        let before = resident_bytes();
        let mut world = World::new(plan.seed);
        build(&mut world, plan.topology, plan.nodes, plan.degree);
        let rng = world.fork_rng();
        let mut report = Report::new(plan);
        report.memory.before = before;
        Self { plan, world, rng, report }
    }

    fn fail(&self, reason: impl Into<String>) -> Failure {
        let after = self.report.phases.last().map_or("the beginning", |phase| &phase.what);
        let reason = format!("after {after}: {}", reason.into());
        Failure { at: self.world.now(), reason, plan: self.plan }
    }

    // ---- checks ----

    /// No rule was broken so far.
    fn check_rules(&self) -> Result<(), Failure> {
        let broken: Vec<String> = self.world.violations().map(ToString::to_string).collect();
        if broken.is_empty() { Ok(()) } else { Err(self.fail(broken.join("\n"))) }
    }

    /// Waits until the nodes agree with the model.
    fn settle(&mut self, limit: Duration) -> Result<Duration, Failure> {
        let began = self.world.now();
        let at = self.world.run_until_true(LOOK, limit, |world| settled(world).is_ok());
        self.check_rules()?;
        match at {
            Some(at) => Ok(at.since(began)),
            None => {
                let why =
                    settled(&self.world).err().map_or_else(String::new, |why| why.to_string());
                Err(self.fail(format!("not settled after {limit:?}: {why}")))
            }
        }
    }

    /// Lets pairs of hosts ping each other, both ways, until all have an answer. Returns how long
    /// that took each of them.
    ///
    /// One way would not do: an end of a dead link notices only if it sends something.
    fn reach(&mut self, pairs: &[(HostId, HostId)], limit: Duration) -> Result<Spread, Failure> {
        let every = Duration::from_secs(1);
        let pairs: Vec<_> = pairs.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect();
        let pings: Vec<_> =
            pairs.iter().map(|(from, to)| self.world.ping_every(*from, *to, every)).collect();
        let all = |world: &World| pings.iter().all(|ping| world.answer(*ping).is_some());
        self.world.run_until_true(LOOK, limit, all);
        self.check_rules()?;
        for (ping, (from, to)) in pings.iter().zip(&pairs) {
            if self.world.answer(*ping).is_none() {
                let way = self.describe_way(*from, *to);
                let back = self.describe_way(*to, *from);
                let (from, to) = (from.0, to.0);
                let reason = format!(
                    "host {from} had no answer from host {to} for {limit:?}; {way}; {back}"
                );
                return Err(self.fail(reason));
            }
        }
        Ok(Spread::of_times(pings.iter().filter_map(|ping| self.world.answer(*ping))))
    }

    /// What one host knows of the way to another, and what the way is.
    fn describe_way(&self, from: HostId, to: HostId) -> String {
        let key = self.world.key(to);
        let way = follow_hosts(&self.world, from, to);
        let node = self.world.node(from);
        let path = node.and_then(|node| node.paths().find(|(it, _)| **it == key));
        let path = path.map(|(_, path)| (&path.coords, path.seq, path.broken));
        let is = self.world.node(to).and_then(|node| node.coords_of(&key));
        let session = node.is_some_and(|node| node.sessions().any(|(it, _)| it == key));
        let stats = node.map(planetary_proto::Node::stats);
        format!(
            "host {} believes {path:?}, it is {is:?}, hops {way:?}, session {session}, {stats:?}",
            from.0
        )
    }

    /// Pairs of hosts that are connected.
    fn connected_pairs(&mut self, most: usize) -> Vec<(HostId, HostId)> {
        let model = Model::of(&self.world);
        let up: Vec<HostId> =
            self.world.host_ids().filter(|host| self.world.is_up(*host)).collect();
        let mut pairs = sample_pairs(&up, most, &mut self.rng);
        pairs.retain(|(a, b)| model.connected(*a, *b));
        pairs
    }

    /// Packets between sampled pairs arrive and come closer with every hop.
    fn paths(&mut self) -> Result<Stretch, Failure> {
        let pairs = self.connected_pairs(STRETCH_PAIRS);
        stretch(&self.world, &pairs).map_err(|(from, to, error)| {
            self.fail(format!("no path from host {} to host {}: {error}", from.0, to.0))
        })
    }

    /// Something happened: the network must settle, and sampled pairs must reach each other again.
    fn recover(&mut self, what: &str, limit: Duration) -> Result<(), Failure> {
        self.recover_slowly(what, limit, REACH_MAX)
    }

    /// The same, when answers may take longer.
    fn recover_slowly(
        &mut self,
        what: &str,
        settle_max: Duration,
        reach_max: Duration,
    ) -> Result<(), Failure> {
        let settled = self.settle(settle_max)?;
        let pairs = self.connected_pairs(PAIRS);
        let reach = self.reach(&pairs, reach_max)?;
        self.paths()?;
        self.report.phases.push(Phase::new(what, settled, reach));
        Ok(())
    }

    // ---- beginning and end ----

    fn begin(&mut self) -> Result<(), Failure> {
        let settled = self.settle(SETTLE_MAX)?;
        self.report.settled_ms = settled.as_secs_f64() * 1000.0;
        let still = self.await_rest()?;
        self.report.still_ms = still.since(Instant::START).as_secs_f64() * 1000.0;
        let control = self.world.total().control();
        self.report.control.settling = control.bytes as f64 / self.plan.nodes as f64;
        self.report.memory.after = resident_bytes();
        self.report.stretch = self.paths()?;
        let edges = self.world.host_ids().filter_map(|host| self.world.node(host));
        let edges = edges.map(|node| node.sizes().infos as f64).collect();
        self.report.memory.edges = Spread::of(edges);
        let pairs = self.connected_pairs(PAIRS);
        self.report.first_contact = self.reach(&pairs, REACH_MAX)?;
        Ok(())
    }

    /// Waits until no frame moves but signs of life between children and parents, which never end.
    /// Returns when the last one did.
    fn await_rest(&mut self) -> Result<Instant, Failure> {
        let signs = [FrameKind::KeepAlive, FrameKind::SigReq, FrameKind::SigRes];
        let moved = |world: &World| {
            let mut sent = world.total().sent;
            for kind in signs {
                sent[kind as usize] = Carried::default();
            }
            sent
        };
        let began = self.world.now();
        let (mut sent, mut since) = (moved(&self.world), began);
        while self.world.now().since(since) < REST {
            if self.world.now().since(began) > NOTICE_MAX {
                return Err(self.fail("frames go on and on in a network that has settled"));
            }
            self.world.run_for(Duration::from_millis(250));
            let now_sent = moved(&self.world);
            if now_sent != sent {
                (sent, since) = (now_sent, self.world.now());
            }
        }
        Ok(since)
    }

    /// At rest nothing may change but what is announced anew, and nodes sleep.
    fn rest(&mut self) -> Result<(), Failure> {
        self.settle(NOTICE_MAX)?;
        self.await_rest()?;
        self.world.run_for(EXPIRY);
        let before = self.world.total();
        let began = self.world.now();
        for _ in 0..self.plan.minutes {
            self.world.run_for(Duration::from_secs(60));
            if let Err(why) = settled(&self.world) {
                return Err(self.fail(format!("the network does not stay settled: {why}")));
            }
        }
        self.check_rules()?;
        let added = self.world.total() - before;
        let node_seconds = self.world.now().since(began).as_secs_f64() * self.plan.nodes as f64;
        if node_seconds > 0.0 {
            self.report.control.settled = added.control().bytes as f64 / node_seconds * 60.0;
            self.report.wakes_per_s = added.wakes as f64 / node_seconds;
        }
        if self.report.wakes_per_s > WAKES_MAX {
            let wakes = self.report.wakes_per_s;
            return Err(self.fail(format!("nodes at rest wake up {wakes:.2} times a second")));
        }
        Ok(())
    }

    fn finish(mut self, wall: Duration) -> Report {
        let events = self.world.total().tasks;
        self.report.virtual_s = self.world.now().since(Instant::START).as_secs_f64();
        self.report.wall_s = wall.as_secs_f64();
        self.report.events = events;
        self.report.events_per_s = events as f64 / wall.as_secs_f64();
        self.report.trace = format!("{:016x}", self.world.trace());
        self.report
    }
}
