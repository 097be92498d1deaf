//! The TUN device: where IPv6 packets leave this machine's network stack for the overlay and come
//! back.
//!
//! A [`Tun`] is one open device with its address, prefix and MTU set and the interface up. Packets
//! are bare IP packets without any header of the system's own. One thread calls [`Tun::recv`] in a
//! loop while any number of others call [`Tun::send`]; both take `&self` and hold no lock, and
//! neither allocates. [`Tun::close`] from any thread ends a waiting `recv` at once. Dropping the
//! last reference removes the interface.
//!
//! On Linux a guard comes with the device: packets from or to the overlay's addresses cross no
//! other interface. No command is ever run: addresses and the guard are set by system calls. Routes
//! beyond the prefix of the address and names are not set here.

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    io::{self, IoSlice},
    net::Ipv6Addr,
    sync::atomic::{AtomicBool, Ordering},
};

use thiserror::Error;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
#[cfg(windows)]
use windows as system;

/// Smallest MTU that IPv6 allows.
pub const MTU_MIN: u16 = 1280;

/// What the device shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunSettings {
    /// `"auto"` for the system's usual name, or a name of the user's choice.
    pub name: String,
    /// Largest packet in bytes, [`MTU_MIN`] to 65535.
    pub mtu: u16,
    /// The node's address.
    pub address: Ipv6Addr,
    /// How many leading bits of the address are the overlay's: packets to all addresses with the
    /// same ones go to the device.
    pub prefix_len: u8,
}

/// An open TUN device.
#[derive(Debug)]
pub struct Tun {
    device: system::Device,
    name: String,
    mtu: u16,
    /// Lets a reader stop that never has to wait.
    closed: AtomicBool,
}

/// Why neighbours on other interfaces may reach the overlay address past the overlay.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unguarded {
    /// The system has no such guard, or does not let this program set it.
    #[error("the system's packet filter refused the guard: {0}")]
    Refused(String),
    /// No guard has been built for this system.
    #[error("there is no guard for this system yet")]
    Unsupported,
}

/// Why no TUN device could be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TunError {
    /// The program may not open one. Run it as the service does, or without a TUN.
    #[error("no permission to open a TUN device, use --tun none to run without one")]
    NoPermission,
    /// The system has no TUN driver: on Linux `/dev/net/tun` is missing, on Windows `wintun.dll`
    /// beside the program.
    #[error("{0}, use --tun none to run without a TUN device")]
    NoDriver(&'static str),
    /// Something else has that name, or has the device open.
    #[error("the interface name {0} is taken")]
    NameTaken(String),
    /// The name is not one that the system takes.
    #[error("{name} is not a usable interface name, {rule}")]
    BadName {
        /// The name, as given.
        name: String,
        /// What the system takes.
        rule: &'static str,
    },
    /// The MTU is below what IPv6 needs.
    #[error("the MTU {0} is below {MTU_MIN}, the smallest that IPv6 allows")]
    BadMtu(u16),
    /// The prefix is longer than an address.
    #[error("the prefix length {0} is more than 128")]
    BadPrefix(u8),
    /// IPv6 is switched off in the system, so the interface can have no address.
    #[error("IPv6 is switched off in this system, switch it on or use --tun none")]
    NoIpv6,
    /// The system refused a step for another reason.
    #[error("{step} failed")]
    System {
        /// What was being done.
        step: &'static str,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

impl Tun {
    /// Opens a device, configures it and brings it up.
    ///
    /// # Errors
    /// See [`TunError`]. Nothing is left behind.
    pub fn open(settings: &TunSettings) -> Result<Self, TunError> {
        if settings.mtu < MTU_MIN {
            return Err(TunError::BadMtu(settings.mtu));
        }
        if settings.prefix_len > 128 {
            return Err(TunError::BadPrefix(settings.prefix_len));
        }
        let (device, name) = system::Device::open(settings)?;
        Ok(Self { device, name, mtu: settings.mtu, closed: AtomicBool::new(false) })
    }

    /// Waits for a packet that the system wants to send and copies it into `packet`; 0 once the
    /// device is closed.
    ///
    /// A packet longer than `packet` is cut, so the buffer should have room for [`Tun::mtu`] bytes.
    ///
    /// # Errors
    /// What the system answers, for example when the interface was taken away.
    pub fn recv(&self, packet: &mut [u8]) -> io::Result<usize> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(0);
        }
        self.device.recv(packet)
    }

    /// Hands one IP packet to the system.
    ///
    /// # Errors
    /// `InvalidInput` for what is not an IP packet, else what the system answers. The device stays
    /// usable: a packet that the system refuses is a packet lost.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.device.send(packet)
    }

    /// Hands one IP packet, given in parts, to the system.
    ///
    /// # Errors
    /// As [`Tun::send`].
    pub fn send_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.device.send_vectored(parts)
    }

    /// Why packets to the overlay address may come in over other interfaces; `None` when they may
    /// not.
    #[must_use]
    pub fn unguarded(&self) -> Option<&Unguarded> {
        self.device.unguarded()
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface's MTU as it was set.
    #[must_use]
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Ends the waiting and all later [`Tun::recv`] calls. The interface goes away when the device
    /// is dropped.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.device.close();
    }
}
