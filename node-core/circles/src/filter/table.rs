//! The flows of one shard, found by what a packet shows, ended in time, bounded.
//!
//! Flows live in a slab. A chained hash table over it finds them; the hash is keyed by the system's
//! randomness, so nobody can aim at one bucket, and as nothing ever walks through the buckets, it
//! shows in no verdict. Two more lists go through every slot:
//!
//! - one a class (one-way classes: one a class and origin), in the order of the last packet. All
//!   flows of a class have the same timeout, so those that are over stand at its head.
//! - one a key and origin for one-way flows, likewise, which tells whose turn it is to make room
//!   when a key has as many flows as it may.
//!
//! So finding, refreshing, ending and making room cost a few writes, whatever the number of flows.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use planetary_proto::{NodeKey, identity::KEY_LEN, time::Instant};

use super::{
    budget::{Budget, Share},
    chain::{Chain, Linked, Links, NONE},
    flow::{Class, Origin, Progress, TUPLE_LEN, Tuple},
    peers::{Peer, Peers},
};

/// Kinds of [`Links`] that a flow has.
const BY_AGE: usize = 0;
pub(super) const BY_KEY: usize = 1;

/// Buckets of an empty table.
const BUCKETS_MIN: usize = 64;
/// A table that is empty again gives back what is above this.
const SLOTS_KEPT: usize = 1_024;

/// The table, or a key, is full.
#[derive(Debug)]
pub(super) struct Full;

/// A flow.
#[derive(Debug)]
struct Flow {
    tuple: Tuple,
    peer: u32,
    generation: u32,
    last: Instant,
    origin: Origin,
    /// Let in by a yes for once, and by no rule.
    is_once: bool,
    progress: Progress,
    hash: u32,
    /// Next slot of the bucket, or of the free slots.
    next: u32,
    links: [Links; 2],
}

