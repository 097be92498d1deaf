//! NaCl secretbox (XSalsa20-Poly1305), in place and at vector speed.
//!
//! The session layer is the only caller: it seals and opens every packet of a compatible session
//! with it. The crate knows the cipher and nothing else: no sockets, no key exchange, no
//! randomness, and no nonce of its own. Whoever calls it must never seal two messages with the same
//! key and number.
//!
//! A session's 24-byte nonce is 16 zero bytes followed by the message number as u64be. XSalsa20
//! spends the first 16 bytes and the key on a subkey, which is then the same for every message of a
//! session: [`Cipher`] derives it once and keeps only that.
//!
//! ```text
//! keystream   | one-time Poly1305 key | xor with the message ...              |
//! byte        0                      32                        32 + message length
//! ```
//!
//! `salsa20` is the cipher's core over any vector type, `lanes` the vector types, `poly1305` the
//! authenticator, `message` the walk over one message, `backend` the choice made at run time. All
//! take the same steps for all keys and contents of one length; only a refusal takes longer.

mod backend;
mod lanes;
mod message;
mod poly1305;
mod salsa20;

use backend::Backend;
use salsa20::Stream;
use zeroize::Zeroize;

pub use salsa20::hsalsa20;

/// The key under which one direction of a session seals and opens its messages.
///
/// Holds the Salsa20 subkey, which is wiped when the value is dropped. It has no `Debug`, so that
/// no log can show it.
#[derive(Clone)]
pub struct Cipher {
    subkey: [u32; 8],
    backend: Backend,
}

impl Cipher {
    /// Derives the subkey that belongs to `key` and a nonce with 16 leading zero bytes.
    ///
    /// Costs about as much as sealing an empty message; worth doing once per key.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        Self::with_backend(key, Backend::fastest())
    }

    /// Encrypts `data` in place as message number `nonce` and returns its tag.
    ///
    /// A number must not be used twice under one key: the xor of the two messages would be public,
    /// and tags forgeable.
    #[must_use = "without its tag the message cannot be opened"]
    pub fn seal_in_place(&self, nonce: u64, data: &mut [u8]) -> [u8; TAG_LEN] {
        self.backend.seal(Stream::new(&self.subkey, nonce), data)
    }

    /// Decrypts `data` in place if `tag` is the tag of message number `nonce`.
    ///
    /// # Errors
    /// [`OpenError`] when it is not; `data` then still holds what it held before.
    pub fn open_in_place(
        &self,
        nonce: u64,
        tag: &[u8; TAG_LEN],
        data: &mut [u8],
    ) -> Result<(), OpenError> {
        self.backend.open(Stream::new(&self.subkey, nonce), tag, data)
    }

    fn with_backend(key: &[u8; KEY_LEN], backend: Backend) -> Self {
        let mut bytes = hsalsa20(key, &[0; 16]);
        let subkey = salsa20::words(&bytes);
        bytes.zeroize();
        Self { subkey, backend }
    }
}

impl Drop for Cipher {
    fn drop(&mut self) {
        self.subkey.zeroize();
    }
}

/// The tag does not belong to the message: it was damaged, forged, or sealed under another key or
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message does not match its tag")]
pub struct OpenError;

/// Length of a key in bytes.
pub const KEY_LEN: usize = 32;

/// Length of a tag in bytes; secretbox puts it in front of the ciphertext.
pub const TAG_LEN: usize = 16;

#[cfg(test)]
mod tests;
