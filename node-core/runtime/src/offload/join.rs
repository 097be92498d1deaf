//! Joining packets of a flow into one.

use std::{io::IoSlice, num::NonZeroU16, ops::Range};

use planetary_proto::limits::MTU_MAX;

use super::{
    JOINED_MAX, Kind, Offload, Segments, TCP_SEGMENT_MIN, Transport,
    checksum::{is_right, pseudo_header},
    headers::flags,
};

/// How many flows are joined at the same time. What more there are give way in turn.
const GROUPS: usize = 8;

/// Joins packets that lie in one chunk of memory, as far as Linux would: neighbours of one flow
/// with the same headers, equally long but for the last, whose checksums are right. Payloads stay
/// where they are; the headers of the first become those of the whole.
///
/// Packets of a flow come out in the order in which they went in. Other packets pass at once, and
/// so may overtake what waits. [`Coalescer::flush`] ends the waiting; the chunk must not change
/// before, except in places where no packet is.
#[derive(Debug)]
pub struct Coalescer {
    groups: [Group; GROUPS],
    /// How many of them are in use, oldest first.
    used: usize,
}

/// A packet and what is known of it.
#[derive(Clone, Debug)]
struct Candidate {
    place: Range<usize>,
    transport: Transport,
    offload: Offload,
}

/// Packets of one flow that wait to be one.
#[derive(Debug)]
struct Group {
    first: Candidate,
    /// Payload of every packet but the last.
    size: usize,
    /// Where the payloads of the packets behind the first begin and end.
    others: [(u32, u32); JOINED_MAX - 1],
    count: usize,
    /// Length of the whole.
    len: usize,
    /// TCP's flags that only the last packet may have.
    last_flags: u8,
    /// Whether no other may follow.
    is_complete: bool,
}

impl Default for Coalescer {
    fn default() -> Self {
        Self::new()
    }
}

impl Coalescer {
    /// Without packets.
    #[must_use]
    pub const fn new() -> Self {
        Self { groups: [const { Group::EMPTY }; GROUPS], used: 0 }
    }

