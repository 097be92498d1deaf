//! Links over transports that are not sockets: QUIC and WebSocket.

use tokio::task::block_in_place;

use super::*;
use crate::links::{
    handshake::HANDSHAKE_TIME_MAX,
    quic,
    tls::{WebCertificate, WebCertificateError},
};

#[cfg(target_os = "linux")]
use crate::links::lane::{DatagramLane, FrameMax};

const CERTIFICATE: &[u8] = include_bytes!("web_certificate.pem");
const KEY: &[u8] = include_bytes!("web_key.pem");

/// Node 1, which has a certificate for `wss`.
fn server() -> LocalEnd {
    let local = end(1, &[]);
    let certificate = WebCertificate::from_pem(CERTIFICATE, KEY).unwrap();
    local.tls().set_web_certificate(Some(certificate)).unwrap();
    local
}

/// Those that this system has: Wine opens no socket for QUIC.
fn here<const N: usize>(schemes: [&'static str; N]) -> impl Iterator<Item = &'static str> {
    let is_wine = std::env::var_os("PLANETARY_WINE").is_some();
    schemes.into_iter().filter(move |scheme| !is_wine || *scheme != "quic")
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
    for scheme in here(["quic", "ws", "wss"]) {
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
    for scheme in here(["quic", "ws", "wss"]) {
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
    for scheme in here(["quic", "ws", "wss"]) {
        let (_side, address) =
            Side::listening(server(), &format!("{scheme}://127.0.0.1:0?password=x")).await;
        let error = dialled(&format!("{scheme}://{address}?password=y")).await.unwrap_err();
        let codes = ["password_mismatch", "closed_by_peer"];
        assert!(codes.contains(&error.code()), "{scheme} {error:?}");
    }
}

#[tokio::test]
async fn a_port_is_free_when_its_listener_has_stopped() {
    for scheme in here(["quic", "ws"]) {
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
    if here(["quic"]).next().is_none() {
        return;
    }
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

/// Sends frames of these sizes over a lane, as the data path does, until one has arrived; frames
/// may get lost.
#[cfg(target_os = "linux")]
fn crosses(from: &DatagramLane, to: &DatagramLane, len: usize) -> bool {
    let mut frame = vec![0; FrameMax::LIMIT];
    to.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    (0..50_u8).any(|number| {
        assert_eq!(socket::try_send(&from.socket, &vec![number; len]).unwrap(), len);
        let got = socket::recv(&to.socket, &mut frame);
        got.is_ok_and(|got| {
            assert!(frame[..got].iter().all(|byte| *byte <= number), "of frames that were sent");
            got == len
        })
    })
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn frames_travel_beside_the_stream() {
    let (_side, held, outgoing) = linked("quic").await;
    assert!(outgoing.capabilities.contain(Capabilities::DATAGRAMS));
    let (near, far) = (outgoing.datagrams.unwrap(), held.link.datagrams.unwrap());
    block_in_place(|| {
        for len in [1, 100, 1_000] {
            assert!(crosses(&near, &far, len) && crosses(&far, &near, len), "{len} bytes");
        }
        // The way over loopback is as wide as any that is searched for.
        let grown = (0..200).find(|_| crosses(&near, &far, 500) && near.frame_max.get() > 8_000);
        assert!(grown.is_some(), "{} bytes fit", near.frame_max.get());
        assert!(crosses(&near, &far, near.frame_max.get()));
        // What does not fit is lost alone.
        socket::try_send(&near.socket, &[0; FrameMax::LIMIT]).unwrap();
        assert!(crosses(&near, &far, 100));
        // With the stream ends the lane.
        socket::shutdown(outgoing.stream.socket()).unwrap();
        for lane in [&near, &far] {
            lane.socket.set_read_timeout(Some(PATIENCE)).unwrap();
            while socket::recv(&lane.socket, &mut [0; 100]).unwrap() > 0 {}
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn other_links_have_no_lane() {
    for scheme in ["tcp", "tls", "ws", "wss"] {
        let (_side, held, outgoing) = linked(scheme).await;
        assert_eq!(outgoing.capabilities, Capabilities::NONE);
        assert!(outgoing.datagrams.is_none() && held.link.datagrams.is_none(), "{scheme}");
    }
}
