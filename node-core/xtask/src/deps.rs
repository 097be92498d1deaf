//! `cargo xtask deps`: which crate of ours may use which.
//!
//! The arrows are in `arrows.txt` beside this crate. An arrow that is in the code and not there is
//! an error: it is either a mistake or a change of the design, and the second is to be seen in a
//! review. Dependencies of tests alone are free.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::packages::{self, Package};

const ALLOWED: &str = include_str!("../arrows.txt");

/// Compares the arrows of the workspace with the list.
pub(crate) fn run() -> Result<()> {
    let allowed = parse(ALLOWED)?;
    let drawn = arrows(&packages::workspace()?);
    let forbidden: Vec<String> =
        drawn.difference(&allowed).map(|(from, to)| format!("{from} -> {to}")).collect();
    let list = forbidden.join("\n  ");
    ensure!(forbidden.is_empty(), "arrows that are not in node-core/xtask/arrows.txt:\n  {list}");
    Ok(())
}

fn parse(text: &str) -> Result<BTreeSet<(String, String)>> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let (from, to) =
                line.split_once(" -> ").with_context(|| format!("no arrow: {line}"))?;
            Ok((from.to_owned(), to.to_owned()))
        })
        .collect()
}

fn arrows(workspace: &[Package]) -> BTreeSet<(String, String)> {
    let ours: BTreeSet<&str> = workspace.iter().map(|package| package.name.as_str()).collect();
    let arrows = workspace.iter().flat_map(|package| {
        let used = package.dependencies.iter().filter(|(_, kind)| kind.as_deref() != Some("dev"));
        used.map(|(name, _)| (package.name.clone(), name.clone()))
    });
    arrows.filter(|(_, to)| ours.contains(to.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_of_tests_are_free_and_others_are_not() {
        let package = |name: &str, dependencies: &[(&str, Option<&str>)]| Package {
            name: name.to_owned(),
            version: String::new(),
            licence: None,
            programs: Vec::new(),
            folder: std::path::PathBuf::new(),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), kind.map(str::to_owned)))
                .collect(),
        };
        let workspace = [
            package("one", &[("two", None), ("three", Some("dev")), ("serde", None)]),
            package("two", &[("three", Some("build"))]),
            package("three", &[]),
        ];
        let expected = parse("one -> two\n# a remark\n\ntwo -> three").expect("arrows");
        assert_eq!(arrows(&workspace), expected);
    }

    #[test]
    fn the_list_can_be_read_and_has_no_arrow_that_must_never_be() {
        let allowed = parse(ALLOWED).expect("arrows");
        for user in ["planetary", "planetary-network"] {
            for core in ["planetary-proto", "planetary-runtime"] {
                assert!(!allowed.contains(&(user.to_owned(), core.to_owned())), "{user} -> {core}");
            }
        }
        // Fuzz targets look into the service as its own tests do.
        let products = allowed.iter().filter(|(from, _)| from != "planetary-fuzz");
        for (from, to) in products {
            assert!(from != "planetary-secretbox" && to != "planetaryd", "{from} -> {to}");
        }
    }
}
