//! TCP and UDP of this program, for a node without an interface.
//!
//! ```text
//!   link readers ── send ──> [ sockets ] ── recv ──> the thread that would drain a TUN
//!                               ^    |
//!              write, connect ──┘    └──> wakes who reads, accepts, waits for room
//! ```
//!
//! A [`Stack`] stands where an interface would: [`Stack::send`] takes packets that the filter let
//! in, [`Stack::recv`] gives those that shall go out. The sockets are smoltcp's, all behind one
//! lock; a packet that comes in is worked off by the thread that brings it, and what is to be sent
//! is made by the one thread that takes it away, so nothing queues between the two but answers to
//! what came in, and those are dropped when [`ANSWERS_MAX`] wait.
//!
//! What a stranger can cost is bounded: sockets by [`CONNECTIONS_MAX`] and [`DATAGRAMS_MAX`], each
//! with buffers of a fixed length, and connections that were opened and not taken yet by
//! [`BACKLOG_MAX`] a port. Who may send a packet here at all is the packet filter's business.
//!
//! A connection whose far end is gone is noticed: it is asked for a sign of life every
//! [`KEEP_ALIVE`], and given up after [`SILENCE_MAX`]. One that nobody holds any more has no longer
//! than that for its last words.
//!
//! Source: RFC 9293 (TCP), RFC 768, RFC 8200.

mod datagrams;
mod device;
mod exchanges;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{Ipv6Addr, SocketAddrV6},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    socket::{
        Socket,
        tcp::{self, CongestionControl, State},
    },
    time,
    wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint},
};
use tokio::time::Instant;

pub use self::{
    datagrams::StackDatagrams,
    stream::{StackListener, StackStream},
};
use self::{
    device::Wire,
    exchanges::{Connection, Exchanges},
};
use crate::data::buffers::Packet;

/// Connections at once, those included that are being closed. A browser has some tens open. One
/// more is refused, outwards with an error, inwards by silence: who opens it asks again.
pub const CONNECTIONS_MAX: usize = 512;

/// Sockets for datagrams at once; each conversation of a forwarded port and each client of the
/// proxy has one.
pub const DATAGRAMS_MAX: usize = 512;

/// Connections of a port that nobody has accepted. Further ones are dropped until then.
pub const BACKLOG_MAX: usize = 64;

/// Answers to packets (resets, acknowledgements) that may wait to be sent.
const ANSWERS_MAX: usize = 1_024;

/// Bytes that a connection may have under way in each direction while few are open: enough for
/// 10 MB/s over 50 ms.
const BUFFER_LEN: usize = 512 * 1024;
/// The same when there are more than [`ROOMY_CONNECTIONS`]. With all of them open the buffers
/// take 120 MiB, if all are filled.
const BUFFER_LEN_CROWDED: usize = 64 * 1024;
const ROOMY_CONNECTIONS: usize = 64;

/// How long a connection may take to open: the far node is looked up and greeted first.
const OPEN_MAX: Duration = Duration::from_secs(30);
/// How often the far end of a quiet connection is asked for a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long it may leave us without one.
const SILENCE_MAX: Duration = Duration::from_secs(10 * 60);
/// How long the far end of a connection that nobody holds any more may be silent.
const PARTING_MAX: Duration = Duration::from_secs(60);

/// Ports of our own connections (RFC 6335).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// Shortest wait of the thread that takes packets away: a timer may be due at once and still have
/// nothing to send.
const NAP: Duration = Duration::from_millis(1);

/// See the module. Clones are handles to the same one.
#[derive(Clone)]
pub struct Stack(Arc<Shared>);

struct Shared {
    started: Instant,
    core: Mutex<Core>,
    /// There may be something to send.
    work: Condvar,
}

struct Core {
    own: Ipv6Addr,
    interface: Interface,
    sockets: SocketSet<'static>,
    /// What shall go out.
    outgoing: VecDeque<Packet>,
    exchanges: Exchanges,
    /// Ports on which connections are accepted.
    listeners: BTreeMap<u16, Backlog>,
    /// Connections of which this end has finished and the other may not have. What they hold that
    /// was not read yet would be forgotten with the last timer, and who is the second to finish
    /// says so when all else has arrived: a socket whose end is under way last listens no more to
    /// what the far end says of its window.
    finishing: Vec<SocketHandle>,
    /// What was saved from them; the end follows it.
    saved: BTreeMap<SocketHandle, VecDeque<u8>>,
    /// Connections that nobody holds any more and that have something left to say, and since when.
    orphans: Vec<(SocketHandle, Instant)>,
    connections: usize,
    datagrams: usize,
    next_port: u16,
    closed: bool,
}

