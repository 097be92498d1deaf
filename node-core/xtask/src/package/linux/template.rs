//! Files of `installers/linux` with places to fill: `@NAME@`, and `#include FILE` alone in a line,
//! which stands for a file of `installers/linux/scripts`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::step;

/// What places are filled with, by their names.
pub(crate) type Values = BTreeMap<&'static str, String>;

/// A file with places to fill.
pub(crate) struct Template {
    name: String,
    text: String,
}

/// Where such files are.
pub(crate) fn folder() -> PathBuf {
    step::workspace_root().join("installers/linux")
}

impl Template {
    /// Reads a file of `installers/linux`, with what it includes.
    pub(crate) fn read(name: &str) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(folder().join(path)).context(path.to_owned());
        let mut text = String::new();
        for line in read(name)?.lines() {
            match line.strip_prefix("#include ") {
                Some(included) => text.push_str(&read(&format!("scripts/{included}"))?),
                None => text.push_str(&format!("{line}\n")),
            }
        }
        Ok(Self { name: name.to_owned(), text })
    }

    /// Fills every place.
    ///
    /// # Errors
    /// When there is nothing to fill a place with.
    pub(crate) fn fill(self, values: &Values) -> Result<String> {
        let mut filled = String::new();
        let mut rest = self.text.as_str();
        while let Some((before, name)) = place(rest) {
            let Some(value) = values.get(name) else { bail!("{}: what is @{name}@?", self.name) };
            filled.push_str(before);
            filled.push_str(value);
            rest = &rest[before.len() + name.len() + 2..];
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// The first place: what stands before it, and its name.
fn place(text: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    while let Some(start) = text[from..].find('@').map(|at| from + at) {
        let rest = &text[start + 1..];
        let len = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_')?;
        if len > 0 && rest[len..].starts_with('@') {
            return Some((&text[..start], &rest[..len]));
        }
        from = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String> {
        let template = Template { name: "test".to_owned(), text: text.to_owned() };
        template.fill(&Values::from([("A_B", "x".to_owned())]))
    }

    #[test]
    fn places_are_filled_and_other_signs_stay() {
        assert_eq!(fill("@A_B@ a@b @ @@A_B@@").unwrap(), "x a@b @ @x@");
        assert_eq!(fill("modprobe@tun.service @a@").unwrap(), "modprobe@tun.service @a@");
        assert!(fill("@OTHER@").unwrap_err().to_string().contains("@OTHER@"));
    }

    #[test]
    fn included_files_are_there() {
        let script = Template::read("deb/postinst").unwrap().fill(&Values::new()).unwrap();
        assert!(script.contains("make_configuration() {"));
        assert!(!script.lines().any(|line| line.starts_with("#include")));
    }
}
