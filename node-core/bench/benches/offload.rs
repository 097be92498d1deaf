//! What finishing, cutting and joining packets costs: what the system is spared, or we are.
//!
//! `cargo bench -p planetary-bench --bench offload`

use std::{hint::black_box, num::NonZeroU16, time::Duration};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use planetary_runtime::offload::{Checksums, Coalescer, Cut, Kind, Offload, Segments, finish};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = checksum, cut, join
}
criterion_main!(benches);

const HEADERS: usize = 60;

/// Payload of a segment that fits Ethernet with room for the headers of the overlay.
const SEGMENT: u16 = 1_300;

/// The largest packet of the TUN, in whole segments.
const LARGE: usize = HEADERS + 50 * SEGMENT as usize;

const CUT: Offload = Offload::Segments(Segments {
    kind: Kind::Tcp,
    size: NonZeroU16::new(SEGMENT).expect("not zero"),
});

fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    for len in [100, 1_400, 16_384, 65_535] {
        let mut packet = tcp(len);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter(|| finish(black_box(&mut packet), Offload::Checksum));
        });
    }
    group.finish();
}

fn cut(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cut");
    let (packet, mut buffer) = (tcp(LARGE), [0; 2_000]);
    group.throughput(Throughput::Bytes(LARGE as u64));
    for checksums in [Checksums::Complete, Checksums::Partial] {
        group.bench_function(BenchmarkId::from_parameter(format!("{checksums:?}")), |bencher| {
            bencher.iter(|| {
                let mut cut = Cut::new(black_box(&packet), CUT, 1_500, checksums).expect("TCP");
                let mut pieces = 0;
                while cut.next_into(black_box(&mut buffer)).is_some() {
                    pieces += 1;
                }
                assert_eq!(pieces, 50);
            });
        });
    }
    group.finish();
}

fn join(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join");
    let whole = tcp(LARGE);
    group.throughput(Throughput::Bytes(LARGE as u64));
    for checksums in [Checksums::Complete, Checksums::Partial] {
        let (mut chunk, mut packets) = (Vec::new(), Vec::new());
        let mut pieces = Cut::new(&whole, CUT, 1_500, checksums).expect("TCP");
        let mut buffer = [0; 2_000];
        while let Some((len, offload)) = pieces.next_into(&mut buffer) {
            packets.push((chunk.len()..chunk.len() + len, offload));
            chunk.extend_from_slice(&buffer[..len]);
        }
        group.bench_function(BenchmarkId::from_parameter(format!("{checksums:?}")), |bencher| {
            bencher.iter_batched_ref(
                || (Coalescer::new(), chunk.clone()),
                |(coalescer, chunk)| {
                    let mut joined = 0;
                    for (place, offload) in &packets {
                        coalescer.push(chunk, place.clone(), *offload, |_, _| joined += 1);
                    }
                    coalescer.flush(chunk, |_, _| joined += 1);
                    assert_eq!(joined, 1);
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// A packet of TCP whose checksum holds the sum of the pseudo-header.
fn tcp(len: usize) -> Vec<u8> {
    let mut packet = vec![7; len];
    packet[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 0, 6, 64]);
    packet[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
    packet[8..24].fill(2);
    packet[24..40].fill(3);
    // Ports and numbers stay as they are; a header of 20 bytes, ACK.
    packet[52..54].copy_from_slice(&[0x50, 0x10]);
    let pseudo = 8 * 0x0202_u32 + 8 * 0x0303 + 6 + (len - 40) as u32;
    packet[56..58]
        .copy_from_slice(&((pseudo & 0xffff) as u16 + (pseudo >> 16) as u16).to_be_bytes());
    packet[58..60].fill(0);
    packet
}
