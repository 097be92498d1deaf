//! Folders of Windows: where its own programs are, and whose the service's folder is.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use planetary_ipc::endpoint::foreign_owner;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL,
};
use windows_sys::Win32::System::SystemInformation::GetSystemDirectoryW;

use super::HOME;

/// Longest path of the system's folder, in UTF-16 units.
const PATH_LEN_MAX: usize = 260;

/// The full path of one of the system's own programs: a name alone would be looked for beside this
/// program first.
pub(in crate::install) fn system_program(name: &str) -> PathBuf {
    let mut buffer = [0; PATH_LEN_MAX];
    // SAFETY: the buffer is as long as we say.
    let len = unsafe { GetSystemDirectoryW(buffer.as_mut_ptr(), PATH_LEN_MAX as u32) };
    let folder = match buffer.get(..len as usize) {
        Some(path) if len > 0 => OsString::from_wide(path).into(),
        _ => PathBuf::from(r"C:\Windows\System32"),
    };
    folder.join(name).with_extension("exe")
}

/// Refuses a folder that somebody else has made to be found there: what is in it would be taken for
/// the service's own key and configuration.
pub(super) fn check_home(_: &Path) -> Result<(), String> {
    match foreign_owner_of(Path::new(HOME)) {
        Ok(None) => Ok(()),
        Ok(Some(owner)) => {
            Err(format!("{HOME} belongs to another account ({owner}); move it away"))
        }
        Err(error) => Err(format!("it is not known whose {HOME} is: {error}")),
    }
}

/// Whose a folder is, if it is there and neither the system's, nor its administrators', nor our
/// own. A link to a folder counts as itself.
fn foreign_owner_of(folder: &Path) -> io::Result<Option<String>> {
    let mut options = OpenOptions::new();
    options.access_mode(READ_CONTROL);
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
    match options.open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => foreign_owner(&opened?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_the_system_have_a_full_path() {
        let program = system_program("netsh");
        assert!(program.is_absolute() && program.ends_with("netsh.exe"), "{}", program.display());
        assert!(program.parent().is_some_and(Path::is_dir));
    }

    #[test]
    fn own_folders_and_missing_ones_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(foreign_owner_of(folder.path()).unwrap(), None);
        assert_eq!(foreign_owner_of(&folder.path().join("missing")).unwrap(), None);
    }
}
