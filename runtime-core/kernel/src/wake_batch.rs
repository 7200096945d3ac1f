//! Wakers that were collected under a lock, to be woken outside of it.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::task::Waker;

use crate::contain::contain;
use crate::saved_waker::SavedWaker;

const CAPACITY: usize = WakeBatch::CAPACITY;

/// Up to 32 wakers on the stack; waking never happens under a lock, as a waker may run anything. What is left in the
/// batch when it is dropped is woken.
pub struct WakeBatch {
    /// The first `len` are initialised. An array of options would cost 512 bytes to clear for each batch.
    wakers: [MaybeUninit<Waker>; CAPACITY],
    len: usize,
}

impl Default for WakeBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl WakeBatch {
    /// How many wakers a batch holds. It bounds how long a lock is held by one who wakes many.
    pub const CAPACITY: usize = 32;

    /// Holds no waker.
    #[inline]
    pub fn new() -> Self {
        Self {
            wakers: [const { MaybeUninit::uninit() }; CAPACITY],
            len: 0,
        }
    }

    /// True if there is no room for one more.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == CAPACITY
    }

    /// True if there is nobody to wake.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many wakers it holds.
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

    /// Wakes all, first come, first served. One that panics keeps the others from nothing: its panic ends here.
    #[inline]
    pub fn wake_all(&mut self) {
        match self.len {
            0 => {}
            1 => {
                self.len = 0;
                // SAFETY: the batch's first `len` were initialised, and this one is not in it any more.
                let waker = unsafe { self.wakers[0].assume_init_read() };
                contain(|| waker.wake());
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
        // One landing pad for all: after a panic it goes on with the next.
        while rest.next < rest.len {
            contain(|| rest.wake_rest());
        }
    }
}

impl Drop for WakeBatch {
    #[inline]
    fn drop(&mut self) {
        self.wake_all();
    }
}

/// Those not yet woken.
struct Remaining<'a> {
    wakers: &'a mut [MaybeUninit<Waker>; CAPACITY],
    next: usize,
    len: usize,
}

impl Remaining<'_> {
    #[inline]
    fn wake_rest(&mut self) {
        while self.next < self.len {
            // SAFETY: the batch's first `len` were initialised and handed over to `self`, and each is read once, as
            // `next` only grows and is stepped before the waker can panic.
            let waker = unsafe { self.wakers[self.next].assume_init_read() };
            self.next += 1;
            waker.wake();
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
