//! What happens to a computer in the course of a day, and that its node is back within seconds
//! each time, without anybody's help. The bounds are those of a busy machine; `cargo xtask bench
//! --recovery` measures.
//!
//! ```text
//!   [a] dials ======wire1======> [b] listens
//! ```

#![cfg(target_os = "linux")]

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Kind, Mishap, missing, run};

/// Three seconds are promised; a machine that does other things beside gets as much again.
const BACK_AFTER: Duration = Duration::from_secs(6);

const CASES: [(&str, Mishap, [Kind; 2]); 10] = [
    ("a cut", Mishap::Cut(Duration::from_secs(5)), [Ours, Ours]),
    ("a nap", Mishap::Nap(Duration::from_secs(6)), [Ours, Ours]),
    ("a nap beside the reference", Mishap::Nap(Duration::from_secs(6)), [Ours, Reference]),
    ("another address", Mishap::Move, [Ours, Ours]),
    ("another address beside the reference", Mishap::Move, [Ours, Reference]),
    ("the restart of the only peer", Mishap::Restart(Duration::from_secs(5)), [Ours, Ours]),
    ("the death of one of two peers", Mishap::Kill, [Ours, Ours]),
    ("a cut line to one of two peers", Mishap::CutOne, [Ours, Ours]),
    ("a line to one of two peers that is dead one way", Mishap::MuteOne, [Ours, Ours]),
    ("no default route", Mishap::RouteLost(Duration::from_secs(6)), [Ours, Ours]),
];

#[test]
fn a_node_is_back_within_seconds_whatever_happens() {
    if !missing().is_empty() {
        run("recovery", |_| Ok(()));
        return;
    }
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let running = CASES.map(|case| scope.spawn(move || survive(case)));
        running.map(|case| case.join().unwrap_or_else(|_| Err(anyhow!("see above")))).into()
    });
    let failures: Vec<String> =
        results.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn survive((name, mishap, kinds): (&str, Mishap, [Kind; 2])) -> Result<()> {
    let mut took = Duration::ZERO;
    run(name, |lab| {
        took = mishap.strike(lab, kinds)?;
        Ok(())
    });
    eprintln!("back after {name}: {:.2} s", took.as_secs_f64());
    ensure!(took < BACK_AFTER, "{name}: back after {:.1} s only", took.as_secs_f64());
    Ok(())
}
