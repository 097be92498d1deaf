//! Installers for Windows: a setup for people (NSIS) and an MSI for administrators, both x64.
//!
//! What is installed is gathered in one folder first, from which both are made: the programs of
//! the cross build, stripped, and two libraries that come with crates we are built of. `wintun.dll`
//! is passed on unmodified, as its licence asks, with that licence, and only if it is the very file
//! that its makers signed. The installers' own text lies below `installers/windows`.

pub(super) mod trial;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::{Build, sums};
use crate::cross::windows as cross;
use crate::setup::{self, Part};
use crate::{packages, step};

/// Our programs.
const PROGRAMS: [&str; 3] = ["planetary-network.exe", "planetaryd.exe", "planetary.exe"];

/// A library of Microsoft's that the app finds its window with, and the crate that has it.
const WEBVIEW_LOADER: (&str, &str) = ("webview2-com-sys", "x64/WebView2Loader.dll");

/// The driver of the network interface, its licence, and the crate that has both.
const WINTUN: &str = "wintun-bindings";
const WINTUN_LIBRARY: &str = "wintun/bin/amd64/wintun.dll";
const WINTUN_LICENCE: &str = "wintun/LICENSE.txt";

/// The version of Wintun that is in that crate.
pub(crate) const WINTUN_VERSION: &str = "0.14.1";

/// The SHA-256 of its library for amd64, as it was published and signed.
pub(crate) const WINTUN_SUM: &str =
    "e5da8447dc2c320edc0fc52fa01885c103de8c118481f683643cacc3220dafce";

/// Names Microsoft's bootstrapper for WebView2, which the setup runs where that is missing. Without
/// it the setup only says what is missing, and where it is had.
const BOOTSTRAPPER: &str = "PLANETARY_WEBVIEW2";

/// Names a program that signs: it is given a file, which it signs in place. Without it nothing is
/// signed, and Windows warns of what people download.
const SIGNER: &str = "PLANETARY_WINDOWS_SIGN";

/// No installer takes longer to make than this many seconds.
const MAKE_SECONDS: u32 = 600;

/// Makes both.
pub(crate) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    setup::ensure(&[Part::Cross, Part::Windows])?;
    let programs = match &build.programs {
        Some(folder) => folder.clone(),
        None => cross::programs()?,
    };
    make(build, &programs)
}

/// Makes both of the programs in this folder.
fn make(build: &Build, programs: &Path) -> Result<Vec<PathBuf>> {
    let folder = build.out.join("windows-files");
    let signer = file_named_by(SIGNER)?;
    let sign = |file: PathBuf| -> Result<PathBuf> {
        sign(signer.as_deref(), &file)?;
        Ok(file)
    };
    let made = gather(build, programs, signer.as_deref(), &folder).and_then(|()| {
        let setup = sign(make_setup(build, signer.as_deref(), &folder)?)?;
        Ok(vec![setup, sign(make_msi(build, &folder)?)?])
    });
    fs::remove_dir_all(&folder)?;
    made
}

/// Puts into a folder of its own what is installed.
fn gather(build: &Build, programs: &Path, signer: Option<&Path>, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for name in PROGRAMS {
        let program = folder.join(name);
        copy(&programs.join(name), &program)?;
        cross::strip(&program, build.epoch)?;
        sign(signer, &program)?;
    }
    let wintun = folder.join("wintun.dll");
    copy(&of_crate(WINTUN, WINTUN_LIBRARY)?, &wintun)?;
    let sum = sums::of_file(&wintun)?;
    ensure!(sum == WINTUN_SUM, "wintun.dll is not the one that its makers published: {sum}");
    copy(&of_crate(WINTUN, WINTUN_LICENCE)?, &folder.join("wintun-LICENSE.txt"))?;
    let (name, path) = WEBVIEW_LOADER;
    copy(&of_crate(name, path)?, &folder.join("WebView2Loader.dll"))?;
    let root = step::workspace_root();
    copy(&root.join("LICENSE"), &folder.join("LICENSE.txt"))?;
    copy(&root.join("icons/icon.ico"), &folder.join("icon.ico"))?;
    // Both installers tell when a file was last changed.
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(build.epoch);
    for entry in fs::read_dir(folder)? {
        File::options().append(true).open(entry?.path())?.set_modified(time)?;
    }
    Ok(())
}

/// Lets the signer sign a file, if there is one.
fn sign(signer: Option<&Path>, file: &Path) -> Result<()> {
    let Some(signer) = signer else { return Ok(()) };
    let mut command = Command::new(signer);
    let mut command = step::within(MAKE_SECONDS, command.arg(file));
    step::quietly("windows: sign", &mut command).map(drop)
}

/// The file that an environment variable names, if it is set.
fn file_named_by(variable: &str) -> Result<Option<PathBuf>> {
    let Some(named) = std::env::var_os(variable).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(named);
    let path =
        fs::canonicalize(&path).with_context(|| format!("{variable}: {}", path.display()))?;
    ensure!(path.is_file(), "{variable}: {} is no file", path.display());
    Ok(Some(path))
}

