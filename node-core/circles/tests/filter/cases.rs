//! The table of `docs/security.md`, line by line. Names of tests begin with the line's number.

use std::sync::Arc;

use planetary_circles::{
    Audience, Budget, Destination, Filter, Notice, Person, Policy, Protocol, Reached, Reason, Rule,
    Rules, Service, Settled, Verdict, Who,
    limits::{KNOCKERS_PER_SHARD_MAX, NOTICES_PER_SHARD_MAX},
};
use planetary_proto::{
    NodeKey,
    session::Standing,
    time::{Duration, Instant},
};

use super::packets::{
    ACK, Body, Damage, End, Extension, FIN, RST, SYN, Sketch, echo, error, own, remote, tcp, udp,
};

pub(crate) const ME: End = End::Own(0);
/// In circle 0, may echo, and may reach UDP 53 besides what its circle may.
pub(crate) const FRIEND: End = End::Far(1, 0);
/// A friend without circle, echo or services.
pub(crate) const GUEST: End = End::Far(2, 0);
pub(crate) const STRANGER: End = End::Far(3, 0);

/// A filter with a clock.
pub(crate) struct Bench {
    pub(crate) filter: Filter,
    pub(crate) now: Instant,
}

impl Bench {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self::with(policy, Budget::new(64))
    }

    pub(crate) fn with(policy: &Policy, budget: Arc<Budget>) -> Self {
        let rules = Arc::new(Rules::compile(policy).unwrap());
        Self { filter: Filter::new(own(), rules, budget), now: Instant::START }
    }

    pub(crate) fn set(&mut self, policy: &Policy) {
        self.filter.set_rules(Arc::new(Rules::compile(policy).unwrap()));
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    /// Judges a packet; which way it goes shows in its ends.
    pub(crate) fn pass(&mut self, sketch: &Sketch) -> Verdict {
        self.now = self.now + Duration::from_micros(1);
        let bytes = sketch.bytes();
        match (sketch.source, sketch.dest) {
            (End::Own(_), End::Far(peer, _)) => {
                self.filter.outbound(&remote(peer), &bytes, self.now)
            }
            (End::Far(peer, _), _) => self.filter.inbound(&remote(peer), &bytes, self.now),
            ends => panic!("no way for {ends:?}"),
        }
    }

    pub(crate) fn passes(&mut self, sketch: Sketch) {
        assert_eq!(self.pass(&sketch), Verdict::Accept, "{sketch:?}");
    }

    pub(crate) fn is_dropped(&mut self, sketch: Sketch, reason: Reason) {
        assert_eq!(self.pass(&sketch), Verdict::Drop(reason), "{sketch:?}");
    }

    pub(crate) fn is_told(&mut self, sketch: Sketch, reason: Reason) {
        assert_eq!(self.pass(&sketch), Verdict::Reject(reason), "{sketch:?}");
    }

    /// Answers the question whether [`FRIEND`] may reach a service.
    pub(crate) fn settle(&mut self, reached: Reached, settled: Settled) -> bool {
        self.filter.settle_knock(&key(FRIEND), reached, settled, self.now)
    }

    /// What there is to tell.
    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.filter.take_notices(&mut notices);
        notices
    }

    /// A connection from one end to the other, up to where it is established.
    pub(crate) fn connects(&mut self, from: End, to: End, port: u16) {
        self.passes(tcp(from, 5000, to, port, SYN));
        self.passes(tcp(to, port, from, 5000, SYN | ACK));
        self.passes(tcp(from, 5000, to, port, ACK));
    }
}

pub(crate) fn anywhere(protocol: Protocol) -> Service {
    Service { protocol, destination: Destination::Anywhere }
}

pub(crate) fn key(end: End) -> NodeKey {
    match end {
        End::Far(peer, _) => remote(peer).key,
        other => panic!("{other:?} has no key"),
    }
}

pub(crate) fn policy() -> Policy {
    let services = vec![anywhere(Protocol::Udp(53, 53))];
    let rules = [Protocol::Tcp(22, 23), Protocol::Other(47)];
    let rules = rules.map(|protocol| Rule { who: Who::Circles(0b11), service: anywhere(protocol) });
    Policy {
        people: vec![
            Person::of(key(GUEST)),
            Person { circles: 0b101, echo: true, services, ..Person::of(key(FRIEND)) },
        ],
        rules: rules.to_vec(),
        ..Policy::default()
    }
}

fn other(source: End, dest: End, protocol: u8) -> Sketch {
    Sketch::new(source, dest, Body::Other(protocol))
}

