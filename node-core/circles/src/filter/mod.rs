//! The packet filter: default deny for what others open, with connection tracking.
//!
//! [`Filter`] is one shard of the state: flows, fragments and counters of some of the keys. A node
//! has many, each behind a lock, and a key always meets the same one. A flow outlives the session
//! that carried it, so shards belong beside the table of sessions, not into a session. All shards
//! of a node share one [`Budget`], see `budget.rs`, and have the same [`Rules`].
//!
//! Inbound, the checks are, in this order: (1) the source belongs to the key; (2) the packet can be
//! taken apart; (3) the destination is this node; (4) the key is not blocked; then, for later
//! fragments, what the first one was found to be, and for others: (5) a known flow, judged anew if
//! the rules have changed since; (6) ICMPv6 errors about a known flow; (7) echo requests; (8) TCP
//! begins with a SYN; (9) the rules, and where no rule names anything, what the person at this
//! machine says (`knocks.rs`); (10) dropped. Outbound the same checks hold with the ends
//! exchanged, and in place of (7) and (9) whom this machine may speak to; what passes opens a flow.
//!
//! A verdict is a function of the state, the packet and the time; nothing is allocated for a packet
//! of a known flow. Strangers get no answer and leave no state unless something is open to them.
//!
//! Source: `research/beyond.md` section 4.1; the table in `docs/security.md`.

mod answer;
mod budget;
mod chain;
mod flow;
mod fragments;
pub(crate) mod headers;
mod knocks;
mod peers;
mod rules;
mod table;
mod verdict;

use std::sync::Arc;

use planetary_proto::{
    NodeKey,
    rate::RateLimiter,
    time::Instant,
    upper::ipv6::{self, Territory},
};

pub use self::{
    answer::Answer,
    budget::Budget,
    knocks::{Notice, Reached, Settled},
    rules::{
        Audience, Destination, Person, Policy, Protocol, Rule, Rules, RulesError, Service, Who,
    },
    verdict::{Drops, Reason, Verdict},
};
use self::{
    flow::{Class, Kind, Origin, Tuple},
    headers::{Header, ICMP_LEN, Upper, flags},
    knocks::{Knock, Knocks},
    table::Table,
    verdict::Direction,
};
use crate::limits::{ANSWER_RATE, NOTICES_PER_SHARD_MAX};

/// The far end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its key, authenticated by the session.
    pub key: NodeKey,
    /// The addresses that belong to the key.
    pub territory: Territory,
}

impl Remote {
    /// The far end with this key.
    #[must_use]
    pub fn of(key: NodeKey) -> Self {
        Self { key, territory: Territory::of(&key) }
    }
}

/// What a shard holds, flows that are over and not yet swept among it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Flows.
    pub flows: u32,
    /// Of these, flows that others opened.
    pub inbound: u32,
    /// Keys with flows, or shortly after.
    pub keys: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Filter {
    own: Territory,
    rules: Arc<Rules>,
    /// Counts the changes of the rules. Flows carry the one that they were judged under.
    generation: u32,
    table: Table,
    answers: RateLimiter,
    drops: Drops,
    knocks: Knocks,
    notices: Vec<Notice>,
    /// Threads read the clock before they take the lock, so times may come in the wrong order.
    latest: Instant,
}

impl Filter {
    /// An empty shard of the node that owns `own`.
    #[must_use]
    pub fn new(own: Territory, rules: Arc<Rules>, budget: Arc<Budget>) -> Self {
        Self {
            own,
            rules,
            generation: 0,
            table: Table::new(budget),
            answers: RateLimiter::new(ANSWER_RATE, Instant::START),
            drops: Drops::default(),
            knocks: Knocks::default(),
            notices: Vec::new(),
            latest: Instant::START,
        }
    }

