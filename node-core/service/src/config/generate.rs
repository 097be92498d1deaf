//! The default file and the reference page, both written from the table.

use std::fmt::Write;

use super::table::{KEYS, Key, SECTIONS};

/// Keys that stand in the default file as they are, because nearly everybody edits them.
const LIVE: &[&str] = &["version", "listen", "peers"];

const HEAD: &str = "\
# Configuration of the Planetary Network node.
#
# A line that starts with \"# \" explains. A line that starts with \"#\" and a key is a default:
# remove the \"#\" to change it. What stays commented out follows the program when it is updated.
# `planetaryd check-config FILE` checks a file and names every mistake in it.
# Passwords make this file a secret: keep it readable for its owner only.
";

/// Returns the file that `planetaryd genconf` writes: every key with its explanation and its
/// default.
#[must_use]
pub fn default_file() -> String {
    let mut file = String::from(HEAD);
    for key in KEYS.iter().filter(|key| section_of(key).is_empty()) {
        file.push('\n');
        write_key(&mut file, key);
    }
    for section in SECTIONS {
        // Writing to a String cannot fail.
        let _ = write!(file, "\n# {}\n[{}]\n", section.explains, section.name);
        for key in KEYS.iter().filter(|key| section_of(key) == section.name) {
            write_key(&mut file, key);
        }
    }
    file
}

/// Returns the reference page `docs/config.md`, without its hand-written head.
#[must_use]
pub fn reference_page() -> String {
    let mut page = String::from("| key | accepts | default | |\n| --- | --- | --- | --- |\n");
    for key in KEYS {
        let meaning =
            if key.explains.is_empty() { explains_section(key.name) } else { key.explains };
        let meaning = meaning.replace('\n', " ").replace('|', "\\|");
        let later =
            if key.available { "" } else { "Not available yet: the default is the only value. " };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | `{}` | {later}{meaning} |",
            key.name, key.accepts, key.default
        );
    }
    page
}

fn write_key(file: &mut String, key: &Key) {
    for line in key.explains.lines() {
        let _ = writeln!(file, "# {line}");
    }
    if !key.available {
        let _ = writeln!(
            file,
            "# Not available in this version: the default is the only accepted value."
        );
    }
    if !key.example.is_empty() {
        let _ = writeln!(file, "# Example: {}", key.example);
    }
    if is_section(key.name) {
        return;
    }
    let name = key.name.rsplit('.').next().unwrap_or(key.name);
    let mark = if LIVE.contains(&key.name) { "" } else { "#" };
    let _ = writeln!(file, "{mark}{name} = {}", key.default);
}

/// The section a key stands in; a key that is a whole section stands in itself.
fn section_of(key: &Key) -> &'static str {
    if is_section(key.name) {
        return key.name;
    }
    key.name.split_once('.').map_or("", |(section, _)| section)
}

fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|section| section.name == name)
}

fn explains_section(name: &str) -> &'static str {
    SECTIONS.iter().find(|section| section.name == name).map_or("", |section| section.explains)
}
