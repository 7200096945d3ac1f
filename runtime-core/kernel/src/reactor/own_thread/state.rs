//! The parker's state word. See the README for the protocol; here are its three steps.

use crate::primitives::atomic::{AtomicU32, Ordering};

/// The owner runs and was not woken.
pub(super) const EMPTY: u32 = 0;
/// The owner was woken: it does not sleep the next time that it would.
pub(super) const NOTIFIED: u32 = 1;
/// The owner sleeps, or is about to, on this word.
pub(super) const FUTEX: u32 = 2;
/// The owner sleeps, or is about to, in `poll(2)`.
pub(super) const POLL: u32 = 3;

pub(super) struct ParkState(AtomicU32);

impl ParkState {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(EMPTY))
    }

    /// The owner announces how it is going to sleep, [`FUTEX`] or [`POLL`]. False if it was woken instead: that wake
    /// is used up.
    pub(super) fn begin(&self, how: u32) -> bool {
        // Acquire, here and in `end`, pairs with the Release in `unpark`: the owner sees what it was woken for.
        let begun = self
            .0
            .compare_exchange(EMPTY, how, Ordering::Acquire, Ordering::Acquire)
            .is_ok();
        if !begun {
            self.end();
        }
        begun
    }

    /// The owner, which is awake, takes the wake that it was left, if there is one.
    pub(super) fn take_token(&self) -> bool {
        // A look first: as a rule there is none. Nobody else takes it.
        self.0.load(Ordering::Relaxed) == NOTIFIED && self.end()
    }

    /// The owner is awake again; true if it was woken. A read-modify-write: a plain store could erase a wake.
    pub(super) fn end(&self) -> bool {
        self.0.swap(EMPTY, Ordering::Acquire) == NOTIFIED
    }

    /// Wakes the owner; the previous state says how it sleeps and so what is still to be done.
    #[must_use]
    pub(super) fn unpark(&self) -> u32 {
        self.0.swap(NOTIFIED, Ordering::Release)
    }

    /// True until someone wakes the owner that has begun to sleep `how`.
    pub(super) fn is(&self, how: u32) -> bool {
        self.0.load(Ordering::Relaxed) == how
    }

    /// True from when the owner has begun to sleep until it is woken, or wakes by itself.
    pub(super) fn is_asleep(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed), FUTEX | POLL)
    }

    /// The word itself, for the futex.
    #[cfg(not(any(lab_loom, lab_shuttle)))]
    pub(super) fn word(&self) -> &AtomicU32 {
        &self.0
    }
}

#[cfg(all(test, lab_loom))]
mod loom_tests {
    use loom::sync::atomic::AtomicBool;
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    /// What the kernel gives: a futex on the word, and an eventfd that stays readable until it is read.
    struct Model {
        state: ParkState,
        futex: (Mutex<()>, Condvar),
        eventfd: (Mutex<bool>, Condvar),
        work: AtomicBool,
    }

    impl Model {
        fn new() -> Self {
            Self {
                state: ParkState::new(),
                futex: (Mutex::new(()), Condvar::new()),
                eventfd: (Mutex::new(false), Condvar::new()),
                work: AtomicBool::new(false),
            }
        }

        fn park(&self, how: u32) {
            if !self.state.begin(how) {
                return;
            }
            if how == FUTEX {
                // The kernel compares under its own lock, which the waker's system call takes too.
                let mut asleep = self.futex.0.lock().unwrap();
                while self.state.is(FUTEX) {
                    asleep = self.futex.1.wait(asleep).unwrap();
                }
            } else {
                let mut readable = self.eventfd.0.lock().unwrap();
                while !*readable {
                    readable = self.eventfd.1.wait(readable).unwrap();
                }
                *readable = false;
            }
            self.state.end();
        }

        fn unpark(&self) {
            match self.state.unpark() {
                FUTEX => {
                    let _kernel = self.futex.0.lock().unwrap();
                    self.futex.1.notify_one();
                }
                POLL => {
                    *self.eventfd.0.lock().unwrap() = true;
                    self.eventfd.1.notify_one();
                }
                _ => {}
            }
        }
    }

    /// The owner parks until it sees the work; it would sleep for ever (loom reports a deadlock) if a wake were lost.
    fn no_wake_is_lost(how: &'static [u32], wakers: usize) {
        loom::model(move || {
            let model = Arc::new(Model::new());
            let threads: Vec<_> = (0..wakers)
                .map(|_| {
                    let model = model.clone();
                    thread::spawn(move || {
                        // Relaxed: that the owner sees it must follow from the parker alone.
                        model.work.store(true, Ordering::Relaxed);
                        model.unpark();
                    })
                })
                .collect();
            let mut how = how.iter().cycle();
            while !model.work.load(Ordering::Relaxed) {
                model.park(*how.next().unwrap());
            }
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn a_wake_breaks_a_futex_park() {
        no_wake_is_lost(&[FUTEX], 1);
    }

    #[test]
    fn a_wake_breaks_a_poll_park() {
        no_wake_is_lost(&[POLL], 1);
    }

    #[test]
    fn two_wakes_break_parks_of_both_forms() {
        no_wake_is_lost(&[POLL, FUTEX], 2);
        no_wake_is_lost(&[FUTEX, POLL], 2);
    }

    /// Each of two wakes is preceded by its own item, and the owner parks until it has seen both.
    #[test]
    fn what_was_written_before_a_wake_is_seen_after_it() {
        for how in [FUTEX, POLL] {
            loom::model(move || {
                let model = Arc::new(Model::new());
                let items = Arc::new(loom::sync::atomic::AtomicU32::new(0));
                let waker = {
                    let (model, items) = (model.clone(), items.clone());
                    thread::spawn(move || {
                        for _ in 0..2 {
                            items.fetch_add(1, Ordering::Relaxed);
                            model.unpark();
                        }
                    })
                };
                while items.load(Ordering::Relaxed) < 2 {
                    model.park(how);
                }
                waker.join().unwrap();
            });
        }
    }
}
