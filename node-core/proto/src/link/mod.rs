//! One link to a neighbour: the beacon that leads to it, the greeting that opens it and the timers
//! that tell whether it is alive.

pub mod beacon;
mod liveness;
pub mod meta;

pub use liveness::{Health, Liveness, suspect_after};

/// Names a link. Chosen by whoever drives the core; never reused while the core knows the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);
