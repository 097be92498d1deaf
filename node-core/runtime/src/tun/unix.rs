//! What the Unix systems share: the wait for a packet, which ends when the device is closed.

use std::{io, os::fd::AsFd};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// There may be a packet, or the device has failed, which the next read will tell.
    Packet,
    /// The device is closed.
    Closed,
}

/// Waits until `packets` or `closed` becomes readable.
pub(super) fn wait(packets: impl AsFd, closed: impl AsFd) -> io::Result<Wake> {
    let mut waiting = [PollFd::new(&packets, PollFlags::IN), PollFd::new(&closed, PollFlags::IN)];
    match poll(&mut waiting, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    if waiting[1].revents().is_empty() { Ok(Wake::Packet) } else { Ok(Wake::Closed) }
}
