//! Opening a connection to a configured peer: names to addresses, addresses to a connected
//! transport.
//!
//! The addresses of a name are tried in a staggered race: the next one starts when the one before
//! has failed or has been silent for a quarter of a second, and the first whose transport (TLS
//! included) is up wins. The reference tries them one after the other for five seconds each, which
//! is what a broken IPv6 costs its users at every start.
//!
//! A name may not lead into the overlay itself, so addresses in `200::/7` are dropped, here and for
//! addresses written out.
//!
//! Source: protocol chapter 2.2.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use socket2::SockRef;
use thiserror::Error;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream, lookup_host},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsStream;

use super::{
    Direction, Established, LinkError, LocalEnd,
    handshake::{HANDSHAKE_TIME_MAX, HandshakeError, Terms},
    interface::{Interface, InterfaceError, is_link_local},
    probe::Reach,
    quic, socket,
    socks::{self, SocksError},
    tls::Tls,
    transport::{Origin, Transport, Wire},
    uri::{Endpoint, Host, PeerUri, Place, Scheme},
    websocket::upgrade::{self, UpgradeError},
};

/// How long one address may take, TLS included.
pub const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a proxy may take. It has a road of its own to make before it answers; an anonymising
/// one takes half a minute for that now and then.
pub const PROXY_TIME_MAX: Duration = Duration::from_secs(30);

/// How long to wait for the resolver. It asks several servers in turn, so it gets longer than one
/// address.
pub const RESOLVE_TIME_MAX: Duration = Duration::from_secs(10);

/// Head start of an address over the next one (the value of RFC 8305).
pub const STAGGER: Duration = Duration::from_millis(250);

/// Most addresses of one name that are tried; a name with more is no name of a node.
pub const ADDRESSES_MAX: usize = 16;

