//! The filter once more, slow and plain, written from the specification alone: it judges packets as
//! tests think of them, so it takes no bytes apart; it remembers every packet of every flow, and
//! works out anew each time what they come to. It shares no code with the filter but the names of
//! reasons and the form of a policy.

use planetary_circles::{
    Audience, Destination, Notice, Person, Policy, Protocol, Reached, Reason, Service, Settled,
    Verdict, Who,
};
use planetary_proto::NodeKey;

use super::{
    form::{form, walk},
    packets::{ACK, Body, Damage, End, FIN, Part, RST, SYN, Sketch, remote},
};

/// A second, in the oracle's time.
pub(crate) const SECOND: u64 = 1_000_000;

/// Flows in all, inbound, with one key, and of these inbound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) all: usize,
    pub(crate) inbound: usize,
    pub(crate) per_key: usize,
    pub(crate) per_key_inbound: usize,
}

/// One flow, as its ends are seen from here.
#[derive(Clone, Debug)]
struct Flow {
    peer: usize,
    protocol: u8,
    own: (End, u16),
    far: (End, u16),
    ours: bool,
    /// Whether this machine sent it, TCP flags, when.
    packets: Vec<(bool, u8, u64)>,
    /// A person said yes, once.
    once: bool,
}

/// A question that was opened: about whom and what, when, and what was answered when.
struct Question {
    peer: usize,
    reached: Reached,
    asked: u64,
    answer: Option<(Settled, u64)>,
}

impl Question {
    fn is_open(&self, now: u64) -> bool {
        self.answer.is_none() && now < self.asked + 30 * SECOND
    }

    /// Whether yes still counts.
    fn is_granted(&self, now: u64) -> bool {
        matches!(self.answer, Some((Settled::Once, at)) if now < at + 60 * SECOND)
    }

    /// Whether a no, or silence, still counts.
    fn is_quiet(&self, now: u64) -> bool {
        let since = match self.answer {
            Some((Settled::Once, _)) => return false,
            Some((Settled::Refused, at)) => at,
            None => self.asked + 30 * SECOND,
        };
        (since..since + 60 * SECOND).contains(&now)
    }
}

/// Packets in fragments: which way, with whom, between whom, which, since when, under which rules,
/// and how far they have come.
struct Pieces {
    out: bool,
    peer: usize,
    ends: (End, End),
    id: u32,
    since: u64,
    rules: u64,
    seen: Vec<(usize, usize)>,
}

pub(crate) struct Oracle {
    pub(crate) policy: Policy,
    bounds: Bounds,
    rules: u64,
    flows: Vec<Flow>,
    pieces: Vec<Pieces>,
    /// Echo requests let in: with whom, when.
    echoes: Vec<Bucket>,
    answers: Bucket,
    questions: Vec<Question>,
    /// What there is to tell.
    pub(crate) notices: Vec<Notice>,
}

/// So many a second, so many at once.
#[derive(Clone)]
struct Bucket {
    per_s: u64,
    burst: u64,
    /// In millionths.
    level: u64,
    at: u64,
}

impl Bucket {
    fn take(&mut self, now: u64) -> bool {
        self.level = self.burst.min(self.level + (now - self.at) * self.per_s);
        self.at = now;
        let taken = self.level >= SECOND;
        self.level -= if taken { SECOND } else { 0 };
        taken
    }
}

impl Flow {
    /// Timeout, whether nobody has answered for good, and the moment that the timeout counts from.
    fn state(&self) -> (u64, bool, u64) {
        let mine = |out: bool| out == self.ours;
        let last = self.packets.last().unwrap().2;
        let answered = self.packets.iter().any(|(out, ..)| !mine(*out));
        match self.protocol {
            6 => self.tcp_state(),
            17 if answered => (180 * SECOND, false, last),
            17 => (30 * SECOND, true, last),
            58 => (30 * SECOND, !answered, last),
            _ => (60 * SECOND, !answered, last),
        }
    }

    fn tcp_state(&self) -> (u64, bool, u64) {
        let is_opener = |out: bool| out == self.ours;
        let mut finished = (false, false);
        for (out, flags, at) in &self.packets {
            let fin = flags & FIN != 0;
            let side = if is_opener(*out) { &mut finished.0 } else { &mut finished.1 };
            *side |= fin;
            if flags & RST != 0 || finished == (true, true) {
                return (10 * SECOND, false, *at);
            }
        }
        let last = self.packets.last().unwrap().2;
        let answer = self.packets.iter().position(|(out, ..)| !is_opener(*out));
        let confirmed = answer.is_some_and(|answer| {
            let after = &self.packets[answer..];
            after.iter().any(|(out, flags, _)| is_opener(*out) && flags & SYN == 0)
        });
        match (confirmed, finished) {
            (false, _) => (60 * SECOND, true, last),
            (true, (false, false)) => (2 * 3600 * SECOND + 240 * SECOND, false, last),
            (true, _) => (120 * SECOND, false, last),
        }
    }

