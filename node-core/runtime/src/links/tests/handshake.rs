//! Handshakes that must fail, each with its own reason, and bytes that must not be lost.

use std::io::Write;

use planetary_proto::link::meta::{Meta, MetaError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::links::handshake::HandshakeError;

/// What the dialer hears when the listener has one password or allow-list and the dialer its own
/// options.
async fn refusal(scheme: &str, allowed: &[NodeKey], listen: &str, dial: &str) -> HandshakeError {
    let (_side, address) =
        Side::listening(end(1, allowed), &format!("{scheme}://127.0.0.1:0?{listen}")).await;
    match dialled(&format!("{scheme}://{address}?{dial}")).await {
        Err(LinkError::Handshake(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A peer that plays the listener by hand: sends `bytes` and keeps what it gets.
async fn dial_somebody_who_sends(bytes: Vec<u8>) -> Result<Established, LinkError> {
    let somebody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("tcp://{}", somebody.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = somebody.accept().await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    let opened = dialled(&uri).await;
    task.abort();
    opened
}

#[tokio::test]
async fn passwords_must_be_the_same_on_both_sides() {
    for scheme in ["tcp", "tls"] {
        for (listen, dial) in [("password=a", "password=b"), ("password=a", ""), ("", "password=b")]
        {
            let error = refusal(scheme, &[], listen, dial).await;
            assert!(
                matches!(error, HandshakeError::Meta(MetaError::PasswordMismatch)),
                "{scheme} {listen} {dial}: {error}"
            );
            assert_eq!(error.code(), "password_mismatch");
        }
        let (_side, _held, dialled) = pair(scheme, "password=a", "password=%61").await;
        assert_eq!(dialled.unwrap().peer, key(1));
    }
}

#[tokio::test]
async fn a_pinned_peer_must_have_one_of_the_keys() {
    let wrong = format!("key={}", key(9));
    let error = refusal("tcp", &[], "", &wrong).await;
    assert!(matches!(error, HandshakeError::PinnedKeyMismatch), "{error}");

    let right = format!("{wrong}&key={}", key(1));
    let (_side, _held, dialled) = pair("tls", "", &right).await;
    assert_eq!(dialled.unwrap().peer, key(1));
}

#[tokio::test]
async fn the_allow_list_holds_for_those_who_come_in() {
    // The dialer is through with its own checks, so its link is up, and then closed.
    for (allowed, welcome) in [(key(9), false), (key(2), true)] {
        let (mut side, address) = Side::listening(end(1, &[allowed]), "tcp://127.0.0.1:0").await;
        // The dialer's own list does not hold for links that it dials.
        let uri = peer_uri(&format!("tcp://{address}"));
        let link = soon(dial::open(&end(2, &[key(7)]), &uri, None)).await.unwrap();
        if welcome {
            assert_eq!(side.link().await.link.peer, key(2));
        } else {
            let ended = tokio::task::spawn_blocking(move || {
                socket::recv(link.stream.socket(), &mut [0; 16])
            });
            assert_eq!(soon(ended).await.unwrap().unwrap(), 0);
            assert!(side.links.try_recv().is_err());
        }
    }
}

#[tokio::test]
async fn a_node_does_not_link_with_itself() {
    let (_side, address) = Side::listening(end(1, &[]), "tls://127.0.0.1:0").await;
    let uri = peer_uri(&format!("tls://{address}"));
    let error = soon(dial::open(&end(1, &[]), &uri, None)).await.unwrap_err();
    assert!(matches!(error, LinkError::Handshake(HandshakeError::SelfConnection)), "{error}");
}

#[tokio::test]
async fn another_version_is_told_by_its_numbers() {
    let mut meta = Meta::emit(&identity(1), 0, Capabilities::NONE, b"").unwrap();
    // The versions are not signed.
    meta[11] = 1;
    meta[17] = 4;
    let error = dial_somebody_who_sends(meta).await.unwrap_err();
    assert_eq!(error.code(), "incompatible_version");
    assert!(error.to_string().contains("1.4"), "{error}");
}

#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let whole = Meta::emit(&identity(1), 0, Capabilities::NONE, b"").unwrap();
    let mut short = whole.clone();
    short[5] = 63;
    let cases = [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(), "not_this_protocol"),
        (short, "bad_handshake"),
        ([&b"meta\xff\xff"[..], &[0xff; 0xffff]].concat(), "bad_handshake"),
    ];
    for (bytes, code) in cases {
        assert_eq!(dial_somebody_who_sends(bytes).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_told_from_one_that_fails() {
    let somebody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("tcp://{}", somebody.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = somebody.accept().await.unwrap();
        stream.write_all(b"meta").await.unwrap();
    });
    let error = dialled(&uri).await.unwrap_err();
    task.await.unwrap();
    assert_eq!(error.code(), "closed_by_peer");
}

#[tokio::test]
async fn tls_and_plain_do_not_mix() {
    let (_plain, plain) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0").await;
    let (_tls, tls) = Side::listening(end(1, &[]), "tls://127.0.0.1:0").await;
    let error = dialled(&format!("tls://{plain}")).await.unwrap_err();
    assert_eq!(error.code(), "tls_failed", "{error}");
    // A TLS listener answers with an alert, or just hangs up.
    let error = dialled(&format!("tcp://{tls}")).await.unwrap_err();
    assert!(matches!(error.code(), "not_this_protocol" | "closed_by_peer"), "{error}");
}

#[tokio::test]
async fn bytes_right_behind_the_handshake_are_kept() {
    let meta = Meta::emit(&identity(1), 0, Capabilities::NONE, b"").unwrap();
    let mut link = dial_somebody_who_sends([&meta[..], b"first frame"].concat()).await.unwrap();
    assert_eq!(read(&mut link, 11), b"first frame");
}

#[tokio::test]
async fn bytes_right_behind_the_handshake_are_kept_inside_tls() {
    let (mut side, address) = Side::listening(end(1, &[]), "tls://127.0.0.1:0").await;
    // One record with the meta message and a frame, and one more record, written by hand in one
    // segment.
    let raw = std::thread::spawn(move || {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(crate::links::tls::tests::any_certificate())
        .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).unwrap();
        }
        let meta = Meta::emit(&identity(2), 0, Capabilities::NONE, b"").unwrap();
        connection.writer().write_all(&[&meta[..], b"first frame,"].concat()).unwrap();
        connection.writer().write_all(b" second").unwrap();
        let mut out = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut out).unwrap();
        }
        socket.write_all(&out).unwrap();
        socket
    });
    let mut held = side.link().await;
    assert_eq!(read(&mut held.link, 19), b"first frame, second");
    drop(raw.join().unwrap());
}

/// Under a clock that jumps to the next deadline whenever nothing else can happen.
#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_closed_after_six_seconds() {
    let beginnings = [("tcp", [&b""[..], b"meta\x00"]), ("tls", [b"", b"\x16\x03"])];
    for (scheme, beginnings) in beginnings {
        let (_side, address) =
            Side::listening(end(1, &[]), &format!("{scheme}://127.0.0.1:0")).await;
        for said in beginnings {
            let started = tokio::time::Instant::now();
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(said).await.unwrap();
            let mut heard = Vec::new();
            let _ = silent.read_to_end(&mut heard).await;
            let waited = started.elapsed().as_secs_f32();
            assert!((5.9..6.5).contains(&waited), "{scheme}: {waited}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(silent.accept().await.unwrap());
        }
    });
    for (scheme, code) in [("tcp", "handshake_timeout"), ("tls", "dial_timeout")] {
        let error = dialled(&format!("{scheme}://{address}")).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    accepting.abort();
}
