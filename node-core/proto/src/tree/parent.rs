//! Which neighbour to hang on to (chapter 4.9).
//!
//! A lower root is taken at once. Under the same root a parent that works is kept, and exchanged
//! only when the own edge is due anyway and another neighbour would more than halve the cost.
//! Unlike the reference, the current parent and the candidates are measured alike, and a parent
//! whose links are all suspect gives way to any other neighbour under the same root. Without one
//! the node becomes a root while the parent is silent, once in a while ([`FORSAKE_GAP`]).

use rand_chacha::ChaCha20Rng;

use super::{Neighbour, Transit, Tree, root_announce, supersedes};
use crate::{
    identity::{Identity, NodeKey},
    limits::{COORDS_MAX, FORSAKE_GAP, REDIAL_DELAY, REPARENT_GAP, ROOT_DELAY},
    outbox::Outbox,
    time::{Instant, Now},
    wire::{Announce, EdgeDraft},
};

/// A way to the root.
#[derive(Clone, Copy, Debug)]
struct Choice {
    root: NodeKey,
    parent: NodeKey,
    /// Hops to the root times the link's cost; `None` while no link of the parent works.
    cost: Option<u64>,
}

impl Tree {
    /// Keeps, exchanges or drops the parent, and asks everybody for new signatures when the own
    /// edge changed. Returns whether it did.
    pub(super) fn choose_parent(
        &mut self,
        identity: &Identity,
        rng: &mut ChaCha20Rng,
        now: Now,
        outbox: &mut Outbox,
    ) -> bool {
        let parent = self.parent();
        let patient = self.orphaned_at.is_none_or(|since| now.mono < since + ROOT_DELAY);
        let forsaken = self.is_forsaken(&parent, now.mono);
        let best = self.best_choice(parent, patient, forsaken);
        if best.parent == parent && !self.refresh {
            self.orphaned_at = None;
            return false;
        }
        let announce = if best.parent == self.own {
            // A root that merely refreshes has nothing to wait for, nor has a node that still has
            // time to.
            let root_at = self.root_at(self.orphaned_at.unwrap_or(now.mono));
            if parent != self.own && !forsaken && now.mono < root_at {
                self.orphaned_at.get_or_insert(now.mono);
                return false;
            }
            Some(root_announce(identity, self.seq().saturating_add(1), rng))
        } else {
            self.adopted(&best.parent, identity)
        };
        let Some(announce) = announce else {
            // The answer of the parent is under way, or never comes.
            self.orphaned_at.get_or_insert(now.mono);
            return false;
        };
        if !self.own_changes.allow(now.mono) {
            self.retry_at = Some(now.mono + REPARENT_GAP);
            return false;
        }
        if forsaken && best.parent == self.own {
            self.forsook_at = Some(now.mono);
        }
        self.refresh = false;
        self.orphaned_at = None;
        self.store(announce, now.mono);
        self.ask_everybody(rng, now.mono, outbox);
        true
    }

    /// Whether the parent is silent, others may know a way that does not lead through this node,
    /// and the last time is long enough ago.
    fn is_forsaken(&self, parent: &NodeKey, now: Instant) -> bool {
        let is_silent = |neighbour: &Neighbour| neighbour.cost().is_none();
        self.neighbours.get(parent).is_some_and(is_silent)
            && !self.neighbours.values().all(is_silent)
            && self.forsook_at.is_none_or(|at| now >= at + FORSAKE_GAP)
    }

    /// The best way to the lowest root, the own one included. A parent that owes a signature for a
    /// refresh counts while there is patience, one that is silent unless it is forsaken.
    fn best_choice(&self, parent: NodeKey, patient: bool, forsaken: bool) -> Choice {
        let mut best = Choice { root: self.own, parent: self.own, cost: None };
        if let Some(neighbour) = self.neighbours.get(&parent)
            && !forsaken
            && (patient || !self.refresh || neighbour.response.is_some())
            && let Some(choice) = self.choice_through(parent)
            && self.beats(&choice.root, &self.own)
        {
            best = choice;
        }
        for (key, neighbour) in &self.neighbours {
            if *key == best.parent || neighbour.response.is_none() {
                continue;
            }
            let Some(choice) = self.choice_through(*key) else { continue };
            let Some(cost) = choice.cost else { continue };
            let better = self.beats(&choice.root, &best.root)
                || choice.root == best.root
                    && best.cost.is_none_or(|known| {
                        if best.parent == parent {
                            self.refresh && cost.saturating_mul(2) < known
                        } else {
                            cost < known
                        }
                    });
            if better {
                best = choice;
            }
        }
        best
    }

    /// Whether one root is better than another: its key is lower. A leaf has nobody below it, so
    /// every other root is better than itself.
    fn beats(&self, root: &NodeKey, other: &NodeKey) -> bool {
        root < other || self.transit == Transit::Leaf && *other == self.own && root != other
    }

    /// When a node without a parent since `orphaned_at` becomes a root.
    pub(super) fn root_at(&self, orphaned_at: Instant) -> Instant {
        orphaned_at + if self.is_answer_due() { ROOT_DELAY } else { REDIAL_DELAY }
    }

    /// Whether a neighbour may still become the parent by what it is about to say: its signature,
    /// or where it is itself.
    fn is_answer_due(&self) -> bool {
        self.neighbours.iter().any(|(key, neighbour)| {
            let told = self.known_coords(key).is_some();
            let choice = self.choice_through(*key);
            !told
                || neighbour.response.is_none()
                    && choice.is_some_and(|it| self.beats(&it.root, &self.own))
        })
    }

    /// The way to the root through a neighbour; `None` when nothing is known of it or the way leads
    /// back here.
    fn choice_through(&self, key: NodeKey) -> Option<Choice> {
        let chain = self.ancestry(&key);
        let root = *chain.first()?;
        // A chain that ends at a key whose parent is unknown leads nowhere, and one this long is a
        // trick.
        let leads_nowhere = !self.infos.get(&root)?.announce.is_root();
        if chain.contains(&self.own) || leads_nowhere || chain.len() > COORDS_MAX {
            return None;
        }
        let hops = chain.len() as u64;
        let cost = self.neighbours.get(&key)?.cost().map(|cost| cost.saturating_mul(hops));
        Some(Choice { root, parent: key, cost })
    }

    /// The own edge below a neighbour that signed it; `None` if it did not, or signed an outdated
    /// one.
    fn adopted(&self, parent: &NodeKey, identity: &Identity) -> Option<Announce> {
        let response = self.neighbours.get(parent)?.response.as_ref()?;
        let edge = EdgeDraft {
            node: self.own,
            parent: *parent,
            request: response.request,
            port: response.port,
        };
        let sig = edge.sign(identity);
        let announce = Announce { edge, psig: response.psig, sig };
        supersedes(&announce, self.own_info()).then_some(announce)
    }
}
