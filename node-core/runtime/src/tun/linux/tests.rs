//! Real TUN devices, each test in a network namespace of its own:
//!
//! ```text
//!   UDP socket on 200::1 -- routes of the namespace -- planetary0 -- recv / send -- the test
//! ```
//!
//! This needs root. Without it the tests say so and do nothing, except where `CI` is set: there
//! they fail.

use std::{
    env, fs,
    net::{Ipv6Addr, UdpSocket},
    process::Command,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, set_capabilities, unshare_unsafe,
};

use super::*;
use crate::tun::Tun;

pub(crate) const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x200, 0x1234, 0, 0, 0, 0, 0, 0x1);
const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0x201, 0xabcd, 0, 0, 0, 0, 0, 0x2);

/// Runs `test` on a thread in a fresh network namespace, which goes away with the thread.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let body = move || {
        // SAFETY: only this thread changes its namespace, and no descriptor is shared by the flag.
        match unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
            Ok(()) => test(),
            Err(error) if env::var_os("CI").is_some() => panic!("no network namespace: {error}"),
            Err(error) => eprintln!("skipped, this test needs root: no network namespace: {error}"),
        }
    };
    // A panic of the test is the test's result.
    if let Err(panic) = thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn settings(name: &str) -> TunSettings {
    TunSettings { name: name.into(), mtu: 65535, address: ADDRESS, prefix_len: 7 }
}

/// What `ip` says of an interface of this thread's namespace.
fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is installed");
    String::from_utf8(output.stdout).unwrap()
}

/// Reads packets until one carries UDP; the system may send others of its own.
fn recv_udp(tun: &Tun) -> Vec<u8> {
    let mut packet = vec![0; 65535];
    loop {
        let len = tun.recv(&mut packet).unwrap();
        assert!(len > 0, "the device is closed");
        if len > 48 && packet[0] >> 4 == 6 && packet[6] == 17 {
            packet.truncate(len);
            return packet;
        }
    }
}

