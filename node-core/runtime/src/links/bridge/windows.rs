//! Pairs of local sockets on Windows: a connection over loopback.

use std::{
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use socket2::{SockRef, Socket};

use super::LOCAL_BUFFER;

/// Strangers that may come before our own end; any program of this machine can be one.
const STRANGERS_MAX: usize = 16;

/// Two connected sockets: one for the data path, one for the runtime.
///
/// Each end is checked to be the other's: nobody else of this machine gets between.
///
/// # Errors
/// What the system answers; `ConnectionRefused` if strangers kept the place taken.
pub(super) fn pair() -> io::Result<(Socket, tokio::net::TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let far = accept_from(&listener, &near)?;
    for socket in [&near, &far] {
        let socket = SockRef::from(socket);
        socket.set_tcp_nodelay(true)?;
        socket.set_send_buffer_size(LOCAL_BUFFER)?;
        socket.set_recv_buffer_size(LOCAL_BUFFER)?;
    }
    far.set_nonblocking(true)?;
    Ok((near.into(), tokio::net::TcpStream::from_std(far)?))
}

/// Takes the connection whose other end is `near`, which is waiting already.
fn accept_from(listener: &TcpListener, near: &TcpStream) -> io::Result<TcpStream> {
    let wanted = near.local_addr()?;
    for _ in 0..STRANGERS_MAX {
        let (far, from) = listener.accept()?;
        if from == wanted {
            return Ok(far);
        }
    }
    Err(io::ErrorKind::ConnectionRefused.into())
}
