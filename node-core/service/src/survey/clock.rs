//! The clock of this computer: whether it jumps, and what other nodes take the time to be.
//!
//! Other nodes say what time it is without being asked: the sequence numbers of their places in the
//! tree are UNIX times, and so are those of their answers to lookups. Anybody may lie, so no single
//! node counts: [`compare`] takes the middle of what all of them say, needs three, and gives a hint
//! and never a verdict. A few keys made by one hand could move it, and all they gain is a sentence
//! that is wrong.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use planetary_proto::limits::INFO_TIMEOUT;
use planetary_runtime::Topology;
use planetary_runtime::clock::Clock;

/// A change of the clock that nobody makes by slewing it.
const JUMP_MIN_S: u64 = 30;

/// How long a jump is worth telling.
const JUMP_AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// Fewer nodes than this say nothing about the time.
pub const WITNESSES_MIN: usize = 3;

/// No more nodes than this are listened to.
const WITNESSES_MAX: usize = 1_024;

/// A place in the tree is renewed every four minutes and spreads within seconds, so its number is
/// at most so old.
const PLACE_AGE_MAX_S: i64 = INFO_TIMEOUT.as_secs().cast_signed();

/// How long one comparison is good for. Others are asked for a new one every [`COMPARISON_GAP`].
const COMPARISON_AGE_MAX: Duration = Duration::from_secs(150);

/// How often it is worth asking what other nodes say.
pub const COMPARISON_GAP: Duration = Duration::from_secs(60);

/// What is known of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockFacts {
    /// Its last jump, if that was lately.
    pub jump: Option<Jump>,
    /// How it compares, if there was anybody to compare it with.
    pub comparison: Option<Comparison>,
}

/// A jump of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// By so many seconds, forwards if positive.
    pub by_s: i64,
    /// When, by the clock as it was afterwards.
    pub at_unix_s: u64,
}

/// This clock beside those of other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// How far this clock is ahead of the middle one, in seconds; negative when it is behind.
    pub ahead_s: i64,
    /// How many nodes were listened to.
    pub witnesses: usize,
}

/// What one other node said the time was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The least by which this clock is ahead of the node's.
    pub ahead_min_s: i64,
    /// The most by which it is.
    pub ahead_max_s: i64,
}

/// Watches the clock from one look to the next.
#[derive(Debug)]
pub struct ClockWatch {
    clock: Clock,
    /// UNIX time less monotonic time, in microseconds, at the last look.
    offset_us: i128,
    jump: Option<(Jump, Duration)>,
    compared: Option<(Comparison, Duration)>,
}

impl ClockWatch {
    /// Begins to watch.
    #[must_use]
    pub fn start() -> Self {
        let clock = Clock::start();
        Self { clock, offset_us: unix_us() - mono_us(clock), jump: None, compared: None }
    }

    /// Looks at the clock, and takes in what other nodes say if that was asked for.
    pub fn look(&mut self, witnesses: Option<Vec<Witness>>) -> ClockFacts {
        self.take_in(mono_us(self.clock), unix_us(), witnesses)
    }

    fn take_in(
        &mut self,
        mono_us: i128,
        unix_us: i128,
        witnesses: Option<Vec<Witness>>,
    ) -> ClockFacts {
        let mono = Duration::from_micros(u64::try_from(mono_us).unwrap_or(0));
        let offset_us = unix_us - mono_us;
        let by_s = i64::try_from((offset_us - self.offset_us) / 1_000_000).unwrap_or(0);
        self.offset_us = offset_us;
        if by_s.unsigned_abs() >= JUMP_MIN_S {
            let at_unix_s = u64::try_from(unix_us / 1_000_000).unwrap_or(0);
            self.jump = Some((Jump { by_s, at_unix_s }, mono));
            // What was compared was another clock.
            self.compared = None;
        }
        if let Some(witnesses) = witnesses {
            self.compared = compare(&witnesses).map(|comparison| (comparison, mono));
        }
        let fresh = |since: Duration, most| mono.saturating_sub(since) <= most;
        let (jump, compared) = (self.jump, self.compared);
        ClockFacts {
            jump: jump.filter(|(_, at)| fresh(*at, JUMP_AGE_MAX)).map(|(jump, _)| jump),
            comparison: compared
                .filter(|(_, at)| fresh(*at, COMPARISON_AGE_MAX))
                .map(|(comparison, _)| comparison),
        }
    }
}

/// What the nodes that are known say, at most one word for each.
#[must_use]
pub fn witnesses(known: &Topology, now_unix_s: u64) -> Vec<Witness> {
    let now = i64::try_from(now_unix_s).unwrap_or(i64::MAX);
    let ahead = |seq: u64, age_s: i64| {
        let theirs = i64::try_from(seq).unwrap_or(i64::MAX).saturating_add(age_s);
        now.saturating_sub(theirs)
    };
    // An answer to a lookup was given when it came; a place in the tree may be some minutes old.
    let answers = known.paths.iter().map(|path| {
        let ahead = ahead(path.seq, path.age.as_secs().cast_signed());
        (path.key, Witness { ahead_min_s: ahead, ahead_max_s: ahead })
    });
    let places = known.tree.iter().map(|place| {
        let most = ahead(place.seq, 0);
        let least = most.saturating_sub(PLACE_AGE_MAX_S);
        (place.key, Witness { ahead_min_s: least, ahead_max_s: most })
    });
    let mut said = std::collections::BTreeMap::new();
    for (key, witness) in answers.chain(places).filter(|(key, _)| *key != known.own) {
        if said.len() < WITNESSES_MAX {
            said.entry(key).or_insert(witness);
        }
    }
    said.into_values().collect()
}

