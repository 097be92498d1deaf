//! Small versioned JSON files of the state folder: what the person wants, and what must never be
//! said twice.
//!
//! A record is read once at start and written whole on every change. A damaged one is set aside and
//! its default used, because no record is worth refusing to start: a lost intent means "on the
//! network" as on the first day, and lost numbers start again from the clock ([`super::friends`]
//! says what lost friends mean). A record of a newer
//! version is neither read nor touched: the start is refused, so that going back to an older
//! program loses nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use planetary_proto::identity::NodeKey;
use serde::de::{DeserializeOwned, Unexpected};
use serde::{Deserialize, Serialize};

use super::atomic::{self, Disk, OsDisk};
use super::{ReadError, StateDir, read_bounded, set_aside};

/// A record that says nothing of its length has less than a hundred bytes.
const FILE_LEN_MAX: u64 = 4096;

/// The version this program writes.
const VERSION: u64 = 1;

/// What can be kept in a file of its own.
pub trait Record: Serialize + DeserializeOwned + Default {
    /// Name of the file in the state folder.
    const FILE_NAME: &'static str;
    /// Longest file that makes sense, in bytes.
    const LEN_MAX: u64 = FILE_LEN_MAX;
}

/// Whether the person wants the node on the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connect {
    /// On the network.
    #[default]
    Up,
    /// Off it, until told otherwise.
    Down,
}

/// `intent.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Whether to be on the network.
    pub connect: Connect,
}

/// `sequence.json`: the highest sequence number that other nodes may have seen from this one.
///
/// Others ignore what is not newer than what they have seen, so after a restart with a clock that
/// was set back the node must go on above it. Numbers belong to a key: those of a former identity
/// are remembered for the day it comes back, and say nothing about the present one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// In seconds since 1970, unless a clock was wrong.
    #[serde(deserialize_with = "plausible")]
    pub highest: u64,
    /// Whose number it is, 64 hexadecimal digits. A file without it is about the only key there
    /// ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The numbers of former keys.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "all_plausible"
    )]
    pub former: BTreeMap<String, u64>,
}

/// Former keys whose numbers are remembered. The lowest number is forgotten first: the clock has
/// left it behind longest.
const FORMER_MAX: usize = 32;

/// The year 3000. A node that goes on above a number out of nowhere could never go back.
const HIGHEST_MAX: u64 = 32_503_680_000;

fn plausible<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    checked(u64::deserialize(deserializer)?)
}

fn all_plausible<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, u64>, D::Error> {
    let former = BTreeMap::<String, u64>::deserialize(deserializer)?;
    former.into_iter().map(|(key, highest)| Ok((key, checked(highest)?))).collect()
}

fn checked<E: serde::de::Error>(highest: u64) -> Result<u64, E> {
    if highest > HIGHEST_MAX {
        let expected = "seconds since 1970, before the year 3000";
        return Err(E::invalid_value(Unexpected::Unsigned(highest), &expected));
    }
    Ok(highest)
}

impl Record for Intent {
    const FILE_NAME: &'static str = "intent.json";
}

impl Record for Sequence {
    const FILE_NAME: &'static str = "sequence.json";
    /// Four thousand bytes with the numbers of all former keys.
    const LEN_MAX: u64 = 16 * 1024;
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u64,
    #[serde(flatten)]
    record: T,
}

/// A record, and what was wrong with its file.
#[derive(Debug)]
pub struct Loaded<T> {
    /// What the file says, or the default.
    pub record: T,
    /// What became of a damaged file.
    pub damage: Option<Damage>,
}

/// A damaged record.
#[derive(Debug)]
pub struct Damage {
    /// Where the file was.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// Where it was kept; an error if it could not be renamed.
    pub kept: io::Result<PathBuf>,
}

/// Why a record cannot be used and its default must not be either.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A newer program wrote it.
    #[error(
        "{}: written by a newer version of this program; update the program, or move the file \
         away",
        path.display()
    )]
    Newer {
        /// The file, untouched.
        path: PathBuf,
    },
    /// It is there but cannot be read.
    #[error("{}: {source}; {}", path.display(), source.remedy())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What reading it met.
        source: ReadError,
    },
}

/// Reads a record; a missing file is the default.
///
/// # Errors
/// [`RecordError`]; the service must not start then.
pub fn load<T: Record>(dir: &StateDir, unix_s: u64) -> Result<Loaded<T>, RecordError> {
    let path = dir.path().join(T::FILE_NAME);
    let bytes = match read_bounded(&path, T::LEN_MAX) {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) => return Ok(Loaded { record: T::default(), damage: None }),
        Err(source @ ReadError::System(_)) => return Err(RecordError::Unreadable { path, source }),
        Err(odd) => return Ok(damaged(path, odd.to_string(), unix_s)),
    };
    match parse_text(&bytes) {
        Ok(Some(record)) => Ok(Loaded { record, damage: None }),
        Ok(None) => Err(RecordError::Newer { path }),
        Err(error) => Ok(damaged(path, error.to_string(), unix_s)),
    }
}

