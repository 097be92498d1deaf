//! `.rpm`: a tree put together by `rpmbuild`, which finds by itself what libraries it needs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Kind, Package, filled};
use crate::step;

pub(super) fn make(package: &Package<'_>) -> Result<PathBuf> {
    let (name, machine) = (package.kind.name(), package.machine.name());
    let work = package.build.out.join("staged").join(format!("{name}-rpmbuild"));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    let mut values = package.values();
    let files = package.files.iter().map(|file| match is_document(file) {
        true => format!("%doc /{file}"),
        false => format!("/{file}"),
    });
    values.extend([
        ("REQUIRES", requires(package.kind).to_owned()),
        ("OBSOLETES", obsoletes(package.kind).to_owned()),
        ("DESCRIPTION", package.kind.description().join("\n\n")),
        ("FILES", files.collect::<Vec<_>>().join("\n")),
    ]);
    let spec = work.join("package.spec");
    fs::write(&spec, filled("rpm/package.spec", &values)?)?;

    let mut pack = Command::new("rpmbuild");
    let absolute = |path: &std::path::Path| {
        path.canonicalize().map(|path| path.display().to_string()).context("no such folder")
    };
    let definitions = [
        ("_topdir", absolute(&work)?),
        ("_rpmdir", absolute(&work)?),
        ("_rpmfilename", "made.rpm".to_owned()),
        // Nothing is stripped, compressed or searched for here: the tree is as it is to be.
        ("__os_install_post", "%{nil}".to_owned()),
        ("debug_package", "%{nil}".to_owned()),
        ("_build_id_links", "none".to_owned()),
        // Read by every rpm since 2010.
        ("_binary_payload", "w6.xzdio".to_owned()),
        // The same tree gives the same package, wherever and whenever.
        ("_buildhost", "localhost".to_owned()),
        ("use_source_date_epoch_as_buildtime", "1".to_owned()),
        ("clamp_mtime_to_source_date_epoch", "1".to_owned()),
        ("_source_date_epoch_from_changelog", "0".to_owned()),
    ];
    for (name, value) in definitions {
        pack.arg("--define").arg(format!("{name} {value}"));
    }
    pack.env("SOURCE_DATE_EPOCH", package.build.epoch.to_string());
    // The macro of the folder keeps rpmbuild from emptying it.
    pack.args(["-bb", "--noclean", "--target", &format!("{machine}-linux"), "--buildroot"]);
    pack.arg(absolute(&package.staged)?).arg(&spec);
    step::quietly(&format!("pack {name}.rpm"), &mut pack)?;

    let version = &values["VERSION"];
    let file = package.build.out.join(format!("{name}-{version}-1.{machine}.rpm"));
    fs::rename(work.join("made.rpm"), &file)?;
    Ok(file)
}

fn is_document(file: &str) -> bool {
    file.contains("/share/doc/") || file.contains("/share/man/")
}

/// What rpm cannot find out by itself: the tray loads its library when it needs it.
fn requires(kind: Kind) -> &'static str {
    match kind {
        Kind::Headless => "Recommends: systemd",
        Kind::Desktop => {
            "Requires: libayatana-appindicator3.so.1()(64bit)\n\
             Requires: hicolor-icon-theme\n\
             Recommends: systemd\n\
             Recommends: polkit"
        }
    }
}

/// Whoever wants the app and has the node gets the one in place of the other.
fn obsoletes(kind: Kind) -> &'static str {
    match kind {
        Kind::Headless => "",
        Kind::Desktop => "Obsoletes: planetary-network-headless < %{version}-%{release}",
    }
}
