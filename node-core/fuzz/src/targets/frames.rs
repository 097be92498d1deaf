//! A hostile peer: any bytes on its link, and well-signed messages with any content.
//!
//! Node A has two neighbours: the hostile B, whose words come from the input, and the honest C, a
//! real node. Asserted, besides what [`Host`] checks after every change: nothing that B says makes
//! A and C fall out with each other, and frames do not run in circles.

use std::time::Duration;

use planetary_proto::{
    LinkId,
    lookup::{BloomFilter, BloomPositions},
    upper::ipv6::Target,
    wire::{
        Announce, EdgeDraft, FrameKind, PathBroken, PathLookup, PathNotify, SigReq, SigRes,
        TrafficHeader, cut_frame,
    },
};

use crate::{
    host::{Host, IDENTITIES, identity, key, now_at},
    input::Input,
};

const SUBJECT: usize = 0;
const HOSTILE: usize = 1;
const HONEST: usize = 2;
/// The link between A and C, at both ends.
const HONEST_LINK: LinkId = LinkId(1);
/// Changes of one run at most: more would only be slow.
const STEPS_MAX: usize = 400;

struct World {
    subject: Host,
    honest: Host,
    /// The link to B, as A calls it; another one after each that was closed.
    hostile_link: LinkId,
    /// What B has sent of a frame that is not whole yet.
    stream: Vec<u8>,
    /// What A asked B to sign last.
    request: SigReq,
    passed: Duration,
}

