//! The Salsa20 core over any [`Lanes`], and HSalsa20.
//!
//! State words, in the order of the specification: constants on the diagonal, the key in two halves
//! around them, the nonce in words 6 and 7, the block counter in words 8 and 9.

use crate::lanes::Lanes;
use zeroize::Zeroize;

/// Derives a key from `key` and `input`, as NaCl does for its box and for the long nonce of
/// XSalsa20.
///
/// The key of a NaCl box is `hsalsa20(x25519_result, &[0; 16])`.
#[must_use]
pub fn hsalsa20(key: &[u8; 32], input: &[u8; 16]) -> [u8; 32] {
    let mut key = words(key);
    let [a, b, c, d] = words(input);
    let mut state = initial_state(&key, [a, b], [c, d]);
    for _ in 0..DOUBLE_ROUNDS {
        double_round(&mut state, &mut Idle);
    }
    let mut out = [0; 32];
    let positions = [0, 5, 10, 15, 6, 7, 8, 9];
    for (bytes, position) in out.as_chunks_mut::<4>().0.iter_mut().zip(positions) {
        *bytes = state[position].to_le_bytes();
    }
    key.zeroize();
    state.zeroize();
    out
}

/// Salsa20 under one key and nonce, as a source of key stream in passes of [`Lanes::BLOCKS`]
/// blocks.
#[derive(Clone, Copy)]
pub(crate) struct Stream<'a> {
    key: &'a [u32; 8],
    nonce: [u32; 2],
}

impl<'a> Stream<'a> {
    /// `number` is the last eight bytes of the session nonce, which are big-endian.
    #[inline(always)]
    pub(crate) fn new(key: &'a [u32; 8], number: u64) -> Self {
        Self { key, nonce: words(&number.to_be_bytes()) }
    }

    /// Writes the key stream of pass number `pass` and gets `side_work` done meanwhile.
    #[inline(always)]
    pub(crate) fn generate<V: Lanes>(
        &self,
        pass: u64,
        keystream: &mut V::Keystream,
        side_work: &mut impl SideWork,
    ) {
        // A pass starts at a multiple of the power of two that is its length, so only the first
        // lane's counter can be a multiple of 2^32 and the high word is the same in all lanes.
        let counter = pass * V::BLOCKS as u64;
        let counter = [counter as u32, (counter >> 32) as u32];
        let mut initial = [V::splat(0); 16];
        for (word, value) in initial.iter_mut().zip(initial_state(self.key, self.nonce, counter)) {
            *word = V::splat(value);
        }
        initial[8] = initial[8].add(V::lane_numbers());
        let mut state = initial;
        for _ in 0..DOUBLE_ROUNDS {
            double_round(&mut state, side_work);
        }
        for (word, initial) in state.iter_mut().zip(initial) {
            *word = word.add(initial);
        }
        V::store(&state, keystream);
    }
}

/// Work on single words to be done between the steps of vector work, which leaves that half of the
/// processor idle.
///
/// A processor looks some hundred instructions ahead, so the work must come in small pieces. A
/// trait rather than a closure, as only a function can be told to be inlined.
pub(crate) trait SideWork {
    /// Called after each of the eight steps of every double round.
    fn after_step(&mut self, step: usize);
}

/// No work.
pub(crate) struct Idle;

impl SideWork for Idle {
    #[inline(always)]
    fn after_step(&mut self, _step: usize) {}
}

/// Reads little-endian words; that the lengths agree is checked by the compiler.
#[inline(always)]
pub(crate) fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
    const { assert!(BYTES == 4 * WORDS) };
    let (chunks, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|i| u32::from_le_bytes(chunks[i]))
}

#[inline(always)]
fn initial_state(key: &[u32; 8], nonce: [u32; 2], counter: [u32; 2]) -> [u32; 16] {
    let [c0, c1, c2, c3] = CONSTANTS;
    let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
    let ([n0, n1], [b0, b1]) = (nonce, counter);
    [c0, k0, k1, k2, k3, c1, n0, n1, b0, b1, c2, k4, k5, k6, k7, c3]
}

/// One round over the columns and one over the rows, each as four quarter rounds side by side in
/// four steps.
///
/// Written out, because a loop over positions is fast only as long as the compiler chooses to
/// unroll it.
#[inline(always)]
fn double_round<V: Lanes>(x: &mut [V; 16], side_work: &mut impl SideWork) {
    mix::<V, 7, 25>(x, 4, 0, 12);
    mix::<V, 7, 25>(x, 9, 5, 1);
    mix::<V, 7, 25>(x, 14, 10, 6);
    mix::<V, 7, 25>(x, 3, 15, 11);
    side_work.after_step(0);
    mix::<V, 9, 23>(x, 8, 4, 0);
    mix::<V, 9, 23>(x, 13, 9, 5);
    mix::<V, 9, 23>(x, 2, 14, 10);
    mix::<V, 9, 23>(x, 7, 3, 15);
    side_work.after_step(1);
    mix::<V, 13, 19>(x, 12, 8, 4);
    mix::<V, 13, 19>(x, 1, 13, 9);
    mix::<V, 13, 19>(x, 6, 2, 14);
    mix::<V, 13, 19>(x, 11, 7, 3);
    side_work.after_step(2);
    mix::<V, 18, 14>(x, 0, 12, 8);
    mix::<V, 18, 14>(x, 5, 1, 13);
    mix::<V, 18, 14>(x, 10, 6, 2);
    mix::<V, 18, 14>(x, 15, 11, 7);
    side_work.after_step(3);
    mix::<V, 7, 25>(x, 1, 0, 3);
    mix::<V, 7, 25>(x, 6, 5, 4);
    mix::<V, 7, 25>(x, 11, 10, 9);
    mix::<V, 7, 25>(x, 12, 15, 14);
    side_work.after_step(4);
    mix::<V, 9, 23>(x, 2, 1, 0);
    mix::<V, 9, 23>(x, 7, 6, 5);
    mix::<V, 9, 23>(x, 8, 11, 10);
    mix::<V, 9, 23>(x, 13, 12, 15);
    side_work.after_step(5);
    mix::<V, 13, 19>(x, 3, 2, 1);
    mix::<V, 13, 19>(x, 4, 7, 6);
    mix::<V, 13, 19>(x, 9, 8, 11);
    mix::<V, 13, 19>(x, 14, 13, 12);
    side_work.after_step(6);
    mix::<V, 18, 14>(x, 0, 3, 2);
    mix::<V, 18, 14>(x, 5, 4, 7);
    mix::<V, 18, 14>(x, 10, 9, 8);
    mix::<V, 18, 14>(x, 15, 14, 13);
    side_work.after_step(7);
}

/// `x[to] ^= (x[a] + x[b]) <<< L`
#[inline(always)]
fn mix<V: Lanes, const L: i32, const R: i32>(x: &mut [V; 16], to: usize, a: usize, b: usize) {
    x[to] = x[to].xor(x[a].add(x[b]).rotate_left::<L, R>());
}

/// Salsa20/20.
pub(crate) const DOUBLE_ROUNDS: usize = 10;

/// "expand 32-byte k" as little-endian words.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
