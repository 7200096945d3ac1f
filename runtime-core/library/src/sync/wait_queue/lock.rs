//! The lock of a wait queue: one locked instruction to take it, none to release it.
//!
//! It is held for some dozen instructions, and nearly always free. Then half of an ordinary lock's cost is the
//! exchange that releases it, which is needed to learn whether anybody sleeps. Here a plain store and a plain load
//! release the lock, and a thread that goes to sleep pays for the order between the two; see [`asymmetric_fence`].
//!
//! **State.** `locked`; `sleepers`, the number of threads that sleep or are about to; `turn`, the word on which they
//! sleep.
//!
//! **Going to sleep.** A thread that does not get the lock, even after it has yielded, counts itself among the
//! sleepers, reads `turn`, executes the *heavy fence*, and tries once more. If it still does not get the lock, it
//! sleeps as long as `turn` has not changed.
//!
//! **Releasing.** The thread clears `locked`, executes the *light fence*, and then reads `sleepers`. If there are any,
//! it changes `turn` and wakes one.
//!
//! **Why no wake-up is lost.** The sleeper writes `sleepers` and then reads `locked`; the releaser writes `locked` and
//! then reads `sleepers`. Both have a fence between the two, so at least one sees what the other wrote: the sleeper
//! gets the lock, or the releaser wakes a thread. If the wake comes before the sleeper sleeps, `turn` differs from
//! what it read, and it does not sleep.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};

use runtime_kernel::asymmetric_fence;
use runtime_kernel::primitives::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use runtime_kernel::primitives::{UnsafeCell, spin_loop, thread};
use runtime_kernel::thread_stack::{InTheMiddle, in_the_middle};

/// How often a thread yields its processor before it sleeps. Spinning instead would keep requesting the cache line of
/// the thread that has the lock: with two workers at one queue it took twice as long.
const YIELDS: u32 = if cfg!(lab_loom) { 0 } else { 10 };

/// A value, and the right to access it, for one thread at a time.
pub(super) struct Lock<T> {
    locked: AtomicBool,
    sleepers: AtomicU32,
    turn: AtomicU32,
    sleep_point: sleep_point::SleepPoint,
    value: UnsafeCell<T>,
}

// SAFETY: only the thread that holds the lock accesses the value, one thread at a time.
unsafe impl<T: Send> Sync for Lock<T> {}
// SAFETY: it is sent with its value.
unsafe impl<T: Send> Send for Lock<T> {}

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        asymmetric_fence::prepare();
        Self {
            locked: AtomicBool::new(false),
            sleepers: AtomicU32::new(0),
            turn: AtomicU32::new(0),
            sleep_point: sleep_point::SleepPoint::new(),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub(super) fn lock(&self) -> LockGuard<'_, T> {
        let middle = in_the_middle();
        if !self.try_take() {
            self.take_slowly();
        }
        LockGuard {
            lock: self,
            _middle: middle,
        }
    }

    #[inline]
    fn try_take(&self) -> bool {
        // Acquire: sees what was done under the lock before; pairs with the Release in `release`.
        self.locked
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_ok()
    }

    /// Like `try_take`, for a caller that expects the lock to be taken: it avoids a useless write.
    fn try_take_if_free(&self) -> bool {
        !self.locked.load(Relaxed) && self.try_take()
    }

    #[cold]
    fn take_slowly(&self) {
        spin_loop();
        for _ in 0..YIELDS {
            if self.try_take_if_free() {
                return;
            }
            thread::yield_now();
        }
        self.sleepers.fetch_add(1, Relaxed);
        loop {
            // Read before the check of `locked`: a thread that releases after that check changes it.
            let turn = self.turn.load(Relaxed);
            asymmetric_fence::heavy();
            if self.try_take() {
                break;
            }
            self.sleep_point.wait(&self.turn, turn);
        }
        self.sleepers.fetch_sub(1, Relaxed);
    }

    #[inline]
    fn release(&self) {
        self.locked.store(false, Release);
        asymmetric_fence::light();
        if self.sleepers.load(Relaxed) > 0 {
            self.wake_one();
        }
    }

    #[cold]
    fn wake_one(&self) {
        self.turn.fetch_add(1, Relaxed);
        self.sleep_point.wake_one(&self.turn);
    }
}

/// The right to access the value. Dropping it releases the lock.
pub(super) struct LockGuard<'a, T> {
    lock: &'a Lock<T>,
    /// Nobody else would release the lock.
    _middle: InTheMiddle,
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: we hold the lock.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: we hold the lock.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.release();
    }
}

#[cfg(not(lab_loom))]
mod sleep_point {
    use rustix::thread::futex;

    use super::AtomicU32;

    /// Where threads sleep: on a word, with `futex(2)`.
    pub(super) struct SleepPoint;

    impl SleepPoint {
        pub(super) const fn new() -> Self {
            Self
        }

        /// Sleeps while `word` is `expected`. May return early.
        pub(super) fn wait(&self, word: &AtomicU32, expected: u32) {
            // After any error (interrupted, the word changed) the caller looks again.
            let _ = futex::wait(word, futex::Flags::PRIVATE, expected, None);
        }

        pub(super) fn wake_one(&self, word: &AtomicU32) {
            let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
        }
    }
}

#[cfg(lab_loom)]
mod sleep_point {
    use loom::sync::{Condvar, Mutex};

    use super::{AtomicU32, Relaxed};

    /// Where threads sleep: this lock does what the kernel's lock does for a futex.
    pub(super) struct SleepPoint {
        lock: Mutex<()>,
        woken: Condvar,
    }

    impl SleepPoint {
        pub(super) fn new() -> Self {
            Self {
                lock: Mutex::new(()),
                woken: Condvar::new(),
            }
        }

        pub(super) fn wait(&self, word: &AtomicU32, expected: u32) {
            let guard = self.lock.lock().unwrap();
            if word.load(Relaxed) == expected {
                drop(self.woken.wait(guard));
            }
        }

        pub(super) fn wake_one(&self, _word: &AtomicU32) {
            drop(self.lock.lock().unwrap());
            self.woken.notify_one();
        }
    }
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// More threads than processors, and they hold the lock for longer than anybody spins: many sleep.
    #[test]
    fn threads_take_turns() {
        const THREADS: usize = 8;
        const ROUNDS: usize = if cfg!(miri) { 20 } else { 2_000 };
        let lock = Arc::new(Lock::new((0_usize, 0_usize)));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let lock = Arc::clone(&lock);
                std::thread::spawn(move || {
                    for round in 0..ROUNDS {
                        let mut counts = lock.lock();
                        counts.0 += 1;
                        if round % 64 == 0 {
                            std::thread::yield_now();
                        }
                        counts.1 += 1;
                        assert_eq!(counts.0, counts.1);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(lock.lock().0, THREADS * ROUNDS);
        assert_eq!(lock.sleepers.load(Relaxed), 0);
    }
}

#[cfg(all(test, lab_loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn check(threads: usize, rounds: usize) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let lock = Arc::new(Lock::new(0_usize));
            let others: Vec<_> = (1..threads)
                .map(|_| {
                    let lock = lock.clone();
                    thread::spawn(move || (0..rounds).for_each(|_| *lock.lock() += 1))
                })
                .collect();
            (0..rounds).for_each(|_| *lock.lock() += 1);
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(*lock.lock(), threads * rounds);
        });
    }

    #[test]
    fn loom_two_threads_take_turns() {
        check(2, 2);
    }

    #[test]
    fn loom_three_threads_take_turns() {
        check(3, 1);
    }
}
