//! Packets for this node: open the session, look at what is inside, hand it to this machine's side.
//!
//! Packets that came in one chunk and would be one on this machine's side are joined first: the
//! system then takes one packet of up to 64 KiB instead of dozens. They wait no longer than the
//! chunk is worked off ([`Sink::flush`]).

use std::{
    io::IoSlice,
    ops::Range,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use planetary_circles::{Answer, Verdict};
use planetary_proto::{
    NodeKey,
    limits::EXTENSION_LEN_MAX,
    session::{FAST_HEAD_LEN, HANDSHAKE_LEN, SESSION_FAST, SESSION_TRAFFIC},
    time::Instant,
    upper::{
        PAYLOAD_EXTENSION, PAYLOAD_INBAND, PAYLOAD_IPV6, PAYLOAD_OFFLOAD,
        ipv6::{self, Echo, NEXT_ICMP},
    },
};

use super::{
    DataPlane, ECHO_ID_FIRST, buffers::Packet, count, gate::judge_inbound, inside::Inside,
    sessions::Session, source,
};
use crate::{
    control::Input,
    offload::{Coalescer, Offload, Transport},
};

/// First payload bytes of the two handshake messages.
const HANDSHAKES: [u8; 2] = [1, 2];

/// What takes the packets of one link.
pub(super) struct Sink<'a> {
    data: &'a DataPlane,
    /// Of which link; its flows keep to one queue of the interface.
    link: u64,
    coalescer: Coalescer,
}

impl<'a> Sink<'a> {
    pub(super) const fn new(data: &'a DataPlane, link: u64) -> Self {
        Self { data, link, coalescer: Coalescer::new() }
    }

    /// Takes the end-to-end payload at `place` from `from`, whose key is only a claim until the
    /// session opens. The chunk must stay as it is, but for other payloads, until
    /// [`Self::flush`].
    pub(super) fn deliver(&mut self, from: NodeKey, chunk: &mut [u8], place: Range<usize>) {
        let payload = &mut chunk[place.clone()];
        let is_fast = payload.first() == Some(&SESSION_FAST);
        let opened = match payload.first() {
            Some(kind) if HANDSHAKES.contains(kind) && payload.len() == HANDSHAKE_LEN => {
                self.data.mailbox.offer(Input::Handshake { from, message: payload.to_vec() });
                return;
            }
            Some(&SESSION_TRAFFIC) => open(self.data, from, payload),
            Some(&SESSION_FAST) => open_fast(self.data, from, payload),
            _ => {
                count(&self.data.counters.drop_invalid);
                return;
            }
        };
        if let Some((session, at)) = opened {
            self.take(&session, chunk, place.start + at..place.end, is_fast);
        }
    }

    /// Hands over what waits to be joined.
    pub(super) fn flush(&mut self, chunk: &mut [u8]) {
        if !self.coalescer.is_empty()
            && let Some(inside) = &*self.data.inside.load()
        {
            let queue = self.queue(inside);
            self.coalescer.flush(chunk, |parts, offload| inside.send_parts(queue, parts, offload));
        }
    }

    /// Takes what was said in a session.
    fn take(
        &mut self,
        session: &Arc<Session>,
        chunk: &mut [u8],
        place: Range<usize>,
        is_fast: bool,
    ) {
        let Self { data, .. } = *self;
        let (from, now) = (session.remote.key, data.clock.mono());
        let inner = &chunk[place.clone()];
        session.heard(inner.len(), now);
        match *inner {
            [PAYLOAD_IPV6, ..] => {
                self.take_packet(session, chunk, place.start + 1..place.end, Offload::None, now);
            }
            [PAYLOAD_OFFLOAD, flags, high, low, ..] if is_fast => {
                match Offload::parse([flags, high, low]) {
                    Some(offload) => {
                        let place = place.start + 4..place.end;
                        self.take_packet(session, chunk, place, offload, now);
                    }
                    None => count(&data.counters.drop_invalid),
                }
            }
            [PAYLOAD_INBAND, ref message @ ..] => {
                data.mailbox.offer(Input::Inband { from, message: message.to_vec() });
            }
            [PAYLOAD_EXTENSION, ref message @ ..] if inner.len() <= EXTENSION_LEN_MAX => {
                data.mailbox.offer(Input::Extension { from, message: message.to_vec() });
            }
            _ => {}
        }
    }

