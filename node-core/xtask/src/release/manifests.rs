//! What package managers are told: their files, filled from one description of the product.
//!
//! The description and the templates lie in `installers/manifests`. A template names values as
//! `{{name}}`; one that is not known is an error, so that no half-filled file goes out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use toml_edit::{DocumentMut, Table};

use super::Release;
use crate::package::sums;
use crate::step;

/// Where files and pages will be on the web.
pub(super) struct Places<'a> {
    /// The folder of the files.
    pub(super) downloads: &'a str,
    /// The page of this release.
    pub(super) page: &'a str,
    /// The page of the project.
    pub(super) homepage: &'a str,
}

/// What templates may name.
type Values = BTreeMap<String, String>;

/// Writes all manifests whose files are there; returns what was left out, and why.
pub(super) fn write(release: &Release, places: &Places<'_>) -> Result<Vec<String>> {
    let folder = step::workspace_root().join("installers/manifests");
    let text = fs::read_to_string(folder.join("product.toml")).context("product.toml")?;
    let product: DocumentMut = text.parse().context("product.toml")?;
    for url in [places.downloads, places.page, places.homepage] {
        ensure!(is_plain_url(url), "{url} is no plain https URL");
    }
    let sums = sums::of_folder(&release.folder)?;
    let values = values(release, places, &product, &sums)?;
    let out = release.folder.join("manifests");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    let mut left_out = Vec::new();
    let manifests = product.get("manifest").and_then(|item| item.as_array_of_tables());
    for manifest in manifests.context("product.toml: no [[manifest]]")? {
        let made = single(&text_of(manifest, "made")?, &values);
        let needed = manifest.get("files").and_then(|item| item.as_array());
        let needed = needed.context("product.toml: a manifest without files")?;
        let lacks = needed.iter().filter_map(|name| name.as_str());
        let lacks = lacks.filter(|name| !values.contains_key(&format!("{name}_sum")));
        let lacks: Vec<&str> = lacks.filter_map(|name| values.get(name)).map(|s| &**s).collect();
        if !lacks.is_empty() {
            left_out.push(format!("manifests/{made}: there is no {}", lacks.join(", ")));
            continue;
        }
        let template = text_of(manifest, "template")?;
        let text = fs::read_to_string(folder.join(&template)).context(template.clone())?;
        let filled = fill(&text, &values).context(template)?;
        let place = out.join(&made);
        place.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&place, filled)?;
        println!("{}", place.display());
    }
    Ok(left_out)
}

/// Everything that templates may name.
fn values(
    release: &Release,
    places: &Places<'_>,
    product: &DocumentMut,
    sums: &BTreeMap<String, String>,
) -> Result<Values> {
    let mut values = Values::new();
    for (name, item) in product.iter() {
        if let Some(text) = item.as_str() {
            values.insert(name.to_owned(), text.to_owned());
        }
    }
    for (name, value) in [
        ("version", release.version.as_str()),
        ("date", &release.date()),
        ("downloads", places.downloads.trim_end_matches('/')),
        ("page", places.page),
        ("homepage", places.homepage),
    ] {
        values.insert(name.to_owned(), value.to_owned());
    }
    let files = product.get("files").and_then(|item| item.as_table());
    for (name, item) in files.context("product.toml: no [files]")? {
        let file = item.as_str().context("product.toml: a file without a name")?;
        let file = single(file, &values);
        if let Some(sum) = sums.get(&file) {
            values.insert(format!("{name}_sum"), sum.clone());
        }
        values.insert(name.to_owned(), file);
    }
    Ok(values)
}

/// A text of a manifest's entry.
fn text_of(manifest: &Table, name: &str) -> Result<String> {
    let text = manifest.get(name).and_then(|item| item.as_str());
    let text = text.with_context(|| format!("product.toml: a manifest without `{name}`"))?;
    ensure!(Path::new(text).is_relative() && !text.contains(".."), "{text} leads elsewhere");
    Ok(text.to_owned())
}

