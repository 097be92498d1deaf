//! The task that looks for nodes.
//!
//! A cycle looks at the interfaces, opens and closes stations, and sends the beacons that are due.
//! Cycles come every one or two seconds while beacons are to be sent quickly, and otherwise when
//! one is due or something has changed, so that a node in peace sleeps. What is heard in between
//! goes through a gate for each interface, which lets through few keys that nobody has heard of,
//! before it costs a hash.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    future,
    net::{Ipv6Addr, SocketAddrV6},
    sync::Arc,
    time::Instant,
};

use parking_lot::Mutex;
use planetary_proto::{
    limits::Rate,
    link::beacon::Beacon,
    rate::RateLimiter,
    time::{Duration as Span, Instant as Moment},
};
use tokio::{
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::{Duration, sleep_until},
};
use tracing::{debug, info, warn};

use super::{
    Ends, LanSettings, Seat, Shared, Standing,
    crowd::{Dial, Index},
    gate::Gate,
    network::standing,
    socket::{BeaconSocket, DATAGRAM_MAX},
};
use crate::{
    links::{
        Established, LinkEnd, LinkSink,
        admission::Admission,
        dial::open,
        listen::Listener,
        uri::{ListenUri, PeerUri, UriError},
    },
    surroundings::attachments::{self, Attachment},
};

/// Shortest time between two cycles. A random part of up to [`CYCLE_SPREAD`] comes on top, so that
/// nodes that were started at once do not speak at once.
const CYCLE_MIN: Duration = Duration::from_secs(1);
const CYCLE_SPREAD: Duration = Duration::from_micros(1_048_575);

/// Longest time between two cycles: changes that the system does not tell are seen after it.
const CYCLE_MAX: Duration = Duration::from_secs(15);

/// How long cycles come quickly after something has changed: a new address is tried by the system
/// for a second before it can be used, and nothing tells when that is done.
const ALERT_TIME: Duration = Duration::from_secs(6);

/// The pause between two beacons grows by this much with each, up to [`BEACON_PAUSE_MAX`].
const BEACON_PAUSE_STEP: Duration = Duration::from_secs(1);
const BEACON_PAUSE_MAX: Duration = Duration::from_secs(15);

/// Links that the log tells of; strangers must not fill it.
const TOLD_RATE: Rate = Rate { per_s: 1, burst: 30 };

/// See the module.
pub(super) struct Search<S> {
    ends: Arc<Ends<S>>,
    shared: Arc<Shared>,
    settings: LanSettings,
    changes: watch::Receiver<LanSettings>,
    /// There while some interface is active.
    socket: Option<BeaconSocket>,
    stations: BTreeMap<Index, Station>,
    /// Interfaces that the system has refused, which the log need not say again.
    refused: BTreeSet<Index>,
    links: JoinSet<()>,
    /// Who is on the same link cannot keep others out of the listeners for everybody.
    admission: Admission,
    told: Arc<Told>,
    start: Instant,
    /// Until then something may still be changing.
    alert_until: Instant,
    next_cycle: Instant,
    next_dial: Option<Instant>,
}

/// One active interface.
struct Station {
    name: Arc<str>,
    zone: String,
    address: Ipv6Addr,
    port: u16,
    stop: oneshot::Sender<()>,
    listener: JoinHandle<()>,
    last_beacon: Option<Instant>,
    pause: Duration,
    gate: Gate,
}

/// What a station hands links to that came in: they are counted, and handed on.
struct Door<S> {
    ends: Arc<Ends<S>>,
    shared: Arc<Shared>,
    interface: Index,
    name: Arc<str>,
}

/// What happens to the task.
enum Event {
    Stop,
    Cycle,
    Changed,
    Settings,
    Moved,
    Heard(usize, SocketAddrV6),
    /// The socket does not work.
    Deaf,
}

impl<S: LinkSink> Search<S> {
    pub(super) fn new(
        ends: Ends<S>,
        shared: Arc<Shared>,
        changes: watch::Receiver<LanSettings>,
    ) -> Self {
        let now = Instant::now();
        let settings = changes.borrow().clone();
        Self {
            ends: Arc::new(ends),
            shared,
            settings,
            changes,
            socket: None,
            stations: BTreeMap::new(),
            refused: BTreeSet::new(),
            links: JoinSet::new(),
            admission: Admission::default(),
            told: Arc::new(Told::new(now)),
            start: now,
            alert_until: now + ALERT_TIME,
            next_cycle: now,
            next_dial: None,
        }
    }

