//! Real TUN devices, each test in a network namespace of its own:
//!
//! ```text
//!   UDP socket on 200::1 -- routes of the namespace -- planetary0 -- recv / send -- the test
//! ```
//!
//! This needs root. Without it the tests say so and do nothing, except where `CI` is set: there
//! they fail.

mod wire;

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
use crate::{offload::finish, tun::Tun};

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

/// Few and many queues, with and without offload.
const FEATURES: [TunFeatures; 4] = [
    TunFeatures::PLAIN,
    TunFeatures { queues: 2, offload: false },
    TunFeatures { queues: 1, offload: true },
    TunFeatures { queues: 3, offload: true },
];

fn open(features: TunFeatures) -> Tun {
    let tun = Tun::open(&settings("auto"), features).unwrap();
    assert_eq!((tun.queues(), tun.offloads()), (features.queues, features.offload));
    tun
}

/// One packet, what is left to do to it, and from which queue it came.
struct Received {
    packet: Vec<u8>,
    offload: Offload,
    queue: usize,
}

/// Reads packets from all queues until one carries UDP; the system may send others of its own.
fn recv_udp(tun: &Tun) -> Received {
    let mut packet = vec![0; 65535];
    let deadline = Instant::now() + Duration::from_secs(10);
    for queue in (0..tun.queues()).cycle() {
        match tun.try_recv(queue, &mut packet).unwrap() {
            Some((len, offload)) if len > 48 && packet[0] >> 4 == 6 && packet[6] == 17 => {
                packet.truncate(len);
                return Received { packet, offload, queue };
            }
            Some(_) => {}
            None => thread::yield_now(),
        }
        assert!(Instant::now() < deadline, "no packet comes");
    }
    unreachable!("there are queues")
}

fn send(tun: &Tun, received: &Received) {
    tun.send(received.queue, &[IoSlice::new(&received.packet)], received.offload).unwrap();
}

/// Turns a UDP packet around. The checksum stays right, or as unfinished as it was: the same
/// numbers are summed up.
fn turn_around(received: &mut Received) {
    let packet = &mut received.packet;
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
        let settings = TunSettings { mtu: 9000, ..settings("auto") };
        let tun = Tun::open(&settings, TunFeatures::of_this_machine()).unwrap();
        assert_eq!((tun.name(), tun.mtu()), ("planetary0", 9000));

        let link = ip(&["-d", "link", "show", "planetary0"]);
        // The last: no packet is longer than those that buffers are made for.
        let expected = ["mtu 9000", "qlen 1000", "addrgenmode none", "LOWER_UP"];
        for expected in [&expected[..], &["tso_max_size 65536"]].concat() {
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
    for features in FEATURES {
        in_namespace(move || {
            let tun = open(features);
            let socket = socket();
            // The largest packet is 65535 bytes with its two headers.
            for len in [1, 1232, 8952, 65535 - 48] {
                let sent: Vec<u8> = (0..len).map(|index| index as u8).collect();
                socket.send_to(&sent, (ELSEWHERE, 7)).unwrap();
                let mut received = recv_udp(&tun);
                assert_eq!(received.packet.len(), len + 48);
                assert_eq!(received.packet[8..24], ADDRESS.octets());
                assert_eq!(received.packet[24..40], ELSEWHERE.octets());
                assert_eq!(received.packet[48..], sent);
                let is_unfinished = received.offload == Offload::Checksum;
                assert_eq!(is_unfinished, features.offload, "{len} bytes");

                turn_around(&mut received);
                let mut answer = vec![0; 65535];
                send(&tun, &received);
                assert_eq!(socket.recv(&mut answer).unwrap(), len);
                // Finished, it is as good, and so it is in parts.
                finish(&mut received.packet, received.offload).unwrap();
                let packet = &received.packet;
                let parts = [&packet[..40], &packet[40..48], &packet[48..]].map(IoSlice::new);
                tun.send(0, &parts, Offload::None).unwrap();
                assert_eq!(socket.recv(&mut answer).unwrap(), len);
                assert_eq!(answer[..len], sent);
            }
            let error = tun.send(0, &[IoSlice::new(b"\x00no packet")], Offload::None);
            assert!(error.is_err());
        });
    }
}

#[test]
fn packets_are_taken_in_from_the_first_moment() {
    in_namespace(|| {
        for round in 0..30 {
            let tun = open(FEATURES[round % FEATURES.len()]);
            let socket = socket();
            socket.send_to(b"question", (ELSEWHERE, 7)).unwrap();
            let mut received = recv_udp(&tun);
            turn_around(&mut received);
            send(&tun, &received);
            assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 8);
        }
    });
}

