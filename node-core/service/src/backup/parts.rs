//! What is sealed in a backup: named parts, each a run of bytes that only its owner understands.
//!
//! ```text
//! version 1 | (name length u8 | name | content length u32 | content)*       big-endian
//! ```
//!
//! Names are 1 to 32 lower-case letters, digits, `-` and `_`, each at most once. A part that this
//! version does not know is kept apart and reported, so that nobody believes it restored.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

const VERSION: u8 = 1;

/// Most parts; a dozen kinds of state are in sight.
const PARTS_MAX: usize = 64;

const NAME_LEN_MAX: usize = 32;

/// All parts together, in bytes: what Base64 makes of it stays below the longest backup.
const LEN_MAX: usize = 360 * 1024;

/// Why a backup cannot hold its parts, or they cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// More than a backup may hold.
    #[error("there is more to back up than fits into {} KiB", LEN_MAX / 1024)]
    TooLong,
    /// A name that cannot be one, or is there already.
    #[error("a part of the backup has a wrong name")]
    Name,
    /// The parts of an opened backup have a shape that this version does not know.
    #[error("what is in the backup has a form that this version does not know")]
    Form,
}

/// The parts of a backup by name. Has no `Debug` that shows more than names.
#[derive(Default)]
pub struct Parts(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl Parts {
    /// Adds a part.
    ///
    /// # Errors
    /// [`PartsError`].
    pub fn insert(&mut self, name: &str, content: &[u8]) -> Result<(), PartsError> {
        if !is_name(name) || self.0.contains_key(name) {
            return Err(PartsError::Name);
        }
        let len = self.len() + name.len() + content.len() + 5;
        if self.0.len() >= PARTS_MAX || len > LEN_MAX {
            return Err(PartsError::TooLong);
        }
        self.0.insert(name.to_owned(), Zeroizing::new(content.to_vec()));
        Ok(())
    }

    /// Takes a part out.
    pub fn take(&mut self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.0.remove(name)
    }

    /// The names of the parts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn len(&self) -> usize {
        1 + self.0.iter().map(|(name, content)| name.len() + content.len() + 5).sum::<usize>()
    }

    /// The parts as bytes, in a vector with room for `spare` more.
    pub(super) fn emit(&self, spare: usize) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.len() + spare));
        bytes.push(VERSION);
        for (name, content) in &self.0 {
            // Both are bounded by `insert` and `parse`.
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(name.as_bytes());
            let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(content);
        }
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PartsError> {
        let (&version, mut rest) = bytes.split_first().ok_or(PartsError::Form)?;
        if version != VERSION {
            return Err(PartsError::Form);
        }
        let mut parts = Self::default();
        while let Some((&len, after)) = rest.split_first() {
            let (name, after) = after.split_at_checked(len.into()).ok_or(PartsError::Form)?;
            let name = std::str::from_utf8(name).map_err(|_| PartsError::Name)?;
            let (len, after) = after.split_first_chunk::<4>().ok_or(PartsError::Form)?;
            let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| PartsError::Form)?;
            let (content, after) = after.split_at_checked(len).ok_or(PartsError::Form)?;
            parts.insert(name, content)?;
            rest = after;
        }
        Ok(parts)
    }
}

fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(fits)
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_lengths_have_bounds() {
        let mut parts = Parts::default();
        parts.insert("identity", b"x").unwrap();
        for name in ["", "identity", "Identity", "a b", "ä", &"x".repeat(33)] {
            assert_eq!(parts.insert(name, b""), Err(PartsError::Name), "{name}");
        }
        assert_eq!(parts.insert("long", &vec![0; LEN_MAX]), Err(PartsError::TooLong));
        for index in 1..PARTS_MAX {
            parts.insert(&format!("part-{index}"), b"").unwrap();
        }
        assert_eq!(parts.insert("one-more", b""), Err(PartsError::TooLong));
        assert!(!format!("{parts:?}").contains('x'));
    }

    #[test]
    fn other_versions_cuts_and_repetitions_are_refused() {
        let mut parts = Parts::default();
        parts.insert("a", b"content").unwrap();
        let bytes = parts.emit(0);
        for end in 0..bytes.len() {
            let cut = Parts::parse(&bytes[..end]);
            assert!(end == 1 || cut.is_err(), "cut at {end}");
        }
        let twice = [&bytes[..], &bytes[1..]].concat();
        assert_eq!(Parts::parse(&twice).unwrap_err(), PartsError::Name);
        assert_eq!(Parts::parse(&[2]).unwrap_err(), PartsError::Form);
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed(
            content in proptest::collection::btree_map(
                "[a-z0-9_-]{1,32}", proptest::collection::vec(any::<u8>(), 0..50), 0..8,
            ),
        ) {
            let mut parts = Parts::default();
            for (name, content) in &content {
                parts.insert(name, content).unwrap();
            }
            let bytes = parts.emit(3);
            prop_assert_eq!(bytes.len(), parts.len());
            let mut back = Parts::parse(&bytes).unwrap();
            for (name, content) in &content {
                prop_assert_eq!(&*back.take(name).unwrap(), content);
            }
            prop_assert_eq!(back.names().count(), 0);
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(parts) = Parts::parse(&bytes) {
                prop_assert!(parts.len() == bytes.len());
            }
        }
    }
}
