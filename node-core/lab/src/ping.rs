//! Pings, through the system's `ping`.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::host::Host;
use crate::wait::{Deadline, until};

/// IPv6 header and ICMPv6 echo header, which a packet has beside its payload.
const HEADERS: usize = 48;

/// A series of pings to an address.
#[derive(Clone, Debug)]
pub struct Ping {
    target: IpAddr,
    source: Option<IpAddr>,
    count: u32,
    interval: Duration,
    packet: usize,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct PingResult {
    /// Round trips in milliseconds, in the order in which the answers came.
    pub round_trips_ms: Vec<f64>,
    /// What `ping` wrote: errors that routers reported are in it.
    pub text: String,
}

impl Ping {
    /// One ping of the usual size.
    #[must_use]
    pub fn new(target: impl Into<IpAddr>) -> Self {
        let (count, interval, packet) = (1, Duration::from_millis(200), 56 + HEADERS);
        Self { target: target.into(), source: None, count, interval, packet }
    }

    /// So many pings, at this distance.
    #[must_use]
    pub fn times(mut self, count: u32, interval: Duration) -> Self {
        (self.count, self.interval) = (count, interval);
        self
    }

    /// Pings whose IPv6 packets are so long, unfragmented.
    #[must_use]
    pub fn packet(mut self, length: usize) -> Self {
        self.packet = length;
        self
    }

    /// Pings from this address.
    #[must_use]
    pub fn source(mut self, source: impl Into<IpAddr>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sends the series from a host and waits for the answers, at most so many seconds in all.
    ///
    /// Lost answers are no error: look at the result.
    ///
    /// # Errors
    /// When `ping` cannot be started.
    pub fn once(&self, host: &Host, seconds: u64) -> Result<PingResult> {
        self.series(host, "-W", seconds)
    }

    /// Runs `ping` with a time limit: `-W` for the wait after the last request, which shrinks to
    /// two round trips once anything was answered, `-w` to go on until as many answers as requests
    /// have come.
    fn series(&self, host: &Host, limit: &str, seconds: u64) -> Result<PingResult> {
        let mut command = host.command("ping");
        command.args(["-n", "-M", "do", limit, &seconds.to_string()]);
        command.args(["-c", &self.count.to_string()]);
        command.args(["-i", &format!("{:.3}", self.interval.as_secs_f64())]);
        command.args(["-s", &self.packet.saturating_sub(HEADERS).to_string()]);
        if let Some(source) = self.source {
            command.args(["-I", &source.to_string()]);
        }
        let output = command.arg(self.target.to_string()).output().context("cannot start ping")?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(PingResult { round_trips_ms: text.lines().filter_map(round_trip).collect(), text })
    }

    /// Sends the series and wants as many answers, however late within the seconds: on a busy
    /// machine a round trip may take many times as long as the one before.
    ///
    /// # Errors
    /// When an answer is missing.
    pub fn all_answered(&self, host: &Host, seconds: u64) -> Result<PingResult> {
        let result = self.series(host, "-w", seconds)?;
        let (got, wanted, packet) = (result.round_trips_ms.len(), self.count, self.packet);
        // One that is sent while the last answer is on its way may be answered too.
        ensure!(
            got >= wanted as usize,
            "{got} of {wanted} pings of {packet} bytes from {} to {} were answered:\n{}",
            host.label(),
            self.target,
            result.text
        );
        Ok(result)
    }

    /// Pings until an answer comes and returns how long that took.
    ///
    /// # Errors
    /// When none came before the deadline.
    pub fn until_answered(&self, host: &Host, deadline: Deadline) -> Result<Duration> {
        let what = format!("an answer to a ping from {} to {}", host.label(), self.target);
        until(&what, deadline, || {
            // With a time limit, ping goes on until one answer is there.
            let mut command = host.command("ping");
            command.args(["-n", "-c", "1", "-i", &format!("{:.3}", self.interval.as_secs_f64())]);
            command.args(["-w", &deadline.left().as_secs().max(1).to_string()]);
            command.args(["-s", &self.packet.saturating_sub(HEADERS).to_string()]);
            if let Some(source) = self.source {
                command.args(["-I", &source.to_string()]);
            }
            let output = command.arg(self.target.to_string()).output()?;
            Ok(output.status.success().then(|| deadline.elapsed()))
        })
    }
}

impl PingResult {
    /// The median of the round trips, in milliseconds.
    #[must_use]
    pub fn median_ms(&self) -> Option<f64> {
        self.quantile_ms(0.5)
    }

    /// A quantile of the round trips, in milliseconds.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let mut sorted = self.round_trips_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        sorted.get((last as f64 * quantile).round() as usize).copied()
    }
}

/// Reads the time out of a line like `64 bytes from 200::1: icmp_seq=1 ttl=64 time=0.345 ms`.
fn round_trip(line: &str) -> Option<f64> {
    let answered = line.contains("bytes from") && !line.contains("DUP!");
    let time = line.split("time=").nth(1).filter(|_| answered)?;
    time.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_other_lines_are_not() {
        let answer = "1288 bytes from 200:1::1: icmp_seq=2 ttl=64 time=0.345 ms";
        assert_eq!(round_trip(answer), Some(0.345));
        assert_eq!(round_trip(&format!("{answer} (DUP!)")), None);
        assert_eq!(round_trip("From 200::1 icmp_seq=1 Packet too big: mtu=1280"), None);
    }

    #[test]
    fn quantiles_are_taken_from_the_sorted_times() {
        let round_trips_ms = vec![5.0, 1.0, 3.0, 2.0, 4.0];
        let result = PingResult { round_trips_ms, text: String::new() };
        assert_eq!(result.median_ms(), Some(3.0));
        assert_eq!(result.quantile_ms(0.99), Some(5.0));
    }
}
