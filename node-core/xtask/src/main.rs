//! Chores of the repository: `cargo xtask CHORE`.
//!
//! One file a chore. A chore is made of steps (`step.rs`), prints one line for each with the time it
//! took, and installs by itself what it needs (`setup.rs`). It builds the programs with cargo and
//! runs them; it links none of the project's crates, so that it is built in a moment and works
//! while they do not compile.

#![expect(clippy::print_stdout, reason = "a command line program talks on stdout")]

mod apt_sources;
mod cross;
mod packages;
mod setup;
mod step;

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
    /// Build and test for Windows (Wine), link for macOS
    Cross,
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        Chore::Setup { cross: false } => setup::ensure(&[setup::Part::Lab]),
        Chore::Setup { cross: true } => setup::ensure(&[setup::Part::Lab, setup::Part::Cross]),
        Chore::Cross => done(cross::run()?),
    }
}

/// The last line of a chore that tests, and its outcome.
fn done(tally: Tally) -> Result<()> {
    println!("{} passed, {} failed", tally.passed, tally.failed);
    ensure!(tally.failed == 0, "something failed");
    Ok(())
}
