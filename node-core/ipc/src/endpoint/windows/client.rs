//! Whether the client of a pipe is an administrator.
//!
//! The service takes the client's place for a moment, which the system allows to whoever has read
//! from the pipe, looks whose place that is, and is itself again before anything else is done. A
//! number of a process would not do: it may be another process by the time it is looked at.
//!
//! Unsafe for the system's functions for tokens.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    CheckTokenMembership, CreateWellKnownSid, RevertToSelf, TOKEN_QUERY,
    WinBuiltinAdministratorsSid,
};
use windows_sys::Win32::System::Pipes::ImpersonateNamedPipeClient;
use windows_sys::Win32::System::Threading::{GetCurrentThread, OpenThreadToken};

use super::people::SID_LEN_MAX;

/// Whether the client whose words were read last acts as an administrator.
///
/// # Errors
/// What the system answers; that nothing was read yet is among it.
pub(super) fn is_administrator(pipe: &OwnedHandle) -> io::Result<bool> {
    is_member_of_administrators(Some(&token_of_client(pipe)?))
}

/// Whether a token has the administrators among its groups, and may make use of it; without one the
/// token of this thread.
pub(super) fn is_member_of_administrators(token: Option<&OwnedHandle>) -> io::Result<bool> {
    // Aligned for an identifier, whose parts are 32 bits wide.
    let mut administrators = [0_u32; SID_LEN_MAX / 4];
    let sid = administrators.as_mut_ptr().cast();
    let mut len = SID_LEN_MAX as u32;
    // SAFETY: the place is as long as we say.
    let made =
        unsafe { CreateWellKnownSid(WinBuiltinAdministratorsSid, null_mut(), sid, &raw mut len) };
    if made == 0 {
        return Err(io::Error::last_os_error());
    }
    let token = token.map_or(null_mut(), AsRawHandle::as_raw_handle);
    let mut is_member = 0;
    // SAFETY: the token is open for as long as it is borrowed, and the identifier was just made.
    if unsafe { CheckTokenMembership(token, sid, &raw mut is_member) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(is_member != 0)
}

fn token_of_client(pipe: &OwnedHandle) -> io::Result<OwnedHandle> {
    // SAFETY: the pipe is open for as long as it is borrowed.
    if unsafe { ImpersonateNamedPipeClient(pipe.as_raw_handle()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let _place = Place;
    let mut token: HANDLE = null_mut();
    // SAFETY: the place of the token is ours; it is opened with our own rights, not the client's.
    if unsafe { OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, 1, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nobody else closes it.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// The client's place, which this thread leaves when this is dropped.
struct Place;

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: nothing is handed over.
        if unsafe { RevertToSelf() } == 0 {
            // All that followed would be done as somebody else.
            std::process::abort();
        }
    }
}
