//! Reading and writing an Ed25519 private key as PKCS#8 in PEM (RFC 5958, RFC 7468, RFC 8410).
//!
//! Writes the 48-byte version 1 form that every tool reads. Reads version 1 and version 2, the
//! latter with its public key in either of the two tags found in the wild, and reports it for
//! comparison. Only the first PEM block counts. The structure is fixed and tiny, so it is read by
//! hand: no allocation beyond the text, no recursion, no panic.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

const LABEL: &str = "PRIVATE KEY";

/// Everything before the seed in the version 1 form: SEQUENCE, version 0, OID 1.3.101.112, two
/// OCTET STRINGs.
const V1_PREFIX: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

const OID_ED25519: [u8; 5] = [6, 3, 0x2b, 0x65, 0x70];

const SEED_LEN: usize = 32;

/// A key as it stands in a file.
pub(super) struct PrivateKey {
    pub(super) seed: Zeroizing<[u8; SEED_LEN]>,
    /// The public key that the file claims for the seed, unchecked.
    pub(super) public: Option<[u8; 32]>,
}

/// Why a text is not an Ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("the file holds a {0}, not an Ed25519 private key")]
    OtherThing(String),
    #[error("the file holds a private key of another kind than Ed25519")]
    OtherKind,
    #[error("the key in the file has {0} bytes instead of {SEED_LEN}")]
    Length(usize),
    #[error("{0}")]
    Damaged(&'static str),
}

impl KeyError {
    /// Whether the file is whole and merely the wrong one.
    pub(super) fn is_other_file(&self) -> bool {
        !matches!(self, Self::Damaged(_))
    }
}

pub(super) fn encode(seed: &[u8; SEED_LEN]) -> Zeroizing<String> {
    let mut der = Zeroizing::new([0; V1_PREFIX.len() + SEED_LEN]);
    der[..V1_PREFIX.len()].copy_from_slice(&V1_PREFIX);
    der[V1_PREFIX.len()..].copy_from_slice(seed);
    let base64 = Zeroizing::new(Base64::encode_string(der.as_slice()));
    Zeroizing::new(format!("-----BEGIN {LABEL}-----\n{}\n-----END {LABEL}-----\n", base64.as_str()))
}

pub(super) fn decode(text: &str) -> Result<PrivateKey, KeyError> {
    let (label, body) = first_block(text)?;
    if label != LABEL {
        return Err(KeyError::OtherThing(crate::config::printable(&label.to_lowercase())));
    }
    let base64: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let der = Base64::decode_vec(&base64)
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Damaged("the text between the marks is not base64"))?;
    decode_der(&der)
}

/// Returns label and body of the first PEM block.
fn first_block(text: &str) -> Result<(&str, &str), KeyError> {
    let begin = "-----BEGIN ";
    let start = text.find(begin).ok_or(KeyError::Damaged("there is no \"-----BEGIN\" line"))?;
    let rest = &text[start + begin.len()..];
    let (label, rest) =
        rest.split_once("-----").ok_or(KeyError::Damaged("the \"-----BEGIN\" line is cut off"))?;
    let end = format!("-----END {label}-----");
    let (body, _) = rest
        .split_once(end.as_str())
        .ok_or(KeyError::Damaged("the \"-----END\" line is missing"))?;
    Ok((label, body))
}

fn decode_der(der: &[u8]) -> Result<PrivateKey, KeyError> {
    const BROKEN: KeyError = KeyError::Damaged("the key's structure is broken");
    let (outer, rest) = element(der, 0x30).ok_or(BROKEN)?;
    let (version, outer) = element(outer, 2).ok_or(BROKEN)?;
    let (algorithm, outer) = element(outer, 0x30).ok_or(BROKEN)?;
    if !rest.is_empty() || !matches!(version, [0 | 1]) {
        return Err(BROKEN);
    }
    if algorithm != OID_ED25519 {
        return Err(KeyError::OtherKind);
    }
    let (key, mut optional) = element(outer, 4).ok_or(BROKEN)?;
    let (key, after) = element(key, 4).ok_or(BROKEN)?;
    if !after.is_empty() {
        return Err(BROKEN);
    }
    let seed = <[u8; SEED_LEN]>::try_from(key).map_err(|_| KeyError::Length(key.len()))?;
    if let Some((_, rest)) = element(optional, 0xa0) {
        optional = rest;
    }
    let public = match optional {
        [] => None,
        // RFC 5958 has an implicit tag; some libraries write an explicit one.
        _ => {
            let implicit = element(optional, 0x81);
            let explicit = || {
                let (inner, rest) = element(optional, 0xa1)?;
                let (bits, after) = element(inner, 3)?;
                after.is_empty().then_some((bits, rest))
            };
            match implicit.or_else(explicit) {
                Some(([0, bits @ ..], [])) => Some(<[u8; 32]>::try_from(bits).map_err(|_| BROKEN)?),
                _ => return Err(BROKEN),
            }
        }
    };
    Ok(PrivateKey { seed: Zeroizing::new(seed), public })
}

