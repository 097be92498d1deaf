//! The primitives of the protocol, each a thin wrapper around a reviewed crate.
//!
//! Nothing here decides anything: signature acceptance follows chapter 1.1 to the letter, because
//! nodes that disagree on it close each other's links. Secrets are wiped on drop and have no
//! `Debug`.

mod exchange;

use core::{fmt, hint::black_box};

use blake2::digest::{KeyInit, Mac};
use blake2::{Blake2b512, Blake2bMac512, Digest};
use ed25519_dalek::{Verifier, VerifyingKey};
pub(crate) use exchange::{BoxSecret, ExchangeKey, ExchangeSecret, box_open, box_seal};
use sha2::Sha256;

use crate::identity::NodeKey;

/// Length of a signature in bytes.
pub(crate) const SIGNATURE_LEN: usize = 64;

/// An Ed25519 signature as received; it says nothing until verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_LEN]);

impl Signature {
    /// Takes 64 bytes for a signature.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SIGNATURE_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, `R || S`.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Cofactorless verification with canonical `S`, small-order keys included (chapter 1.1).
pub(crate) fn verify(key: &NodeKey, message: &[u8], signature: &Signature) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(key.as_bytes()) else {
        return false;
    };
    key.verify(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
}

/// `BLAKE2b-512(key = password, message)`, unkeyed for an empty password (chapter 2.7).
///
/// Returns `None` for a password beyond 64 bytes.
pub(crate) fn keyed_hash(password: &[u8], message: &[u8]) -> Option<[u8; 64]> {
    if password.is_empty() {
        return Some(Blake2b512::digest(message).into());
    }
    if password.len() > 64 {
        return None;
    }
    let mut mac = Blake2bMac512::new_from_slice(password).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().into())
}

/// Whether two secrets of one length are the same, in constant time.
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).map(|(a, b)| black_box(a ^ b));
    one.len() == other.len() && differences.fold(0, |all, difference| all | difference) == 0
}

/// SHA-256, used for the group secret only (chapter 7.3).
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        Digest::update(&mut hash, part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::unhex;

    const MESSAGE: &[u8] = b"planetary";

    /// Node A of the test vectors.
    const A: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
    /// A plus a point of order 8.
    const A_MIXED: &str = "b502ff3d92e31d8190b4aa4ea0414005167fad089c4de9dac8a2fc850fed4f58";
    /// The neutral point, y = 1.
    const NEUTRAL: &str = "0100000000000000000000000000000000000000000000000000000000000000";
    const NEUTRAL_SIGNED: &str = "0100000000000000000000000000000000000000000000000000000000000080";
    /// The same y, written as p + 1.
    const NEUTRAL_LONG: &str = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    /// A point of order 4, y = 0.
    const FOURTH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    /// The same y, written as p.
    const FOURTH_LONG: &str = "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    /// The point of order 2, y = -1 and x = 0, with the sign bit of x.
    const HALF_SIGNED: &str = "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    /// No x belongs to y = 2.
    const OFF_CURVE: &str = "0200000000000000000000000000000000000000000000000000000000000000";
    const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn accepts(key: &str, r: &str, s: &str) -> bool {
        let key: NodeKey = key.parse().unwrap();
        let signature: [u8; SIGNATURE_LEN] = [unhex(r), unhex(s)].concat().try_into().unwrap();
        key.verify(MESSAGE, &Signature::from_bytes(signature))
    }

    /// `R` and `S` of a signature by A.
    const HONEST: [&str; 2] = [
        "b31b20f50426242514d81b383548bd90de72fd0b8cf2382a88f9f52ce5076b23",
        "6b3592ed9010af128d56430c943da1efa9e84f2897127363d03961de2d97d709",
    ];

    #[test]
    fn an_s_beyond_the_group_order_is_refused() {
        let [r, s] = HONEST;
        assert!(accepts(A, r, s));
        let s_plus_order = "5809884aab73c16a63f33aaf72378004aae84f2897127363d03961de2d97d719";
        assert!(!accepts(A, r, s_plus_order));
        let s_changed = "6a3592ed9010af128d56430c943da1efa9e84f2897127363d03961de2d97d709";
        assert!(!accepts(A, r, s_changed));
    }

    /// All three pass when both sides of the equation are multiplied by 8.
    #[test]
    fn the_equation_has_no_cofactor() {
        let r_mixed = "186ed2bdbd1a36f6437c5168b0221914018ea4f32a1c3fcd1c1794d64fbd596e";
        let s = "dddaad58464b9e903923fefd733b18a74cab9c20c7997d7d55d0e7b6c0a4360d";
        assert!(!accepts(A, r_mixed, s));
        // The part of order 8 of the key counts as often as k says.
        let r = "cc6f54833d29b4a30aeba0d96015dbff5c5110960dde158957e2c68c6a89a569";
        let s = "b8649db2512b7e041f49f21cd732dbd57b933f556f22da7e32381ab06400bc0d";
        assert!(!accepts(A_MIXED, r, s));
        let r_of_k_that_8_divides =
            "0b2da2c671fed3e35f88a573386d4051050294530b2feb256f471628ee834bf5";
        let s = "ab14aaf87ede78ec6c1c009112a666517d04b5a38ecafd8814a1993a8cb7ec06";
        assert!(accepts(A_MIXED, r_of_k_that_8_divides, s));
    }

    #[test]
    fn keys_of_small_order_and_unusual_encodings_are_accepted_and_hashed_as_received() {
        let r = "93469f90227a7a2b01bda859c3731505db0f94f91bee7084f103e35e45158a3b";
        let s = "06d0f5fcbbc04b94ac51b3b7731d347cca5f7c7de33c16aafd4034b24994ab05";
        // For the latter two, the hash over another encoding of the key does not fit.
        let r_of_order_4 = "5ab9606fdd8585d4fe4257a63c8ceafa24f06b06e4118f7b0efc1ca1baea75c4";
        for (key, r) in [
            (NEUTRAL, r),
            (NEUTRAL_SIGNED, r),
            (NEUTRAL_LONG, r),
            (FOURTH, r),
            (FOURTH_LONG, r_of_order_4),
            (HALF_SIGNED, r),
        ] {
            assert!(accepts(key, r, s), "{key}");
            assert!(key.parse::<NodeKey>().unwrap().is_weak(), "{key}");
        }
        assert!(!accepts(FOURTH, r_of_order_4, s));
        assert!(!accepts(OFF_CURVE, NEUTRAL, ZERO));
    }

    #[test]
    fn an_unusual_encoding_of_r_is_refused() {
        assert!(accepts(NEUTRAL, NEUTRAL, ZERO));
        assert!(!accepts(NEUTRAL, NEUTRAL_LONG, ZERO));
        assert!(!accepts(NEUTRAL, NEUTRAL_SIGNED, ZERO));
    }
}
