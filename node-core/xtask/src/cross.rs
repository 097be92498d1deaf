//! `cargo xtask cross`: the node for Windows, macOS and ARM, built on Linux.
//!
//! Windows: built with mingw, and the tests run under Wine. macOS: linked with zig, and not run,
//! for want of a Mac. Linux on ARM: linked with zig, and started in an emulator. The compiler is
//! Debian's `rustc-web`, because it comes with the source of exactly its own standard library,
//! which is built along. Everything lies below `target/cross`, apart from the native build:
//! compiler and flags differ. A Wine prefix of 0.7 GB is among it.
//!
//! What this does not show: TUN devices on Windows (Wine cannot make adapters), the app's window
//! there (Wine has no WebView2), and anything on a real Mac.

pub(crate) mod arm;
pub(crate) mod macos;
pub(crate) mod windows;
mod zig;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::packages;
use crate::setup::{self, Part};
use crate::step::{self, Tally};

/// The crates of the node. Chores, test grounds and benchmarks run where they are developed.
const CRATES: [&str; 8] = [
    "planetary-secretbox",
    "planetary-proto",
    "planetary-circles",
    "planetary-ipc",
    "planetary-runtime",
    "planetaryd",
    "planetary",
    "planetary-sim",
];

/// Those among them that have code of their own for other systems, or are the programs. The others
/// are pure computation: what is tested of them on one system holds on all.
const OWN_CODE: [&str; 4] = ["planetary-ipc", "planetary-runtime", "planetaryd", "planetary"];

/// No build takes longer than this many seconds, not even from nothing on a slow machine.
const BUILD_SECONDS: u32 = 5_400;

/// Where what is only compiled lies, for all systems: macros and build scripts serve each of them.
const CHECKED: &str = "checked";

/// How much of it is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Crates with code of their own for other systems are compiled, with their tests.
    OwnCode,
    /// All crates of the node are linked, and the app for Windows; what is for Windows is tested
    /// under Wine, its installers too. The app for macOS is checked.
    All,
}

/// What the standard library is built of.
const STD: &str = "std,panic_abort,panic_unwind,test";

/// Builds and tests for Windows, and builds for macOS: the named crates, or those of the depth.
pub(crate) fn run(named: &[String], depth: Depth) -> Result<Tally> {
    setup::ensure(&[Part::Cross, Part::Windows])?;
    let folder = folder()?;
    let all = packages::workspace()?;
    let there = |name: &str| all.iter().any(|package| package.name == name);
    let chosen = if depth == Depth::All { &CRATES[..] } else { &OWN_CODE };
    let crates = chosen.iter().filter(|name| there(name)).map(|name| (*name).to_owned());
    let crates = if named.is_empty() { crates.collect() } else { named.to_vec() };
    let crates: Vec<String> = crates.into_iter().flat_map(|name| ["-p".to_owned(), name]).collect();
    // One system failing says nothing about the other.
    let mut systems =
        vec![windows::run(&folder, &crates, depth), macos::run(&folder, &crates, depth)];
    if named.is_empty() && depth == Depth::All {
        systems.push(windows::installers(&folder));
        systems.push(arm::run());
    }
    let mut tally = Tally::default();
    for system in systems {
        tally.add(system.unwrap_or_else(|error| {
            println!("{error:#}");
            Tally::one(false)
        }));
    }
    Ok(tally)
}

/// Where everything lies.
fn folder() -> Result<PathBuf> {
    let folder = step::target_dir().join("cross");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Debian's cargo or a program around it, without a trace of the one that runs us.
fn debian_cargo(program: &str, folder: &Path, path: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let of_cargo = name.starts_with("CARGO") && !name.starts_with("CARGO_HTTP_");
        if of_cargo || name.starts_with("RUST") || name == "LD_LIBRARY_PATH" {
            command.env_remove(name);
        }
    }
    command
        .current_dir(step::workspace_root())
        .env("PATH", path)
        .env("CARGO_HOME", folder.join("cargo-home"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_UNSTABLE_BUILD_STD", STD);
    command
}
