//! Packages for Linux: `.deb`, `.rpm` and `.tar.gz`, each with the app and without.
//!
//! `tree` is the one list of what lies where with which mode; it is staged below `staged/` for each
//! kind and layout. `deb`, `rpm` and `tarball` put such a tree into a file, with scripts from
//! `installers/linux` that `template` fills. What is in a package and what its scripts do is tested
//! by `cargo xtask package-test` (`crate::package_test`).

pub(crate) mod deb;
mod rpm;
#[cfg(unix)]
#[cfg(test)]
mod script_tests;
mod tarball;
pub(crate) mod template;
pub(crate) mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use self::template::{Template, Values};
use self::tree::{Layout, Material};
use super::Build;
use crate::cross::arm;
use crate::setup::{self, Part};
use crate::{app, programs, step};

/// The program that makes the difference between the two kinds.
pub(crate) const APP: &str = "planetary-network";

/// What a package is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A person's computer: app, service and command line.
    Desktop,
    /// A server: service and command line.
    Headless,
}

/// What the programs run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
}

/// A tree that is staged, and what is said about it.
struct Package<'a> {
    kind: Kind,
    machine: Machine,
    build: &'a Build,
    /// The newest version of glibc that the programs ask for, such as `2.34`.
    glibc: String,
    /// The folder that is `/`.
    staged: PathBuf,
    /// Files that are in it, relative to it.
    files: Vec<String>,
}

impl Kind {
    /// The name of the package.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Desktop => "planetary-network",
            Self::Headless => "planetary-network-headless",
        }
    }

    fn summary(self) -> &'static str {
        match self {
            Self::Desktop => "Reach your computers and your friends, wherever they are",
            Self::Headless => "Node of the Planetary Network, without the desktop app",
        }
    }

    /// What it is, in paragraphs.
    fn description(self) -> [&'static str; 2] {
        let network = "An end-to-end encrypted IPv6 network in which an address is a public key, \
                       and no server is in charge. It speaks the protocol of the Yggdrasil \
                       network, version 0.5.";
        let content = match self {
            Self::Desktop => {
                "This package brings the desktop app, the node as a system service, and the \
                 command line planetary."
            }
            Self::Headless => {
                "This package brings the node as a system service and the command line planetary. \
                 The package planetary-network has the desktop app as well and takes its place."
            }
        };
        [network, content]
    }
}

impl Machine {
    /// What the kernel and rpm call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// What Debian calls it.
    pub(crate) fn debian_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Reads it off a program: `e_machine` of the ELF header, at offset 18.
    fn of_program(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        ensure!(bytes.starts_with(b"\x7fELF"), "{} is no program for Linux", path.display());
        match bytes.get(18..20) {
            Some([62, 0]) => Ok(Self::X86_64),
            Some([183, 0]) => Ok(Self::Aarch64),
            other => anyhow::bail!("{} is for the machine {other:?}", path.display()),
        }
    }

    /// A command that runs a program for this machine.
    fn runs(self, program: &Path) -> Command {
        match self {
            Self::Aarch64 if !self.is_ours() => arm::emulated(program),
            _ => Command::new(program),
        }
    }

    /// The program that takes from others what only debuggers read.
    fn strip(self) -> Command {
        match self {
            Self::Aarch64 if !self.is_ours() => arm::strip(),
            _ => Command::new("strip"),
        }
    }

    fn is_ours(self) -> bool {
        self.name() == std::env::consts::ARCH
    }
}

impl Package<'_> {
    /// What scripts and descriptions have places for.
    fn values(&self) -> Values {
        Values::from([
            ("PACKAGE", self.kind.name().to_owned()),
            ("VERSION", package_version(&self.build.version)),
            ("SUMMARY", self.kind.summary().to_owned()),
        ])
    }
}

/// Makes all packages of the programs that are there: those of this machine, which are built unless
/// a folder is named.
pub(crate) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    setup::ensure(&[Part::Package])?;
    match &build.programs {
        Some(folder) => packages(folder, build),
        None => packages(&release_programs()?, build),
    }
}

/// Makes the packages without the app for 64-bit ARM.
pub(crate) fn build_for_arm(build: &Build) -> Result<Vec<PathBuf>> {
    setup::ensure(&[Part::Package])?;
    packages(&arm::programs()?, build)
}

fn packages(built: &Path, build: &Build) -> Result<Vec<PathBuf>> {
    let machine = Machine::of_program(&programs::program(built, "planetaryd"))?;
    let mut kinds = vec![Kind::Headless];
    if programs::program(built, APP).is_file() {
        kinds.push(Kind::Desktop);
    } else {
        println!("no {APP} in {}: headless packages only", built.display());
    }
    let material = Material::new(built, machine, build)?;
    let mut made = Vec::new();
    for kind in kinds {
        made.push(deb::make(&package(kind, Layout::Debian, &material, build)?)?);
        made.push(rpm::make(&package(kind, Layout::Rpm, &material, build)?)?);
        made.push(tarball::make(&package(kind, Layout::Local, &material, build)?)?);
    }
    Ok(made)
}

/// Stages one tree.
fn package<'a>(
    kind: Kind,
    layout: Layout,
    material: &Material,
    build: &'a Build,
) -> Result<Package<'a>> {
    let name = format!("{}-{}", kind.name(), layout.name());
    let staged = build.out.join("staged").join(name);
    let list = tree::list(kind, layout, &material.pages()?);
    let values = Values::from([("VERSION", build.version.clone()), ("DATE", date(build.epoch)?)]);
    tree::stage(&list, &staged, material, &values)?;
    Ok(Package {
        kind,
        machine: material.machine,
        build,
        glibc: material.glibc.clone(),
        staged,
        files: list.into_iter().map(|entry| entry.path).collect(),
    })
}

/// The three programs as they ship.
fn release_programs() -> Result<PathBuf> {
    setup::ensure(&[Part::AppBuild])?;
    app::build_pages()?;
    let mut command = step::cargo(["build", "--release", "--locked"]);
    command.args(["-p", "planetaryd", "-p", "planetary", "-p", APP]);
    step::openly("build the programs as they ship", &mut command)?;
    Ok(step::target_dir().join("release"))
}

/// A version as packages order them: `1.0.0-rc.1` comes before `1.0.0`.
fn package_version(version: &str) -> String {
    version.replace('-', "~")
}

/// The day of a time in seconds since 1970, in UTC.
fn date(epoch: u64) -> Result<String> {
    let mut command = Command::new("date");
    let output = command.args(["-u", "-d", &format!("@{epoch}"), "+%F"]).output()?;
    ensure!(output.status.success(), "date did not understand {epoch}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A script or description of `installers/linux`, filled.
fn filled(name: &str, values: &Values) -> Result<String> {
    Template::read(name)?.fill(values)
}
