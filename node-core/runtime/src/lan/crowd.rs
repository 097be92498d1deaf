//! Who is heard on the local networks, and to whom links are kept.
//!
//! On one switch everybody hears everybody, and a link between each two of them would be a storm.
//! So a node keeps few links, by rules that hold the crowd together all the same:
//!
//! - *The ring.* Keys have an order, and the highest is followed by the lowest. On each interface a
//!   node keeps a link to the one that follows it among those it hears, and lets in the one before
//!   it whatever else is full. Where all hear each other that is a ring through all of them,
//!   however they came together: one by one, at once, or as two crowds whose switches were joined.
//! - *Chords.* While it has fewer links than the cap, whoever opened them, it dials somebody at
//!   random. They make ways short and survive the loss of a node.
//! - *Caps.* It opens as many links as the cap says and lets in as many again. A link of the ring
//!   beyond that takes the place of a chord, which is closed once the new one is up.
//!
//! Between two nodes there is one link, unless both dial at one moment: the one with the higher key
//! gives the other [`GRACE`] to be first. A second one comes about when the first is over the air
//! and they hear each other over a wire as well.
//!
//! Beacons prove nothing, so everything here is bounded: keys, keys for each address, attempts at
//! once and in time. Where a key is dialled changes only when it was not found there. Pure: time
//! and chance come in as arguments.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv6Addr, SocketAddrV6},
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
    time::{Duration, Instant},
};

use planetary_proto::{
    identity::NodeKey,
    limits::Rate,
    rate::RateLimiter,
    time::{Duration as Span, Instant as Moment},
};
use tokio::sync::Notify;

use crate::links::Direction;

/// Most keys remembered for one interface. Beyond, the one that was not heard for longest is
/// forgotten. Enough for a large hall; a node needs to know a handful.
pub(super) const HEARD_MAX: usize = 256;

/// Most keys that one address may announce: a machine may run several nodes, but one that floods
/// shall not crowd out the others.
const KEYS_PER_ADDRESS_MAX: usize = 8;

/// Beacons come every 15 s or so; after two that were missed a node counts as gone.
const HEARD_AGE_MAX: Duration = Duration::from_secs(45);

/// How long the node with the higher key waits for the other to dial: a second cycle of beacons.
const GRACE: Duration = Duration::from_millis(1500);

/// Most attempts at once.
const DIALS_MAX: usize = 4;

/// Attempts in time. A crowd that is switched on at once is linked within seconds, and a liar makes
/// us open two connections a second.
const DIAL_RATE: Rate = Rate { per_s: 2, burst: 8 };

/// How long until the next attempt may be allowed.
const DIAL_PAUSE: Duration = Duration::from_millis(500);

/// Wait after a failed attempt; it doubles up to [`WAIT_MAX`], about the pause between two beacons:
/// who was full may have room by then, or have become one beside us.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(16);

/// A link that ends sooner counts as a failed attempt: the other side may be full.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// Most incoming links with one key: the one that is there, and the one of its owner who has
/// started anew before we noticed.
const INCOMING_PER_KEY_MAX: usize = 2;

/// An interface by the system's number.
pub(super) type Index = u32;

/// Names a link, or an attempt at one.
pub(super) type SeatId = u64;

/// See the module.
pub(super) struct Crowd {
    own: NodeKey,
    links_max: usize,
    grounds: BTreeMap<Index, Ground>,
    seats: BTreeMap<SeatId, Seat>,
    next_seat: SeatId,
    dials: RateLimiter,
    start: Instant,
    /// Interfaces on which a link was lost since the last look.
    lost: BTreeSet<Index>,
}

/// An interface on which nodes are looked for.
struct Ground {
    wireless: bool,
    heard: BTreeMap<NodeKey, Heard>,
}

/// A key that is announced.
struct Heard {
    at: SocketAddrV6,
    last: Instant,
    /// Not dialled before.
    due: Instant,
    failures: u32,
    /// Whether it may have moved: it was not found where it was, or its link was lost.
    may_move: bool,
}

