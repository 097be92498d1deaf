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
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

pub use super::admission::{HANDSHAKES_MAX, HANDSHAKES_PER_SOURCE_MAX};
use super::{
    Direction, Established, LinkSink, LocalEnd,
    admission::Admission,
    dial::{DialError, is_overlay, resolve},
    handshake::{HANDSHAKE_TIME_MAX, HandshakeError, Terms},
    socket,
    transport::{Origin, Transport},
    uri::{ListenUri, Scheme},
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
    socket: TcpListener,
    address: SocketAddr,
    uri: ListenUri,
    opened: std::time::Instant,
    /// Links that are told of: strangers must not fill the log.
    told: Mutex<RateLimiter>,
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
    /// Binds the first address of the URI's host that can be bound. `[::]` takes IPv4 too.
    ///
    /// Must run inside a tokio runtime.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn bind(uri: ListenUri) -> Result<Self, ListenError> {
        let mut failure = ListenError::Host(DialError::NoSuitableAddress);
        for address in resolve(uri.host(), uri.port()).await? {
            if is_overlay(address.ip()) {
                failure = ListenError::Overlay;
                continue;
            }
            match bind(address) {
                Ok((socket, address)) => {
                    let opened = std::time::Instant::now();
                    let told = Mutex::new(RateLimiter::new(TOLD_RATE, Instant::START));
                    return Ok(Self { socket, address, uri, opened, told });
                }
                Err(source) => failure = ListenError::Bind { address, source },
            }
        }
        Err(failure)
    }

    /// The address that is listened on, with the port that the system chose if the URI has 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
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
        loop {
            let accepted = tokio::select! {
                _ = &mut stop => return links.shutdown().await,
                accepted = listener.socket.accept() => accepted,
                // Nothing to learn from a link's task, but it must be taken out of the set.
                Some(_) = links.join_next() => continue,
            };
            let (stream, remote) = match accepted {
                Ok((stream, remote)) => (stream, canonical(remote)),
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            if is_overlay(remote.ip()) {
                debug!(%remote, "refused a connection that comes over the overlay itself");
                continue;
            }
            let Some(ticket) = admission.admit(remote.ip()) else {
                debug!(%remote, "refused a connection, too many handshakes are running");
                continue;
            };
            let (listener, local, sink) = (Arc::clone(&listener), local.clone(), Arc::clone(&sink));
            links.spawn(async move {
                let link = listener.welcome(&local, stream, remote).await;
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
                        debug!(%remote, reason = end.code, "incoming link ended");
                    }
                    Err(error) => {
                        debug!(%remote, %error, "a connection did not become a link");
                    }
                }
            });
        }
    }

    /// Makes a link of a connection, or gives it up when the time is over.
    async fn welcome(
        &self,
        local: &LocalEnd,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> Result<Established, HandshakeError> {
        let agreed = async {
            socket::tune(SockRef::from(&stream))?;
            let transport = match self.uri.scheme() {
                Scheme::Tcp => Transport::Plain(stream),
                Scheme::Tls => {
                    let stream = local.tls.accept(stream).await.map_err(HandshakeError::Tls)?;
                    Transport::Tls(Box::new(stream))
                }
            };
            let terms = Terms {
                identity: &local.identity,
                priority: self.uri.priority(),
                password: self.uri.password(),
                pinned: &[],
                allowed: &local.allowed_keys,
            };
            let uri = format!("{}://{remote}", self.uri.scheme().name());
            let direction = Direction::Incoming;
            let origin = Origin { remote, direction, interface: None, uri };
            transport.agree(&terms, origin).await
        };
        timeout(HANDSHAKE_TIME_MAX, agreed).await.unwrap_or(Err(HandshakeError::Timeout))
    }
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
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
