//! Linux: systemd.

use std::path::Path;
use std::process::{Command, Stdio};

pub(super) const INSTALL: &str = "sudo planetaryd install";
pub(super) const START: &str = "sudo systemctl start planetaryd";
pub(super) const RESTART: &str = "sudo systemctl restart planetaryd";
pub(super) const JOIN: &str = "sudo usermod -aG planetary YOUR-NAME";

pub(super) const HOW_TO_INSTALL: &str =
    "install it with `sudo planetaryd install`, or start your own with `planetaryd run`";
pub(super) const HOW_TO_RESTART: &str = "restart it with `sudo systemctl restart planetaryd`; if \
                                         it is your own, end the process and start it again";
pub(super) const HOW_TO_JOIN: &str =
    "run `sudo usermod -aG planetary YOUR-NAME` and sign in again, or use sudo";
pub(super) const SEE_WHY: &str = "see why with `sudo journalctl -u planetaryd -n 20`, then start \
                                  it with `sudo systemctl start planetaryd`";

/// Where systemd keeps the entry of the service.
const UNITS: [&str; 4] = [
    "/etc/systemd/system/planetaryd.service",
    "/usr/local/lib/systemd/system/planetaryd.service",
    "/usr/lib/systemd/system/planetaryd.service",
    "/lib/systemd/system/planetaryd.service",
];

pub(super) fn installed() -> Option<bool> {
    Some(UNITS.iter().any(|unit| Path::new(unit).exists()))
}

/// Asks systemd how the service is.
pub(super) fn manager() -> Option<String> {
    if !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let output = Command::new("systemctl")
        .args(["show", "planetaryd.service", "--property=ActiveState,Result"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    verdict(&String::from_utf8_lossy(&output.stdout))
}

/// Reads what `systemctl show` prints.
fn verdict(text: &str) -> Option<String> {
    let value = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        // Words of the service manager's own, and nothing else.
        let is_word = |word: &&str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        value.filter(is_word)
    };
    let state = value("ActiveState")?;
    match value("Result").filter(|result| *result != "success") {
        Some(result) => Some(format!("{state} ({result})")),
        None => Some(state.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn words_of_the_service_manager_are_taken_and_nothing_else() {
        let text = "ActiveState=failed\nResult=exit-code\n";
        assert_eq!(verdict(text).as_deref(), Some("failed (exit-code)"));
        let stopped = verdict("Result=success\nActiveState=inactive");
        assert_eq!(stopped.as_deref(), Some("inactive"));
        for nonsense in ["", "ActiveState=", "ActiveState=\x1b[2J", "ActiveState", "Result=x"] {
            assert_eq!(verdict(nonsense), None, "{nonsense:?}");
        }
    }
}