/// A link that is up, or is being dialled.
struct Seat {
    interface: Index,
    key: NodeKey,
    direction: Direction,
    up_since: Option<Instant>,
    /// It is to be closed, by our own choice.
    surplus: bool,
    close: Arc<Notify>,
}

/// Somebody to dial.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    pub(super) seat: SeatId,
    pub(super) key: NodeKey,
    pub(super) at: SocketAddrV6,
    pub(super) close: Arc<Notify>,
}

impl Crowd {
    /// A crowd of nobody but `own`, with at most `links_max` links opened by us.
    pub(super) fn new(own: NodeKey, links_max: usize, now: Instant) -> Self {
        Self {
            own,
            links_max,
            grounds: BTreeMap::new(),
            seats: BTreeMap::new(),
            next_seat: 1,
            dials: RateLimiter::new(DIAL_RATE, Moment::START),
            start: now,
            lost: BTreeSet::new(),
        }
    }

    /// Looks for nodes on these interfaces, each with whether it is wireless, and no others. Links
    /// over others are closed.
    pub(super) fn settle(&mut self, interfaces: &BTreeMap<Index, bool>) {
        self.grounds.retain(|index, _| interfaces.contains_key(index));
        for (index, &wireless) in interfaces {
            let ground = self.grounds.entry(*index);
            ground.or_insert_with(|| Ground { wireless, heard: BTreeMap::new() }).wireless =
                wireless;
        }
        for seat in self.seats.values_mut().filter(|seat| !interfaces.contains_key(&seat.interface))
        {
            seat.dismiss();
        }
    }

    /// Whether a key was heard on an interface lately.
    pub(super) fn knows(&self, interface: Index, key: &NodeKey) -> bool {
        self.grounds.get(&interface).is_some_and(|ground| ground.heard.contains_key(key))
    }

    /// Takes note that `key` was announced at `at` on an interface.
    pub(super) fn hear(&mut self, interface: Index, key: NodeKey, at: SocketAddrV6, now: Instant) {
        if key == self.own {
            return;
        }
        let is_second = self.own > key;
        let Some(ground) = self.grounds.get_mut(&interface) else { return };
        if let Some(known) = ground.heard.get_mut(&key) {
            if known.at == at {
                known.last = now;
            } else if known.may_move || known.last + HEARD_AGE_MAX <= now {
                *known = Heard { at, last: now, ..*known };
                known.may_move = false;
            }
            return;
        }
        ground.heard.retain(|_, heard| heard.last + HEARD_AGE_MAX > now);
        let same = |heard: &&Heard| heard.at.ip() == at.ip();
        if ground.heard.values().filter(same).count() >= KEYS_PER_ADDRESS_MAX {
            return;
        }
        if ground.heard.len() >= HEARD_MAX
            && let Some(oldest) = ground.heard.iter().min_by_key(|(_, heard)| heard.last)
        {
            let oldest = *oldest.0;
            ground.heard.remove(&oldest);
        }
        let due = if is_second { now + GRACE } else { now };
        let heard = Heard { at, last: now, due, failures: 0, may_move: false };
        ground.heard.insert(key, heard);
    }

    /// Whom to dial now, as seats that are taken, and when to ask again if nothing happens until
    /// then. `pick` returns a number below its argument, by chance.
    pub(super) fn wanted(
        &mut self,
        now: Instant,
        mut pick: impl FnMut(usize) -> usize,
    ) -> (Vec<Dial>, Option<Instant>) {
        for ground in self.grounds.values_mut() {
            ground.heard.retain(|_, heard| heard.last + HEARD_AGE_MAX > now);
        }
        let mut dials = Vec::new();
        while self.dialling() < DIALS_MAX
            && let Some((interface, key, at)) = self.next(now, &mut pick)
        {
            if !self.dials.allow(self.moment(now)) {
                return (dials, Some(now + DIAL_PAUSE));
            }
            dials.push(self.dial(interface, key, at));
        }
        let due = self.grounds.iter().flat_map(|(index, ground)| {
            ground.heard.iter().filter_map(|(key, heard)| {
                (!self.is_linked(*index, key)).then_some(heard.due).filter(|due| *due > now)
            })
        });
        (dials, due.min())
    }

