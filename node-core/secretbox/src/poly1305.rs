//! The Poly1305 one-time authenticator in 64-bit arithmetic.
//!
//! It is kept scalar on purpose: [`crate::message`] runs it between the rounds of the vectorised cipher,
//! where the processor's scalar multipliers are idle, so that it costs next to nothing.
//!
//! A key serves one message only. The accumulator has 130 bits in three words, the top one at most a few
//! units; products are 128 bits wide, and the bounds that keep them from overflowing stand beside them.

use crate::TAG_LEN;
use zeroize::Zeroize;

/// The key of one message, wiped when dropped.
pub(crate) struct OneTimeKey {
    /// The clamped point: both words are below 2^60, the high one is a multiple of 4.
    r: [u64; 2],
    pad: u128,
}

impl OneTimeKey {
    #[inline(always)]
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let (halves, _) = key.as_chunks::<16>();
        let r = u128::from_le_bytes(halves[0]) & R_MASK;
        Self { r: [r as u64, (r >> 64) as u64], pad: u128::from_le_bytes(halves[1]) }
    }

    /// Takes whole blocks of the message into `accumulator`.
    #[inline(always)]
    pub(crate) fn absorb(
        &self,
        mut accumulator: Accumulator,
        blocks: &[[u8; BLOCK_LEN]],
    ) -> Accumulator {
        for block in blocks {
            accumulator = self.step(accumulator, u128::from_le_bytes(*block), 1);
        }
        accumulator
    }

    /// Takes in the rest of the message, whole blocks and a last piece, and returns the tag.
    #[inline(always)]
    pub(crate) fn tag(&self, accumulator: Accumulator, rest: &[u8]) -> [u8; TAG_LEN] {
        let (blocks, piece) = rest.as_chunks::<BLOCK_LEN>();
        let mut accumulator = self.absorb(accumulator, blocks);
        if !piece.is_empty() {
            let mut block = [0; BLOCK_LEN];
            block[..piece.len()].copy_from_slice(piece);
            block[piece.len()] = 1;
            accumulator = self.step(accumulator, u128::from_le_bytes(block), 0);
        }
        accumulator.reduce().wrapping_add(self.pad).to_le_bytes()
    }

    /// Returns `(accumulator + block + 2^128 * top) * r`, partly reduced modulo 2^130 - 5.
    #[inline(always)]
    fn step(&self, accumulator: Accumulator, block: u128, top: u64) -> Accumulator {
        let Accumulator([h0, h1, h2]) = accumulator;
        let [r0, r1] = self.r;
        let (h0, carry) = h0.overflowing_add(block as u64);
        let (h1, carry) = h1.carrying_add((block >> 64) as u64, carry);
        let h2 = h2 + top + u64::from(carry);
        // Modulo 2^130 - 5, 2^128 * r1 is 5 * r1 / 4: exact, as r1 is a multiple of 4.
        let s1 = r1 + (r1 >> 2);
        // h2 <= 6, r0 and r1 < 2^60, s1 < 2^61: no sum reaches 2^126, and d2 < 2^63.5.
        let d0 = wide(h0, r0) + wide(h1, s1);
        let d1 = wide(h0, r1) + wide(h1, r0) + u128::from(h2 * s1) + (d0 >> 64);
        let d2 = h2 * r0 + (d1 >> 64) as u64;
        // What stands above 2^130, q times, comes back as 5 q at the bottom: 4 q is there already, masked.
        let (h0, carry) = (d0 as u64).overflowing_add((d2 & !3) + (d2 >> 2));
        let (h1, carry) = (d1 as u64).overflowing_add(u64::from(carry));
        Accumulator([h0, h1, (d2 & 3) + u64::from(carry)])
    }
}

impl Drop for OneTimeKey {
    fn drop(&mut self) {
        self.r.zeroize();
        self.pad.zeroize();
    }
}

/// What a message comes to so far, partly reduced: the third word is at most 4.
#[derive(Clone, Copy, Default)]
pub(crate) struct Accumulator([u64; 3]);

impl Accumulator {
    /// Reduces fully modulo 2^130 - 5 and drops what is above 128 bits.
    #[inline(always)]
    fn reduce(self) -> u128 {
        let [h0, h1, h2] = self.0;
        let low = u128::from(h1) << 64 | u128::from(h0);
        // The value reaches 2^130 - 5 just when adding 5 reaches 2^130, and then the sum's lower bits are
        // the remainder: the value is far below twice the modulus.
        let (sum, carry) = low.overflowing_add(5);
        let exceeds = (h2 + u64::from(carry)) >> 2;
        let mask = u128::from(exceeds).wrapping_neg();
        low & !mask | sum & mask
    }
}

#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// Bytes that one step takes in.
pub(crate) const BLOCK_LEN: usize = 16;

/// The bits of `r` that the specification lets stand.
const R_MASK: u128 = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
