//! Linux: a systemd unit, an account without a shell, a rule that lets it tell the system's
//! resolver where names are answered, three folders.
//!
//! A package ships the unit, the account file and the rule from `installers/linux` and needs none
//! of this; `planetaryd install` is for everybody else, and writes the same unit and rule to the
//! administrator's folders.

use std::fs;
use std::path::{Path, PathBuf};

use planetary_ipc::endpoint::GROUP;

use super::{Existing, Failure, Owner, Step, below, command};
use crate::config::default_file;

const UNIT: &str = include_str!("../../../../installers/linux/planetaryd.service");
const ACCOUNT: &str = include_str!("../../../../installers/linux/sysusers.d/planetary.conf");

const RULES: &str = include_str!("../../../../installers/linux/polkit-1/rules.d/planetary.rules");

const UNIT_PATH: &str = "/etc/systemd/system/planetaryd.service";
/// Where polkit looks for what the administrator allows.
const RULES_DIR: &str = "/etc/polkit-1/rules.d";
const RULES_PATH: &str = "/etc/polkit-1/rules.d/planetary.rules";
const CONFIG_DIR: &str = "/etc/planetary";
const STATE_DIR: &str = "/var/lib/planetary";
const RUNTIME_DIR: &str = "/run/planetary";

/// Where a package puts the program. One that is there is not ours to copy or remove.
const PACKAGED_PROGRAM: &str = "/usr/bin/planetaryd";

/// Where `install` puts the program: a folder that only root can write to, so that nobody can swap
/// what the service manager starts.
const OWN_PROGRAM: &str = "/usr/local/bin/planetaryd";

/// What `install` does. `on_system` is false for a trial below another root.
pub(super) fn installation(program: &Path, on_system: bool) -> Vec<Step> {
    let packaged = program == Path::new(PACKAGED_PROGRAM);
    let unit = if packaged { UNIT.to_owned() } else { UNIT.replace(PACKAGED_PROGRAM, OWN_PROGRAM) };
    let folder = |path: &str, mode| Step::Folder { path: path.into(), mode, owner: Owner::Service };
    let mut steps = vec![account(on_system)];
    if !packaged {
        steps.push(Step::Program { path: OWN_PROGRAM.into() });
    }
    steps.extend([
        folder(CONFIG_DIR, 0o750),
        Step::File {
            path: crate::places::SYSTEM_CONFIG.into(),
            content: default_file(),
            mode: 0o600,
            owner: Owner::Service,
            existing: Existing::Keep,
        },
        folder(STATE_DIR, 0o700),
        Step::File {
            path: UNIT_PATH.into(),
            content: unit,
            mode: 0o644,
            owner: Owner::Installer,
            existing: Existing::Replace,
        },
    ]);
    // A folder that is not there is for polkit to make, with an owner and a mode of its own.
    if !on_system || Path::new(RULES_DIR).is_dir() {
        steps.push(Step::File {
            path: RULES_PATH.into(),
            content: RULES.to_owned(),
            mode: 0o644,
            owner: Owner::Installer,
            existing: Existing::Replace,
        });
    }
    if on_system && systemd_runs() {
        steps.push(command("systemctl", "daemon-reload", Failure::Ends));
        steps.push(command("systemctl", "enable planetaryd.service", Failure::Ends));
        // Not `start`: an older program may be running.
        steps.push(command("systemctl", "restart planetaryd.service", Failure::Ends));
        steps.push(Step::Say(format!(
            "The service runs. To control it without root, join its group and sign in again:\n  \
             usermod -aG {GROUP} YOUR-NAME"
        )));
    } else if on_system {
        steps.push(Step::Say(
            "systemd does not run here, so nothing was started. When it does:\n  \
             systemctl enable --now planetaryd.service"
                .to_owned(),
        ));
    }
    steps
}

/// What `uninstall` does.
pub(super) fn removal(root: Option<&Path>, purge: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if systemd_runs() {
        steps.push(command("systemctl", "disable --now planetaryd.service", Failure::IsFine));
    }
    // Only a program that this unit started was copied by `install`.
    let unit = fs::read_to_string(below(root, Path::new(UNIT_PATH))).unwrap_or_default();
    if unit.contains(&format!("ExecStart={OWN_PROGRAM} ")) {
        steps.push(Step::RemoveFile { path: OWN_PROGRAM.into() });
    }
    steps.push(Step::RemoveFile { path: UNIT_PATH.into() });
    steps.push(Step::RemoveFile { path: RULES_PATH.into() });
    if systemd_runs() {
        steps.push(command("systemctl", "daemon-reload", Failure::IsFine));
    }
    let tree = |path: &str| Step::RemoveTree { path: PathBuf::from(path) };
    steps.push(tree(RUNTIME_DIR));
    if purge {
        steps.extend([
            tree(CONFIG_DIR),
            tree(STATE_DIR),
            command("userdel", GROUP, Failure::IsFine),
            command("groupdel", GROUP, Failure::IsFine),
        ]);
    } else {
        steps.push(Step::Say(format!(
            "Kept: {STATE_DIR} (the node's key, and so its address) and {CONFIG_DIR}.\n  \
             `planetaryd uninstall --purge` removes them, and the account {GROUP}, for good."
        )));
    }
    steps
}

/// The account, by the system's own tool for it where there is one.
fn account(on_system: bool) -> Step {
    let line = ACCOUNT.lines().find(|line| line.starts_with("u ")).unwrap_or_default();
    if on_system && !Path::new("/usr/bin/systemd-sysusers").exists() {
        let options = "--system --user-group --no-create-home";
        let place = format!("--home-dir {STATE_DIR} --shell /usr/sbin/nologin {GROUP}");
        return match account_exists() {
            true => Step::Say(format!("account {GROUP} is there")),
            false => command("useradd", &format!("{options} {place}"), Failure::Ends),
        };
    }
    let arguments = vec!["--inline".to_owned(), line.to_owned()];
    Step::Run { program: "systemd-sysusers", arguments, failure: Failure::Ends }
}

fn account_exists() -> bool {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    accounts.lines().any(|line| line.split(':').next() == Some(GROUP))
}

/// As sd_booted(3) finds out.
fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}
