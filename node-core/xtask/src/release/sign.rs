//! Signatures of the release: Ed25519 over the bytes of a file, beside it as a line of base64.
//!
//! The key is a file, or a program of whoever keeps it elsewhere (on a token, in a safe) and signs
//! there. Programs that are built with the public key believe lists of versions that are signed
//! so; the same is checked here before anything is written.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::package::sums;

/// Names a file with the key: PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it.
const KEY: &str = "PLANETARY_SIGNING_KEY";

/// Names a program that is given a file's name, and prints its signature as base64.
const COMMAND: &str = "PLANETARY_SIGN_COMMAND";

/// The public key that programs are built with, as 64 hexadecimal digits.
const PUBLIC: &str = "PLANETARY_RELEASE_KEY";

/// What to say to whoever has set neither.
pub(super) const HOW: &str = "set PLANETARY_SIGNING_KEY to a key file, or PLANETARY_SIGN_COMMAND";

/// What precedes the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410, section 10.3).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Whoever signs.
pub(super) struct Signer {
    means: Means,
    /// What signatures are checked with.
    public: VerifyingKey,
}

enum Means {
    Key(Box<SigningKey>),
    Command(PathBuf),
}

impl Signer {
    /// As the environment says; `None` if it says nothing.
    pub(super) fn of_environment() -> Result<Option<Self>> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let public = set(PUBLIC).map(|digits| public_key(&digits.to_string_lossy())).transpose()?;
        let signer = match (set(KEY), set(COMMAND), public) {
            (Some(_), Some(_), _) => bail!("{KEY} and {COMMAND} are both set"),
            (None, None, _) => return Ok(None),
            (Some(file), None, public) => {
                let text = fs::read_to_string(&file).with_context(|| KEY.to_owned())?;
                let key = Box::new(read_key(&text)?);
                let own = key.verifying_key();
                ensure!(
                    public.is_none_or(|public| public == own),
                    "{KEY} does not belong to {PUBLIC}, which programs are built with"
                );
                Self { means: Means::Key(key), public: own }
            }
            (None, Some(program), Some(public)) => {
                Self { means: Means::Command(program.into()), public }
            }
            (None, Some(_), None) => bail!("{COMMAND} needs {PUBLIC}, to check what it gives"),
        };
        Ok(Some(signer))
    }

    /// Writes the signature of a file beside it, and returns where.
    pub(super) fn sign(&self, file: &Path) -> Result<PathBuf> {
        let bytes = fs::read(file).with_context(|| file.display().to_string())?;
        let signature = match &self.means {
            Means::Key(key) => key.sign(&bytes),
            Means::Command(program) => ask(program, file)?,
        };
        let good = self.public.verify_strict(&bytes, &signature);
        good.with_context(|| format!("the signature of {} is not of {PUBLIC}", file.display()))?;
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}", sums::SIGNATURE));
        let line = format!("{}\n", Base64::encode_string(&signature.to_bytes()));
        fs::write(&name, line)?;
        Ok(name.into())
    }
}

/// Has a program sign a file.
fn ask(program: &Path, file: &Path) -> Result<Signature> {
    let output = Command::new(program).arg(file).output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(output.status.success(), "{} did not sign", program.display());
    let text = String::from_utf8_lossy(&output.stdout);
    let mut bytes = [0; 64];
    let read = Base64::decode(text.trim(), &mut bytes).is_ok_and(|bytes| bytes.len() == 64);
    ensure!(read, "{} printed no signature in base64", program.display());
    Ok(Signature::from_bytes(&bytes))
}

fn public_key(digits: &str) -> Result<VerifyingKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).with_context(|| PUBLIC.to_owned())?;
    VerifyingKey::from_bytes(&bytes).with_context(|| PUBLIC.to_owned())
}

/// The key of a PEM file.
fn read_key(text: &str) -> Result<SigningKey> {
    let body = text
        .trim()
        .strip_prefix("-----BEGIN PRIVATE KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"));
    let line: String = body.unwrap_or_default().split_whitespace().collect();
    let bytes = Base64::decode_vec(&line).unwrap_or_default();
    let seed = bytes.strip_prefix(PKCS8_HEAD.as_slice()).and_then(|seed| seed.try_into().ok());
    let seed = seed.with_context(|| format!("{KEY} is no Ed25519 key in PEM"))?;
    Ok(SigningKey::from_bytes(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The private key of RFC 8410, section 10.3, and its public one of section 10.1.
    const KEY_TEXT: &str = "-----BEGIN PRIVATE KEY-----\n\
                            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                            -----END PRIVATE KEY-----\n";
    const PUBLIC_TEXT: &str = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

    #[test]
    fn key_file_is_read_as_the_standard_writes_it() {
        let key = read_key(KEY_TEXT).unwrap();
        assert_eq!(Base64::encode_string(key.verifying_key().as_bytes()), PUBLIC_TEXT);
        assert!(read_key(&KEY_TEXT.replace("PRIVATE", "EC PRIVATE")).is_err());
        assert!(read_key(&KEY_TEXT.replace("MC4CAQ", "MC4CAR")).is_err());
        assert!(read_key("").is_err());
    }

    #[test]
    fn signature_lies_beside_the_file_and_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("SHA256SUMS");
        fs::write(&file, "sums").unwrap();
        let key = read_key(KEY_TEXT).unwrap();
        let public = key.verifying_key();
        let signer = Signer { means: Means::Key(Box::new(key.clone())), public };
        let signed = signer.sign(&file).unwrap();
        assert_eq!(signed, folder.path().join("SHA256SUMS.sig"));
        let text = fs::read_to_string(&signed).unwrap();
        let signature = Signature::from_slice(&Base64::decode_vec(text.trim()).unwrap()).unwrap();
        public.verify_strict(b"sums", &signature).unwrap();
        let other = SigningKey::from_bytes(&[9; 32]).verifying_key();
        let signer = Signer { means: Means::Key(Box::new(key)), public: other };
        assert!(signer.sign(&file).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn program_that_signs_is_held_to_the_public_key() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let (file, program) = (folder.path().join("SHA256SUMS"), folder.path().join("sign"));
        fs::write(&file, "sums").unwrap();
        let key = read_key(KEY_TEXT).unwrap();
        let signature = Base64::encode_string(&key.sign(b"sums").to_bytes());
        fs::write(&program, format!("#!/bin/sh\ntest -f \"$1\" && echo {signature}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let signer = Signer { means: Means::Command(program), public: key.verifying_key() };
        signer.sign(&file).unwrap();
        fs::write(&file, "other sums").unwrap();
        assert!(signer.sign(&file).is_err());
    }
}
