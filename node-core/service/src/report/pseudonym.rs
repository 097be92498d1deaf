//! Names that tell one thing from another and say nothing about either.
//!
//! A pseudonym is eight letters of a keyed hash: BLAKE2b under 32 random bytes that never leave the
//! state folder. The same thing has the same pseudonym in every report of one node, so two reports
//! can be compared; without the key nobody can test a guess, not even for a list of all public
//! peers. Eight letters of 32 are 40 bits: that two things of one report share a pseudonym happens
//! once in many millions of reports.

use std::io;
use std::path::Path;

use blake2::Blake2bMac512;
use blake2::digest::{KeyInit, Mac};
use planetary_proto::identity::NodeKey;
use zeroize::Zeroizing;

use crate::state::atomic::{self, OsDisk};
use crate::state::{ReadError, StateDir, read_bounded, set_aside};

/// Name of the file with the key, in the state folder.
const FILE_NAME: &str = "pseudonyms.key";

const KEY_LEN: usize = 32;

/// Letters of a pseudonym.
const LETTERS: usize = 8;

/// Small letters and digits that nobody takes for each other.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// Makes pseudonyms. Has no `Debug`: it holds the key.
pub struct Pseudonyms {
    key: Zeroizing<[u8; KEY_LEN]>,
    /// Whether the key is kept.
    pub(super) last: bool,
}

impl Pseudonyms {
    /// Reads the key of a state folder, or makes one. Without a folder that can be written the
    /// pseudonyms are good for one report.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn of(dir: &StateDir, now_unix_s: u64) -> Result<Self, getrandom::Error> {
        let path = dir.path().join(FILE_NAME);
        let read = read_bounded(&path, KEY_LEN as u64).map(Zeroizing::new);
        if let Ok(bytes) = &read
            && let Ok(key) = <[u8; KEY_LEN]>::try_from(&bytes[..])
        {
            return Ok(Self { key: Zeroizing::new(key), last: true });
        }
        let mut key = Zeroizing::new([0; KEY_LEN]);
        getrandom::fill(key.as_mut_slice())?;
        let kept = match read {
            Err(ReadError::Missing) => keep(&path, &key),
            // Of another length, so of no use; but whose it is, is not for us to say.
            Ok(_) | Err(ReadError::TooLarge(_)) => {
                set_aside(&path, now_unix_s).and_then(|_| keep(&path, &key))
            }
            Err(_) => Err(io::ErrorKind::Other.into()),
        };
        Ok(Self { key, last: kept.is_ok() })
    }

    /// Pseudonyms under a key of the caller's.
    #[cfg(test)]
    pub(super) fn under(key: [u8; KEY_LEN]) -> Self {
        Self { key: Zeroizing::new(key), last: true }
    }

    /// The pseudonym of a node: of its key, its address and its subnet alike.
    #[must_use]
    pub fn node(&self, key: &NodeKey) -> String {
        self.name("node", key.as_bytes())
    }

    /// The pseudonym of a host, by name or address.
    #[must_use]
    pub fn host(&self, host: &str) -> String {
        self.name("host", host.to_ascii_lowercase().as_bytes())
    }

    /// The pseudonym of an interface.
    #[must_use]
    pub fn interface(&self, name: &str) -> String {
        self.name("interface", name.as_bytes())
    }

    fn name(&self, kind: &str, what: &[u8]) -> String {
        // The algorithm takes keys of up to 64 bytes.
        let mut mac =
            Blake2bMac512::new_from_slice(self.key.as_slice()).expect("the key has 32 bytes");
        // A zero ends the kind, so that no two pairs of kind and thing read alike.
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(what);
        let hash = mac.finalize().into_bytes();
        let letters =
            hash.iter().take(LETTERS).map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        format!("{kind}-{}", letters.collect::<String>())
    }
}

fn keep(path: &Path, key: &[u8; KEY_LEN]) -> io::Result<()> {
    atomic::create(&OsDisk, path, key, 0o600)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_pseudonym_depends_on_kind_thing_and_key() {
        let names = Pseudonyms::under([7; KEY_LEN]);
        let one = names.host("peer.example");
        assert_eq!(one, names.host("PEER.example"));
        assert_eq!(one.len(), "host-".len() + LETTERS);
        assert_ne!(one, names.host("peer.example."));
        assert_ne!(one[5..], names.interface("peer.example")[10..]);
        assert_ne!(one, Pseudonyms::under([8; KEY_LEN]).host("peer.example"));
    }

    #[test]
    fn the_key_is_made_once_and_kept_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(&folder.path().join("state")).unwrap();
        let first = Pseudonyms::of(&dir, 1).unwrap();
        let second = Pseudonyms::of(&dir, 2).unwrap();
        assert!(first.last && second.last);
        assert_eq!(first.host("a"), second.host("a"));
        let path = dir.path().join(FILE_NAME);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // A damaged one is kept beside.
        fs::write(&path, "short").unwrap();
        let third = Pseudonyms::of(&dir, 3).unwrap();
        assert!(third.last && third.host("a") != first.host("a"));
        let aside = dir.path().join(format!("{FILE_NAME}.damaged-3"));
        assert_eq!(fs::read(aside).unwrap(), b"short");
    }

    #[test]
    fn a_key_that_cannot_be_kept_is_good_for_one_report() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(&folder.path().join("state")).unwrap();
        fs::create_dir(dir.path().join(FILE_NAME)).unwrap();
        let names = Pseudonyms::of(&dir, 1).unwrap();
        assert!(!names.last && names.host("a").starts_with("host-"));
    }
}
