//! The set of configured peers and listeners, kept going.
//!
//! Each peer has a task of its own that dials, hands the link to the [`LinkSink`], waits when the
//! link or the attempt has failed, and dials again, for ever:
//!
//! ```text
//!            +---------- wait over, or kick -----------+
//!            v                                         |
//!        Dialling -- failed ----------------------> Waiting
//!         |  |  ^                                      ^
//!         |  |  +- link lost after 30 s: at once -+    |
//!         |  +------ handshake done -----------> Up ---+ link lost sooner
//!         +-- connected to self --> Halted -- kick --> Dialling
//! ```
//!
//! A kick (a change of network, a wake from sleep, a person's wish) ends a wait, starts a running
//! attempt anew and forgets earlier failures; it does not touch a link that is up. Removing a peer
//! or shutting the set down drops the sink's future, which closes the link, and returns when that
//! is done.
//!
//! While no peer of the set is up, the waits stay short for a while ([`Company`]): a node with one
//! peer finds it again within seconds of its restart.
//!
//! Source: protocol chapter 2.8. Unlike the reference, waits are spread a little, and a link that
//! is lost again and again right after its handshake backs off as a failing one does.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    future,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tracing::{debug, info};

use super::{
    LinkEnd, LinkError, LinkSink, LocalEnd,
    admission::Admission,
    dial,
    handshake::HandshakeError,
    listen::{ListenError, Listener},
    probe::Reach,
    uri::{ListenUri, PeerUri},
};
use crate::lan::{Ends, Lan, LanInterface, LanSettings};

/// Most configured peers. Each is a task and, when up, a link with threads of its own; a node needs
/// a handful.
pub const PEERS_MAX: usize = 256;

/// Most listeners.
pub const LISTENERS_MAX: usize = 32;

/// A link that has lasted this long was a good one: when it is lost, the first retry comes at once.
///
/// Long enough that a peer which accepts links only to close them is not dialled in a loop, short
/// enough that a roaming laptop counts as steady between two networks.
pub const STEADY_AFTER: Duration = Duration::from_secs(30);

/// The wait after the first failure; it doubles with every further one. So short because the usual
/// reason is a peer that is started at the same moment, or a network that is just coming up.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How long no wait is longer than [`LONELY_WAIT`] while no peer is up: a program or a small
/// machine has restarted in this time.
const LONELY: Duration = Duration::from_secs(30);

/// One attempt a second costs a peer that is down a packet, and finds one that is back soon enough.
const LONELY_WAIT: Duration = Duration::from_secs(1);

/// How long no wait is longer than [`FORLORN_WAIT`] while no peer is up: routers and lines that
/// fail are back in this time, and nobody tells a machine behind them.
const FORLORN: Duration = Duration::from_secs(10 * 60);

/// See [`FORLORN`].
const FORLORN_WAIT: Duration = Duration::from_secs(3);

/// More failures do not count: by then the wait is beyond any sensible ceiling.
const FAILURES_MAX: u32 = 32;

/// What names a configured link: two URIs that differ only in options are the same link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    /// The URI without options.
    pub uri: String,
    /// The source interface.
    pub interface: Option<String>,
}

/// What a peer is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Which peer.
    pub id: PeerId,
    /// Where it stands.
    pub phase: PeerPhase,
    /// How often it was dialled since it was added.
    pub attempts: u64,
    /// Why the last attempt failed or the last link ended. Kept while the link is up again.
    pub last_error: Option<LastError>,
}

/// Where a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerPhase {
    /// An attempt is running.
    Dialling,
    /// The link is up.
    Up,
    /// The last attempt or link has failed.
    Waiting {
        /// How long until the next attempt.
        next_attempt_in: Duration,
    },
    /// The peer turned out to be this node itself; it is dialled again only when kicked.
    Halted,
}

/// Why something failed, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// A stable name for the reason.
    pub code: &'static str,
    /// The reason in words, without secrets.
    pub message: Cow<'static, str>,
    /// When it happened.
    pub at: SystemTime,
}

/// A listener that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// The URI without options.
    pub uri: String,
    /// The address that is listened on, with the port that was chosen for port 0; `None` for a
    /// socket file.
    pub address: Option<SocketAddr>,
}

