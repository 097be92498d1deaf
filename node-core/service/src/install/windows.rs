//! Windows: a service of the service control manager that runs as LocalSystem, because only that
//! account may open an adapter.
//!
//! This file says what belongs to the installation; the files below it talk to the system. The
//! installers put programs and shortcuts in place and leave the rest to `planetaryd install` and
//! `planetaryd uninstall`, so that there is one description of what the service needs.

#[cfg(windows)]
mod folder;
#[cfg(windows)]
mod people;
mod search_path;
#[cfg(windows)]
mod service;

use std::path::{Path, PathBuf};

#[cfg(windows)]
pub(super) use self::folder::system_program;
#[cfg(windows)]
pub use self::service::run_as_service;
#[cfg(windows)]
pub(crate) use self::service::tell;
use super::{Existing, Failure, Owner, Step, command};
use crate::config::default_file;

/// Where the programs are. Only administrators can write there.
const PROGRAMS: &str = r"C:\Program Files\Planetary Network";
const PROGRAM: &str = r"C:\Program Files\Planetary Network\planetaryd.exe";
/// The library of the adapter, which is loaded from beside the program and from nowhere else.
const DRIVER: &str = r"C:\Program Files\Planetary Network\wintun.dll";
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

/// The rule by which links of others get in, whatever port they come to. What they may do is
/// decided by the program.
const FIREWALL_RULE: &str = "name=Planetary Network";

/// What `install` does. `on_system` is false for a trial below another root.
pub(super) fn installation(_program: &Path, on_system: bool) -> Vec<Step> {
    let folder = |path: PathBuf| Step::Folder { path, mode: 0, owner: Owner::Installer };
    let access = PRIVATE_TO_SYSTEM.map(str::to_owned).to_vec();
    let mut steps = Vec::new();
    if on_system {
        steps.push(Step::Call { what: "find the folder safe", run: system::check_home });
        // A program that runs cannot be replaced.
        steps.push(Step::Call { what: "stop the service", run: system::stop });
    }
    steps.extend([
        Step::Program { path: PROGRAM.into() },
        Step::Beside { path: DRIVER.into() },
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
    ]);
    if on_system {
        steps.extend([
            Step::Call { what: "let people use the service", run: system::make_group },
            // One that is there would stay beside the new one.
            firewall(&["delete", "rule", FIREWALL_RULE]),
            firewall(&[
                "add",
                "rule",
                FIREWALL_RULE,
                "dir=in",
                "action=allow",
                &format!("program={PROGRAM}"),
                "profile=any",
                "enable=yes",
            ]),
            Step::Call { what: "put the programs on the search path", run: system::add_to_path },
            Step::Call { what: "register the service", run: system::register },
            Step::Call { what: "start the service", run: system::start },
        ]);
    }
    steps
}

/// What `uninstall` does.
pub(super) fn removal(root: Option<&Path>, purge: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if root.is_none() {
        steps.extend([
            Step::Call { what: "stop the service", run: system::stop },
            Step::Call { what: "remove the service", run: system::unregister },
            firewall(&["delete", "rule", FIREWALL_RULE]),
            Step::Call {
                what: "take the programs off the search path",
                run: system::remove_from_path,
            },
            // A service that was killed has left it.
            Step::Call { what: "let the DNS client forget", run: system::forget_names },
        ]);
    }
    if purge {
        if root.is_none() {
            steps.push(Step::Call { what: "remove the group", run: system::remove_group });
        }
        steps.push(Step::RemoveTree { path: HOME.into() });
    } else {
        steps.push(Step::Say(format!(
            "Kept: {HOME} (the node's key, and so its address, and the configuration).\n  \
             `planetaryd uninstall --purge` removes it for good."
        )));
    }
    // A program cannot remove its own file while it runs.
    steps.push(Step::Say(format!("{PROGRAMS} can be removed now.")));
    steps
}

