//! The wire protocol of the Planetary Network (version 0.5 of the Yggdrasil network), without any
//! I/O.
//!
//! This crate reads no clock, draws no randomness, opens no socket and starts no thread: time,
//! seeds and bytes come in as arguments, frames and news come out. So the node on a desktop and a
//! thousand nodes in the simulator are the same code.
//!
//! - [`Node`] is the control half: tree, filters, lookups, handshakes. Its contract stands at the
//!   top of [`node`].
//! - [`ForwardingTable`], [`session::Sealer`], [`session::Opener`] and [`wire::TrafficView`] are
//!   the data half's tools; they are plain values that the caller puts behind whatever locks it
//!   needs.
//! - [`link`], [`queue`] and [`upper::ipv6`] hold what a driver needs at the edges.

#![forbid(unsafe_code)]

mod crypto;
pub mod forward;
pub mod identity;
pub mod limits;
pub mod link;
pub mod lookup;
pub mod misbehave;
pub mod node;
mod outbox;
pub mod queue;
pub mod rate;
pub mod session;
pub mod stats;
pub mod time;
mod tree;
pub mod upper;
#[cfg(test)]
mod vectors;
pub mod wire;

pub use crypto::Signature;
pub use forward::ForwardingTable;
pub use identity::{Address, Identity, NodeKey, Subnet};
pub use link::LinkId;
pub use misbehave::Misbehaviour;
pub use node::{LinkReport, NeighbourReport, Node, NodeConfig, Sizes};
pub use outbox::{Class, Event, Transmit};
pub use time::{Instant, Now};
pub use tree::Transit;
pub use upper::{ExtensionMessage, MessageError};
