//! What an error means that a socket for datagrams gives instead of one.

use std::io;

/// Whether an error speaks of one datagram, and the socket hears others as before.
#[cfg(unix)]
pub(crate) const fn is_about_one(_: &io::Error) -> bool {
    false
}

/// Whether an error speaks of one datagram, and the socket hears others as before: of one that is
/// longer than its place, where other systems cut it, or of one that was sent earlier and reached
/// nobody, which other systems tell only on connected sockets.
#[cfg(windows)]
pub(crate) fn is_about_one(error: &io::Error) -> bool {
    use windows_sys::Win32::Networking::WinSock::{WSAECONNRESET, WSAEMSGSIZE, WSAENETRESET};
    matches!(error.raw_os_error(), Some(WSAEMSGSIZE | WSAECONNRESET | WSAENETRESET))
}
