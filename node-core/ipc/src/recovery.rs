//! A key on paper: the way back into a circle, and what stands above everybody in it.
//!
//! Such a key belongs to no node. It is made where a person sits, written down as 24 words of the
//! English list of BIP 39, and forgotten: the service, and with it every other program of the
//! computer, sees its public half alone. To use it the words are typed in again, and sign what the
//! service prepared ([`crate::Request::CircleDraft`], [`crate::Request::CircleSubmit`]).
//!
//! The words hold 256 bits, which are the Ed25519 seed, and eight bits that catch most slips of the
//! pen. A passphrase as BIP 39 has it is no part of it: what is on the paper is all that is needed.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};
use bip39::{Language, Mnemonic};
use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use crate::identity::NodeKey;

/// Words of a key.
pub const WORD_COUNT: usize = 24;

/// Bytes of the seed that the words stand for.
const SEED_LEN: usize = 32;

/// Longest text that is read as words, in bytes: 24 of eight letters with numbers and blanks are
/// 290. A longer one is something else.
const TEXT_LEN_MAX: usize = 2_048;

/// Precedes an operation where it is signed, so that no signature serves another purpose.
const LABEL: &[u8] = b"planetary circle op\0";

/// How every operation begins.
const MAGIC: &[u8] = b"PLNC1";

/// Where in an operation its author stands: after the magic and the circle.
const AUTHOR: std::ops::Range<usize> = 37..69;

/// Longest draft, in bytes: an operation of the greatest length without its signature, 1132 bytes,
/// and some more for what later versions may add.
const DRAFT_LEN_MAX: usize = 4_096;

/// A key on paper while it is in use. It is wiped from memory afterwards, and has no `Debug`.
pub struct RecoveryKey {
    seed: Zeroizing<[u8; SEED_LEN]>,
}

/// Why words are no key, or why it signs nothing. Says no word: each is a piece of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    NoRandomness,
    /// More or fewer words than a key has.
    #[error("{0} words, where a key has {WORD_COUNT}")]
    WordCount(usize),
    /// A word that is not in the list; the first word has the number 1.
    #[error("word {0} is not in the list of words")]
    UnknownWord(usize),
    /// All words exist, but not in this order.
    #[error("a word is wrong, or two have changed places: the check at the end does not fit")]
    Checksum,
    /// What is to be signed is no operation of a circle.
    #[error("what is to be signed is no operation of a circle")]
    NoOperation,
    /// What is to be signed is for another key.
    #[error("the words belong to another key than the one that is asked for")]
    OtherKey,
}

impl RecoveryKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`RecoveryError::NoRandomness`].
    pub fn generate() -> Result<Self, RecoveryError> {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| RecoveryError::NoRandomness)?;
        Ok(Self { seed })
    }

    /// Reads the words, in whatever case, separated by blanks or commas. Numbers before them, as
    /// [`Self::words`] are written down, do not count.
    ///
    /// # Errors
    /// [`RecoveryError::WordCount`], [`RecoveryError::UnknownWord`] or
    /// [`RecoveryError::Checksum`].
    pub fn from_words(text: &str) -> Result<Self, RecoveryError> {
        let is_number = |word: &&str| word.trim_end_matches(['.', ':', ')']).parse::<u8>().is_ok();
        let split = |text: char| text.is_whitespace() || text == ',';
        let words = || text.split(split).filter(|word| !word.is_empty() && !is_number(word));
        let count = words().take(TEXT_LEN_MAX).count();
        if count != WORD_COUNT || text.len() > TEXT_LEN_MAX {
            return Err(RecoveryError::WordCount(count));
        }
        // As long as the text at most, so nothing is left behind by growing.
        let mut plain = Zeroizing::new(String::with_capacity(text.len() + 1));
        for word in words() {
            plain.push_str(word);
            plain.push(' ');
        }
        plain.make_ascii_lowercase();
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &plain);
        let mnemonic = mnemonic.map_err(|error| match error {
            bip39::Error::UnknownWord(index) => RecoveryError::UnknownWord(index + 1),
            _ => RecoveryError::Checksum,
        })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy_array().0);
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        // 24 words stand for the first 32 of the 33 bytes.
        seed.copy_from_slice(&entropy[..SEED_LEN]);
        Ok(Self { seed })
    }

    /// The words to write down, in their order.
    pub fn words(&self) -> [&'static str; WORD_COUNT] {
        // 32 bytes are a length that BIP 39 has, and make 24 words; a failure would show as words
        // that are empty, which no key has.
        let mut words = [""; WORD_COUNT];
        if let Ok(mnemonic) = Mnemonic::from_entropy_in(Language::English, self.seed.as_slice()) {
            words.iter_mut().zip(mnemonic.words()).for_each(|(place, word)| *place = word);
        }
        words
    }

    /// The public half, by which a circle knows it.
    pub fn key(&self) -> NodeKey {
        NodeKey(SigningKey::from_bytes(&self.seed).verifying_key().to_bytes())
    }

    /// Signs what a service prepared. Takes the draft in Base64, and returns it with the signature
    /// of 64 bytes behind it, in Base64.
    ///
    /// # Errors
    /// [`RecoveryError::NoOperation`] for anything but a draft, [`RecoveryError::OtherKey`] for one
    /// whose author is not this key.
    pub fn sign(&self, draft: &str) -> Result<String, RecoveryError> {
        if draft.len() > DRAFT_LEN_MAX / 3 * 4 {
            return Err(RecoveryError::NoOperation);
        }
        let mut operation = Base64::decode_vec(draft).map_err(|_| RecoveryError::NoOperation)?;
        let author = operation.get(AUTHOR).ok_or(RecoveryError::NoOperation)?;
        if !operation.starts_with(MAGIC) {
            return Err(RecoveryError::NoOperation);
        }
        if author != self.key().0 {
            return Err(RecoveryError::OtherKey);
        }
        let signed = [LABEL, &operation].concat();
        let signature = SigningKey::from_bytes(&self.seed).sign(&signed);
        operation.extend_from_slice(&signature.to_bytes());
        Ok(Base64::encode_string(&operation))
    }
}

