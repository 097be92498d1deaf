//! The search path of the computer, on which the command line is found.
//!
//! It is one text in the registry, of whatever programs have put there. Only our own entry is added
//! or removed; all others stay as they are, to the letter.

/// Entries are told apart as the system does it: without regard to case, quotes or a slash at the
/// end.
fn is_same(entry: &str, folder: &str) -> bool {
    let plain = |text: &str| text.trim().trim_matches('"').trim_end_matches('\\').to_lowercase();
    plain(entry) == plain(folder)
}

/// The path with the folder at its end; `None` when it is there already.
fn with(path: &str, folder: &str) -> Option<String> {
    if path.split(';').any(|entry| is_same(entry, folder)) {
        return None;
    }
    let gap = if path.is_empty() || path.ends_with(';') { "" } else { ";" };
    Some(format!("{path}{gap}{folder}"))
}

/// The path without the folder; `None` when it is not there.
fn without(path: &str, folder: &str) -> Option<String> {
    let entries: Vec<&str> = path.split(';').collect();
    let others: Vec<&str> =
        entries.iter().copied().filter(|entry| !is_same(entry, folder)).collect();
    (others.len() < entries.len()).then(|| others.join(";"))
}

#[cfg(windows)]
pub(super) use self::registry::{add_to_path, remove_from_path};

#[cfg(windows)]
mod registry {
    use std::path::Path;
    use std::ptr::null_mut;

    use windows_registry::{Key, LOCAL_MACHINE, Type};
    use windows_sys::Win32::UI::WindowsAndMessaging::{
        HWND_BROADCAST, SMTO_ABORTIFHUNG, SendMessageTimeoutW, WM_SETTINGCHANGE,
    };

    use super::super::PROGRAMS;
    use super::{with, without};

    const ENVIRONMENT: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment";
    const NAME: &str = "Path";

    /// Longest value that programs can be given, in UTF-16 units.
    const LEN_MAX: usize = 32_766;

    /// How long one window may take to hear of it.
    const PATIENCE_MS: u32 = 1_000;

    pub(in super::super) fn add_to_path(_: &Path) -> Result<(), String> {
        change(|path| with(path, PROGRAMS))
    }

    pub(in super::super) fn remove_from_path(_: &Path) -> Result<(), String> {
        change(|path| without(path, PROGRAMS))
    }

    fn change(changed: impl FnOnce(&str) -> Option<String>) -> Result<(), String> {
        let key = LOCAL_MACHINE.options().read().write().open(ENVIRONMENT).map_err(words)?;
        if edit(&key, NAME, changed)? {
            tell();
        }
        Ok(())
    }

    fn words(error: impl ToString) -> String {
        error.to_string()
    }

    /// Changes a value and keeps its type; returns whether there was something to do.
    pub(super) fn edit(
        key: &Key,
        name: &str,
        changed: impl FnOnce(&str) -> Option<String>,
    ) -> Result<bool, String> {
        // What is not a text is nothing that we understand, and stays.
        let kind = key.get_type(name).map_err(words)?;
        if !matches!(kind, Type::String | Type::ExpandString) {
            return Err("the search path is not a text".to_owned());
        }
        let Some(text) = changed(&key.get_string(name).map_err(words)?) else { return Ok(false) };
        if text.encode_utf16().count() > LEN_MAX {
            return Err("the search path is full".to_owned());
        }
        match kind {
            Type::ExpandString => key.set_expand_string(name, text),
            _ => key.set_string(name, text),
        }
        .map_err(words)?;
        Ok(true)
    }

    /// Tells who starts programs that their environment is another one.
    fn tell() {
        let what: Vec<u16> = "Environment\0".encode_utf16().collect();
        // SAFETY: the text ends with a zero and lives until the call has returned, and no answer is
        // asked for.
        unsafe {
            SendMessageTimeoutW(
                HWND_BROADCAST,
                WM_SETTINGCHANGE,
                0,
                what.as_ptr() as isize,
                SMTO_ABORTIFHUNG,
                PATIENCE_MS,
                null_mut(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = r"C:\Program Files\Planetary Network";

    #[test]
    fn folder_is_added_once_and_others_stay_to_the_letter() {
        let before = r#"%SystemRoot%\system32;C:\a;;"C:\b c\";"#;
        let after = with(before, FOLDER).unwrap();
        assert_eq!(after, format!("{before}{FOLDER}"));
        assert_eq!(with(&after, FOLDER), None);
        assert_eq!(with("", FOLDER).unwrap(), FOLDER);
        assert_eq!(with(r"C:\a", FOLDER).unwrap(), format!(r"C:\a;{FOLDER}"));
    }

    #[test]
    fn folder_is_removed_however_it_is_spelt_and_nothing_else_is() {
        let path = r#"C:\a;"c:\program files\planetary network\";C:\Program Files\Planetary;C:\a"#;
        assert_eq!(without(path, FOLDER).unwrap(), r"C:\a;C:\Program Files\Planetary;C:\a");
        assert_eq!(without(r"C:\a;C:\b", FOLDER), None);
        assert_eq!(without(FOLDER, FOLDER).unwrap(), "");
    }

    #[cfg(windows)]
    #[test]
    fn type_of_the_value_is_kept() {
        use windows_registry::{CURRENT_USER, Type};

        let name = format!(r"Software\PlanetaryTest{}", std::process::id());
        let key = CURRENT_USER.create(&name).unwrap();
        key.set_expand_string("Path", r"%SystemRoot%\system32").unwrap();
        assert!(registry::edit(&key, "Path", |path| with(path, FOLDER)).unwrap());
        assert!(!registry::edit(&key, "Path", |path| with(path, FOLDER)).unwrap());
        assert_eq!(key.get_type("Path").unwrap(), Type::ExpandString);
        let now = key.get_string("Path").unwrap();
        assert_eq!(now, format!(r"%SystemRoot%\system32;{FOLDER}"));
        key.set_u32("Path", 1).unwrap();
        assert!(registry::edit(&key, "Path", |path| with(path, FOLDER)).is_err());
        CURRENT_USER.remove_tree(&name).unwrap();
    }
}
