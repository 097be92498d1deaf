//! TUN on Linux: `/dev/net/tun`, opened with several queues and configured over netlink.
//!
//! The descriptors are non-blocking, so that a busy reader pays one system call per packet; only
//! when there is no packet does it wait, for its queue and for an event descriptor that
//! [`Device::close`] signals.
//!
//! Before every packet stands a header of the system's (`vnet`), read and written by vectored calls
//! so that packets are not copied for it.
//!
//! The interface gets no link-local address (`addr_gen_mode none`): it has no neighbours, and
//! without one the system sends no router solicitations into the overlay and finds no LAN to
//! announce itself on.

mod attach;
mod guard;
pub(crate) mod netlink;
mod vnet;

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::OwnedFd,
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::{Errno, readv, write, writev},
};

use self::{attach::Attached, guard::Guard};
use super::{
    PARTS_MAX, TunError, TunFeatures, TunSettings, Unguarded,
    unix::{Wake, wait},
};
use crate::offload::Offload;

/// What `"auto"` becomes, with the first free number in place of the 0.
const AUTO_NAME: &str = "planetary";

/// How many numbers `"auto"` tries. More nodes than this on one machine choose names themselves.
const AUTO_NAMES_MAX: u32 = 64;

/// Longest interface name, one less than IFNAMSIZ.
const NAME_LEN_MAX: usize = 15;

/// How many packets the system queues towards us before it drops.
///
/// The device gives no back-pressure and the reader always drains, so the queue is long only while
/// the reader has no processor: a flood of 100,000 packets a second on a busy machine lost a
/// seventh of them with 128, and a fortieth with this.
const QUEUE_LEN: u32 = 1_000;

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    attached: Attached,
    closed: OwnedFd,
    /// Held for what it does, or why there is none.
    guard: Result<Guard, Unguarded>,
}

impl Device {
    /// Opens and configures the device that `settings` ask for; also returns its name.
    pub(super) fn open(
        settings: &TunSettings,
        features: TunFeatures,
    ) -> Result<(Self, String), TunError> {
        let (attached, name) = match settings.name.as_str() {
            "auto" => open_auto(features)?,
            name => (open_named(name, features)?, name.to_owned()),
        };
        let index = netlink::configure(&name, settings, QUEUE_LEN)?;
        let closed = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let closed = closed.map_err(|error| TunError::System {
            step: "making an event descriptor",
            source: error.into(),
        })?;
        // A node without it works, and its person is told.
        let guard = Guard::set(&name, index, settings);
        let guard = guard.map_err(|error| Unguarded::Refused(error.to_string()));
        Ok((Self { attached, closed, guard }, name))
    }

    pub(super) fn unguarded(&self) -> Option<&Unguarded> {
        self.guard.as_ref().err()
    }

    pub(super) const fn queues(&self) -> usize {
        self.attached.queues.len()
    }

    pub(super) const fn offloads(&self) -> bool {
        self.attached.offloads
    }

    pub(super) fn recv(&self, queue: usize, packet: &mut [u8]) -> io::Result<(usize, Offload)> {
        loop {
            if let Some(received) = self.try_recv(queue, packet)? {
                return Ok(received);
            }
            if wait(self.queue(queue)?, &self.closed)? == Wake::Closed {
                return Ok((0, Offload::None));
            }
        }
    }

    pub(super) fn try_recv(
        &self,
        queue: usize,
        packet: &mut [u8],
    ) -> io::Result<Option<(usize, Offload)>> {
        let queue = self.queue(queue)?;
        loop {
            let mut header = [0; vnet::HEADER_LEN];
            let header_len = if self.attached.has_header { header.len() } else { 0 };
            let mut parts =
                [IoSliceMut::new(&mut header[..header_len]), IoSliceMut::new(&mut *packet)];
            let len = match readv(queue, &mut parts) {
                Ok(len) => len.saturating_sub(header_len),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            match vnet::parse(header, &mut packet[..len]) {
                Ok(offload) if len > 0 => return Ok(Some((len, offload))),
                Ok(_) => {}
                Err(error) => tracing::trace!(len, %error, "a packet of the system is dropped"),
            }
        }
    }

    pub(super) fn send(
        &self,
        queue: usize,
        parts: &[IoSlice<'_>],
        offload: Offload,
    ) -> io::Result<()> {
        let queue = self.queue(queue)?;
        if !self.attached.has_header {
            if offload != Offload::None {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            writev(queue, parts)?;
            return Ok(());
        }
        let head = parts.first().map_or(&[][..], |head| head);
        let len = parts.iter().map(|part| part.len()).sum();
        let header = vnet::emit(offload, head, len)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut all = [IoSlice::new(&header); 1 + PARTS_MAX];
        let body = all[1..].get_mut(..parts.len()).ok_or(io::ErrorKind::InvalidInput)?;
        body.copy_from_slice(parts);
        writev(queue, &all[..=parts.len()])?;
        Ok(())
    }

    pub(super) fn close(&self) {
        // Fails only when the counter is full, that is, when it has been signalled already.
        let _ = write(&self.closed, &1_u64.to_ne_bytes());
    }

    fn queue(&self, queue: usize) -> io::Result<&OwnedFd> {
        self.attached.queues.get(queue).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // The interface goes away, unless it existed before. Then whoever opens it next may expect
        // packets that are finished. Not every system knows the request.
        let _ = attach::set_offload(&self.attached.queues[0], 0);
    }
}

/// Opens the first of our usual names that is free.
fn open_auto(features: TunFeatures) -> Result<(Attached, String), TunError> {
    for number in 0..AUTO_NAMES_MAX {
        let name = format!("{AUTO_NAME}{number}");
        // An existing interface could be one that somebody keeps for another program, so it counts
        // as taken.
        if netlink::exists(&name)? {
            continue;
        }
        match open_named(&name, features) {
            // Somebody was faster.
            Err(TunError::NameTaken(_)) => {}
            opened => return Ok((opened?, name)),
        }
    }
    Err(TunError::NameTaken(format!("{AUTO_NAME}0 to {}", AUTO_NAMES_MAX - 1)))
}

/// Opens the device called `name`, which may exist already if it is a TUN device that nobody has
/// open.
fn open_named(name: &str, features: TunFeatures) -> Result<Attached, TunError> {
    check_name(name)?;
    attach::attach(name, features).map_err(|error| refusal(name, error))
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
fn refusal(name: &str, error: Errno) -> TunError {
    match error {
        Errno::PERM | Errno::ACCESS => TunError::NoPermission,
        Errno::NOENT | Errno::NODEV | Errno::NXIO => {
            TunError::NoDriver("this system has no TUN driver (/dev/net/tun)")
        }
        // The second: the name belongs to an interface of another kind.
        Errno::BUSY | Errno::INVAL | Errno::EXIST => TunError::NameTaken(name.to_owned()),
        other => TunError::System { step: "opening a TUN device", source: other.into() },
    }
}

#[cfg(test)]
pub(crate) mod tests;
