//! Opening `/dev/net/tun` for a device: its queues, and what the system may leave unfinished.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{Mode, OFlags, open},
    io::{Errno, Result},
    ioctl::{IntegerSetter, Opcode, Updater, ioctl},
};

use super::super::TunFeatures;

/// What [`attach`] has opened.
#[derive(Debug)]
pub(super) struct Attached {
    /// One non-blocking descriptor for each queue, at least one.
    pub(super) queues: Vec<OwnedFd>,
    /// Whether a header of virtio stands before every packet.
    pub(super) has_header: bool,
    /// Whether the system leaves packets unfinished.
    pub(super) offloads: bool,
}

/// What the system may leave to us, best first. The two about UDP go together only, and exist since
/// Linux 6.2. Nothing else about IPv4, which the overlay does not carry.
const OFFLOADS: [libc::c_uint; 3] = [
    libc::TUN_F_CSUM | libc::TUN_F_TSO6 | libc::TUN_F_USO4 | libc::TUN_F_USO6,
    libc::TUN_F_CSUM | libc::TUN_F_TSO6,
    libc::TUN_F_CSUM,
];

/// Opens the device called `name`, with as much of `features` as the system has.
///
/// The name may be that of a TUN device that exists already and that nobody has open. Such a device
/// has one queue: the system tells that a device is in use only where there is no second queue to
/// be had.
pub(super) fn attach(name: &str, features: TunFeatures) -> Result<Attached> {
    let header = if features.offload { libc::IFF_VNET_HDR } else { 0 };
    let many = header | libc::IFF_MULTI_QUEUE;
    let (first, flags) = match features.queues {
        ..=1 => one(name, header)?,
        _ => match set_interface(name, many | libc::IFF_TUN_EXCL) {
            Ok(first) => (first, many),
            // It exists, or this system has no such devices.
            Err(Errno::BUSY | Errno::INVAL) => one(name, header)?,
            Err(error) => return Err(error),
        },
    };
    let mut queues = vec![first];
    if flags & libc::IFF_MULTI_QUEUE != 0 {
        // Fewer queues are queues enough.
        let further = (1..features.queues).map_while(|_| set_interface(name, flags).ok());
        queues.extend(further);
    }
    let has_header = flags & libc::IFF_VNET_HDR != 0;
    let offloads =
        has_header && OFFLOADS.into_iter().any(|offload| set_offload(&queues[0], offload).is_ok());
    if !offloads {
        // A device that existed may have been left with some. Not every system knows the request.
        let _ = set_offload(&queues[0], 0);
    }
    Ok(Attached { queues, has_header, offloads })
}

/// Opens a device with one queue and tells which flags it has.
fn one(name: &str, header: libc::c_int) -> Result<(OwnedFd, libc::c_int)> {
    match set_interface(name, header) {
        Ok(queue) => Ok((queue, header)),
        Err(Errno::INVAL) => Ok((set_interface(name, 0)?, 0)),
        Err(error) => Err(error),
    }
}

/// Opens a queue of the device `name`, with `flags` beside those that every device has.
fn set_interface(name: &str, flags: libc::c_int) -> Result<OwnedFd> {
    let flags_of_file = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = open("/dev/net/tun", flags_of_file, Mode::empty())?;
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | flags;
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        // All flags are in 16 bits, of which the system reads the highest as one of them.
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags as libc::c_short },
    };
    // A name that was checked fits, with a zero behind it.
    for (to, from) in request.ifr_name[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: the request takes such a structure, and writes the name into it that the device has.
    unsafe {
        ioctl(&file, Updater::<{ libc::TUNSETIFF as Opcode }, _>::new(&mut request))?;
    }
    Ok(file)
}

/// Says what the system may leave unfinished, for all queues of the device.
pub(super) fn set_offload(queue: &OwnedFd, offload: libc::c_uint) -> Result<()> {
    // SAFETY: the request takes a number.
    unsafe {
        let offload =
            IntegerSetter::<{ libc::TUNSETOFFLOAD as Opcode }>::new_usize(offload as usize);
        ioctl(queue, offload)
    }
}
