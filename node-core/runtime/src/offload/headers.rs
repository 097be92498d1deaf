//! Where TCP or UDP begins in a packet, and whether that is so beyond doubt.

use std::ops::Range;

use super::{DATAGRAMS_MAX, Kind, Offload, Segments, TCP_SEGMENT_MIN, Unfit};

/// Length of the IPv6 header.
const IPV6_LEN: usize = 40;
/// Where it has the length of all that follows.
const IPV6_LEN_AT: usize = 4;
const NEXT_AT: usize = 6;

const NEXT_HOP_BY_HOP: u8 = 0;
const NEXT_TCP: u8 = 6;
const NEXT_UDP: u8 = 17;
const NEXT_DESTINATION: u8 = 60;

/// Extension headers that are passed at most. The packet filter refuses packets with more.
const EXTENSIONS_MAX: usize = 8;

const TCP_LEN_MIN: usize = 20;
const UDP_LEN: usize = 8;
/// Where TCP has the length of its header in 32-bit words, in the high half of the byte.
const TCP_WORDS_AT: usize = 12;
/// Where UDP has its length.
const UDP_LEN_AT: usize = 4;
/// Where TCP has the number of its first byte.
const TCP_SEQUENCE_AT: usize = 4;
/// Where TCP has its flags.
const TCP_FLAGS_AT: usize = 13;
/// Options that sign a segment: MD5 (RFC 2385) and authentication (RFC 5925).
const TCP_SIGNATURES: [u8; 2] = [19, 29];

/// TCP's flags.
pub(super) mod flags {
    /// The last byte of a connection.
    pub(in super::super) const FIN: u8 = 0x01;
    /// The first.
    pub(in super::super) const SYN: u8 = 0x02;
    /// The end of a connection that is none.
    pub(in super::super) const RST: u8 = 0x04;
    /// The receiver should not wait for more.
    pub(in super::super) const PSH: u8 = 0x08;
    /// The number of the next byte expected is valid.
    pub(in super::super) const ACK: u8 = 0x10;
    /// There is urgent data.
    pub(in super::super) const URG: u8 = 0x20;
    /// Congestion was met on the way.
    pub(in super::super) const ECE: u8 = 0x40;
    /// The sender slowed down.
    pub(in super::super) const CWR: u8 = 0x80;
}

/// The place of a packet's transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// What it is.
    pub kind: Kind,
    /// Where it begins, in bytes from the beginning of the packet.
    pub at: usize,
    /// Where its payload begins.
    pub payload: usize,
}

impl Kind {
    /// The number in IPv6 headers.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => NEXT_TCP,
            Self::Udp => NEXT_UDP,
        }
    }

    /// Where the checksum is in the transport header.
    #[must_use]
    pub const fn checksum_at(self) -> usize {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }
}

impl Transport {
    /// Finds the transport header of an IPv6 packet of `len` bytes, of which `head` has at least
    /// the headers.
    ///
    /// `None` when there is none, or when it cannot be told for sure: after a fragment, routing or
    /// authentication header, and when a length disagrees with another.
    #[must_use]
    pub fn of(head: &[u8], len: usize) -> Option<Self> {
        let fixed = head.first_chunk::<IPV6_LEN>()?;
        let payload_len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        if fixed[0] >> 4 != 6 || len != IPV6_LEN + payload_len || head.len() > len {
            return None;
        }
        let (mut next, mut at) = (fixed[NEXT_AT], IPV6_LEN);
        for _ in 0..EXTENSIONS_MAX {
            if !matches!(next, NEXT_HOP_BY_HOP | NEXT_DESTINATION) {
                break;
            }
            let [following, units] = *head.get(at..)?.first_chunk()?;
            (next, at) = (following, at + (usize::from(units) + 1) * 8);
        }
        let header = head.get(at..)?;
        let (kind, header_len) = match next {
            NEXT_TCP => {
                let words = header.get(TCP_WORDS_AT)? >> 4;
                (Kind::Tcp, usize::from(words) * 4)
            }
            NEXT_UDP => {
                let [high, low] = *header.get(UDP_LEN_AT..)?.first_chunk()?;
                if usize::from(u16::from_be_bytes([high, low])) != len - at {
                    return None;
                }
                (Kind::Udp, UDP_LEN)
            }
            _ => return None,
        };
        let is_long_enough = match kind {
            Kind::Tcp => header_len >= TCP_LEN_MIN,
            Kind::Udp => true,
        };
        (is_long_enough && header_len <= header.len()).then_some(Self {
            kind,
            at,
            payload: at + header_len,
        })
    }

