//! Packets of a fast session.
//!
//! ```text
//! 0x50 | generation u8 | counter u48 be | tag 16 | ciphertext
//! ```
//!
//! The eight bytes before the tag are the associated data. The tag stands in front, so that a
//! buffer needs room at one end only. The nonce is the vector of the key, its last eight bytes
//! exclusive-ored with the counter, which is never 0 and never used twice.

use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use zeroize::Zeroizing;

use super::Suite;
use crate::{
    limits::{FAST_REKEY_BYTES, FAST_REKEY_PACKETS},
    session::{OpenError, SESSION_FAST},
};

/// Bytes of the head that is not encrypted but authenticated.
const AAD_LEN: usize = 8;
const TAG_LEN: usize = 16;
/// Bytes that sealing puts before the data: type, generation, counter and tag.
pub const FAST_HEAD_LEN: usize = AAD_LEN + TAG_LEN;
/// The highest counter.
const COUNTER_MAX: u64 = (1 << 48) - 1;

/// Generation and counter of a packet that says that it is one of a fast session. Nothing of it is
/// verified.
#[must_use]
pub fn fast_head(message: &[u8]) -> Option<(u8, u64)> {
    let head = u64::from_be_bytes(*message.first_chunk()?);
    let [kind, generation, ..] = head.to_be_bytes();
    let counter = head & COUNTER_MAX;
    let is_packet = message.len() >= FAST_HEAD_LEN && kind == SESSION_FAST && counter != 0;
    is_packet.then_some((generation, counter))
}

/// Key and vector of one direction, 44 bytes of key material.
pub(super) struct Secret(pub(super) Zeroizing<[u8; Self::LEN]>);

impl Secret {
    pub(super) const LEN: usize = 32 + NONCE_LEN;
}

/// What seals or opens packets of one direction.
struct DirectionKey {
    suite: Suite,
    cipher: Box<LessSafeKey>,
    iv: Zeroizing<[u8; NONCE_LEN]>,
}

impl DirectionKey {
    fn new(suite: Suite, secret: &Secret) -> Self {
        let (key, iv) = secret.0.split_at(32);
        let mut vector = Zeroizing::new([0; NONCE_LEN]);
        vector.copy_from_slice(iv);
        Self { suite, cipher: Box::new(cipher(suite, key)), iv: vector }
    }

