//! `cargo xtask test`: everything that must hold, from formatting to scenarios with real programs;
//! with `--all` also what takes long.
//!
//! Steps go on after one has failed, so that one run tells all. The last line sums up every test
//! and every check of the whole run: `N passed, N failed`.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Result;

use crate::cross::Depth;
use crate::setup::{self, Part};
use crate::step::{self, Tally};
use crate::{app, bench, check, cross, demo, package_test, packages, programs, sim};

/// How far to go.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also what takes long: larger simulations, a first benchmark, all crates on other systems,
    /// packages in a clean Debian, installers under Wine
    #[arg(long)]
    all: bool,
}

/// Fixed seeds: a run that fails can be had again.
const SIMULATIONS: [(u32, u64); 4] = [(50, 1), (200, 2), (400, 3), (1000, 4)];
const LARGE_SIMULATIONS: [(u32, u64); 1] = [(1000, 5)];

/// Asks for this many random circles, where a run by hand makes do with fewer.
const CASES: &str = "PLANETARY_CASES";

/// Runs everything and sums up.
pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let start = Instant::now();
    let mut run = Run::default();
    run.one("setup", setup::ensure(&[Part::Lab, Part::Cross, Part::Windows, Part::App]));
    // The app has its pages inside, so they come before everything that cargo builds.
    run.one("pages", app::build_pages());
    run.add("checks", check::run());
    run.add("tests of the pages", app::test_pages());
    run.add("tests of the crates", crates());
    run.add("simulations", simulations(&SIMULATIONS));
    let programs = programs::build();
    match &programs {
        Ok(programs) => {
            let app = app::build();
            run.add("scenarios", scenarios(programs, app.as_deref().ok()));
            run.one("build of the app", app.map(drop));
            let demo = Instant::now();
            let outcome = demo::run(programs, &AtomicBool::new(false), false);
            step::report("demo", outcome.is_ok(), demo);
            run.one("demo", outcome);
            // The app as it ships takes long to build; without it there are headless packages.
            let given = (!arguments.all).then_some(programs.as_path());
            run.add("packages for Linux", package_test::test(given, false, arguments.all));
        }
        Err(_) => run.one("build", programs.map(drop)),
    }
    let depth = if arguments.all { Depth::All } else { Depth::OwnCode };
    run.add("other systems", cross::run(&[], depth));
    if arguments.all {
        run.add("large simulations", simulations(&LARGE_SIMULATIONS));
        run.one("benchmark", bench::run(&["--quick".to_owned()]));
    }
    for failure in &run.failures {
        println!("failed: {failure}");
    }
    step::report("all", run.failures.is_empty(), start);
    Ok(run.tally)
}

#[derive(Default)]
struct Run {
    tally: Tally,
    failures: Vec<String>,
}

impl Run {
    /// A step that is one check.
    fn one(&mut self, title: &str, outcome: Result<()>) {
        self.add(title, outcome.map(|()| Tally::one(true)));
    }

    /// A step that counts for itself; one that could not be run is a failure.
    fn add(&mut self, title: &str, outcome: Result<Tally>) {
        match outcome {
            Ok(tally) => {
                if tally.failed > 0 {
                    self.failures.push(format!("{title}: {} failed", tally.failed));
                }
                self.tally.add(tally);
            }
            Err(error) => {
                println!("{title}: {error:#}");
                self.failures.push(format!("{title}: {error:#}"));
                self.tally.add(Tally::one(false));
            }
        }
    }
}

/// Unit, vector and property tests of every crate, fuzz corpora, and the examples in the
/// documentation.
fn crates() -> Result<Tally> {
    let others = ["--workspace", "--exclude", "planetary-lab"];
    let mut tests = test_runner();
    tests.args(others).env(CASES, "100000");
    let mut tally = step::counted("tests of the crates", &mut tests)?;
    let mut examples = step::cargo(["test", "--locked", "--doc"]);
    tally.add(step::counted("examples in the documentation", examples.args(others))?);
    Ok(tally)
}

/// The test grounds and the scenarios on them, with the programs that were built.
fn scenarios(programs: &Path, app: Option<&Path>) -> Result<Tally> {
    let mut command = test_runner();
    command.args(["-p", "planetary-lab"]).env("PLANETARY_PROGRAMS", programs);
    if let Some(app) = app {
        command.env("PLANETARY_APP", app);
    }
    if !has_nextest() {
        // Scenarios use every core: one at a time.
        command.args(["--", "--test-threads=1"]);
    }
    step::counted("scenarios in network namespaces", &mut command)
}

fn simulations(runs: &[(u32, u64)]) -> Result<Tally> {
    let mut tally = Tally::default();
    if !packages::has_program("planetary-sim")? {
        println!("[skip] simulations: planetary-sim has no program");
        return Ok(tally);
    }
    for (nodes, seed) in runs {
        tally.add(Tally::one(sim::run(*nodes, *seed).is_ok()));
    }
    Ok(tally)
}

/// cargo-nextest where it is installed, else cargo's own runner.
fn test_runner() -> std::process::Command {
    if has_nextest() {
        step::cargo(["nextest", "run", "--locked", "--no-tests=pass"])
    } else {
        step::cargo(["test", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"])
    }
}

fn has_nextest() -> bool {
    step::find_program("cargo-nextest").is_some()
}
