//! Files that tell a resolver where to ask for a zone, as macOS reads them: one for each, called
//! like it.
//!
//! A file is ours when its first line says so. Others are left alone, and so is their zone then.

use std::fs;
use std::io;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use planetary_circles::names::PORT;

use super::zones;
use crate::state::atomic::{self, OsDisk};
use crate::state::read_bounded;

const MARK: &str = "# Written by planetaryd, which removes it when it stops.\n";

/// Ours has some hundred bytes.
const LEN_MAX: u64 = 4096;

/// A folder of such files.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Writes the files that are not there already.
    pub(super) fn wire(&self, server: Ipv6Addr) -> io::Result<()> {
        let text = format!("{MARK}nameserver {server}\nport {PORT}\n");
        fs::create_dir_all(&self.0)?;
        for path in self.files() {
            match content(&path)? {
                Some(there) if there == text.as_bytes() => {}
                Some(there) if !is_ours(&there) => {
                    let what = format!("{} is somebody else's", path.display());
                    return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
                }
                Some(_) | None => atomic::replace(&OsDisk, &path, text.as_bytes(), 0o644)?,
            }
        }
        Ok(())
    }

    /// Removes the files that are ours.
    pub(super) fn unwire(&self) -> io::Result<()> {
        for path in self.files() {
            if content(&path)?.is_some_and(|there| is_ours(&there)) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        zones().map(|zone| self.0.join(zone))
    }
}

fn is_ours(content: &[u8]) -> bool {
    content.starts_with(MARK.as_bytes())
}

/// What is in a file; `None` when there is none. What is no file, or is longer than ours, counts as
/// somebody else's.
fn content(path: &Path) -> io::Result<Option<Vec<u8>>> {
    use crate::state::ReadError;
    match read_bounded(path, LEN_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(ReadError::Missing) => Ok(None),
        Err(ReadError::System(error)) => Err(error),
        Err(_) => Ok(Some(Vec::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Ipv6Addr = Ipv6Addr::new(0x300, 0, 0, 0, 0, 0, 0, 0x53);

    fn names_in(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_file_for_each_zone_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolver");
        let folder = Folder::new(&path);
        folder.unwire().unwrap();
        folder.wire(SERVER).unwrap();
        assert_eq!(names_in(&path), ["2.0.ip6.arpa", "3.0.ip6.arpa", "pln.internal"]);
        let text = fs::read_to_string(path.join("pln.internal")).unwrap();
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(lines, ["nameserver 300::53", "port 53"]);

        // A node with another key; what an earlier one left is replaced.
        folder.wire(Ipv6Addr::LOCALHOST).unwrap();
        assert!(fs::read_to_string(path.join("pln.internal")).unwrap().contains("::1\n"));
        fs::write(path.join("corp.example"), "nameserver 192.0.2.1\n").unwrap();
        folder.unwire().unwrap();
        assert_eq!(names_in(&path), ["corp.example"]);
    }

    #[test]
    fn what_somebody_else_wrote_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let theirs = dir.path().join("pln.internal");
        for content in ["nameserver 192.0.2.1\n".to_owned(), "x".repeat(10_000)] {
            fs::write(&theirs, &content).unwrap();
            let error = folder.wire(SERVER).unwrap_err();
            assert!(error.to_string().ends_with("is somebody else's"), "{error}");
            folder.unwire().unwrap();
            assert_eq!(fs::read_to_string(&theirs).unwrap(), content);
        }
        fs::remove_file(&theirs).unwrap();
        fs::create_dir(&theirs).unwrap();
        assert!(folder.wire(SERVER).is_err());
        folder.unwire().unwrap();
        assert!(theirs.is_dir());
    }
}