    fn nonce(&self, counter: u64) -> Nonce {
        let mut nonce = *self.iv;
        for (byte, counter) in nonce[NONCE_LEN - 8..].iter_mut().zip(counter.to_be_bytes()) {
            *byte ^= counter;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Drop for DirectionKey {
    /// The key of `ring` does not wipe itself, so another one is laid over it. It is looked at so
    /// that the compiler does not leave that out.
    fn drop(&mut self) {
        *self.cipher = cipher(self.suite, &[0; 32]);
        black_box(&self.cipher);
    }
}

fn cipher(suite: Suite, key: &[u8]) -> LessSafeKey {
    // Both algorithms have keys of 32 bytes, and a wrong length is the only thing that is refused.
    LessSafeKey::new(UnboundKey::new(suite.algorithm(), key).expect("a key of 32 bytes"))
}

/// Seals packets of one generation, on several threads at once.
pub struct FastSealer {
    key: DirectionKey,
    generation: u8,
    /// The counter of the last packet.
    counter: AtomicU64,
    /// Bytes that were sealed.
    bytes: AtomicU64,
}

impl FastSealer {
    pub(super) fn new(suite: Suite, generation: u8, secret: &Secret) -> Self {
        let key = DirectionKey::new(suite, secret);
        Self { key, generation, counter: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// The generation that its packets name.
    #[must_use]
    pub const fn generation(&self) -> u8 {
        self.generation
    }

    /// The cipher.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.key.suite
    }

    /// Seals `buffer[data..]` in place and puts the head before it. Returns where the message
    /// begins, or `None` when less than [`FAST_HEAD_LEN`] bytes are free before the data, or all
    /// counters are used up; the buffer is unchanged then.
    pub fn seal(&self, buffer: &mut [u8], data: usize) -> Option<usize> {
        let start = data.checked_sub(FAST_HEAD_LEN)?;
        if data > buffer.len() || self.counter.load(Relaxed) >= COUNTER_MAX {
            return None;
        }
        // Each number is drawn once. So many threads do not exist that those between the look above
        // and this line could draw 2^64 of them.
        let counter = self.counter.fetch_add(1, Relaxed) + 1;
        if counter > COUNTER_MAX {
            return None;
        }
        self.bytes.fetch_add((buffer.len() - data) as u64, Relaxed);
        let kind = u64::from(SESSION_FAST) << 56 | u64::from(self.generation) << 48;
        let head = (kind | counter).to_be_bytes();
        let (before, plain) = buffer.split_at_mut(data);
        let nonce = self.key.nonce(counter);
        // Refused is only what is longer than a cipher can do, which is gigabytes.
        let tag = self.key.cipher.seal_in_place_separate_tag(nonce, Aad::from(head), plain).ok()?;
        before[start..start + AAD_LEN].copy_from_slice(&head);
        before[start + AAD_LEN..].copy_from_slice(tag.as_ref());
        Some(start)
    }

    /// Whether so many packets or bytes were sealed that the next generation is due.
    #[must_use]
    pub fn wants_rekey(&self) -> bool {
        self.counter.load(Relaxed) >= FAST_REKEY_PACKETS
            || self.bytes.load(Relaxed) >= FAST_REKEY_BYTES
    }

    #[cfg(test)]
    pub(super) fn set_counter(&self, counter: u64) {
        self.counter.store(counter, Relaxed);
    }
}

/// Opens packets of one generation, on several threads at once. It does not know what it has opened
/// before: that is what a [`super::ReplayWindow`] is for.
pub struct FastOpener {
    key: DirectionKey,
    generation: u8,
}

impl FastOpener {
    pub(super) fn new(suite: Suite, generation: u8, secret: &Secret) -> Self {
        Self { key: DirectionKey::new(suite, secret), generation }
    }

    /// The generation that its packets name.
    #[must_use]
    pub const fn generation(&self) -> u8 {
        self.generation
    }

    /// The cipher.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.key.suite
    }

    /// Opens a packet in place; its data begins at [`FAST_HEAD_LEN`] and ends with it. Returns its
    /// counter, which the caller then shows to the window of this generation. On failure the bytes
    /// behind the head are of no use.
    ///
    /// # Errors
    /// [`OpenError::Malformed`] if it is no such packet, [`OpenError::UnknownKeys`] if it is of
    /// another generation, [`OpenError::Forged`] if it does not decrypt. Anybody can cause each of
    /// them, so none is a reason to greet the far end or to give up the keys.
    pub fn open(&self, message: &mut [u8]) -> Result<u64, OpenError> {
        let (generation, counter) = fast_head(message).ok_or(OpenError::Malformed)?;
        if generation != self.generation {
            return Err(OpenError::UnknownKeys);
        }
        let (head, rest) =
            message.split_first_chunk_mut::<AAD_LEN>().ok_or(OpenError::Malformed)?;
        let (tag, sealed) = rest.split_first_chunk_mut::<TAG_LEN>().ok_or(OpenError::Malformed)?;
        let (nonce, aad, tag) = (self.key.nonce(counter), Aad::from(*head), Tag::from(*tag));
        self.key
            .cipher
            .open_in_place_separate_tag(nonce, aad, tag, sealed, 0..)
            .map_err(|_| OpenError::Forged)?;
        Ok(counter)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, thread};

    use super::*;

    const SUITES: [Suite; 2] = [Suite::Aes256Gcm, Suite::ChaCha20Poly1305];

    fn secret(byte: u8) -> Secret {
        Secret(Zeroizing::new([byte; Secret::LEN]))
    }

    fn pair(suite: Suite) -> (FastSealer, FastOpener) {
        (FastSealer::new(suite, 7, &secret(1)), FastOpener::new(suite, 7, &secret(1)))
    }

    fn seal(sealer: &FastSealer, plain: &[u8]) -> Vec<u8> {
        let mut buffer = [&[0xaa; 30], plain].concat();
        let start = sealer.seal(&mut buffer, 30).unwrap();
        assert_eq!(start, 30 - FAST_HEAD_LEN);
        assert_eq!(buffer[..start], [0xaa; 6]);
        buffer.split_off(start)
    }

    #[test]
    fn what_is_sealed_opens_in_any_order() {
        for suite in SUITES {
            let (sealer, opener) = pair(suite);
            let plains = [&b""[..], b"a", &[5; 65_536], b"the last"];
            let mut packets: Vec<_> = plains.iter().map(|plain| seal(&sealer, plain)).collect();
            for (at, plain) in plains.iter().enumerate().rev() {
                let packet = &mut packets[at];
                assert_eq!(fast_head(packet), Some((7, at as u64 + 1)));
                assert_eq!(packet.len(), FAST_HEAD_LEN + plain.len());
                assert_eq!(opener.open(packet), Ok(at as u64 + 1));
                assert_eq!(packet[FAST_HEAD_LEN..], **plain);
            }
        }
    }

    #[test]
    fn nothing_opens_that_was_changed_anywhere() {
        for suite in SUITES {
            let (sealer, opener) = pair(suite);
            let packet = seal(&sealer, b"a few bytes");
            for at in 0..packet.len() {
                for bit in 0..8 {
                    let mut changed = packet.clone();
                    changed[at] ^= 1 << bit;
                    assert!(opener.open(&mut changed).is_err(), "byte {at} bit {bit}");
                }
            }
            for len in 0..packet.len() {
                assert!(opener.open(&mut packet[..len].to_vec()).is_err(), "{len} bytes");
            }
            assert!(opener.open(&mut [&packet[..], &[0]].concat()).is_err());
            assert_eq!(opener.open(&mut packet.clone()), Ok(1));
        }
    }

    #[test]
    fn a_packet_opens_under_its_own_key_alone() {
        let (sealer, _) = pair(Suite::Aes256Gcm);
        let packet = seal(&sealer, b"a few bytes");
        let open = |suite, generation, key| {
            FastOpener::new(suite, generation, &secret(key)).open(&mut packet.clone())
        };
        assert_eq!(open(Suite::Aes256Gcm, 7, 1), Ok(1));
        assert_eq!(open(Suite::Aes256Gcm, 7, 2), Err(OpenError::Forged));
        assert_eq!(open(Suite::ChaCha20Poly1305, 7, 1), Err(OpenError::Forged));
        assert_eq!(open(Suite::Aes256Gcm, 8, 1), Err(OpenError::UnknownKeys));
    }

    #[test]
    fn counter_zero_other_types_and_short_packets_are_malformed() {
        let (sealer, opener) = pair(Suite::Aes256Gcm);
        let packet = seal(&sealer, b"");
        let mut zero = packet.clone();
        zero[2..AAD_LEN].fill(0);
        let mut other = packet.clone();
        other[0] = 3;
        for mut bad in [zero, other, packet[..FAST_HEAD_LEN - 1].to_vec(), vec![]] {
            assert_eq!(fast_head(&bad), None);
            assert_eq!(opener.open(&mut bad), Err(OpenError::Malformed));
        }
    }

    #[test]
    fn without_room_or_counters_nothing_is_sealed() {
        let (sealer, opener) = pair(Suite::ChaCha20Poly1305);
        let mut buffer = [9; 40];
        assert_eq!(sealer.seal(&mut buffer, FAST_HEAD_LEN - 1), None);
        assert_eq!(sealer.seal(&mut buffer, 41), None);
        sealer.set_counter(COUNTER_MAX - 1);
        let mut last = seal(&sealer, b"the last");
        assert_eq!(opener.open(&mut last), Ok(COUNTER_MAX));
        for _ in 0..3 {
            assert_eq!(sealer.seal(&mut buffer, FAST_HEAD_LEN), None);
        }
        assert_eq!(buffer, [9; 40]);
    }

    #[test]
    fn volume_calls_for_the_next_generation() {
        let (sealer, _) = pair(Suite::Aes256Gcm);
        seal(&sealer, b"some");
        assert!(!sealer.wants_rekey());
        sealer.set_counter(FAST_REKEY_PACKETS - 1);
        assert!(!sealer.wants_rekey());
        seal(&sealer, b"some");
        assert!(sealer.wants_rekey());
        let (sealer, _) = pair(Suite::Aes256Gcm);
        sealer.bytes.store(FAST_REKEY_BYTES - 4, Relaxed);
        assert!(!sealer.wants_rekey());
        seal(&sealer, b"some");
        assert!(sealer.wants_rekey());
    }

    #[test]
    fn threads_share_a_sealer_and_no_counter() {
        let (sealer, opener) = pair(Suite::Aes256Gcm);
        let packets: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4u8)
                .map(|number| {
                    let sealer = &sealer;
                    scope.spawn(move || {
                        (0..500).map(|_| seal(sealer, &[number; 9])).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let counters = packets.into_iter().map(|mut packet| opener.open(&mut packet).unwrap());
        assert_eq!(counters.collect::<BTreeSet<_>>(), (1..=2000).collect());
    }

    #[test]
    fn the_nonce_is_the_vector_with_the_counter_in_its_end() {
        let (sealer, _) = pair(Suite::Aes256Gcm);
        let nonce = sealer.key.nonce(0x0102_0304_0506);
        assert_eq!(*nonce.as_ref(), [1, 1, 1, 1, 1, 1, 0, 3, 2, 5, 4, 7]);
    }
}
