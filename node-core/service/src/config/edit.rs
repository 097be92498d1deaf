//! Changing the file on a person's behalf without disturbing what the person wrote.
//!
//! Every edit starts from the file as it is on disk, so that changes made in an editor meanwhile
//! are kept, and ends with a check of the whole result before it replaces the file. Comments and
//! layout stay: the only comment that goes is the one on the line of a peer that is removed.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use planetary_ipc::{ForeignSettings, ImportItem, ImportOutcome, SettingsChange};
use planetary_runtime::links::peers::{LISTENERS_MAX, PEERS_MAX};
use planetary_runtime::links::uri::{PeerUri, UriError};
use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::error::{ConfigError, Problem};
use super::{Config, InterfaceName, change, default_file, merge, parse, read_text};
use crate::state::atomic::{self, OsDisk};
use crate::state::{ReadError, make_private_dir};

/// The configuration file of a running service. Calls must not overlap; the caller holds the value.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    /// The file was there once. If it is not any more, an edit must not make one that says nothing
    /// of what the node runs with.
    existed: AtomicBool,
}

/// A file that was edited and checked, and not written yet. Has no `Debug` that shows it: passwords
/// are in it.
pub struct Edited {
    /// The text that was there.
    before: Option<String>,
    text: String,
    config: Config,
}

impl Edited {
    /// What the edited file says.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}

impl std::fmt::Debug for Edited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edited").finish_non_exhaustive()
    }
}

