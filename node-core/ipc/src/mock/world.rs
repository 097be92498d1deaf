//! The network around the mock service, and the answers that come from it.
//!
//! ```text
//!  root ─┬─ 7 backbone ─┬─ 3 frankfurt ── 12 SELF ─┬─ 4 neighbour
//!        │              │                          └─ 6 workshop (on the local network)
//!        │              └─ 9 ── 2 library (path, session)
//!        ├─ 22 reykjavik ── 5 tokyo
//!        └─ 31 ── 4 ── 4 ── 1 lighthouse (path; loses every third echo)
//! ```

use std::net::Ipv6Addr;

use super::circles::{Circles, Here};
use super::explore::Explorations;
use super::friends::Friends;
use super::peer::{Outage, Peer, Phase, milliseconds, scatter};
use super::public::Jobs;
use super::roads::Roads;
use super::settings;
use crate::circles::{Names, NamesState};
use crate::error::{ApiError, ErrorCode};
use crate::friends::{Access, Audience, Dropped, FriendChange};
use crate::health::{DoctorReport, HealthItem, Severity};
use crate::identity::{Identity, NodeKey, Subnet, Target, UnixTime};
use crate::message::{Reply, Request};
use crate::releases::Releases;
use crate::report::{
    Cipher, Hop, NextHop, PathReport, PingReply, PingReport, SessionReport, SessionState,
};
use crate::settings::{SessionsSetting, Settings};
use crate::status::{
    Direction, ListenerStatus, PeerEntry, PeerSource, PeerStatus, State, Status, TunStatus,
    public_uri,
};
use crate::topology::{Edge, EdgeKind, Node, Role, Topology};

/// Time of second 0: 2026-01-01 00:00 UTC.
pub(super) const EPOCH: u64 = 1_767_225_600;

/// What names of the network end with.
pub(super) const SUFFIX: &str = "pln.internal";

pub(super) const SCHEMES: &[&str] =
    &["tcp", "tls", "quic", "ws", "wss", "unix", "socks", "sockstls"];

#[derive(Debug)]
pub(super) struct World {
    /// Seconds since the service started.
    second: u64,
    /// Second in which the node was last switched, and whether on.
    switched: u64,
    pub(super) on: bool,
    next_link: u64,
    peers: Vec<Peer>,
    places: Vec<Place>,
    /// Tests of peers that were started.
    pub(super) jobs: Jobs,
    friends: Friends,
    circles: Circles,
    pub(super) roads: Roads,
    pub(super) settings: Settings,
    pub(super) explored: Explorations,
}

/// A node and where it sits in the tree.
#[derive(Debug)]
struct Place {
    key: NodeKey,
    /// Index of the parent; the root's is its own.
    parent: usize,
    port: u64,
    /// What is known of it beside its place.
    role: Option<Role>,
    /// Round trip through the network in microseconds.
    latency_us: u64,
    lossy: bool,
}

// Indices into `World::places`.
const ROOT: usize = 0;
const BACKBONE: usize = 1;
const FRANKFURT: usize = 2;
const SELF: usize = 3;
const REYKJAVIK: usize = 4;
const TOKYO: usize = 5;
const NEIGHBOUR: usize = 6;
const LIBRARY: usize = 8;
pub(super) const LIGHTHOUSE: usize = 11;
const WORKSHOP: usize = 13;

impl World {
    pub(super) fn new() -> Self {
        let places = places();
        let peers = peers(&places);
        let next_link = peers.len() as u64 + 1;
        let jobs = Jobs::default();
        let key = |index: usize| places[index].key;
        let blocked = made_up_key(0x666);
        let friends = Friends::new(key(LIBRARY), key(LIGHTHOUSE), blocked, EPOCH);
        let circles = Circles::new(key(SELF), key(LIBRARY), key(LIGHTHOUSE), EPOCH);
        Self {
            second: 0,
            switched: 0,
            on: true,
            next_link,
            peers,
            places,
            jobs,
            friends,
            circles,
            settings: settings::fresh(),
            roads: Roads::default(),
            explored: Explorations::default(),
        }
    }

    pub(super) fn tick(&mut self) {
        self.second += 1;
        if self.on {
            let age = self.age();
            self.peers.iter_mut().for_each(|peer| peer.tick(age));
            self.circles.tick(self.here());
            self.roads.tick();
        }
    }

    /// Seconds since the node was switched on.
    pub(super) fn age(&self) -> u64 {
        self.second - self.switched
    }

