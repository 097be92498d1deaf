//! A handful of nodes and the network between them, in virtual time.
//!
//! The network does what the layers below do: a request is said again after 1, 2 and 4 seconds
//! until its answer has come or 8 seconds are over; requests are taken from people alone, but for
//! JOIN. Each node has a disk, and whatever it signs must be there before anybody hears of it.

use std::collections::{BTreeMap, BTreeSet};

use planetary_proto::{Identity, Instant, NodeKey, Now, time::Duration, upper::ExtensionMessage};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::{
    exchange::{
        ActError, Change, Exchange, Invite, Join, JoinState, Kept, Output, Secret, Standing,
        Ticket,
        messages::{Message, kind},
    },
    log::{CircleId, Label, Log, OpId, Operation, RemovalReason, Role, View},
};

/// Seconds of UNIX time at which every world begins.
pub(super) const BEGIN: u64 = 1_700_000_000;

pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    at: Instant,
    rng: ChaCha20Rng,
    /// Of a hundred messages so many are lost, and as many come twice.
    pub(super) loss: u64,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    /// Every message that was sent, whether or not it came.
    pub(super) sent: Vec<Sent>,
}

pub(super) struct Node {
    pub(super) identity: Identity,
    pub(super) exchange: Exchange,
    disk: Disk,
    friends: BTreeSet<NodeKey>,
    /// Only nodes of one side hear one another.
    pub(super) side: u32,
    pub(super) is_up: bool,
    asked: BTreeMap<u32, Pending>,
    next_id: u32,
    /// Questions for a person.
    pub(super) questions: Vec<(OpId, NodeKey, Option<Label>)>,
}

#[derive(Default)]
struct Disk {
    logs: BTreeMap<CircleId, Log>,
    invites: Vec<Invite>,
    joins: Vec<Join>,
    secrets: BTreeMap<CircleId, Vec<Secret>>,
    synced_at: BTreeMap<CircleId, u64>,
    checkpoints: BTreeMap<CircleId, (OpId, u64)>,
}

struct Pending {
    ticket: Ticket,
    to: NodeKey,
    message: ExtensionMessage,
    repeats: u32,
}

#[derive(Clone)]
pub(super) struct Sent {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) message: ExtensionMessage,
    pub(super) at: Instant,
}

enum Event {
    Arrive(Sent),
    Repeat(usize, u32),
    Tick,
}

pub(super) fn label(text: &str) -> Label {
    text.parse().unwrap()
}

impl World {
    pub(super) fn new(count: u8, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let nodes = (0..count).map(|index| Node::new(index, &mut rng)).collect();
        let mut world = Self {
            nodes,
            at: Instant::START + Duration::from_secs(1_000),
            rng,
            loss: 0,
            events: BTreeMap::new(),
            next_event: 0,
            sent: Vec::new(),
        };
        world.later(Duration::from_secs(1), Event::Tick);
        world
    }

    pub(super) fn now(&self) -> Now {
        let passed = self.at.since(Instant::START).as_secs() - 1_000;
        Now { mono: self.at, unix_s: BEGIN + passed }
    }

    pub(super) fn key(&self, node: usize) -> NodeKey {
        self.nodes[node].identity.key()
    }