/// Why no connection came about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DialError {
    /// The name does not resolve.
    #[error("the name {name} cannot be resolved")]
    Resolve {
        /// The name asked for.
        name: String,
        /// What the resolver answered.
        #[source]
        source: io::Error,
    },
    /// The name has no address, or only such as must not be dialled.
    #[error("no suitable addresses, all are unspecified, multicast or of the overlay itself")]
    NoSuitableAddress,
    /// The peer is somewhere, and may not be dialled there in this case.
    #[error("{place} {}", reach.demand())]
    OutOfReach {
        /// Its host or its socket file.
        place: String,
        /// What may be dialled.
        reach: Reach,
    },
    /// The source interface, or the interface in a zone, cannot be used.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The source interface has no address that could reach the peer.
    #[error("the interface {interface} has no address to reach {remote} from")]
    NoSourceAddress {
        /// The source interface.
        interface: String,
        /// Where to.
        remote: IpAddr,
    },
    /// A link-local address without a zone and without a source interface.
    #[error("a link-local address needs a zone, as in [fe80::1%25eth0]")]
    ZoneRequired,
    /// The transport of the URI does not exist here.
    #[error("links over {0} do not exist on this system")]
    Unsupported(&'static str),
    /// Nobody took the connection on a socket file.
    #[error("cannot connect to {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// Nothing answered.
    #[error("{remote} did not answer in time")]
    Timeout {
        /// The address tried last.
        remote: SocketAddr,
    },
    /// The system or the other side refused the connection.
    #[error("cannot connect to {remote}")]
    Connect {
        /// The address tried last.
        remote: SocketAddr,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// There is a connection to a web server, but it did not become a WebSocket.
    #[error("no WebSocket with {remote}")]
    Upgrade {
        /// The address tried last.
        remote: SocketAddr,
        /// What went wrong.
        #[source]
        source: UpgradeError,
    },
    /// There is a connection to the proxy, but it leads no further.
    #[error("the proxy {remote} is of no help")]
    Proxy {
        /// The address of the proxy.
        remote: SocketAddr,
        /// What went wrong.
        #[source]
        source: SocksError,
    },
    /// There is a connection, but TLS failed on it.
    #[error("TLS with {remote} failed")]
    Tls {
        /// The address tried last.
        remote: SocketAddr,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

impl DialError {
    /// A stable name for the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "name_not_resolved",
            Self::NoSuitableAddress => "no_suitable_address",
            Self::OutOfReach { .. } => "out_of_reach",
            Self::Interface(_) | Self::NoSourceAddress { .. } => "interface_unusable",
            Self::ZoneRequired => "zone_required",
            Self::Unsupported(_) => "transport_unsupported",
            Self::Timeout { .. } => "dial_timeout",
            Self::Connect { .. } | Self::File { .. } => "cannot_connect",
            Self::Proxy { .. } => "proxy_failed",
            Self::Tls { .. } => "tls_failed",
            Self::Upgrade { .. } => "no_websocket",
        }
    }
}

/// Dials `uri`, from `interface` if one is named, and performs the handshake.
///
/// Must run inside a tokio runtime. Dropping the future gives the attempt up.
///
/// # Errors
/// [`LinkError::Dial`] as long as there is no transport, then [`LinkError::Handshake`].
pub async fn open(
    local: &LocalEnd,
    uri: &PeerUri,
    interface: Option<&str>,
) -> Result<Established, LinkError> {
    open_within(local, uri, interface, Reach::Any).await
}

/// As [`open`], to addresses within `reach` only.
pub(super) async fn open_within(
    local: &LocalEnd,
    uri: &PeerUri,
    interface: Option<&str>,
    reach: Reach,
) -> Result<Established, LinkError> {
    let target = locate(uri, reach).await?;
    let (transport, remote) = connect(uri, target, interface, &local.tls).await?;
    let terms = Terms {
        identity: &local.identity,
        priority: uri.priority(),
        password: uri.password(),
        pinned: uri.pinned_keys(),
        allowed: &BTreeSet::new(),
    };
    let origin = Origin {
        remote,
        direction: Direction::Outgoing,
        interface: interface.map(str::to_owned),
        uri: uri.to_string(),
    };
    let agreed = timeout(HANDSHAKE_TIME_MAX, transport.agree(&terms, origin)).await;
    Ok(agreed.unwrap_or(Err(HandshakeError::Timeout))?)
}

/// Where a peer can be dialled.
pub(super) enum Target {
    /// At any of these, in this order.
    Addresses(Vec<SocketAddr>),
    /// At a socket file.
    File(PathBuf),
}

impl Target {
    /// What is said of one that did not answer in time.
    pub(super) fn timeout(&self) -> DialError {
        match self {
            Self::Addresses(addresses) => match addresses.first() {
                Some(&remote) => DialError::Timeout { remote },
                None => DialError::NoSuitableAddress,
            },
            Self::File(path) => silent_file(path),
        }
    }
}

/// Looks up where `uri` leads to, within `reach`.
pub(super) async fn locate(uri: &PeerUri, reach: Reach) -> Result<Target, DialError> {
    let out_of_reach = |place: String| Err(DialError::OutOfReach { place, reach });
    let endpoint = match uri.place() {
        Place::File(path) if reach == Reach::Public => {
            return out_of_reach(path.display().to_string());
        }
        Place::File(path) => return Ok(Target::File(path.clone())),
        // Where the connection ends is up to the proxy.
        Place::Proxied { destination, .. } if reach != Reach::Any => {
            return out_of_reach(destination.host.to_string());
        }
        Place::Proxied { destination: Endpoint { host: Host::Address(address), .. }, .. }
            if !is_suitable(*address) =>
        {
            return Err(DialError::NoSuitableAddress);
        }
        Place::Proxied { proxy: endpoint, .. }
        | Place::Node(endpoint)
        | Place::Web { server: endpoint, .. } => endpoint,
    };
    match &endpoint.host {
        Host::Name(name) if reach == Reach::Loopback && name != "localhost" => {
            return out_of_reach(name.clone());
        }
        Host::Name(_) | Host::Address(_) | Host::Scoped { .. } => {}
    }
    let mut addresses = suitable(resolve(endpoint).await?);
    let some = !addresses.is_empty();
    addresses.retain(|address| reach.admits(address.ip()));
    match addresses.is_empty() {
        true if some => out_of_reach(endpoint.host.to_string()),
        _ => Ok(Target::Addresses(addresses)),
    }
}

/// What is said of a place that did not resolve in time.
pub(super) fn unresolved(place: &Place) -> DialError {
    let name = place.endpoint().map_or_else(|| place.to_string(), |it| it.host.to_string());
    DialError::Resolve { name, source: io::ErrorKind::TimedOut.into() }
}

/// What is said of a socket file on which nobody takes the connection.
fn silent_file(path: &Path) -> DialError {
    DialError::File { path: path.to_owned(), source: io::ErrorKind::TimedOut.into() }
}

/// Opens a connection to `uri` at `target`. The address is the one that answered.
pub(super) async fn connect(
    uri: &PeerUri,
    target: Target,
    interface: Option<&str>,
    tls: &Tls,
) -> Result<(Transport, Option<SocketAddr>), DialError> {
    let addresses = match target {
        Target::Addresses(addresses) => addresses,
        Target::File(path) => return Ok((connect_file(path).await?, None)),
    };
    let interface = match interface {
        Some(name) => Some((name.to_owned(), Interface::find(name)?)),
        None => None,
    };
    let addresses = scoped(addresses, interface.as_ref().map(|(_, interface)| interface.index))?;
    let attempt = Attempt { uri: Arc::new(uri.clone()), tls: tls.clone(), interface };
    let (transport, remote) = race(addresses, &attempt).await?;
    Ok((transport, Some(remote)))
}

/// Connects to a socket file.
#[cfg(unix)]
async fn connect_file(path: PathBuf) -> Result<Transport, DialError> {
    match timeout(ATTEMPT_TIME_MAX, UnixStream::connect(&path)).await {
        Ok(Ok(stream)) => Ok(Transport::Plain(Box::new(stream))),
        Ok(Err(source)) => Err(DialError::File { path, source }),
        Err(_) => Err(silent_file(&path)),
    }
}

/// Refuses: there are no socket files here.
#[cfg(not(unix))]
#[expect(clippy::unused_async, reason = "it connects on other systems")]
async fn connect_file(_path: PathBuf) -> Result<Transport, DialError> {
    Err(DialError::Unsupported(Scheme::Unix.name()))
}

/// The socket addresses of a host, the zone of a link-local one included.
pub(super) async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, DialError> {
    let port = endpoint.port;
    let name = match &endpoint.host {
        Host::Address(address) => return Ok(vec![SocketAddr::new(*address, port)]),
        Host::Scoped { address, zone } => {
            let scope = Interface::find(zone)?.index;
            return Ok(vec![SocketAddrV6::new(*address, port, 0, scope).into()]);
        }
        Host::Name(name) => name,
    };
    let failed = |source| DialError::Resolve { name: name.clone(), source };
    let found = timeout(RESOLVE_TIME_MAX, lookup_host((name.as_str(), port))).await;
    let found = found.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    Ok(found.collect())
}

/// Whether an address lies in the overlay, `200::/7`.
pub(super) const fn is_overlay(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.octets()[0] & 0xfe == 0x02,
    }
}

