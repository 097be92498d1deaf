//! Engines on loopback that are closed to strangers.
//!
//! ```text
//!   stranger ── tcp ── hub ── tcp ── closed
//!                       └──── tcp ── friend
//! ```
//!
//! The hub forwards and is as open as a node without a filter.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use planetary_circles::{Person, Policy, Reason, Rules};
use planetary_proto::{Identity, NodeKey, upper::InbandKind};
use planetary_runtime::{
    AskError, Engine, EngineConfig,
    links::{
        LocalEnd,
        uri::{ListenUri, PeerUri},
    },
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for an answer that comes, short enough to wait for one that must not.
const SILENCE: Duration = Duration::from_millis(1500);

fn key(seed: u8) -> NodeKey {
    Identity::from_seed(&[seed; 32]).key()
}

fn engine(seed: u8, policy: &Policy) -> Engine {
    let identity = Arc::new(Identity::from_seed(&[seed; 32]));
    let local = LocalEnd::new(Arc::clone(&identity), BTreeSet::new()).expect("a TLS end");
    let config = EngineConfig {
        local,
        identity,
        group: None,
        node_info: b"{}".to_vec(),
        first_seq: 0,
        tun: None,
        rules: rules(policy),
        news: tokio::sync::mpsc::channel(1).0,
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
}

impl Network {
    async fn with(policy: &Policy) -> Self {
        let open = Policy::open();
        let hub = engine(HUB, &open);
        let listener: ListenUri = "tcp://127.0.0.1:0".parse().expect("a listener URI");
        let address = hub.peers().listen(listener).await.expect("a listener");
        let uri: PeerUri = format!("tcp://{address}").parse().expect("a peer URI");
        let join = |seed, policy: &Policy| {
            let engine = engine(seed, policy);
            engine.peers().add(uri.clone(), None).expect("a new peer");
            engine
        };
        let stranger = join(STRANGER, &open);
        let closed = join(CLOSED, policy);
        let friend = join(FRIEND, &open);
        let network = Self { stranger, closed, friend, hub };
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

/// Nodes that are closed to each other still prove that the network is there.
#[tokio::test(flavor = "multi_thread")]
async fn closed_neighbours_know_that_they_are_connected() {
    let policy = Policy::default();
    let (a, b) = (engine(5, &policy), engine(6, &policy));
    let listener: ListenUri = "tcp://127.0.0.1:0".parse().expect("a listener URI");
    let address = b.peers().listen(listener).await.expect("a listener");
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
