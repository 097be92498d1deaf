//! The control thread: owns the [`Node`] and drives it.
//!
//! It sleeps on one bounded channel. What arrives there comes from link readers (control frames,
//! and packets they could not settle), from new links, and from [`crate::Engine`] as commands.
//! After each input the node's frames go to the links and its forwarding table to the data half.
//! Nothing that carries traffic waits for this thread, except the reader of a link that brings more
//! control frames than are handled.

mod links;
mod news;
mod prober;
mod questions;

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use planetary_proto::{
    Class, Event, LinkId, Misbehaviour, Node, NodeKey, Now, Transmit,
    limits::TOO_BIG_RATE,
    rate::RateLimiter,
    session::SessionTable,
    time::Instant,
    upper::ipv6::{self, Echo, Target},
    wire::{Coords, FrameKind},
};
use tokio::sync::{Notify, oneshot, watch};

pub use self::news::News;
use self::{links::Links, prober::Prober, questions::Questions};
pub(crate) use self::{news::NewsSender, questions::Wanted};
use crate::{
    data::{
        DataPlane, Routes, buffers::Packet, egress::Egress, send_data, send_packet,
        sessions::Sessions,
    },
    links::LinkEnd,
};

/// Inputs that may wait, about what a tenth of a second brings at most. A reader with a control
/// frame waits for room; everything else is dropped. Room for all of them is taken at the start.
const MAILBOX_LEN: usize = 1_024;
/// Inputs worked off between two looks at the timers, if they take no longer than [`LOOK_GAP`].
const BATCH: usize = 64;
/// Links are looked after at least this often: between two looks a keep-alive may become due
/// unnoticed.
const LOOK_AFTER: Duration = Duration::from_millis(250);
/// The same while no session is used. What becomes due on a link is known a second before, so a
/// nap of less than that misses nothing.
const LOOK_AFTER_IDLE: Duration = Duration::from_millis(750);
/// Sessions in which nothing was said for this long are not used; a node that has just begun waits
/// as long.
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// A pause of this length between two rounds means that the program did not run.
const PAUSED: Duration = Duration::from_secs(1);
/// A pause of this length means that the machine slept, or was stopped: the thread never waits
/// longer than [`LOOK_AFTER_IDLE`]. The others have given up on this node after this time.
const SLEPT: Duration = Duration::from_secs(3);
/// Links are looked after at most this often, however much arrives.
const LOOK_GAP: Duration = Duration::from_millis(20);

/// What arrives at the control thread.
pub(crate) enum Input {
    /// A link is ready to carry frames.
    LinkUp { egress: Arc<Egress>, peer: NodeKey, priority: u8, ended: oneshot::Sender<LinkEnd> },
    /// A control frame.
    Frame { link: LinkId, kind: FrameKind, body: Vec<u8> },
    /// A link's reader has ended.
    LinkEnded { link: LinkId, end: LinkEnd },
    /// A session handshake.
    Handshake { from: NodeKey, message: Vec<u8> },
    /// A session message that did not open.
    Undecryptable(NodeKey),
    /// A packet that found nobody closer, or us at other coordinates.
    Stuck { source: NodeKey, from: Option<Coords>, dest: NodeKey },
    /// A session's ratchet made a step.
    Rekeyed(NodeKey),
    /// A message between nodes.
    Inband { from: NodeKey, message: Vec<u8> },
    /// A message between nodes of this program.
    Extension { from: NodeKey, message: Vec<u8> },
    /// The beginning of a packet larger than this machine's side takes.
    TooBig { quote: Vec<u8> },
    /// A packet of this machine without a session or a path.
    Outbound { target: Target, packet: Vec<u8> },
    /// The answer to an echo request of the node itself.
    EchoReply { from: std::net::Ipv6Addr, echo: Echo, at: Instant },
    /// The TUN went away.
    TunLost(String),
    /// Something to be done with the node.
    Command(Box<dyn FnOnce(&mut Control) + Send>),
    /// The end.
    Stop,
}

/// The way to the control thread. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mailbox(SyncSender<Input>);

impl Mailbox {
    /// A mailbox and its far end.
    pub(crate) fn new() -> (Self, Receiver<Input>) {
        let (sender, receiver) = sync_channel(MAILBOX_LEN);
        (Self(sender), receiver)
    }

    /// Delivers, and waits for room if it must.
    pub(crate) fn post(&self, input: Input) {
        // The control thread ends only when the engine does; then nobody cares.
        let _ = self.0.send(input);
    }

    /// Delivers if there is room. Returns whether there was.
    pub(crate) fn offer(&self, input: Input) -> bool {
        !matches!(self.0.try_send(input), Err(TrySendError::Full(_)))
    }
}

