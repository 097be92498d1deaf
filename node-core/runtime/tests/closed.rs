//! Engines on loopback that are closed to strangers.
//!
//! ```text
//!   stranger ── tcp ── hub ── tcp ── closed
//!                       └──── tcp ── friend
//! ```
//!
//! The hub forwards and is as open as a node without a filter.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use planetary_circles::{Person, Policy, Reached, Reason, Rules, Settled};
use planetary_proto::{
    ExtensionMessage, Identity, MessageError, NodeKey,
    upper::{
        InbandKind,
        extension::{HAVE, HELLO, JOIN, PUSH},
    },
};
use planetary_runtime::{
    AskError, Engine, EngineConfig, News,
    links::{
        LocalEnd,
        uri::{ListenUri, PeerUri},
    },
};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for an answer that comes, short enough to wait for one that must not.
const SILENCE: Duration = Duration::from_millis(1500);

fn key(seed: u8) -> NodeKey {
    Identity::from_seed(&[seed; 32]).key()
}

fn engine(seed: u8, policy: &Policy) -> Engine {
    engine_that_tells(seed, policy, mpsc::channel(1).0)
}

fn engine_that_tells(seed: u8, policy: &Policy, news: mpsc::Sender<News>) -> Engine {
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
        news,
        seed: [seed; 32],
    };
    Engine::start(config, Handle::current()).expect("an engine")
}

fn rules(policy: &Policy) -> Arc<Rules> {
    Arc::new(Rules::compile(policy).expect("rules"))
}

fn friend(seed: u8) -> Person {
    Person { echo: true, ..Person::of(key(seed)) }
}

const STRANGER: u8 = 1;
const CLOSED: u8 = 2;
const FRIEND: u8 = 3;
const HUB: u8 = 4;

/// The four engines, once they have found their places.
struct Network {
    stranger: Engine,
    closed: Engine,
    friend: Engine,
    hub: Engine,
    told: [mpsc::Receiver<News>; 3],
}

impl Network {
    async fn with(policy: &Policy) -> Self {
        let open = Policy::open();
        let hub = engine(HUB, &open);
        let listener: ListenUri = "tcp://127.0.0.1:0".parse().expect("a listener URI");
        let address = hub.peers().listen(listener).await.expect("a listener").expect("an address");
        let uri: PeerUri = format!("tcp://{address}").parse().expect("a peer URI");
        let join = |seed, policy: &Policy| {
            let (tells, told) = mpsc::channel(64);
            let engine = engine_that_tells(seed, policy, tells);
            engine.peers().add(uri.clone(), None).expect("a new peer");
            (engine, told)
        };
        let (stranger, to_stranger) = join(STRANGER, &open);
        let (closed, to_closed) = join(CLOSED, policy);
        let (friend, to_friend) = join(FRIEND, &open);
        let told = [to_stranger, to_closed, to_friend];
        let network = Self { stranger, closed, friend, hub, told };
        // Whoever finds the others by lookups can reach them as far as routing is concerned.
        for from in [&network.stranger, &network.friend] {
            let found = from.find_key(key(CLOSED), PATIENCE).await;
            assert!(found.is_ok(), "{found:?}");
        }
        network
    }

    async fn shutdown(self) {
        for engine in [self.stranger, self.closed, self.friend, self.hub] {
            engine.shutdown().await;
        }
    }
}

/// Whether an echo comes back within `patience`.
async fn reaches(from: &Engine, to: &Engine, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    let address = to.key().address().to_ipv6();
    while Instant::now() < end {
        match from.ping(address, Duration::from_millis(500)).await {
            Ok(_) => return true,
            Err(AskError::Timeout) => {}
            Err(error) => panic!("ping: {error}"),
        }
    }
    false
}

