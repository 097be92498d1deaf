//! What the packet filter costs a packet: of a known flow, of a new one, of a stranger.
//!
//! The cost of a packet on its whole way is some 2 µs for 1,400 bytes and 40 µs for 64 KiB, so
//! this prints a share of it too. Medians over rounds; nothing is compared with a limit.
//!
//! `cargo bench -p planetary-bench --bench filter`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use planetary_circles::{Budget, Filter, Person, Policy, Remote, Rules};
use planetary_proto::{Identity, NodeKey, time::Instant, upper::ipv6::Territory};

const ROUNDS: usize = 31;
const PACKETS: usize = 10_000;
/// Flows in the table while a packet of one of them is judged.
const FLOWS: [u16; 3] = [1, 100, 1_000];

fn main() {
    let [own, friend, stranger] = [1, 2, 3].map(|seed| Identity::from_seed(&[seed; 32]).key());
    let policy =
        Policy { people: vec![Person { echo: true, ..Person::of(friend) }], ..Policy::default() };
    let rules = Arc::new(Rules::compile(&policy).unwrap_or_default());
    println!("case                                   ns a packet");
    for flows in FLOWS {
        let mut filter = Filter::new(Territory::of(&own), Arc::clone(&rules), Budget::new(64));
        for port in 0..flows {
            let syn = tcp(&own, &friend, 10_000 + port, 443, SYN);
            let _ = filter.outbound(&Remote::of(friend), &syn, Instant::START);
        }
        let out = tcp(&own, &friend, 10_000, 443, ACK);
        let back = tcp(&friend, &own, 443, 10_000, ACK);
        let remote = Remote::of(friend);
        let case = format!("outbound, 1 of {flows} known flows");
        report(&case, || filter.outbound(&remote, black_box(&out), Instant::START));
        let case = format!("inbound, 1 of {flows} known flows");
        report(&case, || filter.inbound(&remote, black_box(&back), Instant::START));
    }
    let mut filter = Filter::new(Territory::of(&own), rules, Budget::new(64));
    let remote = Remote::of(stranger);
    let knock = tcp(&stranger, &own, 10_000, 22, SYN);
    report("inbound, a stranger that knocks", || {
        filter.inbound(&remote, black_box(&knock), Instant::START)
    });
    let mut port = 0;
    report("outbound, each packet a new flow", || {
        port = if port == 2_000 { 0 } else { port + 1 };
        let syn = tcp(&own, &stranger, 10_000 + port, 443, SYN);
        filter.outbound(&remote, black_box(&syn), Instant::START)
    });
}

fn report<R>(case: &str, mut judge: impl FnMut() -> R) {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Clock::now();
            for _ in 0..PACKETS {
                black_box(judge());
            }
            start.elapsed()
        })
        .collect();
    rounds.sort();
    let nanos = rounds[ROUNDS / 2].as_nanos() as f64 / PACKETS as f64;
    println!("{case:<38} {nanos:>8.1}");
}

const SYN: u8 = 2;
const ACK: u8 = 16;

/// A TCP segment without data. Checksums are not looked at.
fn tcp(from: &NodeKey, to: &NodeKey, from_port: u16, to_port: u16, flags: u8) -> [u8; 60] {
    let mut packet = [0; 60];
    packet[0] = 0x60;
    packet[5] = 20;
    (packet[6], packet[7]) = (6, 64);
    packet[8..24].copy_from_slice(from.address().as_bytes());
    packet[24..40].copy_from_slice(to.address().as_bytes());
    packet[40..42].copy_from_slice(&from_port.to_be_bytes());
    packet[42..44].copy_from_slice(&to_port.to_be_bytes());
    packet[52] = 5 << 4;
    packet[53] = flags;
    packet
}
