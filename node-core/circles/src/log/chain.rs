//! The operations of one author in one circle, each of which names the one before it.
//!
//! Operations come in any order and from anybody; what counts of them is a function of the set.
//! The *sound* part of a chain are the operations from its base on, up to the first number at which
//! there is none, or two, or one that names another than the one before it. The latter two are a
//! *fork*, signed proof that two nodes share the author's key or that it lies: from there on its
//! chain is void for everybody. What proves it is kept, so that others learn of it.

use std::collections::BTreeMap;

use super::operation::{OpId, Operation};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// What the first operation stands on: number 0 and the circle's first operation, or what a
    /// checkpoint says.
    base: (u32, OpId),
    /// By number: one operation, or two that prove a fork.
    places: BTreeMap<u32, Place>,
    /// Number of the last operation of the sound part; the base's without one.
    sound: u32,
}

#[derive(Clone, Debug)]
enum Place {
    One(Operation),
    Fork(Box<[Operation; 2]>),
}

impl Place {
    fn operations(&self) -> &[Operation] {
        match self {
            Self::One(one) => core::slice::from_ref(one),
            Self::Fork(two) => &two[..],
        }
    }
}

impl Chain {
    /// A chain without operations, on what its first one is to name.
    pub(super) const fn new(base: (u32, OpId)) -> Self {
        Self { base, places: BTreeMap::new(), sound: base.0 }
    }

    /// Whether an operation of the author is here, or can change nothing: what lies before the base
    /// or behind a fork, and a third one under one number.
    pub(super) fn knows(&self, operation: &Operation) -> bool {
        let seq = operation.seq();
        seq <= self.base.0
            || self.fork().is_some_and(|(fork, _)| seq >= fork)
            || self.places.get(&seq).is_some_and(|place| place.operations().contains(operation))
    }

    /// Takes an operation of the author that it does not know, and says how many bytes of
    /// operations went because of it.
    pub(super) fn insert(&mut self, operation: Operation) -> usize {
        let seq = operation.seq();
        let place = match self.places.remove(&seq) {
            None => Place::One(operation),
            Some(Place::One(one)) => {
                let mut two = [one, operation];
                two.sort_by_key(Operation::id);
                Place::Fork(Box::new(two))
            }
            Some(fork @ Place::Fork(_)) => fork,
        };
        self.places.insert(seq, place);
        self.settle()
    }

    /// Finds the sound part anew, and drops what lies behind a fork: so many bytes.
    fn settle(&mut self) -> usize {
        self.sound = self.base.0;
        let mut prev = self.base.1;
        while let Some(Place::One(next)) = self.places.get(&(self.sound.saturating_add(1))) {
            if next.prev() != prev {
                break;
            }
            prev = next.id();
            self.sound += 1;
        }
        let Some((fork, _)) = self.fork() else { return 0 };
        let void = self.places.split_off(&fork.saturating_add(1));
        void.values().flat_map(Place::operations).map(|one| one.bytes().len()).sum()
    }

    /// The lowest number with two operations, and both of them.
    fn fork(&self) -> Option<(u32, &[Operation; 2])> {
        self.places.iter().find_map(|(seq, place)| match place {
            Place::Fork(two) => Some((*seq, &**two)),
            Place::One(_) => None,
        })
    }

    /// The operations of the sound part, by number.
    pub(super) fn sound(&self) -> impl Iterator<Item = &Operation> {
        self.places.range(..=self.sound).flat_map(|(_, place)| place.operations())
    }

    /// All operations, by number.
    pub(super) fn all(&self) -> impl Iterator<Item = &Operation> {
        self.places.values().flat_map(Place::operations)
    }

    /// Number and name of the last operation of the sound part; those of the base without one.
    pub(super) fn head(&self) -> (u32, OpId) {
        (self.sound, self.id_at(self.sound).unwrap_or(self.base.1))
    }

    /// What names the operation of the sound part with this number, or the base.
    pub(super) fn id_at(&self, seq: u32) -> Option<OpId> {
        if seq == self.base.0 {
            return Some(self.base.1);
        }
        match self.places.get(&seq) {
            Some(Place::One(one)) if seq <= self.sound => Some(one.id()),
            _ => None,
        }
    }

    /// Number of what the first operation stands on.
    pub(super) const fn base(&self) -> u32 {
        self.base.0
    }

    /// Whether the author has forked right behind the sound part: there are two operations, or one
    /// that names another than the one before it, so that there is a second of those.
    pub(super) fn is_forked(&self) -> bool {
        self.places.contains_key(&self.sound.saturating_add(1))
    }

    /// The highest number of an operation; the base's without one.
    pub(super) fn highest(&self) -> u32 {
        self.places.last_key_value().map_or(self.base.0, |(seq, _)| *seq)
    }
}
