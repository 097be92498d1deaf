//! Loads between two hosts, made by `iperf3`.

use std::net::Ipv6Addr;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use planetary_lab::{Deadline, Host, until};
use serde_json::Value;

use crate::figures::{Congestion, Pattern};

/// Between which hosts, and where to.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) from: &'a Host,
    pub(crate) to: &'a Host,
    pub(crate) address: Ipv6Addr,
}

/// What arrived over TCP, in both directions together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Carried {
    pub(crate) megabits: f64,
    pub(crate) bytes: f64,
}

/// What became of packets over UDP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrived {
    pub(crate) packets: f64,
    pub(crate) per_second: f64,
    pub(crate) lost_percent: f64,
    /// How many a second the sender got rid of.
    pub(crate) sent_per_second: f64,
}

/// Buffer of the sockets for UDP: 100 ms of small packets at 100,000 a second. With the system's
/// usual one packets are lost while the receiver is not running, and the nodes are blamed for it.
const BUFFER: &str = "4M";

/// Runs streams over TCP for so many seconds.
pub(crate) fn tcp(
    way: Way<'_>,
    seconds: u32,
    pattern: Pattern,
    control: Congestion,
) -> Result<Carried> {
    let (streams, flag) = match pattern {
        Pattern::One => ("1", None),
        Pattern::Reverse => ("1", Some("-R")),
        Pattern::Both => ("1", Some("--bidir")),
        Pattern::Four => ("4", None),
    };
    let words = ["-P", streams, "-C", control.name()];
    let result = run(way, seconds, &mut words.into_iter().chain(flag))?;
    carried(&result).context("iperf3 counted nothing")
}

/// Sends packets over UDP for so many seconds, so many a second or as many as can be sent.
pub(crate) fn udp(way: Way<'_>, seconds: u32, bytes: u16, rate: Option<u32>) -> Result<Arrived> {
    // Payload bits a second; zero means no limit.
    let bits = rate.map_or(0, |rate| u64::from(rate) * u64::from(bytes) * 8);
    let (bytes, bits) = (bytes.to_string(), bits.to_string());
    let words = ["-u", "-l", &bytes, "-b", &bits, "-w", BUFFER];
    let result = run(way, seconds, &mut words.into_iter())?;
    arrived(&result).context("iperf3 counted nothing")
}

fn run(way: Way<'_>, seconds: u32, words: &mut dyn Iterator<Item = &str>) -> Result<Value> {
    let _server = Server::start(way.to)?;
    let mut client = way.from.command("iperf3");
    client.args(["-J", "-c", &way.address.to_string(), "-t", &seconds.to_string()]);
    client.args(["--connect-timeout", "5000"]).args(words);
    let output = client.output().context("cannot start iperf3")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let result: Value = serde_json::from_str(&text).context("iperf3 gave no JSON")?;
    ensure!(output.status.success(), "iperf3 failed: {}", result["error"]);
    Ok(result)
}

fn carried(result: &Value) -> Option<Carried> {
    let sum = |name: &str| {
        let number = |field: &str| result.pointer(&format!("/end/{name}/{field}"))?.as_f64();
        Some(Carried { megabits: number("bits_per_second")? / 1e6, bytes: number("bytes")? })
    };
    let (there, back) = (sum("sum_received")?, sum("sum_received_bidir_reverse"));
    let back = back.unwrap_or(Carried { megabits: 0.0, bytes: 0.0 });
    Some(Carried { megabits: there.megabits + back.megabits, bytes: there.bytes + back.bytes })
}

fn arrived(result: &Value) -> Option<Arrived> {
    let number = |pointer: &str| result.pointer(pointer)?.as_f64();
    // By their numbers, up to the last that came: what is on its way when the sender ends is
    // neither lost nor received.
    let (known, lost) =
        (number("/end/sum_received/packets")?, number("/end/sum_received/lost_packets")?);
    let [sending, receiving] =
        [number("/end/sum_sent/seconds")?, number("/end/sum_received/seconds")?];
    (known > 0.0).then_some(Arrived {
        packets: known - lost,
        per_second: (known - lost) / receiving,
        lost_percent: 100.0 * lost / known,
        sent_per_second: number("/end/sum_sent/packets")? / sending,
    })
}

struct Server(Child);

impl Server {
    fn start(host: &Host) -> Result<Self> {
        let mut command = host.command("iperf3");
        command.args(["-s", "-1"]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(command.spawn().context("cannot start iperf3")?);
        until("iperf3 to listen", Deadline::seconds(10), || {
            let listening = host.run("ss", ["-Hltn", "sport", "=", ":5201"])?;
            Ok((!listening.is_empty()).then_some(()))
        })?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends by itself after one client.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_directions_count() {
        let one = json!({ "bits_per_second": 8e6, "bytes": 1e6 });
        let there = json!({ "end": { "sum_received": one } });
        assert_eq!(carried(&there), Some(Carried { megabits: 8.0, bytes: 1e6 }));
        let both = json!({ "end": { "sum_received": one, "sum_received_bidir_reverse": one } });
        assert_eq!(carried(&both), Some(Carried { megabits: 16.0, bytes: 2e6 }));
        assert_eq!(carried(&json!({ "end": {} })), None);
    }

    #[test]
    fn what_is_still_on_its_way_is_not_lost() {
        let result = json!({ "end": {
            "sum_sent": { "packets": 1200, "seconds": 2.0 },
            "sum_received": { "packets": 1000, "lost_packets": 200, "seconds": 2.0 },
        } });
        let arrived = arrived(&result).expect("understood");
        assert_eq!((arrived.packets, arrived.per_second), (800.0, 400.0));
        assert_eq!((arrived.lost_percent, arrived.sent_per_second), (20.0, 600.0));
    }

    #[test]
    fn nothing_is_no_result() {
        let result = json!({ "end": {
            "sum_sent": { "packets": 1200, "seconds": 2.0 },
            "sum_received": { "packets": 0, "lost_packets": 0, "seconds": 2.0 },
        } });
        assert_eq!(arrived(&result), None);
    }
}