#[test]
fn line_01_addresses_belong_to_their_ends() {
    let mut bench = Bench::new(&policy());
    let whole = tcp(FRIEND, 5000, ME, 22, SYN);
    let from = |source| Sketch { source, ..whole.clone() };
    let mut foreign = |source, dest| {
        let sketch = Sketch { dest, ..from(source) };
        bench.filter.inbound(&remote(1), &sketch.bytes(), Instant::START)
    };
    assert_eq!(foreign(STRANGER, ME), Verdict::Drop(Reason::ForeignSource));
    assert_eq!(foreign(ME, ME), Verdict::Drop(Reason::ForeignSource));
    assert_eq!(foreign(End::Multicast, ME), Verdict::Drop(Reason::ForeignSource));
    assert_eq!(foreign(FRIEND, STRANGER), Verdict::Drop(Reason::ForeignDestination));
    assert_eq!(foreign(FRIEND, End::Multicast), Verdict::Drop(Reason::ForeignDestination));
    assert_eq!(foreign(End::Far(1, 9), End::Own(9)), Verdict::Accept);
    bench.is_dropped(Sketch { damage: Damage::Version, ..whole }, Reason::NotIpv6);
    let outbound = |sketch: &Sketch, bench: &mut Bench| {
        bench.filter.outbound(&remote(1), &sketch.bytes(), Instant::START)
    };
    let out = tcp(FRIEND, 5000, FRIEND, 22, SYN);
    assert_eq!(outbound(&out, &mut bench), Verdict::Drop(Reason::ForeignSource));
    let out = tcp(ME, 5000, STRANGER, 22, SYN);
    assert_eq!(outbound(&out, &mut bench), Verdict::Drop(Reason::ForeignDestination));
}

#[test]
fn line_02_what_can_be_read_in_two_ways_is_dropped() {
    let mut bench = Bench::new(&policy());
    let with = |before: Vec<Extension>| Sketch { before, ..tcp(FRIEND, 5000, ME, 22, SYN) };
    use Extension::{HopByHop, HopByHopWithJumbo, Options, Routing};
    bench.passes(with(vec![HopByHop, Options(2)]));
    bench.passes(with(vec![Options(1); 8]));
    bench.passes(with(vec![Options(32)]));
    bench.is_dropped(with(vec![Options(1); 9]), Reason::Extensions);
    bench.is_dropped(with(vec![Options(32), Options(1)]), Reason::Extensions);
    bench.is_dropped(with(vec![Routing]), Reason::RoutingHeader);
    bench.is_dropped(with(vec![HopByHopWithJumbo]), Reason::Jumbogram);
    bench.is_dropped(with(vec![Options(1), HopByHop]), Reason::Malformed);
    let damaged = |damage| Sketch { damage, ..tcp(FRIEND, 5000, ME, 22, SYN) };
    bench.is_dropped(damaged(Damage::Length), Reason::Malformed);
    bench.is_dropped(damaged(Damage::NoLength), Reason::Malformed);
    bench.is_dropped(damaged(Damage::Cut(19)), Reason::Malformed);
    bench.passes(damaged(Damage::Cut(20)));
    let zero = Sketch { damage: Damage::NoLength, ..with(vec![HopByHop]) };
    bench.is_dropped(zero, Reason::Jumbogram);
}

#[test]
fn line_03_what_belongs_on_one_wire_never_crosses() {
    let mut bench = Bench::new(&policy());
    for kind in [0, 5, 127, 130, 131, 132, 133, 134, 135, 136, 137, 143, 255] {
        bench.is_dropped(Sketch::new(FRIEND, ME, Body::Icmp(kind)), Reason::Confined);
        bench.is_dropped(Sketch::new(ME, FRIEND, Body::Icmp(kind)), Reason::Confined);
    }
}

#[test]
fn line_04_nobody_reaches_a_fresh_node() {
    let mut bench = Bench::new(&Policy::default());
    for port in 0..=u16::MAX {
        bench.is_dropped(tcp(STRANGER, 5000, ME, port, SYN), Reason::NoRule);
        bench.is_dropped(udp(STRANGER, 5000, ME, port), Reason::NoRule);
    }
    bench.is_dropped(echo(STRANGER, ME, false, 1), Reason::EchoRefused);
    bench.is_dropped(other(STRANGER, ME, 47), Reason::NoRule);
    assert_eq!(bench.filter.sizes(), planetary_circles::Sizes::default(), "no state was left");
    assert_eq!(bench.filter.drops().inbound(Reason::NoRule), 2 * 65_536 + 1);
}

