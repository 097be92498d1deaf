//! Sixteen lanes in an AVX-512 register, with the rotation that AVX2 lacks, or thirty-two in two.

use super::Lanes;
use std::arch::x86_64::*;

/// Sixteen words in one register. Used only inside functions compiled for AVX-512 (see
/// [`crate::backend`]).
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512i);

// SAFETY (of every block below): values of this type exist only below a function that is compiled
// for AVX-512 and called after the processor was found to have it, so each instruction is
// available.
impl Lanes for Avx512 {
    const BLOCKS: usize = 16;

    type Keystream = [u8; 1024];

    #[inline(always)]
    fn keystream() -> [u8; 1024] {
        [0; 1024]
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm512_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn lane_numbers() -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm512_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm512_xor_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn rotate_left<const L: i32, const R: i32>(self) -> Self {
        // SAFETY: see the note above.
        Self(unsafe { _mm512_rol_epi32::<L>(self.0) })
    }

    #[inline(always)]
    fn store(words: &[Self; 16], keystream: &mut [u8; 1024]) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *words;
        let quarters = [
            transpose_quarter([a, b, c, d]),
            transpose_quarter([e, f, g, h]),
            transpose_quarter([i, j, k, l]),
            transpose_quarter([m, n, o, p]),
        ];
        let (blocks, _) = keystream.as_chunks_mut::<64>();
        for phase in 0..4 {
            let [a, b, c, d] = quarters;
            let rows = gather_blocks([a[phase], b[phase], c[phase], d[phase]]);
            for (group, row) in rows.into_iter().enumerate() {
                let block = &mut blocks[4 * group + phase];
                // SAFETY: see the note above; `block` has the 64 bytes that are written, at any
                // alignment.
                unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), row) };
            }
        }
    }
}

/// Twice sixteen words.
///
/// The steps of the cipher wait for one another, and one register's worth of blocks leaves half of
/// the vector units idle meanwhile. Two are twice the work in 1.35 times the time (Zen 5), although
/// not all of them fit into the registers.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Pair(Avx512, Avx512);

impl Lanes for Avx512Pair {
    const BLOCKS: usize = 2 * Avx512::BLOCKS;

    type Keystream = [u8; 2048];

    #[inline(always)]
    fn keystream() -> [u8; 2048] {
        [0; 2048]
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self(Avx512::splat(word), Avx512::splat(word))
    }

    #[inline(always)]
    fn lane_numbers() -> Self {
        let numbers = Avx512::lane_numbers();
        Self(numbers, numbers.add(Avx512::splat(16)))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.add(other.0), self.1.add(other.1))
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self(self.0.xor(other.0), self.1.xor(other.1))
    }

    #[inline(always)]
    fn rotate_left<const L: i32, const R: i32>(self) -> Self {
        Self(self.0.rotate_left::<L, R>(), self.1.rotate_left::<L, R>())
    }

    #[inline(always)]
    fn store(words: &[Self; 16], keystream: &mut [u8; 2048]) {
        let (mut first, mut second) = ([words[0].0; 16], [words[0].1; 16]);
        for (i, word) in words.iter().enumerate() {
            (first[i], second[i]) = (word.0, word.1);
        }
        let (halves, _) = keystream.as_chunks_mut();
        Avx512::store(&first, &mut halves[0]);
        Avx512::store(&second, &mut halves[1]);
    }
}

/// Turns four words of sixteen blocks into four registers: number `i` has, in its 128-bit part
/// number `j`, the four words of block `4 * j + i`.
#[inline(always)]
fn transpose_quarter([Avx512(a), Avx512(b), Avx512(c), Avx512(d)]: [Avx512; 4]) -> [__m512i; 4] {
    // SAFETY: see the note at `impl Lanes for Avx512`.
    unsafe {
        let ab_low = _mm512_unpacklo_epi32(a, b);
        let ab_high = _mm512_unpackhi_epi32(a, b);
        let cd_low = _mm512_unpacklo_epi32(c, d);
        let cd_high = _mm512_unpackhi_epi32(c, d);
        [
            _mm512_unpacklo_epi64(ab_low, cd_low),
            _mm512_unpackhi_epi64(ab_low, cd_low),
            _mm512_unpacklo_epi64(ab_high, cd_high),
            _mm512_unpackhi_epi64(ab_high, cd_high),
        ]
    }
}

/// Turns the four quarters of four blocks, a block to each 128-bit part, into the four blocks.
#[inline(always)]
fn gather_blocks([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    // SAFETY: see the note at `impl Lanes for Avx512`.
    unsafe {
        let ab_low = _mm512_shuffle_i32x4::<0b01_00_01_00>(a, b);
        let ab_high = _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b);
        let cd_low = _mm512_shuffle_i32x4::<0b01_00_01_00>(c, d);
        let cd_high = _mm512_shuffle_i32x4::<0b11_10_11_10>(c, d);
        [
            _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_low, cd_low),
            _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_low, cd_low),
            _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_high, cd_high),
            _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_high, cd_high),
        ]
    }
}
