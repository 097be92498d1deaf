//! Forwarded ports: from a port of this computer to a node, and from a port of this node to a
//! program on this computer.
//!
//! Who may open one of the latter is decided by the packet filter, as for every other port of the
//! node: a forwarded port gives nobody a right.

use std::{
    collections::HashMap,
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    host::{Datagrams, Host, Listener, Stream},
    relay::{Tally, relay},
    target::{ReachError, Target},
};
use crate::datagram::is_about_one;

/// Conversations by datagrams of one forwarded port. More are not begun; those that are quiet make
/// room.
const CONVERSATIONS_MAX: usize = 128;
/// How long a conversation may be quiet, as long as the packet filter remembers one.
const QUIET_MAX: Duration = Duration::from_secs(180);
/// Datagrams of a conversation that wait to be passed on. More are lost, as datagrams may be.
const WAITING_MAX: usize = 32;
/// Longest datagram.
const DATAGRAM_LEN_MAX: usize = 65_535;
/// How long a program on this computer may take to accept a connection.
const OPEN_HERE_MAX: Duration = Duration::from_secs(10);

/// A forwarded port.
#[derive(Debug)]
pub struct Forward {
    /// What tells it from the others.
    pub id: u64,
    /// What is carried.
    pub protocol: Protocol,
    /// Where from and to.
    pub way: Way,
    /// What has gone through it.
    pub tally: Tally,
}

/// What a forwarded port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Where from and to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// From an address of this computer to a node, looked up anew each time.
    Out {
        /// Where is listened.
        listen: SocketAddr,
        /// Where to.
        target: Target,
    },
    /// From a port of this node to an address of this computer.
    In {
        /// Where is listened.
        port: u16,
        /// Where to.
        target: SocketAddr,
    },
}

/// An open forwarded port.
#[derive(Debug)]
pub(super) enum Opened {
    Connections(Listener),
    Datagrams(Datagrams),
}

impl Forward {
    /// A forwarded port through which nothing has gone.
    #[must_use]
    pub fn new(id: u64, protocol: Protocol, way: Way) -> Self {
        Self { id, protocol, way, tally: Tally::default() }
    }

    /// Begins to listen; returns where.
    pub(super) async fn open(&self, host: &Host) -> io::Result<(Opened, SocketAddr)> {
        match (self.protocol, &self.way) {
            (Protocol::Tcp, Way::Out { listen, .. }) => {
                let listener = TcpListener::bind(listen).await?;
                let at = listener.local_addr()?;
                Ok((Opened::Connections(Listener::System(listener)), at))
            }
            (Protocol::Udp, Way::Out { listen, .. }) => {
                let socket = UdpSocket::bind(listen).await?;
                let at = socket.local_addr()?;
                Ok((Opened::Datagrams(Datagrams::System(socket)), at))
            }
            (Protocol::Tcp, Way::In { port, .. }) => {
                let listener = host.listen(*port).await?;
                Ok((Opened::Connections(listener), (host.address(), *port).into()))
            }
            (Protocol::Udp, Way::In { port, .. }) => {
                let socket = host.bind(*port).await?;
                Ok((Opened::Datagrams(socket), (host.address(), *port).into()))
            }
        }
    }

    /// Carries one connection.
    pub(super) async fn carry(&self, near: Stream, host: &Host) {
        let far = match &self.way {
            Way::Out { target, .. } => host.reach(target).await,
            Way::In { target, .. } => here(*target).await.map_err(ReachError::of),
        };
        match (far, &self.way) {
            (Ok(far), Way::Out { .. }) => relay(near, far, &self.tally).await,
            (Ok(far), Way::In { .. }) => relay(far, near, &self.tally).await,
            (Err(error), way) => {
                self.tally.failed(error.code(), failure(&error, way));
                near.reset();
            }
        }
    }

