//! What the service keeps on disk beside its configuration, and how it keeps it.
//!
//! One folder belongs to one running service. It holds `identity.pem` (who the node is),
//! `intent.json` (whether the person wants it on the network), `sequence.json` (the highest numbers
//! it has signed), `friends.json` (who may reach it), `forwards.json` (ports that are forwarded),
//! `networks.json` (local networks that the person has spoken of), `pseudonyms.key` (a secret for
//! the names in
//! reports) and `service.lock`, which keeps a second service out.
//!
//! Rules that hold for every file here:
//! - A file is replaced whole: written beside, synced, renamed. Whoever kills the process at any
//!   point finds the old content or the new one afterwards ([`atomic`]).
//! - A damaged file is renamed to `NAME.damaged-UNIXTIME` and kept; it is never overwritten or
//!   removed.
//! - An identity is made only where none was: neither a file, nor a broken link, nor one that was
//!   set aside.
//! - Sizes are bounded and only ordinary files are read, whatever somebody put in their place.
//!
//! Nothing here knows the running node; `lifecycle` turns what was noticed into health items.

pub mod atomic;
pub mod circles;
pub mod forwards;
pub mod friends;
pub mod identity;
mod lock;
pub mod networks;
mod pkcs8;
pub mod record;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use self::lock::Lock;

/// The folder of one service, locked for as long as the value lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: Lock,
}

/// Why a folder cannot serve as the state folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system does not let us make or open the folder.
    #[error(
        "{}: the state folder cannot be used: {source}; make it, give it to the account that \
         runs the service, or choose another with --state-dir",
        path.display()
    )]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The system does not let us write in the folder.
    #[error(
        "{path}: nothing can be written in the state folder: {source}; free space on the disk, \
         give the folder to the account that runs the service and run `chmod 700 {path}`, or \
         choose another with --state-dir",
        path = path.display()
    )]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Something that is not an ordinary file has the name of the lock.
    #[error(
        "{}: not an ordinary file; move it away, or choose another folder with --state-dir",
        path.display()
    )]
    LockInTheWay {
        /// What is in the way.
        path: PathBuf,
    },
    /// The system does not let us lock the file that is there.
    #[error(
        "{}: the lock of the state folder cannot be taken: {source}; give the file to the \
         account that runs the service, or choose another folder with --state-dir",
        path.display()
    )]
    LockRefused {
        /// The lock.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Something that is not a folder has the name.
    #[error("{}: not a folder; choose another with --state-dir", path.display())]
    NotAFolder {
        /// What is in the way.
        path: PathBuf,
    },
    /// Other accounts can replace the files in the folder, and with them the identity.
    #[error(
        "{path}: other accounts can write to this folder; run `chmod 700 {path}`, \
         or choose another with --state-dir",
        path = path.display()
    )]
    WritableByOthers {
        /// The folder.
        path: PathBuf,
    },
    /// Another service uses the folder.
    #[error(
        "{}: {} uses this folder; stop it first, or choose another folder with --state-dir",
        path.display(),
        holder(*pid)
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process that holds the lock, if it said so.
        pid: Option<u32>,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another service".to_owned(),
        |pid| format!("the service with process id {pid}"),
    )
}

impl StateDir {
    /// Looks whether `path` is, or can become, a state folder, without changing anything. Returns
    /// whether it is there.
    ///
    /// # Errors
    /// [`StateError`], worded for the person who started the service.
    pub fn check(path: &Path) -> Result<bool, StateError> {
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => Err(StateError::NotAFolder { path: path.to_owned() }),
            Ok(found) if writable_by_others(&found) => {
                Err(StateError::WritableByOthers { path: path.to_owned() })
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StateError::Unusable { path: path.to_owned(), source }),
        }
    }

    /// Opens the folder at `path`, making it (mode 0700) where it is missing, and locks it.
    ///
    /// # Errors
    /// [`StateError`], worded for the person who started the service.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        if !Self::check(path)? {
            make_private_dir(path)
                .map_err(|source| StateError::Unusable { path: path.to_owned(), source })?;
        }
        let lock = Lock::take(path)?;
        atomic::remove_leftovers(path);
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes `path` and the folders above it, for this account only.
///
/// # Errors
/// Those of the system.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn writable_by_others(found: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o022 != 0
}

/// Access lists are the installer's business on Windows; a user's own folder is private there from
/// the start.
#[cfg(not(unix))]
fn writable_by_others(_: &fs::Metadata) -> bool {
    false
}

/// Whether the permissions of a file, and of the folders that lead to it, let every account read
/// it.
#[cfg(unix)]
pub(crate) fn readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let allows = |path: &Path, right| {
        fs::metadata(path).is_ok_and(|found| found.permissions().mode() & right != 0)
    };
    let Ok(path) = path.canonicalize() else { return false };
    allows(&path, 0o004) && path.ancestors().skip(1).all(|folder| allows(folder, 0o001))
}

