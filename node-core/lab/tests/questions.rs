//! What nodes ask each other through the network: node info and the debug questions.
//!
//! ```text
//!   [a] ======wire1======> [b] ======wire2======> [c]      a, the reference, asks with its tool
//! ```

#![cfg(target_os = "linux")]

use anyhow::{Context, Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Node, run, until};
use serde_json::Value;

#[test]
fn the_references_own_tool_asks_ours() {
    run("questions to ours", |lab| {
        let row = lab.chain(&[Reference, Ours, Ours], "tcp")?;
        lab.settled(&row.all(), Deadline::seconds(60))?;
        let [asker, near, far] = &row.nodes[..] else { unreachable!("three kinds, three nodes") };
        for (asked, neighbours) in [(near, vec![asker, far]), (far, vec![near])] {
            let info = answer(asker, "getNodeInfo", asked)?;
            let info = info.get(asked.identity().key()).context("not under its key")?;
            let name = info.get("name").and_then(Value::as_str);
            ensure!(name == Some(asked.label()), "the configured info is missing: {info}");
            for member in ["buildname", "buildversion", "buildplatform", "buildarch"] {
                let text = info.get(member).and_then(Value::as_str).unwrap_or_default();
                ensure!(!text.is_empty(), "no {member}, though privacy is off: {info}");
            }

            let own = answer(asker, "debug_remoteGetSelf", asked)?;
            let own = own.get(asked.address().to_string()).context("not under its address")?;
            let key = own.get("key").and_then(Value::as_str);
            ensure!(key == Some(&asked.identity().key()), "it says of itself: {own}");
            let entries = own.get("routing_entries").and_then(Value::as_str);
            ensure!(entries == Some("3"), "three nodes, and it knows {entries:?}");

            let peers = keys(&answer(asker, "debug_remoteGetPeers", asked)?, asked)?;
            let mut expected: Vec<String> = neighbours.iter().map(|n| n.identity().key()).collect();
            expected.sort();
            ensure!(peers == expected, "its peers: {peers:?}");

            let tree = keys(&answer(asker, "debug_remoteGetTree", asked)?, asked)?;
            let mut expected: Vec<String> = row.all().iter().map(|n| n.identity().key()).collect();
            expected.sort();
            ensure!(tree == expected, "its tree: {tree:?}");
        }
        Ok(())
    });
}

/// The reference gives up after six seconds, and waits longer now and then before it finds a path.
fn answer(asker: &Node, question: &str, asked: &Node) -> Result<Value> {
    let key = format!("key={}", asked.identity().key());
    until(&format!("an answer to {question}"), Deadline::seconds(100), || {
        asker.yggdrasilctl([question, &key]).map(Some)
    })
}

fn keys(answer: &Value, asked: &Node) -> Result<Vec<String>> {
    let keys = answer.get(asked.address().to_string()).and_then(|value| value.get("keys"));
    let keys = keys.and_then(Value::as_array).context("no keys under its address")?;
    let mut keys: Vec<String> = keys.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    keys.sort();
    Ok(keys)
}
