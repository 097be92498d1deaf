//! Many nodes in virtual time.
//!
//! A [`World`] holds hosts, each with a [`planetary_proto::Node`] and a data half around it, and
//! cables between them. It is changed from outside (links are cut, hosts restarted, clocks set,
//! pings sent) and lets virtual time pass in between. Nothing in it reads a clock or draws
//! randomness but from its seed: the same seed gives the same run, to the byte, on any number of
//! threads.
//!
//! - [`topology`] and [`scenario`] build worlds and put them to the test; the program
//!   `planetary-sim` runs them and reports.
//! - [`check`] holds the rules that every run must keep, [`model`] predicts what a world comes to
//!   from its cables alone.
//! - [`adversary`] has hosts that break the protocol's rules.
//!
//! It is a test instrument: it models latency, bandwidth, loss of links and clocks, and neither
//! jitter nor a slow computer.

pub mod adversary;
pub mod check;
mod clock;
mod host;
mod link;
pub mod measure;
pub mod model;
pub mod scenario;

mod schedule;
mod sessions;
mod tally;
pub mod topology;
mod weather;
mod world;

pub use adversary::Mischief;
pub use check::{Fault, Violation};
pub use host::{HostId, Memory, News, PingId};
pub use link::Line;
pub use sessions::{Session, Sessions};
pub use tally::{Carried, Tally};
pub use weather::Weather;
pub use world::{CableId, Cut, Stop, World};