/// See the module.
pub fn frames(data: &[u8]) {
    let mut world = run(data);
    world.advance(Duration::from_secs(70));
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
            subject: Host::new(SUBJECT, 0, now),
            honest: Host::new(HONEST, 0, now),
            hostile_link: LinkId(2),
            stream: Vec::new(),
            request: SigReq { seq: 0, nonce: 0 },
            passed: Duration::ZERO,
        };
        world.subject.link_up(HONEST_LINK, key(HONEST), 0);
        world.honest.link_up(HONEST_LINK, key(SUBJECT), 0);
        world.subject.link_up(world.hostile_link, key(HOSTILE), 0);
        world.exchange();
        world.advance(Duration::from_millis(200));
        world
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=2 => self.send_bytes(input.block()),
            3 => {
                let steps = u64::from(input.byte());
                self.advance(Duration::from_millis(steps * steps));
            }
            14 => self.disturb(input),
            15 => self.use_network(input),
            choice => {
                let frame = self.message(choice, input);
                self.send_frame(frame);
            }
        }
    }

    /// A message with a good signature, if it is of a kind that has one.
    fn message(&self, choice: usize, input: &mut Input<'_>) -> Vec<u8> {
        match choice {
            4 => {
                let request = self.request;
                let port = input.number();
                let [node, parent] = [key(SUBJECT), key(HOSTILE)];
                let psig = EdgeDraft { node, parent, request, port }.sign(&identity(HOSTILE));
                SigRes { request, port, psig }.emit()
            }
            5 => SigReq { seq: input.number(), nonce: input.number() }.emit(),
            6..=8 => {
                let (node, parent) = (input.below(IDENTITIES), input.below(IDENTITIES));
                let request = SigReq { seq: input.number(), nonce: input.number() };
                let edge = EdgeDraft {
                    node: key(node),
                    parent: key(parent),
                    request,
                    port: input.number(),
                };
                let (psig, sig) = (edge.sign(&identity(parent)), edge.sign(&identity(node)));
                Announce { edge, psig, sig }.emit()
            }
            9 => {
                let mut filter = BloomFilter::default();
                for _ in 0..input.below(8) {
                    let member = key(input.below(IDENTITIES)).transform();
                    filter.insert(&BloomPositions::of(&member));
                }
                filter.emit()
            }
            10 => {
                let (source, dest) = (key(input.below(IDENTITIES)), key(input.below(IDENTITIES)));
                PathLookup { source, dest, from: input.coords() }.emit()
            }
            11 => {
                let source = input.below(IDENTITIES);
                let dest = key(input.below(IDENTITIES));
                let (seq, coords) = (input.number(), input.coords());
                let sig = PathNotify::sign(&identity(source), seq, &coords);
                let (path, watermark) = (input.coords(), input.number());
                let source = key(source);
                PathNotify { path, watermark, source, dest, seq, coords, sig }.emit()
            }
            12 => {
                let (source, dest) = (key(input.below(IDENTITIES)), key(input.below(IDENTITIES)));
                let (path, watermark) = (input.coords(), input.number());
                PathBroken { path, watermark, source, dest }.emit()
            }
            _ => {
                let (path, from) = (input.coords(), input.coords());
                let (source, dest) = (key(input.below(IDENTITIES)), key(input.below(IDENTITIES)));
                let watermark = input.number();
                let payload = input.block();
                let mut frame = Vec::new();
                TrafficHeader { path: &path, from: &from, source: &source, dest: &dest, watermark }
                    .emit(payload.len(), &mut frame);
                frame.extend_from_slice(payload);
                frame
            }
        }
    }

    /// Links change without a word of B.
    fn disturb(&mut self, input: &mut Input<'_>) {
        let link = if input.byte() & 1 == 0 { HONEST_LINK } else { self.hostile_link };
        match input.below(4) {
            0 => self.subject.change(|node, now| node.handle_link_suspect(link, true, now)),
            1 => self.subject.change(|node, now| node.handle_link_suspect(link, false, now)),
            2 if link == HONEST_LINK => {
                // In flight frames are lost with the link.
                self.subject.link_down(link);
                self.honest.link_down(link);
                let priority = input.byte();
                self.subject.link_up(link, key(HONEST), priority);
                self.honest.link_up(link, key(SUBJECT), priority);
            }
            _ => self.reconnect(input.byte()),
        }
    }

    /// A does of its own accord what programs and the data half ask of it.
    fn use_network(&mut self, input: &mut Input<'_>) {
        let far = key(input.below(IDENTITIES));
        let choice = input.below(5);
        let coords = input.coords();
        let block = input.block();
        self.subject.change(|node, now| match choice {
            0 => node.look_up(far, now),
            1 => node.handle_outbound(Target::Address(far.address()), block, now),
            2 => node.handle_outbound(Target::Subnet(far.subnet()), block, now),
            3 => node.handle_stuck(far, Some(coords), key(HONEST), now),
            _ => node.handle_undelivered(far, block.to_vec(), now),
        });
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.extend_from_slice(bytes);
        loop {
            match cut_frame(&self.stream) {
                Ok(None) => return,
                Ok(Some((kind, end))) => {
                    assert!(kind < end && end <= self.stream.len(), "a frame lies in its stream");
                    let rest = self.stream.split_off(end);
                    let frame = std::mem::replace(&mut self.stream, rest);
                    self.subject.receive(self.hostile_link, frame);
                }
                Err(_) => return self.reconnect(0),
            }
        }
    }

    fn send_frame(&mut self, frame: Vec<u8>) {
        self.stream.clear();
        self.subject.receive(self.hostile_link, frame);
    }

    /// B closes its link, if A has not, and opens another.
    fn reconnect(&mut self, priority: u8) {
        self.stream.clear();
        self.subject.link_down(self.hostile_link);
        self.subject.out.retain(|(link, _)| *link != self.hostile_link);
        self.hostile_link.0 += 1;
        self.subject.link_up(self.hostile_link, key(HOSTILE), priority);
    }

    fn advance(&mut self, by: Duration) {
        self.passed += by;
        self.subject.advance(now_at(self.passed));
        self.honest.advance(now_at(self.passed));
        self.exchange();
    }

    /// Carries frames between A and C until there are none.
    fn exchange(&mut self) {
        for rounds in 0.. {
            assert!(rounds < 1000, "frames run in circles");
            let sent = std::mem::take(&mut self.subject.out);
            for (link, frame) in sent {
                if link == HONEST_LINK {
                    self.honest.receive(HONEST_LINK, frame);
                } else {
                    self.note_request(&frame);
                }
            }
            for (_, frame) in std::mem::take(&mut self.honest.out) {
                self.subject.receive(HONEST_LINK, frame);
            }
            if self.subject.out.is_empty() {
                break;
            }
        }
        assert_eq!(self.honest.closed, [], "the honest neighbour gave up the link");
        for (link, why) in std::mem::take(&mut self.subject.closed) {
            assert_ne!(link, HONEST_LINK, "the link of the honest neighbour: {why}");
            // B may have given it up in the same step.
            if link == self.hostile_link {
                self.reconnect(0);
            }
        }
        self.subject.delivered.clear();
        self.subject.answers.clear();
        self.honest.delivered.clear();
    }

    fn note_request(&mut self, frame: &[u8]) {
        let Ok(Some((kind, end))) = cut_frame(frame) else { return };
        if frame[kind] == FrameKind::SigReq as u8 {
            let mut numbers = frame[kind + 1..end].split_inclusive(|byte| byte & 0x80 == 0);
            let mut number = || {
                let bytes = numbers.next().expect("a request has two numbers");
                bytes.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
            };
            self.request = SigReq { seq: number(), nonce: number() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_reach_the_tree_and_the_paths() {
        let mut world = run(include_bytes!("../../corpus/frames/found"));
        world.subject.change(|node, _| {
            assert_eq!((node.parent(), node.root()), (key(HOSTILE), key(3)));
            assert!(node.paths().any(|(far, _)| *far == key(3)), "Z has answered");
        });
        world.honest.change(|node, _| assert_eq!(node.root(), key(3)));
    }
}
