//! Chores of the repository: `cargo xtask CHORE`.
//!
//! One file a chore. A chore is made of steps (`step.rs`), prints one line for each with the time
//! it took, and installs by itself what it needs (`setup.rs`). It builds the programs with cargo
//! and runs them; it links none of the project's crates, so that it is built in a moment and works
//! while they do not compile.

#![expect(clippy::print_stdout, reason = "a command line program talks on stdout")]

mod app;
mod apt_sources;
mod bench;
mod check;
mod cross;
mod demo;
mod deps;
mod icons;
mod licences;
mod lines;
mod package;
mod package_test;
mod packages;
mod programs;
mod release;
mod run;
mod setup;
mod sim;
mod stamps;
mod step;
mod test;
mod wine;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::step::Tally;

/// Chores of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the other chores need (Debian-like machine, as root)
    Setup {
        /// Also what `cross` needs (about 2 GB)
        #[arg(long)]
        cross: bool,
    },
    /// Start a node and show how it goes; Ctrl-C ends it
    Run(run::Arguments),
    /// Run every test and every check
    Test(test::Arguments),
    /// Format, clippy, documentation, arrows, licences, line lengths; also of the pages
    Check,
    /// Build and test for Windows (Wine), link for macOS
    Cross {
        /// Only these crates
        #[arg(short, long = "package", value_name = "CRATE")]
        packages: Vec<String>,
        /// Compile only: what `test` does without `--all`
        #[arg(long)]
        check: bool,
        /// Only try installers for Windows, of the programs in this folder
        #[arg(long, value_name = "FOLDER", exclusive = true)]
        installers_of: Option<PathBuf>,
    },
    /// Measure the node against the reference implementation
    Bench {
        /// Options of the benchmark: --only PARTS, --rounds N, --seconds N, --quick, --help
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
        /// Measure the desktop app instead: time to the first picture, memory
        #[arg(long, exclusive = true)]
        app: bool,
        /// Time the parts of the data path alone, on one core: ciphers, frames, next hops, filter,
        /// checksums
        #[arg(long, exclusive = true)]
        micro: bool,
    },
    /// Make the packages and installers that people download
    Package(package::Arguments),
    /// Make what goes out beside the packages: list of parts, notes, manifests, sums, signatures
    Release(release::Arguments),
    /// Make the packages for Linux, look into them, and with --all try them in a clean Debian
    PackageTest(package_test::Arguments),
    /// Simulate a network in virtual time
    Sim {
        /// How many nodes
        #[arg(long, default_value_t = 100)]
        nodes: u32,
        /// One seed is one run, exactly
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Compare the dependencies between our crates with the list of allowed ones
    Deps,
    /// Paint the icons anew from their drawings
    Icons,
    /// Check the licences of everything we are built of
    Licences,
    /// Check the length of lines and report long files
    Lines,
}

fn main() -> ExitCode {
    match run_chore(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_chore(chore: Chore) -> Result<()> {
    match chore {
        Chore::Setup { cross: false } => setup::ensure(&[setup::Part::Lab, setup::Part::App]),
        Chore::Setup { cross: true } => setup::ensure(&[
            setup::Part::Lab,
            setup::Part::App,
            setup::Part::Cross,
            setup::Part::Windows,
        ]),
        Chore::Run(arguments) => run::run(&arguments),
        Chore::Test(arguments) => done(test::run(&arguments)?),
        Chore::Check => done(check::run()?),
        Chore::Cross { installers_of: Some(programs), .. } => {
            done(cross::windows::try_installers(&programs)?)
        }
        Chore::Cross { packages, check, .. } => {
            let depth = if check { cross::Depth::OwnCode } else { cross::Depth::All };
            done(cross::run(&packages, depth)?)
        }
        Chore::Bench { app: true, .. } => app::measure(),
        Chore::Bench { micro: true, .. } => bench::micro(),
        Chore::Bench { options, .. } => bench::run(&options),
        Chore::Package(arguments) => package::run(&arguments),
        Chore::Release(arguments) => release::run(&arguments),
        Chore::PackageTest(arguments) => done(package_test::run(&arguments)?),
        Chore::Sim { nodes, seed } => sim::run(nodes, seed),
        Chore::Deps => deps::run(),
        Chore::Icons => icons::run(),
        Chore::Licences => licences::run(),
        Chore::Lines => lines::run(),
    }
}

/// The last line of a chore that tests, and its outcome.
fn done(tally: Tally) -> Result<()> {
    println!("{} passed, {} failed", tally.passed, tally.failed);
    ensure!(tally.failed == 0, "something failed");
    Ok(())
}
