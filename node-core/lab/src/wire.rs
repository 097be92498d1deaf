//! A wire between two hosts: a veth pair, or two TAP devices with a relay between them.
//!
//! Both ends have an IPv4 and an IPv6 address that follow from the wire's number. A wire can be cut
//! in two ways that a node sees differently: `cut` loses every packet and nobody is told (a cable
//! pulled one hop away), `unplug` takes the carrier away (the cable of this very machine).

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::host::{self, Host};
use crate::relay::{self, Relay};
use crate::wait::{Deadline, until};

/// A wire between two hosts of a lab.
pub struct Wire {
    number: u8,
    ends: [WireEnd; 2],
    /// The relay works for as long as the wire is there.
    _relay: Option<relay::Running>,
}

/// One end of a wire: a device on a host, with its addresses.
pub struct WireEnd {
    /// The host it is plugged into.
    pub host: Host,
    /// The name of the device on that host.
    pub device: String,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
}

impl WireEnd {
    fn new(number: u8, host: &Host, position: u8) -> Self {
        Self {
            host: host.clone(),
            device: format!("wire{number}"),
            v4: Ipv4Addr::new(10, 77, number, position),
            v6: Ipv6Addr::new(0xfd77, u16::from(number), 0, 0, 0, 0, 0, u16::from(position)),
        }
    }

    /// A link URI for this end, over IPv4.
    #[must_use]
    pub fn uri(&self, scheme: &str, port: u16) -> String {
        format!("{scheme}://{}:{port}", self.v4)
    }

    /// A link URI for this end, over IPv6.
    #[must_use]
    pub fn uri_v6(&self, scheme: &str, port: u16) -> String {
        format!("{scheme}://[{}]:{port}", self.v6)
    }

    /// How many bytes this end has sent, counted by the kernel.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn bytes_sent(&self) -> Result<u64> {
        let bytes = self.describe()?.pointer("/0/stats64/tx/bytes").and_then(Value::as_u64);
        bytes.context("no counter")
    }

    fn describe(&self) -> Result<Value> {
        let text = self.host.ip(["-j", "-s", "link", "show", "dev", &self.device])?;
        serde_json::from_str(&text).context("what ip said is not JSON")
    }

    /// The kernel takes up to a second to notice a carrier, and loses packets until then.
    fn wait_until_up(&self) -> Result<()> {
        let what = format!("{} on {} to be up", self.device, self.host.label());
        until(&what, Deadline::seconds(10), || {
            // A TAP has no carrier to wait for; its state stays unknown.
            let description = self.describe()?;
            let state = description.pointer("/0/operstate").and_then(Value::as_str);
            Ok(matches!(state, Some("UP" | "UNKNOWN")).then_some(()))
        })
    }

    fn bring_up(&self) -> Result<()> {
        let (device, v4) = (self.device.as_str(), format!("{}/24", self.v4));
        self.host.ip(["address", "add", &v4, "dev", device])?;
        let v6 = format!("{}/64", self.v6);
        self.host.ip(["-6", "address", "add", &v6, "dev", device, "nodad"])?;
        self.host.ip(["link", "set", device, "up"])?;
        Ok(())
    }
}

impl Wire {
    /// Joins two hosts by a veth pair.
    pub(crate) fn veth(number: u8, one: &Host, other: &Host) -> Result<Self> {
        let ends = [WireEnd::new(number, one, 1), WireEnd::new(number, other, 2)];
        let [near, far] = ends.each_ref().map(|end| end.device.as_str());
        let near = ["link", "add", near, "netns", one.name(), "type", "veth", "peer", "name", far];
        host::finish(Command::new("ip").args(near).args(["netns", other.name()]))?;
        Self::finish(number, ends, None)
    }

    /// Joins two hosts by a relay that delays what it carries.
    pub(crate) fn relayed(number: u8, one: &Host, other: &Host, relay: Relay) -> Result<Self> {
        let ends = [WireEnd::new(number, one, 1), WireEnd::new(number, other, 2)];
        let running = relay::start([&ends[0], &ends[1]], relay)?;
        for end in &ends {
            let (device, queue) = (end.device.as_str(), relay::DEVICE_QUEUE);
            end.host.ip(["link", "set", device, "txqueuelen", queue])?;
        }
        Self::finish(number, ends, Some(running))
    }

