//! Two nodes that talk over a network that the input runs: packets are lost, repeated, reordered,
//! damaged and forged, and a node is restarted.
//!
//! Asserted: data arrives as it was sent, from whom it was sent, once at most, and in order while
//! the network keeps the order; and once the network behaves again, data gets through again both
//! ways. (Under different keys of the ratchet, packets that the network reordered may arrive
//! reordered; under one key they do not.)

use std::{collections::BTreeMap, time::Duration};

use planetary_proto::{
    LinkId,
    upper::{InbandKind, PAYLOAD_IPV6},
    wire::{Coords, FrameKind, TrafficHeader, TrafficView, cut_frame},
};

use crate::{
    host::{Host, key, now_at},
    input::Input,
};

const STEPS_MAX: usize = 400;
/// Steps of two seconds after which data must get through again: three session time-outs.
const RECOVERY_STEPS: usize = 90;

struct World {
    hosts: [Host; 2],
    link: LinkId,
    passed: Duration,
    /// Packets on the way, and to whom.
    wire: Vec<(usize, Vec<u8>)>,
    /// Data by its number: who sent it, and whether it arrived.
    sent: BTreeMap<u32, (usize, bool)>,
    /// The highest number that arrived at each host.
    arrived: [Option<u32>; 2],
    reordered: bool,
}

/// See the module.
pub fn session(data: &[u8]) {
    run(data).recover();
}

fn run(data: &[u8]) -> World {
    let mut input = Input::new(data);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
        world.exchange();
    }
    world
}

impl World {
    fn new() -> Self {
        let now = now_at(Duration::ZERO);
        let mut world = Self {
            hosts: [Host::new(0, 0, now), Host::new(1, 0, now)],
            link: LinkId(1),
            passed: Duration::ZERO,
            wire: Vec::new(),
            sent: BTreeMap::new(),
            arrived: [None; 2],
            reordered: false,
        };
        world.connect();
        world.exchange();
        world
    }

