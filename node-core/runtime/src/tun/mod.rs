//! The TUN device: where IPv6 packets leave this machine's network stack for the overlay and come
//! back.
//!
//! A [`Tun`] is one open device with its address, prefix and MTU set and the interface up. Packets
//! are bare IP packets without any header of the system's own. A device has one or more queues.
//! One thread for each calls [`Tun::recv`] in a loop while any number of others call
//! [`Tun::send`]; both take `&self` and hold no lock, and neither allocates. [`Tun::close`] from
//! any thread ends every waiting `recv` at once. Dropping the last reference removes the interface.
//!
//! The system spreads flows over the queues and keeps each to one of them. It reads a flow's
//! packets from the queue on which a packet of that flow, in either direction, was last written
//! (for about three seconds, then by a hash of its own). So whoever writes chooses who reads the
//! answers: all packets of a flow belong on the same queue, or those of the other direction change
//! queues in mid-flow and overtake each other; and different flows belong on different queues.
//!
//! Where [`Tun::offloads`], the system gives and takes packets that are not finished, up to 65,535
//! bytes whatever the MTU is: see [`Offload`].
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
    num::NonZero,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use thiserror::Error;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
#[cfg(windows)]
use windows as system;

use crate::offload::Offload;

/// Smallest MTU that IPv6 allows.
pub const MTU_MIN: u16 = 1280;

/// Most parts of one packet: its headers, and the payloads of as many packets as are ever joined.
pub const PARTS_MAX: usize = 1 + crate::offload::JOINED_MAX;

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

/// Most queues of a device. Each costs a descriptor and whoever drains it a thread and a buffer,
/// and beyond this many readers the links are the limit.
const QUEUES_MAX: usize = 4;

/// How much of what the system can do shall be used. A device has as much of it as there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunFeatures {
    /// Queues at most, 1 or more.
    pub queues: usize,
    /// Whether packets may be taken and given unfinished.
    pub offload: bool,
}

impl TunFeatures {
    /// One queue of finished packets.
    pub const PLAIN: Self = Self { queues: 1, offload: false };

    /// As many queues as this machine has cores, to a limit, and offload.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self { queues: cores.min(QUEUES_MAX), offload: true }
    }
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
    pub fn open(settings: &TunSettings, features: TunFeatures) -> Result<Self, TunError> {
        if settings.mtu < MTU_MIN {
            return Err(TunError::BadMtu(settings.mtu));
        }
        if settings.prefix_len > 128 {
            return Err(TunError::BadPrefix(settings.prefix_len));
        }
        let (device, name) = system::Device::open(settings, features)?;
        Ok(Self { device, name, mtu: settings.mtu, closed: AtomicBool::new(false) })
    }

    /// How many queues there are, 1 or more. They are numbered from 0.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.device.queues()
    }

    /// Whether packets are taken and given unfinished. Where not, [`Tun::recv`] says
    /// [`Offload::None`] of every packet, and [`Tun::send`] takes no other.
    #[must_use]
    pub fn offloads(&self) -> bool {
        self.device.offloads()
    }

    /// Waits for a packet that the system wants to send and copies it into `packet`; 0 once the
    /// device is closed.
    ///
    /// A packet longer than `packet` is cut, so the buffer should have room for 65,535 bytes, or
    /// where there is no offload for [`Tun::mtu`]. Only a TCP or UDP packet over IPv6 is given
    /// unfinished, and only if it is whole; what its headers say of its length is true.
    ///
    /// # Errors
    /// What the system answers, for example when the interface was taken away. `InvalidInput`:
    /// there is no such queue.
    pub fn recv(&self, queue: usize, packet: &mut [u8]) -> io::Result<(usize, Offload)> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok((0, Offload::None));
        }
        self.device.recv(queue, packet)
    }

    /// As [`Tun::recv`], but `None` when no packet is there now.
    ///
    /// # Errors
    /// As [`Tun::recv`].
    pub fn try_recv(
        &self,
        queue: usize,
        packet: &mut [u8],
    ) -> io::Result<Option<(usize, Offload)>> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.device.try_recv(queue, packet)
    }

    /// Hands one IP packet, given in at most [`PARTS_MAX`] parts, to the system. Where `offload`
    /// is not [`Offload::None`], the first part holds all headers.
    ///
    /// # Errors
    /// `InvalidInput` for what is not an IP packet, for an `offload` that does not fit the packet
    /// or the device, for too many parts and for a queue that there is not, else what the system
    /// answers. The device stays usable: a packet that the system refuses is a packet lost.
    pub fn send(&self, queue: usize, parts: &[IoSlice<'_>], offload: Offload) -> io::Result<()> {
        self.device.send(queue, parts, offload)
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
