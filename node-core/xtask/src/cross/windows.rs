//! The Windows half: programs, the app and installers, and what of them runs under Wine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{BUILD_SECONDS, CHECKED, Depth, debian_cargo, folder};
use crate::package;
use crate::setup::{self, Part};
use crate::step::{self, Tally};
use crate::wine::Wine;

/// The target as the compiler calls it.
const TARGET: &str = "x86_64-pc-windows-gnu";

/// The desktop app, which is linked and not run.
const APP: &str = "planetary-network";

/// No test program runs longer than this many seconds under Wine.
const TEST_SECONDS: u32 = 600;

/// All tests together, with what is still to be built for them.
const TESTS_SECONDS: u32 = 7_200;

pub(super) fn run(folder: &Path, crates: &[String], depth: Depth) -> Result<Tally> {
    let targets = ["--lib", "--bins", "--tests"];
    if depth == Depth::OwnCode {
        let title = "windows: compile programs and tests";
        let mut check = cargo(folder, "check");
        check.args(crates).args(targets).env("CARGO_TARGET_DIR", folder.join(CHECKED));
        let mut check = step::within(BUILD_SECONDS, &check);
        return Ok(Tally::one(step::quietly(title, &mut check).is_ok()));
    }
    let mut tally = Tally::default();
    let mut build = cargo(folder, "build");
    let mut build = step::within(BUILD_SECONDS, build.args(crates).arg("--bins"));
    step::quietly("windows: link the programs", &mut build)?;
    let wine = Wine::new(folder.join("wineprefix"))?;
    let runner = format!("timeout -k 10 {TEST_SECONDS} {}", Wine::PROGRAM);
    let mut tests = cargo(folder, "test");
    tests.args(crates).arg("--no-fail-fast").args(targets);
    wine.visit(&mut tests).env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", runner);
    let mut tests = step::within(TESTS_SECONDS, &tests);
    tally.add(step::counted("windows: tests under Wine", &mut tests)?);
    drop(wine);
    Ok(tally)
}

/// Links the app as well, and tries installers of what people get.
pub(super) fn installers(folder: &Path) -> Result<Tally> {
    let mut tally = Tally::one(true);
    tally.add(package::try_windows(&programs()?, folder)?);
    Ok(tally)
}

/// Tries installers of the programs in this folder.
pub(crate) fn try_installers(programs: &Path) -> Result<Tally> {
    setup::ensure(&[Part::Cross, Part::Windows])?;
    package::try_windows(programs, &folder()?)
}

/// Links all that is installed on Windows, as people get it; returns the folder it is in.
pub(crate) fn programs() -> Result<PathBuf> {
    let folder = folder()?;
    let mut build = cargo(&folder, "build");
    build.args(["--release", "-p", "planetaryd", "-p", "planetary", "-p", APP, "--bins"]);
    let mut build = step::within(BUILD_SECONDS, &build);
    step::quietly("windows: link the programs and the app for release", &mut build)?;
    Ok(folder.join("windows").join(TARGET).join("release"))
}

/// Takes from a program what only debuggers read, and says in it when it was made, in seconds since
/// 1970: it would be another program every second.
pub(crate) fn strip(program: &Path, epoch: u64) -> Result<()> {
    let mut strip = Command::new("x86_64-w64-mingw32-strip");
    strip.arg(program).env("SOURCE_DATE_EPOCH", epoch.to_string());
    step::quietly("windows: strip", &mut strip)?;
    Ok(())
}

/// Debian's cargo for Windows, with mingw's tools.
fn cargo(folder: &Path, chore: &str) -> Command {
    let mut command = debian_cargo("/usr/bin/cargo", folder, "/usr/bin:/bin:/usr/sbin:/sbin");
    let tool = |name| format!("x86_64-w64-mingw32-{name}");
    command
        .arg(chore)
        .env("CARGO_TARGET_DIR", folder.join("windows"))
        // Nobody debugs these, and there is a lot of them.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // Without debug information cargo strips by default, with a tool that the packages lack.
        .env("CARGO_PROFILE_DEV_STRIP", "none")
        .env("CARGO_BUILD_TARGET", TARGET)
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", tool("gcc-posix"))
        .env("CC_x86_64_pc_windows_gnu", tool("gcc-posix"))
        .env("CXX_x86_64_pc_windows_gnu", tool("g++-posix"))
        .env("AR_x86_64_pc_windows_gnu", tool("gcc-ar-posix"));
    command
}
