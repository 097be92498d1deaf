//! The reference implementation, as packaged: `yggdrasil` and `yggdrasilctl`.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Lan, PeerStatus, Program, Setup, Status};
use crate::host;

pub(super) struct Reference;

impl Program for Reference {
    fn prepare(&self, setup: &Setup) -> Result<()> {
        let config = json!({
            "PrivateKey": setup.identity.private_hex(),
            "Listen": setup.listen,
            "Peers": setup.peers,
            "AdminListen": endpoint(setup),
            "MulticastInterfaces": setup.lan.iter().map(lan).collect::<Vec<_>>(),
            "AllowedPublicKeys": setup.allowed_keys,
            "IfName": setup.device,
            "IfMTU": setup.mtu,
            "NodeInfo": { "name": setup.label },
        });
        let text = serde_json::to_string_pretty(&config)?;
        Ok(fs::write(setup.folder.join("yggdrasil.json"), text)?)
    }

    fn command(&self, setup: &Setup) -> Result<Command> {
        let mut command = setup.host.command("yggdrasil");
        command.arg("-useconffile").arg(setup.folder.join("yggdrasil.json"));
        Ok(command)
    }

    fn ask(&self, setup: &Setup) -> Result<Value> {
        let [own, peers, tree] =
            ["getSelf", "getPeers", "getTree"].map(|request| ask(setup, [request]));
        Ok(json!({ "self": own?, "peers": peers?, "tree": tree? }))
    }

    fn understand(&self, answer: &Value) -> Result<Status> {
        let text = |pointer| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let key = text("/self/key").to_owned();
        Ok(Status {
            address: text("/self/address").parse().context("no address")?,
            subnet: text("/self/subnet").to_owned(),
            root: root_above(&key, answer),
            peers: array(answer, "/peers/peers").iter().map(peer).collect(),
            key,
        })
    }
}

/// Sends one request and returns the answer.
pub(super) fn ask<const N: usize>(setup: &Setup, request: [&str; N]) -> Result<Value> {
    let mut command = Command::new("yggdrasilctl");
    command.args(["-json", &format!("-endpoint={}", endpoint(setup))]).args(request);
    let text = host::finish(&mut command)?;
    serde_json::from_str(&text).context("what yggdrasilctl printed is not JSON")
}

fn lan(lan: &Lan) -> Value {
    json!({
        "Regex": lan.interfaces,
        "Beacon": lan.beacon,
        "Listen": lan.listen,
        "Port": 0,
        "Priority": lan.priority,
        "Password": lan.password,
    })
}

fn endpoint(setup: &Setup) -> String {
    format!("unix://{}", setup.control().display())
}

fn peer(entry: &Value) -> PeerStatus {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let flag = |name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or_default();
    PeerStatus {
        uri: without_login(text("remote").unwrap_or_default()),
        key: text("key").map(str::to_owned),
        up: flag("up"),
        inbound: flag("inbound"),
        last_error: text("last_error").map(str::to_owned),
    }
}

/// The reference shows who it is to a proxy; ours does not.
fn without_login(uri: &str) -> String {
    match (uri.split_once("://"), uri.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => uri.to_owned(),
    }
}

/// Walks from a key up to the entry that is its own parent.
fn root_above(key: &str, answer: &Value) -> Option<String> {
    let text = |entry: &Value, name| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    let parents: BTreeMap<String, String> = array(answer, "/tree/tree")
        .iter()
        .filter_map(|entry| Some((text(entry, "key")?, text(entry, "parent")?)))
        .collect();
    let mut at = key;
    // No walk is longer than the tree has entries; a loop in a tree that changes ends there.
    for _ in 0..=parents.len() {
        let parent = parents.get(at)?;
        if parent == at {
            return Some(at.to_owned());
        }
        at = parent;
    }
    None
}

fn array<'a>(answer: &'a Value, pointer: &str) -> &'a [Value] {
    answer.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_a_status() {
        let answer = json!({
            "self": { "key": "bb", "address": "200::1", "subnet": "300::/64" },
            "peers": { "peers": [
                { "remote": "tcp://192.0.2.1:1", "up": true, "inbound": true, "key": "aa" },
                { "remote": "tcp://192.0.2.2:1", "up": false, "key": "", "last_error": "refused" },
            ] },
            "tree": { "tree": [
                { "key": "aa", "parent": "aa" }, { "key": "bb", "parent": "aa" },
            ] },
        });
        let status = Reference.understand(&answer).expect("understood");
        assert_eq!(status.root.as_deref(), Some("aa"));
        assert_eq!(status.peers[0].key.as_deref(), Some("aa"));
        assert!(status.peers[0].up && status.peers[0].inbound);
        assert_eq!(status.peers[1].key, None);
        assert_eq!(status.peers[1].last_error.as_deref(), Some("refused"));
    }

    #[test]
    fn a_tree_without_a_root_has_none() {
        let tree = json!({ "tree": { "tree": [
            { "key": "aa", "parent": "bb" }, { "key": "bb", "parent": "aa" },
        ] } });
        assert_eq!(root_above("aa", &tree), None);
        assert_eq!(root_above("cc", &tree), None);
    }
}