    /// Seconds since the service was started.
    pub(super) fn age_of_service(&self) -> u64 {
        self.second
    }

    pub(super) fn now(&self) -> UnixTime {
        UnixTime(EPOCH + self.second)
    }

    fn peer_statuses(&self) -> Vec<PeerStatus> {
        let epoch = EPOCH + self.switched;
        let found = |peer: &&Peer| peer.source != PeerSource::Lan || self.settings.lan;
        self.peers
            .iter()
            .filter(found)
            .map(|peer| peer.status(self.age(), epoch, self.on))
            .collect()
    }

    fn links_up(&self) -> usize {
        let up = |peer: &&Peer| matches!(peer.phase(self.age()), Phase::Up { .. });
        if self.on { self.peers.iter().filter(up).count() } else { 0 }
    }

    /// Index of the parent in the tree, once there is one: Frankfurt, or Reykjavik while that is
    /// gone.
    fn parent(&self) -> Option<usize> {
        let up = |index: usize| {
            let key = Some(self.places[index].key);
            let peer = self.peers.iter().find(|peer| peer.key == key);
            peer.is_some_and(|peer| matches!(peer.phase(self.age()), Phase::Up { .. }))
        };
        [FRANKFURT, REYKJAVIK].into_iter().find(|&index| self.on && up(index))
    }

    fn coordinates(&self, index: usize) -> Option<Vec<u64>> {
        let mut ports = Vec::new();
        let mut at = index;
        while at != ROOT {
            let place = &self.places[at];
            ports.push(if at == SELF && self.parent() == Some(REYKJAVIK) { 2 } else { place.port });
            at = if at == SELF { self.parent()? } else { place.parent };
        }
        ports.reverse();
        Some(ports)
    }

    fn state(&self) -> (State, Option<&'static str>, u64) {
        match (self.on, self.age(), self.parent()) {
            (false, _, _) => (State::Down, None, self.switched),
            (true, 0, _) => (State::Connecting, Some("asking 4 peers"), self.switched),
            (true, 1, _) => (State::Connecting, Some("finding a place in the tree"), self.switched),
            (true, _, Some(FRANKFURT)) => (State::Connected, None, self.since_parent()),
            (true, _, Some(_)) => (
                State::Degraded,
                Some("the link to the parent is gone; traffic takes a longer way"),
                self.since_parent(),
            ),
            (true, _, None) => (State::Offline, Some("no peer answers"), self.switched),
        }
    }

    /// Second in which the link to Frankfurt last came or went.
    fn since_parent(&self) -> u64 {
        match self.peers.first().map(|peer| peer.phase(self.age())) {
            Some(Phase::Up { since }) => self.switched + since.max(2),
            _ => {
                self.switched + self.age() - self.age() % PARENT_OUTAGE.period
                    + PARENT_OUTAGE.suspect
            }
        }
    }

    pub(super) fn status(&self) -> Status {
        let (state, text, since) = self.state();
        let own = &self.places[SELF];
        let peers = self.peer_statuses();
        let sum = |value: fn(&PeerStatus) -> u64| peers.iter().map(value).sum();
        let settled = self.on && self.age() >= 2;
        Status {
            time: self.now(),
            state,
            state_text: text.map(str::to_owned),
            state_since: UnixTime(EPOCH + since),
            // A proof every five seconds, as a keep-alive would bring it.
            proven_at: settled.then(|| UnixTime(EPOCH + self.second - (self.age() - 2) % 5)),
            key: own.key,
            address: own.address(),
            subnet: own.subnet(),
            coordinates: self.parent().and_then(|_| self.coordinates(SELF)),
            root: self.parent().map(|_| self.places[ROOT].key),
            parent: self.parent().map(|parent| self.places[parent].key),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.second,
            listeners: self.listeners(),
            tun: self.on.then(|| TunStatus { name: "planetary0".into(), mtu: 65_535 }),
            sessions: if settled { 2 } else { 0 },
            paths: if settled { 2 } else { 0 },
            routing_entries: if settled { self.places.len() as u64 } else { u64::from(self.on) },
            rx_bytes: sum(|peer| peer.rx_bytes),
            tx_bytes: sum(|peer| peer.tx_bytes),
            rx_rate: settled.then(|| sum(|peer| peer.rx_rate.unwrap_or(0))),
            tx_rate: settled.then(|| sum(|peer| peer.tx_rate.unwrap_or(0))),
            access: self.access(),
            // A few strangers knock while the node is on.
            dropped: Vec::from_iter(settled.then(|| Dropped {
                reason: "no rule".into(),
                direction: Direction::In,
                packets: 3,
            })),
            health: self.health(&peers),
            topology_revision: self.topology_revision(),
            friends_revision: self.friends.revision,
            circles_revision: self.circles.revision,
            questions: self.circles.questions(&self.friends),
            names: self.names(),
            lan: self.lan(&peers),
            transit: self.transit(),
            gateway: self.gateway(),
            // Nobody asks from here.
            releases: Releases::default(),
            peers,
        }
    }

