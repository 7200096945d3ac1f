//! The lock of a wait queue: one locked instruction to take it, none to release it.
//!
//! It is held for some dozen instructions, and nearly always free. Then half of what an ordinary lock costs is the
//! exchange by which it is released, and which is there to learn whether anybody sleeps. Here it is released by a
//! plain store and a plain look, and whoever goes to sleep pays for the order between the two: by `membarrier(2)`,
//! which makes every thread of the process pass a fence.
//!
//! **State.** `locked`; `sleepers`, how many threads sleep or are about to; `turn`, the word on which they sleep.
//!
//! **Going to sleep.** A thread that does not get the lock, also after it has let others run, counts itself among the
//! sleepers, reads `turn`, passes the *heavy fence*, and tries once more. If it still does not get the lock, it sleeps
//! as long as `turn` has not changed.
//!
//! **Releasing.** `locked` is cleared, and then, behind the *light fence*, `sleepers` is read. If there are any,
//! `turn` is changed and one is woken.
//!
//! **Why no wake-up is lost.** The sleeper writes `sleepers` and then reads `locked`; the releaser writes `locked` and
//! then reads `sleepers`. Between the two there is a fence on both sides, so that at least one sees what the other
//! wrote: the sleeper gets the lock, or the releaser wakes somebody. If that is before the sleeper sleeps, `turn` is
//! not what it read, and it does not. The light fence is nothing but an order to the compiler: a heavy fence is a
//! fence on every processor that runs a thread of ours, at some moment while it lasts, and that moment is before the
//! releaser's store or after it, but never between a store that is late and a read that was early. Where the kernel
//! has no such call, both are ordinary fences.
//!
//! Source of the fence: the membarrier manual page; liburcu; folly's asymmetric fences.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};

use runtime_kernel::primitives::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use runtime_kernel::primitives::{UnsafeCell, spin_loop, thread};

/// Times that a thread offers its processor to others before it sleeps. To spin instead keeps asking for the cache
/// line of whoever has the lock: with two workers at one queue it took twice as long.
const YIELDS: u32 = if cfg!(lab_loom) { 0 } else { 10 };

/// Some value, and the right to touch it, for one thread at a time.
pub(super) struct Lock<T> {
    locked: AtomicBool,
    sleepers: AtomicU32,
    turn: AtomicU32,
    place: place::Place,
    value: UnsafeCell<T>,
}

// SAFETY: the value is touched by whoever holds the lock, one thread at a time.
unsafe impl<T: Send> Sync for Lock<T> {}
// SAFETY: it goes with its value.
unsafe impl<T: Send> Send for Lock<T> {}

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        fences::prepare();
        Self {
            locked: AtomicBool::new(false),
            sleepers: AtomicU32::new(0),
            turn: AtomicU32::new(0),
            place: place::Place::new(),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub(super) fn lock(&self) -> LockGuard<'_, T> {
        if !self.try_take() {
            self.take_slowly();
        }
        LockGuard { lock: self }
    }

    #[inline]
    fn try_take(&self) -> bool {
        // Acquire: sees what was done under the lock before; pairs with the Release in `release`.
        self.locked
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_ok()
    }

    /// As `try_take`, for one who expects it to be taken: without a write in vain.
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
            // Before the look at `locked`: whoever releases after that changes it.
            let turn = self.turn.load(Relaxed);
            fences::heavy();
            if self.try_take() {
                break;
            }
            self.place.wait(&self.turn, turn);
        }
        self.sleepers.fetch_sub(1, Relaxed);
    }

    #[inline]
    fn release(&self) {
        self.locked.store(false, Release);
        fences::light();
        if self.sleepers.load(Relaxed) > 0 {
            self.wake_one();
        }
    }

    #[cold]
    fn wake_one(&self) {
        self.turn.fetch_add(1, Relaxed);
        self.place.wake_one(&self.turn);
    }
}

/// The right to touch the value. Released when it is dropped.
pub(super) struct LockGuard<'a, T> {
    lock: &'a Lock<T>,
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
mod fences {
    use std::sync::atomic::{
        AtomicU8,
        Ordering::{Relaxed, SeqCst},
        compiler_fence, fence,
    };

    use rustix::thread::{MembarrierCommand, membarrier};

    const UNKNOWN: u8 = 0;
    /// Threads that sleep pay for all.
    const ASYMMETRIC: u8 = 1;
    /// The kernel has no membarrier, or forbids it, as Miri's does.
    const SYMMETRIC: u8 = 2;

    static KIND: AtomicU8 = AtomicU8::new(if cfg!(miri) { SYMMETRIC } else { UNKNOWN });

    #[inline]
    pub(super) fn prepare() {
        if KIND.load(Relaxed) == UNKNOWN {
            register();
        }
    }

    /// The kernel keeps this for the process, and a second time does no harm.
    #[cold]
    fn register() {
        let registered = membarrier(MembarrierCommand::RegisterPrivateExpedited);
        let works = registered.and_then(|()| membarrier(MembarrierCommand::PrivateExpedited));
        let kind = if works.is_ok() { ASYMMETRIC } else { SYMMETRIC };
        // The first answer holds: the two sides must not go by two.
        let _ = KIND.compare_exchange(UNKNOWN, kind, Relaxed, Relaxed);
    }

    #[inline]
    pub(super) fn light() {
        if KIND.load(Relaxed) == ASYMMETRIC {
            compiler_fence(SeqCst);
        } else {
            fence(SeqCst);
        }
    }

    pub(super) fn heavy() {
        if KIND.load(Relaxed) == ASYMMETRIC {
            let passed = membarrier(MembarrierCommand::PrivateExpedited);
            passed.expect("it worked when it was registered");
        } else {
            fence(SeqCst);
        }
    }
}

/// loom's threads are coroutines: both sides need a fence that it knows.
#[cfg(lab_loom)]
mod fences {
    use runtime_kernel::primitives::atomic::{Ordering::SeqCst, fence};

    pub(super) fn prepare() {}

    pub(super) fn light() {
        fence(SeqCst);
    }

    pub(super) fn heavy() {
        fence(SeqCst);
    }
}

#[cfg(not(lab_loom))]
mod place {
    use rustix::thread::futex;

    use super::AtomicU32;

    /// Where threads sleep: on a word, by `futex(2)`.
    pub(super) struct Place;

    impl Place {
        pub(super) const fn new() -> Self {
            Self
        }

        /// Sleeps while `word` is `expected`. May return early.
        pub(super) fn wait(&self, word: &AtomicU32, expected: u32) {
            // Every error (interrupted, the word changed) sends the caller to look again.
            let _ = futex::wait(word, futex::Flags::PRIVATE, expected, None);
        }

        pub(super) fn wake_one(&self, word: &AtomicU32) {
            let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
        }
    }
}

#[cfg(lab_loom)]
mod place {
    use loom::sync::{Condvar, Mutex};

    use super::{AtomicU32, Relaxed};

    /// Where threads sleep: the lock does what the kernel's does for a futex.
    pub(super) struct Place {
        lock: Mutex<()>,
        woken: Condvar,
    }

    impl Place {
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

    /// More threads than processors, which hold the lock for longer than anybody spins: many sleep.
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
