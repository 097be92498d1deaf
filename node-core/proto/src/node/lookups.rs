//! Finding where keys are: lookups, answers to them, and notes that a path is broken (chapter 5).

use super::{LOOKUP_ECHO_GAP, Node};
use crate::{
    forward::{Decision, WATERMARK_START},
    identity::NodeKey,
    limits::{COORDS_MAX, LOOKUPS_MAX, MOVE_TOLD_MAX},
    lookup::{BloomPositions, Verdict},
    outbox::Event,
    session::SessionTable,
    time::Now,
    wire::{Coords, PathBroken, PathLookup, PathNotify},
};

impl<S: SessionTable> Node<S> {
    /// More is reachable than before: lookups without an answer go out again.
    pub(super) fn retry_lookups(&mut self, now: Now) {
        for target in self.paths.open(now.mono) {
            self.send_lookup(target, now);
        }
        if let Some(at) = self.paths.next_timeout() {
            self.wake_by(at);
        }
    }

    /// Searches for a key, full or partial, at most once a second.
    pub fn look_up(&mut self, target: NodeKey, now: Now) {
        if self.paths.want(target, now.mono) {
            self.send_lookup(target, now);
        }
        self.wake_by(now.mono + crate::limits::LOOKUP_GAP);
    }

    pub(super) fn send_lookup(&mut self, target: NodeKey, now: Now) {
        let own = self.tree.own();
        let lookup = PathLookup { source: own, dest: target, from: self.table.coords().clone() };
        if self.multicast(&own, &lookup) > 0 {
            self.paths.sent(&target, now.mono);
        }
        self.wake_by(now.mono + crate::limits::LOOKUP_GAP);
    }

    /// Passes a lookup on (chapter 5.4). Returns to how many neighbours.
    fn multicast(&mut self, from: &NodeKey, lookup: &PathLookup) -> usize {
        let positions = BloomPositions::of(&lookup.dest.transform());
        let mut copies = 0;
        for key in self.filters.towards(&positions, from) {
            let Some(link) = self.table.direct(key) else { continue };
            self.outbox.queued(link, lookup.source, lookup.dest, lookup.emit());
            copies += 1;
        }
        copies
    }

    pub(super) fn handle_lookup(&mut self, from: &NodeKey, lookup: &PathLookup, now: Now) {
        if !self.tree.is_on_tree(from) {
            self.stats.off_tree_lookups += 1;
            return;
        }
        if lookup.from.ports().len() > COORDS_MAX {
            return;
        }
        // With the place where the answer goes: else somebody who asks in another's name, but from
        // elsewhere, would keep the other's own lookups from being heard.
        let question = (lookup.source, lookup.dest, lookup.from.clone());
        let recent = self.recent_lookups.get(&question);
        if recent.is_some_and(|at| now.mono < *at + LOOKUP_ECHO_GAP) {
            self.stats.rate_limited += 1;
            return;
        }
        if self.recent_lookups.len() >= LOOKUPS_MAX {
            self.recent_lookups.clear();
        }
        self.recent_lookups.insert(question, now.mono);
        self.multicast(from, lookup);
        if lookup.dest.transform() == self.tree.own().transform() {
            self.answer_lookup(lookup, now);
        }
    }

    fn answer_lookup(&mut self, lookup: &PathLookup, now: Now) {
        let answer =
            PathNotify { path: lookup.from.clone(), dest: lookup.source, ..self.signed_place(now) };
        self.route_notify(answer, now);
    }

    /// This node has moved: the far ends of its sessions are told at once, and need not find out
    /// by packets that get stuck. They take it like an answer to a lookup.
    pub(super) fn tell_place(&mut self, now: Now) {
        let heard = |key: &NodeKey| self.sessions.last_heard(key);
        let mut far: Vec<_> = self
            .paths
            .iter()
            .filter(|(key, _)| self.contacts.has_session(key) && self.table.direct(key).is_none())
            .map(|(key, path)| (heard(key), *key, path.coords.clone()))
            .collect();
        if far.len() > MOVE_TOLD_MAX {
            far.sort_unstable_by_key(|(heard, ..)| std::cmp::Reverse(*heard));
            far.truncate(MOVE_TOLD_MAX);
        }
        if far.is_empty() {
            return;
        }
        let place = self.signed_place(now);
        for (_, dest, path) in far {
            self.route_notify(PathNotify { path, dest, ..place.clone() }, now);
        }
    }

    /// Where this node is, signed, for nobody yet.
    fn signed_place(&mut self, now: Now) -> PathNotify {
        let coords = self.table.coords().clone();
        let mut seq = self.version(now);
        // One with other coordinates must be newer than the last one.
        if let Some((last, said)) = &self.last_notify {
            seq = seq.max(last.saturating_add((*said != coords).into()));
            self.seq = self.seq.max(seq);
        }
        self.last_notify = Some((seq, coords.clone()));
        PathNotify {
            path: Coords::default(),
            watermark: WATERMARK_START,
            source: self.tree.own(),
            dest: self.tree.own(),
            seq,
            sig: PathNotify::sign(&self.identity, seq, &coords),
            coords,
        }
    }

    pub(super) fn route_notify(&mut self, mut notify: PathNotify, now: Now) {
        match self.table.decide(&notify.dest, notify.path.ports(), notify.watermark) {
            Decision::Forward { link, watermark } => {
                notify.watermark = watermark;
                self.outbox.queued(link, notify.source, notify.dest, notify.emit());
            }
            Decision::Deliver { .. } => self.take_notify(&notify, now),
            Decision::Stuck => self.stats.stuck += 1,
        }
    }

    fn take_notify(&mut self, notify: &PathNotify, now: Now) {
        if notify.source == self.tree.own() {
            return;
        }
        let verdict = self.paths.handle_notify(notify, now.mono);
        if verdict == Verdict::Ignored {
            self.stats.notifies_ignored += 1;
            return;
        }
        let key = notify.source;
        if let Verdict::Changed { displaced } = verdict {
            if let Some(displaced) = displaced {
                self.sessions.set_path(&displaced, None);
            }
            self.sessions.set_path(&key, Some(&notify.coords));
        }
        self.outbox.events.push_back(Event::PathFound(key));
        self.learn(key, now);
    }

    pub(super) fn route_broken(&mut self, mut broken: PathBroken, now: Now) {
        match self.table.decide(&broken.source, broken.path.ports(), broken.watermark) {
            Decision::Forward { link, watermark } => {
                broken.watermark = watermark;
                self.outbox.queued(link, broken.source, broken.dest, broken.emit());
            }
            Decision::Deliver { .. } => {
                if self.paths.handle_broken(&broken.dest, now.mono) {
                    self.send_lookup(broken.dest, now);
                }
            }
            Decision::Stuck => self.stats.stuck += 1,
        }
    }

    /// A packet from `source` at `from` to `dest` found nobody closer, or found `dest` at other
    /// coordinates: the sender is told, if it says where it is.
    pub fn handle_stuck(&mut self, source: NodeKey, from: Option<Coords>, dest: NodeKey, now: Now) {
        self.stats.stuck += 1;
        let Some(from) = from else { return };
        if !self.broken_notes.allow(now.mono) {
            self.stats.rate_limited += 1;
            return;
        }
        let broken = PathBroken { path: from, watermark: WATERMARK_START, source, dest };
        self.route_broken(broken, now);
        self.settle(now);
    }
}