/// Connections to a port that were opened and not accepted.
#[derive(Default)]
struct Backlog {
    waiting: Vec<SocketHandle>,
    acceptor: Option<Waker>,
}

/// What becomes of a packet before the sockets see it.
enum Admission {
    /// They shall judge.
    Pass,
    /// It opens a connection to a port with a listener; this socket is for it.
    Opening(u16, SocketHandle),
    /// There is no room for what it wants.
    Drop,
}

impl Stack {
    /// Largest packet in bytes. A large one costs hardly more than a small one to carry; a larger
    /// one than this would be half a crowded window.
    pub const MTU: u16 = 16_384;

    /// TCP and UDP at the address `own`. `seed` makes sequence numbers and ports unforeseeable.
    #[must_use]
    pub fn new(own: Ipv6Addr, seed: u64) -> Self {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut outgoing = VecDeque::new();
        let mut wire = Wire { incoming: None, outgoing: &mut outgoing };
        let mut interface = Interface::new(config, &mut wire, time::Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // There is room for two.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv6(own), NETWORK_PREFIX_LEN));
        });
        let ports = EPHEMERAL.end() - EPHEMERAL.start();
        let core = Core {
            own,
            interface,
            sockets: SocketSet::new(Vec::new()),
            outgoing,
            exchanges: Exchanges::default(),
            listeners: BTreeMap::new(),
            finishing: Vec::new(),
            saved: BTreeMap::new(),
            orphans: Vec::new(),
            connections: 0,
            datagrams: 0,
            // The remainder is smaller than `ports`.
            next_port: EPHEMERAL.start() + (seed % u64::from(ports)) as u16,
            closed: false,
        };
        let (started, core, work) = (Instant::now(), Mutex::new(core), Condvar::new());
        Self(Arc::new(Shared { started, core, work }))
    }

    /// Takes a packet in. What is no packet for a socket here is answered as RFC 9293 and RFC 4443
    /// say, or dropped.
    pub fn send(&self, packet: &[u8]) {
        let now = self.now();
        self.0.core.lock().take(packet, now);
        self.0.work.notify_one();
    }

    /// Waits for a packet that shall go out and copies it into `packet`, which has room for
    /// [`Stack::MTU`] bytes; 0 once the stack is closed. For one thread.
    pub fn recv(&self, packet: &mut [u8]) -> usize {
        let mut core = self.0.core.lock();
        loop {
            if core.closed {
                return 0;
            }
            let now = self.now();
            if let Some(len) = core.next(packet, now) {
                return len;
            }
            match core.idle_for(now) {
                None => self.0.work.wait(&mut core),
                Some(nap) => drop(self.0.work.wait_for(&mut core, nap.max(NAP))),
            }
        }
    }

    /// As [`Stack::recv`], for a packet that shall go out at this moment, if there is one.
    pub fn try_recv(&self, packet: &mut [u8]) -> Option<usize> {
        let now = self.now();
        self.0.core.lock().next(packet, now)
    }

    /// Ends all connections and all later [`Stack::recv`] calls.
    pub fn close(&self) {
        let mut core = self.0.core.lock();
        core.closed = true;
        for (_, socket) in core.sockets.iter_mut() {
            match socket {
                Socket::Tcp(socket) => socket.abort(),
                Socket::Udp(socket) => socket.close(),
            }
        }
        for backlog in core.listeners.values_mut() {
            if let Some(waker) = backlog.acceptor.take() {
                waker.wake();
            }
        }
        drop(core);
        self.0.work.notify_one();
    }

    /// Opens a connection. Dropping the future gives it up.
    ///
    /// # Errors
    /// `ConnectionRefused`, `TimedOut` after half a minute without an answer, and `OutOfMemory`
    /// when [`CONNECTIONS_MAX`] are open.
    pub async fn connect(&self, to: SocketAddrV6) -> io::Result<StackStream> {
        let handle = self.0.core.lock().open(to)?;
        let stream = StackStream::new(self.clone(), handle, to);
        self.0.work.notify_one();
        let begun = Instant::now();
        std::future::poll_fn(|context| self.0.core.lock().poll_opened(handle, begun, context))
            .await?;
        Ok(stream)
    }

    /// Accepts connections to a port of this node.
    ///
    /// # Errors
    /// `AddrInUse` when somebody does already.
    pub fn listen(&self, port: u16) -> io::Result<StackListener> {
        let mut core = self.0.core.lock();
        core.check_open()?;
        if core.listeners.contains_key(&port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        core.listeners.insert(port, Backlog::default());
        Ok(StackListener::new(self.clone(), port))
    }

    /// Number of connections and of sockets for datagrams.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        let core = self.0.core.lock();
        (core.connections, core.datagrams)
    }

    fn now(&self) -> time::Instant {
        // What a connection waits for does not happen while this computer sleeps, so it does not
        // count either: the clock of the system stands still then on most systems.
        let micros = i64::try_from(self.0.started.elapsed().as_micros());
        time::Instant::from_micros(micros.unwrap_or(i64::MAX))
    }
}

