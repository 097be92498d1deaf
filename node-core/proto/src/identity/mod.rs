//! Who a node is: an Ed25519 key pair, and the addresses that follow from the public half.
//!
//! [`NodeKey`] is 32 bytes that claim to be a public key; only a verified signature shows that
//! somebody holds the secret. [`Identity`] is the own key pair; its secret never leaves this crate
//! and has no `Debug`.
//!
//! Source: protocol chapter 1.

mod address;

use core::{fmt, str::FromStr};

pub use address::{Address, PartialKey, Subnet};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::{self, BoxSecret, ExchangeKey, Signature};

/// Length of a public key in bytes.
pub const KEY_LEN: usize = 32;

/// A node's public key, which is its name in the routing layer. Ordered as an unsigned big-endian
/// integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey([u8; KEY_LEN]);

impl NodeKey {
    /// Takes 32 bytes for a key. Any 32 bytes will do: the key is only as good as the signatures
    /// made with it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The node's own IPv6 address (chapter 1.2).
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of(self)
    }

    /// The /64 routed to the node (chapter 1.3).
    #[must_use]
    pub fn subnet(&self) -> Subnet {
        Subnet::of(self)
    }

    /// The key reduced to the bits that its subnet shows: `T` of chapter 1.5, the input of Bloom
    /// filters and lookups.
    #[must_use]
    pub fn transform(&self) -> PartialKey {
        self.subnet().partial_key()
    }

    /// Whether the key is a curve point of small order or none at all.
    ///
    /// For such keys a valid signature proves nothing, so announcements that name them are ignored
    /// (not an error of the neighbour, which relays them in good faith).
    #[must_use]
    pub fn is_weak(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).map_or(true, |key| key.is_weak())
    }

    /// Verifies `signature` over `message` by exactly the rules of chapter 1.1.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        crypto::verify(self, message, signature)
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first eight digits tell keys apart in tests and keep other people's full keys out of
        // logs.
        write!(f, "NodeKey({:02x}{:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// Why a text is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key is 64 hexadecimal digits")]
pub struct ParseKeyError;

impl FromStr for NodeKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let digits = text.as_bytes();
        if digits.len() != 2 * KEY_LEN {
            return Err(ParseKeyError);
        }
        let mut bytes = [0; KEY_LEN];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16).ok_or(ParseKeyError)?;
            let low = char::from(pair[1]).to_digit(16).ok_or(ParseKeyError)?;
            // Two hexadecimal digits fit a byte.
            *byte = (high << 4 | low) as u8;
        }
        Ok(Self(bytes))
    }
}

/// The own key pair.
#[derive(Clone)]
pub struct Identity {
    signing: SigningKey,
    exchange: BoxSecret,
    key: NodeKey,
}

impl Identity {
    /// The identity that grows from a 32-byte seed (RFC 8032).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(seed);
        let key = NodeKey(signing.verifying_key().to_bytes());
        Self { exchange: BoxSecret::of_node(seed), signing, key }
    }

    /// The public key.
    #[must_use]
    pub const fn key(&self) -> NodeKey {
        self.key
    }

    /// The secret seed, for writing it to the state folder and for the link certificate.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.signing.sign(message).to_bytes())
    }

    /// What this node and the one with the key `other` know and nobody else can: the X25519
    /// agreement of their long-lived keys, hashed as for a box (chapter 7.1). `None` for weak keys,
    /// with which anybody could know it. Costs some 40 µs.
    ///
    /// It is the same in both directions and for ever, so it is good for recognising something
    /// that both have, under a hash with a label, and for nothing that must stay secret when a key
    /// is lost. Sessions do not use it: they agree on keys of their own.
    #[must_use]
    pub fn pair_secret(&self, other: &NodeKey) -> Option<Zeroizing<[u8; 32]>> {
        if other.is_weak() {
            return None;
        }
        let other = ExchangeKey::of_node(other)?;
        Some(self.exchange.shared(&other).into_bytes())
    }

    /// The X25519 form of the secret key (chapter 7.1).
    pub(crate) const fn exchange(&self) -> &BoxSecret {
        &self.exchange
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_secret_and_no_other_pair_has_it() {
        let [a, b, c] = [1, 2, 3].map(|seed| Identity::from_seed(&[seed; 32]));
        let secret = a.pair_secret(&b.key()).unwrap();
        assert_eq!(b.pair_secret(&a.key()).unwrap(), secret);
        assert_ne!(a.pair_secret(&c.key()).unwrap(), secret);
        assert_ne!(c.pair_secret(&b.key()).unwrap(), secret);
        // y = 1, y = 0 and no point at all: anybody or nobody could agree with them.
        let no_point = [&[2][..], &[0; 31]].concat().try_into().unwrap();
        let neutral = [&[1][..], &[0; 31]].concat().try_into().unwrap();
        for weak in [neutral, [0; 32], no_point] {
            assert_eq!(a.pair_secret(&NodeKey::from_bytes(weak)), None);
        }
    }
}
