//! The control half of a node: one value that owns tree, filters, lookups, handshakes and the
//! services inside sessions.
//!
//! # Contract
//!
//! One change, then drain. Call one `handle_*` or command, then [`Node::poll_transmit`] and
//! [`Node::poll_event`] until both are empty, then wait until input arrives or
//! [`Node::poll_timeout`] has come, and call [`Node::handle_timeout`]. `now` never runs backwards.
//! The same seed and the same inputs give the same bytes out. Nothing here blocks, sleeps, reads a
//! clock or draws randomness.
//!
//! Traffic does not come through here. The data half cuts frames, asks the [`ForwardingTable`] and
//! opens and seals sessions itself; it hands over only what it cannot settle: handshakes,
//! undecryptable packets, packets without a path, and messages between nodes.
//!
//! The two loops that drive a node are the engine of the runtime and the simulator.

#[cfg(test)]
mod bounds;
mod extensions;
mod fast;
mod greetings;
mod lookups;
mod packets;
mod questions;
mod report;
mod silence;

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

pub use self::report::{LinkReport, NeighbourReport, Sizes};
use crate::{
    crypto::ExchangeSecret,
    forward::{ForwardingTable, Hop},
    identity::{Identity, NodeKey},
    limits::{
        BROKEN_RATE, HANDSHAKE_RATE, LINKS_MAX, LOOKUP_RATE, MAINTENANCE_GAP, MOVE_DELAY,
        MOVE_RATE, STRANGER_INIT_RATE,
    },
    link::LinkId,
    lookup::{BloomFilter, Filters, Paths},
    misbehave::Misbehaviour,
    outbox::{Event, Outbox, Transmit},
    rate::RateLimiter,
    session::{Contacts, Groups, Negotiations, SessionTable, Suites, Warm},
    stats::Stats,
    time::{Duration, Instant, Now, Versions},
    tree::{Transit, Tree},
    upper::{Extensions, Inband, KeyTable, Waiting, ipv6::Target},
    wire::{
        Announce, Coords, DecodeError, FrameKind, PathBroken, PathLookup, PathNotify, SigReq,
        SigRes,
    },
};

/// Timers that are not urgent are looked at no more often than this.
const TIMER_GAP: Duration = Duration::from_millis(20);
/// A lookup for the same key by the same node that comes back within this time has gone in a
/// circle.
const LOOKUP_ECHO_GAP: Duration = Duration::from_millis(300);

/// What a node is made from.
pub struct NodeConfig {
    /// The own keys.
    pub identity: Identity,
    /// Secrets of closed groups.
    pub groups: Groups,
    /// What it carries for others.
    pub transit: Transit,
    /// What is answered to a node info request: JSON text of at most
    /// [`crate::limits::NODE_INFO_MAX`] bytes.
    pub node_info: Vec<u8>,
    /// Which ciphers this machine computes fast, for fast sessions with other nodes of this
    /// program; `None`: there are none.
    pub fast: Option<Suites>,
    /// Higher than every sequence number that this identity ever sent.
    pub first_seq: u64,
}

/// See the module.
pub struct Node<S> {
    identity: Identity,
    groups: Groups,
    node_info: Vec<u8>,
    sessions: S,
    rng: ChaCha20Rng,
    tree: Tree,
    filters: Filters,
    paths: Paths,
    contacts: Contacts,
    warm: Warm,
    fast: Negotiations,
    keys: KeyTable,
    inband: Inband,
    extensions: Extensions,
    /// IPv6 packets whose key is not known yet.
    unresolved: Waiting<Target>,
    /// Session data for keys without path or session.
    undelivered: Waiting<NodeKey>,
    table: ForwardingTable,
    outbox: Outbox,
    stats: Stats,
    /// Versions of greetings and of answers to lookups.
    versions: Versions,
    /// The highest sequence number sent.
    seq: u64,
    last_notify: Option<(u64, Coords)>,
    lookup_rates: BTreeMap<LinkId, RateLimiter>,
    recent_lookups: BTreeMap<(NodeKey, NodeKey, Coords), Instant>,
    handshakes: RateLimiter,
    stranger_inits: RateLimiter,
    broken_notes: RateLimiter,
    /// Where the far ends of sessions were last told that this node is.
    told_place: Coords,
    tell_at: Option<Instant>,
    moves: RateLimiter,
    /// When a session was last used.
    used_at: Instant,
    maintained_at: Instant,
    timers_at: Instant,
    wake: Option<Instant>,
}

