//! Link sockets on Unix: the socket blocks, and writes ask not to by a flag.

use std::{
    io::{self, IoSlice, Read},
    net::SocketAddr,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{SendAncillaryBuffer, SendFlags, send, sendmsg},
};
#[cfg(target_os = "linux")]
use socket2::{Domain, Type};

#[cfg(target_os = "linux")]
use super::losses::Counts;
use socket2::{SockRef, Socket};

/// Puts a socket into the mode that the functions of this module need.
///
/// # Errors
/// What the system answers.
pub fn adopt(socket: &Socket) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    limit_unread(socket);
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
    // State, state of congestion, repetitions.
    tcp_info(socket).is_some_and(|[_, _, repetitions, _]| repetitions >= REPETITIONS)
}

/// What the system has counted for a connection; `None` if it is not TCP or the system is too old.
#[cfg(target_os = "linux")]
pub(super) fn tcp_counts(socket: &Socket) -> Option<Counts> {
    let info = tcp_info::<TCP_INFO_LEN>(socket)?;
    let word = |at: usize| {
        let bytes = info[at..].first_chunk().expect("all places are inside");
        u32::from_ne_bytes(*bytes)
    };
    Some(Counts {
        segments: word(TCP_INFO_SEGMENTS),
        repeated: word(TCP_INFO_REPEATED),
        trip: Duration::from_micros(word(TCP_INFO_TRIP).into()),
        trip_min: Duration::from_micros(word(TCP_INFO_TRIP_MIN).into()),
    })
}

/// Changes the congestion control of a connection to BBR, if the system has it, permits it, and
/// it is another. Returns whether it was changed.
#[cfg(target_os = "linux")]
pub(super) fn use_bbr(socket: &Socket) -> bool {
    let known = socket.tcp_congestion().unwrap_or_default();
    !known.starts_with(b"bbr") && socket.set_tcp_congestion(b"bbr").is_ok()
}

/// Round trips below this are those of one computer or one switch.
#[cfg(target_os = "linux")]
const NEAR: Duration = Duration::from_micros(300);

/// Bytes that the system may hold for this program on a line as short as [`NEAR`], its own among
/// them: half of it is payload, and no such line has more under way in a round trip.
#[cfg(target_os = "linux")]
const NEAR_UNREAD_MAX: usize = 768 * 1024;

/// Keeps the queue in front of this program short on a short line. The system would let it grow to
/// what a line around the world could need, and a small packet waits behind megabytes that no queue
/// of ours governs. What is refused is no error: the queue is as long as the system wants.
#[cfg(target_os = "linux")]
fn limit_unread(socket: &Socket) {
    if tcp_counts(socket).is_some_and(|counts| counts.trip_min < NEAR) {
        // Linux doubles what it is told.
        let _ = socket.set_recv_buffer_size(NEAR_UNREAD_MAX / 2);
    }
}

/// The beginning of `tcp_info`; `None` if the system says less.
#[cfg(target_os = "linux")]
fn tcp_info<const LEN: usize>(socket: &Socket) -> Option<[u8; LEN]> {
    use std::os::fd::AsRawFd;

    let mut info = [0_u8; LEN];
    let mut len = LEN as libc::socklen_t;
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
    (result == 0 && len as usize == LEN).then_some(info)
}

/// Places in `tcp_info` (linux/tcp.h, since Linux 4.6), in bytes.
#[cfg(target_os = "linux")]
const TCP_INFO_TRIP: usize = 68;
#[cfg(target_os = "linux")]
const TCP_INFO_REPEATED: usize = 100;
#[cfg(target_os = "linux")]
const TCP_INFO_TRIP_MIN: usize = 148;
#[cfg(target_os = "linux")]
const TCP_INFO_SEGMENTS: usize = 156;
#[cfg(target_os = "linux")]
const TCP_INFO_LEN: usize = 160;

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

/// How large a packet in bytes, headers of IP included, the way to `remote` carries, as far as the
/// system knows. `None` if it has no way or does not say.
#[cfg(target_os = "linux")]
#[must_use]
pub(in crate::links) fn path_mtu(remote: SocketAddr) -> Option<u16> {
    use std::os::fd::AsRawFd;

    // Connecting looks for a way and sends nothing.
    let socket = Socket::new(Domain::for_address(remote), Type::DGRAM, None).ok()?;
    socket.connect(&remote.into()).ok()?;
    let (level, option) = match remote {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
    };
    let mut mtu: libc::c_int = 0;
    let mut len = size_of_val(&mtu) as libc::socklen_t;
    // SAFETY: the socket is open, and the system writes at most `len` bytes to `mtu`, and how many
    // it wrote to `len`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut mtu).cast(), &raw mut len)
    };
    // That of loopback is larger than what the type holds.
    (result == 0 && mtu > 0).then(|| u16::try_from(mtu).unwrap_or(u16::MAX))
}

/// How large a packet the way to `remote` carries, which this system is not asked for.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub(in crate::links) const fn path_mtu(_: SocketAddr) -> Option<u16> {
    None
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