async fn has_session(engine: &Engine, with: u8) -> bool {
    let topology = engine.topology().await.expect("a running engine");
    topology.sessions.iter().any(|session| session.key == key(with))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_node_answers_friends_and_no_stranger() {
    let policy = Policy { people: vec![friend(FRIEND)], ..Policy::default() };
    let network = Network::with(&policy).await;
    let Network { stranger, closed, friend, .. } = &network;

    assert!(reaches(friend, closed, PATIENCE).await);
    assert!(friend.ask(key(CLOSED), InbandKind::GetSelf).await.is_ok());
    assert!(!reaches(stranger, closed, SILENCE).await);
    assert!(!has_session(closed, STRANGER).await, "not even a session");
    let snapshot = closed.snapshot().await.expect("a running engine");
    assert!(snapshot.stats.strangers_ignored > 0);

    // What it opens itself works, and gives no rights.
    assert!(reaches(closed, stranger, PATIENCE).await);
    assert!(has_session(closed, STRANGER).await);
    assert!(!reaches(stranger, closed, SILENCE).await);
    let (drops, sizes) = closed.snapshot().await.expect("a running engine").filtered;
    assert!(drops.inbound(Reason::EchoRefused) > 0);
    assert!(sizes.flows > 0);
    assert!(stranger.ask(key(CLOSED), InbandKind::GetPeers).await.is_err());
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_friend_that_is_removed_or_blocked_is_out_at_once() {
    let policy = Policy { people: vec![friend(FRIEND)], ..Policy::default() };
    let network = Network::with(&policy).await;
    let Network { closed, friend, .. } = &network;
    assert!(reaches(friend, closed, PATIENCE).await);

    closed.set_rules(rules(&Policy::default())).await.expect("a running engine");
    assert!(!has_session(closed, FRIEND).await);
    assert!(!reaches(friend, closed, SILENCE).await);

    closed.set_rules(rules(&policy)).await.expect("a running engine");
    assert!(reaches(friend, closed, PATIENCE).await);
    let blocked = Policy { blocked: vec![key(FRIEND)], ..policy.clone() };
    closed.set_rules(rules(&blocked)).await.expect("a running engine");
    assert!(!reaches(friend, closed, SILENCE).await);
    assert!(!reaches(closed, friend, SILENCE).await, "nor is a blocked key spoken to");
    assert!(!has_session(closed, FRIEND).await);

    let paused = Policy { paused: true, ..policy.clone() };
    closed.set_rules(rules(&paused)).await.expect("a running engine");
    assert!(!reaches(friend, closed, SILENCE).await);
    assert!(reaches(closed, friend, PATIENCE).await, "a pause is for what comes in");
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_the_lobby_says_hello_and_reaches_nothing() {
    let policy = Policy { lobby: true, ..Policy::default() };
    let network = Network::with(&policy).await;
    let Network { stranger, closed, .. } = &network;
    assert!(!reaches(stranger, closed, SILENCE).await);
    assert!(has_session(closed, STRANGER).await, "a session of the lobby");
    let snapshot = closed.snapshot().await.expect("a running engine");
    assert!(snapshot.counters.drop_guest > 0);
    assert!(stranger.ask(key(CLOSED), InbandKind::NodeInfo).await.is_err());

    // A guest that is made a friend keeps its session.
    let people = vec![friend(STRANGER)];
    let policy = Policy { people, ..policy };
    closed.set_rules(rules(&policy)).await.expect("a running engine");
    assert!(reaches(stranger, closed, PATIENCE).await);
    network.shutdown().await;
}

/// The next news that is no visit.
async fn told(news: &mut mpsc::Receiver<News>) -> News {
    loop {
        let next = timeout(PATIENCE, news.recv()).await.expect("news in time").expect("an engine");
        if !matches!(next, News::Opened { .. } | News::Refused { .. }) {
            return next;
        }
    }
}

fn message(kind: u8, id: u32, body: &[u8]) -> ExtensionMessage {
    ExtensionMessage { kind, id, body: body.to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_between_people_and_not_to_strangers() {
    let policy = Policy { people: vec![friend(FRIEND)], ..Policy::default() };
    let mut network = Network::with(&policy).await;
    let Network { stranger, closed, friend, told: [to_stranger, to_closed, to_friend], .. } =
        &mut network;
    // Nothing of it arrives.
    let lost = stranger.request(key(CLOSED), JOIN, b"let me in".to_vec()).await.expect("sent");

    let body = vec![7; ExtensionMessage::BODY_MAX];
    let id = friend.request(key(CLOSED), HAVE, body.clone()).await.expect("sent");
    let request = News::Message { from: key(FRIEND), message: message(HAVE, id, &body) };
    assert_eq!(told(to_closed).await, request);
    closed.answer(key(FRIEND), message(HAVE + 1, id, &body)).await.expect("sent");
    let answer = message(HAVE + 1, id, &body);
    assert_eq!(told(to_friend).await, News::Answered { from: key(CLOSED), id, answer });
    // The other way round.
    let id = closed.request(key(FRIEND), PUSH, vec![]).await.expect("sent");
    let request = News::Message { from: key(CLOSED), message: message(PUSH, id, &[]) };
    assert_eq!(told(to_friend).await, request);
    friend.answer(key(CLOSED), message(PUSH + 1, id, b"ok")).await.expect("sent");
    let answer = News::Answered { from: key(FRIEND), id, answer: message(PUSH + 1, id, b"ok") };
    // The first request may have been heard twice.
    while told(to_closed).await != answer {}
    let wrong = closed.request(key(FRIEND), HELLO, vec![]).await;
    assert_eq!(wrong, Err(AskError::Message(MessageError::WrongKind(HELLO))));
    let wrong = closed.answer(key(FRIEND), message(HAVE, 1, &[])).await;
    assert_eq!(wrong, Err(AskError::Message(MessageError::WrongKind(HAVE))));

    assert_eq!(told(to_stranger).await, News::Unanswered { to: key(CLOSED), id: lost });
    let heard = std::iter::from_fn(|| to_closed.try_recv().ok());
    let of_stranger =
        |news: &News| matches!(news, News::Message { from, .. } if *from == key(STRANGER));
    assert!(!heard.into_iter().any(|news| of_stranger(&news)));
    assert!(closed.snapshot().await.expect("a running engine").stats.strangers_ignored > 0);
    // But a closed node may ask a stranger.
    let id = closed.request(key(STRANGER), HAVE, vec![]).await.expect("sent");
    let request = News::Message { from: key(CLOSED), message: message(HAVE, id, &[]) };
    assert_eq!(told(to_stranger).await, request);
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_the_lobby_may_ask_to_join_and_nothing_else() {
    let policy = Policy { lobby: true, ..Policy::default() };
    let mut network = Network::with(&policy).await;
    let Network { stranger, closed, told: [to_stranger, to_closed, _], .. } = &mut network;
    let unheard = stranger.request(key(CLOSED), HAVE, vec![1]).await.expect("sent");
    let id = stranger.request(key(CLOSED), JOIN, vec![2]).await.expect("sent");
    let request = News::Message { from: key(STRANGER), message: message(JOIN, id, &[2]) };
    assert_eq!(told(to_closed).await, request);
    closed.answer(key(STRANGER), message(JOIN + 1, id, &[3])).await.expect("sent");
    let answer = message(JOIN + 1, id, &[3]);
    assert_eq!(told(to_stranger).await, News::Answered { from: key(CLOSED), id, answer });
    // The answer made it nothing more than a guest.
    assert!(!reaches(stranger, closed, SILENCE).await);
    let counters = closed.snapshot().await.expect("a running engine").counters;
    assert!(counters.drop_guest > 0);

    // One that is on its way into a circle may say more, and reach nothing.
    let invited = Person { echo: true, messages_only: true, ..Person::of(key(STRANGER)) };
    let policy = Policy { people: vec![invited], ..Policy::default() };
    closed.set_rules(rules(&policy)).await.expect("a running engine");
    let heard = loop {
        match told(to_stranger).await {
            News::Unanswered { id, .. } if id == unheard => break false,
            News::Answered { id, .. } if id == unheard => break true,
            _ => {}
        }
    };
    assert!(!heard);
    let id = stranger.request(key(CLOSED), HAVE, vec![4]).await.expect("sent");
    let request = News::Message { from: key(STRANGER), message: message(HAVE, id, &[4]) };
    while told(to_closed).await != request {}
    assert!(!reaches(stranger, closed, SILENCE).await);
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn visits_and_refusals_of_people_are_told() {
    let policy = Policy { people: vec![friend(FRIEND)], ..Policy::default() };
    let mut network = Network::with(&policy).await;
    let Network { stranger, closed, friend: visitor, told: [_, told, _], .. } = &mut network;
    assert!(!reaches(stranger, closed, SILENCE).await);
    assert!(reaches(visitor, closed, PATIENCE).await);
    let opened = News::Opened { from: key(FRIEND), service: Reached::Echo };
    assert_eq!(timeout(PATIENCE, told.recv()).await.expect("in time"), Some(opened.clone()));

    let policy = Policy { people: vec![Person::of(key(FRIEND))], asks: true, ..policy };
    closed.set_rules(rules(&policy)).await.expect("a running engine");
    assert!(!reaches(visitor, closed, SILENCE).await);
    let refused = News::Refused { from: key(FRIEND), service: Reached::Echo };
    while timeout(PATIENCE, told.recv()).await.expect("in time").expect("an engine") != refused {}
    // Echo is not asked about.
    assert!(!closed.settle_knock(key(FRIEND), Reached::Echo, Settled::Once));
    network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn news_that_nobody_takes_are_lost_and_counted() {
    let open = Policy::open();
    let (tells, mut told) = mpsc::channel(1);
    let (a, b) = (engine(5, &open), engine_that_tells(6, &open, tells));
    let listener: ListenUri = "tcp://127.0.0.1:0".parse().expect("a listener URI");
    let address = b.peers().listen(listener).await.expect("a listener").expect("an address");
    a.peers().add(format!("tcp://{address}").parse().expect("a URI"), None).expect("a new peer");
    for _ in 0..2 {
        a.request(key(6), HAVE, vec![]).await.expect("sent");
    }
    let begun = Instant::now();
    while b.snapshot().await.expect("a running engine").counters.news_lost == 0 {
        assert!(begun.elapsed() < PATIENCE, "nothing is lost");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(told.try_recv(), Ok(News::Message { .. })), "the first is there");
    a.shutdown().await;
    b.shutdown().await;
}

/// Nodes that are closed to each other still prove that the network is there.
#[tokio::test(flavor = "multi_thread")]
async fn closed_neighbours_know_that_they_are_connected() {
    let policy = Policy::default();
    let (a, b) = (engine(5, &policy), engine(6, &policy));
    let listener: ListenUri = "tcp://127.0.0.1:0".parse().expect("a listener URI");
    let address = b.peers().listen(listener).await.expect("a listener").expect("an address");
    a.peers().add(format!("tcp://{address}").parse().expect("a URI"), None).expect("a new peer");
    let begun = Instant::now();
    for engine in [&a, &b] {
        while engine.snapshot().await.expect("a running engine").proven_ago.is_none() {
            assert!(begun.elapsed() < PATIENCE, "never proven");
            sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(!has_session(&a, 6).await && !has_session(&b, 5).await);
    a.shutdown().await;
    b.shutdown().await;
}
