//! Packets of this machine: from its side into a session and out over a link.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use planetary_circles::{Answer, Verdict};
use planetary_proto::{
    NodeKey,
    forward::{Decision, LAST_HOP, WATERMARK_START},
    time::Instant,
    upper::{
        PAYLOAD_IPV6,
        ipv6::{self, Target},
    },
    wire::Coords,
};

use super::{
    DataPlane, Routes,
    buffers::Packet,
    count,
    flows::{Waiting, Way},
    gate::judge_outbound,
    names::NameServer,
    sessions::Session,
};
use crate::{control::Input, tun::Tun};

/// The thread that drains the TUN, or the stack. It never waits for a link: the system would drop
/// at the tail what we can drop better.
pub(crate) struct Source;

impl Source {
    /// Reads packets until this machine's side is closed.
    pub(crate) fn run(data: &DataPlane) {
        let Some(inside) = data.inside.load_full() else { return };
        let mut names = NameServer::of(data);
        let mut packet = Packet::large();
        loop {
            match inside.recv(packet.space()) {
                Ok(0) => return,
                Ok(len) => packet.len = len,
                Err(error) => {
                    let interface = inside.tun().map(Tun::name);
                    tracing::error!(%error, interface, "reading the TUN failed");
                    data.mailbox.post(Input::TunLost(error.to_string()));
                    return;
                }
            }
            data.counters.tun_in.fetch_add(1, Relaxed);
            if !names.take(data, packet.bytes()) {
                packet = send(data, packet).unwrap_or_else(Packet::large);
            }
        }
    }
}

/// Sends an IPv6 packet. Gives the buffer back when it is free again.
pub(crate) fn send(data: &DataPlane, packet: Packet) -> Option<Packet> {
    let target = match ipv6::check_outbound(packet.bytes(), &data.territory) {
        Ok(target) => target,
        Err(_) => {
            // Mostly the system's own multicast.
            count(&data.counters.drop_invalid);
            return Some(packet);
        }
    };
    let Some(session) = data.sessions.of_target(&target) else {
        return hand_over(data, target, packet);
    };
    send_in(data, session, target, packet)
}

/// Sends what the control half says in a session, payload type first: messages between nodes, and
/// packets that waited for the session.
pub(crate) fn send_data(data: &DataPlane, key: &NodeKey, payload: &[u8]) {
    let Some((kind, content)) = payload.split_first() else { return };
    let Some(session) = data.sessions.of_key(key) else { return };
    // Which key an address belongs to is known only here for a packet that waited.
    if *kind == PAYLOAD_IPV6 && !may_leave(data, &session, content, data.clock.mono()) {
        return;
    }
    say(data, session, *kind, content);
}

/// Tells the far end of a session what became of a packet of its. An answer is no flow: it passes
/// the filter by.
pub(super) fn answer(data: &DataPlane, session: &Arc<Session>, packet: &[u8]) {
    say(data, Arc::clone(session), PAYLOAD_IPV6, packet);
}

/// Sends something in a session, over the best way known.
fn say(data: &DataPlane, session: Arc<Session>, kind: u8, content: &[u8]) {
    let routes = data.routes.load();
    let path = session.path.load_full();
    let key = session.remote.key;
    match decide(&routes, &key, path.as_deref()) {
        Some(Decision::Forward { link, watermark }) => {
            let Some(egress) = routes.links.get(&link) else { return };
            let way = Way { session, path, watermark, kind };
            let packet = Packet::copy_of(content);
            egress.send_source(data, &routes, Waiting { packet, way, since: data.clock.mono() });
        }
        Some(Decision::Deliver { .. }) => {}
        Some(Decision::Stuck) => stuck(data, &routes, key),
        // The path is gone since it was looked at, and the next message finds that out.
        None => count(&data.counters.drop_stuck),
    }
}

/// Whether the packet filter lets a packet of this machine out. If not, whoever sent it may be
/// told.
fn may_leave(data: &DataPlane, session: &Session, packet: &[u8], now: Instant) -> bool {
    match judge_outbound(&session.filter, &session.remote, packet, now) {
        Verdict::Accept => true,
        Verdict::Drop(_) => false,
        Verdict::Reject(_) => {
            if let (Some(answer), Some(inside)) = (Answer::to(packet), &*data.inside.load()) {
                inside.send(answer.as_bytes());
            }
            false
        }
    }
}

/// A packet of this machine found nobody closer: the control half looks for another way.
fn stuck(data: &DataPlane, routes: &Routes, dest: NodeKey) {
    count(&data.counters.drop_stuck);
    let from = Some(routes.table.coords().clone());
    data.mailbox.offer(Input::Stuck { source: data.own, from, dest });
}

/// Where a packet to `key` goes; `None` when there is no path to it.
fn decide(routes: &Routes, key: &NodeKey, path: Option<&Coords>) -> Option<Decision> {
    match path {
        Some(path) => Some(routes.table.decide(key, path.ports(), WATERMARK_START)),
        None => {
            let link = routes.table.direct(key)?;
            Some(Decision::Forward { link, watermark: LAST_HOP })
        }
    }
}

fn send_in(
    data: &DataPlane,
    session: Arc<Session>,
    target: Target,
    packet: Packet,
) -> Option<Packet> {
    let routes = data.routes.load();
    let path = session.path.load_full();
    match decide(&routes, &session.remote.key, path.as_deref()) {
        Some(Decision::Forward { link, watermark }) => {
            let Some(egress) = routes.links.get(&link) else { return Some(packet) };
            let now = data.clock.mono();
            if !may_leave(data, &session, packet.bytes(), now) {
                return Some(packet);
            }
            let way = Way { session, path, watermark, kind: PAYLOAD_IPV6 };
            egress.send_source(data, &routes, Waiting { packet, way, since: now })
        }
        Some(Decision::Stuck) => {
            stuck(data, &routes, session.remote.key);
            Some(packet)
        }
        Some(Decision::Deliver { .. }) => Some(packet),
        None => hand_over(data, target, packet),
    }
}

/// Leaves a packet without session or path to the control half.
fn hand_over(data: &DataPlane, target: Target, packet: Packet) -> Option<Packet> {
    data.mailbox.offer(Input::Outbound { target, packet: packet.bytes().to_vec() });
    Some(packet)
}
