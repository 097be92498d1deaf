//! IPv6 packets at the edge of the network: what may pass, and the few ICMPv6 messages that a node
//! writes itself.
//!
//! All functions are pure and look at no more than the fixed header, except where they say so.
//!
//! Source: protocol chapters 8.2, 8.3 and 8.5; RFC 4443.

use std::net::Ipv6Addr;

use thiserror::Error;

use crate::identity::{Address, NodeKey, Subnet};

/// Length of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Next-header number of ICMPv6.
pub const NEXT_ICMP: u8 = 58;
/// How much of an offending packet an error quotes.
const QUOTE_LEN: usize = 512;

const ICMP_TOO_BIG: u8 = 2;
const ICMP_ECHO_REQUEST: u8 = 128;
const ICMP_ECHO_REPLY: u8 = 129;

/// What a packet's destination asks to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The node with this address.
    Address(Address),
    /// The node with this subnet.
    Subnet(Subnet),
}

impl Target {
    /// What `address` asks to find, if it belongs to the network.
    #[must_use]
    pub fn of(address: Ipv6Addr) -> Option<Self> {
        Address::from_ipv6(address)
            .map(Self::Address)
            .or_else(|| Subnet::containing(address).map(Self::Subnet))
    }

    /// The search target of a lookup (chapter 1.6).
    #[must_use]
    pub fn search_key(&self) -> NodeKey {
        match self {
            Self::Address(address) => address.partial_key().as_key(),
            Self::Subnet(subnet) => subnet.partial_key().as_key(),
        }
    }
}

/// Why a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PacketError {
    /// Shorter than a header, or not version 6.
    #[error("not an IPv6 packet")]
    NotIpv6,
    /// The source is not the sender's.
    #[error("source address does not belong to the sender")]
    ForeignSource,
    /// The destination is not in the network, or not here.
    #[error("destination address does not belong here")]
    ForeignDestination,
}

/// The addresses of one node: what it may send from and receive at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Territory {
    /// Its address.
    pub address: Address,
    /// Its subnet.
    pub subnet: Subnet,
}

impl Territory {
    /// The addresses that belong to `key`.
    #[must_use]
    pub fn of(key: &NodeKey) -> Self {
        Self { address: key.address(), subnet: key.subnet() }
    }

    /// Whether the node owns `address`.
    #[must_use]
    pub fn contains(&self, address: &[u8; 16]) -> bool {
        self.address.as_bytes() == address || self.subnet.as_bytes()[..] == address[..8]
    }
}

/// Source and destination of a packet, after a look at version and length.
///
/// # Errors
/// [`PacketError::NotIpv6`].
pub fn endpoints(packet: &[u8]) -> Result<([u8; 16], [u8; 16]), PacketError> {
    if packet.len() < HEADER_LEN || packet[0] >> 4 != 6 {
        return Err(PacketError::NotIpv6);
    }
    let (mut source, mut dest) = ([0; 16], [0; 16]);
    source.copy_from_slice(&packet[8..24]);
    dest.copy_from_slice(&packet[24..40]);
    Ok((source, dest))
}

/// Checks a packet on its way into the network and tells what to find (chapter 8.2).
///
/// # Errors
/// The packet is to be dropped.
pub fn check_outbound(packet: &[u8], own: &Territory) -> Result<Target, PacketError> {
    let (source, dest) = endpoints(packet)?;
    if !own.contains(&source) {
        return Err(PacketError::ForeignSource);
    }
    Target::of(Ipv6Addr::from(dest)).ok_or(PacketError::ForeignDestination)
}

/// Checks a packet that came out of a session with the node that owns `sender` (chapter 8.3, rules
/// 1, 3 and 5).
///
/// # Errors
/// The packet is to be dropped.
pub fn check_inbound(
    packet: &[u8],
    own: &Territory,
    sender: &Territory,
) -> Result<(), PacketError> {
    let (source, dest) = endpoints(packet)?;
    if !own.contains(&dest) {
        return Err(PacketError::ForeignDestination);
    }
    if !sender.contains(&source) {
        return Err(PacketError::ForeignSource);
    }
    Ok(())
}

/// The answer to a packet that is larger than the interface (chapter 8.5); `None` unless the packet
/// was for the own address.
#[must_use]
pub fn packet_too_big(packet: &[u8], own: &Address, mtu: u32) -> Option<Vec<u8>> {
    let (source, dest) = endpoints(packet).ok()?;
    if dest != *own.as_bytes() {
        return None;
    }
    let quote = &packet[..packet.len().min(QUOTE_LEN)];
    let mut body = Vec::with_capacity(4 + quote.len());
    body.extend_from_slice(&mtu.to_be_bytes());
    body.extend_from_slice(quote);
    Some(icmp(&dest, &source, ICMP_TOO_BIG, 255, &body))
}

/// One ICMPv6 echo message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Whether it asks, or answers.
    pub request: bool,
    /// Chosen by who asks.
    pub identifier: u16,
    /// Counts the questions.
    pub sequence: u16,
}