    fn connect(&mut self) {
        for (host, far) in [(0, 1), (1, 0)] {
            self.hosts[host].link_up(self.link, key(far), 0);
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(14) {
            0..=2 => {
                self.say(input.below(2));
            }
            3..=6 => self.deliver(),
            7 => {
                let steps = u64::from(input.byte());
                self.advance(Duration::from_millis(steps * steps));
            }
            8 if !self.wire.is_empty() => {
                self.wire.remove(input.byte() as usize % self.wire.len());
            }
            9 if !self.wire.is_empty() => {
                self.reordered = true;
                let copy = self.wire[input.byte() as usize % self.wire.len()].clone();
                self.wire.push(copy);
            }
            10 if !self.wire.is_empty() => {
                self.reordered = true;
                let at = input.byte() as usize % self.wire.len();
                let other = input.byte() as usize % self.wire.len();
                self.wire.swap(at, other);
            }
            11 if !self.wire.is_empty() => self.damage(input),
            12 => self.forge(input),
            13 if input.byte() & 3 == 0 => self.restart(),
            _ => {
                let kinds = [
                    InbandKind::NodeInfo,
                    InbandKind::GetSelf,
                    InbandKind::GetPeers,
                    InbandKind::GetTree,
                ];
                let kind = kinds[input.below(4)];
                self.hosts[0].change(|node, now| node.ask(key(1), kind, now));
            }
        }
    }

    /// Host `from` sends the next data to the other.
    fn say(&mut self, from: usize) -> u32 {
        let number = self.sent.len() as u32;
        self.sent.insert(number, (from, false));
        let data = content(number);
        self.hosts[from].change(|node, now| node.handle_undelivered(key(1 - from), data, now));
        number
    }

    fn deliver(&mut self) {
        if !self.wire.is_empty() {
            let (to, frame) = self.wire.remove(0);
            self.hosts[to].receive(self.link, frame);
        }
    }

    /// Flips a bit of a payload; headers have no protection and need none here.
    fn damage(&mut self, input: &mut Input<'_>) {
        let at = input.byte() as usize % self.wire.len();
        let frame = &mut self.wire[at].1;
        let (kind, _) = cut_frame(frame).expect("a frame").expect("a whole frame");
        let view = TrafficView::parse(&frame[kind + 1..]).expect("a packet");
        let payload = &mut frame[kind + 1 + view.payload_offset()..];
        if !payload.is_empty() {
            let place =
                (usize::from(input.byte()) << 3 | usize::from(input.byte())) % payload.len();
            payload[place] ^= 1 << input.below(8);
        }
    }

    /// A packet with any payload, said to be from the other host.
    fn forge(&mut self, input: &mut Input<'_>) {
        let to = input.below(2);
        let payload = input.block();
        let path = Coords::default();
        let (source, dest) = (key(1 - to), key(to));
        let header =
            TrafficHeader { path: &path, from: &path, source: &source, dest: &dest, watermark: 1 };
        let mut frame = Vec::new();
        header.emit(payload.len(), &mut frame);
        frame.extend_from_slice(payload);
        self.wire.push((to, frame));
    }

    /// Host 1 begins anew, as a service does: with higher sequence numbers and nothing else.
    fn restart(&mut self) {
        self.hosts[0].link_down(self.link);
        let first_seq = self.hosts[1].highest_seq() + 1;
        self.hosts[1] = Host::new(1, first_seq, now_at(self.passed));
        self.connect();
    }

    fn advance(&mut self, by: Duration) {
        self.passed += by;
        for host in &mut self.hosts {
            host.advance(now_at(self.passed));
        }
    }

    /// Puts packets on the wire, carries everything else and looks at what arrived.
    fn exchange(&mut self) {
        for rounds in 0.. {
            assert!(rounds < 1000, "frames run in circles");
            if self.hosts.iter().all(|host| host.out.is_empty()) {
                break;
            }
            for from in 0..2 {
                for (_, frame) in std::mem::take(&mut self.hosts[from].out) {
                    let (kind, _) = cut_frame(&frame).expect("a frame").expect("a whole frame");
                    if frame[kind] == FrameKind::Traffic as u8 {
                        self.wire.push((1 - from, frame));
                    } else {
                        self.hosts[1 - from].receive(self.link, frame);
                    }
                }
            }
        }
        for to in 0..2 {
            assert_eq!(self.hosts[to].closed, [], "a node gave up the link");
            self.hosts[to].answers.clear();
            for (source, data) in std::mem::take(&mut self.hosts[to].delivered) {
                assert_eq!(source, key(1 - to));
                self.check(to, &data);
            }
        }
    }

    fn check(&mut self, to: usize, data: &[u8]) {
        let number = data.get(1..5).and_then(|number| number.try_into().ok());
        let number = u32::from_be_bytes(number.expect("nothing so short was sent"));
        let (from, arrived) = self.sent.get_mut(&number).expect("nothing like this was sent");
        assert_eq!((*from, data), (1 - to, &content(number)[..]), "data arrives as it was sent");
        assert!(!std::mem::replace(arrived, true), "data {number} arrived twice");
        if !self.reordered {
            let last = self.arrived[to].replace(number);
            assert!(last < Some(number), "{number} arrived after {last:?}");
        }
    }

    /// From here on the network behaves.
    fn recover(&mut self) {
        let fresh = self.sent.len() as u32;
        for _ in 0..RECOVERY_STEPS {
            self.say(0);
            self.say(1);
            self.exchange();
            for rounds in 0.. {
                assert!(rounds < 1000, "packets beget packets");
                if self.wire.is_empty() {
                    break;
                }
                self.deliver();
                self.exchange();
            }
            let through = |host| self.sent.range(fresh..).any(|(_, said)| *said == (host, true));
            if through(0) && through(1) {
                return;
            }
            self.advance(Duration::from_secs(2));
            self.exchange();
        }
        panic!("the session does not recover");
    }
}

/// Data `number`: as long as its number says, up to 200 bytes.
fn content(number: u32) -> Vec<u8> {
    let mut data = vec![PAYLOAD_IPV6];
    data.extend_from_slice(&number.to_be_bytes());
    data.extend((0..number * 37 % 200).map(|at| (at ^ number) as u8));
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_deliver_data_both_ways() {
        let world = run(include_bytes!("../../corpus/session/talk"));
        let arrived = |host| world.sent.values().filter(|said| **said == (host, true)).count();
        assert!(arrived(0) > 3 && arrived(1) > 1, "{:?}", world.sent);
    }
}
