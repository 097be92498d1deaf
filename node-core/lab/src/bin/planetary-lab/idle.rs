//! Waits until nobody else uses the machine, so that a measurement is one.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use planetary_lab::{Deadline, until};

/// Cores that others may use while we measure.
const OTHERS: f64 = 0.2;

/// How long one look at the machine takes.
const LOOK: Duration = Duration::from_millis(300);

/// Waits for an idle machine, at most so long; returns how many cores others use then.
pub(crate) fn wait(seconds: u64) -> Result<f64> {
    let mut busy = f64::INFINITY;
    let quiet = until("an idle machine", Deadline::seconds(seconds), || {
        busy = busy_cores()?;
        Ok((busy <= OTHERS).then_some(()))
    });
    if quiet.is_err() {
        eprintln!("note: others use {busy:.1} cores; the figures of this step are too low");
    }
    Ok(busy)
}

fn busy_cores() -> Result<f64> {
    let before = ticks()?;
    thread::sleep(LOOK);
    let after = ticks()?;
    // A hundred ticks a second and core.
    Ok((after - before) as f64 / (LOOK.as_secs_f64() * 100.0))
}

/// Ticks that all processors together have spent on work.
fn ticks() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let fields: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    Ok(fields.iter().take(8).enumerate().filter(|(i, _)| ![3, 4].contains(i)).map(|(_, t)| t).sum())
}