    fn listeners(&self) -> Vec<ListenerStatus> {
        let listen = self.settings.listen.iter();
        let status =
            |uri: &String| ListenerStatus { uri: uri.clone(), up: self.on, last_error: None };
        listen.map(status).collect()
    }

    /// Who may reach this computer, by its settings and its friends.
    fn access(&self) -> Access {
        let mut access = self.friends.access(self.now().0);
        self.circles.fill(&mut access, self.places[SELF].key);
        access.inbound = self.settings.inbound;
        access.echo = self.settings.echo;
        access.sessions = match self.settings.sessions {
            SessionsSetting::Circles => Audience::Circles,
            SessionsSetting::Everyone => Audience::Everyone,
            SessionsSetting::Auto if access.inbound == Audience::Everyone => Audience::Everyone,
            SessionsSetting::Auto if access.echo == Audience::Everyone => Audience::Everyone,
            SessionsSetting::Auto => access.sessions,
        };
        access
    }

    /// Counts what happened: each peer that came or went, each change of parent.
    fn topology_revision(&self) -> u64 {
        let links = self.links_up() as u64;
        self.switched * 1_000 + self.age() / 60 * 16 + links + self.explored.revision()
    }

    fn health(&self, peers: &[PeerStatus]) -> Vec<HealthItem> {
        if !self.on {
            return Vec::new();
        }
        let lost = peers.iter().filter(|peer| !peer.up && peer.direction == Direction::Out);
        lost.filter_map(|peer| {
            let error = peer.last_error.as_ref()?;
            Some(HealthItem {
                code: "peer_down".into(),
                title: "A peer does not answer".into(),
                severity: Severity::Warning,
                text: format!("{} cannot be reached: {}.", peer.uri, error.message),
                since: Some(error.at),
                affects_connectivity: false,
                action: Some(format!(
                    "Check the address, or remove it: planetary peer remove {}",
                    peer.uri
                )),
            })
        })
        .collect()
    }

