//! What a socket can be ready for.

/// Readiness bits, the lowest byte of a source's word.
pub(super) mod ready {
    /// A read may succeed.
    pub(crate) const READABLE: u8 = 1;
    /// A write may succeed.
    pub(crate) const WRITABLE: u8 = 1 << 1;
    /// The peer has finished sending: reads never wait again. Not cleared by a short read.
    pub(crate) const READ_CLOSED: u8 = 1 << 2;
    /// The connection is gone: writes never wait again. Not cleared by a short write.
    pub(crate) const WRITE_CLOSED: u8 = 1 << 3;
    /// The reactor was closed: nothing will ever be reported again.
    pub(crate) const SHUT_DOWN: u8 = 1 << 4;
    /// All bits that let a reader try.
    pub(crate) const READ: u8 = READABLE | READ_CLOSED;
    /// All bits that let a writer try.
    pub(crate) const WRITE: u8 = WRITABLE | WRITE_CLOSED;
}

/// What a socket is awaited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, or accepting.
    Read = 0,
    /// Writing, or being connected.
    Write = 1,
}

impl Direction {
    pub(super) fn mask(self) -> u8 {
        match self {
            Self::Read => ready::READ,
            Self::Write => ready::WRITE,
        }
    }

    /// The part of the mask that a short transfer proves to be over.
    pub(super) fn transient(self) -> u8 {
        match self {
            Self::Read => ready::READABLE,
            Self::Write => ready::WRITABLE,
        }
    }
}

/// The readiness that was seen before an attempt. Clearing it clears nothing newer.
#[derive(Clone, Copy, Debug)]
pub struct ReadyEvent {
    pub(super) tick: u32,
    pub(super) bits: u8,
    pub(super) direction: Direction,
}
