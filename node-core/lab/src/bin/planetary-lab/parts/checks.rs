//! The measures themselves are measured: each against somebody else's, or a known truth.

use std::fmt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use planetary_lab::{Echo, Lab, Node, Ping, Relay};
use serde_json::{Value, json};

use super::{Bench, Contender, QUICK_COUNT, QUICK_GAP};
use crate::figures::{Congestion, Pattern, Scheme, Share};
use crate::load::{self, Way};
use crate::samples::{quantile, rounded};

/// Delay of the relay that is checked, in each direction.
const DELAY: Duration = Duration::from_millis(10);

/// Packets of a thousand that the checked line loses.
const LOSS_PER_MILLE: u16 = 20;

/// Packets a second and seconds by which that is counted: 30,000 packets are off by a tenth of a
/// percent.
const LOSS_RATE: u32 = 10_000;
const LOSS_SECONDS: u32 = 3;

/// Nothing over a bad line comes near this, so the relay is not what limits it.
const RELAY_MEGABITS: f64 = 700.0;

/// A measure, what it says, and between which bounds the truth lies.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    what: &'static str,
    unit: &'static str,
    measured: f64,
    bounds: (f64, f64),
}

impl Check {
    fn holds(&self) -> bool {
        (self.bounds.0..=self.bounds.1).contains(&self.measured)
    }

