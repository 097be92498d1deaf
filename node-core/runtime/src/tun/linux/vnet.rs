//! The ten bytes of virtio's header that stand before a packet and say what is left to do to it.
//!
//! ```text
//!   flags u8 | what to cut it into u8 | header length u16 | segment size u16
//!            | where to begin to sum up u16 | where the checksum is, from there, u16
//! ```
//!
//! Numbers are in the order of this machine. Source: linux/virtio_net.h, Virtual I/O Device 1.2
//! section 5.1.6.

use std::num::NonZeroU16;

use crate::offload::{Kind, Offload, Segments, Transport, Unfit, finish_at};

pub(super) const HEADER_LEN: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;

const CUT_NOTHING: u8 = 0;
const CUT_TCP: u8 = 4;
const CUT_UDP: u8 = 5;
/// A flag beside [`CUT_TCP`]: the first segment alone says that congestion was answered.
const CUT_ECN: u8 = 0x80;

/// TCP's flag that a report of congestion was answered, and the byte in which it is.
const TCP_FLAGS_AT: usize = 13;
const TCP_CWR: u8 = 0x80;

/// What the system left to do to `packet`. What [`Offload`] cannot say is done at once: a checksum
/// in any other place than that of TCP or UDP, such as one of a packet inside a packet.
///
/// # Errors
/// [`Unfit`] for what the system was not told that it may leave to us.
pub(super) fn parse(header: [u8; HEADER_LEN], packet: &mut [u8]) -> Result<Offload, Unfit> {
    let number = |at| u16::from_ne_bytes([header[at], header[at + 1]]);
    let needs_checksum = header[0] & NEEDS_CHECKSUM != 0;
    let (start, offset) = (usize::from(number(6)), usize::from(number(8)));
    let kind = match header[1] & !CUT_ECN {
        CUT_NOTHING if !needs_checksum => return Ok(Offload::None),
        CUT_NOTHING => None,
        CUT_TCP => Some(Kind::Tcp),
        CUT_UDP => Some(Kind::Udp),
        _ => return Err(Unfit),
    };
    let transport = Transport::of(packet, packet.len());
    let is_there = |found: &Transport| (found.at, found.kind.checksum_at()) == (start, offset);
    let transport = transport.filter(|found| needs_checksum && is_there(found));
    match (kind, transport) {
        (None, None) => finish_at(packet, start, offset).map(|()| Offload::None),
        (None, Some(_)) => Ok(Offload::Checksum),
        (Some(kind), Some(transport)) if kind == transport.kind => {
            let size = NonZeroU16::new(number(4)).ok_or(Unfit)?;
            let is_one = packet.len() - transport.payload <= usize::from(size.get());
            let segments = Offload::Segments(Segments { kind, size });
            Ok(if is_one { Offload::Checksum } else { segments })
        }
        (Some(_), _) => Err(Unfit),
    }
}

