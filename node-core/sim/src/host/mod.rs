//! One computer: a [`Node`], the data half beside it, its clocks, and its ends of links.
//!
//! A host is worked off alone: [`Host::run`] does all that is due before some moment and leaves
//! what is for other hosts in [`Host::parcels`]. The world sees to it that nothing can arrive in
//! between (lines have latency), so hosts may be worked off in any order, or at the same time, with
//! the same result.
//!
//! This is one of the two loops that drive a node (the other is the engine of the runtime): one
//! change, then drain.

mod data;
mod links;
mod pings;

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use planetary_proto::{
    Event, ExtensionMessage, ForwardingTable, Identity, Instant, LinkId, Misbehaviour, Node,
    NodeConfig, NodeKey, Now, Transit,
    session::Suites,
    time::Duration,
    upper::{InbandAnswer, InbandKind, ipv6::Territory},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use self::pings::Ping;
pub use self::pings::PingId;
use crate::{
    adversary::Mischief,
    check::{Fault, Violation},
    clock::Clock,
    link::{Cargo, End, Line},
    schedule::{Schedule, Slot},
    sessions::Sessions,
    tally::Tally,
    weather::Weather,
};

/// Names a host of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// What a host remembers over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Its identity, and the highest sequence number that it ever sent.
    Sequence,
    /// Its identity only.
    Nothing,
}

/// Something that a host has to do.
pub(crate) enum Task {
    /// A link is up.
    Up { link: LinkId, peer: HostId, key: NodeKey, line: Line },
    /// Something came out of a line.
    Arrive { link: LinkId, cargo: Cargo },
    /// A timer of a link may have run out.
    LinkTimer(LinkId),
    /// The writer of a link may be idle.
    Written(LinkId),
    /// The node asked to be woken.
    Wake,
    /// A ping is due.
    Ping(u32),
    /// A rogue has another idea.
    Mischief,
    /// A payload arrives later than it could have.
    Late { source: NodeKey, payload: Vec<u8> },
}

/// A task for another host.
pub(crate) struct Parcel {
    pub(crate) to: HostId,
    pub(crate) slot: Slot,
    pub(crate) task: Task,
}

/// Something that a node told about itself, with the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A link was closed for this reason.
    Closed(NodeKey, Misbehaviour),
    /// A question was answered.
    Answer(NodeKey, InbandAnswer),
    /// A question was not answered in time.
    NoAnswer(NodeKey, InbandKind),
    /// A request arrived, perhaps not for the first time.
    Requested(NodeKey, ExtensionMessage),
    /// A request was answered.
    Replied(NodeKey, ExtensionMessage),
    /// A request, by its number, was not answered in time.
    NotReplied(NodeKey, u32),
}

/// See the module.
pub(crate) struct Host {
    id: HostId,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) identity: Identity,
    territory: Territory,
    /// `None` while the host is switched off.
    running: Option<Running>,
    clock: Clock,
    /// The highest sequence number of all former runs.
    stored_seq: u64,
    agenda: Schedule<Task>,
    numbered: u64,
    ends: BTreeMap<LinkId, End>,
    /// Links over cut cables, and what waits in them.
    severed: BTreeMap<LinkId, VecDeque<Cargo>>,
    pings: BTreeMap<u32, Ping>,
    /// How many pings there ever were.
    pinged: u32,
    pub(crate) mischief: Option<Mischief>,
    /// What its node carries for others.
    transit: Transit,
    /// Which ciphers of fast sessions are fast on it, if its node has any.
    pub(crate) fast: Option<Suites>,
    /// What becomes of payloads for it.
    pub(crate) weather: Weather,
    trace: DefaultHasher,
    /// What is for other hosts.
    pub(crate) parcels: Vec<Parcel>,
    /// Links that were closed since the world last looked.
    pub(crate) closed: Vec<(Instant, LinkId)>,
    pub(crate) news: Vec<(Instant, News)>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) tally: Tally,
}

/// What a host loses when it is switched off.
struct Running {
    node: Node<Sessions>,
    /// The data half's copy, renewed when the node says so.
    table: ForwardingTable,
    /// For when the next wake-up is scheduled.
    wake_at: Option<Instant>,
}

