//! Links over QUIC: one connection with one stream that carries everything.
//!
//! TLS inside is that of [`super::tls`]: the node's own certificate, no checks, no ALPN, no SNI
//! unless asked for. A dial has a UDP socket of its own, so that nothing is shared between links,
//! and every new attempt comes from another port, which is what a router that lost its memory
//! needs. Connections may move to another address of the dialler, as QUIC allows.
//!
//! Strangers get little: a window that holds a `meta` message and not much more, one stream, and no
//! answer larger than what they sent before their address is known to be theirs. When handshakes
//! are many, that is asked for first.
//!
//! The kernel of TCP tells how much is unsent; QUIC keeps that to itself. So what is written is
//! bounded by the congestion window and [`UNSENT_MAX`] on top: a frame written behind it would wait
//! where no more urgent one can overtake it.
//!
//! Source: protocol chapter 2.4.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use quinn::{
    AsyncUdpSocket, ClientConfig, Connection, Endpoint, EndpointConfig, Incoming, RecvStream,
    Runtime, SendStream, ServerConfig, TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig},
};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{sleep, timeout},
};

use super::{admission::HANDSHAKES_MAX, bridge::bridge, socket::UNSENT_MAX, transport::Wire};

/// After so long without a packet of the other side, a connection is dead. The network's value, as
/// the next one.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A quiet connection is kept alive so often, by either side.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What a stranger may send before it is read: a `meta` message of the largest size.
const STRANGER_WINDOW: u32 = 64 * 1024;

/// What a peer may send before it is read: enough for a gigabit over 30 milliseconds. Only a link
/// whose packets nobody takes here holds so much.
const PEER_WINDOW: u32 = 4 * 1024 * 1024;

/// What the system may hold for a socket, where it allows so much: bursts of a fast peer are lost
/// otherwise while the processor is busy. More is not needed, for QUIC paces what it sends.
const SOCKET_BUFFER: usize = 2 * 1024 * 1024;

/// How long a listener that is closed waits for its connections to say goodbye.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

/// How often to look whether the socket of a closed listener is gone.
const CLOSE_POLL: Duration = Duration::from_millis(5);

/// The status of an ordinary end.
const FAREWELL: VarInt = VarInt::from_u32(0);

/// The QUIC settings of a node, for both directions. Cheap to clone.
#[derive(Clone)]
pub(super) struct Settings {
    client: ClientConfig,
    server: ServerConfig,
}

impl Settings {
    /// Settings around those of TLS.
    ///
    /// # Errors
    /// None that depends on the arguments: the cipher that QUIC begins with is always there.
    pub(super) fn new(
        client: Arc<rustls::ClientConfig>,
        server: Arc<rustls::ServerConfig>,
    ) -> Result<Self, NoInitialCipherSuite> {
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client)?));
        client.transport_config(Arc::new(transport(0)));
        let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server)?));
        server.transport_config(Arc::new(transport(1)));
        // Handshakes that nobody has taken yet. Whoever comes on top is refused.
        server.max_incoming(HANDSHAKES_MAX);
        server.incoming_buffer_size(u64::from(STRANGER_WINDOW));
        server.incoming_buffer_size_total(HANDSHAKES_MAX as u64 * 16 * 1024);
        Ok(Self { client, server })
    }
}

/// What both sides agree on. `streams` is how many the other side may open.
fn transport(streams: u8) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(IDLE_MAX.try_into().ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(0_u8.into())
        .datagram_receive_buffer_size(None)
        .stream_receive_window(PEER_WINDOW.into())
        .receive_window(STRANGER_WINDOW.into())
        .send_window(u64::from(UNSENT_MAX));
    transport
}

/// Opens a connection and its stream. `name` goes into the SNI extension; there is none without it.
///
/// # Errors
/// What the system or the other side answers.
pub(super) async fn connect(
    settings: &Settings,
    remote: SocketAddr,
    name: Option<&str>,
) -> io::Result<Stream> {
    let any: SocketAddr = match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = endpoint(wrap(bind(any)?)?)?;
    // An address as a name sends none.
    let name = name.map_or_else(|| remote.ip().to_string(), str::to_owned);
    let connecting = endpoint.connect_with(settings.client.clone(), remote, &name);
    let connection = connecting.map_err(io::Error::other)?.await?;
    let (send, recv) = connection.open_bi().await?;
    Ok(Stream::new(connection, send, recv))
}

