//! Link sockets on Windows: the socket does not block, and reads wait by polling.
//!
//! There is no flag for a single call that does not wait, so it is the other way around from Unix.
//! And who polls is not told of a socket that this process itself has shut down, so nobody polls
//! for longer than [`POLL_MAX`] without a look at the socket.

use std::{
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    os::windows::io::AsRawSocket,
    time::{Duration, Instant},
};

use socket2::{SockRef, Socket};
use windows_sys::Win32::Networking::WinSock::{
    POLLRDNORM, POLLWRNORM, SOCKET_ERROR, WSAGetLastError, WSAPOLL_EVENT_FLAGS, WSAPOLLFD, WSAPoll,
};

/// How long a shutdown by this process may go unnoticed by a thread that polls.
const POLL_MAX: Duration = Duration::from_millis(500);

/// Whether bytes get no acknowledgement, which this system does not say.
#[must_use]
pub const fn is_stalled(_: &Socket) -> bool {
    false
}

/// How large a packet the way to `remote` carries, which this system is not asked for.
#[must_use]
pub(in crate::links) const fn path_mtu(_: SocketAddr) -> Option<u16> {
    None
}

/// Puts a socket into the mode that the functions of this module need.
///
/// # Errors
/// What the system answers.
pub fn adopt(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)
}

/// Waits for bytes and reads them; 0 is the end of the stream.
///
/// # Errors
/// What the system answers; never `WouldBlock` or `Interrupted`.
pub fn recv(socket: &Socket, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match (&mut &*socket).read(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(socket, POLLRDNORM, POLL_MAX)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Writes as much of `bytes` as fits without waiting, at least one byte.
///
/// # Errors
/// `WouldBlock` if nothing fits now, else what the system answers.
pub fn try_send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    (&mut &*socket).write(bytes)
}

/// Writes as much of `parts` as fits without waiting, at least one byte.
///
/// # Errors
/// `WouldBlock` if nothing fits now, else what the system answers.
pub fn try_send_vectored(socket: &Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    (&mut &*socket).write_vectored(parts)
}

/// Waits until the socket takes bytes, or has failed, which the next write will tell. `false` if
/// `timeout` passed first.
///
/// # Errors
/// What the system answers.
pub fn wait_writable(socket: &Socket, timeout: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if wait(socket, POLLWRNORM, left.min(POLL_MAX))? || is_shut_down(socket) {
            return Ok(true);
        }
        if left.is_zero() {
            return Ok(false);
        }
    }
}

/// Whether writing has become impossible; nothing is written to find out.
fn is_shut_down(mut socket: &Socket) -> bool {
    socket.write(&[]).is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock)
}

/// Does nothing: Windows sizes what it holds unsent by the connection's own speed and takes no
/// limit.
///
/// # Errors
/// None.
pub fn limit_unsent(_socket: &SockRef<'_>, _bytes: u32) -> io::Result<()> {
    Ok(())
}

/// Waits for an event on a socket; `false` if the time-out passed first.
fn wait(socket: &Socket, events: WSAPOLL_EVENT_FLAGS, timeout: Duration) -> io::Result<bool> {
    // Rounded up, so that the caller does not spin through the last millisecond.
    let millis = i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
    // Handles of sockets are as wide as the type of either library.
    let mut polled = WSAPOLLFD { fd: socket.as_raw_socket() as _, events, revents: 0 };
    // SAFETY: the pointer is valid for the one element that is announced, and the socket is open as
    // long as it is borrowed.
    match unsafe { WSAPoll(&raw mut polled, 1, millis) } {
        // SAFETY: the function has no preconditions.
        SOCKET_ERROR => Err(io::Error::from_raw_os_error(unsafe { WSAGetLastError() })),
        ready => Ok(ready > 0),
    }
}
