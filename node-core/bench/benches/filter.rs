//! What the packet filter costs a packet: of a known flow, of a new one, of a stranger.
//!
//! The cost of a packet on its whole way is some 2 µs for 1,400 bytes and 40 µs for 64 KiB.
//!
//! `cargo bench -p planetary-bench --bench filter`

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use planetary_circles::{Budget, Filter, Person, Policy, Remote, Rules};
use planetary_proto::{Identity, NodeKey, time::Instant, upper::ipv6::Territory};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = known_flow, strangers
}
criterion_main!(benches);

/// Flows in the table while a packet of one of them is judged.
const FLOWS: [u16; 3] = [1, 100, 1_000];

fn known_flow(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter, a known flow");
    let [own, friend, _] = keys();
    let remote = Remote::of(friend);
    let out = tcp(&own, &friend, 10_000, 443, ACK);
    let back = tcp(&friend, &own, 443, 10_000, ACK);
    for flows in FLOWS {
        let mut filter = filter();
        for port in 0..flows {
            let syn = tcp(&own, &friend, 10_000 + port, 443, SYN);
            let _ = filter.outbound(&remote, &syn, Instant::START);
        }
        group.bench_function(BenchmarkId::new("outbound", flows), |bencher| {
            bencher.iter(|| filter.outbound(&remote, black_box(&out), Instant::START));
        });
        group.bench_function(BenchmarkId::new("inbound", flows), |bencher| {
            bencher.iter(|| filter.inbound(&remote, black_box(&back), Instant::START));
        });
    }
    group.finish();
}

fn strangers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter, a stranger");
    let [own, _, stranger] = keys();
    let (mut filter, remote) = (filter(), Remote::of(stranger));
    let knock = tcp(&stranger, &own, 10_000, 22, SYN);
    group.bench_function("inbound, a knock", |bencher| {
        bencher.iter(|| filter.inbound(&remote, black_box(&knock), Instant::START));
    });
    let mut port = 0;
    group.bench_function("outbound, each packet a new flow", |bencher| {
        bencher.iter(|| {
            port = if port == 2_000 { 0 } else { port + 1 };
            let syn = tcp(&own, &stranger, 10_000 + port, 443, SYN);
            filter.outbound(&remote, black_box(&syn), Instant::START)
        });
    });
    group.finish();
}

/// The own key, that of a friend, and one that is neither.
fn keys() -> [NodeKey; 3] {
    [1, 2, 3].map(|seed| Identity::from_seed(&[seed; 32]).key())
}

fn filter() -> Filter {
    let [own, friend, _] = keys();
    let policy =
        Policy { people: vec![Person { echo: true, ..Person::of(friend) }], ..Policy::default() };
    let rules = Arc::new(Rules::compile(&policy).unwrap_or_default());
    Filter::new(Territory::of(&own), rules, Budget::new(64))
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
