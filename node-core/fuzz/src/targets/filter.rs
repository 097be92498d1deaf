//! The packet filter, with a table small enough to be full.
//!
//! Asserted: nothing comes in from a key before something went out to it or rules opened something;
//! nothing passes to or from a blocked key; what passes has the addresses of its ends; the table
//! keeps its bounds; what is rejected has an answer that is a whole packet with a good checksum
//! back to where the cause came from, and that answer passes no filter by itself. Questions are
//! opened about people alone, while somebody is there to be asked, one at a time, and what is
//! answered is what was asked.

use std::{sync::Arc, time::Duration};

use planetary_circles::{
    Answer, Audience, Budget, Destination, Filter, Notice, Person, Policy, Protocol, Reached,
    Reason, Remote, Rule, Rules, Service, Settled, Verdict, Who,
    limits::{KNOCK_OPEN, NOTICES_PER_SHARD_MAX},
};
use planetary_proto::{
    Instant,
    upper::ipv6::{HEADER_LEN, NEXT_ICMP, Territory, check_inbound, check_outbound, endpoints},
};

use crate::{host::key, input::Input};

const FLOWS: u32 = 12;
const INBOUND: u32 = 6;
const PEERS: usize = 3;

struct Run {
    filter: Filter,
    own: Territory,
    now: Instant,
    /// Some rules were open once.
    was_open: bool,
    blocked: bool,
    asks: bool,
    /// The question that was opened last, until when, if it was not answered.
    asked: Option<(Reached, Instant)>,
    /// Something went out to these.
    spoken_to: [bool; PEERS],
    /// The last packet, with whom, and whether it went out.
    last: (Vec<u8>, usize, bool),
    /// How many packets came in, and how many went out.
    passed: [usize; 2],
}

/// See the module.
pub fn filter(data: &[u8]) {
    run(data);
}

fn run(data: &[u8]) -> Run {
    let own = Territory::of(&key(0));
    let budget = Budget::with_numbers(1, [FLOWS, INBOUND, 8, 4, 2]);
    let mut run = Run {
        filter: Filter::new(own, rules(0), budget),
        own,
        now: Instant::START,
        was_open: false,
        blocked: false,
        asks: false,
        asked: None,
        spoken_to: [false; PEERS],
        last: (Vec::new(), 0, false),
        passed: [0; 2],
    };
    let mut input = Input::new(data);
    while !input.is_empty() {
        run.step(&mut input);
    }
    run
}

