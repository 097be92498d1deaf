//! Packets for this node: open the session, look at what is inside, hand it to this machine's side.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use planetary_circles::{Answer, Verdict};
use planetary_proto::{
    NodeKey,
    limits::EXTENSION_LEN_MAX,
    session::{HANDSHAKE_LEN, SESSION_TRAFFIC},
    time::Instant,
    upper::{
        PAYLOAD_EXTENSION, PAYLOAD_INBAND, PAYLOAD_IPV6,
        ipv6::{self, Echo, NEXT_ICMP},
    },
};

use super::{
    DataPlane, ECHO_ID_FIRST, buffers::Packet, count, gate::judge_inbound, sessions::Session,
    source,
};
use crate::control::Input;

/// First payload bytes of the two handshake messages.
const HANDSHAKES: [u8; 2] = [1, 2];

/// Takes an end-to-end payload from `from`, whose key is only a claim until the session opens.
pub(super) fn deliver(data: &DataPlane, from: NodeKey, payload: &mut [u8]) {
    match payload.first() {
        Some(kind) if HANDSHAKES.contains(kind) && payload.len() == HANDSHAKE_LEN => {
            data.mailbox.offer(Input::Handshake { from, message: payload.to_vec() });
        }
        Some(&SESSION_TRAFFIC) => open(data, from, payload),
        _ => count(&data.counters.drop_invalid),
    }
}

fn open(data: &DataPlane, from: NodeKey, payload: &mut [u8]) {
    let Some(session) = data.sessions.of_key(&from) else {
        count(&data.counters.drop_session);
        data.mailbox.offer(Input::Undecryptable(from));
        return;
    };
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
            return;
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
    let inner = &mut payload[opened.data..];
    session.heard(inner.len(), now);
    match inner.first() {
        Some(&PAYLOAD_IPV6) => take_packet(data, &session, &inner[1..], now),
        Some(&PAYLOAD_INBAND) => {
            data.mailbox.offer(Input::Inband { from, message: inner[1..].to_vec() });
        }
        Some(&PAYLOAD_EXTENSION) if inner.len() <= EXTENSION_LEN_MAX => {
            data.mailbox.offer(Input::Extension { from, message: inner[1..].to_vec() });
        }
        _ => {}
    }
}

/// The packet filter, which makes the checks of chapter 8.3 too; then this machine's side or the
/// node itself.
fn take_packet(data: &DataPlane, session: &Arc<Session>, packet: &[u8], now: Instant) {
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
    if packet.len() > usize::from(inside.mtu()) {
        count(&data.counters.drop_too_big);
        data.mailbox.offer(Input::TooBig { quote: packet[..packet.len().min(1280)].to_vec() });
        return;
    }
    inside.send(packet);
    data.counters.tun_out.fetch_add(1, Relaxed);
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
