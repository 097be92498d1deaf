//! What the pages get of a key on paper. Words are secrets: they are made and used here, so that
//! the service never sees them, and have no `Debug`.

use planetary_ipc::recovery::RecoveryError;
use planetary_ipc::{NodeKey, RecoveryKey};
use serde::Serialize;

use super::failure::Failure;

/// A new key on paper.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecoveryWords {
    /// The 24 words that the person writes down, in their order.
    pub words: Vec<&'static str>,
    /// The key that they stand for.
    #[cfg_attr(test, schemars(with = "String"))]
    pub key: NodeKey,
}

/// A key on paper, without the words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PaperKey {
    /// The key.
    #[cfg_attr(test, schemars(with = "String"))]
    pub key: NodeKey,
}

/// What a key on paper signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SignedOperation {
    /// What the service prepared, and the signature, in Base64.
    pub operation: String,
}

impl RecoveryWords {
    /// Makes a key: words that the person writes down, and that are kept nowhere.
    ///
    /// # Errors
    /// `system_refused`, when the system has no random numbers.
    pub(crate) fn make() -> Result<Self, Failure> {
        let key = RecoveryKey::generate().map_err(failure)?;
        Ok(Self { words: key.words().to_vec(), key: key.key() })
    }
}

impl PaperKey {
    /// The key that words stand for.
    ///
    /// # Errors
    /// `invalid_words`, with the reason.
    pub(crate) fn of(words: &str) -> Result<Self, Failure> {
        Ok(Self { key: RecoveryKey::from_words(words).map_err(failure)?.key() })
    }
}

impl SignedOperation {
    /// Signs what the service prepared, in Base64, with the key that words stand for.
    ///
    /// # Errors
    /// `invalid_words`, with the reason; `invalid_request` for what is no operation.
    pub(crate) fn sign(words: &str, draft: &str) -> Result<Self, Failure> {
        let key = RecoveryKey::from_words(words).map_err(failure)?;
        Ok(Self { operation: key.sign(draft).map_err(failure)? })
    }
}

fn failure(error: RecoveryError) -> Failure {
    use planetary_ipc::ErrorCode::{InvalidRequest, SystemRefused};

    match error {
        RecoveryError::NoRandomness => Failure::of(SystemRefused, error.to_string()),
        RecoveryError::NoOperation => Failure::of(InvalidRequest, error.to_string()),
        _ => Failure::own("invalid_words", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};

    use super::*;

    #[test]
    fn words_that_were_written_down_are_the_key_again() {
        let made = RecoveryWords::make().unwrap();
        assert_ne!(made.key, RecoveryWords::make().unwrap().key);
        let written: Vec<String> =
            made.words.iter().enumerate().map(|(at, word)| format!("{}. {word}", at + 1)).collect();
        assert_eq!(PaperKey::of(&written.join("\n").to_uppercase()).unwrap().key, made.key);
    }

    #[test]
    fn words_sign_what_is_for_their_key_and_nothing_else() {
        let made = RecoveryWords::make().unwrap();
        let words = made.words.join(" ");
        let draft = [b"PLNC1".as_slice(), &[0; 32], &made.key.0, &[0; 40]].concat();
        let signed = SignedOperation::sign(&words, &Base64::encode_string(&draft)).unwrap();
        let signed = Base64::decode_vec(&signed.operation).unwrap();
        assert_eq!((&signed[..draft.len()], signed.len()), (&draft[..], draft.len() + 64));
        let other = RecoveryWords::make().unwrap().words.join(" ");
        for (words, draft, code) in [
            (other.as_str(), Base64::encode_string(&draft), "invalid_words"),
            ("legal winner", Base64::encode_string(&draft), "invalid_words"),
            (&words, Base64::encode_string(b"hello"), "invalid_request"),
        ] {
            let failure = SignedOperation::sign(words, &draft).unwrap_err();
            assert_eq!(failure.code, code, "{failure}");
        }
    }
}
