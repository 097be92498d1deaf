//! The list of versions that the service asks for: which one is the newest.
//!
//! It is put where the program was told to ask (`PLANETARY_RELEASE_FEED` when it was built), with
//! its signature beside it. The service refuses one that is older than the last it saw.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::json;

use super::Release;

/// Where the feed is written.
pub(super) fn place(release: &Release) -> PathBuf {
    release.folder.join("releases.json")
}

/// Writes it; `page` is where people read what changed and get the new version.
pub(super) fn write(release: &Release, page: &str) -> Result<PathBuf> {
    ensure!(
        page.starts_with("https://"),
        "--page must be an https URL, or nobody believes the feed"
    );
    let feed = json!({
        "format": 1,
        "version": release.version,
        "date": release.date(),
        "notes_url": page,
    });
    let place = place(release);
    fs::write(&place, format!("{feed}\n"))?;
    Ok(place)
}
