//! The rounds: every figure once for each contender, then all again.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::ValueEnum;
use planetary_lab::{Lab, attempt};
use serde_json::{Value, json};

use crate::figures::{Congestion, Line, Scheme, Subject};
use crate::machine;
use crate::parts::{Bench, Contender, all_lines, usual_lines};
use crate::samples::Samples;
use crate::table;

/// Compare the node with the reference implementation.
#[derive(clap::Parser)]
#[command(name = "planetary-lab", bin_name = "cargo xtask bench")]
pub(crate) struct Arguments {
    /// How many rounds; medians are taken over them
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each load lasts, in seconds
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// One round of one second: a first look, not a measurement
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
    /// How TCP sends, under links and inside, unless a part says otherwise
    #[arg(long, value_enum, default_value_t = Congestion::Cubic)]
    congestion: Congestion,
    /// How long to wait for an idle machine in all, in seconds
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// Measure against another build of ours, whose programs are in this folder, and not against
    /// the reference
    #[arg(long, value_name = "FOLDER")]
    against: Option<PathBuf>,
    /// Where the samples are written
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// What is measured on grounds of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The measures against other ones, in the first round
    Checks,
    /// Two nodes and one link: the first echo, streams, latency, processor, memory
    Direct,
    /// The same with sessions that the reference can have, too
    Compatible,
    /// One of ours that sends to the reference
    Mixed,
    /// Two nodes and small packets: floods, and rates with what is lost
    Datagrams,
    /// Three nodes in a row
    Transit,
    /// Five nodes in a row
    Transits,
    /// Links over TLS and QUIC
    Links,
    /// A line of 20 ms that loses 0.5 %
    Line,
    /// One node that asks 1 and 100 others at once
    Destinations,
    /// Lines of 20 and 100 ms that lose 0.1 to 2 %
    Lines,
    /// One node that asks 1,000 others at once
    Thousand,
    /// Four nodes in a circle, of which a line is cut
    Recovery,
    /// Two nodes, or a few, and what happens in the course of a day
    Mishaps,
    /// Four nodes in a row, and silence
    Idle,
}

impl Part {
    /// Those that take minutes, not hours.
    const USUAL: [Self; 10] = [
        Self::Checks,
        Self::Direct,
        Self::Compatible,
        Self::Mixed,
        Self::Datagrams,
        Self::Transit,
        Self::Transits,
        Self::Links,
        Self::Line,
        Self::Destinations,
    ];

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
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

/// Runs all rounds, prints the tables, writes the samples.
pub(crate) fn bench(arguments: &Arguments) -> Result<()> {
    let (rounds, seconds) =
        if arguments.quick { (1, 1) } else { (arguments.rounds, arguments.seconds) };
    let mut run = Run {
        bench: Bench {
            samples: Samples::default(),
            checks: Vec::new(),
            ciphers: Default::default(),
            seconds,
            silence: Duration::from_secs(arguments.silence),
            congestion: arguments.congestion,
        },
        patience: Duration::from_secs(arguments.patience),
        failed: Vec::new(),
    };
    let machine = machine::describe();
    println!("{}", serde_json::to_string_pretty(&machine)?);
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        // Who goes first changes from round to round.
        let mut contenders = [Subject::Ours, Subject::Reference]
            .map(|subject| Contender { subject, against: arguments.against.as_deref() });
        if round % 2 == 0 {
            contenders.reverse();
        }
        for part in arguments.parts() {
            if round == 1 || *part != Part::Checks {
                run.part(*part, &contenders)?;
            }
        }
    }
    if let Some(folder) = &arguments.against {
        println!("\n\"reference\" is the other build of ours in {}", folder.display());
    }
    let Run { bench, failed, .. } = run;
    println!("{}", table::render(&bench.samples));
    bench.checks.iter().for_each(|check| println!("{check}"));
    for (subject, cipher) in &bench.ciphers {
        println!("{subject}: {cipher}");
    }
    for failure in &failed {
        println!("failed: {failure}");
    }
    let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let ciphers: Value = bench
        .ciphers
        .iter()
        .map(|(subject, cipher)| (subject.to_string(), json!(cipher)))
        .collect();
    let record = json!({
        "at": at, "rounds": rounds, "seconds": seconds, "machine": machine,
        "congestion_control": arguments.congestion.name(),
        "checks": bench.checks.iter().map(|check| check.to_json()).collect::<Vec<_>>(),
        "ciphers": ciphers,
        "failed": failed,
        "samples": bench.samples.to_json(),
    });
    fs::create_dir_all(&arguments.out)?;
    let file = arguments.out.join(format!("{at}.json"));
    fs::write(&file, serde_json::to_string_pretty(&record)?)?;
    println!("samples: {}", file.display());
    Ok(())
}

