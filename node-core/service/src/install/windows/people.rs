//! The group whose members may use the service, and who is put into it: whoever sits at the
//! computer while it is installed.
//!
//! An installer runs with the rights of an administrator, who may be somebody else than the person
//! for whom it is run, or as the system itself. So it is the session that is asked for its user.

use std::path::Path;
use std::ptr::{null, null_mut};

use planetary_ipc::endpoint::GROUP;
use windows_sys::Win32::Foundation::{
    ERROR_ALIAS_EXISTS, ERROR_MEMBER_IN_ALIAS, ERROR_NO_SUCH_ALIAS,
};
use windows_sys::Win32::NetworkManagement::NetManagement::{
    LOCALGROUP_INFO_1, LOCALGROUP_MEMBERS_INFO_3, NERR_GroupExists as NERR_GROUP_EXISTS,
    NERR_GroupNotFound as NERR_GROUP_NOT_FOUND, NERR_Success as NERR_SUCCESS, NetLocalGroupAdd,
    NetLocalGroupAddMembers, NetLocalGroupDel,
};
use windows_sys::Win32::System::RemoteDesktop::{
    ProcessIdToSessionId, WTS_CURRENT_SERVER_HANDLE, WTS_INFO_CLASS, WTSActive, WTSDomainName,
    WTSEnumerateSessionsW, WTSFreeMemory, WTSQuerySessionInformationW, WTSUserName,
};
use windows_sys::core::PWSTR;

const COMMENT: &str = "May use the service of the Planetary Network on this computer.";

/// Sessions that are looked at. A terminal server has some hundred.
const SESSIONS_MAX: usize = 1_000;

/// Longest name of an account or a domain, in UTF-16 units.
const NAME_LEN_MAX: usize = 512;

/// Makes the group where it is missing, and puts into it who is there now.
pub(super) fn make_group(_: &Path) -> Result<(), String> {
    let (mut name, mut comment) = (wide(GROUP), wide(COMMENT));
    let group =
        LOCALGROUP_INFO_1 { lgrpi1_name: name.as_mut_ptr(), lgrpi1_comment: comment.as_mut_ptr() };
    // SAFETY: the structure is of the level that is named, and its texts end with a zero and live
    // until the call has returned.
    let made = unsafe { NetLocalGroupAdd(null(), 1, (&raw const group).cast(), null_mut()) };
    match made {
        NERR_SUCCESS | NERR_GROUP_EXISTS | ERROR_ALIAS_EXISTS => {}
        code => return Err(format!("no group {GROUP} could be made (code {code})")),
    }
    let mut problems = Vec::new();
    for person in people_here() {
        let mut account = wide(&person);
        let member = LOCALGROUP_MEMBERS_INFO_3 { lgrmi3_domainandname: account.as_mut_ptr() };
        // SAFETY: as above, and there is one structure.
        let added = unsafe {
            NetLocalGroupAddMembers(null(), name.as_ptr(), 3, (&raw const member).cast(), 1)
        };
        if !matches!(added, NERR_SUCCESS | ERROR_MEMBER_IN_ALIAS) {
            problems.push(format!("{person} could not be put into {GROUP} (code {added})"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

/// Removes the group.
pub(super) fn remove_group(_: &Path) -> Result<(), String> {
    let name = wide(GROUP);
    // SAFETY: the name ends with a zero.
    match unsafe { NetLocalGroupDel(null(), name.as_ptr()) } {
        NERR_SUCCESS | NERR_GROUP_NOT_FOUND | ERROR_NO_SUCH_ALIAS => Ok(()),
        code => Err(format!("the group {GROUP} stays (code {code})")),
    }
}

/// The accounts at whose desktop this runs: that of our own session, or where it is the system's,
/// those of all sessions in use.
fn people_here() -> Vec<String> {
    let mut own = 0;
    // SAFETY: the place is ours.
    let known = unsafe { ProcessIdToSessionId(std::process::id(), &raw mut own) } != 0;
    let sessions = if known && own != 0 { vec![own] } else { sessions_in_use() };
    let mut people: Vec<String> = sessions.into_iter().filter_map(user_of).collect();
    people.sort();
    people.dedup();
    people
}

fn sessions_in_use() -> Vec<u32> {
    let (mut sessions, mut count) = (null_mut(), 0);
    // SAFETY: both places are ours.
    let told = unsafe {
        WTSEnumerateSessionsW(WTS_CURRENT_SERVER_HANDLE, 0, 1, &raw mut sessions, &raw mut count)
    };
    if told == 0 || sessions.is_null() {
        return Vec::new();
    }
    let count = (count as usize).min(SESSIONS_MAX);
    // SAFETY: there are at least so many, and the list is given back once, after its last use.
    unsafe {
        let list = std::slice::from_raw_parts(sessions, count);
        let active = list.iter().filter(|session| session.State == WTSActive);
        let found = active.map(|session| session.SessionId).collect();
        WTSFreeMemory(sessions.cast());
        found
    }
}

/// The account of a session as `DOMAIN\NAME`; `None` where nobody is signed in.
fn user_of(session: u32) -> Option<String> {
    let name = information(session, WTSUserName).filter(|name| !name.is_empty())?;
    Some(match information(session, WTSDomainName) {
        Some(domain) if !domain.is_empty() => format!(r"{domain}\{name}"),
        _ => name,
    })
}

fn information(session: u32, class: WTS_INFO_CLASS) -> Option<String> {
    let mut text: PWSTR = null_mut();
    let mut len = 0;
    // SAFETY: both places are ours.
    let told = unsafe {
        WTSQuerySessionInformationW(
            WTS_CURRENT_SERVER_HANDLE,
            session,
            class,
            &raw mut text,
            &raw mut len,
        )
    };
    if told == 0 || text.is_null() {
        return None;
    }
    let units = (len as usize / 2).min(NAME_LEN_MAX);
    // SAFETY: the text has so many units, and is given back once, after its last use.
    unsafe {
        let units = std::slice::from_raw_parts(text, units);
        let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
        let found = String::from_utf16(&units[..end]).ok();
        WTSFreeMemory(text.cast());
        found
    }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_named_once_and_nobody_has_an_empty_name() {
        let people = people_here();
        let mut once = people.clone();
        once.dedup();
        assert_eq!(people, once);
        assert!(people.iter().all(|name| !name.is_empty() && !name.ends_with('\\')), "{people:?}");
    }
}
