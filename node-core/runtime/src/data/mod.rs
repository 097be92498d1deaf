//! The data half: traffic from this machine to a link, from a link to this machine, and from link
//! to link.
//!
//! ```text
//!   TUN thread ──> source ──┐                         ┌──> sink ──> TUN, or the stack
//!                           ├──> Egress (one a link)  │
//!   link reader ── transit ─┘        link reader ─────┘
//! ```
//!
//! Without an interface, TCP and UDP of this program take the place of the TUN ([`inside`]).
//!
//! Threads of this half share [`DataPlane`] and do not wait for the control thread with a packet:
//! routes are a snapshot behind an atomic pointer, sessions are found in sharded tables, and what
//! this half cannot settle is handed over through a bounded channel that drops when it is full.
//! Control frames alone may not be dropped: while too many of a link are unhandled
//! ([`Egress::await_control_room`]), its reader waits, and with it what comes behind them on that
//! link. A packet is not copied on its way unless it has to wait, and its memory is not allocated
//! but used again.
//!
//! Every packet of this machine and for it is judged by the packet filter ([`gate`]): outwards
//! before it waits or is sealed, inwards once it is opened.
//!
//! Locks, in the order in which they may be taken together: an egress's writer, a session's opener,
//! a session's sealer; an egress's queues are taken last and only for a moment. Those of the pools
//! of buffers may be taken at any time, for nobody waits for them. A shard of the filter is locked
//! alone.

pub(crate) mod buffers;
mod burst;
pub(crate) mod egress;
mod fast;
pub(crate) mod flows;
mod gate;
pub(crate) mod inside;
mod liveness;
mod names;
pub(crate) mod reader;
pub(crate) mod road;
mod sealing;
pub(crate) mod sessions;
mod sink;
mod source;
pub(crate) mod stream;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};
use planetary_circles::names::Zone;
use planetary_proto::{ForwardingTable, LinkId, NodeKey, upper::ipv6::Territory, wire::Coords};

use self::{egress::Egress, inside::Inside, sessions::Sessions};
use crate::{clock::Clock, control::Mailbox};

pub(crate) use source::{Source, send as send_packet, send_data};

/// Echo identifiers from here on belong to the node, the others to the system's own programs.
pub(crate) const ECHO_ID_FIRST: u16 = 0xff00;

/// What all data threads share.
pub(crate) struct DataPlane {
    pub(crate) own: NodeKey,
    pub(crate) territory: Territory,
    pub(crate) clock: Clock,
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) sessions: Sessions,
    /// Gone once the engine has stopped, whoever still holds this.
    pub(crate) inside: ArcSwapOption<Inside>,
    /// What is answered about names; nothing while they are off.
    pub(crate) names: ArcSwapOption<Zone>,
    pub(crate) mailbox: Mailbox,
    pub(crate) counters: Counters,
}

/// The forwarding table together with the links that it names. Replaced as a whole.
pub(crate) struct Routes {
    pub(crate) table: ForwardingTable,
    pub(crate) links: BTreeMap<LinkId, Arc<Egress>>,
}

/// Packets by what became of them, and what could not be told.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) tun_in: AtomicU64,
    pub(crate) tun_out: AtomicU64,
    pub(crate) transit: AtomicU64,
    pub(crate) transit_bytes: AtomicU64,
    pub(crate) drop_invalid: AtomicU64,
    pub(crate) drop_queue: AtomicU64,
    pub(crate) drop_no_tun: AtomicU64,
    pub(crate) drop_stuck: AtomicU64,
    pub(crate) drop_session: AtomicU64,
    pub(crate) drop_too_big: AtomicU64,
    /// IPv6 of guests.
    pub(crate) drop_guest: AtomicU64,
    /// Frames that left and came as datagrams, beside the streams of links.
    pub(crate) datagrams_out: AtomicU64,
    pub(crate) datagrams_in: AtomicU64,
    /// News that the engine's owner was too slow to take.
    pub(crate) news_lost: AtomicU64,
}

impl Routes {
    /// The table of a node without links.
    pub(crate) fn empty(own: NodeKey) -> Self {
        Self {
            table: ForwardingTable::new(own, Coords::default(), Vec::new()),
            links: BTreeMap::new(),
        }
    }
}

/// Counts one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