    pub(super) fn doctor(&self) -> DoctorReport {
        let good = |code: &'static str, title: &str, text: String| HealthItem {
            code: code.into(),
            title: title.into(),
            severity: Severity::Ok,
            text,
            since: None,
            affects_connectivity: false,
            action: None,
        };
        let status = self.status();
        let up = self.links_up();
        let mut items = vec![
            good(
                "service",
                "The service runs",
                format!(
                    "planetaryd {} has been running as planetary for {} seconds.",
                    status.version, status.uptime_s
                ),
            ),
            good("identity", "The node has its key", format!("Its address is {}.", status.address)),
        ];
        if !self.on {
            items.push(HealthItem {
                code: "down".into(),
                title: "The node is switched off".into(),
                severity: Severity::Info,
                text: "Somebody switched it off: it has no links and no interface.".into(),
                since: None,
                affects_connectivity: false,
                action: Some("Switch it on with `planetary up`.".into()),
            });
            return DoctorReport { time: self.now(), items };
        }
        items.extend([
            good(
                "tun",
                "The network interface is there",
                "It is planetary0, MTU 65535. It is up, has its address, and packets to the \
                 network go through it."
                    .into(),
            ),
            good(
                "rights",
                "The service has the rights that it needs",
                "It can open the network interface whenever it has to.".into(),
            ),
            good(
                "alone",
                "Nothing else uses the addresses of this network",
                "No other interface or route is in 200::/7.".into(),
            ),
            good("peers", "Peers are connected", format!("{up} of {} links up.", self.peers.len())),
            good(
                "clock",
                "Nothing speaks against the clock",
                "It agrees with the middle of what 12 nodes of the network say.".into(),
            ),
        ]);
        items.extend(status.health);
        DoctorReport { time: self.now(), items }
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity_of(self.places[SELF].key)
    }

    /// The identity that this node has with that key.
    pub(super) fn identity_of(&self, key: NodeKey) -> Identity {
        Identity {
            key,
            address: address_of(key),
            subnet: subnet_of(key),
            file: Some("/var/lib/planetary/identity.pem".into()),
        }
    }

    /// Gives this node another key.
    pub(super) fn become_key(&mut self, key: NodeKey) {
        self.places[SELF].key = key;
    }

    pub(super) fn switch(&mut self, on: bool) -> Status {
        if self.on != on {
            self.on = on;
            self.switched = self.second;
        }
        self.status()
    }

    pub(super) fn add_peer(
        &mut self,
        uri: &str,
        interface: Option<String>,
    ) -> Result<PeerEntry, ApiError> {
        let shown = public_uri(uri);
        let scheme = uri.split_once("://").filter(|(_, rest)| !rest.is_empty());
        if !scheme.is_some_and(|(scheme, _)| SCHEMES.contains(&scheme)) {
            let text = format!("`{shown}` is not the URI of a peer");
            return Err(ApiError::new(ErrorCode::InvalidUri, text));
        }
        if self.find_peer(&shown, interface.as_deref()).is_some() {
            let text = format!("the peer {shown} is configured already");
            return Err(ApiError::new(ErrorCode::PeerExists, text));
        }
        let link = self.next_link;
        self.next_link += 1;
        let key = made_up_key(0x100 + link);
        self.peers.push(Peer {
            link,
            uri: uri.to_owned(),
            interface: interface.clone(),
            direction: Direction::Out,
            source: PeerSource::Config,
            key: Some(key),
            address: Some(address_of(key)),
            port: 40 + link,
            latency_us: 30_000,
            first_up: Some(self.age() + 1),
            outage: None,
            paused: false,
            rx_bytes: 0,
            tx_bytes: 0,
        });
        Ok(PeerEntry { uri: shown, interface, persistent: true, argument: false })
    }

    pub(super) fn remove_peer(
        &mut self,
        uri: &str,
        interface: Option<String>,
    ) -> Result<PeerEntry, ApiError> {
        let shown = public_uri(uri);
        let Some(index) = self.find_peer(&shown, interface.as_deref()) else {
            let text = format!("no peer {shown} is configured");
            return Err(ApiError::new(ErrorCode::PeerNotFound, text));
        };
        let peer = self.peers.remove(index);
        let persistent = peer.source != PeerSource::Argument;
        let argument = peer.source == PeerSource::Argument;
        Ok(PeerEntry { uri: shown, interface: peer.interface, persistent, argument })
    }

    /// Adds a peer as one that was chosen.
    pub(super) fn add_chosen(&mut self, uri: &str) -> Result<PeerEntry, ApiError> {
        let entry = self.add_peer(uri, None)?;
        if let Some(peer) = self.peers.last_mut() {
            peer.source = PeerSource::Chosen;
        }
        Ok(entry)
    }

    pub(super) fn pause_peer(
        &mut self,
        uri: &str,
        interface: Option<&str>,
        paused: bool,
    ) -> Result<PeerEntry, ApiError> {
        let shown = public_uri(uri);
        let Some(index) = self.find_peer(&shown, interface) else {
            let text = format!("{shown} is not a peer");
            return Err(ApiError::new(ErrorCode::PeerNotFound, text));
        };
        let peer = &mut self.peers[index];
        peer.paused = paused;
        let argument = peer.source == PeerSource::Argument;
        let interface = peer.interface.clone();
        Ok(PeerEntry { uri: shown, interface, persistent: !argument, argument })
    }

    /// Where the peers that are dialled are.
    pub(super) fn uris(&self) -> Vec<String> {
        let dialled = self.peers.iter().filter(|peer| peer.direction == Direction::Out);
        dialled.map(|peer| peer.uri.clone()).collect()
    }

    /// Round trip to a peer in milliseconds; 0 for one that never answers, `None` for none of ours.
    pub(super) fn latency_of(&self, shown: &str) -> Option<f64> {
        let peer = &self.peers[self.find_peer(shown, None)?];
        Some(peer.first_up.map_or(0.0, |_| milliseconds(peer.latency_us)))
    }

    /// Answers what is about circles, invites, questions and visits.
    pub(super) fn answer_about_circles(&mut self, request: Request) -> Result<Reply, ApiError> {
        let here = self.here();
        let reply = self.circles.answer(request, here, &mut self.friends)?;
        Ok(reply.unwrap_or_else(|| Reply::Status(Box::new(self.status()))))
    }

    fn here(&self) -> Here {
        Here { own: self.places[SELF].key, now: self.now().0 }
    }

    /// How names are answered: by the interface, while there is one.
    fn names(&self) -> Names {
        if !self.on || !self.settings.names {
            return Names { suffix: SUFFIX.to_owned(), ..Names::default() };
        }
        let prefix = self.places[SELF].subnet().prefix();
        Names {
            state: NamesState::Wired,
            suffix: SUFFIX.to_owned(),
            server: Some(Ipv6Addr::from_bits(prefix.to_bits() | 0x53)),
            resolver: Some("systemd-resolved".to_owned()),
            hint: None,
        }
    }

    pub(super) fn answer_about_friends(&mut self, request: Request) -> Result<Reply, ApiError> {
        let (now, own) = (self.now().0, self.places[SELF].key);
        let friends = &mut self.friends;
        Ok(match request {
            Request::FriendList { after } => Reply::Friends(friends.list(after, now)),
            Request::FriendBlocked { after } => Reply::BlockedKeys(friends.blocked(after, now)),
            Request::FriendAdd { who, name, echo, services, notes } => {
                let change = FriendChange {
                    echo,
                    allow: services,
                    notes: Some(notes),
                    ..FriendChange::default()
                };
                let key = self.key_of(who)?;
                Reply::Friend(self.friends.add(key, own, name, change, now)?)
            }
            Request::FriendRemove { key } => Reply::Friend(friends.remove(key)?),
            Request::FriendChange { key, change } => Reply::Friend(friends.change(key, change)?),
            Request::FriendBlock { key, name, notes } => {
                Reply::BlockedKey(friends.block(key, name, notes, now))
            }
            Request::FriendUnblock { key } => Reply::BlockedKey(friends.unblock(key)?),
            Request::FriendImport { book, .. } => Reply::Imported(friends.import(book, own, now)),
            Request::OpenChange { allow, deny } => {
                Reply::Open { everyone: friends.open(&allow, &deny)? }
            }
            Request::Share { name, peers } => Reply::Shared(friends.share(own, name, peers, now)?),
            Request::Pause { for_s } => {
                friends.pause(for_s, now);
                Reply::Status(Box::new(self.status()))
            }
            Request::Resume => {
                friends.resume();
                Reply::Status(Box::new(self.status()))
            }
            other => {
                let text = format!("`{}` is no question about friends", other.name());
                return Err(ApiError::new(ErrorCode::Internal, text));
            }
        })
    }

    /// Key, address and round trip in milliseconds of a node, and the keys around it.
    pub(super) fn neighbourhood(&self, index: usize) -> (NodeKey, Ipv6Addr, f64, Vec<NodeKey>) {
        let place = &self.places[index];
        let above = (index != ROOT).then_some(place.parent);
        let below =
            (0..self.places.len()).filter(|&at| at != ROOT && self.places[at].parent == index);
        let around = above.into_iter().chain(below).map(|at| self.places[at].key).collect();
        (place.key, place.address(), milliseconds(place.latency_us), around)
    }

    /// The key of a target, asked of the network for an address.
    fn key_of(&self, target: Target) -> Result<NodeKey, ApiError> {
        match target {
            Target::Key(key) => Ok(key),
            Target::Address(_) => Ok(self.path(target)?.key),
        }
    }

    fn find_peer(&self, shown: &str, interface: Option<&str>) -> Option<usize> {
        self.peers.iter().position(|peer| {
            peer.direction == Direction::Out
                && public_uri(&peer.uri) == shown
                && peer.interface.as_deref() == interface
        })
    }

    /// Finds the node that answers for a target.
    pub(super) fn find(&self, target: Target) -> Option<usize> {
        self.places.iter().position(|place| match target {
            Target::Key(key) => key == place.key,
            Target::Address(address) => {
                address == place.address() || Subnet::containing(address) == place.subnet()
            }
        })
    }

    pub(super) fn up(&self) -> Result<(), ApiError> {
        if self.on {
            return Ok(());
        }
        Err(ApiError::new(ErrorCode::NodeDown, "the node is switched off"))
    }

    pub(super) fn path(&self, target: Target) -> Result<PathReport, ApiError> {
        self.up()?;
        let index = self.find(target).ok_or_else(|| {
            ApiError::new(ErrorCode::Unreachable, format!("no node answered for {target}"))
        })?;
        let place = &self.places[index];
        let (own, coordinates) = (self.coordinates(SELF), self.coordinates(index));
        let hops = self.hops(index);
        let distance = own.zip(coordinates.clone()).map(|(from, to)| {
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            (from.len() + to.len() - 2 * shared) as u64
        });
        let open = place.role == Some(Role::Session);
        Ok(PathReport {
            target,
            key: place.key,
            address: place.address(),
            coordinates,
            distance,
            next_hops: self.next_hops(index),
            session: SessionReport {
                state: if open { SessionState::Established } else { SessionState::None },
                rx_bytes: open.then_some(SESSION_RX_BYTES),
                tx_bytes: open.then_some(SESSION_TX_BYTES),
                uptime_s: open.then_some(self.age()),
                cipher: open.then_some(Cipher::Aes256Gcm),
            },
            age_s: matches!(place.role, Some(Role::Path | Role::Session)).then(|| self.age() % 60),
            hops,
        })
    }

    /// The peer that packets to a node with a path or a session leave through.
    fn via(&self, index: usize) -> Option<NodeKey> {
        let role = self.places[index].role?;
        match role {
            Role::Peer => Some(self.places[index].key),
            Role::Path | Role::Session => self.parent().map(|parent| self.places[parent].key),
            Role::Myself | Role::Ancestor | Role::Explored => None,
        }
    }

    /// The way over the parent, or straight to a peer, and from there over the tree.
    fn hops(&self, index: usize) -> Vec<Hop> {
        let hop = |index: usize| {
            let place = &self.places[index];
            let (key, address) = (Some(place.key), Some(place.address()));
            Hop { key, address, coordinates: self.coordinates(index) }
        };
        let is_peer = self.places[index].role == Some(Role::Peer);
        let first = if is_peer { Some(index) } else { self.parent() };
        let Some(first) = first else { return Vec::new() };
        if index == SELF {
            return vec![hop(SELF)];
        }
        let up = |index: usize| {
            let above = |&at: &usize| (at != ROOT).then(|| self.places[at].parent);
            std::iter::successors(Some(index), above).collect::<Vec<_>>()
        };
        let (from, to) = (up(first), up(index));
        let Some(top) = from.iter().copied().find(|at| to.contains(at)) else {
            return Vec::new();
        };
        let down = to.iter().copied().take_while(|at| *at != top).collect::<Vec<_>>();
        let rise = from.into_iter().take_while(|at| *at != top);
        let way = rise.chain([top]).chain(down.into_iter().rev());
        std::iter::once(SELF).chain(way).map(hop).collect()
    }

    fn next_hops(&self, index: usize) -> Vec<NextHop> {
        if index == SELF {
            return Vec::new();
        }
        let first =
            if self.places[index].role == Some(Role::Peer) { Some(index) } else { self.parent() };
        let key = first.map(|first| self.places[first].key);
        let mut up: Vec<_> = self.peer_statuses().into_iter().filter(|peer| peer.up).collect();
        up.sort_by_key(|peer| (peer.key != key, peer.cost));
        let hop = |peer: PeerStatus| {
            Some(NextHop {
                key: peer.key?,
                address: peer.address?,
                uri: peer.uri,
                port: peer.port?,
                latency_ms: peer.latency_ms,
            })
        };
        up.into_iter().filter_map(hop).take(2).collect()
    }

    pub(super) fn ping(&self, target: Target, count: u32) -> Result<PingReport, ApiError> {
        self.up()?;
        let index = self.find(target);
        let place = index.map(|index| &self.places[index]);
        let address = match (target, place) {
            (Target::Address(address), _) => address,
            (Target::Key(_), Some(place)) => place.address(),
            (Target::Key(key), None) => address_of(key),
        };
        let reply = |seq: u32| {
            let moment = self.second + u64::from(seq);
            let answered = place.filter(|place| !(place.lossy && moment.is_multiple_of(3)));
            let rtt = answered.map(|place| {
                let us = place.latency_us;
                milliseconds(us + scatter(us, moment) % (us / 8 + 1))
            });
            PingReply { seq, rtt_ms: rtt }
        };
        let replies = (1..=count).map(reply).collect();
        Ok(PingReport::new(target, address, place.map(|place| place.key), replies))
    }

    pub(super) fn topology(&self) -> Topology {
        let revision = self.topology_revision();
        let mut whole = Topology { revision, page: 0, pages: 1, ..Topology::default() };
        let own = &self.places[SELF];
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        order.sort_by_key(|&index| (index != SELF, index));
        for index in order {
            let place = &self.places[index];
            let parent = if index == SELF { self.parent() } else { Some(place.parent) };
            let roles = self.roles(index);
            if roles.is_empty() || (index != SELF && (!self.on || self.age() < 2)) {
                continue;
            }
            let is_open = roles.contains(&Role::Session);
            let direct = roles.contains(&Role::Peer);
            whole.nodes.push(Node {
                parent: parent.map(|parent| self.places[parent].key),
                port: parent.map(|_| place.port),
                coordinates: self.parent().and_then(|_| self.coordinates(index)),
                sequence: parent.map(|_| EPOCH + self.switched),
                name: self.friends.name_of(place.key),
                direct,
                latency_ms: direct.then(|| milliseconds(place.latency_us)),
                rx_bytes: is_open.then_some(SESSION_RX_BYTES),
                tx_bytes: is_open.then_some(SESSION_TX_BYTES),
                via: self.via(index),
                roles,
                ..Node::new(place.key, place.address())
            });
            if let Some(parent) = parent.filter(|&parent| parent != index) {
                whole.edges.push(edge(place.key, self.places[parent].key, EdgeKind::Tree, None));
            }
            let latency = milliseconds(place.latency_us);
            match place.role {
                Some(Role::Path) => {
                    whole.edges.push(edge(own.key, place.key, EdgeKind::Path, None));
                }
                Some(Role::Session) => {
                    let latency = Some(latency);
                    whole.edges.push(edge(own.key, place.key, EdgeKind::Session, latency));
                }
                _ => {}
            }
        }
        for peer in self.peer_statuses().iter().filter(|peer| peer.up) {
            if let Some(key) = peer.key {
                whole.edges.push(edge(own.key, key, EdgeKind::Peer, peer.latency_ms));
            }
        }
        self.explored.draw(&mut whole, self.second);
        whole
    }

    fn roles(&self, index: usize) -> Vec<Role> {
        let mut roles = Vec::new();
        if index == SELF {
            roles.push(Role::Myself);
        }
        let key = Some(self.places[index].key);
        if self.peer_statuses().iter().any(|peer| peer.up && peer.key == key) {
            roles.push(Role::Peer);
        }
        if index != SELF && self.places.iter().any(|place| place.parent == index) {
            roles.push(Role::Ancestor);
        }
        match self.places[index].role {
            Some(Role::Session) => roles.extend([Role::Path, Role::Session]),
            Some(Role::Path) => roles.push(Role::Path),
            _ => {}
        }
        roles
    }
}

