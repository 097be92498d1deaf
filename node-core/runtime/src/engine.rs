//! A running node: the control thread, the data threads, the configured peers and the TUN, behind
//! one handle.
//!
//! The engine knows nothing of files, settings or the control socket; the service starts it, asks
//! it and stops it.

mod network;
mod report;

use std::{
    collections::BTreeSet,
    future::Future,
    hash::{BuildHasher, RandomState},
    io,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use planetary_circles::{Reached, Rules, Settled, names::Zone};
use planetary_proto::{
    ExtensionMessage, Identity, LinkId, MessageError, Node, NodeConfig, NodeKey, Transit,
    session::Groups,
    upper::{
        InbandAnswer, InbandKind,
        ipv6::{Target, Territory},
    },
};
pub use report::{
    Counters, LinkSnapshot, PathReport, PathSnapshot, SessionSnapshot, Snapshot, Topology,
    TreeSnapshot,
};
use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, oneshot, watch},
    task::AbortHandle,
};

use crate::{
    clock::Clock,
    control::{Control, Input, Mailbox, News, NewsSender, Wanted},
    data::{
        DataPlane, Routes, Source, buffers::Packet, egress::Egress, inside::Inside, reader,
        send_packet, sessions::Sessions, stream,
    },
    gateway::{Gateway, Host, stack::Stack},
    links::{Direction, Established, LinkEnd, LinkSink, LocalEnd, peers::Peers},
    processor,
    tun::{Tun, TunError, TunFeatures, TunSettings},
};

/// How long an engine may take to stop.
const STOP_MAX: Duration = Duration::from_secs(2);

/// What an engine is made from.
pub struct EngineConfig {
    /// This end of every link, with the same identity as `identity`.
    pub local: LocalEnd,
    /// The own keys.
    pub identity: Arc<Identity>,
    /// Secrets of closed groups.
    pub groups: Groups,
    /// What the node carries for others.
    pub transit: Transit,
    /// Answer to node info requests: JSON text of at most 16,384 bytes.
    pub node_info: Vec<u8>,
    /// Agree on fast sessions with other nodes of this program.
    pub fast_sessions: bool,
    /// Higher than every sequence number that the identity ever sent.
    pub first_seq: u64,
    /// The interface; `None` runs in user space: programs of this machine reach the network through
    /// the gateway alone.
    pub tun: Option<TunSettings>,
    /// Who may reach this machine, from the first packet on.
    pub rules: Arc<Rules>,
    /// Where messages of other nodes and visits are told. What finds the channel full is lost:
    /// other nodes ask again. A channel whose far end is gone is left alone.
    pub news: mpsc::Sender<News>,
    /// Seed of all randomness of the control half. From the system's generator, except in tests.
    pub seed: [u8; 32],
}

/// Why an engine did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The interface could not be opened.
    #[error(transparent)]
    Tun(#[from] TunError),
    /// The system refused a thread.
    #[error("the system refused a thread")]
    Thread(#[source] io::Error),
}

/// Why a question to the network got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nothing came back in time.
    #[error("no answer in time")]
    Timeout,
    /// Too many questions are open.
    #[error("too many questions are open, try again in a few seconds")]
    Busy,
    /// The engine has stopped.
    #[error("the node is down")]
    Stopped,
    /// A message that cannot be sent.
    #[error(transparent)]
    Message(MessageError),
    /// The address does not belong to the network.
    #[error("{0} is not an address of the network, those begin with 02 or 03")]
    ForeignAddress(Ipv6Addr),
}

impl AskError {
    const fn of_message(error: MessageError) -> Self {
        match error {
            MessageError::Busy => Self::Busy,
            error => Self::Message(error),
        }
    }
}

/// A running node. Cheap to clone; the node runs until [`Engine::shutdown`].
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    data: Arc<DataPlane>,
    mailbox: Mailbox,
    peers: Peers<Acceptor>,
    gateway: Gateway,
    acceptor: Arc<Acceptor>,
    changes: watch::Receiver<u64>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    watch: OnceLock<AbortHandle>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.get() {
            watch.abort();
        }
    }
}

