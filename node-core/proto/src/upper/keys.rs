//! Which key is behind an address or subnet (chapter 8.4).

use std::collections::BTreeMap;

use super::ipv6::Target;
use crate::{
    identity::{Address, NodeKey, Subnet},
    limits::{KEY_TIMEOUT, PATHS_MAX},
    time::Instant,
};

/// Keys by the addresses that follow from them.
#[derive(Default)]
pub(crate) struct KeyTable {
    expiries: BTreeMap<NodeKey, Instant>,
    addresses: BTreeMap<Address, NodeKey>,
    subnets: BTreeMap<Subnet, NodeKey>,
}

impl KeyTable {
    pub(crate) fn len(&self) -> usize {
        self.expiries.len()
    }

    /// Enters a key, or keeps it for longer. It takes over address and subnet from any key that has
    /// the same.
    pub(crate) fn learn(&mut self, key: NodeKey, now: Instant) {
        let expires = now + KEY_TIMEOUT;
        if let Some(known) = self.expiries.get_mut(&key) {
            *known = expires;
            return;
        }
        if self.expiries.len() >= PATHS_MAX {
            let oldest = self.expiries.iter().min_by_key(|(_, expires)| **expires);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.forget(&oldest);
            }
        }
        self.expiries.insert(key, expires);
        self.addresses.insert(key.address(), key);
        self.subnets.insert(key.subnet(), key);
    }

    pub(crate) fn find(&self, target: &Target) -> Option<NodeKey> {
        match target {
            Target::Address(address) => self.addresses.get(address).copied(),
            Target::Subnet(subnet) => self.subnets.get(subnet).copied(),
        }
    }

    fn forget(&mut self, key: &NodeKey) {
        self.expiries.remove(key);
        let (address, subnet) = (key.address(), key.subnet());
        if self.addresses.get(&address) == Some(key) {
            self.addresses.remove(&address);
        }
        if self.subnets.get(&subnet) == Some(key) {
            self.subnets.remove(&subnet);
        }
    }

    /// Forgets keys that are neither in use nor `kept`.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        last_heard: impl Fn(&NodeKey) -> Option<Instant>,
        kept: impl Fn(&NodeKey) -> bool,
    ) {
        let mut gone = Vec::new();
        for (key, expires) in &mut self.expiries {
            if *expires <= now {
                let heard = if kept(key) { Some(now) } else { last_heard(key) };
                *expires = heard.map_or(*expires, |at| (at + KEY_TIMEOUT).max(*expires));
                if *expires <= now {
                    gone.push(*key);
                }
            }
        }
        for key in gone {
            self.forget(&key);
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.expiries.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> NodeKey {
        let mut bytes = [0xff; 32];
        bytes[..4].copy_from_slice(&(number as u32).to_be_bytes());
        NodeKey::from_bytes(bytes)
    }

    #[test]
    fn the_oldest_key_makes_room_with_its_address_and_subnet() {
        let mut table = KeyTable::default();
        for number in 1..=PATHS_MAX {
            table.learn(key(number), Instant::START);
        }
        // The lowest key, at the same moment: no younger than the others, and the first in order.
        table.learn(key(0), Instant::START);
        let sizes = [table.expiries.len(), table.addresses.len(), table.subnets.len()];
        assert_eq!(sizes, [PATHS_MAX; 3]);
        assert_eq!(table.find(&Target::Address(key(0).address())), Some(key(0)));
        table.expire(Instant::START + KEY_TIMEOUT, |_| None, |_| false);
        assert!(table.addresses.is_empty() && table.subnets.is_empty());
    }
}
