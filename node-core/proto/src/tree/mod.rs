//! The spanning tree as this node knows it: announced edges, neighbours, and the own place.
//!
//! The tree knows nothing of filters, lookups or traffic. It is told of links and of the four tree
//! messages, decides on a parent ([`parent`]), and passes on the edges that neighbours need.
//! Maintenance runs when something changed, not on a tick; the caller spaces the runs
//! ([`crate::limits::MAINTENANCE_GAP`]).
//!
//! **Invariant:** the own info is always present; it names the own key as parent, or a key that was
//! a neighbour when it was adopted.
//!
//! Source: protocol chapter 4.

mod neighbour;
mod parent;
mod transit;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use neighbour::{Link, Neighbour};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
pub use transit::Transit;

use crate::{
    identity::{Identity, NodeKey},
    limits::{
        ANNOUNCE_RATE, COORDS_MAX, INFO_REFRESH, INFO_TIMEOUT, INFOS_MAX, REPARENT_RATE,
        SIG_REQ_RATE,
    },
    link::LinkId,
    misbehave::Misbehaviour,
    outbox::Outbox,
    rate::RateLimiter,
    stats::Stats,
    time::{Duration, Instant, Now},
    wire::{Announce, Coords, EdgeDraft, SigReq, SigRes},
};

/// A known edge.
#[derive(Clone, Debug)]
struct Info {
    announce: Announce,
    /// Local number of this very announcement, for the marks of what was sent to whom.
    version: u64,
    /// When it is forgotten; for the own edge, when it is announced anew.
    expires: Instant,
}

/// See the module.
pub(crate) struct Tree {
    own: NodeKey,
    infos: BTreeMap<NodeKey, Info>,
    expiries: BTreeSet<(Instant, NodeKey)>,
    next_version: u64,
    neighbours: BTreeMap<NodeKey, Neighbour>,
    links: BTreeMap<LinkId, NodeKey>,
    next_order: u64,
    /// The own edge should be announced anew: it is old, or somebody remembers a newer one.
    refresh: bool,
    /// Since when the parent is gone without another in sight.
    orphaned_at: Option<Instant>,
    /// When this node last became a root because its parent was silent.
    forsook_at: Option<Instant>,
    /// Something that matters to maintenance has changed.
    dirty: bool,
    own_changes: RateLimiter,
    /// A change of the own edge was put off until then.
    retry_at: Option<Instant>,
    /// When the parent was last asked for a sign of life.
    parent_checked_at: Instant,
    /// Every known edge is in somebody's ancestry.
    prune_is_futile: bool,
    transit: Transit,
    /// Requests over links that wait for an answer, and since when.
    owed: BTreeMap<LinkId, (SigReq, Instant)>,
}

impl Tree {
    /// A tree of one node, its own root. `first_seq` is higher than any sequence number used
    /// before.
    pub(crate) fn new(
        identity: &Identity,
        first_seq: u64,
        rng: &mut ChaCha20Rng,
        now: Instant,
    ) -> Self {
        let mut tree = Self {
            own: identity.key(),
            infos: BTreeMap::new(),
            expiries: BTreeSet::new(),
            next_version: 0,
            neighbours: BTreeMap::new(),
            links: BTreeMap::new(),
            next_order: 0,
            refresh: false,
            orphaned_at: None,
            forsook_at: None,
            dirty: false,
            own_changes: RateLimiter::new(REPARENT_RATE, now),
            retry_at: None,
            parent_checked_at: now,
            prune_is_futile: false,
            transit: Transit::default(),
            owed: BTreeMap::new(),
        };
        tree.store(root_announce(identity, first_seq, rng), now);
        tree
    }

    pub(crate) const fn own(&self) -> NodeKey {
        self.own
    }

    pub(crate) const fn neighbours(&self) -> &BTreeMap<NodeKey, Neighbour> {
        &self.neighbours
    }

