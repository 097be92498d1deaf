//! The bytes of one run as a source of choices.
//!
//! Reading past the end gives zeros, so that every input means something and a shorter input is a
//! simpler run.

use planetary_proto::wire::Coords;

/// What is left of an input.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// A number below `bound`, which is 1 to 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// A small number, a large one or one of the extremes.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::MAX,
            0xfe => u64::MAX - 1,
            0xfd => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            // Around the clock that targets start with.
            high @ 0xc0.. => crate::host::UNIX_START + u64::from(high - 0xc0),
            low => low.into(),
        }
    }

    /// As many bytes as the next byte says, or all that are left.
    pub(crate) fn block(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (block, rest) = self.0.split_at(len);
        self.0 = rest;
        block
    }

    /// All that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Coordinates of at most seven ports.
    pub(crate) fn coords(&mut self) -> Coords {
        let count = self.below(8);
        Coords::from((0..count).map(|_| self.number()).collect::<Vec<_>>())
    }
}
