//! What lies where, with which mode: the one list that all packages for Linux are made of.
//!
//! Three layouts differ in few places: Debian's packages and rpm's have their own folder for
//! completions of zsh, and an archive that anybody can unpack puts everything below `/usr/local`,
//! where no package manager interferes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

use super::template::{Template, Values};
use super::{Build, Kind, Machine};
use crate::{programs, step};

/// Whose folders are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Debian,
    Rpm,
    /// Below `/usr/local`.
    Local,
}

/// A file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it goes, relative to the root.
    pub(crate) path: String,
    pub(crate) mode: u32,
    source: Source,
}

/// Where the content of a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// A program, stripped.
    Program(&'static str),
    /// A file of the repository.
    File(&'static str),
    /// A file of the repository, compressed.
    Compressed(&'static str),
    /// A template of `installers/linux`.
    Filled(&'static str),
    /// The unit, which names the folder of the program.
    Unit,
    /// A completion, by the name that the programs give it.
    Completion(String),
    /// A manual page, compressed.
    Page(String),
}

/// What trees are made of.
pub(crate) struct Material {
    pub(crate) machine: Machine,
    /// The newest version of glibc that the programs ask for.
    pub(crate) glibc: String,
    programs: PathBuf,
    /// What the programs write themselves: `man` and `completions`.
    manual: PathBuf,
}

const UNIT: &str = "installers/linux/planetaryd.service";

/// Pictures of the app and the size that they have.
const ICONS: [(&str, &str); 9] = [
    ("16x16/apps/planetary-network.png", "icons/16x16.png"),
    ("24x24/apps/planetary-network.png", "icons/24x24.png"),
    ("32x32/apps/planetary-network.png", "icons/32x32.png"),
    ("48x48/apps/planetary-network.png", "icons/48x48.png"),
    ("64x64/apps/planetary-network.png", "icons/64x64.png"),
    ("128x128/apps/planetary-network.png", "icons/128x128.png"),
    ("256x256/apps/planetary-network.png", "icons/128x128@2x.png"),
    ("512x512/apps/planetary-network.png", "icons/icon.png"),
    ("scalable/apps/planetary-network.svg", "icons/icon.svg"),
];

impl Layout {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Debian => "deb",
            Self::Rpm => "rpm",
            Self::Local => "local",
        }
    }

    fn usr(self) -> &'static str {
        if self == Self::Local { "usr/local" } else { "usr" }
    }

    /// polkit looks nowhere below `/usr/local`.
    fn polkit(self) -> &'static str {
        if self == Self::Local { "etc" } else { "usr/share" }
    }

    fn zsh(self) -> &'static str {
        if self == Self::Debian { "vendor-completions" } else { "site-functions" }
    }
}

