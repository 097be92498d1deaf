//! Eight lanes in an AVX2 register.

use super::Lanes;
use std::arch::x86_64::*;

/// Eight words in one register. Used only inside functions compiled for AVX2 (see
/// [`crate::backend`]).
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256i);

// SAFETY (of every block below): values of this type exist only below a function that is compiled
// for AVX2 and called after the processor was found to have it, so each instruction is available.
impl Lanes for Avx2 {
    const BLOCKS: usize = 8;

    type Keystream = [u8; 512];

    #[inline(always)]
    fn keystream() -> [u8; 512] {
        [0; 512]
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm256_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn lane_numbers() -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn rotate_left<const L: i32, const R: i32>(self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe {
            _mm256_or_si256(_mm256_slli_epi32::<L>(self.0), _mm256_srli_epi32::<R>(self.0))
        })
    }

    #[inline(always)]
    fn store(words: &[Self; 16], keystream: &mut [u8; 512]) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *words;
        let halves = [transpose([a, b, c, d, e, f, g, h]), transpose([i, j, k, l, m, n, o, p])];
        for (lane, block) in keystream.as_chunks_mut::<64>().0.iter_mut().enumerate() {
            for (half, bytes) in halves.iter().zip(block.as_chunks_mut::<32>().0) {
                // SAFETY: see the note above; `bytes` has the 32 bytes that are written, at any
                // alignment.
                unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), half[lane]) };
            }
        }
    }
}

/// Turns eight words of eight blocks each into eight blocks of eight words each.
#[inline(always)]
fn transpose(words: [Avx2; 8]) -> [__m256i; 8] {
    let [Avx2(a), Avx2(b), Avx2(c), Avx2(d), Avx2(e), Avx2(f), Avx2(g), Avx2(h)] = words;
    // SAFETY: see the note at `impl Lanes for Avx2`.
    unsafe {
        let ab_low = _mm256_unpacklo_epi32(a, b);
        let ab_high = _mm256_unpackhi_epi32(a, b);
        let cd_low = _mm256_unpacklo_epi32(c, d);
        let cd_high = _mm256_unpackhi_epi32(c, d);
        let ef_low = _mm256_unpacklo_epi32(e, f);
        let ef_high = _mm256_unpackhi_epi32(e, f);
        let gh_low = _mm256_unpacklo_epi32(g, h);
        let gh_high = _mm256_unpackhi_epi32(g, h);
        // Words a to d, and e to h, of blocks 0 and 4, 1 and 5, 2 and 6, 3 and 7.
        let abcd = [
            _mm256_unpacklo_epi64(ab_low, cd_low),
            _mm256_unpackhi_epi64(ab_low, cd_low),
            _mm256_unpacklo_epi64(ab_high, cd_high),
            _mm256_unpackhi_epi64(ab_high, cd_high),
        ];
        let efgh = [
            _mm256_unpacklo_epi64(ef_low, gh_low),
            _mm256_unpackhi_epi64(ef_low, gh_low),
            _mm256_unpacklo_epi64(ef_high, gh_high),
            _mm256_unpackhi_epi64(ef_high, gh_high),
        ];
        [
            _mm256_permute2x128_si256::<0x20>(abcd[0], efgh[0]),
            _mm256_permute2x128_si256::<0x20>(abcd[1], efgh[1]),
            _mm256_permute2x128_si256::<0x20>(abcd[2], efgh[2]),
            _mm256_permute2x128_si256::<0x20>(abcd[3], efgh[3]),
            _mm256_permute2x128_si256::<0x31>(abcd[0], efgh[0]),
            _mm256_permute2x128_si256::<0x31>(abcd[1], efgh[1]),
            _mm256_permute2x128_si256::<0x31>(abcd[2], efgh[2]),
            _mm256_permute2x128_si256::<0x31>(abcd[3], efgh[3]),
        ]
    }
}