struct Run {
    bench: Bench,
    /// How long an idle machine may still be waited for.
    patience: Duration,
    failed: Vec<String>,
}

impl Run {
    /// One part, each contender in turn.
    fn part(&mut self, part: Part, contenders: &[Contender<'_>]) -> Result<()> {
        let other = |subject| Contender { subject, against: None };
        match part {
            Part::Checks => {
                self.on_grounds(part, Bench::check_round_trips)?;
                self.on_grounds(part, |bench, lab| {
                    bench.check_accounts(lab, other(Subject::Ours))
                })?;
                self.on_grounds(part, Bench::check_relay)
            }
            Part::Direct => {
                self.on_grounds(part, Bench::raw)?;
                self.each(part, contenders, Bench::direct)
            }
            Part::Compatible => self.each(part, &[other(Subject::Compatible)], Bench::other_pair),
            Part::Mixed => self.each(part, &[other(Subject::Mixed)], Bench::other_pair),
            Part::Datagrams => {
                self.on_grounds(part, Bench::raw_datagrams)?;
                self.each(part, contenders, Bench::datagrams)
            }
            Part::Transit => self.rows(part, contenders, 1),
            Part::Transits => self.rows(part, contenders, 3),
            Part::Links => [Scheme::Tls, Scheme::Quic].into_iter().try_for_each(|scheme| {
                self.each(part, contenders, |b, lab, who| b.links(lab, who, scheme))
            }),
            Part::Line => self.lines(part, contenders, &usual_lines()),
            Part::Lines => self.lines(part, contenders, &all_lines()),
            Part::Destinations => {
                self.on_grounds(part, |b, lab| b.destinations(lab, contenders, &[1, 100]))
            }
            Part::Thousand => {
                self.on_grounds(part, |b, lab| b.destinations(lab, contenders, &[1000]))
            }
            Part::Recovery => self.each(part, contenders, Bench::recovery),
            Part::Mishaps => contenders.iter().try_for_each(|who| self.bench.mishaps(*who)),
            Part::Idle => self.each(part, contenders, Bench::after_silence),
        }
    }

    fn rows(&mut self, part: Part, contenders: &[Contender<'_>], transits: u8) -> Result<()> {
        self.on_grounds(part, |bench, lab| bench.raw_row(lab, transits))?;
        self.each(part, contenders, |bench, lab, who| bench.row(lab, who, transits))
    }

    fn lines(&mut self, part: Part, contenders: &[Contender<'_>], lines: &[Line]) -> Result<()> {
        for line in lines {
            // Without nodes it is the same whatever they link by.
            if line.scheme == Scheme::Tcp {
                self.on_grounds(part, |bench, lab| bench.raw_line(lab, *line))?;
            }
            self.each(part, contenders, |b, lab, who| b.bad_line(lab, who, *line))?;
        }
        Ok(())
    }

    fn each(
        &mut self,
        part: Part,
        contenders: &[Contender<'_>],
        work: impl Fn(&mut Bench, &Lab, Contender<'_>) -> Result<()>,
    ) -> Result<()> {
        contenders
            .iter()
            .try_for_each(|who| self.on_grounds(part, |bench, lab| work(bench, lab, *who)))
    }

    /// Does some work on fresh grounds, on a machine that is idle if it can be had. Work that fails
    /// is told at the end, and the others go on.
    fn on_grounds(
        &mut self,
        part: Part,
        work: impl FnOnce(&mut Bench, &Lab) -> Result<()>,
    ) -> Result<()> {
        let waited = machine::wait_for_quiet(self.patience)?;
        self.patience = self.patience.saturating_sub(waited);
        let done = attempt(&format!("bench {}", part.name()), |lab| work(&mut self.bench, lab));
        if let Err(error) = done {
            self.failed.push(format!("{}: {error:#}", part.name()));
        }
        Ok(())
    }
}