    /// The next one to dial: of the ring first.
    fn next(
        &self,
        now: Instant,
        pick: &mut impl FnMut(usize) -> usize,
    ) -> Option<(Index, NodeKey, SocketAddrV6)> {
        let ready = |index: &Index, key: &NodeKey, heard: &Heard| {
            heard.due <= now && !self.is_linked(*index, key) && !self.is_dialling_at(&heard.at)
        };
        let following = self.grounds.iter().find_map(|(index, ground)| {
            let key = self.after(*index, now)?;
            let heard = ground.heard.get(&key)?;
            ready(index, &key, heard).then_some((*index, key, heard.at))
        });
        let kept = self.seats.values().filter(|seat| !seat.surplus).count();
        if following.is_some() || kept >= self.links_max {
            return following;
        }
        let others: Vec<_> = self
            .grounds
            .iter()
            .flat_map(|(index, ground)| {
                let ready = ground.heard.iter().filter(|(key, heard)| ready(index, key, heard));
                ready.map(|(key, heard)| (*index, *key, heard.at))
            })
            .collect();
        (!others.is_empty()).then(|| others[pick(others.len()) % others.len()])
    }

    /// Takes a seat for an attempt.
    fn dial(&mut self, interface: Index, key: NodeKey, at: SocketAddrV6) -> Dial {
        let (seat, close) = self.sit(interface, key, Direction::Outgoing, None);
        Dial { seat, key, at, close }
    }

    /// Whether somebody who dialled us is let in, and its seat if so.
    pub(super) fn admit(
        &mut self,
        interface: Index,
        key: NodeKey,
        now: Instant,
    ) -> Option<(SeatId, Arc<Notify>)> {
        self.grounds.get(&interface)?;
        let incoming = |seat: &&Seat| seat.direction == Direction::Incoming && !seat.surplus;
        let of_key = self.seats.values().filter(incoming).filter(|seat| seat.key == key).count();
        let is_full = self.seats.values().filter(incoming).count() >= self.links_max;
        let is_beside = || self.is_beside(interface, &key, now);
        if of_key >= INCOMING_PER_KEY_MAX || (is_full && !is_beside()) {
            return None;
        }
        let seat = self.sit(interface, key, Direction::Incoming, Some(now));
        self.dismiss_surplus(Direction::Incoming, now);
        Some(seat)
    }

