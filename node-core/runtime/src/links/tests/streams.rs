//! Links over transports that are not sockets: QUIC and WebSocket.

use tokio::task::block_in_place;

use super::*;
use crate::links::{
    handshake::HANDSHAKE_TIME_MAX,
    quic,
    tls::{WebCertificate, WebCertificateError},
};

const CERTIFICATE: &[u8] = include_bytes!("web_certificate.pem");
const KEY: &[u8] = include_bytes!("web_key.pem");

/// Node 1, which has a certificate for `wss`.
fn server() -> LocalEnd {
    let local = end(1, &[]);
    let certificate = WebCertificate::from_pem(CERTIFICATE, KEY).unwrap();
    local.tls().set_web_certificate(Some(certificate)).unwrap();
    local
}

/// Links node 2 to node 1 over `scheme`.
async fn linked(scheme: &str) -> (Side, Held, Established) {
    let (mut side, address) =
        Side::listening(server(), &format!("{scheme}://127.0.0.1:0?password=x")).await;
    let outgoing = dialled(&format!("{scheme}://{address}?password=x")).await.unwrap();
    let held = side.link().await;
    (side, held, outgoing)
}

/// Writes all of `bytes` as the data path does.
fn write_all(link: &Established, mut bytes: &[u8]) {
    let socket = link.stream.socket();
    while !bytes.is_empty() {
        match socket::try_send(socket, bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket::wait_writable(socket, PATIENCE).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_becomes_a_link() {
    for scheme in ["quic", "ws", "wss"] {
        let (_side, held, mut outgoing) = linked(scheme).await;
        let mut incoming = held.link;
        assert_eq!((incoming.peer, outgoing.peer), (key(2), key(1)), "{scheme}");
        let (near, far) = (incoming.remote.unwrap(), outgoing.remote.unwrap());
        assert!(near.ip().is_loopback() && near != far, "{near} {far}");
        assert_eq!(incoming.uri, format!("{scheme}://{near}"));
        block_in_place(|| {
            let bytes: Vec<u8> = (0..2_000_000_u32).map(|at| (at ^ (at >> 10)) as u8).collect();
            let carries = |from: &Established, to: &mut Established| {
                std::thread::scope(|scope| {
                    scope.spawn(|| write_all(from, &bytes));
                    assert!(read(to, bytes.len()) == bytes, "{scheme}");
                });
            };
            carries(&outgoing, &mut incoming);
            carries(&incoming, &mut outgoing);
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_link_is_seen_at_the_other_end() {
    for scheme in ["quic", "ws", "wss"] {
        for incoming_ends in [false, true] {
            let (_side, held, outgoing) = linked(scheme).await;
            let (ends, sees) = match incoming_ends {
                true => (held.link, outgoing),
                false => (outgoing, held.link),
            };
            block_in_place(|| {
                write_all(&ends, b"last words");
                socket::shutdown(ends.stream.socket()).unwrap();
                let mut sees = sees;
                assert_eq!(read(&mut sees, 10), b"last words", "{scheme}");
                let end = socket::recv(sees.stream.socket(), &mut [0]);
                assert!(matches!(end, Ok(0) | Err(_)), "{scheme} {end:?}");
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_in_the_handshake_gets_no_link() {
    for scheme in ["quic", "ws", "wss"] {
        let (_side, address) =
            Side::listening(server(), &format!("{scheme}://127.0.0.1:0?password=x")).await;
        let error = dialled(&format!("{scheme}://{address}?password=y")).await.unwrap_err();
        let codes = ["password_mismatch", "closed_by_peer"];
        assert!(codes.contains(&error.code()), "{scheme} {error:?}");
    }
}

#[tokio::test]
async fn a_port_is_free_when_its_listener_has_stopped() {
    for scheme in ["quic", "ws"] {
        let (mut side, address) =
            Side::listening(end(1, &[]), &format!("{scheme}://127.0.0.1:0")).await;
        let uri = format!("{scheme}://{address}");
        dialled(&uri).await.unwrap();
        let _held = side.link().await;
        side.peers.stop_listening(&listen_uri(&format!("{scheme}://127.0.0.1:0"))).await.unwrap();
        soon(side.peers.listen(listen_uri(&uri))).await.unwrap();
        dialled(&uri).await.unwrap();
        side.link().await;
    }
}

#[tokio::test]
async fn connections_without_a_stream_keep_nobody_out() {
    let (mut side, address) = Side::listening(end(1, &[]), "quic://127.0.0.1:0").await;
    let local = end(3, &[]);
    let mut silent = Vec::new();
    // So many that a proof of the address is asked for.
    for _ in 0..8 {
        silent.push(soon(quic::connect(local.tls().quic(), address, None)).await.unwrap());
    }
    let began = tokio::time::Instant::now();
    dialled(&format!("quic://{address}")).await.unwrap();
    side.link().await;
    assert!(began.elapsed() < HANDSHAKE_TIME_MAX, "nobody waits for the silent ones");
}

#[tokio::test]
async fn a_wss_listener_needs_a_certificate_and_takes_a_new_one() {
    let local = end(1, &[]);
    let (mut side, address) = Side::listening(local.clone(), "wss://127.0.0.1:0").await;
    let uri = format!("wss://{address}");
    assert_eq!(dialled(&uri).await.unwrap_err().code(), "tls_failed");
    let certificate = WebCertificate::from_pem(CERTIFICATE, KEY).unwrap();
    local.tls().set_web_certificate(Some(certificate)).unwrap();
    dialled(&uri).await.unwrap();
    side.link().await;
    local.tls().set_web_certificate(None).unwrap();
    assert_eq!(dialled(&uri).await.unwrap_err().code(), "tls_failed");
}

#[test]
fn files_that_make_no_certificate_are_told_apart() {
    let other_key = b"-----BEGIN PRIVATE KEY-----\n\
                      MC4CAQAwBQYDK2VwBCIEIGR7pZ5OkbXoDTcKE9aHmTO6Z8UPwO3qu/Pele7xWOXS\n\
                      -----END PRIVATE KEY-----\n";
    type Wanted = fn(&WebCertificateError) -> bool;
    let cases: [(&[u8], &[u8], Wanted); 6] = [
        (b"", KEY, |error| matches!(error, WebCertificateError::ChainLength)),
        (&CERTIFICATE.repeat(17), KEY, |error| matches!(error, WebCertificateError::ChainLength)),
        (&CERTIFICATE[..300], KEY, |error| matches!(error, WebCertificateError::CertificatePem(_))),
        (CERTIFICATE, CERTIFICATE, |error| matches!(error, WebCertificateError::KeyPem)),
        (CERTIFICATE, other_key, |error| matches!(error, WebCertificateError::Mismatch)),
        (CERTIFICATE, &KEY[..200], |error| matches!(error, WebCertificateError::KeyPem)),
    ];
    for (at, (certificate, key, wanted)) in cases.into_iter().enumerate() {
        let error = WebCertificate::from_pem(certificate, key).unwrap_err();
        assert!(wanted(&error), "case {at}: {error:?}");
    }
}
