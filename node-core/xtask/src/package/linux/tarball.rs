//! `.tar.gz`: a tree for `/usr/local`, with scripts that put it there and take it away again.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::super::archive;
use super::{Package, filled, tree};
use crate::step;

pub(super) fn make(package: &Package<'_>) -> Result<PathBuf> {
    let values = package.values();
    let (kind, version, machine) =
        (package.kind.name(), &package.build.version, package.machine.name());
    let name = format!("{kind}-{version}-linux-{machine}");
    let folder = package.build.out.join("staged").join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::rename(&package.staged, folder.join("files"))?;
    for script in ["install.sh", "uninstall.sh"] {
        let path = folder.join(script);
        fs::write(&path, filled(&format!("tar/{script}"), &values)?)?;
        tree::set_mode(&path, 0o755)?;
    }
    fs::copy(step::workspace_root().join("LICENSE"), folder.join("LICENSE"))?;
    let file = package.build.out.join(format!("{name}.tar.gz"));
    archive::tar_gz(&folder, &name, package.build.epoch, &file)?;
    Ok(file)
}
