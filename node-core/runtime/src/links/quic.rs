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
//! Between nodes of this program frames may travel as datagrams beside the stream
//! ([`super::lane`]). Stock nodes are offered that, too, as part of the connection's own handshake,
//! and do not take it up.
//!
//! Loss on the line is not taken for congestion ([`super::steady`]).
//!
//! Source: protocol chapter 2.4.

use std::{
    io::{self, IoSliceMut},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use planetary_proto::link::meta::Capabilities;
use quinn::{
    AsyncUdpSocket, ClientConfig, Connection, Endpoint, EndpointConfig, Incoming,
    MtuDiscoveryConfig, RecvStream, Runtime, SendStream, ServerConfig, TokioRuntime,
    TransportConfig, UdpPoller, VarInt,
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig},
    udp::{RecvMeta, Transmit},
};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{sleep, timeout},
};

use super::{
    admission::HANDSHAKES_MAX,
    bridge::bridge,
    lane::{self, DatagramLane, FrameMax},
    socket::{self, UNSENT_MAX},
    steady::SteadyConfig,
    transport::Wire,
};

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

/// Datagrams that nobody has taken yet. The oldest make room: a burst of a fast line that the
/// processor is late for. A stranger can make us hold so much, too, for as long as a handshake may
/// take.
const DATAGRAMS_UNREAD_MAX: usize = 256 * 1024;

/// Datagrams that are not sent yet: enough for what leaves at once. More would wait where nothing
/// can overtake it.
const DATAGRAMS_UNSENT_MAX: usize = 32 * 1024;

/// A path is searched for packets of this size at most, if the line carries so much: a jumbo frame.
const LINE_MAX: u16 = FrameMax::LIMIT as u16;

/// IPv6 and UDP. Over IPv4 twenty bytes remain unused.
const HEADERS: u16 = 48;

/// What the system takes in one go to be cut into packets: the payload of the largest UDP packet.
const TRANSMIT_MAX: usize = 65_535 - HEADERS as usize;

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
        let client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client)?));
        let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server)?));
        // Handshakes that nobody has taken yet. Whoever comes on top is refused.
        server.max_incoming(HANDSHAKES_MAX);
        server.incoming_buffer_size(u64::from(STRANGER_WINDOW));
        server.incoming_buffer_size_total(HANDSHAKES_MAX as u64 * 16 * 1024);
        Ok(Self { client, server })
    }

    fn client(&self, remote: SocketAddr) -> ClientConfig {
        let mut client = self.client.clone();
        client.transport_config(Arc::new(transport(0, remote)));
        client
    }

    fn server(&self, remote: SocketAddr) -> ServerConfig {
        let mut server = self.server.clone();
        server.transport_config(Arc::new(transport(1, remote)));
        server
    }
}

/// What this side of a connection with `remote` does. `streams` is how many the other side may
/// open.
fn transport(streams: u8, remote: SocketAddr) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    // What leaves this machine in one piece is all that is worth a try. The library's own limit
    // suits most lines.
    if let Some(line) = socket::path_mtu(remote) {
        discovery.upper_bound(line.min(LINE_MAX).saturating_sub(HEADERS));
    }
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(IDLE_MAX.try_into().ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(0_u8.into())
        .datagram_receive_buffer_size(Some(DATAGRAMS_UNREAD_MAX))
        .datagram_send_buffer_size(DATAGRAMS_UNSENT_MAX)
        .mtu_discovery_config(Some(discovery))
        .congestion_controller_factory(Arc::new(SteadyConfig))
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
    let connecting = endpoint.connect_with(settings.client(remote), remote, &name);
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
pub(super) async fn accept(settings: &Settings, incoming: Incoming) -> io::Result<Stream> {
    let server = settings.server(incoming.remote_address());
    let connection = incoming.accept_with(Arc::new(server))?.await?;
    let (send, recv) = connection.accept_bi().await?;
    Ok(Stream::new(connection, send, recv))
}

/// The stream of a connection, which ends with it.
pub(super) struct Stream {
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
    send_window: u64,
    frame_max: FrameMax,
    /// Waits until the other side has received everything.
    finishing: Option<Finishing>,
}

type Finishing = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl Stream {
    fn new(connection: Connection, send: SendStream, recv: RecvStream) -> Self {
        Self {
            connection,
            send,
            recv,
            send_window: UNSENT_MAX.into(),
            frame_max: FrameMax::default(),
            finishing: None,
        }
    }

    /// Lets as much be written as is sent soon, and datagrams be as large as the path carries,
    /// which what is sent here has found out.
    fn follow_path(&mut self) {
        self.frame_max.follow(&self.connection);
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
        self.follow_path();
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
    fn capabilities(&self) -> Capabilities {
        if lane::AVAILABLE && self.connection.max_datagram_size().is_some() {
            Capabilities::DATAGRAMS
        } else {
            Capabilities::NONE
        }
    }

    fn open_lane(&self) -> io::Result<Option<DatagramLane>> {
        lane::open(&self.connection, &self.frame_max).map(Some)
    }

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
    let socket = Arc::new(Jumbo(socket));
    let mut config = EndpointConfig::default();
    // The smallest and the largest that are allowed are far away.
    let _ = config.max_udp_payload_size(LINE_MAX);
    Endpoint::new_with_abstract_socket(config, None, socket, runtime)
}

/// A socket that takes as many packets of any size in one go as the library likes to give it. Ten
/// of nine thousand bytes are more than the system takes, and would be lost without a word.
#[derive(Debug)]
struct Jumbo(Arc<dyn AsyncUdpSocket>);

impl AsyncUdpSocket for Jumbo {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.0).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let len_max = match transmit.segment_size {
            Some(segment) if transmit.contents.len() > TRANSMIT_MAX => {
                (TRANSMIT_MAX / segment * segment).max(1)
            }
            _ => return self.0.try_send(transmit),
        };
        // If the system takes the first part only, the library comes with all of it once more. What
        // arrives twice is known by its number.
        for contents in transmit.contents.chunks(len_max) {
            self.0.try_send(&Transmit { contents, ..transmit.clone() })?;
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.0.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}
