//! Which of the two roads of a link a packet takes, where a link has two: the stream, in which
//! nothing is lost and everything behind a loss waits, or the lane beside it, on which each frame
//! is a datagram of its own.
//!
//! TCP takes the stream. A loss that it sees makes most of its kind send less, down to a hundredth
//! of what the line carries, and only its far end knows which kind it is; the link's own congestion
//! control knows better (decision 0025). All else was made for lines that lose, and would rather
//! lose a packet than wait for another one: UDP, ICMP, and acknowledgements of TCP that carry
//! nothing, each of which says all that those before it said.
//!
//! Only fast sessions put up with packets that overtake each other. Whoever passes a packet on
//! cannot look inside: it leaves over the kind of road that it came by. What does not fit into a
//! datagram takes the stream in any case.

use crate::offload::{Kind, Transport};

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Road {
    /// Behind all that was written before.
    #[default]
    Stream,
    /// Alone, if the link has a lane and the frame fits.
    Lane,
}

impl Road {
    /// The road of an IPv6 packet.
    pub(crate) fn of(packet: &[u8]) -> Self {
        match Transport::of(packet, packet.len()) {
            Some(transport) if transport.kind == Kind::Tcp => {
                let flags = packet.get(transport.at + FLAGS_AT).copied().unwrap_or(OPENS_OR_ENDS);
                let says_nothing_else = flags & OPENS_OR_ENDS == 0;
                let is_empty = transport.payload == packet.len();
                if is_empty && says_nothing_else { Self::Lane } else { Self::Stream }
            }
            _ => Self::Lane,
        }
    }
}

/// Where the flags are in a TCP header.
const FLAGS_AT: usize = 13;
/// SYN, FIN and RST: if one of them is lost, the connection waits for a second.
const OPENS_OR_ENDS: u8 = 0b111;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(next: u8, transport: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&(transport.len() as u16).to_be_bytes());
        packet[6] = next;
        packet.extend_from_slice(transport);
        packet
    }

    fn tcp(flags: u8, payload: usize) -> Vec<u8> {
        let mut header = [0; 20];
        header[12] = 5 << 4;
        header[FLAGS_AT] = flags;
        packet(6, &[&header[..], &vec![0; payload]].concat())
    }

    #[test]
    fn tcp_takes_the_stream_but_for_bare_acknowledgements() {
        const ACK: u8 = 0x10;
        assert_eq!(Road::of(&tcp(ACK, 0)), Road::Lane);
        assert_eq!(Road::of(&tcp(ACK, 1)), Road::Stream);
        assert_eq!(Road::of(&tcp(ACK, 60_000)), Road::Stream);
        for flag in [1, 2, 4] {
            assert_eq!(Road::of(&tcp(ACK | flag, 0)), Road::Stream, "flag {flag}");
        }
    }

    #[test]
    fn all_else_takes_the_lane() {
        let mut udp = [0; 30];
        udp[5] = 30;
        assert_eq!(Road::of(&packet(17, &udp)), Road::Lane);
        assert_eq!(Road::of(&packet(58, &[128; 64])), Road::Lane, "a ping");
        assert_eq!(Road::of(&packet(44, &[6; 64])), Road::Lane, "a fragment");
        // The far end judges these.
        assert_eq!(Road::of(&[]), Road::Lane);
        assert_eq!(Road::of(&packet(6, &[0; 10])), Road::Lane);
    }
}