/// A change of the rules of the system's firewall. Where that is switched off there is no door to
/// open, and where a rule is missing none has to be removed.
fn firewall(words: &[&str]) -> Step {
    let mut step = command("netsh", "advfirewall firewall", Failure::IsFine);
    if let Step::Run { arguments, .. } = &mut step {
        arguments.extend(words.iter().map(|word| (*word).to_owned()));
    }
    step
}

fn home_file(name: &str) -> PathBuf {
    PathBuf::from(format!(r"{HOME}\{name}"))
}

/// The command line with which the service control manager starts the service.
fn launch_arguments() -> Vec<String> {
    let path = |name: &str| home_file(name).display().to_string();
    let (config, state, log) = (path("config.toml"), path("state"), path("planetaryd.log"));
    let pipe = r"\\.\pipe\planetary-control";
    let places = ["--config", &config, "--state-dir", &state, "--control", pipe];
    let words = ["run", "--windows-service", "--stay"].into_iter();
    let words = words.chain(places).chain(["--log-file", &log]);
    words.map(str::to_owned).collect()
}

/// What the steps call.
#[cfg(windows)]
mod system {
    use std::path::Path;

    pub(super) use super::folder::check_home;
    pub(super) use super::people::{make_group, remove_group};
    pub(super) use super::search_path::{add_to_path, remove_from_path};
    pub(super) use super::service::{register, start, stop, unregister};

    pub(super) fn forget_names(_: &Path) -> Result<(), String> {
        crate::names::forget().map_err(|error| error.to_string())
    }
}

/// Elsewhere only the list of steps is of interest, to tests.
#[cfg(not(windows))]
mod system {
    use std::path::Path;

    pub(super) fn not_here(_: &Path) -> Result<(), String> {
        Err("this is not Windows".to_owned())
    }

    pub(super) use self::not_here as add_to_path;
    pub(super) use self::not_here as check_home;
    pub(super) use self::not_here as forget_names;
    pub(super) use self::not_here as make_group;
    pub(super) use self::not_here as register;
    pub(super) use self::not_here as remove_from_path;
    pub(super) use self::not_here as remove_group;
    pub(super) use self::not_here as start;
    pub(super) use self::not_here as stop;
    pub(super) use self::not_here as unregister;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(steps: &[Step]) -> Vec<&'static str> {
        let call = |step: &Step| match step {
            Step::Call { what, .. } => Some(*what),
            _ => None,
        };
        steps.iter().filter_map(call).collect()
    }

    #[test]
    fn service_starts_with_all_places() {
        assert_eq!(
            launch_arguments().join(" "),
            [
                "run --windows-service --stay",
                r"--config C:\ProgramData\PlanetaryNetwork\config.toml",
                r"--state-dir C:\ProgramData\PlanetaryNetwork\state",
                r"--control \\.\pipe\planetary-control",
                r"--log-file C:\ProgramData\PlanetaryNetwork\planetaryd.log",
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
    fn a_running_service_is_stopped_before_its_program_is_replaced() {
        let steps = installation(Path::new("x"), true);
        let calls = calls(&steps);
        assert_eq!((calls[1], calls.last()), ("stop the service", Some(&"start the service")));
        let position = |wanted: fn(&Step) -> bool| steps.iter().position(wanted).unwrap();
        let stopped = position(|step| matches!(step, Step::Call { what: "stop the service", .. }));
        assert!(stopped < position(|step| matches!(step, Step::Program { .. })));
    }

    #[test]
    fn what_was_done_to_the_system_is_undone() {
        let removed = removal(None, false);
        for what in
            ["remove the service", "take the programs off the search path", "stop the service"]
        {
            assert!(calls(&removed).contains(&what), "{what}");
        }
        let closes = |step: &Step| {
            let Step::Run { program: "netsh", arguments, .. } = step else { return false };
            arguments.contains(&"delete".to_owned())
        };
        assert!(removed.iter().any(closes));
        assert!(calls(&removal(Some(Path::new("x")), true)).is_empty());
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
