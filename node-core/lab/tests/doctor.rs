//! A node notices what becomes of its interface, and who else uses the network's addresses.
//!
//! ```text
//!   [a] dials ======wire1======> [b] listens
//!    |
//!    +- the node's TUN, and whatever the scenario puts beside it
//! ```

#![cfg(target_os = "linux")]

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Lab, Node, run, until};
use serde_json::Value;

#[test]
fn an_address_of_the_network_on_another_interface_is_told_and_its_end_too() {
    run("address elsewhere", |lab| {
        let node = start(lab)?;
        let host = node.host();
        host.ip(["link", "add", "other0", "type", "veth", "peer", "name", "other1"])?;
        host.ip(["link", "set", "other0", "up"])?;
        host.ip(["address", "add", "201:abcd::2/64", "dev", "other0", "nodad"])?;
        let item = told(&node, "network_clash")?;
        let text = item["text"].as_str().context("no text")?;
        ensure!(text.contains("other0 has 201:abcd::2"), "{text}");
        host.ip(["link", "del", "other0"])?;
        over(&node, "network_clash")
    });
}

#[test]
fn another_node_on_the_same_computer_is_named_by_its_interface() {
    run("two nodes on one computer", |lab| {
        let node = start(lab)?;
        let other = lab.start(lab.node(Reference, node.host())?.called("other"))?;
        let item = told(&node, "network_clash")?;
        let (text, action) = (item["text"].to_string(), item["action"].to_string());
        let has = format!("{} has {}", other.device(), other.address());
        ensure!(text.contains(&has), "{text}");
        ensure!(action.contains("yggdrasil"), "{action}");
        other.stop()?;
        over(&node, "network_clash")
    });
}

#[test]
fn a_route_that_is_gone_is_told_and_opening_the_interface_anew_mends_it() {
    run("route gone", |lab| {
        let node = start(lab)?;
        node.host().ip(["-6", "route", "del", "200::/7", "dev", node.device()])?;
        let item = told(&node, "route_missing")?;
        ensure!(item["affects_connectivity"] == true, "{item}");
        mend(&node, "route_missing")
    });
}

#[test]
fn an_interface_that_is_switched_off_or_changed_is_told() {
    run("interface changed", |lab| {
        let node = start(lab)?;
        node.host().ip(["link", "set", node.device(), "mtu", "1500"])?;
        let item = told(&node, "mtu_changed")?;
        ensure!(item["text"].to_string().contains("1500"), "{item}");
        node.host().ip(["-6", "address", "flush", "dev", node.device()])?;
        let item = told(&node, "interface_changed")?;
        ensure!(item["title"].to_string().contains("lost its address"), "{item}");
        mend(&node, "interface_changed")
    });
}

#[test]
fn doctor_finds_nothing_wrong_with_a_good_node() {
    run("good node", |lab| {
        let node = start(lab)?;
        // It fails when there is an error.
        let report = node.planetary(["doctor"])?;
        let items = report["items"].as_array().context("no items")?;
        for code in ["service", "tun", "rights", "alone", "peers"] {
            let good = |item: &Value| item["code"] == code && item["severity"] == "ok";
            ensure!(items.iter().any(good), "{code} is not good: {report}");
        }
        Ok(())
    });
}

/// The node on `a`, connected.
fn start(lab: &Lab) -> Result<Arc<Node>> {
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    let wire = lab.wire(&a, &b)?;
    let uri = wire.ends()[1].uri("tcp", 9001);
    let far = lab.start(lab.node(Ours, &b)?.listen(&uri))?;
    let node = lab.start(lab.node(Ours, &a)?.peer(&uri))?;
    node.wait_until_reaches(&far, Deadline::seconds(60))?;
    Ok(node)
}

/// Waits until the health of the status has an item.
fn told(node: &Node, code: &str) -> Result<Value> {
    until(code, Deadline::seconds(30), || {
        let status = node.raw_status()?;
        let items = status["health"].as_array().context("no health")?;
        Ok(items.iter().find(|item| item["code"] == code).cloned())
    })
}

/// Waits until it is gone.
fn over(node: &Node, code: &str) -> Result<()> {
    until(&format!("the end of {code}"), Deadline::seconds(30), || {
        let status = node.raw_status()?;
        let items = status["health"].as_array().context("no health")?;
        Ok(items.iter().all(|item| item["code"] != code).then_some(()))
    })
}

/// Does what the item advises.
fn mend(node: &Node, code: &str) -> Result<()> {
    node.planetary(["down"])?;
    node.planetary(["up"])?;
    over(node, code)
}
