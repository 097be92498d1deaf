//! Two engines without an interface: programs reach one through the doors of the other.
//!
//! ```text
//!   client ── SOCKS5, HTTP, forwarded port ──> near ── tcp ── far ── forwarded port ──> server
//! ```

#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

use std::{
    collections::BTreeSet,
    future::pending,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use planetary_circles::{
    Person, Policy, Rules,
    names::{Label, Zone},
};
use planetary_proto::{Identity, NodeKey};
use planetary_runtime::{
    Engine, EngineConfig,
    gateway::{
        CLIENTS_MAX, Door, DoorId, DoorState, Forward, Protocol, ProxyAt, ReachError, Target, Way,
    },
    links::{
        LocalEnd,
        uri::{ListenUri, PeerUri},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    runtime::Handle,
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(20);
const NEAR: u8 = 1;
const FAR: u8 = 2;
/// A port of the far node that leads to the server.
const PORT: u16 = 80;

fn key(seed: u8) -> NodeKey {
    Identity::from_seed(&[seed; 32]).key()
}

fn rules(policy: &Policy) -> Arc<Rules> {
    Arc::new(Rules::compile(policy).expect("rules"))
}

fn engine(seed: u8, policy: &Policy) -> Engine {
    let identity = Arc::new(Identity::from_seed(&[seed; 32]));
    let local = LocalEnd::new(Arc::clone(&identity), BTreeSet::new()).expect("a TLS end");
    let config = EngineConfig {
        local,
        identity,
        groups: Default::default(),
        transit: Default::default(),
        node_info: b"{}".to_vec(),
        fast_sessions: true,
        first_seq: 0,
        tun: None,
        rules: rules(policy),
        news: mpsc::channel(1).0,
        seed: [seed; 32],
    };
    Engine::start(config, Handle::current()).expect("an engine")
}

/// Two engines that are linked, and a server behind the far one that says everything again.
struct Network {
    near: Engine,
    far: Engine,
    socks: SocketAddr,
    http: SocketAddr,
    /// A port of this computer that leads to the far node by name.
    forwarded: SocketAddr,
    datagrams: SocketAddr,
    inward: Arc<Forward>,
}

impl Network {
    async fn with(policy: &Policy) -> Self {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = server.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = client.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                    let _ = write.shutdown().await;
                });
            }
        });
        let echo = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let echo_at = echo.local_addr().unwrap();
        tokio::spawn(async move {
            let mut room = [0; 2048];
            while let Ok((len, from)) = echo.recv_from(&mut room).await {
                let _ = echo.send_to(&room[..len], from).await;
            }
        });

        let (near, far) = (engine(NEAR, &Policy::default()), engine(FAR, policy));
        let listener: ListenUri = "tcp://127.0.0.1:0".parse().unwrap();
        let address = far.peers().listen(listener).await.unwrap().expect("an address");
        let uri: PeerUri = format!("tcp://{address}").parse().unwrap();
        near.peers().add(uri, None).unwrap();
        let names = Zone::new(key(NEAR), [(Label::new("ada").unwrap(), key(FAR))]);
        near.set_names(Some(Arc::new(names)));

        let inward = |id, protocol, target| {
            Arc::new(Forward::new(id, protocol, Way::In { port: PORT, target }))
        };
        let stream = inward(1, Protocol::Tcp, at);
        let datagrams = inward(2, Protocol::Udp, echo_at);
        far.gateway()
            .open(vec![Door::Forward(Arc::clone(&stream)), Door::Forward(datagrams)])
            .await;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let proxy = ProxyAt { address: any, beyond_this_machine: false };
        let outward = |id, protocol| {
            let target: Target = format!("ada.pln.internal:{PORT}").parse().unwrap();
            let way = Way::Out { listen: any, target };
            Door::Forward(Arc::new(Forward::new(id, protocol, way)))
        };
        let doors = vec![
            Door::Socks(proxy),
            Door::Http(proxy),
            outward(1, Protocol::Tcp),
            outward(2, Protocol::Udp),
        ];
        near.gateway().open(doors).await;
        let [socks, http, forwarded, datagrams] =
            [DoorId::Socks, DoorId::Http, DoorId::Forward(1), DoorId::Forward(2)]
                .map(|id| open_at(&near, id));
        assert!(near.find_key(key(FAR), PATIENCE).await.is_ok());
        Self { near, far, socks, http, forwarded, datagrams, inward: stream }
    }

    async fn shutdown(self) {
        self.near.shutdown().await;
        self.far.shutdown().await;
    }

    /// Asks the SOCKS5 proxy for a place; returns its answer's code too.
    async fn socks(&self, command: u8, place: &[u8], port: u16) -> (u8, SocketAddr, TcpStream) {
        let mut stream = TcpStream::connect(self.socks).await.unwrap();
        stream.write_all(&[5, 1, 0]).await.unwrap();
        let mut greeting = [0; 2];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 0]);
        let request = [&[5, command, 0], place, &port.to_be_bytes()].concat();
        stream.write_all(&request).await.unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).await.unwrap();
        let mut ip = vec![0; if head[3] == 4 { 16 } else { 4 }];
        stream.read_exact(&mut ip).await.unwrap();
        let port = stream.read_u16().await.unwrap();
        let at = match <[u8; 4]>::try_from(ip) {
            Ok(octets) => (Ipv4Addr::from(octets), port).into(),
            Err(ip) => (<[u8; 16]>::try_from(ip).unwrap(), port).into(),
        };
        (head[1], at, stream)
    }

    /// What the HTTP proxy says to a head, and what follows.
    async fn http(&self, head: &str) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => line.push(byte),
                Err(_) => break,
            }
        }
        (String::from_utf8(line).unwrap(), stream)
    }
}