/// Whether a text is a word that a key can have, in whatever case: for forms that take word by
/// word.
pub fn is_word(text: &str) -> bool {
    let mut text = Cow::Borrowed(text.trim());
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        text = Cow::Owned(text.to_ascii_lowercase());
    }
    Language::English.find_word(&text).is_some()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, VerifyingKey};
    use proptest::prelude::*;

    use super::*;

    /// The vector of BIP 39 for 32 bytes of 0x7f.
    const WORDS: &str = "legal winner thank year wave sausage worth useful legal winner thank year \
                         wave sausage worth useful legal winner thank year wave sausage worth \
                         title";

    fn error_of(text: &str) -> RecoveryError {
        RecoveryKey::from_words(text).err().expect("words that are no key")
    }

    fn draft(author: NodeKey) -> Vec<u8> {
        [MAGIC, &[0; 32], &author.0, &[0; 39], b"\x01body"].concat()
    }

    #[test]
    fn words_are_those_of_the_standard() {
        let key = RecoveryKey::from_words(WORDS).unwrap();
        assert_eq!(*key.seed, [0x7f; 32]);
        assert_eq!(key.words().join(" "), WORDS);
    }

    #[test]
    fn key_made_is_another_each_time() {
        let keys = [(); 2].map(|()| RecoveryKey::generate().unwrap());
        assert_ne!(keys[0].key(), keys[1].key());
        let again = RecoveryKey::from_words(&keys[0].words().join(" ")).unwrap();
        assert_eq!(again.key(), keys[0].key());
    }

    #[test]
    fn words_may_be_written_in_many_ways() {
        let expected = RecoveryKey::from_words(WORDS).unwrap().key();
        let numbered: String = WORDS
            .split(' ')
            .enumerate()
            .map(|(index, word)| format!("{:>2}. {word}\n", index + 1))
            .collect();
        let texts = [WORDS.to_uppercase(), format!("\t {} ", WORDS.replace(' ', ",  ")), numbered];
        for text in texts {
            assert_eq!(RecoveryKey::from_words(&text).unwrap().key(), expected, "{text}");
        }
    }

    #[test]
    fn slips_are_named_by_their_position() {
        assert_eq!(error_of(""), RecoveryError::WordCount(0));
        assert_eq!(error_of(&WORDS[6..]), RecoveryError::WordCount(23));
        assert_eq!(error_of(&format!("{WORDS} legal")), RecoveryError::WordCount(25));
        assert_eq!(error_of(&"legal ".repeat(100_000)), RecoveryError::WordCount(2_048));
        let misspelt = WORDS.replacen("sausage", "sausege", 1);
        assert_eq!(error_of(&misspelt), RecoveryError::UnknownWord(6));
        assert_eq!(error_of(&WORDS.replacen("year", "jähr", 1)), RecoveryError::UnknownWord(4));
        let swapped = WORDS.replacen("legal winner", "winner legal", 1);
        assert_eq!(error_of(&swapped), RecoveryError::Checksum);
        assert!(!error_of(&misspelt).to_string().contains("sausege"));
    }

    #[test]
    fn draft_comes_back_with_a_signature_that_holds() {
        let key = RecoveryKey::from_words(WORDS).unwrap();
        let draft = draft(key.key());
        let signed = key.sign(&Base64::encode_string(&draft)).unwrap();
        let signed = Base64::decode_vec(&signed).unwrap();
        let (operation, signature) = signed.split_at(draft.len());
        assert_eq!(operation, draft);
        let public = VerifyingKey::from_bytes(&key.key().0).unwrap();
        let message = [b"planetary circle op\0", operation].concat();
        let signature = Signature::from_slice(signature).unwrap();
        public.verify_strict(&message, &signature).unwrap();
    }

    #[test]
    fn nothing_but_a_draft_of_the_key_is_signed() {
        let key = RecoveryKey::from_words(WORDS).unwrap();
        let sign = |bytes: &[u8]| key.sign(&Base64::encode_string(bytes));
        let good = draft(key.key());
        let mut other_magic = good.clone();
        other_magic[4] = b'2';
        for bytes in [&good[..68], &other_magic, &[], &[0; DRAFT_LEN_MAX + 1]] {
            assert_eq!(sign(bytes), Err(RecoveryError::NoOperation), "{bytes:?}");
        }
        assert_eq!(key.sign("not base64"), Err(RecoveryError::NoOperation));
        assert_eq!(sign(&draft(NodeKey([7; 32]))), Err(RecoveryError::OtherKey));
    }

    #[test]
    fn single_words_are_known() {
        assert!(is_word("zoo") && is_word(" Abandon "));
        assert!(!is_word("") && !is_word("zoos") && !is_word("zoo zoo"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,400}") {
            let _ = RecoveryKey::from_words(&text);
        }

        #[test]
        fn any_seed_comes_back_from_its_words(seed in any::<[u8; SEED_LEN]>()) {
            let key = RecoveryKey { seed: Zeroizing::new(seed) };
            let words = key.words();
            prop_assert!(words.iter().all(|word| is_word(word)));
            let again = RecoveryKey::from_words(&words.join(" ")).ok().unwrap();
            prop_assert_eq!(*again.seed, seed);
        }
    }
}
