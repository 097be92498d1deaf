//! Test grounds on one Linux machine: hosts, wires, real nodes and real traffic between them.
//!
//! A [`Lab`] makes hosts (network namespaces), joins them by wires (veth pairs, or a relay that
//! adds delay), and starts nodes on them: ours, or the reference implementation, behind one handle
//! ([`Node`]). Around that stand the things one does with a network: ping, move a gigabyte, fetch a
//! file, cut a cable, restart a node, look how much memory it took.
//!
//! Who uses it: the scenarios in `tests/`, one file a topology, and the benchmark of this crate's
//! program. It is for tests, so it is no part of any program that ships.
//!
//! Invariants: all traffic stays inside namespaces that the lab itself made; whatever it starts it
//! ends, by process id, also when a scenario panics; what a killed run left behind is swept away at
//! the next start; waiting is always for a condition and with a deadline; a scenario that fails
//! says what every node, route and log looked like.
//!
//! Needs root and the packages of `cargo xtask setup`. The crate is empty on other systems.

#![cfg(target_os = "linux")]

mod app;
mod capture;
mod crowd;
mod driver;
mod echo;
mod front;
mod host;
mod identity;
mod lab;
mod leftovers;
mod mishap;
mod need;
mod node;
mod ping;
mod proxy;
mod relay;
mod report;
mod resolver;
mod scan;
mod ssh;
mod switch;
mod talk;
mod topology;
mod transfer;
mod usage;
mod wait;
mod web;
mod wire;

pub use app::{App, Memory};
pub use capture::Capture;
pub use crowd::{Answers, Crowd};
pub use echo::{Echo, RoundTrips};
pub use front::FrontServer;
pub use host::Host;
pub use identity::Identity;
pub use lab::{Lab, attempt, run};
pub use mishap::Mishap;
pub use need::missing;
pub use node::{Kind, Lan, Node, NodeBuilder, PeerStatus, Running, Status};
pub use ping::{Ping, PingResult};
pub use proxy::Proxy;
pub use relay::Relay;
pub use resolver::{Resolver, Upstream, datagram};
pub use scan::{Found, scan};
pub use ssh::SshServer;
pub use switch::Switch;
pub use talk::{Talk, Talker};
pub use topology::Row;
pub use transfer::{Transfer, TransferResult};
pub use usage::Usage;
pub use wait::{Deadline, until};
pub use web::{WebServer, fetch};
pub use wire::{Wire, WireEnd};