    fn finish(number: u8, ends: [WireEnd; 2], relay: Option<relay::Running>) -> Result<Self> {
        ends.iter().try_for_each(WireEnd::bring_up)?;
        ends.iter().try_for_each(WireEnd::wait_until_up)?;
        Ok(Self { number, ends, _relay: relay })
    }

    /// Both ends, in the order in which the hosts were named.
    #[must_use]
    pub fn ends(&self) -> &[WireEnd; 2] {
        &self.ends
    }

    /// Loses every packet in both directions from here on; nobody is told.
    ///
    /// # Errors
    /// When the filter cannot be set.
    pub fn cut(&self) -> Result<()> {
        self.drop_packets(&self.ends, Some(""))
    }

    /// Loses every packet to one of its ends from here on; nobody is told.
    ///
    /// # Errors
    /// When the filter cannot be set.
    pub fn cut_towards(&self, end: usize) -> Result<()> {
        self.drop_packets(&self.ends[end..=end], Some(""))
    }

    /// Loses so many packets of a thousand, in each direction.
    ///
    /// # Errors
    /// When the filter cannot be set.
    pub fn lose(&self, per_mille: u16) -> Result<()> {
        self.drop_packets(&self.ends, Some(&format!("numgen random mod 1000 < {per_mille}")))
    }

    /// Undoes [`Wire::cut`], [`Wire::cut_towards`] and [`Wire::lose`].
    ///
    /// # Errors
    /// When the filter cannot be removed.
    pub fn heal(&self) -> Result<()> {
        self.drop_packets(&self.ends, None)
    }

    /// Has connections along this wire send with this congestion control of the system. It goes
    /// with the routes: a host may take as its usual one only what its machine allows everybody.
    pub(crate) fn use_congestion_control(&self, name: &str) -> Result<()> {
        for end in &self.ends {
            let (device, v4) = (end.device.as_str(), end.v4.to_string());
            let network = format!("10.77.{}.0/24", self.number);
            let route = ["route", "change", &network, "dev", device, "proto", "kernel"];
            let rest = ["scope", "link", "src", &v4, "congctl", name];
            host::finish(Command::new("ip").args(["-n", end.host.name()]).args(route).args(rest))?;
            let network = format!("fd77:{:x}::/64", self.number);
            let route = ["-6", "route", "change", &network, "dev", device, "proto", "kernel"];
            let rest = ["metric", "256", "congctl", name];
            host::finish(Command::new("ip").args(["-n", end.host.name()]).args(route).args(rest))?;
        }
        Ok(())
    }

    /// Takes the carrier away from both ends.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn unplug(&self) -> Result<()> {
        self.ends[0].host.ip(["link", "set", &self.ends[0].device, "down"]).map(drop)
    }

    /// Undoes [`Wire::unplug`].
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn plug(&self) -> Result<()> {
        self.ends[0].host.ip(["link", "set", &self.ends[0].device, "up"]).map(drop)
    }

    /// Limits the rate in each direction.
    ///
    /// # Errors
    /// When `tc` refuses.
    pub fn limit(&self, megabits: u32) -> Result<()> {
        let rate = format!("{megabits}mbit");
        for end in &self.ends {
            let head = ["qdisc", "replace", "dev", &end.device, "root", "tbf", "rate", &rate];
            let mut command = end.host.command("tc");
            host::finish(command.args(head).args(["burst", "256kb", "latency", "50ms"]))?;
        }
        Ok(())
    }

    /// Sets or removes the rule that drops what arrives at these ends.
    fn drop_packets(&self, ends: &[WireEnd], condition: Option<&str>) -> Result<()> {
        let table = format!("inet wire{}", self.number);
        for end in ends {
            // Adding before deleting makes the deletion succeed in any state.
            let mut script = format!("add table {table}\ndelete table {table}\n");
            if let Some(condition) = condition {
                script += &format!(
                    "add table {table}\n\
                     add chain {table} arriving {{ type filter hook prerouting priority -400; }}\n\
                     add rule {table} arriving iifname \"{}\" {condition} drop\n",
                    end.device
                );
            }
            filter(&end.host, &script)?;
        }
        Ok(())
    }
}

/// Applies an nft script on a host, all of it or nothing.
fn filter(host: &Host, script: &str) -> Result<()> {
    let mut command = host.command("nft");
    command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start nft")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes()).context("nft does not read")?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("nft refuses: {}\n{script}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
