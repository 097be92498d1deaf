//! Files that a person names: read with bounds, written so that nothing is lost.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::failure::Failure;

/// Reads an ordinary file of at most `len_max` bytes. It may be secret.
pub(crate) fn read(path: &Path, len_max: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let refused = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => failure(path, "no such file", "check the name"),
        io::ErrorKind::PermissionDenied => {
            let hint = "run the same with `sudo`, or as the file's owner";
            failure(path, "no permission to read it", hint)
        }
        _ => failure(path, &error.to_string(), "check the disk"),
    };
    // Asked before opening: to open a pipe would wait for a writer.
    let found = fs::metadata(path).map_err(|error| refused(&error))?;
    if !found.is_file() {
        return Err(failure(path, "not an ordinary file", "name the file itself"));
    }
    let file = fs::File::open(path).map_err(|error| refused(&error))?;
    let read = read_to_end(file, len_max).map_err(|error| refused(&error))?;
    read.ok_or_else(|| {
        let what = format!("larger than {} KiB", len_max / 1024);
        failure(path, &what, "check that it is the right file")
    })
}

/// Everything from `source`, or `None` if that is more than `len_max` bytes.
pub(crate) fn read_to_end(
    source: impl Read,
    len_max: u64,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    // Room for all of it at once, because a vector that grows leaves copies behind.
    let room = usize::try_from(len_max).map_or(0, |len| len + 1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    source.take(len_max.saturating_add(1)).read_to_end(&mut bytes)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|len| len <= len_max);
    Ok(fits.then_some(bytes))
}

/// Finds out whether `path` can be written, before anything is asked for.
pub(crate) fn check_writable(path: &Path, force: bool) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(failure(path, "a folder", "name the file to be made in it"))
        }
        Ok(_) if !force => Err(exists(path)),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
                Err(failure(path, "there is no such folder", "make it first"))
            }
            _ => Ok(()),
        },
        Err(error) => Err(failure(path, &error.to_string(), "choose another place")),
    }
}

/// Writes a file that only its owner may read. With `force` one that is there is replaced, whole or
/// not at all; without, it stays.
pub(crate) fn write_private(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let written = if force {
        let beside = beside(path);
        // A leftover of an earlier run with this process id.
        let _ = fs::remove_file(&beside);
        create(&beside, text).and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
    } else {
        create(path, text)
    };
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => failure(path, &format!("cannot be written: {error}"), "choose another place"),
    })
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a backup looks like one.
        let _ = fs::remove_file(path);
    }
    written
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new-{}", std::process::id()))
}

fn exists(path: &Path) -> Failure {
    failure(path, "exists already", "choose another name, or replace it with `--force`")
}

pub(crate) fn failure(path: &Path, what: &str, hint: &str) -> Failure {
    Failure::Here {
        code: "file",
        message: format!("{}: {what}", path.display()),
        hint: Some(hint.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_have_bounds_and_take_ordinary_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(read(&path, 4).unwrap_err().message().contains("no such file"));
        fs::write(&path, "1234").unwrap();
        assert_eq!(read(&path, 4).unwrap().as_slice(), b"1234");
        assert!(read(&path, 3).unwrap_err().message().contains("larger than"));
        assert!(read(dir.path(), 3).unwrap_err().message().contains("not an ordinary file"));
    }

    #[test]
    fn files_are_private_and_never_replaced_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        check_writable(&path, false).unwrap();
        write_private(&path, "first", false).unwrap();
        assert!(check_writable(&path, false).is_err());
        assert!(write_private(&path, "second", false).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        check_writable(&path, true).unwrap();
        write_private(&path, "third", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "third");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(check_writable(dir.path(), true).is_err());
        assert!(check_writable(&dir.path().join("no/file"), true).is_err());
    }
}
