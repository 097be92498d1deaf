//! Sweeps away what a killed run left behind: namespaces, the processes in them, folders.
//!
//! The name of each carries the process id of its lab. What belongs to a process that is alive is
//! left alone, so that several test programs may run at once.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{host, resolver};

/// How the names of all namespaces and folders of a lab begin; the process id follows.
pub(crate) const PREFIX: &str = "planetary-lab-";

/// Removes everything of dead labs. Best effort: another lab may be sweeping too.
pub(crate) fn sweep() {
    for name in names_in(Path::new(host::NAMES)).filter(|name| is_dead(name)) {
        for pid in host::run("ip", ["netns", "pids", &name]).unwrap_or_default().lines() {
            if let Ok(pid) = pid.trim().parse() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let _ = host::run("ip", ["netns", "del", &name]);
    }
    let files = Path::new(resolver::FILES);
    for name in names_in(files).filter(|name| is_dead(name)) {
        let _ = fs::remove_dir_all(files.join(name));
    }
    let folders = std::env::temp_dir();
    for name in names_in(&folders).filter(|name| is_dead(name)) {
        let _ = fs::remove_dir_all(folders.join(name));
    }
}

/// A fresh folder for a lab. Its path is short, for there are sockets in it.
pub(crate) fn folder(serial: u32) -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{}-{serial}", std::process::id()))
}

fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn is_dead(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let pid = rest.split('-').next().and_then(|pid| pid.parse::<u32>().ok());
    pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_processes_are_swept() {
        // Process ids end at 2^22.
        assert!(is_dead("planetary-lab-4194305-1-a"));
        assert!(!is_dead(&format!("planetary-lab-{}-1-a", std::process::id())));
        assert!(!is_dead("planetary-lab-notes"));
        assert!(!is_dead("somebody-else-4194305"));
    }
}