/// Copies what a file holds, and not that it may be for reading only, as sources of crates are.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot take {}", from.display()))?;
    Ok(fs::write(to, bytes)?)
}

/// A file of a crate that we are built of.
fn of_crate(name: &str, path: &str) -> Result<PathBuf> {
    let all = packages::all()?;
    let mut found = all.iter().filter(|package| package.name == name);
    let package = found.next().with_context(|| format!("{name} is no longer needed"))?;
    ensure!(found.next().is_none(), "two versions of {name}");
    Ok(package.folder.join(path))
}

/// The setup for people.
fn make_setup(build: &Build, signer: Option<&Path>, files: &Path) -> Result<PathBuf> {
    let made = build.out.join(format!("planetary-network-{}-x64-setup.exe", build.version));
    let define = |name: &str, path: &Path| format!("-D{name}={}", path.display());
    let mut makensis = Command::new("makensis");
    makensis
        .args(["-V2", "-WX", "-INPUTCHARSET", "UTF8"])
        .arg(format!("-DVERSION={}", build.version))
        .arg(define("OUT", &made))
        .arg(define("PROGRAMS", files))
        .arg(define("LICENCE", &files.join("LICENSE.txt")))
        .arg(define("ICON", &files.join("icon.ico")))
        .env("SOURCE_DATE_EPOCH", build.epoch.to_string());
    if let Some(bootstrapper) = file_named_by(BOOTSTRAPPER)? {
        makensis.arg(define("WEBVIEW", &bootstrapper));
    }
    // The uninstaller is made by the setup's maker, which has to let it be signed.
    if let Some(signer) = signer {
        makensis.arg(define("SIGNER", signer));
    }
    makensis.arg(script("setup.nsi"));
    step::quietly("windows: make the setup", &mut step::within(MAKE_SECONDS, &makensis))?;
    Ok(made)
}

/// The package for administrators.
fn make_msi(build: &Build, files: &Path) -> Result<PathBuf> {
    let made = build.out.join(format!("planetary-network-{}-x64.msi", build.version));
    let mut wixl = at(build)?;
    wixl.args(["wixl", "-a", "x64", "-o"])
        .arg(&made)
        .args(["-D", &format!("Version={}", build.version)])
        .args(["-D", &format!("Product={}", guid(&[b"product", build.version.as_bytes()]))])
        .arg(script("package.wxs"))
        // It takes files from the folder that it is started in.
        .current_dir(files);
    step::quietly("windows: make the MSI", &mut step::within(MAKE_SECONDS, &wixl))?;
    // Windows takes packages with the same number for the same file, so it follows from the bytes.
    let sum = sums::of_folder(files)?.into_values().collect::<String>();
    let text = fs::read(script("package.wxs"))?;
    let code = guid(&[b"package", build.version.as_bytes(), sum.as_bytes(), &text]);
    let mut msibuild = at(build)?;
    msibuild.arg("msibuild").arg(&made);
    let name = "Planetary Network";
    msibuild.args(["-s", name, name, "x64;1033", &format!("{{{code}}}")]);
    step::quietly("windows: number the MSI", &mut step::within(MAKE_SECONDS, &msibuild))?;
    Ok(made)
}

/// A command for which the clock stands still at the time of the commit: the MSI says when it was
/// made.
fn at(build: &Build) -> Result<Command> {
    let mut date = Command::new("date");
    let output = date.args(["-u", "-d", &format!("@{}", build.epoch), "+%F %T"]).output()?;
    ensure!(output.status.success(), "{} is no time", build.epoch);
    let mut command = Command::new("faketime");
    command.args(["-f", String::from_utf8(output.stdout)?.trim()]).env("TZ", "UTC");
    Ok(command)
}

