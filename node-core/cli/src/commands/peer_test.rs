//! `planetary peer test`: tries peers and shows how fast they answer. What it does while the
//! service works, [`follow`], serves `peer public` as well.

use std::process::ExitCode;

use planetary_ipc::{Client, PeerChoice, PeerJob, PeerTest, RequestError};
use serde::Serialize;

use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style};
use crate::session::Session;

/// What a test or a choice found, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct Report {
    /// How many were tested.
    tested: usize,
    /// How many of them answered.
    answered: usize,
    /// Whether it was ended early.
    cancelled: bool,
    /// The results, the fastest first, those without an answer last.
    results: Vec<PeerTest>,
    /// Those chosen, the best first.
    pub(super) choices: Vec<PeerChoice>,
}

/// Width of the bar, in characters.
const BAR: usize = 24;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    uris: Vec<String>,
) -> Result<ExitCode, Failure> {
    let client = session.client().await?;
    let job = client.test_peers(uris).await?;
    let report = follow(&client, printer, job).await?;
    printer.print(&report, table)?;
    Ok(if report.answered() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows how a job goes until it has ended, or Ctrl-C ends it.
pub(super) async fn follow(
    client: &Client,
    printer: &Printer,
    mut job: PeerJob,
) -> Result<Report, Failure> {
    let mut results = Vec::new();
    let mut interrupted = false;
    show(printer, &[], &job)?;
    loop {
        results.append(&mut job.results);
        let fresh = results.len();
        if job.done {
            break;
        }
        let seen = u64::try_from(results.len()).unwrap_or(u64::MAX);
        let asked = tokio::select! {
            asked = client.peer_job(job.job, seen) => asked,
            _ = tokio::signal::ctrl_c(), if !interrupted => {
                interrupted = true;
                client.cancel_peer_job(job.job, seen).await
            }
        };
        job = asked.inspect_err(|_| clear(printer))?;
        show(printer, &results[..fresh], &job)?;
    }
    clear(printer);
    if let Some(error) = job.error {
        return Err(RequestError::Refused(error).into());
    }
    Ok(Report::new(results, job.cancelled, job.choices))
}

/// A bar on a terminal, a line for each result elsewhere, nothing for JSON.
fn show(printer: &Printer, before: &[PeerTest], job: &PeerJob) -> Result<(), Failure> {
    if printer.is_json() {
        return Ok(());
    }
    if format::on_screen() {
        let answered = before.iter().chain(&job.results).filter(|test| test.error.is_none());
        let bar = bar(job.tested, job.total, answered.count());
        return Ok(format::write_out(&format!("\r\x1b[K{bar}"))?);
    }
    let lines: String = job.results.iter().map(|test| line(test) + "\n").collect();
    Ok(format::write_out(&lines)?)
}

/// Takes the bar away.
fn clear(printer: &Printer) {
    if !printer.is_json() && format::on_screen() {
        // Whoever cannot be written to hears so from what follows.
        let _ = format::write_out("\r\x1b[K");
    }
}

fn bar(tested: u64, total: u64, answered: usize) -> String {
    let share = BAR as u64 * tested.min(total) / total.max(1);
    let full = usize::try_from(share).unwrap_or(BAR);
    let (full, empty) = ("#".repeat(full), ".".repeat(BAR - full));
    format!("[{full}{empty}] {tested} of {total} tested, {answered} answered")
}

fn line(test: &PeerTest) -> String {
    let uri = format::plain(&test.uri);
    match &test.error {
        Some(error) => format!("{uri}: {}", format::plain(&error.message)),
        None => format!("{uri}: {}", format::milliseconds(test.round_trip_ms)),
    }
}

impl Report {
    fn new(mut results: Vec<PeerTest>, cancelled: bool, choices: Vec<PeerChoice>) -> Self {
        let speed = |test: &PeerTest| test.round_trip_ms.unwrap_or(f64::INFINITY);
        results.sort_by(|a, b| speed(a).total_cmp(&speed(b)).then_with(|| a.uri.cmp(&b.uri)));
        let answered = results.iter().filter(|test| test.error.is_none()).count();
        Self { tested: results.len(), answered, cancelled, results, choices }
    }

    /// Whether anything answered.
    pub(super) fn answered(&self) -> bool {
        self.answered > 0
    }

    /// Whether it was ended early.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// `6 tested, 5 answered`.
    pub(super) fn summary(&self) -> String {
        let early = if self.cancelled { "; ended early" } else { "" };
        format!("{} tested, {} answered{early}\n", self.tested, self.answered)
    }
}

/// Those that answered, the fastest first, and why the others did not.
pub(super) fn table(report: &Report, style: Style) -> String {
    let heading = [
        ("PEER", Align::Left),
        ("ROUND TRIP", Align::Right),
        ("CONNECT", Align::Right),
        ("KEY", Align::Left),
    ];
    let row = |test: &PeerTest| {
        [
            match &test.interface {
                Some(interface) => format!("{} on {interface}", test.uri),
                None => test.uri.clone(),
            },
            format::milliseconds(test.round_trip_ms),
            format::milliseconds(test.connect_ms),
            test.key.map_or_else(format::dash, |key| format!("{:.16}…", key.to_string())),
        ]
    };
    let (good, bad): (Vec<_>, Vec<_>) =
        report.results.iter().partition(|test| test.error.is_none());
    let mut text = report.summary();
    if !good.is_empty() {
        let rows: Vec<_> = good.into_iter().map(row).collect();
        text += &format::table(heading, &rows, style);
    }
    // Elsewhere they were printed as they came.
    if format::on_screen() {
        for test in bad {
            text += &format!("  {}\n", line(test));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_grows_with_what_is_tested() {
        assert_eq!(bar(0, 0, 0), "[........................] 0 of 0 tested, 0 answered");
        assert_eq!(bar(12, 24, 9), "[############............] 12 of 24 tested, 9 answered");
        assert_eq!(bar(9, 8, 8), "[########################] 9 of 8 tested, 8 answered");
    }
}