/// Bits that all addresses of the network have in common: nobody is behind a router.
const NETWORK_PREFIX_LEN: u8 = 7;

impl Core {
    /// Works off one packet that came in.
    fn take(&mut self, packet: &[u8], now: time::Instant) {
        if self.closed {
            return;
        }
        let admission = self.admit(packet);
        if matches!(admission, Admission::Drop) {
            return;
        }
        if self.exchanges.repeated(packet).is_some_and(|at| self.has_only_its_end_under_way(&at)) {
            return;
        }
        self.exchanges.note_heard(packet, now);
        if let Some(saved) = self.exchanges.saved(packet) {
            self.hand_in(&saved, now);
        }
        self.hand_in(packet, now);
        if let Admission::Opening(port, handle) = admission {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
            match (socket.state(), self.listeners.get_mut(&port)) {
                (State::SynReceived, Some(backlog)) => {
                    if let Some(acceptor) = &backlog.acceptor {
                        socket.register_recv_waker(acceptor);
                    }
                    backlog.waiting.push(handle);
                }
                _ => self.discard(handle),
            }
        }
        self.finish_more();
    }

    /// Whether all that a connection still awaits is the acknowledgement of its end.
    fn has_only_its_end_under_way(&self, (far, port): &Connection) -> bool {
        self.sockets.iter().any(|(_, socket)| match socket {
            Socket::Tcp(socket) => {
                is_between(socket, *port, *far)
                    && matches!(socket.state(), State::FinWait1 | State::Closing)
                    && socket.send_queue() == 0
            }
            Socket::Udp(_) => false,
        })
    }

    /// Shows a packet to the sockets.
    fn hand_in(&mut self, packet: &[u8], now: time::Instant) {
        let mut wire = Wire { incoming: Some(packet), outgoing: &mut self.outgoing };
        self.interface.poll_ingress_single(now, &mut wire, &mut self.sockets);
    }

    /// How long there is nothing to send, if nothing comes in and nobody writes.
    fn idle_for(&mut self, now: time::Instant) -> Option<Duration> {
        let timer = self.interface.poll_delay(now, &self.sockets);
        let silent = self.under_way().filter_map(|at| self.exchanges.patience(&at, now)).min();
        timer.into_iter().chain(silent).min().map(Duration::from)
    }

    /// The connections with bytes that the far end has not acknowledged.
    fn under_way(&self) -> impl Iterator<Item = Connection> {
        self.sockets.iter().filter_map(|(_, socket)| match socket {
            Socket::Tcp(socket) if socket.state() != State::Closed && socket.send_queue() > 0 => {
                Some((socket.remote_endpoint()?, socket.local_endpoint()?.port))
            }
            _ => None,
        })
    }

    /// Has sockets repeat what the far end was silent about for too long. Returns whether there is
    /// anything to send.
    fn repeat(&mut self, now: time::Instant) -> bool {
        let is_due =
            |at: &Connection| self.exchanges.patience(at, now) == Some(time::Duration::ZERO);
        let due: Vec<_> = self.under_way().filter(is_due).collect();
        for connection in &due {
            for packet in self.exchanges.ask_again(*connection, self.own, now) {
                self.hand_in(&packet, now);
            }
        }
        !due.is_empty() && self.emit(now)
    }

