//! Replays the corpus of every target, and mutates it for a while.
//!
//! Mutations follow a fixed seed, so a failure is found again by the same test; the input that
//! caused it is printed as hexadecimal digits and belongs into the corpus once the bug is fixed.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    time::{Duration, Instant},
};

use planetary_fuzz::TARGETS;

/// Mutated inputs per target; `PLANETARY_FUZZ_RUNS` asks for another number and takes its time.
const RUNS: usize = 2000;
/// A busy machine does fewer.
const PATIENCE: Duration = Duration::from_secs(5);
const LEN_MAX: usize = 2048;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder:?} is empty");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn run(target: &str, input: &[u8]) {
    let function = TARGETS.iter().find(|(name, _)| *name == target).expect("a target").1;
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| function(input))) {
        let digits: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{target} fails on {digits}");
        resume_unwind(panic);
    }
}

fn replay(target: &str) {
    for input in corpus(target) {
        run(target, &input);
    }
}

fn mutate(target: &str) {
    let asked = std::env::var("PLANETARY_FUZZ_RUNS").ok().map(|runs| runs.parse().unwrap());
    let corpus = corpus(target);
    let mut random = Random(0x5eed);
    let start = Instant::now();
    for _ in 0..asked.unwrap_or(RUNS) {
        run(target, &random.mutation(&corpus));
        if asked.is_none() && start.elapsed() > PATIENCE {
            break;
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// An input of the corpus with one to eight changes.
    fn mutation(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input, corpus);
        }
        input.truncate(LEN_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = input.len().min(at + self.below(32));
        match self.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            2 if at < input.len() => input[at] = self.next() as u8,
            3 => drop(input.drain(at..end)),
            4 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            5 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                let to = other.len().min(from + 1 + self.below(64));
                input.splice(at..at, other[from..to].iter().copied());
            }
            _ => input.insert(at, self.next() as u8),
        }
    }
}

macro_rules! tests {
    ($($target:ident)+) => {
        $(mod $target {
            #[test]
            fn corpus_replays() {
                crate::replay(stringify!($target));
            }

            #[test]
            fn mutations_of_the_corpus_hold() {
                crate::mutate(stringify!($target));
            }
        })+

        #[test]
        fn every_target_has_tests() {
            let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($target)),+]);
        }
    };
}

tests! {
    backup beacon circle_message circle_op config control_frames extension fast_exchange
    fast_packets fast_talk filter foreign frames friend_link http_head identity_pem invite
    join_link meta names node_info offload_cut offload_finish offload_join packets public_list
    session socks stack traffic uri
}
