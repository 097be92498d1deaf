//! Headers of traffic frames: written before a packet, read in place, and moved by who passes one
//! on.
//!
//! `cargo bench -p planetary-bench --bench frames`

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use planetary_proto::{
    Identity, NodeKey,
    forward::WATERMARK_START,
    wire::{Coords, TrafficHeader, TrafficView},
};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = emit, parse, pass_on
}
criterion_main!(benches);

/// Depths of trees: a small one, a large one, and one that is bent.
const DEPTHS: [u64; 3] = [2, 8, 32];

/// A packet of Ethernet. Nothing here looks at it.
const PAYLOAD: usize = 1_400;

fn emit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("emit");
    for depth in DEPTHS {
        let place = Place::at(depth);
        let mut room = [0; 512];
        group.bench_function(BenchmarkId::from_parameter(depth), |bencher| {
            bencher.iter(|| place.header().emit_before(black_box(PAYLOAD), &mut room));
        });
    }
    group.finish();
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for depth in DEPTHS {
        let (frame, body) = Place::at(depth).frame();
        let mut ports = [0; 16];
        let mut spill = Vec::new();
        group.bench_function(BenchmarkId::from_parameter(depth), |bencher| {
            bencher.iter(|| {
                let body = black_box(&frame[body..]);
                let view = TrafficView::parse(body).expect("a frame of ours");
                spill.clear();
                let path = view.path_ports(body, &mut ports, &mut spill).len();
                (path, view.dest(body), view.watermark())
            });
        });
    }
    group.finish();
}

fn pass_on(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pass on");
    for depth in DEPTHS {
        let (mut frame, body) = Place::at(depth).frame();
        let view = TrafficView::parse(&frame[body..]).expect("a frame of ours");
        let (end, fresh) = (frame.len(), frame.clone());
        group.bench_function(BenchmarkId::from_parameter(depth), |bencher| {
            bencher.iter(|| {
                // The head alone is made anew.
                let head = body + view.payload_offset();
                frame[..head].copy_from_slice(&fresh[..head]);
                view.lower_watermark(black_box(&mut frame), body, end, depth)
            });
        });
    }
    group.finish();
}

/// Two nodes so deep in a tree.
struct Place {
    path: Coords,
    from: Coords,
    source: NodeKey,
    dest: NodeKey,
}

impl Place {
    fn at(depth: u64) -> Self {
        let [source, dest] = [1, 2].map(|seed| Identity::from_seed(&[seed; 32]).key());
        let coords = |step| Coords::from((1..=depth).map(|port| port * step).collect::<Vec<_>>());
        Self { path: coords(1), from: coords(3), source, dest }
    }

    fn header(&self) -> TrafficHeader<'_> {
        let Self { path, from, source, dest } = self;
        TrafficHeader { path, from, source, dest, watermark: WATERMARK_START }
    }

    /// A whole frame, and where its body begins.
    fn frame(&self) -> (Vec<u8>, usize) {
        let mut frame = Vec::new();
        self.header().emit(PAYLOAD, &mut frame);
        frame.resize(frame.len() + PAYLOAD, 0);
        // Two bytes of length, one of type.
        (frame, 3)
    }
}