/// All files of a package. `pages` are the names of the manual pages, `NAME.1`.
pub(crate) fn list(kind: Kind, layout: Layout, pages: &[String]) -> Vec<Entry> {
    let (usr, name) = (layout.usr(), kind.name());
    let file = |path: String, mode, source| Entry { path, mode, source };
    let plain = |path: String, source| file(path, 0o644, source);
    let mut list: Vec<Entry> = ["planetaryd", "planetary"]
        .map(|name| file(format!("{usr}/bin/{name}"), 0o755, Source::Program(name)))
        .into();
    let linux = |file| match file {
        "sysusers.d" => Source::File("installers/linux/sysusers.d/planetary.conf"),
        _ => Source::File("installers/linux/tmpfiles.d/planetary.conf"),
    };
    list.push(plain(format!("{usr}/lib/systemd/system/planetaryd.service"), Source::Unit));
    for folder in ["sysusers.d", "tmpfiles.d"] {
        list.push(plain(format!("{usr}/lib/{folder}/planetary.conf"), linux(folder)));
    }
    list.push(plain(
        format!("{}/polkit-1/rules.d/planetary.rules", layout.polkit()),
        Source::File("installers/linux/polkit-1/rules.d/planetary.rules"),
    ));
    for page in pages {
        list.push(plain(format!("{usr}/share/man/man1/{page}.gz"), Source::Page(page.clone())));
    }
    for program in ["planetary", "planetaryd"] {
        let zsh = layout.zsh();
        for (path, made) in [
            (format!("bash-completion/completions/{program}"), format!("{program}.bash")),
            (format!("zsh/{zsh}/_{program}"), format!("_{program}")),
            (format!("fish/vendor_completions.d/{program}.fish"), format!("{program}.fish")),
        ] {
            list.push(plain(format!("{usr}/share/{path}"), Source::Completion(made)));
        }
    }
    let documents = format!("{usr}/share/doc/{name}");
    list.push(plain(format!("{documents}/copyright"), Source::File("installers/linux/copyright")));
    list.push(plain(format!("{documents}/LICENSE.gz"), Source::Compressed("LICENSE")));
    list.push(plain(
        format!("{documents}/changelog.gz"),
        Source::Compressed(crate::stamps::CHANGELOG),
    ));
    if kind == Kind::Desktop {
        list.push(file(format!("{usr}/bin/{name}"), 0o755, Source::Program("planetary-network")));
        list.push(plain(
            format!("{usr}/share/applications/planetary-network.desktop"),
            Source::File("installers/linux/planetary-network.desktop"),
        ));
        let about = "net.planetary.PlanetaryNetwork.metainfo.xml";
        list.push(plain(format!("{usr}/share/metainfo/{about}"), Source::Filled(about)));
        for (path, source) in ICONS {
            list.push(plain(format!("{usr}/share/icons/hicolor/{path}"), Source::File(source)));
        }
    }
    list.sort_by(|one, other| one.path.cmp(&other.path));
    list
}

/// Writes the files of a list below a folder, which is made anew.
pub(super) fn stage(
    list: &[Entry],
    folder: &Path,
    material: &Material,
    values: &Values,
) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    make_folder(folder)?;
    for entry in list {
        let path = folder.join(&entry.path);
        let mut parent = folder.to_owned();
        for name in Path::new(&entry.path).parent().into_iter().flatten() {
            parent.push(name);
            make_folder(&parent)?;
        }
        let content = content(entry, material, values).with_context(|| entry.path.clone())?;
        fs::write(&path, content).with_context(|| path.display().to_string())?;
        set_mode(&path, entry.mode)?;
    }
    Ok(())
}

fn content(entry: &Entry, material: &Material, values: &Values) -> Result<Vec<u8>> {
    let read = |path: PathBuf| fs::read(&path).with_context(|| path.display().to_string());
    let repository = |path: &str| read(step::workspace_root().join(path));
    match &entry.source {
        Source::Program(name) => read(programs::program(&material.programs, name)),
        Source::File(path) => repository(path),
        Source::Compressed(path) => gzip(&repository(path)?),
        Source::Filled(name) => Ok(Template::read(name)?.fill(values)?.into_bytes()),
        Source::Unit => {
            let unit = String::from_utf8(repository(UNIT)?)?;
            let local = entry.path.starts_with("usr/local/");
            let programs = if local { "=/usr/local/bin/" } else { "=/usr/bin/" };
            Ok(unit.replace("=/usr/bin/", programs).into_bytes())
        }
        Source::Completion(name) => read(material.manual.join("completions").join(name)),
        Source::Page(name) => gzip(&read(material.manual.join("man").join(name))?),
    }
}

impl Material {
    /// Strips the programs, and has them write their manual.
    pub(super) fn new(built: &Path, machine: Machine, build: &Build) -> Result<Self> {
        let folder = build.out.join("staged").join(format!("programs-{}", machine.name()));
        fs::create_dir_all(&folder)?;
        let mut glibc = Vec::new();
        for name in ["planetaryd", "planetary", super::APP] {
            let (from, to) = (programs::program(built, name), folder.join(name));
            if !from.is_file() {
                continue;
            }
            let mut strip = machine.strip();
            step::quietly(&format!("strip {name}"), strip.arg("-o").arg(&to).arg(&from))?;
            glibc.extend(glibc_versions(&fs::read(&to)?));
        }
        let (major, minor) = glibc.into_iter().max().context("programs without a C library")?;
        let manual = write_manual(machine, &folder, build.out.join("staged/manual"))?;
        Ok(Self { machine, glibc: format!("{major}.{minor}"), programs: folder, manual })
    }