    /// Copies the next packet that shall go out now.
    fn next(&mut self, packet: &mut [u8], now: time::Instant) -> Option<usize> {
        while !self.outgoing.is_empty() || self.emit(now) || self.repeat(now) {
            let Some(next) = self.outgoing.pop_front() else { continue };
            let lives = |&(far, port): &Connection| is_known(&self.sockets, port, far);
            self.exchanges.note_sent(next.bytes(), now, lives);
            if next.bytes().get(24..40) == Some(&self.own.octets()) {
                // To ourselves, as over the loopback of a system.
                self.take(next.bytes(), now);
            } else if let Some(space) = packet.get_mut(..next.len) {
                space.copy_from_slice(next.bytes());
                return Some(next.len);
            }
        }
        None
    }

    /// Makes room for a connection that somebody opens.
    fn admit(&mut self, packet: &[u8]) -> Admission {
        let Some((from, port)) = self.opening(packet) else { return Admission::Pass };
        let Some(backlog) = self.listeners.get(&port) else { return Admission::Pass };
        // Asked again, because our answer was lost.
        if is_known(&self.sockets, port, from) {
            return Admission::Pass;
        }
        if backlog.waiting.len() >= BACKLOG_MAX {
            return Admission::Drop;
        }
        let Some(mut socket) = self.new_socket() else { return Admission::Drop };
        let place = IpListenEndpoint { addr: Some(IpAddress::Ipv6(self.own)), port };
        if socket.listen(place).is_err() {
            return Admission::Drop;
        }
        Admission::Opening(port, self.add(socket))
    }

    /// From where and to which port a packet opens a connection, if it does.
    fn opening(&self, packet: &[u8]) -> Option<(IpEndpoint, u16)> {
        let (packet, segment) = exchanges::parse(packet)?;
        if packet.dst_addr() != self.own {
            return None;
        }
        let opens = segment.syn() && !segment.ack() && !segment.rst() && !segment.fin();
        let from = IpEndpoint::new(IpAddress::Ipv6(packet.src_addr()), segment.src_port());
        opens.then(|| (from, segment.dst_port()))
    }

    /// A socket for one connection, unless there are too many.
    fn new_socket(&mut self) -> Option<tcp::Socket<'static>> {
        if self.connections >= CONNECTIONS_MAX {
            // One that waits only for what might have been lost on the way must go.
            let spent = |(handle, _): &(SocketHandle, _)| {
                self.sockets.get::<tcp::Socket<'_>>(*handle).state() == State::TimeWait
            };
            let at = self.orphans.iter().position(spent)?;
            let (handle, _) = self.orphans.swap_remove(at);
            self.discard(handle);
        }
        let roomy = self.connections < ROOMY_CONNECTIONS;
        let len = if roomy { BUFFER_LEN } else { BUFFER_LEN_CROWDED };
        // Memory that nobody has written to is not taken from the system yet.
        let buffer = || tcp::SocketBuffer::new(vec![0; len]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_congestion_control(CongestionControl::Cubic);
        // What a person types shall not wait for the answer to what was typed before.
        socket.set_nagle_enabled(false);
        socket.set_timeout(Some(OPEN_MAX.into()));
        Some(socket)
    }

    fn add(&mut self, socket: tcp::Socket<'static>) -> SocketHandle {
        self.connections += 1;
        self.sockets.add(socket)
    }

    /// Forgets a connection without a word.
    fn discard(&mut self, handle: SocketHandle) {
        self.connections -= 1;
        self.finishing.retain(|at| *at != handle);
        self.saved.remove(&handle);
        self.sockets.remove(handle);
    }