impl<S: SessionTable> Node<S> {
    /// A node without links, root of its own tree.
    #[must_use]
    pub fn new(config: NodeConfig, sessions: S, seed: [u8; 32], now: Now) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let identity = config.identity;
        let own = identity.key();
        let seq = now.unix_s.max(config.first_seq);
        let mut tree = Tree::new(&identity, seq, &mut rng, now.mono);
        tree.set_transit(config.transit);
        Self {
            filters: Filters::new(&own),
            table: ForwardingTable::new(own, Coords::default(), Vec::new()),
            tree,
            identity,
            groups: config.groups,
            node_info: config.node_info,
            sessions,
            rng,
            paths: Paths::default(),
            contacts: Contacts::default(),
            warm: Warm::default(),
            fast: Negotiations::new(own, config.fast, now.mono),
            keys: KeyTable::default(),
            inband: Inband::default(),
            extensions: Extensions::new(now.mono),
            unresolved: Waiting::new(),
            undelivered: Waiting::new(),
            outbox: Outbox::default(),
            stats: Stats::default(),
            versions: Versions::starting_at(config.first_seq),
            seq,
            last_notify: None,
            lookup_rates: BTreeMap::new(),
            recent_lookups: BTreeMap::new(),
            handshakes: RateLimiter::new(HANDSHAKE_RATE, now.mono),
            stranger_inits: RateLimiter::new(STRANGER_INIT_RATE, now.mono),
            broken_notes: RateLimiter::new(BROKEN_RATE, now.mono),
            told_place: Coords::default(),
            tell_at: None,
            moves: RateLimiter::new(MOVE_RATE, now.mono),
            used_at: Instant::START,
            maintained_at: Instant::START,
            timers_at: now.mono,
            wake: None,
        }
    }

    // ---- output ----

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.transmits.pop_front()
    }

    /// The next news.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.outbox.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`], and what for. Changes only with the state.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let maintenance = (self.tree.is_dirty() || self.filters.is_dirty())
            .then(|| (self.maintained_at + MAINTENANCE_GAP, "maintenance"));
        let timers = self.wake.map(|at| (at.max(self.timers_at + TIMER_GAP), "timers"));
        maintenance.into_iter().chain(timers).min()
    }

    /// The present forwarding table.
    #[must_use]
    pub const fn forwarding_table(&self) -> &ForwardingTable {
        &self.table
    }

    // ---- links ----

    /// A link is up and its greeting is done. `priority` is the larger of both ends'.
    pub fn handle_link_up(&mut self, link: LinkId, key: NodeKey, priority: u8, now: Now) {
        if self.tree.link_count() >= LINKS_MAX {
            self.outbox.events.push_back(Event::CloseLink(link, Misbehaviour::TooManyLinks));
            return;
        }
        self.tree.link_up(link, key, priority, &mut self.rng, now.mono, &mut self.outbox);
        self.filters.link_up(key, link, now.mono, &mut self.outbox);
        self.lookup_rates.insert(link, RateLimiter::new(LOOKUP_RATE, now.mono));
        self.rebuild_table();
        self.learn(key, now);
        self.settle(now);
    }

    /// A link is gone.
    pub fn handle_link_down(&mut self, link: LinkId, now: Now) {
        self.lookup_rates.remove(&link);
        if let Some((key, last)) = self.tree.link_down(link) {
            self.filters.link_down(&key, last, &self.tree, &mut self.outbox);
            self.rebuild_table();
            self.settle(now);
        }
    }

    /// A link owes an answer for so long that nothing should be routed over it, or has answered
    /// after all.
    pub fn handle_link_suspect(&mut self, link: LinkId, suspect: bool, now: Now) {
        self.handle_links_suspect([(link, suspect)], now);
    }

    /// The same for several links at once: when all fall silent together, none is exchanged for
    /// another.
    pub fn handle_links_suspect(
        &mut self,
        links: impl IntoIterator<Item = (LinkId, bool)>,
        now: Now,
    ) {
        for (link, suspect) in links {
            self.tree.set_suspect(link, suspect);
        }
        self.rebuild_table();
        self.settle(now);
    }

    /// Changes what this node carries for others: the place it takes in the tree from now on.
    /// Nobody loses a way by it at once, see [`Transit`].
    pub fn set_transit(&mut self, transit: Transit, now: Now) {
        self.tree.set_transit(transit);
        self.wake_by(now.mono);
        self.settle(now);
    }

    /// The machine has slept or its network has changed: every link is asked for a sign of life,
    /// and whoever was out of reach is looked for again.
    pub fn probe_links(&mut self, now: Now) {
        self.tree.probe(now.mono, &mut self.outbox);
        self.warm.hurry(now.mono);
        if let Some(at) = self.warm.next_timeout() {
            self.wake_by(at);
        }
    }

    /// A frame other than traffic arrived. A neighbour that misbehaves is forgotten, and
    /// [`Event::CloseLink`] says why.
    pub fn handle_link_input(&mut self, link: LinkId, kind: FrameKind, body: &[u8], now: Now) {
        let Some(from) = self.tree.neighbour_of(link) else { return };
        if let Err(misbehaviour) = self.handle_message(link, from, kind, body, now) {
            self.handle_link_down(link, now);
            self.outbox.events.push_back(Event::CloseLink(link, misbehaviour));
        }
        self.settle(now);
    }

    fn handle_message(
        &mut self,
        link: LinkId,
        from: NodeKey,
        kind: FrameKind,
        body: &[u8],
        now: Now,
    ) -> Result<(), Misbehaviour> {
        let malformed = |source: DecodeError| Misbehaviour::Malformed { kind, source };
        match kind {
            FrameKind::Dummy | FrameKind::KeepAlive | FrameKind::Traffic => {}
            FrameKind::SigReq => {
                let request = SigReq::parse(body).map_err(malformed)?;
                self.tree.handle_sig_req(
                    link,
                    request,
                    &self.identity,
                    now.mono,
                    &mut self.outbox,
                    &mut self.stats,
                );
                if let Some(at) = self.tree.next_timeout() {
                    self.wake_by(at);
                }
            }
            FrameKind::SigRes => {
                let response = SigRes::parse(body).map_err(malformed)?;
                self.tree.handle_sig_res(link, response, now.mono, &mut self.outbox)?;
            }
            FrameKind::Announce => {
                let announce = Announce::parse(body).map_err(malformed)?;
                self.tree.handle_announce(
                    link,
                    announce,
                    &mut self.rng,
                    now.mono,
                    &mut self.outbox,
                    &mut self.stats,
                )?;
            }
            FrameKind::BloomFilter => {
                let filter = BloomFilter::parse(body).map_err(malformed)?;
                if self.filters.receive(&from, filter) {
                    self.retry_lookups(now);
                }
            }
            FrameKind::PathLookup => {
                let lookup = PathLookup::parse(body).map_err(malformed)?;
                if self.allow_lookup(link, now) {
                    self.handle_lookup(&from, &lookup, now);
                }
            }
            FrameKind::PathNotify => {
                let notify = PathNotify::parse(body).map_err(malformed)?;
                if self.allow_lookup(link, now) {
                    self.route_notify(notify, now);
                }
            }
            FrameKind::PathBroken => {
                let broken = PathBroken::parse(body).map_err(malformed)?;
                if self.allow_lookup(link, now) {
                    self.route_broken(broken, now);
                }
            }
        }
        Ok(())
    }

    fn allow_lookup(&mut self, link: LinkId, now: Now) -> bool {
        let allowed = self.lookup_rates.get_mut(&link).is_some_and(|rate| rate.allow(now.mono));
        if !allowed {
            self.stats.rate_limited += 1;
        }
        allowed
    }

    // ---- upkeep ----

    /// The time that [`Self::poll_timeout`] named has come. Harmless at any other time.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.wake.is_some_and(|at| at.max(self.timers_at + TIMER_GAP) <= now.mono) {
            self.timers_at = now.mono;
            self.run_timers(now);
        }
        self.settle(now);
    }

    fn run_timers(&mut self, now: Now) {
        let mono = now.mono;
        self.tree.expire(mono);
        self.tree.answer_late(&self.identity, mono, &mut self.outbox);
        if self.filters.next_timeout().is_some_and(|at| at <= mono) {
            self.maintain_filters(now);
        }
        for key in self.paths.expire(mono, |key| self.sessions.last_heard(key)) {
            self.sessions.set_path(&key, None);
        }
        self.break_silence(now);
        for key in self.contacts.expire(mono, |key| self.sessions.last_heard(key)) {
            self.sessions.close(&key);
            self.fast.closed(&key);
            self.warm.lost(&key, mono);
        }
        let neighbours = self.tree.neighbours();
        self.keys.expire(
            mono,
            |key| self.sessions.last_heard(key),
            |key| neighbours.contains_key(key),
        );
        let dropped = self.unresolved.expire(mono) + self.undelivered.expire(mono);
        self.stats.waiting_dropped += dropped;
        self.recent_lookups.retain(|_, at| mono < *at + LOOKUP_ECHO_GAP);
        for (key, kind) in self.inband.expire(mono) {
            self.outbox.events.push_back(Event::InbandTimeout(key, kind));
        }
        for (key, id) in self.extensions.expire(mono) {
            self.outbox.events.push_back(Event::Unanswered(key, id));
        }
        for key in self.extensions.due(mono) {
            self.say_requests(key, now);
        }
        for target in self.paths.due(mono) {
            self.send_lookup(target, now);
        }
        for key in self.contacts.due(mono) {
            self.greet(&key, now);
        }
        for key in self.warm.due(mono) {
            self.pursue(key, now);
        }
        self.renew_keys(now);
        let gap = self.parent_check_gap(mono);
        self.tree.check_parent(gap, mono, &mut self.outbox);
        self.wake = None;
        self.notice_move(now);
        let timers = [
            self.tree.next_timeout(),
            self.tree.next_parent_check(gap),
            self.filters.next_timeout(),
            self.paths.next_timeout(),
            self.contacts.next_timeout(),
            self.warm.next_timeout(),
            self.fast.next_timeout(),
            self.keys.next_timeout(),
            self.inband.next_timeout(),
            self.extensions.next_timeout(),
            self.unresolved.next_timeout(),
            self.undelivered.next_timeout(),
        ];
        if let Some(at) = timers.into_iter().flatten().min() {
            self.wake_by(at);
        }
    }

    /// Makes sure that timers run at `at` or before.
    fn wake_by(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Runs maintenance if something changed and the last run is long enough ago.
    fn settle(&mut self, now: Now) {
        let dirty = self.tree.is_dirty() || self.filters.is_dirty();
        if !dirty || now.mono < self.maintained_at + MAINTENANCE_GAP {
            return;
        }
        self.maintained_at = now.mono;
        if self.tree.is_dirty() {
            self.tree.maintain(&self.identity, &mut self.rng, now, &mut self.outbox);
            self.seq = self.seq.max(self.tree.seq());
        }
        self.maintain_filters(now);
        self.rebuild_table();
        self.notice_move(now);
        let check = self.tree.next_parent_check(self.parent_check_gap(now.mono));
        let timers = [self.tree.next_timeout(), self.filters.next_timeout(), check];
        for at in timers.into_iter().flatten() {
            self.wake_by(at);
        }
    }

    fn maintain_filters(&mut self, now: Now) {
        if self.filters.maintain(&self.tree, now.mono, &mut self.outbox) {
            self.retry_lookups(now);
        }
    }

    /// Tells where this node is now, if that has changed for a moment.
    fn notice_move(&mut self, now: Now) {
        if self.told_place == *self.table.coords() {
            self.tell_at = None;
            return;
        }
        let tell_at = *self.tell_at.get_or_insert(now.mono + MOVE_DELAY);
        if now.mono < tell_at {
            self.wake_by(tell_at);
        } else if self.moves.allow(now.mono) {
            self.tell_at = None;
            self.told_place = self.table.coords().clone();
            self.tell_place(now);
        } else {
            self.wake_by(self.moves.ready_at(now.mono));
        }
    }

    /// Publishes a new forwarding table if it differs, and serves packets that waited for a
    /// neighbour.
    fn rebuild_table(&mut self) {
        let hops = self.tree.neighbours().iter().filter_map(|(key, neighbour)| {
            let (link, at) = neighbour.best_link()?;
            let coords = self.tree.known_coords(key);
            Some(Hop { key: *key, coords, link, cost: at.cost(), order: at.order })
        });
        let own = self.tree.own();
        let table = ForwardingTable::new(own, self.tree.coords(&own), hops.collect());
        if table != self.table {
            self.table = table;
            self.outbox.events.push_back(Event::TableChanged);
        }
    }

    /// The version of something said now.
    fn version(&mut self, now: Now) -> u64 {
        let version = self.versions.at(now);
        self.seq = self.seq.max(version);
        version
    }

    fn fresh_secret(&mut self) -> ExchangeSecret {
        fresh_secret(&mut self.rng)
    }
}

fn fresh_secret(rng: &mut ChaCha20Rng) -> ExchangeSecret {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *bytes);
    ExchangeSecret::from_bytes(&bytes)
}