/// Why the file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The URI cannot be used.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// No network interface can have this name.
    #[error("no network interface can be called \"{0}\"")]
    Interface(String),
    /// The file names the peer already, perhaps with other options.
    #[error("{0} is configured already")]
    Exists(String),
    /// The file does not name the peer.
    #[error("{0} is not in the configuration file")]
    NotFound(String),
    /// The peer is configured, but for another interface or for none.
    #[error("{uri} is configured {}", whereabouts(interface.as_deref()))]
    Elsewhere {
        /// The peer.
        uri: String,
        /// Its interface.
        interface: Option<String>,
    },
    /// The list is full.
    #[error("the configuration file lists {PEERS_MAX} peers already")]
    Full,
    /// The node listens there already, perhaps with other options.
    #[error("{0} is configured already")]
    ListenerExists(String),
    /// The file does not name the listener.
    #[error("{0} is not in the configuration file")]
    ListenerNotFound(String),
    /// The list of listeners is full.
    #[error("the configuration file lists {LISTENERS_MAX} listeners already")]
    ListenersFull,
    /// The settings cannot be so, or not together.
    #[error("{}", words(.0))]
    Refused(Vec<Problem>),
    /// The file has a mistake that came in since it was read, or cannot be read any more; it is not
    /// touched until that is mended.
    #[error("the configuration file {trouble}: {0}", trouble = .0.trouble())]
    Wrong(#[from] ConfigError),
    /// The file was there when the node began, and is not any more.
    #[error("{} is gone, and the node runs with what it said; put it back", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

/// The problems in one line; where they stand in the file says nothing of a change.
fn words(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

fn whereabouts(interface: Option<&str>) -> String {
    match interface {
        Some(name) => format!("on the interface {name}, not without one"),
        None => "without an interface".to_owned(),
    }
}

impl ConfigFile {
    /// Stands for the file at `path`, which need not exist: the first edit makes it.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let existed = AtomicBool::new(path.exists());
        Self { path, existed }
    }

    /// Reads the file again. One that never was there means the defaults.
    ///
    /// # Errors
    /// [`ConfigError`], as at the start; also when the file is gone.
    pub fn load(&self) -> Result<Config, ConfigError> {
        match Config::load(&self.path) {
            Err(ConfigError::Unreadable { source: ReadError::Missing, .. })
                if !self.existed.load(Relaxed) =>
            {
                Ok(Config::default())
            }
            loaded => {
                self.existed.fetch_or(loaded.is_ok(), Relaxed);
                loaded
            }
        }
    }

    /// Where the file is, or will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a peer, with its options, and returns the configuration as it is then.
    ///
    /// # Errors
    /// [`EditError`]; the file is then as it was.
    pub fn add_peer(&self, uri: &str, interface: Option<&str>) -> Result<Config, EditError> {
        let place: PeerUri = uri.parse()?;
        check_interface(interface)?;
        self.edit(|config, document| {
            let list = list_to_extend(document, interface)
                .ok_or_else(|| EditError::Wrong(not_editable(&self.path)))?;
            if position(list, &place).is_some() {
                return Err(EditError::Exists(place.to_string()));
            }
            if config.peer_count() >= PEERS_MAX {
                return Err(EditError::Full);
            }
            push(list, uri);
            Ok(())
        })
    }

    /// Removes a peer, whatever its options, and returns the configuration as it is then.
    ///
    /// # Errors
    /// [`EditError`]; the file is then as it was.
    pub fn remove_peer(&self, uri: &str, interface: Option<&str>) -> Result<Config, EditError> {
        let place: PeerUri = uri.parse()?;
        check_interface(interface)?;
        self.edit(|_, document| {
            let missing = || EditError::NotFound(place.to_string());
            let list = list_to_shorten(document, interface).ok_or_else(missing)?;
            let index = position(list, &place).ok_or_else(missing)?;
            remove(list, index);
            Ok(())
        })
    }

    /// Changes single settings: returns what the file would be. Nothing is written before
    /// [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`EditError`].
    pub fn change(&self, change: &SettingsChange) -> Result<Edited, EditError> {
        self.prepare(|config, document| change::apply(change, config, document))
    }

    /// Merges the settings of another program into the file, as far as they can be: returns what
    /// the file would be, or `None` if that is what it is, and what becomes of each setting.
    /// Nothing is written before [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`EditError`], for the file that is there.
    pub fn merge(
        &self,
        settings: &ForeignSettings,
        replace: bool,
    ) -> Result<(Option<Edited>, Vec<ImportItem>), EditError> {
        let mut items = Vec::new();
        let edited = self.prepare(|config, document| {
            items = merge::merge(settings, replace, config, document);
            Ok(())
        })?;
        let changes = items.iter().any(|item| item.outcome == ImportOutcome::Taken);
        Ok((changes.then_some(edited), items))
    }

    fn edit(
        &self,
        change: impl FnOnce(&Config, &mut DocumentMut) -> Result<(), EditError>,
    ) -> Result<Config, EditError> {
        let edited = self.prepare(change)?;
        self.commit(&edited)?;
        Ok(edited.config)
    }

    /// Edits the file in memory and checks the result.
    fn prepare(
        &self,
        change: impl FnOnce(&Config, &mut DocumentMut) -> Result<(), EditError>,
    ) -> Result<Edited, EditError> {
        let before = match read_text(&self.path) {
            Ok(text) => Some(text),
            Err(ConfigError::Unreadable { source: ReadError::Missing, .. }) => {
                if self.existed.load(Relaxed) {
                    return Err(EditError::Gone { path: self.path.clone() });
                }
                None
            }
            Err(error) => return Err(error.into()),
        };
        let text = before.clone().unwrap_or_else(default_file);
        // Checked first, so that a mistake is reported as the person made it.
        let config = Config::parse(&text, &self.path)?;
        let mut document: DocumentMut = text.parse().map_err(|_| not_editable(&self.path))?;
        change(&config, &mut document)?;
        let text = document.to_string();
        let config = parse::parse(&text).map_err(EditError::Refused)?;
        Ok(Edited { before, text, config })
    }

    /// Writes what was prepared.
    ///
    /// # Errors
    /// [`EditError::Unwritable`]; the file is then as it was.
    pub fn commit(&self, edited: &Edited) -> Result<(), EditError> {
        self.write(&edited.text)
            .map_err(|source| EditError::Unwritable { path: self.path.clone(), source })?;
        self.existed.store(true, Relaxed);
        Ok(())
    }

    /// Takes back what was committed.
    ///
    /// # Errors
    /// [`EditError::Unwritable`].
    pub fn restore(&self, edited: &Edited) -> Result<(), EditError> {
        let restored = match &edited.before {
            Some(text) => self.write(text),
            None => fs::remove_file(&self.path),
        };
        restored.map_err(|source| EditError::Unwritable { path: self.path.clone(), source })?;
        self.existed.store(edited.before.is_some(), Relaxed);
        Ok(())
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        // A link stays a link: what it points to is replaced.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let before = fs::metadata(&path).ok();
        if before.is_none()
            && let Some(folder) = path.parent()
        {
            make_private_dir(folder)?;
        }
        atomic::replace(&OsDisk, &path, text.as_bytes(), mode_of(before.as_ref()))?;
        keep_owner(&path, before.as_ref());
        Ok(())
    }
}

fn check_interface(name: Option<&str>) -> Result<(), EditError> {
    match name.filter(|name| InterfaceName::new(name).is_none()) {
        Some(name) => Err(EditError::Interface(super::printable(name))),
        None => Ok(()),
    }
}

/// What passed the reader as a whole is editable; a file changed to nonsense in between is reported
/// like any mistake.
fn not_editable(path: &Path) -> ConfigError {
    ConfigError::Unreadable {
        path: path.to_owned(),
        source: ReadError::System(std::io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(unix)]
fn mode_of(before: Option<&fs::Metadata>) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    before.map_or(atomic::PRIVATE, |found| found.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn mode_of(_: Option<&fs::Metadata>) -> u32 {
    atomic::PRIVATE
}

/// Matters only to root, who may edit other people's files; everybody else owns what is written
/// anyway.
#[cfg(unix)]
fn keep_owner(path: &Path, before: Option<&fs::Metadata>) {
    use std::os::unix::fs::MetadataExt;
    if let Some(before) = before {
        let _ = std::os::unix::fs::chown(path, Some(before.uid()), Some(before.gid()));
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: Option<&fs::Metadata>) {}

/// The list to which a peer is added, made where it is missing. `None` only for a file that did not
/// pass the check.
pub(super) fn list_to_extend<'a>(
    document: &'a mut DocumentMut,
    interface: Option<&str>,
) -> Option<&'a mut Array> {
    let empty = || Item::Value(Value::Array(Array::new()));
    let item = match interface {
        None => document.entry("peers").or_insert_with(empty),
        Some(name) => {
            let section =
                document.entry("interface_peers").or_insert_with(|| Item::Table(Table::new()));
            section.as_table_like_mut()?.entry(name).or_insert_with(empty)
        }
    };
    item.as_array_mut()
}

fn list_to_shorten<'a>(
    document: &'a mut DocumentMut,
    interface: Option<&str>,
) -> Option<&'a mut Array> {
    let item = match interface {
        None => document.get_mut("peers")?,
        Some(name) => document.get_mut("interface_peers")?.as_table_like_mut()?.get_mut(name)?,
    };
    item.as_array_mut()
}

pub(super) fn position<U>(list: &Array, place: &U) -> Option<usize>
where
    U: FromStr + Display,
{
    let wanted = place.to_string();
    list.iter().position(|entry| {
        let listed = entry.as_str().and_then(|text| text.parse::<U>().ok());
        listed.is_some_and(|listed| listed.to_string() == wanted)
    })
}

/// Appends an entry: on a line of its own where the list has lines, else behind the last entry.
pub(super) fn push(list: &mut Array, uri: &str) {
    let mut tail = list.trailing().as_str().unwrap_or_default().to_owned();
    let indent = match list.len().checked_sub(1).and_then(|last| list.get_mut(last)) {
        Some(last) => {
            // Without a comma behind it, what follows the last entry belongs to the entry.
            let suffix = take_suffix(last);
            tail.insert_str(0, &suffix);
            let prefix = prefix_of(last);
            prefix.rsplit_once('\n').map_or("    ", |(_, indent)| indent).to_owned()
        }
        None => "    ".to_owned(),
    };
    let is_first = list.is_empty();
    let mut entry = Value::from(uri);
    match tail.rsplit_once('\n') {
        Some((above, below)) => {
            entry.decor_mut().set_prefix(format!("{above}\n{indent}"));
            list.set_trailing(format!("\n{below}"));
            list.set_trailing_comma(true);
        }
        None => {
            entry.decor_mut().set_prefix(if is_first { "" } else { " " });
            list.set_trailing(tail);
            list.set_trailing_comma(false);
        }
    }
    list.push_formatted(entry);
}

/// Removes an entry and the comment on its own line; what stands on other lines stays.
pub(super) fn remove(list: &mut Array, index: usize) {
    let mut removed = list.remove(index);
    let before = prefix_of(&removed);
    // What follows the entry up to the next one, or to the end of the list.
    let is_last = index == list.len();
    let after = match list.get(index) {
        Some(next) => prefix_of(next),
        None => {
            let suffix = take_suffix(&mut removed);
            suffix + list.trailing().as_str().unwrap_or_default()
        }
    };
    let joined = match (before.split_once('\n'), after.split_once('\n')) {
        (Some((previous_line, own_lines)), Some((_, rest))) => {
            let comments = own_lines
                .rsplit_once('\n')
                .map_or(String::new(), |(lines, _)| format!("\n{lines}"));
            format!("{previous_line}{comments}\n{rest}")
        }
        // A list on one line, or the start or end of one: the blank in front of the entry goes with
        // it.
        (None, _) if is_last => after,
        _ if index == 0 => before,
        _ => after,
    };
    match list.get_mut(index) {
        Some(next) => next.decor_mut().set_prefix(joined),
        None => {
            list.set_trailing(joined);
            list.set_trailing_comma(
                !list.is_empty() && list.trailing().as_str().is_some_and(|t| t.contains('\n')),
            );
        }
    }
}

fn prefix_of(value: &Value) -> String {
    value.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned()
}

fn take_suffix(value: &mut Value) -> String {
    let suffix =
        value.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default().to_owned();
    value.decor_mut().set_suffix("");
    suffix
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
