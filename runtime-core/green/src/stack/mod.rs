//! Stacks of green tasks: taken, and given back by being dropped.
#![allow(unsafe_code)]

mod cache;
pub(crate) mod guard;
mod slab;
mod stats;

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;

use corosensei::stack::StackPointer;

pub use guard::{Guards, set_guards};
pub use stats::{StackStats, stack_stats};

/// The smallest stack that may be asked for, in bytes.
pub const MIN_STACK_BYTES: usize = 8 * 1024;
/// The largest one.
pub const MAX_STACK_BYTES: usize = 1 << 30;
/// What a green task gets if nothing is asked for.
pub const DEFAULT_STACK_BYTES: usize = 64 * 1024;

/// Between the stacks: whoever goes beyond the end of one is caught here.
pub(crate) const GUARD_BYTES: usize = 16 * 1024;
/// Frames of many stacks at the same offsets would share few lines of the cache. So each begins this much lower than
/// its neighbour, up to `COLOURS` times.
const COLOUR_BYTES: usize = 128;
const COLOURS: usize = 8;

/// A stack, which belongs to one green task.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Its highest address, and the lowest one of its neighbour's guard.
    top: usize,
    class: slab::Class,
}

impl Stack {
    /// A stack of at least so many bytes. The one that was given back last, if there is one.
    ///
    /// # Errors
    /// A size that no stack can have, or no memory.
    pub(crate) fn take(bytes: usize) -> io::Result<Self> {
        let class = slab::Class::for_bytes(bytes)?;
        let top = cache::take(class)?;
        Ok(Self { top, class })
    }

    /// The pages that catch an overflow.
    pub(crate) fn guard(&self) -> Range<usize> {
        let low = self.top - self.class.slot_bytes();
        low..low + GUARD_BYTES
    }

    /// Where its first frame begins.
    pub(crate) fn base_address(&self) -> usize {
        self.top - self.colour()
    }

    fn colour(&self) -> usize {
        self.top / self.class.slot_bytes() % COLOURS * COLOUR_BYTES
    }

    /// Never uses the stack again: something may still point into it.
    pub(crate) fn abandon(self) {
        self.class.count_abandoned();
        std::mem::forget(self);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        cache::give_back(self.class, self.top);
    }
}

// SAFETY: the memory is the stack's alone until it is dropped, all of it but the guard can be touched, and the guard
// is at its end. Both addresses are aligned to more than a frame needs.
unsafe impl corosensei::stack::Stack for Stack {
    fn base(&self) -> StackPointer {
        NonZeroUsize::new(self.base_address()).expect("not at the beginning of memory")
    }

    fn limit(&self) -> StackPointer {
        NonZeroUsize::new(self.guard().start).expect("not at the beginning of memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_stack_can_have_are_refused() {
        for bytes in [
            0,
            1,
            MIN_STACK_BYTES - 1,
            MAX_STACK_BYTES + 1,
            1 << 40,
            usize::MAX,
        ] {
            let error = Stack::take(bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bytes}");
            let text = error.to_string();
            assert!(
                text.contains(&bytes.to_string()) && text.contains("8192"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_stack_can_be_written_from_end_to_end_and_is_used_again() {
        let stack = Stack::take(100_000).unwrap();
        assert_eq!(stack.class.stack_bytes(), 128 * 1024);
        let top = stack.top;
        for address in (stack.guard().end..top).step_by(512) {
            // SAFETY: inside of the stack, which is ours.
            unsafe { (address as *mut u64).write_volatile(1) };
        }
        drop(stack);
        assert_eq!(Stack::take(100_000).unwrap().top, top);
    }
}
