//! `cargo xtask setup`: installs what the other chores need, on a Debian-like machine and as root.
//!
//! It looks for programs, not for packages, so that whoever has them from elsewhere is left alone,
//! and it is done in a moment when nothing is missing. The reference node comes from the backports
//! suite of the machine's own Debian source: the address of that source is read from apt's lists
//! and is in no file of ours. No service is started: a `policy-rc.d` forbids it while apt works.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::apt_sources;
use crate::step;

/// What a chore needs and the Debian package that has it.
#[derive(Clone, Copy)]
struct Need {
    package: &'static str,
    /// A program on the search path, or an absolute path.
    proof: &'static str,
}

const fn need(package: &'static str, proof: &'static str) -> Need {
    Need { package, proof }
}

/// The reference node; it has a suite of its own to come from.
const REFERENCE: Need = need("yggdrasil", "yggdrasil");

/// The test network: namespaces, filters, load, and a web server.
const LAB: &[Need] = &[
    REFERENCE,
    need("iproute2", "ip"),
    need("iputils-ping", "ping"),
    need("nftables", "nft"),
    need("iperf3", "iperf3"),
    need("curl", "curl"),
    need("netcat-openbsd", "nc"),
    need("openssh-client", "ssh"),
    need("openssh-server", "/usr/sbin/sshd"),
    need("python3", "python3"),
    need("nginx-light", "/usr/sbin/nginx"),
    need("openssl", "openssl"),
    need("dbus-daemon", "dbus-daemon"),
    need("libsystemd-shared", "/usr/share/doc/libsystemd-shared"),
];

/// The resolver that names are tested with. Its package makes it the resolver of the machine, which
/// has none then while nothing starts it; so it is unpacked and not installed.
const RESOLVER: &str = "systemd-resolved";

/// Building for the other systems: a compiler with the source of its own standard library, a linker
/// for Windows, Wine to run what it made, and a virtual environment for the macOS linker.
const CROSS: &[Need] = &[
    need("rustc-web", "/usr/bin/rustc"),
    need("cargo-web", "/usr/bin/cargo"),
    need("rust-web-src", "/usr/share/doc/rust-web-src"),
    need("gcc-mingw-w64-x86-64-posix", "x86_64-w64-mingw32-gcc-posix"),
    need("g++-mingw-w64-x86-64-posix", "x86_64-w64-mingw32-g++-posix"),
    need("wine64", "/usr/lib/wine/wine64"),
    need("wine", "/usr/bin/wineserver"),
    need("python3-venv", "/usr/share/doc/python3-venv"),
];

/// Programs for Linux on ARM: what runs them here, and takes from them what only debuggers read.
const ARM: &[Need] = &[
    need("qemu-user", "qemu-aarch64"),
    need("libc6-arm64-cross", "/usr/aarch64-linux-gnu/lib/libc.so.6"),
    need("libgcc-s1-arm64-cross", "/usr/aarch64-linux-gnu/lib/libgcc_s.so.1"),
    need("binutils-aarch64-linux-gnu", "aarch64-linux-gnu-strip"),
];

/// Installers for Windows: a setup, an MSI, and the same bytes twice.
const WINDOWS: &[Need] = &[
    need("nsis", "makensis"),
    need("wixl", "wixl"),
    need("msitools", "msibuild"),
    need("faketime", "faketime"),
];

/// The desktop app: what it is built with.
const APP_BUILD: &[Need] = &[
    need("build-essential", "cc"),
    need("pkg-config", "pkg-config"),
    need("libwebkit2gtk-4.1-dev", "/usr/include/webkitgtk-4.1/webkit2/webkit2.h"),
    need("libgtk-3-dev", "/usr/include/gtk-3.0/gtk/gtk.h"),
    need("libdbus-1-dev", "/usr/include/dbus-1.0/dbus/dbus.h"),
    need("libayatana-appindicator3-1", "/usr/share/doc/libayatana-appindicator3-1"),
];

