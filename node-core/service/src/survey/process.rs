//! This process as the system sees it: its account, its rights, and how near it is to its limits.

use std::io;
use std::path::Path;

/// What the system says of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Name of the account it runs as, or its number; `None` where accounts are none of ours.
    pub account: Option<String>,
    /// Whether it may make and configure interfaces; `None` where that cannot be told.
    pub may_configure: Option<bool>,
    /// Open files and sockets.
    pub files: Option<Load>,
    /// Memory that is really there, in bytes; `None` where the system is not asked.
    pub resident: Option<u64>,
    /// Memory in bytes, where the system has set a limit.
    pub memory: Option<Load>,
}

/// How much of something is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// So much is used.
    pub used: u64,
    /// So much there is.
    pub most: u64,
}

/// What is left on a disk for this account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Files; `None` where they are not counted.
    pub files: Option<u64>,
}

impl Load {
    /// Whether less than a tenth is left.
    #[must_use]
    pub const fn is_near_its_end(self) -> bool {
        self.used >= self.most.saturating_sub(self.most / 10)
    }
}

impl Process {
    /// Looks. Blocks, for as long as the list of accounts takes to answer.
    #[must_use]
    pub fn look() -> Self {
        Self {
            account: account(),
            may_configure: may_configure(),
            files: system::files(),
            resident: system::resident(),
            memory: system::memory(),
        }
    }
}

#[cfg(unix)]
fn account() -> Option<String> {
    let uid = nix::unistd::geteuid();
    let named = nix::unistd::User::from_uid(uid).ok().flatten();
    Some(named.map_or_else(|| format!("uid {uid}"), |user| user.name))
}

#[cfg(not(unix))]
fn account() -> Option<String> {
    None
}

fn may_configure() -> Option<bool> {
    #[cfg(target_os = "linux")]
    return system::has_capability(system::CAP_NET_ADMIN);
    #[cfg(all(unix, not(target_os = "linux")))]
    return Some(nix::unistd::geteuid().is_root());
    #[cfg(not(unix))]
    None
}

/// What is left on the disk of a folder; `None` where the system is not asked.
///
/// # Errors
/// Those of the system.
#[cfg(unix)]
pub fn room_in(dir: &Path) -> io::Result<Option<Room>> {
    let disk = nix::sys::statvfs::statvfs(dir)?;
    // The types differ between systems.
    let number = |value: &dyn std::fmt::Display| value.to_string().parse().unwrap_or(u64::MAX);
    let blocks = number(&disk.blocks_available());
    let bytes = blocks.saturating_mul(number(&disk.fragment_size()));
    // File systems that make room for files as they go say that they have none at all.
    let files = (number(&disk.files()) > 0).then(|| number(&disk.files_available()));
    Ok(Some(Room { bytes, files }))
}

/// What is left on the disk of a folder; `None` where the system is not asked.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn room_in(_: &Path) -> io::Result<Option<Room>> {
    Ok(None)
}

/// Linux tells in small text files.
#[cfg(target_os = "linux")]
mod system {
    use std::fs;

    use super::{Load, Path};

    /// Number of the right to configure the network (linux/capability.h).
    pub(super) const CAP_NET_ADMIN: u32 = 12;

    /// Whether the process has a right, by its effective set.
    pub(super) fn has_capability(number: u32) -> Option<bool> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        capability(&status, number)
    }

    pub(super) fn capability(status: &str, number: u32) -> Option<bool> {
        let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        let set = u64::from_str_radix(set.trim(), 16).ok()?;
        Some(set >> number & 1 == 1)
    }

    pub(super) fn files() -> Option<Load> {
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        // The folder is open itself while it is counted.
        let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        Some(Load { used: u64::try_from(open).ok()?, most: files_limit(&limits)? })
    }

    /// The soft limit, which is the one that holds.
    pub(super) fn files_limit(limits: &str) -> Option<u64> {
        let row = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        row.split_whitespace().next()?.parse().ok()
    }

    /// Memory that is really there, against the limit of the control group.
    pub(super) fn memory() -> Option<Load> {
        let group = fs::read_to_string("/proc/self/cgroup").ok()?;
        let group = group.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let dir = Path::new("/sys/fs/cgroup").join(group);
        let most = fs::read_to_string(dir.join("memory.max")).ok()?;
        Some(Load { used: resident()?, most: most.trim().parse().ok()? })
    }

    /// Memory that is really there.
    pub(super) fn resident() -> Option<u64> {
        resident_in(&fs::read_to_string("/proc/self/status").ok()?)
    }

    pub(super) fn resident_in(status: &str) -> Option<u64> {
        let row = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = row.split_whitespace().next()?.parse().ok()?;
        kibibytes.checked_mul(1024)
    }
}

/// Nothing is asked for elsewhere.
#[cfg(not(target_os = "linux"))]
mod system {
    use super::Load;

    pub(super) fn files() -> Option<Load> {
        None
    }

    pub(super) fn resident() -> Option<u64> {
        None
    }

    pub(super) fn memory() -> Option<Load> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_near_its_end_in_the_last_tenth() {
        let near = |used, most| Load { used, most }.is_near_its_end();
        assert!(!near(89, 100) && near(90, 100) && near(200, 100) && near(0, 0));
        assert!(!near(u64::MAX / 2, u64::MAX));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn files_of_the_system_are_understood_or_left_out() {
        let status = "Name:\tx\nVmRSS:\t   12 kB\nCapEff:\t0000000000001000\n";
        assert_eq!(system::capability(status, 12), Some(true));
        assert_eq!(system::capability(status, 13), Some(false));
        assert_eq!(system::resident_in(status), Some(12 * 1024));
        assert_eq!(system::capability("CapEff:\tmuch", 12), None);
        assert_eq!(system::resident_in("VmRSS:\t18446744073709551615 kB"), None);
        let limits = "Limit   Soft  Hard  Units\nMax open files   1024   4096   files\n";
        assert_eq!(system::files_limit(limits), Some(1024));
        assert_eq!(system::files_limit("Max open files unlimited"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_seen() {
        let process = Process::look();
        assert!(process.account.is_some() && process.may_configure.is_some());
        assert!(process.resident.is_some_and(|bytes| bytes > 1 << 20));
        let files = process.files.unwrap();
        assert!(files.used > 2 && files.used < files.most, "{files:?}");
    }
}
