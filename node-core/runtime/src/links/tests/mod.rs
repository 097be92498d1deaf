//! Links over loopback: both ends ours, or one end a few bytes written by hand.

mod addresses;
// macOS has one loopback address only.
#[cfg(not(target_os = "macos"))]
mod crowd;
#[cfg(unix)]
mod files;
mod handshake;
mod peers;
mod probe;
mod proxies;
mod streams;

use std::{
    collections::BTreeSet,
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use planetary_proto::{
    identity::{Identity, NodeKey},
    link::meta::Capabilities,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    Direction, Established, LinkEnd, LinkError, LinkSink, LinkStream, LocalEnd, dial,
    peers::Peers,
    socket,
    uri::{ListenUri, PeerUri},
};

/// Everything here is on loopback; what takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it did not happen")
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn key(seed: u8) -> NodeKey {
    identity(seed).key()
}

fn end(seed: u8, allowed: &[NodeKey]) -> LocalEnd {
    LocalEnd::new(Arc::new(identity(seed)), allowed.iter().copied().collect::<BTreeSet<_>>())
        .unwrap()
}

fn peer_uri(text: &str) -> PeerUri {
    text.parse().unwrap()
}

fn listen_uri(text: &str) -> ListenUri {
    text.parse().unwrap()
}

/// A link in the hands of [`Hands`], and the way to end it.
struct Held {
    link: Established,
    end: oneshot::Sender<LinkEnd>,
}

/// A sink that hands links to the test and holds them until the test ends them.
struct Hands(mpsc::UnboundedSender<Held>);

impl LinkSink for Hands {
    async fn run(&self, link: Established) -> LinkEnd {
        let (end, ended) = oneshot::channel();
        // Closes the connection when this future is dropped, whoever holds the link.
        let socket = Closing(link.stream.socket().try_clone().unwrap());
        let _ = self.0.send(Held { link, end });
        let reason = ended.await;
        drop(socket);
        reason.unwrap_or(LinkEnd { code: "dropped", message: "dropped by the test".into() })
    }
}

struct Closing(socket2::Socket);

impl Drop for Closing {
    fn drop(&mut self) {
        let _ = socket::shutdown(&self.0);
    }
}

/// A node's links, and what came out of them.
struct Side {
    peers: Peers<Hands>,
    links: mpsc::UnboundedReceiver<Held>,
}

impl Side {
    fn new(local: LocalEnd) -> Self {
        let (sender, links) = mpsc::unbounded_channel();
        Self { peers: Peers::new(local, Arc::new(Hands(sender)), Handle::current()), links }
    }

    async fn listening(local: LocalEnd, uri: &str) -> (Self, SocketAddr) {
        let side = Self::new(local);
        let address = side.peers.listen(listen_uri(uri)).await.unwrap();
        (side, address.unwrap())
    }

    async fn link(&mut self) -> Held {
        soon(self.links.recv()).await.unwrap()
    }
}

/// Dials `uri` as node 2.
async fn dialled(uri: &str) -> Result<Established, LinkError> {
    soon(dial::open(&end(2, &[]), &peer_uri(uri), None)).await
}

/// Links the node 1, which listens, with node 2, which dials; options as given.
async fn pair(
    scheme: &str,
    listen_options: &str,
    dial_options: &str,
) -> (Side, Held, Result<Established, LinkError>) {
    let (mut side, address) =
        Side::listening(end(1, &[]), &format!("{scheme}://127.0.0.1:0?{listen_options}")).await;
    let dialled = dialled(&format!("{scheme}://{address}?{dial_options}")).await;
    let held = side.link().await;
    (side, held, dialled)
}

/// Writes plain bytes onto a link, through TLS where there is some.
fn write(link: &mut Established, bytes: &[u8]) {
    match &mut link.stream {
        LinkStream::Plain(socket) => {
            assert_eq!(socket::try_send(socket, bytes).unwrap(), bytes.len())
        }
        LinkStream::Tls { socket, connection } => {
            connection.writer().write_all(bytes).unwrap();
            let mut out = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut out).unwrap();
            }
            assert_eq!(socket::try_send(socket, &out).unwrap(), out.len());
        }
    }
}

