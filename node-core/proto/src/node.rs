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

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::{
    crypto::ExchangeSecret,
    forward::{Decision, ForwardingTable, Hop, WATERMARK_START},
    identity::{Identity, NodeKey},
    limits::{
        BROKEN_RATE, HANDSHAKE_RATE, LINKS_MAX, LOOKUP_RATE, LOOKUPS_MAX, MAINTENANCE_GAP,
        SESSIONS_MAX, STRANGER_INIT_RATE,
    },
    link::LinkId,
    lookup::{BloomFilter, BloomPositions, Filters, KnownPath, Paths, Verdict},
    misbehave::Misbehaviour,
    outbox::{Event, Outbox, Transmit},
    rate::RateLimiter,
    session::{
        Contacts, Greeting, GroupSecret, Handshake, HandshakeKind, Opener, SEAL_OVERHEAD_MAX,
        SessionTable, compose, open_handshake,
    },
    stats::Stats,
    time::{Duration, Instant, Now, Versions},
    tree::Tree,
    upper::{
        Inband, InbandAnswer, InbandKind, InbandMessage, KeyTable, PAYLOAD_IPV6, Waiting,
        ipv6::Target,
    },
    wire::{
        Announce, Coords, DecodeError, FrameKind, PathBroken, PathLookup, PathNotify, SigReq,
        SigRes, TrafficHeader,
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
    /// Secret of a closed group.
    pub group: Option<GroupSecret>,
    /// What is answered to a node info request: JSON text of at most
    /// [`crate::limits::NODE_INFO_MAX`] bytes.
    pub node_info: Vec<u8>,
    /// Higher than every sequence number that this identity ever sent.
    pub first_seq: u64,
}

/// See the module.
pub struct Node<S> {
    identity: Identity,
    group: Option<GroupSecret>,
    node_info: Vec<u8>,
    sessions: S,
    rng: ChaCha20Rng,
    tree: Tree,
    filters: Filters,
    paths: Paths,
    contacts: Contacts,
    keys: KeyTable,
    inband: Inband,
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
    recent_lookups: BTreeMap<(NodeKey, NodeKey), Instant>,
    handshakes: RateLimiter,
    stranger_inits: RateLimiter,
    broken_notes: RateLimiter,
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
        let tree = Tree::new(&identity, seq, &mut rng, now.mono);
        Self {
            filters: Filters::new(&own),
            table: ForwardingTable::new(own, Coords::default(), Vec::new()),
            tree,
            identity,
            group: config.group,
            node_info: config.node_info,
            sessions,
            rng,
            paths: Paths::default(),
            contacts: Contacts::default(),
            keys: KeyTable::default(),
            inband: Inband::default(),
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
        self.tree.set_suspect(link, suspect);
        self.rebuild_table();
        self.settle(now);
    }

    /// The machine has slept or its network has changed: every link is asked for a sign of life.
    pub fn probe_links(&mut self, now: Now) {
        self.tree.probe(now.mono, &mut self.outbox);
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
            }
            FrameKind::SigRes => {
                let response = SigRes::parse(body).map_err(malformed)?;
                self.tree.handle_sig_res(link, response, now.mono)?;
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
        if self.filters.next_timeout().is_some_and(|at| at <= mono) {
            self.maintain_filters(now);
        }
        for key in self.paths.expire(mono, |key| self.sessions.last_heard(key)) {
            self.sessions.set_path(&key, None);
        }
        for key in self.contacts.expire(mono, |key| self.sessions.last_heard(key)) {
            self.sessions.close(&key);
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
        for target in self.paths.due(mono) {
            self.send_lookup(target, now);
        }
        for key in self.contacts.due(mono) {
            self.greet(&key, now);
        }
        self.wake = None;
        let timers = [
            self.tree.next_timeout(),
            self.filters.next_timeout(),
            self.paths.next_timeout(),
            self.contacts.next_timeout(),
            self.keys.next_timeout(),
            self.inband.next_timeout(),
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
        for at in [self.tree.next_timeout(), self.filters.next_timeout()].into_iter().flatten() {
            self.wake_by(at);
        }
    }

    fn maintain_filters(&mut self, now: Now) {
        if self.filters.maintain(&self.tree, now.mono, &mut self.outbox) {
            self.retry_lookups(now);
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

    // ---- lookups ----

    /// More is reachable than before: lookups without an answer go out again.
    fn retry_lookups(&mut self, now: Now) {
        for target in self.paths.open(now.mono) {
            self.send_lookup(target, now);
        }
    }

    /// Searches for a key, full or partial, at most once a second.
    pub fn look_up(&mut self, target: NodeKey, now: Now) {
        if self.paths.want(target, now.mono) {
            self.send_lookup(target, now);
        }
        self.wake_by(now.mono + crate::limits::LOOKUP_GAP);
    }

    fn send_lookup(&mut self, target: NodeKey, now: Now) {
        let own = self.tree.own();
        let lookup = PathLookup { source: own, dest: target, from: self.table.coords().clone() };
        if self.multicast(&own, &lookup) > 0 {
            self.paths.sent(&target, now.mono);
        }
        self.wake_by(now.mono + crate::limits::LOOKUP_GAP);
    }

    /// Passes a lookup on (chapter 5.4). Returns to how many neighbours.
    fn multicast(&mut self, from: &NodeKey, lookup: &PathLookup) -> usize {
        let positions = BloomPositions::of(&lookup.dest.transform());
        let mut copies = 0;
        for key in self.filters.towards(&positions, from) {
            let Some(link) = self.table.direct(key) else { continue };
            self.outbox.queued(link, lookup.source, lookup.dest, lookup.emit());
            copies += 1;
        }
        copies
    }

    fn handle_lookup(&mut self, from: &NodeKey, lookup: &PathLookup, now: Now) {
        if !self.tree.is_on_tree(from) {
            self.stats.off_tree_lookups += 1;
            return;
        }
        let question = (lookup.source, lookup.dest);
        let recent = self.recent_lookups.get(&question);
        if recent.is_some_and(|at| now.mono < *at + LOOKUP_ECHO_GAP) {
            self.stats.rate_limited += 1;
            return;
        }
        if self.recent_lookups.len() >= LOOKUPS_MAX {
            self.recent_lookups.clear();
        }
        self.recent_lookups.insert(question, now.mono);
        self.multicast(from, lookup);
        if lookup.dest.transform() == self.tree.own().transform() {
            self.answer_lookup(lookup, now);
        }
    }

    fn answer_lookup(&mut self, lookup: &PathLookup, now: Now) {
        let coords = self.table.coords().clone();
        let mut seq = self.version(now);
        // An answer with other coordinates must be newer than the last one.
        if let Some((last, said)) = &self.last_notify {
            seq = seq.max(last.saturating_add((*said != coords).into()));
            self.seq = self.seq.max(seq);
        }
        self.last_notify = Some((seq, coords.clone()));
        let notify = PathNotify {
            path: lookup.from.clone(),
            watermark: WATERMARK_START,
            source: self.tree.own(),
            dest: lookup.source,
            seq,
            sig: PathNotify::sign(&self.identity, seq, &coords),
            coords,
        };
        self.route_notify(notify, now);
    }

    fn route_notify(&mut self, mut notify: PathNotify, now: Now) {
        match self.table.decide(&notify.dest, notify.path.ports(), notify.watermark) {
            Decision::Forward { link, watermark } => {
                notify.watermark = watermark;
                self.outbox.queued(link, notify.source, notify.dest, notify.emit());
            }
            Decision::Deliver { .. } => self.take_notify(&notify, now),
            Decision::Stuck => self.stats.stuck += 1,
        }
    }

    fn take_notify(&mut self, notify: &PathNotify, now: Now) {
        if notify.source == self.tree.own() {
            return;
        }
        let verdict = self.paths.handle_notify(notify, now.mono);
        if verdict == Verdict::Ignored {
            self.stats.notifies_ignored += 1;
            return;
        }
        let key = notify.source;
        if verdict == Verdict::Changed {
            self.sessions.set_path(&key, Some(&notify.coords));
        }
        self.outbox.events.push_back(Event::PathFound(key));
        self.learn(key, now);
    }

    fn route_broken(&mut self, mut broken: PathBroken, now: Now) {
        match self.table.decide(&broken.source, broken.path.ports(), broken.watermark) {
            Decision::Forward { link, watermark } => {
                broken.watermark = watermark;
                self.outbox.queued(link, broken.source, broken.dest, broken.emit());
            }
            Decision::Deliver { .. } => {
                if self.paths.handle_broken(&broken.dest, now.mono) {
                    self.send_lookup(broken.dest, now);
                }
            }
            Decision::Stuck => self.stats.stuck += 1,
        }
    }

    /// A packet from `source` at `from` to `dest` found nobody closer, or found `dest` at other
    /// coordinates: the sender is told.
    pub fn handle_stuck(&mut self, source: NodeKey, from: Coords, dest: NodeKey, now: Now) {
        self.stats.stuck += 1;
        if !self.broken_notes.allow(now.mono) {
            self.stats.rate_limited += 1;
            return;
        }
        let broken = PathBroken { path: from, watermark: WATERMARK_START, source, dest };
        self.route_broken(broken, now);
        self.settle(now);
    }

    // ---- packets that the data half could not send ----

    /// An IPv6 packet to a target without a session. `packet` begins with its header and was
    /// checked.
    pub fn handle_outbound(&mut self, target: Target, packet: &[u8], now: Now) {
        if let Some(key) = self.keys.find(&target) {
            let mut data = Vec::with_capacity(packet.len() + 1);
            data.push(PAYLOAD_IPV6);
            data.extend_from_slice(packet);
            self.send_data(key, data, now);
        } else {
            self.stats.waiting_dropped += self.unresolved.push(target, packet.to_vec(), now.mono);
            self.look_up(target.search_key(), now);
        }
        self.settle(now);
    }

    /// Session data for a key whose session has no path at the moment.
    pub fn handle_undelivered(&mut self, key: NodeKey, data: Vec<u8>, now: Now) {
        self.send_data(key, data, now);
        self.settle(now);
    }

    /// Enters a key that was heard of, and moves on what waited for it.
    fn learn(&mut self, key: NodeKey, now: Now) {
        self.keys.learn(key, now.mono);
        let targets = [Target::Address(key.address()), Target::Subnet(key.subnet())];
        for target in targets {
            if self.keys.find(&target) != Some(key) {
                continue;
            }
            for mut packet in self.unresolved.take(&target) {
                packet.insert(0, PAYLOAD_IPV6);
                self.stats.waiting_dropped += self.undelivered.push(key, packet, now.mono);
            }
        }
        // The Ack goes first: data that overtakes it arrives before there is a session.
        self.greet(&key, now);
        if self.undelivered.contains(&key) {
            self.pursue(key, now);
        }
    }

    /// Whether packets for `key` have a direction.
    fn is_reachable(&self, key: &NodeKey) -> bool {
        self.table.direct(key).is_some() || self.paths.get(key).is_some()
    }

    fn send_data(&mut self, key: NodeKey, data: Vec<u8>, now: Now) {
        if key == self.tree.own() {
            return;
        }
        if self.contacts.has_session(&key) && self.is_reachable(&key) {
            self.seal_and_send(&key, &data, now);
        } else {
            self.stats.waiting_dropped += self.undelivered.push(key, data, now.mono);
            self.pursue(key, now);
        }
    }

    /// Brings what waits for `key` a step further.
    fn pursue(&mut self, key: NodeKey, now: Now) {
        if !self.is_reachable(&key) {
            self.look_up(key, now);
        } else if self.contacts.has_session(&key) {
            for data in self.undelivered.take(&key) {
                self.seal_and_send(&key, &data, now);
            }
        } else {
            let rng = &mut self.rng;
            self.contacts.begin(key, now.mono, || [fresh_secret(rng), fresh_secret(rng)]);
            self.greet(&key, now);
        }
    }

    fn seal_and_send(&mut self, key: &NodeKey, data: &[u8], now: Now) {
        let mut buffer = vec![0; SEAL_OVERHEAD_MAX + data.len()];
        buffer[SEAL_OVERHEAD_MAX..].copy_from_slice(data);
        let sealed =
            self.sessions.with(key, |_, sealer| sealer.seal(&mut buffer, SEAL_OVERHEAD_MAX));
        if let Some(Some(start)) = sealed {
            self.send_payload(key, &buffer[start..], now);
        }
    }

    /// Sends an end-to-end payload over the best way known; without one it is lost.
    fn send_payload(&mut self, dest: &NodeKey, payload: &[u8], now: Now) {
        let path = self.paths.get(dest).map(|path| path.coords.clone()).unwrap_or_default();
        let source = self.tree.own();
        match self.table.decide(dest, path.ports(), WATERMARK_START) {
            Decision::Forward { link, watermark } => {
                let from = self.table.coords();
                let header = TrafficHeader { path: &path, from, source: &source, dest, watermark };
                let mut frame =
                    Vec::with_capacity(header.encoded_len(payload.len()) + payload.len());
                header.emit(payload.len(), &mut frame);
                frame.extend_from_slice(payload);
                self.outbox.queued(link, source, *dest, frame);
            }
            Decision::Deliver { .. } => {}
            Decision::Stuck => {
                self.stats.stuck += 1;
                if self.paths.handle_broken(dest, now.mono) {
                    self.send_lookup(*dest, now);
                }
            }
        }
    }

    // ---- handshakes ----

    /// An Init or Ack from `source` arrived.
    pub fn handle_handshake(&mut self, source: NodeKey, message: &[u8], now: Now) {
        if !self.handshakes.allow(now.mono) {
            self.stats.rate_limited += 1;
            return;
        }
        let opened = open_handshake(message, &self.identity, self.group.as_ref(), &source);
        let taken =
            opened.is_some_and(|(kind, said)| self.take_handshake(source, kind, &said, now));
        if !taken {
            self.stats.handshakes_ignored += 1;
        }
        self.settle(now);
    }

    /// Applies a verified handshake. Returns whether it was news.
    fn take_handshake(
        &mut self,
        source: NodeKey,
        kind: HandshakeKind,
        said: &Handshake,
        now: Now,
    ) -> bool {
        if source == self.tree.own() || said.seq == 0 {
            return false;
        }
        self.paths.touch(&source, now.mono);
        let known = self.contacts.get(&source).and_then(|contact| contact.session_seq);
        if known.is_none() {
            if self.contacts.session_count() >= SESSIONS_MAX {
                self.stats.sessions_refused += 1;
                return false;
            }
            self.open_session(source, said, now);
        } else if known >= Some(said.seq) {
            return false;
        }
        let fresh = self.fresh_secret();
        let spare = self.fresh_secret();
        self.sessions.with(&source, |opener, sealer| {
            if known.is_none() || !opener.is_repetition(said) {
                sealer.install(opener.update(said, fresh));
            }
            refill(opener, spare);
        });
        self.contacts.updated(&source, said.seq, now.mono);
        if kind == HandshakeKind::Init || known.is_none() {
            self.contacts.owe(source, Greeting::Ack, now.mono);
            if !self.is_reachable(&source) {
                self.look_up(source, now);
            }
            self.greet(&source, now);
        }
        self.keys.learn(source, now.mono);
        if self.undelivered.contains(&source) {
            self.pursue(source, now);
        }
        true
    }

    fn open_session(&mut self, source: NodeKey, said: &Handshake, now: Now) {
        let pending = self.contacts.opened(source, said.seq - 1, now.mono);
        let recv = self.fresh_secret();
        let (send, next) = match pending {
            Some(pending) => (pending.current, pending.next),
            None => (self.fresh_secret(), self.fresh_secret()),
        };
        let (opener, sealer) = Opener::new(said, recv, send, next);
        self.sessions.open(source, opener, sealer);
        let path = self.paths.get(&source).map(|path| &path.coords);
        self.sessions.set_path(&source, path);
        self.wake_by(now.mono + crate::limits::SESSION_TIMEOUT);
    }

    /// A packet of `source` could not be opened: there is no session, or it uses other keys. The
    /// source is greeted, within bounds.
    pub fn handle_undecryptable(&mut self, source: NodeKey, now: Now) {
        if source == self.tree.own() {
            return;
        }
        if !self.stranger_inits.allow(now.mono) {
            self.stats.rate_limited += 1;
            return;
        }
        self.contacts.owe(source, Greeting::Init, now.mono);
        if !self.is_reachable(&source) {
            self.look_up(source, now);
        }
        self.greet(&source, now);
        self.settle(now);
    }

    /// The data half followed a step of the ratchet: the next pair is made ahead of its need.
    pub fn handle_rekeyed(&mut self, key: &NodeKey) {
        let spare = self.fresh_secret();
        self.sessions.with(key, |opener, _| refill(opener, spare));
    }

    /// Says to `key` what is owed to it, if there is a way.
    fn greet(&mut self, key: &NodeKey, now: Now) {
        if !self.is_reachable(key) {
            return;
        }
        self.wake_by(now.mono + crate::limits::INIT_GAP);
        let Some(greeting) = self.contacts.take_owed(key, now.mono) else { return };
        let (kind, repeated) = match greeting {
            Greeting::Ack => (HandshakeKind::Ack, self.contacts.take_crossed(key)),
            Greeting::FirstInit | Greeting::Init => (HandshakeKind::Init, None),
        };
        let seq = repeated.unwrap_or_else(|| self.version(now));
        let pending = self.contacts.get(key).and_then(|contact| contact.pending.as_ref());
        let offer = if let Some(pending) = pending {
            let (current, next) = (pending.current.public(), pending.next.public());
            self.contacts.init_sent(key, seq, now.mono);
            Handshake { current, next, key_seq: 0, seq }
        } else if let Some(offer) = self.sessions.with(key, |opener, _| opener.offer(seq)) {
            offer
        } else {
            // An answer makes a session all the same; it brings keys of its own.
            let (current, next) = (self.fresh_secret().public(), self.fresh_secret().public());
            Handshake { current, next, key_seq: 0, seq }
        };
        let ephemeral = self.fresh_secret();
        let group = self.group.as_ref();
        if let Some(message) = compose(kind, &offer, &self.identity, group, key, &ephemeral) {
            self.send_payload(key, &message, now);
        }
    }

    // ---- messages between nodes ----

    /// Session data from `source` that begins with [`crate::upper::PAYLOAD_INBAND`]; `data` is what
    /// follows that byte.
    pub fn handle_inband(&mut self, source: NodeKey, data: &[u8], now: Now) {
        match InbandMessage::parse(data) {
            Some(InbandMessage::Request(kind)) => {
                if self.inband.may_answer(source, now.mono) {
                    let answer = self.answer(kind);
                    self.send_data(source, answer.emit(), now);
                } else {
                    self.stats.rate_limited += 1;
                }
            }
            Some(InbandMessage::Answer(answer)) if self.inband.answered(&source, answer.kind()) => {
                self.outbox.events.push_back(Event::Inband(source, answer));
            }
            Some(InbandMessage::Answer(_)) | None => {}
        }
        self.settle(now);
    }

    fn answer(&self, kind: InbandKind) -> InbandAnswer {
        match kind {
            InbandKind::NodeInfo => InbandAnswer::NodeInfo(self.node_info.clone()),
            InbandKind::GetSelf => {
                let (key, entries) = (self.tree.own(), self.tree.info_count());
                let text = format!(r#"{{"key":"{key}","routing_entries":"{entries}"}}"#);
                InbandAnswer::GetSelf(text.into_bytes())
            }
            InbandKind::GetPeers => {
                let links =
                    self.tree.neighbours().iter().flat_map(|(key, neighbour)| {
                        core::iter::repeat_n(*key, neighbour.links.len())
                    });
                InbandAnswer::GetPeers(links.collect())
            }
            InbandKind::GetTree => {
                InbandAnswer::GetTree(self.tree.announces().map(|info| info.edge.node).collect())
            }
        }
    }

    /// Asks another node something. The answer, or the lack of one, comes as an event.
    pub fn ask(&mut self, key: NodeKey, kind: InbandKind, now: Now) {
        if key == self.tree.own() {
            let answer = self.answer(kind);
            self.outbox.events.push_back(Event::Inband(key, answer));
        } else if self.inband.ask(key, kind, now.mono) {
            self.send_data(key, kind.emit_request(), now);
            self.wake_by(now.mono + crate::limits::REQUEST_TIMEOUT);
        } else {
            self.outbox.events.push_back(Event::InbandTimeout(key, kind));
        }
        self.settle(now);
    }

    // ---- what others may know ----

    /// The own key.
    #[must_use]
    pub const fn key(&self) -> NodeKey {
        self.tree.own()
    }

    /// The highest sequence number sent. It must be stored, and [`NodeConfig::first_seq`] of the
    /// next run must be higher.
    #[must_use]
    pub const fn highest_seq(&self) -> u64 {
        self.seq
    }

    /// The root of the own ancestry.
    #[must_use]
    pub fn root(&self) -> NodeKey {
        self.tree.root_of(&self.tree.own()).0
    }

    /// The own parent, the own key for a root.
    #[must_use]
    pub fn parent(&self) -> NodeKey {
        self.tree.parent()
    }

    /// All known edges, ordered by key.
    pub fn announces(&self) -> impl Iterator<Item = &Announce> {
        self.tree.announces()
    }

    /// Coordinates of a key as far as the tree knows.
    #[must_use]
    pub fn coords_of(&self, key: &NodeKey) -> Option<Coords> {
        self.tree.known_coords(key)
    }

    /// The neighbours: key, our port for it, and its links with priority, cost, smoothed round trip
    /// and suspicion.
    pub fn neighbours(&self) -> impl Iterator<Item = NeighbourReport> {
        self.tree.neighbours().iter().map(|(key, neighbour)| NeighbourReport {
            key: *key,
            port: neighbour.port,
            links: neighbour
                .links
                .iter()
                .map(|(id, link)| LinkReport {
                    id: *id,
                    priority: link.priority,
                    cost: link.cost(),
                    round_trip: link.lag,
                    suspect: link.suspect,
                })
                .collect(),
        })
    }

    /// The known paths.
    pub fn paths(&self) -> impl Iterator<Item = (&NodeKey, &KnownPath)> {
        self.paths.iter()
    }

    /// The key behind an address, if it is known.
    #[must_use]
    pub fn resolve(&self, target: &Target) -> Option<NodeKey> {
        self.keys.find(target)
    }

    /// Keys with a session, and since when.
    pub fn sessions(&self) -> impl Iterator<Item = (NodeKey, Instant)> {
        self.contacts.sessions()
    }

    /// The data half's sessions.
    pub const fn session_table(&self) -> &S {
        &self.sessions
    }

    /// The data half's sessions, for a driver that keeps them here.
    pub const fn session_table_mut(&mut self) -> &mut S {
        &mut self.sessions
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Sizes of what the node keeps, for the checkers of the simulator.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            infos: self.tree.info_count(),
            links: self.tree.link_count(),
            sessions: self.contacts.session_count(),
            paths: self.paths.iter().count(),
        }
    }
}

/// A neighbour, as others may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourReport {
    /// Its key.
    pub key: NodeKey,
    /// Our number for it.
    pub port: u64,
    /// Its links.
    pub links: Vec<LinkReport>,
}

/// A link, as others may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkReport {
    /// Its name.
    pub id: LinkId,
    /// Smaller is better.
    pub priority: u8,
    /// Milliseconds of smoothed round trip, at least 1; 4294 while unknown.
    pub cost: u64,
    /// Smoothed round trip; a first sample counts double.
    pub round_trip: Option<Duration>,
    /// It owes an answer for too long.
    pub suspect: bool,
}

/// How much a node keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Tree edges.
    pub infos: usize,
    /// Links.
    pub links: usize,
    /// Sessions.
    pub sessions: usize,
    /// Paths.
    pub paths: usize,
}

fn fresh_secret(rng: &mut ChaCha20Rng) -> ExchangeSecret {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *bytes);
    ExchangeSecret::from_bytes(&bytes)
}

fn refill(opener: &mut Opener, spare: ExchangeSecret) {
    if opener.needs_refill() {
        opener.refill(spare);
    }
}