    fn check_open(&self) -> io::Result<()> {
        if self.closed { Err(io::ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    /// Begins a connection.
    fn open(&mut self, to: SocketAddrV6) -> io::Result<SocketHandle> {
        self.check_open()?;
        let remote = IpEndpoint::new(IpAddress::Ipv6(*to.ip()), to.port());
        let port = self.free_port(|core, port| {
            !core.listeners.contains_key(&port) && !is_known(&core.sockets, port, remote)
        })?;
        let mut socket = self.new_socket().ok_or(io::ErrorKind::OutOfMemory)?;
        let local = IpListenEndpoint { addr: Some(IpAddress::Ipv6(self.own)), port };
        let refused = |_| io::ErrorKind::InvalidInput;
        socket.connect(self.interface.context(), remote, local).map_err(refused)?;
        Ok(self.add(socket))
    }

    /// A port of ours that `is_free`.
    fn free_port(&mut self, is_free: impl Fn(&Self, u16) -> bool) -> io::Result<u16> {
        for _ in EPHEMERAL {
            let port = self.next_port;
            self.next_port = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            if is_free(self, port) {
                return Ok(port);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Whether a connection that was begun is open.
    fn poll_opened(
        &mut self,
        handle: SocketHandle,
        begun: Instant,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        match socket.state() {
            State::SynSent | State::SynReceived => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            State::Closed if self.closed => Poll::Ready(self.check_open()),
            State::Closed => {
                let late = begun.elapsed() >= OPEN_MAX;
                let kind =
                    if late { io::ErrorKind::TimedOut } else { io::ErrorKind::ConnectionRefused };
                Poll::Ready(Err(kind.into()))
            }
            _ => {
                watch_over(socket);
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Makes packets of what waits to be sent. Returns whether there are any.
    fn emit(&mut self, now: time::Instant) -> bool {
        let mut wire = Wire { incoming: None, outgoing: &mut self.outgoing };
        self.interface.poll_egress(now, &mut wire, &mut self.sockets);
        self.finish_more();
        self.bury_orphans();
        !self.outgoing.is_empty()
    }

    /// Goes on with connections of which this end has finished: says so, when that had to wait, and
    /// saves what was not read when both ends have. With the last timer their sockets forget it.
    fn finish_more(&mut self) {
        let (sockets, saved) = (&mut self.sockets, &mut self.saved);
        self.finishing.retain(|handle| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
            match socket.state() {
                State::CloseWait if socket.send_queue() == 0 => {
                    socket.close();
                    true
                }
                State::TimeWait => {
                    let mut unread = vec![0; socket.recv_queue()];
                    let len = socket.recv_slice(&mut unread).unwrap_or(0);
                    unread.truncate(len);
                    saved.insert(*handle, unread.into());
                    false
                }
                State::Closed => false,
                _ => true,
            }
        });
    }

    /// Forgets connections that nobody holds and that have said their last word. One whose far end
    /// answers and takes nothing is reset in the end.
    fn bury_orphans(&mut self) {
        let mut at = 0;
        while let Some((handle, since)) = self.orphans.get(at).copied() {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
            if socket.state() != State::Closed && since.elapsed() >= SILENCE_MAX {
                socket.abort();
            }
            // A socket that is to send a reset still knows to whom.
            if socket.state() == State::Closed && socket.remote_endpoint().is_none() {
                self.orphans.swap_remove(at);
                self.discard(handle);
            } else {
                at += 1;
            }
        }
    }

    /// Nobody holds a connection any more. What was finished in order goes on to its end, all else
    /// is reset.
    fn abandon(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        match socket.state() {
            State::CloseWait if !self.finishing.contains(&handle) => socket.abort(),
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait => {
                socket.set_timeout(Some(PARTING_MAX.into()));
            }
            _ => socket.abort(),
        }
        self.orphans.push((handle, Instant::now()));
    }
}

/// Whether there is a connection between a port here and the far end.
fn is_known(sockets: &SocketSet<'_>, port: u16, remote: IpEndpoint) -> bool {
    sockets.iter().any(|(_, socket)| match socket {
        Socket::Tcp(socket) => is_between(socket, port, remote),
        Socket::Udp(_) => false,
    })
}

fn is_between(socket: &tcp::Socket<'_>, port: u16, remote: IpEndpoint) -> bool {
    socket.local_endpoint().is_some_and(|local| local.port == port)
        && socket.remote_endpoint() == Some(remote)
}

/// An address of a socket, as the rest of the program writes it.
const fn socket_address(endpoint: IpEndpoint) -> SocketAddrV6 {
    let IpAddress::Ipv6(address) = endpoint.addr;
    SocketAddrV6::new(address, endpoint.port, 0, 0)
}

/// What holds for a connection once it is open.
fn watch_over(socket: &mut tcp::Socket<'_>) {
    socket.set_timeout(Some(SILENCE_MAX.into()));
    socket.set_keep_alive(Some(KEEP_ALIVE.into()));
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("own", &self.0.core.lock().own).finish_non_exhaustive()
    }
}
