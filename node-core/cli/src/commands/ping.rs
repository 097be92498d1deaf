//! `planetary ping`: sends echo requests, one a second, and prints the answers as they come.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use planetary_ipc::{Client, PingReply, PingReport, RequestError, Target, limits};
use tokio::time::{self, MissedTickBehavior};

use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::session::Session;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    target: Target,
    count: u32,
    timeout: Duration,
) -> Result<ExitCode, Failure> {
    let client = session.client().await?;
    let mut report = None;
    let ended = tokio::select! {
        ended = echoes(&client, printer, target, count, timeout, &mut report) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    if let Some(report) = &report {
        printer.print(report, |report, _| summary(report))?;
    }
    ended?;
    let answered = report.is_some_and(|report| report.received > 0);
    Ok(if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends and prints; keeps the whole in `whole`, which is right at every moment.
async fn echoes(
    client: &Client,
    printer: &Printer,
    target: Target,
    count: u32,
    timeout: Duration,
    whole: &mut Option<PingReport>,
) -> Result<(), Failure> {
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let mut seconds = time::interval(limits::PING_INTERVAL);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let last = if count == 0 { u32::MAX } else { count };
    for seq in 1..=last {
        seconds.tick().await;
        let one = client.ping(target, Some(1), Some(timeout_ms)).await?;
        let answer = one.replies.first().ok_or(RequestError::Unexpected)?;
        let reply = PingReply { seq, rtt_ms: answer.rtt_ms };
        if !printer.is_json() {
            if seq == 1 {
                format::write_out(&format!("ping {}\n", with_target(&one)))?;
            }
            format::write_out(&line(&one, &reply, timeout))?;
        }
        *whole = Some(joined(whole.take(), one, reply));
    }
    Ok(())
}

/// The earlier report with one reply more.
fn joined(earlier: Option<PingReport>, one: PingReport, reply: PingReply) -> PingReport {
    let (key, mut replies) = match earlier {
        Some(earlier) => (one.key.or(earlier.key), earlier.replies),
        None => (one.key, Vec::new()),
    };
    replies.push(reply);
    PingReport::new(one.target, one.address, key, replies)
}

fn with_target(report: &PingReport) -> String {
    match report.target {
        Target::Address(address) => address.to_string(),
        Target::Key(key) => format!("{} ({key})", report.address),
    }
}

fn line(report: &PingReport, reply: &PingReply, timeout: Duration) -> String {
    let PingReply { seq, rtt_ms } = reply;
    match rtt_ms {
        Some(_) => {
            let rtt = format::milliseconds(*rtt_ms);
            format!("answer from {}: seq={seq} time={rtt}\n", report.address)
        }
        None => format!("no answer in {} s: seq={seq}\n", timeout.as_secs_f64()),
    }
}

fn summary(report: &PingReport) -> String {
    let lost = report.sent - report.received;
    // Both are at most 2^32, so this neither overflows nor divides by zero.
    let percent = u64::from(lost) * 100 / u64::from(report.sent.max(1));
    let mut text =
        format!("\n{} sent, {} answered, {percent} % lost\n", report.sent, report.received);
    if report.received > 0 {
        let [min, avg, max] =
            [report.min_ms, report.avg_ms, report.max_ms].map(format::milliseconds);
        let _ = writeln!(text, "round trip: shortest {min}, mean {avg}, longest {max}");
    }
    text
}
