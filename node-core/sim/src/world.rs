//! Hosts, the cables between them, and virtual time.
//!
//! A test or scenario changes the world (starts hosts, cuts cables, sets clocks, sends pings) and
//! lets time pass, in turns. Time passes in windows no longer than the shortest latency: within
//! one, nothing that a host does can reach another, so all hosts are worked off apart, on several
//! threads when many have something to do, and what they sent is handed over at its end. The order
//! of all that happens follows from the seed alone; [`World::trace`] is a number that changes with
//! any of it.
//!
//! Everything is counted from zero in [`Instant`]s; hosts have clocks of their own.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use planetary_proto::{
    Instant, LinkId, MessageError, Node, NodeKey, Transit, session::Suites, time::Duration,
    upper::InbandKind,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::{
    Memory, Mischief, News, PingId, Tally, Violation, Weather,
    host::{Host, HostId, Task},
    link::{Cargo, Line},
    schedule::{Schedule, Slot},
    sessions::Sessions,
};

const NEVER: Instant = Instant::from_micros(u64::MAX);
/// A closed link is dialled again after this long, for as long as it takes.
const REDIAL: Duration = Duration::from_secs(1);
/// So many hosts must have something to do before threads are worth it.
const THREADED_MIN: usize = 48;

/// Names a cable of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CableId(pub usize);

/// How a link is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Frames vanish; both ends have to notice.
    Silent,
    /// Both ends are told at once.
    Told,
}

/// How a host is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The program ends, and its system closes the links.
    Ended,
    /// The power is gone; nobody is told.
    PowerLoss,
}

/// Something that two hosts may have a link over.
struct Cable {
    /// Who dials.
    dialler: HostId,
    listener: HostId,
    line: Line,
    whole: bool,
    /// The link over it, as far as the dialler knows.
    link: Option<LinkId>,
    /// Links that were under way when the cable was cut. An end may still hold one open.
    severed: Vec<LinkId>,
    /// It will be dialled again.
    redialling: bool,
}

/// See the module.
pub struct World {
    seed: u64,
    now: Instant,
    rng: ChaCha20Rng,
    hosts: Vec<Host>,
    /// When each host next has something to do.
    due: Vec<Instant>,
    cables: Vec<Cable>,
    /// The cable of each link.
    links: BTreeMap<LinkId, CableId>,
    linked: u64,
    redials: Schedule<CableId>,
    numbered: u64,
    threads: usize,
    latency_min: Duration,
}

