//! The node for Linux on 64-bit ARM, linked with zig and run by an emulator. The app, which needs
//! the libraries of a desktop, is built on such a computer.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::zig::Zig;
use super::{BUILD_SECONDS, folder};
use crate::setup::{self, Part};
use crate::step::{self, Tally};

/// The target as the compiler calls it.
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// The oldest C library that the programs run with: that of Debian 11 and Ubuntu 20.04.
const GLIBC: &str = "2.31";

/// Where Debian puts the C library for the emulator.
const SYSTEM: &str = "/usr/aarch64-linux-gnu";

/// Links the programs that ship and returns the folder they are in.
pub(crate) fn programs() -> Result<PathBuf> {
    setup::ensure(&[Part::Cross, Part::Arm])?;
    let folder = folder()?;
    let mut build = Zig::installed(&folder)?.cargo(&folder, "arm");
    build
        .args(["zigbuild", "--release", "--bins", "-p", "planetaryd", "-p", "planetary"])
        .args(["--target", &format!("{TARGET}.{GLIBC}")])
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none");
    step::quietly("linux, arm64: link the programs", &mut step::within(BUILD_SECONDS, &build))?;
    Ok(folder.join("arm").join(TARGET).join("release"))
}

/// A program for such a computer, run here.
pub(crate) fn emulated(program: &Path) -> Command {
    let mut command = Command::new("qemu-aarch64");
    command.args(["-L", SYSTEM]).arg(program);
    command
}

/// Takes from a program what only debuggers read.
pub(crate) fn strip() -> Command {
    Command::new("aarch64-linux-gnu-strip")
}

/// Links the programs and sees that they start.
pub(super) fn run() -> Result<Tally> {
    let folder = programs()?;
    let mut tally = Tally::one(true);
    for name in ["planetaryd", "planetary"] {
        let mut program = emulated(&folder.join(name));
        let title = format!("linux, arm64: {name} starts");
        tally.add(Tally::one(step::quietly(&title, program.arg("--version")).is_ok()));
    }
    Ok(tally)
}
