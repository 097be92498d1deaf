//! The packet filter in the data path: its shards, and what it says of keys that want a session.
//!
//! A key always meets the same shard, which its session holds on to, so a packet takes one lock
//! that it shares only with packets of a sixty-fourth of all keys. Flows live here and not in
//! sessions: those come and go within a connection.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use planetary_circles::{
    Budget, Drops, Filter, Notice, Reached, Remote, Rules, Settled, Sizes, Verdict,
};
use planetary_proto::{NodeKey, session::Standing, time::Instant, upper::ipv6::Territory};

const SHARDS: u32 = 64;

/// One part of the filter's state.
pub(crate) type SharedFilter = Arc<Mutex<Filter>>;

/// See the module.
pub(crate) struct Gate {
    rules: ArcSwap<Rules>,
    shards: Box<[SharedFilter]>,
    hasher: RandomState,
}

impl Gate {
    /// The filter of the node that owns `own`.
    pub(crate) fn new(own: Territory, rules: Arc<Rules>) -> Self {
        let budget = Budget::new(SHARDS);
        let shard = || Filter::new(own, Arc::clone(&rules), Arc::clone(&budget));
        Self {
            shards: (0..SHARDS).map(|_| Arc::new(Mutex::new(shard()))).collect(),
            rules: ArcSwap::new(rules),
            hasher: RandomState::new(),
        }
    }

    /// The shard of a key.
    pub(crate) fn shard(&self, key: &NodeKey) -> &SharedFilter {
        &self.shards[self.hasher.hash_one(key) as usize % self.shards.len()]
    }

    /// Replaces the rules. Every packet that comes after is judged by them.
    pub(crate) fn set_rules(&self, rules: Arc<Rules>) {
        self.rules.store(Arc::clone(&rules));
        for shard in &self.shards {
            shard.lock().set_rules(Arc::clone(&rules));
        }
    }

    /// What a key is to this node: by the rules, and by what this machine has opened to it.
    pub(crate) fn standing(&self, key: &NodeKey, now: Instant) -> Standing {
        match self.rules.load().standing(key) {
            Standing::Stranger | Standing::Guest
                if self.shard(key).lock().has_flow_of_ours(key, now) =>
            {
                Standing::Wanted
            }
            standing => standing,
        }
    }

    /// Ends what is over. To be called about once a second.
    pub(crate) fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            shard.lock().sweep(now);
        }
    }

    /// Who came to the door since the last look, shard by shard.
    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        for shard in &self.shards {
            shard.lock().take_notices(&mut notices);
        }
        notices
    }

    /// Answers a question of the filter. Returns whether it was still open.
    pub(crate) fn settle_knock(
        &self,
        key: &NodeKey,
        reached: Reached,
        settled: Settled,
        now: Instant,
    ) -> bool {
        self.shard(key).lock().settle_knock(key, reached, settled, now)
    }

    /// Packets that did not pass, and what is held.
    pub(crate) fn report(&self) -> (Drops, Sizes) {
        let (mut drops, mut sizes) = (Drops::default(), Sizes::default());
        for shard in &self.shards {
            let shard = shard.lock();
            drops.add(shard.drops());
            let Sizes { flows, inbound, keys } = shard.sizes();
            sizes.flows += flows;
            sizes.inbound += inbound;
            sizes.keys += keys;
        }
        (drops, sizes)
    }
}

/// Judges a packet that came out of a session.
pub(super) fn judge_inbound(
    shard: &SharedFilter,
    from: &Remote,
    packet: &[u8],
    now: Instant,
) -> Verdict {
    shard.lock().inbound(from, packet, now)
}

/// Judges a packet of this machine.
pub(super) fn judge_outbound(
    shard: &SharedFilter,
    to: &Remote,
    packet: &[u8],
    now: Instant,
) -> Verdict {
    shard.lock().outbound(to, packet, now)
}
