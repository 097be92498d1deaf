//! The lock that gives one state folder to one service.
//!
//! The lock is the system's advisory file lock, which ends with the process however it dies; the
//! number inside the file only tells the next person whom to stop. The file itself stays: removing
//! it would let two services lock two files of the same name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::StateError;

const FILE_NAME: &str = "service.lock";

/// Longest process id in decimal digits, with room to spare.
const PID_LEN_MAX: u64 = 20;

#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "open for as long as the lock is held")] File);

impl Lock {
    pub(super) fn take(dir: &Path) -> Result<Self, StateError> {
        let path = dir.join(FILE_NAME);
        let found = fs::metadata(&path);
        if found.as_ref().is_ok_and(|found| !found.is_file()) {
            return Err(StateError::LockInTheWay { path });
        }
        let refused = |source| match found {
            Ok(_) => StateError::LockRefused { path: path.clone(), source },
            Err(_) => StateError::Unwritable { path: dir.to_owned(), source },
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::InUse { path: dir.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StateError::LockRefused { path, source });
            }
        }
        // A missing number costs a less precise message to somebody else, not the service.
        let _ = write_pid(&mut file);
        Ok(Self(file))
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_LEN_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}
