//! Lists through the slots of a slab: joining, leaving and looking at the oldest cost a few writes.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// A slot's place in one list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    pub(super) const UNLINKED: Self = Self { prev: NONE, next: NONE };
}

/// A slot that can be in several lists at once, one of each kind.
pub(super) trait Linked {
    fn links(&mut self, kind: usize) -> &mut Links;
}

/// A list of slots, oldest first. `KIND` says which of their links it goes through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain<const KIND: usize> {
    head: u32,
    tail: u32,
}

impl<const KIND: usize> Chain<KIND> {
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE };

    /// The slot that joined first.
    pub(super) const fn oldest(&self) -> Option<u32> {
        if self.head == NONE { None } else { Some(self.head) }
    }

    /// Whether `slot` joined last.
    pub(super) const fn ends_with(&self, slot: u32) -> bool {
        self.tail == slot
    }

    /// Appends a slot that is in no list of this kind.
    pub(super) fn join<T: Linked>(&mut self, slots: &mut [T], slot: u32) {
        *slots[slot as usize].links(KIND) = Links { prev: self.tail, next: NONE };
        match self.tail {
            NONE => self.head = slot,
            tail => slots[tail as usize].links(KIND).next = slot,
        }
        self.tail = slot;
    }

    /// Takes a slot out that is in this list.
    pub(super) fn leave<T: Linked>(&mut self, slots: &mut [T], slot: u32) {
        let links = slots[slot as usize].links(KIND);
        let Links { prev, next } = core::mem::replace(links, Links::UNLINKED);
        match prev {
            NONE => self.head = next,
            prev => slots[prev as usize].links(KIND).next = next,
        }
        match next {
            NONE => self.tail = prev,
            next => slots[next as usize].links(KIND).prev = prev,
        }
    }
}
