//! A node with its data half, between links that a target holds in its hands.
//!
//! [`Host`] drives a [`Node`] as the engine does: one change, then drain; traffic is forwarded,
//! opened and sealed around it. After every change it checks what must hold whatever peers send:
//! bounds are kept, frames that go out are well formed and go to links that exist, and timers
//! neither spin nor stand still.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::LazyLock,
    time::Duration,
};

use planetary_proto::{
    Event, ExtensionMessage, Identity, Instant, LinkId, Misbehaviour, Node, NodeConfig, NodeKey,
    Now,
    forward::Decision,
    limits::{
        EXTENSION_CORRESPONDENTS_MAX, EXTENSION_REQUESTS_MAX, INFOS_MAX, LINKS_MAX, PATHS_MAX,
        SESSIONS_MAX,
    },
    session::{
        FAST_HEAD_LEN, FastKeys, FastOpener, FastSealer, FastState, Generations, Opener,
        ReplayWindow, SEAL_OVERHEAD_MAX, SESSION_FAST, SESSION_TRAFFIC, Sealer, SessionTable,
        Standing, Suites, fast_head,
    },
    upper::{InbandAnswer, InbandKind, PAYLOAD_EXTENSION, PAYLOAD_INBAND},
    wire::{Coords, FrameKind, TrafficView, cut_frame},
};

/// Wall clock at the start of every run, the clock of the test vectors.
pub(crate) const UNIX_START: u64 = 1_700_000_000;

/// How many nodes have an [`identity`].
pub(crate) const IDENTITIES: usize = 5;

/// Changes, frames or timers of one step that can only be a circle.
const CIRCLE: usize = 20_000;

static KEYS: LazyLock<[NodeKey; IDENTITIES]> =
    LazyLock::new(|| std::array::from_fn(|index| identity(index).key()));

/// Nodes A, B, C and Z of the test vectors, and one more.
pub(crate) fn identity(index: usize) -> Identity {
    let counting = |from: u8| std::array::from_fn(|at| from + at as u8);
    Identity::from_seed(&match index {
        0 => counting(0x00),
        1 => counting(0x20),
        2 => counting(0x40),
        // Its key is the lowest of all: A takes it for the root.
        3 => std::array::from_fn(|at| if at == 31 { 0x24 } else { 0 }),
        _ => [7; 32],
    })
}

/// The key of [`identity`].
pub(crate) fn key(index: usize) -> NodeKey {
    KEYS[index]
}

/// Both clocks `at` after the start.
pub(crate) fn now_at(at: Duration) -> Now {
    Now { mono: Instant::START + at, unix_s: UNIX_START + at.as_secs() }
}

struct Session {
    opener: Opener,
    sealer: Sealer,
    fast: Generations<Fast>,
    last_heard: Option<Instant>,
}

/// One generation of a fast session.
struct Fast {
    sealer: FastSealer,
    opener: FastOpener,
    window: ReplayWindow,
}

impl Session {
    fn seal(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = vec![0; SEAL_OVERHEAD_MAX];
        buffer.extend_from_slice(data);
        let start = match self.fast.sealing() {
            Some(fast) => fast.sealer.seal(&mut buffer, SEAL_OVERHEAD_MAX),
            None => self.sealer.seal(&mut buffer, SEAL_OVERHEAD_MAX),
        }?;
        Some(buffer.split_off(start))
    }

    /// Opens a packet of the fast session in place. Returns whether it is good and new.
    fn open_fast(&mut self, message: &mut [u8]) -> bool {
        let Some((generation, _)) = fast_head(message) else { return false };
        let Some(fast) = self.fast.find_mut(generation) else { return false };
        let is_good = fast.opener.open(message).is_ok_and(|counter| fast.window.accept(counter));
        if is_good {
            self.fast.heard(generation);
        }
        is_good
    }
}

/// The sessions of a host, seen by its node and by itself, what the rules say of keys that are not
/// welcome, and how often keys were agreed on with each.
#[derive(Clone, Default)]
pub(crate) struct Sessions(
    Rc<RefCell<BTreeMap<NodeKey, Session>>>,
    Rc<RefCell<BTreeMap<NodeKey, Standing>>>,
    Rc<RefCell<BTreeMap<NodeKey, u32>>>,
);

/// What a node was told in messages of this program.
#[derive(Debug)]
pub(crate) enum Heard {
    Request(ExtensionMessage),
    Answer(ExtensionMessage),
    /// No answer to the request of this number.
    Nothing(u32),
}

