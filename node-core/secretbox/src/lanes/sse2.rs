//! Four lanes in an SSE2 register, which every 64-bit x86 processor has.

use super::Lanes;
use std::arch::x86_64::*;

/// Four words in one register.
#[derive(Clone, Copy)]
pub(crate) struct Sse2(__m128i);

// SAFETY (of every block below): the instructions belong to the baseline of all targets this file
// is for.
impl Lanes for Sse2 {
    const BLOCKS: usize = 4;

    type Keystream = [u8; 256];

    #[inline(always)]
    fn keystream() -> [u8; 256] {
        [0; 256]
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn lane_numbers() -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm_setr_epi32(0, 1, 2, 3) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm_xor_si128(self.0, other.0) })
    }

    #[inline(always)]
    fn rotate_left<const L: i32, const R: i32>(self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm_or_si128(_mm_slli_epi32::<L>(self.0), _mm_srli_epi32::<R>(self.0)) })
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
                unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), quarter[lane]) };
            }
        }
    }
}

/// Turns four words of four blocks each into four blocks of four words each.
#[inline(always)]
fn transpose([Sse2(a), Sse2(b), Sse2(c), Sse2(d)]: [Sse2; 4]) -> [__m128i; 4] {
    // SAFETY: see the note at `impl Lanes for Sse2`.
    unsafe {
        let ab_low = _mm_unpacklo_epi32(a, b);
        let ab_high = _mm_unpackhi_epi32(a, b);
        let cd_low = _mm_unpacklo_epi32(c, d);
        let cd_high = _mm_unpackhi_epi32(c, d);
        [
            _mm_unpacklo_epi64(ab_low, cd_low),
            _mm_unpackhi_epi64(ab_low, cd_low),
            _mm_unpacklo_epi64(ab_high, cd_high),
            _mm_unpackhi_epi64(ab_high, cd_high),
        ]
    }
}