impl Echo {
    /// Looks whether a packet is an echo message without extension headers and with a good
    /// checksum.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (source, dest) = endpoints(packet).ok()?;
        let message = &packet[HEADER_LEN..];
        if packet[6] != NEXT_ICMP || message.len() < 8 || message[1] != 0 {
            return None;
        }
        let request = match message[0] {
            ICMP_ECHO_REQUEST => true,
            ICMP_ECHO_REPLY => false,
            _ => return None,
        };
        if usize::from(u16::from_be_bytes([packet[4], packet[5]])) != message.len()
            || checksum(&source, &dest, message) != 0
        {
            return None;
        }
        Some(Self {
            request,
            identifier: u16::from_be_bytes([message[4], message[5]]),
            sequence: u16::from_be_bytes([message[6], message[7]]),
        })
    }

    /// The packet that carries this message.
    #[must_use]
    pub fn emit(&self, source: &[u8; 16], dest: &[u8; 16], payload: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(4 + payload.len());
        body.extend_from_slice(&self.identifier.to_be_bytes());
        body.extend_from_slice(&self.sequence.to_be_bytes());
        body.extend_from_slice(payload);
        let kind = if self.request { ICMP_ECHO_REQUEST } else { ICMP_ECHO_REPLY };
        icmp(source, dest, kind, 64, &body)
    }

    /// The answer to an echo request, with the request's payload.
    #[must_use]
    pub fn reply_to(packet: &[u8]) -> Option<Vec<u8>> {
        let echo = Self::parse(packet).filter(|echo| echo.request)?;
        let (source, dest) = endpoints(packet).ok()?;
        let payload = &packet[HEADER_LEN + 8..];
        Some(Self { request: false, ..echo }.emit(&dest, &source, payload))
    }
}

fn icmp(source: &[u8; 16], dest: &[u8; 16], kind: u8, hop_limit: u8, body: &[u8]) -> Vec<u8> {
    let len = 4 + body.len();
    let mut packet = Vec::with_capacity(HEADER_LEN + len);
    packet.extend_from_slice(&[0x60, 0, 0, 0]);
    // Bodies here are at most a packet of 65,535 bytes less its header.
    packet.extend_from_slice(&(len as u16).to_be_bytes());
    packet.extend_from_slice(&[NEXT_ICMP, hop_limit]);
    packet.extend_from_slice(source);
    packet.extend_from_slice(dest);
    packet.extend_from_slice(&[kind, 0, 0, 0]);
    packet.extend_from_slice(body);
    let sum = checksum(source, dest, &packet[HEADER_LEN..]);
    packet[HEADER_LEN + 2..HEADER_LEN + 4].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Internet checksum of an ICMPv6 message with its pseudo-header; zero over a message that carries
/// a good one.
fn checksum(source: &[u8; 16], dest: &[u8; 16], message: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u64 {
        bytes
            .chunks(2)
            .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low)))
            .sum()
    };
    let mut sum =
        words(source) + words(dest) + message.len() as u64 + u64::from(NEXT_ICMP) + words(message);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn key(seed: u8) -> NodeKey {
        Identity::from_seed(&[seed; 32]).key()
    }

    #[test]
    fn only_own_sources_go_out_and_only_to_the_network() {
        let (own, far) = (Territory::of(&key(1)), Territory::of(&key(2)));
        let packet = |source: [u8; 16], dest: [u8; 16]| {
            Echo { request: true, identifier: 1, sequence: 1 }.emit(&source, &dest, &[])
        };
        let mut host = far.subnet.to_ipv6().octets();
        host[15] = 9;
        let to_address = packet(*own.address.as_bytes(), *far.address.as_bytes());
        assert_eq!(check_outbound(&to_address, &own), Ok(Target::Address(far.address)));
        let to_subnet = packet(*own.address.as_bytes(), host);
        assert_eq!(check_outbound(&to_subnet, &own), Ok(Target::Subnet(far.subnet)));
        let spoofed = packet(*far.address.as_bytes(), *far.address.as_bytes());
        assert_eq!(check_outbound(&spoofed, &own), Err(PacketError::ForeignSource));
        let outside = packet(*own.address.as_bytes(), [0xfe; 16]);
        assert_eq!(check_outbound(&outside, &own), Err(PacketError::ForeignDestination));
        assert_eq!(check_outbound(&to_address[..39], &own), Err(PacketError::NotIpv6));
        assert_eq!(check_outbound(&[0x45; 60], &own), Err(PacketError::NotIpv6));

        assert_eq!(check_inbound(&to_address, &far, &own), Ok(()));
        assert_eq!(check_inbound(&to_subnet, &far, &own), Ok(()));
        assert_eq!(check_inbound(&to_address, &own, &own), Err(PacketError::ForeignDestination));
        let other = Territory::of(&key(3));
        assert_eq!(check_inbound(&to_address, &far, &other), Err(PacketError::ForeignSource));
    }

    #[test]
    fn echoes_are_answered_with_their_payload() {
        let (a, b) = (key(1).address(), key(2).address());
        let echo = Echo { request: true, identifier: 7, sequence: 8 };
        let request = echo.emit(a.as_bytes(), b.as_bytes(), b"odd");
        assert_eq!(Echo::parse(&request), Some(echo));
        let reply = Echo::reply_to(&request).unwrap();
        assert_eq!(Echo::parse(&reply), Some(Echo { request: false, ..echo }));
        assert_eq!(reply[HEADER_LEN + 8..], *b"odd");
        assert_eq!(Echo::reply_to(&reply), None);
        let mut bad = request;
        bad[HEADER_LEN + 9] ^= 1;
        assert_eq!(Echo::parse(&bad), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>) {
            let own = Territory::of(&NodeKey::from_bytes([1; 32]));
            let _ = check_outbound(&bytes, &own);
            let _ = check_inbound(&bytes, &own, &own);
            let _ = packet_too_big(&bytes, &own.address, 1280);
            let _ = Echo::reply_to(&bytes);
        }
    }
}