impl Place {
    fn address(&self) -> Ipv6Addr {
        address_of(self.key)
    }

    fn subnet(&self) -> Subnet {
        subnet_of(self.key)
    }
}

fn edge(from: NodeKey, to: NodeKey, kind: EdgeKind, latency_ms: Option<f64>) -> Edge {
    Edge { from, to, kind, latency_ms }
}

/// The nodes of the drawing above, at their indices.
fn places() -> Vec<Place> {
    let place = |index: u64, parent, port, role, latency_us| Place {
        key: made_up_key(index),
        parent,
        port,
        role,
        latency_us,
        lossy: false,
    };
    let mut places = vec![
        place(0, ROOT, 0, None, 61_000),
        place(1, ROOT, 7, None, 24_000),
        place(2, BACKBONE, 3, Some(Role::Peer), 18_000),
        place(3, FRANKFURT, 12, Some(Role::Myself), 40),
        place(4, ROOT, 22, Some(Role::Peer), 43_000),
        place(5, REYKJAVIK, 5, Some(Role::Peer), 231_000),
        place(6, SELF, 4, Some(Role::Peer), 600),
        place(7, BACKBONE, 9, None, 31_000),
        place(8, 7, 2, Some(Role::Session), 35_000),
        place(9, ROOT, 31, None, 80_000),
        place(10, 9, 4, None, 90_000),
        place(11, 12, 1, Some(Role::Path), 140_000),
        place(12, 10, 4, None, 97_000),
        place(13, SELF, 6, Some(Role::Peer), 410),
    ];
    places[LIGHTHOUSE].lossy = true;
    places[NEIGHBOUR].role = Some(Role::Peer);
    places[LIBRARY].role = Some(Role::Session);
    places
}

