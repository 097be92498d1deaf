//! The data half: packets in transit, and sessions.
//!
//! It drives the same types as the data half of the runtime, only without threads: the copy of the
//! forwarding table that was published last, views over bytes, openers and sealers. What it cannot
//! settle it hands to the node.

use planetary_proto::{
    Instant, LinkId, Misbehaviour, NodeKey,
    forward::{Decision, WATERMARK_START},
    session::{FAST_HEAD_LEN, SESSION_FAST, SESSION_TRAFFIC},
    upper::{
        PAYLOAD_EXTENSION, PAYLOAD_INBAND, PAYLOAD_IPV6,
        ipv6::{Echo, Territory, check_inbound, check_outbound},
    },
    wire::{FrameKind, TrafficHeader, TrafficView},
};

use super::{Host, Running, Task};
use crate::check::Fault;

impl Host {
    /// A traffic frame arrived; its body begins at `body_start`.
    pub(super) fn take_traffic(
        &mut self,
        link: LinkId,
        mut frame: Vec<u8>,
        body_start: usize,
        at: Instant,
    ) {
        let Some(Running { table, .. }) = &self.running else { return };
        let body = &frame[body_start..];
        let view = match TrafficView::parse(body) {
            Ok(view) => view,
            Err(source) => {
                let kind = FrameKind::Traffic;
                return self.refuse(link, Misbehaviour::Malformed { kind, source }, at);
            }
        };
        let (source, dest) = (view.source(body), view.dest(body));
        let (mut ports, mut spill) = ([0; 32], Vec::new());
        let path = view.path_ports(body, &mut ports, &mut spill);
        let stuck = match table.decide(&dest, path, view.watermark()) {
            Decision::Forward { link: out, watermark } => {
                // To a direct neighbour a packet may go with the watermark it has: it will go no
                // further.
                if watermark >= view.watermark() && table.direct(&dest) != Some(out) {
                    self.blame(at, Fault::Watermark);
                }
                let end = frame.len();
                let start = view.lower_watermark(&mut frame, body_start, end, watermark);
                frame.drain(..start);
                return self.queue(out, source, dest, frame, at);
            }
            Decision::Deliver { stale } => stale,
            Decision::Stuck => true,
        };
        if stuck {
            let from = view.from_coords(body);
            self.change(at, |node, now| node.handle_stuck(source, from, dest, now));
        }
        if dest == self.key() {
            let payload = frame.split_off(body_start + view.payload_offset());
            self.endure(source, payload, at);
        }
    }

    /// A payload is for this node; the weather decides what becomes of it.
    fn endure(&mut self, source: NodeKey, mut payload: Vec<u8>, at: Instant) {
        let weather = self.weather;
        if (weather.drops)(&payload) || weather.happens(weather.loss, &mut self.rng) {
            return;
        }
        if weather.happens(weather.copies, &mut self.rng) {
            let late = at + weather.delay(&mut self.rng);
            self.schedule(late, Task::Late { source, payload: payload.clone() });
        }
        if weather.happens(weather.delays, &mut self.rng) {
            let late = at + weather.delay(&mut self.rng);
            return self.schedule(late, Task::Late { source, payload });
        }
        self.deliver(source, &mut payload, at);
    }

    /// A payload has reached this node.
    pub(super) fn deliver(&mut self, source: NodeKey, payload: &mut [u8], at: Instant) {
        match payload.first() {
            Some(1 | 2) => {
                self.change(at, |node, now| node.handle_handshake(source, payload, now));
            }
            Some(&SESSION_TRAFFIC) => self.open(source, payload, at),
            Some(&SESSION_FAST) => self.open_fast(source, payload, at),
            _ => {}
        }
    }