/// Reads plain bytes off a link until there are `len`, beginning with what is left over from the
/// handshake.
fn read(link: &mut Established, len: usize) -> Vec<u8> {
    let mut bytes = std::mem::take(&mut link.leftover);
    let mut chunk = [0; 4096];
    while bytes.len() < len {
        let count = socket::recv(link.stream.socket(), &mut chunk).unwrap();
        assert!(count > 0, "the link has ended");
        match &mut link.stream {
            LinkStream::Plain(_) => bytes.extend_from_slice(&chunk[..count]),
            LinkStream::Tls { connection, .. } => {
                connection.read_tls(&mut &chunk[..count]).unwrap();
                connection.process_new_packets().unwrap();
                match io::Read::read_to_end(&mut connection.reader(), &mut bytes) {
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                    Ok(_) => panic!("the link has ended"),
                }
            }
        }
    }
    bytes
}

#[tokio::test]
async fn both_ends_of_a_link_agree_on_what_it_is() {
    for scheme in ["tcp", "tls"] {
        let (_side, held, dialled) =
            pair(scheme, "priority=3&password=x", "priority=9&password=x").await;
        let (mut incoming, mut outgoing) = (held.link, dialled.unwrap());

        assert_eq!((incoming.peer, outgoing.peer), (key(2), key(1)), "{scheme}");
        assert_eq!((incoming.priority, outgoing.priority), (9, 9));
        assert_eq!(incoming.direction, Direction::Incoming);
        assert_eq!(outgoing.direction, Direction::Outgoing);
        let near = |link: &Established| link.stream.socket().local_addr().unwrap().as_socket();
        assert_eq!(incoming.remote, near(&outgoing));
        assert_eq!(outgoing.remote, near(&incoming));
        assert_eq!(incoming.uri, format!("{scheme}://{}", incoming.remote.unwrap()));
        assert_eq!(outgoing.uri, format!("{scheme}://{}", outgoing.remote.unwrap()));

        write(&mut outgoing, b"over");
        assert_eq!(read(&mut incoming, 4), b"over", "{scheme}");
        write(&mut incoming, b"and back");
        assert_eq!(read(&mut outgoing, 8), b"and back", "{scheme}");
    }
}

#[tokio::test]
async fn links_run_over_ipv6_and_over_names() {
    let (mut side, address) = Side::listening(end(1, &[]), "tls://[::]:0").await;
    for host in ["[::1]", "127.0.0.1", "localhost"] {
        let outgoing = dialled(&format!("tls://{host}:{}", address.port())).await.unwrap();
        let incoming = side.link().await.link;

        assert_eq!(outgoing.peer, key(1), "{host}");
        // IPv4 through the wildcard listener is reported as IPv4.
        let is_v4 = |link: &Established| link.remote.unwrap().is_ipv4();
        assert_eq!(is_v4(&incoming), is_v4(&outgoing), "{host}");
    }
}

#[tokio::test]
async fn a_closed_port_is_reported_with_the_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = dialled(&format!("tcp://{free}")).await.unwrap_err();

    let told = LinkEnd::from(&error);
    assert_eq!(told.code, "cannot_connect");
    assert!(told.message.starts_with(&format!("cannot connect to {free}: ")), "{}", told.message);
}

#[tokio::test]
async fn a_listener_says_what_the_system_refuses() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let side = Side::new(end(1, &[]));
    let mut refused = Vec::new();
    for host in [taken.local_addr().unwrap().to_string(), "192.0.2.1:1".into(), "[200::1]:1".into()]
    {
        let listened = side.peers.listen(listen_uri(&format!("tcp://{host}"))).await;
        refused.push(listened.unwrap_err().to_string());
    }
    assert_eq!(refused[0], format!("cannot listen on {}", taken.local_addr().unwrap()));
    assert_eq!(refused[1], "cannot listen on 192.0.2.1:1");
    assert_eq!(refused[2], "a listener cannot be on an address of the overlay itself");
    assert!(side.peers.listeners().is_empty());
}
