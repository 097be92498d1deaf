//! The gateway: how programs of this computer reach the network, and are reached, without knowing
//! of the interface, or where there is none.
//!
//! ```text
//!   program ── SOCKS5, HTTP, a forwarded port ──> door ──> Host ──> the system's sockets (TUN)
//!                                                              └──> the node's own stack
//! ```
//!
//! A [`Door`] is something that listens: a proxy, the answers about names, or a forwarded port.
//! Which are open is said as a whole ([`Gateway::open`]); each has a task of its own that opens it,
//! tries again while it cannot be, and owns everything that came in through it, so that closing a
//! door closes its connections. [`Host`] is the way into the network.
//!
//! Programs of this computer are trusted as far as with the interface: any of them may reach the
//! network. The proxies turn away everybody else, unless a person wants that, and none of the doors
//! leads anywhere but into the network, or to a loopback address that a person named.
//!
//! Bounds: [`CLIENTS_MAX`] connections through all doors, a head of [`crate::http`]'s length and
//! time before a proxy does anything, and those of the stack.

mod forward;
mod host;
mod names;
mod relay;
pub mod socks;
pub mod stack;
mod target;
mod web;

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use self::{forward::Opened, names::NameServer};
pub use self::{
    forward::{Forward, Protocol, Way},
    host::{Datagrams, Host, Listener, Stream},
    relay::Tally,
    target::{NoTarget, ReachError, Target},
};
use crate::links::peers::LastError;

/// Connections through all doors at once, conversations by datagrams included. Further ones wait
/// in the system until one has ended.
pub const CLIENTS_MAX: usize = 512;

/// Most forwarded ports.
pub const FORWARDS_MAX: usize = 64;

/// How long until a door that could not be opened is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How long doors may take to open, all together, before nobody waits for them any more.
const OPEN_PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait when the system has no descriptors or memory left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Something that listens.
#[derive(Clone, Debug)]
pub enum Door {
    /// The SOCKS5 proxy.
    Socks(ProxyAt),
    /// The HTTP proxy.
    Http(ProxyAt),
    /// Answers about names.
    Names(SocketAddr),
    /// A forwarded port. Others are told apart by their numbers alone.
    Forward(Arc<Forward>),
}

/// Where a proxy listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyAt {
    /// The address.
    pub address: SocketAddr,
    /// Whether other computers may use it.
    pub beyond_this_machine: bool,
}

/// What tells a door from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DoorId {
    /// The SOCKS5 proxy.
    Socks,
    /// The HTTP proxy.
    Http,
    /// Answers about names.
    Names,
    /// The forwarded port with this number.
    Forward(u64),
}

/// How a door is.
#[derive(Clone, Debug)]
pub struct DoorStatus {
    /// Which one.
    pub id: DoorId,
    /// Where it shall listen.
    pub wanted: SocketAddr,
    /// Whether it does, and where; else why not.
    pub state: DoorState,
    /// Connections, or conversations by datagrams, that are open.
    pub connections: u64,
}

/// Whether a door is open.
#[derive(Clone, Debug)]
pub enum DoorState {
    /// It is being opened.
    Opening,
    /// It is open, at this address.
    Open(SocketAddr),
    /// It could not be opened, and is tried again now and then.
    Failed(LastError),
}

/// The doors of a node. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    host: Host,
    clients: Arc<Semaphore>,
    doors: Mutex<BTreeMap<DoorId, Kept>>,
    runtime: Handle,
}

/// A door with its task.
struct Kept {
    door: Door,
    tally: Arc<Tally>,
    state: watch::Receiver<DoorState>,
    task: JoinHandle<()>,
}

impl Gateway {
    pub(crate) fn new(host: Host, runtime: Handle) -> Self {
        let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
        Self(Arc::new(Inner { host, clients, doors: Mutex::default(), runtime }))
    }

