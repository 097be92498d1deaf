//! One run of `iperf3` between two hosts.

use std::net::IpAddr;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use planetary_lab::{Deadline, Host, until};
use serde_json::Value;

/// What to run.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) seconds: u32,
    pub(crate) streams: u32,
    /// The server sends.
    pub(crate) reverse: bool,
}

/// What arrived.
#[derive(Clone, Copy)]
pub(crate) struct Throughput {
    pub(crate) megabits: f64,
    pub(crate) bytes: f64,
}

/// Runs a load from one host to an address of another.
pub(crate) fn run(from: &Host, to: &Host, address: IpAddr, load: Load) -> Result<Throughput> {
    let _server = Server::start(to)?;
    let mut client = from.command("iperf3");
    client.args(["-J", "-c", &address.to_string(), "-t", &load.seconds.to_string()]);
    client.args(["-P", &load.streams.to_string(), "--connect-timeout", "5000"]);
    if load.reverse {
        client.arg("-R");
    }
    let output = client.output().context("cannot start iperf3")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let result: Value = serde_json::from_str(&text).context("iperf3 gave no JSON")?;
    ensure!(output.status.success(), "iperf3 failed: {}", result["error"]);
    let received = &result["end"]["sum_received"];
    let number = |name: &str| received[name].as_f64().context("iperf3 counted nothing");
    Ok(Throughput { megabits: number("bits_per_second")? / 1e6, bytes: number("bytes")? })
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
