//! The node for macOS, linked on another system with zig; the app is only checked.
//!
//! zig brings the interface of the system's library and no framework. The node needs none; the app
//! needs many, so that its types are checked here and it is linked on a Mac. What is linked here
//! has never been run here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::zig::Zig;
use super::{BUILD_SECONDS, CHECKED, Depth};
use crate::app;
use crate::setup::{self, Part};
use crate::step::{self, Tally};

/// The processors that there are Macs with: how the compiler and how Apple name them.
pub(crate) const MACHINES: [Machine; 2] = [
    Machine { target: "aarch64-apple-darwin", name: "arm64" },
    Machine { target: "x86_64-apple-darwin", name: "x86_64" },
];

/// A processor.
pub(crate) struct Machine {
    /// The compiler's word for it.
    pub(crate) target: &'static str,
    /// Apple's word for it.
    pub(crate) name: &'static str,
}

/// The oldest system that the programs run on.
pub(crate) const OLDEST: &str = "11.0";

/// Compiles or links the crates, and checks the types of the app.
pub(super) fn run(folder: &Path, crates: &[String], depth: Depth) -> Result<Tally> {
    let zig = Zig::installed(folder)?;
    let [arm, intel] = MACHINES;
    let (chore, title) = match depth {
        Depth::OwnCode => ("check", "macos: compile programs and tests"),
        Depth::All => ("zigbuild", "macos: link programs and tests"),
    };
    let mut command = cargo(&zig, folder);
    command.args([chore, "--lib", "--bins", "--tests", "--target", arm.target]).args(crates);
    if depth == Depth::OwnCode {
        command.env("CARGO_TARGET_DIR", folder.join(CHECKED));
    }
    let mut tally = Tally::one(build(title, &command).is_ok());
    if depth == Depth::All {
        let mut command = cargo(&zig, folder);
        command.args(["zigbuild", "--bins", "--target", intel.target]).args(PROGRAMS);
        tally.add(Tally::one(build("macos: link the programs for x86-64", &command).is_ok()));
        // The app has no code of its own for one of the processors.
        let mut command = cargo(&zig, folder);
        command.args(["check", "--target", arm.target, "-p", "planetary-network"]);
        // Some crates have a little Objective-C, which needs Apple's headers. They leave it out
        // where their documentation is made, for the same reason.
        command.env("DOCS_RS", "1");
        tally.add(Tally::one(build("macos: check the app", &command).is_ok()));
    }
    Ok(tally)
}

const PROGRAMS: [&str; 4] = ["-p", "planetaryd", "-p", "planetary"];

/// Links the programs that ship for one processor and returns the folder they are in: on a Mac the
/// app as well.
pub(crate) fn programs(machine: &Machine) -> Result<PathBuf> {
    if cfg!(target_os = "macos") {
        // The app has its pages inside.
        app::build_pages()?;
        let build = ["build", "--release", "--locked", "--target", machine.target];
        let mut command = step::cargo(build);
        command
            .args(PROGRAMS)
            .args(["-p", "planetary-network"])
            .env("MACOSX_DEPLOYMENT_TARGET", OLDEST);
        step::openly(&format!("build the programs for {}", machine.name), &mut command)?;
        return Ok(step::target_dir().join(machine.target).join("release"));
    }
    setup::ensure(&[Part::Cross])?;
    let folder = super::folder()?;
    let zig = Zig::installed(&folder)?;
    let mut command = cargo(&zig, &folder);
    command
        .args(["zigbuild", "--release", "--bins", "--target", machine.target])
        .args(PROGRAMS)
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none");
    step::openly(&format!("macos: link the programs for {}", machine.name), &mut command)?;
    Ok(folder.join("macos").join(machine.target).join("release"))
}

/// Cargo that links for macOS.
fn cargo(zig: &Zig, folder: &Path) -> Command {
    let mut command = zig.cargo(folder, "macos");
    command.env("MACOSX_DEPLOYMENT_TARGET", OLDEST);
    command
}

fn build(title: &str, command: &Command) -> Result<String> {
    step::quietly(title, &mut step::within(BUILD_SECONDS, command))
}
