//! Secrets on their way to the service: sealed by the client, opened once.
//!
//! A passphrase or a private key never stands in a request as it is. The client asks for a fresh
//! key, seals the secret to it, and names the key in the request that needs the secret:
//!
//! ```text
//! client                                     service
//! {"type": "sealing_key"}              ->
//!                                      <-    {"type": "sealing_key", "key", "expires_in_s"}
//! {"type": "sealed_part", key, text}   ->    keeps the piece (only for secrets over 40 kB)
//! {"type": …, "secret": {key, text}}   ->    joins, opens, forgets the key
//! ```
//!
//! What this buys: neither frames nor the copies that parsing them leaves in memory, a trace of the
//! socket or a log of requests hold a secret. What it does not: the service's word for its key is
//! trusted as far as the socket is, whose owner the client checks.
//!
//! Sealing is X25519 with a fresh key of the client, SHA-256 over shared secret and both public
//! keys, and ChaCha20-Poly1305; a key seals once, so the nonce is fixed. A key opens one secret
//! within [`limits::SEALING_KEY_AGE_MAX`]; the service holds at most
//! [`limits::SEALING_KEYS_MAX`] and forgets the oldest first.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use base64ct::{Base64, Encoding};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::error::{ApiError, ErrorCode};
use crate::identity::NodeKey;
use crate::limits;

/// Separates these keys from all others.
const LABEL: &[u8] = b"planetary sealed secret 1";

/// Length of an X25519 public key, in bytes.
const KEY_LEN: usize = 32;

/// A key that seals one secret to the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SealingKey {
    /// X25519 public key, 64 hexadecimal digits.
    pub key: NodeKey,
    /// How long the service keeps the other half, in seconds.
    pub expires_in_s: u64,
}

/// A secret, sealed to a key of the service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sealed {
    /// The key it is sealed to, from `sealing_key`.
    pub key: NodeKey,
    /// The last, mostly the only piece of the sealed secret, in Base64: 32 bytes of public key,
    /// ciphertext, 16 bytes of tag.
    pub text: String,
}

/// Says nothing: whoever has a sealed secret and luck has the secret.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// Seals `secret`, as JSON, to `key`. The text comes in pieces that fit into a request each; all
/// but the last are sent ahead as `sealed_part`.
///
/// # Errors
/// [`ErrorCode::Unsupported`] when the system has no random numbers, [`ErrorCode::InvalidRequest`]
/// for a key that is none or a secret above [`limits::SECRET_LEN_MAX`].
pub fn seal<T: Serialize>(key: NodeKey, secret: &T) -> Result<Vec<String>, ApiError> {
    let unusable = |text: String| ApiError::new(ErrorCode::InvalidRequest, text);
    let mut json = Plain::default();
    serde_json::to_writer(&mut json, secret)
        .map_err(|error| unusable(format!("the secret cannot be written: {error}")))?;
    let mut seed = Zeroizing::new([0; KEY_LEN]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| {
        ApiError::new(ErrorCode::Unsupported, format!("no random numbers: {error}"))
    })?;
    let own = StaticSecret::from(*seed);
    let own_public = PublicKey::from(&own);
    let cipher = cipher(&own, &PublicKey::from(key.0), own_public.as_bytes(), &key.0)
        .ok_or_else(|| unusable("the service's sealing key is no key".to_owned()))?;
    let mut sealed = json.0;
    cipher
        .encrypt_in_place(&Nonce::default(), LABEL, &mut *sealed)
        .map_err(|_| unusable("the secret is too long".to_owned()))?;
    let mut bytes = own_public.as_bytes().to_vec();
    bytes.extend_from_slice(&sealed);
    let text = Base64::encode_string(&bytes);
    // Base64 is ASCII, so any cut is between characters.
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while rest.len() > limits::SEALED_PIECE_LEN_MAX {
        let (piece, later) = rest.split_at(limits::SEALED_PIECE_LEN_MAX);
        pieces.push(piece.to_owned());
        rest = later;
    }
    pieces.push(rest.to_owned());
    Ok(pieces)
}

/// Plain text that grows without leaving copies behind, up to its bound.
struct Plain(Zeroizing<Vec<u8>>);

impl Default for Plain {
    fn default() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(1024)))
    }
}

