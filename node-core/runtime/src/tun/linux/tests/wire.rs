//! TCP and UDP of two systems, with a wire between them that cuts and joins.
//!
//! ```text
//!   sockets on 200::1 -- TUN -- recv, cut, damage, join, send -- TUN -- sockets on 201::2
//! ```
//!
//! What arrives must be what was sent, byte for byte, though damaged copies of packets come in
//! between them wherever they would fit best.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    ops::Range,
    os::fd::AsRawFd,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use socket2::{Domain, Socket, Type};

use super::*;
use crate::offload::{Checksums, Coalescer, Cut, Transport};

const PATIENCE: Duration = Duration::from_secs(20);
const PORT: u16 = 7;

/// What the wire does to packets.
#[derive(Clone, Copy, Debug)]
struct Wire {
    mtu: u16,
    /// Whether the near and the far system leave packets unfinished.
    offload: [bool; 2],
    /// The longest packet on the wire, and its checksum. `None`: they pass as they are.
    cut: Option<(usize, Checksums)>,
    join: bool,
}

/// How often the wire has met what the tests are about.
#[derive(Debug, Default)]
struct Met {
    to_be_cut: AtomicUsize,
    pieces: AtomicUsize,
    joined: AtomicUsize,
    damaged: AtomicUsize,
}

/// Runs `start` in a network namespace of its own.
fn elsewhere<T: Send + 'static>(start: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = mpsc::channel();
    in_namespace(move || sender.send(start()).expect("somebody waits for it"));
    result.recv().expect("who is root in one namespace is root in another")
}

/// Runs `test` with a socket in each of two systems, each made from the address there. Says what
/// the wire met, or nothing without root.
fn over<N: Send + 'static, F: Send + 'static>(
    wire: Wire,
    near: impl FnOnce(Ipv6Addr) -> N + Send + 'static,
    far: impl FnOnce(Ipv6Addr) -> F + Send + 'static,
    test: impl FnOnce(N, F) + Send + 'static,
) -> Option<Met> {
    let place = Arc::new(Mutex::new(None));
    let met = Arc::clone(&place);
    in_namespace(move || {
        let (near, near_socket) = elsewhere(move || side(wire, ADDRESS, wire.offload[0], near));
        let (far, far_socket) = elsewhere(move || side(wire, ELSEWHERE, wire.offload[1], far));
        let met = Met::default();
        thread::scope(|scope| {
            let there = scope.spawn(|| wire.carry(&near, &far, &met));
            let back = scope.spawn(|| wire.carry(&far, &near, &met));
            let test = scope.spawn(|| test(near_socket, far_socket));
            let result = test.join();
            near.close();
            far.close();
            there.join().unwrap();
            back.join().unwrap();
            result.unwrap();
        });
        *place.lock().unwrap() = Some(met);
    });
    met.lock().unwrap().take()
}

/// A device in this namespace, and a socket.
fn side<S>(
    wire: Wire,
    address: Ipv6Addr,
    offload: bool,
    socket: impl FnOnce(Ipv6Addr) -> S,
) -> (Tun, S) {
    let settings = TunSettings { address, mtu: wire.mtu, ..settings("auto") };
    let tun = Tun::open(&settings, TunFeatures { queues: 1, offload }).unwrap();
    assert_eq!(tun.offloads(), offload);
    (tun, socket(address))
}

impl Wire {
    /// Carries packets in one direction until the device is closed.
    fn carry(&self, from: &Tun, to: &Tun, met: &Met) {
        let mut packet = vec![0; 65_535];
        let mut coalescer = Coalescer::new();
        loop {
            let mut received = Some(from.recv(0, &mut packet).unwrap());
            let (mut chunk, mut places) = (Vec::new(), Vec::new());
            // What is there at once, as from one read of a link.
            while let Some((len, offload)) = received {
                if len == 0 {
                    return;
                }
                self.put(&packet[..len], offload, &mut chunk, &mut places, met);
                let is_full = places.len() >= BATCH;
                received = if is_full { None } else { from.try_recv(0, &mut packet).unwrap() };
            }
            let mut send = |parts: &[IoSlice<'_>], offload| {
                met.joined.fetch_add(usize::from(parts.len() > 1), Relaxed);
                to.send(0, parts, offload).unwrap();
            };
            for (place, offload) in places {
                if self.join {
                    coalescer.push(&mut chunk, place, offload, &mut send);
                } else {
                    send(&[IoSlice::new(&chunk[place])], offload);
                }
            }
            coalescer.flush(&mut chunk, &mut send);
        }
    }