impl World {
    /// A world without hosts.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            seed,
            now: Instant::START,
            rng: ChaCha20Rng::seed_from_u64(seed),
            hosts: Vec::new(),
            due: Vec::new(),
            cables: Vec::new(),
            links: BTreeMap::new(),
            linked: 0,
            redials: Schedule::new(),
            numbered: 0,
            threads,
            latency_min: Duration::MAX,
        }
    }

    /// Uses this many threads instead of all that the machine has. The result is the same.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }

    // ---- building ----

    /// Adds an honest host and starts it.
    pub fn add_host(&mut self) -> HostId {
        self.add(None)
    }

    /// Adds a rogue and starts it.
    pub fn add_rogue(&mut self, mischief: Mischief) -> HostId {
        self.add(Some(mischief))
    }

    fn add(&mut self, mischief: Option<Mischief>) -> HostId {
        let id = HostId(self.hosts.len());
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        self.hosts.push(Host::new(id, seed, mischief));
        self.due.push(NEVER);
        self.start(id, Memory::Sequence);
        id
    }

    /// A stream of randomness of its own for whoever builds or changes the world.
    pub fn fork_rng(&mut self) -> ChaCha20Rng {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        ChaCha20Rng::from_seed(seed)
    }

    /// Lays a cable and dials over it.
    ///
    /// # Panics
    /// When `line` has no latency: things would happen at two places at once.
    pub fn connect(&mut self, dialler: HostId, listener: HostId, line: Line) -> CableId {
        assert!(!line.latency.is_zero(), "a line has latency");
        let id = CableId(self.cables.len());
        self.latency_min = self.latency_min.min(line.latency);
        self.cables.push(Cable {
            dialler,
            listener,
            line,
            whole: true,
            link: None,
            severed: Vec::new(),
            redialling: false,
        });
        self.dial(id);
        id
    }

    /// Opens a link over a cable, if that is possible; else tries again later.
    fn dial(&mut self, id: CableId) {
        let cable = &mut self.cables[id.0];
        if cable.link.is_some() {
            return;
        }
        let Cable { dialler, listener, line, .. } = *cable;
        if !cable.whole || !self.hosts[dialler.0].is_up() || !self.hosts[listener.0].is_up() {
            return self.redial(id, self.now + REDIAL);
        }
        let link = LinkId(self.linked);
        self.linked += 1;
        cable.link = Some(link);
        self.links.insert(link, id);
        // The connection takes the dialler a round trip and the listener half of one more; then a
        // greeting goes each way.
        for (host, peer, trips) in [(listener, dialler, 3), (dialler, listener, 4)] {
            let key = self.key(peer);
            self.give(host, self.now + line.latency * trips, Task::Up { link, peer, key, line });
        }
    }

    // ---- changes ----

    /// Cuts a cable.
    pub fn cut(&mut self, id: CableId, cut: Cut) {
        let cable = &mut self.cables[id.0];
        cable.whole = false;
        let Some(link) = cable.link else { return };
        cable.severed.push(link);
        let ends = [cable.dialler, cable.listener];
        if cut == Cut::Told {
            for host in ends {
                self.give(host, self.now, Task::Arrive { link, cargo: Cargo::Close });
            }
            self.run_until(self.now);
        }
        // What is still under way goes nowhere, a link that was about to open included.
        for host in ends {
            self.hosts[host.0].sever(link);
        }
    }

    /// Makes a cable whole again. A link that neither end has given up goes on where it was; else
    /// it is dialled anew.
    pub fn mend(&mut self, id: CableId) {
        let cable = &mut self.cables[id.0];
        if core::mem::replace(&mut cable.whole, true) {
            return;
        }
        let (ends, latency) = ([cable.dialler, cable.listener], cable.line.latency);
        for link in core::mem::take(&mut cable.severed) {
            let open = ends.map(|host| self.hosts[host.0].ends().contains_key(&link));
            for host in ends {
                for cargo in self.hosts[host.0].mend(link) {
                    self.give(host, self.now, Task::Arrive { link, cargo });
                }
                if open != [true, true] {
                    // The other end does not know the link, and its system says so.
                    let cargo = Cargo::Close;
                    self.give(host, self.now + latency, Task::Arrive { link, cargo });
                }
            }
        }
        self.dial(id);
    }

    /// Cuts, or mends, all cables between `part` and the rest.
    pub fn partition(&mut self, part: &[HostId], cut: Option<Cut>) {
        let inside = |host: HostId| part.contains(&host);
        let border: Vec<CableId> = (0..self.cables.len())
            .filter(|id| inside(self.cables[*id].dialler) != inside(self.cables[*id].listener))
            .map(CableId)
            .collect();
        for id in border {
            match cut {
                Some(cut) => self.cut(id, cut),
                None => self.mend(id),
            }
        }
    }

    /// Switches a host off.
    pub fn stop(&mut self, host: HostId, stop: Stop) {
        self.hosts[host.0].stop(stop == Stop::Ended, self.now);
        self.collect(host.0);
    }

    /// Switches a host on, if it is off; it dials at once.
    pub fn start(&mut self, host: HostId, memory: Memory) {
        if self.hosts[host.0].is_up() {
            return;
        }
        self.hosts[host.0].start(memory, self.now);
        self.refresh_due(host.0);
        let own: Vec<CableId> = (0..self.cables.len())
            .filter(|id| self.cables[*id].dialler == host)
            .map(CableId)
            .collect();
        for id in own {
            self.cables[id.0].link = None;
            self.dial(id);
        }
    }

    /// Changes what a host carries for others.
    pub fn set_transit(&mut self, host: HostId, transit: Transit) {
        self.hosts[host.0].set_transit(transit, self.now);
        self.collect(host.0);
    }

    /// Which ciphers of fast sessions are fast on a host, `None` for a node without fast sessions;
    /// from its next start on.
    pub fn set_fast(&mut self, host: HostId, fast: Option<Suites>) {
        self.hosts[host.0].fast = fast;
    }

    /// What becomes of payloads for a host from here on.
    pub fn set_weather(&mut self, host: HostId, weather: Weather) {
        self.hosts[host.0].weather = weather;
    }

    /// Sets the wall clock of a host forth, or back.
    pub fn step_clock(&mut self, host: HostId, seconds: i64) {
        self.hosts[host.0].step_clock(seconds);
    }

    /// Sends one echo request from `from` to the address of `to`.
    pub fn ping(&mut self, from: HostId, to: HostId) -> PingId {
        self.begin_ping(from, to, None)
    }

    /// Sends echo requests every `every`, until one is answered.
    pub fn ping_every(&mut self, from: HostId, to: HostId, every: Duration) -> PingId {
        self.begin_ping(from, to, Some(every))
    }

    fn begin_ping(&mut self, from: HostId, to: HostId, every: Option<Duration>) -> PingId {
        let key = self.key(to);
        let ping = self.hosts[from.0].ping(key, every, self.now);
        self.refresh_due(from.0);
        ping
    }

    /// Sends one packet from `from` to the address of `to` that nobody answers.
    pub fn say(&mut self, from: HostId, to: HostId) {
        let key = self.key(to);
        self.hosts[from.0].say(key, self.now);
        self.collect(from.0);
    }

    /// How long the answer to a ping took, if there was one.
    #[must_use]
    pub fn answer(&self, ping: PingId) -> Option<Duration> {
        self.hosts[ping.host.0].answer(ping.number)
    }

    /// Lets the node of `from` ask the node of `to` something; the answer is [`News`].
    pub fn ask(&mut self, from: HostId, to: HostId, kind: InbandKind) {
        let key = self.key(to);
        self.hosts[from.0].ask(key, kind, self.now);
        self.collect(from.0);
    }

    /// Lets the node of `from` send a request to the node of `to`, which answers with the same body
    /// backwards; what becomes of it is [`News`]. Returns its number.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn request(
        &mut self,
        from: HostId,
        to: HostId,
        kind: u8,
        body: &[u8],
    ) -> Result<u32, MessageError> {
        let key = self.key(to);
        let asked = self.hosts[from.0].request(key, kind, body, self.now);
        self.collect(from.0);
        asked
    }

    // ---- time ----

    /// The present.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Lets time pass up to `end`, included.
    pub fn run_until(&mut self, end: Instant) {
        let behind = end + Duration::from_micros(1);
        loop {
            let redial = self.redials.next_at().unwrap_or(NEVER);
            let start = self.due.iter().copied().min().unwrap_or(NEVER);
            if redial.min(start) >= behind {
                break;
            }
            if redial <= start {
                if let Some((at, id)) = self.redials.pop_before(behind) {
                    self.now = at;
                    self.cables[id.0].redialling = false;
                    self.dial(id);
                }
            } else {
                self.window((start + self.latency_min).min(behind).min(redial));
            }
        }
        self.now = end;
    }

    /// Works off all hosts up to, not including, `until`. Nothing that they do reaches another one
    /// before that.
    fn window(&mut self, until: Instant) {
        let active: Vec<usize> =
            (0..self.due.len()).filter(|host| self.due[*host] < until).collect();
        if self.threads > 1 && active.len() >= THREADED_MIN {
            let share = self.hosts.len().div_ceil(self.threads);
            std::thread::scope(|scope| {
                for (hosts, due) in self.hosts.chunks_mut(share).zip(self.due.chunks(share)) {
                    scope.spawn(move || {
                        for (host, due) in hosts.iter_mut().zip(due) {
                            if *due < until {
                                host.run(until);
                            }
                        }
                    });
                }
            });
        } else {
            for host in &active {
                self.hosts[*host].run(until);
            }
        }
        for host in active {
            self.collect(host);
        }
    }

    /// Hands over what a host has for others, and hears which of its links are closed.
    fn collect(&mut self, host: usize) {
        for parcel in core::mem::take(&mut self.hosts[host].parcels) {
            let to = parcel.to.0;
            self.due[to] = self.due[to].min(parcel.slot.at);
            self.hosts[to].receive(parcel.slot, parcel.task);
        }
        for (at, link) in core::mem::take(&mut self.hosts[host].closed) {
            let Some(id) = self.links.get(&link).copied() else { continue };
            let cable = &mut self.cables[id.0];
            if cable.dialler.0 == host && cable.link == Some(link) {
                cable.link = None;
                self.redial(id, at + REDIAL);
            }
        }
        self.refresh_due(host);
    }

    fn redial(&mut self, id: CableId, at: Instant) {
        if !core::mem::replace(&mut self.cables[id.0].redialling, true) {
            let slot = self.slot(at);
            self.redials.push(slot, id);
        }
    }

    /// Gives a host something to do.
    fn give(&mut self, host: HostId, at: Instant, task: Task) {
        let slot = self.slot(at);
        self.hosts[host.0].receive(slot, task);
        self.refresh_due(host.0);
    }

    fn refresh_due(&mut self, host: usize) {
        self.due[host] = self.hosts[host].next_at().unwrap_or(NEVER);
    }

    const fn slot(&mut self, at: Instant) -> Slot {
        self.numbered += 1;
        Slot { at, cause: None, number: self.numbered }
    }

    /// Lets time pass until `done` holds, looking every `step`, for at most `limit`. Returns when
    /// it first held.
    pub fn run_until_true(
        &mut self,
        step: Duration,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Option<Instant> {
        let end = self.now + limit;
        loop {
            if done(self) {
                return Some(self.now);
            }
            if self.now >= end {
                return None;
            }
            self.run_for(step);
        }
    }

    // ---- what there is to see ----

    /// The seed that all follows from.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// How many hosts there are, those that are switched off included.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.hosts.len()
    }

    /// All hosts.
    pub fn host_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.hosts.len()).map(HostId)
    }

    /// All cables.
    pub fn cable_ids(&self) -> impl Iterator<Item = CableId> + use<> {
        (0..self.cables.len()).map(CableId)
    }

    /// The two ends of a cable, the one that dials first.
    #[must_use]
    pub fn cable_ends(&self, id: CableId) -> (HostId, HostId) {
        let cable = &self.cables[id.0];
        (cable.dialler, cable.listener)
    }

    /// Whether a cable is not cut.
    #[must_use]
    pub fn is_whole(&self, id: CableId) -> bool {
        self.cables[id.0].whole
    }

    /// The ends of all cables that should carry a link for good: whole, and switched on and
    /// well-behaved at both ends.
    pub fn whole_cables(&self) -> impl Iterator<Item = (HostId, HostId)> {
        let counts = |host: HostId| self.hosts[host.0].is_up() && self.hosts[host.0].keeps_links();
        self.cables
            .iter()
            .filter(move |cable| cable.whole && counts(cable.dialler) && counts(cable.listener))
            .map(|cable| (cable.dialler, cable.listener))
    }

    pub(crate) fn host(&self, host: HostId) -> &Host {
        &self.hosts[host.0]
    }

    /// A host's key.
    #[must_use]
    pub fn key(&self, host: HostId) -> NodeKey {
        self.hosts[host.0].key()
    }

    /// Whether a host is switched on.
    #[must_use]
    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts[host.0].is_up()
    }

    /// Whether a host is a rogue.
    #[must_use]
    pub fn is_rogue(&self, host: HostId) -> bool {
        self.hosts[host.0].is_rogue()
    }

    /// The node of a host that is switched on.
    #[must_use]
    pub fn node(&self, host: HostId) -> Option<&Node<Sessions>> {
        self.hosts[host.0].node()
    }

    /// What the node of a host has told, oldest first.
    #[must_use]
    pub fn news(&self, host: HostId) -> &[(Instant, News)] {
        &self.hosts[host.0].news
    }

    /// What a host has done so far.
    #[must_use]
    pub fn tally(&self, host: HostId) -> Tally {
        self.hosts[host.0].tally
    }

    /// What all hosts together have done so far.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.hosts.iter().fold(Tally::default(), |mut total, host| {
            total += host.tally;
            total
        })
    }

    /// Rules that were broken so far.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.hosts.iter().flat_map(|host| &host.violations)
    }

    /// A number that differs whenever anything in the run did.
    #[must_use]
    pub fn trace(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for host in &self.hosts {
            host.trace().hash(&mut hasher);
        }
        hasher.finish()
    }
}