    fn open(&mut self, source: NodeKey, payload: &mut [u8], at: Instant) {
        let mono = self.clock.now(at).mono;
        let Some(Running { node, .. }) = &mut self.running else { return };
        let Some(session) = node.session_table_mut().session_mut(&source) else {
            return self.change(at, |node, now| node.handle_undecryptable(source, now));
        };
        match session.opener.open(payload, mono) {
            Ok(opened) => {
                session.last_heard = Some(mono);
                let is_rekeyed = opened.rekey.is_some();
                if let Some(keys) = opened.rekey {
                    session.sealer.install(keys);
                }
                node.handle_use(mono);
                if is_rekeyed {
                    self.change(at, |node, _| node.handle_rekeyed(&source));
                }
                self.take_data(source, &payload[opened.data..], at);
            }
            Err(error) if error.wants_greeting() => {
                self.change(at, |node, now| node.handle_undecryptable(source, now));
            }
            Err(_) => {}
        }
    }

    fn open_fast(&mut self, source: NodeKey, payload: &mut [u8], at: Instant) {
        let mono = self.clock.now(at).mono;
        let Some(Running { node, .. }) = &mut self.running else { return };
        let Some(session) = node.session_table_mut().session_mut(&source) else {
            return self.change(at, |node, now| node.handle_undecryptable(source, now));
        };
        if session.open_fast(payload, mono) {
            node.handle_use(mono);
            self.tally.fast += 1;
            self.take_data(source, &payload[FAST_HEAD_LEN..], at);
        } else {
            self.tally.fast_refused += 1;
        }
    }

    /// Session data arrived.
    fn take_data(&mut self, source: NodeKey, data: &[u8], at: Instant) {
        match data {
            [PAYLOAD_IPV6, packet @ ..] => {
                let sender = Territory::of(&source);
                if check_inbound(packet, &self.territory, &sender).is_err() {
                    return self.blame(at, Fault::ForeignPacket);
                }
                if let Some(reply) = Echo::reply_to(packet) {
                    self.send_packet(&reply, at);
                } else {
                    self.take_reply(packet, at);
                }
            }
            [PAYLOAD_INBAND, message @ ..] => {
                self.change(at, |node, now| node.handle_inband(source, message, now));
            }
            [PAYLOAD_EXTENSION, message @ ..] => {
                self.change(at, |node, now| node.handle_extension(source, message, now));
            }
            _ => {}
        }
    }

    /// An IPv6 packet leaves this host, as if read from its TUN device.
    pub(super) fn send_packet(&mut self, packet: &[u8], at: Instant) {
        let Ok(target) = check_outbound(packet, &self.territory) else {
            return self.blame(at, Fault::ForeignPacket);
        };
        let Some(Running { node, .. }) = &mut self.running else { return };
        let key = node.resolve(&target);
        match key.filter(|key| node.session_table_mut().session_mut(key).is_some()) {
            Some(key) => self.seal(key, PAYLOAD_IPV6, packet, at),
            None => self.change(at, |node, now| node.handle_outbound(target, packet, now)),
        }
    }

    /// Sends session data over the best way known.
    fn seal(&mut self, key: NodeKey, kind: u8, packet: &[u8], at: Instant) {
        let own = self.key();
        let Some(Running { node, table, .. }) = &mut self.running else { return };
        let Some(session) = node.session_table_mut().session_mut(&key) else { return };
        if session.path.is_none() && table.direct(&key).is_none() {
            let data = [&[kind], packet].concat();
            return self.change(at, |node, now| node.handle_undelivered(key, data, now));
        }
        let path = session.path.clone().unwrap_or_default();
        let Decision::Forward { link, watermark } =
            table.decide(&key, path.ports(), WATERMARK_START)
        else {
            let from = table.coords().clone();
            return self.change(at, |node, now| node.handle_stuck(own, Some(from), key, now));
        };
        let mono = self.clock.now(at).mono;
        let Some(payload) = session.seal(&[&[kind], packet].concat(), mono) else { return };
        let from = table.coords();
        let header = TrafficHeader { path: &path, from, source: &own, dest: &key, watermark };
        let mut frame = Vec::with_capacity(header.encoded_len(payload.len()) + payload.len());
        header.emit(payload.len(), &mut frame);
        frame.extend_from_slice(&payload);
        node.handle_use(mono);
        self.queue(link, own, key, frame, at);
    }
}