/// Why the set was not changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PeersError {
    /// There is a peer or listener with the same URI, options aside, and interface.
    #[error("{0} is already configured")]
    AlreadyConfigured(String),
    /// There is no such peer or listener.
    #[error("{0} is not configured")]
    NotConfigured(String),
    /// The set is full.
    #[error("there are already {0} of them, which is the most")]
    TooMany(usize),
    /// The listener could not be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// The configured peers and listeners of a node. Everything is closed when it is dropped.
#[derive(Debug)]
pub struct Peers<S> {
    local: LocalEnd,
    sink: Arc<S>,
    runtime: Handle,
    admission: Admission,
    company: Company,
    peers: Mutex<BTreeMap<PeerId, Peer>>,
    listeners: Mutex<BTreeMap<String, Listening>>,
    lan: Mutex<Option<Lan>>,
}

/// A configured peer, seen from outside its task.
#[derive(Debug)]
struct Peer {
    uri: PeerUri,
    state: Arc<Mutex<State>>,
    kick: watch::Sender<()>,
    task: Task,
}

/// An open listener.
#[derive(Debug)]
struct Listening {
    uri: ListenUri,
    address: Option<SocketAddr>,
    /// Dropping it stops the listener.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// A task that ends with its handle.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Task {
    /// Ends the task and waits until everything in it is dropped.
    async fn end(mut self) {
        self.0.abort();
        // Being cancelled is what was asked for.
        let _ = (&mut self.0).await;
    }
}

impl PeerId {
    /// The identity of a link to `uri` from `interface`.
    #[must_use]
    pub fn new(uri: &PeerUri, interface: Option<&str>) -> Self {
        Self { uri: uri.to_string(), interface: interface.map(str::to_owned) }
    }
}

impl<S: LinkSink> Peers<S> {
    /// An empty set whose tasks run on `runtime` and whose links go to `sink`.
    #[must_use]
    pub fn new(local: LocalEnd, sink: Arc<S>, runtime: Handle) -> Self {
        Self {
            local,
            sink,
            runtime,
            admission: Admission::default(),
            company: Company::new(),
            peers: Mutex::default(),
            listeners: Mutex::default(),
            lan: Mutex::default(),
        }
    }

    /// Adds a peer and starts to dial it, from `interface` if one is named.
    ///
    /// # Errors
    /// [`PeersError::AlreadyConfigured`], [`PeersError::TooMany`].
    pub fn add(&self, uri: PeerUri, interface: Option<String>) -> Result<PeerId, PeersError> {
        self.add_within(uri, interface, Reach::Any)
    }

    /// As [`Peers::add`], dialling only addresses within `reach`, whatever its name leads to later.
    ///
    /// # Errors
    /// As for [`Peers::add`].
    pub fn add_within(
        &self,
        uri: PeerUri,
        interface: Option<String>,
        reach: Reach,
    ) -> Result<PeerId, PeersError> {
        let id = PeerId::new(&uri, interface.as_deref());
        let mut peers = lock(&self.peers);
        if peers.contains_key(&id) {
            return Err(PeersError::AlreadyConfigured(id.uri));
        }
        if peers.len() >= PEERS_MAX {
            return Err(PeersError::TooMany(PEERS_MAX));
        }
        let state = Arc::new(Mutex::new(State::default()));
        let (kick, kicked) = watch::channel(());
        let keeper = Keeper {
            local: self.local.clone(),
            sink: Arc::clone(&self.sink),
            uri: uri.clone(),
            interface,
            reach,
            company: self.company.clone(),
            state: Arc::clone(&state),
            kicked,
        };
        let task = Task(self.runtime.spawn(keeper.keep()));
        peers.insert(id.clone(), Peer { uri, state, kick, task });
        Ok(id)
    }

    /// Removes a peer and closes its link; returns when it is closed.
    ///
    /// # Errors
    /// [`PeersError::NotConfigured`].
    pub async fn remove(&self, id: &PeerId) -> Result<(), PeersError> {
        let removed = lock(&self.peers).remove(id);
        let peer = removed.ok_or_else(|| PeersError::NotConfigured(id.uri.clone()))?;
        peer.task.end().await;
        Ok(())
    }

    /// The URI with which a peer was added, options included.
    #[must_use]
    pub fn uri(&self, id: &PeerId) -> Option<PeerUri> {
        lock(&self.peers).get(id).map(|peer| peer.uri.clone())
    }