    fn is_closed(&self) -> bool {
        self.protocol == 6 && self.state().0 == 10 * SECOND
    }
}

impl Oracle {
    pub(crate) fn new(policy: Policy, bounds: Bounds, peers: usize) -> Self {
        let echo = Bucket { per_s: 10, burst: 10 * SECOND, level: 10 * SECOND, at: 0 };
        let answers = Bucket { per_s: 50, burst: 100 * SECOND, level: 100 * SECOND, at: 0 };
        let (flows, pieces) = (Vec::new(), Vec::new());
        let echoes = vec![echo; peers];
        let (questions, notices) = (Vec::new(), Vec::new());
        Self { policy, bounds, rules: 0, flows, pieces, echoes, answers, questions, notices }
    }

    /// Answers the last question about a service, if it is open.
    pub(crate) fn settle(
        &mut self,
        peer: usize,
        reached: Reached,
        settled: Settled,
        now: u64,
    ) -> bool {
        let questions = self.questions.iter_mut().rev();
        let last = questions.into_iter().find(|q| (q.peer, q.reached) == (peer, reached));
        let open = last.filter(|question| question.is_open(now));
        open.map(|question| question.answer = Some((settled, now))).is_some()
    }

    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.rules += 1;
    }

    pub(crate) fn live_flows(&mut self, now: u64) -> usize {
        self.end_flows(now);
        self.flows.len()
    }

    /// Timeout of the flow that a packet belongs to.
    pub(crate) fn timeout_of(&self, out: bool, peer: usize, sketch: &Sketch) -> Option<u64> {
        self.flow_of(out, peer, sketch).map(|at| self.flows[at].state().0)
    }

    pub(crate) fn judge(&mut self, out: bool, peer: usize, sketch: &Sketch, now: u64) -> Verdict {
        self.end_flows(now);
        let Err(reason) = self.check(out, peer, sketch, now) else { return Verdict::Accept };
        let told = if out {
            use Reason::{Blocked, Full, OutboundRefused, TcpMidstream};
            [Blocked, TcpMidstream, OutboundRefused, Full].contains(&reason)
        } else {
            use Reason::{EchoRefused, NoRule, Shut, TcpMidstream};
            [EchoRefused, TcpMidstream, Shut, NoRule].contains(&reason)
        };
        let is_answerable = match sketch.body {
            Body::Tcp { flags, .. } => flags & RST == 0,
            Body::Udp { .. } | Body::Other(_) => true,
            Body::Echo { reply, .. } => !reply,
            Body::Error { .. } | Body::Icmp(_) => false,
        } && sketch.part.is_none_or(|part| part.from == 0 && !part.more);
        let knows = self.person(peer).is_some() && !self.is_blocked(peer);
        if told && is_answerable && (out || knows && self.answers.take(now)) {
            Verdict::Reject(reason)
        } else {
            Verdict::Drop(reason)
        }
    }

    fn check(&mut self, out: bool, peer: usize, sketch: &Sketch, now: u64) -> Result<(), Reason> {
        let belongs = |end: End, here: bool| match end {
            End::Own(_) => here,
            End::Far(of, _) => !here && of == peer,
            End::Multicast => false,
        };
        // 1 to 4.
        if sketch.damage == Damage::Version {
            return Err(Reason::NotIpv6);
        }
        if !belongs(sketch.source, out) {
            return Err(Reason::ForeignSource);
        }
        form(sketch)?;
        if !belongs(sketch.dest, !out) {
            return Err(Reason::ForeignDestination);
        }
        let known = self.flow_of(out, peer, sketch);
        if self.is_blocked(peer) {
            if let (Some(at), false) = (known, is_later(sketch)) {
                self.flows.remove(at);
            }
            return Err(Reason::Blocked);
        }
        // Fragments.
        let part = sketch.part.filter(|part| part.from > 0 || part.more);
        if let Some(part) = part {
            self.check_part(out, peer, sketch, &part, now)?;
            if part.from > 0 {
                return Ok(());
            }
        }
        // 5 and 6.
        match &sketch.body {
            Body::Error { about, len, .. } if part.is_none() => {
                return self.check_error(out, peer, sketch, about, *len);
            }
            Body::Error { .. } => return Err(Reason::ErrorUnrelated),
            Body::Icmp(_) => return Err(Reason::Confined),
            _ => {}
        }
        let flags = if let Body::Tcp { flags, .. } = sketch.body { flags } else { 0 };
        let opens = flags & (SYN | ACK | FIN | RST) == SYN;
        let is_request = matches!(sketch.body, Body::Echo { reply: false, .. });
        let known = known.filter(|at| {
            let flow = &self.flows[*at];
            let stays = self.allows(flow).is_ok() || flow.once && self.tolerates(flow);
            stays && !(flow.is_closed() && opens)
        });
        match known {
            Some(at) => {
                if !out && is_request && !self.echoes[peer].take(now) {
                    return Err(Reason::EchoRate);
                }
                self.flows[at].packets.push((out, flags, now));
            }
            None => {
                if let Some(at) = self.flow_of(out, peer, sketch) {
                    self.flows.remove(at);
                }
                // 7 to 10.
                if matches!(sketch.body, Body::Echo { reply: true, .. }) {
                    return Err(Reason::EchoUnasked);
                }
                if matches!(sketch.body, Body::Tcp { .. }) && !opens {
                    return Err(Reason::TcpMidstream);
                }
                let mut flow = flow(out, peer, sketch, (out, flags, now));
                if let Err(reason) = self.allows(&flow) {
                    self.ask(&flow, reason, now)?;
                    flow.once = true;
                }
                if !out && is_request && !self.echoes[peer].take(now) {
                    return Err(Reason::EchoRate);
                }
                let reached = (!out).then(|| reached(&flow)).flatten();
                self.add(flow)?;
                reached.inspect(|reached| self.note(Notice::Opened(key(peer), *reached)));
            }
        }
        if let Some(part) = part {
            self.note_first(out, peer, sketch, &part, now);
        }
        Ok(())
    }

    fn check_part(
        &mut self,
        out: bool,
        peer: usize,
        sketch: &Sketch,
        part: &Part,
        now: u64,
    ) -> Result<(), Reason> {
        self.pieces.retain(|pieces| now - pieces.since <= 30 * SECOND);
        let ends = (sketch.source, sketch.dest);
        let is_ours = |p: &Pieces| (p.out, p.peer, p.ends, p.id) == (out, peer, ends, part.id);
        let at = self.pieces.iter().position(is_ours);
        if part.from == 0 {
            return match at {
                Some(at) => {
                    self.pieces.remove(at);
                    Err(Reason::FragmentOverlap)
                }
                None => Ok(()),
            };
        }
        let at = at.ok_or(Reason::FragmentOrphan)?;
        let pieces = &mut self.pieces[at];
        let range = sketch.part_range(part);
        let result = if pieces.rules != self.rules {
            Err(Reason::FragmentOrphan)
        } else if pieces.seen.iter().any(|(_, end)| range.start < *end) {
            Err(Reason::FragmentOverlap)
        } else {
            pieces.seen.push((range.start, range.end));
            Ok(())
        };
        if result.is_err() || !part.more {
            self.pieces.remove(at);
        }
        result
    }

    fn note_first(&mut self, out: bool, peer: usize, sketch: &Sketch, part: &Part, now: u64) {
        let (ends, range) = ((sketch.source, sketch.dest), sketch.part_range(part));
        let mine = |pieces: &Pieces| pieces.out == out && pieces.peer == peer;
        if self.pieces.iter().filter(|pieces| mine(pieces)).count() == 16 {
            let first = self.pieces.iter().position(mine).unwrap();
            self.pieces.remove(first);
        }
        let seen = vec![(range.start, range.end)];
        let (id, since, rules) = (part.id, now, self.rules);
        self.pieces.push(Pieces { out, peer, ends, id, since, rules, seen });
    }

    fn check_error(
        &mut self,
        out: bool,
        peer: usize,
        sketch: &Sketch,
        about: &Sketch,
        len: usize,
    ) -> Result<(), Reason> {
        let extensions = about.before.iter().chain(&about.after);
        let extensions = extensions.map(|extension| extension.len()).sum::<usize>();
        // Ports, or the identifier, must be shown.
        let shown = 40
            + extensions
            + match about.body {
                Body::Tcp { .. } | Body::Udp { .. } => 4,
                Body::Echo { .. } => 6,
                _ => 0,
            }
            + if about.part.is_some() { 8 } else { 0 };
        // The packet may end before its quote does.
        let outer = sketch.before.iter().map(|extension| extension.len()).sum::<usize>()
            + if sketch.part.is_some() { 8 } else { 0 }
            + sketch.after.iter().map(|extension| extension.len()).sum::<usize>();
        let len = match sketch.damage {
            Damage::Cut(cut) => len.min(cut.saturating_sub(outer + 8)),
            _ => len,
        };
        let is_readable = len >= shown
            && about.damage == Damage::None
            && walk(about).is_ok()
            && !is_later(about)
            && about.source == sketch.dest;
        let at = is_readable.then(|| self.flow_of(!out, peer, about)).flatten();
        let at = at.ok_or(Reason::ErrorUnrelated)?;
        let flow = &self.flows[at];
        if self.allows(flow).is_err() && !(flow.once && self.tolerates(flow)) {
            self.flows.remove(at);
            return Err(Reason::ErrorUnrelated);
        }
        Ok(())
    }

    /// What becomes of a flow that the policy does not let be: it is refused, but for a yes, and
    /// kept waiting while a question is open.
    fn ask(&mut self, flow: &Flow, reason: Reason, now: u64) -> Result<(), Reason> {
        let Some(person) = self.person(flow.peer) else { return Err(reason) };
        let wants_rule = matches!(reason, Reason::NoRule | Reason::EchoRefused);
        let Some(reached) = reached(flow).filter(|_| wants_rule) else { return Err(reason) };
        let asks = self.policy.asks
            && self.policy.inbound == Audience::Circles
            && !person.declined.contains(&reached);
        if reason == Reason::NoRule && flow.own.0 == End::Own(0) {
            let of_peer = || self.questions.iter().filter(|q| q.peer == flow.peer);
            let last = of_peer().rfind(|question| question.reached == reached);
            if last.is_some_and(|question| question.is_granted(now)) {
                return Ok(());
            }
            if asks && last.is_some_and(|question| question.is_open(now)) {
                return Err(Reason::Asked);
            }
            let is_quiet = last.is_some_and(|question| question.is_quiet(now));
            let is_busy = of_peer().any(|question| question.is_open(now));
            let lately = of_peer().filter(|question| now < question.asked + 3600 * SECOND).count();
            if asks && !is_quiet && !is_busy && lately < 3 {
                let (peer, asked) = (flow.peer, now);
                self.questions.push(Question { peer, reached, asked, answer: None });
                self.note(Notice::Knocked(key(peer), reached));
                return Err(Reason::Asked);
            }
        }
        self.note(Notice::Refused(key(flow.peer), reached));
        Err(reason)
    }

    /// Whether a flow that was let in once may go on although no rule names it.
    fn tolerates(&self, flow: &Flow) -> bool {
        !self.policy.paused
            && self.policy.inbound != Audience::Nobody
            && self.person(flow.peer).is_some()
    }

    fn note(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// The flow of a packet that goes this way.
    fn flow_of(&self, out: bool, peer: usize, sketch: &Sketch) -> Option<usize> {
        if is_later(sketch) || matches!(sketch.body, Body::Error { .. } | Body::Icmp(_)) {
            return None;
        }
        let like = flow(out, peer, sketch, (out, 0, 0));
        self.flows.iter().position(|flow| {
            // Requests and replies of an echo have their sides.
            let is_side = like.protocol != 58 || flow.ours == like.ours;
            is_side
                && (flow.peer, flow.protocol, flow.own, flow.far)
                    == (like.peer, like.protocol, like.own, like.far)
        })
    }

    /// Whether the present policy lets such a flow be.
    fn allows(&self, flow: &Flow) -> Result<(), Reason> {
        let person = self.person(flow.peer);
        if flow.ours {
            return match self.policy.outbound {
                Audience::Everyone => Ok(()),
                Audience::Circles if person.is_some() => Ok(()),
                _ => Err(Reason::OutboundRefused),
            };
        }
        if self.policy.paused {
            return Err(Reason::Shut);
        }
        if flow.protocol == 58 {
            return match self.policy.echo {
                Audience::Everyone => Ok(()),
                Audience::Circles if person.is_some_and(|person| person.echo) => Ok(()),
                _ => Err(Reason::EchoRefused),
            };
        }
        if self.policy.inbound == Audience::Nobody {
            return Err(Reason::Shut);
        }
        let is_plain = flow.protocol == 6 || flow.protocol == 17;
        let mut allowed = self.policy.inbound == Audience::Everyone && is_plain;
        for rule in &self.policy.rules {
            let names = match rule.who {
                Who::Everyone => true,
                Who::Circles(circles) => person.is_some_and(|p| p.circles & circles != 0),
            };
            allowed |= names && is_for(&rule.service, flow);
        }
        for service in person.iter().flat_map(|person| &person.services) {
            allowed |= is_for(service, flow);
        }
        if allowed { Ok(()) } else { Err(Reason::NoRule) }
    }

    /// Adds a flow; the one-way flow whose last packet is the oldest makes room, of the same key if
    /// it is the key that has too many. Flows that others open push out no others.
    fn add(&mut self, new: Flow) -> Result<(), Reason> {
        let Bounds { all, inbound, per_key, per_key_inbound } = self.bounds;
        let count = |test: &dyn Fn(&Flow) -> bool| self.flows.iter().filter(|f| test(f)).count();
        let of_key = |flow: &Flow| flow.peer == new.peer;
        let theirs = |flow: &Flow| !flow.ours;
        let is_key_full = count(&of_key) >= per_key
            || !new.ours && count(&|flow| of_key(flow) && theirs(flow)) >= per_key_inbound;
        let is_full = count(&|_| true) >= all || !new.ours && count(&theirs) >= inbound;
        if is_key_full || is_full {
            let may_go = |(_, flow): &(usize, &Flow)| {
                flow.state().1 && (new.ours || theirs(flow)) && (!is_key_full || of_key(flow))
            };
            let flows = self.flows.iter().enumerate().filter(may_go);
            let victim = flows.min_by_key(|(_, flow)| flow.packets.last().unwrap().2);
            let (victim, _) = victim.ok_or(Reason::Full)?;
            self.flows.remove(victim);
        }
        self.flows.push(new);
        Ok(())
    }

    fn end_flows(&mut self, now: u64) {
        self.flows.retain(|flow| {
            let (timeout, _, since) = flow.state();
            now - since <= timeout
        });
    }

    fn person(&self, peer: usize) -> Option<&Person> {
        let is_it = |person: &&Person| person.key == key(peer) && !person.messages_only;
        self.policy.people.iter().find(is_it)
    }

    fn is_blocked(&self, peer: usize) -> bool {
        self.policy.blocked.contains(&key(peer))
    }
}

