//! Files that the person saves: what they are called, and how they are written.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use base64ct::{Base64, Encoding};
use planetary_ipc::ErrorCode;
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// Longest file that pages may save, in bytes: a picture of the map on a large screen.
const LEN_MAX: usize = 64 * 1024 * 1024;

/// Longest name that is suggested, in characters.
const NAME_CHARS_MAX: usize = 100;

/// What pages save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SaveKind {
    /// Text.
    Text,
    /// A picture, in Base64.
    Png,
}

/// A file that was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SavedFile {
    /// Where it is.
    pub file: String,
}

impl SavedFile {
    pub(super) fn at(path: &Path) -> Self {
        Self { file: path.display().to_string() }
    }
}

/// The bytes of a file.
pub(super) fn content(kind: SaveKind, data: String) -> Result<Vec<u8>, Failure> {
    let invalid = |text: &str| Failure::of(ErrorCode::InvalidRequest, text);
    if data.len() > LEN_MAX {
        return Err(invalid("the file is too long to be saved"));
    }
    match kind {
        SaveKind::Text => Ok(data.into_bytes()),
        SaveKind::Png => {
            let bytes = Base64::decode_vec(&data).map_err(|_| invalid("not Base64"))?;
            let is_png = bytes.starts_with(b"\x89PNG\r\n\x1a\n");
            if is_png { Ok(bytes) } else { Err(invalid("not a PNG picture")) }
        }
    }
}

/// A name without folders, and without what systems do not like in names.
pub(super) fn plain_name(name: &str) -> String {
    let fits = |letter: char| !letter.is_control() && !r#"/\:*?"<>|"#.contains(letter);
    let plain: String = name.chars().filter(|c| fits(*c)).take(NAME_CHARS_MAX).collect();
    let plain = plain.trim_matches(['.', ' ']);
    if plain.is_empty() { "planetary".to_owned() } else { plain.to_owned() }
}

/// Writes a file whole or not at all. The person has been asked whether one that is there is to be
/// replaced. One that is `private` can be read by its owner only.
pub(super) fn write(path: &Path, bytes: &[u8], private: bool) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.new-{}", std::process::id()));
    let written = create(&beside, bytes, private).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // Half a file looks like one.
        let _ = fs::remove_file(&beside);
        Failure::file(path, &error)
    })
}

fn create(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_folders_and_are_never_empty() {
        for (name, plain) in [
            ("report.txt", "report.txt"),
            ("../../etc/passwd", "etcpasswd"),
            ("a\n\u{1b}b", "ab"),
            ("...", "planetary"),
            ("", "planetary"),
            ("Ключ ☆.png", "Ключ ☆.png"),
        ] {
            assert_eq!(plain_name(name), plain);
        }
        assert_eq!(plain_name(&"x".repeat(500)).len(), NAME_CHARS_MAX);
    }

    #[test]
    fn pictures_are_pictures() {
        let png = Base64::encode_string(b"\x89PNG\r\n\x1a\nrest");
        assert_eq!(content(SaveKind::Png, png).unwrap(), b"\x89PNG\r\n\x1a\nrest");
        for other in ["", "%%%", "AAAA"] {
            assert!(content(SaveKind::Png, other.to_owned()).is_err());
        }
        assert_eq!(content(SaveKind::Text, "ü".to_owned()).unwrap(), "ü".as_bytes());
    }

    #[test]
    fn files_are_replaced_whole_and_private_ones_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"first", false).unwrap();
        write(&path, b"second", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let nowhere = write(&dir.path().join("no/file"), b"", false).unwrap_err();
        assert_eq!(nowhere.code, "file");
    }
}
