//! One word per thread synchronises polls with the shutdown.
//!
//! The thread begins a poll only by changing the word from *idle* to *polling*, and this fails once the shutdown has
//! set *closing*. So after setting it, the shutdown knows one of two things. Either the task is in a poll, which may
//! take long. Or no poll begins any more, and the thread is about to drop the task.

use runtime_kernel::primitives::atomic::{
    AtomicU8,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// A thread was requested. Set once.
const STARTED: u8 = 1;
/// The thread polls its task. Set by the thread, and only while the runtime is not closing.
const POLLING: u8 = 1 << 1;
/// The runtime is ending: no poll begins any more. Set once, by the shutdown.
const CLOSING: u8 = 1 << 2;

pub(crate) struct Phase(AtomicU8);

impl Phase {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// Requests a thread. Returns false if it was requested before.
    pub(crate) fn start(&self) -> bool {
        self.0.fetch_or(STARTED, Relaxed) & STARTED == 0
    }

    /// Call this when the thread wants to poll. If it returns false, the runtime is closing, and the thread must drop
    /// the task.
    pub(crate) fn begin_poll(&self) -> bool {
        // AcqRel, with the same in `close`: either the shutdown sees this poll, or this call sees the shutdown.
        self.0
            .compare_exchange(STARTED, STARTED | POLLING, AcqRel, Relaxed)
            .is_ok()
    }

    pub(crate) fn end_poll(&self) {
        // Release: pairs with the Acquire in `is_polling`.
        self.0.fetch_and(!POLLING, Release);
    }

    /// The shutdown calls this: no poll begins any more.
    pub(crate) fn close(&self) {
        self.0.fetch_or(CLOSING, AcqRel);
    }

    pub(crate) fn is_polling(&self) -> bool {
        self.0.load(Acquire) & POLLING != 0
    }
}

#[cfg(all(test, lab_loom))]
#[allow(unsafe_code)]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// Each poll of the task touches it. The shutdown touches it once it sees no poll: loom reports a race if a poll
    /// still runs or begins later.
    #[test]
    fn loom_after_the_closing_a_poll_is_seen_or_does_not_begin() {
        loom::model(|| {
            let phase = Arc::new(Phase::new());
            let task = Arc::new(UnsafeCell::new(0));
            assert!(phase.start());
            let polls = {
                let (phase, task) = (phase.clone(), task.clone());
                thread::spawn(move || {
                    for _ in 0..2 {
                        if !phase.begin_poll() {
                            return;
                        }
                        // SAFETY: loom checks each access.
                        task.with_mut(|it| unsafe { *it += 1 });
                        phase.end_poll();
                    }
                })
            };
            phase.close();
            if !phase.is_polling() {
                // SAFETY: loom checks each access.
                task.with_mut(|it| unsafe { *it += 100 });
            }
            polls.join().unwrap();
            assert!(!phase.begin_poll());
        });
    }

    #[test]
    fn loom_one_of_two_starters_gets_the_thread() {
        loom::model(|| {
            let phase = Arc::new(Phase::new());
            let other = {
                let phase = phase.clone();
                thread::spawn(move || phase.start())
            };
            assert!(phase.start() ^ other.join().unwrap());
        });
    }
}
