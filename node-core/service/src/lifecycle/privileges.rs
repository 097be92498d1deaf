//! What the account may do that the service does not need: given up before anything is read.
//!
//! A service of Windows that opens an adapter runs as LocalSystem, whose token may also debug
//! every process, act as the system itself, take over files and shut the computer down. A process
//! that has removed such a privilege cannot get it back. What is left is still the system's
//! account, which its access lists favour; this takes away what goes past access lists.
//!
//! Unsafe for the system's functions for tokens.

use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{
    ERROR_INSUFFICIENT_BUFFER, ERROR_SUCCESS, GetLastError, HANDLE, LUID,
};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, GetTokenInformation, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW,
    SE_BACKUP_NAME, SE_CHANGE_NOTIFY_NAME, SE_IMPERSONATE_NAME, SE_LOAD_DRIVER_NAME,
    SE_PRIVILEGE_REMOVED, SE_RESTORE_NAME, TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES, TOKEN_QUERY,
    TokenPrivileges,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::core::PCWSTR;

/// What stays.
const NEEDED: [PCWSTR; 5] = [
    // To put the driver of the adapter in place, and to start and stop it. The next two in case
    // the system wants them when it puts the driver into its store, which nobody has seen yet.
    SE_LOAD_DRIVER_NAME,
    SE_BACKUP_NAME,
    SE_RESTORE_NAME,
    // To look whether a client of the pipe is an administrator.
    SE_IMPERSONATE_NAME,
    // To get to a file below folders that it may not list. Everybody has it.
    SE_CHANGE_NOTIFY_NAME,
];

/// Gives up all that this process does not need, for good; returns how many privileges that were.
///
/// # Errors
/// What the system answers; part of them may be given up then.
pub(super) fn give_up() -> io::Result<usize> {
    let mut token: HANDLE = null_mut();
    let rights = TOKEN_QUERY | TOKEN_ADJUST_PRIVILEGES;
    // SAFETY: the process is this one, and the place of the token is ours.
    checked(unsafe { OpenProcessToken(GetCurrentProcess(), rights, &raw mut token) })?;
    // SAFETY: it was just opened, and nobody else closes it.
    keep_needed(&unsafe { OwnedHandle::from_raw_handle(token) })
}

