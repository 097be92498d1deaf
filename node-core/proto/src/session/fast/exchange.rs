//! How two nodes come to the keys of one generation.
//!
//! ```text
//! offer:   version 1 | generation 1 | suites 1 | fast 1 | X25519 key 32 | ML-KEM-768 key 1184
//! answer:  version 1 | generation 1 | suite 1 | 0 | X25519 key 32 | ML-KEM-768 ciphertext 1088
//!          | confirmation 32
//! ```
//!
//! Both have one length only. The keys come out of HKDF-SHA-512 over both shared secrets, salted
//! with a hash over the label, both node keys, the offer and the answer, so that they fit only if
//! both ends mean the same by all of it. The confirmation shows the offerer that the answerer has
//! them; the offerer's first packet shows the answerer. That each is who it says to be follows from
//! the compatible session around the messages.

use hkdf::Hkdf;
use ml_kem::{
    B32, Seed,
    kem::{Decapsulate, KeyExport},
    ml_kem_768::{Ciphertext, DecapsulationKey, EncapsulationKey},
};
use rand_core::CryptoRng;
use sha2::{Digest, Sha512};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::{FastKeys, FastOpener, FastSealer, Suite, Suites, packet::Secret};
use crate::{
    crypto::{ExchangeKey, ExchangeSecret, equal},
    identity::NodeKey,
};

/// First byte of either message.
const VERSION: u8 = 1;
/// What the transcript begins with.
const LABEL: &[u8] = b"planetary fast session 1";
const HEAD_LEN: usize = 4;
const EXCHANGE_LEN: usize = 32;
const KEM_KEY_LEN: usize = 1184;
const KEM_TEXT_LEN: usize = 1088;
const CONFIRMATION_LEN: usize = 32;
/// Bytes of an offer.
pub const OFFER_LEN: usize = HEAD_LEN + EXCHANGE_LEN + KEM_KEY_LEN;
/// Bytes of an answer without its confirmation.
const PROMISE_LEN: usize = HEAD_LEN + EXCHANGE_LEN + KEM_TEXT_LEN;
/// Bytes of an answer.
pub const ANSWER_LEN: usize = PROMISE_LEN + CONFIRMATION_LEN;

/// Why an offer is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OfferError {
    /// Its length is not that of an offer, or its version is another one.
    #[error("offer is malformed or of another version")]
    Malformed,
    /// It names no cipher that this program knows.
    #[error("offer has no cipher in common")]
    NoSuite,
    /// One of its keys is none that an honest far end could have made.
    #[error("offer has an invalid key")]
    WeakKey,
}

/// Why an answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Its length is not that of an answer, its version is another one, or it answers another
    /// generation.
    #[error("answer is malformed, or answers another offer")]
    Malformed,
    /// It chooses a cipher that was not offered.
    #[error("answer names no cipher that was offered")]
    NoSuite,
    /// Its X25519 key leads to no secret.
    #[error("answer has an invalid key")]
    WeakKey,
    /// The answerer does not have the keys that this end has, or it saw another offer.
    #[error("answer does not confirm the keys")]
    Unconfirmed,
}

/// Between whom keys are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The node with the lower key.
    pub offerer: NodeKey,
    /// The other one.
    pub answerer: NodeKey,
}

/// The generation that an offer or answer is about.
#[must_use]
pub fn generation_of(message: &[u8]) -> Option<u8> {
    message.get(1).copied()
}

/// An offer of this end that waits for its answer.
pub struct Offered {
    message: Box<[u8; OFFER_LEN]>,
    exchange: ExchangeSecret,
    kem_seed: Zeroizing<[u8; 64]>,
}

impl Offered {
    /// A new offer; `fast` is what this machine computes fast.
    #[must_use]
    pub fn new(generation: u8, fast: Suites, rng: &mut impl CryptoRng) -> Self {
        let exchange = fresh_exchange(rng);
        let mut kem_seed = Zeroizing::new([0; 64]);
        rng.fill_bytes(&mut *kem_seed);
        let kem_key = decapsulation_key(&kem_seed).encapsulation_key().to_bytes();
        let mut message = Box::new([0; OFFER_LEN]);
        message[..HEAD_LEN].copy_from_slice(&[
            VERSION,
            generation,
            Suites::ALL.bits(),
            fast.bits(),
        ]);
        message[HEAD_LEN..][..EXCHANGE_LEN].copy_from_slice(exchange.public().as_bytes());
        message[HEAD_LEN + EXCHANGE_LEN..].copy_from_slice(&kem_key);
        Self { message, exchange, kem_seed }
    }

