//! Linux: polkit and systemd.
//!
//! Members of the service's group may start it without a question, by the rule that packages bring
//! (`installers/linux/polkit-1`); everybody else is asked by `pkexec`.

use std::path::Path;
use std::process::Stdio;

use planetary_ipc::ErrorCode;
use tokio::process::Command;

use super::{Failure, Step, last_words, service_program};

/// Where packages and `planetaryd install` put the service's program.
pub(super) const PLACES: &[&str] = &["/usr/bin", "/usr/local/bin"];

const PKEXEC: &str = "/usr/bin/pkexec";
const SYSTEMCTL: &str = "/usr/bin/systemctl";
const UNIT: &str = "planetaryd.service";

/// What `pkexec` ends with when the question was closed, and when the answer was wrong.
const DISMISSED: i32 = 126;
const NOT_AUTHORISED: i32 = 127;

pub(super) fn can(step: Step) -> bool {
    let systemd = Path::new("/run/systemd/system").is_dir() && Path::new(SYSTEMCTL).is_file();
    let program = step != Step::Install || service_program().is_some();
    Path::new(PKEXEC).is_file() && systemd && program
}

pub(super) async fn carry_out(step: Step) -> Result<(), Failure> {
    let verb = match step {
        Step::Install => {
            let gone = || Failure::of(ErrorCode::Unsupported, "the service's program is gone");
            let program = service_program().ok_or_else(gone)?;
            return run(Command::new(PKEXEC).arg(program).arg("install")).await;
        }
        Step::Start => "start",
        Step::Restart => "restart",
    };
    let mut allowed = Command::new(SYSTEMCTL);
    if run(allowed.args(["--no-ask-password", verb, UNIT])).await.is_ok() {
        return Ok(());
    }
    run(Command::new(PKEXEC).args([SYSTEMCTL, verb, UNIT])).await
}

async fn run(command: &mut Command) -> Result<(), Failure> {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = run.map_err(|error| Failure::of(ErrorCode::SystemRefused, error.to_string()))?;
    outcome(output.status.code(), &output.stderr)
}

fn outcome(code: Option<i32>, stderr: &[u8]) -> Result<(), Failure> {
    match code {
        Some(0) => Ok(()),
        Some(DISMISSED) => Err(Failure::cancelled()),
        Some(NOT_AUTHORISED) => {
            Err(Failure::own("no_permission", "the system did not give the right to do this")
                .with_hint("an administrator of this computer can"))
        }
        _ => Err(Failure::of(ErrorCode::SystemRefused, last_words(stderr))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_of_pkexec_are_told_apart() {
        let code = |status, words: &str| outcome(status, words.as_bytes()).unwrap_err();
        assert_eq!(outcome(Some(0), b"noise"), Ok(()));
        assert_eq!(code(Some(126), "").code, "cancelled");
        assert_eq!(code(Some(127), "").code, "no_permission");
        let refused = code(Some(1), "one\nUnit not\x1b[2J found.\n\n");
        assert_eq!(
            (refused.code.as_ref(), refused.message.as_str()),
            ("system_refused", "Unit not[2J found.")
        );
        assert_eq!(code(None, "").code, "system_refused");
    }
}