    pub(crate) fn neighbour_of(&self, link: LinkId) -> Option<NodeKey> {
        self.links.get(&link).copied()
    }

    pub(crate) fn link_count(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn info_count(&self) -> usize {
        self.infos.len()
    }

    /// All known edges, ordered by key.
    pub(crate) fn announces(&self) -> impl Iterator<Item = &Announce> {
        self.infos.values().map(|info| &info.announce)
    }

    pub(crate) fn knows(&self, key: &NodeKey) -> bool {
        self.infos.contains_key(key)
    }

    /// The own parent; the own key for a root.
    pub(crate) fn parent(&self) -> NodeKey {
        self.own_info().edge.parent
    }

    /// The own sequence number.
    pub(crate) fn seq(&self) -> u64 {
        self.own_info().edge.request.seq
    }

    /// Whether the edge to a neighbour belongs to the tree (chapter 5.3).
    pub(crate) fn is_on_tree(&self, key: &NodeKey) -> bool {
        self.parent() == *key
            || self.infos.get(key).is_some_and(|info| info.announce.edge.parent == self.own)
    }

    /// Coordinates of a key, empty when its ancestry is broken (chapter 4.10).
    pub(crate) fn coords(&self, key: &NodeKey) -> Coords {
        self.known_coords(key).unwrap_or_default()
    }

    /// Coordinates of a key, `None` when its ancestry is broken, loops, is deeper than
    /// [`COORDS_MAX`], or is not known.
    pub(crate) fn known_coords(&self, key: &NodeKey) -> Option<Coords> {
        let mut ports = Vec::new();
        let mut at = self.infos.get(key)?;
        while !at.announce.is_root() {
            // A loop is endless, too.
            if ports.len() >= COORDS_MAX {
                return None;
            }
            ports.push(at.announce.edge.port);
            at = self.infos.get(&at.announce.edge.parent)?;
        }
        ports.reverse();
        Some(Coords::new(ports))
    }

    /// The last key reached by following parents from `key`, and how many steps away it is.
    pub(crate) fn root_of(&self, key: &NodeKey) -> (NodeKey, u64) {
        let ancestry = self.ancestry(key);
        let root = ancestry.first().copied().unwrap_or(*key);
        (root, ancestry.len().saturating_sub(1) as u64)
    }

    /// A key and its chain of parents as far as known, root side first, stopping at a repetition
    /// and after [`COORDS_MAX`] steps: a neighbour may announce any number of nodes below each
    /// other. Keys without an info are left out.
    pub(crate) fn ancestry(&self, key: &NodeKey) -> Vec<NodeKey> {
        let mut chain = Vec::new();
        let mut seen = BTreeSet::new();
        let mut at = *key;
        while let Some(info) = self.infos.get(&at) {
            if !seen.insert(at) || chain.len() > COORDS_MAX {
                break;
            }
            chain.push(at);
            at = info.announce.edge.parent;
        }
        chain.reverse();
        chain
    }

    // ---- links ----

    /// A link is up and its greeting is done.
    pub(crate) fn link_up(
        &mut self,
        link: LinkId,
        key: NodeKey,
        priority: u8,
        rng: &mut ChaCha20Rng,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let seq = self.seq();
        let order = self.next_order;
        self.next_order += 1;
        let port = self.neighbours.get(&key).map_or_else(|| self.free_port(), |n| n.port);
        let neighbour = self.neighbours.entry(key).or_insert_with(|| {
            let request = SigReq { seq: seq.saturating_add(1), nonce: rng.next_u64() };
            Neighbour::new(port, request)
        });
        for (sent, version) in &neighbour.sent {
            if let Some(info) = self.infos.get(sent)
                && info.version == *version
            {
                outbox.direct(link, info.announce.emit());
            }
        }
        neighbour.doubt_links(now, outbox);
        neighbour.links.insert(
            link,
            Link {
                priority,
                order,
                lag: None,
                round_trip: None,
                asked_at: Some(now),
                asked_again: false,
                suspect: false,
                doubted: false,
                sig_reqs: RateLimiter::new(SIG_REQ_RATE, now),
                announces: RateLimiter::new(ANNOUNCE_RATE, now),
            },
        );
        outbox.direct(link, neighbour.request.emit());
        self.links.insert(link, key);
        self.dirty = true;
    }

    /// A link is gone. Returns the neighbour and whether this was its last link.
    pub(crate) fn link_down(&mut self, link: LinkId) -> Option<(NodeKey, bool)> {
        let key = self.links.remove(&link)?;
        self.owed.remove(&link);
        self.dirty = true;
        let neighbour = self.neighbours.get_mut(&key)?;
        neighbour.links.remove(&link);
        let last = neighbour.links.is_empty();
        if last {
            self.neighbours.remove(&key);
            self.prune_is_futile = false;
        }
        Some((key, last))
    }

    /// Takes a link out of routing, or back in.
    pub(crate) fn set_suspect(&mut self, link: LinkId, suspect: bool) {
        if let Some(at) = self.link_mut(link)
            && at.suspect != suspect
        {
            at.suspect = suspect;
            self.dirty = true;
        }
    }

    fn link_mut(&mut self, link: LinkId) -> Option<&mut Link> {
        let key = self.links.get(&link)?;
        self.neighbours.get_mut(key)?.links.get_mut(&link)
    }

    /// The lowest port that no neighbour has (chapter 4.1).
    fn free_port(&self) -> u64 {
        let used: BTreeSet<u64> = self.neighbours.values().map(|n| n.port).collect();
        (1..)
            .zip(used)
            .find(|(port, used)| port != used)
            .map_or_else(|| self.neighbours.len() as u64 + 1, |(port, _)| port)
    }

    // ---- messages ----

    /// # Errors
    /// The neighbour did not sign what it sent.
    pub(crate) fn handle_sig_res(
        &mut self,
        link: LinkId,
        response: SigRes,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Result<(), Misbehaviour> {
        let Some(&parent) = self.links.get(&link) else { return Ok(()) };
        let Some(neighbour) = self.neighbours.get_mut(&parent) else { return Ok(()) };
        let Some(at) = neighbour.links.get_mut(&link) else { return Ok(()) };
        // What was not asked for, or was answered already, is not worth a verification.
        let is_awaited = at.asked_at.is_some() || neighbour.response.is_none();
        if neighbour.request != response.request || !is_awaited {
            return Ok(());
        }
        let edge =
            EdgeDraft { node: self.own, parent, request: response.request, port: response.port };
        if !parent.verify(&edge.signature_input(), &response.psig) {
            return Err(Misbehaviour::InvalidSigRes);
        }
        if let Some(sample) = at.measured(now) {
            self.dirty = true;
            if at.is_late(sample) {
                at.asked_again = true;
                at.asked_at = Some(now);
                outbox.direct(link, neighbour.request.emit());
            }
        }
        // An edge without a port cannot be announced.
        if neighbour.response.is_none() && response.port != 0 && !parent.is_weak() {
            neighbour.response = Some(response);
            self.dirty = true;
            let own = self.own_info().edge;
            if own.parent == parent && own.port != response.port {
                // The link was down for a moment, and the port that is announced may be another
                // child's by now.
                self.refresh = true;
            }
        }
        Ok(())
    }

    /// # Errors
    /// The announcement is not signed properly, or there are far too many of them.
    pub(crate) fn handle_announce(
        &mut self,
        link: LinkId,
        announce: Announce,
        rng: &mut ChaCha20Rng,
        now: Instant,
        outbox: &mut Outbox,
        stats: &mut Stats,
    ) -> Result<(), Misbehaviour> {
        let Some(&from) = self.links.get(&link) else { return Ok(()) };
        if !self.link_mut(link).is_some_and(|at| at.announces.allow(now)) {
            return Err(Misbehaviour::AnnounceFlood);
        }
        let node = announce.edge.node;
        if let Some(known) = self.infos.get(&node)
            && !supersedes(&announce, &known.announce)
        {
            let version = known.version;
            if known.announce != announce {
                outbox.direct(link, known.announce.emit());
            }
            self.mark_sent(&from, node, version);
            return Ok(());
        }
        if node.is_weak() || announce.edge.parent.is_weak() {
            stats.weak_keys += 1;
            return Ok(());
        }
        if !announce.is_valid() {
            return Err(Misbehaviour::InvalidAnnounce);
        }
        if !self.knows(&node) && self.infos.len() >= INFOS_MAX {
            if !self.prune_is_futile {
                self.prune();
            }
            if self.infos.len() >= INFOS_MAX {
                stats.infos_refused += 1;
                return Ok(());
            }
        }
        let version = self.store(announce, now);
        self.mark_sent(&from, node, version);
        if node == self.own {
            // Somebody remembers a newer edge of ours than we do.
            self.refresh = true;
            self.ask_everybody(rng, now, outbox);
        }
        Ok(())
    }

    fn mark_sent(&mut self, to: &NodeKey, node: NodeKey, version: u64) {
        if let Some(neighbour) = self.neighbours.get_mut(to) {
            neighbour.sent.insert(node, version);
        }
    }

    /// Keeps an announcement that supersedes what was known of its node.
    fn store(&mut self, announce: Announce, now: Instant) -> u64 {
        let node = announce.edge.node;
        let life = if node == self.own { INFO_REFRESH } else { INFO_TIMEOUT };
        let info = Info { announce, version: self.next_version, expires: now + life };
        self.next_version += 1;
        self.expiries.insert((info.expires, node));
        let version = info.version;
        if let Some(old) = self.infos.insert(node, info)
            && old.expires != now + life
        {
            self.expiries.remove(&(old.expires, node));
        }
        self.dirty = true;
        version
    }

    fn forget(&mut self, node: &NodeKey) {
        if let Some(info) = self.infos.remove(node) {
            self.expiries.remove(&(info.expires, *node));
        }
        for neighbour in self.neighbours.values_mut() {
            neighbour.sent.remove(node);
        }
        self.prune_is_futile = false;
        self.dirty = true;
    }

    /// Forgets every edge that is in nobody's ancestry.
    fn prune(&mut self) {
        let mut needed: BTreeSet<NodeKey> = self.ancestry(&self.own).into_iter().collect();
        for key in self.neighbours.keys() {
            needed.extend(self.ancestry(key));
        }
        let idle: Vec<_> = self.infos.keys().filter(|key| !needed.contains(key)).copied().collect();
        // Until something is forgotten for another reason, or a neighbour goes.
        self.prune_is_futile = idle.is_empty();
        for key in idle {
            self.forget(&key);
        }
    }

    // ---- maintenance ----

    pub(crate) const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// When something is due without any input.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let root = self.orphaned_at.map(|since| self.root_at(since));
        expiry.into_iter().chain(root).chain(self.retry_at).chain(self.next_answer()).min()
    }

    /// Forgets what has expired. The own edge does not expire, it is announced anew.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((at, node)) = self.expiries.first().copied()
            && at <= now
        {
            if node == self.own {
                self.expiries.remove(&(at, node));
                self.refresh = true;
                self.dirty = true;
            } else {
                self.forget(&node);
            }
        }
        let root_at = self.orphaned_at.map(|since| self.root_at(since));
        if root_at.into_iter().chain(self.retry_at).any(|at| at <= now) {
            self.dirty = true;
        }
    }