    /// The way into the network.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// Makes these the doors that are open: others are closed with their connections, and those
    /// that are open already stay as they are. Returns when all are open, or after two seconds; one
    /// that cannot be opened is tried again for as long as it is wanted.
    pub async fn open(&self, wanted: Vec<Door>) {
        let mut wanted: BTreeMap<_, _> = wanted.into_iter().map(|door| (door.id(), door)).collect();
        let closed: Vec<Kept> = {
            let mut doors = self.0.doors.lock();
            let is_other = |id: &DoorId, kept: &mut Kept| {
                !wanted.get(id).is_some_and(|door| door.is(&kept.door))
            };
            doors.extract_if(.., is_other).map(|(_, kept)| kept).collect()
        };
        for kept in closed {
            kept.close().await;
        }
        let mut opening = Vec::new();
        {
            let mut doors = self.0.doors.lock();
            wanted.retain(|id, _| !doors.contains_key(id));
            for (id, door) in wanted {
                let kept = self.keep(door);
                opening.push(kept.state.clone());
                doors.insert(id, kept);
            }
        }
        let opened = async {
            for mut state in opening {
                // A task that has ended does not open any more.
                let _ = state.wait_for(|state| !matches!(state, DoorState::Opening)).await;
            }
        };
        let _ = timeout(OPEN_PATIENCE, opened).await;
    }

    /// The doors, and how they are.
    #[must_use]
    pub fn doors(&self) -> Vec<DoorStatus> {
        let status = |(id, kept): (&DoorId, &Kept)| DoorStatus {
            id: *id,
            wanted: kept.door.wanted(&self.0.host),
            state: kept.state.borrow().clone(),
            connections: kept.door.tally(&kept.tally).connections(),
        };
        self.0.doors.lock().iter().map(status).collect()
    }

    fn keep(&self, door: Door) -> Kept {
        let tally = Arc::new(Tally::default());
        let (state, seen) = watch::channel(DoorState::Opening);
        let keeper = Keeper {
            door: door.clone(),
            tally: Arc::clone(&tally),
            host: self.0.host.clone(),
            clients: Arc::clone(&self.0.clients),
            state,
        };
        let task = self.0.runtime.spawn(keeper.run());
        Kept { door, tally, state: seen, task }
    }
}

impl Kept {
    /// Returns when the socket is closed.
    async fn close(self) {
        self.task.abort();
        // It was aborted, which is no news.
        let _ = self.task.await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for kept in self.doors.get_mut().values() {
            kept.task.abort();
        }
    }
}

impl Door {
    fn id(&self) -> DoorId {
        match self {
            Self::Socks(_) => DoorId::Socks,
            Self::Http(_) => DoorId::Http,
            Self::Names(_) => DoorId::Names,
            Self::Forward(forward) => DoorId::Forward(forward.id),
        }
    }

    /// Whether this is the same as one that is open.
    fn is(&self, open: &Self) -> bool {
        match (self, open) {
            (Self::Socks(at), Self::Socks(open)) | (Self::Http(at), Self::Http(open)) => at == open,
            (Self::Names(at), Self::Names(open)) => at == open,
            (Self::Forward(forward), Self::Forward(open)) => forward.id == open.id,
            _ => false,
        }
    }

    fn wanted(&self, host: &Host) -> SocketAddr {
        match self {
            Self::Socks(at) | Self::Http(at) => at.address,
            Self::Names(at) => *at,
            Self::Forward(forward) => match &forward.way {
                Way::Out { listen, .. } => *listen,
                Way::In { port, .. } => (host.address(), *port).into(),
            },
        }
    }

    /// What has gone through it: a forwarded port counts for itself.
    fn tally<'a>(&'a self, own: &'a Tally) -> &'a Tally {
        match self {
            Self::Forward(forward) => &forward.tally,
            _ => own,
        }
    }
}

/// The task of a door.
struct Keeper {
    door: Door,
    tally: Arc<Tally>,
    host: Host,
    clients: Arc<Semaphore>,
    state: watch::Sender<DoorState>,
}

impl Keeper {
    async fn run(self) {
        loop {
            let error = self.serve().await;
            let code = match error.kind() {
                io::ErrorKind::AddrInUse => "address_in_use",
                io::ErrorKind::PermissionDenied => "no_permission",
                io::ErrorKind::NotConnected => "node_down",
                _ => "cannot_listen",
            };
            let message = error.to_string();
            let known = match &*self.state.borrow() {
                DoorState::Failed(known) => known.code == code && known.message == message,
                _ => false,
            };
            if !known {
                tracing::warn!(door = ?self.door.id(), error = message, "cannot listen");
                if let Door::Forward(forward) = &self.door {
                    forward.tally.failed(code, message.clone());
                }
                let at = SystemTime::now();
                let error = LastError { code, message: message.into(), at };
                self.state.send_replace(DoorState::Failed(error));
            }
            sleep(RETRY_AFTER).await;
        }
    }

