//! Who is in a local group, as the system keeps it.

use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::ERROR_MORE_DATA;
use windows_sys::Win32::NetworkManagement::NetManagement::{
    LOCALGROUP_MEMBERS_INFO_0, MAX_PREFERRED_LENGTH, NERR_Success as NERR_SUCCESS,
    NetApiBufferFree, NetLocalGroupGetMembers,
};
use windows_sys::Win32::Security::{LookupAccountNameW, PSID, SidTypeAlias};

use super::security::text_of;

/// Members that are told; what is beyond comes in by the group alone. An access list has 64 KiB.
const MEMBERS_MAX: usize = 256;

/// Bytes of an identifier, at most.
pub(super) const SID_LEN_MAX: usize = 68;

/// Longest name of a domain, in UTF-16 units.
const DOMAIN_LEN_MAX: usize = 256;

/// The identifiers of a local group and of its members, in the system's notation; empty where there
/// is no such group.
pub(super) fn of_group(name: &str) -> Vec<String> {
    let name: Vec<u16> = name.encode_utf16().chain([0]).collect();
    let Some(group) = identifier(&name) else { return Vec::new() };
    let mut people = members(&name);
    people.insert(0, group);
    people
}

fn identifier(name: &[u16]) -> Option<String> {
    // Aligned for an identifier, whose parts are 32 bits wide.
    let mut sid = [0_u32; SID_LEN_MAX / 4];
    let mut domain = [0_u16; DOMAIN_LEN_MAX];
    let (mut sid_len, mut domain_len) = (SID_LEN_MAX as u32, DOMAIN_LEN_MAX as u32);
    let mut kind = 0;
    let place: PSID = sid.as_mut_ptr().cast();
    // SAFETY: the name ends with a zero, and the buffers are as long as we say.
    let found = unsafe {
        LookupAccountNameW(
            null(),
            name.as_ptr(),
            place,
            &raw mut sid_len,
            domain.as_mut_ptr(),
            &raw mut domain_len,
            &raw mut kind,
        )
    };
    // An account or a computer of that name is not the group.
    if found == 0 || kind != SidTypeAlias { None } else { text_of(place).ok() }
}

fn members(name: &[u16]) -> Vec<String> {
    let mut list = null_mut();
    let (mut count, mut total) = (0, 0);
    // SAFETY: the name ends with a zero, and all places are ours.
    let told = unsafe {
        NetLocalGroupGetMembers(
            null(),
            name.as_ptr(),
            0,
            &raw mut list,
            MAX_PREFERRED_LENGTH,
            &raw mut count,
            &raw mut total,
            null_mut(),
        )
    };
    if list.is_null() {
        return Vec::new();
    }
    let mut people = Vec::new();
    if matches!(told, NERR_SUCCESS | ERROR_MORE_DATA) {
        let count = (count as usize).min(MEMBERS_MAX);
        // SAFETY: there are at least so many of the level that was asked for, which the system has
        // aligned, and each leads to an identifier in the same memory.
        let members =
            unsafe { std::slice::from_raw_parts(list.cast::<LOCALGROUP_MEMBERS_INFO_0>(), count) };
        people.extend(members.iter().filter_map(|member| text_of(member.lgrmi0_sid).ok()));
    }
    // SAFETY: it came from a function that says so, and is given back once, after its last use.
    unsafe { NetApiBufferFree(list.cast()) };
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_not_there_has_nobody() {
        assert_eq!(of_group("planetary-nobody-has-this"), Vec::<String>::new());
    }

    #[test]
    fn administrators_are_found_by_their_group() {
        // Groups have names in the language of the system; Wine has those of English.
        if std::env::var_os("PLANETARY_WINE").is_some() {
            let people = of_group("Administrators");
            assert_eq!(people.first().map(String::as_str), Some("S-1-5-32-544"));
        }
    }
}
