//! The primitives of the protocol, each a thin wrapper around a reviewed crate.
//!
//! Nothing here decides anything: signature acceptance follows chapter 1.1 to the letter, because
//! nodes that disagree on it close each other's links. Secrets are wiped on drop and have no
//! `Debug`.

mod exchange;

use core::fmt;

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

/// SHA-256, used for the group secret only (chapter 7.3).
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        Digest::update(&mut hash, part);
    }
    hash.finalize().into()
}
