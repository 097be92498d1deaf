//! `.deb`: a tree with Debian's scripts and descriptions beside it, packed by `dpkg-deb`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Kind, Package, filled, tree};
use crate::step;

/// Scripts that dpkg runs, and the question that it asks.
pub(crate) const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// Lines of a description have fewer columns than this.
const COLUMNS: usize = 79;

pub(super) fn make(package: &Package<'_>) -> Result<PathBuf> {
    let control = package.staged.join("DEBIAN");
    let sums = sums(&package.staged, &package.files)?;
    fs::create_dir(&control)?;
    tree::set_mode(&control, 0o755)?;
    let mut values = package.values();
    values.extend([
        ("MACHINE", package.machine.debian_name().to_owned()),
        ("SIZE_KIB", size_kib(package)?.to_string()),
        ("DEPENDS", depends(package)),
        ("RECOMMENDS", recommends(package.kind).to_owned()),
        ("DESCRIPTION", description(package.kind)),
    ]);
    let put = |name: &str, text: String, mode| {
        let path = control.join(name);
        fs::write(&path, text)?;
        tree::set_mode(&path, mode)
    };
    for name in SCRIPTS {
        put(name, filled(&format!("deb/{name}"), &values)?, 0o755)?;
    }
    for name in ["control", "templates"] {
        put(name, filled(&format!("deb/{name}"), &values)?, 0o644)?;
    }
    put("md5sums", sums, 0o644)?;

    let (name, machine) = (package.kind.name(), package.machine.debian_name());
    let file = package.build.out.join(format!("{name}_{}_{machine}.deb", values["VERSION"]));
    let mut pack = Command::new("dpkg-deb");
    // Times of files are not later than that of the commit; owners are root.
    pack.env("SOURCE_DATE_EPOCH", package.build.epoch.to_string());
    pack.args(["--root-owner-group", "-Zxz", "--build"]).arg(&package.staged).arg(&file);
    step::quietly(&format!("pack {name}.deb"), &mut pack)?;
    Ok(file)
}

/// Sums of all files, by which `dpkg --verify` finds changed ones.
fn sums(folder: &Path, files: &[String]) -> Result<String> {
    let mut command = Command::new("md5sum");
    let output = command.args(files).current_dir(folder).output().context("cannot start md5sum")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn size_kib(package: &Package<'_>) -> Result<u64> {
    let sizes = package.files.iter().map(|file| {
        let about = fs::metadata(package.staged.join(file)).with_context(|| file.clone())?;
        Ok(about.len().div_ceil(1024))
    });
    sizes.sum()
}

/// Scripts need the helpers, which are essential to Debian but may be lacking in images. What the
/// app loads is named by package, since its names differ among releases only by what they provide.
fn depends(package: &Package<'_>) -> String {
    let common = format!(
        "libc6 (>= {}), libgcc-s1, init-system-helpers, passwd, debconf (>= 0.5) | debconf-2.0",
        package.glibc
    );
    match package.kind {
        Kind::Headless => common,
        Kind::Desktop => format!(
            "{common}, libgtk-3-0, libwebkit2gtk-4.1-0, libsoup-3.0-0, libglib2.0-0, libcairo2, \
             libgdk-pixbuf-2.0-0, libdbus-1-3, libayatana-appindicator3-1"
        ),
    }
}

fn recommends(kind: Kind) -> &'static str {
    match kind {
        Kind::Headless => "systemd",
        Kind::Desktop => "systemd, polkitd | policykit-1, pkexec | policykit-1",
    }
}

/// Paragraphs as Debian writes them: each line begins with a blank, a dot stands for an empty one.
fn description(kind: Kind) -> String {
    let paragraphs = kind.description().map(|paragraph| {
        let mut lines = vec![String::new()];
        for word in paragraph.split_whitespace() {
            match lines.last_mut() {
                Some(line) if line.len() + word.len() < COLUMNS => *line += &format!(" {word}"),
                _ => lines.push(format!(" {word}")),
            }
        }
        lines.join("\n")
    });
    paragraphs.join("\n .\n")
}
