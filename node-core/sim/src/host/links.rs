//! The edges of a host: frames in, frames out, and whether the other end is alive.

use std::hash::Hash;

use planetary_proto::{
    Class, Instant, LinkId, Misbehaviour, NodeKey, Transmit,
    link::Health,
    time::Duration,
    wire::{FrameKind, KEEP_ALIVE, cut_frame},
};

use super::{Host, News, Parcel, Task};
use crate::{check::Fault, link::Cargo};

impl Host {
    // ---- in ----

    /// Something came out of a line that is whole.
    pub(super) fn arrive(&mut self, link: LinkId, cargo: Cargo, at: Instant) {
        let Some(end) = self.ends.get_mut(&link) else {
            // It was under way when this end was closed.
            return;
        };
        match cargo {
            Cargo::Close => {
                ("closed", at, link).hash(&mut self.trace);
                self.ends.remove(&link);
                self.closed.push((at, link));
                self.change(at, |node, now| node.handle_link_down(link, now));
            }
            Cargo::Bytes(bytes) => {
                (at, link, &bytes).hash(&mut self.trace);
                let mut stream = core::mem::take(&mut end.stream);
                if stream.is_empty() {
                    stream = bytes;
                } else {
                    stream.extend_from_slice(&bytes);
                }
                self.cut(link, stream, at);
            }
        }
    }

    /// Takes whole frames off the front of a stream and keeps the rest.
    fn cut(&mut self, link: LinkId, mut stream: Vec<u8>, at: Instant) {
        while self.ends.contains_key(&link) && !stream.is_empty() {
            match cut_frame(&stream) {
                Ok(Some((kind_at, frame_end))) => {
                    let rest = stream.split_off(frame_end);
                    self.take_frame(link, stream, kind_at, at);
                    stream = rest;
                }
                Ok(None) => {
                    if let Some(end) = self.ends.get_mut(&link) {
                        end.stream = stream;
                    }
                    return;
                }
                Err(error) => return self.refuse(link, error.into(), at),
            }
        }
    }

    fn take_frame(&mut self, link: LinkId, frame: Vec<u8>, kind_at: usize, at: Instant) {
        let Some(kind) = FrameKind::from_byte(frame[kind_at]) else {
            return self.refuse(link, Misbehaviour::UnknownFrame(frame[kind_at]), at);
        };
        let mono = self.clock.now(at).mono;
        let Some(end) = self.ends.get_mut(&link) else { return };
        end.liveness.received(kind, mono);
        if core::mem::take(&mut end.suspect) {
            self.change(at, |node, now| node.handle_link_suspect(link, false, now));
        }
        if kind == FrameKind::Traffic {
            self.take_traffic(link, frame, kind_at + 1, at);
        } else {
            let body = &frame[kind_at + 1..];
            self.change(at, |node, now| node.handle_link_input(link, kind, body, now));
        }
        self.arm(link, None, at);
    }

    /// The other end broke a rule that the data half watches over.
    pub(super) fn refuse(&mut self, link: LinkId, misbehaviour: Misbehaviour, at: Instant) {
        self.dismiss(link, misbehaviour, at);
        self.change(at, |node, now| node.handle_link_down(link, now));
    }

    /// Closes a link that the node has forgotten, or is about to.
    pub(super) fn dismiss(&mut self, link: LinkId, misbehaviour: Misbehaviour, at: Instant) {
        if let Some(peer) = self.close(link, at) {
            self.news.push((at, News::Closed(peer, misbehaviour)));
        }
    }

    /// Closes this end of a link; the other one hears of it when it hears of anything. Returns
    /// whose link it was.
    pub(super) fn close(&mut self, link: LinkId, at: Instant) -> Option<NodeKey> {
        let mut end = self.ends.remove(&link)?;
        let slot = self.slot(end.carry(0, at));
        let task = Task::Arrive { link, cargo: Cargo::Close };
        self.parcels.push(Parcel { to: end.peer, slot, task });
        self.closed.push((at, link));
        Some(end.key)
    }

    // ---- out ----

    pub(super) fn transmit(&mut self, transmit: Transmit, at: Instant) {
        let Transmit { link, class, frame } = transmit;
        match class {
            Class::Direct => self.put(link, frame, at),
            Class::Queued { source, dest } => self.queue(link, source, dest, frame, at),
        }
    }