    /// Puts a packet on the wire.
    fn put(
        &self,
        packet: &[u8],
        offload: Offload,
        chunk: &mut Vec<u8>,
        places: &mut Vec<(Range<usize>, Offload)>,
        met: &Met,
    ) {
        let mut put = |packet: &[u8], offload| {
            places.push((chunk.len()..chunk.len() + packet.len(), offload));
            chunk.extend(packet);
        };
        let mut put_beside_damaged = |packet: &[u8], offload| {
            let count = met.pieces.fetch_add(1, Relaxed);
            let transport = Transport::of(packet, packet.len());
            let at = transport.map_or(packet.len(), |transport| transport.payload);
            if count.is_multiple_of(DAMAGED_EVERY) && at < packet.len() {
                met.damaged.fetch_add(1, Relaxed);
                let mut copy = packet.to_vec();
                finish(&mut copy, offload).unwrap();
                copy[at] ^= 1;
                put(&copy, Offload::None);
            }
            put(packet, offload);
        };
        met.to_be_cut.fetch_add(usize::from(offload.segments().is_some()), Relaxed);
        let Some((len_max, checksums)) = self.cut else {
            put_beside_damaged(packet, offload);
            return;
        };
        // Others than TCP are not longer than the MTU.
        let Ok(mut cut) = Cut::new(packet, offload, len_max, checksums) else { return };
        let mut piece = vec![0; len_max];
        while let Some((len, offload)) = cut.next_into(&mut piece) {
            put_beside_damaged(&piece[..len], offload);
        }
    }
}

/// Packets that are handed over together.
const BATCH: usize = 64;
const DAMAGED_EVERY: usize = 7;

/// Bytes that repeat nowhere near.
fn noise(seed: u32) -> impl Iterator<Item = u8> {
    (0_u32..).map(move |at| (at.wrapping_add(seed).wrapping_mul(0x9e37_79b9) >> 24) as u8)
}

