//! The parts of the benchmark: each builds grounds of its own and adds what it measures there.

mod checks;
mod crowd;
mod day;
mod direct;
mod lines;
mod rows;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use planetary_lab::{
    Deadline, Echo, Host, Kind, Lab, Node, NodeBuilder, Ping, RoundTrips, Wire, until,
};
use serde_json::Value;

pub(crate) use checks::Check;
pub(crate) use lines::{all as all_lines, usual as usual_lines};

use crate::figures::{
    Beside, Congestion, Figure, Ground, Pattern, Quantity, Scheme, Share, Subject, Whose,
};
use crate::load::{self, Way};
use crate::machine::Watch;
use crate::samples::{Sample, Samples, quantile};

/// The reference finds no path for over a minute now and then.
const PATIENCE_SECONDS: u64 = 130;

/// A node of ours lets in ten echo requests of ICMPv6 a second of one key; faster ones would
/// measure the few that are let in, and not what lies between them.
const PING_GAP: Duration = Duration::from_millis(105);

/// Pings of a series: enough for a median.
const PINGS: u32 = 30;

/// The pace of round trips over UDP, and how many there are: enough for a 99th percentile.
const QUICK_GAP: Duration = Duration::from_millis(5);
const QUICK_COUNT: u32 = 300;

/// Half a second of them comes before any load: what sessions still have to settle is over then.
const WARM_COUNT: u32 = 100;

/// How long a session of ours may take to have the cipher that it is to keep.
const CIPHER_SECONDS: u64 = 3;

/// Whoever asks before filters have gone round waits for over a minute now and then, if it is the
/// reference, which does not say when they have.
const SETTLING: Duration = Duration::from_secs(3);

/// Beside shorter loads than this a 99th percentile means nothing.
const BESIDE_SECONDS_MIN: u32 = 3;

/// A load has got going, and a ping beside it meets it as it stays.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// What is measured, and how.
pub(crate) struct Bench {
    pub(crate) samples: Samples,
    pub(crate) checks: Vec<Check>,
    /// What sessions were sealed with, as the nodes say.
    pub(crate) ciphers: BTreeMap<Subject, String>,
    pub(crate) seconds: u32,
    pub(crate) silence: Duration,
    pub(crate) congestion: Congestion,
}

/// Whom is measured, and which programs that is.
#[derive(Clone, Copy)]
pub(crate) struct Contender<'a> {
    pub(crate) subject: Subject,
    /// In the place of the reference: another build of ours.
    pub(crate) against: Option<&'a Path>,
}

/// Two nodes and one link, over which they have talked.
struct Pair {
    near: Arc<Node>,
    far: Arc<Node>,
    echo: Echo,
    /// From the start of both to the first echo.
    first_echo: Duration,
}

/// What came of a step, and what others did meanwhile.
struct Step<T> {
    value: T,
    others: f64,
    /// Seconds that all processors worked.
    worked: f64,
}

fn step<T>(work: impl FnOnce() -> Result<T>) -> Result<Step<T>> {
    let watch = Watch::start()?;
    let value = work()?;
    Ok(Step { value, others: watch.others()?, worked: watch.worked()? })
}

impl Contender<'_> {
    /// The kinds of the node that asks and of all others.
    fn kinds(&self) -> [Kind; 2] {
        match (self.subject, self.against) {
            (Subject::Mixed, _) => [Kind::Ours, Kind::Reference],
            (Subject::Reference, None) => [Kind::Reference; 2],
            _ => [Kind::Ours; 2],
        }
    }

    fn choose_programs(&self, lab: &Lab) {
        if let (Subject::Reference, Some(folder)) = (self.subject, self.against) {
            lab.use_programs(folder);
        }
    }

    fn node(&self, lab: &Lab, kind: Kind, host: &Host) -> Result<NodeBuilder> {
        let node = lab.node(kind, host)?;
        Ok(if self.subject == Subject::Compatible { node.compatible() } else { node })
    }
}

impl Pair {
    fn way(&self) -> Way<'_> {
        way(&self.near, &self.far)
    }
}

fn way<'a>(from: &'a Node, to: &'a Node) -> Way<'a> {
    Way { from: from.host(), to: to.host(), address: to.address() }
}

impl Bench {
    fn add<T>(&mut self, figure: Figure, subject: Subject, value: f64, step: &Step<T>) {
        self.samples.add(figure, subject, Sample { value, others: step.others });
    }

    /// Two hosts and a wire, as the raw wire is measured.
    fn two_hosts(&self, lab: &Lab) -> Result<(Host, Host, Arc<Wire>)> {
        lab.use_congestion_control(self.congestion.name());
        let (a, b) = (lab.host("a")?, lab.host("b")?);
        let wire = lab.wire(&a, &b)?;
        Ok((a, b, wire))
    }

    /// Starts two nodes at the ends of a wire and waits until they have talked for a while.
    fn pair(
        &mut self,
        lab: &Lab,
        contender: Contender<'_>,
        wire: &Wire,
        scheme: Scheme,
    ) -> Result<Pair> {
        contender.choose_programs(lab);
        let [one, other] = wire.ends();
        let uri = other.uri(scheme.name(), 9001);
        let [near, far] = contender.kinds();
        let far = lab.add(contender.node(lab, far, &other.host)?.listen(&uri))?;
        let near = lab.add(contender.node(lab, near, &one.host)?.peer(&uri))?;
        let echo = Echo::start(&other.host)?;
        let start = Instant::now();
        far.launch()?;
        near.launch()?;
        let deadline = Deadline::seconds(PATIENCE_SECONDS);
        let first_echo = echo.first(&one.host, far.address(), deadline)? - start;
        let pair = Pair { near, far, echo, first_echo };
        self.warm(contender.subject, &pair.near, &pair.far, &pair.echo)?;
        Ok(pair)
    }

