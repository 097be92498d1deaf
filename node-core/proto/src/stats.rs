//! Counters of the control half. Nothing decides by them.

/// How often something was refused or ignored, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests, lookups or handshakes beyond their rate.
    pub rate_limited: u64,
    /// Announcements that name a key of small order.
    pub weak_keys: u64,
    /// Announcements refused because the table of edges is full.
    pub infos_refused: u64,
    /// Lookups from neighbours that are not on the tree.
    pub off_tree_lookups: u64,
    /// Answers to lookups that were stale, forged or not asked for.
    pub notifies_ignored: u64,
    /// Packets and answers that nobody could take any closer.
    pub stuck: u64,
    /// Handshakes that did not open or verify, or were replayed.
    pub handshakes_ignored: u64,
    /// Greetings of strangers and blocked keys, and packets of theirs without a session.
    pub strangers_ignored: u64,
    /// Sessions refused because there are too many.
    pub sessions_refused: u64,
    /// Messages between nodes of this program that do not parse, or that nobody asked for.
    pub messages_ignored: u64,
    /// Waiting packets that were pushed out or never found a way.
    pub waiting_dropped: u64,
}
