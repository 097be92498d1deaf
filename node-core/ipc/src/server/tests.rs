//! A server and its clients over pipes in memory, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time;

use super::{Handler, Server, Service, connection};
use crate::client::{self, RequestError};
use crate::endpoint::PeerCredentials;
use crate::error::{ApiError, ErrorCode};
use crate::frame;
use crate::identity::{NodeKey, Target};
use crate::import::ForeignSettings;
use crate::limits;
use crate::message::{
    ClientHello, ClientMessage, Event, Reply, Request, Right, ServerMessage, Topic,
};
use crate::mock::Mock;
use crate::secret::Sealed;
use crate::status::State;
use crate::topology::{Edge, EdgeKind, Node, Role, Topology};

/// A server for `service`, with its hub at work.
fn server<H: Handler>(service: Service<H>) -> Arc<Server<H>> {
    let server = Server::new(service);
    tokio::spawn(Arc::clone(&server.hub).run());
    server
}

fn caller(right: Right) -> PeerCredentials {
    PeerCredentials { uid: Some(1000), pid: None, right: Some(right) }
}

/// Connects through a pipe that holds `capacity` bytes each way.
fn dial<H: Handler>(
    server: &Arc<Server<H>>,
    right: Right,
    capacity: usize,
) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(capacity);
    let connection = connection::run(theirs, caller(right), |known| known, Arc::clone(server));
    (ours, tokio::spawn(connection))
}

/// A client that speaks frames, not types.
struct Raw(DuplexStream);

impl Raw {
    async fn greeted<H: Handler>(server: &Arc<Server<H>>) -> Self {
        let mut raw = Self(dial(server, Right::Admin, 1 << 20).0);
        raw.send(&hello(1, 1)).await;
        assert!(matches!(raw.receive().await, Some(ServerMessage::Hello { .. })));
        raw
    }

    async fn send(&mut self, message: &ClientMessage) {
        frame::write(&mut self.0, message, limits::CLIENT_FRAME_LEN_MAX).await.unwrap();
    }

    async fn send_text(&mut self, json: &str) {
        self.0.write_u32(json.len().try_into().unwrap()).await.unwrap();
        self.0.write_all(json.as_bytes()).await.unwrap();
    }

    async fn request(&mut self, id: u64, request: Request) {
        self.send(&ClientMessage::Request { id, request }).await;
    }

    async fn receive(&mut self) -> Option<ServerMessage> {
        let body = frame::read(&mut self.0, limits::SERVER_FRAME_LEN_MAX).await.unwrap()?;
        Some(ServerMessage::parse(&body).unwrap())
    }

    /// The next message, which must be an error.
    async fn error(&mut self) -> (Option<u64>, ErrorCode) {
        match self.receive().await {
            Some(ServerMessage::Error { id, error }) => (id, error.code),
            other => panic!("{other:?}"),
        }
    }
}

fn hello(version: u32, lowest: u32) -> ClientMessage {
    ClientMessage::Hello { hello: ClientHello { version, lowest, build: "test".into() } }
}

fn target() -> Target {
    Target::Key(NodeKey([7; 32]))
}

/// Does each request in its own way of going wrong.
#[derive(Default)]
struct Odd {
    changed: AtomicBool,
    clients: AtomicUsize,
    askers: AtomicUsize,
    refreshed: AtomicUsize,
}

impl Handler for Odd {
    async fn handle(&self, request: Request, _: PeerCredentials) -> Result<Reply, ApiError> {
        match request {
            Request::Doctor => panic!("on purpose"),
            Request::IdentityShow => std::future::pending().await,
            Request::Down => {
                time::sleep(limits::REQUEST_DEADLINE * 2).await;
                self.changed.store(true, Ordering::SeqCst);
                Ok(Reply::Subscribed { topics: Vec::new() })
            }
            Request::Topology { .. } => Ok(Reply::Topology(wide_topology())),
            _ => Err(ApiError::new(ErrorCode::Unsupported, "not here")),
        }
    }

    async fn refresh(&self) {
        self.refreshed.fetch_add(1, Ordering::SeqCst);
    }

