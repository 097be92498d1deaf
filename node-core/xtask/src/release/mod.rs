//! `cargo xtask release`: what goes out beside the packages, made of what is in `target/packages`.
//!
//! ```text
//!  packages of all systems --> SBOM, notes, manifests, feed --> SHA256SUMS --> signatures
//! ```
//!
//! It is run once, where the packages of all systems have been gathered. Nothing here builds or
//! uploads. What needs to know where the files will be (manifests, feed) is left out until that is
//! said; what needs a key is left unsigned and says so.

mod feed;
mod manifests;
mod notes;
mod sbom;
mod sign;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use self::sign::Signer;
use crate::package::{self, sums};
use crate::{packages, stamps, step};

/// Where things will be found.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder on the web that the files will be in, for package managers
    #[arg(long, value_name = "URL", requires = "page")]
    downloads: Option<String>,
    /// The page of this release, for people: package managers and the app point to it
    #[arg(long, value_name = "URL")]
    page: Option<String>,
    /// The page of the project; that of the release if it has none
    #[arg(long, value_name = "URL")]
    homepage: Option<String>,
    /// Fail where something would be left out or unsigned
    #[arg(long)]
    complete: bool,
}

/// What the parts work from.
struct Release {
    version: String,
    /// The time of the commit, in seconds since 1970.
    epoch: u64,
    /// Where the packages are, and everything else is put.
    folder: PathBuf,
}

impl Release {
    /// The name of a file of this release.
    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("planetary-network-{}{ending}", self.version))
    }

    /// The day of the commit, `2026-01-31`.
    fn date(&self) -> String {
        date_of(self.epoch)
    }
}

/// Makes all of it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    stamps::run()?;
    let folder = step::target_dir().join("packages");
    let release = Release { version: packages::version()?, epoch: package::commit_time()?, folder };
    let there = fs::read_dir(&release.folder).is_ok_and(|mut files| files.next().is_some());
    ensure!(there, "no packages; make some: cargo xtask package all");
    let signer = Signer::of_environment()?;
    // What an earlier run made is not taken for part of this one.
    let feed = feed::place(&release);
    sums::remove(&feed)?;
    sums::remove(&feed.with_extension("json.sig"))?;
    let mut missing = Vec::new();

    println!("{}", sbom::write(&release)?.display());
    println!("{}", notes::write(&release)?.display());
    if let Some(page) = &arguments.page {
        println!("{}", feed::write(&release, page)?.display());
    } else {
        missing.push("the feed for the app: say --page".to_owned());
    }
    if let (Some(downloads), Some(page)) = (&arguments.downloads, &arguments.page) {
        let homepage = arguments.homepage.as_ref().unwrap_or(page);
        let places = manifests::Places { downloads, page, homepage };
        missing.extend(manifests::write(&release, &places)?);
    } else {
        missing.push("manifests for package managers: say --downloads and --page".to_owned());
    }
    let list = sums::write(&release.folder)?;
    println!("{}", list.display());
    match &signer {
        Some(signer) => {
            for file in [list, feed] {
                if file.is_file() {
                    println!("{}", signer.sign(&file)?.display());
                }
            }
        }
        None => missing.push(format!("signatures: {}", sign::HOW)),
    }
    for what in &missing {
        println!("left out: {what}");
    }
    ensure!(missing.is_empty() || !arguments.complete, "the release is not complete");
    Ok(())
}

/// The day of a time in seconds since 1970, `2026-01-31`.
fn date_of(unix_s: u64) -> String {
    // Years that begin in March have their odd day at the end; an era is 400 of them.
    let days = unix_s / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (unix_s, day) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_795_824_000, "2026-11-28"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date_of(unix_s), day);
        }
    }
}