#[test]
fn line_05_answers_and_errors_come_back() {
    let mut bench = Bench::new(&Policy::default());
    bench.connects(ME, STRANGER, 80);
    bench.passes(udp(ME, 5000, STRANGER, 53));
    bench.passes(udp(STRANGER, 53, ME, 5000));
    bench.passes(echo(ME, STRANGER, false, 7));
    bench.passes(echo(STRANGER, ME, true, 7));
    bench.passes(other(ME, STRANGER, 47));
    bench.passes(other(STRANGER, ME, 47));
    bench.passes(error(STRANGER, ME, udp(ME, 5000, STRANGER, 53)));
    // From a router on the way within the far end's subnet.
    bench.passes(error(End::Far(3, 9), ME, tcp(ME, 5000, STRANGER, 80, ACK)));
    bench.passes(error(STRANGER, ME, echo(ME, STRANGER, false, 7)));
    bench.passes(error(STRANGER, ME, other(ME, STRANGER, 47)));
    // Nothing but these.
    bench.is_dropped(udp(STRANGER, 54, ME, 5000), Reason::NoRule);
    bench.is_dropped(udp(STRANGER, 53, ME, 5001), Reason::NoRule);
    bench.is_dropped(udp(STRANGER, 53, End::Own(1), 5000), Reason::NoRule);
    bench.is_dropped(udp(End::Far(3, 1), 53, ME, 5000), Reason::NoRule);
    bench.is_dropped(udp(GUEST, 53, ME, 5000), Reason::NoRule);
    bench.is_dropped(tcp(STRANGER, 53, ME, 5000, SYN), Reason::NoRule);
    bench.is_dropped(echo(STRANGER, ME, false, 7), Reason::EchoRefused);
    bench.is_dropped(echo(STRANGER, ME, true, 8), Reason::EchoUnasked);
}

#[test]
fn line_06_what_belongs_to_nothing_is_dropped() {
    let mut bench = Bench::new(&policy());
    for flags in [ACK, SYN | ACK, FIN | ACK, FIN, 0, SYN | FIN] {
        bench.is_dropped(tcp(STRANGER, 5000, ME, 22, flags), Reason::TcpMidstream);
        bench.is_told(tcp(FRIEND, 5000, ME, 22, flags), Reason::TcpMidstream);
    }
    for flags in [RST, RST | ACK, SYN | RST] {
        bench.is_dropped(tcp(FRIEND, 5000, ME, 22, flags), Reason::TcpMidstream);
    }
    bench.is_dropped(echo(FRIEND, ME, true, 1), Reason::EchoUnasked);
    bench.is_dropped(error(FRIEND, ME, udp(ME, 1, FRIEND, 2)), Reason::ErrorUnrelated);
    bench.passes(udp(ME, 1, FRIEND, 2));
    bench.passes(udp(ME, 1, STRANGER, 2));
    let untrue = [
        // It quotes a packet that went the other way, to others, or from nobody here.
        error(FRIEND, ME, udp(FRIEND, 2, ME, 1)),
        error(FRIEND, ME, udp(ME, 1, STRANGER, 2)),
        error(FRIEND, ME, udp(ME, 2, FRIEND, 1)),
        error(FRIEND, End::Own(1), udp(ME, 1, FRIEND, 2)),
        error(FRIEND, ME, error(ME, FRIEND, udp(ME, 1, FRIEND, 2))),
    ];
    for sketch in untrue {
        bench.is_dropped(sketch, Reason::ErrorUnrelated);
    }
    for (len, shows) in [(44, true), (43, false), (8, false), (0, false)] {
        let about = Box::new(udp(ME, 1, FRIEND, 2));
        let sketch = Sketch::new(FRIEND, ME, Body::Error { kind: 3, about, len });
        assert_eq!(bench.pass(&sketch).is_accept(), shows, "{len} bytes quoted");
    }
}

#[test]
fn line_07_people_reach_what_rules_and_their_own_list_name() {
    let mut bench = Bench::new(&policy());
    bench.connects(FRIEND, ME, 22);
    bench.connects(FRIEND, End::Own(7), 23);
    bench.passes(udp(FRIEND, 5000, ME, 53));
    bench.passes(udp(ME, 53, FRIEND, 5000));
    bench.passes(other(FRIEND, ME, 47));
    let mut narrow = policy();
    let host = Destination::Host(End::Own(7).bytes());
    narrow.rules[0].service.destination = host;
    let mut bench = Bench::new(&narrow);
    bench.connects(FRIEND, End::Own(7), 22);
    bench.is_told(tcp(FRIEND, 5000, ME, 22, SYN), Reason::NoRule);
}

#[test]
fn line_08_and_09_what_is_open_to_everyone_is_and_nothing_else() {
    let mut policy = policy();
    let service = anywhere(Protocol::Tcp(80, 80));
    policy.rules.push(Rule { who: Who::Everyone, service });
    let mut bench = Bench::new(&policy);
    for end in [STRANGER, GUEST, FRIEND] {
        bench.connects(end, ME, 80);
    }
    bench.is_dropped(tcp(STRANGER, 5000, ME, 22, SYN), Reason::NoRule);
    bench.is_dropped(tcp(STRANGER, 5000, ME, 79, SYN), Reason::NoRule);
    bench.is_dropped(udp(STRANGER, 5000, ME, 80), Reason::NoRule);
    for port in [21, 24] {
        bench.is_told(tcp(FRIEND, 5001, ME, port, SYN), Reason::NoRule);
    }
    bench.is_told(tcp(GUEST, 5001, ME, 22, SYN), Reason::NoRule);
    bench.is_told(udp(GUEST, 5001, ME, 53), Reason::NoRule);
    bench.is_told(other(FRIEND, ME, 50), Reason::NoRule);
    // Of other circles than the rule's.
    policy.people[1].circles = 0b100;
    let mut bench = Bench::new(&policy);
    bench.is_told(tcp(FRIEND, 5001, ME, 22, SYN), Reason::NoRule);
    bench.passes(tcp(FRIEND, 5001, ME, 80, SYN));
}