impl Linked for Flow {
    fn links(&mut self, kind: usize) -> &mut Links {
        &mut self.links[kind]
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    hasher: RandomState,
    buckets: Vec<u32>,
    flows: Vec<Flow>,
    free: u32,
    by_class: [[Chain<BY_AGE>; 2]; Class::COUNT],
    peers: Peers,
    share: Share,
}

impl Table {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            hasher: RandomState::new(),
            buckets: vec![NONE; BUCKETS_MIN],
            flows: Vec::new(),
            free: NONE,
            by_class: [[Chain::EMPTY; 2]; Class::COUNT],
            peers: Peers::new(),
            share: Share::of(budget),
        }
    }

    /// Flows in all, flows that others opened, and keys that are remembered.
    pub(super) fn counts(&self) -> (u32, u32, usize) {
        let (all, inbound) = self.share.held();
        (all, inbound, self.peers.len())
    }

    /// Finds a flow that is not over.
    pub(super) fn find(&mut self, key: &NodeKey, tuple: &Tuple, now: Instant) -> Option<u32> {
        let hash = self.hash_of(key, tuple);
        let mut at = self.buckets[self.bucket(hash)];
        while at != NONE {
            let flow = &self.flows[at as usize];
            if flow.hash == hash && flow.tuple == *tuple && self.peers[flow.peer].key == *key {
                if is_over(flow, now) {
                    self.remove(at);
                    return None;
                }
                return Some(at);
            }
            at = flow.next;
        }
        None
    }

    pub(super) fn origin(&self, flow: u32) -> Origin {
        self.flows[flow as usize].origin
    }

    pub(super) fn class(&self, flow: u32) -> Class {
        self.flows[flow as usize].progress.class
    }

    pub(super) fn generation(&self, flow: u32) -> u32 {
        self.flows[flow as usize].generation
    }

    pub(super) fn set_generation(&mut self, flow: u32, generation: u32) {
        self.flows[flow as usize].generation = generation;
    }

    /// Whether a flow was let in by a yes for once.
    pub(super) fn is_once(&self, flow: u32) -> bool {
        self.flows[flow as usize].is_once
    }

    pub(super) fn set_once(&mut self, flow: u32) {
        self.flows[flow as usize].is_once = true;
    }

    /// The key that a flow is with.
    pub(super) fn peer_of(&mut self, flow: u32) -> &mut Peer {
        &mut self.peers[self.flows[flow as usize].peer]
    }

    /// What is remembered of a key.
    pub(super) fn peer(&mut self, key: &NodeKey) -> Option<&mut Peer> {
        let slot = self.peers.slot_of(key)?;
        Some(&mut self.peers[slot])
    }

    /// Flows with a key that `origin` opened, as of the last [`Self::expire`].
    pub(super) fn flows_with(&self, key: &NodeKey, origin: Origin) -> u32 {
        let slot = self.peers.slot_of(key);
        slot.map_or(0, |slot| self.peers[slot].flows[origin as usize])
    }

    /// What is remembered of a key, from now on.
    pub(super) fn remember(&mut self, key: &NodeKey, now: Instant) -> Result<&mut Peer, Full> {
        let slot = self.peers.remember(key, now)?;
        Ok(&mut self.peers[slot])
    }

    /// A packet of a flow with these TCP flags.
    pub(super) fn advance(&mut self, at: u32, speaker: Origin, tcp: u8, now: Instant) {
        let Flow { origin, progress, peer, .. } = self.flows[at as usize];
        let after = progress.after(origin == speaker, tcp);
        // One that was closed before is not kept by what still comes.
        if after.class == Class::TcpClosed && progress.class == Class::TcpClosed {
            return;
        }
        let flow = &mut self.flows[at as usize];
        (flow.progress, flow.last) = (after, now);
        if after.class == progress.class {
            let chain = &mut self.by_class[after.class as usize][origin as usize];
            // While one flow is busy it stays where it is.
            if !chain.ends_with(at) {
                chain.leave(&mut self.flows, at);
                chain.join(&mut self.flows, at);
            }
        } else {
            self.by_class[progress.class as usize][origin as usize].leave(&mut self.flows, at);
            self.by_class[after.class as usize][origin as usize].join(&mut self.flows, at);
        }
        if progress.class.is_one_way() {
            let chain = &mut self.peers[peer].one_way[origin as usize];
            if !after.class.is_one_way() {
                chain.leave(&mut self.flows, at);
            } else if !chain.ends_with(at) {
                chain.leave(&mut self.flows, at);
                chain.join(&mut self.flows, at);
            }
        }
    }

    /// A new flow, which is not in the table. Makes room where it may.
    pub(super) fn open(
        &mut self,
        key: &NodeKey,
        tuple: Tuple,
        origin: Origin,
        generation: u32,
        now: Instant,
    ) -> Result<u32, Full> {
        self.expire(now);
        let peer = self.peers.remember(key, now)?;
        self.make_room(peer, origin)?;
        let progress = Progress::first(tuple.kind);
        let hash = self.hash_of(key, &tuple);
        let flow = Flow {
            tuple,
            peer,
            generation,
            last: now,
            origin,
            is_once: false,
            progress,
            hash,
            next: NONE,
            links: [Links::UNLINKED; 2],
        };
        let at = self.store(flow);
        self.by_class[progress.class as usize][origin as usize].join(&mut self.flows, at);
        let peer = &mut self.peers[peer];
        peer.flows[origin as usize] += 1;
        peer.one_way[origin as usize].join(&mut self.flows, at);
        Ok(at)
    }

    /// Ends a flow.
    pub(super) fn remove(&mut self, at: u32) {
        let Flow { peer, origin, progress, hash, next, last, .. } = self.flows[at as usize];
        let bucket = self.bucket(hash);
        if self.buckets[bucket] == at {
            self.buckets[bucket] = next;
        } else {
            let mut before = self.buckets[bucket];
            while self.flows[before as usize].next != at {
                before = self.flows[before as usize].next;
            }
            self.flows[before as usize].next = next;
        }
        self.by_class[progress.class as usize][origin as usize].leave(&mut self.flows, at);
        let peer = &mut self.peers[peer];
        if progress.class.is_one_way() {
            peer.one_way[origin as usize].leave(&mut self.flows, at);
        }
        peer.flows[origin as usize] -= 1;
        peer.idle_since = peer.idle_since.max(last);
        self.flows[at as usize].next = self.free;
        self.free = at;
        self.share.give(origin);
    }

    /// Ends all flows that are over. Each is looked at once in its life, so this costs nothing to
    /// speak of when it is called often.
    pub(super) fn expire(&mut self, now: Instant) {
        for class in 0..Class::COUNT {
            for origin in 0..2 {
                while let Some(at) = self.by_class[class][origin].oldest()
                    && is_over(&self.flows[at as usize], now)
                {
                    self.remove(at);
                }
            }
        }
    }

    /// Forgets keys that have had nothing for a while, and gives memory back when all is quiet.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        let is_quiet = self.peers.forget_idle(now);
        if is_quiet && self.flows.capacity() > SLOTS_KEPT {
            self.flows = Vec::new();
            self.free = NONE;
            self.buckets = vec![NONE; BUCKETS_MIN];
        }
    }

    /// Takes one flow from the budget for `peer`, if need be that of an older one.
    fn make_room(&mut self, peer: u32, origin: Origin) -> Result<(), Full> {
        let bounds = self.share.bounds();
        let Peer { flows, one_way, .. } = &self.peers[peer];
        let is_key_full = flows[0] + flows[1] >= bounds.per_key
            || origin == Origin::Theirs && flows[Origin::Theirs as usize] >= bounds.per_key_inbound;
        if is_key_full {
            let victim = self.oldest(one_way.map(|chain| chain.oldest()), origin).ok_or(Full)?;
            self.remove(victim);
        }
        if self.share.take(origin) {
            return Ok(());
        }
        let heads = Class::ONE_WAY.map(|class| self.by_class[class as usize]);
        let victims = heads.map(|heads| self.oldest(heads.map(|chain| chain.oldest()), origin));
        let age = |at: &u32| self.flows[*at as usize].last;
        let victim = victims.into_iter().flatten().min_by_key(age).ok_or(Full)?;
        self.remove(victim);
        if self.share.take(origin) { Ok(()) } else { Err(Full) }
    }

    /// The older of two flows, one of each origin, that may make room for a flow of `origin`:
    /// what others open never ends what this machine opened.
    fn oldest(&self, heads: [Option<u32>; 2], origin: Origin) -> Option<u32> {
        let [ours, theirs] = heads;
        let ours = ours.filter(|_| origin == Origin::Ours);
        ours.into_iter().chain(theirs).min_by_key(|at| self.flows[*at as usize].last)
    }

    /// Puts a flow into a slot and a bucket.
    fn store(&mut self, mut flow: Flow) -> u32 {
        if self.flows.len() == self.buckets.len() {
            self.grow();
        }
        let bucket = self.bucket(flow.hash);
        flow.next = self.buckets[bucket];
        let at = match self.free {
            NONE => {
                self.flows.push(flow);
                // The budget keeps this far below a u32.
                (self.flows.len() - 1) as u32
            }
            at => {
                self.free = self.flows[at as usize].next;
                self.flows[at as usize] = flow;
                at
            }
        };
        self.buckets[bucket] = at;
        at
    }

    /// Doubles the buckets. Called when no slot is free or, harmlessly, before the last one is.
    fn grow(&mut self) {
        let mut buckets = vec![NONE; self.buckets.len() * 2];
        let mask = buckets.len() - 1;
        for head in std::mem::take(&mut self.buckets) {
            let mut at = head;
            while at != NONE {
                let flow = &mut self.flows[at as usize];
                let next = std::mem::replace(&mut flow.next, buckets[flow.hash as usize & mask]);
                buckets[flow.hash as usize & mask] = at;
                at = next;
            }
        }
        self.buckets = buckets;
    }

    fn bucket(&self, hash: u32) -> usize {
        // The number of buckets is a power of two.
        hash as usize & (self.buckets.len() - 1)
    }

    fn hash_of(&self, key: &NodeKey, tuple: &Tuple) -> u32 {
        let mut bytes = [0; KEY_LEN + TUPLE_LEN];
        bytes[..KEY_LEN].copy_from_slice(key.as_bytes());
        bytes[KEY_LEN..].copy_from_slice(&tuple.to_bytes());
        let mut hasher = self.hasher.build_hasher();
        hasher.write(&bytes);
        hasher.finish() as u32
    }
}

fn is_over(flow: &Flow, now: Instant) -> bool {
    now.since(flow.last) > flow.progress.class.timeout()
}