fn key(peer: usize) -> NodeKey {
    remote(peer).key
}

fn is_later(sketch: &Sketch) -> bool {
    sketch.part.is_some_and(|part| part.from > 0)
}

fn is_for(service: &Service, flow: &Flow) -> bool {
    let is_protocol = match service.protocol {
        Protocol::Tcp(first, last) => {
            flow.protocol == 6 && first <= flow.own.1 && flow.own.1 <= last
        }
        Protocol::Udp(first, last) => {
            flow.protocol == 17 && first <= flow.own.1 && flow.own.1 <= last
        }
        Protocol::Other(number) => number == flow.protocol,
    };
    let is_there = match service.destination {
        Destination::Anywhere => true,
        Destination::Subnet => matches!(flow.own.0, End::Own(host) if host > 0),
        Destination::Host(address) => address == flow.own.0.bytes(),
    };
    is_protocol && is_there
}

/// A flow that begins with this packet.
fn flow(out: bool, peer: usize, sketch: &Sketch, packet: (bool, u8, u64)) -> Flow {
    let (protocol, from, to, ours) = match sketch.body {
        Body::Tcp { source, dest, .. } => (6, source, dest, out),
        Body::Udp { source, dest } => (17, source, dest, out),
        // Both ends go by the identifier; what tells flows apart is who asks.
        Body::Echo { reply, id } => (58, id, id, out != reply),
        Body::Other(number) => (number, 0, 0, out),
        Body::Error { .. } | Body::Icmp(_) => unreachable!("they are no flows"),
    };
    let (source, dest) = ((sketch.source, from), (sketch.dest, to));
    let (own, far) = if out { (source, dest) } else { (dest, source) };
    Flow { peer, protocol, own, far, ours, packets: vec![packet], once: false }
}

/// What a flow reaches here, as it is told.
fn reached(flow: &Flow) -> Option<Reached> {
    match flow.protocol {
        _ if flow.ours => None,
        6 => Some(Reached::Tcp(flow.own.1)),
        17 => Some(Reached::Udp(flow.own.1)),
        58 => Some(Reached::Echo),
        _ => None,
    }
}