    pub(crate) fn to_json(&self) -> Value {
        let Self { what, unit, measured, bounds: (least, most) } = self;
        json!({
            "check": what, "unit": unit, "measured": measured, "least": least, "most": most,
            "holds": self.holds(),
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.bounds;
        let most = if most.is_finite() { rounded(most) } else { "any".to_owned() };
        let verdict = if self.holds() { "holds" } else { "DOES NOT HOLD" };
        let (measured, least) = (rounded(self.measured), rounded(least));
        write!(f, "{:<58} {measured:>9} {:<7} {least} to {most}: {verdict}", self.what, self.unit)
    }
}

impl Bench {
    fn check(&mut self, what: &'static str, unit: &'static str, measured: f64, bounds: (f64, f64)) {
        let check = Check { what, unit, measured, bounds };
        println!("  {check}");
        self.checks.push(check);
    }

    /// Round trips over UDP beside those of the system's `ping` on the raw wire, at one pace.
    pub(crate) fn check_round_trips(&mut self, lab: &Lab) -> Result<()> {
        let (a, b, wire) = self.two_hosts(lab)?;
        let address = wire.ends()[1].v6;
        let ping = Ping::new(address).times(QUICK_COUNT, QUICK_GAP).once(&a, 2)?;
        let trips = Echo::start(&b)?.round_trips(&a, address, QUICK_COUNT, QUICK_GAP)?;
        let ours = quantile(&trips.sorted_ms, Share::Half.quantile()).context("no answers")?;
        let above = ours - ping.median_ms().context("no answers")?;
        self.check("round trip over UDP, above that of ping", "ms", above, (-0.01, 0.1));
        Ok(())
    }

    /// Processor time from `/proc` beside that of `perf`, and bytes as `iperf3` counts them beside
    /// those of the kernel.
    pub(crate) fn check_accounts(&mut self, lab: &Lab, contender: Contender<'_>) -> Result<()> {
        let (_, _, wire) = self.two_hosts(lab)?;
        let pair = self.pair(lab, contender, &wire, Scheme::Tcp)?;
        let (far, seconds) = (&*pair.far, self.seconds);
        let counted = |node: &Node| -> Result<(Duration, u64)> {
            Ok((node.usage()?.processor, received(node)?))
        };
        let before = counted(far)?;
        // What perf sees begins before the load and ends behind it.
        let (carried, by_perf) = thread::scope(|scope| {
            let by_perf = scope.spawn(|| processor_by_perf(far, seconds + 2));
            thread::sleep(Duration::from_millis(500));
            let carried = load::tcp(pair.way(), seconds, Pattern::One, Congestion::Cubic);
            let by_perf = by_perf.join().unwrap_or_else(|_| Err(anyhow!("a panic")));
            (carried, by_perf)
        });
        let (carried, after) = (carried?, counted(far)?);
        let bytes = carried.bytes / (after.1 - before.1) as f64;
        self.check("bytes by iperf3, to those that the TUN carried", "", bytes, (0.95, 1.0));
        match by_perf {
            Ok(by_perf) => {
                let processor = (after.0 - before.0).as_secs_f64() / by_perf;
                // Perf counts in what interrupts and the hypervisor take from a thread.
                let what = "processor time by /proc, to that by perf";
                self.check(what, "", processor, (0.93, 1.05));
            }
            Err(error) => println!("  note: perf does not count here: {error:#}"),
        }
        Ok(())
    }

    /// Delay, loss and limits of the line that delays and loses.
    pub(crate) fn check_relay(&mut self, lab: &Lab) -> Result<()> {
        let control = self.congestion;
        lab.use_congestion_control(control.name());
        let hosts = ["a", "b", "c", "d"].map(|label| lab.host(label));
        let [a, b, c, d] = hosts;
        let (a, b, c, d) = (a?, b?, c?, d?);
        let slow = lab.slow_wire(&a, &b, Relay { delay: DELAY, ..Relay::default() })?;
        let fast = lab.slow_wire(&c, &d, Relay::default())?;
        let slow_way = Way { from: &a, to: &b, address: slow.ends()[1].v6 };
        let fast_way = Way { from: &c, to: &d, address: fast.ends()[1].v6 };

        let ping = Ping::new(slow_way.address).times(50, Duration::from_millis(20)).once(&a, 2)?;
        let asked = 2e3 * DELAY.as_secs_f64();
        let trip = ping.median_ms().context("no answers")?;
        self.check("round trip over the relay by ping", "ms", trip, (asked, asked + 1.5));

        let carried = load::tcp(fast_way, self.seconds, Pattern::One, control)?;
        let bounds = (RELAY_MEGABITS, f64::INFINITY);
        self.check("what the relay carries without delay", "Mbit/s", carried.megabits, bounds);
        let carried = load::tcp(slow_way, self.seconds.max(5), Pattern::One, control)?;
        self.check("what the relay carries at 20 ms", "Mbit/s", carried.megabits, bounds);

        slow.lose(LOSS_PER_MILLE)?;
        let arrived = load::udp(slow_way, LOSS_SECONDS, 100, Some(LOSS_RATE))?;
        let asked = f64::from(LOSS_PER_MILLE) / 10.0;
        let bounds = (asked - 0.3, asked + 0.3);
        self.check("loss by counted packets", "%", arrived.lost_percent, bounds);
        Ok(())
    }
}

/// Bytes that a node has given its host over the TUN, by the kernel.
fn received(node: &Node) -> Result<u64> {
    let text = node.host().ip(["-j", "-s", "link", "show", "dev", node.device()])?;
    let counters: Value = serde_json::from_str(&text).context("what ip said is not JSON")?;
    counters.pointer("/0/stats64/rx/bytes").and_then(Value::as_u64).context("no counter")
}

/// Seconds of processor time that a node takes within so many seconds, by the kernel's counter of
/// its threads.
fn processor_by_perf(node: &Node, seconds: u32) -> Result<f64> {
    let mut perf = Command::new("perf");
    perf.args(["stat", "-x", ",", "-e", "task-clock", "-p", &node.pid()?.to_string()]);
    let output = perf.args(["sleep", &seconds.to_string()]).output().context("no perf")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "perf failed: {}", text.trim());
    task_clock(&text).with_context(|| format!("perf says {}", text.trim()))
}

/// Reads seconds out of a line like `1234.56,msec,task-clock,…`.
fn task_clock(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("task-clock"))?;
    Some(line.split(',').next()?.parse::<f64>().ok()? / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_holds_between_its_bounds() {
        let check = |measured| Check { what: "x", unit: "ms", measured, bounds: (20.0, 21.5) };
        assert!(check(20.0).holds() && check(21.5).holds());
        assert!(!check(19.9).holds() && !check(f64::NAN).holds());
        assert!(check(30.0).to_string().ends_with("DOES NOT HOLD"));
    }

    #[test]
    fn what_perf_counts_is_in_milliseconds() {
        let text = "1500.25,msec,task-clock:u,1500250000,100.00,0.750,CPUs utilized\n";
        assert_eq!(task_clock(text), Some(1.50025));
        assert_eq!(task_clock("<not supported>,,task-clock,0,0\n"), None);
    }
}