    /// Chooses a parent and announces what neighbours do not have. Returns whether the own edge
    /// changed.
    pub(crate) fn maintain(
        &mut self,
        identity: &Identity,
        rng: &mut ChaCha20Rng,
        now: Now,
        outbox: &mut Outbox,
    ) -> bool {
        self.dirty = false;
        self.retry_at = None;
        let changed = self.choose_parent(identity, rng, now, outbox);
        self.announce(outbox);
        changed
    }

    /// Sends each neighbour the edges of both ancestries that it does not have (chapter 4.7).
    fn announce(&mut self, outbox: &mut Outbox) {
        let own_chain = self.ancestry(&self.own);
        let keys: Vec<NodeKey> = self.neighbours.keys().copied().collect();
        for key in keys {
            let chain = self.ancestry(&key);
            let Some(neighbour) = self.neighbours.get_mut(&key) else { continue };
            for node in own_chain.iter().chain(&chain) {
                let Some(info) = self.infos.get(node) else { continue };
                if neighbour.sent.get(node) == Some(&info.version) {
                    continue;
                }
                neighbour.sent.insert(*node, info.version);
                let frame = info.announce.emit();
                for link in neighbour.links.keys() {
                    outbox.direct(*link, frame.clone());
                }
            }
        }
    }

    /// Repeats the outstanding request on every link: whoever is alive answers it at once, and its
    /// round trip is known.
    pub(crate) fn probe(&mut self, now: Instant, outbox: &mut Outbox) {
        for neighbour in self.neighbours.values_mut() {
            neighbour.send_request(now, outbox);
        }
    }