    /// What every peer is doing, in the order of their URIs.
    #[must_use]
    pub fn list(&self) -> Vec<PeerStatus> {
        let peers = lock(&self.peers);
        peers.iter().map(|(id, peer)| lock(&peer.state).status(id.clone())).collect()
    }

    /// Dials a peer at once if it is waiting or halted, and anew if it is being dialled.
    ///
    /// # Errors
    /// [`PeersError::NotConfigured`].
    pub fn kick(&self, id: &PeerId) -> Result<(), PeersError> {
        let peers = lock(&self.peers);
        let peer = peers.get(id).ok_or_else(|| PeersError::NotConfigured(id.uri.clone()))?;
        peer.kick.send_replace(());
        Ok(())
    }

    /// Kicks every peer: the network has changed, or the machine has woken up.
    pub fn kick_all(&self) {
        if let Some(lan) = &*lock(&self.lan) {
            lan.look();
        }
        self.company.hope();
        for peer in lock(&self.peers).values() {
            peer.kick.send_replace(());
        }
    }

    /// Opens a listener. Returns the address that is listened on, as in [`ListenerStatus`].
    ///
    /// # Errors
    /// [`PeersError::AlreadyConfigured`], [`PeersError::TooMany`], [`PeersError::Listen`].
    pub async fn listen(&self, uri: ListenUri) -> Result<Option<SocketAddr>, PeersError> {
        let name = uri.to_string();
        check_listener(&lock(&self.listeners), &name)?;
        let listener = Listener::bind(uri.clone()).await?;
        let address = listener.address();
        let mut listeners = lock(&self.listeners);
        // Somebody may have been faster while we were binding.
        check_listener(&listeners, &name)?;
        let (stop, stopped) = oneshot::channel();
        let (local, sink) = (self.local.clone(), Arc::clone(&self.sink));
        let task = self.runtime.spawn(listener.serve(local, self.admission.clone(), sink, stopped));
        match address {
            Some(address) => info!(uri = name, %address, "listening"),
            None => info!(uri = name, "listening"),
        }
        listeners.insert(name, Listening { uri, address, stop, task });
        Ok(address)
    }

    /// Closes a listener and the links that came in through it; returns when they are closed.
    ///
    /// # Errors
    /// [`PeersError::NotConfigured`].
    pub async fn stop_listening(&self, uri: &ListenUri) -> Result<(), PeersError> {
        let name = uri.to_string();
        let removed = lock(&self.listeners).remove(&name);
        removed.ok_or(PeersError::NotConfigured(name))?.stop().await;
        Ok(())
    }

    /// The URIs of the open listeners, options included.
    #[must_use]
    pub fn listener_uris(&self) -> Vec<ListenUri> {
        lock(&self.listeners).values().map(|listening| listening.uri.clone()).collect()
    }

    /// The open listeners, in the order of their URIs.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        let listeners = lock(&self.listeners);
        let status = |(uri, listening): (&String, &Listening)| ListenerStatus {
            uri: uri.clone(),
            address: listening.address,
        };
        listeners.iter().map(status).collect()
    }

    /// Looks for nodes on the local networks like this, or not at all. What must be closed for that
    /// is closed when this returns.
    pub async fn search_lan(&self, wanted: Option<LanSettings>) {
        let adopted = {
            let lan = lock(&self.lan);
            lan.as_ref().zip(wanted.as_ref()).and_then(|(lan, wanted)| lan.adopt(wanted))
        };
        if let Some(adopted) = adopted {
            return adopted.await;
        }
        let former = lock(&self.lan).take();
        if let Some(former) = former {
            former.stop().await;
        }
        if let Some(wanted) = wanted {
            let ends = Ends { local: self.local.clone(), sink: Arc::clone(&self.sink) };
            *lock(&self.lan) = Some(Lan::start(ends, wanted, &self.runtime));
        }
    }

    /// The interfaces on which nodes are or could be looked for; none while nobody looks.
    #[must_use]
    pub fn lan_interfaces(&self) -> Vec<LanInterface> {
        lock(&self.lan).as_ref().map(Lan::interfaces).unwrap_or_default()
    }

    /// Closes all listeners and links and forgets all peers; returns when everything is closed.
    pub async fn shutdown(&self) {
        let lan = lock(&self.lan).take();
        let listeners = std::mem::take(&mut *lock(&self.listeners));
        let peers = std::mem::take(&mut *lock(&self.peers));
        // First tell all of them, then wait for each.
        for peer in peers.values() {
            peer.task.0.abort();
        }
        if let Some(lan) = lan {
            lan.stop().await;
        }
        for listening in listeners.into_values() {
            listening.stop().await;
        }
        for peer in peers.into_values() {
            peer.task.end().await;
        }
    }
}