/// Both ends send at the same time.
fn tcp_arrives_over(wire: Wire) -> Option<Met> {
    const LEN: usize = 8 << 20;
    let exchange = move |stream: TcpStream, seeds: [u32; 2]| {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut writing = stream.try_clone().unwrap();
        let writer = thread::spawn(move || {
            let sent: Vec<u8> = noise(seeds[0]).take(LEN).collect();
            writing.write_all(&sent).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        (&stream).take(2 * LEN as u64).read_to_end(&mut received).unwrap();
        writer.join().unwrap();
        assert!(received.into_iter().eq(noise(seeds[1]).take(LEN)), "{wire:?}");
    };
    let test = move |near: Socket, far: TcpListener| {
        let address = SocketAddr::from((ELSEWHERE, PORT));
        let accepted = thread::spawn(move || exchange(far.accept().unwrap().0, [2, 1]));
        near.connect_timeout(&address.into(), PATIENCE).unwrap();
        exchange(near.into(), [1, 2]);
        accepted.join().unwrap();
    };
    let client = |_| Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    over(wire, client, |address| TcpListener::bind((address, PORT)).unwrap(), test)
}

/// Datagrams of many lengths, in runs of the same one; half of them handed to the system as one
/// packet to be cut.
fn udp_arrives_over(wire: Wire) -> Option<Met> {
    const RUN: usize = 20;
    let bind = |address| {
        let socket = UdpSocket::bind((address, PORT)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let test = move |near: UdpSocket, far: UdpSocket| {
        near.connect((ELSEWHERE, PORT)).unwrap();
        let most = usize::from(wire.mtu).min(1_400) - 48;
        for (round, len) in [1, 2, 47, 100, 101, 1_000, most, 3, most].into_iter().enumerate() {
            for is_one in [false, true] {
                let seed = (round * 2 + usize::from(is_one)) as u32;
                let short = len.div_ceil(2);
                let sent: Vec<u8> = noise(seed).take(RUN * len + short).collect();
                if is_one {
                    set_segment(&near, len);
                    near.send(&sent).unwrap();
                    set_segment(&near, 0);
                } else {
                    for datagram in sent.chunks(len) {
                        near.send(datagram).unwrap();
                    }
                }
                let mut received = vec![0; 2_000];
                for datagram in sent.chunks(len) {
                    let len = far.recv(&mut received).expect("a datagram arrives");
                    assert!(received[..len] == *datagram, "{wire:?}: {len} bytes");
                }
            }
        }
    };
    over(wire, bind, bind, test)
}

/// Has the system take what is sent for datagrams of `len` bytes each (linux/udp.h); 0 for one.
fn set_segment(socket: &UdpSocket, len: usize) {
    const UDP_SEGMENT: libc::c_int = 103;
    let len = len as libc::c_int;
    // SAFETY: the option is a number, of which place and size are given.
    let result = unsafe {
        let place = (&raw const len).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, UDP_SEGMENT, place, 4)
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

const ETHERNET: u16 = 1_500;
const HUGE: u16 = 65_535;
const PASS: Wire = Wire { mtu: ETHERNET, offload: [true, true], cut: None, join: false };

#[test]
fn tcp_arrives_as_the_system_gave_it() {
    for mtu in [ETHERNET, HUGE] {
        let Some(met) = tcp_arrives_over(Wire { mtu, ..PASS }) else { return };
        assert!(met.damaged.into_inner() > 20);
        // With the largest MTU a segment is mostly as long as a packet may be.
        let expected = if mtu == ETHERNET { 100 } else { 0 };
        assert!(met.to_be_cut.into_inner() >= expected, "{mtu}");
    }
}

#[test]
fn tcp_arrives_cut_and_joined() {
    for checksums in [Checksums::Partial, Checksums::Complete] {
        for mtu in [ETHERNET, HUGE] {
            let wire = Wire { mtu, cut: Some((1_280, checksums)), join: true, ..PASS };
            let Some(met) = tcp_arrives_over(wire) else { return };
            assert!(met.joined.into_inner() > 100, "{wire:?}");
            assert!(met.pieces.into_inner() > 10_000);
            assert!(met.damaged.into_inner() > 1_000);
        }
    }
}

#[test]
fn tcp_arrives_where_one_system_does_all_itself() {
    let cut = Some((1_500, Checksums::Complete));
    for offload in [[true, false], [false, true]] {
        // Nobody but a system that can take them is given joined packets.
        let wire = Wire { offload, cut, ..PASS };
        let Some(_) = tcp_arrives_over(wire) else { return };
    }
    let Some(met) = tcp_arrives_over(Wire { offload: [false; 2], ..PASS }) else { return };
    assert_eq!(met.to_be_cut.into_inner(), 0);
}

#[test]
fn udp_arrives_as_the_system_gave_it() {
    for mtu in [ETHERNET, HUGE] {
        let Some(met) = udp_arrives_over(Wire { mtu, ..PASS }) else { return };
        assert_eq!(met.to_be_cut.into_inner(), 9);
    }
}

#[test]
fn udp_arrives_cut_and_joined() {
    for checksums in [Checksums::Partial, Checksums::Complete] {
        let wire = Wire { cut: Some((1_500, checksums)), join: true, ..PASS };
        let Some(met) = udp_arrives_over(wire) else { return };
        assert!(met.joined.into_inner() > 9, "{wire:?}");
    }
}

#[test]
fn udp_arrives_where_one_system_does_all_itself() {
    let cut = Some((1_500, Checksums::Complete));
    for offload in [[true, false], [false, true]] {
        let Some(_) = udp_arrives_over(Wire { offload, cut, ..PASS }) else { return };
    }
}
