//! Questions as they come: in IPv6 packets of this machine to the address of the server.

use planetary_proto::upper::ipv6::{Echo, HEADER_LEN};

use super::{PORT, Zone};
use crate::filter::{
    Answer,
    headers::{self, UDP_LEN, Upper},
};

const NEXT_UDP: u8 = 17;
const HOP_LIMIT: u8 = 64;

impl Zone {
    /// The packet that goes back for one to [`server`](super::server), if any.
    ///
    /// Only this machine is answered: whatever does not come from its own address gets nothing.
    /// Questions come over UDP alone. A connection is refused with a reset, as other ports are,
    /// because nobody needs one: answers fit into a datagram, so none is cut short for want of
    /// room, and a program that asks over TCP all the same hears so at once. An echo is answered,
    /// so that `ping` tells whether the server is there.
    #[must_use]
    pub fn serve(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let header = headers::parse(packet).ok()?;
        if header.source != *self.own.address().as_bytes() || header.fragment.is_some() {
            return None;
        }
        match header.upper {
            Upper::Udp { source, dest: PORT } => {
                let datagram = packet.get(header.upper_at..)?;
                let len = u16::from_be_bytes(*datagram.get(4..)?.first_chunk()?);
                let question = datagram.get(UDP_LEN..usize::from(len))?;
                let answer = self.answer(question)?;
                Some(emit(header.dest, header.source, source, &answer))
            }
            Upper::EchoRequest(_) => Echo::reply_to(packet),
            _ => Some(Answer::to(packet)?.as_bytes().to_vec()),
        }
    }
}

/// A datagram from [`PORT`].
fn emit(source: [u8; 16], dest: [u8; 16], port: u16, data: &[u8]) -> Vec<u8> {
    // An answer has some hundred bytes.
    let len = (UDP_LEN + data.len()) as u16;
    let mut packet = Vec::with_capacity(HEADER_LEN + usize::from(len));
    packet.extend_from_slice(&[0x60, 0, 0, 0]);
    packet.extend_from_slice(&len.to_be_bytes());
    packet.extend_from_slice(&[NEXT_UDP, HOP_LIMIT]);
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&dest);
    for word in [PORT, port, len, 0] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    packet.extend_from_slice(data);
    // The pseudo-header is the addresses, the length and the protocol.
    let sum = headers::sum(u32::from(len) + u32::from(NEXT_UDP), &packet[8..]);
    // Zero would mean that there is none, which IPv6 does not allow.
    let sum = if sum == 0 { 0xffff } else { sum };
    packet[HEADER_LEN + 6..HEADER_LEN + 8].copy_from_slice(&sum.to_be_bytes());
    packet
}