#[test]
fn line_10_and_11_everyone_means_tcp_and_udp() {
    let mut bench = Bench::new(&Policy { inbound: Audience::Everyone, ..policy() });
    bench.connects(STRANGER, ME, 1);
    bench.passes(udp(STRANGER, 5000, ME, 65_535));
    bench.is_dropped(other(STRANGER, ME, 47), Reason::NoRule);
    bench.is_dropped(tcp(STRANGER, 5000, ME, 9, ACK), Reason::TcpMidstream);
    bench.is_dropped(echo(STRANGER, ME, false, 1), Reason::EchoRefused);
    bench.passes(other(FRIEND, ME, 47));
    bench.is_told(other(GUEST, ME, 47), Reason::NoRule);
}

#[test]
fn line_12_nobody_means_nobody() {
    let rules = vec![Rule { who: Who::Everyone, service: anywhere(Protocol::Tcp(0, 65_535)) }];
    let mut bench = Bench::new(&Policy { inbound: Audience::Nobody, rules, ..policy() });
    bench.is_dropped(tcp(STRANGER, 5000, ME, 22, SYN), Reason::Shut);
    bench.is_told(udp(FRIEND, 5000, ME, 53), Reason::Shut);
    bench.passes(echo(FRIEND, ME, false, 1));
}

#[test]
fn line_13_to_15_echo_has_its_own_setting_and_rate() {
    let mut bench = Bench::new(&policy());
    bench.is_dropped(echo(STRANGER, ME, false, 1), Reason::EchoRefused);
    bench.is_told(echo(GUEST, ME, false, 1), Reason::EchoRefused);
    for sequence in 0..13 {
        // Whether they belong to one flow or to many.
        let request = echo(FRIEND, ME, false, sequence % 3);
        let expected =
            if sequence < 10 { Verdict::Accept } else { Verdict::Drop(Reason::EchoRate) };
        assert_eq!(bench.pass(&request), expected);
    }
    bench.passes(echo(ME, FRIEND, true, 1));
    bench.wait(1);
    bench.passes(echo(FRIEND, ME, false, 9));
    bench.set(&Policy { echo: Audience::Everyone, ..policy() });
    bench.passes(echo(STRANGER, ME, false, 1));
    bench.set(&Policy { echo: Audience::Nobody, ..policy() });
    bench.is_dropped(echo(STRANGER, ME, false, 1), Reason::EchoRefused);
    bench.is_told(echo(FRIEND, ME, false, 1), Reason::EchoRefused);
    // Own requests have neither.
    for id in 0..50 {
        bench.passes(echo(ME, FRIEND, false, id));
    }
}

#[test]
fn line_16_to_18_a_pause_shuts_others_out_and_keeps_what_is_ours() {
    for closed in [
        Policy { paused: true, ..policy() },
        Policy { inbound: Audience::Nobody, echo: Audience::Nobody, ..policy() },
    ] {
        let mut bench = Bench::new(&policy());
        bench.connects(FRIEND, ME, 22);
        bench.connects(FRIEND, ME, 23);
        bench.connects(ME, FRIEND, 80);
        bench.passes(udp(ME, 1, STRANGER, 2));
        bench.set(&closed);
        bench.passes(tcp(FRIEND, 80, ME, 5000, ACK));
        bench.passes(udp(STRANGER, 2, ME, 1));
        bench.is_told(tcp(FRIEND, 5000, ME, 22, ACK), Reason::TcpMidstream);
        bench.is_told(tcp(ME, 23, FRIEND, 5000, ACK), Reason::TcpMidstream);
        bench.is_told(tcp(FRIEND, 5001, ME, 22, SYN), Reason::Shut);
        assert!(!bench.pass(&echo(FRIEND, ME, false, 1)).is_accept());
        bench.passes(tcp(ME, 5001, STRANGER, 80, SYN));
        // What ended does not come back.
        bench.set(&policy());
        bench.is_told(tcp(FRIEND, 5000, ME, 22, ACK), Reason::TcpMidstream);
        bench.connects(FRIEND, ME, 22);
    }
}

