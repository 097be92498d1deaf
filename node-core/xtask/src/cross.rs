//! `cargo xtask cross`: the node for Windows and macOS, built on Linux.
//!
//! Windows: built with mingw, and the tests run under Wine. macOS: linked with zig, and not run,
//! for want of a Mac. The compiler is Debian's `rustc-web`, because it comes with the source of
//! exactly its own standard library, which is built along. Everything lies below `target/cross`,
//! apart from the native build: compiler and flags differ. A Wine prefix of 0.7 GB is among it.
//!
//! What this does not show: TUN devices on Windows (Wine cannot make adapters) and anything on a
//! real Mac.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

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

/// How much of it is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Crates with code of their own for other systems are compiled, with their tests.
    OwnCode,
    /// All crates of the node are linked; what is for Windows is tested under Wine.
    All,
}

/// No test program runs longer than this many seconds under Wine.
const WINE_SECONDS: u32 = 600;

/// What the standard library is built of.
const STD: &str = "std,panic_abort,panic_unwind,test";

/// Wine 8 lacks the library from which Rust's standard library takes its random numbers. This is
/// that one function, over one that Wine has.
const RANDOM_NUMBERS: &str = r"
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) {
  while (n) {
    ULONG k = n > 0x10000000 ? 0x10000000 : (ULONG)n;
    if (!SystemFunction036(p, k)) return FALSE;
    p += k;
    n -= k;
  }
  return TRUE;
}
";

/// Builds and tests for Windows, and builds for macOS: the named crates, or those of the depth.
pub(crate) fn run(named: &[String], depth: Depth) -> Result<Tally> {
    setup::ensure(&[Part::Cross])?;
    let folder = step::target_dir().join("cross");
    fs::create_dir_all(&folder)?;
    let all = packages::workspace()?;
    let there = |name: &str| all.iter().any(|package| package.name == name);
    let chosen = if depth == Depth::All { &CRATES[..] } else { &OWN_CODE };
    let crates = chosen.iter().filter(|name| there(name)).map(|name| (*name).to_owned());
    let crates = if named.is_empty() { crates.collect() } else { named.to_vec() };
    let crates: Vec<String> = crates.into_iter().flat_map(|name| ["-p".to_owned(), name]).collect();
    // One system failing says nothing about the other.
    let systems = [windows(&folder, &crates, depth), macos(&folder, &crates, depth)];
    let mut tally = Tally::default();
    for system in systems {
        tally.add(system.unwrap_or_else(|error| {
            println!("{error:#}");
            Tally::one(false)
        }));
    }
    Ok(tally)
}

fn windows(folder: &Path, crates: &[String], depth: Depth) -> Result<Tally> {
    let cargo = |chore: &str| {
        let mut command = debian_cargo("/usr/bin/cargo", folder, "/usr/bin:/bin:/usr/sbin:/sbin");
        let tool = |name| format!("x86_64-w64-mingw32-{name}");
        command
            .arg(chore)
            .args(crates)
            .env("CARGO_TARGET_DIR", folder.join("windows"))
            .env("CARGO_BUILD_TARGET", "x86_64-pc-windows-gnu")
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", tool("gcc-posix"))
            .env("CC_x86_64_pc_windows_gnu", tool("gcc-posix"))
            .env("CXX_x86_64_pc_windows_gnu", tool("g++-posix"))
            .env("AR_x86_64_pc_windows_gnu", tool("gcc-ar-posix"));
        command
    };
    let targets = ["--lib", "--bins", "--tests"];
    if depth == Depth::OwnCode {
        let title = "windows: compile programs and tests";
        return Ok(Tally::one(step::quietly(title, cargo("check").args(targets)).is_ok()));
    }
    let prefix = Wine::new(folder.join("wineprefix"))?;
    let runner = format!("timeout -k 10 {WINE_SECONDS} {}", Wine::PROGRAM);
    step::quietly("windows: link the programs", cargo("build").arg("--bins"))?;
    let mut tests = cargo("test");
    prefix.visit(&mut tests).env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", runner);
    let tests = tests.arg("--no-fail-fast").args(targets);
    step::counted("windows: tests under Wine", tests)
}

fn macos(folder: &Path, crates: &[String], depth: Depth) -> Result<Tally> {
    let zig = folder.join("zig");
    let tool = zig.join("bin/cargo-zigbuild");
    if !tool.is_file() {
        step::quietly(
            "macos: venv",
            Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&zig),
        )?;
        let mut pip = Command::new(zig.join("bin/pip"));
        pip.args(["install", "-q", "ziglang==0.17.1", "cargo-zigbuild==0.24.0"]);
        step::quietly("macos: install zig, the linker", &mut pip)?;
    }
    let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", zig.join("bin").display());
    let mut command = debian_cargo(&tool.to_string_lossy(), folder, &path);
    let (chore, title) = match depth {
        Depth::OwnCode => ("check", "macos: compile programs and tests"),
        Depth::All => ("zigbuild", "macos: link programs and tests"),
    };
    command
        .args([chore, "--lib", "--bins", "--tests", "--target", "aarch64-apple-darwin"])
        .args(crates)
        .env("CARGO_TARGET_DIR", folder.join("macos"))
        .env("MACOSX_DEPLOYMENT_TARGET", "11.0");
    Ok(Tally::one(step::quietly(title, &mut command).is_ok()))
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
        // Nobody debugs these, and there is a lot of them.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // Without debug information cargo strips by default, with a tool that the packages lack.
        .env("CARGO_PROFILE_DEV_STRIP", "none")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_UNSTABLE_BUILD_STD", STD);
    command
}

/// A Wine prefix with what Wine 8 lacks; its server ends when this is dropped.
struct Wine {
    prefix: PathBuf,
}

impl Wine {
    const PROGRAM: &str = "/usr/lib/wine/wine64";

    fn new(prefix: PathBuf) -> Result<Self> {
        let wine = Self { prefix };
        let library = wine.prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
        if library.is_file() {
            return Ok(wine);
        }
        let mut boot = Command::new("timeout");
        boot.args(["-k", "10", "120", Self::PROGRAM, "wineboot", "-i"]);
        // It complains of parts that are not installed and need not be; what counts is the result.
        let _ = wine.visit(&mut boot).output().context("cannot start Wine")?;
        let Some(system32) = library.parent().filter(|folder| folder.is_dir()) else {
            bail!("Wine made no prefix in {}", wine.prefix.display());
        };
        let source = system32.join("bcryptprimitives.c");
        fs::write(&source, RANDOM_NUMBERS)?;
        let mut compiler = Command::new("x86_64-w64-mingw32-gcc-posix");
        compiler.args(["-shared", "-s", "-O2", "-o"]).arg(&library).arg(&source).arg("-ladvapi32");
        step::quietly("windows: make a Wine prefix", &mut compiler)?;
        Ok(wine)
    }

    /// Lets a command find this prefix and show no window.
    fn visit<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("WINEPREFIX", &self.prefix)
            .env("WINEDEBUG", "-all")
            .env("WINEARCH", "win64")
            .env("DISPLAY", "")
            // Tests leave out what Wine is known to lack.
            .env("PLANETARY_WINE", "8")
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // Nothing is left to do about a server that does not want to end.
        let _ = self.visit(Command::new("wineserver").arg("-k")).output();
    }
}
