//! What a packet is: addresses, fragment, and as much of the upper layer as the filter decides on.
//!
//! One walk over the extension headers, without allocation. Whatever two receivers could read
//! differently is refused here: lengths that disagree, headers out of their place, a first fragment
//! that does not show the whole header of the upper layer. Checksums are not verified: the session
//! has authenticated every byte, and the receiving system checks them again.
//!
//! Source: RFC 8200 section 4, RFC 7112 (first fragments), RFC 6946 (atomic fragments), RFC 4443.

use planetary_proto::upper::ipv6::{self, HEADER_LEN, NEXT_ICMP};

use super::verdict::Reason;
use crate::limits::{EXTENSION_BYTES_MAX, EXTENSIONS_MAX};

const NEXT_HOP_BY_HOP: u8 = 0;
const NEXT_TCP: u8 = 6;
const NEXT_UDP: u8 = 17;
const NEXT_ROUTING: u8 = 43;
const NEXT_FRAGMENT: u8 = 44;
const NEXT_DESTINATION: u8 = 60;

const TCP_LEN: usize = 20;
pub(crate) const UDP_LEN: usize = 8;
/// Every ICMPv6 message that the filter knows has as much; an error's quote begins behind it.
pub(crate) const ICMP_LEN: usize = 8;
const FRAGMENT_LEN: usize = 8;
/// Option type of the jumbo payload (RFC 2675).
const OPTION_JUMBO: u8 = 0xc2;
/// Largest packet that fragments may add up to, headers aside.
const REASSEMBLED_MAX: usize = 65_535;

const ICMP_ERRORS: core::ops::RangeInclusive<u8> = 1..=4;
const ICMP_ECHO_REQUEST: u8 = 128;
const ICMP_ECHO_REPLY: u8 = 129;

/// TCP flags.
pub(crate) mod flags {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const ACK: u8 = 0x10;

    /// Whether a segment with these flags asks for a new connection. The flags of congestion
    /// notification and of urgency do not matter.
    pub(crate) const fn is_opening(flags: u8) -> bool {
        flags & (FIN | SYN | RST | ACK) == SYN
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) source: [u8; 16],
    pub(crate) dest: [u8; 16],
    /// `None` also for a packet that is its own only fragment.
    pub(crate) fragment: Option<Fragment>,
    pub(crate) upper: Upper,
    /// Where the upper layer begins.
    pub(crate) upper_at: usize,
}

/// Part of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) id: u32,
    /// First byte of the part, in bytes.
    pub(crate) offset: u32,
    /// First byte behind it.
    pub(crate) end: u32,
    /// Whether others follow.
    pub(crate) more: bool,
}

/// The upper layer of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upper {
    Tcp {
        source: u16,
        dest: u16,
        flags: u8,
    },
    Udp {
        source: u16,
        dest: u16,
    },
    EchoRequest(u16),
    EchoReply(u16),
    /// An ICMPv6 error; the packet that caused it follows.
    Error,
    /// Any other ICMPv6 message.
    Confined,
    /// Any other protocol.
    Other(u8),
    /// A later fragment, which does not show it.
    Unseen,
}

/// How much of a packet there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    /// As much of it as an ICMPv6 error quotes.
    Quote,
}

/// Takes a whole packet apart.
///
/// # Errors
/// It is to be dropped for this reason.
pub(crate) fn parse(packet: &[u8]) -> Result<Header, Reason> {
    let (source, dest) = ipv6::endpoints(packet).map_err(|_| Reason::NotIpv6)?;
    let len = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    if len != packet.len() - HEADER_LEN {
        let is_jumbo = len == 0 && packet[6] == NEXT_HOP_BY_HOP;
        return Err(if is_jumbo { Reason::Jumbogram } else { Reason::Malformed });
    }
    walk(packet, source, dest, Extent::Whole)
}

/// Takes apart what an error quotes; `None` when that does not show a flow.
pub(crate) fn parse_quote(quote: &[u8]) -> Option<Header> {
    let (source, dest) = ipv6::endpoints(quote).ok()?;
    walk(quote, source, dest, Extent::Quote).ok()
}