/// Whether a node may be dialled at an address.
fn is_suitable(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !address.is_unspecified() && !address.is_multicast() && !is_overlay(address)
}

/// Drops the addresses that must not be dialled, and lets the families alternate, so that neither
/// has to fail as a whole before the other is tried. The first stays first.
fn suitable(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut kept: Vec<SocketAddr> = Vec::new();
    for address in addresses.into_iter().filter(|address| is_suitable(address.ip())) {
        if !kept.contains(&address) {
            kept.push(address);
        }
    }
    let first_is_v4 = kept.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (VecDeque<_>, VecDeque<_>) =
        kept.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let mut families = [first, second];
    let mut ordered = Vec::new();
    while let Some(address) = families[0].pop_front().or_else(|| families[1].pop_front()) {
        ordered.push(address);
        families.swap(0, 1);
    }
    ordered.truncate(ADDRESSES_MAX);
    ordered
}

/// Gives link-local addresses the scope of the source interface if they have none of their own.
fn scoped(addresses: Vec<SocketAddr>, scope: Option<u32>) -> Result<Vec<SocketAddr>, DialError> {
    let mut usable = Vec::new();
    let mut zone_missing = false;
    for mut address in addresses {
        if let SocketAddr::V6(v6) = &mut address
            && v6.ip().is_unicast_link_local()
            && v6.scope_id() == 0
        {
            let Some(scope) = scope else {
                zone_missing = true;
                continue;
            };
            v6.set_scope_id(scope);
        }
        usable.push(address);
    }
    match usable.is_empty() {
        false => Ok(usable),
        true if zone_missing => Err(DialError::ZoneRequired),
        true => Err(DialError::NoSuitableAddress),
    }
}

