//! What the person chose for the app itself, and the file it is kept in.
//!
//! What concerns the node is kept by the service. The file is small and replaced whole; one that is
//! damaged is set aside, so that nothing is lost and the app starts all the same.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::words::Language;

/// Longest file that is read, in bytes. Ours has some 200.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// What the person chose for the app itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Preferences {
    /// The language of the app.
    pub language: LanguageChoice,
    /// Light or dark.
    pub appearance: Appearance,
    /// Whether the app starts when the person signs in. The system keeps this one.
    pub autostart: bool,
    /// Whether the app that was started so shows no window.
    pub start_minimised: bool,
    /// Whether the system's notifications tell of a connection that is lost or regained, and of
    /// questions that wait.
    pub notifications: bool,
    /// Whether the first steps were gone through.
    pub welcomed: bool,
}

/// A change of the preferences; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PreferencesChange {
    /// The language of the app.
    pub language: Option<LanguageChoice>,
    /// Light or dark.
    pub appearance: Option<Appearance>,
    /// Whether the app starts when the person signs in.
    pub autostart: Option<bool>,
    /// Whether the app that was started so shows no window.
    pub start_minimised: Option<bool>,
    /// Whether notifications tell of the connection and of questions.
    pub notifications: Option<bool>,
    /// Whether the first steps were gone through.
    pub welcomed: Option<bool>,
}

/// The language of the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LanguageChoice {
    /// The system's, or English where the app does not speak it.
    #[default]
    System,
    /// Always this one.
    #[serde(untagged)]
    Always(Language),
}

impl LanguageChoice {
    /// The language that is meant, where the system's is `system`.
    pub fn or(self, system: Language) -> Language {
        match self {
            Self::System => system,
            Self::Always(language) => language,
        }
    }
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Appearance {
    /// As the system has it.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// What is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    pub(super) language: LanguageChoice,
    pub(super) appearance: Appearance,
    pub(super) start_minimised: bool,
    pub(super) notifications: bool,
    pub(super) welcomed: bool,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            language: LanguageChoice::System,
            appearance: Appearance::System,
            start_minimised: true,
            notifications: true,
            welcomed: false,
        }
    }
}

impl Kept {
    /// All preferences, with the one that the system keeps.
    pub(super) fn with_autostart(self, autostart: bool) -> Preferences {
        let Self { language, appearance, start_minimised, notifications, welcomed } = self;
        Preferences { language, appearance, autostart, start_minimised, notifications, welcomed }
    }

    fn changed(self, change: &PreferencesChange) -> Self {
        Self {
            language: change.language.unwrap_or(self.language),
            appearance: change.appearance.unwrap_or(self.appearance),
            start_minimised: change.start_minimised.unwrap_or(self.start_minimised),
            notifications: change.notifications.unwrap_or(self.notifications),
            welcomed: change.welcomed.unwrap_or(self.welcomed),
        }
    }
}

/// The file, and what is in it.
#[derive(Debug)]
pub struct PreferencesFile {
    path: Option<PathBuf>,
    kept: Kept,
}

impl PreferencesFile {
    /// Reads the file; `None` where there is no home, and nothing is kept then.
    pub fn open(path: Option<PathBuf>) -> Self {
        let kept = path.as_deref().map(read).unwrap_or_default();
        Self { path, kept }
    }

    /// The person's own file.
    pub fn default_path() -> Option<PathBuf> {
        let folders = directories::ProjectDirs::from("net", "planetary", "PlanetaryNetwork")?;
        Some(folders.config_dir().join("app.json"))
    }

    pub(super) fn kept(&self) -> Kept {
        self.kept
    }

    /// Changes and keeps.
    ///
    /// # Errors
    /// The file could not be written; then nothing was changed.
    pub(super) fn change(&mut self, change: &PreferencesChange) -> io::Result<()> {
        let changed = self.kept.changed(change);
        if changed != self.kept {
            if let Some(path) = &self.path {
                write(path, &changed)?;
            }
            self.kept = changed;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Kept {
    let read = File::open(path).and_then(|file| {
        let mut text = String::new();
        file.take(FILE_LEN_MAX).read_to_string(&mut text).map(|_| text)
    });
    let parsed = match read {
        Ok(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::default(),
        Err(error) => Err(error.to_string()),
    };
    parsed.unwrap_or_else(|error| {
        let aside = path.with_extension("json.damaged");
        let moved = fs::rename(path, &aside).is_ok();
        tracing::warn!(%error, moved, "the preferences cannot be read: {}", path.display());
        Kept::default()
    })
}

/// Replaces the file whole or not at all.
fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("json.new");
    let mut file = File::create(&beside)?;
    let mut text = serde_json::to_vec_pretty(kept)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_kept_and_unknown_members_do_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("folder/app.json");
        let mut file = PreferencesFile::open(Some(path.clone()));
        assert_eq!(file.kept(), Kept::default());
        let change = PreferencesChange {
            language: Some(LanguageChoice::Always(Language::De)),
            welcomed: Some(true),
            ..PreferencesChange::default()
        };
        file.change(&change).unwrap();
        let again = PreferencesFile::open(Some(path.clone()));
        assert_eq!(again.kept(), file.kept());
        assert_eq!(again.kept().language.or(Language::Fr), Language::De);
        fs::write(&path, r#"{"appearance": "dark", "moon": 1}"#).unwrap();
        assert_eq!(PreferencesFile::open(Some(path)).kept().appearance, Appearance::Dark);
    }

    #[test]
    fn damaged_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.json");
        for damaged in ["", "{", "[1]", r#"{"appearance": "plaid"}"#] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(PreferencesFile::open(Some(path.clone())).kept(), Kept::default());
            assert!(!path.exists(), "{damaged}");
            let aside = fs::read_to_string(dir.path().join("app.json.damaged")).unwrap();
            assert_eq!(aside, damaged);
        }
    }

    #[test]
    fn change_that_cannot_be_kept_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("folder"), "a file").unwrap();
        let mut file = PreferencesFile::open(Some(dir.path().join("folder/app.json")));
        let change = PreferencesChange { welcomed: Some(true), ..Default::default() };
        assert!(file.change(&change).is_err());
        assert!(!file.kept().welcomed);
    }

    #[test]
    fn choices_are_written_as_plain_words() {
        let json = |choice| serde_json::to_string(&choice).unwrap();
        assert_eq!(json(LanguageChoice::System), "\"system\"");
        assert_eq!(json(LanguageChoice::Always(Language::Ru)), "\"ru\"");
        for text in ["\"system\"", "\"ru\""] {
            let choice: LanguageChoice = serde_json::from_str(text).unwrap();
            assert_eq!(json(choice), text);
        }
        assert!(serde_json::from_str::<LanguageChoice>("\"tlh\"").is_err());
        assert!(serde_json::from_str::<PreferencesChange>(r#"{"moon": true}"#).is_err());
    }
}
