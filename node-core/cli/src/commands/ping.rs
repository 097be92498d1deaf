//! `planetary ping`: sends echo requests, one a second, and prints the answers as they come.

use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::process::ExitCode;
use std::time::Duration;

use planetary_ipc::{Client, NodeKey, PingReply, PingReport, RequestError, Target, limits};
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
    if !printer.is_json() {
        format::write_out(&format!("ping {target}\n"))?;
    }
    let mut tally = Tally::new(target);
    let ended = tokio::select! {
        ended = echoes(&client, printer, count, timeout, &mut tally) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    if printer.is_json() {
        if let Some(report) = tally.report() {
            printer.print(&report, |_, _| String::new())?;
        }
    } else if !tally.replies.is_empty() {
        format::write_out(&summary(&tally))?;
    }
    ended?;
    Ok(if tally.times().next().is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was sent and answered so far; right at every moment.
struct Tally {
    target: Target,
    /// Unknown for a key until the service names it.
    address: Option<Ipv6Addr>,
    key: Option<NodeKey>,
    /// One entry per request sent; without a time while no answer has come.
    replies: Vec<PingReply>,
}

impl Tally {
    fn new(target: Target) -> Self {
        let address = match target {
            Target::Address(address) => Some(address),
            Target::Key(_) => None,
        };
        Self { target, address, key: None, replies: Vec::new() }
    }

    fn times(&self) -> impl Iterator<Item = f64> {
        self.replies.iter().filter_map(|reply| reply.rtt_ms)
    }

    fn report(&self) -> Option<PingReport> {
        let replies = self.replies.clone();
        let address = self.address.filter(|_| !replies.is_empty())?;
        Some(PingReport::new(self.target, address, self.key, replies))
    }
}

/// Sends and prints.
async fn echoes(
    client: &Client,
    printer: &Printer,
    count: u32,
    timeout: Duration,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let mut seconds = time::interval(limits::PING_INTERVAL);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let last = if count == 0 { u32::MAX } else { count };
    for seq in 1..=last {
        seconds.tick().await;
        tally.replies.push(PingReply { seq, rtt_ms: None });
        let asked = client.ping(tally.target, Some(1), Some(timeout_ms)).await;
        if asked.is_err() {
            // What the service did not take on was not sent.
            tally.replies.pop();
        }
        let one = asked?;
        let answer = one.replies.first().ok_or(RequestError::Unexpected)?;
        let reply = PingReply { seq, rtt_ms: answer.rtt_ms };
        if !printer.is_json() {
            format::write_out(&line(&one, &reply, timeout))?;
        }
        tally.address = Some(one.address);
        tally.key = one.key.or(tally.key);
        if let Some(sent) = tally.replies.last_mut() {
            *sent = reply;
        }
    }
    Ok(())
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

fn summary(tally: &Tally) -> String {
    let mut times: Vec<f64> = tally.times().collect();
    times.sort_by(f64::total_cmp);
    let (sent, answered) = (tally.replies.len(), times.len());
    let percent = (sent - answered) * 100 / sent.max(1);
    let mut text = format!("\n{sent} sent, {answered} answered, {percent} % lost\n");
    if let (Some(&min), Some(&max)) = (times.first(), times.last()) {
        let median = f64::midpoint(times[(answered - 1) / 2], times[answered / 2]);
        let [min, median, max] = [min, median, max].map(|ms| format::milliseconds(Some(ms)));
        let _ = writeln!(text, "round trip: shortest {min}, median {median}, longest {max}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(times: &[Option<f64>]) -> Tally {
        let target = Target::Address(Ipv6Addr::LOCALHOST);
        let replies = (1..).zip(times).map(|(seq, &rtt_ms)| PingReply { seq, rtt_ms }).collect();
        Tally { replies, ..Tally::new(target) }
    }

    #[test]
    fn summary_counts_and_names_the_median() {
        for (times, lines) in [
            (&[None][..], "1 sent, 0 answered, 100 % lost\n"),
            (
                &[Some(9.0), None, Some(1.0), Some(2.0)],
                "4 sent, 3 answered, 25 % lost\n\
                 round trip: shortest 1.00 ms, median 2.00 ms, longest 9.00 ms\n",
            ),
            (
                &[Some(1.0), Some(2.0)],
                "2 sent, 2 answered, 0 % lost\n\
                 round trip: shortest 1.00 ms, median 1.50 ms, longest 2.00 ms\n",
            ),
        ] {
            assert_eq!(summary(&tally(times)), format!("\n{lines}"));
        }
    }
}