    fn clients_are_there(&self, clients: usize) {
        self.clients.store(clients, Ordering::SeqCst);
    }

    fn questions_are_shown(&self, clients: usize) {
        self.askers.store(clients, Ordering::SeqCst);
    }
}

fn wide_topology() -> Topology {
    let key = |number: u64| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        NodeKey(key)
    };
    let node = |number| Node {
        roles: vec![Role::Peer],
        parent: Some(key(0)),
        port: Some(number),
        coordinates: Some(vec![number]),
        sequence: Some(1),
        ..Node::new(key(number), "200::1".parse().unwrap())
    };
    let edge =
        |number| Edge { from: key(number), to: key(0), kind: EdgeKind::Tree, latency_ms: None };
    Topology {
        revision: 3,
        page: 0,
        pages: 1,
        nodes: (0..5_001).map(node).collect(),
        edges: (1..5_001).map(edge).collect(),
    }
}

fn odd() -> (Arc<Odd>, Arc<Server<Odd>>) {
    let handler = Arc::new(Odd::default());
    // A channel whose sender is gone: this state never changes.
    let (_, status) = watch::channel(Arc::new(Mock::settled().status()));
    let service = Service { handler: Arc::clone(&handler), status, build: "odd".into() };
    (handler, server(service))
}

#[tokio::test(start_paused = true)]
async fn client_is_greeted_with_the_whole_state_and_answered() {
    let mock = Mock::settled();
    let server = server(mock.service());
    let (stream, _) = dial(&server, Right::Admin, 1 << 20);
    let (client, _updates) = client::over(stream, "test").await.unwrap();
    assert_eq!(*client.hello().status, mock.status());
    assert_eq!(*client.status().await.unwrap(), mock.status());
    assert_eq!(client.down().await.unwrap().state, State::Down);
    assert_eq!(client.status().await.unwrap().state, State::Down);
}

