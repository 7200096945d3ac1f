//! The parker's state word and its transitions. See the README for the protocol.

use crate::primitives::atomic::{AtomicU32, Ordering};

/// The owner runs and was not woken.
pub(super) const EMPTY: u32 = 0;
/// The owner was woken: it will not sleep the next time that it would.
pub(super) const NOTIFIED: u32 = 1;
/// The owner sleeps on this word, or is about to.
pub(super) const FUTEX: u32 = 2;
/// The owner sleeps in `poll(2)`, or is about to.
pub(super) const POLL: u32 = 3;
/// The owner sleeps in `poll(2)`, and is asked to poll again. After that it sleeps on, because nobody has woken it.
pub(super) const ASKED: u32 = 4;

pub(super) struct ParkState(AtomicU32);

impl ParkState {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(EMPTY))
    }

    /// The owner announces how it is going to sleep, [`FUTEX`] or [`POLL`]. False if it was woken instead: this
    /// consumes the wake-up.
    pub(super) fn begin(&self, how: u32) -> bool {
        // Acquire, here and in `end`, pairs with the Release in `unpark`: the owner sees what it was woken for.
        // Release pairs with the Acquire in `ask` and `unpark`: who finds POLL finds the eventfd, which was made before.
        let begun = self
            .0
            .compare_exchange(EMPTY, how, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if !begun {
            self.end();
        }
        begun
    }

    /// The owner, which is awake, consumes the stored wake-up, if there is one.
    pub(super) fn take_token(&self) -> bool {
        // A plain look first: usually there is none. No other thread consumes it.
        self.0.load(Ordering::Relaxed) == NOTIFIED && self.end() == NOTIFIED
    }

    /// The owner is awake again. The previous state says whether it was woken. A read-modify-write, because a plain
    /// store could erase a wake-up.
    pub(super) fn end(&self) -> u32 {
        self.0.swap(EMPTY, Ordering::Acquire)
    }

    /// Asks an owner that sleeps in `poll(2)` to poll again. True: it will, once the caller has written its eventfd.
    /// False: it does not sleep there, or polls again anyway.
    pub(super) fn ask(&self) -> bool {
        // Release: pairs with the Acquire in `end`.
        let asked = self
            .0
            .compare_exchange(POLL, ASKED, Ordering::AcqRel, Ordering::Relaxed);
        asked.is_ok()
    }

    /// Wakes the owner. The previous state says how it sleeps, and so what the caller must still do.
    #[must_use]
    pub(super) fn unpark(&self) -> u32 {
        self.0.swap(NOTIFIED, Ordering::AcqRel)
    }

    /// True until someone wakes the owner, which has begun to sleep `how`.
    pub(super) fn is(&self, how: u32) -> bool {
        self.0.load(Ordering::Relaxed) == how
    }

    /// True from when the owner has begun to sleep until it is woken, or wakes by itself.
    pub(super) fn is_asleep(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed), FUTEX | POLL)
    }

    /// True from when the owner has begun to sleep until it is woken, even if it is asked to look anew.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed), FUTEX | POLL | ASKED)
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

    /// What the kernel provides: a futex on the word, and an eventfd that stays readable until it is read.
    struct Model {
        state: ParkState,
        futex: (Mutex<()>, Condvar),
        eventfd: (Mutex<bool>, Condvar),
        /// The eventfd was made.
        made: AtomicBool,
        work: AtomicBool,
    }

    impl Model {
        fn new() -> Self {
            Self {
                state: ParkState::new(),
                futex: (Mutex::new(()), Condvar::new()),
                eventfd: (Mutex::new(false), Condvar::new()),
                made: AtomicBool::new(false),
                work: AtomicBool::new(false),
            }
        }

        fn park(&self, how: u32) {
            while self.sleep(how) == ASKED {}
        }

        /// Returns how the sleep ended.
        fn sleep(&self, how: u32) -> u32 {
            if how == POLL {
                self.made.store(true, Ordering::Relaxed);
            }
            if !self.state.begin(how) {
                return NOTIFIED;
            }
            if how == FUTEX {
                // The kernel compares under its own lock, which the waker's system call also takes.
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
            self.state.end()
        }

        fn write_eventfd(&self) {
            // Relaxed: that whoever writes sees it must follow from the state alone.
            assert!(self.made.load(Ordering::Relaxed), "nothing to write to");
            *self.eventfd.0.lock().unwrap() = true;
            self.eventfd.1.notify_one();
        }

        fn ask(&self) {
            if self.state.ask() {
                self.write_eventfd();
            }
        }

        fn unpark(&self) {
            match self.state.unpark() {
                FUTEX => {
                    let _kernel = self.futex.0.lock().unwrap();
                    self.futex.1.notify_one();
                }
                POLL => self.write_eventfd(),
                _ => {}
            }
        }
    }

    /// The owner parks until it sees the work. If a wake-up were lost, it would sleep for ever, and loom would report
    /// a deadlock.
    fn no_wake_is_lost(how: &'static [u32], wakers: usize) {
        loom::model(move || {
            let model = Arc::new(Model::new());
            let threads: Vec<_> = (0..wakers)
                .map(|_| {
                    let model = model.clone();
                    thread::spawn(move || {
                        // Relaxed: the parker alone must make the owner see it.
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

    /// A wake-up that comes after the owner was asked to poll again relies on the eventfd that the asker has written.
    #[test]
    fn a_wake_during_a_request_to_poll_again_is_not_lost() {
        loom::model(|| {
            let model = Arc::new(Model::new());
            let asker = {
                let model = model.clone();
                thread::spawn(move || model.ask())
            };
            let waker = {
                let model = model.clone();
                thread::spawn(move || {
                    model.work.store(true, Ordering::Relaxed);
                    model.unpark();
                })
            };
            while !model.work.load(Ordering::Relaxed) {
                model.park(POLL);
            }
            asker.join().unwrap();
            waker.join().unwrap();
        });
    }

    /// Each of two wake-ups is preceded by its own item, and the owner parks until it has seen both.
    #[test]
    fn writes_before_a_wake_are_seen_after_it() {
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
