//! A switch: a bridge on a host of its own, into which other hosts are plugged.
//!
//! What is plugged in has nothing but the link-local address that the kernel gives it, as on a
//! network that nobody has set up.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::Result;

use crate::host::{self, Host};
use crate::lab::Lab;

/// The name of the bridge on its host.
const BRIDGE: &str = "bridge0";

/// A switch. It is gone with the host that it is on.
pub struct Switch {
    host: Host,
}

impl Lab {
    /// Makes a switch with this name, a short one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn switch(&self, label: &str) -> Result<Switch> {
        let host = self.host(label)?;
        // Without snooping multicast is carried from the first packet on.
        host.ip(["link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0"])?;
        host.ip(["link", "set", BRIDGE, "up"])?;
        Ok(Switch { host })
    }
}

impl Switch {
    /// The name of the device on every host that is plugged in.
    #[must_use]
    pub fn device(&self) -> &str {
        self.host.label()
    }

    /// Plugs a host in.
    ///
    /// # Errors
    /// When the kernel refuses; a host is plugged in at most once.
    pub fn plug(&self, other: &Host) -> Result<()> {
        let (near, far) = (format!("to-{}", other.label()), self.device());
        let pair = ["link", "add", &near, "netns", self.host.name(), "type", "veth"];
        let peer = ["peer", "name", far, "netns", other.name()];
        host::finish(Command::new("ip").args(pair).args(peer))?;
        self.host.ip(["link", "set", &near, "master", BRIDGE, "up"])?;
        other.ip(["link", "set", far, "up"]).map(drop)
    }

    /// Takes the device away from a host that is plugged in.
    ///
    /// # Errors
    /// When it is not there.
    pub fn unplug(&self, other: &Host) -> Result<()> {
        other.ip(["link", "delete", self.device()]).map(drop)
    }

    /// Gives a host that is plugged in an IPv4 address, in a network of 256.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn address(&self, other: &Host, address: Ipv4Addr) -> Result<()> {
        let address = format!("{address}/24");
        other.ip(["address", "add", &address, "dev", self.device()]).map(drop)
    }
}
