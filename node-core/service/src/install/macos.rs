//! macOS: a launchd daemon that runs as root, because only root may open a utun interface.

use std::path::{Path, PathBuf};

use super::{Existing, Failure, Owner, Step, command};
use crate::config::default_file;

const LABEL: &str = "net.planetary.PlanetaryNetwork.planetaryd";
const PLIST_PATH: &str = "/Library/LaunchDaemons/net.planetary.PlanetaryNetwork.planetaryd.plist";
const PROGRAM: &str = "/usr/local/bin/planetaryd";
const HOME: &str = "/Library/Application Support/PlanetaryNetwork";
const RUNTIME_DIR: &str = "/var/run/planetary";

/// What `install` does. `on_system` is false for a trial below another root.
pub(super) fn installation(_program: &Path, on_system: bool) -> Vec<Step> {
    let folder = |path: PathBuf, mode| Step::Folder { path, mode, owner: Owner::Installer };
    let file = |path: PathBuf, content, mode, existing| Step::File {
        path,
        content,
        mode,
        owner: Owner::Installer,
        existing,
    };
    let mut steps = vec![
        // Fails when the group is there.
        command("dseditgroup", "-o create -q planetary", Failure::IsFine),
        Step::Program { path: PROGRAM.into() },
        folder(HOME.into(), 0o700),
        file(Path::new(HOME).join("config.toml"), default_file(), 0o600, Existing::Keep),
        folder(Path::new(HOME).join("state"), 0o700),
        file(PLIST_PATH.into(), property_list(), 0o644, Existing::Replace),
    ];
    if on_system {
        // Not loaded is fine: this ends an older program, if one runs.
        steps.push(command("launchctl", &format!("bootout system/{LABEL}"), Failure::IsFine));
        steps.push(command("launchctl", &format!("bootstrap system {PLIST_PATH}"), Failure::Ends));
        steps.push(Step::Say(
            "The service runs. To control it without root, join its group:\n  \
             sudo dseditgroup -o edit -a YOUR-NAME -t user planetary"
                .to_owned(),
        ));
    }
    steps
}

/// What `uninstall` does.
pub(super) fn removal(_root: Option<&Path>, purge: bool) -> Vec<Step> {
    let mut steps = vec![
        command("launchctl", &format!("bootout system/{LABEL}"), Failure::IsFine),
        Step::RemoveFile { path: PLIST_PATH.into() },
        Step::RemoveFile { path: PROGRAM.into() },
        Step::RemoveTree { path: RUNTIME_DIR.into() },
    ];
    if purge {
        steps.push(Step::RemoveTree { path: HOME.into() });
        steps.push(command("dseditgroup", "-o delete -q planetary", Failure::IsFine));
    } else {
        steps.push(Step::Say(format!(
            "Kept: {HOME} (the node's key, and so its address, and the configuration).\n  \
             `planetaryd uninstall --purge` removes it for good."
        )));
    }
    steps
}

/// The daemon as launchd reads it. `/var/run` is emptied at every start of the system, and the
/// service makes its folder there itself.
fn property_list() -> String {
    let arguments: String = [
        PROGRAM,
        "run",
        "--config",
        &format!("{HOME}/config.toml"),
        "--state-dir",
        &format!("{HOME}/state"),
        "--control",
        &format!("{RUNTIME_DIR}/control.sock"),
    ]
    .iter()
    .map(|argument| format!("    <string>{argument}</string>\n"))
    .collect();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN"
  "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardErrorPath</key>
  <string>/var/log/planetaryd.log</string>
</dict>
</plist>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_list_starts_the_program_with_all_three_places() {
        let list = property_list();
        let arguments: Vec<_> = list
            .lines()
            .filter_map(|line| line.strip_prefix("    <string>")?.strip_suffix("</string>"))
            .collect();
        assert_eq!(
            arguments,
            [
                "/usr/local/bin/planetaryd",
                "run",
                "--config",
                "/Library/Application Support/PlanetaryNetwork/config.toml",
                "--state-dir",
                "/Library/Application Support/PlanetaryNetwork/state",
                "--control",
                "/var/run/planetary/control.sock",
            ]
        );
        assert!(PLIST_PATH.ends_with(&format!("/{LABEL}.plist")));
    }

    #[test]
    fn key_and_configuration_go_only_on_purge() {
        let removes_home = |purge| {
            let home =
                |step: &Step| matches!(step, Step::RemoveTree { path } if path == Path::new(HOME));
            removal(None, purge).iter().any(home)
        };
        assert!(!removes_home(false) && removes_home(true));
        let kept = installation(Path::new("/x"), false).into_iter().any(|step| match step {
            Step::File { path, existing, .. } => {
                path.ends_with("config.toml") && existing == Existing::Keep
            }
            _ => false,
        });
        assert!(kept);
    }
}