/// As for folders.
#[cfg(not(unix))]
pub(crate) fn readable_by_all(_: &Path) -> bool {
    false
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// The name belongs to a folder, a pipe, a device or a socket.
    #[error("not an ordinary file")]
    NotAFile,
    /// The file is longer than anything that makes sense there.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    /// The system refused.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl ReadError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing => "check the name, or make the file",
            Self::NotAFile => "put an ordinary file there",
            Self::TooLarge(_) => "check that it is the right file",
            Self::System(_) => "check that the account of the service may read it",
        }
    }
}

/// Returns the content of the ordinary file at `path`, following links.
///
/// # Errors
/// [`ReadError`]; a file longer than `len_max` is not read to its end.
pub fn read_bounded(path: &Path, len_max: u64) -> Result<Vec<u8>, ReadError> {
    let missing = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing,
        _ => ReadError::System(error),
    };
    // Asked before opening: to open a pipe would wait for a writer.
    if !fs::metadata(path).map_err(missing)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let file = fs::File::open(path).map_err(missing)?;
    let mut bytes = Vec::new();
    file.take(len_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > len_max {
        return Err(ReadError::TooLarge(len_max));
    }
    Ok(bytes)
}

/// Renames the damaged file at `path` to a name of its own beside it, and returns that name.
///
/// # Errors
/// Those of the system; the file is then where it was.
pub fn set_aside(path: &Path, unix_s: u64) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A name that is taken belongs to a file that must not be overwritten either.
    let free = (0..100)
        .map(|attempt| match attempt {
            0 => format!("{name}{DAMAGED}{unix_s}"),
            n => format!("{name}{DAMAGED}{unix_s}-{n}"),
        })
        .map(|name| path.with_file_name(name))
        .find(|candidate| fs::symlink_metadata(candidate).is_err())
        .ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &free)?;
    Ok(free)
}

/// Returns the newest file that [`set_aside`] made from `path`, if there is one.
#[must_use]
pub fn found_aside(path: &Path) -> Option<PathBuf> {
    let prefix = format!("{}{DAMAGED}", path.file_name()?.to_str()?);
    let entries = fs::read_dir(path.parent()?).ok()?.flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(&prefix))
        })
        .max()
}

/// What stands between the name of a damaged file and the time at which it was set aside.
const DAMAGED: &str = ".damaged-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_service_is_refused_and_told_who_holds_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        let error = StateDir::open(dir.path()).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(
            error.contains(&format!("the service with process id {pid} uses this folder")),
            "{error}"
        );
        drop(first);
        StateDir::open(dir.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn new_folder_is_private_and_a_shared_one_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        drop(StateDir::open(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let error = StateDir::open(&path).unwrap_err();
        assert!(matches!(error, StateError::WritableByOthers { .. }), "{error}");
    }

    #[test]
    fn file_in_place_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::write(&path, "").unwrap();
        assert!(matches!(StateDir::open(&path).unwrap_err(), StateError::NotAFolder { .. }));
    }

    /// In `/sys` nobody makes a file, not even root.
    #[cfg(target_os = "linux")]
    #[test]
    fn folder_that_cannot_be_written_is_named_itself() {
        let error = StateDir::open(Path::new("/sys")).unwrap_err();
        assert!(matches!(error, StateError::Unwritable { .. }), "{error}");
        assert!(error.to_string().starts_with("/sys: nothing can be written"), "{error}");
    }

    #[test]
    fn something_else_in_place_of_the_lock_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("service.lock");
        fs::create_dir(&lock).unwrap();
        let error = StateDir::open(dir.path()).unwrap_err();
        assert!(matches!(&error, StateError::LockInTheWay { path } if *path == lock), "{error}");
    }

    #[test]
    fn reads_are_bounded_and_take_ordinary_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(matches!(read_bounded(&path, 4), Err(ReadError::Missing)));
        fs::write(&path, "1234").unwrap();
        assert_eq!(read_bounded(&path, 4).unwrap(), b"1234");
        assert!(matches!(read_bounded(&path, 3), Err(ReadError::TooLarge(3))));
        assert!(matches!(read_bounded(dir.path(), 3), Err(ReadError::NotAFile)));
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_loops_of_links_are_refused() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("loop");
        symlink(&path, &path).unwrap();
        assert!(matches!(read_bounded(&path, 4), Err(ReadError::System(_))));
        assert!(matches!(read_bounded(Path::new("/dev/zero"), 4), Err(ReadError::NotAFile)));
    }

    #[test]
    fn files_set_aside_keep_their_content_and_their_names_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intent.json");
        assert_eq!(found_aside(&path), None);
        let mut kept = Vec::new();
        for content in ["first", "second"] {
            fs::write(&path, content).unwrap();
            kept.push(set_aside(&path, 1_700_000_000).unwrap());
        }
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "first");
        assert_eq!(fs::read_to_string(&kept[1]).unwrap(), "second");
        assert_eq!(found_aside(&path).as_ref(), kept.last());
    }
}
