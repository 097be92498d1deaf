//! The server of names: what programs of this machine send to one address of its own subnet is
//! answered on the TUN thread and goes no further.
//!
//! There is no socket, so no port of the machine is taken, no other program can take it, and
//! nothing that comes out of a session ever gets here. What is answered is
//! [`Zone`](planetary_circles::names::Zone)'s business.

use planetary_circles::names;
use planetary_proto::{limits::Rate, rate::RateLimiter};

use super::DataPlane;

/// Questions that are answered. A busy browser asks some tens a second; each costs a few
/// microseconds of the thread that carries this machine's packets. Those beyond are dropped, and
/// resolvers ask again.
const QUESTION_RATE: Rate = Rate { per_s: 1_000, burst: 2_000 };

/// See the module.
pub(super) struct NameServer {
    address: [u8; 16],
    limiter: RateLimiter,
}

impl NameServer {
    /// The server of this node.
    pub(super) fn of(data: &DataPlane) -> Self {
        Self {
            address: names::server(&data.own).octets(),
            limiter: RateLimiter::new(QUESTION_RATE, data.clock.mono()),
        }
    }

    /// Takes a packet of this machine that is for the server; `false` for all others, and while
    /// names are not answered.
    pub(super) fn take(&mut self, data: &DataPlane, packet: &[u8]) -> bool {
        if packet.get(24..40) != Some(&self.address) {
            return false;
        }
        let zone = data.names.load();
        let Some(zone) = &*zone else { return false };
        if self.limiter.allow(data.clock.mono())
            && let (Some(answer), Some(inside)) = (zone.serve(packet), &*data.inside.load())
        {
            inside.send(&answer);
        }
        true
    }
}
