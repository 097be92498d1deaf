//! Rubbish on every listener: while it comes in, others still link; when it is over, nothing of it
//! stays.
//!
//! ```text
//!   [rubbish] ======wire1====== [node] ======wire2====== [good]
//! ```

#![cfg(target_os = "linux")]

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use planetary_lab::Kind::Ours;
use planetary_lab::{Deadline, Host, Usage, run, until};

/// Connections at once, over all listeners.
const CROWD: usize = 1000;

/// Transports with a port; the last one's is of UDP.
const LISTENED: [&str; 4] = ["tcp", "tls", "ws", "quic"];
const FIRST_PORT: u16 = 9001;

/// How much more memory the node may hold after the crowd than before: what the allocator keeps.
const MEMORY_KIB: u64 = 24 * 1024;

#[test]
fn rubbish_keeps_nobody_out_and_leaves_nothing_behind() {
    run("rubbish", |lab| {
        let [rubbish, host, good] = ["rubbish", "node", "good"].map(|label| lab.host(label));
        let (rubbish, host, good) = (rubbish?, host?, good?);
        let (bad_wire, good_wire) = (lab.wire(&rubbish, &host)?, lab.wire(&host, &good)?);
        let file = lab.folder().join("link");
        let mut node = lab.node(Ours, &host)?.without_tun();
        node = node.listen(format!("unix://{}", file.display()));
        for (scheme, port) in LISTENED.iter().zip(FIRST_PORT..) {
            node = node.listen(format!("{scheme}://[::]:{port}"));
        }
        let node = lab.start(node)?;
        let before = node.usage()?;

        let ports = (FIRST_PORT..).take(LISTENED.len());
        let mut targets: Vec<SocketAddr> =
            ports.map(|port| (bad_wire.ends()[1].v4, port).into()).collect();
        let quic = targets.pop().context("no target")?;
        let over = AtomicBool::new(false);
        let during = thread::scope(|scope| {
            let crowd = scope.spawn(|| rubbish.enter(|| crowd(&targets, &over)));
            let local = scope.spawn(|| talk_rubbish_into(&file));
            let slow = scope.spawn(|| rubbish.enter(|| slowly(&targets, &over)));
            let datagrams = scope.spawn(|| rubbish.enter(|| throw_datagrams(quic, &over)));
            let linked = link_by_all(lab, &good, &good_wire.ends()[0].v4.to_string(), &node);
            over.store(true, Ordering::Relaxed);
            for rubbish in [crowd.join(), slow.join(), datagrams.join()] {
                rubbish.map_err(|_| anyhow::anyhow!("the rubbish failed"))???;
            }
            local.join().map_err(|_| anyhow::anyhow!("the rubbish failed"))??;
            linked
        })?;
        eprintln!("while the rubbish came: {during:?}, before: {before:?}");

        // What had gone in is out again, the good links too; a handshake lasts six seconds.
        let after = until("everything to be as before", Deadline::seconds(20), || {
            let now = node.usage()?;
            let surplus = now.files.saturating_sub(before.files);
            ensure!(surplus <= 2, "{} files are open, {} were", now.files, before.files);
            Ok(Some(now))
        })?;
        let surplus = after.resident_kib.saturating_sub(before.resident_kib);
        ensure!(surplus <= MEMORY_KIB, "{before:?} became {after:?}");
        Ok(())
    });
}

/// Links a node to every listener while the rubbish comes in; returns what the other one uses then.
fn link_by_all(
    lab: &planetary_lab::Lab,
    host: &Host,
    address: &str,
    node: &planetary_lab::Node,
) -> Result<Usage> {
    let mut good = lab.node(Ours, host)?.without_tun();
    let wanted = LISTENED.iter().zip(FIRST_PORT..);
    let wanted: Vec<String> =
        wanted.map(|(scheme, port)| format!("{scheme}://{address}:{port}")).collect();
    for uri in &wanted {
        good = good.peer(uri);
    }
    let good = lab.start(good)?;
    until("links by every transport in the midst of rubbish", Deadline::seconds(10), || {
        let peers = good.status()?.peers;
        let up = |uri: &&String| peers.iter().any(|peer| peer.up && peer.uri == **uri);
        let missing = wanted.iter().find(|uri| !up(uri));
        ensure!(missing.is_none(), "{missing:?} is not up: {peers:?}");
        Ok(Some(()))
    })?;
    let used = node.usage()?;
    good.stop()?;
    Ok(used)
}

/// Keeps a thousand connections going: some say nothing, some say something random, some begin a
/// greeting and break off.
fn crowd(targets: &[SocketAddr], over: &AtomicBool) -> Result<()> {
    let mut crowd: Vec<TcpStream> = Vec::new();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut round = 0;
    // At least the whole crowd once, however quick the good node was.
    while crowd.len() < CROWD || !over.load(Ordering::Relaxed) {
        let target = targets[round % targets.len()];
        let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(5))?;
        let said = match round % 3 {
            0 => Vec::new(),
            1 => random.bytes(200),
            _ => [&b"meta\xff\xff"[..], &random.bytes(500)].concat(),
        };
        // The node may have hung up already.
        let _ = stream.write_all(&said);
        if crowd.len() < CROWD {
            crowd.push(stream);
        } else {
            crowd[round % CROWD] = stream;
        }
        round += 1;
    }
    Ok(())
}

/// Sends a greeting byte by byte to each listener, for as long as it is listened to.
fn slowly(targets: &[SocketAddr], over: &AtomicBool) -> Result<()> {
    let connect = |target| TcpStream::connect_timeout(target, Duration::from_secs(5));
    let mut streams = targets.iter().map(connect).collect::<Result<Vec<_>, _>>()?;
    while !over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            let _ = stream.write_all(b"m");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Throws datagrams at a listener: noise, and such as begin a connection as QUIC does.
fn throw_datagrams(target: SocketAddr, over: &AtomicBool) -> Result<()> {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    while !over.load(Ordering::Relaxed) {
        // From a new port each time, as if each were somebody else.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let mut datagram = random.bytes(1200);
        socket.send_to(&datagram, target)?;
        // A long header, version 1, and an identifier of 8 bytes for each side.
        datagram[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
        datagram[14] = 8;
        socket.send_to(&datagram, target)?;
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Says random bytes into a socket file, as often as there are connections in the crowd.
fn talk_rubbish_into(file: &std::path::Path) -> Result<()> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..CROWD {
        let mut stream = UnixStream::connect(file).context("the socket file")?;
        let _ = stream.write_all(&random.bytes(200));
    }
    Ok(())
}

/// Numbers without a pattern, the same ones in every run.
struct Random(u64);

impl Random {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 as u8
        };
        (0..len).map(|_| next()).collect()
    }
}
