//! Replacing a file so that every moment, and every moment to be killed in, shows the old content
//! or the new one.
//!
//! ```text
//! create .NAME.new-PID -> write -> sync -> rename over NAME -> sync the folder
//! ```
//!
//! The content is synced before the name moves, else a power cut could leave the new name on an
//! empty file. The folder is synced last, so that a returned `Ok` survives a power cut. The steps
//! go through [`Disk`], so that tests can fail or stop at each of them and can model what a power
//! cut loses; [`OsDisk`] is the only other implementation.
//!
//! The caller serialises writes to one file within the process; across processes the state folder's
//! lock does.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Mode of a file that only its owner may read.
pub const PRIVATE: u32 = 0o600;

/// The steps that make up a safe write.
pub trait Disk {
    /// An open file.
    type File;

    /// Makes a file that must not exist yet; `mode` counts on Unix.
    ///
    /// # Errors
    /// Those of the system, as for all methods here.
    fn create(&self, path: &Path, mode: u32) -> io::Result<Self::File>;
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// Those of the system.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    /// Waits until the content is on the disk.
    ///
    /// # Errors
    /// Those of the system.
    fn sync(&self, file: &mut Self::File) -> io::Result<()>;
    /// Moves `from` to `to`, replacing it.
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives the file `from` the second name `to`, which must not exist.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::AlreadyExists`] when the name is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Those of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits until the names in a folder are on the disk.
    ///
    /// # Errors
    /// Those of the system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The real one.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

/// Replaces the content of `path`, or makes it, with the given mode.
///
/// # Errors
/// Those of the system. The old content is then in place, except when only the last step failed:
/// the new content is in place then, but may not survive a power cut.
pub fn replace(disk: &impl Disk, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = fill_temporary(disk, path, bytes, mode)?;
    let moved = disk.rename(&temporary, path);
    finish(disk, path, &temporary, moved)
}

/// Makes `path` with the given content, and fails if anything has that name already.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::AlreadyExists`] leaves what was there.
pub fn create(disk: &impl Disk, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = fill_temporary(disk, path, bytes, mode)?;
    let linked = match disk.link(&temporary, path) {
        Ok(()) => disk.remove(&temporary),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links, such as FAT. The folder is locked, so nobody takes the name
        // in between.
        Err(_) if fs::symlink_metadata(path).is_err() => disk.rename(&temporary, path),
        Err(error) => Err(error),
    };
    finish(disk, path, &temporary, linked)
}

fn fill_temporary(disk: &impl Disk, path: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    let temporary = temporary_for(path)?;
    // A leftover of an earlier process with this process id.
    let _ = disk.remove(&temporary);
    let mut file = disk.create(&temporary, mode)?;
    let filled = disk.write(&mut file, bytes).and_then(|()| disk.sync(&mut file));
    if let Err(error) = filled {
        let _ = disk.remove(&temporary);
        return Err(error);
    }
    Ok(temporary)
}

fn finish(
    disk: &impl Disk,
    path: &Path,
    temporary: &Path,
    moved: io::Result<()>,
) -> io::Result<()> {
    if let Err(error) = moved {
        let _ = disk.remove(temporary);
        return Err(error);
    }
    disk.sync_dir(parent_of(path))
}

/// Removes what interrupted writes left in a folder that nobody else writes to.
pub fn remove_leftovers(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours =
            name.to_str().is_some_and(|name| name.starts_with('.') && name.contains(TEMPORARY));
        if is_ours {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What marks the name of a file that is not finished.
const TEMPORARY: &str = ".new-";

fn temporary_for(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    Ok(path.with_file_name(format!(".{name}{TEMPORARY}{}", std::process::id())))
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Disk for OsDisk {
    type File = fs::File;

    fn create(&self, path: &Path, mode: u32) -> io::Result<fs::File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
            let file = options.mode(mode).open(path)?;
            // The umask may have taken bits that the file being replaced had.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            Ok(file)
        }
        #[cfg(not(unix))]
        {
            let _ = mode;
            options.open(path)
        }
    }

    fn write(&self, file: &mut fs::File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &mut fs::File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    /// Windows has no way to sync a folder; renames are journalled there.
    #[cfg(not(unix))]
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "atomic_tests.rs"]
mod tests;
