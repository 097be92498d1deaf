//! What a shard remembers of a key: how many flows there are with it, and what limits it.
//!
//! A key is remembered from its first flow until a while after its last, so that limits hold in
//! between. One that never had a flow is not.

use std::{
    collections::HashMap,
    ops::{Index, IndexMut},
};

use planetary_proto::{NodeKey, rate::RateLimiter, time::Instant};

use super::{
    chain::Chain,
    fragments::Fragments,
    table::{BY_KEY, Full},
    verdict::Direction,
};
use crate::limits::{ECHO_RATE, KEY_IDLE, KEYS_PER_SHARD_MAX};

/// See the module.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) key: NodeKey,
    /// False in a free slot.
    is_remembered: bool,
    /// Flows by [`Origin`](super::flow::Origin).
    pub(super) flows: [u32; 2],
    /// One-way flows by origin, in the order of their last packets.
    pub(super) one_way: [Chain<BY_KEY>; 2],
    /// When it last had a flow or opened one.
    pub(super) idle_since: Instant,
    /// Echo requests that it may still send.
    pub(super) echo: RateLimiter,
    /// By [`Direction`].
    fragments: [Fragments; 2],
}

impl Peer {
    pub(super) const fn fragments(&mut self, direction: Direction) -> &mut Fragments {
        &mut self.fragments[direction as usize]
    }

    fn is_idle(&mut self, now: Instant) -> bool {
        self.flows == [0; 2]
            && now.since(self.idle_since) >= KEY_IDLE
            && self.fragments.iter_mut().all(|fragments| fragments.is_empty(now))
    }
}

/// The keys of a shard, in slots that stay the same while a key is remembered.
#[derive(Debug)]
pub(super) struct Peers {
    slots: HashMap<NodeKey, u32>,
    all: Vec<Peer>,
    free: Vec<u32>,
}

impl Peers {
    pub(super) fn new() -> Self {
        Self { slots: HashMap::new(), all: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slot_of(&self, key: &NodeKey) -> Option<u32> {
        self.slots.get(key).copied()
    }

    /// The slot of a key, which is remembered from now on.
    ///
    /// # Errors
    /// There are too many keys.
    pub(super) fn remember(&mut self, key: &NodeKey, now: Instant) -> Result<u32, Full> {
        if let Some(slot) = self.slot_of(key) {
            self[slot].idle_since = now;
            return Ok(slot);
        }
        if self.len() >= KEYS_PER_SHARD_MAX {
            self.forget_idle(now);
            if self.len() >= KEYS_PER_SHARD_MAX {
                return Err(Full);
            }
        }
        let peer = Peer {
            key: *key,
            is_remembered: true,
            flows: [0; 2],
            one_way: [Chain::EMPTY; 2],
            idle_since: now,
            echo: RateLimiter::new(ECHO_RATE, now),
            fragments: [const { Fragments::new() }; 2],
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self[slot] = peer;
                slot
            }
            None => {
                self.all.push(peer);
                // There are at most KEYS_PER_SHARD_MAX.
                (self.all.len() - 1) as u32
            }
        };
        self.slots.insert(*key, slot);
        Ok(slot)
    }

    /// Forgets keys that have had nothing for a while. Returns whether none is left.
    pub(super) fn forget_idle(&mut self, now: Instant) -> bool {
        for (slot, peer) in (0..).zip(self.all.iter_mut()) {
            if peer.is_remembered && peer.is_idle(now) {
                peer.is_remembered = false;
                self.slots.remove(&peer.key);
                self.free.push(slot);
            }
        }
        let is_empty = self.slots.is_empty();
        if is_empty {
            (self.all, self.free) = (Vec::new(), Vec::new());
        }
        is_empty
    }
}

impl Index<u32> for Peers {
    type Output = Peer;

    fn index(&self, slot: u32) -> &Peer {
        &self.all[slot as usize]
    }
}

impl IndexMut<u32> for Peers {
    fn index_mut(&mut self, slot: u32) -> &mut Peer {
        &mut self.all[slot as usize]
    }
}
