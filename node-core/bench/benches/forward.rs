//! Where a packet goes next, with few and with many neighbours.
//!
//! `cargo bench -p planetary-bench --bench forward`

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use planetary_proto::{
    ForwardingTable, Identity, LinkId, NodeKey,
    forward::{Decision, Hop, WATERMARK_START},
    wire::Coords,
};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = decide
}
criterion_main!(benches);

const NEIGHBOURS: [u64; 4] = [10, 100, 1_000, 10_000];

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("next hop");
    for count in NEIGHBOURS {
        let table = table(count);
        let neighbour = key(count / 2);
        group.bench_function(BenchmarkId::new("to a neighbour", count), |bencher| {
            bencher.iter(|| {
                let decision = table.decide(black_box(&neighbour), &[1, 2, 3], WATERMARK_START);
                assert!(matches!(decision, Decision::Forward { watermark: 0, .. }));
                decision
            });
        });
        // Below a neighbour that only its coordinates tell.
        let (stranger, path) = (key(u64::MAX), [1, count / 2, 7, 9, 4]);
        group.bench_function(BenchmarkId::new("over the tree", count), |bencher| {
            bencher.iter(|| {
                let decision = table.decide(black_box(&stranger), black_box(&path), 100);
                assert!(matches!(decision, Decision::Forward { watermark: 1.., .. }));
                decision
            });
        });
    }
    group.finish();
}

/// A node one below the root, whose neighbours are its children and their neighbours.
fn table(count: u64) -> ForwardingTable {
    let hop = |index| Hop {
        key: key(index),
        coords: Some(Coords::from(vec![1, index, 7])),
        link: LinkId(index),
        cost: 1 + index % 40,
        order: index,
    };
    ForwardingTable::new(key(0), Coords::from(vec![1]), (1..=count).map(hop).collect())
}

/// A key for each number, in no order. Nothing here looks whether there is a secret to it.
fn key(number: u64) -> NodeKey {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    Identity::from_seed(&seed).key()
}
