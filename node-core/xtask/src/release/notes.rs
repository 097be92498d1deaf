//! The notes of a release: its section of the changelog.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::Release;
use crate::{stamps, step};

/// Writes them.
pub(super) fn write(release: &Release) -> Result<PathBuf> {
    let changes = step::workspace_root().join(stamps::CHANGELOG);
    let changes = fs::read_to_string(changes).context(stamps::CHANGELOG)?;
    let section = section(&changes, &release.version).context("a version without changes")?;
    let place = release.file("-notes.md");
    fs::write(&place, format!("{section}\n"))?;
    Ok(place)
}

/// What stands below the heading of a version, up to the next.
fn section(changes: &str, version: &str) -> Result<String> {
    let heading = format!("## [{version}]");
    let mut lines = changes.lines().skip_while(|line| !line.starts_with(&heading)).skip(1);
    let lines: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("## ")).collect();
    let text = lines.join("\n").trim().to_owned();
    ensure!(!text.is_empty(), "nothing below `{heading}`");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_one_section() {
        let changes = "# Changelog\n\n## [0.2.0] - soon\n\n### Added\n\n- This.\n\n\
                       ## [0.1.0] - then\n\n- That.\n";
        assert_eq!(section(changes, "0.2.0").unwrap(), "### Added\n\n- This.");
        assert_eq!(section(changes, "0.1.0").unwrap(), "- That.");
        assert!(section(changes, "0.3.0").is_err());
        assert!(section("## [1.0.0]\n## [0.9.0]\n- x", "1.0.0").is_err());
    }
}