/// The desktop app: a display without a screen to test it on, and browsers that tests can steer.
const APP: &[Need] = &[
    need("nodejs", "node"),
    need("npm", "npm"),
    need("webkit2gtk-driver", "WebKitWebDriver"),
    need("xvfb", "Xvfb"),
    need("xauth", "xauth"),
    need("dbus-daemon", "dbus-daemon"),
    need("chromium", "chromium"),
    // Pictures, and what fits into a window, depend on it.
    need("fonts-noto-core", "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf"),
];

/// Making packages for Linux.
const PACKAGE: &[Need] = &[
    need("binutils", "strip"),
    need("dpkg", "dpkg-deb"),
    need("rpm", "rpmbuild"),
    need("coreutils", "md5sum"),
];

/// Testing packages for Linux: what looks at their files.
const PACKAGE_CHECK: &[Need] = &[
    need("shellcheck", "shellcheck"),
    need("desktop-file-utils", "desktop-file-validate"),
    need("appstream", "appstreamcli"),
    need("man-db", "man"),
];

/// Testing packages for Linux: a clean system to install them in, and somebody to look at it.
const CLEAN_SYSTEM: &[Need] = &[
    need("debootstrap", "debootstrap"),
    need("systemd-container", "systemd-nspawn"),
    need("curl", "curl"),
    need("python3", "python3"),
];

/// What to make sure of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Lab,
    Cross,
    /// Programs for Linux on ARM.
    Arm,
    /// Installers for Windows.
    Windows,
    /// All that is done with the app.
    App,
    /// Only to build it.
    AppBuild,
    /// Packages for Linux.
    Package,
    /// Packages for Linux, and what looks at their files.
    PackageCheck,
    /// Packages for Linux, and a clean system to try them in.
    PackageTest,
}

impl Part {
    fn needs(self) -> Vec<Need> {
        match self {
            Self::Lab => LAB.to_vec(),
            Self::Cross => CROSS.to_vec(),
            Self::Arm => ARM.to_vec(),
            Self::Windows => WINDOWS.to_vec(),
            Self::App => [APP_BUILD, APP].concat(),
            Self::AppBuild => APP_BUILD.to_vec(),
            Self::Package => PACKAGE.to_vec(),
            Self::PackageTest => [PACKAGE, PACKAGE_CHECK, CLEAN_SYSTEM].concat(),
            Self::PackageCheck => [PACKAGE, PACKAGE_CHECK].concat(),
        }
    }
}

/// Makes sure that everything the parts need is there.
///
/// # Errors
/// Names what is missing when it cannot be installed: not root, no apt, or apt failed.
pub(crate) fn ensure(parts: &[Part]) -> Result<()> {
    let start = Instant::now();
    let unpacks = parts.contains(&Part::Lab) && !has_resolver();
    let missing: Vec<Need> =
        parts.iter().flat_map(|part| part.needs()).filter(|need| !present(*need)).collect();
    if missing.is_empty() && !unpacks {
        step::report("setup: nothing is missing", true, start);
        return Ok(());
    }
    let names = missing.iter().map(|need| need.package);
    let names: Vec<&str> = names.chain(unpacks.then_some(RESOLVER)).collect();
    println!("setup: missing packages: {}", names.join(" "));
    if step::find_program("apt-get").is_none() {
        bail!("no apt-get here; install these by other means: {}", names.join(" "));
    }
    if !is_root()? {
        bail!("not root; run as root: cargo xtask setup (it installs {})", names.join(" "));
    }
    if !missing.is_empty() {
        install(&missing)?;
    }
    if unpacks {
        unpack_resolver()?;
    }
    let still: Vec<&str> = missing.iter().filter(|n| !present(**n)).map(|n| n.package).collect();
    if !still.is_empty() {
        bail!("installed, and yet not found: {}", still.join(" "));
    }
    step::report("setup", true, start);
    Ok(())
}

