//! Pairs of local sockets on Unix, which has them.

use std::{io, os::fd::OwnedFd};

use socket2::{Domain, Socket, Type};
use tokio::net::UnixStream;

use super::LOCAL_BUFFER;

/// Two connected sockets: one for the data path, one for the runtime.
///
/// # Errors
/// What the system answers.
pub(super) fn pair() -> io::Result<(Socket, UnixStream)> {
    let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
    for socket in [&near, &far] {
        socket.set_send_buffer_size(LOCAL_BUFFER)?;
        // Linux counts what is on its way with the sender, macOS with the receiver.
        socket.set_recv_buffer_size(LOCAL_BUFFER)?;
    }
    far.set_nonblocking(true)?;
    let far = UnixStream::from_std(OwnedFd::from(far).into())?;
    Ok((near, far))
}
