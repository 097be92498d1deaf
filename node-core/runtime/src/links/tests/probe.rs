//! Probes: what an answer tells, that nothing of it is kept, and what hostile peers get.

use planetary_proto::link::meta::Meta;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use super::*;
use crate::links::{
    dial::DialError,
    probe::{Probe, Reach, probe},
};

/// How long a probe of a test may take.
const SECONDS: Duration = Duration::from_secs(5);

async fn probed(uri: &str, reach: Reach) -> Result<Probe, LinkError> {
    soon(probe(&end(2, &[]), &peer_uri(uri), None, reach, SECONDS)).await
}

/// Probes somebody who sends these bytes and then waits.
async fn code_of_somebody_who_sends(bytes: Vec<u8>) -> &'static str {
    let somebody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("tcp://{}", somebody.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = somebody.accept().await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let code = probed(&uri, Reach::Any).await.unwrap_err().code();
    // The probe has closed the connection, whatever came of it.
    soon(task).await.unwrap();
    code
}

#[tokio::test]
async fn a_probe_names_key_and_times_and_closes_the_link() {
    for scheme in ["tcp", "tls"] {
        let (mut side, address) =
            Side::listening(end(1, &[]), &format!("{scheme}://127.0.0.1:0?password=a")).await;
        let uri = format!("{scheme}://{address}?password=a&key={}", key(1));
        let found = probed(&uri, Reach::Loopback).await.unwrap();
        assert_eq!((found.peer, found.remote), (key(1), Some(address)));
        assert!(found.round_trip < SECONDS && found.connect < SECONDS);
        // The far end has a link, and sees it end.
        let held = side.link().await;
        assert_eq!(held.link.peer, key(2));
        let ended = tokio::task::spawn_blocking(move || {
            // TLS says farewell first.
            let mut heard = [0; 256];
            while socket::recv(held.link.stream.socket(), &mut heard).is_ok_and(|len| len > 0) {}
        });
        soon(ended).await.unwrap();
    }
}

#[tokio::test]
async fn a_probe_is_held_to_key_and_password() {
    let (_side, address) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0?password=a").await;
    for (options, code) in [
        ("password=b".to_owned(), "password_mismatch"),
        (format!("password=a&key={}", key(9)), "pinned_key_mismatch"),
    ] {
        let error = probed(&format!("tcp://{address}?{options}"), Reach::Any).await.unwrap_err();
        // The far end may hang up before its greeting is read.
        assert!([code, "closed_by_peer"].contains(&error.code()), "{error}");
    }
}

#[tokio::test]
async fn hostile_answers_are_named_and_end_the_probe() {
    let mut other_version = Meta::emit(&identity(1), 0, Capabilities::NONE, b"").unwrap();
    other_version[17] = 9;
    for (bytes, code) in [
        (other_version, "incompatible_version"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "not_this_protocol"),
        ([&b"meta\xff\xff"[..], &[0xff; 0xffff]].concat(), "bad_handshake"),
        (Meta::emit(&identity(2), 0, Capabilities::NONE, b"").unwrap(), "connected_to_self"),
    ] {
        assert_eq!(code_of_somebody_who_sends(bytes).await, code);
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(silent.accept().await.unwrap());
        }
    });
    for (scheme, code) in [("tcp", "handshake_timeout"), ("tls", "dial_timeout")] {
        let began = Instant::now();
        let error = probed(&format!("{scheme}://{address}"), Reach::Any).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let waited = began.elapsed();
        assert!(waited <= SECONDS + Duration::from_millis(50), "{waited:?}");
    }
    accepting.abort();
}

#[tokio::test]
async fn a_probe_goes_no_further_than_it_may() {
    let (mut side, address) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0").await;
    let out_of_reach =
        |error: LinkError| matches!(error, LinkError::Dial(DialError::OutOfReach { .. }));
    for (uri, reach) in [
        (format!("tcp://{address}"), Reach::Public),
        ("tcp://192.0.2.1:1".to_owned(), Reach::Loopback),
        // Not looked up either.
        ("tcp://peer.example:1".to_owned(), Reach::Loopback),
    ] {
        assert!(out_of_reach(probed(&uri, reach).await.unwrap_err()), "{uri}");
    }
    assert!(side.links.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_is_held_to_its_reach_at_every_attempt() {
    let (mut listening, address) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0").await;
    let side = Side::new(end(2, &[]));
    let uri = peer_uri(&format!("tcp://{address}"));
    let id = side.peers.add_within(uri, None, Reach::Public).unwrap();
    soon(async {
        while side.peers.list()[0].last_error.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let error = side.peers.list()[0].last_error.clone().unwrap();
    assert_eq!(error.code, "out_of_reach");
    assert!(error.message.contains("no public address"), "{}", error.message);
    side.peers.remove(&id).await.unwrap();
    assert!(listening.links.try_recv().is_err());
}
