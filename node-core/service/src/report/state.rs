//! The one word for how the node is, and the sentence behind it.
//!
//! ```text
//! switched off, or it does not start                        down
//! the engine is gone                                        offline
//! an answer through the network within the last 60 s        connected, or degraded when an item
//!                                                           of health says that traffic suffers
//! a link is up, but nothing has come back through it        connecting
//! no link for a moment, and an answer before                connected
//! no link for less than 10 s, or peers may come             connecting
//! no link for 10 s, or no peers and no listeners            offline
//! ```
//!
//! An answer counts only while there is a link over which the next one can come.

use std::time::{Duration, Instant};

use planetary_ipc::{HealthItem, State, UnixTime};

use super::Facts;
use crate::health::{Moment, SHOW_DELAY};
use crate::node::NODE_NOT_STARTED;

/// How long a node without a link may be on its way. A link over half the world is up in a second
/// or two; a person who waits longer wants to know what is wrong.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// A state and since when it holds.
pub(super) struct Standing {
    state: State,
    since: UnixTime,
    /// Holds while the node is on and has no link.
    unlinked: Option<Unlinked>,
}

#[derive(Clone, Copy)]
struct Unlinked {
    since: Instant,
    /// Since when it tries these peers: one that is added has its own chance.
    trying_since: Instant,
    peers: usize,
}

/// How long a node has had no link; nothing while it has one.
#[derive(Clone, Copy, Default)]
pub(super) struct Gap {
    /// In all.
    pub(super) unlinked: Duration,
    /// With the peers it has.
    pub(super) trying: Duration,
}

impl Standing {
    pub(super) fn new(now: Moment) -> Self {
        Self { state: State::Down, since: UnixTime(now.unix_s), unlinked: None }
    }

    /// Takes in the facts; returns the word and the sentence.
    pub(super) fn settle(
        &mut self,
        facts: &Facts,
        health: &[HealthItem],
    ) -> (State, Option<String>) {
        let (state, text) = judge(facts, health, self.gap(facts));
        if self.state != state {
            self.state = state;
            self.since = UnixTime(facts.now.unix_s);
        }
        (state, text)
    }

    fn gap(&mut self, facts: &Facts) -> Gap {
        let (now, peers) = (facts.now.mono, facts.peers.len());
        if !facts.up || facts.links_up() > 0 {
            self.unlinked = None;
            return Gap::default();
        }
        let begun = Unlinked { since: now, trying_since: now, peers };
        let before = self.unlinked.unwrap_or(begun);
        let trying_since = if peers > before.peers { now } else { before.trying_since };
        self.unlinked = Some(Unlinked { trying_since, peers, ..before });
        Gap {
            unlinked: now.saturating_duration_since(before.since),
            trying: now.saturating_duration_since(trying_since),
        }
    }

    pub(super) fn since(&self) -> UnixTime {
        self.since
    }
}

/// Returns the word and the sentence.
pub(super) fn judge(facts: &Facts, health: &[HealthItem], gap: Gap) -> (State, Option<String>) {
    if !facts.up {
        let failed = health.iter().any(|item| item.code == NODE_NOT_STARTED);
        let why = if failed { "it could not be started" } else { "switched off" };
        return (State::Down, Some(why.to_owned()));
    }
    if facts.is_proven() && gap.unlinked < SHOW_DELAY {
        let suffering = health.iter().find(|item| item.affects_connectivity);
        return match suffering {
            Some(item) => (State::Degraded, Some(item.title.clone())),
            None => (State::Connected, None),
        };
    }
    if facts.snapshot.is_none() {
        return (State::Offline, Some("the node broke off".to_owned()));
    }
    let up = facts.links_up();
    if up > 0 {
        let text = format!("waiting for an answer through {}", counted(up, "link"));
        return (State::Connecting, Some(text));
    }
    let (state, text) = match (facts.peers.len(), facts.listeners.len()) {
        (0, _) if !facts.wanted.is_empty() => (State::Offline, "every peer is paused".to_owned()),
        (0, 0) => (State::Offline, "no peer is configured".to_owned()),
        (0, _) => (State::Connecting, "waiting for a peer to link to this node".to_owned()),
        (peers, _) if gap.trying < CONNECT_PATIENCE => {
            (State::Connecting, format!("dialling {}", counted(peers, "peer")))
        }
        (peers, _) => (State::Offline, format!("{} cannot be reached", counted(peers, "peer"))),
    };
    (state, Some(text))
}

/// A number with its noun.
pub(super) fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