    /// Replaces the rules. Every live flow is judged by them at its next packet, so what they do
    /// not allow ends at once; packets in fragments that are under way are lost.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
        self.generation = self.generation.wrapping_add(1);
    }

    /// Judges a packet that came out of the session with `from`.
    pub fn inbound(&mut self, from: &Remote, packet: &[u8], now: Instant) -> Verdict {
        self.judge(Direction::In, from, packet, now)
    }

    /// Judges a packet of this machine for the session with `to`. [`Verdict::Reject`] means that
    /// the answer goes to this machine.
    pub fn outbound(&mut self, to: &Remote, packet: &[u8], now: Instant) -> Verdict {
        self.judge(Direction::Out, to, packet, now)
    }

    /// Ends flows that are over and forgets keys that have none. To be called about once a second:
    /// other shards may use what it gives back.
    pub fn sweep(&mut self, now: Instant) {
        let now = self.clock(now);
        self.table.expire(now);
        self.table.forget_idle(now);
        self.knocks.forget_idle(now);
    }

    /// Answers the question of [`Notice::Knocked`]. Returns whether it was still open.
    pub fn settle_knock(
        &mut self,
        key: &NodeKey,
        reached: Reached,
        settled: Settled,
        now: Instant,
    ) -> bool {
        let now = self.clock(now);
        self.knocks.settle(key, reached, settled, now)
    }

    /// Moves what there is to tell to the end of `told`. At most [`NOTICES_PER_SHARD_MAX`] wait for
    /// this call.
    pub fn take_notices(&mut self, told: &mut Vec<Notice>) {
        told.append(&mut self.notices);
    }

    /// Whether a flow lives that this machine opened to `key`: its sessions are wanted.
    pub fn has_flow_of_ours(&mut self, key: &NodeKey, now: Instant) -> bool {
        let now = self.clock(now);
        self.table.expire(now);
        self.table.flows_with(key, Origin::Ours) > 0 && !self.rules.is_blocked(key)
    }

    /// What the shard holds.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let (flows, inbound, keys) = self.table.counts();
        Sizes { flows, inbound, keys }
    }

    /// Packets that did not pass, by reason.
    #[must_use]
    pub const fn drops(&self) -> &Drops {
        &self.drops
    }

    fn clock(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn judge(
        &mut self,
        direction: Direction,
        remote: &Remote,
        packet: &[u8],
        now: Instant,
    ) -> Verdict {
        let now = self.clock(now);
        let (header, checked) = match self.take_apart(direction, remote, packet) {
            Ok(header) => (Some(header), self.check(direction, remote, packet, &header, now)),
            Err(reason) => (None, Err(reason)),
        };
        let Err(reason) = checked else { return Verdict::Accept };
        self.drops.count(direction, reason);
        if header.is_some_and(|header| self.is_told(direction, &header, reason, &remote.key, now)) {
            Verdict::Reject(reason)
        } else {
            Verdict::Drop(reason)
        }
    }

    /// Checks 1 to 3.
    fn take_apart(
        &self,
        direction: Direction,
        remote: &Remote,
        packet: &[u8],
    ) -> Result<Header, Reason> {
        let (source, dest) = ipv6::endpoints(packet).map_err(|_| Reason::NotIpv6)?;
        let (sender, receiver) = match direction {
            Direction::In => (&remote.territory, &self.own),
            Direction::Out => (&self.own, &remote.territory),
        };
        if !sender.contains(&source) {
            return Err(Reason::ForeignSource);
        }
        let header = headers::parse(packet)?;
        if !receiver.contains(&dest) {
            return Err(Reason::ForeignDestination);
        }
        Ok(header)
    }

    /// Checks 4 to 10.
    fn check(
        &mut self,
        direction: Direction,
        remote: &Remote,
        packet: &[u8],
        header: &Header,
        now: Instant,
    ) -> Result<(), Reason> {
        let key = &remote.key;
        let tuple = Tuple::of(header, direction);
        let mut known = tuple.and_then(|tuple| self.table.find(key, &tuple, now));
        // A flow of the present generation proves that the key was not blocked in it.
        let is_current = known.is_some_and(|at| self.table.generation(at) == self.generation);
        if !is_current && self.rules.is_blocked(key) {
            known.inspect(|at| self.table.remove(*at));
            return Err(Reason::Blocked);
        }
        if let Some(fragment) = &header.fragment {
            let ends = (header.source, header.dest);
            let fragments = self.table.peer(key).map(|peer| peer.fragments(direction));
            if fragment.offset > 0 {
                let fragments = fragments.ok_or(Reason::FragmentOrphan)?;
                return fragments.check_later(ends, fragment, self.generation, now);
            }
            fragments.map_or(Ok(()), |fragments| fragments.check_first(ends, fragment, now))?;
        }
        let Some(tuple) = tuple else {
            return match header.upper {
                // An error fits into the smallest packet, so a real one has no fragments.
                Upper::Error if header.fragment.is_none() => {
                    self.check_error(direction, key, header, packet, now)
                }
                Upper::Error => Err(Reason::ErrorUnrelated),
                _ => Err(Reason::Confined),
            };
        };
        if let Some(at) = known
            && (!self.is_still_allowed(at, key, &tuple) || is_opened_again(&self.table, at, header))
        {
            self.table.remove(at);
            known = None;
        }
        match known {
            Some(at) => self.take_known(at, direction, header, now)?,
            None => self.take_new(direction, key, header, tuple, now)?,
        }
        if let (Some(fragment), Some(peer)) = (&header.fragment, self.table.peer(key)) {
            let ends = (header.source, header.dest);
            peer.fragments(direction).note_first(ends, fragment, self.generation, now);
        }
        Ok(())
    }

    /// Check 5: a packet of a flow that the rules allow.
    fn take_known(
        &mut self,
        at: u32,
        direction: Direction,
        header: &Header,
        now: Instant,
    ) -> Result<(), Reason> {
        let is_request = matches!(header.upper, Upper::EchoRequest(_));
        if direction == Direction::In && is_request && !self.table.peer_of(at).echo.allow(now) {
            return Err(Reason::EchoRate);
        }
        let flags = match header.upper {
            Upper::Tcp { flags, .. } => flags,
            _ => 0,
        };
        self.table.advance(at, Origin::of(direction), flags, now);
        Ok(())
    }

    /// Checks 7 to 10: a packet that has to open a flow.
    fn take_new(
        &mut self,
        direction: Direction,
        key: &NodeKey,
        header: &Header,
        tuple: Tuple,
        now: Instant,
    ) -> Result<(), Reason> {
        match header.upper {
            Upper::EchoReply(_) => return Err(Reason::EchoUnasked),
            Upper::Tcp { flags, .. } if !flags::is_opening(flags) => {
                return Err(Reason::TcpMidstream);
            }
            _ => {}
        }
        let is_once = match direction {
            Direction::In => match self.rules.admit(key, &tuple) {
                Ok(()) => false,
                Err(reason) => {
                    self.knock(key, &tuple, reason, now)?;
                    true
                }
            },
            Direction::Out => {
                self.rules.may_reach(key)?;
                false
            }
        };
        if tuple.kind == Kind::EchoTheirs {
            let peer = self.table.remember(key, now).map_err(|_| Reason::Full)?;
            if !peer.echo.allow(now) {
                return Err(Reason::EchoRate);
            }
        }
        let opened = self.table.open(key, tuple, Origin::of(direction), self.generation, now);
        let flow = opened.map_err(|_| Reason::Full)?;
        if is_once {
            self.table.set_once(flow);
        }
        if direction == Direction::In
            && let Some(reached) = Reached::by(&tuple)
        {
            self.note(Notice::Opened(*key, reached));
        }
        Ok(())
    }

    /// A packet that no rule lets in: if it comes from a person, it may be one to ask about, or to
    /// let in for once.
    fn knock(
        &mut self,
        key: &NodeKey,
        tuple: &Tuple,
        reason: Reason,
        now: Instant,
    ) -> Result<(), Reason> {
        let is_for_want_of_a_rule = matches!(reason, Reason::NoRule | Reason::EchoRefused);
        let Some(reached) = Reached::by(tuple).filter(|_| is_for_want_of_a_rule) else {
            return Err(reason);
        };
        if !self.rules.knows(key) {
            return Err(reason);
        }
        // People are asked about this machine, not about others behind it.
        if reason == Reason::NoRule && tuple.local == *self.own.address.as_bytes() {
            let asks = self.rules.asks_about(key, reached);
            let is_heard = self.notices.len() < NOTICES_PER_SHARD_MAX;
            match self.knocks.knock(key, reached, asks && is_heard, now) {
                Knock::Granted => return Ok(()),
                Knock::First => {
                    self.note(Notice::Knocked(*key, reached));
                    return Err(Reason::Asked);
                }
                Knock::Open if asks => return Err(Reason::Asked),
                Knock::Open | Knock::Refused => {}
            }
        }
        self.note(Notice::Refused(*key, reached));
        Err(reason)
    }

    fn note(&mut self, notice: Notice) {
        if self.notices.len() < NOTICES_PER_SHARD_MAX && !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// Check 6: an error about a packet that went the other way. It changes nothing about the flow,
    /// and does not keep it.
    fn check_error(
        &mut self,
        direction: Direction,
        key: &NodeKey,
        header: &Header,
        packet: &[u8],
        now: Instant,
    ) -> Result<(), Reason> {
        let quote = packet.get(header.upper_at + ICMP_LEN..).and_then(headers::parse_quote);
        // Whoever is told of an error must have caused it.
        let quote = quote.filter(|quote| quote.source == header.dest);
        let tuple = quote.and_then(|quote| Tuple::of(&quote, direction.reverse()));
        let tuple = tuple.ok_or(Reason::ErrorUnrelated)?;
        let at = self.table.find(key, &tuple, now).ok_or(Reason::ErrorUnrelated)?;
        if !self.is_still_allowed(at, key, &tuple) {
            self.table.remove(at);
            return Err(Reason::ErrorUnrelated);
        }
        Ok(())
    }

    /// Whether a flow with a key that is not blocked may go on under the present rules.
    fn is_still_allowed(&mut self, at: u32, key: &NodeKey, tuple: &Tuple) -> bool {
        if self.table.generation(at) == self.generation {
            return true;
        }
        let judged = match self.table.origin(at) {
            Origin::Ours => self.rules.may_reach(key),
            Origin::Theirs => self.rules.admit(key, tuple),
        };
        let is_allowed = judged.is_ok() || self.table.is_once(at) && self.rules.tolerates(key);
        if is_allowed {
            self.table.set_generation(at, self.generation);
        }
        is_allowed
    }

    /// Whether whoever sent a refused packet is told.
    fn is_told(
        &mut self,
        direction: Direction,
        header: &Header,
        reason: Reason,
        key: &NodeKey,
        now: Instant,
    ) -> bool {
        use Reason::{Blocked, EchoRefused, Full, NoRule, OutboundRefused, Shut, TcpMidstream};
        let is_of_use = match direction {
            Direction::In => matches!(reason, EchoRefused | TcpMidstream | Shut | NoRule),
            Direction::Out => matches!(reason, Blocked | TcpMidstream | OutboundRefused | Full),
        };
        if !is_of_use || !answer::is_answerable(header) {
            return false;
        }
        direction == Direction::Out || self.rules.knows(key) && self.answers.allow(now)
    }
}

/// Whether a connection that is over begins again with the same ports.
fn is_opened_again(table: &Table, at: u32, header: &Header) -> bool {
    let Upper::Tcp { flags, .. } = header.upper else { return false };
    flags::is_opening(flags) && table.class(at) == Class::TcpClosed
}
