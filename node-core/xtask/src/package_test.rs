//! `cargo xtask package-test`: the packages for Linux, looked at and tried.
//!
//! The quick part makes them and compares every file in them with the list that they are made of,
//! and lets the tools of each format look at the rest. With `--all` they live a life in a clean
//! Debian: `installers/linux/tests/walk.sh`. What the scripts of packages do is tested beside
//! `package::linux` as well, without packages and without root.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::package::linux::tree::{self, Layout};
use crate::package::linux::{self, Kind, deb};
use crate::package::{Build, archive};
use crate::setup::{self, Part};
use crate::step::{self, Tally};
use crate::{apt_sources, packages};

/// How far to go.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Take the programs from this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Let packages be of any size: the programs are not those that ship
    #[arg(long)]
    any_size: bool,
    /// Also install, upgrade and remove them in a clean Debian, and open the app there
    #[arg(long)]
    all: bool,
}

/// A package is not larger than this; an archive that anybody can unpack, packed less well, not
/// than that.
const SIZE_MAX: u64 = 15_000_000;
const ARCHIVE_SIZE_MAX: u64 = 20_000_000;

/// No walk takes longer than this many seconds.
const WALK_SECONDS: &str = "1500";

/// The oldest version there is: every other one is an upgrade of it.
const OLD: &str = "0.0.1";

/// A file as a package lists it: its mode and owner.
type Listing = BTreeMap<String, (u32, String)>;

/// Makes and tests the packages, with programs that are built or given.
pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    test(arguments.programs.as_deref(), arguments.any_size, arguments.all)
}

/// The quick part, and the walk.
pub(crate) fn test(programs: Option<&Path>, any_size: bool, all: bool) -> Result<Tally> {
    setup::ensure(&[if all { Part::PackageTest } else { Part::PackageCheck }])?;
    let folder = step::target_dir().join("package-test");
    let version = packages::version()?;
    let out = folder.join("new");
    let new = Build::into(version, out.clone(), programs.map(Path::to_owned))?;
    let made = linux::build(&new)?;
    let mut tally = Tally::default();
    let mut check = |title: &str, check: &dyn Fn() -> Result<()>| {
        let start = Instant::now();
        let outcome = check();
        if let Err(error) = &outcome {
            println!("{error:#}");
        }
        step::report(title, outcome.is_ok(), start);
        tally.add(Tally::one(outcome.is_ok()));
    };
    for file in &made {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let size = fs::metadata(file)?.len();
        println!("{:8.2} MB  {name}", size as f64 / 1e6);
        check(&format!("{name}: files, modes, owners"), &|| check_files(file, &out));
        if !any_size {
            check(&format!("{name}: size"), &|| check_size(&name, size));
        }
        check(&format!("{name}: scripts"), &|| check_scripts(file, &folder));
    }
    check("what desktops read", &|| check_desktop(&out.join("staged")));
    check("manual and completions", &|| check_manual(&out.join("staged/manual")));
    if all {
        // The programs that were built a moment ago, under another version.
        let built = programs.map_or_else(|| step::target_dir().join("release"), Path::to_owned);
        let old = Build::into(OLD.to_owned(), folder.join("old"), Some(built))?;
        linux::build(&old)?;
        check("a life in a clean Debian", &|| walk(&folder, &old.out, &out));
    }
    Ok(tally)
}

fn check_size(name: &str, size: u64) -> Result<()> {
    let most = if name.ends_with(".gz") { ARCHIVE_SIZE_MAX } else { SIZE_MAX };
    ensure!(size <= most, "{name} has {size} bytes, where {most} are the most");
    Ok(())
}