    /// Runs until `stop` fires or its other half is dropped. Everything is closed then.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut datagram = [0; DATAGRAM_MAX];
        loop {
            let wake = self.next_dial.map_or(self.next_cycle, |dial| dial.min(self.next_cycle));
            let event = tokio::select! {
                _ = &mut stop => Event::Stop,
                changed = self.changes.changed() => match changed {
                    Ok(()) => Event::Settings,
                    Err(_) => Event::Stop,
                },
                () = self.shared.changed.notified() => Event::Changed,
                () = self.shared.moved.notified() => Event::Moved,
                // Nothing to learn from a link's task, but it must be taken out of the set.
                Some(_) = self.links.join_next() => continue,
                () = sleep_until(wake.into()) => match Instant::now() >= self.next_cycle {
                    true => Event::Cycle,
                    false => Event::Moved,
                },
                heard = receive(self.socket.as_ref(), &mut datagram) => match heard {
                    Ok((len, from)) => Event::Heard(len, from),
                    Err(error) => {
                        debug!(%error, "the socket for beacons failed");
                        Event::Deaf
                    }
                },
            };
            match event {
                Event::Stop => break,
                Event::Cycle => self.cycle().await,
                Event::Changed => {
                    self.alert_until = Instant::now() + ALERT_TIME;
                    self.cycle().await;
                }
                Event::Settings => {
                    self.settings.clone_from(&self.changes.borrow_and_update());
                    self.cycle().await;
                }
                Event::Moved => self.hurry_after_losses(),
                // What is ignored changes nothing, and there may be much of it.
                Event::Heard(len, from) if !self.hear(&datagram[..len], from) => continue,
                Event::Heard(..) => {}
                Event::Deaf => self.socket = None,
            }
            self.dial();
        }
        self.links.shutdown().await;
        for station in std::mem::take(&mut self.stations).into_values() {
            station.close().await;
        }
    }

    /// Looks at the interfaces, and does what is due on each.
    async fn cycle(&mut self) {
        let looked = tokio::task::spawn_blocking(attachments::look).await;
        match looked.unwrap_or_else(|error| Err(error.into())) {
            Ok(found) => self.settle(found).await,
            Err(error) => debug!(%error, "the interfaces cannot be looked at"),
        }
        self.shared.settled.send_replace(Some(self.settings.clone()));
        self.send_beacons().await;
        let now = Instant::now();
        let longest = if now < self.alert_until { CYCLE_MIN } else { CYCLE_MAX };
        let beacons = self.stations.values().filter_map(Station::next_beacon);
        let due = beacons.fold(now + longest, Instant::min);
        self.next_cycle = due.max(now + CYCLE_MIN) + CYCLE_SPREAD.mul_f64(chance());
    }

    /// Opens and closes stations, so that there is one for each interface that is to be active.
    async fn settle(&mut self, found: Vec<Attachment>) {
        let mut interfaces = Vec::with_capacity(found.len());
        let mut active = BTreeMap::new();
        for attachment in found {
            let LanSettings { patterns, everywhere, trust, .. } = &self.settings;
            let mut standing = standing(&attachment, patterns, *everywhere, trust);
            if standing == Standing::Active {
                standing = self.keep_station(&attachment).await;
            }
            match standing {
                Standing::Active => drop(active.insert(attachment.index, attachment.wireless)),
                Standing::Failed => {}
                Standing::Unknown | Standing::Refused | Standing::Excluded => {
                    self.refused.remove(&attachment.index);
                }
            }
            interfaces.push((attachment, standing));
        }
        self.shared.crowd.lock().settle(&active);
        *self.shared.interfaces.lock() = interfaces;
        let left: Vec<Index> =
            self.stations.keys().filter(|index| !active.contains_key(index)).copied().collect();
        for index in left {
            self.close_station(index).await;
        }
        if self.stations.is_empty() {
            self.socket = None;
        }
    }

    /// Sees to it that an interface has a station and hears beacons.
    async fn keep_station(&mut self, attachment: &Attachment) -> Standing {
        let index = attachment.index;
        let fits = |station: &Station| {
            *station.name == *attachment.name
                && attachment.link_local.contains(&station.address)
                && !station.listener.is_finished()
        };
        if self.stations.get(&index).is_some_and(|station| !fits(station)) {
            self.close_station(index).await;
        }
        match self.open(attachment).await {
            Ok(()) => {
                self.refused.remove(&index);
                Standing::Active
            }
            Err(error) => {
                if self.refused.insert(index) {
                    let interface = &attachment.name;
                    warn!(interface, error, "nodes cannot be looked for on an interface");
                }
                self.close_station(index).await;
                Standing::Failed
            }
        }
    }

    async fn open(&mut self, attachment: &Attachment) -> Result<(), String> {
        let index = attachment.index;
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => BeaconSocket::open().map_err(|error| format!("no socket: {error}"))?,
        };
        let socket = self.socket.insert(socket);
        socket.join(index).map_err(|error| format!("the group cannot be joined: {error}"))?;
        if self.stations.contains_key(&index) {
            return Ok(());
        }
        let mut failure = "no address".to_owned();
        for address in &attachment.link_local {
            match self.listen(attachment, *address).await {
                Ok(station) => {
                    info!(interface = attachment.name, "looking for nodes on the local network");
                    self.stations.insert(index, station);
                    return Ok(());
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn listen(&self, attachment: &Attachment, address: Ipv6Addr) -> Result<Station, String> {
        let zone = zone(attachment);
        let port = self.settings.listen_port;
        let uri = format!("tls://[{address}%25{zone}]:{port}?{}", self.options());
        let uri: ListenUri = uri.parse().map_err(|error: UriError| error.to_string())?;
        let listener = Listener::bind(uri).await.map_err(|error| error.to_string())?;
        let port = listener.address().map_or(0, |address| address.port());
        let name: Arc<str> = attachment.name.as_str().into();
        let door = Door {
            ends: Arc::clone(&self.ends),
            shared: Arc::clone(&self.shared),
            interface: attachment.index,
            name: Arc::clone(&name),
        };
        let (stop, stopped) = oneshot::channel();
        // Whoever is on the same link may come in; the list of keys is for other listeners.
        let local = self.ends.local.open_to_all();
        let admission = self.admission.clone();
        let served = listener.serve(local, admission, Arc::new(door), stopped);
        Ok(Station {
            name,
            zone,
            address,
            port,
            stop,
            listener: tokio::spawn(served),
            last_beacon: None,
            pause: Duration::ZERO,
            gate: Gate::new(),
        })
    }

    async fn close_station(&mut self, index: Index) {
        let Some(station) = self.stations.remove(&index) else { return };
        if let Some(socket) = &self.socket {
            socket.leave(index);
        }
        info!(interface = %station.name, "no longer looking for nodes on the local network");
        station.close().await;
    }

    /// The options of links, as a query.
    fn options(&self) -> String {
        let mut query = format!("priority={}", self.settings.priority);
        let password = self.settings.password.as_bytes();
        if !password.is_empty() {
            query.push_str("&password=");
            for byte in password {
                // A string takes everything.
                let _ = write!(query, "%{byte:02x}");
            }
        }
        query
    }

    async fn send_beacons(&mut self) {
        let Some(socket) = &self.socket else { return };
        let now = Instant::now();
        for (index, station) in &mut self.stations {
            if station.next_beacon().is_some_and(|due| due > now) {
                continue;
            }
            station.last_beacon = Some(now);
            station.pause = (station.pause + BEACON_PAUSE_STEP).min(BEACON_PAUSE_MAX);
            let beacon = Beacon { key: self.ends.local.key(), port: station.port };
            // A password that is too long did not become one.
            let Ok(datagram) = beacon.emit(self.settings.password.as_bytes()) else { continue };
            if let Err(error) = socket.send(&datagram, *index).await {
                debug!(interface = %station.name, %error, "a beacon was not sent");
            }
        }
    }

    /// After a loss both ends say at once that they are there.
    fn hurry_after_losses(&mut self) {
        let lost = self.shared.crowd.lock().take_lost();
        for index in lost {
            if let Some(station) = self.stations.get_mut(&index) {
                station.pause = Duration::ZERO;
                let soon = station.last_beacon.map_or(self.start, |last| last + CYCLE_MIN);
                self.next_cycle = self.next_cycle.min(soon);
            }
        }
    }

    /// Takes in a datagram from anybody on a link. Returns whether it meant something.
    fn hear(&mut self, datagram: &[u8], from: SocketAddrV6) -> bool {
        let index = from.scope_id();
        let Some(station) = self.stations.get_mut(&index) else { return false };
        let Ok(claim) = Beacon::claim(datagram) else { return false };
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.start).as_micros();
        let moment = Moment::START + Span::from_micros(elapsed as u64);
        let is_known = self.shared.crowd.lock().knows(index, &claim.key);
        let is_own = claim.key == self.ends.local.key();
        if is_own || !station.gate.admits(*from.ip(), is_known, moment) {
            return false;
        }
        match Beacon::parse(datagram, self.settings.password.as_bytes()) {
            Ok(Beacon { key, port }) => {
                let at = SocketAddrV6::new(*from.ip(), port, 0, index);
                self.shared.crowd.lock().hear(index, key, at, now);
                true
            }
            Err(error) => {
                debug!(interface = %station.name, %error, "ignored a beacon");
                false
            }
        }
    }

    /// Dials whom the crowd wants.
    fn dial(&mut self) {
        let now = Instant::now();
        let pick = |below: usize| (chance() * below as f64) as usize;
        let (dials, due) = self.shared.crowd.lock().wanted(now, pick);
        self.next_dial = due;
        for Dial { seat, key, at, close } in dials {
            let seat = Seat { shared: Arc::clone(&self.shared), id: seat, close };
            let Some(station) = self.stations.get(&at.scope_id()) else { continue };
            let (ip, port) = (at.ip(), at.port());
            let uri =
                format!("tls://[{ip}%25{}]:{port}?key={key}&{}", station.zone, self.options());
            let Ok(uri) = uri.parse::<PeerUri>() else { continue };
            let (ends, name) = (Arc::clone(&self.ends), Arc::clone(&station.name));
            let told = Arc::clone(&self.told);
            self.links.spawn(async move { follow(&ends, &uri, &name, &seat, &told).await });
        }
    }
}

/// Dials a node that was found, and serves the link to its end.
async fn follow<S: LinkSink>(
    ends: &Ends<S>,
    uri: &PeerUri,
    name: &Arc<str>,
    seat: &Seat,
    told: &Told,
) {
    let opened = tokio::select! {
        opened = open(&ends.local, uri, None) => opened,
        () = seat.close.notified() => return,
    };
    let link = match opened {
        Ok(link) => link,
        Err(error) => {
            debug!(peer = %uri, reason = error.code(), "cannot link to a node that was found");
            return;
        }
    };
    seat.shared.crowd.lock().came_up(seat.id, Instant::now());
    seat.shared.moved.notify_one();
    let is_told = told.allows(Instant::now());
    if is_told {
        info!(interface = %name, "link to a node of the local network up");
    }
    let link = Established { found_on: Some(name.to_string()), ..link };
    let end = serve(ends, link, seat).await;
    if is_told {
        info!(interface = %name, reason = %end.message, "link to a node of the local network down");
    }
}

/// Serves a link until it ends or its seat is wanted.
async fn serve<S: LinkSink>(ends: &Ends<S>, link: Established, seat: &Seat) -> LinkEnd {
    tokio::select! {
        end = ends.sink.run(link) => end,
        () = seat.close.notified() => LinkEnd {
            code: "lan_surplus",
            message: "one link less over the local network".into(),
        },
    }
}

impl<S: LinkSink> LinkSink for Door<S> {
    fn run(&self, link: Established) -> impl Future<Output = LinkEnd> + Send {
        let admitted = self.shared.crowd.lock().admit(self.interface, link.peer, Instant::now());
        let seat = admitted.map(|(id, close)| Seat { shared: Arc::clone(&self.shared), id, close });
        async move {
            let Some(seat) = seat else {
                let message = "there are enough links over the local network".into();
                return LinkEnd { code: "lan_full", message };
            };
            let link = Established { found_on: Some(self.name.to_string()), ..link };
            serve(&self.ends, link, &seat).await
        }
    }
}

impl Station {
    /// When the next beacon is due; `None` for at once.
    fn next_beacon(&self) -> Option<Instant> {
        self.last_beacon.map(|last| last + self.pause)
    }

    async fn close(self) {
        drop(self.stop);
        // The task does not panic, and nobody else cancels it.
        let _ = self.listener.await;
    }
}

/// How much the log may tell.
struct Told {
    start: Instant,
    limit: Mutex<RateLimiter>,
}

impl Told {
    fn new(start: Instant) -> Self {
        Self { start, limit: Mutex::new(RateLimiter::new(TOLD_RATE, Moment::START)) }
    }

    fn allows(&self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.start).as_micros();
        self.limit.lock().allow(Moment::START + Span::from_micros(elapsed as u64))
    }
}

async fn receive(
    socket: Option<&BeaconSocket>,
    datagram: &mut [u8],
) -> std::io::Result<(usize, SocketAddrV6)> {
    match socket {
        Some(socket) => socket.receive(datagram).await,
        None => future::pending().await,
    }
}

/// How an interface is written in an address: by its name, or by its number where names have
/// characters that no URI has.
fn zone(attachment: &Attachment) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:@".contains(&byte);
    match cfg!(unix) && attachment.name.bytes().all(is_plain) {
        true => attachment.name.clone(),
        false => attachment.index.to_string(),
    }
}

/// A number from 0 to less than 1, by chance; nothing depends on it but the spreading of load.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without the system's random numbers there is no spread, which does no harm.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_ne_bytes(bytes)) / 4_294_967_296.0
}