/// A UDP socket at which connections come in.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    bound: Mutex<Bound>,
}

#[derive(Debug)]
struct Bound {
    endpoint: Endpoint,
    /// Is gone when the port is free again.
    socket: Weak<dyn AsyncUdpSocket>,
}

impl Listener {
    /// Binds `address`; connections are taken after [`Self::open`].
    ///
    /// # Errors
    /// What the system answers.
    pub(super) fn bind(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let bound = Bound::at(address)?;
        let address = bound.endpoint.local_addr()?;
        Ok((Self { address, bound: Mutex::new(bound) }, address))
    }

    /// Begins to take connections.
    pub(super) fn open(&self, settings: &Settings) {
        self.bound.lock().endpoint.set_server_config(Some(settings.server.clone()));
    }

    /// Waits for the next connection. Safe to cancel.
    ///
    /// # Errors
    /// What the system answers when a socket that has failed is to be replaced.
    pub(super) async fn accept(&self, settings: &Settings) -> io::Result<Incoming> {
        loop {
            let endpoint = self.bound.lock().endpoint.clone();
            if let Some(incoming) = endpoint.accept().await {
                return Ok(incoming);
            }
            // The system failed to receive. Connections of that socket are lost.
            *self.bound.lock() = Bound::at(self.address)?;
            self.open(settings);
        }
    }

    /// Closes all connections, and returns when the port is free or cannot be waited for.
    pub(super) async fn close(self) {
        let Bound { endpoint, socket } = self.bound.into_inner();
        let closed = async {
            endpoint.close(FAREWELL, b"");
            endpoint.wait_idle().await;
            drop(endpoint);
            // Let go of by a task of the library.
            while socket.strong_count() > 0 {
                sleep(CLOSE_POLL).await;
            }
        };
        let _ = timeout(CLOSE_TIME_MAX, closed).await;
    }
}

impl Bound {
    fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = wrap(bind(address)?)?;
        let weak = Arc::downgrade(&socket);
        Ok(Self { endpoint: endpoint(socket)?, socket: weak })
    }
}

/// Takes a connection and its stream. The caller sets the deadline.
///
/// # Errors
/// What the other side's QUIC answers.
pub(super) async fn accept(incoming: Incoming) -> io::Result<Stream> {
    let connection = incoming.accept()?.await?;
    let (send, recv) = connection.accept_bi().await?;
    Ok(Stream::new(connection, send, recv))
}

/// The stream of a connection, which ends with it.
pub(super) struct Stream {
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
    send_window: u64,
    /// Waits until the other side has received everything.
    finishing: Option<Finishing>,
}

type Finishing = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl Stream {
    fn new(connection: Connection, send: SendStream, recv: RecvStream) -> Self {
        Self { connection, send, recv, send_window: UNSENT_MAX.into(), finishing: None }
    }

    /// Lets as much be written as is sent soon.
    fn adjust_send_window(&mut self) {
        let window = self.connection.stats().path.cwnd + u64::from(UNSENT_MAX);
        if window != self.send_window {
            self.send_window = window;
            self.connection.set_send_window(window);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.recv), cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.adjust_send_window();
        AsyncWrite::poll_write(Pin::new(&mut self.send), cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let finishing = this.finishing.get_or_insert_with(|| {
            // Fails if there is nothing left to finish.
            let _ = this.send.finish();
            let stopped = this.send.stopped();
            Box::pin(async move {
                let _ = stopped.await;
            })
        });
        ready!(finishing.as_mut().poll(cx));
        this.connection.close(FAREWELL, b"");
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.close(FAREWELL, b"");
    }
}

impl Wire for Stream {
    fn into_socket(self: Box<Self>) -> io::Result<Socket> {
        // No stranger any more.
        self.connection.set_receive_window(PEER_WINDOW.into());
        bridge(*self)
    }
}

fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() {
        // Systems differ in whether `[::]` takes IPv4 by itself. Nobody dials IPv4 from it.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Smaller ones do as well.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn wrap(socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    TokioRuntime.wrap_udp_socket(socket)
}

fn endpoint(socket: Arc<dyn AsyncUdpSocket>) -> io::Result<Endpoint> {
    let runtime = Arc::new(TokioRuntime);
    Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, runtime)
}
