//! The file with the node's private key, read through the state folder as at every start.
//!
//! Asserted: a file that is there is never replaced by a new identity and never lost: it is loaded,
//! left alone or set aside, with every byte in place; and its key is read the same each time.

use std::{fs, path::Path};

use planetary_service::state::{
    StateDir,
    identity::{FILE_NAME, load_or_create},
};
use tempfile::TempDir;

/// A folder for one run, backed by memory where there is such.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a folder for the run")
}

/// See the module.
pub fn identity_pem(data: &[u8]) {
    let folder = folder();
    let path = folder.path().join("state");
    let dir = StateDir::open(&path).expect("a folder of our own");
    fs::write(path.join(FILE_NAME), data).expect("room for the file");
    let loaded = load_or_create(&dir, 1_700_000_000);
    let kept = fs::read_dir(&path).expect("the folder is there").filter_map(|entry| {
        let entry = entry.expect("the folder can be read");
        entry.file_name().to_str()?.starts_with(FILE_NAME).then(|| fs::read(entry.path()))
    });
    let kept: Vec<_> = kept.map(|bytes| bytes.expect("the file can be read")).collect();
    assert_eq!(kept, [data], "the file is kept as it was");
    match (loaded, load_or_create(&dir, 1_700_000_001)) {
        (Ok(first), Ok(second)) => {
            assert!(!first.created && !second.created);
            assert_eq!(first.identity.key(), second.identity.key());
        }
        (Err(error), Err(_)) => assert!(!error.to_string().is_empty()),
        (first, second) => panic!("{first:?}, then {second:?}"),
    }
}