#[test]
fn line_19_a_blocked_key_does_nothing() {
    let mut bench = Bench::new(&Policy { inbound: Audience::Everyone, ..policy() });
    bench.connects(FRIEND, ME, 22);
    bench.connects(ME, FRIEND, 80);
    bench.passes(udp(ME, 1, FRIEND, 2));
    let blocked = Policy { blocked: vec![remote(1).key], ..policy() };
    bench.set(&Policy { inbound: Audience::Everyone, ..blocked });
    bench.is_dropped(tcp(FRIEND, 5000, ME, 22, ACK), Reason::Blocked);
    bench.is_dropped(tcp(FRIEND, 80, ME, 5000, ACK), Reason::Blocked);
    bench.is_dropped(echo(FRIEND, ME, false, 1), Reason::Blocked);
    bench.is_dropped(error(FRIEND, ME, udp(ME, 1, FRIEND, 2)), Reason::Blocked);
    bench.is_told(udp(ME, 1, FRIEND, 2), Reason::Blocked);
    bench.passes(tcp(GUEST, 1, ME, 2, SYN));
    assert_eq!(bench.filter.sizes().flows, 1, "its flows are gone");
    assert!(!bench.filter.has_flow_of_ours(&remote(1).key, bench.now));
}

#[test]
fn line_20_and_21_what_a_removed_friend_had_ends_at_once() {
    let mut without = policy();
    without.people.pop();
    let mut bench = Bench::new(&policy());
    bench.connects(FRIEND, ME, 22);
    bench.connects(FRIEND, ME, 23);
    bench.passes(udp(FRIEND, 5000, ME, 53));
    bench.passes(echo(FRIEND, ME, false, 1));
    bench.connects(ME, FRIEND, 80);
    bench.set(&without);
    bench.is_dropped(tcp(FRIEND, 5000, ME, 22, ACK), Reason::TcpMidstream);
    // Nor does this machine's side bring it back.
    bench.is_told(tcp(ME, 23, FRIEND, 5000, ACK), Reason::TcpMidstream);
    bench.is_dropped(tcp(FRIEND, 5000, ME, 23, ACK), Reason::TcpMidstream);
    bench.is_dropped(udp(FRIEND, 5000, ME, 53), Reason::NoRule);
    bench.is_dropped(echo(ME, FRIEND, true, 1), Reason::EchoUnasked);
    bench.passes(tcp(FRIEND, 80, ME, 5000, ACK));
    // A rule that goes takes its flows along, and no others.
    let mut bench = Bench::new(&policy());
    bench.connects(FRIEND, ME, 22);
    bench.passes(udp(FRIEND, 5000, ME, 53));
    let mut without = policy();
    without.rules.remove(0);
    bench.set(&without);
    bench.is_told(tcp(FRIEND, 5000, ME, 22, ACK), Reason::TcpMidstream);
    bench.passes(udp(ME, 53, FRIEND, 5000));
    let about = udp(ME, 53, FRIEND, 5000);
    bench.passes(error(FRIEND, ME, about.clone()));
    without.people.clear();
    bench.set(&without);
    bench.is_dropped(error(FRIEND, ME, about), Reason::ErrorUnrelated);
}

#[test]
fn line_22_to_24_this_machine_speaks_to_whom_it_may() {
    let mut bench = Bench::new(&Policy { outbound: Audience::Circles, ..policy() });
    bench.connects(ME, FRIEND, 80);
    bench.is_told(tcp(ME, 5000, STRANGER, 80, SYN), Reason::OutboundRefused);
    bench.is_told(udp(ME, 5000, STRANGER, 80), Reason::OutboundRefused);
    bench.is_told(echo(ME, STRANGER, false, 1), Reason::OutboundRefused);
    bench.set(&policy());
    bench.connects(ME, STRANGER, 80);
    bench.set(&Policy { outbound: Audience::Nobody, ..policy() });
    bench.is_dropped(tcp(STRANGER, 80, ME, 5000, ACK), Reason::TcpMidstream);
    bench.is_told(tcp(ME, 9, STRANGER, 9, ACK), Reason::TcpMidstream);
    bench.is_dropped(tcp(ME, 9, STRANGER, 9, RST), Reason::TcpMidstream);
    bench.is_dropped(echo(ME, STRANGER, true, 1), Reason::EchoUnasked);
    let sketch = error(ME, STRANGER, udp(STRANGER, 1, ME, 2));
    bench.is_dropped(sketch, Reason::ErrorUnrelated);
    assert_eq!(bench.filter.drops().outbound(Reason::OutboundRefused), 3);
}

/// The policy, with somebody there to be asked.
fn asking() -> Policy {
    Policy { asks: true, ..policy() }
}