/// Returns the record, or `None` if a newer program wrote it.
pub(super) fn parse_text<T: Record>(bytes: &[u8]) -> Result<Option<T>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    let Version { version } = serde_json::from_slice(bytes)?;
    if version > VERSION {
        return Ok(None);
    }
    serde_json::from_slice::<Versioned<T>>(bytes).map(|read| Some(read.record))
}

fn damaged<T: Record>(path: PathBuf, reason: String, unix_s: u64) -> Loaded<T> {
    let kept = set_aside(&path, unix_s);
    Loaded { record: T::default(), damage: Some(Damage { path, reason, kept }) }
}

/// Writes a record.
///
/// # Errors
/// Those of the system; the old record is then in place.
pub fn store<T: Record>(dir: &StateDir, record: T) -> io::Result<()> {
    store_with(&OsDisk, &dir.path().join(T::FILE_NAME), record)
}

pub(super) fn store_with<T: Record>(
    disk: &impl Disk,
    path: &std::path::Path,
    record: T,
) -> io::Result<()> {
    atomic::replace(disk, path, to_text(&record)?.as_bytes(), atomic::PRIVATE)
}

/// The content of a record's file.
pub(super) fn to_text<T: Record>(record: &T) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(&Versioned { version: VERSION, record })?;
    text.push('\n');
    Ok(text)
}

/// Keeps `sequence.json` at or above everything that was sent.
///
/// While the node runs the file is ahead of it by up to [`SequenceKeeper::AHEAD`], so that it is
/// written once in a while instead of once a number, and is still right after the process was
/// killed. A clean end takes it back to what was really sent, so that numbers do not run away from
/// the clock.
#[derive(Debug)]
pub struct SequenceKeeper {
    key: String,
    stored: u64,
    former: BTreeMap<String, u64>,
}

impl SequenceKeeper {
    /// How far the file runs ahead: numbers follow the clock in seconds, so this is one write a
    /// minute on a busy node. Killed at its worst moment, a node is a minute ahead of its clock.
    pub const AHEAD: u64 = 60;

    /// Starts from what the file says about `key`.
    #[must_use]
    pub fn new(stored: Sequence, key: &NodeKey) -> Self {
        let Sequence { highest, key: stored_key, former } = stored;
        let written_for = stored_key.unwrap_or_else(|| key.to_string());
        let mut keeper = Self { key: written_for, stored: highest, former };
        keeper.switch(key);
        keeper
    }

    /// The first number that was never sent.
    #[must_use]
    pub fn first_unused(&self) -> u64 {
        self.stored.saturating_add(1)
    }

    /// Goes on with the numbers of another key, and remembers those of the present one.
    ///
    /// # Errors
    /// Those of the system; nothing is changed then.
    pub fn turn_to(&mut self, dir: &StateDir, key: &NodeKey) -> io::Result<()> {
        let (old_key, stored, former) = (self.key.clone(), self.stored, self.former.clone());
        self.switch(key);
        let written = self.write(dir, self.stored);
        if written.is_err() {
            (self.key, self.stored, self.former) = (old_key, stored, former);
        }
        written
    }

    fn switch(&mut self, key: &NodeKey) {
        let key = key.to_string();
        if key == self.key {
            return;
        }
        let number = self.former.remove(&key).unwrap_or_default();
        let former = std::mem::replace(&mut self.key, key);
        self.former.insert(former, std::mem::replace(&mut self.stored, number));
        while self.former.len() > FORMER_MAX {
            let lowest = self.former.iter().min_by_key(|(_, highest)| **highest);
            let Some(lowest) = lowest.map(|(key, _)| key.clone()) else { break };
            self.former.remove(&lowest);
        }
    }

    /// Makes sure that the file covers `sent`.
    ///
    /// # Errors
    /// Those of the system; the next call tries again.
    pub fn cover(&mut self, dir: &StateDir, sent: u64) -> io::Result<()> {
        if sent <= self.stored { Ok(()) } else { self.write(dir, sent.saturating_add(Self::AHEAD)) }
    }

    /// Stores exactly `sent`, the last number of a node that has ended.
    ///
    /// # Errors
    /// Those of the system; the file then covers `sent` all the same, if it did before.
    pub fn settle(&mut self, dir: &StateDir, sent: u64) -> io::Result<()> {
        if sent == self.stored { Ok(()) } else { self.write(dir, sent) }
    }

    fn write(&mut self, dir: &StateDir, highest: u64) -> io::Result<()> {
        let (key, former) = (Some(self.key.clone()), self.former.clone());
        store(dir, Sequence { highest, key, former })?;
        self.stored = highest;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    #[test]
    fn what_is_stored_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(load::<Intent>(&state, NOW).unwrap().record.connect, Connect::Up);
        store(&state, Intent { connect: Connect::Down }).unwrap();
        assert_eq!(load::<Intent>(&state, NOW).unwrap().record.connect, Connect::Down);
        let text = fs::read_to_string(dir.path().join("intent.json")).unwrap();
        assert_eq!(text, "{\"version\":1,\"connect\":\"down\"}\n");
    }

