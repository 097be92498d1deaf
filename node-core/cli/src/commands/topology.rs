//! `planetary topology`: the part of the network this node knows, as a tree or as a graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use planetary_ipc::{Edge, EdgeKind, Node, NodeKey, Role, Topology};

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
    let mut latency: BTreeMap<NodeKey, f64> = BTreeMap::new();
    for edge in &topology.edges {
        if let Some(ms) = edge.latency_ms {
            latency.entry(edge.to).or_insert(ms);
        }
    }

    let mut text = String::new();
    let mut shown = BTreeSet::new();
    let mut waiting: Vec<(usize, &Node)> = tops.into_iter().rev().map(|top| (0, top)).collect();
    while let Some((depth, node)) = waiting.pop() {
        if !shown.insert(node.key) {
            continue;
        }
        text += &line(node, depth, latency.get(&node.key).copied(), style);
        let mut below = children.remove(&node.key).unwrap_or_default();
        below.sort_by_key(|child| std::cmp::Reverse(child.port));
        waiting.extend(below.into_iter().map(|child| (depth + 1, child)));
    }
    let summary = format!(
        "\n{}, {}\n",
        format::count(topology.nodes.len(), "node", "nodes"),
        format::count(joined(topology).len(), "edge", "edges")
    );
    text + &summary
}

fn line(node: &Node, depth: usize, latency: Option<f64>, style: Style) -> String {
    // Deeper than any real tree; a longer line would only wrap.
    let depth = depth.min(60);
    let port = match (node.parent, node.port, node.coordinates.as_deref()) {
        (Some(parent), ..) if parent == node.key => "root".to_owned(),
        (_, Some(port), _) => port.to_string(),
        // It is beneath nobody here, so it is named by the whole way from the root.
        (_, None, Some([])) => "root".to_owned(),
        (_, None, Some(ports)) => format::coordinates(Some(ports)),
        (_, None, None) => "?".to_owned(),
    };
    let roles: Vec<_> = node.roles.iter().map(|&role| role_name(role)).collect();
    let address = node.address.to_string();
    let address = match node.roles.contains(&Role::Myself) {
        true => style.paint(Tone::Strong, &address).into_owned(),
        false => address,
    };
    let mut text = format!("{:indent$}{port}  {address}", "", indent = 2 * depth);
    if let Some(name) = &node.name {
        let _ = write!(text, "  {}", format::plain(name.as_str()));
    }
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
    for edge in joined(topology) {
        // The link itself is drawn rather than what runs over it.
        let styles = [
            (EdgeKind::Peer, "bold"),
            (EdgeKind::Tree, "solid"),
            (EdgeKind::Link, "solid"),
            (EdgeKind::Session, "dashed"),
            (EdgeKind::Path, "dotted"),
        ];
        let style = styles.iter().find(|(kind, _)| edge.kinds.contains(kind));
        let style = style.map_or("solid", |(_, style)| style);
        let kinds = edge.kinds.iter().map(|&kind| kind_name(kind).to_owned());
        let latency = edge.latency_ms.map(|_| format::milliseconds(edge.latency_ms));
        let label = kinds.chain(latency).collect::<Vec<_>>().join(", ");
        let (from, to) = (edge.from, edge.to);
        let _ = writeln!(text, "  \"{from}\" -- \"{to}\" [style={style}, label=\"{label}\"];");
    }
    text.push_str("}\n");
    text
}

/// All that joins two nodes.
struct Joined {
    from: NodeKey,
    to: NodeKey,
    kinds: BTreeSet<EdgeKind>,
    latency_ms: Option<f64>,
}

/// The edges, those between the same two nodes as one, in the order of the first of them.
fn joined(topology: &Topology) -> Vec<Joined> {
    let mut places: BTreeMap<(NodeKey, NodeKey), usize> = BTreeMap::new();
    let mut all: Vec<Joined> = Vec::new();
    for &Edge { from, to, kind, latency_ms } in &topology.edges {
        let place = *places.entry((from.min(to), from.max(to))).or_insert(all.len());
        if place == all.len() {
            all.push(Joined { from, to, kinds: BTreeSet::new(), latency_ms: None });
        }
        all[place].kinds.insert(kind);
        all[place].latency_ms = all[place].latency_ms.or(latency_ms);
    }
    all
}

fn kind_name(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Tree => "tree",
        EdgeKind::Peer => "peer",
        EdgeKind::Path => "path",
        EdgeKind::Session => "session",
        EdgeKind::Link => "link",
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Myself => "self",
        Role::Peer => "peer",
        Role::Ancestor => "ancestor",
        Role::Path => "path",
        Role::Session => "session",
        Role::Explored => "explored",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_are_each_others_parent_do_not_hang_the_tree() {
        let node = |own: u8, parent: u8| Node {
            parent: Some(NodeKey([parent; 32])),
            port: Some(1),
            ..Node::new(NodeKey([own; 32]), "200::1".parse().unwrap())
        };
        let topology = Topology {
            nodes: vec![node(1, 1), node(2, 3), node(3, 2), node(2, 1)],
            ..Topology::default()
        };
        let text = tree(&topology, Style::Plain);
        assert!(text.starts_with("root  200::1\n"), "{text}");
        assert!(text.ends_with("\n4 nodes, 0 edges\n"), "{text}");
    }

    #[test]
    fn all_that_joins_two_nodes_is_one_edge() {
        let [one, two] = [NodeKey([1; 32]), NodeKey([2; 32])];
        let edge = |from, to, kind, latency_ms| Edge { from, to, kind, latency_ms };
        let topology = Topology {
            edges: vec![
                edge(one, two, EdgeKind::Peer, Some(1.31)),
                edge(two, one, EdgeKind::Tree, None),
                edge(one, two, EdgeKind::Session, None),
            ],
            ..Topology::default()
        };
        let graph = graph(&topology);
        assert!(graph.contains("[style=bold, label=\"tree, peer, session, 1.31 ms\"]"), "{graph}");
        assert_eq!(graph.matches("--").count(), 1, "{graph}");
        assert!(tree(&topology, Style::Plain).ends_with("\n0 nodes, 1 edge\n"));
    }

    #[test]
    fn latency_of_a_link_is_shown_beside_a_session_without_one() {
        let node = Node {
            roles: vec![Role::Peer, Role::Session],
            coordinates: Some(vec![7, 3]),
            ..Node::new(NodeKey([2; 32]), "200::2".parse().unwrap())
        };
        let edge = |kind, latency_ms| {
            let (from, to) = (NodeKey([1; 32]), node.key);
            Edge { from, to, kind, latency_ms }
        };
        let edges = vec![edge(EdgeKind::Peer, Some(1.31)), edge(EdgeKind::Session, None)];
        let topology = Topology { nodes: vec![node.clone()], edges, ..Topology::default() };
        let text = tree(&topology, Style::Plain);
        assert!(text.starts_with("7 3  200::2  peer, session  1.31 ms\n"), "{text}");
    }
}
