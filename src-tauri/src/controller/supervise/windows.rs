//! Windows: the service control manager, and User Account Control.

use std::ffi::OsStr;
use std::os::windows::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use planetary_ipc::ErrorCode;
use windows_sys::Win32::Foundation::{CloseHandle, ERROR_CANCELLED, GetLastError, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{GetExitCodeProcess, INFINITE, WaitForSingleObject};
use windows_sys::Win32::UI::Shell::{SEE_MASK_NOCLOSEPROCESS, SHELLEXECUTEINFOW, ShellExecuteExW};
use windows_sys::Win32::UI::WindowsAndMessaging::SW_HIDE;

use super::{Failure, Step, service_program};

/// Where packages put the service's program.
pub(super) const PLACES: &[&str] = &[r"C:\Program Files\Planetary Network"];

const SC: &str = r"C:\Windows\System32\sc.exe";

pub(super) fn can(step: Step) -> bool {
    program(step).is_some_and(|(program, _)| program.is_file())
}

/// What is run for a step. Installing starts it anew as well.
fn program(step: Step) -> Option<(PathBuf, &'static str)> {
    match step {
        Step::Install | Step::Restart => Some((service_program()?, "install")),
        Step::Start => Some((Path::new(SC).to_owned(), "start planetaryd")),
    }
}

pub(super) async fn carry_out(step: Step) -> Result<(), Failure> {
    let gone = || Failure::of(ErrorCode::Unsupported, "the service's program is gone");
    let (program, words) = program(step).ok_or_else(gone)?;
    let run = tokio::task::spawn_blocking(move || run_elevated(&program, words)).await;
    run.unwrap_or_else(|error| Err(Failure::of(ErrorCode::Internal, error.to_string())))
}

/// Starts a program with the rights of an administrator, and waits for its end.
fn run_elevated(program: &Path, words: &str) -> Result<(), Failure> {
    let wide = |text: &OsStr| text.encode_wide().chain([0]).collect::<Vec<u16>>();
    let (verb, file, words) =
        (wide(OsStr::new("runas")), wide(program.as_os_str()), wide(OsStr::new(words)));
    let mut order = SHELLEXECUTEINFOW {
        cbSize: size_of::<SHELLEXECUTEINFOW>() as u32,
        fMask: SEE_MASK_NOCLOSEPROCESS,
        lpVerb: verb.as_ptr(),
        lpFile: file.as_ptr(),
        lpParameters: words.as_ptr(),
        nShow: SW_HIDE,
        hProcess: null_mut(),
        ..Default::default()
    };
    // SAFETY: the texts end with a zero and live until the call has returned.
    if unsafe { ShellExecuteExW(&raw mut order) } == 0 {
        // SAFETY: always sound.
        return Err(match unsafe { GetLastError() } {
            ERROR_CANCELLED => Failure::cancelled(),
            code => refused(code),
        });
    }
    let mut code = 0;
    // SAFETY: the handle is open until it is closed here, once.
    unsafe {
        if WaitForSingleObject(order.hProcess, INFINITE) == WAIT_OBJECT_0 {
            GetExitCodeProcess(order.hProcess, &raw mut code);
        }
        CloseHandle(order.hProcess);
    }
    if code == 0 { Ok(()) } else { Err(refused(code)) }
}

fn refused(code: u32) -> Failure {
    Failure::of(ErrorCode::SystemRefused, format!("Windows refused with code {code}"))
}
