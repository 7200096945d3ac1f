//! How much of a tree of tasks may run inside one poll.
//!
//! A task that awaits the very task that its thread would run next may as well run it there and then: no queue, no wake-up,
//! and its memory is still hot. Three things bound that: the stack, so that a chain of a million awaits does not overflow it;
//! a count and the clock, so that the sockets and timers of the thread get their turn. Past a bound the child stays in its
//! queue and the parent waits like any other.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Stack that nested polls may use in all.
const STACK_BYTES: usize = 256 * 1024;
/// Tasks between two looks at the clock.
const CLOCK_TICKS: u32 = 32;
/// Time after which the outermost poll is to end.
const SLICE: Duration = Duration::from_millis(1);

/// The account of one thread. [`reset`](InlineLimit::reset) it before each poll from a queue.
#[derive(Debug, Default)]
pub struct InlineLimit {
    /// Where the stack stood at the first nested poll; 0 before it.
    stack_base: Cell<usize>,
    count: Cell<u32>,
    exhausted: Cell<bool>,
    started: Cell<Option<Instant>>,
}

impl InlineLimit {
    /// A new poll from a queue.
    #[inline]
    pub fn reset(&self) {
        self.stack_base.set(0);
        self.count.set(0);
        self.exhausted.set(false);
    }

    /// True if one more task may run inside the current poll.
    #[inline]
    pub fn admit(&self) -> bool {
        if self.exhausted.get() {
            return false;
        }
        let marker = 0_u8;
        let stack = std::ptr::from_ref(&marker).addr();
        let base = self.stack_base.get();
        if base == 0 {
            self.stack_base.set(stack);
            self.started.set(None);
        } else if base.abs_diff(stack) > STACK_BYTES {
            return false;
        }
        let count = self.count.get() + 1;
        self.count.set(count);
        if count.is_multiple_of(CLOCK_TICKS) {
            let now = Instant::now();
            match self.started.get() {
                None => self.started.set(Some(now)),
                Some(started) if now.duration_since(started) > SLICE => {
                    self.exhausted.set(true);
                    return false;
                }
                Some(_) => {}
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_is_bounded() {
        fn nest(limit: &InlineLimit, depth: usize) -> usize {
            let frame = std::hint::black_box([0_u8; 1024]);
            let reached = if limit.admit() {
                nest(limit, depth + 1)
            } else {
                depth
            };
            std::hint::black_box(frame);
            reached
        }
        let limit = InlineLimit::default();
        limit.reset();
        let depth = nest(&limit, 0);
        assert!((16..=STACK_BYTES / 1024 + 1).contains(&depth), "{depth}");
    }

    #[test]
    fn the_time_is_bounded() {
        let limit = InlineLimit::default();
        limit.reset();
        while limit.admit() {
            std::thread::sleep(Duration::from_micros(100));
        }
        assert!(!limit.admit());
        limit.reset();
        assert!(limit.admit());
    }
}
