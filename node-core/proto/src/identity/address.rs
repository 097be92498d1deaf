//! IPv6 addresses and subnets of nodes, and the partial keys that can be read off them.
//!
//! Source: protocol chapters 1.2 to 1.6.

use core::fmt;
use std::net::Ipv6Addr;

use super::{KEY_LEN, NodeKey};

/// First byte of a node's address.
const ADDRESS_TAG: u8 = 0x02;
/// First byte of a node's subnet.
const SUBNET_TAG: u8 = 0x03;

/// The address of one node, inside `200::/8`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 16]);

/// The /64 routed to one node, inside `300::/8`: the first eight bytes of its addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet([u8; 8]);

/// Leading bits of a key followed by ones. Not a curve point; only a search target and Bloom filter
/// input.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartialKey([u8; KEY_LEN]);

impl Address {
    /// The address that belongs to `key`.
    #[must_use]
    pub fn of(key: &NodeKey) -> Self {
        let key = key.as_bytes();
        let zeros = key.iter().take_while(|byte| **byte == 0).count() * 8;
        let zeros = zeros + key.get(zeros / 8).map_or(0, |byte| byte.leading_zeros() as usize);
        let mut bytes = [0; 16];
        bytes[0] = ADDRESS_TAG;
        // 256 leading zeros, the all-zero key, wrap to 0.
        bytes[1] = (zeros % 256) as u8;
        // The bits behind the first one bit, complemented; only whole octets are emitted.
        let first = zeros + 1;
        for (index, byte) in bytes[2..].iter_mut().enumerate() {
            let from = first + index * 8;
            if from + 8 > KEY_LEN * 8 {
                break;
            }
            *byte = !octet_at(key, from);
        }
        Self(bytes)
    }

    /// Takes an IPv6 address for a node's, if it lies in `200::/8`.
    #[must_use]
    pub fn from_ipv6(address: Ipv6Addr) -> Option<Self> {
        let bytes = address.octets();
        (bytes[0] == ADDRESS_TAG).then_some(Self(bytes))
    }

    /// The address in its usual form.
    #[must_use]
    pub const fn to_ipv6(self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.0)
    }

    /// The address's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// What the address tells about its key (chapter 1.4).
    #[must_use]
    pub fn partial_key(&self) -> PartialKey {
        PartialKey::recover(&self.0)
    }
}

impl Subnet {
    /// The subnet that belongs to `key`.
    #[must_use]
    pub fn of(key: &NodeKey) -> Self {
        let address = Address::of(key).0;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&address[..8]);
        bytes[0] = SUBNET_TAG;
        Self(bytes)
    }

    /// The subnet that an IPv6 address lies in, if that is inside `300::/8`.
    #[must_use]
    pub fn containing(address: Ipv6Addr) -> Option<Self> {
        let octets = address.octets();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&octets[..8]);
        (bytes[0] == SUBNET_TAG).then_some(Self(bytes))
    }

    /// The first address of the subnet.
    #[must_use]
    pub fn to_ipv6(self) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&self.0);
        Ipv6Addr::from(octets)
    }

    /// The subnet's eight bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// What the subnet tells about its key (chapter 1.4).
    #[must_use]
    pub fn partial_key(&self) -> PartialKey {
        PartialKey::recover(&self.to_ipv6().octets())
    }
}

impl PartialKey {
    /// Undoes the address mapping; bits that the address does not show become ones.
    fn recover(address: &[u8; 16]) -> Self {
        let zeros = usize::from(address[1]);
        let mut inverse = [0_u8; KEY_LEN];
        for bit in 0..zeros.min(KEY_LEN * 8) {
            inverse[bit / 8] |= 0x80 >> (bit % 8);
        }
        for bit in 0..112 {
            let target = zeros + 1 + bit;
            if target >= KEY_LEN * 8 {
                break;
            }
            let shown = address[2 + bit / 8] & (0x80 >> (bit % 8)) != 0;
            if shown {
                inverse[target / 8] |= 0x80 >> (target % 8);
            }
        }
        Self(inverse.map(|byte| !byte))
    }

    /// The bytes, as they travel in a lookup.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The same bytes in a field that holds full or partial keys.
    #[must_use]
    pub const fn as_key(&self) -> NodeKey {
        NodeKey::from_bytes(self.0)
    }
}

/// The eight bits of `key` that begin at bit `from`; the caller keeps `from + 8` within the key.
fn octet_at(key: &[u8; KEY_LEN], from: usize) -> u8 {
    let high = u16::from(key[from / 8]) << 8;
    let low = u16::from(*key.get(from / 8 + 1).unwrap_or(&0));
    // Shifted so that the wanted octet is the high byte.
    (((high | low) << (from % 8)) >> 8) as u8
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ipv6().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/64", self.to_ipv6())
    }
}

impl fmt::Debug for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for PartialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartialKey({:?})", self.as_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_keys_wrap_and_pad_as_the_corner_cases_say() {
        let zero = NodeKey::from_bytes([0; 32]);
        assert_eq!(zero.address().as_bytes()[..2], [0x02, 0]);
        let mut tail = [0; 32];
        tail[31] = 1;
        let address = NodeKey::from_bytes(tail).address();
        assert_eq!(address.as_bytes()[1], 255);
        assert_eq!(address.as_bytes()[2..], [0; 14]);
    }

    #[test]
    fn only_the_own_prefixes_are_accepted() {
        assert!(Address::from_ipv6("300::1".parse().unwrap()).is_none());
        assert!(Subnet::containing("200::1".parse().unwrap()).is_none());
        assert!(Address::from_ipv6("200::1".parse().unwrap()).is_some());
        assert!(Subnet::containing("300::1".parse().unwrap()).is_some());
    }

    proptest::proptest! {
        #[test]
        fn transform_is_idempotent_and_agrees_on_all_forms(bytes: [u8; 32]) {
            let key = NodeKey::from_bytes(bytes);
            let transformed = key.transform();
            proptest::prop_assert_eq!(transformed.as_key().transform(), transformed);
            for partial in [key.address().partial_key(), key.subnet().partial_key()] {
                proptest::prop_assert_eq!(partial.as_key().transform(), transformed);
            }
        }
    }
}