    /// The generation that is offered.
    #[must_use]
    pub fn generation(&self) -> u8 {
        self.message[1]
    }

    /// What is said to the answerer.
    #[must_use]
    pub fn message(&self) -> &[u8; OFFER_LEN] {
        &self.message
    }

    /// The keys that an answer leads to. This end seals under them at once.
    ///
    /// # Errors
    /// [`AnswerError`]; the offer still stands then.
    pub fn accept(&self, answer: &[u8], parties: &Parties) -> Result<FastKeys, AnswerError> {
        let answer: &[u8; ANSWER_LEN] = answer.try_into().map_err(|_| AnswerError::Malformed)?;
        let (promise, confirmation) = answer.split_at(PROMISE_LEN);
        let (head, rest) = promise.split_at(HEAD_LEN);
        let (theirs, kem_text) = split_exchange(rest).ok_or(AnswerError::Malformed)?;
        if [head[0], head[1]] != [VERSION, self.generation()] {
            return Err(AnswerError::Malformed);
        }
        let suite = Suite::from_byte(head[2]).ok_or(AnswerError::NoSuite)?;
        let agreed = self.exchange.agree(&theirs).ok_or(AnswerError::WeakKey)?;
        let kem_text = Ciphertext::try_from(kem_text).map_err(|_| AnswerError::Malformed)?;
        let mut encapsulated = decapsulation_key(&self.kem_seed).decapsulate(&kem_text);
        let schedule = Schedule::new(parties, &self.message[..], promise, &agreed, &encapsulated.0);
        encapsulated.0.zeroize();
        if !equal(&*schedule.confirmation(), confirmation) {
            return Err(AnswerError::Unconfirmed);
        }
        let generation = self.generation();
        Ok(FastKeys {
            sealer: FastSealer::new(suite, generation, &schedule.offerer()),
            opener: FastOpener::new(suite, generation, &schedule.answerer()),
            speaks: true,
        })
    }
}

/// Answers an offer: the message, and the keys, which are to be opened under at once. `fast` is
/// what this machine computes fast.
///
/// # Errors
/// [`OfferError`].
pub fn answer_offer(
    offer: &[u8],
    parties: &Parties,
    fast: Suites,
    rng: &mut impl CryptoRng,
) -> Result<(Box<[u8; ANSWER_LEN]>, FastKeys), OfferError> {
    let offer: &[u8; OFFER_LEN] = offer.try_into().map_err(|_| OfferError::Malformed)?;
    let (&[version, generation, suites, theirs_fast], rest) =
        offer.split_first_chunk::<HEAD_LEN>().ok_or(OfferError::Malformed)?;
    let (theirs, kem_key) = split_exchange(rest).ok_or(OfferError::Malformed)?;
    if version != VERSION {
        return Err(OfferError::Malformed);
    }
    let suite = choose(Suites::from_bits(suites), Suites::from_bits(theirs_fast), fast)
        .ok_or(OfferError::NoSuite)?;
    let exchange = fresh_exchange(rng);
    let agreed = exchange.agree(&theirs).ok_or(OfferError::WeakKey)?;
    let (kem_text, encapsulated) = encapsulate(kem_key, rng).ok_or(OfferError::WeakKey)?;

    let mut message = Box::new([0; ANSWER_LEN]);
    let (promise, confirmation) = message.split_at_mut(PROMISE_LEN);
    promise[..HEAD_LEN].copy_from_slice(&[VERSION, generation, suite as u8, 0]);
    promise[HEAD_LEN..][..EXCHANGE_LEN].copy_from_slice(exchange.public().as_bytes());
    promise[HEAD_LEN + EXCHANGE_LEN..].copy_from_slice(&kem_text);
    let schedule = Schedule::new(parties, offer, promise, &agreed, &encapsulated);
    confirmation.copy_from_slice(&*schedule.confirmation());
    let keys = FastKeys {
        sealer: FastSealer::new(suite, generation, &schedule.answerer()),
        opener: FastOpener::new(suite, generation, &schedule.offerer()),
        speaks: false,
    };
    Ok((message, keys))
}