impl SessionTable for Sessions {
    fn standing(&mut self, key: &NodeKey, _: Instant) -> Standing {
        self.1.borrow().get(key).copied().unwrap_or(Standing::Welcome)
    }

    fn open(&mut self, key: NodeKey, opener: Opener, sealer: Sealer) {
        let fast = Generations::default();
        self.0.borrow_mut().insert(key, Session { opener, sealer, fast, last_heard: None });
    }

    fn close(&mut self, key: &NodeKey) {
        self.0.borrow_mut().remove(key);
    }

    fn with<R>(
        &mut self,
        key: &NodeKey,
        change: impl FnOnce(&mut Opener, &mut Sealer) -> R,
    ) -> Option<R> {
        let mut sessions = self.0.borrow_mut();
        let session = sessions.get_mut(key)?;
        Some(change(&mut session.opener, &mut session.sealer))
    }

    fn set_path(&mut self, _: &NodeKey, _: Option<&Coords>) {}

    fn last_heard(&self, key: &NodeKey) -> Option<Instant> {
        self.0.borrow().get(key)?.last_heard
    }

    fn last_said(&self, _: &NodeKey) -> Option<Instant> {
        // Something is always being said, so every session that fades is greeted.
        Some(Instant::from_micros(u64::MAX))
    }

    fn add_fast(&mut self, key: &NodeKey, keys: FastKeys) {
        let FastKeys { sealer, opener, speaks } = keys;
        let fast = Fast { sealer, opener, window: ReplayWindow::new() };
        *self.2.borrow_mut().entry(*key).or_default() += 1;
        let mut sessions = self.0.borrow_mut();
        let session = sessions.get_mut(key).expect("keys are made in sessions");
        session.fast.add(fast.opener.generation(), fast, speaks);
    }

    fn fall_back(&mut self, key: &NodeKey) {
        self.0.borrow_mut().get_mut(key).expect("keys are in sessions").fast.fall_back();
    }

    fn drop_fast(&mut self, key: &NodeKey) {
        let mut sessions = self.0.borrow_mut();
        sessions.get_mut(key).expect("keys are in sessions").fast = Generations::default();
    }

    fn fast_state(&self, key: &NodeKey) -> Option<FastState> {
        let sessions = self.0.borrow();
        let fast = sessions.get(key)?.fast.sealing()?;
        Some(FastState {
            generation: fast.sealer.generation(),
            wants_rekey: fast.sealer.wants_rekey(),
            heard: fast.window.highest() > 0,
        })
    }
}

/// See the module.
pub(crate) struct Host {
    node: Node<Sessions>,
    sessions: Sessions,
    links: BTreeSet<LinkId>,
    now: Now,
    /// Frames to be sent, in order.
    pub(crate) out: Vec<(LinkId, Vec<u8>)>,
    /// Session data that is no message between nodes, and who sent it.
    pub(crate) delivered: Vec<(NodeKey, Vec<u8>)>,
    /// Links that the node gave up.
    pub(crate) closed: Vec<(LinkId, Misbehaviour)>,
    /// Answers to questions, and questions without one.
    pub(crate) answers: Vec<(NodeKey, Result<InbandAnswer, InbandKind>)>,
    /// Requests, answers to requests, and requests without one.
    pub(crate) heard: Vec<(NodeKey, Heard)>,
}

impl Host {
    /// The host of [`identity`] `index`, without links. What it draws depends on `first_seq`, which
    /// no two runs of it share.
    pub(crate) fn new(index: usize, first_seq: u64, now: Now) -> Self {
        let config = NodeConfig {
            identity: identity(index),
            groups: Default::default(),
            transit: Default::default(),
            node_info: br#"{"name":"fuzz"}"#.to_vec(),
            fast: Some(Suites::ALL),
            first_seq,
        };
        let sessions = Sessions::default();
        // Every run of a node draws other keys, even one that begins at the same moment.
        let mut seed = [index as u8; 32];
        seed[..8].copy_from_slice(&first_seq.to_le_bytes());
        let node = Node::new(config, sessions.clone(), seed, now);
        let mut host = Self {
            node,
            sessions,
            links: BTreeSet::new(),
            now,
            out: Vec::new(),
            delivered: Vec::new(),
            closed: Vec::new(),
            answers: Vec::new(),
            heard: Vec::new(),
        };
        host.settle();
        host
    }

