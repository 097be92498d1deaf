//! `cargo xtask check`: what can be said of the code without running it.

use std::time::Instant;

use anyhow::Result;

use crate::step::{self, Tally};
use crate::{app, deps, licences, lines, stamps};

/// What cargo checks: a title, and its command.
const COMMANDS: [(&str, &str); 3] = [
    ("format", "fmt --all --check"),
    ("clippy", "clippy --workspace --all-targets --locked -- -D warnings"),
    ("rustdoc", "doc --workspace --no-deps --document-private-items --locked"),
];

/// The documentation is for those who work on this, private items included: it may link to them.
const RUSTDOC_FLAGS: &str = "-D warnings -A rustdoc::private_intra_doc_links";

/// Runs every check and counts.
pub(crate) fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    for (title, words) in COMMANDS {
        let mut command = step::cargo(words.split(' '));
        command.env("RUSTDOCFLAGS", RUSTDOC_FLAGS);
        tally.add(Tally::one(step::quietly(title, &mut command).is_ok()));
    }
    tally.add(app::check().unwrap_or_else(|error| {
        println!("{error:#}");
        Tally::one(false)
    }));
    tally.add(own("deps", deps::run));
    tally.add(own("licences", licences::run));
    tally.add(own("lines", lines::run));
    tally.add(own("version", stamps::run));
    Ok(tally)
}

/// Runs one of our own checks.
fn own(title: &str, check: impl FnOnce() -> Result<()>) -> Tally {
    let start = Instant::now();
    let outcome = check();
    step::report(title, outcome.is_ok(), start);
    if let Err(error) = &outcome {
        println!("{error:#}");
    }
    Tally::one(outcome.is_ok())
}