/// Tries the addresses, each a little after the one before; the first connection wins and the
/// others are dropped.
async fn race(
    addresses: Vec<SocketAddr>,
    attempt: &Attempt,
) -> Result<(Transport, SocketAddr), DialError> {
    let mut waiting = VecDeque::from(addresses);
    let mut running = JoinSet::new();
    let mut failure = DialError::NoSuitableAddress;
    loop {
        if let Some(remote) = waiting.pop_front() {
            let attempt = attempt.clone();
            running.spawn(async move { Ok((attempt.connect(remote).await?, remote)) });
        }
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            () = sleep(STAGGER), if !waiting.is_empty() => continue,
        };
        match ended {
            Some(Ok(Ok(won))) => return Ok(won),
            Some(Ok(Err(error))) => failure = error,
            // An attempt is neither cancelled by others nor does it panic; if it did, the next one
            // counts.
            Some(Err(_)) => {}
            None => return Err(failure),
        }
    }
}

/// How to connect to any of a peer's addresses.
#[derive(Clone, Debug)]
struct Attempt {
    uri: Arc<PeerUri>,
    tls: Tls,
    interface: Option<(String, Interface)>,
}

impl Attempt {
    /// Opens the transport to one address.
    async fn connect(&self, remote: SocketAddr) -> Result<Transport, DialError> {
        let attempt = self.open(remote);
        let time_max = match self.uri.place() {
            Place::Proxied { .. } => PROXY_TIME_MAX,
            Place::Node(_) | Place::Web { .. } | Place::File(_) => ATTEMPT_TIME_MAX,
        };
        timeout(time_max, attempt).await.unwrap_or(Err(DialError::Timeout { remote }))
    }

    async fn open(&self, remote: SocketAddr) -> Result<Transport, DialError> {
        let scheme = self.uri.scheme();
        match scheme {
            Scheme::Tcp => Ok(Transport::Plain(Box::new(self.tcp(remote).await?))),
            Scheme::Tls => {
                let stream = self.tcp(remote).await?;
                Ok(Transport::Tls(Box::new(self.tls(remote, stream).await?)))
            }
            Scheme::Quic => {
                let stream = quic::connect(self.tls.quic(), remote, self.uri.server_name()).await;
                let stream = stream.map_err(|source| DialError::Connect { remote, source })?;
                Ok(Transport::Plain(Box::new(stream)))
            }
            Scheme::Ws => {
                let stream = self.tcp(remote).await?;
                self.upgrade(remote, stream).await
            }
            Scheme::Wss => {
                let stream = self.tcp(remote).await?;
                self.upgrade(remote, self.tls(remote, stream).await?).await
            }
            Scheme::Socks => Ok(Transport::Plain(Box::new(self.proxied(remote).await?))),
            Scheme::SocksTls => {
                let stream = self.proxied(remote).await?;
                Ok(Transport::Tls(Box::new(self.tls(remote, stream).await?)))
            }
            Scheme::Unix => Err(DialError::Unsupported(scheme.name())),
        }
    }

    async fn tls(
        &self,
        remote: SocketAddr,
        stream: TcpStream,
    ) -> Result<TlsStream<Box<dyn Wire>>, DialError> {
        let stream = self.tls.connect(Box::new(stream), self.uri.server_name()).await;
        stream.map_err(|source| DialError::Tls { remote, source })
    }

    /// Makes a connection to a web server a WebSocket.
    async fn upgrade<S>(&self, remote: SocketAddr, stream: S) -> Result<Transport, DialError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
    {
        let Place::Web { server, path } = self.uri.place() else {
            return Err(DialError::Unsupported(self.uri.scheme().name()));
        };
        let socket = upgrade::connect(stream, &server.host, path, self.uri.login()).await;
        let socket = socket.map_err(|source| DialError::Upgrade { remote, source })?;
        Ok(Transport::Plain(Box::new(socket)))
    }

    /// Opens a TCP connection to the proxy, and through it to the node.
    async fn proxied(&self, remote: SocketAddr) -> Result<TcpStream, DialError> {
        let mut stream = self.tcp(remote).await?;
        if let Place::Proxied { destination, .. } = self.uri.place() {
            let connected = socks::connect(&mut stream, destination, self.uri.login()).await;
            connected.map_err(|source| DialError::Proxy { remote, source })?;
        }
        Ok(stream)
    }

