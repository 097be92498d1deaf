//! Packets of this machine: from its side into a session and out over a link.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use planetary_circles::{Answer, Verdict};
use planetary_proto::{
    NodeKey,
    forward::{Decision, LAST_HOP, WATERMARK_START},
    limits::MTU_MAX,
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
    burst::Burst,
    count,
    egress::Egress,
    flows::Waiting,
    gate::judge_outbound,
    inside::Inside,
    names::NameServer,
    road::Road,
    sealing::{Content, Way},
    sessions::Session,
};
use crate::{
    control::Input,
    offload::{Checksums, Cut, Offload},
    tun::Tun,
};

/// The thread that drains one queue of the TUN, or the stack. It never waits for a link: the system
/// would drop at the tail what we can drop better.
pub(crate) struct Source;

impl Source {
    /// Reads packets until this machine's side is closed.
    pub(crate) fn run(data: &DataPlane, queue: usize) {
        let Some(inside) = data.inside.load_full() else { return };
        if let Err(error) = Self::drain(data, &inside, queue) {
            let interface = inside.tun().map(Tun::name);
            tracing::error!(%error, interface, "reading the TUN failed");
            data.mailbox.post(Input::TunLost(error.to_string()));
        }
    }

    fn drain(data: &DataPlane, inside: &Inside, queue: usize) -> io::Result<()> {
        let mut names = NameServer::of(data);
        let mut burst = Burst::new();
        let mut packet = Packet::large();
        loop {
            let (len, offload) = if burst.is_empty() {
                inside.recv(queue, packet.space())?
            } else {
                let Some(received) = inside.try_recv(queue, packet.space())? else {
                    burst.send(data);
                    continue;
                };
                received
            };
            if len == 0 {
                burst.send(data);
                return Ok(());
            }
            packet.len = len;
            data.counters.tun_in.fetch_add(1, Relaxed);
            if names.take(data, packet.bytes()) {
                continue;
            }
            packet = dispatch(data, &mut burst, packet, offload);
        }
    }
}

/// Sends a packet that a program gave out; gives back a buffer that is free.
fn dispatch(data: &DataPlane, burst: &mut Burst, packet: Packet, offload: Offload) -> Packet {
    let routes = data.routes.load();
    let since = data.clock.mono();
    let Some((egress, way)) = course(data, &routes, packet.bytes(), offload, since) else {
        return packet;
    };
    let mut forward = |packet: Packet, offload| {
        let way = Way { content: Content::Packet(offload), ..way.clone() };
        if Burst::is_for(packet.bytes()) {
            burst.push(data, egress, way, since, packet.bytes());
            return packet;
        }
        // What came before it leaves before it.
        burst.send(data);
        let free = egress.send_source(data, &routes, Waiting { packet, way, since });
        free.unwrap_or_else(Packet::large)
    };
    if offload.segments().is_none() || way.session.fast.speaks() {
        return forward(packet, offload);
    }
    if let Ok(mut cut) = Cut::new(packet.bytes(), offload, MTU_MAX, Checksums::Complete) {
        let mut piece = Packet::large();
        while let Some((len, _)) = cut.next_into(piece.space()) {
            piece.len = len;
            piece = forward(piece, Offload::None);
        }
    }
    packet
}

/// Leaves a packet to the control half, which finds out where it goes.
fn hand_over(data: &DataPlane, target: Target, packet: &[u8], offload: Offload) {
    let Ok(mut cut) = Cut::new(packet, offload, MTU_MAX, Checksums::Complete) else { return };
    let mut piece = Packet::large();
    while let Some((len, _)) = cut.next_into(piece.space()) {
        piece.len = len;
        data.mailbox.offer(Input::Outbound { target, packet: piece.bytes().to_vec() });
    }
}

/// Sends an IPv6 packet of the node itself.
pub(crate) fn send(data: &DataPlane, packet: Packet) {
    let routes = data.routes.load();
    let since = data.clock.mono();
    let course = course(data, &routes, packet.bytes(), Offload::None, since);
    if let Some((egress, way)) = course {
        egress.send_source(data, &routes, Waiting { packet, way, since });
    }
}

/// Over which link a packet of this machine leaves, and how. `None` if it does not: then whoever
/// sent it was told, or the control half has it.
fn course<'a>(
    data: &DataPlane,
    routes: &'a Routes,
    packet: &[u8],
    offload: Offload,
    now: Instant,
) -> Option<(&'a Arc<Egress>, Way)> {
    let Ok(target) = ipv6::check_outbound(packet, &data.territory) else {
        // Mostly the system's own multicast.
        count(&data.counters.drop_invalid);
        return None;
    };
    let Some(session) = data.sessions.of_target(&target) else {
        hand_over(data, target, packet, offload);
        return None;
    };
    let path = session.path.load_full();
    match decide(routes, &session.remote.key, path.as_deref()) {
        Some(Decision::Forward { link, watermark }) => {
            let egress = routes.links.get(&link)?;
            let may_leave = may_leave(data, &session, packet, now);
            let content = Content::Packet(offload);
            let road = if egress.has_lane() { Road::of(packet) } else { Road::Stream };
            may_leave.then(|| (egress, Way { session, path, watermark, content, road }))
        }
        Some(Decision::Stuck) => {
            stuck(data, routes, session.remote.key);
            None
        }
        Some(Decision::Deliver { .. }) => None,
        None => {
            hand_over(data, target, packet, offload);
            None
        }
    }
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
            let packet = Packet::copy_of(content);
            let content = match kind {
                PAYLOAD_IPV6 => Content::Packet(Offload::None),
                kind => Content::Message(kind),
            };
            let road = Road::Stream;
            let way = Way { session, path, watermark, content, road };
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