    /// When the parent is to be asked for a sign of life, if that is done every `gap`; `None` for a
    /// root.
    pub(crate) fn next_parent_check(&self, gap: Duration) -> Option<Instant> {
        (self.parent() != self.own).then(|| self.parent_checked_at + gap)
    }

    /// Asks the parent for a sign of life if it is time: repeats the outstanding request on each of
    /// its links. An answer also measures the link; none makes it suspect.
    pub(crate) fn check_parent(&mut self, gap: Duration, now: Instant, outbox: &mut Outbox) {
        if self.next_parent_check(gap).is_none_or(|at| now < at) {
            return;
        }
        self.parent_checked_at = now;
        let parent = self.parent();
        if let Some(neighbour) = self.neighbours.get_mut(&parent) {
            neighbour.repeat_request(now, outbox);
        }
    }

    /// Asks every neighbour to sign the next own edge (chapter 4.4).
    fn ask_everybody(&mut self, rng: &mut ChaCha20Rng, now: Instant, outbox: &mut Outbox) {
        self.parent_checked_at = now;
        let seq = self.seq().saturating_add(1);
        for neighbour in self.neighbours.values_mut() {
            neighbour.request = SigReq { seq, nonce: rng.next_u64() };
            neighbour.response = None;
            neighbour.send_request(now, outbox);
        }
    }

