//! Public peers with real services on loopback: a signed list is fetched, peers are tested, the
//! best are chosen and kept, paused and removed. Nothing but loopback is ever dialled.
//!
//! ```text
//!             +--> 127.0.1.1  a node                the list, signed, from a web server
//!   chooser --+--> 127.0.2.1  a node, 30 ms away    of the test
//!             +--> 127.0.3.1  a node with a password nobody knows
//!             +--> somebody silent, somebody else, nobody
//! ```

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use planetary_ipc::client::RequestError;
use planetary_ipc::{
    Client, ErrorCode, ListTrust, PeerJob, PeerSource, PeerTest, PublicFilter, Status, client,
};
use planetary_proto::Identity;

/// Longest wait for anything; a healthy run needs a small part of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far away the far node is.
const FAR: Duration = Duration::from_millis(30);

/// A folder with a service in it.
struct Place(tempfile::TempDir);

/// A running service; killed when dropped.
struct Service {
    child: Child,
    control: PathBuf,
}

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("config.toml", config);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(self.path(name), mode).unwrap();
    }

    async fn start(&self) -> Service {
        let control = self.path("control.sock");
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_planetaryd"));
        command.arg("run").arg("--state-dir").arg(self.0.path()).arg("--control").arg(&control);
        command.args(["--no-lan", "--tun", "none"]).stderr(log).stdin(Stdio::null());
        command.env("PLANETARY_OFFLINE", "1").env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
        let service = Service { child: command.spawn().unwrap(), control };
        let deadline = Instant::now() + PATIENCE;
        while client::connect(&service.control, "test").await.is_err() {
            let log = fs::read_to_string(self.path("log")).unwrap();
            assert!(Instant::now() < deadline, "{log}");
            pause().await;
        }
        service
    }
}

impl Service {
    async fn client(&self) -> Client {
        client::connect(&self.control, "test").await.unwrap().0
    }

