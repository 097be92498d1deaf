//! `planetary topology`: the part of the network this node knows, as a tree or as a graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use planetary_ipc::{EdgeKind, Node, NodeKey, Role, Topology};

use crate::failure::Failure;
use crate::format::{self, Printer, Style, Tone};
use crate::session::Session;

pub(super) async fn run(session: &Session, printer: &Printer, dot: bool) -> Result<(), Failure> {
    let topology = session.client().await?.topology().await?;
    if dot {
        return Ok(format::write_out(&graph(&topology))?);
    }
    Ok(printer.print(&topology, tree)?)
}

/// The tree, a node a line, children beneath their parent and two columns further in.
fn tree(topology: &Topology, style: Style) -> String {
    let known: BTreeMap<NodeKey, &Node> =
        topology.nodes.iter().map(|node| (node.key, node)).collect();
    let mut children: BTreeMap<NodeKey, Vec<&Node>> = BTreeMap::new();
    let mut tops = Vec::new();
    for node in &topology.nodes {
        match node.parent {
            Some(parent) if parent != node.key && known.contains_key(&parent) => {
                children.entry(parent).or_default().push(node);
            }
            _ => tops.push(node),
        }
    }
    let latency: BTreeMap<NodeKey, Option<f64>> = topology
        .edges
        .iter()
        .filter(|edge| edge.kind != EdgeKind::Tree)
        .map(|edge| (edge.to, edge.latency_ms))
        .collect();

    let mut text = String::new();
    let mut shown = BTreeSet::new();
    let mut waiting: Vec<(usize, &Node)> = tops.into_iter().rev().map(|top| (0, top)).collect();
    while let Some((depth, node)) = waiting.pop() {
        if !shown.insert(node.key) {
            continue;
        }
        text += &line(node, depth, latency.get(&node.key).copied().flatten(), style);
        let mut below = children.remove(&node.key).unwrap_or_default();
        below.sort_by_key(|child| std::cmp::Reverse(child.port));
        waiting.extend(below.into_iter().map(|child| (depth + 1, child)));
    }
    let summary = format!(
        "\n{}, {}\n",
        format::count(topology.nodes.len(), "node", "nodes"),
        format::count(topology.edges.len(), "edge", "edges")
    );
    text + &summary
}

fn line(node: &Node, depth: usize, latency: Option<f64>, style: Style) -> String {
    // Deeper than any real tree; a longer line would only wrap.
    let depth = depth.min(60);
    let port = match (node.parent, node.port) {
        (Some(parent), _) if parent == node.key => "root".to_owned(),
        (_, Some(port)) => port.to_string(),
        (_, None) => "?".to_owned(),
    };
    let roles: Vec<_> = node.roles.iter().map(|&role| role_name(role)).collect();
    let address = node.address.to_string();
    let address = match node.roles.contains(&Role::Myself) {
        true => style.paint(Tone::Strong, &address).into_owned(),
        false => address,
    };
    let mut text = format!("{:indent$}{port}  {address}", "", indent = 2 * depth);
    if !roles.is_empty() {
        let _ = write!(text, "  {}", style.paint(Tone::Muted, &roles.join(", ")));
    }
    if latency.is_some() {
        let _ = write!(text, "  {}", format::milliseconds(latency));
    }
    text.push('\n');
    text
}

/// The graph in the language of Graphviz.
fn graph(topology: &Topology) -> String {
    let mut text = String::from("graph planetary {\n  node [shape=box, fontname=monospace];\n");
    for node in &topology.nodes {
        let own = if node.roles.contains(&Role::Myself) { ", style=bold" } else { "" };
        let _ = writeln!(text, "  \"{}\" [label=\"{}\"{own}];", node.key, node.address);
    }
    for edge in &topology.edges {
        let style = match edge.kind {
            EdgeKind::Tree => "solid",
            EdgeKind::Peer => "bold",
            EdgeKind::Path => "dotted",
            EdgeKind::Session => "dashed",
        };
        let label = match edge.latency_ms {
            Some(_) => format!(", label=\"{}\"", format::milliseconds(edge.latency_ms)),
            None => String::new(),
        };
        let _ = writeln!(text, "  \"{}\" -- \"{}\" [style={style}{label}];", edge.from, edge.to);
    }
    text.push_str("}\n");
    text
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Myself => "self",
        Role::Peer => "peer",
        Role::Ancestor => "ancestor",
        Role::Path => "path",
        Role::Session => "session",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_are_each_others_parent_do_not_hang_the_tree() {
        let node = |own: u8, parent: u8| Node {
            key: NodeKey([own; 32]),
            address: "200::1".parse().unwrap(),
            roles: Vec::new(),
            parent: Some(NodeKey([parent; 32])),
            port: Some(1),
            coordinates: None,
            sequence: None,
        };
        let topology = Topology {
            nodes: vec![node(1, 1), node(2, 3), node(3, 2), node(2, 1)],
            ..Topology::default()
        };
        let text = tree(&topology, Style::Plain);
        assert!(text.starts_with("root  200::1\n"), "{text}");
        assert!(text.ends_with("\n4 nodes, 0 edges\n"), "{text}");
    }
}
