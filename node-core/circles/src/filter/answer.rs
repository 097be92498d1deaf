//! What to send back for a packet that was refused, so that a program does not wait for nothing:
//! a reset for TCP, "administratively prohibited" for everything else.
//!
//! Answers are made outside of any lock, from the refused packet alone. They are sent past the
//! filter: an answer to somebody is no flow.
//!
//! Source: RFC 9293 section 3.5.2 (resets), RFC 4443 sections 2.4 and 3.1.

use planetary_proto::upper::ipv6::{HEADER_LEN, NEXT_ICMP};

use super::headers::{self, Header, ICMP_LEN, Upper, flags};
use crate::limits::EXTENSION_BYTES_MAX;

/// How much of a packet an error quotes: all headers that the filter reads, and eight bytes behind
/// them, which show ports and identifiers.
const QUOTE_MAX: usize = HEADER_LEN + EXTENSION_BYTES_MAX + 8;
const ANSWER_MAX: usize = HEADER_LEN + ICMP_LEN + QUOTE_MAX;

const NEXT_TCP: u8 = 6;
const TCP_LEN: usize = 20;
const HOP_LIMIT: u8 = 64;
const UNREACHABLE: u8 = 1;
const PROHIBITED: u8 = 1;

/// A whole IPv6 packet of at most 352 bytes.
#[derive(Clone, Debug)]
pub struct Answer {
    bytes: [u8; ANSWER_MAX],
    len: usize,
}

impl Answer {
    /// The answer to a packet that was rejected, from its destination to its source. `None` for
    /// packets that nobody must answer, which are never rejected: errors, resets, fragments.
    #[must_use]
    pub fn to(packet: &[u8]) -> Option<Self> {
        let header = headers::parse(packet).ok().filter(is_answerable)?;
        Some(match header.upper {
            Upper::Tcp { flags, .. } => Self::reset(&header, flags, packet.get(header.upper_at..)?),
            _ => Self::prohibited(&header, packet),
        })
    }

    /// The packet.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// A reset that the sender believes: in the place where it expects something.
    fn reset(header: &Header, flags: u8, segment: &[u8]) -> Self {
        let word = |at: usize| {
            let bytes = segment.get(at..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
        };
        let (seq, ack, flags) = if flags & flags::ACK != 0 {
            (word(8), 0, flags::RST)
        } else {
            let data = segment.len() - headers::tcp_header_len(segment).unwrap_or(TCP_LEN);
            // Packets have at most 65,535 bytes.
            let len = data as u32
                + u32::from(flags & flags::SYN != 0)
                + u32::from(flags & flags::FIN != 0);
            (0, word(4).wrapping_add(len), flags::RST | flags::ACK)
        };
        let mut tcp = [0; TCP_LEN];
        tcp[..2].copy_from_slice(&segment[2..4]);
        tcp[2..4].copy_from_slice(&segment[..2]);
        tcp[4..8].copy_from_slice(&seq.to_be_bytes());
        tcp[8..12].copy_from_slice(&u32::to_be_bytes(ack));
        tcp[12] = (TCP_LEN as u8 / 4) << 4;
        tcp[13] = flags;
        Self::emit(header, NEXT_TCP, 16, &[&tcp])
    }

    fn prohibited(header: &Header, packet: &[u8]) -> Self {
        let quote = &packet[..packet.len().min(QUOTE_MAX)];
        let message = [UNREACHABLE, PROHIBITED, 0, 0, 0, 0, 0, 0];
        Self::emit(header, NEXT_ICMP, 2, &[&message, quote])
    }

    /// A packet back to the source of `header`, with the checksum `checksum_at` its payload.
    fn emit(header: &Header, next: u8, checksum_at: usize, payload: &[&[u8]]) -> Self {
        let mut bytes = [0; ANSWER_MAX];
        let mut len = HEADER_LEN;
        for part in payload {
            bytes[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        }
        // Both kinds of payload fit ANSWER_MAX.
        let payload_len = (len - HEADER_LEN) as u16;
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&payload_len.to_be_bytes());
        (bytes[6], bytes[7]) = (next, HOP_LIMIT);
        bytes[8..24].copy_from_slice(&header.dest);
        bytes[24..40].copy_from_slice(&header.source);
        // The pseudo-header is the addresses, the length and the protocol.
        let sum = headers::sum(u32::from(payload_len) + u32::from(next), &bytes[8..len]);
        let at = HEADER_LEN + checksum_at;
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        Self { bytes, len }
    }
}

/// Whether a packet with these headers may be answered at all.
pub(super) const fn is_answerable(header: &Header) -> bool {
    let by_kind = match header.upper {
        Upper::Tcp { flags, .. } => flags & flags::RST == 0,
        Upper::Udp { .. } | Upper::EchoRequest(_) | Upper::Other(_) => true,
        Upper::EchoReply(_) | Upper::Error | Upper::Confined | Upper::Unseen => false,
    };
    by_kind && header.fragment.is_none()
}
