//! Links over socket files.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

use super::*;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("planetary-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn uri(&self) -> String {
        format!("unix://{}/link.sock", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn several_nodes_link_over_one_socket_file() {
    let folder = Folder::new("several");
    let uri = folder.uri();
    let file = folder.0.join("link.sock");
    let mut side = Side::new(end(1, &[]));
    let listen = format!("{uri}?password=x");
    assert_eq!(side.peers.listen(listen_uri(&listen)).await.unwrap(), None);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o660);

    let peer = peer_uri(&format!("{uri}?password=x&key={}", key(1)));
    let mut outgoing = Vec::new();
    for seed in 2..5 {
        let link = soon(dial::open(&end(seed, &[]), &peer, None)).await.unwrap();
        assert_eq!((link.peer, link.remote, &link.uri), (key(1), None, &uri));
        outgoing.push(link);
    }
    for (seed, outgoing) in (2..5).zip(&mut outgoing) {
        let mut incoming = side.link().await.link;
        assert_eq!((incoming.peer, incoming.remote, &incoming.uri), (key(seed), None, &uri));
        write(outgoing, b"over");
        assert_eq!(read(&mut incoming, 4), b"over");
        write(&mut incoming, b"and back");
        assert_eq!(read(outgoing, 8), b"and back");
    }
    side.peers.shutdown().await;
    assert!(!file.exists(), "the file goes away with the listener");
    let error = soon(dial::open(&end(2, &[]), &peer, None)).await.unwrap_err();
    assert_eq!(error.code(), "cannot_connect");
}

#[tokio::test]
async fn wrong_passwords_and_keys_are_refused_on_a_socket_file() {
    let folder = Folder::new("wrong");
    let side = Side::new(end(1, &[]));
    side.peers.listen(listen_uri(&format!("{}?password=x", folder.uri()))).await.unwrap();
    for (options, code) in [
        ("password=y".to_owned(), "password_mismatch"),
        (format!("password=x&key={}", key(9)), "pinned_key_mismatch"),
    ] {
        let error = dialled(&format!("{}?{options}", folder.uri())).await.unwrap_err();
        // The far end may hang up before its greeting is read.
        assert!([code, "closed_by_peer"].contains(&error.code()), "{error}");
    }
}

#[tokio::test]
async fn only_a_dead_socket_is_replaced() {
    let folder = Folder::new("dead");
    let file = folder.0.join("link.sock");
    let side = Side::new(end(1, &[]));
    let listen = async || side.peers.listen(listen_uri(&folder.uri())).await;

    fs::write(&file, "mine").unwrap();
    let error = listen().await.unwrap_err();
    assert!(error.to_string().ends_with("link.sock"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    fs::remove_file(&file).unwrap();

    let alive = std::os::unix::net::UnixListener::bind(&file).unwrap();
    listen().await.unwrap_err();
    // Its file stays behind, as when a node is killed.
    drop(alive);
    listen().await.unwrap();

    // Somebody else's file outlives the listener.
    fs::remove_file(&file).unwrap();
    fs::write(&file, "mine").unwrap();
    side.peers.shutdown().await;
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[tokio::test]
async fn a_socket_file_is_on_this_computer() {
    use crate::links::probe::{Reach, probe};

    let folder = Folder::new("reach");
    let side = Side::new(end(1, &[]));
    side.peers.listen(listen_uri(&folder.uri())).await.unwrap();
    let uri = peer_uri(&folder.uri());
    let probed = |reach| {
        let (local, uri) = (end(2, &[]), uri.clone());
        async move { soon(probe(&local, &uri, None, reach, PATIENCE)).await }
    };
    assert_eq!(probed(Reach::Loopback).await.unwrap().peer, key(1));
    assert_eq!(probed(Reach::Public).await.unwrap_err().code(), "out_of_reach");
    let proxied = peer_uri("socks://127.0.0.1:9/127.0.0.1:9");
    let probed = probe(&end(2, &[]), &proxied, None, Reach::Loopback, PATIENCE).await;
    assert_eq!(probed.unwrap_err().code(), "out_of_reach", "where a proxy leads is its business");
}
