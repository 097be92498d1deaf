//! Messages between nodes of this program, out of an opened session: a node and an honest one that
//! it speaks with, and whatever else is said in anybody's name.
//!
//! Asserted: requests are heard of those who may ask them alone, no faster than their rate, and
//! none is a hello or about keys; answers are taken for what was asked, of whom it was asked; every
//! request ends once, and within eight seconds; nothing grows beyond its bounds.

use std::{collections::BTreeMap, time::Duration};

use planetary_proto::{
    ExtensionMessage, LinkId, MessageError, NodeKey,
    limits::{EXTENSION_RATE, EXTENSION_REQUESTS_MAX, EXTENSION_TIMEOUT},
    session::Standing,
    upper::extension::{FAST, HAVE, HELLO, JOIN, OFFER, PUSH, SECRET},
};

use crate::{
    host::{Heard, Host, IDENTITIES, key, now_at},
    input::Input,
};

const KINDS: [u8; 14] = [
    HELLO,
    HELLO + 1,
    HAVE,
    HAVE + 1,
    JOIN,
    JOIN + 1,
    SECRET,
    PUSH,
    PUSH + 1,
    OFFER,
    0x10,
    0xff,
    FAST,
    FAST + 1,
];
const REQUESTS: [u8; 5] = [HAVE, JOIN, SECRET, PUSH, OFFER];
const STANDINGS: [Standing; 5] =
    [Standing::Welcome, Standing::Guest, Standing::Wanted, Standing::Stranger, Standing::Blocked];
/// The node that the input is about.
const NODE: usize = 0;
/// The one that behaves.
const FAR: usize = 1;

struct World {
    hosts: [Host; 2],
    passed: Duration,
    standings: [Standing; IDENTITIES],
    /// Requests of the node: of which kind, and since when.
    awaited: BTreeMap<(NodeKey, u32), (u8, Duration)>,
    /// Requests that it heard of each key.
    heard: BTreeMap<NodeKey, u32>,
    answered: usize,
    unanswered: usize,
}

/// See the module.
pub fn extension(data: &[u8]) {
    run(data);
}