/// A number as Windows writes it that follows from these texts, and from nothing else.
fn guid(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"planetary network, windows");
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&hasher.finalize()[..16]);
    // Version 8, of the usual kind (RFC 9562).
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode_upper(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn script(name: &str) -> PathBuf {
    step::workspace_root().join("installers/windows").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the tools are there. Where everything must be tested, they must be.
    fn has_tools() -> bool {
        let tools = ["makensis", "wixl", "msibuild", "msiinfo", "faketime"];
        let missing = tools.iter().find(|tool| step::find_program(tool).is_none());
        assert!(missing.is_none() || std::env::var_os("CI").is_none(), "no {missing:?}");
        missing.is_none()
    }

    /// A folder with programs that are none, and a build that takes them.
    fn dummies(out: &Path) -> Build {
        let files = out.join("files");
        fs::create_dir_all(&files).unwrap();
        let others = ["wintun.dll", "wintun-LICENSE.txt", "WebView2Loader.dll", "LICENSE.txt"];
        for name in PROGRAMS.into_iter().chain(others) {
            fs::write(files.join(name), name).unwrap();
        }
        fs::copy(step::workspace_root().join("icons/icon.ico"), files.join("icon.ico")).unwrap();
        let (version, out) = ("1.2.3".to_owned(), out.to_owned());
        Build { version, epoch: 1_795_000_000, out, programs: None }
    }

    #[test]
    fn the_driver_is_the_one_that_was_signed() {
        let library = of_crate(WINTUN, WINTUN_LIBRARY).unwrap();
        assert_eq!(sums::of_file(&library).unwrap(), WINTUN_SUM);
        let licence = fs::read_to_string(of_crate(WINTUN, WINTUN_LICENCE).unwrap()).unwrap();
        assert!(licence.contains("Prebuilt Binaries License"), "{licence}");
        let (name, path) = WEBVIEW_LOADER;
        assert!(of_crate(name, path).unwrap().is_file());
    }

    #[test]
    fn a_setup_is_made_of_its_script_without_a_warning() {
        if !has_tools() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let build = dummies(folder.path());
        let made = make_setup(&build, None, &folder.path().join("files")).unwrap();
        assert!(made.ends_with("planetary-network-1.2.3-x64-setup.exe"));
        let bytes = fs::read(made).unwrap();
        assert_eq!(&bytes[..2], b"MZ");
        // Its own description has the version, in the system's characters.
        let version: Vec<u8> = "1.2.3\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(bytes.windows(version.len()).any(|part| part == version));
    }

    #[test]
    fn what_the_setup_makes_is_signed_as_well() {
        if !has_tools() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let build = dummies(folder.path());
        let (signer, signed) = (folder.path().join("sign.sh"), folder.path().join("signed"));
        let text = format!("#!/bin/sh\nhead -c 2 \"$1\" >> {}\n", signed.display());
        fs::write(&signer, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&signer, mode).unwrap();
        make_setup(&build, Some(&signer), &folder.path().join("files")).unwrap();
        sign(Some(&signer), &signer).unwrap();
        // The uninstaller, and then the script itself.
        assert_eq!(fs::read_to_string(signed).unwrap(), "MZ#!");
    }

    #[test]
    fn an_msi_leaves_the_system_to_the_service_and_the_key_to_the_person() {
        if !has_tools() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let build = dummies(folder.path());
        let made = make_msi(&build, &folder.path().join("files")).unwrap();
        let table = |name: &str| {
            let output = Command::new("msiinfo").arg("export").arg(&made).arg(name).output();
            String::from_utf8(output.unwrap().stdout).unwrap().replace('\r', "")
        };
        // Deferred, as the system, and its outcome counts: 18 + 1024 + 2048.
        let actions = table("CustomAction");
        for line in [
            "InstallService\t3090\tservice\tinstall",
            "RemoveService\t3090\tservice\tuninstall\t",
            "PurgeService\t3090\tservice\tuninstall --purge",
        ] {
            assert!(actions.contains(line), "{line}\n{actions}");
        }
        let sequence = table("InstallExecuteSequence");
        let place = |action: &str| -> u32 {
            let line = sequence.lines().find(|line| line.split('\t').next() == Some(action));
            line.unwrap().rsplit('\t').next().unwrap().parse().unwrap()
        };
        let order = [
            "LaunchConditions",
            "RemoveExistingProducts",
            "StopServices",
            "RemoveService",
            "PurgeService",
            "RemoveFiles",
            "InstallFiles",
            "InstallService",
            "InstallFinalize",
        ];
        assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{sequence}");
        let properties = table("Property");
        assert!(properties.contains("ProductVersion\t1.2.3\n"), "{properties}");
        let keys = table("Registry");
        assert!(keys.contains("\"[INSTALLDIR]planetary-network.exe\" \"%1\""), "{keys}");
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        if !has_tools() {
            return;
        }
        let sums = [(), ()].map(|()| {
            let folder = tempfile::tempdir().unwrap();
            let build = dummies(folder.path());
            let files = folder.path().join("files");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(build.epoch);
            for entry in fs::read_dir(&files).unwrap() {
                let file = File::options().append(true).open(entry.unwrap().path()).unwrap();
                file.set_modified(time).unwrap();
            }
            let made =
                [make_setup(&build, None, &files).unwrap(), make_msi(&build, &files).unwrap()];
            made.map(|file| sums::of_file(&file).unwrap())
        });
        assert_eq!(sums[0], sums[1]);
    }

    #[test]
    fn numbers_follow_from_what_they_stand_for() {
        let one = guid(&[b"product", b"1.2.3"]);
        assert_eq!(one, guid(&[b"product", b"1.2.3"]));
        assert_ne!(one, guid(&[b"product", b"1.2.4"]));
        assert_ne!(one, guid(&[b"product1", b".2.3"]));
        assert_eq!((one.len(), &one[14..15]), (36, "8"));
    }
}
