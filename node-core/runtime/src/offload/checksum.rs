//! The Internet checksum.
//!
//! It is the sum of 16-bit words with the carry added at the low end, which may be taken in any
//! byte order and in words of any even size. So words of 32 bits as they lie in memory are added
//! into 64-bit ones, several at once, and folded at the end.
//!
//! Source: RFC 1071, RFC 8200 section 8.1.

use std::ops::Range;

use super::{Kind, Offload, Transport, Unfit};

/// Both addresses in the IPv6 header.
const ADDRESSES: Range<usize> = 8..40;

/// Completes the checksum of a packet. One that is to be cut is completed as the one packet that
/// it still is.
///
/// # Errors
/// [`Unfit`]; the packet is as it was.
pub fn finish(packet: &mut [u8], offload: Offload) -> Result<(), Unfit> {
    if offload == Offload::None {
        return Ok(());
    }
    let transport = Transport::of(packet, packet.len()).ok_or(Unfit)?;
    finish_at(packet, transport.at, transport.kind.checksum_at())
}

/// Completes a checksum over all that follows from `start` on, whose field, `offset` bytes further,
/// holds the sum of what else belongs to it.
///
/// # Errors
/// [`Unfit`] when the field is not within the packet; the packet is as it was.
pub fn finish_at(packet: &mut [u8], start: usize, offset: usize) -> Result<(), Unfit> {
    let summed = packet.get_mut(start..).ok_or(Unfit)?;
    let mut sum = Sum::default();
    sum.add(summed);
    let field = summed.get_mut(offset..).and_then(<[u8]>::first_chunk_mut).ok_or(Unfit)?;
    *field = sum.checksum();
    Ok(())
}

/// Whether the checksum is right as far as it is there: `packet` has the transport header
/// `transport`, and `is_partial` says whether the field holds the pseudo-header's sum alone.
pub(super) fn is_right(packet: &[u8], transport: &Transport, is_partial: bool) -> bool {
    let mut sum = pseudo_header(packet, transport.kind, packet.len() - transport.at);
    let field = transport.checksum();
    let field = [packet[field], packet[field + 1]];
    if is_partial {
        return sum.is_same(field);
    }
    sum.add(&packet[transport.at..]);
    // With its own inversion in it, a sum is all ones.
    sum.is_same([0xff; 2]) && (field != [0; 2] || transport.kind == Kind::Tcp)
}

/// The sum of the pseudo-header of a packet whose transport header and payload are `len` bytes.
pub(super) fn pseudo_header(packet: &[u8], kind: Kind, len: usize) -> Sum {
    let mut sum = Sum::default();
    sum.add(&packet[ADDRESSES]);
    sum.add_number(len);
    sum.add_number(kind.number().into());
    sum
}

/// A sum so far, of words in the order of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// Bytes that are added at once.
    const STRIDE: usize = 64;

    /// Adds bytes; all calls but the last have an even number of them.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let mut lanes = [0_u64; Self::STRIDE / 4];
        let mut add = |block: &[u8; Self::STRIDE]| {
            let (words, _) = block.as_chunks::<4>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane += u64::from(u32::from_ne_bytes(*word));
            }
        };
        let (blocks, rest) = bytes.as_chunks();
        blocks.iter().for_each(&mut add);
        let mut last = [0; Self::STRIDE];
        last[..rest.len()].copy_from_slice(rest);
        add(&last);
        // Both are far from overflowing: a packet has at most 2^14 words below 2^32.
        self.0 += lanes.iter().sum::<u64>();
    }

    /// The sum that stands in a packet.
    pub(super) const fn of_field(field: [u8; 2]) -> Self {
        Self(u16::from_ne_bytes(field) as u64)
    }

    /// Adds a number of at most 32 bits.
    pub(super) fn add_number(&mut self, number: usize) {
        let bytes = (number as u32).to_be_bytes();
        self.0 += u64::from(u32::from_ne_bytes(bytes));
    }

    /// Takes away a number of at most 16 bits that was added.
    pub(super) fn subtract_number(&mut self, number: usize) {
        self.0 += u64::from(!u16::from_ne_bytes((number as u16).to_be_bytes()));
    }

    /// The sum as the field of an unfinished packet holds it.
    pub(super) fn partial(self) -> [u8; 2] {
        self.folded().to_ne_bytes()
    }

    /// Whether a field has the same sum. There are two ways to write zero.
    fn is_same(self, field: [u8; 2]) -> bool {
        let zero = |sum: u16| if sum == 0xffff { 0 } else { sum };
        zero(self.folded()) == zero(u16::from_ne_bytes(field))
    }

    /// The sum in 16 bits, in the order of this machine.
    fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// The checksum as it is written into a packet. It is never zero, which says of UDP that there
    /// is none; for all others both ways to write zero mean the same.
    pub(super) fn checksum(self) -> [u8; 2] {
        match !self.folded() {
            0 => [0xff; 2],
            checksum => checksum.to_ne_bytes(),
        }
    }
}
