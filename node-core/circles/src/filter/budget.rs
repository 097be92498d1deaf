//! How shards keep bounds that hold for all of them.
//!
//! Flows live in shards, each behind a lock of its own, and [`FLOWS_MAX`] holds for all together.
//! Every shard may have a small number of flows of its own right; each flow beyond it is drawn from
//! a pool that all share, two atomic numbers, and goes back there when it ends. So no packet waits
//! for another shard's lock, the sum cannot exceed the bound, and whoever fills the pool through
//! one shard leaves every other one its share.
//!
//! What a shard cannot do is end a flow of another one: with the pool empty it makes room among its
//! own. Flows that are over go back when their shard is next looked at, which
//! [`Filter::sweep`](super::Filter::sweep) sees to.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use super::flow::Origin;
use crate::limits::{
    FLOWS_INBOUND_MAX, FLOWS_MAX, FLOWS_PER_KEY_INBOUND_MAX, FLOWS_PER_KEY_MAX,
    FLOWS_PER_SHARD_KEPT,
};

/// Numbers of flows. Tests have smaller ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) all: u32,
    pub(crate) inbound: u32,
    pub(crate) per_key: u32,
    pub(crate) per_key_inbound: u32,
    /// Of a shard's own right, and half as many that others opened.
    pub(crate) kept: u32,
}

/// What all shards share.
#[derive(Debug)]
pub struct Budget {
    bounds: Bounds,
    all: AtomicU32,
    inbound: AtomicU32,
}

impl Budget {
    /// A budget for so many shards; one shard may not be given to two budgets, nor more shards to
    /// one than it was made for.
    #[must_use]
    pub fn new(shards: u32) -> Arc<Self> {
        Self::with_bounds(
            shards,
            Bounds {
                all: FLOWS_MAX,
                inbound: FLOWS_INBOUND_MAX,
                per_key: FLOWS_PER_KEY_MAX,
                per_key_inbound: FLOWS_PER_KEY_INBOUND_MAX,
                kept: FLOWS_PER_SHARD_KEPT,
            },
        )
    }

    /// A budget with these numbers: flows in all and inbound, with one key and inbound, for tests
    /// that fill tables.
    #[doc(hidden)]
    #[must_use]
    pub fn with_numbers(shards: u32, numbers: [u32; 5]) -> Arc<Self> {
        let [all, inbound, per_key, per_key_inbound, kept] = numbers;
        Self::with_bounds(shards, Bounds { all, inbound, per_key, per_key_inbound, kept })
    }

    fn with_bounds(shards: u32, mut bounds: Bounds) -> Arc<Self> {
        // At least half of everything is shared, however many shards there are.
        bounds.kept = bounds.kept.min(bounds.inbound / shards.max(1)) & !1;
        let kept = bounds.kept * shards;
        Arc::new(Self {
            all: AtomicU32::new(bounds.all - kept),
            inbound: AtomicU32::new(bounds.inbound - kept / 2),
            bounds,
        })
    }
}

/// What one shard holds of a budget.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    all: u32,
    inbound: u32,
}

impl Share {
    pub(crate) const fn of(budget: Arc<Budget>) -> Self {
        Self { budget, all: 0, inbound: 0 }
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.budget.bounds
    }

    /// Flows held, and those of them that others opened.
    pub(crate) const fn held(&self) -> (u32, u32) {
        (self.all, self.inbound)
    }

    /// Takes one flow, if there is one.
    pub(crate) fn take(&mut self, origin: Origin) -> bool {
        let Budget { bounds, all, inbound } = &*self.budget;
        if origin == Origin::Theirs && !draw(&mut self.inbound, bounds.kept / 2, inbound) {
            return false;
        }
        let taken = draw(&mut self.all, bounds.kept, all);
        if !taken && origin == Origin::Theirs {
            put_back(&mut self.inbound, bounds.kept / 2, inbound);
        }
        taken
    }

    /// Gives one flow back that was taken.
    pub(crate) fn give(&mut self, origin: Origin) {
        let Budget { bounds, all, inbound } = &*self.budget;
        put_back(&mut self.all, bounds.kept, all);
        if origin == Origin::Theirs {
            put_back(&mut self.inbound, bounds.kept / 2, inbound);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Budget { bounds, all, inbound } = &*self.budget;
        all.fetch_add(self.all.saturating_sub(bounds.kept), Relaxed);
        inbound.fetch_add(self.inbound.saturating_sub(bounds.kept / 2), Relaxed);
    }
}

fn draw(held: &mut u32, kept: u32, pool: &AtomicU32) -> bool {
    let drawn =
        *held < kept || pool.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
    *held += u32::from(drawn);
    drawn
}

fn put_back(held: &mut u32, kept: u32, pool: &AtomicU32) {
    *held -= 1;
    if *held >= kept {
        pool.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_together_keep_the_bound_and_each_keeps_its_own() {
        let budget = Budget::with_numbers(4, [40, 20, 9, 5, 4]);
        let mut shares: Vec<_> = (0..4).map(|_| Share::of(Arc::clone(&budget))).collect();
        let fill = |share: &mut Share, origin| (0..100).filter(|_| share.take(origin)).count();
        // The pool has 20 - 4 * 2 for flows of others, and each shard 2 of its own.
        assert_eq!(fill(&mut shares[0], Origin::Theirs), 14);
        assert_eq!(fill(&mut shares[1], Origin::Theirs), 2);
        // 40 - 4 * 4 are in the pool, of which the first shard has drawn 10.
        assert_eq!(fill(&mut shares[1], Origin::Ours), 16);
        assert_eq!(fill(&mut shares[2], Origin::Ours), 4);
        assert_eq!(fill(&mut shares[3], Origin::Theirs), 2);
        assert_eq!(fill(&mut shares[3], Origin::Ours), 2);
        let held = |shares: &[Share]| shares.iter().map(|share| share.held().0).sum::<u32>();
        assert_eq!(held(&shares), 40);
        // What one gives back another may take, and what one was dropped with.
        shares[0].give(Origin::Theirs);
        assert_eq!(fill(&mut shares[2], Origin::Theirs), 1);
        shares.remove(0);
        assert_eq!(fill(&mut shares[0], Origin::Theirs), 9);
        for share in &mut shares {
            while share.held().1 > 0 {
                share.give(Origin::Theirs);
            }
            while share.held().0 > 0 {
                share.give(Origin::Ours);
            }
        }
        assert_eq!((budget.all.load(Relaxed), budget.inbound.load(Relaxed)), (24, 12));
    }
}
