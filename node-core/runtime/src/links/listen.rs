//! Taking connections from peers that dial us.
//!
//! A [`Listener`] is a bound socket. While it is served it owns everything that came in through it,
//! so that stopping it closes the socket, the handshakes and the links. Strangers are kept short: a
//! bounded number of handshakes at once, one deadline for TLS and `meta` together, and not a byte
//! to those who are refused.
//!
//! Source: protocol chapters 2.2, 2.3 and 2.7.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use parking_lot::Mutex;
use planetary_proto::{
    limits::Rate,
    rate::RateLimiter,
    time::{Duration, Instant},
};
use socket2::{Domain, SockRef, Socket, Type};
use thiserror::Error;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

pub use super::admission::{HANDSHAKES_MAX, HANDSHAKES_PER_SOURCE_MAX};
#[cfg(unix)]
use super::unix::SocketFile;
use super::{
    Direction, Established, LinkSink, LocalEnd,
    admission::Admission,
    dial::{DialError, is_overlay, resolve},
    handshake::{HANDSHAKE_TIME_MAX, HandshakeError, Terms},
    quic, socket,
    transport::{Origin, Transport, Wire},
    uri::{Endpoint, ListenUri, Place, Scheme},
    websocket::upgrade,
};

/// How many finished connections the system keeps for us. They are taken at once; this covers a
/// moment without the processor.
const BACKLOG: i32 = 128;

/// Incoming links that the log tells of; further ones are told at the level of debugging.
const TOLD_RATE: Rate = Rate { per_s: 1, burst: 60 };

/// How long to wait when the system has no descriptors or memory left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    address: Option<SocketAddr>,
    uri: ListenUri,
    opened: std::time::Instant,
    /// Links that are told of: strangers must not fill the log.
    told: Mutex<RateLimiter>,
}

/// What a listener is bound to.
#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Quic(quic::Listener),
    #[cfg(unix)]
    File(SocketFile),
}

/// A connection that has come in and that nothing was done with.
enum Arrival {
    Tcp(TcpStream),
    Quic(Box<quinn::Incoming>),
    #[cfg(unix)]
    File(UnixStream),
}

