//! What the programs are made of, as a CycloneDX document: every crate and every package of npm
//! that ships, and the driver for Windows, with their licences and checksums.
//!
//! Tools that build and test are left out. The document follows from the lock files and the commit
//! alone, so that it is the same wherever it is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Release;
use crate::package::windows::{WINTUN_SUM, WINTUN_VERSION};
use crate::step;

/// Our programs; what they need ships.
const PROGRAMS: [&str; 3] = ["planetaryd", "planetary", "planetary-network"];

/// What the pages are built of.
const PAGES: &str = "ui/package-lock.json";

/// Checksums of crates, as cargo has written them down.
const LOCK: &str = "Cargo.lock";

/// Writes it.
pub(super) fn write(release: &Release) -> Result<PathBuf> {
    let mut command = step::cargo(["metadata", "--format-version", "1", "--locked"]);
    let output = command.output().context("cannot start cargo")?;
    anyhow::ensure!(output.status.success(), "cargo metadata failed");
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo gave no JSON")?;
    let root = step::workspace_root();
    let lock = fs::read_to_string(root.join(LOCK)).context(LOCK)?;
    let pages = fs::read_to_string(root.join(PAGES)).context(PAGES)?;
    let pages: Value = serde_json::from_str(&pages).context(PAGES)?;
    let document = document(release, &metadata, &lock, &pages)?;
    let place = release.file(".cdx.json");
    fs::write(&place, format!("{document:#}\n"))?;
    Ok(place)
}