    async fn until(&self, what: &str, reached: impl Fn(&Status) -> bool) -> Box<Status> {
        let client = self.client().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = client.status().await.unwrap();
            if reached(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "never {what}: {status:#?}");
            pause().await;
        }
    }

    async fn listening_at(&self) -> SocketAddr {
        let status = self.until("listening", |status| !status.listeners.is_empty()).await;
        let (_, address) = status.listeners[0].uri.split_once("://").unwrap();
        address.parse().unwrap()
    }

    /// Ends it as the system would.
    fn end(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// A node that listens on this address of loopback.
async fn node(address: &str, options: &str) -> (Place, Service, SocketAddr) {
    let place = Place::new(&format!("listen = [\"tcp://{address}:0{options}\"]\n"));
    let service = place.start().await;
    let address = service.listening_at().await;
    (place, service, address)
}

/// Accepts connections on an address and gives each to a thread of its own.
fn listen(address: &str, serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Makes a way to `target` that takes [`FAR`] in each direction.
fn far_from(address: &str, target: SocketAddr) -> SocketAddr {
    listen(address, move |stream| {
        let Ok(inner) = TcpStream::connect(target) else { return };
        let ways = [(stream.try_clone().unwrap(), inner.try_clone().unwrap()), (inner, stream)];
        for (mut from, mut to) in ways {
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(len @ 1..) = from.read(&mut bytes) {
                    thread::sleep(FAR);
                    if to.write_all(&bytes[..len]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
        }
    })
}

fn signer() -> Identity {
    Identity::from_seed(&[7; 32])
}

/// A web server with this list and its signature.
fn publish(list: String) -> String {
    let address = listen("127.0.0.1", move |mut stream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let Some(Ok(first)) = lines.next() else { return };
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let signature = signer().sign(list.as_bytes());
        let signature = signature.as_bytes().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let body = if first.contains(".sig ") { signature } else { list.clone() };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let _ = stream.write_all((head + &body).as_bytes());
    });
    format!("http://{address}/list.json")
}

fn list_of(uris: &[String]) -> String {
    let peers: Vec<String> = (1..)
        .zip(uris)
        .map(|(number, uri)| {
            format!("{{\"uri\":\"{uri}\",\"region\":\"here\",\"country\":\"place {number}\"}}")
        })
        .collect();
    format!(
        "{{\"version\":1,\"source\":\"a test\",\"date\":\"2026-01-01\",\"peers\":[\n{}\n]}}",
        peers.join(",\n")
    )
}

/// Asks for a job until it has ended; returns the end, with all results.
async fn finish(client: &Client, mut job: PeerJob) -> PeerJob {
    let mut results = Vec::new();
    loop {
        results.append(&mut job.results);
        if job.done {
            return PeerJob { results, ..job };
        }
        job = client.peer_job(job.job, results.len() as u64).await.unwrap();
    }
}

fn of<'a>(job: &'a PeerJob, uri: &str) -> &'a PeerTest {
    let found = job.results.iter().find(|test| test.uri == uri);
    found.unwrap_or_else(|| panic!("no {uri} in {job:#?}"))
}

fn code(test: &PeerTest) -> &str {
    test.error.as_ref().map_or("", |error| &error.code)
}

#[tokio::test]
async fn peers_are_chosen_from_a_signed_list_and_kept() {
    let (_near_place, _near, near) = node("127.0.1.1", "").await;
    let (_far_place, _far, behind) = node("127.0.2.1", "").await;
    let far = far_from("127.0.2.1", behind);
    let (_closed_place, _closed, closed) = node("127.0.3.1", "?password=nobody-knows").await;
    let silent = listen("127.0.4.1", |mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let rude = listen("127.0.5.1", |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let [near, far, closed, silent, rude] =
        [near, far, closed, silent, rude].map(|address| format!("tcp://{address}"));
    let uris = [
        &near[..],
        &far,
        &closed,
        &silent,
        &rude,
        "tcp://127.0.6.1:1",
        "tcp://192.0.2.1:1",
        "socks://127.0.1.1:1/127.0.1.1:1",
        "pigeon://127.0.1.1:1",
    ];
    let url = publish(list_of(&uris.map(str::to_owned)));
    let config =
        format!("peers = []\n[public_peers]\nurl = \"{url}\"\nkey = \"{}\"\n", signer().key());
    let place = Place::new(&config);
    let service = place.start().await;
    let client = service.client().await;

    // The list ships with the program until it is fetched.
    let shipped = client.public_peers(PublicFilter::default()).await.unwrap();
    assert_eq!((shipped.trust, shipped.refreshable), (ListTrust::Shipped, true));
    client.refresh_public_peers().await.unwrap();
    let list = client.public_peers(PublicFilter::default()).await.unwrap();
    assert_eq!((list.trust, list.total, list.rejected_total), (ListTrust::Signed, 8, 1));
    assert_eq!((list.rejected[0].entry, &*list.source), (9, "a test"));
    assert_eq!(list.peers.iter().filter(|peer| peer.usable).count(), 7);

    // Without a peer, the node says how to come by one.
    let status = service.until("told", |status| !status.health.is_empty()).await;
    assert!(status.health[0].action.as_ref().unwrap().contains("peer public --best 3 --add"));

    let began = Instant::now();
    let job = client.choose_peers(PublicFilter::default(), Some(2), true).await.unwrap();
    let job = finish(&client, job).await;
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert_eq!((job.tested, &job.error), (7, &None));
    assert_eq!(code(of(&job, &silent)), "handshake_timeout");
    assert_eq!(code(of(&job, &rude)), "not_this_protocol");
    assert!(["password_mismatch", "closed_by_peer"].contains(&code(of(&job, &closed))));
    assert_eq!(code(of(&job, "tcp://127.0.6.1:1")), "cannot_connect");
    assert_eq!(code(of(&job, "tcp://192.0.2.1:1")), "out_of_reach");
    let none = PublicFilter { search: Some("192.0.2.1".to_owned()), ..PublicFilter::default() };
    let nobody = client.choose_peers(none, Some(1), true).await.unwrap();
    let error = finish(&client, nobody).await.error.unwrap();
    assert!(error.hint.unwrap().contains("PLANETARY_OFFLINE"));
    let far_ms = of(&job, &far).round_trip_ms.unwrap();
    // The way takes the connection at once and both ends greet at once, so one direction counts.
    assert!(far_ms >= 29.0, "{far_ms}");
    let chosen: Vec<_> = job.choices.iter().map(|choice| choice.uri.as_str()).collect();
    assert_eq!(chosen, [&near, &far]);
    assert!(job.choices[0].reason.starts_with("nearest of 2 that answered"));

    // They are dialled, shown as what they are, and not in the person's file.
    let up = |status: &Status| status.peers.iter().filter(|peer| peer.up).count() == 2;
    let status = service.until("linked", up).await;
    assert!(status.peers.iter().all(|peer| peer.source == PeerSource::Chosen));
    assert_eq!(fs::read_to_string(place.path("config.toml")).unwrap(), config);

    // Everything is there again after a restart, what was learnt of them included.
    client.pause_peer(far.clone(), None).await.unwrap();
    service.end();
    let service = place.start().await;
    let client = service.client().await;
    let status = service.until("linked again", |s| s.peers.iter().any(|peer| peer.up)).await;
    let paused = status.peers.iter().find(|peer| peer.paused).unwrap();
    assert_eq!((&paused.uri, paused.up), (&far, false));
    let list = client.public_peers(PublicFilter::default()).await.unwrap();
    assert_eq!(list.trust, ListTrust::Signed);
    let known = list.peers.iter().find(|peer| peer.uri == near).unwrap();
    assert!(known.in_use && known.record.as_ref().unwrap().answers >= 1);

    // A test without names tries all of them, the paused one as well, and keeps no link.
    let job = client.test_peers(Vec::new()).await.unwrap();
    let job = finish(&client, job).await;
    assert_eq!((job.tested, job.choices.len()), (2, 0));
    assert!(job.results.iter().all(|test| test.error.is_none()), "{job:#?}");

    client.resume_peer(far.clone(), None).await.unwrap();
    service.until("resumed", up).await;
    client.remove_peer(far.clone(), None).await.unwrap();
    let status = service.until("removed", |status| status.peers.len() == 1).await;
    assert_eq!(status.peers[0].uri, near);
    let gone = client.remove_peer(far, None).await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::PeerNotFound));
}

#[tokio::test]
async fn tests_honour_options_show_none_and_end_when_told() {
    let (_place, _node, address) = node("127.0.7.1", "?password=h%20Vq3").await;
    let silent = listen("127.0.8.1", |mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let place = Place::new(&format!("peers = [\"tcp://{address}?password=h%20Vq3\"]\n"));
    let service = place.start().await;
    let client = service.client().await;

    // With its own options when it is named without any, with others when they are given.
    let name = format!("tcp://{address}");
    let job = client.test_peers(vec![name.clone()]).await.unwrap();
    assert_eq!(code(of(&finish(&client, job).await, &name)), "");
    let job = client.test_peers(vec![format!("{name}?password=wrong")]).await.unwrap();
    let job = finish(&client, job).await;
    assert!(["password_mismatch", "closed_by_peer"].contains(&code(of(&job, &name))));
    assert!(!format!("{job:?}").contains("wrong"));

    // Nonsense is refused at once, and no option of it is repeated.
    let asked = &client;
    let refused = |uris: Vec<String>| async move { asked.test_peers(uris).await.unwrap_err() };
    let error = refused(vec!["tcp://a:1?pasword=secret".to_owned()]).await;
    assert_eq!(error.code(), Some(ErrorCode::InvalidUri));
    assert!(!error.to_string().contains("secret"), "{error}");
    let many = refused(vec!["tcp://127.0.0.1:1".to_owned(); 257]).await;
    assert_eq!(many.code(), Some(ErrorCode::InvalidRequest));

    // One test at a time, and an end to it.
    let silent: Vec<String> =
        (1..=20).map(|n| format!("tcp://127.0.8.1:{}?priority={n}", silent.port())).collect();
    let distinct = (1..=20).map(|n| format!("tcp://127.0.9.{n}:9")).chain(silent).collect();
    let job = client.test_peers(distinct).await.unwrap();
    let busy: RequestError = refused(Vec::new()).await;
    assert_eq!(busy.code(), Some(ErrorCode::Busy));
    let ended = client.cancel_peer_job(job.job, 0).await.unwrap();
    assert!(ended.done && ended.cancelled);

    client.down().await.unwrap();
    assert_eq!(refused(Vec::new()).await.code(), Some(ErrorCode::NodeDown));
}

#[tokio::test]
async fn damaged_files_are_set_aside_and_said_so() {
    let place = Place::new("");
    for name in
        ["chosen-peers.json", "paused-peers.json", "peer-statistics.json", "public-peers.json"]
    {
        place.write(name, "{\"version\": 1, \"peers\": 7");
    }
    let service = place.start().await;
    let status = service.until("told", |status| status.health.len() >= 4).await;
    let told = |code: &str| status.health.iter().any(|item| item.code == code);
    for code in [
        "chosen_peers_damaged",
        "paused_peers_damaged",
        "peer_statistics_damaged",
        "public_list_damaged",
    ] {
        assert!(told(code), "{code}: {:#?}", status.health);
    }
    let error = service.client().await.refresh_public_peers().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Config));
}