/// The node and all that the control thread keeps beside it.
pub(crate) struct Control {
    pub(crate) node: Node<Sessions>,
    pub(crate) data: Arc<DataPlane>,
    pub(crate) links: Links,
    pub(crate) questions: Questions,
    pub(crate) prober: Prober,
    too_big: RateLimiter,
    links_seen_at: Instant,
    upkeep_at: Instant,
    begun: Instant,
    /// No session is used.
    is_idle: bool,
    /// Told when the machine has slept.
    woke: Arc<Notify>,
    changes: watch::Sender<u64>,
    pub(crate) news: NewsSender,
    pub(crate) tun_lost: Option<String>,
}

impl Control {
    pub(crate) fn new(
        node: Node<Sessions>,
        data: Arc<DataPlane>,
        changes: watch::Sender<u64>,
        news: NewsSender,
        woke: Arc<Notify>,
    ) -> Self {
        let now = data.clock.mono();
        Self {
            node,
            links: Links::default(),
            questions: Questions::default(),
            prober: Prober::new(now),
            too_big: RateLimiter::new(TOO_BIG_RATE, now),
            links_seen_at: now,
            upkeep_at: now,
            begun: now,
            is_idle: false,
            woke,
            changes,
            news,
            tun_lost: None,
            data,
        }
    }

