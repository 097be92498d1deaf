//! Packets and policies out of bytes: few keys, addresses, ports and identifiers, so that packets
//! meet flows.

use planetary_circles::{
    Audience, Destination, Person, Policy, Protocol, Reached, Rule, Service, Who,
};

use super::packets::{
    ACK, Body, Damage, End, Extension, FIN, PEERS, Part, RST, SYN, Sketch, remote,
};

const PORTS: [u16; 4] = [22, 80, 1000, 1001];
const IDS: [u16; 3] = [0, 7, 9];
/// A packet that was judged.
#[derive(Clone)]
pub(crate) struct Earlier {
    pub(crate) out: bool,
    pub(crate) peer: usize,
    pub(crate) sketch: Sketch,
}

/// Choices out of the bytes of a step; past the end there are zeros.
pub(crate) struct Choices<'a>(pub(crate) std::slice::Iter<'a, u8>);

impl Choices<'_> {
    pub(crate) fn byte(&mut self) -> usize {
        usize::from(*self.0.next().unwrap_or(&0))
    }

    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.byte() % all.len()]
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        // Zeros are the plain case.
        self.byte() >= 256 - percent * 256 / 100
    }

    fn end(&mut self, out: bool, peer: usize) -> End {
        let host = self.of(&[0, 0, 0, 1]);
        if out { End::Own(host) } else { End::Far(peer, host) }
    }

    fn body(&mut self, out: bool, peer: usize, is_quote: bool) -> Body {
        let (source, dest) = (self.of(&PORTS), self.of(&PORTS));
        let flags = [
            SYN,
            SYN,
            SYN | ACK,
            ACK,
            ACK,
            FIN | ACK,
            FIN | ACK,
            RST,
            RST | ACK,
            SYN | 0xc0,
            SYN | FIN,
            0,
        ];
        match self.byte() % if is_quote { 13 } else { 16 } {
            0..=6 => Body::Tcp { source, dest, flags: self.of(&flags) },
            7..=9 => Body::Udp { source, dest },
            10..=11 => Body::Echo { reply: self.chance(20), id: self.of(&IDS) },
            12 => Body::Other(self.of(&[47, 47, 50])),
            13 => Body::Icmp(self.of(&[133, 135, 143, 0, 5, 200])),
            _ => {
                let kind = self.of(&[1, 2, 3, 4]);
                let about = self.sketch(!out, peer, true);
                let len = self.of(&[1200, 1200, 48, 45, 44, 43]);
                Body::Error { kind, about: Box::new(about), len }
            }
        }
    }

    pub(crate) fn sketch(&mut self, out: bool, peer: usize, is_quote: bool) -> Sketch {
        let body = self.body(out, peer, is_quote);
        let mut sketch = Sketch::new(self.end(out, peer), self.end(!out, peer), body);
        if self.chance(8) {
            sketch.before = self.extensions();
        }
        if self.chance(20) && !is_quote {
            let part = Part {
                id: self.byte() as u32 % 3,
                from: self.of(&[0, 0, 1, 2, 3, 6]),
                units: self.of(&[3, 1, 2, 6]),
                more: self.chance(70),
            };
            sketch.part = Some(part);
            if self.chance(10) {
                sketch.after = self.extensions();
            }
        } else if self.chance(4) && !is_quote {
            let others = [
                (End::Far((peer + 1) % PEERS, 0), sketch.dest),
                (End::Multicast, sketch.dest),
                (sketch.source, End::Multicast),
                (sketch.source, End::Far((peer + 1) % PEERS, 0)),
                (sketch.dest, sketch.source),
            ];
            (sketch.source, sketch.dest) = self.of(&others);
        } else if self.chance(4) && !is_quote {
            let cut = self.byte() % 60;
            sketch.damage = self.of(&[
                Damage::Version,
                Damage::NoLength,
                Damage::Length,
                Damage::Cut(cut),
                Damage::Cut(cut),
            ]);
        }
        sketch
    }

    /// A packet that has to do with an earlier one: another of its kind, its answer, its next
    /// fragment, an error about it.
    pub(crate) fn follower(&mut self, earlier: &Earlier) -> (bool, Sketch) {
        let Earlier { out, peer, sketch } = earlier;
        let mut next = sketch.clone();
        next.damage = Damage::None;
        if let Some(part) = &mut next.part
            && self.chance(70)
        {
            // Where the one before it ended, or a little off.
            (part.from, part.units) = (part.from + part.units + self.of(&[0, 0, 0, 1]), 1);
            part.from -= self.of(&[0, 0, 0, 1]);
            part.more = self.chance(60);
            return (*out, next);
        }
        next.part = None;
        let reverses = self.chance(50);
        if self.chance(10) && !matches!(sketch.body, Body::Error { .. }) {
            let about = Box::new(next);
            let body = Body::Error { kind: 1, about, len: self.of(&[1200, 1200, 46, 44]) };
            let source = self.end(!out, *peer);
            return (!out, Sketch::new(source, sketch.source, body));
        }
        if reverses {
            (next.source, next.dest) = (next.dest, next.source);
        }
        match &mut next.body {
            Body::Tcp { source, dest, flags } => {
                *flags = self.of(&[ACK, ACK, ACK, SYN | ACK, FIN | ACK, FIN | ACK, RST, SYN]);
                if reverses {
                    (*source, *dest) = (*dest, *source);
                }
            }
            Body::Udp { source, dest } if reverses => (*source, *dest) = (*dest, *source),
            Body::Echo { reply, .. } if reverses => *reply = !*reply,
            _ => {}
        }
        (*out != reverses, next)
    }

    fn extensions(&mut self) -> Vec<Extension> {
        use Extension::{HopByHop, HopByHopWithJumbo, Options, Routing};
        match self.byte() % 9 {
            0 => vec![HopByHop],
            1 => vec![Options(1)],
            2 => vec![HopByHop, Options(2), Options(1)],
            3 => vec![Options(32)],
            4 => vec![Options(1); 8],
            5 => vec![HopByHopWithJumbo],
            6 => vec![Options(1), Routing],
            7 => vec![Options(33)],
            _ => vec![Options(1), HopByHop],
        }
    }

    pub(crate) fn policy(&mut self) -> Policy {
        let audiences =
            [Audience::Circles, Audience::Circles, Audience::Everyone, Audience::Nobody];
        let mut policy = Policy {
            inbound: self.of(&audiences),
            echo: self.of(&audiences),
            outbound: self.of(&[Audience::Everyone, Audience::Everyone, Audience::Circles]),
            paused: self.chance(8),
            ..Policy::default()
        };
        for peer in 0..PEERS - 1 {
            if self.chance(80) {
                let services = match self.byte() % 3 {
                    0 => vec![],
                    1 => vec![anywhere(Protocol::Tcp(22, 22)), anywhere(Protocol::Other(47))],
                    _ => vec![anywhere(Protocol::Udp(1000, 1001))],
                };
                let circles = [0, 1, 2, 1 << 63 | 1][self.byte() % 4];
                let (key, echo) = (remote(peer).key, self.chance(50));
                policy.people.push(Person { circles, echo, services, ..Person::of(key) });
            }
            if self.chance(5) {
                policy.blocked.push(remote(peer).key);
            }
        }
        let at_host = Destination::Host(End::Own(1).bytes());
        let rules = [
            Rule { who: Who::Circles(0b11), service: anywhere(Protocol::Tcp(0, 65_535)) },
            Rule { who: Who::Circles(1), service: anywhere(Protocol::Udp(22, 80)) },
            Rule { who: Who::Circles(2), service: anywhere(Protocol::Tcp(1000, 1000)) },
            Rule { who: Who::Circles(1 << 63), service: anywhere(Protocol::Other(47)) },
            Rule {
                who: Who::Circles(2),
                service: Service { protocol: Protocol::Udp(0, 80), destination: at_host },
            },
            Rule { who: Who::Everyone, service: anywhere(Protocol::Tcp(80, 80)) },
        ];
        let which = self.byte();
        let chosen = rules.into_iter().enumerate().filter(|(at, _)| which >> at & 1 == 1);
        policy.rules = chosen.map(|(_, rule)| rule).collect();
        if self.chance(20) {
            let service =
                Service { protocol: Protocol::Tcp(0, 65_535), destination: Destination::Subnet };
            policy.rules.push(Rule { who: Who::Circles(0b11), service });
        }
        policy.asks = self.chance(60);
        for person in &mut policy.people {
            person.messages_only = self.chance(8);
            if self.chance(20) {
                person.declined = vec![Reached::Tcp(1000), Reached::Udp(22), Reached::Udp(80)];
            }
        }
        policy
    }
}

fn anywhere(protocol: Protocol) -> Service {
    Service { protocol, destination: Destination::Anywhere }
}

/// A policy with many doors open.
pub(crate) fn lively() -> Policy {
    let all = [0xff; 40];
    let mut policy = Choices(all.iter()).policy();
    (policy.inbound, policy.echo) = (Audience::Circles, Audience::Circles);
    (policy.paused, policy.blocked) = (false, Vec::new());
    policy.people.iter_mut().for_each(|person| person.messages_only = false);
    policy
}
