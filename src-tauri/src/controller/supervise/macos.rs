//! macOS: launchd, and the system's question for an administrator.

use std::path::Path;
use std::process::Stdio;

use planetary_ipc::ErrorCode;
use tokio::process::Command;

use super::{Failure, Step, last_words, service_program};

/// Where `planetaryd install` and packages put the service's program.
pub(super) const PLACES: &[&str] = &["/usr/local/bin", "/Library/PlanetaryNetwork"];

const OSASCRIPT: &str = "/usr/bin/osascript";
const LABEL: &str = "system/net.planetary.PlanetaryNetwork.planetaryd";

/// Runs its arguments as one command line, each quoted by the system.
const SCRIPT: [&str; 7] = [
    "on run words",
    "set line to \"\"",
    "repeat with word in words",
    "set line to line & quoted form of word & space",
    "end repeat",
    "do shell script line with administrator privileges",
    "end run",
];

/// What AppleScript says when the person closed the question.
const DISMISSED: &str = "(-128)";

pub(super) fn can(step: Step) -> bool {
    Path::new(OSASCRIPT).is_file() && (step != Step::Install || service_program().is_some())
}

pub(super) async fn carry_out(step: Step) -> Result<(), Failure> {
    let mut command = Command::new(OSASCRIPT);
    for line in SCRIPT {
        command.args(["-e", line]);
    }
    match step {
        Step::Install => {
            let gone = || Failure::of(ErrorCode::Unsupported, "the service's program is gone");
            command.arg(service_program().ok_or_else(gone)?).arg("install");
        }
        Step::Start => drop(command.args(["/bin/launchctl", "kickstart", LABEL])),
        Step::Restart => drop(command.args(["/bin/launchctl", "kickstart", "-k", LABEL])),
    }
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = run.map_err(|error| Failure::of(ErrorCode::SystemRefused, error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = last_words(&output.stderr);
    Err(match said.contains(DISMISSED) {
        true => Failure::cancelled(),
        false => Failure::of(ErrorCode::SystemRefused, said),
    })
}
