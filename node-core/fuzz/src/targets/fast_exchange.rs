//! Offers of keys for fast sessions, and the answers to them.
//!
//! Asserted: bytes that are no offer or no answer are refused; of an exchange that somebody has
//! changed come no keys at its offerer's end; and what comes of one that nobody has changed seals
//! at one end what opens at the other.

use planetary_proto::session::{
    ANSWER_LEN, FAST_HEAD_LEN, FastKeys, OFFER_LEN, Offered, Parties, Suites, answer_offer,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{host::key, input::Input};

/// See the module.
pub fn fast_exchange(data: &[u8]) {
    let mut input = Input::new(data);
    let parties = Parties { offerer: key(3), answerer: key(0) };
    let [fast_there, fast_here] = [input.byte(), input.byte()].map(|byte| byte & 1 == 1);
    let mut rng = ChaCha20Rng::from_seed([input.byte(); 32]);
    let offered = Offered::new(input.byte(), Suites::fast_with(fast_there), &mut rng);
    let mut offer = *offered.message();
    let is_raw = input.below(2) == 1;
    if is_raw {
        let answered = answer_offer(input.rest(), &parties, Suites::ALL, &mut rng);
        assert!(answered.is_err() || data.len() > OFFER_LEN);
        assert!(offered.accept(data, &parties).is_err());
        return;
    }
    change(&mut offer, &mut input);
    let Ok((mut answer, far)) =
        answer_offer(&offer, &parties, Suites::fast_with(fast_here), &mut rng)
    else {
        assert_ne!(offer, *offered.message(), "an honest offer is answered");
        return;
    };
    let genuine = answer.clone();
    change(&mut answer[..], &mut input);
    let is_honest = offer == *offered.message() && answer == genuine;
    match offered.accept(&answer[..], &parties) {
        Ok(own) => {
            assert!(is_honest, "keys of an exchange that was changed");
            assert!(passes(&own, &far) && passes(&far, &own));
        }
        Err(_) => assert!(!is_honest, "no keys of an honest exchange"),
    }
    assert!(offered.accept(&answer[..ANSWER_LEN - 1], &parties).is_err());
}

/// Changes as many bytes as the input says.
fn change(message: &mut [u8], input: &mut Input<'_>) {
    for _ in 0..input.below(4) {
        let at = usize::from(input.byte()) << 8 | usize::from(input.byte());
        message[at % message.len()] ^= input.byte();
    }
}

fn passes(from: &FastKeys, to: &FastKeys) -> bool {
    let mut buffer = [5; FAST_HEAD_LEN + 9];
    from.sealer.seal(&mut buffer, FAST_HEAD_LEN) == Some(0)
        && to.opener.open(&mut buffer).is_ok()
        && buffer[FAST_HEAD_LEN..] == [5; 9]
}