    /// How often keys were agreed on with `far`.
    pub(crate) fn agreements(&self, far: &NodeKey) -> u32 {
        self.sessions.2.borrow().get(far).copied().unwrap_or(0)
    }

    /// Whether what is said to `far` goes through a fast session.
    pub(crate) fn is_fast(&self, far: &NodeKey) -> bool {
        self.sessions.fast_state(far).is_some()
    }

    pub(crate) fn highest_seq(&self) -> u64 {
        self.node.highest_seq()
    }

    pub(crate) fn link_up(&mut self, link: LinkId, far: NodeKey, priority: u8) {
        self.links.insert(link);
        self.change(|node, now| node.handle_link_up(link, far, priority, now));
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.change(|node, now| node.handle_link_down(link, now));
    }

    /// The rules say this of a key from now on.
    pub(crate) fn regard(&mut self, key: NodeKey, standing: Standing) {
        self.sessions.1.borrow_mut().insert(key, standing);
        self.change(Node::review_sessions);
    }

    /// One change of the node, and what follows from it.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Node<Sessions>, Now)) {
        change(&mut self.node, self.now);
        self.settle();
    }

    /// Goes on to `to`, with every timer on the way.
    pub(crate) fn advance(&mut self, to: Now) {
        for rounds in 0.. {
            assert!(rounds < CIRCLE, "timers spin: {:?}", self.node.poll_timeout());
            match self.node.poll_timeout() {
                Some((at, _)) if at <= to.mono => {
                    let mono = at.max(self.now.mono);
                    let passed = mono.since(Instant::START);
                    self.now = Now { mono, unix_s: UNIX_START + passed.as_secs() };
                    self.change(Node::handle_timeout);
                }
                _ => break,
            }
        }
        self.now = to;
    }

    /// A frame arrived. One that is not well formed closes its link.
    pub(crate) fn receive(&mut self, link: LinkId, frame: Vec<u8>) {
        if !self.links.contains(&link) {
            return;
        }
        let cut = cut_frame(&frame).expect("whole frames only").expect("whole frames only");
        assert_eq!(cut.1, frame.len(), "one frame at a time");
        let body = cut.0 + 1;
        match FrameKind::from_byte(frame[cut.0]) {
            None => self.link_down(link),
            Some(FrameKind::Traffic) => self.take_traffic(link, frame, body),
            Some(kind) => {
                self.change(|node, now| node.handle_link_input(link, kind, &frame[body..], now));
            }
        }
    }

    fn take_traffic(&mut self, link: LinkId, mut frame: Vec<u8>, body_start: usize) {
        let body = &frame[body_start..];
        let Ok(view) = TrafficView::parse(body) else { return self.link_down(link) };
        let (source, dest, from) = (view.source(body), view.dest(body), view.from_coords(body));
        let (mut ports, mut spill) = ([0; 4], Vec::new());
        let path = view.path_ports(body, &mut ports, &mut spill);
        match self.node.forwarding_table().decide(&dest, path, view.watermark()) {
            Decision::Forward { link, watermark } => {
                let end = frame.len();
                let start = view.lower_watermark(&mut frame, body_start, end, watermark);
                self.send(link, frame.split_off(start));
            }
            Decision::Stuck => {
                self.change(|node, now| node.handle_stuck(source, from, dest, now));
            }
            Decision::Deliver { stale } => {
                if stale {
                    self.change(|node, now| node.handle_stuck(source, from, dest, now));
                }
                let payload = frame.split_off(body_start + view.payload_offset());
                self.take_payload(source, payload);
            }
        }
    }

    fn take_payload(&mut self, source: NodeKey, mut payload: Vec<u8>) {
        match payload.first() {
            Some(&SESSION_TRAFFIC) => {}
            Some(&SESSION_FAST) => return self.take_fast(source, &mut payload),
            Some(1 | 2) => {
                return self.change(|node, now| node.handle_handshake(source, &payload, now));
            }
            _ => return,
        }
        let mono = self.now.mono;
        let mut sessions = self.sessions.0.borrow_mut();
        let Some(session) = sessions.get_mut(&source) else {
            drop(sessions);
            return self.change(|node, now| node.handle_undecryptable(source, now));
        };
        let before = payload.clone();
        let opened = session.opener.open(&mut payload, mono);
        if opened.is_ok() {
            session.last_heard = Some(mono);
        }
        let rekeyed = match opened {
            Ok(opened) => {
                payload.drain(..opened.data);
                opened.rekey.map(|keys| session.sealer.install(keys)).is_some()
            }
            Err(error) => {
                drop(sessions);
                assert_eq!(payload, before, "a message that does not open is left as it is");
                if error.wants_greeting() {
                    self.change(|node, now| node.handle_undecryptable(source, now));
                }
                return;
            }
        };
        drop(sessions);
        self.change(|node, now| node.handle_use(now.mono));
        if rekeyed {
            self.change(|node, _| node.handle_rekeyed(&source));
        }
        self.take_data(source, payload);
    }

    fn take_fast(&mut self, source: NodeKey, payload: &mut Vec<u8>) {
        let mut sessions = self.sessions.0.borrow_mut();
        let Some(session) = sessions.get_mut(&source) else {
            drop(sessions);
            return self.change(|node, now| node.handle_undecryptable(source, now));
        };
        let is_good = session.open_fast(payload);
        if is_good {
            session.last_heard = Some(self.now.mono);
        }
        drop(sessions);
        if is_good {
            self.change(|node, now| node.handle_use(now.mono));
            self.take_data(source, payload.split_off(FAST_HEAD_LEN));
        }
    }

    fn take_data(&mut self, source: NodeKey, payload: Vec<u8>) {
        match payload.split_first() {
            // An empty packet of a fast session.
            Some((&0, _)) if payload.len() == 1 => {}
            Some((&PAYLOAD_INBAND, data)) => {
                self.change(|node, now| node.handle_inband(source, data, now));
            }
            Some((&PAYLOAD_EXTENSION, data)) => {
                self.change(|node, now| node.handle_extension(source, data, now));
            }
            _ => self.delivered.push((source, payload)),
        }
    }

    fn send(&mut self, link: LinkId, frame: Vec<u8>) {
        assert!(self.links.contains(&link), "a frame for {link:?}, which is closed");
        let (kind, end) = cut_frame(&frame).expect("a frame").expect("a whole frame");
        assert_eq!(end, frame.len(), "a frame has one length");
        assert!(FrameKind::from_byte(frame[kind]).is_some(), "a frame has a known type");
        self.out.push((link, frame));
    }

    /// Drains the node and checks it.
    fn settle(&mut self) {
        let mut closing = Vec::new();
        for count in 0.. {
            assert!(count < CIRCLE, "events do not end");
            match self.node.poll_event() {
                None => break,
                Some(Event::Send(key, data)) => {
                    let mut sessions = self.sessions.0.borrow_mut();
                    let sealed = sessions.get_mut(&key).and_then(|session| session.seal(&data));
                    drop(sessions);
                    if let Some(payload) = sealed {
                        self.node.send_payload(&key, &payload, self.now);
                    }
                }
                Some(Event::CloseLink(link, why)) => closing.push((link, why)),
                Some(Event::Inband(key, answer)) => self.answers.push((key, Ok(answer))),
                Some(Event::InbandTimeout(key, kind)) => self.answers.push((key, Err(kind))),
                Some(Event::Requested(key, message)) => {
                    self.heard.push((key, Heard::Request(message)));
                }
                Some(Event::Answered(key, answer)) => self.heard.push((key, Heard::Answer(answer))),
                Some(Event::Unanswered(key, id)) => self.heard.push((key, Heard::Nothing(id))),
                Some(_) => {}
            }
        }
        for count in 0.. {
            assert!(count < CIRCLE, "frames do not end");
            let Some(transmit) = self.node.poll_transmit() else { break };
            self.send(transmit.link, transmit.frame);
        }
        for (link, why) in closing {
            assert!(self.links.remove(&link), "{link:?} is closed twice");
            self.closed.push((link, why));
        }
        let sizes = self.node.sizes();
        assert_eq!(sizes.links, self.links.len(), "the node has the links that are up");
        assert!(sizes.links <= LINKS_MAX && sizes.infos <= INFOS_MAX, "{sizes:?}");
        assert!(sizes.sessions <= SESSIONS_MAX && sizes.paths <= PATHS_MAX, "{sizes:?}");
        assert!(sizes.requests <= EXTENSION_REQUESTS_MAX, "{sizes:?}");
        assert!(sizes.correspondents <= EXTENSION_CORRESPONDENTS_MAX, "{sizes:?}");
        assert_eq!(sizes.sessions, self.sessions.0.borrow().len(), "both halves agree on sessions");
        let table = self.node.forwarding_table();
        for hop in table.hops() {
            assert!(self.links.contains(&hop.link), "routed over {:?}, which is closed", hop.link);
        }
    }
}
