//! Asks the system to install, start or restart the service, with the system's own question for
//! the right to do so.
//!
//! What is run is fixed: programs at known places with words from here. Nothing that a client, the
//! pages or the service said gets into a command line. The app itself is never elevated.
//!
//! | system | who asks the person |
//! | --- | --- |
//! | Linux | polkit, by `pkexec` |
//! | macOS | the system, by AppleScript's `with administrator privileges` |
//! | Windows | User Account Control, by `runas` |

use std::path::{Path, PathBuf};

use super::connection::Step;
use super::failure::Failure;

#[cfg(target_os = "linux")]
#[path = "supervise/linux.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "supervise/macos.rs"]
mod system;
#[cfg(windows)]
#[path = "supervise/windows.rs"]
mod system;

/// File name of the service's program.
const PROGRAM: &str = if cfg!(windows) { "planetaryd.exe" } else { "planetaryd" };

/// Whether the step can be asked for here: the tools and the service's program are there.
pub(super) fn can(step: Step) -> bool {
    system::can(step)
}

/// Carries out a step, and waits for its end.
///
/// # Errors
/// `cancelled`, `no_permission`, `unsupported` where there is no way to ask, or `system_refused`
/// with the last words of what was run.
pub(super) async fn carry_out(step: Step) -> Result<(), Failure> {
    if !can(step) {
        let hint = "run the command that is shown, in a terminal";
        let text = "this system offers no way to ask for the right to do this";
        return Err(Failure::own("unsupported", text).with_hint(hint));
    }
    system::carry_out(step).await
}

/// The service's program: beside this one, as in a package and in a build, or where `planetaryd
/// install` and packages put it.
fn service_program() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(PROGRAM));
    let places = system::PLACES.iter().map(|place| Path::new(place).join(PROGRAM));
    beside.into_iter().chain(places).find(|path| path.is_file())
}

/// What the system said, in one line.
#[cfg(unix)]
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let plain = last.trim().chars().filter(|letter| !letter.is_control());
    plain.take(300).collect()
}
