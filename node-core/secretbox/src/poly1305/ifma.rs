//! Eight blocks at once, with the multiplications of AVX-512 IFMA.
//!
//! Eight sums run side by side, each over every eighth block and each multiplied by r^8 from one
//! block to the next. In the end the sum of block `j` of the last eight is multiplied by r^(8 - j),
//! and all are added up.
//!
//! A number has three limbs of 44, 44 and 42 bits, one vector each. The instructions multiply the
//! lower 52 bits of two lanes and add the lower or the upper 52 bits of the product to a third, so
//! limbs may grow somewhat beyond their bits before they carry; the bounds stand beside the sums.

use super::{Authenticator, BLOCK_LEN, OneTimeKey, Sum};
use crate::TAG_LEN;
use std::arch::x86_64::*;
use zeroize::Zeroize;

/// Eight sums and what they are multiplied by, which is wiped when dropped. Used only inside
/// functions compiled for AVX-512 with IFMA (see [`crate::backend`]).
pub(crate) struct Ifma {
    key: OneTimeKey,
    sums: Limbs,
    /// r^8 in every lane.
    stride: Factor,
    /// r to r^8, the highest power for the first of eight blocks.
    powers: Factor,
}

// SAFETY (of every block below): values of this type exist only below a function that is compiled
// for these instructions and called after the processor was found to have them.
impl Authenticator<STEP> for Ifma {
    const LEAD_LEN: usize = LEAD_LEN;

    const LEN_MIN: usize = 256;

    #[inline(always)]
    fn new(key: OneTimeKey, lead: &[u8]) -> Self {
        // Blocks of zeros in front change nothing.
        let mut bytes = [0; STEP];
        bytes[STEP - LEAD_LEN..].copy_from_slice(lead);
        let sums = Limbs::load(&bytes, LEAD_TOPS);

        let [r0, r1] = key.r;
        let point =
            Limbs([splat(r0 & MASK_44), splat((r0 >> 44 | r1 << 20) & MASK_44), splat(r1 >> 24)]);
        // Powers in the order of the last two, four and eight blocks, over and over.
        let square = point.times(&Factor::new(point));
        let two = square.blend::<0b1010_1010>(point);
        let upper = two.times(&Factor::new(square));
        let four = upper.blend::<0b1100_1100>(two);
        let upper = four.times(&Factor::new(upper.permute([0; 8])));
        let eight = upper.blend::<0b1111_0000>(four);
        let stride = Factor::new(upper.permute([0; 8]));
        Self { key, sums, stride, powers: Factor::new(eight.permute(LANE_ORDER)) }
    }

    #[inline(always)]
    fn absorb(&mut self, bytes: &[u8; STEP]) {
        self.sums = self.sums.times_plus(&self.stride, Limbs::load(bytes, ALL_TOPS));
    }

    #[inline(always)]
    fn tag(mut self, rest: &[u8]) -> [u8; TAG_LEN] {
        let (steps, rest) = rest.as_chunks();
        for step in steps {
            self.absorb(step);
        }
        self.key.tag(self.sums.times(&self.powers).total(), rest)
    }
}

impl Drop for Ifma {
    fn drop(&mut self) {
        self.stride.limbs.zeroize();
        self.stride.wrapped.zeroize();
        self.powers.limbs.zeroize();
        self.powers.wrapped.zeroize();
    }
}

/// A number in each lane.
#[derive(Clone, Copy)]
struct Limbs([__m512i; 3]);

/// A number in each lane, made ready to be multiplied by.
struct Factor {
    limbs: [__m512i; 3],
    /// The upper two limbs times 20, which is what 2^132 comes to modulo p.
    wrapped: [__m512i; 2],
}

impl Factor {
    /// Of `limbs` that have carried.
    #[inline(always)]
    fn new(Limbs(limbs): Limbs) -> Self {
        let [_, f1, f2] = limbs;
        Self { limbs, wrapped: [times_20(f1), times_20(f2)] }
    }
}

