//! Four lanes in a NEON register, which every 64-bit ARM processor has.

use super::Lanes;
use std::arch::aarch64::*;

/// Four words in one register.
#[derive(Clone, Copy)]
pub(crate) struct Neon(uint32x4_t);

// SAFETY (of every block below): the instructions belong to the baseline of all targets this file
// is for.
impl Lanes for Neon {
    const BLOCKS: usize = 4;

    type Keystream = [u8; 256];

    #[inline(always)]
    fn keystream() -> [u8; 256] {
        [0; 256]
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { vdupq_n_u32(word) })
    }

    #[inline(always)]
    fn lane_numbers() -> Self {
        let numbers = [0, 1, 2, 3];
        // SAFETY: see the note above; `numbers` has the four words that are read.
        Self(unsafe { vld1q_u32(numbers.as_ptr()) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { vaddq_u32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { veorq_u32(self.0, other.0) })
    }

    #[inline(always)]
    fn rotate_left<const L: i32, const R: i32>(self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { vsriq_n_u32::<R>(vshlq_n_u32::<L>(self.0), self.0) })
    }

    #[inline(always)]
    fn store(words: &[Self; 16], keystream: &mut [u8; 256]) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *words;
        let quarters = [
            transpose([a, b, c, d]),
            transpose([e, f, g, h]),
            transpose([i, j, k, l]),
            transpose([m, n, o, p]),
        ];
        for (lane, block) in keystream.as_chunks_mut::<64>().0.iter_mut().enumerate() {
            for (quarter, bytes) in quarters.iter().zip(block.as_chunks_mut::<16>().0) {
                // SAFETY: see the note above; `bytes` has the 16 bytes that are written, at any
                // alignment.
                unsafe { vst1q_u8(bytes.as_mut_ptr(), vreinterpretq_u8_u32(quarter[lane])) };
            }
        }
    }
}

/// Turns four words of four blocks each into four blocks of four words each.
#[inline(always)]
fn transpose([Neon(a), Neon(b), Neon(c), Neon(d)]: [Neon; 4]) -> [uint32x4_t; 4] {
    // SAFETY: see the note at `impl Lanes for Neon`.
    unsafe {
        let ab_even = vreinterpretq_u64_u32(vtrn1q_u32(a, b));
        let ab_odd = vreinterpretq_u64_u32(vtrn2q_u32(a, b));
        let cd_even = vreinterpretq_u64_u32(vtrn1q_u32(c, d));
        let cd_odd = vreinterpretq_u64_u32(vtrn2q_u32(c, d));
        [
            vreinterpretq_u32_u64(vtrn1q_u64(ab_even, cd_even)),
            vreinterpretq_u32_u64(vtrn1q_u64(ab_odd, cd_odd)),
            vreinterpretq_u32_u64(vtrn2q_u64(ab_even, cd_even)),
            vreinterpretq_u32_u64(vtrn2q_u64(ab_odd, cd_odd)),
        ]
    }
}