    /// The names of the manual pages, sorted.
    pub(super) fn pages(&self) -> Result<Vec<String>> {
        let folder = self.manual.join("man");
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<Result<Vec<String>>>()?;
        names.sort();
        Ok(names)
    }
}

fn write_manual(machine: Machine, programs: &Path, folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for name in ["planetary", "planetaryd"] {
        let mut command = machine.runs(&programs.join(name));
        command.arg("manual").arg(&folder);
        step::quietly(&format!("manual pages and completions of {name}"), &mut command)?;
    }
    Ok(folder)
}

/// The versions of glibc that a program names, as the loader will ask for them.
fn glibc_versions(program: &[u8]) -> Vec<(u32, u32)> {
    const MARK: &[u8] = b"GLIBC_";
    let starts = program.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK);
    let version = |(at, _): (usize, &[u8])| {
        let rest = &program[at + MARK.len()..];
        let len = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
        let (major, minor) = std::str::from_utf8(&rest[..len]).ok()?.split_once('.')?;
        // Of three numbers the last is one of glibc's first years.
        let minor = minor.split('.').next().unwrap_or(minor);
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    starts.filter_map(version).collect()
}

/// Compressed without a name or a time in it.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
    packed.write_all(bytes)?;
    Ok(packed.finish()?)
}

fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| path.display().to_string())?;
    set_mode(path, 0o755)
}

#[cfg(unix)]
pub(super) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Packages for systems with such rights are made on one of them.
#[cfg(not(unix))]
pub(super) fn set_mode(path: &Path, _mode: u32) -> Result<()> {
    anyhow::bail!("{}: packages for Linux are made on Linux", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(kind: Kind, layout: Layout) -> Vec<String> {
        let pages = ["planetary.1".to_owned()];
        list(kind, layout, &pages).into_iter().map(|entry| entry.path).collect()
    }

    #[test]
    fn desktop_has_all_that_headless_has_and_the_app() {
        for layout in [Layout::Debian, Layout::Rpm, Layout::Local] {
            let desktop = paths(Kind::Desktop, layout);
            let renamed = |path: &String| path.replace("network-headless", "network");
            let headless: Vec<_> = paths(Kind::Headless, layout).iter().map(renamed).collect();
            assert!(headless.iter().all(|path| desktop.contains(path)));
            let more = desktop.iter().filter(|path| !headless.contains(path));
            assert!(more.clone().all(|path| path.contains(super::super::APP)
                || path.contains("net.planetary.PlanetaryNetwork")));
            assert_eq!(more.count(), 3 + ICONS.len());
        }
    }

    #[test]
    fn programs_alone_can_be_run_and_nobody_but_root_can_write() {
        for entry in list(Kind::Desktop, Layout::Debian, &[]) {
            let is_program = entry.path.starts_with("usr/bin/");
            assert_eq!(entry.mode, if is_program { 0o755 } else { 0o644 }, "{}", entry.path);
        }
    }

    #[test]
    fn what_is_unpacked_by_hand_stays_out_of_the_way_of_packages() {
        for path in paths(Kind::Desktop, Layout::Local) {
            let apart = path.starts_with("usr/local/") || path.starts_with("etc/polkit-1/");
            assert!(apart, "{path}");
        }
    }

    #[test]
    fn sources_in_the_repository_are_there() {
        for entry in list(Kind::Desktop, Layout::Debian, &[]) {
            if let Source::File(path) | Source::Compressed(path) = entry.source {
                assert!(step::workspace_root().join(path).is_file(), "{path}");
            }
        }
    }

    #[test]
    fn newest_c_library_is_found() {
        let program = b"..GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0GLIBC_2.34";
        assert_eq!(glibc_versions(program).into_iter().max(), Some((2, 34)));
        assert!(glibc_versions(b"none").is_empty());
    }
}
