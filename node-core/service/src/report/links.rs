//! One entry per link, up or down: numbers that stay, rates, and what is known of a link that is
//! gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use planetary_ipc::{Direction, NodeKey, PeerSource, PeerStatus};
use planetary_proto::LinkId;
use planetary_runtime::links::Direction as Dialled;
use planetary_runtime::links::peers::{PeerId, PeerPhase, PeerStatus as Peer};
use planetary_runtime::{LinkSnapshot, Snapshot};

use super::{Facts, address, milliseconds, peer_error, plain};
use crate::node::WantedPeer;

/// Shortest time over which a rate is taken, a little less than the second between two looks.
const RATE_SPAN_MIN: Duration = Duration::from_millis(900);

/// What is remembered of links from one look to the next.
pub(super) struct Links {
    next_number: u64,
    outbound: BTreeMap<PeerId, Outbound>,
    /// Links that nobody has asked for: incoming ones, and those over the local network.
    unasked: BTreeMap<LinkId, (u64, Meter)>,
    /// Bytes of all connections so far, as far as looks have seen them.
    pub(super) total: Meter,
    counted: BTreeMap<LinkId, (u64, u64)>,
    /// Bytes and packets that were passed on for others, likewise.
    carried: Meter,
    carried_counted: (u64, u64),
}

/// A configured peer.
struct Outbound {
    number: u64,
    connection: Option<LinkId>,
    key: Option<NodeKey>,
    meter: Meter,
}

/// Two counters and their rates: bytes received and sent, or what the field says.
pub(super) struct Meter {
    bytes: (u64, u64),
    sampled: Option<(Instant, (u64, u64))>,
    rates: Option<(u64, u64)>,
}

impl Links {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next_number: 1,
            outbound: BTreeMap::new(),
            unasked: BTreeMap::new(),
            total: Meter::starting(now, (0, 0)),
            counted: BTreeMap::new(),
            carried: Meter::starting(now, (0, 0)),
            carried_counted: (0, 0),
        }
    }

    /// Returns an entry for each link, those that were asked for first.
    pub(super) fn observe(&mut self, facts: &Facts) -> Vec<PeerStatus> {
        let links = facts.snapshot.as_ref().map_or(&[][..], |snapshot| &snapshot.links);
        self.count(facts.now.mono, facts.snapshot.as_ref());
        let is_wanted =
            |link: &&LinkSnapshot| link.direction == Dialled::Outgoing && link.found_on.is_none();
        let mut free: Vec<&LinkSnapshot> = links.iter().filter(is_wanted).collect();

        self.outbound.retain(|id, _| facts.wanted.contains_key(id));
        let mut entries = Vec::with_capacity(facts.wanted.len() + links.len());
        for (id, wanted) in &facts.wanted {
            let peer = facts.peers.iter().find(|peer| peer.id == *id);
            let place = free.iter().position(|link| link.uri == id.uri);
            let link = place.map(|place| free.swap_remove(place));
            entries.push(self.outbound(id, wanted, peer, link, facts.now.mono));
        }

        let unasked = || links.iter().filter(|link| !is_wanted(link));
        let present: BTreeSet<LinkId> = unasked().map(|link| link.id).collect();
        self.unasked.retain(|id, _| present.contains(id));
        for link in unasked() {
            let number = &mut self.next_number;
            let (number, meter) = self.unasked.entry(link.id).or_insert_with(|| {
                (take(number), Meter::starting(facts.now.mono, (link.rx_bytes, link.tx_bytes)))
            });
            meter.see(facts.now.mono, (link.rx_bytes, link.tx_bytes));
            let direction = match link.direction {
                Dialled::Incoming => Direction::In,
                Dialled::Outgoing => Direction::Out,
            };
            let source = match link.found_on {
                Some(_) => PeerSource::Lan,
                None => PeerSource::Inbound,
            };
            let mut entry = entry(*number, &link.uri, link.found_on.clone(), direction, source);
            fill_in(&mut entry, link, meter);
            entries.push(entry);
        }
        entries
    }

    fn outbound(
        &mut self,
        id: &PeerId,
        wanted: &WantedPeer,
        peer: Option<&Peer>,
        link: Option<&LinkSnapshot>,
        now: Instant,
    ) -> PeerStatus {
        let number = &mut self.next_number;
        let known = self.outbound.entry(id.clone()).or_insert_with(|| Outbound {
            number: take(number),
            connection: None,
            key: None,
            meter: Meter::starting(now, (0, 0)),
        });
        let interface = id.interface.clone();
        let mut entry = entry(known.number, &id.uri, interface, Direction::Out, wanted.source);
        entry.priority = wanted.uri.priority();
        entry.paused = wanted.paused;
        if let Some(peer) = peer {
            entry.last_error = peer.last_error.as_ref().map(peer_error);
            if let PeerPhase::Waiting { next_attempt_in } = peer.phase {
                entry.reconnect_in_s = Some(next_attempt_in.as_secs());
            }
        }
        match link {
            Some(link) => {
                let bytes = (link.rx_bytes, link.tx_bytes);
                if known.connection != Some(link.id) {
                    known.connection = Some(link.id);
                    known.meter = Meter::starting(now, (0, 0));
                }
                known.key = Some(plain(&link.key));
                known.meter.see(now, bytes);
                fill_in(&mut entry, link, &known.meter);
                entry.reconnect_in_s = None;
            }
            None => {
                known.connection = None;
                entry.key = known.key;
                entry.address = known
                    .key
                    .map(|key| address(&planetary_proto::identity::NodeKey::from_bytes(key.0)));
                (entry.rx_bytes, entry.tx_bytes) = known.meter.bytes;
            }
        }
        entry
    }

    /// Adds what the connections have carried since the last look.
    fn count(&mut self, now: Instant, snapshot: Option<&Snapshot>) {
        let links = snapshot.map_or(&[][..], |snapshot| &snapshot.links);
        let mut total = self.total.bytes;
        let mut counted = BTreeMap::new();
        for link in links {
            // A number that runs again, in another engine, has carried less than before.
            let before = self.counted.get(&link.id).copied().unwrap_or_default();
            total.0 += link.rx_bytes.checked_sub(before.0).unwrap_or(link.rx_bytes);
            total.1 += link.tx_bytes.checked_sub(before.1).unwrap_or(link.tx_bytes);
            counted.insert(link.id, (link.rx_bytes, link.tx_bytes));
        }
        self.counted = counted;
        self.total.see(now, total);

        let counters =
            snapshot.map(|snapshot| (snapshot.counters.transit_bytes, snapshot.counters.transit));
        let (counted, before) = (counters.unwrap_or_default(), self.carried_counted);
        let more = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let (bytes, packets) = self.carried.bytes;
        let carried = (bytes + more(counted.0, before.0), packets + more(counted.1, before.1));
        self.carried_counted = counted;
        self.carried.see(now, carried);
    }

    /// Bytes that were passed on for others, and how many a second.
    pub(super) fn carried(&self) -> (u64, Option<u64>) {
        (self.carried.bytes.0, self.carried.rates.map(|rates| rates.0))
    }
}