    /// Works until told to stop.
    pub(crate) fn run(mut self, inbox: &Receiver<Input>) {
        loop {
            let mut next = match inbox.recv_timeout(self.timeout()) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.stop(),
            };
            let begun = self.data.clock.mono();
            for _ in 0..BATCH {
                let Some(input) = next.take().or_else(|| inbox.try_recv().ok()) else { break };
                if matches!(input, Input::Stop) {
                    return self.stop();
                }
                self.handle(input);
                self.drain();
                if begun + LOOK_GAP <= self.data.clock.mono() {
                    break;
                }
            }
            self.look_after();
        }
    }

    fn stop(mut self) {
        for link in self.links.ids() {
            self.end_link(link, LinkEnd { code: "closed", message: "closed by this node".into() });
        }
    }

    pub(crate) fn now(&self) -> Now {
        self.data.clock.now()
    }

    /// Somebody may want to look at the node again.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn timeout(&self) -> Duration {
        let now = self.data.clock.mono();
        let node = self.node.poll_timeout().map(|(at, _)| at.since(now));
        let links = self.links.next_change(now).map(|at| at.since(now).max(LOOK_GAP));
        let longest = if self.is_idle { LOOK_AFTER_IDLE } else { LOOK_AFTER };
        node.into_iter().chain(links).fold(longest, Duration::min)
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::LinkUp { egress, peer, priority, ended } => {
                let link = egress.link;
                self.links.insert(egress, ended, now.mono);
                self.node.handle_link_up(link, peer, priority, now);
                self.changed();
            }
            Input::Frame { link, kind, body } => {
                if let Some(egress) = self.links.egress(link) {
                    egress.control_frame_handled();
                }
                self.node.handle_link_input(link, kind, &body, now);
            }
            Input::LinkEnded { link, end } => self.end_link(link, end),
            Input::Handshake { from, message } => self.node.handle_handshake(from, &message, now),
            Input::Undecryptable(from) => self.node.handle_undecryptable(from, now),
            Input::Stuck { source, from, dest } => {
                self.node.handle_stuck(source, from, dest, now);
            }
            Input::Rekeyed(key) => self.node.handle_rekeyed(&key),
            Input::Inband { from, message } => self.node.handle_inband(from, &message, now),
            Input::Extension { from, message } => self.node.handle_extension(from, &message, now),
            Input::TooBig { quote } => self.answer_too_big(&quote, now),
            Input::Outbound { target, packet } => {
                self.node.handle_outbound(target, &packet, now);
            }
            Input::EchoReply { from, echo, at } => self.questions.echo_replied(from, echo, at),
            Input::TunLost(reason) => {
                self.tun_lost = Some(reason);
                self.changed();
            }
            Input::Command(command) => command(self),
            Input::Stop => {}
        }
    }

    fn answer_too_big(&mut self, quote: &[u8], now: Now) {
        let inside = self.data.inside.load();
        let Some(inside) = &*inside else { return };
        if !self.too_big.allow(now.mono) {
            return;
        }
        let own = &self.data.territory.address;
        if let Some(reply) = ipv6::packet_too_big(quote, own, inside.mtu().into()) {
            send_packet(&self.data, Packet::copy_of(&reply));
        }
    }

    /// Carries out what the node wants.
    fn drain(&mut self) {
        loop {
            // Frames first: the greeting that opens a session goes before what is said in it.
            if let Some(transmit) = self.node.poll_transmit() {
                self.transmit(transmit);
            } else if let Some(event) = self.node.poll_event() {
                self.handle_event(event);
            } else {
                break;
            }
        }
        self.data.sessions.publish();
    }

    fn handle_event(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::TableChanged => self.publish(),
            Event::CloseLink(link, misbehaviour) => self.expel(link, misbehaviour),
            Event::Send(key, data) => send_data(&self.data, &key, &data),
            Event::PathFound(key) => {
                self.prober.proven(now.mono);
                self.questions.path_found(&self.node, key);
                self.changed();
            }
            Event::Inband(key, answer) => {
                if key != self.node.key() {
                    self.prober.proven(now.mono);
                    self.changed();
                }
                self.questions.answered(key, answer);
            }
            Event::InbandTimeout(key, kind) => {
                self.prober.unanswered(&mut self.node, now);
                self.questions.unanswered(key, kind);
            }
            Event::Requested(from, message) => self.news.tell(News::Message { from, message }),
            Event::Answered(from, answer) => {
                self.news.tell(News::Answered { from, id: answer.id, answer });
            }
            Event::Unanswered(to, id) => self.news.tell(News::Unanswered { to, id }),
            // News that this engine does not know cannot matter to it.
            _ => {}
        }
    }

    fn publish(&mut self) {
        let table = self.node.forwarding_table().clone();
        let links = self.links.egresses();
        self.data.routes.store(Arc::new(Routes { table, links }));
        self.prober.table_changed(&mut self.node, self.data.clock.now());
        self.changed();
    }

    fn transmit(&mut self, transmit: Transmit) {
        let Some(egress) = self.links.egress(transmit.link) else { return };
        match transmit.class {
            Class::Direct => egress.send_control(&self.data, transmit.frame),
            Class::Queued { source, dest } => {
                egress.send_transit(&self.data, source, dest, &transmit.frame);
            }
        }
    }

    /// Timers of the node, of the links, and of questions.
    fn look_after(&mut self) {
        let now = self.now();
        if self.node.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.node.handle_timeout(now);
        }
        let unseen = now.mono.since(self.links_seen_at);
        if unseen >= SLEPT {
            tracing::info!("the machine has slept, links are probed");
            self.probe_links();
            self.woke.notify_one();
        }
        if unseen >= LOOK_GAP {
            self.links_seen_at = now.mono;
        }
        let is_upkeep_due = self.upkeep_at + LOOK_AFTER <= now.mono;
        if is_upkeep_due {
            self.links.look_for_stalls(now.mono);
            self.links.look_for_losses();
        }
        // After a pause answers lie in the sockets that nobody has read yet: the next look judges.
        if (LOOK_GAP..PAUSED).contains(&unseen) {
            for (link, why) in self.links.look_after(&mut self.node, &self.data, now) {
                self.end_link(link, LinkEnd { code: "peer_timeout", message: why.into() });
            }
        }
        if is_upkeep_due {
            self.upkeep_at = now.mono;
            let (heard, said) = self.last_use();
            let used = heard.max(said);
            if let Some(used) = used {
                self.node.handle_use(used);
            }
            self.is_idle = used.unwrap_or(self.begun) + IDLE_AFTER <= now.mono;
            if self.prober.look_after(&mut self.node, heard, now) {
                self.changed();
            }
            self.questions.forget_abandoned();
            self.data.sessions.sweep(now.mono);
            self.news.tell_notices(self.data.sessions.take_notices());
        }
        if self.links.take_changed() {
            self.changed();
        }
        self.drain();
    }

    /// Asks every link for a sign of life, and for a while gives up those that give none as soon as
    /// they are suspect: something has happened that links do not survive.
    pub(crate) fn probe_links(&mut self) {
        let now = self.now();
        self.node.probe_links(now);
        self.links.doubt(now.mono);
    }

    /// When something was last heard and said in any session.
    fn last_use(&self) -> (Option<Instant>, Option<Instant>) {
        self.node.sessions().fold((None, None), |(heard, said), (key, _)| {
            let sessions = &self.data.sessions;
            (heard.max(sessions.last_heard(&key)), said.max(sessions.last_said(&key)))
        })
    }

    fn expel(&mut self, link: LinkId, misbehaviour: Misbehaviour) {
        let message = format!("the peer {misbehaviour}").into();
        self.end_link(link, LinkEnd { code: "peer_misbehaved", message });
    }

    fn end_link(&mut self, link: LinkId, end: LinkEnd) {
        if self.links.remove(link, end) {
            let now = self.now();
            self.node.handle_link_down(link, now);
            self.drain();
            self.changed();
        }
    }
}
