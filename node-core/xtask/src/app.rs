//! The desktop app: its pages by npm, its program by cargo, and what is tested of both.
//!
//! The pages are built first, because the program has them inside. Packages of npm are installed
//! as the lock file says, once: npm leaves a copy of it behind, and while that is as new nothing
//! has to be done.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::setup::{self, Part};
use crate::step::{self, Tally};

/// The crate of the program.
const CRATE: &str = "planetary-network";

/// What npm tests: a title and its script. The words behind `--` are the script's.
const TESTS: [(&str, &[&str]); 2] = [
    ("pages: components and stores", &["test"]),
    ("pages: journeys and accessibility in Chromium", &["run", "e2e"]),
];

/// The folder of the pages.
fn folder() -> PathBuf {
    step::workspace_root().join("ui")
}

/// Whether the pages can be worked on here.
pub(crate) fn has_npm() -> bool {
    step::find_program("npm").is_some()
}

/// Installs what the pages are built of and with.
pub(crate) fn install() -> Result<()> {
    ensure!(has_npm(), "npm is missing; install Node.js 20.19 or newer");
    let (wanted, there) = ("package-lock.json", "node_modules/.package-lock.json");
    let made = |name: &str| folder().join(name).metadata().and_then(|file| file.modified()).ok();
    let is_new = made(there).is_some_and(|there| made(wanted).is_some_and(|lock| there >= lock));
    if is_new {
        return Ok(());
    }
    step::quietly("pages: npm ci", &mut npm(&["ci", "--no-audit", "--no-fund"])).map(drop)
}

/// Types, generated files, catalogue, lint and format of the pages.
///
/// Whoever works on the node alone may do without npm; where everything must hold it may not lack.
pub(crate) fn check() -> Result<Tally> {
    if !has_npm() && std::env::var_os("CI").is_none() {
        println!("[skip] pages: npm is missing; install Node.js 20.19 or newer");
        return Ok(Tally::default());
    }
    install()?;
    let checked =
        step::quietly("pages: types, catalogue, lint, format", &mut npm(&["run", "check"]));
    Ok(Tally::one(checked.is_ok()))
}

/// Builds the pages into `ui/dist`, from where the program takes them.
pub(crate) fn build_pages() -> Result<()> {
    install()?;
    step::quietly("pages: build", &mut npm(&["run", "build"])).map(drop)
}

/// Tests the pages against a service that lives in them.
pub(crate) fn test_pages() -> Result<Tally> {
    install()?;
    step::quietly("pages: build with a service inside", &mut npm(&["run", "build:mock"]))?;
    let mut tally = Tally::default();
    for (title, words) in TESTS {
        tally.add(step::counted(title, &mut npm(words))?);
    }
    // Every view and sheet once, in light and dark: whatever the page complains about is a failure.
    let pictures = ["run", "pictures", "--", "--quick", "--scene", "normal"];
    let taken = step::quietly("pages: pictures of every view", &mut npm(&pictures));
    tally.add(Tally::one(taken.is_ok()));
    Ok(tally)
}

/// Builds the program with the pages inside. `cargo build` makes the same one as the tests of the
/// crates do: what is slow in it are the pages, and they are WebKit's business.
pub(crate) fn build() -> Result<PathBuf> {
    step::quietly("build planetary-network", &mut step::cargo(["build", "--locked", "-p", CRATE]))?;
    Ok(program())
}

fn program() -> PathBuf {
    let name = format!("{CRATE}{}", std::env::consts::EXE_SUFFIX);
    step::target_dir().join("debug").join(name)
}

/// Whether there is a display to show a window on.
pub(crate) fn has_display() -> bool {
    let named = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || named("DISPLAY") || named("WAYLAND_DISPLAY")
}

/// Whether the app can be built here; says what is missing.
pub(crate) fn can_be_built() -> bool {
    if !has_npm() {
        println!("no app without npm (Node.js 20.19 or newer); here is the terminal instead");
        return false;
    }
    if !cfg!(target_os = "linux") {
        return true;
    }
    setup::ensure(&[Part::AppBuild])
        .inspect_err(|error| println!("no app: {error:#}; here is the terminal instead"))
        .is_ok()
}

/// The app, for a service that listens there.
pub(crate) fn command(program: &Path, control: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("PLANETARY_CONTROL", control);
    command
}

/// Measures the app: the time to the first picture, and its memory.
pub(crate) fn measure() -> Result<()> {
    setup::ensure(&[Part::Lab, Part::App])?;
    build_pages()?;
    let mut release = step::cargo(["build", "--release", "--locked", "-p", CRATE]);
    step::openly("build the app as it ships", &mut release)?;
    let name = format!("{CRATE}{}", std::env::consts::EXE_SUFFIX);
    let app = step::target_dir().join("release").join(name);
    ensure!(app.is_file(), "there is no {}", app.display());
    let mut command =
        step::cargo(["test", "--locked", "-p", "planetary-lab", "--test", "app_cost"]);
    command.args(["--", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("PLANETARY_APP", app);
    step::openly("measure the app", &mut command).context("nothing was measured")
}

fn npm(words: &[&str]) -> Command {
    // A script of its own on Windows.
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.args(words).current_dir(folder());
    command
}
