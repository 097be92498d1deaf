//! The version stands in the workspace's `Cargo.toml`, and what has to repeat it says the same.
//!
//! Packages, the app and the programs take it from there by themselves. Three files cannot: npm
//! wants it in both of its own, and the changelog has a heading for it.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{packages, step};

/// What users are told of each version.
pub(crate) const CHANGELOG: &str = "installers/CHANGELOG.md";

/// Compares all of them.
pub(crate) fn run() -> Result<()> {
    let version = packages::version()?;
    let mut wrong = Vec::new();
    for package in packages::workspace()? {
        if package.version != version {
            wrong.push(format!("package {} has {}", package.name, package.version));
        }
    }
    for (file, pointer) in [
        ("ui/package.json", "/version"),
        ("ui/package-lock.json", "/version"),
        ("ui/package-lock.json", "/packages//version"),
        // Absent, and so that of the app's package.
        ("src-tauri/tauri.conf.json", "/version"),
    ] {
        let text = fs::read_to_string(step::workspace_root().join(file)).context(file)?;
        let value: Value = serde_json::from_str(&text).context(file)?;
        let expected = (!file.starts_with("src-tauri")).then_some(version.as_str());
        let found = value.pointer(pointer).and_then(Value::as_str);
        if found != expected {
            wrong.push(format!("{file} {pointer} has {}", found.unwrap_or("none")));
        }
    }
    let changes = fs::read_to_string(step::workspace_root().join(CHANGELOG)).context(CHANGELOG)?;
    if !changes.lines().any(|line| line.starts_with(&format!("## [{version}]"))) {
        wrong.push(format!("{CHANGELOG} has no heading `## [{version}]`"));
    }
    ensure!(wrong.is_empty(), "the version is {version}, but:\n  {}", wrong.join("\n  "));
    Ok(())
}