/// AES-256-GCM where both machines do it fast, else ChaCha20-Poly1305, else whatever there is.
fn choose(offered: Suites, fast_there: Suites, fast_here: Suites) -> Option<Suite> {
    let fast = offered.and(fast_there).and(fast_here);
    let everywhere = offered.has(Suite::ChaCha20Poly1305).then_some(Suite::ChaCha20Poly1305);
    fast.best().or(everywhere).or(offered.best())
}

/// What all keys of a generation come out of.
struct Schedule(Hkdf<Sha512>);

impl Schedule {
    fn new(
        parties: &Parties,
        offer: &[u8],
        promise: &[u8],
        agreed: &[u8; 32],
        encapsulated: &[u8; 32],
    ) -> Self {
        // Every part has one length only, so the whole can be read in one way only.
        let mut transcript = Sha512::new();
        let nodes = [parties.offerer.as_bytes(), parties.answerer.as_bytes()];
        for part in [LABEL, nodes[0], nodes[1], offer, promise] {
            transcript.update(part);
        }
        let mut secrets = Zeroizing::new([0; 64]);
        secrets[..32].copy_from_slice(agreed);
        secrets[32..].copy_from_slice(encapsulated);
        Self(Hkdf::new(Some(&transcript.finalize()), &*secrets))
    }

    fn expand<const LEN: usize>(&self, label: &[u8]) -> Zeroizing<[u8; LEN]> {
        let mut out = Zeroizing::new([0; LEN]);
        // HKDF-SHA-512 gives up to 16,320 bytes.
        self.0.expand(label, &mut *out).expect("a key is short");
        out
    }

    /// What the offerer seals under.
    fn offerer(&self) -> Secret {
        Secret(self.expand(b"offerer"))
    }

    /// What the answerer seals under.
    fn answerer(&self) -> Secret {
        Secret(self.expand(b"answerer"))
    }

    fn confirmation(&self) -> Zeroizing<[u8; CONFIRMATION_LEN]> {
        self.expand(b"confirmation")
    }
}

fn fresh_exchange(rng: &mut impl CryptoRng) -> ExchangeSecret {
    let mut bytes = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *bytes);
    ExchangeSecret::from_bytes(&bytes)
}

/// It is made anew when it is needed, out of 64 bytes instead of the many thousand that it has.
fn decapsulation_key(seed: &[u8; 64]) -> DecapsulationKey {
    let mut seed = Seed::from(*seed);
    let key = DecapsulationKey::from_seed(seed);
    seed.0.zeroize();
    key
}

/// A secret for the holder of `key`; `None` if that is not the encoding of a key.
fn encapsulate(key: &[u8], rng: &mut impl CryptoRng) -> Option<(Ciphertext, Zeroizing<[u8; 32]>)> {
    let key = EncapsulationKey::new(&key.try_into().ok()?).ok()?;
    let mut message = B32::default();
    rng.fill_bytes(&mut message);
    let (text, mut shared) = key.encapsulate_deterministic(&message);
    let secret = Zeroizing::new(shared.0);
    message.0.zeroize();
    shared.0.zeroize();
    Some((text, secret))
}

