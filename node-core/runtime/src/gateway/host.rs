//! This machine as a host of the network: connections, listeners and datagrams at the node's own
//! address, over the system's sockets where there is an interface, over the node's own stack where
//! there is none.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use planetary_circles::names::Zone;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

use super::{
    stack::{Stack, StackDatagrams, StackListener, StackStream},
    target::{ReachError, Target},
};
use crate::data::DataPlane;

/// How long a connection may take to open: the far node is looked up and greeted first.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Clone)]
pub struct Host(Arc<DataPlane>);

/// A connection: over the network, or with a program of this computer.
#[derive(Debug)]
pub enum Stream {
    /// Of the system.
    System(TcpStream),
    /// Of the stack.
    Stack(StackStream),
}

/// Takes connections.
#[derive(Debug)]
pub enum Listener {
    /// Of the system.
    System(TcpListener),
    /// Of the stack.
    Stack(StackListener),
}

/// A socket for datagrams.
#[derive(Debug)]
pub enum Datagrams {
    /// Of the system.
    System(UdpSocket),
    /// Of the stack.
    Stack(StackDatagrams),
}

impl Host {
    pub(crate) const fn new(data: Arc<DataPlane>) -> Self {
        Self(data)
    }

    /// The node's own address.
    #[must_use]
    pub fn address(&self) -> Ipv6Addr {
        self.0.territory.address.to_ipv6()
    }

    /// The names that are known now; none while names are not answered.
    pub(super) fn zone(&self) -> Option<Arc<Zone>> {
        self.0.names.load_full()
    }

    /// Whether TCP and UDP run in this program, because there is no interface.
    #[must_use]
    pub fn is_user_space(&self) -> bool {
        self.0.inside.load().as_ref().is_some_and(|inside| inside.stack().is_some())
    }

    /// The stack, or `None` where there is an interface.
    fn stack(&self) -> io::Result<Option<Stack>> {
        let inside = self.0.inside.load();
        let inside = inside.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Ok(inside.stack().cloned())
    }

    /// Opens a connection to a node by its name or address.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn reach(&self, target: &Target) -> Result<Stream, ReachError> {
        let to = target.resolve(self.zone().as_deref())?;
        self.connect(to).await.map_err(ReachError::of)
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// `ConnectionRefused`, `TimedOut` after half a minute, and what the system answers.
    pub async fn connect(&self, to: SocketAddrV6) -> io::Result<Stream> {
        if let Some(stack) = self.stack()? {
            return stack.connect(to).await.map(Stream::Stack);
        }
        let socket = TcpSocket::new_v6()?;
        // From no other address, and so through no other interface.
        socket.bind(self.at(0))?;
        let connected = timeout(OPEN_MAX, socket.connect(to.into())).await;
        let stream = connected.map_err(|_| io::ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(Stream::System(stream))
    }

    /// Takes connections to a port of this node. Who may open them is the packet filter's business.
    ///
    /// # Errors
    /// `AddrInUse`, and what the system answers.
    pub async fn listen(&self, port: u16) -> io::Result<Listener> {
        match self.stack()? {
            Some(stack) => stack.listen(port).map(Listener::Stack),
            None => TcpListener::bind(self.at(port)).await.map(Listener::System),
        }
    }

    /// Opens a socket for datagrams at a port of this node, or at a free one for port 0.
    ///
    /// # Errors
    /// `AddrInUse`, and what the system answers.
    pub async fn bind(&self, port: u16) -> io::Result<Datagrams> {
        match self.stack()? {
            Some(stack) => stack.bind(port).map(Datagrams::Stack),
            None => UdpSocket::bind(self.at(port)).await.map(Datagrams::System),
        }
    }

    fn at(&self, port: u16) -> SocketAddr {
        (self.address(), port).into()
    }
}

impl Stream {
    /// Closes with a reset, so that what broke off does not look finished.
    pub(super) fn reset(self) {
        if let Self::System(stream) = &self {
            // Where the system refuses it, the connection is closed in the usual way.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
        // The stack resets what is dropped unfinished.
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::System(stream) => Pin::new(stream).poll_read(context, room),
            Self::Stack(stream) => Pin::new(stream).poll_read(context, room),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::System(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Stack(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::System(stream) => Pin::new(stream).poll_flush(context),
            Self::Stack(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::System(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Stack(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl Listener {
    /// The next connection, and where it comes from.
    ///
    /// # Errors
    /// `NotConnected` once the node is down; what the system answers may pass.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::System(listener) => {
                let (stream, from) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream::System(stream), from))
            }
            Self::Stack(listener) => {
                let stream = listener.accept().await?;
                let from = stream.remote().into();
                Ok((Stream::Stack(stream), from))
            }
        }
    }
}

impl Datagrams {
    /// Waits for a datagram and copies as much of it as there is room for.
    ///
    /// # Errors
    /// `NotConnected` once the node is down; what the system answers may pass.
    pub async fn recv_from(&self, room: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Self::System(socket) => loop {
                match socket.recv_from(room).await {
                    // Windows tells so of a datagram that was sent before and reached nobody.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                    received => return received,
                }
            },
            Self::Stack(socket) => {
                let (len, from) = socket.recv_from(room).await?;
                Ok((len, from.into()))
            }
        }
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// It was too long, or what the system answers. The socket stays usable.
    pub async fn send_to(&self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        match (self, to) {
            (Self::System(socket), to) => socket.send_to(data, to).await.map(drop),
            (Self::Stack(socket), SocketAddr::V6(to)) => socket.send_to(data, to).await,
            (Self::Stack(_), SocketAddr::V4(_)) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("address", &self.address()).finish_non_exhaustive()
    }
}
