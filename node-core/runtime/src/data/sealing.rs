//! From a packet of this machine to the frame that carries it: sealed where it lies, the routing
//! header before it.

use std::sync::Arc;

use planetary_proto::{
    limits::MTU_MAX,
    session::SESSION_FAST,
    time::Instant,
    upper::{PAYLOAD_IPV6, PAYLOAD_OFFLOAD},
    wire::{Coords, TrafficHeader},
};

use super::{
    DataPlane, Routes,
    buffers::{HEADROOM, Packet, header_fits},
    count,
    road::Road,
    sessions::Session,
};
use crate::offload::{Checksums, Cut, Offload, finish};

/// Where a packet of this machine goes, and what it is.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) session: Arc<Session>,
    /// Coordinates of the far end. Link and watermark were chosen for these and fit no others.
    pub(crate) path: Option<Arc<Coords>>,
    pub(crate) watermark: u64,
    pub(crate) content: Content,
    pub(crate) road: Road,
}

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// An IPv6 packet, and what is left to do to it.
    Packet(Offload),
    /// A message between nodes, with the type that is sealed before it.
    Message(u8),
}

/// A frame that was made of a packet.
pub(super) enum Sealed {
    /// It reaches from here to the end of the packet's buffer, and takes this road.
    InPlace(usize, Road),
    /// Its header is longer than the room before the packet.
    Apart(Vec<u8>),
}

impl Way {
    /// Whether the room before a packet holds the header.
    pub(super) fn header_fits(&self, routes: &Routes) -> bool {
        header_fits(self.path.as_deref().unwrap_or(&Coords::default()), routes.table.coords())
    }

    /// Seals the packet behind the first [`HEADROOM`] bytes of `buffer`; `None` if that cannot be.
    ///
    /// Messages of a compatible session have to leave in the order in which they are sealed, so the
    /// caller holds the writer of the link from here until they are written.
    pub(super) fn seal(
        &self,
        data: &DataPlane,
        routes: &Routes,
        buffer: &mut [u8],
        now: Instant,
    ) -> Option<Sealed> {
        let sealed = match self.content {
            Content::Message(kind) => self.seal_as(data, routes, buffer, &[kind]),
            Content::Packet(Offload::None) => self.seal_as(data, routes, buffer, &[PAYLOAD_IPV6]),
            Content::Packet(offload) => self.seal_unfinished(data, routes, buffer, offload),
        };
        match sealed {
            Some(_) => self.session.said(buffer.len() - HEADROOM, now),
            None => count(&data.counters.drop_session),
        }
        sealed
    }

    /// Seals a packet that the far end finishes, or if that cannot be said to it, finishes it.
    fn seal_unfinished(
        &self,
        data: &DataPlane,
        routes: &Routes,
        buffer: &mut [u8],
        offload: Offload,
    ) -> Option<Sealed> {
        let [flags, high, low] = offload.emit();
        let head = [PAYLOAD_OFFLOAD, flags, high, low];
        buffer[HEADROOM - head.len()..HEADROOM].copy_from_slice(&head);
        if let Some(start) = self.session.fast.seal(buffer, HEADROOM - head.len()) {
            return Some(self.frame(data, routes, buffer, start));
        }
        if offload.segments().is_none() {
            finish(&mut buffer[HEADROOM..], offload).ok()?;
            return self.seal_as(data, routes, buffer, &[PAYLOAD_IPV6]);
        }
        // Seldom: whoever took it from the system saw a fast session, which is gone since.
        let packet = &buffer[HEADROOM..];
        let mut cut = Cut::new(packet, offload, MTU_MAX, Checksums::Complete).ok()?;
        let (mut piece, mut frames) = (Packet::large(), Vec::new());
        while let Some((len, _)) = cut.next_into(piece.space()) {
            piece.len = len;
            let buffer = piece.whole_mut();
            match self.seal_as(data, routes, buffer, &[PAYLOAD_IPV6])? {
                Sealed::InPlace(at, _) => frames.extend_from_slice(&buffer[at..]),
                Sealed::Apart(frame) => frames.extend_from_slice(&frame),
            }
        }
        Some(Sealed::Apart(frames))
    }

    /// Seals what is behind the headroom, and this before it.
    fn seal_as(
        &self,
        data: &DataPlane,
        routes: &Routes,
        buffer: &mut [u8],
        before: &[u8],
    ) -> Option<Sealed> {
        let at = HEADROOM - before.len();
        buffer[at..HEADROOM].copy_from_slice(before);
        let start = self.session.seal(buffer, at)?;
        Some(self.frame(data, routes, buffer, start))
    }

    /// Makes a frame of the message at the end of `buffer`.
    fn frame(
        &self,
        data: &DataPlane,
        routes: &Routes,
        buffer: &mut [u8],
        message: usize,
    ) -> Sealed {
        let none = Coords::default();
        let path = self.path.as_deref().unwrap_or(&none);
        let from = routes.table.coords();
        let header = TrafficHeader {
            path,
            from,
            source: &data.own,
            dest: &self.session.remote.key,
            watermark: self.watermark,
        };
        // Messages of a compatible session must arrive in order.
        let is_fast = buffer[message] == SESSION_FAST;
        let road = if is_fast { self.road } else { Road::Stream };
        let len = buffer.len() - message;
        if header_fits(path, from)
            && let Some(frame) = header.emit_before(len, &mut buffer[..message])
        {
            return Sealed::InPlace(frame, road);
        }
        let mut frame = Vec::with_capacity(header.encoded_len(len) + len);
        header.emit(len, &mut frame);
        frame.extend_from_slice(&buffer[message..]);
        Sealed::Apart(frame)
    }
}
