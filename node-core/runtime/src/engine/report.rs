//! What the engine tells of itself: plain values, taken on the control thread in one go.

use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed, time::Duration};

use planetary_circles::{Drops, Sizes};
use planetary_proto::{
    LinkId, Node, NodeKey, forward::Decision, forward::ForwardingTable, forward::WATERMARK_START,
    limits::COORDS_MAX, session::SessionTable, session::Suite, stats::Stats, upper::ipv6::Target,
};

use crate::{
    control::{Control, Wanted},
    data::sessions::Sessions,
    links::Direction,
    tun::Unguarded,
};

/// The node's state at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Coordinates, root side first; empty at the root. `None` while the own ancestry is not
    /// complete.
    pub coords: Option<Vec<u64>>,
    /// Root of the tree that the node belongs to.
    pub root: NodeKey,
    /// The own parent, the own key for a root.
    pub parent: NodeKey,
    /// How long ago something last came back through the overlay, if ever.
    pub proven_ago: Option<Duration>,
    /// All links that are up.
    pub links: Vec<LinkSnapshot>,
    /// Open sessions.
    pub sessions: usize,
    /// Known paths.
    pub paths: usize,
    /// Known tree edges.
    pub infos: usize,
    /// Highest sequence number sent; to be stored.
    pub highest_seq: u64,
    /// Counters of the data half.
    pub counters: Counters,
    /// Packets that the filter did not let pass, by reason, and what it holds.
    pub filtered: (Drops, Sizes),
    /// Counters of the control half.
    pub stats: Stats,
    /// Why neighbours on other interfaces may reach the overlay address past the overlay, if they
    /// may.
    pub unguarded: Option<Unguarded>,
    /// Why the interface is gone, if it is.
    pub tun_lost: Option<String>,
}

/// One link that is up.
#[derive(Clone, Debug)]
pub struct LinkSnapshot {
    /// Number of the link, never used twice.
    pub id: LinkId,
    /// The peer's URI as it may be shown.
    pub uri: String,
    /// Who dialled.
    pub direction: Direction,
    /// The far end's socket address.
    pub remote: Option<SocketAddr>,
    /// The interface on which both ends have found each other, for a link of the local network.
    pub found_on: Option<String>,
    /// The peer.
    pub key: NodeKey,
    /// Our number for the peer.
    pub port: u64,
    /// Smaller is better.
    pub priority: u8,
    /// Milliseconds of smoothed round trip, at least 1; 4294 while unknown.
    pub cost: u64,
    /// Last measured round trip.
    pub round_trip: Option<Duration>,
    /// It owes an answer; nothing is routed over it.
    pub suspect: bool,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Bytes that wait to be sent.
    pub queued: usize,
    /// Age.
    pub uptime: Duration,
}

/// Packets by what became of them, since the start, and what could not be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Read from the interface.
    pub tun_in: u64,
    /// Written to the interface.
    pub tun_out: u64,
    /// Passed on for others.
    pub transit: u64,
    /// Bytes of these, with their headers.
    pub transit_bytes: u64,
    /// Dropped: not IPv6, or with addresses that do not belong here.
    pub drop_invalid: u64,
    /// Dropped: a queue was full or a flow waited too long.
    pub drop_queue: u64,
    /// Dropped: for this machine, which has no interface.
    pub drop_no_tun: u64,
    /// Dropped: nobody was closer to the destination.
    pub drop_stuck: u64,
    /// Dropped: did not open.
    pub drop_session: u64,
    /// Dropped: larger than the interface's MTU.
    pub drop_too_big: u64,
    /// Dropped: IPv6 of guests, who may only say who they are.
    pub drop_guest: u64,
    /// Frames that left as datagrams, beside the stream of a link.
    pub datagrams_out: u64,
    /// Frames that came as datagrams.
    pub datagrams_in: u64,
    /// Messages of other nodes, visits and knocks for which the channel of news had no room.
    pub news_lost: u64,
}

/// A known edge of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeSnapshot {
    /// The child.
    pub key: NodeKey,
    /// Its parent, itself for a root.
    pub parent: NodeKey,
    /// Parent's number for the child.
    pub port: u64,
    /// Version.
    pub seq: u64,
}