    /// As [`Transport::of`], for a packet to which `offload` is left to do.
    ///
    /// # Errors
    /// [`Unfit`] also when it is of another kind, or would become more packets than anybody may
    /// ask for.
    pub fn fitting(head: &[u8], len: usize, offload: Offload) -> Result<Self, Unfit> {
        let transport = Self::of(head, len).ok_or(Unfit)?;
        let Some(Segments { kind, size }) = offload.segments() else { return Ok(transport) };
        let count = (len - transport.payload).div_ceil(usize::from(size.get()));
        let is_bounded = match kind {
            Kind::Tcp => size.get() >= TCP_SEGMENT_MIN || count <= 1,
            Kind::Udp => count <= DATAGRAMS_MAX,
        };
        if kind == transport.kind && is_bounded { Ok(transport) } else { Err(Unfit) }
    }

    /// Where the checksum is, from the beginning of the packet.
    pub(super) const fn checksum(&self) -> usize {
        self.at + self.kind.checksum_at()
    }

    /// Where TCP's flags are.
    pub(super) const fn flags(&self) -> usize {
        self.at + TCP_FLAGS_AT
    }

    /// Where TCP has the number of the first byte.
    pub(super) const fn sequence(&self) -> Range<usize> {
        self.at + TCP_SEQUENCE_AT..self.at + TCP_SEQUENCE_AT + 4
    }

    /// The number of the first byte of TCP's payload.
    pub(super) fn sequence_in(&self, head: &[u8]) -> u32 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|byte| head[self.sequence().start + byte]);
        u32::from_be_bytes([a, b, c, d])
    }

    /// Whether TCP's payload may be cut anywhere: it is ordinary, and nobody has signed how it is
    /// cut.
    pub(super) fn is_divisible(&self, head: &[u8]) -> bool {
        if self.kind != Kind::Tcp
            || head[self.flags()] & (flags::SYN | flags::RST | flags::URG) != 0
        {
            return false;
        }
        let mut options = &head[self.at + TCP_LEN_MIN..self.payload];
        loop {
            options = match *options {
                // The end, or padding.
                [] | [0, ..] => return true,
                [1, ..] => &options[1..],
                [kind, len, ..] if len >= 2 && !TCP_SIGNATURES.contains(&kind) => {
                    options.get(usize::from(len)..).unwrap_or_default()
                }
                _ => return false,
            };
        }
    }

    /// Writes the lengths of a packet of `len` bytes into its headers.
    pub(super) fn set_len(&self, head: &mut [u8], len: usize) {
        // What is cut or joined is at most as long as a packet can be.
        let field = |len: usize| (len as u16).to_be_bytes();
        head[IPV6_LEN_AT..IPV6_LEN_AT + 2].copy_from_slice(&field(len - IPV6_LEN));
        if self.kind == Kind::Udp {
            let at = self.at + UDP_LEN_AT;
            head[at..at + 2].copy_from_slice(&field(len - self.at));
        }
    }
}

impl Offload {
    /// How the packet is to be cut, if it is.
    #[must_use]
    pub const fn segments(self) -> Option<Segments> {
        match self {
            Self::None | Self::Checksum => None,
            Self::Segments(segments) => Some(segments),
        }
    }
}