/// What went through the session with the library.
const SESSION_RX_BYTES: u64 = 1_204_113;
const SESSION_TX_BYTES: u64 = 88_040;

const PARENT_OUTAGE: Outage = Outage { period: 120, suspect: 88, down: 90, up: 100 };

fn peers(places: &[Place]) -> Vec<Peer> {
    let peer = |link, uri: &str, place: Option<usize>, port, first_up, outage| Peer {
        link,
        uri: uri.to_owned(),
        interface: None,
        direction: Direction::Out,
        source: PeerSource::Config,
        key: place.map(|place| places[place].key),
        address: place.map(|place| places[place].address()),
        port,
        latency_us: place.map_or(0, |place| places[place].latency_us),
        first_up,
        outage,
        paused: false,
        rx_bytes: 0,
        tx_bytes: 0,
    };
    let tokyo = Outage { period: 60, suspect: 40, down: 42, up: 50 };
    vec![
        peer(1, "tls://frankfurt.example:443", Some(FRANKFURT), 1, Some(1), Some(PARENT_OUTAGE)),
        peer(2, "tcp://[2001:db8:7::12]:9943", Some(REYKJAVIK), 2, Some(1), None),
        peer(3, "tls://tokyo.example:9001?password=x", Some(TOKYO), 3, Some(3), Some(tokyo)),
        peer(4, "tcp://192.0.2.77:12345", None, 5, None, None),
        Peer {
            source: PeerSource::Lan,
            ..peer(6, "tls://[fe80::3a:7%eth0]:51966", Some(WORKSHOP), 6, Some(2), None)
        },
        Peer {
            direction: Direction::In,
            source: PeerSource::Inbound,
            ..peer(5, "tcp://[fe80::5c:1%eth0]:43210", Some(NEIGHBOUR), 4, Some(4), None)
        },
    ]
}