/// Whether there is room for a listener of that name.
fn check_listener(listeners: &BTreeMap<String, Listening>, name: &str) -> Result<(), PeersError> {
    if listeners.contains_key(name) {
        return Err(PeersError::AlreadyConfigured(name.to_owned()));
    }
    if listeners.len() >= LISTENERS_MAX {
        return Err(PeersError::TooMany(LISTENERS_MAX));
    }
    Ok(())
}

impl Listening {
    async fn stop(self) {
        drop(self.stop);
        // The task does not panic, and nobody else cancels it.
        let _ = self.task.await;
    }
}

/// What a peer's task tells about itself.
#[derive(Debug)]
struct State {
    phase: Phase,
    attempts: u64,
    last_error: Option<LastError>,
}

/// [`PeerPhase`] with the moment in place of the time left.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Dialling,
    Up,
    Waiting { until: Instant },
    Halted,
}

impl Default for State {
    fn default() -> Self {
        Self { phase: Phase::Dialling, attempts: 0, last_error: None }
    }
}

impl State {
    fn status(&self, id: PeerId) -> PeerStatus {
        let phase = match self.phase {
            Phase::Dialling => PeerPhase::Dialling,
            Phase::Up => PeerPhase::Up,
            Phase::Waiting { until } => PeerPhase::Waiting {
                next_attempt_in: until.saturating_duration_since(Instant::now()),
            },
            Phase::Halted => PeerPhase::Halted,
        };
        let last_error = self.last_error.clone();
        PeerStatus { id, phase, attempts: self.attempts, last_error }
    }
}

/// The task of one peer.
struct Keeper<S> {
    local: LocalEnd,
    sink: Arc<S>,
    uri: PeerUri,
    interface: Option<String>,
    reach: Reach,
    company: Company,
    state: Arc<Mutex<State>>,
    kicked: watch::Receiver<()>,
}

/// How one round of dialling and serving went.
enum Round {
    /// There was a link, for this long.
    Lost(Duration),
    /// There was none.
    Failed,
    /// The peer is this node.
    OwnNode,
    /// Interrupted by a kick.
    Kicked,
}

impl<S: LinkSink> Keeper<S> {
    async fn keep(mut self) {
        let mut backoff = Backoff::new(self.uri.backoff_ceiling());
        loop {
            let wait = match self.round().await {
                Round::Lost(lasted) => backoff.after_link(lasted),
                Round::Failed => backoff.after_failure(),
                Round::Kicked => backoff.reset(),
                Round::OwnNode => {
                    self.enter(Phase::Halted);
                    kick(&mut self.kicked).await;
                    backoff.reset()
                }
            };
            if wait.is_zero() {
                continue;
            }
            let until = Instant::now() + spread(wait.min(self.company.patience()), random());
            self.enter(Phase::Waiting { until });
            tokio::select! {
                () = sleep_until(until) => {}
                () = kick(&mut self.kicked) => {
                    backoff.reset();
                }
            }
        }
    }

    /// Dials once; if there is a link, serves it to its end.
    async fn round(&mut self) -> Round {
        self.enter(Phase::Dialling);
        let interface = self.interface.as_deref();
        let opened = tokio::select! {
            opened = dial::open_within(&self.local, &self.uri, interface, self.reach) => opened,
            () = kick(&mut self.kicked) => return Round::Kicked,
        };
        let link = match opened {
            Ok(link) => link,
            Err(error) => {
                let end = LinkEnd::from(&error);
                let before = lock(&self.state).last_error.as_ref().map(|error| error.code);
                if before == Some(end.code) {
                    debug!(peer = %self.uri, reason = %end.message, "cannot link to a peer");
                } else {
                    // Once for each reason. The whole of it may name the key of a stranger.
                    info!(peer = %self.uri, code = end.code, "cannot link to a peer");
                }
                self.note(end);
                return match error {
                    LinkError::Handshake(HandshakeError::SelfConnection) => Round::OwnNode,
                    _ => Round::Failed,
                };
            }
        };
        info!(peer = %self.uri, "link up");
        self.enter(Phase::Up);
        let since = Instant::now();
        let presence = self.company.join();
        let end = self.sink.run(link).await;
        drop(presence);
        info!(peer = %self.uri, reason = %end.message, "link down");
        self.note(end);
        // Kicks while the link was up are settled by it.
        self.kicked.mark_unchanged();
        Round::Lost(since.elapsed())
    }