fn open_at(engine: &Engine, id: DoorId) -> SocketAddr {
    let doors = engine.gateway().doors();
    let door = doors.iter().find(|door| door.id == id).expect("the door");
    match &door.state {
        DoorState::Open(at) => *at,
        state => panic!("{id:?}: {state:?}"),
    }
}

fn name(name: &str) -> Vec<u8> {
    [&[3, name.len() as u8], name.as_bytes()].concat()
}

fn address(seed: u8) -> Vec<u8> {
    [&[4], &key(seed).address().to_ipv6().octets()[..]].concat()
}

/// Says something long and hears it again.
async fn assert_echoes(mut stream: TcpStream) {
    let words: Vec<u8> = (0..300_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
    let (mut read, mut write) = stream.split();
    let say = async {
        write.write_all(&words).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let both = async { tokio::join!(say, read.read_to_end(&mut heard)) };
    timeout(PATIENCE, both).await.expect("in time").1.unwrap();
    assert!(heard == words, "{} bytes came back", heard.len());
}

fn open_to_near() -> Policy {
    Policy { people: vec![Person { echo: true, ..Person::of(key(NEAR)) }], ..Policy::open() }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_reach_the_far_node_through_every_door() {
    let network = Network::with(&open_to_near()).await;
    for place in [name("ada.pln.internal"), name("web.ADA.pln.internal."), address(FAR)] {
        let (code, _, stream) = network.socks(1, &place, PORT).await;
        assert_eq!(code, 0);
        assert_echoes(stream).await;
    }
    assert_echoes(TcpStream::connect(network.forwarded).await.unwrap()).await;
    let (said, stream) =
        network.http(&format!("CONNECT ada.pln.internal:{PORT} HTTP/1.1\r\n\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    assert_echoes(stream).await;
    // The server says the request again, as it came there.
    let request = "GET http://ada.pln.internal/a HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
    let (said, _stream) = network.http(request).await;
    let host = "Host: ada.pln.internal\r\nConnection: close\r\n";
    assert_eq!(said, format!("GET /a HTTP/1.1\r\n{host}A: b\r\n\r\n"));

    assert!(network.inward.tally.rx_bytes() > 5 * 300_000);
    let inward = &network.inward.tally;
    timeout(PATIENCE, async {
        // The last request is still open.
        while inward.connections() > 1 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("connections end with their ends");
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_go_there_and_back() {
    let network = Network::with(&open_to_near()).await;
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut room = [0; 2048];
    client.send_to(b"over a port", network.datagrams).await.unwrap();
    let (len, from) = timeout(PATIENCE, client.recv_from(&mut room)).await.unwrap().unwrap();
    assert_eq!((&room[..len], from), (&b"over a port"[..], network.datagrams));

    let (code, at, control) = network.socks(3, &[1, 0, 0, 0, 0], 0).await;
    assert_eq!(code, 0);
    let datagram =
        |place: &[u8], data: &[u8]| [&[0, 0, 0], place, &PORT.to_be_bytes(), data].concat();
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for place in [name("ada.pln.internal"), address(FAR)] {
        client.send_to(&datagram(&place, b"over SOCKS"), at).await.unwrap();
        let (len, _) = timeout(PATIENCE, client.recv_from(&mut room)).await.unwrap().unwrap();
        assert_eq!(room[..len], datagram(&address(FAR), b"over SOCKS"));
        // Who comes second gets nothing, nor does a place outside.
        stranger.send_to(&datagram(&place, b"mine"), at).await.unwrap();
        client.send_to(&datagram(&name("localhost"), b"outside"), at).await.unwrap();
    }
    assert!(timeout(Duration::from_millis(300), stranger.recv_from(&mut room)).await.is_err());
    drop(control);
    let closed = async {
        loop {
            client.send_to(&datagram(&address(FAR), b"again"), at).await.ok();
            sleep(Duration::from_millis(20)).await;
            if UdpSocket::bind(at).await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, closed).await.expect("datagrams end with their connection");
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_refused_with_its_reason() {
    let network = Network::with(&open_to_near()).await;
    for (place, port, expected) in [
        (name("example.org"), PORT, 2),
        (vec![1, 127, 0, 0, 1], PORT, 2),
        (name("localhost"), PORT, 2),
        (name("bob.pln.internal"), PORT, 4),
        (address(FAR), PORT + 1, 5),
    ] {
        let (code, _, _) = network.socks(1, &place, port).await;
        assert_eq!(code, expected, "{place:?}:{port}");
    }
    assert_eq!(network.socks(2, &address(FAR), PORT).await.0, 7);
    for (head, status) in [
        ("CONNECT example.org:443 HTTP/1.1\r\n\r\n", 403),
        ("CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n", 403),
        ("CONNECT bob.pln.internal:443 HTTP/1.1\r\n\r\n", 502),
        ("CONNECT ada.pln.internal:81 HTTP/1.1\r\n\r\n", 502),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        ("\x05\x01\x00\r\n\r\n", 400),
    ] {
        let (said, _) = network.http(head).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {said:?}");
        assert!(!said.to_ascii_lowercase().contains("access-control"), "{said}");
    }
    // Another protocol at the SOCKS5 port hears nothing.
    let mut stream = TcpStream::connect(network.socks).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("an end").ok();
    assert!(heard.is_empty());
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_port_gives_nobody_a_right() {
    let network = Network::with(&Policy::default()).await;
    let to = format!("[{}]:{PORT}", key(FAR).address().to_ipv6()).parse::<Target>().unwrap();
    let reach = || network.near.gateway().host().reach(&to);
    assert!(timeout(Duration::from_secs(2), reach()).await.is_err(), "a stranger got in");

    let known = Policy { people: vec![Person::of(key(NEAR))], ..Policy::default() };
    network.far.set_rules(rules(&known)).await.unwrap();
    let refused = timeout(PATIENCE, reach()).await.expect("an answer");
    assert!(matches!(refused, Err(ReachError::Refused)), "{refused:?}");

    network.far.set_rules(rules(&open_to_near())).await.unwrap();
    timeout(PATIENCE, reach()).await.expect("an answer").expect("a connection");
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_wait_their_turn_and_leave_nothing_behind() {
    let network = Network::with(&open_to_near()).await;
    let proxy = network.socks;
    // Side by side: the system lets few wait, and the others knock for seconds.
    let mut clients = JoinSet::new();
    for _ in 0..1_000 {
        clients.spawn(async move {
            let _held = TcpStream::connect(proxy).await;
            pending::<()>().await;
        });
    }
    let connections = || {
        let doors = network.near.gateway().doors();
        doors.iter().map(|door| door.connections).sum::<u64>()
    };
    let come_to = async |count| {
        while connections() != count {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let places = CLIENTS_MAX as u64;
    timeout(PATIENCE, come_to(places)).await.expect("all places are taken");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(connections(), places);
    clients.shutdown().await;
    timeout(PATIENCE, come_to(0)).await.expect("all places are free");
    let (code, _, stream) = timeout(PATIENCE, network.socks(1, &address(FAR), PORT)).await.unwrap();
    assert_eq!(code, 0);
    assert_echoes(stream).await;
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_close_with_their_connections_and_a_taken_one_says_so() {
    let network = Network::with(&open_to_near()).await;
    let mut stream = TcpStream::connect(network.forwarded).await.unwrap();
    stream.write_all(b"?").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'?');
    let taken = ProxyAt { address: network.http, beyond_this_machine: false };
    network.near.gateway().open(vec![Door::Socks(taken)]).await;
    assert_eq!(open_at(&network.near, DoorId::Socks), network.http, "the HTTP proxy has gone");
    assert!(timeout(PATIENCE, stream.read_u8()).await.expect("an end").is_err());
    assert!(TcpStream::connect(network.forwarded).await.is_err());

    let other = Door::Http(taken);
    network.near.gateway().open(vec![Door::Socks(taken), other]).await;
    let doors = network.near.gateway().doors();
    let state = &doors.iter().find(|door| door.id == DoorId::Http).unwrap().state;
    assert!(matches!(state, DoorState::Failed(error) if error.code == "address_in_use"));
    let socks = network.http;
    network.shutdown().await;
    assert!(TcpStream::connect(socks).await.is_err(), "nothing listens when the node is down");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_answered_over_both_transports() {
    let engine = engine(NEAR, &Policy::default());
    engine.gateway().open(vec![Door::Names((Ipv4Addr::LOCALHOST, 0).into())]).await;
    let at = open_at(&engine, DoorId::Names);
    let question = |id: u8| {
        let head = [0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&head[..], b"\x03ada\x03pln\x08internal\x00", &[0, 28, 0, 1]].concat()
    };
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut room = [0; 2048];
    client.send_to(&question(1), at).await.unwrap();
    let silent = timeout(Duration::from_millis(200), client.recv_from(&mut room)).await;
    assert!(silent.is_err(), "names are off");

    let zone = Zone::new(key(NEAR), [(Label::new("ada").unwrap(), key(FAR))]);
    engine.set_names(Some(Arc::new(zone)));
    client.send_to(&question(2), at).await.unwrap();
    let (len, _) = timeout(PATIENCE, client.recv_from(&mut room)).await.unwrap().unwrap();
    assert!(room[..len].ends_with(&key(FAR).address().to_ipv6().octets()));

    let mut stream = TcpStream::connect(at).await.unwrap();
    for id in [3, 4] {
        let question = question(id);
        stream.write_u16(question.len() as u16).await.unwrap();
        stream.write_all(&question).await.unwrap();
        let len = usize::from(timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap());
        stream.read_exact(&mut room[..len]).await.unwrap();
        assert_eq!(room[1], id);
        assert!(room[..len].ends_with(&key(FAR).address().to_ipv6().octets()));
    }
    stream.write_u16(u16::MAX).await.unwrap();
    assert!(stream.read_u16().await.is_err(), "no question is that long");
    engine.shutdown().await;
}