    fn own_info(&self) -> &Announce {
        // Stored by `new`, replaced but never removed: `expire` and `prune` spare the own key.
        &self.infos.get(&self.own).expect("the own info is always present").announce
    }
}

/// The ordering rule (chapter 4.6), the same on all nodes.
fn supersedes(new: &Announce, known: &Announce) -> bool {
    let (new, known) = (&new.edge, &known.edge);
    let by_seq = new.request.seq.cmp(&known.request.seq);
    let by_parent = known.parent.cmp(&new.parent);
    let by_nonce = known.request.nonce.cmp(&new.request.nonce);
    by_seq.then(by_parent).then(by_nonce).is_gt()
}

/// An edge from the node to itself.
fn root_announce(identity: &Identity, seq: u64, rng: &mut ChaCha20Rng) -> Announce {
    let key = identity.key();
    let request = SigReq { seq, nonce: rng.next_u64() };
    let edge = EdgeDraft { node: key, parent: key, request, port: 0 };
    let sig = edge.sign(identity);
    Announce { edge, psig: sig, sig }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;
    use crate::crypto::Signature;

    const UNSIGNED: Signature = Signature::from_bytes([0; 64]);

    const fn key(number: u64) -> NodeKey {
        let mut bytes = [0xff; 32];
        let [_, _, _, _, _, a, b, c] = number.to_be_bytes();
        [bytes[0], bytes[1], bytes[2]] = [a, b, c];
        NodeKey::from_bytes(bytes)
    }

    /// An announcement as it is after its signatures were looked at.
    const fn edge(node: NodeKey, parent: NodeKey, seq: u64, nonce: u64) -> Announce {
        let request = SigReq { seq, nonce };
        Announce {
            edge: EdgeDraft { node, parent, request, port: 1 },
            psig: UNSIGNED,
            sig: UNSIGNED,
        }
    }

    /// Chapter 4.6. Neighbours that disagree on any line bounce announcements for ever.
    #[test]
    fn a_higher_seq_then_a_lower_parent_then_a_lower_nonce_supersedes() {
        // Seq, parent and nonce of an announcement beside seq 5, parent 5, nonce 5.
        let cases = [
            ((6, 5, 5), true),
            ((6, 9, 9), true),
            ((4, 5, 5), false),
            ((4, 1, 1), false),
            ((5, 4, 5), true),
            ((5, 4, 9), true),
            ((5, 6, 5), false),
            ((5, 6, 1), false),
            ((5, 5, 4), true),
            ((5, 5, 6), false),
            ((5, 5, 5), false),
        ];
        let known = edge(key(0), key(5), 5, 5);
        for ((seq, parent, nonce), newer) in cases {
            let other = edge(key(0), key(parent), seq, nonce);
            assert_eq!(supersedes(&other, &known), newer, "{:?}", (seq, parent, nonce));
            let differs = (seq, parent, nonce) != (5, 5, 5);
            assert_eq!(supersedes(&known, &other), differs && !newer);
        }
        let mut elsewhere = known.clone();
        elsewhere.edge.port = 9;
        elsewhere.sig = Signature::from_bytes([1; 64]);
        assert!(!supersedes(&elsewhere, &known), "port and signatures take no part");
    }

    #[test]
    fn the_own_edge_changes_at_its_rate() {
        let mut rng = ChaCha20Rng::from_seed([0; 32]);
        let mut outbox = Outbox::default();
        let own = Identity::from_seed(&[1; 32]);
        let at = |millis: u64| Now { mono: Instant::from_micros(millis * 1000), unix_s: 1 };
        let mut tree = Tree::new(&own, 1, &mut rng, at(0).mono);
        let mut changes = |now| {
            tree.refresh = true;
            tree.maintain(&own, &mut rng, now, &mut outbox)
        };
        assert_eq!((0..REPARENT_RATE.burst + 3).filter(|_| changes(at(0))).count(), 8);
        assert!(!changes(at(999)) && changes(at(1000)) && !changes(at(1000)));
        // What was put off is not forgotten.
        assert_eq!(tree.next_timeout(), Some(at(2000).mono));
    }

    /// A laptop that has moved dials anew, and its old link is silent for ever.
    #[test]
    fn a_neighbour_that_comes_back_is_followed_to_its_new_link_until_the_old_one_answers() {
        let mut rng = ChaCha20Rng::from_seed([0; 32]);
        let mut outbox = Outbox::default();
        let (own, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let at = |millis: u64| Instant::from_micros(millis * 1000);
        let mut tree = Tree::new(&own, 1, &mut rng, at(0));
        let (old, new) = (LinkId(1), LinkId(2));
        let answer = |tree: &mut Tree, link, now| {
            let request = tree.neighbours[&other.key()].request;
            let edge = EdgeDraft { node: own.key(), parent: other.key(), request, port: 1 };
            let response = SigRes { request, port: 1, psig: edge.sign(&other) };
            tree.handle_sig_res(link, response, now, &mut Outbox::default()).unwrap();
        };
        let best = |tree: &Tree| tree.neighbours[&other.key()].best_link().map(|(link, _)| link);
        tree.link_up(old, other.key(), 0, &mut rng, at(0), &mut outbox);
        answer(&mut tree, old, at(10));
        outbox.transmits.clear();
        tree.link_up(new, other.key(), 0, &mut rng, at(1000), &mut outbox);
        let asked: Vec<_> = outbox.transmits.iter().map(|transmit| transmit.link).collect();
        assert_eq!(asked, [old, new], "both are asked for a sign of life");
        assert_eq!(best(&tree), Some(new), "though it was never measured");
        answer(&mut tree, new, at(1100));
        assert_eq!(best(&tree), Some(new));
        answer(&mut tree, old, at(1200));
        assert_eq!(best(&tree), Some(old), "it costs less");
    }

    /// A tree that knows as many edges as it may, and one of its neighbours. All nodes are roots.
    struct Full {
        tree: Tree,
        neighbour: Identity,
        rng: ChaCha20Rng,
        outbox: Outbox,
        stats: Stats,
    }

    const LINK: LinkId = LinkId(1);

    impl Full {
        fn new() -> Self {
            let mut rng = ChaCha20Rng::from_seed([0; 32]);
            let mut outbox = Outbox::default();
            let own = Identity::from_seed(&[1; 32]);
            let neighbour = Identity::from_seed(&[2; 32]);
            let now = Instant::START;
            let mut tree = Tree::new(&own, 1, &mut rng, now);
            tree.link_up(LINK, neighbour.key(), 0, &mut rng, now, &mut outbox);
            tree.store(root_announce(&neighbour, 1, &mut rng), now);
            for number in 2..INFOS_MAX as u64 {
                let node = key(number);
                tree.store(edge(node, node, 1, 1), now);
            }
            assert_eq!(tree.info_count(), INFOS_MAX);
            Self { tree, neighbour, rng, outbox, stats: Stats::default() }
        }

        /// Another node announces itself through the neighbour. Returns whether it is known then.
        fn hears_of(&mut self, seed: u8) -> bool {
            let other = Identity::from_seed(&[seed; 32]);
            let announce = root_announce(&other, 1, &mut self.rng);
            let Self { tree, rng, outbox, stats, .. } = self;
            tree.handle_announce(LINK, announce, rng, Instant::START, outbox, stats).unwrap();
            self.tree.knows(&other.key())
        }
    }

    #[test]
    fn edges_in_nobodys_ancestry_make_room_in_a_full_table() {
        let mut full = Full::new();
        let neighbour = full.neighbour.key();
        assert!(full.hears_of(3));
        assert_eq!(full.tree.info_count(), 3);
        assert!(full.tree.knows(&neighbour) && full.tree.knows(&full.tree.own));
        assert_eq!(full.stats.infos_refused, 0);
    }

    #[test]
    fn a_table_full_of_ancestors_refuses_new_edges_and_counts_them() {
        let mut full = Full::new();
        // Every node is a neighbour, so all are needed.
        for number in 2..INFOS_MAX as u64 {
            let neighbour = Neighbour::new(number, SigReq { seq: 1, nonce: 1 });
            full.tree.neighbours.insert(key(number), neighbour);
        }
        assert!(!full.hears_of(3) && !full.hears_of(4));
        assert_eq!((full.tree.info_count(), full.stats.infos_refused), (INFOS_MAX, 2));
        // What is known already may still change.
        let neighbour = full.neighbour.clone();
        let announce = root_announce(&neighbour, 2, &mut full.rng);
        let Full { tree, rng, outbox, stats, .. } = &mut full;
        tree.handle_announce(LINK, announce, rng, Instant::START, outbox, stats).unwrap();
        assert_eq!(tree.infos[&neighbour.key()].announce.edge.request.seq, 2);
        // A neighbour that goes leaves room.
        let gone = LinkId(2);
        tree.link_up(gone, key(2), 0, rng, Instant::START, outbox);
        tree.link_down(gone);
        assert!(full.hears_of(3));
        assert_eq!((full.tree.info_count(), full.stats.infos_refused), (INFOS_MAX, 2));
    }
}