/// Takes established links into service.
struct Acceptor {
    data: Arc<DataPlane>,
    next_link: AtomicU64,
    details: Mutex<std::collections::BTreeMap<LinkId, LinkDetails>>,
}

/// What a link is called, kept beside the control thread because it never changes.
#[derive(Clone, Debug)]
struct LinkDetails {
    uri: String,
    direction: Direction,
    remote: Option<std::net::SocketAddr>,
    found_on: Option<String>,
    /// The address of this machine that it runs from.
    local: Option<IpAddr>,
}

impl Inner {
    /// Closes the links that run from any of these addresses, which this machine has no longer:
    /// nothing comes to them any more.
    fn close_stranded(&self, lost: &BTreeSet<IpAddr>) {
        let is_lost = |link: &LinkDetails| link.local.is_some_and(|local| lost.contains(&local));
        for (link, details) in self.acceptor.details.lock().iter() {
            if is_lost(details) {
                let message = "this computer lost the address that the link ran from".into();
                let end = LinkEnd { code: "connection_lost", message };
                self.mailbox.offer(Input::LinkEnded { link: *link, end });
            }
        }
    }
}

impl Engine {
    /// Starts a node without peers; add them through [`Engine::peers`]. Tasks of links run on
    /// `runtime`.
    ///
    /// # Errors
    /// [`StartError`]. Nothing is left running.
    pub fn start(config: EngineConfig, runtime: Handle) -> Result<Self, StartError> {
        let own = config.identity.key();
        let inside = match &config.tun {
            Some(settings) => Inside::Tun(Tun::open(settings, TunFeatures::of_this_machine())?),
            // The system's random keys, for ports and sequence numbers that nobody can foresee.
            None => {
                let seed = RandomState::new().hash_one(own);
                Inside::Stack(Stack::new(own.address().to_ipv6(), seed))
            }
        };
        let queues = inside.queues();
        let (mailbox, inbox) = Mailbox::new();
        let clock = Clock::start();
        let territory = Territory::of(&own);
        let sessions = Sessions::new(territory, config.rules);
        let data = Arc::new(DataPlane {
            own,
            territory,
            clock,
            routes: ArcSwap::from_pointee(Routes::empty(own)),
            sessions: sessions.clone(),
            inside: ArcSwapOption::from_pointee(inside),
            names: ArcSwapOption::empty(),
            mailbox: mailbox.clone(),
            counters: Default::default(),
        });
        let node = Node::new(
            NodeConfig {
                identity: Identity::clone(&config.identity),
                groups: config.groups,
                transit: config.transit,
                node_info: config.node_info,
                fast: config.fast_sessions.then(processor::fast_suites),
                first_seq: config.first_seq,
            },
            sessions,
            config.seed,
            clock.now(),
        );
        let (changed, changes) = watch::channel(0);
        let woke = Arc::new(Notify::new());
        let news = NewsSender::new(config.news, Arc::clone(&data));
        let control = Control::new(node, Arc::clone(&data), changed, news, Arc::clone(&woke));
        let mut threads = vec![spawn("control", move || control.run(&inbox))?];
        for queue in 0..queues {
            let source = Arc::clone(&data);
            match spawn("tun", move || Source::run(&source, queue)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    mailbox.post(Input::Stop);
                    if let Some(inside) = &*data.inside.load() {
                        inside.close();
                    }
                    return Err(error);
                }
            }
        }
        let acceptor = Arc::new(Acceptor {
            data: Arc::clone(&data),
            next_link: AtomicU64::new(1),
            details: Mutex::default(),
        });
        let peers = Peers::new(config.local, Arc::clone(&acceptor), runtime.clone());
        let gateway = Gateway::new(Host::new(Arc::clone(&data)), runtime.clone());
        let threads = Mutex::new(threads);
        let watch = OnceLock::new();
        let inner =
            Arc::new(Inner { data, mailbox, peers, gateway, acceptor, changes, threads, watch });
        let task = runtime.spawn(network::watch(Arc::downgrade(&inner), woke));
        inner.watch.get_or_init(|| task.abort_handle());
        Ok(Self(inner))
    }

    /// Closes doors, listeners, links and TUN and ends all threads; returns the highest sequence
    /// number sent, which must be stored.
    pub async fn shutdown(&self) -> Option<u64> {
        let highest = self.highest_seq().await.ok();
        self.0.gateway.open(Vec::new()).await;
        self.0.peers.shutdown().await;
        self.0.mailbox.post(Input::Stop);
        if let Some(inside) = &*self.0.data.inside.load() {
            inside.close();
        }
        let threads = std::mem::take(&mut *self.0.threads.lock());
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A thread that panicked has said so already.
                let _ = thread.join();
            }
        });
        if tokio::time::timeout(STOP_MAX, joined).await.is_err() {
            tracing::warn!("a thread of the node did not stop in time");
        }
        // Threads of links may take a moment longer, and callers may keep the handle; the interface
        // is free for the next engine now.
        self.0.data.inside.store(None);
        highest
    }

    /// The configured peers and listeners.
    #[must_use]
    pub fn peers(&self) -> &Peers<impl LinkSink> {
        &self.0.peers
    }

    /// How programs of this machine reach the network beside the interface, or without one.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.0.gateway
    }

    /// The network of this machine has changed: links are probed, and peers that are down are
    /// dialled at once. The engine notices by itself, and tells its owner so.
    ///
    /// # Errors
    /// [`AskError::Stopped`].
    pub async fn network_changed(&self) -> Result<(), AskError> {
        self.0.peers.kick_all();
        self.ask_control(Control::probe_links).await
    }

    /// Whether sessions and paths to destinations used of late are kept over silence, which is so
    /// from the beginning. It costs up to 50 kB an hour for each of at most 32 of them.
    ///
    /// # Errors
    /// [`AskError::Stopped`].
    pub async fn keep_warm(&self, is_on: bool) -> Result<(), AskError> {
        self.ask_control(move |control| control.node.keep_warm(is_on)).await
    }

    /// Replaces the rules of who may reach this machine. They hold for every packet from the return
    /// on; sessions that they do not allow end.
    ///
    /// # Errors
    /// [`AskError`] when the control thread is too busy to end sessions at once. The rules hold all
    /// the same.
    pub async fn set_rules(&self, rules: Arc<Rules>) -> Result<(), AskError> {
        self.0.data.sessions.set_rules(rules);
        self.ask_control(|control| {
            let now = control.now();
            control.node.review_sessions(now);
        })
        .await
    }

    /// Replaces the secrets of closed groups. Sessions with keys for which another one counts now
    /// end.
    ///
    /// # Errors
    /// [`AskError`]; the former ones count then.
    pub async fn set_groups(&self, groups: Groups) -> Result<(), AskError> {
        self.ask_control(|control| {
            let now = control.now();
            control.node.set_groups(groups, now);
        })
        .await
    }

    /// Changes what the node carries for others: the place that it takes in the tree. Nobody loses
    /// a way at once; those below a node that becomes a leaf are gone within eight minutes.
    ///
    /// # Errors
    /// [`AskError`]; nothing has changed then.
    pub async fn set_transit(&self, transit: Transit) -> Result<(), AskError> {
        self.ask_control(move |control| {
            let now = control.now();
            control.node.set_transit(transit, now);
        })
        .await
    }

    /// Replaces what programs of this machine are answered about names, from the next question on;
    /// with `None` nothing is. The gateway knows them as well.
    pub fn set_names(&self, names: Option<Arc<Zone>>) {
        self.0.data.names.store(names);
    }

    /// The own key.
    #[must_use]
    pub fn key(&self) -> NodeKey {
        self.0.data.own
    }

    /// Name and MTU of the interface, if there is one.
    #[must_use]
    pub fn tun(&self) -> Option<(String, u16)> {
        let inside = self.0.data.inside.load();
        inside.as_ref()?.tun().map(|tun| (tun.name().to_owned(), tun.mtu()))
    }

    /// Wakes up whenever links, routes or proof of connection have changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.clone()
    }

    /// State, links and counters.
    ///
    /// # Errors
    /// [`AskError::Stopped`].
    pub async fn snapshot(&self) -> Result<Snapshot, AskError> {
        let mut snapshot = self.ask_control(Snapshot::take).await?;
        let details = self.0.acceptor.details.lock();
        for link in &mut snapshot.links {
            if let Some(known) = details.get(&link.id) {
                link.uri.clone_from(&known.uri);
                link.direction = known.direction;
                link.remote = known.remote;
                link.found_on.clone_from(&known.found_on);
            }
        }
        Ok(snapshot)
    }

    /// All that the node knows of the network: tree, paths, sessions.
    ///
    /// # Errors
    /// [`AskError::Stopped`].
    pub async fn topology(&self) -> Result<Topology, AskError> {
        self.ask_control(Topology::take).await
    }

    /// The open sessions, ordered by key.
    ///
    /// # Errors
    /// [`AskError::Stopped`].
    pub async fn sessions(&self) -> Result<Vec<SessionSnapshot>, AskError> {
        self.ask_control(|control| SessionSnapshot::take(control)).await
    }

    /// The highest sequence number sent so far.
    ///
    /// # Errors
    /// [`AskError::Stopped`].
    pub async fn highest_seq(&self) -> Result<u64, AskError> {
        self.ask_control(|control| control.node.highest_seq()).await
    }

    /// Sends one echo request and waits for the reply; returns the round trip.
    ///
    /// # Errors
    /// No reply within `patience`, or the address is not of the network.
    pub async fn ping(&self, to: Ipv6Addr, patience: Duration) -> Result<Duration, AskError> {
        const PAYLOAD: &[u8] = b"planetary network echo request.";
        Target::of(to).ok_or(AskError::ForeignAddress(to))?;
        let data = Arc::clone(&self.0.data);
        if data.territory.contains(&to.octets()) {
            return Ok(Duration::ZERO);
        }
        let (replied, reply) = oneshot::channel();
        let sent_at = self
            .ask_control(move |control| {
                let echo = control.questions.new_echo(to, replied)?;
                let source = data.territory.address;
                let packet = echo.emit(source.as_bytes(), &to.octets(), PAYLOAD);
                let sent_at = data.clock.mono();
                send_packet(&data, Packet::copy_of(&packet));
                Some(sent_at)
            })
            .await?
            .ok_or(AskError::Busy)?;
        let replied_at = within(patience, reply).await?;
        Ok(replied_at.since(sent_at))
    }

    /// Finds where a key is, by a lookup unless it is known.
    ///
    /// # Errors
    /// Nobody answered within `patience`.
    pub async fn find_key(&self, key: NodeKey, patience: Duration) -> Result<PathReport, AskError> {
        self.find(Wanted::Key(key), patience).await
    }

    /// Finds the key behind an address or subnet, and where it is.
    ///
    /// # Errors
    /// Nobody answered within `patience`, or the address is not of the network.
    pub async fn find_address(
        &self,
        address: Ipv6Addr,
        patience: Duration,
    ) -> Result<PathReport, AskError> {
        let target = Target::of(address).ok_or(AskError::ForeignAddress(address))?;
        self.find(Wanted::Target(target), patience).await
    }

    async fn find(&self, wanted: Wanted, patience: Duration) -> Result<PathReport, AskError> {
        let (found, report) = oneshot::channel();
        let room = self
            .ask_control(move |control| {
                if let Some(report) = PathReport::known(&control.node, &wanted) {
                    // The caller may have given up.
                    let _ = found.send(report);
                    return true;
                }
                let now = control.now();
                control.node.look_up(wanted.search_key(), now);
                control.questions.await_path(wanted, found)
            })
            .await?;
        if room { within(patience, report).await } else { Err(AskError::Busy) }
    }

    /// Asks another node something.
    ///
    /// # Errors
    /// It did not answer within six seconds.
    pub async fn ask(&self, key: NodeKey, kind: InbandKind) -> Result<InbandAnswer, AskError> {
        let (answered, answer) = oneshot::channel();
        let room = self
            .ask_control(move |control| {
                let room = control.questions.await_answer(key, kind, answered);
                if room {
                    let now = control.now();
                    control.node.ask(key, kind, now);
                }
                room
            })
            .await?;
        if room { answer.await.map_err(|_| AskError::Timeout) } else { Err(AskError::Busy) }
    }

    /// Asks another node of this program something, and repeats it until the answer comes as
    /// [`News::Answered`] or eight seconds are over ([`News::Unanswered`]), which both name the
    /// number that is returned at once. News of it may be in the channel before the caller has seen
    /// the number, so whoever reads the channel must not do so between this call and noting it.
    ///
    /// `kind` is one of [`planetary_proto::upper::extension::is_request`] other than hello, `body`
    /// at most [`ExtensionMessage::BODY_MAX`] bytes.
    ///
    /// # Errors
    /// [`AskError::Busy`] while 256 requests wait, [`AskError::Message`] for a wrong kind or a long
    /// body, [`AskError::Stopped`].
    pub async fn request(&self, to: NodeKey, kind: u8, body: Vec<u8>) -> Result<u32, AskError> {
        self.ask_control(move |control| {
            let now = control.now();
            control.node.request(to, kind, body, now)
        })
        .await?
        .map_err(AskError::of_message)
    }

    /// Answers a request of another node, of [`News::Message`]: the next kind, the same number.
    /// Nothing is sent if its session has ended meanwhile.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn answer(&self, to: NodeKey, answer: ExtensionMessage) -> Result<(), AskError> {
        self.ask_control(move |control| {
            let now = control.now();
            control.node.answer(to, &answer, now)
        })
        .await?
        .map_err(AskError::of_message)
    }

    /// Answers the question of [`News::Knocked`], whether `key` may reach something here. Returns
    /// whether it was still open; if not, nothing has changed.
    pub fn settle_knock(&self, key: NodeKey, reached: Reached, settled: Settled) -> bool {
        let now = self.0.data.clock.mono();
        self.0.data.sessions.settle_knock(&key, reached, settled, now)
    }

    /// Runs `question` on the control thread.
    async fn ask_control<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Control) -> R + Send + 'static,
    ) -> Result<R, AskError> {
        let (answered, answer) = oneshot::channel();
        let command = Input::Command(Box::new(move |control| {
            // The caller may have given up.
            let _ = answered.send(question(control));
        }));
        if !self.0.mailbox.offer(command) {
            return Err(AskError::Busy);
        }
        answer.await.map_err(|_| AskError::Stopped)
    }
}

