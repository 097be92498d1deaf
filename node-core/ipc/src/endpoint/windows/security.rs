//! What Windows keeps of a pipe's security: who may open it, and whose it is.
//!
//! Unsafe for the system's functions for access lists and owners.

use std::ffi::c_void;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::null_mut;

use tokio::net::windows::named_pipe::{NamedPipeClient, NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    EqualSid, GetTokenInformation, IsWellKnownSid, OWNER_SECURITY_INFORMATION, PSID,
    SECURITY_ATTRIBUTES, TOKEN_INFORMATION_CLASS, TOKEN_OWNER, TOKEN_QUERY, TOKEN_USER, TokenOwner,
    TokenUser, WinBuiltinAdministratorsSid, WinLocalSystemSid,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Makes an instance of a pipe that may be used by whom `access_list` names, in the system's
/// language for such lists (SDDL).
pub(super) fn create(
    path: &Path,
    options: &ServerOptions,
    access_list: &str,
) -> io::Result<NamedPipeServer> {
    let text: Vec<u16> = access_list.encode_utf16().chain([0]).collect();
    let mut descriptor = null_mut();
    // SAFETY: the text ends with a zero and the descriptor's place is ours.
    let made = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            null_mut(),
        )
    };
    if made == 0 {
        return Err(io::Error::last_os_error());
    }
    let descriptor = Local(descriptor);
    let mut attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    };
    // SAFETY: the attributes are of the kind that the system expects, and they and the descriptor
    // live until it is done.
    unsafe { options.create_with_security_attributes_raw(path, (&raw mut attributes).cast()) }
}

/// A client's end made of an opened pipe.
pub(super) fn client(file: std::fs::File) -> io::Result<NamedPipeClient> {
    // SAFETY: the handle is that of a pipe, opened for overlapped use, and given away whole.
    unsafe { NamedPipeClient::from_raw_handle(file.into_raw_handle()) }
}

/// Whose a pipe or a file is, if that is somebody else than the system, its administrators or the
/// account that runs this program: the owner in the system's notation.
///
/// # Errors
/// What the system answers; the handle must have the right to read who the owner is.
pub fn foreign_owner(pipe: &impl AsRawHandle) -> io::Result<Option<String>> {
    let mut owner: PSID = null_mut();
    let mut descriptor = null_mut();
    // SAFETY: the handle is open for as long as it is borrowed, and both places are ours.
    let error = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error.cast_signed()));
    }
    // The owner lies inside of it.
    let _descriptor = Local(descriptor);
    let of_the_system = [WinLocalSystemSid, WinBuiltinAdministratorsSid];
    // SAFETY: the owner is a valid identifier as long as the descriptor is there.
    let trusted = unsafe { of_the_system.iter().any(|kind| IsWellKnownSid(owner, *kind) != 0) };
    if trusted || is_own(owner)? {
        return Ok(None);
    }
    text_of(owner).map(Some)
}

/// Whether an identifier is that of the account which runs this program, or the one under which
/// that account owns what it makes.
fn is_own(sid: PSID) -> io::Result<bool> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the place of the token is ours.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nobody else closes it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let user = information(&token, TokenUser)?;
    let owner = information(&token, TokenOwner)?;
    // SAFETY: the system wrote these structures and the identifiers they point to into the buffers.
    unsafe {
        let user = (*user.as_ptr().cast::<TOKEN_USER>()).User.Sid;
        let owner = (*owner.as_ptr().cast::<TOKEN_OWNER>()).Owner;
        Ok(EqualSid(user, sid) != 0 || EqualSid(owner, sid) != 0)
    }
}

/// A structure with one identifier, which has 68 bytes at most; aligned for the structure.
type Information = [usize; 32];

fn information(
    token: &OwnedHandle,
    class: TOKEN_INFORMATION_CLASS,
) -> io::Result<Box<Information>> {
    // On the heap, because the structure points into itself.
    let mut buffer = Box::new([0; 32]);
    let mut len = 0;
    // SAFETY: the buffer is as long as we say.
    let got = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            class,
            buffer.as_mut_ptr().cast(),
            size_of::<Information>() as u32,
            &raw mut len,
        )
    };
    if got == 0 { Err(io::Error::last_os_error()) } else { Ok(buffer) }
}

/// An identifier as the system writes it, such as `S-1-5-18`.
pub(super) fn text_of(sid: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: the identifier is valid and the place of the text ours.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let owned = Local(text.cast());
    // SAFETY: the text ends with a zero and lives until `owned` is dropped.
    let units = unsafe {
        let len = (0..).take_while(|at| *text.add(*at) != 0).count();
        std::slice::from_raw_parts(text, len)
    };
    let text = std::ffi::OsString::from_wide(units).to_string_lossy().into_owned();
    drop(owned);
    Ok(text)
}

/// Memory that the system gave us to be given back.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: it came from a function that says so, and is given back once.
        unsafe { LocalFree(self.0) };
    }
}
