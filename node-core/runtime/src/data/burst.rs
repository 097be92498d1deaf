//! Small packets that came one right after the other and leave over the same link, so that they are
//! written with one call of the system.
//!
//! A packet waits here only while the thread that brought it has more at hand: whoever finds
//! nothing more to read sends the burst before waiting. Large packets do not pass through a burst,
//! for one of them is worth a call.

use std::{ops::Range, sync::Arc};

use planetary_proto::time::Instant;

use super::{
    DataPlane,
    buffers::{HEADROOM, Packet, SMALL_PACKET_MAX},
    egress::Egress,
    flows::Waiting,
    sealing::Way,
};

/// Packets of one burst: as many parts as one call of the system takes without allocating for them.
pub(crate) const PARCELS_MAX: usize = 64;
/// Bytes of one burst: about what a socket of a link may hold unsent, so that a burst is not cut
/// off in the middle for want of room.
pub(crate) const BYTES_MAX: usize = 64 * 1024;

/// A packet of a burst.
pub(crate) struct Parcel {
    /// The packet with [`HEADROOM`] bytes before it, in the burst's buffer.
    pub(crate) room: Range<usize>,
    pub(crate) way: Way,
    pub(crate) since: Instant,
}

/// See the module.
pub(crate) struct Burst {
    egress: Option<Arc<Egress>>,
    buffer: Box<[u8]>,
    filled: usize,
    parcels: Vec<Parcel>,
}

impl Burst {
    pub(crate) fn new() -> Self {
        Self {
            egress: None,
            buffer: vec![0; BYTES_MAX].into_boxed_slice(),
            filled: 0,
            parcels: Vec::with_capacity(PARCELS_MAX),
        }
    }

    /// Whether nothing waits in it.
    pub(crate) const fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Whether a packet may be part of a burst.
    pub(crate) const fn is_for(packet: &[u8]) -> bool {
        packet.len() <= SMALL_PACKET_MAX
    }

    /// Copies a packet to the end of the burst; if it is for another link or does not fit, what is
    /// there is sent before.
    pub(crate) fn push(
        &mut self,
        data: &DataPlane,
        egress: &Arc<Egress>,
        way: Way,
        since: Instant,
        packet: &[u8],
    ) {
        let len = HEADROOM + packet.len();
        let other = self.egress.as_ref().is_some_and(|it| !Arc::ptr_eq(it, egress));
        if other || self.parcels.len() == PARCELS_MAX || self.buffer.len() - self.filled < len {
            self.send(data);
        }
        if self.egress.is_none() {
            self.egress = Some(Arc::clone(egress));
        }
        let room = self.filled..self.filled + len;
        self.buffer[room.start + HEADROOM..room.end].copy_from_slice(packet);
        self.filled = room.end;
        self.parcels.push(Parcel { room, way, since });
    }

    /// Sends what is there.
    pub(crate) fn send(&mut self, data: &DataPlane) {
        let Some(egress) = self.egress.take() else { return };
        let routes = data.routes.load();
        if self.parcels.iter().all(|parcel| parcel.way.header_fits(&routes)) {
            egress.send_burst(data, &routes, &mut self.buffer, &self.parcels);
        } else {
            for Parcel { room, way, since } in &self.parcels {
                let packet = Packet::copy_of(&self.buffer[room.clone()][HEADROOM..]);
                let (way, since) = (way.clone(), *since);
                egress.send_source(data, &routes, Waiting { packet, way, since });
            }
        }
        self.parcels.clear();
        self.filled = 0;
    }
}