/// The key of node `number`: this node's is fixed and well known, the others are made up.
pub(super) fn made_up_key(number: u64) -> NodeKey {
    let mut key = [0; 32];
    for (word, chunk) in (0..).zip(key.chunks_exact_mut(8)) {
        chunk.copy_from_slice(&scatter(number + 1, word + 0x5eed).to_be_bytes());
    }
    // Keys of real nodes begin with zeros, the root's with the most.
    key[0] = match number {
        0 => 0,
        _ => key[0] >> (number % 5 + 2) | 1,
    };
    NodeKey(key)
}

/// The address of a key, so that keys and addresses of the mock belong together: the number of
/// leading zero bits, then the inverted bits after the first one.
pub(super) fn address_of(key: NodeKey) -> Ipv6Addr {
    let bit = |index: usize| key.0[index / 8] >> (7 - index % 8) & 1;
    let zeros = (0..256).take_while(|&index| bit(index) == 0).count();
    let mut octets = [0; 16];
    octets[0] = 0x02;
    octets[1] = u8::try_from(zeros).unwrap_or(0);
    for target in 0..112 {
        let source = zeros + 1 + target;
        if source < 256 {
            octets[2 + target / 8] |= (1 - bit(source)) << (7 - target % 8);
        }
    }
    octets.into()
}

