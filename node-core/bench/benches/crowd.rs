//! A thousand peers and a thousand sessions: what one node needs for them.
//!
//! Starts `planetaryd` without an interface and lets light nodes link to it over loopback, each
//! with a key of its own: the protocol's core without threads, all served by this program's one
//! thread. When all are linked, each opens a session with the node. Resident memory, threads and
//! descriptors are those of the node's process; switches and processor time are what it takes in a
//! second in which nobody says anything.
//!
//! `cargo bench -p planetary-bench --bench crowd`, with a `planetaryd` of the release build in
//! `target/release`, or in the folder that `PLANETARY_PROGRAMS` names.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark has nothing to do when its ground fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{self, Duration, SystemTime};

use planetary_proto::link::meta::{Capabilities, HEAD_LEN, Meta};
use planetary_proto::session::{
    Groups, Opener, SEAL_OVERHEAD_MAX, SESSION_TRAFFIC, Sealer, SessionTable,
};
use planetary_proto::upper::{InbandKind, PAYLOAD_EXTENSION, PAYLOAD_INBAND};
use planetary_proto::wire::{Coords, FrameKind, KEEP_ALIVE, TrafficView, cut_frame};
use planetary_proto::{
    Event, Identity, Instant, LinkId, Node, NodeConfig, NodeKey, Now, Transit, link::Liveness,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

fn main() {
    let mut ground = Ground::start();
    println!(
        "  peers sessions   set up s   resident KB   peak KB   threads   files   switches/s   \
         processor ms/s"
    );
    ground.settle_and_report("", 0, 0);
    for peers in STEPS {
        let begun = time::Instant::now();
        ground.link_up(peers);
        let took = begun.elapsed();
        ground.settle_and_report(&format!("{:.2}", took.as_secs_f64()), peers, 0);
    }
    let peers = ground.crowd.len();
    let begun = time::Instant::now();
    ground.open_sessions();
    let took = begun.elapsed();
    ground.settle_and_report(&format!("{:.2}", took.as_secs_f64()), peers, peers);
}

/// The node and all who are linked to it.
struct Ground {
    node: Program,
    at: SocketAddr,
    clock: Clock,
    crowd: Vec<Client>,
}

impl Ground {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = free.local_addr().unwrap();
        drop(free);
        Self { node: Program::start(at), at, clock: Clock::start(), crowd: Vec::new() }
    }

    /// Links until there are so many.
    fn link_up(&mut self, peers: usize) {
        while self.crowd.len() < peers {
            let number = self.crowd.len();
            self.crowd.push(Client::link_up(self.at, number, self.clock.now()));
            // The others must be heard meanwhile, or the node would give them up.
            self.serve(Duration::ZERO);
        }
    }

    /// Has every client ask the node something, and waits until each has a session.
    fn open_sessions(&mut self) {
        let now = self.clock.now();
        for client in &mut self.crowd {
            let far = client.far;
            client.node.ask(far, InbandKind::GetSelf, now);
            client.drain(now);
        }
        let deadline = time::Instant::now() + SESSIONS_TIME_MAX;
        while self.crowd.iter_mut().any(|client| client.node.session_table_mut().0.is_empty()) {
            assert!(time::Instant::now() < deadline, "not every client got a session");
            self.serve(Duration::from_millis(50));
        }
    }

    /// Waits until the tree has settled, measures for a while and prints a line.
    fn settle_and_report(&mut self, took: &str, peers: usize, sessions: usize) {
        self.serve_for(SETTLE);
        let before = self.node.usage();
        self.serve_for(MEASURE);
        let after = self.node.usage();
        let seconds = MEASURE.as_secs_f64();
        println!(
            "{peers:>7} {sessions:>8} {took:>10} {:>13} {:>9} {:>9} {:>7} {:>12.1} {:>16.2}",
            after.resident_kb,
            after.peak_kb,
            after.threads,
            after.files,
            (after.switches - before.switches) as f64 / seconds,
            (after.processor_ms - before.processor_ms) as f64 / seconds,
        );
        assert_eq!(self.crowd.len(), peers, "links were lost");
    }

    fn serve_for(&mut self, time: Duration) {
        let end = time::Instant::now() + time;
        while time::Instant::now() < end {
            self.serve(Duration::from_millis(100));
        }
    }

    /// Waits until something arrives, at most so long, and works everything off.
    fn serve(&mut self, wait: Duration) {
        let mut sockets: Vec<_> =
            self.crowd.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)).collect();
        let wait = Timespec::try_from(wait).unwrap();
        poll(&mut sockets, Some(&wait)).unwrap();
        let readable: Vec<_> = sockets.iter().map(|socket| !socket.revents().is_empty()).collect();
        let now = self.clock.now();
        for (client, readable) in self.crowd.iter_mut().zip(readable) {
            if readable {
                client.read(now);
            }
            client.look_after(now);
        }
    }
}

