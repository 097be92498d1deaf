//! Windows: the service control manager.

use std::ptr::null;

use windows_sys::Win32::Foundation::{ERROR_SERVICE_DOES_NOT_EXIST, GetLastError};
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, OpenSCManagerW, OpenServiceW, QueryServiceStatus, SC_HANDLE,
    SC_MANAGER_CONNECT, SERVICE_QUERY_STATUS, SERVICE_START_PENDING, SERVICE_STATUS,
    SERVICE_STOP_PENDING, SERVICE_STOPPED,
};

// Typed in a window that was opened as administrator.
pub(super) const INSTALL: &str = "planetaryd install";
pub(super) const START: &str = "net start planetaryd";
pub(super) const RESTART: &str = "net stop planetaryd & net start planetaryd";
pub(super) const JOIN: &str = "net localgroup planetary YOUR-NAME /add";

pub(super) const HOW_TO_INSTALL: &str = "install it with `planetaryd install` as administrator, \
                                         or start your own with `planetaryd run`";
pub(super) const HOW_TO_RESTART: &str =
    "restart the service `planetaryd`; if it is your own, end the process and start it again";
pub(super) const HOW_TO_JOIN: &str = "run `net localgroup planetary YOUR-NAME /add` as \
                                      administrator, and restart the service or sign in again";
pub(super) const SEE_WHY: &str = "see why in its log, then start it again";

/// Whether the service has an entry.
pub(super) fn installed() -> Option<bool> {
    match open()? {
        Ok(_) => Some(true),
        Err(ERROR_SERVICE_DOES_NOT_EXIST) => Some(false),
        Err(_) => None,
    }
}

/// How the service is, and with which code it ended.
pub(super) fn manager() -> Option<String> {
    let (service, _manager) = open()?.ok()?;
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open and the status is ours.
    if unsafe { QueryServiceStatus(service.0, &raw mut status) } == 0 {
        return None;
    }
    Some(match (status.dwCurrentState, status.dwWin32ExitCode) {
        (SERVICE_STOPPED, 0) => "stopped".to_owned(),
        // 1077: not started since the system was.
        (SERVICE_STOPPED, 1077) => "not started yet".to_owned(),
        (SERVICE_STOPPED, code) => format!("failed (exit code {code})"),
        (SERVICE_START_PENDING, _) => "starting".to_owned(),
        (SERVICE_STOP_PENDING, _) => "stopping".to_owned(),
        _ => "running".to_owned(),
    })
}

/// A handle that is closed in the end.
struct Handle(SC_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody uses it after this.
        unsafe { CloseServiceHandle(self.0) };
    }
}

/// Opens the service and what it was opened through, or gives the system's code. `None` when the
/// manager cannot be asked.
fn open() -> Option<Result<(Handle, Handle), u32>> {
    let name: Vec<u16> = "planetaryd\0".encode_utf16().collect();
    // SAFETY: both names may be absent: this computer, its active database.
    let manager = unsafe { OpenSCManagerW(null(), null(), SC_MANAGER_CONNECT) };
    if manager.is_null() {
        return None;
    }
    let manager = Handle(manager);
    // SAFETY: the manager is open and the name ends with a zero.
    let service = unsafe { OpenServiceW(manager.0, name.as_ptr(), SERVICE_QUERY_STATUS) };
    if service.is_null() {
        // SAFETY: reads a number of this thread.
        return Some(Err(unsafe { GetLastError() }));
    }
    Some(Ok((Handle(service), manager)))
}