/// Shut, open to a friend, open to everyone, shut with the friend blocked, or with somebody there
/// to be asked about it.
fn rules(which: usize) -> Arc<Rules> {
    let service = |protocol| Service { protocol, destination: Destination::Anywhere };
    let friend = Person {
        circles: 1,
        echo: true,
        services: vec![service(Protocol::Udp(0, 60))],
        ..Person::of(key(1))
    };
    let to_circle = |protocol| Rule { who: Who::Circles(1), service: service(protocol) };
    let mut policy = Policy::default();
    match which {
        0 => {}
        1 => {
            policy.people.push(friend);
            policy.rules = vec![to_circle(Protocol::Tcp(22, 22)), to_circle(Protocol::Other(47))];
        }
        2 => (policy.inbound, policy.echo) = (Audience::Everyone, Audience::Everyone),
        3 => policy.blocked.push(key(1)),
        _ => {
            policy.asks = true;
            policy.people.push(Person { declined: vec![Reached::Tcp(23)], ..Person::of(key(1)) });
        }
    }
    Arc::new(Rules::compile(&policy).expect("it makes sense"))
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(9) {
            0 => {
                let wait = Duration::from_millis(1 << (input.byte() % 24));
                self.now = self.now + wait;
                self.filter.sweep(self.now);
            }
            choice @ 1..3 => {
                let peer = input.below(PEERS);
                let packet = input.block().to_vec();
                self.judge(packet, peer, choice == 2);
            }
            choice @ 3..5 => {
                let (peer, next) = (input.below(PEERS), input.byte());
                let packet = self.packet(peer, choice == 4, next, input.block());
                self.judge(packet, peer, choice == 4);
            }
            5 => {
                let (mut packet, peer, out) = self.last.clone();
                if packet.len() >= HEADER_LEN + 4 {
                    packet[8..40].rotate_left(16);
                    match packet[6] {
                        NEXT_ICMP => packet[HEADER_LEN] ^= 1,
                        _ => packet[HEADER_LEN..HEADER_LEN + 4].rotate_left(2),
                    }
                    if input.below(2) == 1 {
                        packet[HEADER_LEN] ^= 1;
                    }
                }
                self.judge(packet, peer, !out);
            }
            6 => {
                let (quote, peer, out) = self.last.clone();
                let kept = quote.len().saturating_sub(input.below(64));
                let message = [&[1, 4, 0, 0, 0, 0, 0, 0], &quote[..kept]].concat();
                let packet = self.packet(peer, !out, NEXT_ICMP, &message);
                self.judge(packet, peer, !out);
            }
            7 => {
                let which = input.below(5);
                self.filter.set_rules(rules(which));
                self.was_open |= which == 1 || which == 2;
                (self.blocked, self.asks) = (which == 3, which == 4);
            }
            _ => {
                let (peer, port) = (input.below(PEERS), u16::from(input.byte()));
                let reached =
                    [Reached::Tcp(port), Reached::Udp(port), Reached::Echo][input.below(3)];
                let settled = [Settled::Once, Settled::Refused][input.below(2)];
                self.settle(peer, reached, settled);
            }
        }
    }

    fn settle(&mut self, peer: usize, reached: Reached, settled: Settled) {
        let is_open = self.filter.settle_knock(&key(peer + 1), reached, settled, self.now);
        let asked = self.asked.filter(|(at, until)| *at == reached && self.now < *until);
        assert_eq!(is_open, peer == 0 && asked.is_some(), "{reached:?}");
        if is_open {
            self.asked = None;
            self.was_open |= settled == Settled::Once;
        }
    }

    fn check_notices(&mut self) {
        let mut notices = Vec::new();
        self.filter.take_notices(&mut notices);
        assert!(notices.len() <= NOTICES_PER_SHARD_MAX);
        for notice in notices {
            if let Notice::Knocked(far, reached) = notice {
                assert!(far == key(1) && self.asks && reached != Reached::Tcp(23));
                let is_open = self.asked.is_some_and(|(_, until)| self.now < until);
                assert!(!is_open, "two questions about one key");
                self.asked = Some((reached, self.now + KNOCK_OPEN));
            }
        }
    }

    /// A packet between the own address and that of a peer.
    fn packet(&self, peer: usize, out: bool, next: u8, payload: &[u8]) -> Vec<u8> {
        let far = key(peer + 1).address();
        let ends = [*self.own.address.as_bytes(), *far.as_bytes()];
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([next, 64]);
        packet.extend(ends[usize::from(!out)]);
        packet.extend(ends[usize::from(out)]);
        packet.extend(payload);
        packet
    }

    fn judge(&mut self, packet: Vec<u8>, peer: usize, out: bool) {
        let remote = Remote::of(key(peer + 1));
        self.now = self.now + Duration::from_micros(1);
        let before = *self.filter.drops();
        let verdict = if out {
            self.filter.outbound(&remote, &packet, self.now)
        } else {
            self.filter.inbound(&remote, &packet, self.now)
        };
        let sizes = self.filter.sizes();
        assert!(sizes.flows <= FLOWS && sizes.inbound <= INBOUND && sizes.keys <= PEERS);
        match verdict.reason() {
            None => self.check_passed(&packet, peer, out, &remote),
            Some(reason) => {
                let drops = self.filter.drops();
                let counted = if out {
                    drops.outbound(reason) - before.outbound(reason)
                } else {
                    drops.inbound(reason) - before.inbound(reason)
                };
                assert_eq!(counted, 1);
            }
        }
        self.check_notices();
        if verdict.reason() == Some(Reason::Asked) {
            assert!(self.asked.is_some_and(|(_, until)| self.now < until) && peer == 0 && !out);
        }
        let answer = Answer::to(&packet);
        if let Verdict::Reject(_) = verdict {
            assert!(out || peer == 0, "a stranger is told");
            self.check_answer(&packet, &answer.expect("it has an answer"), peer, out);
        }
        self.last = (packet, peer, out);
    }

    fn check_passed(&mut self, packet: &[u8], peer: usize, out: bool, remote: &Remote) {
        self.passed[usize::from(out)] += 1;
        assert!(!(self.blocked && peer == 0), "a packet of a blocked key passed");
        if out {
            assert!(check_outbound(packet, &self.own).is_ok());
            self.spoken_to[peer] = true;
        } else {
            assert_eq!(check_inbound(packet, &self.own, &remote.territory), Ok(()));
            assert!(self.was_open || self.spoken_to[peer], "it came in uninvited");
        }
    }

    fn check_answer(&self, packet: &[u8], answer: &Answer, peer: usize, out: bool) {
        let answer = answer.as_bytes();
        let (source, dest) = endpoints(packet).expect("it has addresses");
        assert_eq!(endpoints(answer), Ok((dest, source)));
        let len = answer.len() - HEADER_LEN;
        assert_eq!(usize::from(u16::from_be_bytes([answer[4], answer[5]])), len);
        assert!(answer.len() <= 352, "an answer is small");
        let words = answer[8..].chunks(2);
        let words =
            words.map(|word| u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0)));
        let sum = words.sum::<u64>() + len as u64 + u64::from(answer[6]);
        assert_eq!(sum % 0xffff, 0, "the checksum is good");
        assert!(Answer::to(answer).is_none(), "an answer is not answered");
        // A node that is shut takes it only for what it opened itself.
        let budget = Budget::new(1);
        let mut far = Filter::new(Territory::of(&key(peer + 1)), rules(0), budget);
        let own = Remote::of(key(0));
        if !out {
            assert!(!far.inbound(&own, answer, self.now).is_accept());
        }
    }
}

