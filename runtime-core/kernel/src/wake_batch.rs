//! Wakers that were collected under a lock, to be woken outside it.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::task::Waker;

use crate::contain::contain;
use crate::saved_waker::{SavedWaker, wake};
use crate::thread_stack::{InTheMiddle, in_the_middle};

const CAPACITY: usize = WakeBatch::CAPACITY;

/// Up to 32 wakers on the stack. It must never wake under a lock, because a waker may run anything. When the batch is
/// dropped, the remaining wakers are woken.
pub struct WakeBatch {
    /// The first `len` are initialised. With an array of options, each batch would have to clear 512 bytes.
    wakers: [MaybeUninit<Waker>; CAPACITY],
    len: usize,
    /// Its waiters were removed from their wait queues: nobody else would wake them.
    _middle: InTheMiddle,
}

impl Default for WakeBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl WakeBatch {
    /// The maximum number of wakers in a batch. It limits how long a lock is held by a thread that wakes many.
    pub const CAPACITY: usize = 32;

    /// A batch without wakers.
    #[inline]
    pub fn new() -> Self {
        Self {
            wakers: [const { MaybeUninit::uninit() }; CAPACITY],
            len: 0,
            _middle: in_the_middle(),
        }
    }

    /// True if there is no room for another waker.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == CAPACITY
    }

    /// True if there is no waker.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of wakers.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a waker.
    ///
    /// # Panics
    /// If the batch is full.
    #[inline]
    pub fn push(&mut self, waker: SavedWaker) {
        self.wakers[self.len].write(waker.into_waker());
        self.len += 1;
    }

    /// Wakes all, first come, first served. If a waker panics, the others are still woken: its panic ends here.
    #[inline]
    pub fn wake_all(&mut self) {
        match self.len {
            0 => {}
            1 => {
                self.len = 0;
                // SAFETY: the batch's first `len` were initialised, and this one was just taken out of it.
                let waker = unsafe { self.wakers[0].assume_init_read() };
                contain(|| wake(waker));
            }
            _ => self.wake_some(),
        }
    }

    #[inline(never)]
    fn wake_some(&mut self) {
        let mut rest = Remaining {
            next: 0,
            len: std::mem::take(&mut self.len),
            wakers: &mut self.wakers,
        };
        // One landing pad for all: after a panic the loop continues with the next one.
        while rest.next < rest.len {
            contain(|| rest.wake_rest());
        }
    }
}

impl Drop for WakeBatch {
    #[inline]
    fn drop(&mut self) {
        // Usually empty. Small, so that it is inlined.
        if self.len > 0 {
            self.wake_some();
        }
    }
}

/// The wakers that were not woken yet.
struct Remaining<'a> {
    wakers: &'a mut [MaybeUninit<Waker>; CAPACITY],
    next: usize,
    len: usize,
}

impl Remaining<'_> {
    #[inline]
    fn wake_rest(&mut self) {
        while self.next < self.len {
            // SAFETY: the batch's first `len` were initialised and handed over to `self`. Each is read once, because
            // `next` only grows and is incremented before the waker can panic.
            let waker = unsafe { self.wakers[self.next].assume_init_read() };
            self.next += 1;
            wake(waker);
        }
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Record {
        woken: Arc<AtomicUsize>,
        panics: bool,
    }

    impl Wake for Record {
        fn wake(self: Arc<Self>) {
            assert!(!self.panics, "this waker panics");
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn batch(woken: &Arc<AtomicUsize>, panics_at: &[usize]) -> WakeBatch {
        let mut batch = WakeBatch::new();
        for index in 0..CAPACITY {
            assert!(!batch.is_full());
            batch.push(SavedWaker::of(&Waker::from(Arc::new(Record {
                woken: woken.clone(),
                panics: panics_at.contains(&index),
            }))));
        }
        assert!(batch.is_full());
        batch
    }

    #[test]
    fn wakes_each_once_and_can_be_used_again() {
        let woken = Arc::new(AtomicUsize::new(0));
        let mut batch = batch(&woken, &[]);
        batch.wake_all();
        assert_eq!(woken.load(Ordering::Relaxed), CAPACITY);
        drop(batch);
        assert_eq!(woken.load(Ordering::Relaxed), CAPACITY);
        assert_eq!(Arc::strong_count(&woken), 1);
    }

    #[test]
    fn wakers_that_panic_do_not_cost_the_others_their_wake() {
        let woken = Arc::new(AtomicUsize::new(0));
        drop(batch(&woken, &[0, 3, 4, CAPACITY - 1]));
        assert_eq!(woken.load(Ordering::Relaxed), CAPACITY - 4);
        assert_eq!(Arc::strong_count(&woken), 1);
    }
}