    /// The packet filter, which makes the checks of chapter 8.3 too; then this machine's side or
    /// the node itself.
    fn take_packet(
        &mut self,
        session: &Arc<Session>,
        chunk: &mut [u8],
        place: Range<usize>,
        offload: Offload,
        now: Instant,
    ) {
        let Self { data, .. } = *self;
        let packet = &chunk[place.clone()];
        if session.is_guest() {
            count(&data.counters.drop_guest);
            return;
        }
        match judge_inbound(&session.filter, &session.remote, packet, now) {
            Verdict::Accept => {}
            Verdict::Drop(_) => return,
            Verdict::Reject(_) => {
                if let Some(answer) = Answer::to(packet) {
                    source::answer(data, session, answer.as_bytes());
                }
                return;
            }
        }
        if answer_echo(data, packet) {
            return;
        }
        let inside = data.inside.load();
        let Some(inside) = &*inside else {
            count(&data.counters.drop_no_tun);
            return;
        };
        match largest(packet, offload) {
            None => return count(&data.counters.drop_invalid),
            Some(len) if len > usize::from(inside.mtu()) => {
                count(&data.counters.drop_too_big);
                let quote = packet[..packet.len().min(1280)].to_vec();
                data.mailbox.offer(Input::TooBig { quote });
                return;
            }
            Some(_) => {}
        }
        let queue = self.queue(inside);
        let hand_over = |parts: &[IoSlice<'_>], offload| inside.send_parts(queue, parts, offload);
        if inside.joins() {
            self.coalescer.push(chunk, place, offload, hand_over);
        } else {
            hand_over(&[IoSlice::new(packet)], offload);
        }
        data.counters.tun_out.fetch_add(1, Relaxed);
    }

    fn queue(&self, inside: &Inside) -> usize {
        // There are a few.
        (self.link % inside.queues() as u64) as usize
    }
}

/// The length of the largest packet that this one is or is to be cut into; `None` if its headers do
/// not fit what is said of it.
fn largest(packet: &[u8], offload: Offload) -> Option<usize> {
    match offload {
        Offload::None => Some(packet.len()),
        offload => {
            let transport = Transport::fitting(packet, packet.len(), offload).ok()?;
            let segment =
                offload.segments().map(|it| transport.payload + usize::from(it.size.get()));
            Some(segment.map_or(packet.len(), |segment| segment.min(packet.len())))
        }
    }
}

/// Opens a message of a compatible session in place; where its data begins.
fn open(data: &DataPlane, from: NodeKey, payload: &mut [u8]) -> Option<(Arc<Session>, usize)> {
    let session = session_of(data, from)?;
    let now = data.clock.mono();
    let mut opener = session.opener.lock();
    let opened = match opener.open(payload, now) {
        Ok(opened) => opened,
        Err(error) => {
            drop(opener);
            count(&data.counters.drop_session);
            if error.wants_greeting() {
                data.mailbox.offer(Input::Undecryptable(from));
            }
            return None;
        }
    };
    if let Some(keys) = opened.rekey {
        session.sealer.lock().install(keys);
    }
    let needs_refill = opener.needs_refill();
    drop(opener);
    if needs_refill && session.asks_for_refill(now) {
        data.mailbox.offer(Input::Rekeyed(from));
    }
    Some((session, opened.data))
}

/// Opens a message of a fast session in place; where its data begins. What does not open is dropped
/// and never answered, for anybody may have sent it.
fn open_fast(data: &DataPlane, from: NodeKey, payload: &mut [u8]) -> Option<(Arc<Session>, usize)> {
    let session = session_of(data, from)?;
    if session.fast.open(payload).is_err() {
        count(&data.counters.drop_session);
        return None;
    }
    Some((session, FAST_HEAD_LEN))
}

/// The session of a message that arrived; without one, whoever sent it is to be greeted.
fn session_of(data: &DataPlane, from: NodeKey) -> Option<Arc<Session>> {
    let session = data.sessions.of_key(&from);
    if session.is_none() {
        count(&data.counters.drop_session);
        data.mailbox.offer(Input::Undecryptable(from));
    }
    session
}

/// Echo messages with the node's own identifiers, and without an interface all others too, are the
/// node's business.
fn answer_echo(data: &DataPlane, packet: &[u8]) -> bool {
    if packet[6] != NEXT_ICMP {
        return false;
    }
    let Some(echo) = Echo::parse(packet) else { return false };
    let has_interface = data.inside.load().as_ref().is_some_and(|inside| inside.tun().is_some());
    if echo.identifier < ECHO_ID_FIRST && has_interface {
        return false;
    }
    if echo.request {
        if let Some(reply) = Echo::reply_to(packet) {
            source::send(data, Packet::copy_of(&reply));
        }
    } else if let Ok((from, _)) = ipv6::endpoints(packet) {
        let at = data.clock.mono();
        data.mailbox.offer(Input::EchoReply { from: from.into(), echo, at });
    }
    true
}
