//! TUN on Linux: `/dev/net/tun`, opened by the `tun` crate and configured over netlink.
//!
//! The descriptor is non-blocking, so that a busy reader pays one system call per packet; only when
//! there is no packet does it wait, for the device and for an event descriptor that
//! [`Device::close`] signals.
//!
//! The interface gets no link-local address (`addr_gen_mode none`): it has no neighbours, and
//! without one the system sends no router solicitations into the overlay and finds no LAN to
//! announce itself on.

mod guard;
pub(crate) mod netlink;

use std::{
    io::{self, IoSlice},
    os::fd::{FromRawFd, IntoRawFd, OwnedFd},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::{Errno, ioctl_fionbio, read, write, writev},
};

use self::guard::Guard;
use super::{
    TunError, TunSettings, Unguarded,
    unix::{Wake, wait},
};

/// What `"auto"` becomes, with the first free number in place of the 0.
const AUTO_NAME: &str = "planetary";

/// How many numbers `"auto"` tries. More nodes than this on one machine choose names themselves.
const AUTO_NAMES_MAX: u32 = 64;

/// Longest interface name, one less than IFNAMSIZ.
const NAME_LEN_MAX: usize = 15;

/// How many packets the system queues towards us before it drops.
///
/// The device gives no back-pressure, so a long queue is nothing but delay: the reader always
/// drains, and our own queues drop with more sense. 128 covers a few milliseconds without the
/// processor at 50,000 packets a second.
const QUEUE_LEN: u32 = 128;

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    packets: OwnedFd,
    closed: OwnedFd,
    /// Held for what it does, or why there is none.
    guard: Result<Guard, Unguarded>,
}

impl Device {
    /// Opens and configures the device that `settings` ask for; also returns its name.
    pub(super) fn open(settings: &TunSettings) -> Result<(Self, String), TunError> {
        let (packets, name) = match settings.name.as_str() {
            "auto" => open_auto()?,
            name => (open_named(name)?, name.to_owned()),
        };
        let index = netlink::configure(&name, settings, QUEUE_LEN)?;
        let system = |step| move |error: Errno| TunError::System { step, source: error.into() };
        ioctl_fionbio(&packets, true).map_err(system("making the TUN device non-blocking"))?;
        let closed = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(system("making an event descriptor"))?;
        // A node without it works, and its person is told.
        let guard = Guard::set(&name, index, settings);
        let guard = guard.map_err(|error| Unguarded::Refused(error.to_string()));
        Ok((Self { packets, closed, guard }, name))
    }

    pub(super) fn unguarded(&self) -> Option<&Unguarded> {
        self.guard.as_ref().err()
    }

    pub(super) fn recv(&self, packet: &mut [u8]) -> io::Result<usize> {
        loop {
            match read(&self.packets, &mut *packet) {
                Ok(len) => return Ok(len),
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if wait(&self.packets, &self.closed)? == Wake::Closed {
                return Ok(0);
            }
        }
    }

    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        write(&self.packets, packet)?;
        Ok(())
    }

    pub(super) fn send_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        writev(&self.packets, parts)?;
        Ok(())
    }

    pub(super) fn close(&self) {
        // Fails only when the counter is full, that is, when it has been signalled already.
        let _ = write(&self.closed, &1_u64.to_ne_bytes());
    }
}

/// Opens the first of our usual names that is free.
fn open_auto() -> Result<(OwnedFd, String), TunError> {
    for number in 0..AUTO_NAMES_MAX {
        let name = format!("{AUTO_NAME}{number}");
        // An existing interface could be one that somebody keeps for another program, so it counts
        // as taken.
        if netlink::exists(&name)? {
            continue;
        }
        match open_named(&name) {
            // Somebody was faster.
            Err(TunError::NameTaken(_)) => {}
            opened => return Ok((opened?, name)),
        }
    }
    Err(TunError::NameTaken(format!("{AUTO_NAME}0 to {}", AUTO_NAMES_MAX - 1)))
}

/// Opens the device called `name`, which may exist already if it is a TUN device that nobody has
/// open.
fn open_named(name: &str) -> Result<OwnedFd, TunError> {
    check_name(name)?;
    let mut configuration = tun::Configuration::default();
    configuration.tun_name(name);
    let device = tun::create(&configuration).map_err(|error| refusal(name, error.into()))?;
    // SAFETY: the descriptor is open, and `into_raw_fd` has given up its ownership.
    Ok(unsafe { OwnedFd::from_raw_fd(device.into_raw_fd()) })
}

/// The rules of the kernel for interface names; it would also take `%d` for a pattern.
fn check_name(name: &str) -> Result<(), TunError> {
    let usable = (1..=NAME_LEN_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%".contains(&byte))
        && name != "."
        && name != "..";
    if usable {
        return Ok(());
    }
    let rule = "a name has 1 to 15 visible ASCII characters without / : and %";
    Err(TunError::BadName { name: name.to_owned(), rule })
}

/// Says why `/dev/net/tun` could not be opened under a name.
fn refusal(name: &str, error: io::Error) -> TunError {
    match Errno::from_io_error(&error) {
        Some(Errno::PERM | Errno::ACCESS) => TunError::NoPermission,
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
            TunError::NoDriver("this system has no TUN driver (/dev/net/tun)")
        }
        Some(Errno::BUSY) => TunError::NameTaken(name.to_owned()),
        // The name belongs to an interface of another kind.
        Some(Errno::INVAL | Errno::EXIST) => TunError::NameTaken(name.to_owned()),
        _ => TunError::System { step: "opening a TUN device", source: error },
    }
}

#[cfg(test)]
pub(crate) mod tests;
