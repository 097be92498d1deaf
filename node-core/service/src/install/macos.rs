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
        // Somebody may have disabled it by hand; who installs it wants it.
        steps.push(command("launchctl", &format!("enable system/{LABEL}"), Failure::IsFine));
        steps.push(Step::Run {
            program: "sh",
            arguments: vec!["-c".to_owned(), bootstrap()],
            failure: Failure::Ends,
        });
        steps.push(Step::Say(
            "The service runs. To control it without root, join its group:\n  \
             sudo dseditgroup -o edit -a YOUR-NAME -t user planetary"
                .to_owned(),
        ));
    }
    steps
}

/// Hands the daemon to launchd, which refuses for as long as the older one is ending: the word to
/// end it is not waited for. Its stop takes ten seconds at most.
fn bootstrap() -> String {
    let once = format!("launchctl bootstrap system {PLIST_PATH}");
    format!(
        "for second in 1 2 3 4 5 6 7 8 9 10; do {once} 2>/dev/null && exit; sleep 1; done; {once}"
    )
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

    /// launchd says no twice, as it does while the daemon of an older version is ending.
    #[cfg(unix)]
    #[test]
    fn daemon_is_handed_over_once_the_older_one_has_ended() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let run = |answers: &str| {
            std::fs::write(at("left"), answers).unwrap();
            let tool = "#!/bin/sh\nread -r left < \"$0.left\"\necho $((left - 1)) > \"$0.left\"\n\
                        echo busy >&2\n[ \"$left\" -le 0 ]\n";
            std::fs::write(at("launchctl"), tool).unwrap();
            std::fs::rename(at("left"), at("launchctl.left")).unwrap();
            std::fs::write(at("sleep"), "#!/bin/sh\n").unwrap();
            for name in ["launchctl", "sleep"] {
                let mode = PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(at(name), mode).unwrap();
            }
            let path = format!("{}:/usr/bin:/bin", folder.path().display());
            let mut sh = std::process::Command::new("sh");
            sh.args(["-c", &bootstrap()]).env("PATH", path).output().unwrap()
        };
        let output = run("2\n");
        assert!(output.status.success() && output.stderr.is_empty());
        let output = run("99\n");
        assert!(!output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "busy\n");
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
