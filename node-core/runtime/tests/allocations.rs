//! A packet takes no memory from the heap on its way: three engines on loopback, the outer two
//! with real TUN devices, each in a network namespace of its own.
//!
//! ```text
//!   UDP socket -- TUN -- a -- tcp -- b -- tcp -- c -- TUN -- UDP socket
//! ```
//!
//! So each packet goes from a TUN to a socket, in transit from socket to socket, and from a socket
//! to a TUN. Allocations are counted on the threads that carry packets; copies of control frames
//! for the control thread are among them, a few in a second whatever the traffic does.
//!
//! This needs root. Without it the test says so and does nothing, except where `CI` is set: there
//! it fails.

#![cfg(target_os = "linux")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::BTreeSet,
    env,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use planetary_circles::{Policy, Rules};
use planetary_proto::Identity;
use planetary_runtime::{
    Engine, EngineConfig,
    links::{
        LocalEnd,
        uri::{ListenUri, PeerUri},
    },
    tun::TunSettings,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::runtime::{Handle, Runtime};

const PATIENCE: Duration = Duration::from_secs(20);
/// How often a packet that is lost is sent again.
const TRIES: u32 = 5;
const MTU: u16 = 65_535;
const PORT: u16 = 7;
/// There and back again makes two packets.
const ROUND_TRIPS: u64 = 5_000;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, which counts what threads that carry packets ask of it.
struct Counting;

// SAFETY: memory is the system's, and the contract is passed on to it unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if carries_packets() {
            ALLOCATIONS.fetch_add(1, Relaxed);
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Whether this is a thread that drains a TUN, or one of the two that serve a link.
fn carries_packets() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: a thread's name has at most 16 bytes with its end.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    [&b"tun\0"[..], b"in-", b"out-"].iter().any(|role| name.starts_with(role))
}

fn engine(seed: u8, runtime: &Handle, with_tun: bool) -> Engine {
    let identity = Arc::new(Identity::from_seed(&[seed; 32]));
    let tun = with_tun.then(|| TunSettings {
        name: "auto".into(),
        mtu: MTU,
        address: identity.key().address().to_ipv6(),
        prefix_len: 7,
    });
    let config = EngineConfig {
        local: LocalEnd::new(Arc::clone(&identity), BTreeSet::new()).expect("a TLS end"),
        identity,
        groups: Default::default(),
        transit: Default::default(),
        node_info: b"{}".to_vec(),
        fast_sessions: true,
        first_seq: 0,
        tun,
        rules: Arc::new(Rules::compile(&Policy::open()).expect("rules")),
        news: tokio::sync::mpsc::channel(1).0,
        seed: [seed; 32],
    };
    Engine::start(config, runtime.clone()).expect("an engine")
}

/// An engine with a TUN in a fresh network namespace, and a socket there that uses it. `None`
/// without root.
fn engine_with_socket(seed: u8, runtime: &Handle) -> Option<(Engine, UdpSocket)> {
    let runtime = runtime.clone();
    let start = move || {
        // SAFETY: only this thread changes its namespace, and no descriptor is shared by the flag.
        match unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
            Ok(()) => {}
            Err(error) if env::var_os("CI").is_some() => panic!("no network namespace: {error}"),
            Err(error) => {
                eprintln!("skipped, this test needs root: no network namespace: {error}");
                return None;
            }
        }
        let engine = engine(seed, &runtime, true);
        let socket = UdpSocket::bind((engine.key().address().to_ipv6(), PORT)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time-out");
        Some((engine, socket))
    };
    thread::spawn(start).join().expect("no panic")
}

/// Sends a packet of `len` bytes there and back. Returns whether it came back.
fn round_trip(sockets: [(&UdpSocket, SocketAddr); 2], buffer: &mut [u8], len: usize) -> bool {
    let [(near, near_address), (far, far_address)] = sockets;
    near.send_to(&buffer[..len], far_address).expect("the TUN takes it");
    if far.recv_from(buffer).is_err() {
        return false;
    }
    far.send_to(&buffer[..len], near_address).expect("the TUN takes it");
    near.recv_from(buffer).is_ok()
}

#[test]
fn packets_are_carried_without_allocating() {
    let runtime = Runtime::new().expect("a runtime");
    let Some((a, near)) = engine_with_socket(1, runtime.handle()) else { return };
    let Some((c, far)) = engine_with_socket(3, runtime.handle()) else { return };
    let b = engine(2, runtime.handle(), false);
    let listener: ListenUri = "tcp://127.0.0.1:0".parse().expect("a listener URI");
    let listening =
        runtime.block_on(b.peers().listen(listener)).expect("a listener").expect("an address");
    let uri: PeerUri = format!("tcp://{listening}").parse().expect("a peer URI");
    for engine in [&a, &c] {
        engine.peers().add(uri.clone(), None).expect("a new peer");
    }

    let address = |socket: &UdpSocket| socket.local_addr().expect("an address");
    let sockets = [(&near, address(&near)), (&far, address(&far))];
    let mut buffer = vec![0; usize::from(MTU)];
    let begun = Instant::now();
    while !round_trip(sockets, &mut buffer, 64) {
        assert!(begun.elapsed() < PATIENCE, "no packet arrives");
    }
    assert!(ALLOCATIONS.load(Relaxed) > 0, "threads that carry packets are known by their names");
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(PATIENCE / TRIES)).expect("a time-out");
    }
    let sizes = [64, 1_200, 2_100, 9_000, 60_000];
    let mut carry = |rounds: u64| {
        let before = ALLOCATIONS.load(Relaxed);
        for len in sizes.iter().cycle().take(rounds as usize) {
            // A busy machine may lose one to a link that seemed silent.
            let arrives = (0..TRIES).any(|_| round_trip(sockets, &mut buffer, *len));
            assert!(arrives, "packets of {len} bytes are lost");
        }
        ALLOCATIONS.load(Relaxed) - before
    };
    // Whatever is made once for good.
    carry(500);
    let allocations = carry(ROUND_TRIPS);
    println!("{allocations} allocations for {} packets", 2 * ROUND_TRIPS);
    assert!(allocations < ROUND_TRIPS / 10, "{allocations} allocations");

    for engine in [&a, &b, &c] {
        runtime.block_on(engine.shutdown());
    }
}
