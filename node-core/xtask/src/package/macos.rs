//! Packages for macOS, for both processors in one.
//!
//! ```text
//!  programs, by processor --joined--> staged: root/, scripts/, … --make.sh on a Mac--> .pkg
//!                              \--> .tar.gz of service and command line
//! ```
//!
//! The archive is made anywhere. The installer with the app needs a Mac: Tauri's libraries are
//! linked there, and Apple's tools sign and pack. Elsewhere everything but the app's program is
//! staged, and what is left to do is said. How it looks on the system lies below
//! `installers/macos`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Build, archive, macho};
use crate::cross::macos::{self as cross, MACHINES, OLDEST};
use crate::step;

/// What everybody gets.
const NODE: [&str; 2] = ["planetaryd", "planetary"];

/// The app.
const APP: &str = "planetary-network";

/// The app as people see it.
const BUNDLE: &str = "Applications/Planetary Network.app/Contents";

/// Makes what can be made here.
pub(crate) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    let programs = match &build.programs {
        Some(folder) => MACHINES.map(|machine| folder.join(machine.name)),
        None => {
            let [arm, intel] = &MACHINES;
            [cross::programs(arm)?, cross::programs(intel)?]
        }
    };
    let stage = build.out.join("macos");
    stage_all(build, &programs, &stage)?;
    let mut made = vec![pack_node(build, &stage)?];
    let apps = programs.iter().all(|folder| folder.join(APP).is_file());
    if cfg!(target_os = "macos") && apps {
        made.push(make_installer(build, &stage)?);
    } else {
        let stage = stage.display();
        println!("macos: the installer with the app needs a Mac, with Rust and Apple's tools:");
        println!("  there, `cargo xtask package macos` makes all of it; what can be made here is");
        println!("  staged in {stage}; see installers/RELEASING.md");
    }
    Ok(made)
}

/// Lays out what is installed, and what the installer is made with.
fn stage_all(build: &Build, programs: &[PathBuf], stage: &Path) -> Result<()> {
    if stage.exists() {
        fs::remove_dir_all(stage)?;
    }
    let root = stage.join("root");
    for name in NODE {
        put_program(programs, name, &root.join("usr/local/bin").join(name))?;
    }
    let source = step::workspace_root().join("installers/macos");
    let uninstall = root.join("usr/local/bin/planetary-uninstall");
    put_text(build, &source.join("planetary-uninstall"), &uninstall, true)?;
    let bundle = root.join(BUNDLE);
    put_text(build, &source.join("Info.plist"), &bundle.join("Info.plist"), false)?;
    put_file(&step::workspace_root().join("icons/icon.icns"), &bundle.join("Resources/icon.icns"))?;
    fs::write(bundle.join("PkgInfo"), "APPL????")?;
    if programs.iter().all(|folder| folder.join(APP).is_file()) {
        put_program(programs, APP, &bundle.join("MacOS").join(APP))?;
    }
    for name in ["components.plist", "distribution.xml"] {
        put_text(build, &source.join(name), &stage.join(name), false)?;
    }
    for name in ["preinstall", "postinstall"] {
        let script = Path::new("scripts").join(name);
        put_text(build, &source.join(&script), &stage.join(&script), true)?;
    }
    put_text(build, &source.join("make.sh"), &stage.join("make.sh"), true)?;
    put_file(&step::workspace_root().join("LICENSE"), &stage.join("resources/LICENSE"))
}

/// Service and command line for whoever wants no app, from any system.
fn pack_node(build: &Build, stage: &Path) -> Result<PathBuf> {
    let name = format!("planetary-network-headless-{}-macos-universal", build.version);
    let folder = build.out.join("macos-node");
    let packed = build.out.join(format!("{name}.tar.gz"));
    let bin = stage.join("root/usr/local/bin");
    let gathered = NODE
        .iter()
        .try_for_each(|name| {
            put_file(&bin.join(name), &folder.join(name))?;
            set_mode(&folder.join(name), true)
        })
        .and_then(|()| put_file(&stage.join("resources/LICENSE"), &folder.join("LICENSE")))
        .and_then(|()| {
            let note = step::workspace_root().join("installers/macos/README.txt");
            put_text(build, &note, &folder.join("README.txt"), false)
        })
        .and_then(|()| archive::tar_gz(&folder, &name, build.epoch, &packed));
    fs::remove_dir_all(&folder)?;
    gathered.map(|()| packed)
}

/// Has Apple's tools make the installer.
fn make_installer(build: &Build, stage: &Path) -> Result<PathBuf> {
    let made = build.out.join(format!("planetary-network-{}-macos-universal.pkg", build.version));
    let mut make = Command::new("sh");
    make.arg(stage.join("make.sh")).arg(stage).arg(&build.version).arg(&made);
    step::openly("macos: make the installer", &mut make)?;
    Ok(made)
}

/// Joins the programs of this name.
fn put_program(programs: &[PathBuf], name: &str, to: &Path) -> Result<()> {
    let read = programs.iter().map(|folder| {
        let file = folder.join(name);
        fs::read(&file).with_context(|| format!("there is no {}", file.display()))
    });
    let joined =
        macho::join(&read.collect::<Result<Vec<_>>>()?).with_context(|| name.to_owned())?;
    make_parent(to)?;
    fs::write(to, joined)?;
    set_mode(to, true)
}

fn put_file(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to).with_context(|| format!("cannot take {}", from.display()))?;
    set_mode(to, false)
}

/// Puts a text in place, with what it leaves open.
fn put_text(build: &Build, from: &Path, to: &Path, runs: bool) -> Result<()> {
    let text = fs::read_to_string(from).with_context(|| from.display().to_string())?;
    let text = text.replace("{{version}}", &build.version).replace("{{oldest}}", OLDEST);
    ensure!(!text.contains("{{"), "{} leaves something open", from.display());
    make_parent(to)?;
    fs::write(to, text)?;
    set_mode(to, runs)
}

fn make_parent(path: &Path) -> Result<()> {
    Ok(path.parent().map_or(Ok(()), fs::create_dir_all)?)
}

#[cfg(unix)]
fn set_mode(path: &Path, runs: bool) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if runs { 0o755 } else { 0o644 };
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: bool) -> Result<()> {
    anyhow::bail!("packages for macOS are made on a system with its rights")
}

#[cfg(unix)]
#[cfg(test)]
#[path = "macos_tests.rs"]
mod tests;