fn split_exchange(bytes: &[u8]) -> Option<(ExchangeKey, &[u8])> {
    let (key, rest) = bytes.split_first_chunk::<EXCHANGE_LEN>()?;
    Some((ExchangeKey::from_bytes(*key), rest))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::session::OpenError;

    fn rng(byte: u8) -> ChaCha20Rng {
        ChaCha20Rng::from_seed([byte; 32])
    }

    fn parties() -> Parties {
        let [offerer, answerer] = [1, 2].map(|byte| NodeKey::from_bytes([byte; 32]));
        Parties { offerer, answerer }
    }

    fn agree(fast_there: Suites, fast_here: Suites) -> (FastKeys, FastKeys) {
        let offered = Offered::new(200, fast_there, &mut rng(1));
        let (message, answerer) =
            answer_offer(offered.message(), &parties(), fast_here, &mut rng(2)).unwrap();
        (offered.accept(&message[..], &parties()).unwrap(), answerer)
    }

    fn passes(from: &FastKeys, to: &FastKeys) -> bool {
        let mut buffer = [7; 40];
        let start = from.sealer.seal(&mut buffer, 30).unwrap();
        to.opener.open(&mut buffer[start..]).is_ok()
    }

    #[test]
    fn both_ends_come_to_the_same_keys_one_for_each_direction() {
        let (offerer, answerer) = agree(Suites::ALL, Suites::ALL);
        assert!(offerer.speaks && !answerer.speaks);
        assert!(passes(&offerer, &answerer) && passes(&answerer, &offerer));
        assert!(!passes(&offerer, &offerer) && !passes(&answerer, &answerer));
        assert_eq!((offerer.sealer.generation(), answerer.opener.generation()), (200, 200));
    }

    #[test]
    fn the_cipher_is_what_both_do_fast() {
        let (soft, hard) = (Suites::fast_with(false), Suites::fast_with(true));
        for (there, here, suite) in [
            (hard, hard, Suite::Aes256Gcm),
            (soft, hard, Suite::ChaCha20Poly1305),
            (hard, soft, Suite::ChaCha20Poly1305),
            (soft, soft, Suite::ChaCha20Poly1305),
        ] {
            let (offerer, answerer) = agree(there, here);
            assert_eq!((offerer.sealer.suite(), answerer.sealer.suite()), (suite, suite));
        }
        let aes = Suites::from_bits(1);
        assert_eq!(choose(aes, Suites::from_bits(0), soft), Some(Suite::Aes256Gcm));
        assert_eq!(choose(Suites::from_bits(0), hard, hard), None);
    }

    #[test]
    fn each_exchange_has_keys_of_its_own() {
        let offered = Offered::new(1, Suites::ALL, &mut rng(1));
        let answers = [2, 3].map(|byte| {
            answer_offer(offered.message(), &parties(), Suites::ALL, &mut rng(byte)).unwrap()
        });
        let [first, second] = &answers;
        let offerer = offered.accept(&second.0[..], &parties()).unwrap();
        assert!(passes(&offerer, &second.1) && !passes(&offerer, &first.1));
        let mut buffer = [7; 40];
        let start = first.1.sealer.seal(&mut buffer, 30).unwrap();
        assert_eq!(offerer.opener.open(&mut buffer[start..]), Err(OpenError::Forged));
    }

    #[test]
    fn other_parties_come_to_other_keys() {
        let offered = Offered::new(1, Suites::ALL, &mut rng(1));
        let (message, _) =
            answer_offer(offered.message(), &parties(), Suites::ALL, &mut rng(2)).unwrap();
        let Parties { offerer, answerer } = parties();
        let third = NodeKey::from_bytes([3; 32]);
        for others in [
            Parties { offerer: answerer, answerer: offerer },
            Parties { offerer: third, answerer },
            Parties { offerer, answerer: third },
        ] {
            let refused = offered.accept(&message[..], &others).err();
            assert_eq!(refused, Some(AnswerError::Unconfirmed));
        }
    }

    /// Whoever sits between and changes anything gets no session, not a weaker one.
    #[test]
    fn no_byte_of_either_message_can_be_changed() {
        let offered = Offered::new(1, Suites::ALL, &mut rng(1));
        let (genuine, _) =
            answer_offer(offered.message(), &parties(), Suites::ALL, &mut rng(2)).unwrap();
        for at in (0..80).chain((80..ANSWER_LEN).step_by(97)).chain(PROMISE_LEN..ANSWER_LEN) {
            let mut changed = genuine.clone();
            changed[at] ^= 1;
            assert!(offered.accept(&changed[..], &parties()).is_err(), "byte {at}");
        }
        // The top bit of an X25519 key means nothing to X25519, but it does here.
        let mut changed = genuine.clone();
        changed[HEAD_LEN + EXCHANGE_LEN - 1] ^= 0x80;
        let refused = offered.accept(&changed[..], &parties()).err();
        assert_eq!(refused, Some(AnswerError::Unconfirmed));
        // To take a suite out of the offer, so that the answerer falls back to the other.
        for at in [2, 3, HEAD_LEN + 31, HEAD_LEN + EXCHANGE_LEN + 3, OFFER_LEN - 1] {
            let mut changed = *offered.message();
            changed[at] ^= 1;
            let answered = answer_offer(&changed, &parties(), Suites::ALL, &mut rng(2));
            if let Ok((message, _)) = answered {
                let refused = offered.accept(&message[..], &parties()).err();
                assert_eq!(refused, Some(AnswerError::Unconfirmed), "byte {at}");
            }
        }
    }

    #[test]
    fn offers_of_other_lengths_and_versions_and_with_bad_keys_are_refused() {
        let offered = Offered::new(1, Suites::ALL, &mut rng(1));
        let refused =
            |offer: &[u8]| answer_offer(offer, &parties(), Suites::ALL, &mut rng(2)).err();
        let genuine = *offered.message();
        assert_eq!(refused(&genuine), None);
        assert_eq!(refused(&genuine[..OFFER_LEN - 1]), Some(OfferError::Malformed));
        assert_eq!(refused(&[&genuine[..], &[0]].concat()), Some(OfferError::Malformed));
        assert_eq!(refused(&[]), Some(OfferError::Malformed));
        let change = |at: usize, bytes: &[u8]| {
            let mut changed = genuine;
            changed[at..at + bytes.len()].copy_from_slice(bytes);
            changed
        };
        assert_eq!(refused(&change(0, &[2])), Some(OfferError::Malformed));
        assert_eq!(refused(&change(2, &[0xfc])), Some(OfferError::NoSuite));
        for low_order in low_order_keys() {
            assert_eq!(refused(&change(HEAD_LEN, &low_order)), Some(OfferError::WeakKey));
        }
        // A coefficient of 4095 is none of the field.
        let kem_key = HEAD_LEN + EXCHANGE_LEN;
        assert_eq!(refused(&change(kem_key, &[0xff; 3])), Some(OfferError::WeakKey));
    }

    #[test]
    fn answers_of_other_lengths_versions_generations_and_suites_are_refused() {
        let offered = Offered::new(1, Suites::ALL, &mut rng(1));
        let (genuine, _) =
            answer_offer(offered.message(), &parties(), Suites::ALL, &mut rng(2)).unwrap();
        let refused = |answer: &[u8]| offered.accept(answer, &parties()).err();
        let change = |at: usize, bytes: &[u8]| {
            let mut changed = genuine.clone();
            changed[at..at + bytes.len()].copy_from_slice(bytes);
            refused(&changed[..])
        };
        assert_eq!(refused(&genuine[..]), None);
        assert_eq!(refused(&genuine[..ANSWER_LEN - 1]), Some(AnswerError::Malformed));
        assert_eq!(refused(&[&genuine[..], &[0]].concat()), Some(AnswerError::Malformed));
        assert_eq!(change(0, &[2]), Some(AnswerError::Malformed));
        assert_eq!(change(1, &[2]), Some(AnswerError::Malformed));
        assert_eq!(change(2, &[0]), Some(AnswerError::NoSuite));
        assert_eq!(change(2, &[2]), Some(AnswerError::Unconfirmed));
        assert_eq!(change(3, &[1]), Some(AnswerError::Unconfirmed));
        for low_order in low_order_keys() {
            assert_eq!(change(HEAD_LEN, &low_order), Some(AnswerError::WeakKey));
        }
        assert_eq!(generation_of(&genuine[..]), Some(1));
        assert_eq!(generation_of(&[1]), None);
    }

    /// X25519 keys that lead to zero whatever the secret: 0, 1 and -1.
    fn low_order_keys() -> [[u8; 32]; 3] {
        let (zero, mut one, mut minus_one) = ([0; 32], [0; 32], [0xff; 32]);
        one[0] = 1;
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        [zero, one, minus_one]
    }
}