fn keep_needed(token: &OwnedHandle) -> io::Result<usize> {
    let needed = NEEDED.into_iter().map(number).collect::<io::Result<Vec<_>>>()?;
    let mut held = Held::of(token)?;
    let mut removed = 0;
    for privilege in held.privileges_mut() {
        if !needed.contains(&whole(privilege.Luid)) {
            privilege.Attributes = SE_PRIVILEGE_REMOVED;
            removed += 1;
        }
    }
    // SAFETY: the list is one that the system made, and the token is open. Nothing is written back.
    checked(unsafe {
        AdjustTokenPrivileges(token.as_raw_handle(), 0, held.as_ptr(), 0, null_mut(), null_mut())
    })?;
    // It succeeds as well when it did not do all of it.
    // SAFETY: nothing is handed over.
    match unsafe { GetLastError() } {
        ERROR_SUCCESS => Ok(removed),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

/// The number by which this system knows a privilege until it is started again.
fn number(name: PCWSTR) -> io::Result<i64> {
    let mut luid = LUID::default();
    // SAFETY: the name is a constant with an end, and the place of the number is ours.
    checked(unsafe { LookupPrivilegeValueW(null(), name, &raw mut luid) })?;
    Ok(whole(luid))
}

fn whole(luid: LUID) -> i64 {
    i64::from(luid.HighPart) << 32 | i64::from(luid.LowPart)
}

/// The privileges of a token, as the system lists them: their count, then so many entries. In
/// words of 32 bits, the alignment of all parts.
struct Held(Vec<u32>);

impl Held {
    fn of(token: &OwnedHandle) -> io::Result<Self> {
        let token = token.as_raw_handle();
        let mut len = 0;
        // SAFETY: the token is open, and no place is offered.
        let asked =
            unsafe { GetTokenInformation(token, TokenPrivileges, null_mut(), 0, &raw mut len) };
        match checked(asked) {
            Err(error) if error.raw_os_error() != Some(ERROR_INSUFFICIENT_BUFFER as i32) => {
                return Err(error);
            }
            _ => {}
        }
        // At least the count, which is then nought.
        let words = (len as usize).div_ceil(size_of::<u32>()).max(1);
        let mut list = vec![0_u32; words];
        let place = list.as_mut_ptr().cast();
        // SAFETY: the place is at least as long as we say.
        checked(unsafe { GetTokenInformation(token, TokenPrivileges, place, len, &raw mut len) })?;
        Ok(Self(list))
    }

    fn as_ptr(&self) -> *const TOKEN_PRIVILEGES {
        self.0.as_ptr().cast()
    }

    fn privileges_mut(&mut self) -> &mut [LUID_AND_ATTRIBUTES] {
        let (count, entries) = self.0.split_first_mut().expect("made with a count");
        let fit = size_of_val(entries) / size_of::<LUID_AND_ATTRIBUTES>();
        let count = (*count as usize).min(fit);
        // SAFETY: the entries lie in words that are ours, no more of them than fit, and any bits
        // are an entry, whose parts are words.
        unsafe { std::slice::from_raw_parts_mut(entries.as_mut_ptr().cast(), count) }
    }
}

fn checked(outcome: i32) -> io::Result<()> {
    if outcome == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::Security::{
        DuplicateTokenEx, SE_DEBUG_NAME, SecurityImpersonation, TOKEN_DUPLICATE, TokenPrimary,
    };

    use super::*;

    /// A token like this process's own, so that other tests keep theirs.
    fn another() -> OwnedHandle {
        let (mut own, mut copy): (HANDLE, HANDLE) = (null_mut(), null_mut());
        // SAFETY: the process is this one, the places are ours, and what is opened is closed once.
        unsafe {
            let rights = TOKEN_DUPLICATE | TOKEN_QUERY;
            checked(OpenProcessToken(GetCurrentProcess(), rights, &raw mut own)).unwrap();
            let own = OwnedHandle::from_raw_handle(own);
            let rights = TOKEN_QUERY | TOKEN_ADJUST_PRIVILEGES;
            checked(DuplicateTokenEx(
                own.as_raw_handle(),
                rights,
                null(),
                SecurityImpersonation,
                TokenPrimary,
                &raw mut copy,
            ))
            .unwrap();
            OwnedHandle::from_raw_handle(copy)
        }
    }

    fn held(token: &OwnedHandle) -> Vec<i64> {
        let mut held = Held::of(token).unwrap();
        held.privileges_mut().iter().map(|privilege| whole(privilege.Luid)).collect()
    }

    #[test]
    fn only_what_is_needed_is_left() {
        let token = another();
        let before = held(&token);
        let debug = number(SE_DEBUG_NAME).unwrap();
        assert!(before.contains(&debug), "these tests run as an administrator: {before:?}");
        let removed = keep_needed(&token).unwrap();
        let needed: Vec<_> = NEEDED.into_iter().map(|name| number(name).unwrap()).collect();
        let left: Vec<_> = before.iter().copied().filter(|held| needed.contains(held)).collect();
        assert_eq!(held(&token), left);
        assert_eq!(removed, before.len() - left.len());
        assert!(left.contains(&number(SE_LOAD_DRIVER_NAME).unwrap()));
    }

    #[test]
    fn what_is_gone_stays_gone() {
        let token = another();
        keep_needed(&token).unwrap();
        assert_eq!(keep_needed(&token).unwrap(), 0);
    }

    #[test]
    fn a_token_that_may_not_be_changed_is_an_error() {
        let mut token: HANDLE = null_mut();
        // SAFETY: the process is this one, and what is opened is closed once.
        let token = unsafe {
            checked(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token)).unwrap();
            OwnedHandle::from_raw_handle(token)
        };
        assert_eq!(keep_needed(&token).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
