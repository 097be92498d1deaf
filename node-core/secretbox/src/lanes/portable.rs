//! Four lanes as a plain array, for processors without a file of their own.
//!
//! Compilers turn the loops into vector instructions where the target always has them (NEON, SSE2).

use super::Lanes;

#[derive(Clone, Copy)]
pub(crate) struct Portable([u32; 4]);

impl Lanes for Portable {
    const BLOCKS: usize = 4;

    type Keystream = [u8; 256];

    #[inline(always)]
    fn keystream() -> [u8; 256] {
        [0; 256]
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self([word; 4])
    }

    #[inline(always)]
    fn lane_numbers() -> Self {
        Self([0, 1, 2, 3])
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane].wrapping_add(other.0[lane])))
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] ^ other.0[lane]))
    }

    #[inline(always)]
    fn rotate_left<const L: i32, const R: i32>(self) -> Self {
        Self(self.0.map(|word| word << L | word >> R))
    }

    #[inline(always)]
    fn store(words: &[Self; 16], keystream: &mut [u8; 256]) {
        for (lane, block) in keystream.as_chunks_mut::<64>().0.iter_mut().enumerate() {
            for (bytes, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                *bytes = word.0[lane].to_le_bytes();
            }
        }
    }
}
