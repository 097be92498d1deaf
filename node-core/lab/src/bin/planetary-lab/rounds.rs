//! The rounds: every figure once for each program, then all again.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::ValueEnum;
use planetary_lab::{Deadline, Echo, Kind, Lab, Mishap, Node, Ping, Row, Wire, attempt};
use serde_json::json;

use crate::figures::{self, Samples, Subject};
use crate::iperf::{self, Load};
use crate::{idle, table};

/// Compare the node with the reference implementation.
#[derive(clap::Parser)]
#[command(name = "planetary-lab", bin_name = "cargo xtask bench")]
pub(crate) struct Arguments {
    /// How many rounds; medians are taken over them
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long each load lasts, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Two rounds of two seconds: a first look, not a measurement
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::USUAL)]
    only: Vec<Part>,
    /// Only how long it takes to be back after a mishap: a cut, sleep, another address, the restart
    /// of the only peer, the death of one of two peers, the loss of the default route
    #[arg(long, conflicts_with_all = ["only", "idle"])]
    recovery: bool,
    /// Only the first echo after a silence
    #[arg(long, conflicts_with = "only")]
    idle: bool,
    /// How long that silence is, in seconds
    #[arg(long, default_value_t = 300)]
    silence: u64,
    /// Measure against another build of ours, whose programs are in this folder, and not against
    /// the reference
    #[arg(long, value_name = "FOLDER")]
    against: Option<PathBuf>,
    /// Where the samples are written
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// What is measured on grounds of its own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Two nodes and one link
    Pair,
    /// Three nodes in a row
    Transit,
    /// Four nodes in a circle, of which a link is cut
    Recovery,
    /// Two nodes, or a few, and what happens in the course of a day
    Mishaps,
    /// Four nodes in a row, and silence
    Idle,
}

impl Part {
    /// Those that take minutes, not hours.
    const USUAL: [Self; 3] = [Self::Pair, Self::Transit, Self::Recovery];
}

impl Arguments {
    fn parts(&self) -> &[Part] {
        match (self.recovery, self.idle) {
            (true, _) => &[Part::Recovery, Part::Mishaps],
            (_, true) => &[Part::Idle],
            _ => &self.only,
        }
    }
}

/// What happens, and under which name it is measured.
const MISHAPS: [(figures::Figure, Mishap); 8] = [
    (figures::CUT, Mishap::Cut(Duration::from_secs(5))),
    (figures::NAP, Mishap::Nap(Duration::from_secs(20))),
    (figures::MOVE, Mishap::Move),
    (figures::RESTART, Mishap::Restart(Duration::from_secs(5))),
    (figures::KILL, Mishap::Kill),
    (figures::CUT_ONE, Mishap::CutOne),
    (figures::MUTE_ONE, Mishap::MuteOne),
    (figures::ROUTE, Mishap::RouteLost(Duration::from_secs(10))),
];

/// The reference finds no path for over a minute now and then.
const PATIENCE_SECONDS: u64 = 130;

/// A node of ours answers ten echo requests a second of one key; faster ones would measure the few
/// that are let in, and not what lies between them.
const PING_GAP: Duration = Duration::from_millis(105);

/// Pings of a series: enough for a 99th percentile to mean something.
const PINGS: u32 = 120;

/// How long is waited for an idle machine before each step.
const IDLE_SECONDS: u64 = 30;

/// Runs all rounds, prints the table, writes the samples.
pub(crate) fn bench(arguments: &Arguments) -> Result<()> {
    let (rounds, seconds) =
        if arguments.quick { (2, 2) } else { (arguments.rounds, arguments.seconds) };
    let silence = Duration::from_secs(arguments.silence);
    let mut bench = Bench { samples: Samples::default(), seconds, silence };
    let mut busy = Vec::new();
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        busy.push(idle::wait(IDLE_SECONDS)?);
        if arguments.parts().contains(&Part::Pair) {
            attempt("bench raw", |lab| bench.raw(lab))?;
        }
        let mut subjects = [Subject::Ours, Subject::Reference];
        if round % 2 == 0 {
            subjects.reverse();
        }
        for subject in subjects {
            busy.push(idle::wait(IDLE_SECONDS)?);
            let (kind, programs) = match (subject, &arguments.against) {
                (Subject::Reference, None) => (Kind::Reference, None),
                (Subject::Reference, Some(folder)) => (Kind::Ours, Some(folder)),
                _ => (Kind::Ours, None),
            };
            for part in arguments.parts() {
                if *part == Part::Mishaps {
                    bench.mishaps(subject, kind, programs)?;
                    continue;
                }
                let name = part.to_possible_value().map(|part| part.get_name().to_owned());
                attempt(&format!("bench {}", name.unwrap_or_default()), |lab| {
                    if let Some(folder) = programs {
                        lab.use_programs(folder);
                    }
                    match part {
                        Part::Pair => bench.pair(lab, subject, kind),
                        Part::Transit => bench.transit(lab, subject, kind),
                        Part::Recovery => bench.recovery(lab, subject, kind),
                        Part::Idle => bench.idle(lab, subject, kind),
                        Part::Mishaps => unreachable!("each has grounds of its own"),
                    }
                })?;
            }
        }
    }
    if let Some(folder) = &arguments.against {
        println!("\n\"reference\" is the other build of ours in {}", folder.display());
    }
    println!("\n{}", table::render(&bench.samples));
    let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let control = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")?;
    let record = json!({
        "at": at, "rounds": rounds, "seconds": seconds, "busy_cores": busy,
        "congestion_control": control.trim(),
        "samples": bench.samples.to_json(),
    });
    fs::create_dir_all(&arguments.out)?;
    let file = arguments.out.join(format!("{at}.json"));
    fs::write(&file, serde_json::to_string_pretty(&record)?)?;
    println!("samples: {}", file.display());
    Ok(())
}