    /// Opens the door and serves who comes in. Returns when that fails.
    async fn serve(&self) -> io::Error {
        let served = match &self.door {
            Door::Socks(at) => self.serve_proxy(at, socks_client).await,
            Door::Http(at) => self.serve_proxy(at, http_client).await,
            Door::Names(at) => match self.open_names(*at).await {
                Ok(server) => Ok(server.serve(&self.host).await),
                Err(error) => Err(error),
            },
            Door::Forward(forward) => self.serve_forward(forward).await,
        };
        served.unwrap_or_else(|error| error)
    }

    fn opened(&self, at: SocketAddr) {
        self.state.send_replace(DoorState::Open(at));
    }

    async fn open_names(&self, at: SocketAddr) -> io::Result<NameServer> {
        let server = NameServer::open(at).await?;
        self.opened(server.address()?);
        Ok(server)
    }

    async fn serve_proxy<F: Future<Output = ()> + Send + 'static>(
        &self,
        at: &ProxyAt,
        client: impl Fn(Client) -> F,
    ) -> io::Result<io::Error> {
        let listener = TcpListener::bind(at.address).await?;
        self.opened(listener.local_addr()?);
        let beyond = at.beyond_this_machine;
        Ok(self.take(&Listener::System(listener), |from| beyond || is_here(from), client).await)
    }

    async fn serve_forward(&self, forward: &Arc<Forward>) -> io::Result<io::Error> {
        let (opened, at) = forward.open(&self.host).await?;
        self.opened(at);
        Ok(match opened {
            Opened::Connections(listener) => {
                let carry = |client: Client| {
                    let forward = Arc::clone(forward);
                    async move {
                        let _counted = forward.tally.count();
                        forward.carry(client.stream, &client.host).await;
                    }
                };
                self.take(&listener, |_| true, carry).await
            }
            Opened::Datagrams(socket) => {
                forward.carry_datagrams(socket, &self.host, &self.clients).await
            }
        })
    }

    /// Takes connections of those who may, and serves each in a task of its own. Returns when the
    /// listener fails for good.
    async fn take<F: Future<Output = ()> + Send + 'static>(
        &self,
        listener: &Listener,
        may: impl Fn(IpAddr) -> bool,
        serve: impl Fn(Client) -> F,
    ) -> io::Error {
        let mut serving = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // Nothing to learn from it, but it must be taken out of the set.
                Some(_) = serving.join_next() => continue,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return error,
                Err(_) => {
                    sleep(EXHAUSTED_PAUSE).await;
                    continue;
                }
            };
            if !may(from.ip().to_canonical()) {
                tracing::debug!("a connection from another computer was refused");
                continue;
            }
            // While all places are taken, this one waits here and further ones in the system. The
            // semaphore is never closed.
            let Ok(permit) = Arc::clone(&self.clients).acquire_owned().await else { continue };
            let (host, tally) = (self.host.clone(), Arc::clone(&self.tally));
            serving.spawn(serve(Client { stream, host, tally, _permit: permit }));
        }
    }
}

/// Somebody who came in through a door.
struct Client {
    stream: Stream,
    host: Host,
    tally: Arc<Tally>,
    _permit: OwnedSemaphorePermit,
}

async fn socks_client(client: Client) {
    let _counted = client.tally.count();
    if let Stream::System(stream) = client.stream {
        socks::serve(stream, &client.host, &client.tally).await;
    }
}

async fn http_client(client: Client) {
    let _counted = client.tally.count();
    if let Stream::System(stream) = client.stream {
        web::serve(stream, &client.host, &client.tally).await;
    }
}

/// Whether an address is of this computer alone.
fn is_here(address: IpAddr) -> bool {
    address.is_loopback()
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("doors", &self.doors()).finish_non_exhaustive()
    }
}