fn run(data: &[u8]) -> World {
    let now = now_at(Duration::ZERO);
    let mut world = World {
        hosts: [NODE, FAR].map(|index| Host::new(index, 0, now)),
        passed: Duration::ZERO,
        standings: [Standing::Welcome; IDENTITIES],
        awaited: BTreeMap::new(),
        heard: BTreeMap::new(),
        answered: 0,
        unanswered: 0,
    };
    for (host, far) in [(NODE, FAR), (FAR, NODE)] {
        world.hosts[host].link_up(LinkId(1), key(far), 0);
    }
    world.exchange();
    let mut input = Input::new(data);
    while !input.is_empty() {
        world.step(&mut input);
        world.exchange();
    }
    world.advance(EXTENSION_TIMEOUT + Duration::from_secs(1));
    assert!(world.awaited.is_empty(), "every request ends");
    world
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) {
        let (choice, far) = (input.below(7), input.below(IDENTITIES));
        match choice {
            0 => {
                let (kind, body) = (KINDS[input.below(KINDS.len())], input.block().to_vec());
                let mut asked = Err(MessageError::Busy);
                self.hosts[NODE]
                    .change(|node, now| asked = node.request(key(far), kind, body, now));
                if let Ok(id) = asked {
                    assert!(far != NODE && REQUESTS.contains(&kind));
                    let is_new = self.awaited.insert((key(far), id), (kind, self.passed));
                    assert!(is_new.is_none(), "a number is used twice");
                }
                assert!(self.awaited.len() <= EXTENSION_REQUESTS_MAX);
            }
            1 => self.advance(Duration::from_millis(u64::from(input.byte()) * 20)),
            2 if far != NODE => {
                self.standings[far] = STANDINGS[input.below(STANDINGS.len())];
                self.hosts[NODE].regard(key(far), self.standings[far]);
            }
            3 => {
                let data = input.block();
                self.hosts[NODE].change(|node, now| node.handle_extension(key(far), data, now));
            }
            4 => {
                let (kind, which) = (KINDS[input.below(KINDS.len())], input.below(256));
                let ids = self.awaited.keys().filter(|(to, _)| *to == key(far));
                let ids: Vec<u32> = ids.map(|(_, id)| *id).collect();
                let id = ids.get(which % ids.len().max(1)).copied().unwrap_or(which as u32);
                let message = ExtensionMessage { kind, id, body: input.block().to_vec() };
                let data = message.emit();
                self.hosts[NODE]
                    .change(|node, now| node.handle_extension(key(far), &data[1..], now));
            }
            5 => {
                let (kind, id) = (KINDS[input.below(KINDS.len())], input.byte().into());
                let answer = ExtensionMessage { kind, id, body: input.block().to_vec() };
                self.hosts[NODE].change(|node, now| {
                    let sent = node.answer(key(far), &answer, now);
                    let is_answer = REQUESTS.iter().any(|asked| asked + 1 == kind);
                    assert_eq!(sent.is_ok(), is_answer && far != NODE);
                });
            }
            _ => {
                let body = input.block().to_vec();
                // Too many may wait.
                self.hosts[FAR].change(|node, now| {
                    let _ = node.request(key(NODE), PUSH, body, now);
                });
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        // In steps, as what the far end says takes no time.
        let end = self.passed + by;
        while self.passed < end {
            self.passed = end.min(self.passed + Duration::from_millis(500));
            for host in [NODE, FAR] {
                self.hosts[host].advance(now_at(self.passed));
            }
            self.exchange();
        }
    }

    /// Carries frames, and looks at what was heard.
    fn exchange(&mut self) {
        for rounds in 0.. {
            assert!(rounds < 10_000, "frames run in circles");
            for from in [NODE, FAR] {
                for (link, frame) in std::mem::take(&mut self.hosts[from].out) {
                    self.hosts[1 - from].receive(link, frame);
                }
            }
            for (far, heard) in std::mem::take(&mut self.hosts[FAR].heard) {
                assert_eq!(far, key(NODE));
                if let Heard::Request(ExtensionMessage { kind, id, body }) = heard {
                    let answer = ExtensionMessage { kind: kind + 1, id, body };
                    self.hosts[FAR].change(|node, now| {
                        let sent = node.answer(far, &answer, now);
                        assert_eq!(sent, Ok(()));
                    });
                }
            }
            for (far, heard) in std::mem::take(&mut self.hosts[NODE].heard) {
                self.check(far, heard);
            }
            if self.hosts.iter().all(|host| host.out.is_empty() && host.heard.is_empty()) {
                break;
            }
        }
    }

    fn check(&mut self, far: NodeKey, heard: Heard) {
        match heard {
            Heard::Request(message) => {
                assert!(message.body.len() <= ExtensionMessage::BODY_MAX);
                let place = (0..IDENTITIES).find(|index| key(*index) == far);
                let standing = self.standings[place.expect("nobody else speaks")];
                let may_ask = match standing {
                    Standing::Welcome => REQUESTS.contains(&message.kind),
                    Standing::Blocked => false,
                    _ => message.kind == JOIN,
                };
                assert!(may_ask, "{message:?} of a {standing:?}");
                let count = self.heard.entry(far).or_default();
                *count += 1;
                // As a person and as a guest it is measured apart.
                let seconds = self.passed.as_secs() as u32 + 1;
                assert!(*count <= 2 * (EXTENSION_RATE.burst + EXTENSION_RATE.per_s * seconds));
            }
            Heard::Answer(message) => {
                let asked = self.awaited.remove(&(far, message.id)).expect("nobody asked");
                assert_eq!(asked.0 + 1, message.kind);
                self.answered += 1;
            }
            Heard::Nothing(id) => {
                self.awaited.remove(&(far, id)).expect("nobody asked");
                self.unanswered += 1;
            }
        }
        let oldest = self.awaited.values().map(|(_, since)| self.passed.saturating_sub(*since));
        assert!(oldest.max() <= Some(EXTENSION_TIMEOUT + Duration::from_secs(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayed(name: &str) -> World {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/extension/");
        run(&std::fs::read(format!("{corpus}{name}")).unwrap())
    }

    #[test]
    fn seeds_do_what_they_are_named_after() {
        for (name, answered, unanswered, heard) in [
            ("answered", 2, 0, 0),
            ("unanswered", 0, 2, 0),
            ("forged_answer", 1, 1, 0),
            ("asked", 0, 0, 3),
            ("guest", 0, 0, 1),
            ("blocked", 0, 1, 0),
            ("flood", 0, 0, EXTENSION_RATE.burst),
            ("unknown", 0, 0, 0),
            ("far_asks", 0, 0, 4),
        ] {
            let world = replayed(name);
            let heard_of_all = world.heard.values().sum::<u32>();
            let seen = (world.answered, world.unanswered, heard_of_all);
            assert_eq!(seen, (answered, unanswered, heard), "{name}");
        }
    }
}