/// Splits one element with the given tag off the front: its content and what follows.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    // One length byte covers every key of this kind; two and three length bytes only serve to name
    // other kinds.
    let (len, bytes) = match first {
        0..=0x7f => (usize::from(first), bytes),
        0x81 => {
            let (&len, bytes) = bytes.split_first()?;
            (usize::from(len), bytes)
        }
        0x82 => {
            let (len, bytes) = bytes.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*len)), bytes)
        }
        _ => return None,
    };
    (found == tag).then(|| bytes.split_at_checked(len)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Node A of protocol chapter 12.3.
    const NODE_A: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
        -----END PRIVATE KEY-----\n";

    fn seed_a() -> [u8; 32] {
        std::array::from_fn(|i| u8::try_from(i).unwrap())
    }

    fn pem(label: &str, der: &[u8]) -> String {
        let body = Base64::encode_string(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
    }

    fn error_of(text: &str) -> KeyError {
        decode(text).err().unwrap()
    }

    #[test]
    fn writes_and_reads_the_vector_of_chapter_12_3() {
        assert_eq!(encode(&seed_a()).as_str(), NODE_A);
        let key = decode(NODE_A).unwrap();
        assert_eq!((*key.seed, key.public), (seed_a(), None));
    }

    #[test]
    fn reads_other_line_ends_wrapping_and_text_around_it() {
        let wrapped = NODE_A.replace("MC4CAQAw", "MC4C\nAQAw").replace('\n', "\r\n");
        let noisy = format!("made by hand\n{wrapped}\ntrailing words");
        assert_eq!(*decode(&noisy).unwrap().seed, seed_a());
    }

    #[test]
    fn reads_both_forms_of_version_2() {
        let seed = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let public = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        let implicit = format!("3051020101300506032b657004220420{seed}812100{public}");
        let explicit = format!("3053020101300506032b657004220420{seed}a123032100{public}");
        let attributes = format!("3053020101300506032b657004220420{seed}a000812100{public}");
        for der in [implicit, explicit, attributes] {
            let key = decode(&pem("PRIVATE KEY", &hex(&der))).unwrap();
            assert_eq!(key.public.unwrap().to_vec(), hex(public), "{der}");
        }
    }

    #[test]
    fn names_a_file_that_is_something_else() {
        let text = NODE_A.replace("PRIVATE KEY", "CERTIFICATE");
        assert_eq!(
            error_of(&text).to_string(),
            "the file holds a certificate, not an Ed25519 private key"
        );
        let x25519 = NODE_A.replace("K2Vw", "K2Vu");
        assert_eq!(error_of(&x25519), KeyError::OtherKind);
        let short = hex("302d020100300506032b65700421041f\
             000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e");
        assert_eq!(error_of(&pem("PRIVATE KEY", &short)), KeyError::Length(31));
    }

    #[test]
    fn every_cut_of_a_good_file_is_damage() {
        let kept = NODE_A.len() - 1;
        for end in 0..kept {
            let error = error_of(&NODE_A[..end]);
            assert!(!error.is_other_file(), "cut at {end}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(?s).{0,300}") {
            let _ = decode(&text);
        }

        #[test]
        fn any_structure_is_answered(der in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = decode(&pem("PRIVATE KEY", &der));
        }

        #[test]
        fn a_changed_byte_never_panics(index in 0usize..48, value in any::<u8>()) {
            let mut der = [&V1_PREFIX[..], &seed_a()].concat();
            der[index] = value;
            let _ = decode(&pem("PRIVATE KEY", &der));
        }

        #[test]
        fn what_is_written_is_read(seed in any::<[u8; 32]>()) {
            prop_assert_eq!(*decode(&encode(&seed)).unwrap().seed, seed);
        }
    }
}
