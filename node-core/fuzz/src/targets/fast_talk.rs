//! What far ends say about keys for fast sessions: a node and an honest one that it speaks with,
//! and offers, answers and hellos of anybody.
//!
//! Asserted: keys are agreed on no faster than their rate, and never with those without a session;
//! and the honest far end, unless somebody else has offered in its name, is understood.

use std::time::Duration;

use planetary_proto::{
    ExtensionMessage, LinkId,
    limits::FAST_OFFER_RATE,
    session::{Offered, Standing, Suites},
    upper::{
        PAYLOAD_IPV6,
        extension::{FAST, HELLO},
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{
    host::{Host, IDENTITIES, key, now_at},
    input::Input,
};

const STANDINGS: [Standing; 5] =
    [Standing::Welcome, Standing::Guest, Standing::Wanted, Standing::Stranger, Standing::Blocked];
const STEPS_MAX: usize = 200;
/// The node that the input is about.
const NODE: usize = 0;
/// The one that behaves. It has the lower key, so it offers.
const FAR: usize = 3;
const ENDS: [usize; 2] = [NODE, FAR];

struct World {
    /// Of [`ENDS`].
    hosts: [Host; 2],
    passed: Duration,
    /// How often a session may have begun anew.
    sessions: u32,
    /// Somebody has spoken in the name of the far end, which says once what it is capable of.
    is_forged: bool,
}

/// See the module.
pub fn fast_talk(data: &[u8]) {
    let now = now_at(Duration::ZERO);
    let mut world = World {
        hosts: ENDS.map(|index| Host::new(index, 0, now)),
        passed: Duration::ZERO,
        sessions: 1,
        is_forged: false,
    };
    for at in 0..2 {
        world.hosts[at].link_up(LinkId(1), key(ENDS[1 - at]), 0);
    }
    world.exchange();
    let mut input = Input::new(data);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
        world.check();
    }
    world.recover();
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) {
        let (choice, far) = (input.below(6), input.below(IDENTITIES));
        match choice {
            0 => self.advance(Duration::from_millis(u64::from(input.byte()) * 100)),
            1 => self.talk(),
            2 if far != NODE => {
                self.sessions += 1;
                self.hosts[0].regard(key(far), STANDINGS[input.below(STANDINGS.len())]);
            }
            3 => {
                let mut rng = ChaCha20Rng::from_seed([input.byte(); 32]);
                let offered = Offered::new(input.byte(), Suites::ALL, &mut rng);
                let mut body = offered.message().to_vec();
                for _ in 0..input.below(3) {
                    let at = usize::from(input.byte()) << 8 | usize::from(input.byte());
                    let len = body.len();
                    body[at % len] ^= input.byte();
                }
                self.say(far, FAST, input.byte(), body);
            }
            4 => {
                let kind = [FAST, FAST + 1, HELLO, HELLO + 1][input.below(4)];
                let id = input.byte();
                self.say(far, kind, id, input.block().to_vec());
            }
            _ => {
                let capabilities = [0, 0, 0, input.byte() & 7];
                self.say(far, HELLO, input.byte(), capabilities.to_vec());
            }
        }
        self.exchange();
    }

    /// The node hears a message of whoever it is.
    fn say(&mut self, far: usize, kind: u8, id: u8, body: Vec<u8>) {
        self.is_forged |= far == FAR;
        let data = ExtensionMessage { kind, id: id.into(), body }.emit();
        self.hosts[0].change(|node, now| node.handle_extension(key(far), &data[1..], now));
    }

    /// Both ends send each other a packet.
    fn talk(&mut self) {
        for at in 0..2 {
            let (data, far) = (vec![PAYLOAD_IPV6, at as u8], key(ENDS[1 - at]));
            self.hosts[at].change(|node, now| node.handle_undelivered(far, data, now));
        }
        self.exchange();
    }

    fn advance(&mut self, by: Duration) {
        let end = self.passed + by;
        while self.passed < end {
            self.passed = end.min(self.passed + Duration::from_millis(500));
            for host in &mut self.hosts {
                host.advance(now_at(self.passed));
            }
            self.exchange();
        }
    }

    fn exchange(&mut self) {
        for rounds in 0.. {
            assert!(rounds < 10_000, "frames run in circles");
            for from in 0..2 {
                for (link, frame) in std::mem::take(&mut self.hosts[from].out) {
                    self.hosts[1 - from].receive(link, frame);
                }
            }
            if self.hosts.iter().all(|host| host.out.is_empty()) {
                break;
            }
        }
    }

    fn check(&self) {
        let seconds = self.passed.as_secs() as u32 + 1;
        let most = self.sessions * FAST_OFFER_RATE.burst + FAST_OFFER_RATE.per_s * seconds;
        for far in (0..IDENTITIES).filter(|far| *far != NODE) {
            let agreed = self.hosts[0].agreements(&key(far));
            assert!(far == FAR || agreed == 0, "keys with a node without a session");
            assert!(agreed <= most, "{agreed} in {seconds} s");
        }
    }

    /// Everybody is welcome again, and nobody disturbs: in the end both ends use fast keys.
    fn recover(&mut self) {
        self.hosts[0].regard(key(FAR), Standing::Welcome);
        // The longest rest, and the keys that are there may have to end first.
        for _ in 0..1000 {
            self.talk();
            self.advance(Duration::from_secs(1));
            if (0..2).all(|at| self.hosts[at].is_fast(&key(ENDS[1 - at]))) {
                return;
            }
        }
        assert!(self.is_forged, "no fast session after all");
    }
}