struct Bench {
    samples: Samples,
    seconds: u32,
    silence: Duration,
}

impl Bench {
    fn load(&self, streams: u32, reverse: bool) -> Load {
        Load { seconds: self.seconds, streams, reverse }
    }

    /// The wire alone.
    fn raw(&mut self, lab: &Lab) -> Result<()> {
        let (a, b) = (lab.host("a")?, lab.host("b")?);
        let target = lab.wire(&a, &b)?.ends()[1].v6;
        for (figure, load) in [
            (figures::DIRECT, self.load(1, false)),
            (figures::DIRECT_REVERSE, self.load(1, true)),
            (figures::DIRECT_FOUR, self.load(4, false)),
        ] {
            let through = iperf::run(&a, &b, IpAddr::V6(target), load)?;
            self.samples.add(figure, Subject::Raw, through.megabits);
        }
        let pings = Ping::new(target).times(PINGS, PING_GAP).once(&a, 2)?;
        let (median, tail) = (pings.median_ms(), pings.quantile_ms(0.99));
        self.samples.add(figures::PING_MEDIAN, Subject::Raw, median.context("no answers")?);
        self.samples.add(figures::PING_TAIL, Subject::Raw, tail.context("no answers")?);
        Ok(())
    }

    /// Two nodes and one link.
    fn pair(&mut self, lab: &Lab, subject: Subject, kind: Kind) -> Result<()> {
        let (near, far) = (lab.host("a")?, lab.host("b")?);
        let uri = lab.wire(&near, &far)?.ends()[1].uri("tcp", 9001);
        let b = lab.add(lab.node(kind, &far)?.listen(&uri))?;
        let a = lab.add(lab.node(kind, &near)?.peer(&uri))?;

        let echo = Echo::start(&far)?;
        let start = Instant::now();
        b.launch()?;
        a.launch()?;
        let answered = echo.first(&near, b.address(), Deadline::seconds(PATIENCE_SECONDS))?;
        self.samples.add(figures::FIRST_ECHO, subject, (answered - start).as_secs_f64());

        let pings = Ping::new(b.address()).times(PINGS, PING_GAP).once(&near, 2)?;
        let (median, tail) = (pings.median_ms(), pings.quantile_ms(0.99));
        self.samples.add(figures::PING_MEDIAN, subject, median.context("no answers")?);
        self.samples.add(figures::PING_TAIL, subject, tail.context("no answers")?);
        self.samples.add(figures::MEMORY_IDLE, subject, larger(&a, &b, |u| u.resident_kib)?);

        let nodes = [&*a, &*b];
        let through = self.costed(subject, figures::COST, &nodes, &nodes)?;
        self.samples.add(figures::DIRECT, subject, through);
        for (figure, load) in [
            (figures::DIRECT_REVERSE, self.load(1, true)),
            (figures::DIRECT_FOUR, self.load(4, false)),
        ] {
            let through = iperf::run(&near, &far, IpAddr::V6(b.address()), load)?;
            self.samples.add(figure, subject, through.megabits);
        }
        self.ping_under_load(subject, &a, &b)?;
        self.samples.add(figures::MEMORY_PEAK, subject, larger(&a, &b, |u| u.peak_kib)?);
        Ok(())
    }

    /// One stream between the first and the last node; processor time of some of them on the way.
    fn costed(
        &mut self,
        subject: Subject,
        figure: figures::Figure,
        ends: &[&Node],
        counted: &[&Node],
    ) -> Result<f64> {
        let (first, last) = (ends[0], ends[ends.len() - 1]);
        let spent = || -> Result<f64> {
            counted.iter().map(|node| Ok(node.usage()?.processor.as_secs_f64())).sum()
        };
        let before = spent()?;
        let address = IpAddr::V6(last.address());
        let through = iperf::run(first.host(), last.host(), address, self.load(1, false))?;
        let cost = (spent()? - before) / (through.bytes / 1e9);
        self.samples.add(figure, subject, cost);
        Ok(through.megabits)
    }

