//! WebSockets over streams in memory: both ends ours, or one end bytes written by hand.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};

use super::{
    upgrade::{UpgradeError, Verdict, accept, connect, judge},
    *,
};
use crate::{
    http::Request,
    links::uri::{Host, PeerUri},
};

/// Bytes in memory take moments; Wine on a busy machine, half a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for what must happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it did not happen")
}

/// A server of ours, and what its client sends and gets behind the HTTP part.
fn server(room: usize) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(room);
    (WebSocket::new(near, Role::Server, Vec::new()), far)
}

/// A frame of a client, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Everything that is read until the end.
async fn read_all(socket: &mut WebSocket<DuplexStream>) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let end = soon(socket.read_to_end(&mut bytes)).await;
    (bytes, end.map(drop))
}

#[tokio::test]
async fn both_ends_carry_bytes_and_a_farewell() {
    let (near, far) = duplex(100);
    let host = Host::Name("node".to_owned());
    let (client, server) =
        soon(async { tokio::join!(connect(near, &host, "/", None), accept(far, &[])) }).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let sent: Vec<u8> = (0..300_000_u32).map(|at| (at ^ (at >> 9)) as u8).collect();
    let mut received = vec![0; sent.len()];
    let writing = async {
        client.write_all(&sent).await.unwrap();
        client.flush().await.unwrap();
    };
    soon(async { tokio::join!(writing, server.read_exact(&mut received)) }).await.1.unwrap();
    assert!(received == sent);
    soon(server.write_all(b"and back")).await.unwrap();
    soon(server.shutdown()).await.unwrap();
    let (bytes, end) = read_all(&mut client).await;
    assert_eq!(bytes, b"and back");
    end.unwrap();
    assert!(client.write_all(b"late").await.is_err(), "the farewell was answered");
}

