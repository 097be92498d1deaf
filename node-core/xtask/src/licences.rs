//! `cargo xtask licences`: everything we are built of may be shipped with us.
//!
//! Each package states an SPDX expression. It passes if the expression can be satisfied with the
//! licences of the list. An exception (`WITH …`) only ever adds permissions.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{packages, step};

/// Licences that ask for no more than their text and the names of the authors to be passed on, and
/// ours, which asks for the changes to its own files.
const ALLOWED: [&str; 17] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    // LibFuzzer's, which is in nothing that ships.
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    // The TUN crate's: do what you want to.
    "WTFPL",
    "Zlib",
];

/// What the pages are built of and with, as npm wrote it down.
const PAGES: &str = "ui/package-lock.json";

/// Looks at every package that cargo would build for any system, and at those of npm.
pub(crate) fn run() -> Result<()> {
    let mut refused = Vec::new();
    for package in packages::all()? {
        let (name, version) = (&package.name, &package.version);
        match &package.licence {
            None => refused.push(format!("{name} {version} states no licence")),
            Some(licence) if !is_allowed(licence) => {
                refused.push(format!("{name} {version} is under {licence}"));
            }
            Some(_) => {}
        }
    }
    refused.extend(of_pages()?);
    ensure!(refused.is_empty(), "licences:\n  {}", refused.join("\n  "));
    Ok(())
}

/// The packages of npm that are not allowed.
fn of_pages() -> Result<Vec<String>> {
    let text = fs::read_to_string(step::workspace_root().join(PAGES)).context(PAGES)?;
    let lock: Value = serde_json::from_str(&text).context(PAGES)?;
    let packages = lock["packages"].as_object().context("a lock file without packages")?;
    // The empty name is the pages' own.
    let refused = packages.iter().filter(|(path, _)| !path.is_empty()).filter_map(|(path, one)| {
        let licence = one["license"].as_str().unwrap_or("no licence");
        (!is_allowed(licence)).then(|| format!("{path} is under {licence}"))
    });
    Ok(refused.collect())
}

/// Evaluates an expression; what cannot be read is not allowed.
fn is_allowed(expression: &str) -> bool {
    // A slash is how some packages still write "or".
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let value = alternatives(&mut words);
    value.is_some_and(|value| value) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn alternatives(words: &mut Words<'_>) -> Option<bool> {
    let mut value = requirements(words)?;
    while words.next_if_eq(&"OR").is_some() {
        value |= requirements(words)?;
    }
    Some(value)
}

fn requirements(words: &mut Words<'_>) -> Option<bool> {
    let mut value = licence(words)?;
    while words.next_if_eq(&"AND").is_some() {
        value &= licence(words)?;
    }
    Some(value)
}

fn licence(words: &mut Words<'_>) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let value = alternatives(words)?;
        return words.next_if_eq(&")").map(|_| value);
    }
    if words.next_if_eq(&"WITH").is_some() {
        words.next()?;
    }
    Some(ALLOWED.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_evaluated() {
        for fine in [
            "MIT",
            "MIT OR GPL-3.0-only",
            "GPL-3.0-only OR (MIT AND ISC)",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR LGPL-2.1",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
        ] {
            assert!(is_allowed(fine), "{fine}");
        }
        for refused in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "", "MIT OR", "(MIT", "MIT ISC"] {
            assert!(!is_allowed(refused), "{refused}");
        }
    }
}