impl Limbs {
    /// Loads eight blocks, and above each 2^128 where its bit of `tops` is set.
    #[inline(always)]
    fn load(bytes: &[u8; STEP], tops: __mmask8) -> Self {
        // SAFETY: see the note at `impl Authenticator for Ifma`; `bytes` has the twice 64 bytes
        // that are read, at any alignment.
        unsafe {
            let first = _mm512_loadu_si512(bytes.as_ptr().cast());
            let second = _mm512_loadu_si512(bytes.as_ptr().add(STEP / 2).cast());
            let low = _mm512_unpacklo_epi64(first, second);
            let high = _mm512_unpackhi_epi64(first, second);
            let middle =
                _mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(high));
            let upper = _mm512_srli_epi64::<24>(high);
            Self([
                _mm512_and_si512(low, splat(MASK_44)),
                _mm512_and_si512(middle, splat(MASK_44)),
                _mm512_mask_or_epi64(upper, tops, upper, splat(1 << 40)),
            ])
        }
    }

    #[inline(always)]
    fn times(self, factor: &Factor) -> Self {
        self.times_plus(factor, Self([splat(0); 3]))
    }

    /// Returns `self * factor + summand` modulo p, not fully reduced.
    ///
    /// The limbs of `self` and `factor` are below 2^45, those of `summand` within their bits; so
    /// are, again, those of the result.
    #[inline(always)]
    fn times_plus(self, factor: &Factor, summand: Self) -> Self {
        let Self([h0, h1, h2]) = self;
        let ([f0, f1, f2], [w1, w2]) = (factor.limbs, factor.wrapped);
        let Self([a0, a1, a2]) = summand;
        let zero = splat(0);
        // Below 2^52 each, four of them.
        let low_0 = low(low(low(a0, h0, f0), h1, w2), h2, w1);
        let low_1 = low(low(low(a1, h0, f1), h1, f0), h2, w2);
        let low_2 = low(low(low(a2, h0, f2), h1, f1), h2, f0);
        // Factors below 2^45 and 2^50: below 2^43 each, three of them. The last are factors below
        // 2^45.
        let high_0 = high(high(high(zero, h0, f0), h1, w2), h2, w1);
        let high_1 = high(high(high(zero, h0, f1), h1, f0), h2, w2);
        let high_2 = high(high(high(zero, h0, f2), h1, f1), h2, f0);
        // SAFETY: see the note at `impl Authenticator for Ifma`.
        unsafe {
            // The upper parts count 2^52, which is 2^8 of the next limb, and 2^10 of what is above
            // 2^130.
            let sum_1 = _mm512_add_epi64(
                _mm512_add_epi64(low_1, _mm512_slli_epi64::<8>(high_0)),
                _mm512_srli_epi64::<44>(low_0),
            );
            let sum_2 = _mm512_add_epi64(
                _mm512_add_epi64(low_2, _mm512_slli_epi64::<8>(high_1)),
                _mm512_srli_epi64::<44>(sum_1),
            );
            let excess =
                _mm512_add_epi64(_mm512_slli_epi64::<10>(high_2), _mm512_srli_epi64::<42>(sum_2));
            let sum_0 = _mm512_add_epi64(
                _mm512_and_si512(low_0, splat(MASK_44)),
                _mm512_add_epi64(excess, _mm512_slli_epi64::<2>(excess)),
            );
            Self([
                _mm512_and_si512(sum_0, splat(MASK_44)),
                _mm512_add_epi64(
                    _mm512_and_si512(sum_1, splat(MASK_44)),
                    _mm512_srli_epi64::<44>(sum_0),
                ),
                _mm512_and_si512(sum_2, splat(MASK_42)),
            ])
        }
    }

    /// Takes the lanes whose bits are set from `other`, the rest from `self`.
    #[inline(always)]
    fn blend<const FROM_OTHER: __mmask8>(self, other: Self) -> Self {
        let (Self([a0, a1, a2]), Self([b0, b1, b2])) = (self, other);
        // SAFETY: see the note at `impl Authenticator for Ifma`.
        unsafe {
            Self([
                _mm512_mask_blend_epi64(FROM_OTHER, a0, b0),
                _mm512_mask_blend_epi64(FROM_OTHER, a1, b1),
                _mm512_mask_blend_epi64(FROM_OTHER, a2, b2),
            ])
        }
    }

    /// Takes for lane `i` of the result what lane `lanes[i]` holds.
    #[inline(always)]
    fn permute(self, lanes: [i64; 8]) -> Self {
        let (Self([l0, l1, l2]), [a, b, c, d, e, f, g, h]) = (self, lanes);
        // SAFETY: see the note at `impl Authenticator for Ifma`.
        unsafe {
            let lanes = _mm512_setr_epi64(a, b, c, d, e, f, g, h);
            Self([
                _mm512_permutexvar_epi64(lanes, l0),
                _mm512_permutexvar_epi64(lanes, l1),
                _mm512_permutexvar_epi64(lanes, l2),
            ])
        }
    }

    /// The sum of all lanes.
    #[inline(always)]
    fn total(self) -> Sum {
        let Self([l0, l1, l2]) = self;
        // SAFETY: see the note at `impl Authenticator for Ifma`.
        let [t0, t1, t2] = unsafe {
            [_mm512_reduce_add_epi64(l0), _mm512_reduce_add_epi64(l1), _mm512_reduce_add_epi64(l2)]
        };
        let [t0, t1, t2] = [t0, t1, t2].map(i64::cast_unsigned);
        // Below 2^48 each, so `high` is below 2^9.
        let (low, carry) =
            (u128::from(t0) + (u128::from(t1) << 44)).overflowing_add(u128::from(t2) << 88);
        Sum { low, high: (t2 >> 40) + u64::from(carry) }
    }
}

/// Adds the lower 52 bits of each lane's product to `sum`.
#[inline(always)]
fn low(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the note at `impl Authenticator for Ifma`.
    unsafe { _mm512_madd52lo_epu64(sum, a, b) }
}

/// Adds the upper 52 bits of each lane's product to `sum`.
#[inline(always)]
fn high(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: see the note at `impl Authenticator for Ifma`.
    unsafe { _mm512_madd52hi_epu64(sum, a, b) }
}

#[inline(always)]
fn times_20(limb: __m512i) -> __m512i {
    // SAFETY: see the note at `impl Authenticator for Ifma`.
    unsafe { _mm512_add_epi64(_mm512_slli_epi64::<4>(limb), _mm512_slli_epi64::<2>(limb)) }
}

#[inline(always)]
fn splat(word: u64) -> __m512i {
    // SAFETY: see the note at `impl Authenticator for Ifma`.
    unsafe { _mm512_set1_epi64(word.cast_signed()) }
}

/// Eight blocks.
pub(crate) const STEP: usize = 8 * BLOCK_LEN;

/// What of the first step is message, where the key stream has its 32 bytes of Poly1305 key.
const LEAD_LEN: usize = STEP - 32;

/// The blocks in the order in which [`Limbs::load`] has them in its lanes.
const LANE_ORDER: [i64; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// Every block has a bit above it.
const ALL_TOPS: __mmask8 = 0xff;

/// Blocks 0 and 1, in lanes 0 and 2, are none.
const LEAD_TOPS: __mmask8 = !0b101;

const MASK_44: u64 = (1 << 44) - 1;
const MASK_42: u64 = (1 << 42) - 1;
