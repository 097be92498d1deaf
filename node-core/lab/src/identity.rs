//! Node identities for tests: repeatable keys, and the addresses that follow from them.
//!
//! The derivation of address and subnet is written here once more, apart from the node's own, so
//! that a scenario compares what a node says with a second opinion.

use std::fmt::Write;
use std::net::Ipv6Addr;

use ed25519_dalek::SigningKey;

/// An Ed25519 key pair. Keys of a lab are repeatable and worth nothing: never use one elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    seed: [u8; 32],
    public: [u8; 32],
}

impl Identity {
    /// The identity with this number.
    #[must_use]
    pub fn numbered(number: u16) -> Self {
        let mut seed = *b"a key for test grounds only .. 0";
        let [high, low] = number.to_be_bytes();
        (seed[30], seed[31]) = (seed[30] ^ high, low);
        let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
        Self { seed, public }
    }

    /// So many identities, the lowest public key first: that node becomes the root of the tree.
    #[must_use]
    pub fn ascending(count: u16) -> Vec<Self> {
        let mut all: Vec<Self> = (0..count).map(Self::numbered).collect();
        all.sort_by_key(|identity| identity.public);
        all
    }

    /// The public key as 64 lower-case hex digits.
    #[must_use]
    pub fn key(&self) -> String {
        hex(&self.public)
    }

    /// The address of the node, in `200::/8`.
    #[must_use]
    pub fn address(&self) -> Ipv6Addr {
        // No key of the lab is all zero.
        let first = self.public.iter().position(|octet| *octet != 0).unwrap_or(31);
        let leading = first * 8 + self.public[first].leading_zeros() as usize;
        let mut octets = [0_u8; 16];
        octets[0] = 0x02;
        octets[1] = leading as u8;
        for bit in 0..112 {
            let position = leading + 1 + bit;
            let inverted =
                position < 256 && self.public[position / 8] >> (7 - position % 8) & 1 == 0;
            octets[2 + bit / 8] |= u8::from(inverted) << (7 - bit % 8);
        }
        Ipv6Addr::from(octets)
    }

    /// An address inside the node's own /64, in `300::/8`.
    #[must_use]
    pub fn subnet_address(&self, host: u16) -> Ipv6Addr {
        let mut octets = self.address().octets();
        octets[0] = 0x03;
        octets[8..14].fill(0);
        octets[14..].copy_from_slice(&host.to_be_bytes());
        Ipv6Addr::from(octets)
    }

    /// The node's /64 as text.
    #[must_use]
    pub fn subnet(&self) -> String {
        format!("{}/64", self.subnet_address(0))
    }

    /// The private key as the reference's configuration has it: seed and public key, 128 hex
    /// digits.
    #[must_use]
    pub fn private_hex(&self) -> String {
        hex(&self.seed) + &self.key()
    }

    /// The private key as PKCS#8 in PEM.
    #[must_use]
    pub fn private_pem(&self) -> String {
        // Version 0, algorithm id-Ed25519 (1.3.101.112), an octet string in an octet string.
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend_from_slice(&self.seed);
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", base64(&der))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Base64 of a length that is a multiple of three, which 48 bytes of DER are: no padding needed.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = bytes.chunks_exact(3).flat_map(|group| {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize]))
    });
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Node A of the protocol's vectors: seed 00..1f.
    fn vector() -> Identity {
        let seed = std::array::from_fn(|index| index as u8);
        Identity { seed, public: SigningKey::from_bytes(&seed).verifying_key().to_bytes() }
    }

    #[test]
    fn keys_and_addresses_agree_with_the_vectors() {
        let key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        assert_eq!(vector().key(), key);
        assert_eq!(vector().address().to_string(), "206:2f7c:2006:18f7:a0f1:4791:738c:5a1f");
        assert_eq!(vector().subnet(), "306:2f7c:2006:18f7::/64");
        assert_eq!(vector().subnet_address(1).to_string(), "306:2f7c:2006:18f7::1");
        assert!(vector().private_hex().ends_with(key));
    }

    #[test]
    fn leading_zero_octets_are_counted() {
        let mut seed = [0; 32];
        seed[31] = 0x24;
        let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
        let address = Identity { seed, public }.address();
        assert_eq!(address.to_string(), "213:741:5bd4:c38b:3af5:5ca7:64e5:5f9a");
    }

    #[test]
    fn pem_agrees_with_the_vector() {
        let body = "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
        assert_eq!(vector().private_pem().lines().nth(1), Some(body));
    }

    #[test]
    fn ascending_identities_are_in_order_and_distinct() {
        let keys: Vec<String> = Identity::ascending(10).iter().map(Identity::key).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
