//! What is to happen when: a priority queue in virtual time.
//!
//! Things due at the same moment happen in the order of who caused them, and each cause numbers
//! what it causes. So the order is a property of the run, not of the order in which entries
//! happened to be put in, and hosts may be worked off by several threads.

use std::{cmp::Ordering, collections::BinaryHeap};

use planetary_proto::Instant;

/// The place of something in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    /// When.
    pub(crate) at: Instant,
    /// Which host caused it; the world itself goes first.
    pub(crate) cause: Option<usize>,
    /// Number among what that one caused.
    pub(crate) number: u64,
}

struct Entry<T> {
    slot: Slot,
    item: T,
}

/// See the module.
pub(crate) struct Schedule<T> {
    heap: BinaryHeap<Entry<T>>,
}

impl<T> Schedule<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    pub(crate) fn push(&mut self, slot: Slot, item: T) {
        self.heap.push(Entry { slot, item });
    }

    /// When the first thing is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.slot.at)
    }

    /// Takes the first thing if it is due before `until`.
    pub(crate) fn pop_before(&mut self, until: Instant) -> Option<(Instant, T)> {
        if self.next_at()? >= until {
            return None;
        }
        self.heap.pop().map(|entry| (entry.slot.at, entry.item))
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed: the heap gives out its largest entry.
    fn cmp(&self, other: &Self) -> Ordering {
        other.slot.cmp(&self.slot)
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.slot == other.slot
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_does_not_depend_on_when_things_were_put_in() {
        let slot = |micros, cause, number| Slot {
            at: Instant::from_micros(micros),
            cause: (cause > 0).then_some(cause),
            number,
        };
        let slots = [slot(1, 2, 0), slot(1, 1, 7), slot(1, 1, 8), slot(0, 9, 1), slot(2, 0, 0)];
        let drain = |order: &[usize]| {
            let mut schedule = Schedule::new();
            for index in order {
                schedule.push(slots[*index], *index);
            }
            let until = Instant::from_micros(2);
            core::iter::from_fn(|| schedule.pop_before(until))
                .map(|(_, item)| item)
                .collect::<Vec<_>>()
        };
        assert_eq!(drain(&[0, 1, 2, 3, 4]), [3, 1, 2, 0]);
        assert_eq!(drain(&[4, 3, 2, 1, 0]), [3, 1, 2, 0]);
    }
}
