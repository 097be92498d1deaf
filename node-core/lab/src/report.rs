//! What a scenario that failed tells: everything one would ask next.
//!
//! It goes to stderr, and the folder of the lab (logs, configurations) is kept below
//! `target/lab/SCENARIO`, where the next failure of the same scenario replaces it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Error, Result};

use crate::host::Host;
use crate::lab::Lab;
use crate::node::Node;

/// How many lines of each log are shown; the whole file is kept.
const LOG_LINES: usize = 60;

pub(crate) fn print(lab: &Lab, error: &Error) {
    let (nodes, wires, hosts) = {
        let grounds = lab.grounds();
        (grounds.nodes.clone(), grounds.wires.clone(), grounds.hosts.clone())
    };
    eprintln!("\n======== {} failed: {error:#}", lab.scenario());
    for wire in &wires {
        let [one, other] = wire
            .ends()
            .each_ref()
            .map(|end| format!("{} {} {} {}", end.host.label(), end.device, end.v4, end.v6));
        eprintln!("wire: {one} <-> {other}");
    }
    hosts.iter().for_each(print_host);
    nodes.iter().for_each(|node| print_node(node));
    match keep(lab) {
        Ok(folder) => eprintln!("======== logs and configurations: {}", folder.display()),
        Err(error) => eprintln!("======== logs and configurations could not be kept: {error}"),
    }
}

fn print_host(host: &Host) {
    eprintln!("\n---- host {}", host.label());
    let views: [&[&str]; 4] = [
        &["ip", "-brief", "address"],
        &["ip", "-6", "route", "show"],
        &["ip", "-6", "route", "show", "cache"],
        &["ss", "-tni"],
    ];
    for view in views {
        let output = host.command(view[0]).args(&view[1..]).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        eprintln!("$ {}\n{}", view.join(" "), text.unwrap_or_default().trim_end());
    }
}

fn print_node(node: &Node) {
    let state = if node.is_running() { "running" } else { "not running" };
    eprintln!("\n---- {}, {state}, {}, key {}", node.name(), node.address(), node.identity().key());
    if node.is_running() {
        let status = node.raw_status();
        let status = status.and_then(|status| Ok(serde_json::to_string_pretty(&status)?));
        eprintln!("{}", status.unwrap_or_else(|error| format!("no status: {error:#}")));
    }
    let log = node.log();
    let lines: Vec<&str> = log.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LOG_LINES)..];
    eprintln!("log, {} of {} lines:\n{}", shown.len(), lines.len(), shown.join("\n"));
}

fn keep(lab: &Lab) -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).unwrap_or(here);
    let folder = root.join("target/lab").join(lab.scenario().replace(' ', "-"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    copy(lab.folder(), &folder)?;
    Ok(folder)
}

/// Copies a folder; sockets stay behind.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
