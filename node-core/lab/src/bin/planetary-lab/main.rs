//! `planetary-lab bench`: ours and the reference on the same grounds, in turn.
//!
//! The numbers are those of processor cost, not of a wire: both ends, the load and the kernel share
//! the cores of one machine. What counts is the ratio between programs that ran in the same
//! minutes, so each round measures raw wire, ours and the reference, and every figure is a median
//! of rounds. `docs/performance.md` says how each is measured, and what can be said by it.

#![expect(clippy::print_stdout, reason = "a command line program talks on stdout")]

#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod parts;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod samples;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod targets;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    use clap::Parser;

    let arguments = rounds::Arguments::parse();
    let missing = planetary_lab::missing();
    anyhow::ensure!(
        missing.is_empty(),
        "missing: {}; run as root: cargo xtask setup",
        missing.join(", ")
    );
    rounds::bench(&arguments)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the test grounds need Linux");
}
