//! A single lane: one block at a time, as the specification writes it.
//!
//! For HSalsa20, which needs just one block, and for processors without a file of their own.

use super::Lanes;

impl Lanes for u32 {
    const BLOCKS: usize = 1;

    type Keystream = [u8; 64];

    #[inline(always)]
    fn keystream() -> [u8; 64] {
        [0; 64]
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        word
    }

    #[inline(always)]
    fn lane_numbers() -> Self {
        0
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }

    #[inline(always)]
    fn rotate_left<const L: i32, const R: i32>(self) -> Self {
        self << L | self >> R
    }

    #[inline(always)]
    fn store(words: &[Self; 16], keystream: &mut [u8; 64]) {
        for (bytes, word) in keystream.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
    }
}
