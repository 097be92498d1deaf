//! A whole node on loopback whose chosen peer is gone: it takes another one, and says so.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use super::super::kept::ChosenPeer;
use super::*;
use crate::args::RunArguments;
use crate::lifecycle;

/// A node that is up, in this folder.
async fn node(folder: &Path, config: &str) -> Arc<Node> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(folder.join("config.toml"), format!("{config}\n[tun]\nname = \"none\"\n")).unwrap();
    let arguments = RunArguments { state_dir: Some(folder.to_owned()), ..RunArguments::default() };
    let mut started = lifecycle::start(arguments).unwrap();
    started.public.offline = true;
    let node = Arc::new(Node::new(started));
    node.follow_intent().await.unwrap();
    node
}

async fn listening(folder: &Path) -> (Arc<Node>, String) {
    let node = node(folder, "listen = [\"tcp://127.0.0.1:0\"]").await;
    let address = node.engine().unwrap().peers().listeners()[0].address.unwrap();
    (node, format!("tcp://{address}"))
}

/// A list with these peers, as if it had been fetched.
fn write_list(folder: &Path, uris: &[&str]) {
    let peer = |uri: &&str| serde_json::json!({"uri": uri, "region": "r", "country": "c"});
    let peers: Vec<_> = uris.iter().map(peer).collect();
    let list = serde_json::json!(
        {"version": 1, "source": "a test", "date": "2026-01-01", "peers": peers}
    );
    let record = serde_json::json!({
        "version": 1, "url": "https://a.example/list", "fetched_at": 1, "signature": null,
        "list": list.to_string(),
    });
    fs::write(folder.join("public-peers.json"), record.to_string()).unwrap();
}

const CONFIG: &str = "public_peers.url = \"https://a.example/list\"";

fn chosen(uri: &str) -> ChosenPeer {
    ChosenPeer::new(uri, ("r", "c"), "near: 1 ms".to_owned(), 1).unwrap()
}

fn names(node: &Node) -> Vec<String> {
    node.kept().chosen.iter().map(|peer| peer.id().uri).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chosen_peer_that_is_gone_is_replaced_and_that_is_told() {
    let (other, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (alive, uri) = listening(other.path()).await;
    let gone = "tcp://127.0.0.2:1";
    write_list(own.path(), &[gone, &uri, "tcp://192.0.2.1:1"]);
    let node = node(own.path(), CONFIG).await;
    node.add_chosen(vec![chosen(gone)]).await.unwrap();

    // A short trouble changes nothing.
    tend(Arc::clone(&node)).await;
    assert_eq!(names(&node), [gone]);

    let now = Moment::now();
    replace_one(&node, gone, Duration::from_secs(1_000), now).await;
    assert_eq!(names(&node), std::slice::from_ref(&uri));
    assert!(node.kept().was_given_up(gone, now.unix_s));
    let told = node.publish().await;
    let item = told.health.iter().find(|item| item.code == PEER_REPLACED).unwrap();
    assert!(item.text.contains(gone) && item.text.contains(&uri), "{item:?}");
    assert_eq!(item.severity, Severity::Info);

    // The one that was given up does not come back, and nobody else is left.
    replace_one(&node, &uri, Duration::from_secs(1_000), Moment::now()).await;
    assert_eq!(names(&node), [uri]);

    // A day later it is told no more.
    let tomorrow = Moment { unix_s: now.unix_s + TOLD_S, ..now };
    tell_of_replacement(&node, tomorrow);
    assert!(node.publish().await.health.iter().all(|item| item.code != PEER_REPLACED));
    node.end().await;
    alive.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_replaced_by_one_that_does_not_answer() {
    let own = tempfile::tempdir().unwrap();
    let gone = "tcp://127.0.0.2:1";
    write_list(own.path(), &[gone, "tcp://127.0.0.3:1", "tcp://192.0.2.1:1"]);
    let node = node(own.path(), CONFIG).await;
    node.add_chosen(vec![chosen(gone)]).await.unwrap();
    replace_one(&node, gone, Duration::from_secs(1_000), Moment::now()).await;
    assert_eq!(names(&node), [gone]);
    assert!(node.kept().replaced.is_none());
    node.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persons_own_peer_is_not_touched() {
    let own = tempfile::tempdir().unwrap();
    write_list(own.path(), &["tcp://127.0.0.3:1"]);
    let config = format!("peers = [\"tcp://127.0.0.2:1\"]\n{CONFIG}");
    let node = node(own.path(), &config).await;
    let before = fs::read(own.path().join("config.toml")).unwrap();
    replace_one(&node, "tcp://127.0.0.2:1", Duration::from_secs(1_000), Moment::now()).await;
    assert!(names(&node).is_empty());
    assert_eq!(fs::read(own.path().join("config.toml")).unwrap(), before);
    // Nobody outside is dialled while offline, even one that was chosen before.
    node.add_chosen(vec![chosen("tcp://192.0.2.1:1")]).await.unwrap();
    let refused = async {
        loop {
            let peers = node.engine().unwrap().peers().list();
            let outside = peers.iter().find(|peer| peer.id.uri == "tcp://192.0.2.1:1").unwrap();
            if let Some(error) = &outside.last_error {
                return error.code;
            }
            tokio::task::yield_now().await;
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    assert_eq!(refused, "out_of_reach");
    node.end().await;
}