/// Turns a UDP packet around. The checksum stays right, as the same numbers are summed up.
fn turn_around(packet: &mut [u8]) {
    let (from, to) = packet[8..40].split_at_mut(16);
    from.swap_with_slice(to);
    packet[40..44].rotate_left(2);
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((ADDRESS, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

#[test]
fn the_interface_is_what_was_asked_for() {
    in_namespace(|| {
        let tun = Tun::open(&TunSettings { mtu: 9000, ..settings("auto") }).unwrap();
        assert_eq!((tun.name(), tun.mtu()), ("planetary0", 9000));

        let link = ip(&["-d", "link", "show", "planetary0"]);
        for expected in ["mtu 9000", "qlen 128", "addrgenmode none", "LOWER_UP"] {
            assert!(link.contains(expected), "{expected}: {link}");
        }
        let addresses = ip(&["-6", "address", "show", "planetary0"]);
        assert_eq!(addresses.matches("inet6").count(), 1, "{addresses}");
        assert!(addresses.contains("inet6 200:1234::1/7 scope global"), "{addresses}");
        assert!(!addresses.contains("tentative"), "{addresses}");
        let routes = ip(&["-6", "route", "get", "3ff::1"]);
        assert!(
            routes.contains("dev planetary0") && routes.contains("src 200:1234::1"),
            "{routes}"
        );

        drop(tun);
        assert_eq!(ip(&["link", "show", "planetary0"]), "");
    });
}

#[test]
fn packets_of_all_sizes_go_both_ways() {
    in_namespace(|| {
        let tun = Tun::open(&settings("auto")).unwrap();
        let socket = socket();
        // The largest packet is 65535 bytes with its two headers.
        for len in [1, 1232, 8952, 65535 - 48] {
            let sent: Vec<u8> = (0..len).map(|index| index as u8).collect();
            socket.send_to(&sent, (ELSEWHERE, 7)).unwrap();
            let mut packet = recv_udp(&tun);
            assert_eq!(packet.len(), len + 48);
            assert_eq!(packet[8..24], ADDRESS.octets());
            assert_eq!(packet[24..40], ELSEWHERE.octets());
            assert_eq!(packet[48..], sent);

            turn_around(&mut packet);
            let mut received = vec![0; 65535];
            tun.send(&packet).unwrap();
            assert_eq!(socket.recv(&mut received).unwrap(), len);
            let parts = [&packet[..40], &packet[40..48], &packet[48..]].map(IoSlice::new);
            tun.send_vectored(&parts).unwrap();
            assert_eq!(socket.recv(&mut received).unwrap(), len);
            assert_eq!(received[..len], sent);
        }
        assert!(tun.send(b"\x00no packet").is_err());
    });
}

#[test]
fn packets_are_taken_in_from_the_first_moment() {
    in_namespace(|| {
        for _ in 0..30 {
            let tun = Tun::open(&settings("auto")).unwrap();
            let socket = socket();
            socket.send_to(b"question", (ELSEWHERE, 7)).unwrap();
            let mut packet = recv_udp(&tun);
            turn_around(&mut packet);
            tun.send(&packet).unwrap();
            assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 8);
        }
    });
}

#[test]
fn one_thread_receives_while_others_send() {
    const CLIENTS: usize = 3;
    const ROUNDS: usize = 200;
    in_namespace(|| {
        let tun = Arc::new(Tun::open(&settings("auto")).unwrap());
        let client = |number: usize| {
            let socket = socket();
            thread::spawn(move || {
                for round in 0..ROUNDS {
                    let question = [number as u8, round as u8];
                    socket.send_to(&question, (ELSEWHERE, 7)).unwrap();
                    let mut answer = [0; 2];
                    socket.recv(&mut answer).unwrap();
                    assert_eq!(answer, question);
                }
            })
        };
        let answerer = |_| {
            let (sender, packets) = mpsc::channel::<Vec<u8>>();
            let tun = Arc::clone(&tun);
            thread::spawn(move || {
                for mut packet in packets {
                    turn_around(&mut packet);
                    tun.send(&packet).unwrap();
                }
            });
            sender
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let answerers: Vec<_> = (0..CLIENTS).map(answerer).collect();
        for packet in 0..CLIENTS * ROUNDS {
            answerers[packet % CLIENTS].send(recv_udp(&tun)).unwrap();
        }
        for client in clients {
            client.join().unwrap();
        }
    });
}

#[test]
fn closing_ends_a_waiting_recv_and_all_later_ones() {
    in_namespace(|| {
        let tun = Arc::new(Tun::open(&settings("auto")).unwrap());
        let waiting = {
            let tun = Arc::clone(&tun);
            thread::spawn(move || {
                let mut packet = vec![0; 65535];
                while tun.recv(&mut packet).unwrap() > 0 {}
                Instant::now()
            })
        };
        // Whether the reader waits already makes no difference.
        thread::yield_now();
        let closed = Instant::now();
        tun.close();
        tun.close();
        assert!(waiting.join().unwrap().duration_since(closed) < Duration::from_secs(1));
        assert_eq!(tun.recv(&mut [0; 1280]).unwrap(), 0);
    });
}

#[test]
fn packets_that_wait_do_not_keep_a_closed_device_going() {
    in_namespace(|| {
        let tun = Tun::open(&settings("auto")).unwrap();
        socket().send_to(b"too late", (ELSEWHERE, 7)).unwrap();
        tun.close();
        assert_eq!(tun.recv(&mut [0; 1280]).unwrap(), 0);
    });
}

#[test]
fn names_are_given_out_once() {
    in_namespace(|| {
        let first = Tun::open(&settings("auto")).unwrap();
        let second = Tun::open(&settings("auto")).unwrap();
        assert_eq!((first.name(), second.name()), ("planetary0", "planetary1"));
        let own = Tun::open(&settings("overlay")).unwrap();
        assert_eq!(own.name(), "overlay");
        for taken in ["overlay", "lo"] {
            let error = Tun::open(&settings(taken)).unwrap_err();
            assert!(matches!(error, TunError::NameTaken(_)), "{taken}: {error}");
        }
        drop(first);
        assert_eq!(Tun::open(&settings("auto")).unwrap().name(), "planetary0");
    });
}

#[test]
fn a_system_without_ipv6_is_told_apart() {
    in_namespace(|| {
        fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        let error = Tun::open(&settings("auto")).unwrap_err();
        assert!(matches!(error, TunError::NoIpv6), "{error}");
        assert_eq!(ip(&["link", "show", "planetary0"]), "", "the interface is left behind");
    });
}

#[test]
fn a_missing_right_is_told_with_the_way_around_it() {
    in_namespace(|| {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        set_capabilities(None, sets).unwrap();
        let error = Tun::open(&settings("auto")).unwrap_err();
        assert!(matches!(error, TunError::NoPermission), "{error}");
        assert!(error.to_string().contains("--tun none"));
    });
}

#[test]
fn settings_that_no_interface_can_have_are_refused() {
    for name in ["", "sixteen-letters-", "a b", "a/b", "a:b", "tun%d", "..", "caf\u{e9}", "a\0b"] {
        let error = Tun::open(&settings(name)).unwrap_err();
        assert!(matches!(error, TunError::BadName { .. }), "{name}: {error}");
    }
    let error = Tun::open(&TunSettings { mtu: 1279, ..settings("auto") }).unwrap_err();
    assert!(matches!(error, TunError::BadMtu(1279)), "{error}");
    let error = Tun::open(&TunSettings { prefix_len: 129, ..settings("auto") }).unwrap_err();
    assert!(matches!(error, TunError::BadPrefix(129)), "{error}");
}

/// What `nft` says of the tables of this thread's namespace.
fn tables() -> String {
    let output = Command::new("nft").args(["list", "ruleset"]).output().expect("nftables is here");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn guard_stands_beside_the_device_and_goes_with_it() {
    in_namespace(|| {
        let tun = Tun::open(&settings("auto")).unwrap();
        assert_eq!(tun.unguarded(), None);
        let rules = tables();
        assert!(rules.contains("table ip6 planetary_planetary0"), "{rules}");
        // Two addresses in each of two directions.
        assert_eq!(rules.matches("drop").count(), 4, "{rules}");
        drop(tun);
        assert_eq!(tables().trim(), "");
    });
}

/// ```text
///   neighbour: 201::2 on the cable -- veth -- host: TUN with 200:...::1
/// ```
#[test]
fn a_neighbour_on_the_cable_does_not_reach_the_overlay_address() {
    in_namespace(|| {
        let cable = ["link", "add", "cable", "type", "veth", "peer", "name", "far"];
        ip(&cable);
        ip(&["netns", "add", "planetary-neighbour"]);
        struct Netns;
        impl Drop for Netns {
            fn drop(&mut self) {
                ip(&["netns", "delete", "planetary-neighbour"]);
            }
        }
        let _netns = Netns;
        ip(&["link", "set", "far", "netns", "planetary-neighbour"]);
        ip(&["addr", "add", "fd00::1/64", "dev", "cable", "nodad"]);
        ip(&["link", "set", "cable", "up"]);
        let there = |arguments: &[&str]| {
            ip(&[&["-n", "planetary-neighbour"], arguments].concat());
        };
        there(&["addr", "add", "fd00::2/64", "dev", "far", "nodad"]);
        there(&["link", "set", "far", "up"]);
        there(&["route", "add", "200::/7", "via", "fd00::1"]);
        let reaches = |address: Ipv6Addr| {
            let ping = ["netns", "exec", "planetary-neighbour", "ping", "-c2", "-W1", "-i0.2"];
            let mut command = Command::new("ip");
            command.args(ping).arg(address.to_string());
            command.output().expect("iproute2 is installed").status.success()
        };
        let open = Tun::open(&settings("auto")).unwrap();
        let cable_address = "fd00::1".parse().unwrap();
        assert!(reaches(cable_address), "the cable works");
        assert!(!reaches(ADDRESS), "the overlay's address is not on the cable");
        drop(open);
        // The same without the guard, so that the test can fail.
        ip(&["addr", "add", &format!("{ADDRESS}/128"), "dev", "lo", "nodad"]);
        ip(&["link", "set", "lo", "up"]);
        assert!(reaches(ADDRESS), "this system takes it without a guard");
    });
}
