//! `SHA256SUMS`: a line for each file that people download, as `sha256sum -c` reads it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The name of the list.
pub(crate) const NAME: &str = "SHA256SUMS";

/// Ends the names of signatures, which are made of other files and so are in no list.
pub(crate) const SIGNATURE: &str = "sig";

/// Writes the list of all files in the folder, those in its folders not among them, and returns
/// where it is. The signature of an older list goes.
pub(crate) fn write(folder: &Path) -> Result<PathBuf> {
    let lines = of_folder(folder)?.into_iter().map(|(name, sum)| format!("{sum}  {name}\n"));
    let list = folder.join(NAME);
    fs::write(&list, lines.collect::<String>())?;
    remove(&list.with_extension(SIGNATURE))?;
    Ok(list)
}

/// Removes a file that may be there.
pub(crate) fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Names and sums of what is in a folder, in the order of the names.
pub(crate) fn of_folder(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("a strange name: {}", path.display()))?;
        let is_signature = path.extension().is_some_and(|ending| ending == SIGNATURE);
        if path.is_file() && name != NAME && !is_signature {
            sums.insert(name.to_owned(), of_file(&path)?);
        }
    }
    Ok(sums)
}

/// The SHA-256 of a file, as 64 hex digits.
pub(crate) fn of_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            len => hasher.update(&piece[..len]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_names_every_file_but_itself_and_signatures() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.deb", "abc"),
            ("a.rpm", ""),
            ("a.rpm.sig", "x"),
            ("SHA256SUMS.sig", "y"),
            (NAME, "old"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::create_dir(folder.path().join("staged")).unwrap();
        let list = fs::read_to_string(write(folder.path()).unwrap()).unwrap();
        // The sums of nothing and of "abc" are those of FIPS 180-2.
        assert_eq!(
            list,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.rpm\n\
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b.deb\n"
        );
        assert!(folder.path().join("a.rpm.sig").exists());
        assert!(!folder.path().join("SHA256SUMS.sig").exists());
    }
}
