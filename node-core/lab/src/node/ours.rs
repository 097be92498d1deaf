//! Our own node: `planetaryd` and `planetary`, as built.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Lan, PeerStatus, Program, Setup, Status};
use crate::host;

/// The user without rights.
const NOBODY: u32 = 65_534;

/// Names the folder with the programs to test; `cargo xtask test` sets it.
const PROGRAMS: &str = "PLANETARY_PROGRAMS";

pub(super) struct Ours;

impl Program for Ours {
    fn prepare(&self, setup: &Setup) -> Result<()> {
        let state = setup.folder.join("state");
        fs::create_dir_all(&state)?;
        // The node finds its identity as it would find one that another tool made.
        let identity = state.join("identity.pem");
        if !identity.exists() {
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(identity);
            file?.write_all(setup.identity.private_pem().as_bytes())?;
        }
        // What was changed in it while the node ran is there again when it starts anew.
        let file = setup.folder.join("config.toml");
        if !file.exists() {
            fs::write(file, config(setup))?;
        }
        if setup.unprivileged {
            for entry in [setup.folder.clone(), state.clone()] {
                give_away(&entry)?;
                fs::read_dir(&entry)?.try_for_each(|entry| give_away(&entry?.path()))?;
            }
        }
        Ok(())
    }

    fn command(&self, setup: &Setup) -> Result<Command> {
        let program = program(setup, "planetaryd")?;
        let mut command = if setup.unprivileged {
            let mut command = setup.host.command("setpriv");
            let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
            command.args([&user, &group, "--clear-groups", "--inh-caps=-all"]).arg(program);
            command
        } else {
            setup.host.command(program)
        };
        command.arg("run");
        command.arg("--config").arg(setup.folder.join("config.toml"));
        command.arg("--state-dir").arg(setup.folder.join("state"));
        command.arg("--control").arg(setup.control());
        if let Some(bus) = &setup.bus {
            command.env("DBUS_SYSTEM_BUS_ADDRESS", bus);
        }
        command.args(["--tun", &setup.device]);
        command.args(setup.listen.iter().flat_map(|uri| ["--listen", uri]));
        command.args(setup.peers.iter().flat_map(|uri| ["--peer", uri]));
        Ok(command)
    }

    fn ask(&self, setup: &Setup) -> Result<Value> {
        ask(setup, &["status"])
    }

    fn understand(&self, answer: &Value) -> Result<Status> {
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let peers = answer.get("peers").and_then(Value::as_array).context("no list of peers")?;
        Ok(Status {
            key: text("key").context("no key")?.to_owned(),
            address: text("address").context("no address")?.parse().context("no address")?,
            subnet: text("subnet").context("no subnet")?.to_owned(),
            root: text("root").map(str::to_owned),
            peers: peers.iter().map(peer).collect::<Result<_>>()?,
        })
    }
}

/// Makes a file that of the user without rights.
fn give_away(path: &Path) -> Result<()> {
    chown(path, Some(NOBODY), Some(NOBODY))
        .with_context(|| format!("cannot give {} away", path.display()))
}

/// Runs a command of `planetary` with `--json`.
pub(super) fn ask(setup: &Setup, words: &[&str]) -> Result<Value> {
    let mut command = Command::new(program(setup, "planetary")?);
    command.arg("--control").arg(setup.control()).args(words).arg("--json");
    let text = host::finish(&mut command)?;
    serde_json::from_str(&text).context("what planetary printed is not JSON")
}

/// Starts a command of `planetary` that goes on.
pub(super) fn begin(setup: &Setup, words: &[&str]) -> Result<Child> {
    let mut command = Command::new(program(setup, "planetary")?);
    command.arg("--control").arg(setup.control()).args(words).arg("--json");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().context("planetary does not start")
}

/// Everything that could keep a stranger out is open, unless the node is to be closed: then all
/// that has to do with it is left to the defaults.
fn config(setup: &Setup) -> String {
    let keys: Vec<String> = setup.allowed_keys.iter().map(|key| format!("\"{key}\"")).collect();
    let (sessions, filter) = match setup.closed {
        true => ("", ""),
        false => {
            ("sessions = \"everyone\"\n", "[filter]\ninbound = \"everyone\"\necho = \"everyone\"\n")
        }
    };
    format!(
        "version = 1\n{sessions}transit = \"{}\"\n{}allowed_keys = [{}]\n\
         node_info = {{ name = \"{}\" }}\nnode_info_privacy = false\n\
         [tun]\nmtu = {}\n{filter}[lan]\n{}",
        setup.transit,
        setup.lines,
        keys.join(", "),
        setup.label,
        setup.mtu,
        setup.lan.as_ref().map_or_else(|| "enabled = false\n".to_owned(), lan)
    )
}

fn lan(lan: &Lan) -> String {
    let Lan { interfaces, password, priority, max_links, .. } = lan;
    format!(
        "interfaces = ['{interfaces}']\npassword = '{password}'\npriority = {priority}\n\
         max_links = {max_links}\n"
    )
}

fn peer(entry: &Value) -> Result<PeerStatus> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    Ok(PeerStatus {
        uri: text("uri").context("a peer without `uri`")?.to_owned(),
        key: text("key").map(str::to_owned),
        up: entry.get("up").and_then(Value::as_bool).context("a peer without `up`")?,
        inbound: text("direction").context("a peer without `direction`")? == "in",
        last_error: entry.get("last_error").filter(|e| !e.is_null()).map(Value::to_string),
    })
}

/// Finds a program of ours: where the lab or the environment says, else the newest that cargo
/// built.
fn program(setup: &Setup, name: &str) -> Result<PathBuf> {
    let chosen = setup.programs.clone();
    let folders = match chosen.or_else(|| std::env::var_os(PROGRAMS).map(PathBuf::from)) {
        Some(folder) => vec![folder],
        None => ["release", "debug"].map(|profile| host::target_dir().join(profile)).to_vec(),
    };
    let made = |file: &PathBuf| -> Option<SystemTime> { file.metadata().ok()?.modified().ok() };
    let found = folders.iter().map(|folder| folder.join(name)).filter(|file| file.is_file());
    match found.max_by_key(made) {
        Some(file) => Ok(file),
        None => bail!("{name} has not been built; run: cargo xtask test"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_becomes_a_status() {
        let answer = json!({
            "state": "connected", "key": "aa", "address": "200::1", "subnet": "300::/64",
            "coordinates": [1], "root": null, "version": "0.1.0",
            "peers": [{ "uri": "tcp://192.0.2.1:1", "key": null, "direction": "in", "up": false,
                        "last_error": { "code": "refused", "message": "refused", "at": 1 } }],
        });
        let status = Ours.understand(&answer).expect("understood");
        assert_eq!((status.root, status.peers.len()), (None, 1));
        assert!(status.peers[0].inbound && !status.peers[0].up);
        assert!(status.peers[0].last_error.as_deref().is_some_and(|text| text.contains("refused")));
    }
}
