//! Rules that every run must keep, and what is said when one is broken.
//!
//! Cheap rules are looked at after each step, by the host itself: bounds of tables, watermarks that
//! fall, nothing sent to a closed link, no plaintext on a line, no node that asks to be woken at
//! once for ever. The expensive ones look at a whole world when somebody asks: [`settled()`] and
//! [`follow`].

mod route;
mod settled;

use core::fmt;

use planetary_proto::{
    Instant,
    limits::{
        EXTENSION_CORRESPONDENTS_MAX, EXTENSION_REQUESTS_MAX, INFOS_MAX, LINKS_MAX, LOOKUPS_MAX,
        PATHS_MAX, SESSIONS_MAX, WAITING_DESTINATIONS_MAX,
    },
    node::Sizes,
    time::Duration,
};
pub use route::{RouteError, follow, follow_hosts};
pub use settled::{Unsettled, quarrels, settled};
use thiserror::Error;

use crate::HostId;

/// Begins the payload of every ping; it must never be seen on a line.
pub(crate) const MARKER: [u8; 16] = *b"as plain as day!";

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A table is larger than its bound.
    #[error("keeps {count} {what}, and {most} is the bound")]
    Bound {
        /// What is in the table.
        what: &'static str,
        /// How many of it.
        count: usize,
        /// How many are allowed.
        most: usize,
    },
    /// A frame was sent over a link that was closed before.
    #[error("sent a frame to a closed link")]
    ClosedLink,
    /// A frame was sent that does not decode.
    #[error("sent a broken frame")]
    BrokenFrame,
    /// Something was sent that was to be encrypted.
    #[error("sent plaintext over a link")]
    Plaintext,
    /// A packet was passed on without coming closer to its destination.
    #[error("passed on a packet whose watermark did not fall")]
    Watermark,
    /// A packet came out of a session, or was to go into one, that has no business there.
    #[error("let through a packet of others, or one that was altered")]
    ForeignPacket,
    /// After it was woken, a node asks to be woken at a time that has passed.
    #[error("asks to be woken at once again ({why}, {late:?} ago)")]
    BusyLoop {
        /// The reason that the node gives.
        why: &'static str,
        /// How long ago the time is.
        late: Duration,
    },
}

impl Fault {
    /// Whether a table is too large.
    pub(crate) fn of_sizes(sizes: Sizes) -> Option<Self> {
        let tables = [
            ("edges", sizes.infos, INFOS_MAX),
            ("links", sizes.links, LINKS_MAX),
            ("sessions", sizes.sessions, SESSIONS_MAX),
            ("paths", sizes.paths, PATHS_MAX),
            ("lookups", sizes.lookups, LOOKUPS_MAX),
            ("keys", sizes.keys, PATHS_MAX),
            ("requests", sizes.requests, EXTENSION_REQUESTS_MAX),
            ("correspondents", sizes.correspondents, EXTENSION_CORRESPONDENTS_MAX),
            ("waiting destinations", sizes.waiting, WAITING_DESTINATIONS_MAX),
        ];
        tables
            .into_iter()
            .find(|(_, count, most)| count > most)
            .map(|(what, count, most)| Self::Bound { what, count, most })
    }
}

/// Who broke which rule, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, in virtual time.
    pub at: Instant,
    /// Who.
    pub host: HostId,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: host {} {}", self.at, self.host.0, self.fault)
    }
}

/// Whether the payload of a ping can be read in `bytes`.
pub(crate) fn shows_plaintext(bytes: &[u8]) -> bool {
    bytes.windows(MARKER.len()).any(|window| window == MARKER)
}
