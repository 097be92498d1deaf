//! Link sockets on Unix: the socket blocks, and writes ask not to by a flag.

use std::{
    io::{self, IoSlice, Read},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{SendAncillaryBuffer, SendFlags, send, sendmsg},
};
use socket2::{SockRef, Socket};

/// Puts a socket into the mode that the functions of this module need.
///
/// # Errors
/// What the system answers.
pub fn adopt(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(false)
}

/// Waits for bytes and reads them; 0 is the end of the stream.
///
/// # Errors
/// What the system answers; never `WouldBlock` or `Interrupted`.
pub fn recv(socket: &Socket, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match (&mut &*socket).read(buf) {
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
    retry(|| send(socket, bytes, SEND))
}

/// Writes as much of `parts` as fits without waiting, at least one byte.
///
/// # Errors
/// `WouldBlock` if nothing fits now, `InvalidInput` for more parts than the system takes, else what
/// the system answers.
pub fn try_send_vectored(socket: &Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    retry(|| sendmsg(socket, parts, &mut SendAncillaryBuffer::default(), SEND))
}

/// Waits until the socket takes bytes, or has failed, which the next write will tell. `false` if
/// `timeout` passed first.
///
/// # Errors
/// What the system answers.
pub fn wait_writable(socket: &Socket, timeout: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(timeout).map_err(|_| Errno::INVAL)?;
    let mut sockets = [PollFd::new(socket, PollFlags::OUT)];
    match poll(&mut sockets, Some(&timeout)) {
        // A signal counts as an early wake-up; the caller looks again.
        Err(Errno::INTR) => Ok(false),
        ready => Ok(ready? > 0),
    }
}

/// Limits what the system holds unsent for a connection.
///
/// # Errors
/// What the system answers.
#[cfg(target_os = "linux")]
pub fn limit_unsent(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(bytes)
}

/// Limits what the system holds unsent for a connection.
///
/// # Errors
/// What the system answers.
#[cfg(target_os = "macos")]
pub fn limit_unsent(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    use std::os::fd::{AsFd, AsRawFd};

    // From netinet/tcp.h.
    const TCP_NOTSENT_LOWAT: libc::c_int = 0x201;
    // SAFETY: the descriptor is open as long as it is borrowed, and the value is a valid pointer to
    // as many bytes as we say.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_NOTSENT_LOWAT,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the system has sent the same bytes [`REPETITIONS`] times and got no acknowledgement: the
/// line is dead in this direction, even if the other side is still heard. `false` where the system
/// does not say.
#[cfg(target_os = "linux")]
#[must_use]
pub fn is_stalled(socket: &Socket) -> bool {
    use std::os::fd::AsRawFd;

    // The beginning of `tcp_info` (linux/tcp.h): state, state of congestion, repetitions.
    let mut info = [0_u8; 4];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the descriptor is open as long as the socket is borrowed, and the system writes at
    // most `len` bytes to `info`, and how many it wrote to `len`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    result == 0 && info[2] >= REPETITIONS
}

/// Three repetitions are 1.4 seconds on a quick line, and more on a slow one; a line that loses
/// every second packet does so once in eight times.
#[cfg(target_os = "linux")]
const REPETITIONS: u8 = 3;

/// Whether bytes get no acknowledgement, which this system does not say.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub const fn is_stalled(_: &Socket) -> bool {
    false
}

/// Calls again what a signal has interrupted.
fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<usize> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return Ok(done?),
        }
    }
}

#[cfg(target_os = "linux")]
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
/// The standard library switches SIGPIPE off for every socket here.
#[cfg(target_os = "macos")]
const SEND: SendFlags = SendFlags::DONTWAIT;
