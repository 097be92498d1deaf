//! Archives whose bytes depend on nothing but what is in them.
//!
//! Entries stand in the order of their paths, belong to root, and have one time and plain modes:
//! the clock, the account and the umask of whoever packs leave no trace.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// Packs the folder `staged` as `name/...` into a `.tar.gz`. `epoch` is the time of all entries, in
/// seconds since 1970.
///
/// A file that its owner may execute is 0755, another 0644; links are kept as links.
pub(crate) fn tar_gz(staged: &Path, name: &str, epoch: u64, to: &Path) -> Result<()> {
    let file = File::create(to).with_context(|| to.display().to_string())?;
    let packed = GzEncoder::new(file, Compression::best());
    let packed = tar(staged, name, epoch, packed)?;
    packed.finish()?.sync_all()?;
    Ok(())
}

fn tar<W: Write>(staged: &Path, name: &str, epoch: u64, to: W) -> Result<W> {
    let mut archive = Builder::new(to);
    for path in below(staged)? {
        let inside = Path::new(name).join(path.strip_prefix(staged)?);
        let about = fs::symlink_metadata(&path)?;
        let mut header = Header::new_gnu();
        header.set_mtime(epoch);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_size(0);
        header.set_mode(0o755);
        if about.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            archive.append_link(&mut header, inside, fs::read_link(&path)?)?;
        } else if about.is_dir() {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, inside, io::empty())?;
        } else {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if is_executable(&about) { 0o755 } else { 0o644 });
            header.set_size(about.len());
            archive.append_data(&mut header, inside, File::open(&path)?)?;
        }
    }
    Ok(archive.into_inner()?)
}

/// The folder and all that is below it, a folder before what is in it, sorted.
pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![folder.to_path_buf()];
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut entries = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        if fs::symlink_metadata(&path)?.is_dir() {
            found.extend(below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(unix)]
fn is_executable(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o100 != 0
}

/// Packages for systems with such rights are made on one of them.
#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    fn staged(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("bin")).unwrap();
        fs::write(at("bin/run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(at("bin/run"), fs::Permissions::from_mode(mode)).unwrap();
        fs::write(at("note"), "read me").unwrap();
        symlink("bin/run", at("start")).unwrap();
        folder
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let (one, other) = (staged(0o700), staged(0o775));
        let at = one.path().join("../archive-of-test.tar.gz");
        let bytes = |folder: &Path| {
            tar_gz(folder, "thing-1.0", 1_700_000_000, &at).unwrap();
            fs::read(&at).unwrap()
        };
        let first = bytes(one.path());
        assert_eq!(first, bytes(other.path()));
        let list = Command::new("tar").arg("-tvzf").arg(&at).env("TZ", "UTC").output().unwrap();
        fs::remove_file(&at).unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        let starts = ["drwxr-xr-x", "drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx"];
        assert_eq!(list.lines().count(), starts.len(), "{list}");
        for (line, start) in list.lines().zip(starts) {
            assert!(line.starts_with(start) && line.contains("root/root"), "{line}");
            assert!(line.contains("2023-11-14") && line.contains("thing-1.0"), "{line}");
        }
    }
}