    #[test]
    fn damaged_record_is_set_aside_and_its_default_used() {
        for text in
            ["", "{", "{\"version\":1}", "{\"version\":1,\"connect\":\"sideways\"}", "[]", "\0\0\0"]
        {
            let dir = tempfile::tempdir().unwrap();
            let state = StateDir::open(dir.path()).unwrap();
            fs::write(dir.path().join("intent.json"), text).unwrap();
            let loaded = load::<Intent>(&state, NOW).unwrap();
            assert_eq!(loaded.record, Intent::default());
            let kept = loaded.damage.expect(text).kept.unwrap();
            assert_eq!(fs::read_to_string(kept).unwrap(), text);
            assert!(load::<Intent>(&state, NOW).unwrap().damage.is_none(), "set aside once");
        }
    }

    #[test]
    fn giants_and_folders_are_damage_too() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let path = dir.path().join("sequence.json");
        fs::write(&path, vec![b' '; 5000]).unwrap();
        assert!(load::<Sequence>(&state, NOW).unwrap().damage.is_some());
        fs::create_dir(&path).unwrap();
        assert!(load::<Sequence>(&state, NOW).unwrap().damage.is_some());
    }

    #[test]
    fn record_of_a_newer_program_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let path = dir.path().join("intent.json");
        fs::write(&path, "{\"version\":2,\"wish\":7}").unwrap();
        assert!(matches!(load::<Intent>(&state, NOW), Err(RecordError::Newer { .. })));
        assert!(path.exists());
    }

    #[test]
    fn file_is_never_behind_what_was_sent_and_exact_after_a_clean_end() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let stored = || load::<Sequence>(&state, NOW).unwrap().record.highest;
        let mut keeper = SequenceKeeper::new(Sequence::default(), &key(1));
        let mut writes = 0;
        for sent in NOW..NOW + 600 {
            let before = keeper.first_unused();
            keeper.cover(&state, sent).unwrap();
            writes += usize::from(before != keeper.first_unused());
            assert!(stored() >= sent);
        }
        assert!(writes <= 10, "{writes}");
        keeper.settle(&state, NOW + 599).unwrap();
        assert_eq!((stored(), keeper.first_unused()), (NOW + 599, NOW + 600));
    }

    fn key(seed: u8) -> NodeKey {
        planetary_proto::identity::Identity::from_seed(&[seed; 32]).key()
    }

    #[test]
    fn numbers_belong_to_a_key_and_wait_for_its_return() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let stored = || load::<Sequence>(&state, NOW).unwrap().record;
        // A file from before there were former keys is about the key that is there.
        fs::write(dir.path().join("sequence.json"), "{\"version\":1,\"highest\":70}").unwrap();
        let mut keeper = SequenceKeeper::new(stored(), &key(1));
        assert_eq!(keeper.first_unused(), 71);

        keeper.turn_to(&state, &key(2)).unwrap();
        assert_eq!(keeper.first_unused(), 1, "another key has sent nothing");
        keeper.settle(&state, 5).unwrap();
        keeper.turn_to(&state, &key(1)).unwrap();
        assert_eq!(keeper.first_unused(), 71, "and the first goes on where it was");

        // Whichever key a killed process left in place, the file knows its numbers.
        assert_eq!(SequenceKeeper::new(stored(), &key(1)).first_unused(), 71);
        assert_eq!(SequenceKeeper::new(stored(), &key(2)).first_unused(), 6);
        assert_eq!(SequenceKeeper::new(stored(), &key(3)).first_unused(), 1);
    }

    #[test]
    fn former_keys_have_a_bound_and_the_file_stays_readable() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let mut keeper = SequenceKeeper::new(Sequence::default(), &key(0));
        for seed in 0..60 {
            keeper.turn_to(&state, &key(seed)).unwrap();
            keeper.settle(&state, NOW + u64::from(seed)).unwrap();
        }
        let loaded = load::<Sequence>(&state, NOW).unwrap();
        assert!(loaded.damage.is_none());
        assert_eq!(loaded.record.former.len(), FORMER_MAX);
        let keeper = SequenceKeeper::new(loaded.record, &key(58));
        assert_eq!(keeper.first_unused(), NOW + 59, "the newest are remembered");
    }

    proptest! {
        #[test]
        fn any_content_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_text::<Intent>(&bytes);
            let _ = parse_text::<Sequence>(&bytes);
        }

        #[test]
        fn any_plausible_number_survives(highest in 0..=HIGHEST_MAX) {
            let record = Sequence { highest, ..Sequence::default() };
            let versioned = Versioned { version: VERSION, record: record.clone() };
            let text = serde_json::to_vec(&versioned).unwrap();
            prop_assert_eq!(parse_text::<Sequence>(&text).unwrap(), Some(record));
        }

        #[test]
        fn any_other_number_is_damage(highest in HIGHEST_MAX + 1..) {
            let record = Sequence { highest, ..Sequence::default() };
            let text = serde_json::to_vec(&Versioned { version: VERSION, record }).unwrap();
            prop_assert!(parse_text::<Sequence>(&text).is_err());
        }
    }
}
