//! The name of a registered socket, which its events carry.

/// Names a registered socket to the kernel: a slot of the slab, and which of its successive owners is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// With 32-bit words the portable backend's key has fewer bits for each part.
const INDEX_BITS: u32 = usize::BITS / 2;

impl Token {
    pub(super) fn to_key(self) -> usize {
        let generation = self.generation as usize;
        generation << INDEX_BITS | self.index as usize
    }

    pub(super) fn from_key(key: usize) -> Self {
        Self {
            index: (key & ((1 << INDEX_BITS) - 1)) as u32,
            generation: (key >> INDEX_BITS) as u32,
        }
    }

    pub(super) fn slot(self) -> usize {
        self.index as usize
    }

    /// The generation after `generation`, within the bits that a key has for it. The highest value is left out, so
    /// that no token equals the key that a backend reserves.
    pub(super) fn next_generation(generation: u32) -> u32 {
        let last = ((1_u64 << (usize::BITS - INDEX_BITS)) - 2) as u32;
        if generation >= last {
            0
        } else {
            generation + 1
        }
    }
}