    /// Lets two nodes talk until their session is what it is going to be.
    fn warm(&mut self, subject: Subject, near: &Node, far: &Node, echo: &Echo) -> Result<()> {
        echo.round_trips(near.host(), far.address(), WARM_COUNT, QUICK_GAP)?;
        if near.kind().actual() == Kind::Ours {
            let is_due = |cipher: &str| subject != Subject::Ours || cipher != "compatible";
            let cipher = until("a fast session", Deadline::seconds(CIPHER_SECONDS), || {
                Ok(Some(cipher(near, far)?).filter(|cipher| is_due(cipher)))
            });
            let cipher = cipher.unwrap_or_else(|error| format!("compatible ({error:#})"));
            self.ciphers.insert(subject, cipher);
        }
        Ok(())
    }

    /// Round trips over UDP with nothing beside them, and with a bulk transfer.
    fn round_trips(
        &mut self,
        ground: Ground,
        subject: Subject,
        trips: &Step<RoundTrips>,
        beside: Beside,
    ) {
        if trips.value.lost > 0 {
            let (lost, all) = (trips.value.lost, trips.value.sorted_ms.len());
            println!("  note: {lost} of {all} questions were not answered within a second");
        }
        for share in [Share::Half, Share::Most] {
            if let Some(value) = quantile(&trips.value.sorted_ms, share.quantile()) {
                let figure = ground.at(Quantity::RoundTrip { beside, share });
                self.add(figure, subject, value, trips);
            }
        }
    }

    fn idle_round_trips(
        &mut self,
        ground: Ground,
        subject: Subject,
        echo: &Echo,
        way: Way<'_>,
    ) -> Result<()> {
        let trips = step(|| echo.round_trips(way.from, way.address, QUICK_COUNT, QUICK_GAP))?;
        self.round_trips(ground, subject, &trips, Beside::Nothing);
        Ok(())
    }

    fn loaded_round_trips(
        &mut self,
        ground: Ground,
        subject: Subject,
        echo: &Echo,
        way: Way<'_>,
    ) -> Result<()> {
        let seconds = self.seconds.max(BESIDE_SECONDS_MIN);
        let count = (Duration::from_secs(seconds.into()) - 2 * UNDER_WAY).as_millis()
            / QUICK_GAP.as_millis();
        let congestion = self.congestion;
        let trips = step(|| {
            thread::scope(|scope| {
                let stream = scope.spawn(|| load::tcp(way, seconds, Pattern::One, congestion));
                thread::sleep(UNDER_WAY);
                let trips = echo.round_trips(way.from, way.address, count as u32, QUICK_GAP);
                let stream = stream.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a panic")));
                stream.and(trips)
            })
        })?;
        self.round_trips(ground, subject, &trips, Beside::Bulk);
        Ok(())
    }

    fn ping(&mut self, ground: Ground, subject: Subject, way: Way<'_>) -> Result<()> {
        let ping = Ping::new(way.address).times(PINGS, PING_GAP);
        let pings = step(|| ping.once(way.from, 2))?;
        let median = pings.value.median_ms().context("no answers")?;
        self.add(ground.at(Quantity::Ping), subject, median, &pings);
        Ok(())
    }

    fn streams(
        &mut self,
        ground: Ground,
        subject: Subject,
        way: Way<'_>,
        patterns: &[Pattern],
    ) -> Result<()> {
        for pattern in patterns {
            let carried = step(|| load::tcp(way, self.seconds, *pattern, self.congestion))?;
            let figure = ground.at(Quantity::Tcp(*pattern));
            self.add(figure, subject, carried.value.megabits, &carried);
        }
        Ok(())
    }

    /// One stream along a row of nodes, and the processor time that each of them takes for it.
    fn costed_stream(&mut self, ground: Ground, subject: Subject, nodes: &[&Node]) -> Result<()> {
        let spent = || -> Result<Vec<f64>> {
            nodes.iter().map(|node| Ok(node.usage()?.processor.as_secs_f64())).collect()
        };
        let [first, between @ .., last] = nodes else { anyhow::bail!("no row of nodes") };
        let (before, way) = (spent()?, way(first, last));
        let carried = step(|| load::tcp(way, self.seconds, Pattern::One, self.congestion))?;
        let gigabytes = carried.value.bytes / 1e9;
        let costs: Vec<f64> = spent()?
            .iter()
            .zip(&before)
            .map(|(after, before)| (after - before) / gigabytes)
            .collect();
        let (sender, receiver) = (costs[0], costs[costs.len() - 1]);
        let mut figures = vec![
            (Quantity::Tcp(Pattern::One), carried.value.megabits),
            (Quantity::Cost(Whose::Ends), sender + receiver),
            (Quantity::Cost(Whose::Sender), sender),
            (Quantity::Cost(Whose::Receiver), receiver),
            (Quantity::Cost(Whose::Machine), carried.worked / gigabytes),
        ];
        if !between.is_empty() {
            let between = costs[1..costs.len() - 1].iter().sum();
            figures.push((Quantity::Cost(Whose::Between), between));
        }
        for (quantity, value) in figures {
            self.add(ground.at(quantity), subject, value, &carried);
        }
        Ok(())
    }
}

/// What the session of a node of ours with another is sealed with, as it says itself.
fn cipher(near: &Node, far: &Node) -> Result<String> {
    let path = near.planetary(["path", &far.identity().key()])?;
    let cipher = path.pointer("/session/cipher").and_then(Value::as_str);
    Ok(cipher.unwrap_or("not told").to_owned())
}