    /// Sends a frame that has to wait while the line is busy.
    pub(super) fn queue(
        &mut self,
        link: LinkId,
        source: NodeKey,
        dest: NodeKey,
        frame: Vec<u8>,
        at: Instant,
    ) {
        let Some(end) = self.ends.get_mut(&link) else {
            return self.blame(at, Fault::ClosedLink);
        };
        let free_at = end.busy(at);
        if free_at.is_none() && end.queue.is_empty() {
            return self.put(link, frame, at);
        }
        self.tally.dropped += end.queue.push(source, dest, frame.len(), frame).len() as u64;
        if !core::mem::replace(&mut end.writing, true) {
            self.schedule(free_at.unwrap_or(at), Task::Written(link));
        }
    }

    pub(super) fn write_queued(&mut self, link: LinkId, at: Instant) {
        let Some(end) = self.ends.get_mut(&link) else { return };
        end.writing = false;
        if end.busy(at).is_none()
            && let Some(frame) = end.queue.pop()
        {
            self.put(link, frame, at);
        }
        let Some(end) = self.ends.get_mut(&link) else { return };
        if !end.queue.is_empty() {
            end.writing = true;
            let free_at = end.busy(at).unwrap_or(at);
            self.schedule(free_at, Task::Written(link));
        }
    }

    /// Hands a frame to the line.
    pub(super) fn put(&mut self, link: LinkId, frame: Vec<u8>, at: Instant) {
        let Some(mischief) = &mut self.mischief else {
            return self.hand_over(link, frame, at);
        };
        for frame in mischief.distort(frame) {
            self.hand_over(link, frame, at);
        }
    }

    /// Hands bytes to the line as they are: a frame, unless a rogue sends them.
    pub(crate) fn hand_over(&mut self, link: LinkId, bytes: Vec<u8>, at: Instant) {
        let mono = self.clock.now(at).mono;
        let Some(end) = self.ends.get_mut(&link) else {
            return self.blame(at, Fault::ClosedLink);
        };
        let kind = match cut_frame(&bytes) {
            Ok(Some((kind, frame_end))) if frame_end == bytes.len() => {
                FrameKind::from_byte(bytes[kind])
            }
            _ => None,
        };
        let slot_at = end.carry(bytes.len(), at);
        let to = end.peer;
        if let Some(kind) = kind {
            end.liveness.sent(kind, mono);
            self.tally.sent(kind, bytes.len());
        } else {
            self.blame(at, Fault::BrokenFrame);
        }
        if crate::check::shows_plaintext(&bytes) {
            self.blame(at, Fault::Plaintext);
        }
        let slot = self.slot(slot_at);
        let task = Task::Arrive { link, cargo: Cargo::Bytes(bytes) };
        self.parcels.push(Parcel { to, slot, task });
        self.arm(link, None, at);
    }

    // ---- alive? ----

    /// Schedules the next look at a link's timers. Without a round trip the look comes too early at
    /// worst.
    fn arm(&mut self, link: LinkId, round_trip: Option<Duration>, at: Instant) {
        let mono = self.clock.now(at).mono;
        let Some(end) = self.ends.get_mut(&link) else { return };
        let Some(next) = end.liveness.next_change(round_trip, mono) else { return };
        let next = self.clock.to_virtual(next).max(at);
        if end.timer_at.is_none_or(|known| next < known) {
            end.timer_at = Some(next);
            self.schedule(next, Task::LinkTimer(link));
        }
    }

    pub(super) fn look_at_link(&mut self, link: LinkId, at: Instant) {
        let mono = self.clock.now(at).mono;
        let Some(end) = self.ends.get_mut(&link) else { return };
        if end.timer_at != Some(at) {
            // An earlier look took the place of this one.
            return;
        }
        end.timer_at = None;
        let liveness = end.liveness;
        if liveness.keep_alive_due(mono) {
            // Done with, also if a rogue swallows the frame.
            end.liveness.keep_alive_at = None;
            self.put(link, KEEP_ALIVE.to_vec(), at);
        }
        let round_trip = liveness.waiting_since.and_then(|_| self.round_trip(link));
        let Some(end) = self.ends.get_mut(&link) else { return };
        match end.liveness.health(round_trip, mono) {
            Health::Dead => {
                self.close(link, at);
                self.change(at, |node, now| node.handle_link_down(link, now));
            }
            Health::Suspect => {
                if !core::mem::replace(&mut end.suspect, true) {
                    self.change(at, |node, now| node.handle_link_suspect(link, true, now));
                }
            }
            Health::Alive => {}
        }
        self.arm(link, round_trip, at);
    }

    fn round_trip(&self, link: LinkId) -> Option<Duration> {
        let mut links = self.node()?.neighbours().flat_map(|neighbour| neighbour.links);
        links.find(|report| report.id == link)?.round_trip
    }
}
