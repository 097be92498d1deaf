//! Proof that the network is really there: now and then a neighbour is looked up, and asked
//! something if it is no stranger, which only a working overlay answers.
//!
//! Whatever else comes back through the overlay counts as well, so a node in use asks nothing.

use planetary_proto::{
    Node, NodeKey, Now,
    session::Standing,
    time::{Duration, Instant},
    upper::InbandKind,
};

use crate::data::sessions::Sessions;

/// Asked again this long after the last proof: two tries fit before it is a minute old.
const PROBE_GAP: Duration = Duration::from_secs(25);
/// Asked again this long after a question, while there is no proof.
const RETRY_GAP: Duration = Duration::from_secs(3);

/// See the module.
pub(crate) struct Prober {
    proven_at: Option<Instant>,
    asked_at: Option<Instant>,
    /// Which neighbour is next.
    turn: usize,
    born: Instant,
}

impl Prober {
    pub(super) const fn new(now: Instant) -> Self {
        Self { proven_at: None, asked_at: None, turn: 0, born: now }
    }

    /// When something last came back through the overlay.
    pub(crate) const fn proven_at(&self) -> Option<Instant> {
        self.proven_at
    }

    pub(super) fn proven(&mut self, now: Instant) {
        self.proven_at = Some(now);
    }

    /// The first neighbour, or another one, can be asked.
    pub(super) fn table_changed(&mut self, node: &mut Node<Sessions>, now: Now) {
        if self.proven_at.is_none() && self.asked_at.is_none() {
            self.ask(node, now);
        }
    }

    /// A neighbour that does not answer questions may still answer lookups, or pass them on.
    pub(super) fn unanswered(&mut self, node: &mut Node<Sessions>, now: Now) {
        let root = node.root();
        if root != node.key() {
            node.look_up(root, now);
        }
    }

    /// Asks if it is time; `heard` is when something last came in any session. Returns whether
    /// there is a first proof.
    pub(super) fn look_after(
        &mut self,
        node: &mut Node<Sessions>,
        heard: Option<Instant>,
        now: Now,
    ) -> bool {
        let before = self.proven_at;
        // A session's word is proof too.
        self.proven_at = self.proven_at.max(heard);
        let proof_due = self.proven_at.unwrap_or(self.born) + PROBE_GAP <= now.mono;
        let never = self.proven_at.is_none();
        let may_ask = self.asked_at.is_none_or(|at| at + RETRY_GAP <= now.mono);
        if (proof_due || never) && may_ask {
            self.ask(node, now);
        }
        before.is_none() && !never
    }

    fn ask(&mut self, node: &mut Node<Sessions>, now: Now) {
        let hops = node.forwarding_table().hops();
        let known: Vec<NodeKey> =
            hops.iter().filter(|hop| hop.coords.is_some()).map(|hop| hop.key).collect();
        if known.is_empty() {
            return;
        }
        let key = known[self.turn % known.len()];
        self.turn = self.turn.wrapping_add(1);
        self.asked_at = Some(now.mono);
        // Whoever is closed to strangers answers lookups at least; and no session is opened with a
        // stranger for this alone.
        node.look_up(key, now);
        if node.standing(&key, now) == Standing::Welcome {
            node.ask(key, InbandKind::GetSelf, now);
        }
    }
}
