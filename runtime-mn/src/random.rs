//! Random numbers for choices that need no statistical quality: where to begin, whether to try.

use std::cell::Cell;

/// Marsaglia's xorshift64. The same seed gives the same numbers.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    /// Creates a generator from a seed that is not 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// The numbers below `len`, without `own`, beginning at a random one.
    pub(crate) fn others(&self, own: usize, len: usize) -> impl Iterator<Item = usize> + use<> {
        let start = self.next() % len;
        let all = (0..len).map(move |offset| (start + offset) % len);
        all.filter(move |number| *number != own)
    }

    /// The next number, of 32 random bits.
    pub(crate) fn next(&self) -> usize {
        let mut random = self.0.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.0.set(random);
        (random >> 32) as usize
    }
}