fn walk(packet: &[u8], source: [u8; 16], dest: [u8; 16], extent: Extent) -> Result<Header, Reason> {
    let mut fragment = None;
    // What it means that the packet ends too early.
    let mut short = Reason::Malformed;
    let (mut next, mut at) = (packet[6], HEADER_LEN);
    for count in 0.. {
        let is_extension =
            matches!(next, NEXT_HOP_BY_HOP | NEXT_ROUTING | NEXT_FRAGMENT | NEXT_DESTINATION);
        if !is_extension {
            break;
        }
        if next == NEXT_ROUTING {
            return Err(Reason::RoutingHeader);
        }
        if count == EXTENSIONS_MAX {
            return Err(Reason::Extensions);
        }
        let [following, units] = *packet.get(at..).and_then(<[u8]>::first_chunk).ok_or(short)?;
        let len = match next {
            NEXT_FRAGMENT => FRAGMENT_LEN,
            _ => (usize::from(units) + 1) * 8,
        };
        if at + len - HEADER_LEN > EXTENSION_BYTES_MAX {
            return Err(Reason::Extensions);
        }
        let header = packet.get(at..at + len).ok_or(short)?;
        match next {
            NEXT_HOP_BY_HOP if at != HEADER_LEN => return Err(Reason::Malformed),
            NEXT_HOP_BY_HOP if has_jumbo_option(&header[2..]) => return Err(Reason::Jumbogram),
            NEXT_FRAGMENT if fragment.is_some() => return Err(Reason::Malformed),
            NEXT_FRAGMENT => {
                let part = Fragment::parse(header, packet.len() - at - len, extent)?;
                if part.offset > 0 {
                    let fragment = Some(part);
                    return Ok(Header {
                        source,
                        dest,
                        fragment,
                        upper: Upper::Unseen,
                        upper_at: at + len,
                    });
                }
                fragment = Some(part);
                short = if part.more { Reason::FragmentTiny } else { short };
            }
            _ => {}
        }
        (next, at) = (following, at + len);
    }
    let upper = upper(next, &packet[at..], extent).ok_or(short)?;
    let fragment = fragment.filter(|part| part.more);
    Ok(Header { source, dest, fragment, upper, upper_at: at })
}

impl Fragment {
    /// A fragment header, and how many bytes follow it.
    fn parse(header: &[u8], len: usize, extent: Extent) -> Result<Self, Reason> {
        let field = u16::from_be_bytes([header[2], header[3]]);
        let offset = usize::from(field & !7);
        let more = field & 1 != 0;
        if extent == Extent::Whole {
            let is_whole =
                if more { len > 0 && len.is_multiple_of(8) } else { len > 0 || offset == 0 };
            if !is_whole || offset + len > REASSEMBLED_MAX {
                return Err(Reason::Malformed);
            }
        }
        let id = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let bytes = |count: usize| u32::try_from(count).map_err(|_| Reason::Malformed);
        Ok(Self { id, offset: bytes(offset)?, end: bytes(offset + len)?, more })
    }
}

/// Whether hop-by-hop options have a jumbo payload among them. Options that run over the end hide
/// nothing: the receiver refuses them.
fn has_jumbo_option(mut options: &[u8]) -> bool {
    while let [kind, rest @ ..] = options {
        options = match (kind, rest) {
            (&OPTION_JUMBO, _) => return true,
            // One byte of padding.
            (0, rest) => rest,
            (_, [len, rest @ ..]) => rest.get(usize::from(*len)..).unwrap_or_default(),
            _ => return false,
        };
    }
    false
}

/// The upper layer, or `None` if it is cut short or its own lengths disagree.
fn upper(next: u8, bytes: &[u8], extent: Extent) -> Option<Upper> {
    let word = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let whole = extent == Extent::Whole;
    match next {
        NEXT_TCP => {
            let (source, dest) = (word(0)?, word(2)?);
            if whole && !(TCP_LEN..=bytes.len()).contains(&tcp_header_len(bytes)?) {
                return None;
            }
            // A quote need not show the flags, and nothing is decided on them.
            let flags = bytes.get(13).copied().unwrap_or(0);
            Some(Upper::Tcp { source, dest, flags })
        }
        NEXT_UDP => {
            let (source, dest) = (word(0)?, word(2)?);
            (!whole || bytes.len() >= UDP_LEN).then_some(Upper::Udp { source, dest })
        }
        NEXT_ICMP => {
            if whole && bytes.len() < ICMP_LEN {
                return None;
            }
            Some(match *bytes.first()? {
                ICMP_ECHO_REQUEST => Upper::EchoRequest(word(4)?),
                ICMP_ECHO_REPLY => Upper::EchoReply(word(4)?),
                kind if ICMP_ERRORS.contains(&kind) => Upper::Error,
                _ => Upper::Confined,
            })
        }
        other => Some(Upper::Other(other)),
    }
}

/// The checksum of the internet over `bytes`, to which `more` is added: a pseudo-header.
pub(crate) fn sum(more: u32, bytes: &[u8]) -> u16 {
    let mut sum = more;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Length of the TCP header at the beginning of `segment`, options included, as it says itself.
pub(crate) fn tcp_header_len(segment: &[u8]) -> Option<usize> {
    segment.get(12).map(|byte| usize::from(byte >> 4) * 4)
}