impl std::io::Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let len = self.0.len() + bytes.len();
        if len > limits::SECRET_LEN_MAX {
            let most = limits::SECRET_LEN_MAX / 1024;
            return Err(std::io::Error::other(format!("it is longer than {most} KiB")));
        }
        // Room for the tag as well, so that sealing in place does not move it.
        if len + TAG_LEN > self.0.capacity() {
            let mut wider = Zeroizing::new(Vec::with_capacity(2 * (len + TAG_LEN)));
            wider.extend_from_slice(&self.0);
            self.0 = wider;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Bytes that sealing adds to the plain text.
const TAG_LEN: usize = 16;

/// The cipher between two halves; `None` if the other one is a key that makes no secret.
fn cipher(
    own: &StaticSecret,
    other: &PublicKey,
    client: &[u8; KEY_LEN],
    service: &[u8; KEY_LEN],
) -> Option<ChaCha20Poly1305> {
    let shared = own.diffie_hellman(other);
    if !shared.was_contributory() {
        return None;
    }
    let hash = Sha256::new()
        .chain_update(LABEL)
        .chain_update(shared.as_bytes())
        .chain_update(client)
        .chain_update(service);
    let key = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
    Some(ChaCha20Poly1305::new((&*key).into()))
}

/// The service's keys that have not been used yet, oldest first.
#[derive(Default)]
pub struct SealingKeys {
    slots: VecDeque<Slot>,
}

struct Slot {
    secret: StaticSecret,
    public: PublicKey,
    made: Instant,
    /// Pieces that came ahead.
    pieces: String,
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKeys").field("held", &self.slots.len()).finish_non_exhaustive()
    }
}

impl SealingKeys {
    /// Makes a key.
    ///
    /// # Errors
    /// [`ErrorCode::SystemRefused`] when the system has no random numbers.
    pub fn make(&mut self, now: Instant) -> Result<SealingKey, ApiError> {
        self.forget_old(now);
        let mut seed = Zeroizing::new([0; KEY_LEN]);
        getrandom::fill(seed.as_mut_slice()).map_err(|error| {
            ApiError::new(ErrorCode::SystemRefused, format!("no random numbers: {error}"))
        })?;
        let secret = StaticSecret::from(*seed);
        let public = PublicKey::from(&secret);
        if self.slots.len() >= limits::SEALING_KEYS_MAX {
            self.slots.pop_front();
        }
        self.slots.push_back(Slot { secret, public, made: now, pieces: String::new() });
        let expires_in_s = limits::SEALING_KEY_AGE_MAX.as_secs();
        Ok(SealingKey { key: NodeKey(public.to_bytes()), expires_in_s })
    }

    /// Keeps a piece that comes ahead of its request.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidRequest`] for a key that is gone, or when the pieces become too long;
    /// the key is gone then.
    pub fn add(&mut self, part: &Sealed, now: Instant) -> Result<(), ApiError> {
        let mut slot = self.take(part.key, now)?;
        if slot.pieces.len() + part.text.len() > limits::SEALED_LEN_MAX {
            let text = format!("a sealed secret of more than {} bytes", limits::SEALED_LEN_MAX);
            return Err(ApiError::new(ErrorCode::InvalidRequest, text));
        }
        slot.pieces.push_str(&part.text);
        self.slots.push_back(slot);
        Ok(())
    }

    /// Opens a secret, and forgets its key whatever comes out.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidRequest`] for a key that is gone or was never there, and for what is not
    /// sealed to it.
    pub fn open<T: DeserializeOwned>(
        &mut self,
        sealed: &Sealed,
        now: Instant,
    ) -> Result<T, ApiError> {
        let slot = self.take(sealed.key, now)?;
        let text = slot.pieces + &sealed.text;
        let plain = opened(&slot.secret, &slot.public, &text).ok_or_else(|| {
            ApiError::new(ErrorCode::InvalidRequest, "the secret is not sealed to its key")
        })?;
        // Says where, never what: the message of a wrong type may repeat the value.
        serde_json::from_slice(&plain).map_err(|error| {
            let place = format!("the sealed secret has the wrong shape at byte {}", error.column());
            ApiError::new(ErrorCode::InvalidRequest, place)
        })
    }

    fn take(&mut self, key: NodeKey, now: Instant) -> Result<Slot, ApiError> {
        self.forget_old(now);
        let index = self.slots.iter().position(|slot| *slot.public.as_bytes() == key.0);
        index.and_then(|index| self.slots.remove(index)).ok_or_else(|| {
            let text = "the key that the secret is sealed to was used, is too old, or never was";
            ApiError::new(ErrorCode::InvalidRequest, text).with_hint("try again")
        })
    }