/// Compares what is in a package with the list that it is made of.
fn check_files(file: &Path, out: &Path) -> Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let kind = if name.contains("headless") { Kind::Headless } else { Kind::Desktop };
    let mut pages = Vec::new();
    for path in archive::below(&out.join("staged/manual/man"))? {
        if path.is_file() {
            pages.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    ensure!(pages.len() > 50, "only {} manual pages", pages.len());
    let (layout, found) = match Path::new(&name).extension().and_then(|ending| ending.to_str()) {
        Some("deb") => (Layout::Debian, listing_of_tar(&unpacked_deb(file)?)?),
        Some("rpm") => (Layout::Rpm, listing_of_rpm(file)?),
        _ => (Layout::Local, listing_of_archive(file)?),
    };
    let list = tree::list(kind, layout, &pages);
    let root = "root/root".to_owned();
    let expected: Listing =
        list.into_iter().map(|entry| (entry.path, (entry.mode, root.clone()))).collect();
    for (path, expected) in &expected {
        let found = found.get(path).with_context(|| format!("{path} is missing"))?;
        ensure!(found == expected, "{path} is {found:?}, not {expected:?}");
    }
    let more: Vec<&String> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
    ensure!(more.is_empty(), "files that are on no list: {more:?}");
    Ok(())
}

/// What `tar` lists of the files in a package of Debian.
fn unpacked_deb(file: &Path) -> Result<String> {
    output(Command::new("dpkg-deb").arg("--contents").arg(file))
}

fn listing_of_archive(file: &Path) -> Result<Listing> {
    let all = listing_of_tar(&output(Command::new("tar").arg("-tvzf").arg(file))?)?;
    let mut files = Listing::new();
    for (path, about) in all {
        let inside = path.split_once('/').map(|(_, inside)| inside).unwrap_or_default();
        match inside.strip_prefix("files/") {
            Some(path) => drop(files.insert(path.to_owned(), about)),
            None => ensure!(
                ["install.sh", "uninstall.sh", "LICENSE"].contains(&inside),
                "{path} is on no list"
            ),
        }
    }
    Ok(files)
}

/// Reads lines of `tar -tv`; folders are left out.
fn listing_of_tar(text: &str) -> Result<Listing> {
    let mut files = Listing::new();
    for line in text.lines().filter(|line| !line.starts_with('d')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [rights, owner, _, _, _, path] = words[..] else { anyhow::bail!("no file: {line}") };
        let path = path.trim_start_matches("./").to_owned();
        files.insert(path, (mode(rights)?, owner.to_owned()));
    }
    Ok(files)
}

fn listing_of_rpm(file: &Path) -> Result<Listing> {
    let format = "[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\\n]";
    let text = output(Command::new("rpm").args(["-qp", "--qf", format]).arg(file))?;
    let mut files = Listing::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [rights, owner, path] = words[..] else { anyhow::bail!("no file: {line}") };
        files.insert(path.trim_start_matches('/').to_owned(), (mode(rights)?, owner.to_owned()));
    }
    Ok(files)
}

/// Reads rights as `-rwxr-xr-x`.
fn mode(rights: &str) -> Result<u32> {
    ensure!(rights.len() == 10 && rights.starts_with('-'), "no rights of a file: {rights}");
    Ok(rights[1..].bytes().fold(0, |mode, right| mode << 1 | u32::from(right != b'-')))
}

/// Lets a shell and a checker read every script of a package.
fn check_scripts(file: &Path, folder: &Path) -> Result<()> {
    let scripts = folder.join("scripts");
    if scripts.exists() {
        fs::remove_dir_all(&scripts)?;
    }
    fs::create_dir_all(&scripts)?;
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let names: Vec<PathBuf> = match ending {
        "deb" => {
            output(Command::new("dpkg-deb").arg("--control").arg(file).arg(&scripts))?;
            deb::SCRIPTS.map(|name| scripts.join(name)).into()
        }
        "rpm" => ["%{POSTIN}", "%{PREUN}", "%{POSTUN}"]
            .into_iter()
            .map(|tag| {
                let path = scripts.join(tag.trim_matches(['%', '{', '}']));
                let text = output(Command::new("rpm").args(["-qp", "--qf", tag]).arg(file))?;
                ensure!(text.contains("planetaryd.service"), "no script {tag}: {text}");
                fs::write(&path, text)?;
                Ok(path)
            })
            .collect::<Result<_>>()?,
        _ => {
            let mut unpack = Command::new("tar");
            unpack.args(["-xzf"]).arg(file).arg("-C").arg(&scripts);
            unpack.args(["--strip-components=1", "--wildcards", "*/*install.sh"]);
            output(&mut unpack)?;
            ["install.sh", "uninstall.sh"].map(|name| scripts.join(name)).into()
        }
    };
    for script in &names {
        output(Command::new("sh").arg("-n").arg(script))?;
        // Not followed: what Debian's own question asker says. Expressions in single quotes are
        // meant for another shell.
        let mut checker = Command::new("shellcheck");
        output(checker.args(["--shell=sh", "--exclude=SC1091,SC2016,SC2034"]).arg(script))?;
    }
    fs::remove_dir_all(&scripts)?;
    Ok(())
}