/// Why a listener could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The host does not resolve, or its zone names no interface.
    #[error(transparent)]
    Host(#[from] DialError),
    /// A host in the overlay: links do not run over the overlay itself.
    #[error("a listener cannot be on an address of the overlay itself")]
    Overlay,
    /// The transport of the URI does not exist here.
    #[error("links over {0} do not exist on this system")]
    Unsupported(&'static str),
    /// The socket file cannot be made.
    #[error("cannot listen on {}", path.display())]
    File {
        /// Where it was to be.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The system refused the address: it is in use, not of this machine, or its port is for
    /// privileged programs.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address tried last.
        address: SocketAddr,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

impl Listener {
    /// Binds what the URI names; of a host with several addresses the first that can be bound.
    /// `[::]` takes IPv4 too.
    ///
    /// Must run inside a tokio runtime.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn bind(uri: ListenUri) -> Result<Self, ListenError> {
        let (socket, address) = match (uri.scheme(), uri.place()) {
            (Scheme::Tcp | Scheme::Tls, Place::Node(endpoint))
            | (Scheme::Ws | Scheme::Wss, Place::Web { server: endpoint, .. }) => {
                let (socket, address) = first_bound(endpoint, bind_tcp).await?;
                (Bound::Tcp(socket), Some(address))
            }
            (Scheme::Quic, Place::Node(endpoint)) => {
                let (socket, address) = first_bound(endpoint, quic::Listener::bind).await?;
                (Bound::Quic(socket), Some(address))
            }
            #[cfg(unix)]
            (Scheme::Unix, Place::File(path)) => {
                let failed = |source| ListenError::File { path: path.clone(), source };
                (Bound::File(SocketFile::bind(path).await.map_err(failed)?), None)
            }
            (scheme, _) => return Err(ListenError::Unsupported(scheme.name())),
        };
        let opened = std::time::Instant::now();
        let told = Mutex::new(RateLimiter::new(TOLD_RATE, Instant::START));
        Ok(Self { socket, address, uri, opened, told })
    }

    /// The address that is listened on, with the port that the system chose if the URI has 0;
    /// `None` for a socket file.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether the log may tell of another link.
    fn tells(&self) -> bool {
        let elapsed = Duration::from_micros(self.opened.elapsed().as_micros() as u64);
        self.told.lock().allow(Instant::START + elapsed)
    }

    /// Takes connections, makes links of them, and hands these to `sink`, until `stop` fires or its
    /// other half is dropped. Then closes everything and returns when that is done.
    pub(crate) async fn serve<S: LinkSink>(
        self,
        local: LocalEnd,
        admission: Admission,
        sink: Arc<S>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let listener = Arc::new(self);
        let mut links = JoinSet::new();
        listener.socket.open(&local);
        loop {
            let accepted = tokio::select! {
                _ = &mut stop => break,
                accepted = listener.socket.accept(&local) => accepted,
                // Nothing to learn from a link's task, but it must be taken out of the set.
                Some(_) = links.join_next() => continue,
            };
            let (arrival, remote) = match accepted {
                Ok((arrival, remote)) => (arrival, remote.map(canonical)),
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            let source = remote.map(|remote| remote.ip());
            if source.is_some_and(is_overlay) {
                debug!(?remote, "refused a connection that comes over the overlay itself");
                continue;
            }
            if arrival.may_be_forged() && admission.is_crowded(source) {
                arrival.ask_for_proof();
                continue;
            }
            let Some(ticket) = admission.admit(source) else {
                debug!(?remote, "refused a connection, too many handshakes are running");
                continue;
            };
            let (listener, local, sink) = (Arc::clone(&listener), local.clone(), Arc::clone(&sink));
            links.spawn(async move {
                let link = listener.welcome(&local, arrival, remote).await;
                drop(ticket);
                match link {
                    Ok(link) => {
                        let uri = &listener.uri;
                        let is_told = listener.tells();
                        if is_told {
                            info!(listener = %uri, "incoming link up");
                        }
                        let end = sink.run(link).await;
                        if is_told {
                            info!(listener = %uri, reason = %end.message, "incoming link down");
                        }
                        debug!(?remote, reason = end.code, "incoming link ended");
                    }
                    Err(error) => {
                        debug!(?remote, %error, "a connection did not become a link");
                    }
                }
            });
        }
        links.shutdown().await;
        // The tasks are gone, and with them their handles.
        if let Some(listener) = Arc::into_inner(listener) {
            listener.socket.close().await;
        }
    }

    /// Makes a link of a connection, or gives it up when the time is over.
    async fn welcome(
        &self,
        local: &LocalEnd,
        arrival: Arrival,
        remote: Option<SocketAddr>,
    ) -> Result<Established, HandshakeError> {
        let agreed = async {
            let wire: Box<dyn Wire> = match arrival {
                Arrival::Tcp(stream) => {
                    socket::tune(SockRef::from(&stream))?;
                    Box::new(stream)
                }
                Arrival::Quic(incoming) => {
                    Box::new(quic::accept(local.tls.quic(), *incoming).await?)
                }
                #[cfg(unix)]
                Arrival::File(stream) => Box::new(stream),
            };
            let transport = match self.uri.scheme() {
                Scheme::Tls => {
                    let stream = local.tls.accept(wire).await.map_err(HandshakeError::Tls)?;
                    Transport::Tls(Box::new(stream))
                }
                Scheme::Ws => {
                    let socket = upgrade::accept(wire, self.uri.origins()).await?;
                    Transport::Plain(Box::new(socket))
                }
                Scheme::Wss => {
                    let stream = local.tls.accept_web(wire).await.map_err(HandshakeError::Tls)?;
                    let socket = upgrade::accept(stream, self.uri.origins()).await?;
                    Transport::Plain(Box::new(socket))
                }
                _ => Transport::Plain(wire),
            };
            let terms = Terms {
                identity: &local.identity,
                priority: self.uri.priority(),
                password: self.uri.password(),
                pinned: &[],
                allowed: &local.allowed_keys,
            };
            let uri = match remote {
                Some(remote) => format!("{}://{remote}", self.uri.scheme().name()),
                None => self.uri.to_string(),
            };
            let direction = Direction::Incoming;
            let origin = Origin { remote, direction, interface: None, uri };
            transport.agree(&terms, origin).await
        };
        timeout(HANDSHAKE_TIME_MAX, agreed).await.unwrap_or(Err(HandshakeError::Timeout))
    }
}

impl Bound {
    /// Begins to take connections.
    fn open(&self, local: &LocalEnd) {
        if let Self::Quic(socket) = self {
            socket.open(local.tls.quic());
        }
    }

    /// Frees what was bound, which takes a moment where connections have to be told.
    async fn close(self) {
        if let Self::Quic(socket) = self {
            socket.close().await;
        }
    }

    /// Waits for the next connection. Safe to cancel.
    async fn accept(&self, local: &LocalEnd) -> io::Result<(Arrival, Option<SocketAddr>)> {
        match self {
            Self::Quic(socket) => {
                let incoming = socket.accept(local.tls.quic()).await?;
                let remote = incoming.remote_address();
                Ok((Arrival::Quic(Box::new(incoming)), Some(remote)))
            }
            Self::Tcp(socket) => {
                let (stream, remote) = socket.accept().await?;
                Ok((Arrival::Tcp(stream), Some(remote)))
            }
            #[cfg(unix)]
            Self::File(socket) => Ok((Arrival::File(socket.accept().await?), None)),
        }
    }
}

impl Arrival {
    /// Whether somebody may have written another's address as their own.
    fn may_be_forged(&self) -> bool {
        match self {
            Self::Quic(incoming) => !incoming.remote_address_validated(),
            Self::Tcp(_) => false,
            #[cfg(unix)]
            Self::File(_) => false,
        }
    }

    /// Lets who came come again, with a proof that answers reach them.
    fn ask_for_proof(self) {
        if let Self::Quic(incoming) = self {
            // Refused only to who has one.
            let _ = (*incoming).retry();
        }
    }
}

/// Binds the first address of a host that `bind` can bind.
async fn first_bound<T>(
    endpoint: &Endpoint,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<T, ListenError> {
    let mut failure = ListenError::Host(DialError::NoSuitableAddress);
    for address in resolve(endpoint).await? {
        if is_overlay(address.ip()) {
            failure = ListenError::Overlay;
            continue;
        }
        match bind(address) {
            Ok(bound) => return Ok(bound),
            Err(source) => failure = ListenError::Bind { address, source },
        }
    }
    Err(failure)
}

fn bind_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // Systems differ in whether `[::]` takes IPv4 by itself.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart must not wait for the last connections to be forgotten. On Windows the option means
    // something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// An IPv4 address that arrived on an IPv6 socket is an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // Keeps the scope of a link-local address.
        IpAddr::V6(_) => address,
    }
}

/// Lets the system recover after a failed accept, unless only that one connection had failed.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        return;
    }
    warn!(%error, "the system has no room for another connection");
    sleep(EXHAUSTED_PAUSE).await;
}
