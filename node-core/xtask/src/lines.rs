//! `cargo xtask lines`: no line longer than a screen is wide, and a word on long files.
//!
//! rustfmt leaves long strings, comments and macros alone; this does not. A long file is not an
//! error: it may have its reasons, and the report is where one is reminded to look for them.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::step;

/// Columns of a line.
const COLUMNS_MAX: usize = 100;

/// Lines of a file, its tests not counted.
const LINES_MAX: usize = 800;

/// Whose lines are looked at.
const SUFFIXES: [&str; 3] = [".rs", ".sh", ".ci/run"];

/// Looks at every file under version control.
pub(crate) fn run() -> Result<()> {
    let root = step::workspace_root();
    let mut git = Command::new("git");
    let listed = git.arg("-C").arg(&root).args(["ls-files", "-z"]).output();
    let listed = listed.context("cannot start git")?;
    ensure!(listed.status.success(), "git ls-files failed");
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names = names.split('\0').filter(|name| SUFFIXES.iter().any(|s| name.ends_with(s)));
    let mut too_long = Vec::new();
    for name in names {
        // A file that has been removed and not committed yet is no longer of interest.
        let Ok(text) = fs::read_to_string(root.join(name)) else { continue };
        let wide = text.lines().zip(1..).filter(|(line, _)| line.chars().count() > COLUMNS_MAX);
        too_long.extend(wide.map(|(_, number)| format!("{name}:{number}")));
        let lines = lines_without_tests(&text);
        if lines > LINES_MAX {
            println!("note: {name} has {lines} lines without its tests");
        }
    }
    ensure!(too_long.is_empty(), "wider than {COLUMNS_MAX}:\n  {}", too_long.join("\n  "));
    Ok(())
}

/// Tests stand at the bottom of a file.
fn lines_without_tests(text: &str) -> usize {
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_not_counted() {
        assert_eq!(lines_without_tests("one\ntwo\n#[cfg(test)]\nmod tests {}\n"), 2);
        assert_eq!(lines_without_tests("    #[cfg(test)]\n"), 1);
    }
}
