//! What cargo knows of the packages that this workspace is built of.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::step;

/// A package, ours or somebody else's.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The licence as the package states it.
    pub(crate) licence: Option<String>,
    /// The names of the packages that it depends on, by kind: `None` normal, else `dev` or `build`.
    pub(crate) dependencies: Vec<(String, Option<String>)>,
    /// The names of its programs.
    pub(crate) programs: Vec<String>,
    /// The folder that it lies in.
    pub(crate) folder: PathBuf,
}

/// The packages of this workspace.
pub(crate) fn workspace() -> Result<Vec<Package>> {
    metadata(&["--no-deps"])
}

/// The version that all of our packages have.
pub(crate) fn version() -> Result<String> {
    let package = workspace()?.into_iter().next().context("a workspace without packages")?;
    Ok(package.version)
}

/// Whether there is a program of this name in the workspace.
pub(crate) fn has_program(name: &str) -> Result<bool> {
    Ok(workspace()?.iter().any(|package| package.programs.iter().any(|program| program == name)))
}

/// The packages of this workspace and all that they are built of.
pub(crate) fn all() -> Result<Vec<Package>> {
    metadata(&[])
}

fn metadata(more: &[&str]) -> Result<Vec<Package>> {
    let mut command = step::cargo(["metadata", "--format-version", "1", "--locked"]);
    let output = command.args(more).output().context("cannot start cargo")?;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "cargo metadata failed: {told}");
    let value: Value = serde_json::from_slice(&output.stdout).context("cargo gave no JSON")?;
    let packages = value.get("packages").and_then(Value::as_array).context("no packages")?;
    packages.iter().map(|package| parse(package).context("a package without a name")).collect()
}

fn parse(package: &Value) -> Option<Package> {
    let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let dependencies = package.get("dependencies")?.as_array()?.iter();
    let is_program = |target: &&Value| target["kind"][0] == "bin";
    let programs = package.get("targets")?.as_array()?.iter().filter(is_program);
    Some(Package {
        name: text(package, "name")?,
        version: text(package, "version")?,
        licence: text(package, "license"),
        dependencies: dependencies
            .filter_map(|dependency| Some((text(dependency, "name")?, text(dependency, "kind"))))
            .collect(),
        programs: programs.filter_map(|target| text(target, "name")).collect(),
        folder: Path::new(package.get("manifest_path")?.as_str()?).parent()?.to_owned(),
    })
}
