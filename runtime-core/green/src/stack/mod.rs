//! Stacks of green tasks. Dropping one returns it.
#![allow(unsafe_code)]

mod cache;
mod depth;
pub(crate) mod guard;
mod slab;
mod stats;

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;

use corosensei::stack::StackPointer;

pub use depth::{StackDepths, stack_depths};
pub use guard::{Guards, set_guards};
pub(crate) use slab::GUARD_BYTES;
pub use slab::{MAX_STACK_BYTES, MIN_STACK_BYTES};
pub use stats::{StackStats, stack_stats};

/// The default size of a green task's stack.
pub const DEFAULT_STACK_BYTES: usize = 64 * 1024;

/// Frames of many stacks at the same offsets would share few cache lines. So each stack begins this much lower than
/// its neighbour, up to `COLOURS` times.
const COLOUR_BYTES: usize = 128;
const COLOURS: usize = 8;

/// A stack, which belongs to one green task.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Its highest address, which is also the lowest address of its neighbour's guard.
    top: usize,
    class: slab::Class,
    /// The address of the first frame. It is stored because each switch needs it, and a division takes as long as a
    /// switch.
    base: usize,
}

impl Stack {
    /// A stack of at least this many bytes. If possible, the one that was returned last.
    ///
    /// # Errors
    /// If no stack can have this size, or there is no memory.
    pub(crate) fn take(bytes: usize) -> io::Result<Self> {
        let class = slab::Class::for_bytes(bytes)?;
        let top = cache::take(class)?;
        let colour = top / class.slot_bytes() % COLOURS * COLOUR_BYTES;
        let base = top - colour;
        Ok(Self { top, class, base })
    }

    /// The pages that catch an overflow.
    pub(crate) fn guard(&self) -> Range<usize> {
        let low = self.top - self.class.slot_bytes();
        low..low + GUARD_BYTES
    }

    /// Where its first frame begins.
    pub(crate) fn base_address(&self) -> usize {
        self.base
    }

    /// Removes the stack from use for ever: other code may still point into it.
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

// SAFETY: the memory belongs only to the stack until it is dropped. All of it except the guard can be touched, and the
// guard is at its end. Both addresses are aligned to more than a frame needs.
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
            // SAFETY: the address is inside the stack, which is ours.
            unsafe { (address as *mut u64).write_volatile(1) };
        }
        drop(stack);
        assert_eq!(Stack::take(100_000).unwrap().top, top);
    }
}
