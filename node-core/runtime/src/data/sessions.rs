//! The sessions of the data half, found by key, address or subnet.
//!
//! Tables are sharded, so no lock is shared by all packets. The control half opens and closes
//! sessions and moves their paths ([`SessionTable`]); the data half notes when something last
//! arrived, and control reads it at expiry.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, RwLock};
use planetary_circles::{Drops, Notice, Reached, Remote, Rules, Settled, Sizes};
use planetary_proto::{
    NodeKey,
    session::{FastKeys, FastState, Opener, Sealer, SessionTable, Standing},
    time::{Duration, Instant},
    upper::{
        PAYLOAD_EXTENSION,
        ipv6::{Target, Territory},
    },
    wire::Coords,
};

use super::{
    fast::Fast,
    gate::{Gate, SharedFilter},
};

const SHARDS: usize = 64;

/// The next pair of keys is asked for this often at most.
const REFILL_GAP: Duration = Duration::from_secs(1);

/// One session.
pub(crate) struct Session {
    pub(crate) remote: Remote,
    /// What judges its packets.
    pub(crate) filter: SharedFilter,
    /// Only messages between nodes may pass.
    is_guest: AtomicBool,
    /// Taken before [`Self::sealer`] when both are needed.
    pub(crate) opener: Mutex<Opener>,
    pub(crate) sealer: Mutex<Sealer>,
    /// What it is sealed with instead, once both ends know how.
    pub(crate) fast: Fast,
    /// Where the far end is, swapped by control.
    pub(crate) path: ArcSwapOption<Coords>,
    last_heard: AtomicU64,
    last_said: AtomicU64,
    /// When the control half was last asked for the next pair of keys.
    refill_asked: AtomicU64,
    pub(crate) rx_bytes: AtomicU64,
    pub(crate) tx_bytes: AtomicU64,
}

impl Session {
    /// Whether only messages between nodes may pass.
    pub(crate) fn is_guest(&self) -> bool {
        self.is_guest.load(Relaxed)
    }

    /// Seals `buffer[data..]` in place, before which as much is free as the longer head takes;
    /// where the message begins, or `None` if it cannot be sealed.
    ///
    /// What nodes agree on stays in the compatible session, whose keys both are sure to have.
    pub(crate) fn seal(&self, buffer: &mut [u8], data: usize) -> Option<usize> {
        let is_agreement = buffer.get(data) == Some(&PAYLOAD_EXTENSION);
        let fast = if is_agreement { None } else { self.fast.seal(buffer, data) };
        fast.or_else(|| self.sealer.lock().seal(buffer, data))
    }

    /// A packet of `len` bytes arrived and opened.
    pub(crate) fn heard(&self, len: usize, now: Instant) {
        self.last_heard.store(now.as_micros(), Relaxed);
        self.rx_bytes.fetch_add(len as u64, Relaxed);
    }

    /// A packet of `len` bytes was sealed.
    pub(crate) fn said(&self, len: usize, now: Instant) {
        self.last_said.store(now.as_micros(), Relaxed);
        self.tx_bytes.fetch_add(len as u64, Relaxed);
    }

    /// Whether the control half is to be asked for the next pair of keys, which it did not bring
    /// so far: a busy one may have missed an earlier question.
    pub(crate) fn asks_for_refill(&self, now: Instant) -> bool {
        let asked = Instant::from_micros(self.refill_asked.load(Relaxed));
        let due = now.since(asked) >= REFILL_GAP;
        if due {
            self.refill_asked.store(now.as_micros(), Relaxed);
        }
        due
    }
}

/// All sessions. Cheap to clone; clones share the tables.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Tables>);

struct Tables {
    gate: Gate,
    by_key: Sharded<NodeKey>,
    by_target: Sharded<Target>,
    /// Sessions that packets of this machine do not find yet.
    unpublished: Mutex<Vec<Arc<Session>>>,
}

impl Sessions {
    /// No sessions, and those to come of the node that owns `own`.
    pub(crate) fn new(own: Territory, rules: Arc<Rules>) -> Self {
        Self(Arc::new(Tables {
            gate: Gate::new(own, rules),
            by_key: Sharded::new(),
            by_target: Sharded::new(),
            unpublished: Mutex::default(),
        }))
    }

    /// Lets packets of this machine find the sessions that were opened. Called when all that comes
    /// before them, greetings and packets that waited, is on its way: a packet that overtook them
    /// would reach a far end that knows no session, or make it ignore those that are sealed with
    /// lower numbers. A guest's session is for no packets.
    pub(crate) fn publish(&self) {
        for session in self.0.unpublished.lock().drain(..) {
            let at = self.of_key(&session.remote.key);
            let is_open = at.is_some_and(|at| Arc::ptr_eq(&at, &session));
            if is_open && !session.is_guest() {
                let Territory { address, subnet } = session.remote.territory;
                self.0.by_target.insert(Target::Address(address), Arc::clone(&session));
                self.0.by_target.insert(Target::Subnet(subnet), session);
            }
        }
    }

    /// Replaces the rules of the packet filter.
    pub(crate) fn set_rules(&self, rules: Arc<Rules>) {
        self.0.gate.set_rules(rules);
    }