impl Meter {
    fn starting(now: Instant, bytes: (u64, u64)) -> Self {
        Self { bytes, sampled: Some((now, bytes)), rates: None }
    }

    fn see(&mut self, now: Instant, bytes: (u64, u64)) {
        self.bytes = bytes;
        let Some((at, before)) = self.sampled else { return };
        let span = now.saturating_duration_since(at);
        if span >= RATE_SPAN_MIN {
            let rate = |now: u64, before: u64| {
                let micros = span.as_micros().max(1);
                let rate = u128::from(now.saturating_sub(before)) * 1_000_000 / micros;
                u64::try_from(rate).unwrap_or(u64::MAX)
            };
            self.rates = Some((rate(bytes.0, before.0), rate(bytes.1, before.1)));
            self.sampled = Some((now, bytes));
        }
    }

    pub(super) fn rx_bytes(&self) -> u64 {
        self.bytes.0
    }

    pub(super) fn tx_bytes(&self) -> u64 {
        self.bytes.1
    }

    pub(super) fn rx_rate(&self) -> Option<u64> {
        self.rates.map(|rates| rates.0)
    }

    pub(super) fn tx_rate(&self) -> Option<u64> {
        self.rates.map(|rates| rates.1)
    }
}

fn take(number: &mut u64) -> u64 {
    let taken = *number;
    *number += 1;
    taken
}

/// An entry of which only the name is known.
fn entry(
    link: u64,
    uri: &str,
    interface: Option<String>,
    direction: Direction,
    source: PeerSource,
) -> PeerStatus {
    PeerStatus {
        link,
        uri: uri.to_owned(),
        interface,
        direction,
        source,
        paused: false,
        up: false,
        suspect: false,
        key: None,
        address: None,
        port: None,
        priority: 0,
        cost: None,
        latency_ms: None,
        rx_bytes: 0,
        tx_bytes: 0,
        rx_rate: None,
        tx_rate: None,
        uptime_s: None,
        reconnect_in_s: None,
        last_error: None,
    }
}

fn fill_in(entry: &mut PeerStatus, link: &LinkSnapshot, meter: &Meter) {
    entry.up = true;
    entry.suspect = link.suspect;
    entry.key = Some(plain(&link.key));
    entry.address = Some(address(&link.key));
    entry.port = Some(link.port);
    entry.priority = link.priority;
    entry.cost = Some(link.cost);
    entry.latency_ms = link.round_trip.map(milliseconds);
    entry.rx_bytes = link.rx_bytes;
    entry.tx_bytes = link.tx_bytes;
    entry.rx_rate = meter.rx_rate();
    entry.tx_rate = meter.tx_rate();
    entry.uptime_s = Some(link.uptime.as_secs());
}
