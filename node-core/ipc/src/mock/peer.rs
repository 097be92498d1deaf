//! One link of the mock network: when it is up, what runs over it, how it looks in a status.

use std::net::Ipv6Addr;

use crate::identity::{NodeKey, UnixTime};
use crate::status::{Direction, PeerError, PeerSource, PeerStatus, public_uri};

/// A link and its fate.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) link: u64,
    /// As it was configured, options included.
    pub(super) uri: String,
    pub(super) interface: Option<String>,
    pub(super) direction: Direction,
    pub(super) source: PeerSource,
    pub(super) key: Option<NodeKey>,
    pub(super) address: Option<Ipv6Addr>,
    pub(super) port: u64,
    /// Round-trip time without jitter, in microseconds.
    pub(super) latency_us: u64,
    /// Second of the run in which it first comes up; `None` for a peer that never answers.
    pub(super) first_up: Option<u64>,
    pub(super) outage: Option<Outage>,
    pub(super) paused: bool,
    pub(super) rx_bytes: u64,
    pub(super) tx_bytes: u64,
}

/// An outage that comes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    /// Seconds from one to the next.
    pub(super) period: u64,
    /// Second of the period in which the other side falls silent.
    pub(super) suspect: u64,
    /// Second of the period in which the link is closed.
    pub(super) down: u64,
    /// Second of the period in which it is back.
    pub(super) up: u64,
}

/// How a link is in one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Being dialled; the next attempt is so many seconds away.
    Dialling { retry_in: u64, failed_at: Option<u64> },
    /// Carrying traffic since that second.
    Up { since: u64 },
    /// Silent, but not yet given up; up since that second.
    Suspect { since: u64 },
}

/// Seconds between two attempts to reach a peer that does not answer.
const RETRY_S: u64 = 16;

impl Peer {
    pub(super) fn phase(&self, second: u64) -> Phase {
        let Some(first_up) = self.first_up else {
            let failed_at = (second > 0).then(|| second - second % RETRY_S);
            return Phase::Dialling { retry_in: RETRY_S - second % RETRY_S, failed_at };
        };
        if second < first_up {
            return Phase::Dialling { retry_in: 0, failed_at: None };
        }
        let Some(outage) = self.outage else { return Phase::Up { since: first_up } };
        let start = second - second % outage.period;
        let since = if start == 0 { first_up } else { start - outage.period + outage.up };
        match second % outage.period {
            moment if moment < outage.suspect => Phase::Up { since },
            moment if moment < outage.down => Phase::Suspect { since },
            moment if moment < outage.up => Phase::Dialling {
                retry_in: outage.up - moment,
                failed_at: Some(start + outage.down),
            },
            _ => Phase::Up { since: start + outage.up },
        }
    }

    /// Lets the traffic of one second run.
    pub(super) fn tick(&mut self, second: u64) {
        if let Phase::Up { .. } = self.phase(second) {
            self.rx_bytes += self.rate(second, 0);
            self.tx_bytes += self.rate(second, 1);
        }
    }

    /// How the link looks in `second` of the run; `epoch` is the time of second 0, `on` whether the
    /// node is up at all.
    pub(super) fn status(&self, second: u64, epoch: u64, on: bool) -> PeerStatus {
        let phase = self.phase(second);
        let on = on && !self.paused;
        let (since, suspect) = match phase {
            Phase::Up { since } if on => (Some(since), false),
            Phase::Suspect { since } if on => (Some(since), true),
            _ => (None, false),
        };
        let up = since.is_some();
        let known = self.first_up.is_some_and(|first_up| first_up <= second);
        PeerStatus {
            link: self.link,
            uri: public_uri(&self.uri),
            interface: self.interface.clone(),
            direction: self.direction,
            source: self.source,
            paused: self.paused,
            up,
            suspect,
            key: self.key.filter(|_| known),
            address: self.address.filter(|_| known),
            port: up.then_some(self.port),
            priority: 0,
            cost: up.then(|| self.jittered_us(second) / 1_000 + 1),
            latency_ms: up.then(|| milliseconds(self.jittered_us(second))),
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            rx_rate: up.then(|| if suspect { 0 } else { self.rate(second, 0) }),
            tx_rate: up.then(|| if suspect { 0 } else { self.rate(second, 1) }),
            uptime_s: since.map(|since| second - since),
            reconnect_in_s: match phase {
                Phase::Dialling { retry_in, .. } if on => Some(retry_in),
                _ => None,
            },
            last_error: self.last_error(second, epoch),
        }
    }

    fn last_error(&self, second: u64, epoch: u64) -> Option<PeerError> {
        let at = match (self.phase(second), self.outage) {
            (Phase::Dialling { failed_at, .. }, _) => failed_at?,
            (Phase::Up { since }, Some(outage)) if Some(since) != self.first_up => {
                since - outage.up + outage.down
            }
            _ => return None,
        };
        let (code, message) = match self.first_up {
            None => ("connection_refused", "connection refused"),
            Some(_) => ("timeout", "no answer for 3 s"),
        };
        Some(PeerError { code: code.into(), message: message.into(), at: UnixTime(epoch + at) })
    }

    fn jittered_us(&self, second: u64) -> u64 {
        self.latency_us + scatter(self.link, second) % (self.latency_us / 10 + 1)
    }

    fn rate(&self, second: u64, way: u64) -> u64 {
        2_000 + scatter(self.link * 2 + way, second) % 60_000
    }
}

/// Number that looks random and is always the same for the same arguments.
pub(super) fn scatter(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xd1b5_4a32_d192_ed03);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Microseconds as milliseconds with three digits at most.
pub(super) fn milliseconds(us: u64) -> f64 {
    // Mock times are far below 2^52 microseconds, so the conversion is exact.
    us as f64 / 1_000.0
}
