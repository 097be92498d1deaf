//! The hashes of circles, each a thin wrapper around a reviewed crate.

use blake2::digest::{KeyInit, Mac, consts::U32};
use blake2::{Blake2b, Blake2bMac, Digest};

/// `BLAKE2b-256` over the parts, one after the other.
pub(crate) fn blake2b_256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2b::<U32>::new();
    for part in parts {
        Digest::update(&mut hash, part);
    }
    hash.finalize().into()
}

/// `BLAKE2b-256` with a key of at most 64 bytes over the parts; compare it in constant time.
pub(crate) fn keyed_blake2b_256(key: &[u8; 16], parts: &[&[u8]]) -> Blake2bMac<U32> {
    // BLAKE2b takes keys of up to 64 bytes.
    let mut mac = Blake2bMac::<U32>::new_from_slice(key).expect("16 bytes are a key");
    for part in parts {
        mac.update(part);
    }
    mac
}