impl Host {
    /// A host that is switched off. Everything about it follows from `seed`.
    pub(crate) fn new(id: HostId, seed: [u8; 32], mischief: Option<Mischief>) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        let identity = Identity::from_seed(&secret);
        let skew_s = i64::from(rng.next_u32() % 600) - 300;
        Self {
            id,
            territory: Territory::of(&identity.key()),
            identity,
            running: None,
            clock: Clock::new(Duration::ZERO, skew_s),
            rng,
            stored_seq: 0,
            agenda: Schedule::new(),
            numbered: 0,
            ends: BTreeMap::new(),
            severed: BTreeMap::new(),
            pings: BTreeMap::new(),
            pinged: 0,
            mischief,
            transit: Transit::default(),
            fast: Some(Suites::ALL),
            weather: Weather::FAIR,
            trace: DefaultHasher::new(),
            parcels: Vec::new(),
            closed: Vec::new(),
            news: Vec::new(),
            violations: Vec::new(),
            tally: Tally::default(),
        }
    }

    // ---- what others may know ----

    pub(crate) const fn key(&self) -> NodeKey {
        self.identity.key()
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) const fn is_rogue(&self) -> bool {
        self.mischief.is_some()
    }

    /// Whether links to this host stay up.
    pub(crate) fn keeps_links(&self) -> bool {
        self.mischief.as_ref().is_none_or(Mischief::keeps_links)
    }

    pub(crate) fn node(&self) -> Option<&Node<Sessions>> {
        self.running.as_ref().map(|running| &running.node)
    }

    pub(crate) fn table(&self) -> Option<&ForwardingTable> {
        self.running.as_ref().map(|running| &running.table)
    }

    pub(crate) fn ends(&self) -> &BTreeMap<LinkId, End> {
        &self.ends
    }

    /// When the host next has something to do.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.agenda.next_at()
    }

    /// A number that depends on all that ever happened to this host.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    // ---- switching on and off ----

    /// Starts a node with a fresh monotonic clock.
    pub(crate) fn start(&mut self, memory: Memory, at: Instant) {
        let lead = Duration::from_micros(self.rng.next_u64() % 1_000_000_000);
        self.clock = self.clock.restarted(lead);
        let first_seq = match memory {
            Memory::Sequence => self.stored_seq.saturating_add(1),
            Memory::Nothing => 0,
        };
        let config = NodeConfig {
            identity: self.identity.clone(),
            groups: Default::default(),
            transit: self.transit,
            node_info: b"{}".to_vec(),
            fast: self.fast,
            first_seq,
        };
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let node = Node::new(config, Sessions::default(), seed, self.clock.now(at));
        let table = node.forwarding_table().clone();
        self.running = Some(Running { node, table, wake_at: None });
        self.drain(at);
        if let Some(mischief) = &self.mischief {
            let every = mischief.every();
            self.schedule(at + every, Task::Mischief);
        }
    }

    /// Ends the node. `told`: the system closes its links, so that the other ends hear of it.
    pub(crate) fn stop(&mut self, told: bool, at: Instant) {
        let Some(running) = self.running.take() else { return };
        self.stored_seq = self.stored_seq.max(running.node.highest_seq());
        let links: Vec<LinkId> = self.ends.keys().copied().collect();
        for link in links {
            if told {
                self.close(link, at);
            }
        }
        self.ends.clear();
        self.severed.clear();
        self.pings.clear();
        self.agenda.clear();
    }

    /// The cable of a link is cut: nothing arrives over it.
    pub(crate) fn sever(&mut self, link: LinkId) {
        if self.is_up() {
            self.severed.entry(link).or_default();
        }
    }

    /// The cable of a link is whole again. Returns what was on its way.
    pub(crate) fn mend(&mut self, link: LinkId) -> VecDeque<Cargo> {
        self.severed.remove(&link).unwrap_or_default()
    }

    pub(crate) fn set_transit(&mut self, transit: Transit, at: Instant) {
        self.transit = transit;
        self.change(at, |node, now| node.set_transit(transit, now));
    }

    pub(crate) const fn step_clock(&mut self, seconds: i64) {
        self.clock.step(seconds);
    }

    // ---- the loop ----

    pub(crate) fn receive(&mut self, slot: Slot, task: Task) {
        self.agenda.push(slot, task);
    }

    /// Does all that is due before `until`.
    pub(crate) fn run(&mut self, until: Instant) {
        while let Some((at, task)) = self.agenda.pop_before(until) {
            self.tally.tasks += 1;
            self.perform(task, at);
        }
    }

    fn perform(&mut self, task: Task, at: Instant) {
        match task {
            Task::Up { link, peer, key, line } => {
                if !self.is_up() {
                    return;
                }
                self.ends.insert(link, End::new(peer, key, line));
                self.change(at, |node, now| node.handle_link_up(link, key, 0, now));
            }
            Task::Arrive { link, cargo } => {
                if let Some(held) = self.severed.get_mut(&link) {
                    held.push_back(cargo);
                } else {
                    self.arrive(link, cargo, at);
                }
            }
            Task::LinkTimer(link) => self.look_at_link(link, at),
            Task::Written(link) => self.write_queued(link, at),
            Task::Wake => self.wake(at),
            Task::Ping(number) => self.send_ping(number, at),
            Task::Mischief => self.invent(at),
            Task::Late { source, mut payload } => {
                if self.is_up() {
                    self.deliver(source, &mut payload, at);
                }
            }
        }
    }

    fn wake(&mut self, at: Instant) {
        let now = self.clock.now(at);
        let Some(running) = &mut self.running else { return };
        if running.wake_at != Some(at) {
            // An earlier wake-up took the place of this one.
            return;
        }
        running.wake_at = None;
        let Some((due, why)) = running.node.poll_timeout() else { return };
        if due <= now.mono {
            self.tally.wakes += 1;
            ("wake", at, why).hash(&mut self.trace);
            self.change(at, Node::handle_timeout);
            let asks = self.node().and_then(Node::poll_timeout);
            if let Some((again, why)) = asks.filter(|(again, _)| *again <= now.mono) {
                self.blame(at, Fault::BusyLoop { why, late: now.mono.since(again) });
            }
        } else {
            self.rearm(at);
        }
    }

    /// One change, then drain.
    fn change(&mut self, at: Instant, change: impl FnOnce(&mut Node<Sessions>, Now)) {
        let now = self.clock.now(at);
        if let Some(running) = &mut self.running {
            change(&mut running.node, now);
            self.drain(at);
        }
    }

    fn drain(&mut self, at: Instant) {
        while let Some(running) = &mut self.running {
            if let Some(transmit) = running.node.poll_transmit() {
                self.transmit(transmit, at);
            } else if let Some(event) = running.node.poll_event() {
                self.take_event(event, at);
            } else {
                break;
            }
        }
        self.rearm(at);
        self.check_bounds(at);
    }

    fn take_event(&mut self, event: Event, at: Instant) {
        match event {
            Event::TableChanged => {
                if let Some(running) = &mut self.running {
                    running.table = running.node.forwarding_table().clone();
                }
            }
            Event::CloseLink(link, misbehaviour) => self.dismiss(link, misbehaviour, at),
            Event::Send(key, data) => {
                let now = self.clock.now(at);
                let Some(Running { node, .. }) = &mut self.running else { return };
                let session = node.session_table_mut().session_mut(&key);
                if let Some(payload) = session.and_then(|session| session.seal(&data, now.mono)) {
                    node.send_payload(&key, &payload, now);
                    node.handle_use(now.mono);
                }
            }
            Event::Inband(key, answer) => self.news.push((at, News::Answer(key, answer))),
            Event::InbandTimeout(key, kind) => self.news.push((at, News::NoAnswer(key, kind))),
            Event::Requested(key, request) => {
                self.news.push((at, News::Requested(key, request.clone())));
                self.reply(key, request, at);
            }
            Event::Answered(key, answer) => self.news.push((at, News::Replied(key, answer))),
            Event::Unanswered(key, id) => self.news.push((at, News::NotReplied(key, id))),
            _ => {}
        }
    }

    /// Schedules the wake-up that the node asks for, unless an earlier one is under way.
    fn rearm(&mut self, at: Instant) {
        let Some(running) = &mut self.running else { return };
        let Some((due, _)) = running.node.poll_timeout() else { return };
        let due = self.clock.to_virtual(due).max(at);
        if running.wake_at.is_none_or(|known| due < known) {
            running.wake_at = Some(due);
            self.schedule(due, Task::Wake);
        }
    }

    /// Schedules a task of this host's own.
    pub(crate) fn schedule(&mut self, at: Instant, task: Task) {
        let slot = self.slot(at);
        self.agenda.push(slot, task);
    }

    fn slot(&mut self, at: Instant) -> Slot {
        self.numbered += 1;
        Slot { at, cause: Some(self.id.0), number: self.numbered }
    }

    // ---- checks ----

    fn check_bounds(&mut self, at: Instant) {
        let sizes = self.node().map(Node::sizes);
        if let Some(fault) = sizes.and_then(Fault::of_sizes) {
            self.blame(at, fault);
        }
    }

    fn blame(&mut self, at: Instant, fault: Fault) {
        // A rogue is not expected to behave, and one broken rule tends to be broken again at once.
        if !self.is_rogue() && self.violations.len() < 100 {
            self.violations.push(Violation { at, host: self.id, fault });
        }
    }
}
