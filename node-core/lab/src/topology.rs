//! The shapes that most scenarios stand on.

use std::sync::Arc;

use anyhow::Result;

use crate::lab::Lab;
use crate::node::{Kind, Node};
use crate::wire::Wire;

/// The port that every node of a shape listens at.
const PORT: u16 = 9001;

/// Nodes in a row or in a circle. Wire `i` joins node `i` to the next one, and node `i` dials it.
pub struct Row {
    /// The nodes, labelled `a`, `b`, `c` and so on.
    pub nodes: Vec<Arc<Node>>,
    /// The wires between them.
    pub wires: Vec<Arc<Wire>>,
}

impl Lab {
    /// Starts nodes in a row: each dials the next one. The last node is started first.
    ///
    /// # Errors
    /// When a host, wire or node cannot be had.
    pub fn chain(&self, kinds: &[Kind], scheme: &str) -> Result<Row> {
        self.row(kinds, scheme, false)
    }

    /// Starts nodes in a circle: each dials the next one, and the last one the first.
    ///
    /// # Errors
    /// As [`Lab::chain`].
    pub fn ring(&self, kinds: &[Kind], scheme: &str) -> Result<Row> {
        self.row(kinds, scheme, true)
    }

    fn row(&self, kinds: &[Kind], scheme: &str, closed: bool) -> Result<Row> {
        let labels = ('a'..='z').map(String::from).take(kinds.len());
        let hosts = labels.map(|label| self.host(&label)).collect::<Result<Vec<_>>>()?;
        let mut wires: Vec<Arc<Wire>> = Vec::new();
        for pair in hosts.windows(2) {
            wires.push(self.wire(&pair[0], &pair[1])?);
        }
        if let (true, [first, .., last]) = (closed, &hosts[..]) {
            wires.push(self.wire(last, first)?);
        }
        let mut nodes = Vec::new();
        for (index, kind) in kinds.iter().enumerate().rev() {
            let mut node = self.node(*kind, &hosts[index])?;
            let before = (index + wires.len() - 1) % wires.len();
            if index > 0 || closed {
                node = node.listen(wires[before].ends()[1].uri(scheme, PORT));
            }
            if let Some(wire) = wires.get(index) {
                node = node.peer(wire.ends()[1].uri(scheme, PORT));
            }
            nodes.push(self.start(node)?);
        }
        nodes.reverse();
        Ok(Row { nodes, wires })
    }
}

impl Row {
    /// All nodes, for [`Lab::settled`].
    #[must_use]
    pub fn all(&self) -> Vec<&Node> {
        self.nodes.iter().map(Arc::as_ref).collect()
    }
}
