//! How the loop sleeps, and how another thread wakes it.
//!
//! | the loop | another thread |
//! |---|---|
//! | 1. says that it sleeps | 1. queues, and says that there is something |
//! | 2. a fence | 2. a fence |
//! | 3. checks whether there is something, or a stop | 3. checks whether the loop sleeps |
//! | 4. if not, waits in the kernel | 4. if so, takes the flag and notifies the reactor |
//!
//! Both write before they check, so at least one of them sees what the other wrote. A notification that comes before
//! the wait ends the wait at once.

use runtime_kernel::primitives::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
    fence,
};

pub(crate) struct Sleep {
    /// Another thread has queued something.
    pending: AtomicBool,
    /// The loop waits in the kernel, or is about to. It is changed only by read-modify-writes: so a late `interrupt`
    /// can't hide a newer sleep from the next one.
    sleeping: AtomicBool,
    /// The loop must end its run.
    stopped: AtomicBool,
}

impl Sleep {
    pub(crate) fn new() -> Self {
        Self {
            pending: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        }
    }

    // ---- other threads

    /// Call this when something was queued for the loop. If it returns true, the caller must notify the reactor.
    #[must_use]
    pub(crate) fn announce(&self) -> bool {
        self.pending.store(true, Relaxed);
        self.interrupt()
    }

    /// Ends the loop's run. If it returns true, the caller must notify the reactor.
    #[must_use]
    pub(crate) fn stop(&self) -> bool {
        self.stopped.store(true, Relaxed);
        self.interrupt()
    }

    fn interrupt(&self) -> bool {
        // Pairs with the fence in `begin`.
        fence(SeqCst);
        // One notification is enough: the thread that takes the flag sends it.
        self.sleeping.load(Relaxed) && self.sleeping.swap(false, Relaxed)
    }

    // ---- the loop

    /// Returns true if the loop may wait in the kernel: a thread that queues something from now on notifies the
    /// reactor.
    pub(crate) fn begin(&self) -> bool {
        self.sleeping.swap(true, Relaxed);
        // Pairs with the fence in `interrupt`.
        fence(SeqCst);
        let may = !self.is_pending() && !self.is_stopped();
        if !may {
            self.end();
        }
        may
    }

    pub(crate) fn end(&self) {
        self.sleeping.swap(false, Relaxed);
    }

    /// False if another thread has queued something, or stopped the loop, since [`begin`](Sleep::begin).
    pub(crate) fn is_uninterrupted(&self) -> bool {
        self.sleeping.load(Relaxed)
    }

    /// Whether another thread may have queued something. A wrong answer is corrected in [`begin`](Sleep::begin).
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Relaxed)
    }

    /// Call this when the loop takes all that is queued, under the queue's lock: a later push sets the flag again.
    pub(crate) fn take_pending(&self) {
        self.pending.store(false, Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// One stop ends one run.
    pub(crate) fn take_stop(&self) {
        self.stopped.store(false, Relaxed);
    }
}

#[cfg(all(test, lab_loom))]
mod loom_tests {
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    /// The queue for other threads, and the eventfd, which stays readable until it is read.
    struct Model {
        sleep: Sleep,
        queue: Mutex<u32>,
        eventfd: (Mutex<bool>, Condvar),
    }

    impl Model {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                sleep: Sleep::new(),
                queue: Mutex::new(0),
                eventfd: (Mutex::new(false), Condvar::new()),
            })
        }

        fn notify_if(&self, must: bool) {
            if must {
                *self.eventfd.0.lock().unwrap() = true;
                self.eventfd.1.notify_one();
            }
        }

        fn push(&self) {
            *self.queue.lock().unwrap() += 1;
            self.notify_if(self.sleep.announce());
        }

        fn take(&self) -> u32 {
            if !self.sleep.is_pending() {
                return 0;
            }
            let mut queue = self.queue.lock().unwrap();
            self.sleep.take_pending();
            std::mem::take(&mut *queue)
        }

        /// loom reports a deadlock if a notification is lost.
        fn wait(&self) {
            if self.sleep.begin() {
                let mut readable = self.eventfd.0.lock().unwrap();
                while !*readable {
                    readable = self.eventfd.1.wait(readable).unwrap();
                }
                *readable = false;
                drop(readable);
                self.sleep.end();
            }
        }
    }

    fn check(program: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        // Without a bound, three threads take hours.
        builder.preemption_bound = Some(3);
        builder.check(program);
    }

    /// The loop runs everything that `pushes` other threads queue, one task each.
    fn every_task_runs(pushes: usize) {
        check(move || {
            let model = Model::new();
            let threads: Vec<_> = (0..pushes)
                .map(|_| {
                    let model = model.clone();
                    thread::spawn(move || model.push())
                })
                .collect();
            let mut left = pushes as u32;
            while left > 0 {
                let taken = model.take();
                left -= taken;
                if taken == 0 {
                    model.wait();
                }
            }
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(*model.queue.lock().unwrap(), 0);
        });
    }

    #[test]
    fn loom_a_task_queued_by_a_thread_ends_the_sleep() {
        every_task_runs(1);
    }

    #[test]
    fn loom_tasks_queued_by_two_threads_are_all_taken() {
        every_task_runs(2);
    }

    #[test]
    fn loom_a_stop_ends_the_sleep() {
        check(|| {
            let model = Model::new();
            let stopper = {
                let model = model.clone();
                thread::spawn(move || model.notify_if(model.sleep.stop()))
            };
            while !model.sleep.is_stopped() {
                model.wait();
            }
            model.sleep.take_stop();
            stopper.join().unwrap();
        });
    }

    #[test]
    fn loom_a_stop_and_a_task_are_both_seen() {
        check(|| {
            let model = Model::new();
            let threads = [
                {
                    let model = model.clone();
                    thread::spawn(move || model.notify_if(model.sleep.stop()))
                },
                {
                    let model = model.clone();
                    thread::spawn(move || model.push())
                },
            ];
            let (mut taken, mut stopped) = (0, false);
            while taken == 0 || !stopped {
                taken += model.take();
                if model.sleep.is_stopped() {
                    model.sleep.take_stop();
                    stopped = true;
                } else if taken == 0 || !stopped {
                    model.wait();
                }
            }
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }
}