#[test]
fn line_28_a_person_that_knocks_is_asked_about() {
    let mut bench = Bench::new(&asking());
    bench.is_dropped(tcp(FRIEND, 5000, ME, 80, SYN), Reason::Asked);
    let knocked = |end, reached| Notice::Knocked(key(end), reached);
    assert_eq!(bench.notices(), [knocked(FRIEND, Reached::Tcp(80))]);
    // As long as the question is open, whatever wants to reach the same waits in silence.
    for (port, seconds) in [(5000, 1), (5000, 3), (6000, 25)] {
        bench.wait(seconds);
        bench.is_dropped(tcp(FRIEND, port, ME, 80, SYN), Reason::Asked);
    }
    assert_eq!(bench.notices(), []);
    assert_eq!(bench.filter.sizes().flows, 0);
    bench.is_dropped(udp(GUEST, 5000, ME, 53), Reason::Asked);
    assert_eq!(bench.notices(), [knocked(GUEST, Reached::Udp(53))]);
    // Strangers are not asked about, nor what is no beginning, nor other protocols, echo, machines
    // behind this one, or what a rule names.
    bench.is_dropped(tcp(STRANGER, 5000, ME, 80, SYN), Reason::NoRule);
    assert_eq!(bench.notices(), []);
    bench.is_told(tcp(FRIEND, 5001, ME, 80, ACK), Reason::TcpMidstream);
    bench.is_told(other(FRIEND, ME, 50), Reason::NoRule);
    bench.connects(FRIEND, ME, 22);
    let mut bench = Bench::new(&asking());
    bench.is_told(tcp(FRIEND, 5000, End::Own(7), 80, SYN), Reason::NoRule);
    bench.is_told(echo(GUEST, ME, false, 1), Reason::EchoRefused);
    // A yes for the machine is none for those behind it.
    bench.is_dropped(tcp(FRIEND, 5000, ME, 80, SYN), Reason::Asked);
    assert!(bench.settle(Reached::Tcp(80), Settled::Once));
    bench.is_told(tcp(FRIEND, 5000, End::Own(7), 80, SYN), Reason::NoRule);

    let declined = |reached| {
        let mut policy = asking();
        policy.people[1].declined = vec![Reached::Udp(80), reached];
        policy
    };
    for (policy, reason) in [
        (policy(), Reason::NoRule),
        (declined(Reached::Tcp(80)), Reason::NoRule),
        (Policy { inbound: Audience::Nobody, ..asking() }, Reason::Shut),
        (Policy { paused: true, ..asking() }, Reason::Shut),
    ] {
        let mut bench = Bench::new(&policy);
        bench.is_told(tcp(FRIEND, 5000, ME, 80, SYN), reason);
        assert!(!bench.notices().iter().any(|notice| matches!(notice, Notice::Knocked(..))));
    }
    let mut bench = Bench::new(&declined(Reached::Tcp(81)));
    bench.is_dropped(tcp(FRIEND, 5000, ME, 80, SYN), Reason::Asked);
    // Nobody is there any more: silence would be for nothing.
    bench.set(&policy());
    bench.is_told(tcp(FRIEND, 5000, ME, 80, SYN), Reason::NoRule);
}

#[test]
fn line_29_one_question_at_a_time_and_three_an_hour() {
    let mut bench = Bench::new(&asking());
    bench.is_dropped(tcp(FRIEND, 5000, ME, 80, SYN), Reason::Asked);
    bench.is_told(tcp(FRIEND, 5000, ME, 81, SYN), Reason::NoRule);
    bench.is_told(udp(FRIEND, 5000, ME, 80), Reason::NoRule);
    bench.is_dropped(tcp(GUEST, 5000, ME, 81, SYN), Reason::Asked);
    for port in [81, 82] {
        bench.wait(30);
        bench.is_dropped(tcp(FRIEND, 5000, ME, port, SYN), Reason::Asked);
    }
    bench.wait(30);
    bench.is_told(tcp(FRIEND, 5000, ME, 83, SYN), Reason::NoRule);
    bench.wait(3600 - 91);
    bench.is_told(tcp(FRIEND, 5000, ME, 83, SYN), Reason::NoRule);
    bench.filter.sweep(bench.now);
    bench.wait(1);
    bench.is_dropped(tcp(FRIEND, 5000, ME, 83, SYN), Reason::Asked);
    bench.wait(29);
    bench.is_told(tcp(FRIEND, 5000, ME, 84, SYN), Reason::NoRule);
}

#[test]
fn line_30_a_no_and_silence_are_not_asked_about_again_at_once() {
    let mut bench = Bench::new(&asking());
    let knock = tcp(FRIEND, 5000, ME, 80, SYN);
    bench.is_dropped(knock.clone(), Reason::Asked);
    assert!(!bench.settle(Reached::Tcp(81), Settled::Refused), "nobody asked");
    assert!(bench.settle(Reached::Tcp(80), Settled::Refused));
    assert!(!bench.settle(Reached::Tcp(80), Settled::Once), "it is answered");
    bench.is_told(knock.clone(), Reason::NoRule);
    // Another question may come.
    bench.is_dropped(udp(FRIEND, 5000, ME, 80), Reason::Asked);
    bench.wait(30);
    assert!(!bench.settle(Reached::Udp(80), Settled::Once), "too late");
    bench.is_told(udp(FRIEND, 5000, ME, 80), Reason::NoRule);
    bench.is_told(knock.clone(), Reason::NoRule);
    bench.wait(30);
    bench.is_dropped(knock, Reason::Asked);
    bench.is_told(udp(FRIEND, 5000, ME, 80), Reason::NoRule);
}

