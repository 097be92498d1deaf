//! What the test grounds need of a machine.

use std::path::{Path, PathBuf};

const PROGRAMS: [&str; 14] = [
    "ip",
    "ping",
    "nft",
    "tc",
    "curl",
    "python3",
    "nc",
    "ssh",
    "sshd",
    "ssh-keygen",
    "nginx",
    "openssl",
    "yggdrasil",
    "yggdrasilctl",
];

/// What is missing here, in words; empty on a machine that has it all.
#[must_use]
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        missing.push("the rights of root (namespaces)".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() {
        missing.push("/dev/net/tun".to_owned());
    }
    let programs = PROGRAMS.into_iter().filter(|program| find(program).is_none());
    missing.extend(programs.map(|program| format!("the program {program}")));
    missing
}

/// Finds a program on the search path or among the system's own.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}
