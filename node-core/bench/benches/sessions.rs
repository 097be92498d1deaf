//! Sealing and opening, in place, on one core: the cipher of compatible sessions, and packets of
//! fast sessions with each of their ciphers.
//!
//! `cargo bench -p planetary-bench --bench sessions`; against libsodium: `--bench secretbox`

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use planetary_proto::{
    Identity,
    session::{FAST_HEAD_LEN, FastKeys, Offered, Parties, ReplayWindow, Suites, answer_offer},
};
use planetary_secretbox::{Cipher, KEY_LEN};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = seal, open, agree
}
criterion_main!(benches);

/// A ping, a full Ethernet frame, a large packet, and the largest the overlay carries.
const LENGTHS: [usize; 4] = [100, 1_400, 16_384, 65_535];

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    let cipher = Cipher::new(&[3; KEY_LEN]);
    for len in LENGTHS {
        group.throughput(Throughput::Bytes(len as u64));
        let (mut data, mut number) = (vec![7; len], 0);
        group.bench_function(BenchmarkId::new("xsalsa20-poly1305", len), |bencher| {
            bencher.iter(|| {
                number += 1;
                cipher.seal_in_place(number, black_box(&mut data))
            });
        });
        for suites in SUITES {
            let [near, _] = fast(suites);
            let mut buffer = vec![7; FAST_HEAD_LEN + len];
            group.bench_function(
                BenchmarkId::new(near.sealer.suite().to_string(), len),
                |bencher| {
                    bencher.iter(|| near.sealer.seal(black_box(&mut buffer), FAST_HEAD_LEN));
                },
            );
        }
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    let cipher = Cipher::new(&[3; KEY_LEN]);
    for len in LENGTHS {
        group.throughput(Throughput::Bytes(len as u64));
        let mut sealed = vec![7; len];
        let tag = cipher.seal_in_place(1, &mut sealed);
        group.bench_function(BenchmarkId::new("xsalsa20-poly1305", len), |bencher| {
            bencher.iter_batched_ref(
                || sealed.clone(),
                |data| cipher.open_in_place(1, &tag, data).expect("an intact message"),
                BatchSize::SmallInput,
            );
        });
        for suites in SUITES {
            let [near, far] = fast(suites);
            let mut sealed = vec![7; FAST_HEAD_LEN + len];
            near.sealer.seal(&mut sealed, FAST_HEAD_LEN).expect("room for the head");
            let window = ReplayWindow::new();
            group.bench_function(
                BenchmarkId::new(near.sealer.suite().to_string(), len),
                |bencher| {
                    bencher.iter_batched_ref(
                        || (sealed.clone(), window.clone()),
                        |(message, window)| {
                            let counter = far.opener.open(message).expect("an intact message");
                            assert!(window.accept(counter), "a fresh message");
                        },
                        BatchSize::SmallInput,
                    );
                },
            );
        }
    }
    group.finish();
}

/// What new keys of a fast session cost both ends together: once when it begins, and again every
/// two minutes.
fn agree(criterion: &mut Criterion) {
    criterion.bench_function("agree on keys of a fast session", |bencher| {
        bencher.iter(|| fast(Suites::ALL));
    });
}

/// What each of the ciphers is chosen by: both ends have instructions for AES, or have not.
const SUITES: [Suites; 2] = [Suites::fast_with(true), Suites::fast_with(false)];

fn fast(suites: Suites) -> [FastKeys; 2] {
    let [offerer, answerer] = [1, 2].map(|seed| Identity::from_seed(&[seed; 32]).key());
    let (parties, mut rng) = (Parties { offerer, answerer }, ChaCha20Rng::from_seed([5; 32]));
    let offered = Offered::new(1, suites, &mut rng);
    let (answer, far) =
        answer_offer(offered.message(), &parties, suites, &mut rng).expect("a good offer");
    [offered.accept(&answer[..], &parties).expect("a good answer"), far]
}
