//! The one word for how the node is, and the sentence behind it.
//!
//! ```text
//! switched off                                              down
//! the engine is gone                                        offline
//! an answer through the network within the last 60 s        connected, or degraded when an item
//!                                                           of health says that traffic suffers
//! a link is up, but nothing has come back through it        connecting
//! no link: a peer has not been tried yet, or peers may come connecting
//! no link: all peers have failed, or there are none         offline
//! ```

use planetary_ipc::{HealthItem, State, UnixTime};
use planetary_runtime::links::peers::{PeerPhase, PeerStatus as Peer};

use super::Facts;
use crate::health::Moment;

/// A state and since when it holds.
pub(super) struct Standing {
    state: State,
    since: UnixTime,
}

impl Standing {
    pub(super) fn new(now: Moment) -> Self {
        Self { state: State::Down, since: UnixTime(now.unix_s) }
    }

    pub(super) fn settle(&mut self, state: State, now: Moment) {
        if self.state != state {
            *self = Self { state, since: UnixTime(now.unix_s) };
        }
    }

    pub(super) fn since(&self) -> UnixTime {
        self.since
    }
}

/// Returns the word and the sentence.
pub(super) fn judge(facts: &Facts, health: &[HealthItem]) -> (State, Option<String>) {
    if !facts.up {
        return (State::Down, Some("switched off".to_owned()));
    }
    if facts.is_proven() {
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
    let untried = facts.peers.iter().filter(|peer| is_untried(peer)).count();
    if untried > 0 {
        return (State::Connecting, Some(format!("dialling {}", counted(untried, "peer"))));
    }
    match (facts.peers.len(), facts.listeners.len()) {
        (0, 0) => (State::Offline, Some("no peer is configured".to_owned())),
        (0, _) => (State::Connecting, Some("waiting for a peer to link to this node".to_owned())),
        (peers, _) => {
            (State::Offline, Some(format!("{} cannot be reached", counted(peers, "peer"))))
        }
    }
}

/// Whether the first attempt is still running.
fn is_untried(peer: &Peer) -> bool {
    peer.phase == PeerPhase::Dialling && peer.last_error.is_none()
}

/// A number with its noun.
pub(super) fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