    /// Everything that happens within so many seconds.
    pub(super) fn run(&mut self, seconds: u64) {
        let end = self.at + Duration::from_secs(seconds);
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), event) = entry.remove_entry();
            self.at = at;
            match event {
                Event::Arrive(sent) => self.arrive(sent),
                Event::Repeat(node, id) => self.repeat(node, id),
                Event::Tick => {
                    self.later(Duration::from_secs(1), Event::Tick);
                    for node in 0..self.nodes.len() {
                        self.with(node, |exchange, now| exchange.tick(now));
                    }
                }
            }
        }
        self.at = end;
    }

    /// Something happens to a node, and what follows.
    pub(super) fn with<T>(
        &mut self,
        node: usize,
        change: impl FnOnce(&mut Exchange, Now) -> T,
    ) -> Option<T> {
        let now = self.now();
        if !self.nodes[node].is_up {
            return None;
        }
        let result = change(&mut self.nodes[node].exchange, now);
        self.drain(node);
        Some(result)
    }

    /// A node does something to a circle: on the disk first.
    pub(super) fn act(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Exchange, Now) -> Result<Change, ActError>,
    ) -> Result<CircleId, ActError> {
        let now = self.now();
        let change = act(&mut self.nodes[node].exchange, now)?;
        let circle = change.circle();
        self.nodes[node].disk.logs.insert(circle, change.log().clone());
        self.with(node, |exchange, now| exchange.commit(change, now)).unwrap().unwrap();
        Ok(circle)
    }

    pub(super) fn create(&mut self, node: usize) -> CircleId {
        self.act(node, |exchange, _| exchange.create(label("Home"))).unwrap()
    }

    /// A new circle of `founder` to which all other nodes have come by one link, some as admins.
    pub(super) fn circle_of_all(&mut self, founder: usize, admins: &[usize]) -> CircleId {
        let circle = self.create(founder);
        for node in (0..self.nodes.len()).filter(|node| *node != founder) {
            let role = if admins.contains(&node) { Role::Admin } else { Role::Member };
            let link = self.link(founder, circle, role, 1, false);
            self.follow(node, &link);
            self.run(20);
            assert_eq!(self.standing(node, circle), Some(Standing::Invited), "node {node}");
            self.act(node, |exchange, now| exchange.accept(&circle, now)).unwrap();
        }
        self.run(60);
        self.assert_equal(circle);
        circle
    }

    pub(super) fn link(
        &mut self,
        node: usize,
        circle: CircleId,
        role: Role,
        uses: u32,
        asks: bool,
    ) -> Join {
        let expires = self.now().unix_s + 172_800;
        let now = self.now();
        let exchange = &mut self.nodes[node].exchange;
        let change = exchange.invite(&circle, role, uses, expires, asks, now).unwrap();
        let invite = change.invite().unwrap().clone();
        self.nodes[node].disk.logs.insert(circle, change.log().clone());
        self.with(node, |exchange, now| exchange.commit(change, now)).unwrap().unwrap();
        Join {
            circle,
            inviter: self.key(node),
            token: invite.token,
            expires,
            label: Some(label("guest")),
            state: JoinState::Asking,
        }
    }

    pub(super) fn follow(&mut self, node: usize, link: &Join) {
        let link = link.clone();
        self.with(node, |exchange, now| exchange.join(link, now)).unwrap().unwrap();
    }

    pub(super) fn remove(
        &mut self,
        by: usize,
        circle: CircleId,
        whom: usize,
    ) -> Result<CircleId, ActError> {
        let key = self.key(whom);
        let reason = RemovalReason::default();
        self.act(by, |exchange, now| exchange.remove(&circle, &key, &reason, now))
    }

    pub(super) fn make_friends(&mut self, one: usize, other: usize) {
        for (node, friend) in [(one, other), (other, one)] {
            let friend = self.key(friend);
            let node = &mut self.nodes[node];
            node.friends.insert(friend);
            node.exchange.set_friends(node.friends.clone());
        }
    }

    pub(super) fn stop(&mut self, node: usize) {
        self.nodes[node].is_up = false;
        self.nodes[node].asked.clear();
    }

    /// The node starts with what is on its disk.
    pub(super) fn start(&mut self, node: usize) {
        let now = self.now();
        let seed = self.seed();
        let node = &mut self.nodes[node];
        node.is_up = true;
        node.asked.clear();
        node.exchange = Exchange::new(node.identity.clone(), seed);
        node.exchange.set_friends(node.friends.clone());
        for (id, log) in &node.disk.logs {
            let secrets = node.disk.secrets.get(id).cloned().unwrap_or_default();
            let kept = Kept { secrets, synced_at: node.disk.synced_at.get(id).copied() };
            node.exchange.restore_circle(Log::read(&log.to_bytes()).unwrap(), kept, now).unwrap();
        }
        for (circle, seen) in &node.disk.checkpoints {
            node.exchange.restore_checkpoint_seen(circle, *seen);
        }
        for invite in &node.disk.invites {
            node.exchange.restore_invite(invite.clone()).unwrap();
        }
        for join in &node.disk.joins {
            node.exchange.restore_join(join.clone(), now);
        }
    }

    pub(super) fn restart(&mut self, node: usize) {
        self.stop(node);
        self.start(node);
    }

    /// What the disk holds of a circle.
    pub(super) fn backup(&self, node: usize, circle: CircleId) -> Log {
        self.nodes[node].disk.logs[&circle].clone()
    }

    pub(super) fn restore(&mut self, node: usize, circle: CircleId, backup: Log) {
        self.nodes[node].disk.logs.insert(circle, backup);
        self.restart(node);
    }

    pub(super) fn standing(&self, node: usize, circle: CircleId) -> Option<Standing> {
        self.nodes[node].exchange.standing(&circle)
    }

    pub(super) fn view(&self, node: usize, circle: CircleId) -> &View {
        self.nodes[node].exchange.log(&circle).unwrap().view()
    }

    /// Members as a node sees them, by their numbers here.
    pub(super) fn members(&self, node: usize, circle: CircleId) -> Vec<usize> {
        let view = self.view(node, circle);
        (0..self.nodes.len()).filter(|index| view.is_member(&self.key(*index))).collect()
    }

    /// All that are members as they see it hold the same log.
    #[track_caller]
    pub(super) fn assert_equal(&self, circle: CircleId) {
        let live = (0..self.nodes.len())
            .filter(|node| self.standing(*node, circle) == Some(Standing::Member));
        let logs: Vec<(usize, Vec<u8>)> = live
            .map(|node| (node, self.nodes[node].exchange.log(&circle).unwrap().to_bytes()))
            .collect();
        for (node, log) in &logs {
            assert!(*log == logs[0].1, "nodes {} and {node} differ", logs[0].0);
        }
    }

    /// The messages from one node to another since a time.
    pub(super) fn said(&self, from: usize, to: usize, since: Instant) -> Vec<Message> {
        self.sent
            .iter()
            .filter(|sent| sent.from == from && sent.to == to && sent.at >= since)
            .map(|sent| Message::parse(sent.message.kind, &sent.message.body).unwrap())
            .collect()
    }

    fn arrive(&mut self, Sent { from, to, message, .. }: Sent) {
        if self.nodes[from].side != self.nodes[to].side || !self.nodes[to].is_up {
            return;
        }
        let sender = self.key(from);
        let node = &mut self.nodes[to];
        if message.kind % 2 == 1 {
            let waits = node.asked.get(&message.id).is_some_and(|pending| {
                pending.to == sender && pending.message.kind + 1 == message.kind
            });
            if let Some(pending) = node.asked.remove(&message.id).filter(|_| waits) {
                self.with(to, |exchange, now| {
                    exchange.answered(pending.ticket, sender, &message, now);
                });
            }
        } else if message.kind == kind::JOIN || node.welcomes(&sender) {
            self.with(to, |exchange, now| exchange.handle(sender, &message, now));
        }
    }

    fn repeat(&mut self, index: usize, id: u32) {
        let node = &mut self.nodes[index];
        let Some(pending) = node.asked.get_mut(&id) else { return };
        if pending.repeats == 3 {
            let ticket = pending.ticket;
            node.asked.remove(&id);
            self.with(index, |exchange, now| exchange.unanswered(ticket, now));
            return;
        }
        let pause = Duration::from_secs(1 << pending.repeats);
        pending.repeats += 1;
        let (to, message) = (pending.to, pending.message.clone());
        self.send(index, to, message);
        // 1, 2 and 4 seconds after the start, and the end after 8.
        self.later(pause, Event::Repeat(index, id));
    }

    /// Does what the node wants done, in order.
    fn drain(&mut self, index: usize) {
        while let Some(output) = self.nodes[index].exchange.poll() {
            let node = &mut self.nodes[index];
            match output {
                Output::Request { ticket, to, kind, body } => {
                    let id = node.next_id;
                    node.next_id += 1;
                    let message = ExtensionMessage { kind, id, body };
                    let pending = Pending { ticket, to, message: message.clone(), repeats: 0 };
                    node.asked.insert(id, pending);
                    self.send(index, to, message);
                    self.later(Duration::from_secs(1), Event::Repeat(index, id));
                }
                Output::Answer { to, message } => self.send(index, to, message),
                Output::Changed(circle) => {
                    let log = node.exchange.log(&circle).unwrap();
                    node.disk.logs.insert(circle, log.clone());
                }
                Output::InviteChanged(_) => {
                    node.disk.invites = node.exchange.invites().cloned().collect();
                }
                Output::JoinChanged(_) => {
                    node.disk.joins = node.exchange.joins().cloned().collect();
                }
                Output::SecretChanged(circle) => {
                    node.disk.secrets.insert(circle, node.exchange.secrets(&circle).to_vec());
                }
                Output::Synced(circle) => {
                    if let Some(at) = node.exchange.synced_at(&circle) {
                        node.disk.synced_at.insert(circle, at);
                    }
                    match node.exchange.checkpoint_seen(&circle) {
                        Some(seen) => node.disk.checkpoints.insert(circle, seen),
                        None => node.disk.checkpoints.remove(&circle),
                    };
                }
                Output::Guest { invite, guest, label, .. } => {
                    node.questions.push((invite, guest, label));
                }
            }
        }
    }

    fn send(&mut self, from: usize, to: NodeKey, message: ExtensionMessage) {
        self.nodes[from].assert_kept(&message);
        let Some(to) = (0..self.nodes.len()).find(|node| self.key(*node) == to) else { return };
        let sent = Sent { from, to, message, at: self.at };
        self.sent.push(sent.clone());
        let lost = self.rng.next_u64() % 100 < self.loss;
        let copies = if lost { 0 } else { 1 + u64::from(self.rng.next_u64() % 100 < self.loss) };
        for _ in 0..copies {
            // Long enough to overtake one another.
            let delay = Duration::from_millis(5 + self.rng.next_u64() % 300);
            self.later(delay, Event::Arrive(sent.clone()));
        }
    }

    fn later(&mut self, pause: Duration, event: Event) {
        self.next_event += 1;
        self.events.insert((self.at + pause, self.next_event), event);
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }
}

