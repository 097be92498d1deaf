//! How many beacons of an interface are looked at: a few from each address, and not too many in
//! all, so that a flood from one machine neither costs much nor drowns the others.

use std::{collections::BTreeMap, net::Ipv6Addr};

use planetary_proto::{limits::Rate, rate::RateLimiter, time::Instant};

/// Beacons of one address. A machine may run a few nodes, each of which sends one a second at most.
const SOURCE_RATE: Rate = Rate { per_s: 4, burst: 16 };

/// Addresses that are told apart. When there are more all begin anew, which costs a flood in
/// borrowed addresses nothing and us little: the rates over all still hold.
const SOURCES_MAX: usize = 1024;

/// Beacons of known keys. A crowd of a thousand sends 70 a second.
const KNOWN_RATE: Rate = Rate { per_s: 100, burst: 200 };

/// Beacons of unknown keys. A crowd that is switched on at once is known after seconds, a flood
/// costs a few hashes.
const UNKNOWN_RATE: Rate = Rate { per_s: 16, burst: 128 };

/// See the module.
pub(super) struct Gate {
    sources: BTreeMap<Ipv6Addr, RateLimiter>,
    known: RateLimiter,
    unknown: RateLimiter,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            sources: BTreeMap::new(),
            known: RateLimiter::new(KNOWN_RATE, Instant::START),
            unknown: RateLimiter::new(UNKNOWN_RATE, Instant::START),
        }
    }

    /// Whether a beacon from an address, of a key that is known or not, is looked at.
    pub(super) fn admits(&mut self, from: Ipv6Addr, is_known: bool, now: Instant) -> bool {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&from) {
            self.sources.clear();
        }
        let source = self.sources.entry(from);
        let source = source.or_insert_with(|| RateLimiter::new(SOURCE_RATE, now));
        let all = if is_known { &mut self.known } else { &mut self.unknown };
        source.allow(now) && all.allow(now)
    }
}

#[cfg(test)]
mod tests {
    use planetary_proto::time::Duration;

    use super::*;

    fn address(number: u32) -> Ipv6Addr {
        Ipv6Addr::from((0xfe80 << 112) + u128::from(number))
    }

    #[test]
    fn a_flood_from_one_address_does_not_drown_another() {
        let mut gate = Gate::new();
        let mut admitted = 0;
        for millis in 0..10_000 {
            let now = Instant::START + Duration::from_millis(millis);
            admitted += u32::from(gate.admits(address(1), millis % 2 == 0, now));
            if millis % 1000 == 999 {
                assert!(gate.admits(address(2), false, now), "{millis}");
            }
        }
        assert!((40..=SOURCE_RATE.burst + 40).contains(&admitted), "{admitted}");
    }

    #[test]
    fn a_flood_from_many_addresses_is_bounded() {
        let mut gate = Gate::new();
        let (mut known, mut unknown) = (0, 0);
        for number in 0..100_000 {
            let now = Instant::START + Duration::from_micros(u64::from(number) * 100);
            unknown += u32::from(gate.admits(address(number), false, now));
            known += u32::from(gate.admits(address(number), true, now));
            assert!(gate.sources.len() <= SOURCES_MAX);
        }
        assert!(unknown <= UNKNOWN_RATE.burst + 10 * UNKNOWN_RATE.per_s + 1, "{unknown}");
        assert!(known <= KNOWN_RATE.burst + 10 * KNOWN_RATE.per_s + 1, "{known}");
    }
}