/// A node that does nothing but stay linked.
struct Client {
    node: Node<Sessions>,
    far: NodeKey,
    stream: TcpStream,
    arrived: Vec<u8>,
    /// What the socket did not take yet.
    leaving: Vec<u8>,
    liveness: Liveness,
}

impl Client {
    fn link_up(at: SocketAddr, number: usize, now: Now) -> Self {
        let mut secret = [7; 32];
        secret[..8].copy_from_slice(&number.to_be_bytes());
        let identity = Identity::from_seed(&secret);
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_nodelay(true).unwrap();
        let hello = Meta::emit(&identity, 0, Capabilities::NONE, b"").unwrap();
        stream.write_all(&hello).unwrap();
        let mut head = [0; HEAD_LEN];
        stream.read_exact(&mut head).unwrap();
        let mut body = vec![0; Meta::body_len(&head).unwrap()];
        stream.read_exact(&mut body).unwrap();
        let far = Meta::parse(&body, b"").unwrap().key;
        stream.set_nonblocking(true).unwrap();
        let config = NodeConfig {
            identity,
            groups: Groups::default(),
            transit: Transit::default(),
            node_info: b"{}".to_vec(),
            fast: None,
            first_seq: 1,
        };
        let mut node = Node::new(config, Sessions::default(), secret, now);
        node.handle_link_up(LINK, far, 0, now);
        let (arrived, leaving) = (Vec::new(), Vec::new());
        let liveness = Liveness::default();
        let mut client = Self { node, far, stream, arrived, leaving, liveness };
        client.drain(now);
        client
    }

    fn read(&mut self, now: Now) {
        let mut bytes = [0; 1 << 16];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => panic!("the node closed a link"),
                Ok(len) => self.arrived.extend_from_slice(&bytes[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("a link failed: {error}"),
            }
        }
        while let Some((kind_at, end)) = cut_frame(&self.arrived).unwrap() {
            let rest = self.arrived.split_off(end);
            let frame = std::mem::replace(&mut self.arrived, rest);
            let kind = FrameKind::from_byte(frame[kind_at]).unwrap();
            self.liveness.received(kind, now.mono);
            if kind == FrameKind::Traffic {
                self.take_traffic(&frame[kind_at + 1..], now);
            } else {
                self.node.handle_link_input(LINK, kind, &frame[kind_at + 1..], now);
            }
            self.drain(now);
        }
    }

    fn take_traffic(&mut self, body: &[u8], now: Now) {
        let view = TrafficView::parse(body).unwrap();
        let source = view.source(body);
        let mut payload = body[view.payload_offset()..].to_vec();
        match payload.first() {
            Some(1 | 2) => self.node.handle_handshake(source, &payload, now),
            Some(&SESSION_TRAFFIC) => self.open(source, &mut payload, now),
            _ => {}
        }
    }

    fn open(&mut self, source: NodeKey, payload: &mut [u8], now: Now) {
        let Some(session) = self.node.session_table_mut().0.get_mut(&source) else {
            return self.node.handle_undecryptable(source, now);
        };
        let Ok(opened) = session.opener.open(payload, now.mono) else { return };
        session.last_heard = Some(now.mono);
        if let Some(keys) = opened.rekey {
            session.sealer.install(keys);
            self.node.handle_rekeyed(&source);
        }
        match &payload[opened.data..] {
            [PAYLOAD_INBAND, message @ ..] => self.node.handle_inband(source, message, now),
            [PAYLOAD_EXTENSION, message @ ..] => self.node.handle_extension(source, message, now),
            _ => {}
        }
    }

    fn look_after(&mut self, now: Now) {
        if self.node.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.node.handle_timeout(now);
        }
        self.drain(now);
        if self.liveness.keep_alive_due(now.mono) {
            self.send(&KEEP_ALIVE, now);
        }
        self.flush();
    }

    /// Carries out what the node wants.
    fn drain(&mut self, now: Now) {
        loop {
            if let Some(transmit) = self.node.poll_transmit() {
                self.send(&transmit.frame, now);
            } else if let Some(event) = self.node.poll_event() {
                if let Event::Send(key, data) = event
                    && let Some(session) = self.node.session_table_mut().0.get_mut(&key)
                {
                    session.last_said = Some(now.mono);
                    let mut buffer = vec![0; SEAL_OVERHEAD_MAX];
                    buffer.extend_from_slice(&data);
                    let message = session.sealer.seal(&mut buffer, SEAL_OVERHEAD_MAX).unwrap();
                    self.node.send_payload(&key, &buffer[message..], now);
                }
            } else {
                return;
            }
        }
    }

    fn send(&mut self, frame: &[u8], now: Now) {
        // The kind stands behind the length, of which the first bytes have their upper bit set.
        let kind_at = frame.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        self.liveness.sent(FrameKind::from_byte(frame[kind_at]).unwrap(), now.mono);
        self.leaving.extend_from_slice(frame);
        self.flush();
    }

    fn flush(&mut self) {
        while !self.leaving.is_empty() {
            match self.stream.write(&self.leaving) {
                Ok(len) => drop(self.leaving.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => panic!("a link failed: {error}"),
            }
        }
    }
}