#[tokio::test]
async fn messages_may_be_cut_anywhere() {
    let wire = [
        frame(0x02, b"in "),
        frame(0x00, b"three"),
        frame(0x89, b"between"),
        frame(0x80, b" parts"),
        frame(0x82, b""),
        frame(0x82, &[7; 300]),
        frame(0x88, &1000_u16.to_be_bytes()),
    ]
    .concat();
    let (mut whole, mut far) = server(10_000);
    far.write_all(&wire).await.unwrap();
    let (expected, end) = read_all(&mut whole).await;
    end.unwrap();
    assert_eq!(expected, [b"in three parts", &[7; 300][..]].concat());

    let (mut trickling, mut far) = server(10_000);
    let writing = async {
        for byte in &wire {
            far.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answers = vec![0; 9 + 4];
        far.read_exact(&mut answers).await.unwrap();
        answers
    };
    let ((received, _), answers) = tokio::join!(read_all(&mut trickling), writing);
    assert_eq!(received, expected);
    assert_eq!(answers, b"\x8a\x07between\x88\x02\x03\xe8", "a pong and a farewell, not masked");
}

#[tokio::test]
async fn a_message_larger_than_memory_is_passed_on_as_it_comes() {
    let (mut near, mut far) = server(10_000);
    far.write_all(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0beginning").await.unwrap();
    let mut beginning = [0; 9];
    soon(near.read_exact(&mut beginning)).await.unwrap();
    assert_eq!(&beginning, b"beginning");
}

#[tokio::test]
async fn breaches_end_the_connection_with_their_status() {
    let far_too_long = [0_u8; 126];
    for (wire, status) in [
        (frame(0x81, b"text"), 1003_u16),
        (b"\x82\x01x".to_vec(), 1002),
        (frame(0xc2, b"compressed"), 1002),
        (frame(0x80, b"goes on with nothing"), 1002),
        ([frame(0x02, b"first"), frame(0x82, b"not done")].concat(), 1002),
        (frame(0x83, b"reserved"), 1002),
        (frame(0x09, b"ping in parts"), 1002),
        (frame(0x89, &far_too_long), 1002),
        (frame(0x88, b"x"), 1002),
    ] {
        let (mut near, mut far) = server(10_000);
        far.write_all(&wire).await.unwrap();
        let (_, end) = read_all(&mut near).await;
        assert!(end.is_err(), "{wire:02x?}");
        let mut answer = [0; 4];
        soon(far.read_exact(&mut answer)).await.unwrap();
        assert_eq!((answer[0], u16::from_be_bytes([answer[2], answer[3]])), (0x88, status));
    }
}

#[tokio::test]
async fn only_an_ordinary_farewell_is_an_end() {
    for (payload, ordinary) in [
        (&[][..], true),
        (&[0x03, 0xe8], true),
        (&[0x03, 0xe9, b'b', b'y', b'e'], true),
        (&[0x03, 0xf0], false),
        (&[0x03, 0xf3], false),
    ] {
        let (mut near, mut far) = server(1000);
        far.write_all(&[frame(0x82, b"last words"), frame(0x88, payload)].concat()).await.unwrap();
        let (bytes, end) = read_all(&mut near).await;
        assert_eq!((&*bytes, end.is_ok()), (&b"last words"[..], ordinary), "{payload:?}");
    }
    let (mut near, far) = server(1000);
    drop(far);
    assert!(read_all(&mut near).await.1.is_err(), "nor is a lost connection");
}

#[tokio::test]
async fn pings_without_end_do_not_fill_the_memory() {
    let (mut near, mut far) = server(1000);
    let reading = async {
        let mut byte = [0];
        near.read_exact(&mut byte).await.unwrap();
        near.outgoing.capacity()
    };
    let flooding = async {
        // Far more than is kept, and no answer is taken.
        for _ in 0..10_000 {
            far.write_all(&frame(0x89, &[0; 125])).await.unwrap();
        }
        far.write_all(&frame(0x82, b"x")).await.unwrap();
    };
    let (kept, ()) = soon(async { tokio::join!(reading, flooding) }).await;
    assert!(kept <= 4 * PONG_BACKLOG_MAX, "{kept}");
}

/// What a request of a well-behaved client is judged as, with some of its lines replaced.
fn verdict(replace: &[(&str, &str)], origins: &[&str]) -> Verdict {
    let mut text = "GET /any/path?x=y HTTP/1.1\r\nHost: Node.example:80\r\nUpgrade: WebSocket\r\n\
                    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Protocol: chat, YGG-WS\r\n\r\n"
        .to_owned();
    for (old, new) in replace {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    let (request, _) = Request::parse(text.as_bytes()).unwrap().unwrap();
    let origins: Vec<_> = origins.iter().map(|it| glob::Pattern::new(it).unwrap()).collect();
    judge(&request, &origins)
}

#[test]
fn a_request_for_a_link_is_told_from_others() {
    // The example of RFC 6455, 1.3.
    let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned();
    assert_eq!(verdict(&[], &[]), Verdict::Link { accept: accept.clone() });
    for protocol in ["Sec-WebSocket-Protocol: chat\r\n", ""] {
        let other = verdict(&[("Sec-WebSocket-Protocol: chat, YGG-WS\r\n", protocol)], &[]);
        assert_eq!(other, Verdict::OtherProtocol { accept: accept.clone() });
    }
    for (old, new, status) in [
        ("GET", "POST", 405),
        ("HTTP/1.1", "HTTP/1.0", 426),
        ("Upgrade: WebSocket\r\n", "", 426),
        ("keep-alive, Upgrade", "keep-alive", 426),
        ("Version: 13", "Version: 8", 400),
        ("Host: Node.example:80\r\n", "", 400),
        ("Host: Node", "Host: other\r\nHost: Node", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "not base64", 400),
    ] {
        assert_eq!(verdict(&[(old, new)], &[]), Verdict::Refuse(status), "{new}");
    }
    for path in ["/health", "/healthz", "/health?now"] {
        assert_eq!(verdict(&[("/any/path?x=y", path)], &[]), Verdict::HealthCheck);
    }
}

#[test]
fn web_pages_of_other_origins_are_refused_unless_named() {
    for (origin, patterns, welcome) in [
        ("https://node.example:80", &[][..], true),
        ("https://node.example", &[], false),
        ("https://evil.example", &[], false),
        ("null", &[], false),
        ("null", &["*"], true),
        ("https://evil.example", &["*"], true),
        ("https://a.Good.example", &["*.good.example"], true),
        ("https://a.good.example:81", &["*.good.example"], false),
        ("https://good.example", &["https://good.*"], true),
        ("http://good.example", &["https://good.*"], false),
        ("https://evil.example/.good.example", &["good.example"], false),
    ] {
        let line = format!("Origin: {origin}\r\nHost:");
        let verdict = verdict(&[("Host:", &line)], patterns);
        assert_eq!(verdict != Verdict::Refuse(403), welcome, "{origin} {patterns:?}");
    }
}

/// What a server sees of a client that dials `uri`.
async fn request_of(uri: &str) -> String {
    let uri: PeerUri = uri.parse().unwrap();
    let (near, mut far) = duplex(4096);
    let crate::links::uri::Place::Web { server, path } = uri.place() else { panic!("{uri}") };
    let asking = connect(near, &server.host, path, uri.login());
    let hearing = async {
        let mut bytes = vec![0; 4096];
        let len = far.read(&mut bytes).await.unwrap();
        drop(far);
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    };
    soon(async { tokio::join!(asking, hearing) }).await.1
}

#[tokio::test]
async fn a_server_learns_nothing_of_the_options() {
    let key = "ab".repeat(32);
    let request =
        request_of(&format!("wss://ada:mill@Node.example:8443/a/b?password=hush&key={key}")).await;
    assert!(request.starts_with("GET /a/b HTTP/1.1\r\n"), "{request}");
    assert!(!request.contains("hush") && !request.contains(&key), "{request}");
    assert!(request.contains("\r\nHost: node.example\r\n"), "{request}");
    assert!(request.contains("\r\nAuthorization: Basic YWRhOm1pbGw=\r\n"), "{request}");
    for absent in ["Origin", "Extensions", "8443"] {
        assert!(!request.contains(absent), "{absent} in {request}");
    }
    let request = request_of("ws://[fd00::1]:80").await;
    assert!(request.starts_with("GET / HTTP/1.1\r\nHost: fd00::1\r\n"), "{request}");
}

/// What a client makes of an answer, in which KEY stands for what proves it.
async fn answered(answer: &str) -> Result<(), UpgradeError> {
    let (near, mut far) = duplex(4096);
    let host = Host::Name("node".to_owned());
    let serving = async {
        let (request, _) = Request::read(&mut far).await.unwrap();
        let Verdict::Link { accept } = judge(&request, &[]) else { panic!("{request:?}") };
        far.write_all(answer.replace("KEY", &accept).as_bytes()).await.unwrap();
    };
    soon(async { tokio::join!(connect(near, &host, "/", None), serving) }).await.0.map(drop)
}

#[tokio::test]
async fn a_client_takes_the_answer_to_its_question_only() {
    let start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n";
    let good = format!("{start}Sec-WebSocket-Accept: KEY\r\n");
    answered(&format!("{good}\r\n")).await.unwrap();
    answered(&format!("{good}Sec-WebSocket-Protocol: ygg-ws\r\n\r\n")).await.unwrap();
    for (lines, fits) in [
        (format!("{start}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), false),
        (good.replace("Upgrade: websocket\r\n", ""), false),
        (format!("{good}Sec-WebSocket-Protocol: chat\r\n"), true),
        (format!("{good}Sec-WebSocket-Extensions: permessage-deflate\r\n"), true),
    ] {
        match answered(&format!("{lines}\r\n")).await.unwrap_err() {
            UpgradeError::NotWebSocket => assert!(!fits, "{lines}"),
            UpgradeError::NotOffered => assert!(fits, "{lines}"),
            other => panic!("{other} for {lines}"),
        }
    }
    let page = answered("HTTP/1.1 407 Log in first\r\n\r\n<html>").await.unwrap_err();
    assert!(matches!(page, UpgradeError::Status(407)), "{page}");
}

/// What a listener answers to bytes of a client.
async fn asked(request: &str) -> (Result<(), UpgradeError>, String) {
    let (near, mut far) = duplex(4096);
    let asking = async {
        far.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let serving = async { accept(near, &[]).await.map(drop) };
    soon(async { tokio::join!(serving, asking) }).await
}

#[tokio::test]
async fn who_wants_something_else_gets_a_plain_answer() {
    let (result, answer) = asked("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(matches!(result, Err(UpgradeError::HealthCheck)));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nOK"));
    let (_, answer) = asked("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    let (_, answer) = asked("hello\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    let no_link = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (result, answer) = asked(no_link).await;
    assert!(matches!(result, Err(UpgradeError::NoSubprotocol)));
    let (head, close) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // Status 1008 as it looks when what is not UTF-8 is replaced.
    assert!(close.contains("\u{3}\u{fffd}client must speak"), "{close:?}");
}