#[test]
fn a_flow_is_read_from_the_queue_to_which_its_answers_are_written() {
    in_namespace(|| {
        let tun = open(TunFeatures { queues: 3, offload: true });
        let sockets = [(); 6].map(|()| socket());
        for round in 0..9 {
            for (number, socket) in sockets.iter().enumerate() {
                socket.send_to(b"question", (ELSEWHERE, 7)).unwrap();
                let mut received = recv_udp(&tun);
                if round > 0 {
                    assert_eq!(received.queue, (number + round - 1) % 3);
                }
                turn_around(&mut received);
                received.queue = (number + round) % 3;
                send(&tun, &received);
                assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 8);
            }
        }
    });
}

#[test]
fn threads_receive_while_others_send() {
    const CLIENTS: usize = 3;
    const ROUNDS: usize = 200;
    in_namespace(|| {
        let tun = Arc::new(open(TunFeatures { queues: 2, offload: true }));
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
        let answerer = || {
            let (sender, packets) = mpsc::channel::<Received>();
            let tun = Arc::clone(&tun);
            thread::spawn(move || {
                for mut received in packets {
                    turn_around(&mut received);
                    send(&tun, &received);
                }
            });
            sender
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let reader = |queue| {
            let (tun, answerers) = (Arc::clone(&tun), [answerer(), answerer()]);
            thread::spawn(move || {
                let mut buffer = vec![0; 65535];
                for turn in 0.. {
                    let (len, offload) = tun.recv(queue, &mut buffer).unwrap();
                    if len == 0 {
                        return;
                    }
                    if len > 48 && buffer[6] == 17 {
                        let packet = buffer[..len].to_vec();
                        let received = Received { packet, offload, queue };
                        answerers[turn % answerers.len()].send(received).unwrap();
                    }
                }
            })
        };
        let readers = [0, 1].map(reader);
        for client in clients {
            client.join().unwrap();
        }
        tun.close();
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn closing_ends_every_waiting_recv_and_all_later_ones() {
    in_namespace(|| {
        let tun = Arc::new(open(TunFeatures { queues: 3, offload: true }));
        let waiting = [0, 1, 2].map(|queue| {
            let tun = Arc::clone(&tun);
            thread::spawn(move || {
                let mut packet = vec![0; 65535];
                while tun.recv(queue, &mut packet).unwrap().0 > 0 {}
                Instant::now()
            })
        });
        // Whether the readers wait already makes no difference.
        thread::yield_now();
        let closed = Instant::now();
        tun.close();
        tun.close();
        for waiting in waiting {
            assert!(waiting.join().unwrap().duration_since(closed) < Duration::from_secs(1));
        }
        assert_eq!(tun.recv(0, &mut [0; 1280]).unwrap().0, 0);
        assert_eq!(tun.try_recv(0, &mut [0; 1280]).unwrap(), None);
    });
}

#[test]
fn there_are_no_queues_but_those() {
    in_namespace(|| {
        let tun = open(TunFeatures { queues: 2, offload: true });
        assert!(tun.try_recv(1, &mut [0; 1280]).is_ok());
        for error in [
            tun.recv(2, &mut [0; 1280]).unwrap_err(),
            tun.try_recv(2, &mut [0; 1280]).unwrap_err(),
            tun.send(2, &[], Offload::None).unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    });
}

/// Such a device may be kept for a program by somebody with more rights.
#[test]
fn a_device_that_exists_is_used_and_left_as_it_was() {
    in_namespace(|| {
        ip(&["tuntap", "add", "name", "kept", "mode", "tun"]);
        for features in [FEATURES[3], TunFeatures::PLAIN] {
            let tun = Tun::open(&settings("kept"), features).unwrap();
            assert_eq!((tun.queues(), tun.offloads()), (1, features.offload));
            let error = Tun::open(&settings("kept"), features).unwrap_err();
            assert!(matches!(error, TunError::NameTaken(_)), "{error}");
            socket().send_to(b"question", (ELSEWHERE, 7)).unwrap();
            let is_unfinished = recv_udp(&tun).offload == Offload::Checksum;
            assert_eq!(is_unfinished, features.offload);
        }
        ip(&["tuntap", "del", "name", "kept", "mode", "tun"]);
    });
}

/// The system does not tell whether somebody has a device open that may have many queues.
#[test]
fn a_device_that_exists_with_many_queues_is_not_joined() {
    in_namespace(|| {
        ip(&["tuntap", "add", "name", "kept", "mode", "tun", "multi_queue"]);
        for features in FEATURES {
            let error = Tun::open(&settings("kept"), features).unwrap_err();
            assert!(matches!(error, TunError::NameTaken(_)), "{features:?}: {error}");
        }
        ip(&["tuntap", "del", "name", "kept", "mode", "tun", "multi_queue"]);
    });
}

#[test]
fn packets_that_wait_do_not_keep_a_closed_device_going() {
    in_namespace(|| {
        let tun = Tun::open(&settings("auto"), TunFeatures::of_this_machine()).unwrap();
        socket().send_to(b"too late", (ELSEWHERE, 7)).unwrap();
        tun.close();
        assert_eq!(tun.recv(0, &mut [0; 1280]).unwrap().0, 0);
    });
}

#[test]
fn names_are_given_out_once() {
    in_namespace(|| {
        let first = Tun::open(&settings("auto"), TunFeatures::of_this_machine()).unwrap();
        let second = Tun::open(&settings("auto"), TunFeatures::of_this_machine()).unwrap();
        assert_eq!((first.name(), second.name()), ("planetary0", "planetary1"));
        let own = Tun::open(&settings("overlay"), TunFeatures::of_this_machine()).unwrap();
        assert_eq!(own.name(), "overlay");
        for taken in ["overlay", "lo"] {
            let error = Tun::open(&settings(taken), TunFeatures::of_this_machine()).unwrap_err();
            assert!(matches!(error, TunError::NameTaken(_)), "{taken}: {error}");
        }
        drop(first);
        assert_eq!(
            Tun::open(&settings("auto"), TunFeatures::of_this_machine()).unwrap().name(),
            "planetary0"
        );
    });
}

#[test]
fn a_system_without_ipv6_is_told_apart() {
    in_namespace(|| {
        fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        let error = Tun::open(&settings("auto"), TunFeatures::of_this_machine()).unwrap_err();
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
        let error = Tun::open(&settings("auto"), TunFeatures::of_this_machine()).unwrap_err();
        assert!(matches!(error, TunError::NoPermission), "{error}");
        assert!(error.to_string().contains("--tun none"));
    });
}

#[test]
fn settings_that_no_interface_can_have_are_refused() {
    for name in ["", "sixteen-letters-", "a b", "a/b", "a:b", "tun%d", "..", "caf\u{e9}", "a\0b"] {
        let error = Tun::open(&settings(name), TunFeatures::PLAIN).unwrap_err();
        assert!(matches!(error, TunError::BadName { .. }), "{name}: {error}");
    }
    let error =
        Tun::open(&TunSettings { mtu: 1279, ..settings("auto") }, TunFeatures::PLAIN).unwrap_err();
    assert!(matches!(error, TunError::BadMtu(1279)), "{error}");
    let error = Tun::open(&TunSettings { prefix_len: 129, ..settings("auto") }, TunFeatures::PLAIN)
        .unwrap_err();
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
        let tun = Tun::open(&settings("auto"), TunFeatures::of_this_machine()).unwrap();
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
        let open = Tun::open(&settings("auto"), TunFeatures::of_this_machine()).unwrap();
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
