//! Reads where this machine's Debian packages come from, and adds the backports suite of that
//! source.
//!
//! Both forms of apt's lists are understood: the stanzas of `*.sources` and the lines of `*.list`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::step;

const LISTS: &str = "/etc/apt/sources.list.d";
const OURS: &str = "/etc/apt/sources.list.d/planetary-backports.sources";

/// One source of packages.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
    signed_by: Option<String>,
}

/// The backports suite of this release, if apt knows of it.
pub(crate) fn backports_suite() -> Result<Option<String>> {
    let suite = format!("{}-backports", codename()?);
    Ok(sources()?.iter().any(|source| source.suites.contains(&suite)).then_some(suite))
}

/// Adds the backports suite, from where the release itself comes.
pub(crate) fn add_backports() -> Result<()> {
    let start = Instant::now();
    let codename = codename()?;
    let all = sources()?;
    let base = all.iter().find(|source| source.suites.contains(&codename)).with_context(|| {
        format!("apt has no source for the suite {codename}, so none to take backports from")
    })?;
    let mut text =
        format!("Types: deb\nURIs: {}\nSuites: {codename}-backports\nComponents: main\n", base.uri);
    if let Some(key) = &base.signed_by {
        text.push_str(&format!("Signed-By: {key}\n"));
    }
    fs::write(OURS, text).with_context(|| format!("cannot write {OURS}"))?;
    step::report(&format!("added the suite {codename}-backports"), true, start);
    Ok(())
}

/// Where packages of this suite come from.
pub(crate) fn mirror(suite: &str) -> Result<String> {
    let all = sources()?;
    let base = all.into_iter().find(|source| source.suites.iter().any(|named| named == suite));
    Ok(base.with_context(|| format!("apt has no source for the suite {suite}"))?.uri)
}

fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let value = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    value.map(|value| value.trim_matches('"').to_owned()).context("this release has no code name")
}

fn sources() -> Result<Vec<Source>> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir(LISTS) {
        files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.sort();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is_file()) {
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.to_string_lossy()))?;
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => found.extend(parse_stanzas(&text)),
            Some("list") => found.extend(text.lines().filter_map(parse_line)),
            _ => {}
        }
    }
    Ok(found)
}

fn parse_stanzas(text: &str) -> Vec<Source> {
    text.split("\n\n").flat_map(parse_stanza).collect()
}

fn parse_stanza(stanza: &str) -> Vec<Source> {
    let fields: BTreeMap<String, &str> = stanza
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
        .collect();
    let words = |name: &str| -> Vec<String> {
        let value = fields.get(name).copied().unwrap_or_default();
        value.split_whitespace().map(str::to_owned).collect()
    };
    if !words("types").iter().any(|kind| kind == "deb") {
        return Vec::new();
    }
    // A key may also stand in the stanza itself, over several lines; only a file name is taken
    // over.
    let signed_by =
        fields.get("signed-by").filter(|key| key.starts_with('/')).map(|key| (*key).to_owned());
    let source = |uri| Source { uri, suites: words("suites"), signed_by: signed_by.clone() };
    words("uris").into_iter().map(source).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let mut rest = line.trim().strip_prefix("deb ")?.trim();
    let mut signed_by = None;
    if let Some((options, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        let key = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
        signed_by = key.map(str::to_owned);
        rest = after.trim();
    }
    let mut words = rest.split_whitespace();
    let uri = words.next()?.to_owned();
    let suites = vec![words.next()?.to_owned()];
    Some(Source { uri, suites, signed_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_give_every_uri_with_its_suites() {
        let text = "Types: deb\n# a remark: ignored\nURIs: http://one.example/debian\n\
                    Suites: twelve twelve-updates\nComponents: main\n\
                    Signed-By: /usr/share/key.gpg\n\
                    \nTypes: deb-src\nURIs: http://two.example/debian\nSuites: twelve\n";
        let expected = Source {
            uri: "http://one.example/debian".to_owned(),
            suites: vec!["twelve".to_owned(), "twelve-updates".to_owned()],
            signed_by: Some("/usr/share/key.gpg".to_owned()),
        };
        assert_eq!(parse_stanzas(text), [expected]);
    }

    #[test]
    fn lines_give_uri_and_suite_with_or_without_options() {
        let plain = parse_line("deb http://one.example/debian twelve main contrib");
        let plain = plain.expect("a source");
        assert_eq!((plain.uri.as_str(), plain.signed_by), ("http://one.example/debian", None));
        assert_eq!(plain.suites, ["twelve"]);
        let signed =
            parse_line("deb [arch=amd64 signed-by=/k.gpg] http://one.example/d twelve main");
        assert_eq!(signed.expect("a source").signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(parse_line("# deb http://one.example/debian twelve main"), None);
        assert_eq!(parse_line("deb-src http://one.example/debian twelve main"), None);
    }
}
