//! Datagrams of the stack.

use std::{
    io,
    net::SocketAddrV6,
    task::{Context, Poll},
};

use smoltcp::{
    iface::SocketHandle,
    socket::{
        Socket,
        udp::{self, PacketBuffer, PacketMetadata, SendError},
    },
    wire::{IpAddress, IpEndpoint, IpListenEndpoint},
};

use super::{Core, DATAGRAMS_MAX, Stack, socket_address};

/// Headers before the data of a datagram.
const HEADERS_LEN: usize = 40 + 8;

/// Datagrams that wait in a socket, in each direction. More are lost, as datagrams may be.
const WAITING_MAX: usize = 64;
/// Their bytes.
const WAITING_BYTES_MAX: usize = 128 * 1024;

/// A socket for datagrams at one port of this node.
#[derive(Debug)]
pub struct StackDatagrams {
    stack: Stack,
    handle: SocketHandle,
}

impl Stack {
    /// The longest datagram that fits into a packet, in bytes.
    pub const DATAGRAM_LEN_MAX: usize = Self::MTU as usize - HEADERS_LEN;

    /// Opens a socket for datagrams at `port`, or at a free one for port 0.
    ///
    /// # Errors
    /// `AddrInUse`, and `OutOfMemory` when [`DATAGRAMS_MAX`] are open.
    pub fn bind(&self, port: u16) -> io::Result<StackDatagrams> {
        let handle = self.0.core.lock().bind(port)?;
        Ok(StackDatagrams { stack: self.clone(), handle })
    }
}

impl Core {
    fn bind(&mut self, port: u16) -> io::Result<SocketHandle> {
        self.check_open()?;
        if self.datagrams >= DATAGRAMS_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let port = match port {
            0 => self.free_port(|core, port| !core.is_bound(port))?,
            port if self.is_bound(port) => return Err(io::ErrorKind::AddrInUse.into()),
            port => port,
        };
        let buffer = || {
            PacketBuffer::new(vec![PacketMetadata::EMPTY; WAITING_MAX], vec![0; WAITING_BYTES_MAX])
        };
        let mut socket = udp::Socket::new(buffer(), buffer());
        let place = IpListenEndpoint { addr: Some(IpAddress::Ipv6(self.own)), port };
        socket.bind(place).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.datagrams += 1;
        Ok(self.sockets.add(socket))
    }

    fn is_bound(&self, port: u16) -> bool {
        self.sockets.iter().any(|(_, socket)| match socket {
            Socket::Udp(socket) => socket.endpoint().port == port,
            Socket::Tcp(_) => false,
        })
    }

    fn poll_receive(
        &mut self,
        handle: SocketHandle,
        room: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(usize, SocketAddrV6)>> {
        self.check_open()?;
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(handle);
        let Ok((data, from)) = socket.recv() else {
            socket.register_recv_waker(context.waker());
            return Poll::Pending;
        };
        let len = data.len().min(room.len());
        room[..len].copy_from_slice(&data[..len]);
        Poll::Ready(Ok((len, socket_address(from.endpoint))))
    }

    fn poll_send(
        &mut self,
        handle: SocketHandle,
        data: &[u8],
        to: SocketAddrV6,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_open()?;
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(handle);
        let to = IpEndpoint::new(IpAddress::Ipv6(*to.ip()), to.port());
        match socket.send_slice(data, to) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(SendError::BufferFull) => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Err(SendError::Unaddressable) => Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
        }
    }
}

impl StackDatagrams {
    /// Waits for a datagram and copies as much of it as there is room for.
    ///
    /// # Errors
    /// `NotConnected` once the stack is closed.
    pub async fn recv_from(&self, room: &mut [u8]) -> io::Result<(usize, SocketAddrV6)> {
        std::future::poll_fn(|context| {
            self.stack.0.core.lock().poll_receive(self.handle, room, context)
        })
        .await
    }

    /// Sends a datagram, as soon as there is room for it.
    ///
    /// # Errors
    /// `InvalidInput` for one longer than [`Stack::DATAGRAM_LEN_MAX`] or to no address,
    /// `NotConnected` once the stack is closed.
    pub async fn send_to(&self, data: &[u8], to: SocketAddrV6) -> io::Result<()> {
        if data.len() > Stack::DATAGRAM_LEN_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        std::future::poll_fn(|context| {
            self.stack.0.core.lock().poll_send(self.handle, data, to, context)
        })
        .await?;
        self.stack.0.work.notify_one();
        Ok(())
    }
}

impl Drop for StackDatagrams {
    fn drop(&mut self) {
        let mut core = self.stack.0.core.lock();
        core.sockets.remove(self.handle);
        core.datagrams -= 1;
    }
}