    fn forget_old(&mut self, now: Instant) {
        self.slots
            .retain(|slot| now.saturating_duration_since(slot.made) < limits::SEALING_KEY_AGE_MAX);
    }
}

fn opened(secret: &StaticSecret, public: &PublicKey, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = Base64::decode_vec(text).ok()?;
    let (client, sealed) = bytes.split_first_chunk::<KEY_LEN>()?;
    let cipher = cipher(secret, &PublicKey::from(*client), client, public.as_bytes())?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    cipher.decrypt_in_place(&Nonce::default(), LABEL, &mut *plain).ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn sealed(key: NodeKey, secret: &str) -> Sealed {
        let pieces = seal(key, &secret).unwrap();
        assert_eq!(pieces.len(), 1);
        Sealed { key, text: pieces[0].clone() }
    }

    #[test]
    fn secret_is_opened_once() {
        let (mut keys, now) = (SealingKeys::default(), Instant::now());
        let key = keys.make(now).unwrap().key;
        let box_ = sealed(key, "correct horse");
        assert_eq!(keys.open::<String>(&box_, now).unwrap(), "correct horse");
        let error = keys.open::<String>(&box_, now).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn key_lives_a_minute_and_the_oldest_makes_room() {
        let (mut keys, now) = (SealingKeys::default(), Instant::now());
        let old = keys.make(now).unwrap();
        let later = now + Duration::from_secs(old.expires_in_s);
        assert!(keys.open::<String>(&sealed(old.key, "x"), later).is_err());

        let first = keys.make(now).unwrap().key;
        let others: Vec<_> =
            (0..limits::SEALING_KEYS_MAX).map(|_| keys.make(now).unwrap().key).collect();
        assert!(keys.open::<String>(&sealed(first, "x"), now).is_err());
        for key in others {
            assert_eq!(keys.open::<String>(&sealed(key, "x"), now).unwrap(), "x");
        }
    }

    #[test]
    fn long_secret_goes_in_pieces_and_has_a_bound() {
        let (mut keys, now) = (SealingKeys::default(), Instant::now());
        let key = keys.make(now).unwrap().key;
        let long = "long ".repeat(50_000);
        let mut pieces = seal(key, &long).unwrap();
        assert!(pieces.len() > 1);
        assert!(pieces.iter().all(|piece| piece.len() <= limits::SEALED_PIECE_LEN_MAX));
        let last = pieces.pop().unwrap();
        for text in pieces {
            keys.add(&Sealed { key, text }, now).unwrap();
        }
        assert_eq!(keys.open::<String>(&Sealed { key, text: last }, now).unwrap(), long);
        assert!(seal(key, &"x".repeat(limits::SECRET_LEN_MAX)).is_err());

        let key = keys.make(now).unwrap().key;
        let part = Sealed { key, text: "A".repeat(limits::SEALED_PIECE_LEN_MAX) };
        let refused = (0..100).map(|_| keys.add(&part, now)).find_map(Result::err);
        assert_eq!(refused.unwrap().code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let mut keys = SealingKeys::default();
        let key = keys.make(Instant::now()).unwrap().key;
        let shown = format!("{:?} {keys:?}", sealed(key, "hVq3Zk8sT1"));
        assert_eq!(shown, "Sealed(…) SealingKeys { held: 1, .. }");
        let error = keys.open::<u32>(&sealed(key, "hVq3Zk8sT1"), Instant::now()).unwrap_err();
        assert!(!error.message.contains("hVq3"), "{error}");
    }

    #[test]
    fn key_that_makes_no_secret_is_refused() {
        assert!(seal(NodeKey([0; 32]), &"x").is_err());
    }

    proptest! {
        #[test]
        fn changed_box_does_not_open(at in 0usize..80, bit in 0u8..8) {
            let (mut keys, now) = (SealingKeys::default(), Instant::now());
            let key = keys.make(now).unwrap().key;
            let good = sealed(key, "correct horse battery staple");
            let mut bytes = Base64::decode_vec(&good.text).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            // The top bit of an X25519 key is not looked at, but the key that is hashed differs.
            let bad = Sealed { key, text: Base64::encode_string(&bytes) };
            prop_assert!(keys.open::<String>(&bad, now).is_err());
        }

        #[test]
        fn any_text_is_answered(text in ".{0,200}") {
            let (mut keys, now) = (SealingKeys::default(), Instant::now());
            let key = keys.make(now).unwrap().key;
            let sealed = Sealed { key, text };
            prop_assert!(keys.open::<String>(&sealed, now).is_err());
        }
    }
}
