//! Bloom filters: which keys are reachable through a neighbour.
//!
//! Source: protocol chapters 5.1 and 5.2.

use core::fmt;

use crate::{
    identity::PartialKey,
    wire::{DecodeError, FrameKind, Reader, frame},
};

const WORDS: usize = 128;
const BITS: u64 = 64 * WORDS as u64;
const FLAG_BYTES: usize = WORDS / 8;

/// Where a key's eight bits are. Computed once per lookup, tested against every neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BloomPositions(pub(crate) [u16; 8]);

impl BloomPositions {
    /// The positions of a transformed key.
    #[must_use]
    pub fn of(key: &PartialKey) -> Self {
        let mut longer = [1; 33];
        longer[..32].copy_from_slice(key.as_bytes());
        let (h0, h1) = murmur3_x64_128(key.as_bytes());
        let (h2, h3) = murmur3_x64_128(&longer);
        let position = |base: u64, times: u64, step: u64| {
            // Less than 8192.
            (base.wrapping_add(times.wrapping_mul(step)) % BITS) as u16
        };
        Self([
            position(h0, 0, 0),
            position(h1, 1, h3),
            position(h0, 2, h3),
            position(h1, 3, h2),
            position(h0, 4, h2),
            position(h1, 5, h3),
            position(h0, 6, h3),
            position(h1, 7, h2),
        ])
    }
}

/// A set of transformed keys, with false members.
#[derive(Clone, PartialEq, Eq)]
pub struct BloomFilter(Box<[u64; WORDS]>);

impl Default for BloomFilter {
    fn default() -> Self {
        Self(Box::new([0; WORDS]))
    }
}

impl BloomFilter {
    /// Adds a key.
    pub fn insert(&mut self, positions: &BloomPositions) {
        for position in positions.0 {
            self.0[usize::from(position / 64)] |= 1 << (position % 64);
        }
    }

    /// Whether the key may be in the set.
    #[must_use]
    pub fn contains(&self, positions: &BloomPositions) -> bool {
        positions
            .0
            .iter()
            .all(|position| self.0[usize::from(position / 64)] & 1 << (position % 64) != 0)
    }

    /// Adds all members of `other`.
    pub fn union(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0.iter()) {
            *mine |= theirs;
        }
    }

    /// Whether every bit of `other` is set here.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).all(|(mine, theirs)| mine & theirs == *theirs)
    }

    /// How many bits are set.
    #[must_use]
    pub fn count_ones(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let zeros = reader.array::<FLAG_BYTES>()?;
        let ones = reader.array::<FLAG_BYTES>()?;
        let mut filter = Self::default();
        for (index, word) in filter.0.iter_mut().enumerate() {
            let flag = |flags: &[u8; FLAG_BYTES]| flags[index / 8] & 0x80 >> (index % 8) != 0;
            *word = match (flag(&zeros), flag(&ones)) {
                (true, true) => return Err(DecodeError::Contradiction),
                (true, false) => 0,
                (false, true) => u64::MAX,
                (false, false) => u64::from_be_bytes(reader.array()?),
            };
        }
        reader.finish()?;
        Ok(filter)
    }

    /// The body of the frame.
    fn body(&self) -> Vec<u8> {
        let mut out = vec![0; 2 * FLAG_BYTES];
        for (index, word) in self.0.iter().enumerate() {
            let flag = 0x80 >> (index % 8);
            match *word {
                0 => out[index / 8] |= flag,
                u64::MAX => out[FLAG_BYTES + index / 8] |= flag,
                word => out.extend_from_slice(&word.to_be_bytes()),
            }
        }
        out
    }

    /// The whole frame.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let body = self.body();
        frame(FrameKind::BloomFilter, body.len(), |out| out.extend_from_slice(&body))
    }
}

impl fmt::Debug for BloomFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BloomFilter({} bits)", self.count_ones())
    }
}

/// MurmurHash3, x64, 128 bits, seed 0.
pub(crate) fn murmur3_x64_128(data: &[u8]) -> (u64, u64) {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let word =
        |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let blocks = data.chunks_exact(16);
    let tail = blocks.remainder();
    for block in blocks {
        h1 ^= mix1(word(&block[..8]));
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix2(word(&block[8..]));
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let (low, high) = tail.split_at(tail.len().min(8));
    h2 ^= mix2(word(high));
    h1 ^= mix1(word(low));
    h1 ^= data.len() as u64;
    h2 ^= data.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = final_mix(h1);
    h2 = final_mix(h2);
    h1 = h1.wrapping_add(h2);
    (h1, h2.wrapping_add(h1))
}

const fn final_mix(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ k >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradicting_flags_missing_and_trailing_bytes_are_refused() {
        let empty = BloomFilter::default().body();
        assert_eq!(empty.len(), 32);
        let mut both = empty.clone();
        both[FLAG_BYTES] = 0x80;
        assert_eq!(BloomFilter::parse(&both), Err(DecodeError::Contradiction));
        assert_eq!(BloomFilter::parse(&empty[1..]), Err(DecodeError::Truncated));
        let mut missing = empty.clone();
        missing[0] &= 0x7f;
        assert_eq!(BloomFilter::parse(&missing), Err(DecodeError::Truncated));
        let mut trailing = empty;
        trailing.push(0);
        assert_eq!(BloomFilter::parse(&trailing), Err(DecodeError::Trailing));
    }

    proptest::proptest! {
        #[test]
        fn round_trip(words in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::strategy::Just(0),
                proptest::strategy::Just(u64::MAX),
                proptest::num::u64::ANY,
            ],
            WORDS,
        )) {
            let filter = BloomFilter(Box::new(words.try_into().unwrap()));
            proptest::prop_assert_eq!(BloomFilter::parse(&filter.body()), Ok(filter));
        }
    }
}
