//! Our secretbox against libsodium's: seal and open, in place, on one core.
//!
//! Both take turns on the same buffers, round by round, so that whatever else the machine does hits
//! both alike; the medians over the rounds are compared. Where two cores are two threads of one,
//! a busy neighbour costs ours more, which leaves less of the core idle: read the ratios at rest.
//!
//! `cargo bench -p planetary-bench --bench secretbox`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use libsodium_sys as sodium;
use planetary_secretbox::{Cipher, KEY_LEN, TAG_LEN};
use std::time::{Duration, Instant};

fn main() {
    // SAFETY: this call has no conditions.
    assert!(unsafe { sodium::sodium_init() } >= 0, "libsodium does not start");
    let cipher = Cipher::new(&KEY);
    println!("   op   bytes   ours ns   MB/s   libsodium ns   MB/s   ratio");
    for len in LENGTHS {
        let plain =
            vec![Message { number: 1, tag: [0; TAG_LEN], data: vec![7; len] }; ROUND_BYTES / len];
        let mut sealed = plain.clone();
        sealed.iter_mut().for_each(|message| seal_ours(&cipher, message));
        let sealing = alternate(&plain, |message| seal_ours(&cipher, message), seal_sodium);
        report("seal", len, sealing);
        let opening = alternate(&sealed, |message| open_ours(&cipher, message), open_sodium);
        report("open", len, opening);
    }
}

/// A message, sealed or not yet.
#[derive(Clone)]
struct Message {
    number: u64,
    tag: [u8; TAG_LEN],
    data: Vec<u8>,
}

fn seal_ours(cipher: &Cipher, message: &mut Message) {
    message.tag = cipher.seal_in_place(message.number, &mut message.data);
}

fn open_ours(cipher: &Cipher, message: &mut Message) {
    let opened = cipher.open_in_place(message.number, &message.tag, &mut message.data);
    assert!(opened.is_ok(), "an intact message is refused");
}

fn seal_sodium(message: &mut Message) {
    let data = message.data.as_mut_ptr();
    let len = message.data.len() as u64;
    let nonce = long_nonce(message.number);
    // SAFETY: the pointers are to buffers of the documented lengths; data may be its own
    // destination.
    unsafe {
        let tag = message.tag.as_mut_ptr();
        sodium::crypto_secretbox_detached(data, tag, data, len, nonce.as_ptr(), KEY.as_ptr());
    }
}

fn open_sodium(message: &mut Message) {
    let data = message.data.as_mut_ptr();
    let len = message.data.len() as u64;
    let nonce = long_nonce(message.number);
    // SAFETY: the pointers are to buffers of the documented lengths; data may be its own
    // destination.
    let status = unsafe {
        let tag = message.tag.as_ptr();
        sodium::crypto_secretbox_open_detached(data, data, tag, len, nonce.as_ptr(), KEY.as_ptr())
    };
    assert!(status == 0, "an intact message is refused");
}

fn long_nonce(number: u64) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[16..].copy_from_slice(&number.to_be_bytes());
    nonce
}

/// Runs both over copies of `messages` in turn and returns the median time of one message for each.
fn alternate(
    messages: &[Message],
    ours: impl Fn(&mut Message),
    theirs: impl Fn(&mut Message),
) -> [Duration; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let mut buffers = messages.to_vec();
    for _ in 0..ROUNDS {
        times[0].push(round(messages, &mut buffers, &ours));
        times[1].push(round(messages, &mut buffers, &theirs));
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2] / messages.len() as u32
    })
}

fn round(messages: &[Message], buffers: &mut [Message], work: impl Fn(&mut Message)) -> Duration {
    for (buffer, message) in buffers.iter_mut().zip(messages) {
        buffer.tag = message.tag;
        buffer.data.copy_from_slice(&message.data);
    }
    let start = Instant::now();
    buffers.iter_mut().for_each(work);
    start.elapsed()
}

fn report(operation: &str, len: usize, [ours, theirs]: [Duration; 2]) {
    let speed = |time: Duration| len as f64 / time.as_nanos() as f64 * 1e3;
    println!(
        "{operation:>5} {len:>7} {:>9} {:>6.0} {:>14} {:>6.0} {:>7.2}",
        ours.as_nanos(),
        speed(ours),
        theirs.as_nanos(),
        speed(theirs),
        theirs.as_secs_f64() / ours.as_secs_f64(),
    );
}

/// A ping, a full Ethernet frame, a large packet, and the largest the overlay carries.
const LENGTHS: [usize; 4] = [100, 1_400, 16_384, 65_535];

/// Bytes handled between two looks at the clock. A round is then far longer than a look and far
/// shorter than a time slice: on a busy machine most rounds pass undisturbed.
const ROUND_BYTES: usize = 1 << 16;

/// Odd, so that there is a median; enough that a busy neighbour cannot shift it much.
const ROUNDS: usize = 2_001;

const KEY: [u8; KEY_LEN] = [3; KEY_LEN];
