//! `cargo xtask check`: what can be said of the code without running it.

use std::time::Instant;

use anyhow::Result;

use crate::step::{self, Tally};
use crate::{deps, licences, lines};

/// Runs every check and counts.
pub(crate) fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    let programs: [(&str, &[&str], &str); 3] = [
        ("format", &["fmt", "--all", "--check"], ""),
        (
            "clippy",
            &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
            "",
        ),
        (
            "rustdoc",
            &["doc", "--workspace", "--no-deps", "--locked"],
            "-D warnings -A rustdoc::private-intra-doc-links",
        ),
    ];
    for (title, words, rustdoc_flags) in programs {
        let mut command = step::cargo(words);
        if !rustdoc_flags.is_empty() {
            command.env("RUSTDOCFLAGS", rustdoc_flags);
        }
        tally.add(Tally::one(step::quietly(title, &mut command).is_ok()));
    }
    tally.add(own("deps", deps::run));
    tally.add(own("licences", licences::run));
    tally.add(own("lines", lines::run));
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
