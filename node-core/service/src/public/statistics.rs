//! What is remembered of peers over restarts: how often they were tried, how often they answered,
//! how fast, and when last. A later choice prefers what has proven itself.
//!
//! `peer-statistics.json` is bounded, and written at most every ten minutes and at the end; what is
//! lost when the service is killed is not worth more.

use std::collections::BTreeMap;
use std::time::Duration;

use planetary_ipc::{PeerRecord, UnixTime};
use serde::{Deserialize, Serialize};

use crate::health::Moment;
use crate::state::record::Record;

/// Most peers that are remembered; the one tried longest ago makes room.
const PEERS_MAX: usize = 512;

/// Latest round trips of which the median is taken.
const RECENT_MAX: usize = 9;

/// Time between two writes.
const WRITE_INTERVAL: Duration = Duration::from_secs(600);

/// Longest name that is remembered, in bytes. A name is a URI without options.
const NAME_LEN_MAX: usize = 300;

/// `peer-statistics.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StatisticsRecord {
    peers: BTreeMap<String, Entry>,
}

impl Record for StatisticsRecord {
    const FILE_NAME: &'static str = "peer-statistics.json";
    const LEN_MAX: u64 = 512 * 1024;
}

/// What is known of one peer. Times are in microseconds and in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    tries: u64,
    answers: u64,
    best_us: Option<u32>,
    recent_us: Vec<u32>,
    last_good: Option<u64>,
    last_tried: u64,
}

/// The statistics, and whether they are on the disk.
#[derive(Debug, Default)]
pub struct Statistics {
    record: StatisticsRecord,
    changed: bool,
    written: Option<std::time::Instant>,
}

impl Statistics {
    /// What the record says, cut to its bounds.
    #[must_use]
    pub fn new(mut record: StatisticsRecord) -> Self {
        record.peers.retain(|name, _| name.len() <= NAME_LEN_MAX);
        for entry in record.peers.values_mut() {
            entry.recent_us.truncate(RECENT_MAX);
            entry.answers = entry.answers.min(entry.tries);
        }
        let mut statistics = Self { record, ..Self::default() };
        while statistics.record.peers.len() > PEERS_MAX {
            statistics.forget_one();
        }
        statistics
    }

    /// Notes tries of a peer, of which so many were answered.
    pub fn note(&mut self, name: &str, tries: u64, answers: u64, now: Moment) {
        if let Some(entry) = self.entry(name) {
            entry.tries = entry.tries.saturating_add(tries);
            entry.answers = entry.answers.saturating_add(answers).min(entry.tries);
            entry.last_tried = now.unix_s;
            if answers > 0 {
                entry.last_good = Some(now.unix_s);
            }
        }
    }

    /// Notes a round trip.
    pub fn note_round_trip(&mut self, name: &str, round_trip: Duration, now: Moment) {
        let micros = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX);
        if let Some(entry) = self.entry(name) {
            entry.best_us = Some(entry.best_us.map_or(micros, |best| best.min(micros)));
            entry.recent_us.push(micros);
            let surplus = entry.recent_us.len().saturating_sub(RECENT_MAX);
            entry.recent_us.drain(..surplus);
            entry.last_good = Some(now.unix_s);
        }
    }

    /// What is known of a peer.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<PeerRecord> {
        let entry = self.record.peers.get(name)?;
        let milliseconds = |micros: u32| f64::from(micros) / 1e3;
        Some(PeerRecord {
            tries: entry.tries,
            answers: entry.answers,
            best_ms: entry.best_us.map(milliseconds),
            median_ms: entry.median_us().map(milliseconds),
            last_good: entry.last_good.map(UnixTime),
        })
    }

    /// What is to be written, if it is time to.
    pub fn due(&mut self, now: Moment) -> Option<StatisticsRecord> {
        let long_ago = |written: std::time::Instant| {
            now.mono.saturating_duration_since(written) >= WRITE_INTERVAL
        };
        self.written.is_none_or(long_ago).then(|| self.take(now))?
    }

    /// What is to be written, if anything changed since the last time.
    pub fn take(&mut self, now: Moment) -> Option<StatisticsRecord> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| {
            self.written = Some(now.mono);
            self.record.clone()
        })
    }

    fn entry(&mut self, name: &str) -> Option<&mut Entry> {
        if name.len() > NAME_LEN_MAX {
            return None;
        }
        self.changed = true;
        if !self.record.peers.contains_key(name) && self.record.peers.len() >= PEERS_MAX {
            self.forget_one();
        }
        Some(self.record.peers.entry(name.to_owned()).or_default())
    }

    fn forget_one(&mut self) {
        let oldest = self.record.peers.iter().min_by_key(|(_, entry)| entry.last_tried);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.record.peers.remove(&name);
        }
    }
}

impl Entry {
    fn median_us(&self) -> Option<u32> {
        let mut sorted = self.recent_us.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_s: u64) -> Moment {
        Moment { unix_s, ..Moment::now() }
    }

    #[test]
    fn record_tells_best_median_and_last() {
        let mut statistics = Statistics::default();
        assert_eq!(statistics.of("tcp://a:1"), None);
        statistics.note("tcp://a:1", 1, 0, at(5));
        assert_eq!(statistics.of("tcp://a:1").unwrap().best_ms, None);
        for (second, ms) in (10..).zip([30, 10, 20]) {
            statistics.note("tcp://a:1", 1, 1, at(second));
            statistics.note_round_trip("tcp://a:1", Duration::from_millis(ms), at(second));
        }
        let known = statistics.of("tcp://a:1").unwrap();
        assert_eq!((known.tries, known.answers, known.last_good), (4, 3, Some(UnixTime(12))));
        assert_eq!((known.best_ms, known.median_ms), (Some(10.0), Some(20.0)));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut statistics = Statistics::default();
        for number in 0..2 * PEERS_MAX as u64 {
            statistics.note(&format!("tcp://a:{number}"), 1, 0, at(number));
        }
        assert_eq!(statistics.record.peers.len(), PEERS_MAX);
        assert_eq!(statistics.of("tcp://a:511"), None);
        assert!(statistics.of("tcp://a:512").is_some());
        statistics.note(&"x".repeat(301), 1, 0, at(1));
        for _ in 0..100 {
            statistics.note_round_trip("tcp://a:600", Duration::MAX, at(1));
        }
        assert_eq!(statistics.record.peers["tcp://a:600"].recent_us.len(), RECENT_MAX);
        let text = serde_json::to_string(&statistics.record).unwrap();
        assert!((text.len() as u64) < StatisticsRecord::LEN_MAX);
    }

    #[test]
    fn it_is_written_rarely_and_only_when_something_changed() {
        let mut statistics = Statistics::default();
        let begin = Moment::now();
        let after = |seconds| Moment {
            mono: begin.mono + Duration::from_secs(seconds),
            unix_s: begin.unix_s + seconds,
        };
        assert!(statistics.due(begin).is_none());
        statistics.note("tcp://a:1", 1, 1, begin);
        assert!(statistics.due(begin).is_some());
        statistics.note("tcp://a:1", 1, 1, after(1));
        assert!(statistics.due(after(599)).is_none());
        assert!(statistics.due(after(600)).is_some());
        assert!(statistics.due(after(1_300)).is_none());
        statistics.note("tcp://a:1", 1, 1, after(1_301));
        assert!(statistics.take(after(1_302)).is_some());
    }
}
