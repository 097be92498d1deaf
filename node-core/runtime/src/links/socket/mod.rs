//! What the data path does with the socket of a finished link: wait for bytes, and write
//! without ever waiting.
//!
//! One thread reads a link with [`recv`], which blocks; any thread that holds the link's writer
//! lock writes with [`try_send`] or [`try_send_vectored`], which never do; a thread that has queued
//! frames waits with [`wait_writable`]. [`shutdown`] from any thread wakes all of them. The socket
//! must have gone through [`adopt`] first, which puts it into the mode that the system needs for
//! this (blocking on Unix, non-blocking on Windows), so nothing else may change that mode.
//!
//! A write never raises SIGPIPE. The platform files have the same functions; this file holds what
//! they share.

mod losses;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{io, net::Shutdown};

pub(crate) use losses::LossWatch;
use socket2::Socket;
#[cfg(unix)]
pub(super) use unix::path_mtu;
#[cfg(unix)]
pub use unix::{adopt, is_stalled, limit_unsent, recv, try_send, try_send_vectored, wait_writable};
#[cfg(windows)]
pub(super) use windows::path_mtu;
#[cfg(windows)]
pub use windows::{
    adopt, is_stalled, limit_unsent, recv, try_send, try_send_vectored, wait_writable,
};

/// How many bytes the system may hold unsent for one link before it reports the socket as full.
///
/// A frame that waits in the kernel can no longer be overtaken by a more urgent one, so as much as
/// possible waits in our own queues; 128 KiB is one frame of the largest size, which keeps a fast
/// link busy between two wake-ups. Linux wakes [`wait_writable`] when half of it is sent.
pub const UNSENT_MAX: u32 = 128 * 1024;

/// Sets the options that every TCP socket of a link has, dialled or accepted.
///
/// Small frames leave at once (`TCP_NODELAY`), dead peers are found by the protocol's own
/// keep-alives and not by probes of the system, and little waits unsent in the kernel, where the
/// system can limit it.
///
/// # Errors
/// What the system answers; a socket that was just closed by the other side may refuse options.
pub fn tune(socket: socket2::SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(false)?;
    limit_unsent(&socket, UNSENT_MAX)
}

/// Ends both directions. Blocked and later [`recv`] calls return 0 or an error, writes fail.
///
/// # Errors
/// What the system answers; `NotConnected` if the link is down already.
pub fn shutdown(socket: &Socket) -> io::Result<()> {
    socket.shutdown(Shutdown::Both)
}

#[cfg(test)]
mod tests;