    /// Opens a TCP connection, from the source interface if there is one.
    async fn tcp(&self, remote: SocketAddr) -> Result<TcpStream, DialError> {
        let refused = |source| DialError::Connect { remote, source };
        let socket = match remote {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }
        .map_err(refused)?;
        if let Some((name, interface)) = &self.interface {
            bind_device(&socket, name);
            match interface.source_for(remote.ip()) {
                Some(source) => {
                    socket.bind(with_scope(source, remote)).map_err(refused)?;
                }
                // The zone says enough.
                None if is_link_local(remote.ip()) => {}
                None => {
                    let interface = name.clone();
                    return Err(DialError::NoSourceAddress { interface, remote: remote.ip() });
                }
            }
        }
        let stream = socket.connect(remote).await.map_err(refused)?;
        socket::tune(SockRef::from(&stream)).map_err(refused)?;
        Ok(stream)
    }
}

/// A local address for any port; a link-local one has the zone of the address it shall reach.
fn with_scope(source: IpAddr, remote: SocketAddr) -> SocketAddr {
    match (source, remote) {
        (IpAddr::V6(source), SocketAddr::V6(remote)) if source.is_unicast_link_local() => {
            SocketAddrV6::new(source, 0, 0, remote.scope_id()).into()
        }
        _ => SocketAddr::new(source, 0),
    }
}

/// Ties a socket to an interface, so that routes cannot lead it elsewhere. The source address does
/// most of that already, so a refusal is no reason not to dial.
#[cfg(target_os = "linux")]
fn bind_device(socket: &TcpSocket, name: &str) {
    if let Err(error) = socket.bind_device(Some(name.as_bytes())) {
        tracing::debug!(%error, "a socket could not be bound to its interface");
    }
}

/// Does nothing: only Linux ties sockets to interfaces by name.
#[cfg(not(target_os = "linux"))]
fn bind_device(_socket: &TcpSocket, _name: &str) {}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The address that wins a race without TLS.
    #[cfg(target_os = "linux")]
    pub(in super::super) async fn race_plain(tls: &Tls, addresses: Vec<SocketAddr>) -> SocketAddr {
        let uri = Arc::new("tcp://raced.example:1".parse().unwrap());
        let attempt = Attempt { uri, tls: tls.clone(), interface: None };
        race(addresses, &attempt).await.map(|(_, remote)| remote).unwrap()
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate_and_the_first_stays_first() {
        let found = addresses(&[
            "[2001:db8::1]:1",
            "[2001:db8::2]:1",
            "[2001:db8::1]:1",
            "[200::1]:1",
            "[ff02::1]:1",
            "192.0.2.1:1",
            "[2001:db8::3]:1",
            "0.0.0.0:1",
        ]);
        let wanted = ["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "[2001:db8::3]:1"];
        assert_eq!(suitable(found), addresses(&wanted));

        let found = addresses(&["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"]);
        let wanted = ["192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.2:1"];
        assert_eq!(suitable(found), addresses(&wanted));
    }

    #[test]
    fn a_name_with_too_many_addresses_is_cut() {
        let many = (0..=255).map(|last| SocketAddr::from(([192, 0, 2, last], 1))).collect();
        assert_eq!(suitable(many).len(), ADDRESSES_MAX);
    }

    #[test]
    fn the_overlay_is_200_slash_7() {
        for (address, inside) in [
            ("200::", true),
            ("3ff:ffff::1", true),
            ("1ff::", false),
            ("400::", false),
            ("2.0.0.0", false),
        ] {
            assert_eq!(is_overlay(address.parse().unwrap()), inside, "{address}");
        }
    }

    #[test]
    fn link_local_addresses_get_the_scope_of_the_source_interface() {
        let mixed = addresses(&["[fe80::1]:1", "[fe80::1%5]:1", "192.0.2.1:1"]);
        let scopes = |addresses: Vec<SocketAddr>| -> Vec<_> {
            let scope = |address: SocketAddr| match address {
                SocketAddr::V6(v6) => Some(v6.scope_id()),
                SocketAddr::V4(_) => None,
            };
            addresses.into_iter().map(scope).collect()
        };
        assert_eq!(scopes(scoped(mixed.clone(), Some(9)).unwrap()), [Some(9), Some(5), None]);
        assert_eq!(scopes(scoped(mixed, None).unwrap()), [Some(5), None]);
        let bare = addresses(&["[fe80::1]:1"]);
        assert!(matches!(scoped(bare, None), Err(DialError::ZoneRequired)));
        assert!(matches!(scoped(Vec::new(), None), Err(DialError::NoSuitableAddress)));
    }
}