    /// Ends flows that are over. To be called about once a second.
    pub(crate) fn sweep(&self, now: Instant) {
        self.0.gate.sweep(now);
    }

    /// Who came to the door since the last look.
    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        self.0.gate.take_notices()
    }

    /// Answers the question whether a person may reach something.
    pub(crate) fn settle_knock(
        &self,
        key: &NodeKey,
        reached: Reached,
        settled: Settled,
        now: Instant,
    ) -> bool {
        self.0.gate.settle_knock(key, reached, settled, now)
    }

    /// Packets that the filter did not let pass, and what it holds.
    pub(crate) fn filtered(&self) -> (Drops, Sizes) {
        self.0.gate.report()
    }

    pub(crate) fn of_key(&self, key: &NodeKey) -> Option<Arc<Session>> {
        self.0.by_key.get(key)
    }

    pub(crate) fn of_target(&self, target: &Target) -> Option<Arc<Session>> {
        self.0.by_target.get(target)
    }
}

impl SessionTable for Sessions {
    fn standing(&mut self, key: &NodeKey, now: Instant) -> Standing {
        self.0.gate.standing(key, now)
    }

    fn confine(&mut self, key: &NodeKey, is_guest: bool) {
        let Some(session) = self.of_key(key) else { return };
        session.is_guest.store(is_guest, Relaxed);
        if !is_guest {
            self.0.unpublished.lock().push(session);
        }
    }

    fn open(&mut self, key: NodeKey, opener: Opener, sealer: Sealer) {
        let session = Arc::new(Session {
            remote: Remote::of(key),
            filter: Arc::clone(self.0.gate.shard(&key)),
            is_guest: AtomicBool::new(false),
            opener: Mutex::new(opener),
            sealer: Mutex::new(sealer),
            fast: Fast::default(),
            path: ArcSwapOption::empty(),
            last_heard: AtomicU64::new(0),
            last_said: AtomicU64::new(0),
            refill_asked: AtomicU64::new(0),
            rx_bytes: AtomicU64::new(0),
            tx_bytes: AtomicU64::new(0),
        });
        // One that it replaces must not be found any more.
        self.close(&key);
        self.0.unpublished.lock().push(Arc::clone(&session));
        self.0.by_key.insert(key, session);
    }

    fn close(&mut self, key: &NodeKey) {
        let Some(session) = self.0.by_key.remove(key) else { return };
        let Territory { address, subnet } = session.remote.territory;
        for target in [Target::Address(address), Target::Subnet(subnet)] {
            // Another key with the same subnet may have taken the entry over.
            if self.of_target(&target).is_some_and(|at| Arc::ptr_eq(&at, &session)) {
                self.0.by_target.remove(&target);
            }
        }
    }

    fn with<R>(
        &mut self,
        key: &NodeKey,
        change: impl FnOnce(&mut Opener, &mut Sealer) -> R,
    ) -> Option<R> {
        let session = self.of_key(key)?;
        let mut opener = session.opener.lock();
        let mut sealer = session.sealer.lock();
        Some(change(&mut opener, &mut sealer))
    }

    fn set_path(&mut self, key: &NodeKey, path: Option<&Coords>) {
        if let Some(session) = self.of_key(key) {
            session.path.store(path.map(|coords| Arc::new(coords.clone())));
        }
    }

    fn add_fast(&mut self, key: &NodeKey, keys: FastKeys) {
        if let Some(session) = self.of_key(key) {
            session.fast.add(keys);
        }
    }

    fn fall_back(&mut self, key: &NodeKey) {
        if let Some(session) = self.of_key(key) {
            session.fast.fall_back();
        }
    }

    fn drop_fast(&mut self, key: &NodeKey) {
        if let Some(session) = self.of_key(key) {
            session.fast.clear();
        }
    }

    fn fast_state(&self, key: &NodeKey) -> Option<FastState> {
        self.of_key(key)?.fast.state()
    }

    fn last_heard(&self, key: &NodeKey) -> Option<Instant> {
        moment(&self.of_key(key)?.last_heard)
    }

    fn last_said(&self, key: &NodeKey) -> Option<Instant> {
        moment(&self.of_key(key)?.last_said)
    }
}

fn moment(micros: &AtomicU64) -> Option<Instant> {
    match micros.load(Relaxed) {
        0 => None,
        micros => Some(Instant::from_micros(micros)),
    }
}

/// A map in pieces, each behind a lock of its own.
struct Sharded<K> {
    hasher: RandomState,
    shards: Box<[Shard<K>]>,
}

type Shard<K> = RwLock<HashMap<K, Arc<Session>>>;

impl<K: Hash + Eq> Sharded<K> {
    fn new() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { hasher: RandomState::new(), shards }
    }

    fn shard(&self, key: &K) -> &Shard<K> {
        // Bits that the map inside does not choose its own buckets by.
        &self.shards[(self.hasher.hash_one(key) >> 32) as usize % SHARDS]
    }

    fn get(&self, key: &K) -> Option<Arc<Session>> {
        self.shard(key).read().get(key).cloned()
    }

    fn insert(&self, key: K, session: Arc<Session>) {
        self.shard(&key).write().insert(key, session);
    }

    fn remove(&self, key: &K) -> Option<Arc<Session>> {
        self.shard(key).write().remove(key)
    }
}