impl Node {
    fn new(index: u8, rng: &mut ChaCha20Rng) -> Self {
        let identity = Identity::from_seed(&[index + 1; 32]);
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self {
            exchange: Exchange::new(identity.clone(), seed),
            identity,
            disk: Disk::default(),
            friends: BTreeSet::new(),
            side: 0,
            is_up: true,
            asked: BTreeMap::new(),
            next_id: 1,
            questions: Vec::new(),
        }
    }

    /// Whether requests of a key get through: it is a friend, or in a circle of this node.
    fn welcomes(&self, key: &NodeKey) -> bool {
        let exchange = &self.exchange;
        self.friends.contains(key)
            || exchange.circles().any(|circle| {
                let live = matches!(
                    exchange.standing(&circle),
                    Some(Standing::Member | Standing::Invited)
                );
                let log = exchange.log(&circle);
                live && log.is_some_and(|log| log.view().members.contains_key(key))
            })
    }

    /// What this node has signed and sends is on its disk.
    fn assert_kept(&self, message: &ExtensionMessage) {
        let operations = match Message::parse(message.kind, &message.body).unwrap() {
            Message::Ops { operations, .. } | Message::Push { operations, .. } => operations,
            _ => return,
        };
        for operation in operations.iter().filter_map(|bytes| Operation::parse(bytes).ok()) {
            if operation.author() == self.identity.key() {
                let log = &self.disk.logs[&operation.circle()];
                assert!(log.get(&operation.id()).is_some(), "sent before it was kept");
            }
        }
    }
}
