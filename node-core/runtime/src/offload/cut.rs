//! Cutting a packet into packets that fit.

use super::{
    Kind, Offload, TCP_SEGMENT_MIN, Transport, Unfit,
    checksum::{Sum, finish_at, is_right, pseudo_header},
    finish,
    headers::flags,
};

/// What checksums cut packets shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// Complete ones, which everybody takes.
    Complete,
    /// Those of [`Offload::Checksum`].
    Partial,
}

/// A packet on its way to be cut: TCP's sequence numbers go on, FIN and PSH are the last segment's,
/// CWR is the first one's, all else is every segment's.
#[derive(Debug)]
pub struct Cut<'a> {
    packet: &'a [u8],
    /// `None`: the packet is left whole.
    plan: Option<Plan>,
    /// What is left to do to a packet that is left whole.
    offload: Offload,
    checksums: Checksums,
    /// Where the next piece begins in `packet`.
    at: usize,
}

/// How to cut.
#[derive(Debug)]
struct Plan {
    transport: Transport,
    /// Payload of every piece but the last.
    size: usize,
    /// The sum of the pseudo-header without its length.
    sum: Sum,
}

impl<'a> Cut<'a> {
    /// Prepares to cut a packet to which `offload` is left to do into packets of at most `len_max`
    /// bytes.
    ///
    /// What is to be cut anyway becomes smaller segments than asked for if need be, as long as it
    /// is TCP. Of what is not, ordinary TCP is cut if it is too long, its checksum is right and no
    /// option signs it. Any packet that fits as it is, is left whole.
    ///
    /// # Errors
    /// [`Unfit`]: it cannot be cut, or not so small.
    pub fn new(
        packet: &'a [u8],
        offload: Offload,
        len_max: usize,
        checksums: Checksums,
    ) -> Result<Self, Unfit> {
        let plan = match offload {
            Offload::None if packet.len() <= len_max => None,
            Offload::Checksum if packet.len() <= len_max => {
                Transport::fitting(packet, packet.len(), offload)?;
                None
            }
            _ => Some(Plan::new(packet, offload, len_max)?),
        };
        Ok(Self { packet, plan, offload, checksums, at: 0 })
    }

    /// How many packets are left.
    #[must_use]
    pub fn count(&self) -> usize {
        let left = self.packet.len() - self.at;
        match &self.plan {
            None => usize::from(left > 0),
            Some(plan) if self.at == 0 => {
                (left - plan.transport.payload).div_ceil(plan.size).max(1)
            }
            Some(plan) => left.div_ceil(plan.size),
        }
    }

    /// Writes the next packet to the beginning of `buffer`. Returns its length, and what is left to
    /// do to it; `None` when there is no more, or the buffer is shorter than the longest packet
    /// that was asked for.
    pub fn next_into(&mut self, buffer: &mut [u8]) -> Option<(usize, Offload)> {
        let len = self.packet.len();
        if self.at == len {
            return None;
        }
        let Some(plan) = &self.plan else {
            let piece = buffer.get_mut(..len)?;
            piece.copy_from_slice(self.packet);
            self.at = len;
            if self.checksums == Checksums::Partial {
                return Some((len, self.offload));
            }
            // What cannot be finished was refused at the beginning.
            finish(piece, self.offload).ok()?;
            return Some((len, Offload::None));
        };
        let Plan { transport, size, .. } = plan;
        let head = transport.payload;
        let from = self.at.max(head);
        let to = len.min(from + size);
        let piece = buffer.get_mut(..head + to - from)?;
        piece[..head].copy_from_slice(&self.packet[..head]);
        piece[head..].copy_from_slice(&self.packet[from..to]);
        plan.rewrite(piece, from - head, self.at == 0, to == len);
        self.at = to;
        if self.checksums == Checksums::Partial {
            return Some((piece.len(), Offload::Checksum));
        }
        finish_at(piece, transport.at, transport.kind.checksum_at()).ok()?;
        Some((piece.len(), Offload::None))
    }
}

impl Plan {
    fn new(packet: &[u8], offload: Offload, len_max: usize) -> Result<Self, Unfit> {
        let transport = Transport::fitting(packet, packet.len(), offload)?;
        let room = len_max.checked_sub(transport.payload).ok_or(Unfit)?;
        let wanted = offload.segments().map(|segments| usize::from(segments.size.get()));
        let size = match (transport.kind, wanted) {
            (Kind::Udp, Some(wanted)) if wanted <= room => wanted,
            (Kind::Tcp, _) if transport.is_divisible(packet) => {
                let size = wanted.map_or(room, |wanted| wanted.min(room));
                let is_sound = wanted == Some(size) || size >= usize::from(TCP_SEGMENT_MIN);
                if is_sound { size } else { return Err(Unfit) }
            }
            (Kind::Tcp | Kind::Udp, _) => return Err(Unfit),
        };
        let len = packet.len() - transport.at;
        // Right checksums on pieces of a damaged packet would hide the damage.
        let mut sum = match offload {
            Offload::None if !is_right(packet, &transport, false) => return Err(Unfit),
            Offload::None => pseudo_header(packet, transport.kind, len),
            Offload::Checksum | Offload::Segments(_) => {
                let at = transport.checksum();
                Sum::of_field([packet[at], packet[at + 1]])
            }
        };
        sum.subtract_number(len);
        Ok(Self { transport, size, sum })
    }

    /// Makes the headers of a piece from those of the whole. `before` is how many bytes of the
    /// whole's payload come before those of the piece.
    fn rewrite(&self, piece: &mut [u8], before: usize, is_first: bool, is_last: bool) {
        let transport = &self.transport;
        let len = piece.len();
        transport.set_len(piece, len);
        if transport.kind == Kind::Tcp {
            // At most 2^16.
            let sequence = transport.sequence_in(piece).wrapping_add(before as u32);
            piece[transport.sequence()].copy_from_slice(&sequence.to_be_bytes());
            let flags = &mut piece[transport.flags()];
            *flags &= if is_last { 0xff } else { !(flags::FIN | flags::PSH) };
            *flags &= if is_first { 0xff } else { !flags::CWR };
        }
        let mut sum = self.sum;
        sum.add_number(len - transport.at);
        let at = transport.checksum();
        piece[at..at + 2].copy_from_slice(&sum.partial());
    }
}
