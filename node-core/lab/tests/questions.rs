//! What nodes ask each other through the network: node info and the debug questions.
//!
//! ```text
//!   [a] ======wire1======> [b] ======wire2======> [c]      a asks, with the tool of its kind
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

#[test]
fn ours_explores_the_reference_and_a_closed_node_says_nothing() {
    run("exploring", |lab| {
        let row = lab.chain(&[Ours, Reference, Reference], "tcp")?;
        lab.settled(&row.all(), Deadline::seconds(60))?;
        let [asker, near, far] = &row.nodes[..] else { unreachable!("three kinds, three nodes") };
        for (asked, mut neighbours) in [(near, vec![asker, far]), (far, vec![near])] {
            let said = explored(asker, asked)?;
            ensure!(said["answered"] == true, "it answers everybody: {said}");
            ensure!(said["name"] == asked.label(), "the name it was given: {said}");
            for member in ["program", "system"] {
                let text = said[member].as_str().unwrap_or_default();
                ensure!(!text.is_empty(), "no {member}, though privacy is off: {said}");
            }
            ensure!(said["routing_entries"] == 3, "three nodes: {said}");
            ensure!(said["round_trip_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{said}");
            neighbours.sort_by_key(|node| node.identity().key());
            let keys: Vec<_> = neighbours.iter().map(|node| node.identity().key()).collect();
            ensure!(said["peers"] == Value::from(keys), "its peers: {said}");
            let tree = said["tree"].as_array().map(Vec::len);
            ensure!(tree == Some(2), "all but itself: {said}");
        }
        let drawn = asker.planetary(["topology"])?;
        let (near, far) = (near.identity().key(), far.identity().key());
        let nodes = drawn["nodes"].as_array().context("no nodes")?;
        let of_far = nodes.iter().find(|node| node["key"] == far.as_str()).context("not drawn")?;
        let roles = of_far["roles"].as_array().context("no roles")?;
        ensure!(roles.contains(&"explored".into()), "it was explored: {of_far}");
        ensure!(of_far["via"] == near.as_str(), "the way leads over the one between: {of_far}");
        let edges = drawn["edges"].as_array().context("no edges")?;
        let ends = [far.as_str(), near.as_str()];
        let link = edges.iter().find(|edge| {
            let has = |end: &str| edge["from"] == end || edge["to"] == end;
            edge["kind"] == "link" && ends.into_iter().all(has)
        });
        ensure!(link.is_some(), "no link between the two: {drawn}");
        let way = asker.planetary(["path", &far])?;
        let hops: Vec<_> = way["hops"].as_array().into_iter().flatten().collect();
        let keys: Vec<_> = hops.iter().filter_map(|hop| hop["key"].as_str()).collect();
        ensure!(keys == [&asker.identity().key(), &near, &far], "the way: {way}");
        Ok(())
    });
    run("exploring a closed node", |lab| {
        let [one, other] = ["asker", "closed"].map(|label| lab.host(label));
        let (one, other) = (one?, other?);
        let uri = lab.wire(&one, &other)?.ends()[1].uri("tcp", 9001);
        let asker = lab.start(lab.node(Ours, &one)?.peer(&uri))?;
        let closed = lab.start(lab.node(Ours, &other)?.listen(&uri).closed())?;
        lab.settled(&[&asker, &closed], Deadline::seconds(60))?;
        let said = explored(&asker, &closed)?;
        ensure!(said["answered"] == false, "a stranger learns nothing: {said}");
        ensure!(said["peers"].is_null() && said["name"].is_null(), "{said}");
        Ok(())
    });
}

/// A node that was just started may not be found at once.
fn explored(asker: &Node, asked: &Node) -> Result<Value> {
    let key = asked.identity().key();
    until("a node is found", Deadline::seconds(100), || {
        match asker.planetary(["explore", &key]) {
            // Of a lost packet there is no second one.
            Ok(said) if said["answered"] == true && said["peers"].is_null() => Ok(None),
            said => said.map(Some),
        }
    })
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