async fn within<T>(patience: Duration, answer: oneshot::Receiver<T>) -> Result<T, AskError> {
    match tokio::time::timeout(patience, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(AskError::Stopped),
        Err(_) => Err(AskError::Timeout),
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(StartError::Thread)
}

impl LinkSink for Acceptor {
    fn run(&self, link: Established) -> impl Future<Output = LinkEnd> + Send {
        let id = LinkId(self.next_link.fetch_add(1, Relaxed));
        let local = link.stream.socket().local_addr().ok().and_then(|address| address.as_socket());
        let details = LinkDetails {
            uri: link.uri,
            direction: link.direction,
            remote: link.remote,
            found_on: link.found_on,
            local: local.map(|address| address.ip().to_canonical()),
        };
        self.details.lock().insert(id, details);
        let (read, write) = stream::split(link.stream);
        let lane = link.datagrams.map(Arc::new);
        let egress = Arc::new(Egress::new(id, write, lane.clone()));
        let (ended, end) = oneshot::channel();
        self.data.mailbox.post(Input::LinkUp {
            egress: Arc::clone(&egress),
            peer: link.peer,
            priority: link.priority,
            ended,
        });
        let (data, way_out) = (Arc::clone(&self.data), Arc::clone(&egress));
        let threads = reader::spawn(data, way_out, read, link.leftover, lane);
        let closes = CloseOnDrop { acceptor: self, egress };
        async move {
            // The whole of it, not only the field used below: it must live as long as the future.
            let closes = closes;
            if let Err(error) = threads {
                let message = format!("the system refused a thread: {error}").into();
                let end = LinkEnd { code: "no_thread", message };
                closes.acceptor.data.mailbox.post(Input::LinkEnded { link: id, end });
            }
            let stopped = LinkEnd { code: "closed", message: "closed by this node".into() };
            end.await.unwrap_or(stopped)
        }
    }
}

/// Closes the link when its peer is removed and the future of [`LinkSink::run`] dropped.
struct CloseOnDrop<'a> {
    acceptor: &'a Acceptor,
    egress: Arc<Egress>,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.egress.close();
        self.acceptor.details.lock().remove(&self.egress.link);
    }
}
