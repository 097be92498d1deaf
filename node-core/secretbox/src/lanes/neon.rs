//! Four lanes in a NEON register, which every 64-bit ARM processor has.

use super::Lanes;
use std::arch::aarch64::*;

/// Four words in one register.
#[derive(Clone, Copy)]
pub(crate) struct Neon(uint32x4_t);

impl Lanes for Neon {
    const BLOCKS: usize = 4;

    type Keystream = [u8; 256];

    #[inline(always)]
    fn keystream() -> [u8; 256] {
        [0; 256]
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self(vdupq_n_u32(word))
    }

    #[inline(always)]
    fn lane_numbers() -> Self {
        Self(vsetq_lane_u32::<1>(1, vsetq_lane_u32::<2>(2, vsetq_lane_u32::<3>(3, vdupq_n_u32(0)))))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(vaddq_u32(self.0, other.0))
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self(veorq_u32(self.0, other.0))
    }

    #[inline(always)]
    fn rotate_left<const L: i32, const R: i32>(self) -> Self {
        Self(vsriq_n_u32::<R>(vshlq_n_u32::<L>(self.0), self.0))
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
                // SAFETY: `bytes` has the 16 bytes that are written, at any alignment.
                unsafe { vst1q_u8(bytes.as_mut_ptr(), vreinterpretq_u8_u32(quarter[lane])) };
            }
        }
    }
}

/// Turns four words of four blocks each into four blocks' four words each.
#[inline(always)]
fn transpose([Neon(a), Neon(b), Neon(c), Neon(d)]: [Neon; 4]) -> [uint32x4_t; 4] {
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
