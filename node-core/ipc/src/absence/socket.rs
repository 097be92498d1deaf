//! The file of a control socket.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

use super::Socket;

/// Looks at it; `None` when there is none, or none that may be seen.
pub(super) fn look(path: &Path) -> Option<Socket> {
    let file = std::fs::metadata(path).ok()?;
    let (uid, gid) = (Uid::from_raw(file.uid()), Gid::from_raw(file.gid()));
    let owner = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let group = Group::from_gid(gid).ok().flatten();
    let caller = User::from_uid(geteuid()).ok().flatten();
    let listed = caller
        .as_ref()
        .zip(group.as_ref())
        .is_some_and(|(caller, group)| caller.gid == gid || group.mem.contains(&caller.name));
    Some(Socket {
        owner: owner.unwrap_or_else(|| uid.to_string()),
        group: group.map_or_else(|| gid.to_string(), |group| group.name),
        mode: file.mode() & 0o7777,
        is_own: geteuid() == uid,
        is_root: geteuid().is_root(),
        in_group: getegid() == gid || groups().contains(&gid),
        listed,
    })
}

/// The groups of this process. macOS tells them only through the list of accounts.
#[cfg(not(target_os = "macos"))]
fn groups() -> Vec<Gid> {
    nix::unistd::getgroups().unwrap_or_default()
}

#[cfg(target_os = "macos")]
fn groups() -> Vec<Gid> {
    Vec::new()
}