/// The middle of what the nodes say; `None` when there are too few.
#[must_use]
pub fn compare(witnesses: &[Witness]) -> Option<Comparison> {
    if witnesses.len() < WITNESSES_MIN {
        return None;
    }
    // A node that cannot be told from one with the same clock has it.
    let nearest = |witness: &Witness| 0.clamp(witness.ahead_min_s, witness.ahead_max_s);
    let mut ahead: Vec<i64> = witnesses.iter().map(nearest).collect();
    ahead.sort_unstable();
    // Of an even number, the one of the two in the middle that is nearer to nothing being wrong.
    let (low, high) = (ahead[(ahead.len() - 1) / 2], ahead[ahead.len() / 2]);
    let ahead_s = if low.unsigned_abs() <= high.unsigned_abs() { low } else { high };
    Some(Comparison { ahead_s, witnesses: witnesses.len() })
}

fn mono_us(clock: Clock) -> i128 {
    i128::from(clock.mono().as_micros())
}

/// Microseconds since 1970, negative before.
fn unix_us() -> i128 {
    let micros = |span: Duration| i128::try_from(span.as_micros()).unwrap_or(i128::MAX / 2);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use planetary_proto::identity::{Identity, NodeKey};
    use planetary_runtime::{PathSnapshot, TreeSnapshot};

    use super::*;

    const SECOND: i128 = 1_000_000;
    const NOW: i128 = 1_800_000_000 * SECOND;

    fn watch() -> ClockWatch {
        let clock = Clock::start();
        ClockWatch { clock, offset_us: NOW, jump: None, compared: None }
    }

    fn sure(ahead_s: i64) -> Witness {
        Witness { ahead_min_s: ahead_s, ahead_max_s: ahead_s }
    }

    #[test]
    fn a_jump_is_told_for_a_while_and_slewing_is_none() {
        let mut watch = watch();
        let mut at = |mono_s: i128, off_s: i128| {
            watch.take_in(mono_s * SECOND, NOW + (mono_s + off_s) * SECOND, None).jump
        };
        assert_eq!(at(4, 0), None);
        assert_eq!(at(8, 29), None, "a clock may be set by a little");
        let back = at(12, -3600).unwrap();
        assert_eq!((back.by_s, back.at_unix_s), (-3629, 1_800_000_012 - 3600));
        assert_eq!(at(16, -3600), Some(back));
        assert_eq!(at(612, -3600), Some(back));
        assert_eq!(at(613, -3600), None);
        // Before 1970 and past what fits into seconds there is still no panic.
        assert!(at(614, -3_000_000_000).is_some());
    }

    #[test]
    fn the_middle_of_what_nodes_say_counts_and_one_liar_does_not() {
        let said = |ahead: &[i64]| {
            let witnesses: Vec<_> = ahead.iter().copied().map(sure).collect();
            compare(&witnesses).map(|comparison| comparison.ahead_s)
        };
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[9999, 9999]), None, "too few");
        assert_eq!(said(&[i64::MIN, 0, 1]), Some(0));
        assert_eq!(said(&[i64::MAX, 0, 1]), Some(1));
        assert_eq!(said(&[7200, 7201, 7199, 0]), Some(7199));
        assert_eq!(said(&[0, 0, 7200, 7200]), Some(0), "half of them may lie");
        assert_eq!(said(&[-7200, -7200, -7200, 3]), Some(-7200));
    }

    #[test]
    fn a_place_that_is_some_minutes_old_agrees() {
        let witness = |seq| {
            let key = |seed| Identity::from_seed(&[seed; 32]).key();
            let place = |seed, seq| TreeSnapshot { key: key(seed), parent: key(9), port: 1, seq };
            let known = Topology {
                own: key(1),
                tree: vec![place(1, 0), place(2, seq)],
                peers: vec![],
                paths: vec![],
                sessions: vec![],
            };
            let found = witnesses(&known, 1_000_000);
            assert_eq!(found.len(), 1, "the own word does not count");
            compare(&[found[0]; 3]).unwrap().ahead_s
        };
        assert_eq!((witness(1_000_000), witness(999_760), witness(999_700)), (0, 0, 0));
        assert_eq!(witness(999_700 - 600), 600, "the clock here is ahead");
        assert_eq!(witness(1_000_600), -600, "the clock here is behind");
        assert!(witness(u64::MAX) < -1_000_000_000);
        assert_eq!(witness(0), 1_000_000 - 300);
    }

    #[test]
    fn an_answer_counts_before_a_place_and_is_as_old_as_it_is() {
        let key = |seed: u8| -> NodeKey { Identity::from_seed(&[seed; 32]).key() };
        let known = Topology {
            own: key(1),
            tree: vec![TreeSnapshot { key: key(2), parent: key(2), port: 0, seq: 5 }],
            peers: vec![],
            paths: vec![PathSnapshot {
                key: key(2),
                coords: vec![],
                seq: 999_950,
                age: Duration::from_secs(50),
                broken: false,
                via: None,
            }],
            sessions: vec![],
        };
        assert_eq!(witnesses(&known, 1_000_000), [sure(0)]);
    }
}