/// Lets the tools of desktops read what is for them.
fn check_desktop(staged: &Path) -> Result<()> {
    let desktop = staged.join("planetary-network-deb");
    if !desktop.exists() {
        println!("no app, and so nothing for desktops");
        return Ok(());
    }
    let share = desktop.join("usr/share");
    let entry = share.join("applications/planetary-network.desktop");
    output(Command::new("desktop-file-validate").arg(&entry))?;
    let about = share.join("metainfo/net.planetary.PlanetaryNetwork.metainfo.xml");
    output(Command::new("appstreamcli").args(["validate", "--no-net"]).arg(about))?;
    let entry = fs::read_to_string(entry)?;
    for line in ["Exec=planetary-network %u", "MimeType=x-scheme-handler/planetary;"] {
        ensure!(entry.lines().any(|found| found == line), "the desktop entry lacks {line}");
    }
    Ok(())
}

/// Lets `man` and the shells read what is for them.
fn check_manual(manual: &Path) -> Result<()> {
    for page in archive::below(&manual.join("man"))?.iter().filter(|path| path.is_file()) {
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(page);
        let run = man.env("MANROFFSEQ", "").output().context("cannot start man")?;
        let told = String::from_utf8_lossy(&run.stderr);
        ensure!(run.status.success() && told.is_empty(), "{}: {told}", page.display());
    }
    for program in ["planetary", "planetaryd"] {
        let file = manual.join(format!("completions/{program}.bash"));
        output(Command::new("bash").arg("-n").arg(&file))?;
        // What somebody gets who presses the key after two letters.
        let script = format!(
            "source {}; COMP_WORDS=({program} un); COMP_CWORD=1; \
             _{program} {program} un {program}; echo ${{COMPREPLY[@]}}",
            file.display()
        );
        if program == "planetaryd" {
            let offered = output(Command::new("bash").args(["-c", &script]))?;
            ensure!(offered.trim() == "uninstall", "offered after `planetaryd un`: {offered}");
        }
    }
    Ok(())
}

/// Lets the packages live in a clean Debian, which is made once.
fn walk(folder: &Path, old: &Path, new: &Path) -> Result<()> {
    let base = folder.join("debian");
    if !base.join("usr/bin/pkexec").exists() {
        let parts = "systemd,systemd-sysv,dbus,libpam-systemd,polkitd,pkexec,iproute2";
        let mut bootstrap = Command::new("debootstrap");
        bootstrap.args(["--variant=minbase", &format!("--include={parts}"), "bookworm"]);
        bootstrap.arg(&base).arg(apt_sources::mirror("bookworm")?);
        step::quietly("make a clean Debian", &mut bootstrap)?;
    }
    let script = linux::template::folder().join("tests/walk.sh");
    let mut walk = Command::new("timeout");
    walk.args(["-k", "30", WALK_SECONDS, "bash"]).arg(script);
    walk.arg(&base).arg(folder.join("walk")).arg(old).arg(new);
    step::openly("install, upgrade, remove, purge; open the app", &mut walk)
}

/// Runs a program to its end, and gives what it wrote.
///
/// # Errors
/// When it fails, with all that it wrote.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let run = command.output().with_context(|| format!("cannot start {name}"))?;
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let told = String::from_utf8_lossy(&run.stderr);
    ensure!(run.status.success(), "{name} ({}): {text}{told}", run.status);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read() {
        assert_eq!(mode("-rwxr-xr-x").unwrap(), 0o755);
        assert_eq!(mode("-rw-r-----").unwrap(), 0o640);
        assert!(mode("drwxr-xr-x").is_err() && mode("-rw").is_err());
    }

    #[test]
    fn lists_of_tar_are_read() {
        let text = "drwxr-xr-x root/root 0 2026-01-01 00:00 ./usr/\n\
                    -rw-r--r-- root/root 12 2026-01-01 00:00 ./usr/a\n";
        let expected = (0o644, "root/root".to_owned());
        assert_eq!(listing_of_tar(text).unwrap(), Listing::from([("usr/a".to_owned(), expected)]));
        assert!(listing_of_tar("-rw-r--r-- half a line").is_err());
    }
}