/// A known path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSnapshot {
    /// Whose.
    pub key: NodeKey,
    /// Its coordinates.
    pub coords: Vec<u64>,
    /// Its UNIX time in seconds when it answered.
    pub seq: u64,
    /// Age.
    pub age: Duration,
    /// A packet got stuck, and nothing newer is known.
    pub broken: bool,
    /// The neighbour that packets go to; `None` while nobody is closer.
    pub via: Option<NodeKey>,
}

/// An open session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSnapshot {
    /// With whom.
    pub key: NodeKey,
    /// Age.
    pub uptime: Duration,
    /// How long ago a packet last arrived.
    pub heard_ago: Option<Duration>,
    /// Bytes received in it.
    pub rx_bytes: u64,
    /// Bytes sent in it.
    pub tx_bytes: u64,
    /// The cipher of its fast session, if it is used.
    pub fast: Option<Suite>,
}

/// All that the node knows of the network.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The own key.
    pub own: NodeKey,
    /// Known edges, ordered by key.
    pub tree: Vec<TreeSnapshot>,
    /// Neighbours with the round trip of their best link.
    pub peers: Vec<(NodeKey, Option<Duration>)>,
    /// Known paths, ordered by key.
    pub paths: Vec<PathSnapshot>,
    /// Open sessions, ordered by key.
    pub sessions: Vec<SessionSnapshot>,
}

/// Where a key is and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathReport {
    /// The key.
    pub key: NodeKey,
    /// Its coordinates; `None` for a direct peer whose place is not known yet.
    pub coords: Option<Vec<u64>>,
    /// Hops over the tree from here.
    pub distance: Option<u64>,
    /// The neighbour that packets go to, the key itself for a direct peer; `None` while nobody is
    /// closer.
    pub next_hop: Option<NodeKey>,
    /// Whether a session is open.
    pub session: bool,
    /// Its UNIX time when it told its place, unless the tree told it.
    pub seq: Option<u64>,
    /// A packet got stuck, and nothing newer is known.
    pub broken: bool,
}

impl Snapshot {
    pub(super) fn take(control: &mut Control) -> Self {
        let node = &control.node;
        let now = control.data.clock.mono();
        let links = node
            .neighbours()
            .flat_map(|neighbour| {
                let (key, port) = (neighbour.key, neighbour.port);
                neighbour.links.into_iter().map(move |link| (key, port, link))
            })
            .filter_map(|(key, port, link)| {
                let at = control.links.get(link.id)?;
                Some(LinkSnapshot {
                    id: link.id,
                    uri: String::new(),
                    direction: Direction::Outgoing,
                    remote: None,
                    found_on: None,
                    key,
                    port,
                    priority: link.priority,
                    cost: link.cost,
                    round_trip: link.round_trip,
                    suspect: link.suspect,
                    rx_bytes: at.egress.rx_bytes.load(Relaxed),
                    tx_bytes: at.egress.tx_bytes.load(Relaxed),
                    queued: at.egress.queued(),
                    uptime: now.since(at.since),
                })
            })
            .collect();
        let sizes = node.sizes();
        let own = node.key();
        Self {
            coords: node.coords_of(&own).map(|coords| coords.ports().to_vec()),
            root: node.root(),
            parent: node.parent(),
            proven_ago: control.prober.proven_at().map(|at| now.since(at)),
            links,
            sessions: sizes.sessions,
            paths: sizes.paths,
            infos: sizes.infos,
            highest_seq: node.highest_seq(),
            counters: Counters::of(&control.data.counters),
            filtered: control.data.sessions.filtered(),
            stats: *node.stats(),
            unguarded: control
                .data
                .inside
                .load()
                .as_ref()
                .and_then(|inside| inside.tun()?.unguarded().cloned()),
            tun_lost: control.tun_lost.clone(),
        }
    }
}

impl Counters {
    fn of(counters: &crate::data::Counters) -> Self {
        Self {
            tun_in: counters.tun_in.load(Relaxed),
            tun_out: counters.tun_out.load(Relaxed),
            transit: counters.transit.load(Relaxed),
            transit_bytes: counters.transit_bytes.load(Relaxed),
            drop_invalid: counters.drop_invalid.load(Relaxed),
            drop_queue: counters.drop_queue.load(Relaxed),
            drop_no_tun: counters.drop_no_tun.load(Relaxed),
            drop_stuck: counters.drop_stuck.load(Relaxed),
            drop_session: counters.drop_session.load(Relaxed),
            drop_too_big: counters.drop_too_big.load(Relaxed),
            drop_guest: counters.drop_guest.load(Relaxed),
            datagrams_out: counters.datagrams_out.load(Relaxed),
            datagrams_in: counters.datagrams_in.load(Relaxed),
            news_lost: counters.news_lost.load(Relaxed),
        }
    }
}