/// The header before a packet of `len` bytes of which `head` has at least the headers.
///
/// # Errors
/// [`Unfit`] when that cannot be left to the system.
pub(super) fn emit(offload: Offload, head: &[u8], len: usize) -> Result<[u8; HEADER_LEN], Unfit> {
    let mut header = [0; HEADER_LEN];
    if offload == Offload::None {
        return Ok(header);
    }
    let transport = Transport::fitting(head, len, offload)?;
    header[0] = NEEDS_CHECKSUM;
    let mut size = 0;
    if let Some(segments) = offload.segments() {
        header[1] = match segments.kind {
            Kind::Tcp if head[transport.at + TCP_FLAGS_AT] & TCP_CWR != 0 => CUT_TCP | CUT_ECN,
            Kind::Tcp => CUT_TCP,
            Kind::Udp => CUT_UDP,
        };
        size = segments.size.get();
    }
    let checksum_at = transport.kind.checksum_at();
    let places = [transport.payload, transport.at, checksum_at].map(u16::try_from);
    let [Ok(payload), Ok(start), Ok(offset)] = places else { return Err(Unfit) };
    let numbers = [payload, size, start, offset].map(u16::to_ne_bytes);
    header[2..].copy_from_slice(numbers.as_flattened());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv6 packet of UDP, or TCP without options, with `payload` bytes.
    fn packet(kind: Kind, payload: usize) -> Vec<u8> {
        let header = match kind {
            Kind::Tcp => 20,
            Kind::Udp => 8,
        };
        let mut packet = vec![0; 40 + header + payload];
        let len = ((header + payload) as u16).to_be_bytes();
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&len);
        packet[6] = kind.number();
        match kind {
            Kind::Tcp => packet[52] = 5 << 4,
            Kind::Udp => packet[44..46].copy_from_slice(&len),
        }
        packet
    }

    fn header(flags: u8, cut: u8, numbers: [u16; 4]) -> [u8; HEADER_LEN] {
        let mut header = [flags, cut, 0, 0, 0, 0, 0, 0, 0, 0];
        header[2..].copy_from_slice(numbers.map(u16::to_ne_bytes).as_flattened());
        header
    }

    fn segments(kind: Kind, size: u16) -> Offload {
        Offload::Segments(Segments { kind, size: NonZeroU16::new(size).unwrap() })
    }

    #[test]
    fn what_is_left_to_do_is_told_both_ways() {
        let (tcp, udp) = (packet(Kind::Tcp, 3_000), packet(Kind::Udp, 3_000));
        let cases = [
            (&tcp, header(0, 0, [0; 4]), Offload::None),
            (&tcp, header(1, 0, [60, 0, 40, 16]), Offload::Checksum),
            (&udp, header(1, 0, [48, 0, 40, 6]), Offload::Checksum),
            (&tcp, header(1, 4, [60, 1_200, 40, 16]), segments(Kind::Tcp, 1_200)),
            (&udp, header(1, 5, [48, 1_200, 40, 6]), segments(Kind::Udp, 1_200)),
        ];
        for (packet, bytes, offload) in cases {
            assert_eq!(parse(bytes, &mut packet.clone()), Ok(offload));
            assert_eq!(emit(offload, packet, packet.len()), Ok(bytes));
            assert_eq!(emit(offload, &packet[..60], packet.len()), Ok(bytes), "the head is enough");
        }
    }

    #[test]
    fn an_answer_to_congestion_is_told_to_the_system() {
        let mut packet = packet(Kind::Tcp, 3_000);
        packet[53] = TCP_CWR;
        let header = emit(segments(Kind::Tcp, 1_000), &packet, packet.len()).unwrap();
        assert_eq!(header[1], CUT_TCP | CUT_ECN);
        assert_eq!(parse(header, &mut packet), Ok(segments(Kind::Tcp, 1_000)));
    }

    #[test]
    fn a_packet_of_one_segment_is_not_to_be_cut() {
        let bytes = header(1, 4, [60, 1_200, 40, 16]);
        assert_eq!(parse(bytes, &mut packet(Kind::Tcp, 1_200)), Ok(Offload::Checksum));
    }

    #[test]
    fn a_checksum_anywhere_else_is_completed_at_once() {
        // A packet of UDP within one of an unknown protocol.
        let inner = packet(Kind::Udp, 5);
        let mut outer = packet(Kind::Udp, 1_000);
        outer[6] = 41;
        outer[200..200 + inner.len()].copy_from_slice(&inner);
        let bytes = header(1, 0, [0, 0, 240, 6]);
        let before = outer.clone();
        assert_eq!(parse(bytes, &mut outer), Ok(Offload::None));
        assert_ne!(outer[246..248], before[246..248]);
        assert_eq!((&outer[..246], &outer[248..]), (&before[..246], &before[248..]));
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        let tcp = packet(Kind::Tcp, 3_000);
        let wrong = [
            // Fragments of UDP, IPv4, nothing that there is.
            header(1, 3, [60, 1_200, 40, 16]),
            header(1, 1, [60, 1_200, 40, 16]),
            header(1, 0x7f, [60, 1_200, 40, 16]),
            // Datagrams of TCP, segments of no size, a checksum that is complete.
            header(1, 5, [60, 1_200, 40, 16]),
            header(1, 4, [60, 0, 40, 16]),
            header(0, 4, [60, 1_200, 40, 16]),
            // Checksums elsewhere, or outside.
            header(1, 4, [60, 1_200, 60, 16]),
            header(1, 0, [60, 0, 3_059, 0]),
            header(1, 0, [60, 0, u16::MAX, u16::MAX]),
        ];
        for bytes in wrong {
            assert_eq!(parse(bytes, &mut tcp.clone()), Err(Unfit), "{bytes:?}");
        }
        // Cut short on its way to us.
        let bytes = header(1, 4, [60, 1_200, 40, 16]);
        assert_eq!(parse(bytes, &mut tcp[..2_000].to_vec()), Err(Unfit));
    }

    #[test]
    fn what_another_node_says_is_not_passed_on_unseen() {
        let (tcp, udp) = (packet(Kind::Tcp, 60_000), packet(Kind::Udp, 60_000));
        let wrong = [
            (&tcp[..], segments(Kind::Udp, 1_000)),
            (&udp, segments(Kind::Tcp, 1_000)),
            (&udp, segments(Kind::Udp, 1)),
            (&tcp, segments(Kind::Tcp, 1)),
            (&tcp[..39], Offload::Checksum),
            (b"", Offload::Checksum),
        ];
        for (packet, offload) in wrong {
            assert_eq!(emit(offload, packet, packet.len()), Err(Unfit), "{offload:?}");
        }
        assert_eq!(emit(Offload::Checksum, &tcp, tcp.len() + 1), Err(Unfit));
        let mut other = tcp.clone();
        other[6] = 58;
        assert_eq!(emit(Offload::Checksum, &other, other.len()), Err(Unfit));
    }
}