    /// Carries datagrams until the socket fails.
    pub(super) async fn carry_datagrams(
        self: &Arc<Self>,
        outer: Datagrams,
        host: &Host,
        clients: &Arc<Semaphore>,
    ) -> io::Error {
        let outer = Arc::new(outer);
        let mut talks: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
        let mut talking = JoinSet::new();
        let mut room = vec![0; DATAGRAM_LEN_MAX];
        loop {
            let (len, from) = tokio::select! {
                received = outer.recv_from(&mut room) => match received {
                    Ok(received) => received,
                    Err(error) if is_about_one(&error) => continue,
                    Err(error) => return error,
                },
                Some(ended) = talking.join_next() => {
                    // A conversation neither panics nor is aborted while we wait for it.
                    if let Ok(from) = ended {
                        talks.remove(&from);
                    }
                    continue;
                }
            };
            if !talks.contains_key(&from) {
                if talks.len() >= CONVERSATIONS_MAX {
                    continue;
                }
                let Ok(permit) = Arc::clone(clients).try_acquire_owned() else { continue };
                let (say, said) = mpsc::channel(WAITING_MAX);
                talks.insert(from, say);
                let (forward, host) = (Arc::clone(self), host.clone());
                let outer = Arc::clone(&outer);
                talking.spawn(async move {
                    let _permit = permit;
                    let _counted = forward.tally.count();
                    if let Err(error) = forward.converse(&outer, from, said, &host).await {
                        forward.tally.failed(error.code(), failure(&error, &forward.way));
                    }
                    from
                });
            }
            if let Some(talk) = talks.get(&from) {
                // What finds no room is lost.
                let _ = talk.try_send(room[..len].to_vec());
            }
        }
    }

    /// Carries the datagrams from and to one place until it is quiet.
    async fn converse(
        &self,
        outer: &Datagrams,
        from: SocketAddr,
        mut said: mpsc::Receiver<Vec<u8>>,
        host: &Host,
    ) -> Result<(), ReachError> {
        let (inner, to) = match &self.way {
            Way::Out { target, .. } => {
                let to = target.resolve(host.zone().as_deref())?;
                (host.bind(0).await.map_err(ReachError::of)?, to.into())
            }
            Way::In { target, .. } => {
                let at: SocketAddr = match target {
                    SocketAddr::V4(_) => (std::net::Ipv4Addr::LOCALHOST, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
                };
                let socket = UdpSocket::bind(at).await.map_err(ReachError::of)?;
                (Datagrams::System(socket), *target)
            }
        };
        let is_out = matches!(self.way, Way::Out { .. });
        let carried = |onwards: bool, len| {
            if onwards == is_out { self.tally.sent(len) } else { self.tally.received(len) }
        };
        let mut room = vec![0; DATAGRAM_LEN_MAX];
        loop {
            tokio::select! {
                data = said.recv() => {
                    let Some(data) = data else { return Ok(()) };
                    // One that cannot be sent is lost.
                    if inner.send_to(&data, to).await.is_ok() {
                        carried(true, data.len());
                    }
                }
                received = inner.recv_from(&mut room) => {
                    let (len, sender) = received.map_err(ReachError::of)?;
                    if sender == to && outer.send_to(&room[..len], from).await.is_ok() {
                        carried(false, len);
                    }
                }
                () = sleep(QUIET_MAX) => return Ok(()),
            }
        }
    }
}

/// Opens a connection to a program of this computer.
async fn here(target: SocketAddr) -> io::Result<Stream> {
    let connected = timeout(OPEN_HERE_MAX, TcpStream::connect(target)).await;
    let stream = connected.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    Ok(Stream::System(stream))
}

/// Why something was not carried, in words.
fn failure(error: &ReachError, way: &Way) -> String {
    match (error, way) {
        (ReachError::Refused, Way::In { target, .. }) => {
            format!("no program on this computer takes connections at {target}")
        }
        (error, Way::In { .. }) => format!("the program on this computer: {error}"),
        (error, Way::Out { target, .. }) => format!("{target}: {error}"),
    }
}