#[test]
fn line_31_a_yes_lets_in_for_a_minute() {
    let mut bench = Bench::new(&asking());
    let knock = |port| tcp(FRIEND, 5000, ME, port, SYN);
    bench.is_dropped(knock(80), Reason::Asked);
    bench.wait(29);
    assert!(bench.settle(Reached::Tcp(80), Settled::Once));
    bench.connects(FRIEND, ME, 80);
    bench.wait(59);
    // Another connection to the same, and to nothing else.
    bench.passes(tcp(FRIEND, 6000, ME, 80, SYN));
    bench.is_dropped(tcp(GUEST, 6000, ME, 80, SYN), Reason::Asked);
    bench.is_dropped(udp(FRIEND, 6000, ME, 80), Reason::Asked);
    bench.is_dropped(tcp(STRANGER, 6000, ME, 80, SYN), Reason::NoRule);
    assert!(bench.settle(Reached::Udp(80), Settled::Refused));
    bench.wait(1);
    bench.is_dropped(tcp(FRIEND, 7000, ME, 80, SYN), Reason::Asked);
    // What was let in goes on.
    bench.passes(tcp(FRIEND, 5000, ME, 80, ACK));
    bench.passes(tcp(ME, 80, FRIEND, 6000, SYN | ACK));
    // It is one of this person's flows as any other.
    assert_eq!(bench.filter.sizes().inbound, 2);
}

#[test]
fn line_32_what_was_let_in_once_lives_as_long_as_the_person_may_be_here() {
    let begin = || {
        let mut bench = Bench::new(&asking());
        bench.is_dropped(tcp(FRIEND, 5000, ME, 80, SYN), Reason::Asked);
        assert!(bench.settle(Reached::Tcp(80), Settled::Once));
        bench.connects(FRIEND, ME, 80);
        bench.wait(60);
        bench
    };
    let mut bench = begin();
    let mut declined = asking();
    declined.people[1].declined = vec![Reached::Tcp(80)];
    for stays in [policy(), declined, Policy { inbound: Audience::Everyone, ..policy() }, policy()]
    {
        bench.set(&stays);
        bench.passes(tcp(FRIEND, 5000, ME, 80, ACK));
        bench.passes(tcp(ME, 80, FRIEND, 5000, ACK));
        bench.passes(error(ME, FRIEND, tcp(FRIEND, 5000, ME, 80, ACK)));
    }
    let mut removed = asking();
    removed.people.pop();
    let mut apart = asking();
    apart.people[1].messages_only = true;
    for (ends, told) in [
        (Policy { paused: true, ..asking() }, Some(Reason::TcpMidstream)),
        (Policy { inbound: Audience::Nobody, ..asking() }, Some(Reason::TcpMidstream)),
        (Policy { blocked: vec![key(FRIEND)], ..asking() }, None),
        (removed, None),
        (apart, None),
    ] {
        let mut bench = begin();
        bench.set(&ends);
        let verdict = bench.pass(&tcp(FRIEND, 5000, ME, 80, ACK));
        match told {
            Some(reason) => assert_eq!(verdict, Verdict::Reject(reason)),
            None => assert!(matches!(verdict, Verdict::Drop(_)), "{verdict:?}"),
        }
        // And does not come back.
        bench.set(&asking());
        bench.is_told(tcp(FRIEND, 5000, ME, 80, ACK), Reason::TcpMidstream);
    }
}

#[test]
fn line_33_who_is_only_on_the_way_into_a_circle_is_a_stranger_for_packets() {
    let mut policy = asking();
    policy.people[1].messages_only = true;
    policy.outbound = Audience::Circles;
    let mut bench = Bench::new(&policy);
    for port in [22, 80] {
        bench.is_dropped(tcp(FRIEND, 5000, ME, port, SYN), Reason::NoRule);
    }
    bench.is_dropped(udp(FRIEND, 5000, ME, 53), Reason::NoRule);
    bench.is_dropped(echo(FRIEND, ME, false, 1), Reason::EchoRefused);
    bench.is_dropped(tcp(FRIEND, 5000, ME, 22, ACK), Reason::TcpMidstream);
    bench.is_told(tcp(ME, 5000, FRIEND, 22, SYN), Reason::OutboundRefused);
    assert_eq!(bench.notices(), []);
    assert_eq!(bench.filter.sizes(), planetary_circles::Sizes::default());
    // But it gets a session, and answers there.
    let standing = |policy: &Policy| Rules::compile(policy).unwrap().standing(&key(FRIEND));
    assert_eq!(standing(&policy), Standing::Welcome);
    policy.sessions = Audience::Nobody;
    assert_eq!(standing(&policy), Standing::Stranger);
    policy.blocked = vec![key(FRIEND)];
    assert_eq!(standing(&policy), Standing::Blocked);
}

