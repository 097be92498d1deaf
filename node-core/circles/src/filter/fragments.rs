//! Fragments: the first one is judged as the packet that it shows, the others follow it.
//!
//! Fragments of a packet are let through in order only, each beginning where those before it have
//! ended or later. So no byte comes twice, nothing that the first one showed is written over, and
//! one number per packet is all there is to remember. Sessions keep the order of what is sent in
//! them, and systems send fragments in order; one that comes out of order is lost, which is what
//! fragments are prone to anyway.
//!
//! Source: RFC 5722 (overlaps give the whole packet up).

use planetary_proto::time::Instant;

use super::{headers::Fragment, verdict::Reason};
use crate::limits::{FRAGMENT_TIMEOUT, FRAGMENTED_PER_KEY_MAX};

/// Packets in fragments from or to one key, one way.
#[derive(Debug, Default)]
pub(crate) struct Fragments(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    source: [u8; 16],
    dest: [u8; 16],
    id: u32,
    /// When the first fragment came.
    since: Instant,
    /// First byte that has not been let through.
    next: u32,
    /// Of the rules that let the first one in.
    generation: u32,
}

impl Fragments {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Looks whether a first fragment may be one: whether nothing of its packet came before.
    ///
    /// # Errors
    /// [`Reason::FragmentOverlap`]; the packet is given up.
    pub(crate) fn check_first(
        &mut self,
        ends: ([u8; 16], [u8; 16]),
        fragment: &Fragment,
        now: Instant,
    ) -> Result<(), Reason> {
        match self.position(ends, fragment, now) {
            Some(at) => {
                self.0.remove(at);
                Err(Reason::FragmentOverlap)
            }
            None => Ok(()),
        }
    }

    /// Remembers that a first fragment was let through.
    pub(crate) fn note_first(
        &mut self,
        (source, dest): ([u8; 16], [u8; 16]),
        fragment: &Fragment,
        generation: u32,
        now: Instant,
    ) {
        self.forget_old(now);
        if self.0.len() == FRAGMENTED_PER_KEY_MAX {
            // Entries are in the order of their first fragments.
            self.0.remove(0);
        }
        let Fragment { id, end, .. } = *fragment;
        self.0.push(Entry { source, dest, id, since: now, next: end, generation });
    }

    /// Judges a later fragment.
    ///
    /// # Errors
    /// [`Reason::FragmentOrphan`] or [`Reason::FragmentOverlap`].
    pub(crate) fn check_later(
        &mut self,
        ends: ([u8; 16], [u8; 16]),
        fragment: &Fragment,
        generation: u32,
        now: Instant,
    ) -> Result<(), Reason> {
        let at = self.position(ends, fragment, now).ok_or(Reason::FragmentOrphan)?;
        let entry = &mut self.0[at];
        let verdict = if entry.generation != generation {
            // Other rules may judge the first one otherwise, and it is gone.
            Err(Reason::FragmentOrphan)
        } else if fragment.offset < entry.next {
            Err(Reason::FragmentOverlap)
        } else {
            entry.next = fragment.end;
            Ok(())
        };
        if verdict.is_err() || !fragment.more {
            self.0.remove(at);
        }
        verdict
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&mut self, now: Instant) -> bool {
        self.forget_old(now);
        self.0.is_empty()
    }

    fn position(
        &mut self,
        (source, dest): ([u8; 16], [u8; 16]),
        fragment: &Fragment,
        now: Instant,
    ) -> Option<usize> {
        self.forget_old(now);
        self.0.iter().position(|e| e.id == fragment.id && e.source == source && e.dest == dest)
    }

    fn forget_old(&mut self, now: Instant) {
        self.0.retain(|entry| now.since(entry.since) <= FRAGMENT_TIMEOUT);
    }
}
