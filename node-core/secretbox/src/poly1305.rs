//! The Poly1305 one-time authenticator.
//!
//! The message is a polynomial over the integers modulo p = 2^130 - 5 with its blocks as
//! coefficients, and the tag is its value at the secret point r, plus a secret pad.
//!
//! [`crate::message`] runs an [`Authenticator`] between the steps of the vectorised cipher, so that
//! most of its cost disappears. [`Serial`] takes one block after the other in 64-bit arithmetic,
//! which leaves the vector units to the cipher; `ifma` takes eight at once where the processor
//! multiplies 52-bit numbers in vectors. Short messages, and the end of every one, are taken in
//! 64-bit arithmetic: numbers are words there, lowest first, and the bounds that keep them from
//! overflowing stand beside the sums.

use crate::TAG_LEN;
use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
pub(crate) mod ifma;

/// A message on its way into the tag, `STEP` bytes at a time.
pub(crate) trait Authenticator<const STEP: usize> {
    /// How many bytes of a message come before its whole steps.
    const LEAD_LEN: usize;

    /// Messages of fewer bytes are taken in by [`OneTimeKey::tag`] alone. At least
    /// [`Self::LEAD_LEN`].
    const LEN_MIN: usize;

    /// Begins with the first [`Self::LEAD_LEN`] bytes of a message.
    fn new(key: OneTimeKey, lead: &[u8]) -> Self;

    /// Takes in the next bytes.
    fn absorb(&mut self, bytes: &[u8; STEP]);

    /// Takes in the last bytes, however many, and returns the tag.
    fn tag(self, rest: &[u8]) -> [u8; TAG_LEN];
}

/// One block after the other.
pub(crate) struct Serial {
    key: OneTimeKey,
    sum: Sum,
}

impl Authenticator<BLOCK_LEN> for Serial {
    const LEAD_LEN: usize = 0;

    const LEN_MIN: usize = 0;

    #[inline(always)]
    fn new(key: OneTimeKey, _lead: &[u8]) -> Self {
        Self { key, sum: Sum::default() }
    }

    #[inline(always)]
    fn absorb(&mut self, block: &[u8; BLOCK_LEN]) {
        self.sum = self.key.absorb(self.sum, block);
    }

    #[inline(always)]
    fn tag(self, rest: &[u8]) -> [u8; TAG_LEN] {
        self.key.tag(self.sum, rest)
    }
}

/// The point and the pad of one message; wiped when dropped.
pub(crate) struct OneTimeKey {
    /// The clamped point: both words are below 2^60, the high one is a multiple of 4.
    r: [u64; 2],
    pad: u128,
}

impl OneTimeKey {
    #[inline(always)]
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let (parts, _) = key.as_chunks::<16>();
        let r = u128::from_le_bytes(parts[0]) & R_MASK;
        Self { r: halves(r), pad: u128::from_le_bytes(parts[1]) }
    }

    /// Takes a whole block of the message into `sum`.
    #[inline(always)]
    fn absorb(&self, sum: Sum, block: &[u8; BLOCK_LEN]) -> Sum {
        self.step(sum, u128::from_le_bytes(*block), 1)
    }

    /// Takes in the rest of the message, whole blocks and a last piece, and returns the tag.
    #[inline(always)]
    pub(crate) fn tag(&self, mut sum: Sum, rest: &[u8]) -> [u8; TAG_LEN] {
        let (blocks, piece) = rest.as_chunks::<BLOCK_LEN>();
        for block in blocks {
            sum = self.absorb(sum, block);
        }
        if !piece.is_empty() {
            let mut block = [0; BLOCK_LEN];
            block[..piece.len()].copy_from_slice(piece);
            block[piece.len()] = 1;
            sum = self.step(sum, u128::from_le_bytes(block), 0);
        }
        sum.reduce().wrapping_add(self.pad).to_le_bytes()
    }

    /// Returns `(sum + block + 2^128 * top) * r` modulo p; `top` is 0 or 1.
    #[inline(always)]
    fn step(&self, sum: Sum, block: u128, top: u64) -> Sum {
        // The block is added while the excess is still being worked out: this chain of sums, from
        // one step to the next, is what takes the time.
        let (low, carry) = sum.low.overflowing_add(block);
        let (low, second_carry) = low.overflowing_add(sum.excess());
        let h2 = (sum.high & 3) + top + u64::from(carry) + u64::from(second_carry);
        let ([h0, h1], [r0, r1]) = (halves(low), self.r);
        // Modulo p, 2^128 * r1 is 5 * r1 / 4: exact, as r1 is a multiple of 4.
        let s1 = r1 + (r1 >> 2);
        // h2 <= 6, r0 and r1 < 2^60, s1 < 2^61: the column sums stay below 2^126, `high` below
        // 2^63.5.
        let column_0 = wide(h0, r0) + wide(h1, s1);
        let column_1 = wide(h0, r1) + wide(h1, r0) + u128::from(h2 * s1);
        let (low, carry) = column_0.overflowing_add(column_1 << 64);
        Sum { low, high: h2 * r0 + (column_1 >> 64) as u64 + u64::from(carry) }
    }
}

impl Drop for OneTimeKey {
    fn drop(&mut self) {
        self.r.zeroize();
        self.pad.zeroize();
    }
}

/// What the message comes to so far, `low + 2^128 * high` modulo p; `high` is below 2^63.5.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    low: u128,
    high: u64,
}

impl Sum {
    /// What the bits from 2^130 up are worth below it: q times 2^130 is 5 q modulo p, and `high`
    /// holds 4 q.
    #[inline(always)]
    fn excess(self) -> u128 {
        u128::from((self.high & !3) + (self.high >> 2))
    }

    /// Reduces fully modulo p and drops what is above 128 bits.
    #[inline(always)]
    fn reduce(self) -> u128 {
        let (low, carry) = self.low.overflowing_add(self.excess());
        let high = (self.high & 3) + u64::from(carry);
        // The value reaches p just when adding 5 reaches 2^130, and then the lower bits of that sum
        // are the remainder: the value is far below 2 p.
        let (minus_p, carry) = low.overflowing_add(5);
        let reaches_p = (high + u64::from(carry)) >> 2;
        let mask = u128::from(reaches_p).wrapping_neg();
        low & !mask | minus_p & mask
    }
}

#[inline(always)]
fn halves(word: u128) -> [u64; 2] {
    [word as u64, (word >> 64) as u64]
}

#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// Bytes of message that one step takes in.
pub(crate) const BLOCK_LEN: usize = 16;

/// The bits of r that the specification lets stand.
const R_MASK: u128 = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
