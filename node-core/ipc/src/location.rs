//! Where a client looks for the service, and where a service without instructions listens.
//!
//! In this order: the path that was asked for (`--control`), `PLANETARY_CONTROL`, the system's
//! service, the user's own service in the runtime folder, the user's own service in the state
//! folder. The first two are orders and are taken as they are; of the rest the first that exists is
//! taken. Everything here looks, nothing is created.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::endpoint;

/// Environment variable that names the control socket.
pub const CONTROL_VARIABLE: &str = "PLANETARY_CONTROL";

/// File name of the control socket in a runtime or state folder.
const SOCKET_NAME: &str = "control.sock";

/// Where the control socket is, or should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The socket to connect to.
    pub path: PathBuf,
    /// Why this one.
    pub source: Source,
    /// All places that were looked at, in order; `path` is the one that exists, or the last of
    /// them when none does.
    pub looked_at: Vec<PathBuf>,
}

/// Why a socket was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `--control`.
    Option,
    /// `PLANETARY_CONTROL`.
    Environment,
    /// The system's service.
    System,
    /// The user's runtime folder.
    Runtime,
    /// The user's state folder.
    StateDir,
}

/// Says which socket a client should connect to. `option` is what `--control` was given.
pub fn locate(option: Option<&Path>) -> Location {
    let order = option.map(|path| (Source::Option, path.to_owned())).or_else(|| {
        let path = non_empty(env::var_os(CONTROL_VARIABLE))?;
        Some((Source::Environment, path.into()))
    });
    if let Some((source, path)) = order {
        return Location { looked_at: vec![path.clone()], path, source };
    }
    choose(default_places(), |path| path.exists())
}

/// Where a service listens that was told neither `--control` nor `PLANETARY_CONTROL`: in the user's
/// runtime folder if there is one, else in `state_dir`.
pub fn own_socket(state_dir: &Path) -> PathBuf {
    runtime_socket().unwrap_or_else(|| state_dir.join(SOCKET_NAME))
}

/// The user's state folder, of a service that was not told `--state-dir`. `None` without a home.
pub fn user_state_dir() -> Option<PathBuf> {
    let folders = ProjectDirs::from("net", "planetary", "PlanetaryNetwork")?;
    Some(folders.state_dir().unwrap_or_else(|| folders.data_local_dir()).to_owned())
}

/// Takes the first place that exists, or the last one.
fn choose(places: Vec<(Source, PathBuf)>, exists: impl Fn(&Path) -> bool) -> Location {
    let mut looked_at = Vec::new();
    let mut last = (Source::System, PathBuf::from(endpoint::SYSTEM_PATH));
    let count = places.len();
    for (source, path) in places {
        looked_at.push(path.clone());
        last = (source, path);
        if looked_at.len() < count && exists(&last.1) {
            break;
        }
    }
    Location { source: last.0, path: last.1, looked_at }
}

#[cfg(unix)]
fn default_places() -> Vec<(Source, PathBuf)> {
    let system = (Source::System, PathBuf::from(endpoint::SYSTEM_PATH));
    let runtime = runtime_socket().map(|path| (Source::Runtime, path));
    let state = user_state_dir().map(|folder| (Source::StateDir, folder.join(SOCKET_NAME)));
    [Some(system), runtime, state].into_iter().flatten().collect()
}

/// Named pipes are in no folder: there is one name for all.
#[cfg(windows)]
fn default_places() -> Vec<(Source, PathBuf)> {
    vec![(Source::System, PathBuf::from(endpoint::SYSTEM_PATH))]
}

#[cfg(unix)]
fn runtime_socket() -> Option<PathBuf> {
    let folder = PathBuf::from(non_empty(env::var_os("XDG_RUNTIME_DIR"))?);
    Some(folder.join("planetary").join(SOCKET_NAME))
}

#[cfg(windows)]
fn runtime_socket() -> Option<PathBuf> {
    Some(endpoint::SYSTEM_PATH.into())
}

fn non_empty(value: Option<OsString>) -> Option<OsString> {
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Vec<(Source, PathBuf)> {
        [(Source::System, "/s"), (Source::Runtime, "/r"), (Source::StateDir, "/d")]
            .map(|(source, path)| (source, path.into()))
            .into()
    }

    #[test]
    fn order_of_the_person_is_taken_as_it_is() {
        let location = locate(Some(Path::new("/nowhere/at/all")));
        assert_eq!(location.source, Source::Option);
        assert_eq!(location.looked_at, [location.path]);
    }

    #[test]
    fn first_existing_socket_is_chosen() {
        let location = choose(places(), |path| path == "/r");
        assert_eq!((location.source, location.path), (Source::Runtime, "/r".into()));
        assert_eq!(location.looked_at, [Path::new("/s"), Path::new("/r")]);
    }

    #[test]
    fn without_any_socket_all_places_are_named() {
        let location = choose(places(), |_| false);
        assert_eq!((location.source, location.looked_at.len()), (Source::StateDir, 3));
    }
}
