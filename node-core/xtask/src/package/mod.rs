//! `cargo xtask package`: what people download, into `target/packages/`.
//!
//! One module a system. Each is given a [`Build`], makes its files in `Build::out` and returns
//! them; what holds for all of them, sizes and checksums among it, is done here. The version is
//! that of the workspace and stands nowhere else: templates below `installers/` have a place for
//! it.

pub(crate) mod archive;
pub(crate) mod linux;
mod macho;
mod macos;
pub(crate) mod sums;
pub(crate) mod windows;

pub(crate) use self::windows::trial::run as try_windows;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::{packages, step};

/// What is packaged, and of what.
#[derive(Args)]
pub(crate) struct Arguments {
    /// For which systems
    #[arg(value_enum, default_values_t = [System::Linux])]
    systems: Vec<System>,
    /// Take the programs from this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Stamp the packages with another version than the workspace's
    #[arg(long, value_name = "X.Y.Z")]
    stamp: Option<String>,
    /// Make everything a second time, and fail where the bytes are not the same
    #[arg(long)]
    twice: bool,
}

/// A system that there are packages for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    Linux,
    /// On 64-bit ARM, without the app
    LinuxArm64,
    Windows,
    Macos,
    All,
}

/// What a system's module works from.
pub(crate) struct Build {
    /// `X.Y.Z`, as all packages say.
    pub(crate) version: String,
    /// The time of the commit in seconds since 1970: nothing in a package is younger, so that the
    /// same commit gives the same bytes where the tools allow it.
    pub(crate) epoch: u64,
    /// Where packages are put.
    pub(crate) out: PathBuf,
    /// Where the programs are, if they are not to be built.
    pub(crate) programs: Option<PathBuf>,
}

/// Makes the packages of one system and returns their files.
type Maker = fn(&Build) -> Result<Vec<PathBuf>>;

/// Makes the packages, and tells their sizes and sums.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let build = Build::new(arguments)?;
    let wants = |system| arguments.systems.iter().any(|at| [system, System::All].contains(at));
    let makers: [(System, Maker); 4] = [
        (System::Linux, linux::build),
        (System::LinuxArm64, linux::build_for_arm),
        (System::Windows, windows::build),
        (System::Macos, macos::build),
    ];
    let makers = makers.into_iter().filter(|(system, _)| wants(*system)).map(|(_, make)| make);
    let makers: Vec<Maker> = makers.collect();
    let made = make(&makers, &build)?;
    for file in &made {
        let len = fs::metadata(file)?.len();
        println!("{:8.2} MB  {}", len as f64 / 1e6, file.display());
    }
    if arguments.twice {
        let out = step::target_dir().join("packages-again");
        let again = make(&makers, &build.elsewhere(out.clone())?);
        let outcome = again.and_then(|again| same_bytes(&made, &again));
        fs::remove_dir_all(out)?;
        outcome?;
    }
    println!("{}", sums::write(&build.out)?.display());
    Ok(())
}

/// The packages of several systems.
fn make(makers: &[Maker], build: &Build) -> Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    for make in makers {
        made.extend(make(build)?);
    }
    Ok(made)
}

/// Fails unless files of the same names hold the same bytes.
fn same_bytes(made: &[PathBuf], again: &[PathBuf]) -> Result<()> {
    let names = |files: &[PathBuf]| -> Vec<_> {
        files.iter().map(|file| file.file_name().map(ToOwned::to_owned)).collect()
    };
    ensure!(names(made) == names(again), "other files the second time: {again:?}");
    let differs = |(one, other): &(&PathBuf, &PathBuf)| -> Result<bool> {
        Ok(sums::of_file(one)? != sums::of_file(other)?)
    };
    let mut different = Vec::new();
    for pair in made.iter().zip(again) {
        if differs(&pair)? {
            different.push(pair.0.display().to_string());
        }
    }
    ensure!(different.is_empty(), "other bytes the second time:\n  {}", different.join("\n  "));
    println!("[ok  ] the same bytes twice: {} files", made.len());
    Ok(())
}

impl Build {
    fn new(arguments: &Arguments) -> Result<Self> {
        let version = match &arguments.stamp {
            Some(stamp) => stamp.clone(),
            None => packages::version()?,
        };
        Self::into(version, step::target_dir().join("packages"), arguments.programs.clone())
    }

    /// What goes into the folder `out`.
    pub(crate) fn into(version: String, out: PathBuf, programs: Option<PathBuf>) -> Result<Self> {
        fs::create_dir_all(&out)?;
        Ok(Self { version, epoch: commit_time()?, out, programs })
    }

    /// The same, put somewhere else.
    fn elsewhere(&self, out: PathBuf) -> Result<Self> {
        fs::create_dir_all(&out)?;
        let (version, programs) = (self.version.clone(), self.programs.clone());
        Ok(Self { version, epoch: self.epoch, out, programs })
    }
}

/// When the commit was made that is checked out, unless `SOURCE_DATE_EPOCH` says another time.
pub(crate) fn commit_time() -> Result<u64> {
    if let Ok(set) = std::env::var("SOURCE_DATE_EPOCH") {
        return set.parse().context("SOURCE_DATE_EPOCH is no number of seconds");
    }
    let output = Command::new("git").args(["log", "-1", "--format=%ct"]).output()?;
    ensure!(output.status.success(), "git knows no commit");
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_are_found_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let made = [file("one/a", "same"), file("one/b", "this")];
        same_bytes(&made, &[file("two/a", "same"), file("two/b", "this")]).unwrap();
        let error = same_bytes(&made, &[file("two/a", "same"), file("two/b", "that")]);
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("one/b") && !error.contains("one/a"), "{error}");
        assert!(same_bytes(&made, &[file("two/a", "same")]).is_err());
    }
}