impl SessionSnapshot {
    /// All open sessions.
    pub(super) fn take(control: &Control) -> Vec<Self> {
        let now = control.data.clock.mono();
        let sessions = control.node.sessions().filter_map(|(key, since)| {
            let session = control.data.sessions.of_key(&key)?;
            let heard = control.data.sessions.last_heard(&key);
            Some(Self {
                key,
                uptime: now.since(since),
                heard_ago: heard.map(|at| now.since(at)),
                rx_bytes: session.rx_bytes.load(Relaxed),
                tx_bytes: session.tx_bytes.load(Relaxed),
                fast: session.fast.suite(),
            })
        });
        sessions.collect()
    }
}

impl Topology {
    pub(super) fn take(control: &mut Control) -> Self {
        let node = &control.node;
        let now = control.data.clock.mono();
        Self {
            own: node.key(),
            tree: node
                .announces()
                .map(|announce| TreeSnapshot {
                    key: announce.edge.node,
                    parent: announce.edge.parent,
                    port: announce.edge.port,
                    seq: announce.edge.request.seq,
                })
                .collect(),
            peers: node
                .neighbours()
                .map(|neighbour| {
                    let best = neighbour.links.iter().min_by_key(|link| (link.priority, link.cost));
                    (neighbour.key, best.and_then(|link| link.round_trip))
                })
                .collect(),
            paths: node
                .paths()
                .map(|(key, path)| PathSnapshot {
                    key: *key,
                    coords: path.coords.ports().to_vec(),
                    seq: path.seq,
                    age: now.since(path.since),
                    broken: path.broken,
                    via: next_hop(node.forwarding_table(), key, path.coords.ports()),
                })
                .collect(),
            sessions: SessionSnapshot::take(control),
        }
    }
}

impl PathReport {
    /// What is known of a key; `None` when it has neither a path nor a link.
    pub(crate) fn of(node: &Node<Sessions>, key: &NodeKey) -> Option<Self> {
        let table = node.forwarding_table();
        let known = node.paths().find(|(at, _)| *at == key).map(|(_, path)| path);
        let direct = table.direct(key).is_some();
        if known.is_none() && !direct && *key != node.key() {
            return None;
        }
        let coords = known.map(|path| path.coords.clone()).or_else(|| node.coords_of(key));
        let hop = coords.as_ref().and_then(|coords| next_hop(table, key, coords.ports()));
        Some(Self {
            key: *key,
            distance: coords.as_ref().map(|coords| coords.distance(table.coords())),
            coords: coords.map(|coords| coords.ports().to_vec()),
            next_hop: if direct { Some(*key) } else { hop },
            session: node.sessions().any(|(at, _)| at == *key),
            seq: known.map(|path| path.seq),
            broken: known.is_some_and(|path| path.broken),
        })
    }

    /// What is known already of what a caller looks for.
    pub(super) fn known(node: &Node<Sessions>, wanted: &Wanted) -> Option<Self> {
        let key = match wanted {
            Wanted::Key(key) => *key,
            Wanted::Target(target) if is_own(node, target) => node.key(),
            Wanted::Target(target) => node.resolve(target)?,
        };
        Self::of(node, &key).filter(|report| !report.broken)
    }
}

/// The neighbour that packets for a key at these coordinates go to.
fn next_hop(table: &ForwardingTable, key: &NodeKey, ports: &[u64]) -> Option<NodeKey> {
    if ports.len() > COORDS_MAX {
        return None;
    }
    match table.decide(key, ports, WATERMARK_START) {
        Decision::Forward { link, .. } => {
            table.hops().iter().find(|hop| hop.link == link).map(|hop| hop.key)
        }
        Decision::Deliver { .. } | Decision::Stuck => None,
    }
}

/// Whether a target is this node's own address or lies in its own subnet.
fn is_own(node: &Node<Sessions>, target: &Target) -> bool {
    let own = node.key();
    [Target::Address(own.address()), Target::Subnet(own.subnet())].contains(target)
}