fn present(need: Need) -> bool {
    if need.proof.starts_with('/') {
        Path::new(need.proof).exists()
    } else {
        step::find_program(need.proof).is_some()
    }
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot start id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

fn install(missing: &[Need]) -> Result<()> {
    let _quiet = ServicesStayDown::new()?;
    let reference = missing.iter().any(|need| need.package == REFERENCE.package);
    step::quietly("apt-get update", &mut apt(["update"]))?;
    if reference && !offers_reference()? {
        apt_sources::add_backports()?;
        step::quietly("apt-get update, with backports", &mut apt(["update"]))?;
    }
    let plain = missing.iter().map(|need| need.package).filter(|p| *p != REFERENCE.package);
    let plain: Vec<&str> = plain.collect();
    if !plain.is_empty() {
        let mut command = apt(["install", "-y", "--no-install-recommends"]);
        step::quietly("apt-get install", command.args(plain))?;
    }
    if reference {
        let mut command = apt(["install", "-y", "--no-install-recommends"]);
        if let Some(suite) = apt_sources::backports_suite()? {
            command.args(["-t", &suite]);
        }
        step::quietly("apt-get install yggdrasil", command.arg(REFERENCE.package))?;
        disable_reference_unit();
    }
    Ok(())
}

/// Where the resolver is unpacked to; the lab looks for it there.
fn resolver_folder() -> PathBuf {
    step::target_dir().join("lab").join(RESOLVER)
}

fn has_resolver() -> bool {
    let roots = [PathBuf::from("/"), resolver_folder()];
    let programs = ["usr/lib/systemd", "lib/systemd"].map(|folder| format!("{folder}/{RESOLVER}"));
    roots.iter().any(|root| programs.iter().any(|program| root.join(program).is_file()))
}

/// Unpacks the resolver, of the version of the library that it shares with the rest of systemd.
fn unpack_resolver() -> Result<()> {
    let folder = resolver_folder();
    fs::create_dir_all(&folder)?;
    let mut version = Command::new("dpkg-query");
    let output = version.args(["-W", "-f", "${Version}", "libsystemd-shared"]).output()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let package =
        if version.is_empty() { RESOLVER.to_owned() } else { format!("{RESOLVER}={version}") };
    let mut download = apt(["download"]);
    step::quietly("apt-get download", download.arg(package).current_dir(&folder))?;
    let files = fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archive = files.into_iter().find(|file| file.extension().is_some_and(|e| e == "deb"));
    let archive = archive.context("apt-get downloaded nothing")?;
    let mut unpack = Command::new("dpkg-deb");
    step::quietly("unpack the resolver", unpack.arg("-x").arg(&archive).arg(&folder))?;
    fs::remove_file(archive)?;
    Ok(())
}

fn apt<const N: usize>(args: [&str; N]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Whether the lists apt has now hold a reference node of the protocol's version.
fn offers_reference() -> Result<bool> {
    let mut command = Command::new("apt-cache");
    let output = command.args(["madison", REFERENCE.package]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.split('|').nth(1)).any(|v| v.trim().starts_with("0.5.")))
}

/// The package enables its unit; a test machine is not to join the live network at its next start.
fn disable_reference_unit() {
    if step::find_program("systemctl").is_some() {
        // Best effort: where no systemd is installed properly, nothing would start the unit either.
        let _ = Command::new("systemctl").args(["disable", "--quiet", "yggdrasil"]).output();
    }
}

/// While this lives, packages being installed start no service.
struct ServicesStayDown {
    ours: bool,
}

impl ServicesStayDown {
    const POLICY: &'static str = "/usr/sbin/policy-rc.d";

    fn new() -> Result<Self> {
        let ours = !Path::new(Self::POLICY).exists();
        if ours {
            fs::write(Self::POLICY, "#!/bin/sh\nexit 101\n").context("cannot write policy-rc.d")?;
            step::quietly("no service starts", Command::new("chmod").args(["755", Self::POLICY]))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for ServicesStayDown {
    fn drop(&mut self) {
        if self.ours {
            // It was there a moment ago and we are root; nothing sensible is left to do if this
            // fails.
            let _ = fs::remove_file(Self::POLICY);
        }
    }
}
