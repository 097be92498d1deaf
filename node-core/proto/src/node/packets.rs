//! Packets that the data half could not send: they wait here for a key, a path or a session.

use super::{Node, fresh_secret};
use crate::{
    forward::{Decision, WATERMARK_START},
    identity::NodeKey,
    outbox::Event,
    session::{Saying, SessionTable, Standing},
    time::Now,
    upper::{PAYLOAD_IPV6, ipv6::Target},
    wire::TrafficHeader,
};

impl<S: SessionTable> Node<S> {
    /// An IPv6 packet to a target without a session. `packet` begins with its header and was
    /// checked.
    pub fn handle_outbound(&mut self, target: Target, packet: &[u8], now: Now) {
        if let Some(key) = self.keys.find(&target) {
            let mut data = Vec::with_capacity(packet.len() + 1);
            data.push(PAYLOAD_IPV6);
            data.extend_from_slice(packet);
            self.send_data(key, data, now);
        } else {
            self.stats.waiting_dropped += self.unresolved.push(target, packet.to_vec(), now.mono);
            self.look_up(target.search_key(), now);
        }
        self.settle(now);
    }

    /// Session data for a key whose session has no path at the moment.
    pub fn handle_undelivered(&mut self, key: NodeKey, data: Vec<u8>, now: Now) {
        self.send_data(key, data, now);
        self.settle(now);
    }

    /// Enters a key that was heard of, and moves on what waited for it.
    pub(super) fn learn(&mut self, key: NodeKey, now: Now) {
        self.keys.learn(key, now.mono);
        let targets = [Target::Address(key.address()), Target::Subnet(key.subnet())];
        for target in targets {
            if self.keys.find(&target) != Some(key) {
                continue;
            }
            for mut packet in self.unresolved.take(&target) {
                packet.insert(0, PAYLOAD_IPV6);
                self.stats.waiting_dropped += self.undelivered.push(key, packet, now.mono);
            }
        }
        // The Ack goes first: data that overtakes it arrives before there is a session.
        self.greet(&key, now);
        if self.has_to_say(&key) || self.warm.is_missing(&key) {
            self.pursue(key, now);
        }
    }

    /// Whether something waits for a way to `key`.
    pub(super) fn has_to_say(&self, key: &NodeKey) -> bool {
        self.undelivered.contains(key) || self.extensions.waits_for(key) || self.fast.waits_for(key)
    }

    /// Whether packets for `key` have a direction.
    pub(super) fn is_reachable(&self, key: &NodeKey) -> bool {
        self.table.direct(key).is_some() || self.paths.get(key).is_some()
    }

    pub(super) fn send_data(&mut self, key: NodeKey, data: Vec<u8>, now: Now) {
        if key == self.tree.own() {
            return;
        }
        if self.sessions.standing(&key, now.mono) == Standing::Blocked {
            self.stats.waiting_dropped += 1;
            return;
        }
        // Whoever is called is no guest.
        self.promote(&key, now.mono);
        if self.contacts.has_session(&key) && self.is_reachable(&key) {
            self.outbox.events.push_back(Event::Send(key, data));
        } else {
            self.stats.waiting_dropped += self.undelivered.push(key, data, now.mono);
            self.pursue(key, now);
        }
    }

    /// Brings what waits for `key` a step further.
    pub(super) fn pursue(&mut self, key: NodeKey, now: Now) {
        if self.sessions.standing(&key, now.mono) == Standing::Blocked {
            self.stats.waiting_dropped += self.undelivered.take(&key).len() as u64;
        } else if !self.is_reachable(&key) {
            self.look_up(key, now);
        } else if self.contacts.has_session(&key) {
            let mut due = self.undelivered.take(&key);
            let own = self.capabilities(&key);
            let about_keys = self.fast.take_due(&key, now.mono);
            let hello = (!matches!(about_keys, Some(Saying::Hello(_)))).then_some(own);
            due.extend(about_keys.map(|saying| saying.emit(own)));
            due.extend(self.extensions.take_due(&key, hello, now.mono));
            self.outbox.events.extend(due.into_iter().map(|data| Event::Send(key, data)));
            for at in [self.extensions.next_timeout(), self.fast.timeout_of(&key)] {
                at.into_iter().for_each(|at| self.wake_by(at));
            }
        } else {
            let rng = &mut self.rng;
            self.contacts.begin(key, now.mono, || [fresh_secret(rng), fresh_secret(rng)]);
            self.greet(&key, now);
        }
    }

    /// Sends an end-to-end payload, such as a sealed message, over the best way known; without one
    /// it is lost. For a driver that seals but does not route.
    pub fn send_payload(&mut self, dest: &NodeKey, payload: &[u8], now: Now) {
        let path = self.paths.get(dest).map(|path| path.coords.clone()).unwrap_or_default();
        let source = self.tree.own();
        match self.table.decide(dest, path.ports(), WATERMARK_START) {
            Decision::Forward { link, watermark } => {
                let from = self.table.coords();
                let header = TrafficHeader { path: &path, from, source: &source, dest, watermark };
                let mut frame =
                    Vec::with_capacity(header.encoded_len(payload.len()) + payload.len());
                header.emit(payload.len(), &mut frame);
                frame.extend_from_slice(payload);
                self.outbox.queued(link, source, *dest, frame);
            }
            Decision::Deliver { .. } => {}
            Decision::Stuck => {
                self.stats.stuck += 1;
                if self.paths.handle_broken(dest, now.mono) {
                    self.send_lookup(*dest, now);
                }
            }
        }
    }
}