#[cfg(test)]
mod tests {
    use planetary_circles::Reason;

    use super::*;

    fn replayed(name: &str) -> Run {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/filter/");
        run(&std::fs::read(format!("{corpus}{name}")).unwrap())
    }

    #[test]
    fn seeds_pass_and_are_dropped_for_what_they_are_named_after() {
        for (name, passed) in [
            ("tcp_out", [1, 2]),
            ("tcp_in", [5, 4]),
            ("udp_and_error", [1, 1]),
            ("echo", [10, 1]),
            ("own_echo", [1, 2]),
            ("fragments", [3, 0]),
            ("options", [1, 0]),
            ("flood", [40, 0]),
            ("knock", [2, 0]),
            ("knock_refused", [0, 0]),
        ] {
            assert_eq!(replayed(name).passed, passed, "{name}");
        }
        for (name, reason) in [
            ("refused", Reason::NoRule),
            ("rules_change", Reason::TcpMidstream),
            ("udp_and_error", Reason::ErrorUnrelated),
            ("echo", Reason::EchoRate),
            ("overlap", Reason::FragmentOverlap),
            ("overlap", Reason::FragmentOrphan),
            ("tiny", Reason::FragmentTiny),
            ("jumbo", Reason::Jumbogram),
            ("routing", Reason::RoutingHeader),
            ("blocked", Reason::Blocked),
            ("raw", Reason::ForeignSource),
            ("knock", Reason::Asked),
            ("knock", Reason::TcpMidstream),
            ("knock_refused", Reason::NoRule),
        ] {
            let drops = *replayed(name).filter.drops();
            assert!(drops.inbound(reason) > 0, "{name}: {drops:?}");
        }
    }
}