    fn ping_under_load(&mut self, subject: Subject, a: &Node, b: &Node) -> Result<()> {
        let load = self.load(1, false);
        let (from, to, address) = (a.host().clone(), b.host().clone(), b.address());
        let pings = thread::scope(|scope| {
            let stream = scope.spawn(|| iperf::run(&from, &to, IpAddr::V6(address), load));
            let count = load.seconds * 9;
            let pings = Ping::new(address).times(count, PING_GAP).once(&from, 2);
            let stream = stream.join().unwrap_or_else(|_| Err(anyhow::anyhow!("iperf panicked")));
            stream.and(pings)
        })?;
        let median = pings.median_ms().context("no answers under load")?;
        self.samples.add(figures::PING_LOADED, subject, median);
        Ok(())
    }

    /// Three nodes in a row.
    fn transit(&mut self, lab: &Lab, subject: Subject, kind: Kind) -> Result<()> {
        let Row { nodes, .. } = lab.chain(&[kind; 3], "tcp")?;
        let (first, last) = (&nodes[0], &nodes[2]);
        first.wait_until_reaches(last, Deadline::seconds(PATIENCE_SECONDS))?;
        let ping = Ping::new(last.address()).times(PINGS / 2, PING_GAP);
        let median = ping.once(first.host(), 2)?.median_ms().context("no answers")?;
        self.samples.add(figures::TRANSIT_PING, subject, median);
        let through =
            self.costed(subject, figures::TRANSIT_COST, &[&**first, &**last], &[&*nodes[1]])?;
        self.samples.add(figures::TRANSIT, subject, through);
        Ok(())
    }

    /// Four nodes in a circle: the far wire of the way in use is cut, and nobody is told.
    fn recovery(&mut self, lab: &Lab, subject: Subject, kind: Kind) -> Result<()> {
        let Row { nodes, wires } = lab.ring(&[kind; 4], "tcp")?;
        let (a, c) = (&nodes[0], &nodes[2]);
        a.wait_until_reaches(c, Deadline::seconds(PATIENCE_SECONDS))?;
        let carried = |wire: &Wire| -> Result<u64> {
            Ok(wire.ends()[0].bytes_sent()? + wire.ends()[1].bytes_sent()?)
        };
        // The two wires that end at c: from b, and to d.
        let far = [&wires[1], &wires[2]];
        let before = [carried(far[0])?, carried(far[1])?];
        Ping::new(c.address())
            .packet(1200)
            .times(50, Duration::from_millis(5))
            .once(a.host(), 2)?;
        let grown = [carried(far[0])? - before[0], carried(far[1])? - before[1]];
        let echo = Echo::start(c.host())?;
        far[usize::from(grown[1] > grown[0])].cut()?;
        let cut = Instant::now();
        let back = echo.first(a.host(), c.address(), Deadline::seconds(PATIENCE_SECONDS));
        let took = seconds_or_patience(back.map(|back| back - cut));
        self.samples.add(figures::RECOVERY, subject, took);
        Ok(())
    }

    /// Each on grounds of its own.
    fn mishaps(&mut self, subject: Subject, kind: Kind, programs: Option<&PathBuf>) -> Result<()> {
        for (figure, mishap) in MISHAPS {
            let took = attempt(&format!("bench {mishap:?}"), |lab| {
                if let Some(folder) = programs {
                    lab.use_programs(folder);
                }
                Ok(mishap.strike(lab, [kind; 2]))
            })?;
            self.samples.add(figure, subject, seconds_or_patience(took));
        }
        Ok(())
    }

    /// Four nodes in a row talk, are silent, and the first one speaks again.
    fn idle(&mut self, lab: &Lab, subject: Subject, kind: Kind) -> Result<()> {
        let Row { nodes, .. } = lab.chain(&[kind; 4], "tcp")?;
        let (first, next, last) = (&nodes[0], &nodes[1], &nodes[3]);
        let others = [(figures::IDLE_NEAR, next), (figures::IDLE_FAR, last)];
        let mut echoes = Vec::new();
        for (_, other) in others {
            let echo = Echo::start(other.host())?;
            let deadline = Deadline::seconds(PATIENCE_SECONDS);
            echo.first(first.host(), other.address(), deadline)?;
            echoes.push(echo);
        }
        thread::sleep(self.silence);
        for ((figure, other), echo) in others.into_iter().zip(&echoes) {
            let begun = Instant::now();
            let deadline = Deadline::seconds(PATIENCE_SECONDS);
            let back = echo.first(first.host(), other.address(), deadline);
            let took = seconds_or_patience(back.map(|back| back - begun));
            self.samples.add(figure, subject, took * 1000.0);
        }
        Ok(())
    }
}

/// In seconds; the reference does not always find another way, and the round goes on.
fn seconds_or_patience(took: Result<Duration>) -> f64 {
    took.map_or_else(
        |error| {
            println!("note: {error:#}, counted as {PATIENCE_SECONDS} s");
            PATIENCE_SECONDS as f64
        },
        |took| took.as_secs_f64(),
    )
}

/// The larger of two nodes, in MB.
fn larger(a: &Node, b: &Node, kib: impl Fn(planetary_lab::Usage) -> u64) -> Result<f64> {
    let larger = kib(a.usage()?).max(kib(b.usage()?));
    Ok(larger as f64 * 1024.0 / 1e6)
}
