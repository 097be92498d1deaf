//! Whole engines on loopback, without a TUN: they find each other, prove it, and route for others.
//!
//! ```text
//!   a ── tcp ── b ── tls ── c
//! ```

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use planetary_circles::{Policy, Rules};
use planetary_proto::{
    Identity, NodeKey,
    session::{GroupSecret, Groups},
    upper::InbandKind,
};
use planetary_runtime::{
    AskError, Engine, EngineConfig,
    links::{
        LocalEnd,
        uri::{ListenUri, PeerUri},
    },
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(20);

fn engine(seed: u8) -> Engine {
    engine_in(seed, Groups::default())
}

fn engine_in(seed: u8, groups: Groups) -> Engine {
    let identity = Arc::new(Identity::from_seed(&[seed; 32]));
    let local = LocalEnd::new(Arc::clone(&identity), BTreeSet::new()).expect("a TLS end");
    let config = EngineConfig {
        local,
        identity,
        groups,
        transit: Default::default(),
        node_info: br#"{"name":"test"}"#.to_vec(),
        fast_sessions: true,
        first_seq: 0,
        tun: None,
        rules: Arc::new(Rules::compile(&Policy::open()).expect("rules")),
        news: tokio::sync::mpsc::channel(1).0,
        seed: [seed; 32],
    };
    Engine::start(config, Handle::current()).expect("an engine")
}

async fn listen(engine: &Engine, scheme: &str) -> PeerUri {
    let uri: ListenUri = format!("{scheme}://127.0.0.1:0").parse().expect("a listener URI");
    let address = engine.peers().listen(uri).await.expect("a listener").expect("an address");
    format!("{scheme}://{address}").parse().expect("a peer URI")
}

fn dial(engine: &Engine, uri: PeerUri) {
    engine.peers().add(uri, None).expect("a new peer");
}

/// Repeats an echo until it is answered.
async fn reach(from: &Engine, to: &Engine) -> Duration {
    let address = to.key().address().to_ipv6();
    let begun = Instant::now();
    let answered = async {
        loop {
            match from.ping(address, Duration::from_secs(1)).await {
                Ok(_) => return,
                Err(AskError::Timeout) => {}
                Err(error) => panic!("ping: {error}"),
            }
        }
    };
    if timeout(PATIENCE, answered).await.is_err() {
        let states = [from.snapshot().await, to.snapshot().await];
        panic!("no answer in time: {states:#?} {:#?}", from.peers().list());
    }
    begun.elapsed()
}

/// How long ago a node was proven to be connected, once it is.
async fn proven(engine: &Engine) -> Duration {
    let mut changes = engine.changes();
    loop {
        let snapshot = engine.snapshot().await.expect("a running engine");
        match snapshot.proven_ago {
            Some(ago) => return ago,
            None => changes.changed().await.expect("a running engine"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_settles_and_everybody_answers() {
    let [a, b, c] = [1, 2, 3].map(engine);
    let (tcp, tls) = (listen(&b, "tcp").await, listen(&c, "tls").await);
    dial(&a, tcp);
    dial(&b, tls);
    let took = reach(&a, &c).await;
    println!("first echo over the chain after {took:?}");
    reach(&c, &a).await;
    let lowest = [&a, &b, &c].map(Engine::key).into_iter().min().expect("three keys");
    for engine in [&a, &b, &c] {
        let proven = timeout(PATIENCE, proven(engine)).await.expect("proof in time");
        assert!(proven < Duration::from_secs(60));
        assert_eq!(engine.snapshot().await.expect("a running engine").root, lowest);
    }
    let report = a.find_key(c.key(), PATIENCE).await.expect("a path");
    assert_eq!(report.next_hop, Some(b.key()));
    let info = a.ask(c.key(), InbandKind::NodeInfo).await.expect("node info");
    assert_eq!(
        info,
        planetary_proto::upper::InbandAnswer::NodeInfo(br#"{"name":"test"}"#.to_vec())
    );
    for engine in [&a, &b, &c] {
        engine.shutdown().await;
    }
    assert!(matches!(a.snapshot().await, Err(AskError::Stopped | AskError::Busy)));
}

/// Only Linux has lanes.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn small_packets_cross_quic_links_as_datagrams() {
    let [a, b, c] = [1, 2, 3].map(engine);
    let (to_b, to_c) = (listen(&b, "quic").await, listen(&c, "quic").await);
    dial(&a, to_b);
    dial(&b, to_c);
    let crosses = async {
        loop {
            // Over the stream, until there is a session that takes packets in any order.
            reach(&a, &c).await;
            let mut datagrams = Vec::new();
            for engine in [&a, &b, &c] {
                let counters = engine.snapshot().await.expect("a running engine").counters;
                datagrams.push((counters.datagrams_in, counters.datagrams_out));
            }
            // There and back.
            if datagrams.iter().all(|(came, left)| *came > 0 && *left > 0) {
                return;
            }
        }
    };
    timeout(PATIENCE, crosses).await.expect("datagrams");
    for engine in [&a, &b, &c] {
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_removed_ends_at_both_ends() {
    let [a, b] = [4, 5].map(engine);
    let uri = listen(&b, "tcp").await;
    let id = a.peers().add(uri, None).expect("a new peer");
    reach(&a, &b).await;
    a.peers().remove(&id).await.expect("a known peer");
    let gone = async {
        loop {
            let snapshots = [a.snapshot().await, b.snapshot().await];
            if snapshots.iter().all(|snapshot| snapshot.as_ref().is_ok_and(|s| s.links.is_empty()))
            {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("both ends notice");
    for engine in [&a, &b] {
        engine.shutdown().await;
    }
}

/// Groups of which one is common to all far ends that are in none of the others.
fn groups(common: Option<&str>, others: &[(&str, &[NodeKey])]) -> Groups {
    let secret = |password: &str| GroupSecret::from_password(password.as_bytes());
    let mut groups = Groups::new(common.map(secret));
    for (password, keys) in others {
        groups.add(secret(password), keys).expect("room for a group");
    }
    groups
}

/// ```text
///   member ("shed") ---- hub: "shed" with member, "loft" with stray ---- public
///                         |
///                       stray ("cellar")
/// ```
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_in_groups_and_in_the_public_network_at_once() {
    let [member_key, stray_key] = [11, 13].map(|seed| Identity::from_seed(&[seed; 32]).key());
    let lists: [(&str, &[NodeKey]); 2] = [("shed", &[member_key]), ("loft", &[stray_key])];
    let hub = engine_in(10, groups(None, &lists));
    // As the reference is: one password for everybody.
    let member = engine_in(11, groups(Some("shed"), &[]));
    let public = engine_in(12, Groups::default());
    let stray = engine_in(13, groups(Some("cellar"), &[]));
    let uri = listen(&hub, "tcp").await;
    for engine in [&member, &public, &stray] {
        dial(engine, uri.clone());
    }
    for other in [&member, &public] {
        reach(other, &hub).await;
        reach(&hub, other).await;
    }
    // The passwords differ, or only one end has one. All of these have had the time of the others.
    for (from, to) in [(&stray, &hub), (&hub, &stray), (&member, &public), (&public, &member)] {
        let address = to.key().address().to_ipv6();
        let answer = from.ping(address, Duration::from_millis(700)).await;
        assert_eq!(answer.err(), Some(AskError::Timeout), "{} {}", from.key(), to.key());
    }
    for engine in [&stray, &hub] {
        let sessions = engine.sessions().await.expect("a running engine");
        let others = sessions.iter().filter(|session| session.key == stray_key);
        assert_eq!(others.count(), 0);
    }
    // A group that changes ends the sessions that were in it, and others stay.
    let before = sessions_since(&hub, public.key()).await.expect("a session");
    let lists: [(&str, &[NodeKey]); 2] = [("attic", &[member_key]), ("cellar", &[stray_key])];
    hub.set_groups(groups(None, &lists)).await.expect("a running engine");
    assert_eq!(sessions_since(&hub, member_key).await, None);
    reach(&stray, &hub).await;
    member.set_groups(groups(Some("attic"), &[])).await.expect("a running engine");
    reach(&hub, &member).await;
    let after = sessions_since(&hub, public.key()).await.expect("a session");
    assert!(after >= before, "the session with the public node began anew");
    for engine in [&hub, &member, &public, &stray] {
        engine.shutdown().await;
    }
}

/// How old the session with a key is.
async fn sessions_since(engine: &Engine, key: NodeKey) -> Option<Duration> {
    let sessions = engine.sessions().await.expect("a running engine");
    sessions.iter().find(|session| session.key == key).map(|session| session.uptime)
}