fn document(release: &Release, metadata: &Value, lock: &str, pages: &Value) -> Result<Value> {
    let product = format!("pkg:generic/planetary-network@{}", release.version);
    let (mut components, mut arrows) = crates(metadata, lock)?;
    let npm = packages_of_npm(pages)?;
    let driver = driver();
    for (from, to) in &mut arrows {
        if from.starts_with("pkg:cargo/planetary-network@") {
            // The app has its pages inside.
            to.extend(npm.keys().cloned());
        } else if from.starts_with("pkg:cargo/planetaryd@") {
            to.insert(driver.0.clone());
        }
    }
    components.extend(npm);
    components.extend([driver]);
    let programs = arrows
        .keys()
        .filter(|from| PROGRAMS.iter().any(|name| from.starts_with(&format!("pkg:cargo/{name}@"))));
    arrows.insert(product.clone(), programs.cloned().collect());
    let dependencies = arrows.iter().map(|(from, to)| json!({ "ref": from, "dependsOn": to }));
    let dependencies: Vec<Value> = dependencies.collect();
    let components: Vec<Value> = components.into_values().collect();
    // A number of its own for each content, in the form of a UUID of version 8.
    let content = serde_json::to_vec(&json!([components, dependencies, release.version]))?;
    let mut number = [0; 16];
    number.copy_from_slice(&Sha256::digest(content)[..16]);
    number[6] = number[6] & 0x0f | 0x80;
    number[8] = number[8] & 0x3f | 0x80;
    let digits = hex::encode(number);
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": format!("urn:uuid:{}", groups.join("-")),
        "version": 1,
        "metadata": {
            "timestamp": format!("{}T00:00:00Z", release.date()),
            "component": {
                "type": "application",
                "bom-ref": product,
                "name": "planetary-network",
                "version": release.version,
                "purl": product,
                "licenses": [{ "expression": "MPL-2.0" }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// The driver of the network interface on Windows, which is no crate: its makers' own file.
fn driver() -> (String, Value) {
    let purl = format!("pkg:generic/wintun@{WINTUN_VERSION}");
    let mut driver = component(&purl, None, Some(WINTUN_SUM), "SHA-256");
    driver["licenses"] = json!([{ "license": { "name": "Prebuilt Binaries License" } }]);
    (purl, driver)
}

/// Components by their name, and what each of them needs.
type Graph = (BTreeMap<String, Value>, BTreeMap<String, BTreeSet<String>>);

/// The crates that our programs are made of on any system: what is needed to run, not what builds
/// or tests.
fn crates(metadata: &Value, lock: &str) -> Result<Graph> {
    let list = |value: &'_ Value, name: &str| -> Result<Vec<Value>> {
        Ok(value[name].as_array().with_context(|| format!("cargo told no {name}"))?.clone())
    };
    let nodes = list(&metadata["resolve"], "nodes")?;
    let nodes: BTreeMap<&str, &Value> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let packages = list(metadata, "packages")?;
    let packages: BTreeMap<&str, &Value> =
        packages.iter().filter_map(|one| Some((one["id"].as_str()?, one))).collect();
    let is_program =
        |package: &Value| PROGRAMS.iter().any(|name| package["name"].as_str() == Some(name));
    let mut waiting: Vec<&str> =
        packages.iter().filter(|(_, package)| is_program(package)).map(|(id, _)| *id).collect();
    let sums = checksums(lock);
    let (mut components, mut arrows) = (BTreeMap::new(), BTreeMap::new());
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        let package = packages.get(id).with_context(|| format!("cargo knows no {id}"))?;
        let needs: Vec<&str> = nodes
            .get(id)
            .and_then(|node| node["deps"].as_array())
            .map(|deps| deps.iter().filter(|dep| ships(dep)).filter_map(|dep| dep["pkg"].as_str()))
            .map(Iterator::collect)
            .unwrap_or_default();
        let purl = |id: &str| packages.get(id).map(|package| purl_of(package));
        arrows.insert(purl_of(package), needs.iter().filter_map(|id| purl(id)).collect());
        let (name, version) = (text(package, "name"), text(package, "version"));
        let sum = sums.get(&(name, version)).copied();
        let licence = package["license"].as_str();
        components.insert(purl_of(package), component(&purl_of(package), licence, sum, "SHA-256"));
        waiting.extend(needs);
    }
    Ok((components, arrows))
}

/// Whether a dependency is one of the program itself.
fn ships(dependency: &Value) -> bool {
    let kinds = dependency["dep_kinds"].as_array();
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

fn purl_of(package: &Value) -> String {
    // A plus sign in a version means what it says; in a purl it would be a space.
    let version = text(package, "version").replace('+', "%2B");
    format!("pkg:cargo/{}@{version}", text(package, "name"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn component(purl: &str, licence: Option<&str>, sum: Option<&str>, kind: &str) -> Value {
    let (head, version) = purl.rsplit_once('@').unwrap_or((purl, ""));
    let name = head.split_once('/').map_or(head, |(_, name)| name);
    let mut component = Map::new();
    component.insert("type".into(), "library".into());
    component.insert("bom-ref".into(), purl.into());
    component.insert("name".into(), name.replace("%40", "@").into());
    component.insert("version".into(), version.replace("%2B", "+").into());
    component.insert("purl".into(), purl.into());
    if let Some(licence) = licence {
        // A slash is how some packages still write "or".
        let expression = licence.replace('/', " OR ");
        component.insert("licenses".into(), json!([{ "expression": expression }]));
    }
    if let Some(sum) = sum {
        component.insert("hashes".into(), json!([{ "alg": kind, "content": sum }]));
    }
    Value::Object(component)
}

/// Checksums by name and version.
fn checksums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    let value = |block: &'_ str, name: &str| -> Option<(usize, usize)> {
        let start = block.find(&format!("{name} = \""))? + name.len() + 4;
        Some((start, start + block[start..].find('"')?))
    };
    let blocks = lock.split("[[package]]").skip(1);
    let read = blocks.filter_map(|block| {
        let (name, version) = (value(block, "\nname")?, value(block, "\nversion")?);
        let sum = value(block, "\nchecksum")?;
        Some(((&block[name.0..name.1], &block[version.0..version.1]), &block[sum.0..sum.1]))
    });
    read.collect()
}

/// The packages of npm whose code is in the pages.
fn packages_of_npm(lock: &Value) -> Result<BTreeMap<String, Value>> {
    let packages = lock["packages"].as_object().context("a lock file without packages")?;
    let ships = packages.iter().filter(|(path, package)| {
        !path.is_empty() && package["dev"] != true && package["optional"] != true
    });
    let read = ships.map(|(path, package)| {
        let name = path.rsplit_once("node_modules/").map_or(path.as_str(), |(_, name)| name);
        let version = package["version"].as_str().context("a package without a version")?;
        let purl = format!("pkg:npm/{}@{version}", name.replace('@', "%40"));
        let sum = package["integrity"].as_str().and_then(|text| text.strip_prefix("sha512-"));
        let sum = sum.and_then(|text| Base64::decode_vec(text).ok()).map(hex::encode);
        let licence = package["license"].as_str();
        let component = component(&purl, licence, sum.as_deref(), "SHA-512");
        Ok((purl, component))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Value {
        let package = |name: &str, version: &str| {
            let licence = "MIT/Apache-2.0";
            json!({ "id": name, "name": name, "version": version, "license": licence })
        };
        let dep = |name: &str, kind: Option<&str>| {
            let kinds = json!([{ "kind": kind }]);
            json!({ "pkg": name, "dep_kinds": kinds })
        };
        json!({
            "packages": [
                package("planetaryd", "0.1.0"), package("ring", "0.17.0"),
                package("tool", "1.0.0"), package("wit", "0.2.0+build"),
            ],
            "resolve": { "nodes": [
                { "id": "planetaryd", "deps": [dep("ring", None), dep("tool", Some("dev"))] },
                { "id": "ring", "deps": [dep("wit", None), dep("tool", Some("build"))] },
                { "id": "tool", "deps": [] },
                { "id": "wit", "deps": [] },
            ] },
        })
    }

    const LOCK_TEXT: &str = r#"version = 4

[[package]]
name = "ring"
version = "0.17.0"
source = "x"
checksum = "abcd"

[[package]]
name = "planetaryd"
version = "0.1.0"
dependencies = [
 "ring",
]
"#;

    fn pages() -> Value {
        let sum = "sha512-AAEC";
        json!({ "packages": {
            "": { "name": "pages" },
            "node_modules/svelte": { "version": "5.0.0", "license": "MIT", "integrity": sum },
            "node_modules/a/node_modules/@b/c": { "version": "1.0.0", "license": "ISC" },
            "node_modules/vite": { "version": "8.0.0", "license": "MIT", "dev": true },
        } })
    }

    #[test]
    fn what_ships_is_named_and_what_builds_is_not() {
        let release =
            Release { version: "0.1.0".into(), epoch: 1_795_824_000, folder: PathBuf::new() };
        let made = || document(&release, &metadata(), LOCK_TEXT, &pages()).unwrap();
        let document = made();
        assert_eq!(document, made());
        let names: Vec<&str> = document["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|component| component["purl"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "pkg:cargo/planetaryd@0.1.0",
                "pkg:cargo/ring@0.17.0",
                "pkg:cargo/wit@0.2.0%2Bbuild",
                "pkg:generic/wintun@0.14.1",
                "pkg:npm/%40b/c@1.0.0",
                "pkg:npm/svelte@5.0.0",
            ]
        );
        let components = &document["components"];
        assert_eq!(components[1]["hashes"][0]["content"], "abcd");
        assert_eq!(components[1]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(components[2]["version"], "0.2.0+build");
        assert_eq!(components[3]["hashes"][0]["content"], WINTUN_SUM);
        assert_eq!(components[4]["name"], "@b/c");
        assert_eq!(components[5]["hashes"][0], json!({ "alg": "SHA-512", "content": "000102" }));
        let number = document["serialNumber"].as_str().unwrap();
        assert_eq!(number.len(), "urn:uuid:".len() + 36);
        let arrows = document["dependencies"].as_array().unwrap();
        assert!(arrows.contains(&json!({
            "ref": "pkg:cargo/planetaryd@0.1.0",
            "dependsOn": ["pkg:cargo/ring@0.17.0", "pkg:generic/wintun@0.14.1"],
        })));
    }
}