    /// An attempt has become a link.
    pub(super) fn came_up(&mut self, seat: SeatId, now: Instant) {
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.up_since = Some(now);
        }
        self.dismiss_surplus(Direction::Outgoing, now);
    }

    /// A link, or an attempt at one, has ended.
    pub(super) fn leave(&mut self, seat: SeatId, now: Instant) {
        let Some(seat) = self.seats.remove(&seat) else { return };
        if seat.up_since.is_some() && !seat.surplus {
            self.lost.insert(seat.interface);
        }
        let is_second = self.own > seat.key;
        let ground = self.grounds.get_mut(&seat.interface);
        let Some(heard) = ground.and_then(|ground| ground.heard.get_mut(&seat.key)) else { return };
        heard.may_move = true;
        let was_steady = seat.up_since.is_some_and(|since| since + STEADY_AFTER <= now);
        if was_steady || seat.direction == Direction::Incoming {
            heard.failures = 0;
            heard.due = if is_second { now + GRACE } else { now };
        } else {
            heard.failures = (heard.failures + 1).min(16);
            let wait = FIRST_WAIT.saturating_mul(1 << (heard.failures - 1)).min(WAIT_MAX);
            heard.due = now + wait;
        }
    }

    /// Interfaces on which a link was lost since the last call.
    pub(super) fn take_lost(&mut self) -> BTreeSet<Index> {
        std::mem::take(&mut self.lost)
    }

    /// Number of links that are up over an interface.
    pub(super) fn links_over(&self, interface: Index) -> usize {
        let over = |seat: &&Seat| seat.interface == interface && seat.up_since.is_some();
        self.seats.values().filter(over).count()
    }

    fn sit(
        &mut self,
        interface: Index,
        key: NodeKey,
        direction: Direction,
        up_since: Option<Instant>,
    ) -> (SeatId, Arc<Notify>) {
        let id = self.next_seat;
        self.next_seat += 1;
        let close = Arc::new(Notify::new());
        let seat =
            Seat { interface, key, direction, up_since, surplus: false, close: Arc::clone(&close) };
        self.seats.insert(id, seat);
        (id, close)
    }

    /// Closes the youngest chord of a direction while there are more links in it than there may be.
    /// The ring stays.
    fn dismiss_surplus(&mut self, direction: Direction, now: Instant) {
        let counted =
            |seat: &&Seat| seat.direction == direction && seat.up_since.is_some() && !seat.surplus;
        if self.seats.values().filter(counted).count() <= self.links_max {
            return;
        }
        let chords = self.seats.iter().filter(|(_, seat)| counted(seat));
        let chords = chords.filter(|(_, seat)| !self.is_beside(seat.interface, &seat.key, now));
        let youngest = chords.map(|(id, seat)| (seat.up_since, *id)).max();
        if let Some(seat) = youngest.and_then(|(_, id)| self.seats.get_mut(&id)) {
            seat.dismiss();
        }
    }

    /// The key that follows ours in the ring of an interface.
    fn after(&self, interface: Index, now: Instant) -> Option<NodeKey> {
        let keys = self.ring(interface, now);
        keys.range((Excluded(self.own), Unbounded)).next().or_else(|| keys.first()).copied()
    }

    /// Whether a key is before or after ours in the ring of an interface.
    fn is_beside(&self, interface: Index, key: &NodeKey, now: Instant) -> bool {
        let keys = self.ring(interface, now);
        let before = keys.range(..self.own).next_back().or_else(|| keys.last());
        before == Some(key) || self.after(interface, now).as_ref() == Some(key)
    }

    /// The keys around us: those that are linked, and those that are heard and are not waiting for
    /// another attempt after one that failed.
    fn ring(&self, interface: Index, now: Instant) -> BTreeSet<NodeKey> {
        let Some(ground) = self.grounds.get(&interface) else { return BTreeSet::new() };
        let can_be_had = |(key, heard): &(&NodeKey, &Heard)| {
            heard.failures == 0 || heard.due <= now || self.is_linked(interface, key)
        };
        ground.heard.iter().filter(can_be_had).map(|(key, _)| *key).collect()
    }

    /// Whether there is a link with a key, or an attempt, over an interface as good as this one.
    fn is_linked(&self, interface: Index, key: &NodeKey) -> bool {
        let is_wireless =
            |index: &Index| self.grounds.get(index).is_some_and(|ground| ground.wireless);
        let better = |index: &Index| is_wireless(&interface) || !is_wireless(index);
        self.seats.values().any(|seat| seat.key == *key && !seat.surplus && better(&seat.interface))
    }

    fn is_dialling_at(&self, at: &SocketAddrV6) -> bool {
        let place = |seat: &Seat| {
            let ground = self.grounds.get(&seat.interface)?;
            ground.heard.get(&seat.key).map(|heard| *heard.at.ip())
        };
        let attempts = self.seats.values().filter(|seat| seat.up_since.is_none());
        let mut places = attempts.filter(|seat| seat.interface == at.scope_id()).filter_map(place);
        places.any(|place: Ipv6Addr| place == *at.ip())
    }

    fn dialling(&self) -> usize {
        self.seats.values().filter(|seat| seat.up_since.is_none()).count()
    }

    fn moment(&self, now: Instant) -> Moment {
        let elapsed = now.saturating_duration_since(self.start);
        Moment::START + Span::from_micros(elapsed.as_micros() as u64)
    }
}

impl Seat {
    /// Closes the link, once whoever serves it has noticed.
    fn dismiss(&mut self) {
        self.surplus = true;
        self.close.notify_one();
    }
}

#[cfg(test)]
#[path = "crowd_tests.rs"]
mod tests;