    fn enter(&self, phase: Phase) {
        let mut state = lock(&self.state);
        if matches!(phase, Phase::Dialling) {
            state.attempts += 1;
        }
        state.phase = phase;
    }

    fn note(&self, end: LinkEnd) {
        let LinkEnd { code, message } = end;
        lock(&self.state).last_error = Some(LastError { code, message, at: SystemTime::now() });
    }
}

/// Waits for a kick.
async fn kick(kicked: &mut watch::Receiver<()>) {
    if kicked.changed().await.is_err() {
        // The peer is being removed, and this task is about to be ended.
        future::pending::<()>().await;
    }
}

/// Whether a peer of the set is up, and since when none is.
#[derive(Clone, Debug)]
struct Company(Arc<Mutex<Presences>>);

#[derive(Debug)]
struct Presences {
    up: usize,
    alone_since: Instant,
}

/// A peer that is up, until it is dropped.
struct Presence {
    company: Company,
    since: Instant,
}

impl Company {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Presences { up: 0, alone_since: Instant::now() })))
    }

    /// Something has changed that may bring a peer back.
    fn hope(&self) {
        lock(&self.0).alone_since = Instant::now();
    }

    fn join(&self) -> Presence {
        lock(&self.0).up += 1;
        Presence { company: self.clone(), since: Instant::now() }
    }

    /// The longest wait before any peer is dialled again.
    fn patience(&self) -> Duration {
        let presences = lock(&self.0);
        match presences.alone_since.elapsed() {
            _ if presences.up > 0 => Duration::MAX,
            alone if alone < LONELY => LONELY_WAIT,
            alone if alone < FORLORN => FORLORN_WAIT,
            _ => Duration::MAX,
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut presences = lock(&self.company.0);
        presences.up -= 1;
        // A peer that accepts links only to close them must not be dialled every second for ever.
        if self.since.elapsed() >= STEADY_AFTER {
            presences.alone_since = Instant::now();
        }
    }
}

/// How long to wait before the next attempt.
#[derive(Debug)]
struct Backoff {
    ceiling: Duration,
    /// Failed attempts, or short links, in a row.
    failures: u32,
    /// Links in a row that were lost before they were steady.
    short_links: u32,
}

impl Backoff {
    const fn new(ceiling: Duration) -> Self {
        Self { ceiling, failures: 0, short_links: 0 }
    }

    /// Forgets everything; there is no wait.
    const fn reset(&mut self) -> Duration {
        *self = Self::new(self.ceiling);
        Duration::ZERO
    }

    fn after_failure(&mut self) -> Duration {
        self.failures = FAILURES_MAX.min(self.failures + 1);
        FIRST_WAIT.saturating_mul(1 << (self.failures - 1)).min(self.ceiling)
    }

    /// A completed handshake forgives failed attempts; only a steady link forgives short ones.
    fn after_link(&mut self, lasted: Duration) -> Duration {
        if lasted >= STEADY_AFTER {
            return self.reset();
        }
        self.failures = self.short_links;
        self.short_links = FAILURES_MAX.min(self.short_links + 1);
        self.after_failure()
    }
}

/// Shortens a wait by up to a quarter, so that peers which lost each other at one moment do not all
/// come back at one moment.
fn spread(wait: Duration, random: u16) -> Duration {
    wait - wait / 4 * u32::from(random) / (u32::from(u16::MAX) + 1)
}

/// A random number that nothing depends on but the spreading of load.
fn random() -> u16 {
    let mut bytes = [0; 2];
    // Without the system's random numbers there is no spread, which does no harm.
    let _ = getrandom::fill(&mut bytes);
    u16::from_ne_bytes(bytes)
}

/// Locks what is consistent after every statement, so that a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
