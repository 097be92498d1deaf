//! The admin socket of a real service, by hand: what the stock client does not do.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

mod running;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use running::{LISTEN, PATIENCE, Place, Service, pause};

/// A service with an admin socket.
async fn start(place: &Place) -> Service {
    let socket = place.path("admin.sock");
    let text = format!("admin.listen = \"unix://{}\"\n", socket.display());
    fs::write(place.path("config.toml"), text).unwrap();
    let service = place.start(LISTEN).await;
    assert!(socket.exists());
    service
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes until the service closes.
fn rest(mut stream: UnixStream) -> Vec<Value> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    serde_json::Deserializer::from_slice(&bytes).into_iter().map(Result::unwrap).collect()
}

/// Sends bytes and returns the one answer.
fn say(socket: &Path, bytes: &[u8]) -> Value {
    let mut stream = connect(socket);
    stream.write_all(bytes).unwrap();
    let mut answers = rest(stream);
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

fn ask(socket: &Path, command: &str, arguments: &Value) -> Result<Value, String> {
    let request = json!({ "request": command, "arguments": arguments });
    let mut answer = say(socket, request.to_string().as_bytes());
    match answer["status"].as_str() {
        Some("success") => Ok(answer["response"].take()),
        _ => Err(answer["error"].as_str().unwrap().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_of_the_run_come_and_go_and_no_file_knows() {
    let place = Place::new();
    let service = start(&place).await;
    let socket = place.path("admin.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    let status = service.until("up", |_| true).await;
    let this = ask(&socket, "getSelf", &json!({})).unwrap();
    assert_eq!(this["key"], status.key.to_string());
    assert_eq!(this["subnet"], status.subnet.to_string());
    assert_eq!(ask(&socket, "GETTUN", &json!({})), Ok(json!({ "enabled": false })));

    let peer = json!({ "uri": "tcp://127.0.0.1:9?password=hunter2" });
    assert_eq!(ask(&socket, "addPeer", &peer), Ok(json!({})));
    let peers = ask(&socket, "getPeers", &json!({})).unwrap();
    let [entry] = &peers["peers"].as_array().unwrap()[..] else { panic!("{peers}") };
    assert_eq!((&entry["remote"], &entry["up"]), (&json!("tcp://127.0.0.1:9"), &json!(false)));
    assert!(!peers.to_string().contains("hunter2"));
    let again = json!({ "uri": "tcp://127.0.0.1:9" });
    assert_eq!(ask(&socket, "addpeer", &again), Err("peer is already configured".to_owned()));
    let wrong = ask(&socket, "addpeer", &json!({ "uri": "ftp://x" })).unwrap_err();
    assert!(!wrong.is_empty());
    assert!(!place.text("config.toml").contains("127.0.0.1:9"));
    assert_eq!(ask(&socket, "removePeer", &again), Ok(json!({})));
    assert_eq!(ask(&socket, "removePeer", &again), Err("peer is not configured".to_owned()));
    assert_eq!(ask(&socket, "getPeers", &json!({})).unwrap()["peers"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_ends_its_own_connection_and_slow_clients_wait_for_themselves() {
    let place = Place::new();
    let _service = start(&place).await;
    let socket = place.path("admin.sock");
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], "no request found"),
        (b"\xff\xfe\0", "no request found"),
        (b"[]", "request malformed: it is no object"),
        (b"{\"request\":\"\"}", "no command given"),
        (b"{}", "no command given"),
        (b"{\"request\":\"lookups\"}", "unknown command 'lookups', try 'list' for help"),
    ] {
        let answer = say(&socket, bytes);
        assert_eq!((&answer["status"], &answer["error"]), (&json!("error"), &json!(expected)));
    }
    let mut long = b"{\"request\":\"".to_vec();
    long.resize(16 * 1024, b'x');
    let answer = say(&socket, &long);
    assert_eq!(answer["error"], "the request is longer than 16384 bytes");

    // The places of those who were answered are free a moment after they are gone.
    std::thread::sleep(Duration::from_millis(300));
    // Half a request at each place but one: the last place is free, and one more finds none.
    let mut slow: Vec<_> = (0..15).map(|_| connect(&socket)).collect();
    for stream in &mut slow {
        stream.write_all(b"{\"request\":\"get").unwrap();
    }
    let mut kept = connect(&socket);
    kept.write_all(b"{\"request\":\"getSelf\",\"keepalive\":true}").unwrap();
    let mut first = [0];
    kept.read_exact(&mut first).unwrap();
    assert_eq!(rest(connect(&socket)), [] as [Value; 0]);
    for mut stream in slow {
        stream.write_all(b"Self\"}").unwrap();
        assert_eq!(rest(stream)[0]["status"], "success");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_requests_take_turns_on_a_connection_that_is_kept() {
    let place = Place::new();
    let _service = start(&place).await;
    let mut stream = connect(&place.path("admin.sock"));
    let kept = |command: &str| json!({ "request": command, "keepalive": true }).to_string();
    let all =
        [kept("getSelf"), kept("nope"), kept("getTree") + "\n", "{\"request\":\"list\"}".into()];
    stream.write_all(all.concat().as_bytes()).unwrap();
    let answers = rest(stream);
    let statuses: Vec<_> = answers.iter().map(|answer| answer["status"].as_str()).collect();
    assert_eq!(statuses, [Some("success"), Some("error"), Some("success"), Some("success")]);
    assert_eq!(answers[2]["response"]["tree"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_follows_the_configuration() {
    let place = Place::new();
    let service = start(&place).await;
    let (first, second) = (place.path("admin.sock"), place.path("other.sock"));
    let text = format!("admin.listen = \"unix://{}\"\n", second.display());
    fs::write(place.path("config.toml"), text).unwrap();
    service.signal("HUP");
    let deadline = Instant::now() + PATIENCE;
    while !second.exists() || first.exists() {
        assert!(Instant::now() < deadline);
        pause().await;
    }
    assert!(ask(&second, "list", &json!({})).is_ok());
    // A file that is no socket is left alone, and the person is told.
    fs::write(&first, "mine").unwrap();
    let text = format!("admin.listen = \"unix://{}\"\n", first.display());
    fs::write(place.path("config.toml"), text).unwrap();
    service.signal("HUP");
    let refused = |status: &planetary_ipc::Status| {
        status.health.iter().any(|item| item.code == "admin_not_listening")
    };
    service.until("told", refused).await;
    assert!(!second.exists() && place.text("admin.sock") == "mine");
}