/// Puts values into a name of the description, which marks them by single brackets.
fn single(text: &str, values: &Values) -> String {
    let put = |text: String, (name, value): (&String, &String)| {
        text.replace(&format!("{{{name}}}"), value)
    };
    values.iter().fold(text.to_owned(), put)
}

/// Puts values into a template.
fn fill(template: &str, values: &Values) -> Result<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { bail!("`{{{{` without an end") };
        let value = values.get(name).with_context(|| format!("nothing is known as {name}"))?;
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Whether a text can stand in each of the languages that manifests are written in.
fn is_plain_url(url: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~:/%+=?&".contains(c);
    url.starts_with("https://") && url.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(files: &[&str]) -> (tempfile::TempDir, Release) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(folder.path().join(file), file).unwrap();
        }
        let path = folder.path().to_path_buf();
        (folder, Release { version: "1.2.3".into(), epoch: 1_795_824_000, folder: path })
    }

    const PLACES: Places<'_> = Places {
        downloads: "https://host.example/1.2.3/",
        page: "https://host.example/notes/1.2.3",
        homepage: "https://host.example/",
    };

    #[test]
    fn every_template_is_filled_from_the_description() {
        let files = [
            "planetary-network-1.2.3-x64-setup.exe",
            "planetary-network-1.2.3-x64.msi",
            "planetary-network-1.2.3-macos-universal.pkg",
            "planetary-network-headless-1.2.3-macos-universal.tar.gz",
            "planetary-network-1.2.3-linux-x86_64.tar.gz",
        ];
        let (folder, release) = release(&files);
        assert_eq!(write(&release, &PLACES).unwrap(), Vec::<String>::new());
        let read = |name: &str| fs::read_to_string(folder.path().join("manifests").join(name));
        let id = "Planetary.PlanetaryNetwork";
        let installer = read(&format!("winget/{id}.installer.yaml")).unwrap();
        let sum = sums::of_file(&folder.path().join(files[0])).unwrap();
        assert!(installer.contains(&format!("InstallerSha256: {sum}")), "{installer}");
        let url = "https://host.example/1.2.3/planetary-network-1.2.3-x64-setup.exe";
        assert!(installer.contains(&format!("InstallerUrl: {url}\n")), "{installer}");
        assert!(installer.contains("ReleaseDate: 2026-11-28"));
        for name in [
            &format!("winget/{id}.yaml"),
            &format!("winget/{id}.locale.en-US.yaml"),
            "homebrew/Casks/planetary-network.rb",
            "homebrew/Formula/planetary.rb",
            "flatpak/net.planetary.PlanetaryNetwork.yml",
        ] {
            assert!(!read(name).unwrap().contains("{{"), "{name}");
        }
    }

    #[test]
    fn what_is_not_released_is_not_announced() {
        let (folder, release) = release(&["planetary-network-1.2.3-x64.msi"]);
        let left_out = write(&release, &PLACES).unwrap();
        assert_eq!(left_out.len(), 6, "{left_out:?}");
        assert!(left_out[0].ends_with("there is no planetary-network-1.2.3-x64-setup.exe"));
        assert!(!folder.path().join("manifests").exists());
    }

    #[test]
    fn unknown_names_and_strange_places_are_refused() {
        let values = Values::from([("a".to_owned(), "{{b}}".to_owned())]);
        assert_eq!(fill("x {{a}} y", &values).unwrap(), "x {{b}} y");
        assert!(fill("{{c}}", &values).is_err());
        assert!(fill("{{a", &values).is_err());
        assert!(!is_plain_url("http://host.example/") && !is_plain_url("https://a\"b"));
        let (_folder, release) = release(&[]);
        assert!(write(&release, &Places { page: "https://a.example/#{x}", ..PLACES }).is_err());
    }
}