    /// Whether no packet waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Takes the packet that lies at `place` in `chunk`. What cannot wait any longer is handed to
    /// `out`, in parts, the first of which holds all headers.
    pub fn push(
        &mut self,
        chunk: &mut [u8],
        place: Range<usize>,
        offload: Offload,
        mut out: impl FnMut(&[IoSlice<'_>], Offload),
    ) {
        let Some(packet) = chunk.get(place.clone()) else { return };
        let Some(transport) = Transport::of(packet, packet.len()) else {
            out(&[IoSlice::new(packet)], offload);
            return;
        };
        let candidate = Candidate { place, transport, offload };
        let flow = candidate.flow(chunk);
        let mut groups = self.groups[..self.used].iter();
        if let Some(index) = groups.position(|group| group.first.flow(chunk) == flow) {
            let group = &mut self.groups[index];
            if group.join(chunk, &candidate) {
                if group.is_complete {
                    self.release(index, chunk, out);
                }
                return;
            }
            self.release(index, chunk, &mut out);
        }
        if !candidate.may_begin(chunk) {
            out(&[IoSlice::new(candidate.packet(chunk))], offload);
            return;
        }
        if self.used == GROUPS {
            self.release(0, chunk, out);
        }
        self.groups[self.used].begin(candidate);
        self.used += 1;
    }

    /// Hands all that waits to `out`.
    pub fn flush(&mut self, chunk: &mut [u8], mut out: impl FnMut(&[IoSlice<'_>], Offload)) {
        while !self.is_empty() {
            self.release(0, chunk, &mut out);
        }
    }

    fn release(
        &mut self,
        index: usize,
        chunk: &mut [u8],
        out: impl FnOnce(&[IoSlice<'_>], Offload),
    ) {
        let group = &self.groups[index];
        let offload = group.write_headers(chunk);
        let mut parts = [IoSlice::new(&[]); JOINED_MAX];
        parts[0] = IoSlice::new(group.first.packet(chunk));
        let others = &group.others[..group.count - 1];
        for (part, (from, to)) in parts[1..].iter_mut().zip(others) {
            *part = IoSlice::new(&chunk[*from as usize..*to as usize]);
        }
        out(&parts[..group.count], offload);
        self.groups[index..self.used].rotate_left(1);
        self.used -= 1;
    }
}

impl Candidate {
    fn packet<'a>(&self, chunk: &'a [u8]) -> &'a [u8] {
        &chunk[self.place.clone()]
    }

    /// Addresses, ports and protocol.
    fn flow<'a>(&self, chunk: &'a [u8]) -> (&'a [u8], &'a [u8], Kind) {
        let packet = self.packet(chunk);
        let at = self.transport.at;
        (&packet[8..40], &packet[at..at + 4], self.transport.kind)
    }

    const fn payload_len(&self) -> usize {
        self.place.end - self.place.start - self.transport.payload
    }

    /// TCP's flags; none of UDP.
    fn flags(&self, chunk: &[u8]) -> u8 {
        match self.transport.kind {
            Kind::Tcp => self.packet(chunk)[self.transport.flags()],
            Kind::Udp => 0,
        }
    }

    /// Whether it may be the first of several.
    fn may_begin(&self, chunk: &[u8]) -> bool {
        let is_long_enough = match self.transport.kind {
            Kind::Tcp => self.payload_len() >= usize::from(TCP_SEGMENT_MIN),
            Kind::Udp => true,
        };
        is_long_enough && self.may_join(chunk) && self.flags(chunk) & LAST_FLAGS == 0
    }

    /// Whether it is an ordinary packet with a payload.
    fn may_join(&self, chunk: &[u8]) -> bool {
        let is_ordinary = match self.transport.kind {
            Kind::Tcp => self.flags(chunk) & !(LAST_FLAGS | flags::ECE) == flags::ACK,
            Kind::Udp => true,
        };
        is_ordinary && self.offload.segments().is_none() && self.payload_len() > 0
    }

    fn has_right_checksum(&self, chunk: &[u8]) -> bool {
        is_right(self.packet(chunk), &self.transport, self.offload == Offload::Checksum)
    }

    /// Whether both headers are the same, but for lengths, checksum, TCP's sequence number and
    /// flags.
    fn has_head_of(&self, other: &Self, chunk: &[u8]) -> bool {
        let [one, two] = [self, other].map(|candidate| candidate.packet(chunk));
        let Transport { kind, at, payload } = self.transport;
        let same = |range: Range<usize>| one[range.clone()] == two[range];
        // Addresses, ports and protocol are those of the flow.
        self.transport == other.transport
            && same(0..4)
            && same(6..8)
            && same(40..at)
            && match kind {
                // The acknowledgement and the header's length; the window; urgency and options.
                Kind::Tcp => {
                    same(at + 8..at + 13) && same(at + 14..at + 16) && same(at + 18..payload)
                }
                Kind::Udp => true,
            }
    }
}

impl Group {
    const EMPTY: Self = Self {
        first: Candidate {
            place: 0..0,
            transport: Transport { kind: Kind::Udp, at: 0, payload: 0 },
            offload: Offload::None,
        },
        size: 0,
        others: [(0, 0); JOINED_MAX - 1],
        count: 0,
        len: 0,
        last_flags: 0,
        is_complete: false,
    };

    fn begin(&mut self, first: Candidate) {
        self.size = first.payload_len();
        self.len = first.place.len();
        self.first = first;
        self.count = 1;
        self.last_flags = 0;
        self.is_complete = false;
    }

    /// Takes a packet of the same flow if it goes on where the last one ended.
    fn join(&mut self, chunk: &[u8], next: &Candidate) -> bool {
        let first = &self.first;
        let len = next.payload_len();
        let is_next = match first.transport.kind {
            Kind::Tcp => {
                let [begin, sequence] = [first, next]
                    .map(|candidate| candidate.transport.sequence_in(candidate.packet(chunk)));
                // The whole has at most 2^16 bytes.
                let before = (self.len - first.transport.payload) as u32;
                sequence == begin.wrapping_add(before)
                    && (first.flags(chunk) ^ next.flags(chunk)) & !LAST_FLAGS == 0
            }
            Kind::Udp => true,
        };
        let fits = len <= self.size && self.len + len <= MTU_MAX;
        let is_sound = fits && is_next && next.may_join(chunk) && next.has_head_of(first, chunk);
        // The sum of the first is looked at only when there is a second.
        let is_right = |candidate: &Candidate| candidate.has_right_checksum(chunk);
        if !is_sound || !is_right(next) || (self.count == 1 && !is_right(first)) {
            return false;
        }
        // Nobody reads as much at once as numbers of 32 bits cannot say.
        let place = [next.place.end - len, next.place.end].map(u32::try_from);
        let [Ok(from), Ok(to)] = place else { return false };
        self.others[self.count - 1] = (from, to);
        self.count += 1;
        self.len += len;
        self.last_flags = next.flags(chunk) & LAST_FLAGS;
        self.is_complete = self.last_flags != 0 || len < self.size || self.count == JOINED_MAX;
        true
    }

    /// Makes the first packet's headers those of the whole. Returns what is left to do to it.
    fn write_headers(&self, chunk: &mut [u8]) -> Offload {
        let Candidate { place, transport, offload } = &self.first;
        let size = u16::try_from(self.size).ok().and_then(NonZeroU16::new);
        let Some(size) = size.filter(|_| self.count > 1) else { return *offload };
        let packet = &mut chunk[place.clone()];
        transport.set_len(packet, self.len);
        if transport.kind == Kind::Tcp {
            packet[transport.flags()] |= self.last_flags;
        }
        let sum = pseudo_header(packet, transport.kind, self.len - transport.at);
        packet[transport.checksum()..][..2].copy_from_slice(&sum.partial());
        Offload::Segments(Segments { kind: transport.kind, size })
    }
}

/// TCP's flags after which nothing is joined.
const LAST_FLAGS: u8 = flags::FIN | flags::PSH;
