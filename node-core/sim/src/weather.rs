//! What becomes of payloads on their way.
//!
//! Links of the simulator lose nothing, as the links of the network do. Weather stands for all that
//! happens to single packets: congestion, several ways at once, and somebody on the path.

use planetary_proto::time::Duration;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

/// What becomes of payloads for one host. Numbers are out of a thousand.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// So many are lost.
    pub loss: u32,
    /// So many arrive twice.
    pub copies: u32,
    /// So many are late, by up to 50 ms, and others overtake them.
    pub delays: u32,
    /// What somebody on the path holds back.
    pub drops: fn(&[u8]) -> bool,
}

impl Weather {
    /// Everything arrives, in order.
    pub const FAIR: Self = Self { loss: 0, copies: 0, delays: 0, drops: |_| false };

    pub(crate) fn happens(self, of_thousand: u32, rng: &mut ChaCha20Rng) -> bool {
        // Nothing is drawn in fair weather, so that it is the same with and without.
        of_thousand > 0 && rng.next_u32() % 1000 < of_thousand
    }

    pub(crate) fn delay(self, rng: &mut ChaCha20Rng) -> Duration {
        Duration::from_micros(u64::from(rng.next_u32() % 50_000))
    }
}