#[tokio::test(start_paused = true)]
async fn updates_follow_the_state_and_topics_are_chosen() {
    let mock = Mock::settled();
    let server = server(mock.service());
    let (stream, _) = dial(&server, Right::Admin, 1 << 20);
    let (client, mut updates) = client::over(stream, "test").await.unwrap();

    mock.tick();
    client.down().await.unwrap();
    let update = updates.next().await.unwrap();
    // The second that passed moved only counters, which nobody subscribed to.
    assert_eq!(update.seq, 1);
    assert!(matches!(&update.event, Event::Status(status) if status.state == State::Down));

    client.up().await.unwrap();
    assert!(matches!(updates.next().await.unwrap().event, Event::Status(_)));
    let topics = vec![Topic::Traffic, Topic::Topology];
    assert_eq!(client.subscribe(topics.clone()).await.unwrap(), topics);
    for _ in 0..30 {
        time::sleep(Duration::from_secs(1)).await;
        mock.tick();
    }
    let mut seen = [false; 3];
    while seen != [true; 3] {
        match updates.next().await.unwrap().event {
            Event::Status(_) => seen[0] = true,
            Event::Traffic(_) => seen[1] = true,
            Event::Topology { .. } => seen[2] = true,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn status_is_refreshed_before_a_client_counts_and_is_greeted() {
    let (handler, server) = odd();
    let there =
        || (handler.refreshed.load(Ordering::SeqCst), handler.clients.load(Ordering::SeqCst));
    assert_eq!(there(), (0, 0));
    let (stream, gone) = dial(&server, Right::Read, 1 << 20);
    let one = client::over(stream, "test").await.unwrap();
    assert_eq!(there(), (1, 1));
    let (stream, _) = dial(&server, Right::Read, 1 << 20);
    let _other = client::over(stream, "test").await.unwrap();
    assert_eq!(there(), (2, 2));
    drop(one);
    gone.await.unwrap();
    assert_eq!(there(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn service_knows_how_many_clients_show_questions() {
    let (handler, server) = odd();
    let shown = || handler.askers.load(Ordering::SeqCst);
    let questions = vec![Topic::Circles, Topic::Questions];
    let (stream, _) = dial(&server, Right::Change, 1 << 20);
    let (one, _updates_of_one) = client::over(stream, "test").await.unwrap();
    assert_eq!(shown(), 0);
    for _ in 0..2 {
        one.subscribe(questions.clone()).await.unwrap();
        assert_eq!(shown(), 1, "a client counts once");
    }
    let (stream, gone) = dial(&server, Right::Admin, 1 << 20);
    let (other, updates_of_other) = client::over(stream, "test").await.unwrap();
    other.subscribe(questions.clone()).await.unwrap();
    assert_eq!(shown(), 2);
    let (stream, _) = dial(&server, Right::Read, 1 << 20);
    let (reader, _updates_of_reader) = client::over(stream, "test").await.unwrap();
    reader.subscribe(questions).await.unwrap();
    assert_eq!(shown(), 2, "who cannot answer is not asked");
    one.subscribe(vec![Topic::Circles]).await.unwrap();
    assert_eq!(shown(), 1);
    drop((other, updates_of_other));
    gone.await.unwrap();
    assert_eq!(shown(), 0);
}

#[tokio::test(start_paused = true)]
async fn wrong_message_is_answered_and_the_connection_goes_on() {
    let server = server(Mock::settled().service());
    let mut raw = Raw::greeted(&server).await;
    for (json, id, code) in [
        (r#"{"id":1,"request":{"type":"fly"}}"#, Some(1), ErrorCode::UnknownRequest),
        (r#"{"id":2,"request":{"type":"path"}}"#, Some(2), ErrorCode::InvalidRequest),
        (
            r#"{"id":3,"request":{"type":"ping","target":"200::1","count":101}}"#,
            Some(3),
            ErrorCode::InvalidRequest,
        ),
        (r#"{"id":4,"request":{"type":"peer_add","uri":""}}"#, Some(4), ErrorCode::InvalidUri),
        ("7", None, ErrorCode::InvalidRequest),
        (r#"{"hello":{"version":1,"lowest":1,"build":""}}"#, None, ErrorCode::InvalidRequest),
    ] {
        raw.send_text(json).await;
        assert_eq!(raw.error().await, (id, code), "{json}");
    }
    raw.request(9, Request::Status).await;
    assert!(matches!(raw.receive().await, Some(ServerMessage::Ok { id: 9, .. })));
}

#[tokio::test(start_paused = true)]
async fn broken_framing_is_answered_and_the_connection_ends() {
    let server = server(Mock::settled().service());
    for (bytes, code) in [
        (&b"\0\0\0\0"[..], ErrorCode::FrameTooLarge),
        (b"\0\x01\0\x01", ErrorCode::FrameTooLarge),
        (b"\xff\xff\xff\xff", ErrorCode::FrameTooLarge),
        (b"\0\0\0\x01{", ErrorCode::InvalidJson),
        (b"\0\0\0\x03\"\xff\"", ErrorCode::InvalidJson),
    ] {
        let mut raw = Raw::greeted(&server).await;
        raw.0.write_all(bytes).await.unwrap();
        assert_eq!(raw.error().await, (None, code), "{bytes:?}");
        assert_eq!(raw.receive().await, None, "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn largest_frame_is_read() {
    let server = server(Mock::settled().service());
    let mut raw = Raw::greeted(&server).await;
    let mut json = r#"{"id":1,"request":{"type":"status"}}"#.to_owned();
    json.push_str(&" ".repeat(limits::CLIENT_FRAME_LEN_MAX - json.len()));
    raw.send_text(&json).await;
    assert!(matches!(raw.receive().await, Some(ServerMessage::Ok { id: 1, .. })));
}

#[tokio::test(start_paused = true)]
async fn client_must_greet_first_and_in_time() {
    let server = server(Mock::settled().service());
    let mut hasty = Raw(dial(&server, Right::Admin, 1 << 20).0);
    hasty.request(1, Request::Status).await;
    assert!(matches!(hasty.receive().await, Some(ServerMessage::Hello { .. })));
    assert_eq!(hasty.error().await, (None, ErrorCode::InvalidRequest));
    assert_eq!(hasty.receive().await, None);

    let mut silent = Raw(dial(&server, Right::Admin, 1 << 20).0);
    assert!(matches!(silent.receive().await, Some(ServerMessage::Hello { .. })));
    assert_eq!(silent.error().await, (None, ErrorCode::InvalidRequest));
    assert_eq!(silent.receive().await, None);
}

#[tokio::test(start_paused = true)]
async fn client_of_another_version_is_told_so() {
    let server = server(Mock::settled().service());
    let mut raw = Raw(dial(&server, Right::Admin, 1 << 20).0);
    raw.send(&hello(9, 8)).await;
    assert!(matches!(raw.receive().await, Some(ServerMessage::Hello { .. })));
    assert_eq!(raw.error().await, (None, ErrorCode::VersionMismatch));
    assert_eq!(raw.receive().await, None);
}

#[tokio::test(start_paused = true)]
async fn reader_may_not_change_anything() {
    let mock = Mock::settled();
    let server = server(mock.service());
    let (stream, _) = dial(&server, Right::Read, 1 << 20);
    let (client, _updates) = client::over(stream, "test").await.unwrap();
    let error = client.down().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::PermissionDenied));
    assert_eq!(mock.status().state, State::Connected);
    client.status().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn secrets_are_for_administrators_only() {
    let mock = Mock::settled();
    let server = server(mock.service());
    let secret = || Sealed { key: NodeKey([1; 32]), text: String::new() };
    for right in [Right::Read, Right::Change] {
        let (stream, _) = dial(&server, right, 1 << 20);
        let (client, _updates) = client::over(stream, "test").await.unwrap();
        for request in [
            Request::SealingKey,
            Request::SealedPart { secret: secret() },
            Request::IdentityExport { secret: secret() },
            Request::IdentityImport { secret: secret(), dry_run: true, replace: false },
            Request::Import {
                secret: secret(),
                dry_run: true,
                replace: false,
                keep_identity: true,
            },
        ] {
            let error = client.request(request).await.unwrap_err();
            let RequestError::Refused(error) = error else { panic!("{error}") };
            assert_eq!(error.code, ErrorCode::PermissionDenied);
            assert!(!error.hint.unwrap().contains("group"), "the group would not help");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_look_after_the_hello_may_give_more() {
    let server = server(Mock::settled().service());
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let look = |known| PeerCredentials { right: Some(Right::Admin), ..known };
    tokio::spawn(connection::run(theirs, caller(Right::Read), look, Arc::clone(&server)));
    let (client, _updates) = client::over(ours, "test").await.unwrap();
    let answer = client.request(Request::SealingKey).await.unwrap();
    assert!(matches!(answer, Reply::SealingKey(_)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn secret_of_any_length_arrives_and_opens_once() {
    let mock = Mock::settled();
    let server = server(mock.service());
    let (stream, _) = dial(&server, Right::Admin, 1 << 20);
    let (client, _updates) = client::over(stream, "test").await.unwrap();
    let settings = ForeignSettings {
        peers: (0..5000).map(|number| format!("tls://host{number}.example:443")).collect(),
        ..ForeignSettings::default()
    };
    let report = client.import(&settings, true, false, false).await.unwrap();
    assert_eq!(report.items.len(), 5000);
}

#[tokio::test(start_paused = true)]
async fn requests_do_not_wait_for_each_other() {
    let (_, server) = odd();
    let mut raw = Raw::greeted(&server).await;
    raw.request(1, Request::IdentityShow).await;
    raw.request(2, Request::Path { target: target() }).await;
    assert_eq!(raw.error().await, (Some(2), ErrorCode::Unsupported));
    assert_eq!(raw.error().await, (Some(1), ErrorCode::DeadlineExceeded));
}

#[tokio::test(start_paused = true)]
async fn panic_in_a_request_is_an_answer() {
    let (_, server) = odd();
    let mut raw = Raw::greeted(&server).await;
    raw.request(1, Request::Doctor).await;
    assert_eq!(raw.error().await, (Some(1), ErrorCode::Internal));
    raw.request(2, Request::Status).await;
    assert!(matches!(raw.receive().await, Some(ServerMessage::Ok { id: 2, .. })));
}

#[tokio::test(start_paused = true)]
async fn request_beyond_the_limit_is_told_busy() {
    let (_, server) = odd();
    let mut raw = Raw::greeted(&server).await;
    let most = limits::REQUESTS_IN_PROGRESS_MAX as u64;
    for id in 0..=most {
        raw.request(id, Request::IdentityShow).await;
    }
    assert_eq!(raw.error().await, (Some(most), ErrorCode::Busy));
    // What needs no handler is answered all the same.
    raw.request(99, Request::Status).await;
    assert!(matches!(raw.receive().await, Some(ServerMessage::Ok { id: 99, .. })));
}

#[tokio::test(start_paused = true)]
async fn change_is_finished_after_its_client_went() {
    let (handler, server) = odd();
    let mut raw = Raw::greeted(&server).await;
    raw.request(1, Request::Down).await;
    assert_eq!(raw.error().await, (Some(1), ErrorCode::DeadlineExceeded));
    drop(raw);
    assert!(!handler.changed.load(Ordering::SeqCst));
    time::sleep(limits::REQUEST_DEADLINE * 2).await;
    assert!(handler.changed.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn topology_comes_in_pages_and_is_joined() {
    let (_, server) = odd();
    let (stream, _) = dial(&server, Right::Read, 1 << 20);
    let (client, _updates) = client::over(stream, "test").await.unwrap();
    assert_eq!(client.topology().await.unwrap(), wide_topology());

    let first = client.request(Request::Topology { page: 0 }).await.unwrap();
    assert!(matches!(first, Reply::Topology(Topology { pages: 3, .. })));
    let page = |page| client.request(Request::Topology { page });
    assert!(matches!(page(3).await, Err(RequestError::Refused(_))));
    assert!(matches!(page(2).await, Ok(Reply::Topology(Topology { page: 2, .. }))));
    // The last page ends the snapshot.
    assert!(matches!(page(1).await, Err(RequestError::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn slow_client_is_told_to_ask_again() {
    let mock = Mock::new();
    let server = server(mock.service());
    let mut raw = Raw(dial(&server, Right::Admin, 4_096).0);
    raw.send(&hello(1, 1)).await;
    assert!(matches!(raw.receive().await, Some(ServerMessage::Hello { .. })));
    for on in [true, false].into_iter().cycle().take(limits::UPDATES_WAITING_MAX + 20) {
        let request = if on { Request::Down } else { Request::Up };
        mock.handle(request, caller(Right::Admin)).await.unwrap();
        time::sleep(limits::UPDATE_INTERVAL_MIN).await;
    }
    // What was on its way comes first, then the word that more was lost, then nothing.
    let mut expected = 1;
    loop {
        let Some(ServerMessage::Update(update)) = raw.receive().await else { panic!() };
        assert_eq!(update.seq, expected);
        expected += 1;
        if update.event == Event::Resync {
            break;
        }
        assert!(expected < 10, "the queue grew");
    }
    mock.tick();
    mock.handle(Request::Down, caller(Right::Admin)).await.unwrap();
    time::sleep(Duration::from_secs(1)).await;
    raw.request(5, Request::Resync).await;
    let Some(ServerMessage::Ok { id: 5, ok: Reply::State { seq, status } }) = raw.receive().await
    else {
        panic!()
    };
    assert_eq!((seq, *status), (expected - 1, mock.status()));
    mock.handle(Request::Up, caller(Right::Admin)).await.unwrap();
    let Some(ServerMessage::Update(update)) = raw.receive().await else { panic!() };
    assert_eq!(update.seq, expected);
}

#[tokio::test(start_paused = true)]
async fn client_that_never_reads_is_closed() {
    let mock = Mock::new();
    let server = server(mock.service());
    let (stream, connection) = dial(&server, Right::Admin, 64);
    time::timeout(limits::WRITE_DEADLINE * 3, connection).await.unwrap().unwrap();
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn slow_reader_of_updates_still_ends_with_the_latest_state() {
    let mock = Mock::new();
    let server = server(mock.service());
    let (stream, _) = dial(&server, Right::Admin, 1 << 20);
    let (client, mut updates) = client::over(stream, "test").await.unwrap();
    for on in [true, false].into_iter().cycle().take(limits::UPDATES_WAITING_MAX + 21) {
        if on {
            client.down().await.unwrap()
        } else {
            client.up().await.unwrap()
        };
        time::sleep(limits::UPDATE_INTERVAL_MIN * 2).await;
    }
    let mut latest = None;
    while let Ok(update) = time::timeout(Duration::from_secs(1), updates.next()).await {
        match update.unwrap().event {
            Event::Status(status) => latest = Some(*status),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(latest, Some(mock.status()));
}

#[tokio::test(start_paused = true)]
async fn closing_server_says_goodbye() {
    let server = server(Mock::settled().service());
    let mut raw = Raw::greeted(&server).await;
    server.close();
    assert_eq!(raw.error().await, (None, ErrorCode::ShuttingDown));
    assert_eq!(raw.receive().await, None);
}

/// Bytes that come close to the format, or not at all.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let framed = |body: Vec<u8>| {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(body);
        bytes
    };
    let json = prop_oneof![
        Just(r#"{"hello":{"version":1,"lowest":1,"build":"x"}}"#.to_owned()),
        Just(r#"{"id":1,"request":{"type":"subscribe","topics":["traffic"]}}"#.to_owned()),
        r#"\{"id":[0-9]{1,22},"request":\{"type":"[a-z_]{1,8}"\}\}"#,
        (0..Request::NAMES.len(), any::<u32>(), ".{0,40}").prop_map(|(name, number, text)| {
            let (name, text) = (Request::NAMES[name], serde_json::to_string(&text).unwrap());
            format!(
                r#"{{"id":{number},"request":{{"type":"{name}","target":{text},"uri":{text},
                    "page":{number},"count":{number}}}}}"#
            )
        }),
        r#"[\[\]{}",:a-z0-9\\]{0,60}"#,
    ];
    let part = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(any::<u8>(), 1..200).prop_map(framed),
        json.prop_map(move |json| framed(json.into_bytes())),
    ];
    prop::collection::vec(part, 1..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn hostile_bytes_end_nothing_but_their_own_connection(
        bytes in hostile(),
        greeted in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = server(Mock::settled().service());
            let (mut stream, connection) = dial(&server, Right::Admin, 1 << 20);
            if greeted {
                let hello = hello(1, 1);
                frame::write(&mut stream, &hello, limits::CLIENT_FRAME_LEN_MAX).await.unwrap();
            }
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            // Every frame that comes back is one a client understands.
            while let Some(body) =
                frame::read(&mut stream, limits::SERVER_FRAME_LEN_MAX).await.unwrap()
            {
                ServerMessage::parse(&body).unwrap();
            }
            connection.await.expect("the connection must not panic");

            let (stream, _) = dial(&server, Right::Admin, 1 << 20);
            let (client, _updates) = client::over(stream, "test").await.unwrap();
            client.status().await.unwrap();
        });
    }

    #[test]
    fn hostile_bytes_are_an_error_for_a_client(bytes in hostile(), greeted in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (ours, mut theirs) = tokio::io::duplex(1 << 20);
            if greeted {
                let status = Box::new(Mock::settled().status());
                let hello = crate::message::Hello {
                    version: 1, lowest: 1, build: String::new(), seq: 0, status,
                };
                let hello = ServerMessage::Hello { hello };
                frame::write(&mut theirs, &hello, limits::SERVER_FRAME_LEN_MAX).await.unwrap();
            }
            theirs.write_all(&bytes).await.unwrap();
            theirs.shutdown().await.unwrap();
            match client::over(ours, "test").await {
                Ok((client, mut updates)) => {
                    assert!(greeted);
                    while updates.next().await.is_ok() {}
                    assert!(client.status().await.is_err());
                }
                Err(_) => assert!(!greeted),
            }
            let _ = theirs.read_to_end(&mut Vec::new()).await;
        });
    }
}
