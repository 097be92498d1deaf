//! The linker for systems that this one has none for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::debian_cargo;
use crate::step;

/// The linker and what makes cargo use it, from the registry of Python.
const TOOLS: [&str; 2] = ["ziglang==0.17.1", "cargo-zigbuild==0.24.0"];

/// The linker, in a folder of its own.
pub(super) struct Zig {
    folder: PathBuf,
}

impl Zig {
    pub(super) fn installed(folder: &Path) -> Result<Self> {
        let zig = Self { folder: folder.join("zig") };
        if !zig.tool().is_file() {
            let mut venv = Command::new("/usr/bin/python3");
            step::quietly("zig: venv", venv.args(["-m", "venv"]).arg(&zig.folder))?;
            let mut pip = Command::new(zig.folder.join("bin/pip"));
            pip.args(["install", "-q"]).args(TOOLS);
            step::quietly("install zig, the linker", &mut pip)?;
        }
        Ok(zig)
    }

    fn tool(&self) -> PathBuf {
        self.folder.join("bin/cargo-zigbuild")
    }

    /// Debian's cargo, with a chore of its own that links by zig; what it builds lies below the
    /// folder `of` of all that is for other systems.
    pub(super) fn cargo(&self, folder: &Path, of: &str) -> Command {
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.folder.join("bin").display());
        let mut command = debian_cargo(&self.tool().to_string_lossy(), folder, &path);
        command.env("CARGO_TARGET_DIR", folder.join(of));
        // As little as there can be: what has none at all cargo strips, with a tool that is not
        // there, and for a crate that the manifest has a profile of it cannot be told not to.
        command.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        command
    }
}
