//! Whole engines on loopback, without a TUN: they find each other, prove it, and route for others.
//!
//! ```text
//!   a ── tcp ── b ── tls ── c
//! ```

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use planetary_circles::{Policy, Rules};
use planetary_proto::{Identity, upper::InbandKind};
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
    let identity = Arc::new(Identity::from_seed(&[seed; 32]));
    let local = LocalEnd::new(Arc::clone(&identity), BTreeSet::new()).expect("a TLS end");
    let config = EngineConfig {
        local,
        identity,
        group: None,
        node_info: br#"{"name":"test"}"#.to_vec(),
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
