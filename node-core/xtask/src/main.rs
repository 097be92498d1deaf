//! Chores of the repository: `cargo xtask CHORE`.
//!
//! One file a chore. A chore is made of steps (`step.rs`), prints one line for each with the time it
//! took, and installs by itself what it needs (`setup.rs`). It builds the programs with cargo and
//! runs them; it links none of the project's crates, so that it is built in a moment and works
//! while they do not compile.

#![expect(clippy::print_stdout, reason = "a command line program talks on stdout")]

mod apt_sources;
mod setup;
mod step;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        Chore::Setup { cross: false } => setup::ensure(&[setup::Part::Lab]),
        Chore::Setup { cross: true } => setup::ensure(&[setup::Part::Lab, setup::Part::Cross]),
    }
}
