//! Packets that wait: for the key behind an address, for a path, or for a session.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    limits::{KEY_TIMEOUT, WAITING_BYTES_MAX, WAITING_DESTINATIONS_MAX, WAITING_PACKETS_MAX},
    time::Instant,
};

/// Packets of one destination, oldest first.
struct Line {
    packets: VecDeque<Vec<u8>>,
    bytes: usize,
    expires: Instant,
}

/// Lines of packets by destination, all bounded.
pub(crate) struct Waiting<K> {
    lines: BTreeMap<K, Line>,
}

impl<K: Ord + Copy> Waiting<K> {
    pub(crate) const fn new() -> Self {
        Self { lines: BTreeMap::new() }
    }

    /// How many destinations are waited for.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Puts a packet at the end of its line. Returns how many packets were pushed out.
    pub(crate) fn push(&mut self, key: K, packet: Vec<u8>, now: Instant) -> u64 {
        let mut dropped = 0;
        if !self.lines.contains_key(&key) && self.lines.len() >= WAITING_DESTINATIONS_MAX {
            let oldest = self.lines.iter().min_by_key(|(_, line)| line.expires);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                dropped += self.take(&key).len() as u64;
            }
        }
        let line = self.lines.entry(key).or_insert_with(|| Line {
            packets: VecDeque::new(),
            bytes: 0,
            expires: now + KEY_TIMEOUT,
        });
        line.expires = now + KEY_TIMEOUT;
        line.bytes += packet.len();
        line.packets.push_back(packet);
        while line.packets.len() > WAITING_PACKETS_MAX || line.bytes > WAITING_BYTES_MAX {
            let Some(oldest) = line.packets.pop_front() else { break };
            line.bytes -= oldest.len();
            dropped += 1;
        }
        dropped
    }

    /// Takes all packets of a line, oldest first.
    pub(crate) fn take(&mut self, key: &K) -> VecDeque<Vec<u8>> {
        self.lines.remove(key).map(|line| line.packets).unwrap_or_default()
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.lines.contains_key(key)
    }

    /// Drops what has waited too long. Returns how many packets.
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        let mut dropped = 0;
        self.lines.retain(|_, line| {
            let alive = now < line.expires;
            if !alive {
                dropped += line.packets.len() as u64;
            }
            alive
        });
        dropped
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.lines.values().map(|line| line.expires).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_packets_and_destinations_make_room() {
        let now = Instant::START;
        let mut waiting = Waiting::new();
        for number in 0..20_u8 {
            waiting.push(1, vec![number], now);
        }
        let line = waiting.take(&1);
        assert_eq!((line.len(), line[0][0]), (WAITING_PACKETS_MAX, 4));
        for _ in 0..3 {
            waiting.push(2, vec![0; WAITING_BYTES_MAX / 2], now);
        }
        assert_eq!(waiting.take(&2).len(), 2);
        for key in 0..=WAITING_DESTINATIONS_MAX {
            let at = Instant::from_micros(key as u64);
            waiting.push(key, vec![0], at);
        }
        assert!(!waiting.contains(&0) && waiting.contains(&WAITING_DESTINATIONS_MAX));
    }
}
