//! Vectors of 32-bit words, one word per Salsa20 block.
//!
//! A vector holds the same word of several independent blocks, so the core runs as if on single
//! words and all blocks advance together. One file per instruction set, each with the same few
//! operations; no arithmetic beyond them, and no choice of which to use: that is made in
//! [`crate::backend`].

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) mod sse2;

/// Words of the same position in [`Lanes::BLOCKS`] consecutive Salsa20 blocks.
///
/// Implementations mark every method `#[inline(always)]`: only then do the instructions end up in
/// the caller, which is the one compiled for the instruction set.
pub(crate) trait Lanes: Copy {
    /// How many blocks one vector serves, a power of two.
    const BLOCKS: usize;

    /// Key stream of one pass, `[u8; 64 * BLOCKS]`.
    type Keystream: AsRef<[u8]> + AsMut<[u8]>;

    /// Makes a key stream of zeros, to be written over.
    fn keystream() -> Self::Keystream;

    /// The same word in every lane.
    fn splat(word: u32) -> Self;

    /// 0, 1, 2, … from the first lane to the last.
    fn lane_numbers() -> Self;

    /// Lane by lane sum modulo 2^32.
    fn add(self, other: Self) -> Self;

    /// Lane by lane exclusive or.
    fn xor(self, other: Self) -> Self;

    /// Rotates every lane left by `L` bits; `R` is `32 - L`, for instruction sets without rotation.
    fn rotate_left<const L: i32, const R: i32>(self) -> Self;

    /// Writes the blocks one after the other, each with its 16 words in little-endian order.
    fn store(words: &[Self; 16], keystream: &mut Self::Keystream);
}
