//! Following a packet, hop by hop, without sending one.

use planetary_proto::forward::{Decision, WATERMARK_START};
use thiserror::Error;

use crate::{HostId, World};

/// Why a packet would not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// One of both is switched off.
    #[error("host {} is down", .0.0)]
    Down(HostId),
    /// Nobody there is closer to the destination.
    #[error("a packet is stuck at host {}", .0.0)]
    Stuck(HostId),
    /// The packet did not come closer, so it might go on for ever.
    #[error("a packet comes no closer at host {}", .0.0)]
    Loop(HostId),
}

/// How many hops a packet takes from one host to another whose coordinates the sender knows.
///
/// # Errors
/// It does not arrive.
pub fn follow(world: &World, from: HostId, to: HostId) -> Result<usize, RouteError> {
    // The first of the hosts is the sender.
    follow_hosts(world, from, to).map(|hosts| hosts.len() - 1)
}

/// The hosts that such a packet passes, both ends included.
///
/// # Errors
/// It does not arrive.
pub fn follow_hosts(world: &World, from: HostId, to: HostId) -> Result<Vec<HostId>, RouteError> {
    let target = world.host(to).table().ok_or(RouteError::Down(to))?;
    let (dest, path) = (world.key(to), target.coords());
    let (mut at, mut watermark, mut passed) = (from, WATERMARK_START, vec![from]);
    loop {
        let host = world.host(at);
        let table = host.table().ok_or(RouteError::Down(at))?;
        match table.decide(&dest, path.ports(), watermark) {
            Decision::Deliver { .. } => return Ok(passed),
            Decision::Stuck => return Err(RouteError::Stuck(at)),
            Decision::Forward { link, watermark: lower } => {
                if lower >= watermark && table.direct(&dest) != Some(link) {
                    return Err(RouteError::Loop(at));
                }
                // A table names links of the host only; one without an end would have been blamed
                // before.
                at = host.ends().get(&link).ok_or(RouteError::Stuck(at))?.peer;
                watermark = lower;
                passed.push(at);
            }
        }
    }
}