/// The plainest table of sessions, without fast ones.
#[derive(Default)]
struct Sessions(BTreeMap<NodeKey, Session>);

struct Session {
    opener: Opener,
    sealer: Sealer,
    last_heard: Option<Instant>,
    last_said: Option<Instant>,
}

impl SessionTable for Sessions {
    fn open(&mut self, key: NodeKey, opener: Opener, sealer: Sealer) {
        self.0.insert(key, Session { opener, sealer, last_heard: None, last_said: None });
    }

    fn close(&mut self, key: &NodeKey) {
        self.0.remove(key);
    }

    fn with<R>(
        &mut self,
        key: &NodeKey,
        change: impl FnOnce(&mut Opener, &mut Sealer) -> R,
    ) -> Option<R> {
        self.0.get_mut(key).map(|session| change(&mut session.opener, &mut session.sealer))
    }

    fn set_path(&mut self, _key: &NodeKey, _path: Option<&Coords>) {}

    fn last_heard(&self, key: &NodeKey) -> Option<Instant> {
        self.0.get(key)?.last_heard
    }

    fn last_said(&self, key: &NodeKey) -> Option<Instant> {
        self.0.get(key)?.last_said
    }
}

/// The node under test, ended when dropped.
struct Program {
    child: Child,
    state: PathBuf,
}

/// What a process uses.
struct Usage {
    resident_kb: u64,
    peak_kb: u64,
    threads: u64,
    files: usize,
    switches: u64,
    processor_ms: u64,
}

impl Program {
    fn start(at: SocketAddr) -> Self {
        let state = std::env::temp_dir().join(format!("planetary-crowd-{}", std::process::id()));
        fs::create_dir_all(&state).unwrap();
        let config = state.join("config.toml");
        fs::write(&config, "sessions = \"everyone\"\n").unwrap();
        let child = Command::new(programs().join("planetaryd"))
            .args(["run", "--tun", "none", "--no-lan", "--listen", &format!("tcp://{at}")])
            .args(["--config".as_ref(), config.as_os_str()])
            .args(["--state-dir".as_ref(), state.as_os_str()])
            .args(["--control".as_ref(), state.join("control.sock").as_os_str()])
            .stderr(Stdio::null())
            .spawn()
            .expect("no planetaryd: cargo build --release -p planetaryd");
        let program = Self { child, state };
        while TcpStream::connect(at).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        program
    }

    fn usage(&self) -> Usage {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(process.join("status")).unwrap();
        let mut usage = Usage {
            resident_kb: field(&status, "VmRSS:"),
            peak_kb: field(&status, "VmHWM:"),
            threads: field(&status, "Threads:"),
            files: fs::read_dir(process.join("fd")).unwrap().count(),
            switches: 0,
            processor_ms: 0,
        };
        for task in fs::read_dir(process.join("task")).unwrap() {
            let task = task.unwrap().path();
            // A thread may end between two looks.
            let Ok(status) = fs::read_to_string(task.join("status")) else { continue };
            usage.switches += field(&status, "voluntary_ctxt_switches:");
            usage.processor_ms += processor_ns(&task) / 1_000_000;
        }
        usage
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.state);
    }
}

/// Where the programs are.
fn programs() -> PathBuf {
    std::env::var_os("PLANETARY_PROGRAMS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release"),
        PathBuf::from,
    )
}

/// The number behind `name` at the beginning of a line.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Time that a thread has run.
fn processor_ns(task: &Path) -> u64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The time as the protocol's core wants it.
struct Clock(time::Instant);

impl Clock {
    fn start() -> Self {
        Self(time::Instant::now())
    }

    fn now(&self) -> Now {
        let micros = self.0.elapsed().as_micros() as u64;
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Now { mono: Instant::from_micros(micros + 1), unix_s: unix.as_secs() }
    }
}

/// Every client has one link.
const LINK: LinkId = LinkId(1);

/// How many are linked when it is measured.
const STEPS: [usize; 4] = [1, 10, 100, 1_000];

/// Until the tree is settled and what is done once is done.
const SETTLE: Duration = Duration::from_secs(10);

const MEASURE: Duration = Duration::from_secs(20);

const SESSIONS_TIME_MAX: Duration = Duration::from_secs(30);
