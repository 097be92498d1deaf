//! Windows: a service of the service control manager that runs as LocalSystem, because only that
//! account may open an adapter.
//!
//! This file says what belongs to the installation; `windows_service.rs` talks to the service
//! control manager.

use std::path::{Path, PathBuf};

use super::{Existing, Failure, Owner, Step, command};
use crate::config::default_file;

const PROGRAM: &str = r"C:\Program Files\PlanetaryNetwork\planetaryd.exe";
const HOME: &str = r"C:\ProgramData\PlanetaryNetwork";

/// Full control for LocalSystem and administrators, nothing for others, nothing inherited from
/// above.
const PRIVATE_TO_SYSTEM: [&str; 6] = [
    HOME,
    "/inheritance:r",
    "/grant:r",
    "*S-1-5-18:(OI)(CI)F",
    "/grant:r",
    "*S-1-5-32-544:(OI)(CI)F",
];

/// What `install` does. `on_system` is false for a trial below another root.
pub(super) fn installation(_program: &Path, on_system: bool) -> Vec<Step> {
    let folder = |path: PathBuf| Step::Folder { path, mode: 0, owner: Owner::Installer };
    let access = PRIVATE_TO_SYSTEM.map(str::to_owned).to_vec();
    let mut steps = vec![
        Step::Program { path: PROGRAM.into() },
        folder(HOME.into()),
        // Before anything secret is in it.
        Step::Run { program: "icacls", arguments: access, failure: Failure::Ends },
        Step::File {
            path: home_file("config.toml"),
            content: default_file(),
            mode: 0o600,
            owner: Owner::Installer,
            existing: Existing::Keep,
        },
        folder(home_file("state")),
    ];
    if on_system {
        steps.push(register());
        steps.push(command("sc", "start planetaryd", Failure::Ends));
    }
    steps
}

/// What `uninstall` does.
pub(super) fn removal(_root: Option<&Path>, purge: bool) -> Vec<Step> {
    let mut steps = vec![
        command("net", "stop planetaryd", Failure::IsFine),
        command("sc", "delete planetaryd", Failure::IsFine),
    ];
    if purge {
        steps.push(Step::RemoveTree { path: HOME.into() });
    } else {
        steps.push(Step::Say(format!(
            "Kept: {HOME} (the node's key, and so its address, and the configuration).\n  \
             `planetaryd uninstall --purge` removes it for good."
        )));
    }
    // A program cannot remove its own file while it runs.
    steps.push(Step::Say(format!("{PROGRAM} can be removed now.")));
    steps
}

fn home_file(name: &str) -> PathBuf {
    PathBuf::from(format!(r"{HOME}\{name}"))
}

/// The command line with which the service control manager starts the service.
pub(super) fn launch_arguments() -> Vec<String> {
    let path = |name: &str| home_file(name).display().to_string();
    let (config, state) = (path("config.toml"), path("state"));
    let pipe = r"\\.\pipe\planetary-control";
    ["run", "--windows-service", "--config", &config, "--state-dir", &state, "--control", pipe]
        .map(str::to_owned)
        .to_vec()
}

#[cfg(windows)]
fn register() -> Step {
    Step::Call {
        what: "register the service",
        run: |_| super::windows_service::register(Path::new(PROGRAM)),
    }
}

/// Elsewhere only the list of steps is of interest, to tests.
#[cfg(not(windows))]
fn register() -> Step {
    Step::Call { what: "register the service", run: |_| Err("this is not Windows".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_starts_with_all_three_places() {
        assert_eq!(
            launch_arguments().join(" "),
            [
                "run --windows-service",
                r"--config C:\ProgramData\PlanetaryNetwork\config.toml",
                r"--state-dir C:\ProgramData\PlanetaryNetwork\state",
                r"--control \\.\pipe\planetary-control",
            ]
            .join(" ")
        );
    }

    #[test]
    fn folder_is_closed_before_the_configuration_is_written() {
        let steps = installation(Path::new("x"), false);
        let position = |wanted: fn(&Step) -> bool| steps.iter().position(wanted).unwrap();
        let closed = position(|step| matches!(step, Step::Run { program: "icacls", .. }));
        let written = position(|step| matches!(step, Step::File { .. }));
        assert!(closed < written);
    }

    #[test]
    fn key_and_configuration_go_only_on_purge() {
        let removes_home = |purge| {
            let home =
                |step: &Step| matches!(step, Step::RemoveTree { path } if path == Path::new(HOME));
            removal(None, purge).iter().any(home)
        };
        assert!(!removes_home(false) && removes_home(true));
    }
}
