//! Coordinates: the ports from the root of the tree down to a node.

use core::fmt;

use super::number::{number_len, put_number};

/// Ports from the root down, none of them zero. Empty means "at the root" as well as "unknown"
/// (chapter 4.10).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coords(Vec<u64>);

impl Coords {
    /// Coordinates made of `ports`, root side first.
    pub(crate) const fn new(ports: Vec<u64>) -> Self {
        Self(ports)
    }

    /// The ports, root side first.
    #[must_use]
    pub fn ports(&self) -> &[u64] {
        &self.0
    }

    /// Distance over the tree between two places (chapter 6.2).
    #[must_use]
    pub fn distance(&self, other: &Self) -> u64 {
        distance(&self.0, &other.0)
    }

    /// Appends the `path` encoding of chapter 3.1.
    pub fn emit(&self, out: &mut Vec<u8>) {
        for port in &self.0 {
            put_number(out, *port);
        }
        out.push(0);
    }

    /// Length of the encoding in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.0.iter().map(|port| number_len(*port)).sum::<usize>() + 1
    }
}

/// Hops between two places of the tree: up from one to the deepest shared ancestor, then down to
/// the other.
#[inline]
pub(crate) fn distance(a: &[u64], b: &[u64]) -> u64 {
    let shared = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    (a.len() + b.len() - 2 * shared) as u64
}

impl fmt::Debug for Coords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Vec<u64>> for Coords {
    /// Zero cannot be a port, so the coordinates end before the first one.
    fn from(mut ports: Vec<u64>) -> Self {
        if let Some(end) = ports.iter().position(|port| *port == 0) {
            ports.truncate(end);
        }
        Self(ports)
    }
}
