//! Packets of a fast session over a network that repeats, reorders, damages and invents them.
//!
//! Asserted: what opens and is new to the window is what was sealed, once at most; whatever was
//! sealed and is not too old gets through.

use std::collections::BTreeSet;

use planetary_proto::session::{
    FAST_HEAD_LEN, FastKeys, Offered, Parties, ReplayWindow, Suites, answer_offer, fast_head,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{host::key, input::Input};

const STEPS_MAX: usize = 300;
/// Counters that a window tells apart, at least.
const WIDTH: u64 = 2048;

/// Who seals, and who opens.
fn keys(has_aes: bool) -> [FastKeys; 2] {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let parties = Parties { offerer: key(3), answerer: key(0) };
    let offered = Offered::new(9, Suites::fast_with(has_aes), &mut rng);
    let answered = answer_offer(offered.message(), &parties, Suites::ALL, &mut rng);
    let (answer, far) = answered.expect("an honest offer");
    [offered.accept(&answer[..], &parties).expect("an honest answer"), far]
}

/// See the module.
pub fn fast_packets(data: &[u8]) {
    let mut input = Input::new(data);
    let [near, far] = keys(input.below(2) == 1);
    let mut window = ReplayWindow::new();
    let (mut sealed, mut taken) = (Vec::<(Vec<u8>, Vec<u8>)>::new(), BTreeSet::new());
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        let (choice, which) = (input.below(4), input.below(256));
        let genuine = sealed.get(which % sealed.len().max(1)).cloned();
        let mut packet = match (choice, &genuine) {
            (0, _) | (_, None) => {
                let plain = input.block().to_vec();
                let mut buffer = [&[0; FAST_HEAD_LEN][..], &plain].concat();
                assert_eq!(near.sealer.seal(&mut buffer, FAST_HEAD_LEN), Some(0));
                sealed.push((plain, buffer));
                continue;
            }
            (1, Some((_, packet))) => packet.clone(),
            (2, Some((_, packet))) => {
                let mut packet = packet.clone();
                let at = input.below(256) % packet.len();
                packet[at] ^= input.byte();
                packet
            }
            _ => input.block().to_vec(),
        };
        let before = packet.clone();
        let Ok(counter) = far.opener.open(&mut packet) else {
            assert!(sealed.iter().all(|(_, packet)| *packet != before), "it is genuine");
            continue;
        };
        assert_eq!(fast_head(&before), Some((9, counter)));
        let (plain, _) = sealed.iter().find(|(_, packet)| *packet == before).expect("forged");
        assert_eq!(packet[FAST_HEAD_LEN..], **plain);
        let is_recent = window.highest().saturating_sub(counter) < WIDTH;
        let is_new = window.accept(counter);
        assert_eq!(is_new, taken.insert(counter) && (is_recent || is_new), "{counter}");
    }
}