#[test]
fn line_34_the_subnet_is_not_the_node() {
    let mut policy = policy();
    policy.rules[0].service.destination = Destination::Subnet;
    let mut bench = Bench::new(&policy);
    for host in [1, 7, 255] {
        bench.connects(FRIEND, End::Own(host), 22);
    }
    bench.is_told(tcp(FRIEND, 5000, ME, 22, SYN), Reason::NoRule);
    bench.is_told(tcp(FRIEND, 5000, End::Own(7), 24, SYN), Reason::NoRule);
    bench.is_told(tcp(GUEST, 5000, End::Own(7), 22, SYN), Reason::NoRule);
    bench.is_dropped(tcp(STRANGER, 5000, End::Own(7), 22, SYN), Reason::NoRule);
}

#[test]
fn visits_and_refusals_are_told_once_a_look() {
    let mut policy = policy();
    let service = anywhere(Protocol::Tcp(80, 80));
    policy.rules.push(Rule { who: Who::Everyone, service });
    let mut bench = Bench::new(&policy);
    bench.connects(STRANGER, ME, 80);
    bench.passes(tcp(STRANGER, 6000, ME, 80, SYN));
    bench.passes(echo(FRIEND, ME, false, 1));
    bench.passes(other(FRIEND, ME, 47));
    bench.passes(tcp(ME, 5000, STRANGER, 22, SYN));
    bench.is_told(udp(FRIEND, 5000, ME, 99), Reason::NoRule);
    bench.is_told(udp(FRIEND, 5001, ME, 99), Reason::NoRule);
    bench.is_told(echo(GUEST, ME, false, 1), Reason::EchoRefused);
    bench.is_dropped(tcp(STRANGER, 5000, ME, 81, SYN), Reason::NoRule);
    let told = [
        Notice::Opened(key(STRANGER), Reached::Tcp(80)),
        Notice::Opened(key(FRIEND), Reached::Echo),
        Notice::Refused(key(FRIEND), Reached::Udp(99)),
        Notice::Refused(key(GUEST), Reached::Echo),
    ];
    assert_eq!(bench.notices(), told);
    bench.passes(tcp(STRANGER, 7000, ME, 80, SYN));
    assert_eq!(bench.notices(), told[..1]);
    // A pause is no refusal of a rule's.
    bench.set(&Policy { paused: true, ..policy });
    bench.is_told(udp(FRIEND, 5000, ME, 99), Reason::Shut);
    assert_eq!(bench.notices(), []);
}

#[test]
fn notices_are_few_and_nobody_asks_where_nobody_hears() {
    let mut bench = Bench::new(&asking());
    let most = NOTICES_PER_SHARD_MAX as u16;
    bench.is_dropped(tcp(FRIEND, 5000, ME, 1000, SYN), Reason::Asked);
    for port in 0..2 * most {
        assert!(!bench.pass(&udp(FRIEND, 5000, ME, 2000 + port)).is_accept());
    }
    bench.wait(1);
    bench.is_told(tcp(GUEST, 5000, ME, 80, SYN), Reason::NoRule);
    assert_eq!(bench.notices().len(), NOTICES_PER_SHARD_MAX);
    bench.is_dropped(tcp(GUEST, 5000, ME, 80, SYN), Reason::Asked);
    assert_eq!(bench.notices(), [Notice::Knocked(key(GUEST), Reached::Tcp(80))]);
}

#[test]
fn only_so_many_people_are_asked_about_at_a_time() {
    let far = |number: usize| {
        let mut bytes = [9; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        NodeKey::from_bytes(bytes)
    };
    let people = (0..=KNOCKERS_PER_SHARD_MAX).map(|number| Person::of(far(number)));
    let policy = Policy { people: people.collect(), asks: true, ..Policy::default() };
    let mut bench = Bench::new(&policy);
    let knock = |bench: &mut Bench, number| {
        let remote = planetary_circles::Remote::of(far(number));
        let mut packet = tcp(FRIEND, 5000, ME, 80, SYN).bytes();
        packet[8..24].copy_from_slice(remote.territory.address.as_bytes());
        let verdict = bench.filter.inbound(&remote, &packet, bench.now);
        bench.notices();
        verdict
    };
    for number in 0..KNOCKERS_PER_SHARD_MAX {
        assert_eq!(knock(&mut bench, number), Verdict::Drop(Reason::Asked));
    }
    assert_eq!(knock(&mut bench, KNOCKERS_PER_SHARD_MAX), Verdict::Reject(Reason::NoRule));
    bench.wait(3600);
    assert_eq!(knock(&mut bench, KNOCKERS_PER_SHARD_MAX), Verdict::Drop(Reason::Asked));
}

#[test]
fn errors_of_this_machine_go_to_who_caused_them() {
    let mut bench = Bench::new(&policy());
    bench.passes(udp(FRIEND, 5000, ME, 53));
    bench.passes(error(ME, FRIEND, udp(FRIEND, 5000, ME, 53)));
    bench.is_dropped(error(ME, FRIEND, udp(FRIEND, 5001, ME, 53)), Reason::ErrorUnrelated);
}
