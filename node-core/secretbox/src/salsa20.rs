//! The Salsa20 core over any [`Lanes`], and HSalsa20.
//!
//! State words, in the order of the specification: constants on the diagonal, the key in two halves
//! around them, the nonce in words 6 and 7, the block counter in words 8 and 9.

use crate::lanes::Lanes;
use zeroize::Zeroize;

/// Derives a key from `key` and `input`, as NaCl does for its box and for the long nonce of XSalsa20.
///
/// The key of a NaCl box is `hsalsa20(x25519_result, &[0; 16])`.
#[must_use]
pub fn hsalsa20(key: &[u8; 32], input: &[u8; 16]) -> [u8; 32] {
    let mut key = words(key);
    let [a, b, c, d] = words(input);
    let mut state = initial_state(&key, [a, b], [c, d]);
    for _ in 0..DOUBLE_ROUNDS {
        double_round(&mut state);
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

/// Salsa20 under one key and nonce, as a source of key stream in passes of [`Lanes::BLOCKS`] blocks.
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

    /// Writes the key stream of pass number `pass`, calling `between` after each of [`DOUBLE_ROUNDS`].
    ///
    /// Work done in `between` is independent of the vectors and fills the processor's other units.
    #[inline(always)]
    pub(crate) fn generate<V: Lanes>(
        &self,
        pass: u64,
        keystream: &mut V::Keystream,
        mut between: impl FnMut(usize),
    ) {
        // A pass starts at a multiple of the power of two that is its length, so only the first lane's
        // counter can be a multiple of 2^32 and the high word is the same in all lanes.
        let counter = pass * V::BLOCKS as u64;
        let counter = [counter as u32, (counter >> 32) as u32];
        let mut initial = initial_state(self.key, self.nonce, counter).map(V::splat);
        initial[8] = initial[8].add(V::lane_numbers());
        let mut state = initial;
        for round in 0..DOUBLE_ROUNDS {
            double_round(&mut state);
            between(round);
        }
        for (word, initial) in state.iter_mut().zip(initial) {
            *word = word.add(initial);
        }
        V::store(&state, keystream);
    }
}

/// Reads little-endian words; the arrays' lengths must agree, which the compiler checks where it is inlined.
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

/// One round over the columns and one over the rows.
#[inline(always)]
fn double_round<V: Lanes>(x: &mut [V; 16]) {
    quarter_rounds(x, [[0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11]]);
    quarter_rounds(x, [[0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]]);
}

/// Four independent quarter rounds, step by step side by side.
#[inline(always)]
fn quarter_rounds<V: Lanes>(x: &mut [V; 16], quarters: [[usize; 4]; 4]) {
    for [a, b, _, d] in quarters {
        x[b] = x[b].xor(x[a].add(x[d]).rotate_left::<7, 25>());
    }
    for [a, b, c, _] in quarters {
        x[c] = x[c].xor(x[b].add(x[a]).rotate_left::<9, 23>());
    }
    for [_, b, c, d] in quarters {
        x[d] = x[d].xor(x[c].add(x[b]).rotate_left::<13, 19>());
    }
    for [a, _, c, d] in quarters {
        x[a] = x[a].xor(x[d].add(x[c]).rotate_left::<18, 14>());
    }
}

/// Salsa20/20.
pub(crate) const DOUBLE_ROUNDS: usize = 10;

/// "expand 32-byte k" as little-endian words.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
