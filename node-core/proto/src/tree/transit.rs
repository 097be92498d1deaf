//! What a node carries for others, said by its place in the tree.
//!
//! A node is a road for those that hang below it, and nobody hangs below a node that has not signed
//! the edge. So the three modes differ in one thing alone: when a request for a signature is
//! answered. Packets that arrive are passed on in every mode.
//!
//! * A request that was answered before is answered at once whatever the mode. Its signature is
//!   out, and the answer is a sign of life and a measure of the link.
//! * A reluctant node answers its only neighbour at once: that may have no other way, and there is
//!   no second one to carry for.
//! * A leaf is no root either, as nobody could hang below it: it takes the best tree that its
//!   neighbours offer, even under a root that its own key would beat.
//!
//! A child of a node that becomes a leaf has the signature for its next edge already. It uses that
//! at its next refresh, asks anew, and looks for another parent at the refresh after that; so all
//! children are gone within eight minutes, each in its own time and with the next parent at hand.
//! The other way round is at once: a leaf remembers what it was asked last over each link, and
//! answers when it becomes more than that.
//!
//! Source: `research` P9; the answers' layout is that of protocol chapter 4.3.

use super::Tree;
use crate::{
    identity::Identity,
    limits::RELUCTANCE,
    link::LinkId,
    outbox::Outbox,
    stats::Stats,
    time::{Duration, Instant},
    wire::{EdgeDraft, SigReq, SigRes},
};

/// What a node carries for others. See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transit {
    /// Whatever the tree sends its way.
    #[default]
    Relay,
    /// What has no better way: others are let in below this node late.
    Reluctant,
    /// Next to nothing: nobody is let in below this node.
    Leaf,
}

impl Transit {
    /// How long a request for a signature waits for it; `None` for ever.
    const fn patience(self) -> Option<Duration> {
        match self {
            Self::Relay => Some(Duration::from_micros(0)),
            Self::Reluctant => Some(RELUCTANCE),
            Self::Leaf => None,
        }
    }
}

impl Tree {
    /// Changes what this node carries for others. Requests that wait, wait as long as is due now.
    pub(crate) fn set_transit(&mut self, transit: Transit) {
        self.transit = transit;
        self.dirty = true;
    }

    pub(crate) fn handle_sig_req(
        &mut self,
        link: LinkId,
        request: SigReq,
        identity: &Identity,
        now: Instant,
        outbox: &mut Outbox,
        stats: &mut Stats,
    ) {
        let is_only = self.neighbours.len() == 1;
        let neighbour = self.links.get(&link).and_then(|key| self.neighbours.get_mut(key));
        let Some(neighbour) = neighbour else { return };
        let is_signed = neighbour.signed == Some(request);
        let Some(at) = neighbour.links.get_mut(&link) else { return };
        if !at.sig_reqs.allow(now) {
            stats.rate_limited += 1;
            return;
        }
        let is_generous = match self.transit {
            Transit::Relay => true,
            Transit::Reluctant => is_only,
            Transit::Leaf => false,
        };
        if is_signed || is_generous {
            self.sign(link, request, identity, outbox);
        } else if self.owed.get(&link).is_none_or(|(owed, _)| *owed != request) {
            // A repetition does not wait anew; whoever asks for another edge does.
            self.owed.insert(link, (request, now));
        }
    }

    /// Gives the answers that have waited for long enough.
    pub(crate) fn answer_late(&mut self, identity: &Identity, now: Instant, outbox: &mut Outbox) {
        let Some(patience) = self.transit.patience() else { return };
        let is_due = |(_, (_, since)): &(&LinkId, &(SigReq, Instant))| *since + patience <= now;
        let due = self.owed.iter().filter(is_due).map(|(link, (request, _))| (*link, *request));
        for (link, request) in due.collect::<Vec<_>>() {
            self.sign(link, request, identity, outbox);
        }
    }

    /// When the next answer is to be given.
    pub(super) fn next_answer(&self) -> Option<Instant> {
        let patience = self.transit.patience()?;
        self.owed.values().map(|(_, since)| *since + patience).min()
    }

    fn sign(&mut self, link: LinkId, request: SigReq, identity: &Identity, outbox: &mut Outbox) {
        self.owed.remove(&link);
        let Some(&node) = self.links.get(&link) else { return };
        let Some(neighbour) = self.neighbours.get_mut(&node) else { return };
        let port = neighbour.port;
        neighbour.signed = Some(request);
        let edge = EdgeDraft { node, parent: self.own, request, port };
        outbox.direct(link, SigRes { request, port, psig: edge.sign(identity) }.emit());
    }
}