/// The subnet of a key: its address with the bit that tells the two apart.
pub(super) fn subnet_of(key: NodeKey) -> Subnet {
    let mut octets = address_of(key).octets();
    octets[0] |= 1;
    Subnet::containing(octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_from_keys() {
        let key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        let address = address_of(key.parse().unwrap());
        assert_eq!(address.to_string(), "206:2f7c:2006:18f7:a0f1:4791:738c:5a1f");
    }

    #[test]
    fn network_settles_loses_its_parent_and_recovers() {
        let mut world = World::new();
        let mut states = vec![world.status().state];
        for _ in 0..110 {
            world.tick();
            let state = world.status().state;
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
        let expected = [State::Connecting, State::Connected, State::Degraded, State::Connected];
        assert_eq!(states, expected);
        assert_eq!(world.status().coordinates, Some(vec![7, 3, 12]));
    }

    #[test]
    fn link_counters_never_run_backwards() {
        let mut world = World::new();
        let mut before = world.status();
        for _ in 0..300 {
            world.tick();
            let status = world.status();
            assert_eq!(status.time.0, before.time.0 + 1);
            for (new, old) in status.peers.iter().zip(&before.peers) {
                assert!(new.rx_bytes >= old.rx_bytes && new.tx_bytes >= old.tx_bytes);
            }
            before = status;
        }
    }
}
