//! From text to [`Config`]: TOML first, then each key by the table, then the rules between keys.

use std::collections::BTreeSet;
use std::ops::Range;

use toml_edit::{Document, Item, TableLike};

use super::Config;
use super::check::contradictions;
use super::error::{Problem, printable};
use super::nearest::nearest;
use super::read::{Fault, json};
use super::table::{KEYS, Key, SECTIONS};

/// Checks `text` as a whole; the problems come in the order of the file.
pub(super) fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let document = Document::parse(text).map_err(|error| vec![not_toml(text, &error)])?;
    let mut reading = Reading { text, config: Config::default(), problems: Vec::new() };
    reading.table(document.as_table(), "");
    // With a value that cannot be read, a section is not known well enough to contradict itself.
    let unread: BTreeSet<_> = reading
        .problems
        .iter()
        .filter_map(|problem| section_of(&problem.key).map(str::to_owned))
        .collect();
    let mut found = contradictions(&reading.config);
    found.retain(|(name, _)| section_of(name).is_none_or(|section| !unread.contains(section)));
    for (name, fault) in found {
        let span = span_of(document.as_table(), name);
        reading.report(name, fault, span);
    }
    let Reading { config, mut problems, .. } = reading;
    if problems.is_empty() {
        return Ok(config);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(problems)
}

/// The section of a key that is in one.
fn section_of(name: &str) -> Option<&str> {
    name.split_once('.').map(|(section, _)| section)
}

/// Sets every key to its default.
pub(super) fn apply_defaults(config: &mut Config) {
    for key in KEYS {
        if let Some(item) = default_of(key) {
            // Cannot fail: a test reads every default of the table.
            let _ = (key.read)(&item, config);
        }
    }
}

fn default_of(key: &Key) -> Option<Item> {
    key.default.parse().ok().map(Item::Value)
}

struct Reading<'a> {
    text: &'a str,
    config: Config,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn table(&mut self, table: &dyn TableLike, section: &str) {
        for (name, item) in table.iter() {
            let full =
                if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            let outcome = match find(&full) {
                Found::Key(key) => self.value(key, item),
                Found::Section => match item.as_table_like() {
                    Some(inner) => {
                        self.table(inner, &full);
                        Ok(())
                    }
                    None => Err(Fault::new(
                        format!("expected a section, found a value of type {}", item.type_name()),
                        format!("write [{full}] on a line of its own, and its keys below"),
                    )),
                },
                Found::Nothing => Err(unknown(&full)),
            };
            if let Err(fault) = outcome {
                self.report(&full, fault, span);
            }
        }
    }

    fn value(&mut self, key: &Key, item: &Item) -> Result<(), Fault> {
        if key.available {
            return (key.read)(item, &mut self.config);
        }
        if json(item).ok() == default_of(key).and_then(|item| json(&item).ok()) {
            return Ok(());
        }
        Err(Fault::new(
            "this feature is not available in this version",
            format!("leave the key out, or write {}", key.default),
        ))
    }

    fn report(&mut self, name: &str, fault: Fault, span: Option<Range<usize>>) {
        let start = fault.span.or_else(|| span.clone()).map_or(0, |span| span.start);
        self.problems.push(Problem {
            line: line_at(self.text, start),
            key: printable(name),
            what: fault.what,
            remedy: fault.remedy,
        });
        for other in fault.others {
            self.report(name, other, span.clone());
        }
    }
}

enum Found {
    Key(&'static Key),
    Section,
    Nothing,
}

fn find(name: &str) -> Found {
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        Found::Key(key)
    } else if SECTIONS.iter().any(|section| section.name == name) {
        Found::Section
    } else {
        Found::Nothing
    }
}

fn unknown(name: &str) -> Fault {
    let remedy = match nearest(name, KEYS.iter().map(|key| key.name)) {
        Some(meant) => format!("the nearest known one is {meant}"),
        None => "`planetaryd genconf` lists the known ones".to_owned(),
    };
    Fault::new("unknown key", remedy)
}

/// Where `name` stands in the document, for rules that only know names.
fn span_of(root: &dyn TableLike, name: &str) -> Option<Range<usize>> {
    match name.split_once('.') {
        Some((section, rest)) => span_of(root.get(section)?.as_table_like()?, rest),
        None => root.key(name)?.span(),
    }
}

fn not_toml(text: &str, error: &toml_edit::TomlError) -> Problem {
    let start = error.span().map_or(0, |span| span.start);
    Problem {
        line: line_at(text, start),
        key: String::new(),
        what: format!("not valid TOML: {}", error.message().replace('\n', ", ")),
        remedy: "compare the line with the output of `planetaryd genconf`".to_owned(),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
