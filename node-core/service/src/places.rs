//! Which files a run of the service uses.
//!
//! Flags decide; without them a run belongs to the user who starts it. A state folder named by
//! `--state-dir` holds a node of its own, so its configuration is looked for there and not in the
//! user's folder. The system service is not a case here: its unit passes all three flags.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use planetary_ipc::location::{self, CONTROL_VARIABLE};

/// Configuration of the system service.
#[cfg(target_os = "linux")]
pub const SYSTEM_CONFIG: &str = "/etc/planetary/config.toml";
/// Configuration of the system service.
#[cfg(target_os = "macos")]
pub const SYSTEM_CONFIG: &str = "/Library/Application Support/PlanetaryNetwork/config.toml";
/// Configuration of the system service.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub const SYSTEM_CONFIG: &str = r"C:\ProgramData\PlanetaryNetwork\config.toml";

const CONFIG_NAME: &str = "config.toml";

/// The files of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The configuration file.
    pub config: PathBuf,
    /// Whether the configuration file must exist: the person named it.
    pub config_required: bool,
    /// The state folder.
    pub state_dir: PathBuf,
    /// The control socket.
    pub control: PathBuf,
}

/// There is no home folder to put anything in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this account has no home folder; name the folder to use with --state-dir")]
pub struct NoHome;

impl Places {
    /// Works out the places from what the command line says. Configuration and state folder are
    /// absolute: people read of them elsewhere than where the service was started.
    ///
    /// # Errors
    /// [`NoHome`] when the account has none and `state_dir` is not given.
    pub fn choose(
        config: Option<PathBuf>,
        state_dir: Option<PathBuf>,
        control: Option<PathBuf>,
    ) -> Result<Self, NoHome> {
        let config_required = config.is_some();
        let config = match (config, &state_dir) {
            (Some(file), _) => file,
            (None, Some(dir)) => dir.join(CONFIG_NAME),
            (None, None) => user_config().ok_or(NoHome)?,
        };
        let state_dir = state_dir.or_else(location::user_state_dir).ok_or(NoHome)?;
        let (config, state_dir) = (absolute(config), absolute(state_dir));
        let named = || {
            std::env::var_os(CONTROL_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let control = control.or_else(named).unwrap_or_else(|| location::own_socket(&state_dir));
        Ok(Self { config, config_required, state_dir, control })
    }
}

/// Returns the file that `check-config` looks at when it is told none: the system service's, else
/// the user's.
///
/// # Errors
/// [`NoHome`] when neither can be named.
pub fn config_to_check() -> Result<PathBuf, NoHome> {
    let system = Path::new(SYSTEM_CONFIG);
    if system.exists() { Ok(system.to_owned()) } else { user_config().ok_or(NoHome) }
}

/// The same place, named from the root. A service without a working folder keeps to what it was
/// given.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn user_config() -> Option<PathBuf> {
    let folders = ProjectDirs::from("net", "planetary", "PlanetaryNetwork")?;
    Some(folders.config_dir().join(CONFIG_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_decide() {
        let path = |text: &str| Some(PathBuf::from(text));
        let places = Places::choose(path("/c.toml"), path("/s"), path("/x.sock")).unwrap();
        assert_eq!(
            places,
            Places {
                config: absolute("/c.toml".into()),
                config_required: true,
                state_dir: absolute("/s".into()),
                control: "/x.sock".into(),
            }
        );
    }

    #[test]
    fn folder_of_its_own_has_its_configuration_inside() {
        let places = Places::choose(None, Some("/s".into()), Some("/x.sock".into())).unwrap();
        let config = absolute("/s/config.toml".into());
        assert_eq!((places.config, places.config_required), (config, false));
    }

    #[test]
    fn places_are_named_from_the_root() {
        let places = Places::choose(None, Some("s".into()), Some("x.sock".into())).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(places.state_dir, here.join("s"));
        assert_eq!(places.config, here.join("s").join("config.toml"));
        // A socket's path has a tight bound, which a relative one meets more easily.
        assert_eq!(places.control, Path::new("x.sock"));
    }
}
