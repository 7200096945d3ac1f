//! Simulated time: who lets it pass, and when. The protocol is in `runtime_core::time`.

use std::sync::{Arc, Weak};

use runtime_kernel::reactor::own_thread::ThreadUnparker;
use runtime_kernel::time::{Clock, TimerShard};

use crate::shared::Shared;
use crate::task_thread::TaskThread;

/// Has the runtime look whether time may pass when nobody holds its clock any more.
pub(crate) fn ask_when_released(clock: &Clock, shared: &Weak<Shared>) {
    let shared = shared.clone();
    clock.when_released(move || {
        let shared = shared.upgrade();
        shared
            .inspect(|shared| shared.let_time_pass(None))
            .is_some()
    });
}

impl Shared {
    /// To be called after everything by which one may become the last that had something to do: a thread that is about
    /// to wait (`begins`), one that ends, a hold that does. Moves simulated time to the next deadline if nobody has
    /// anything left to do, and wakes whose deadline it is.
    pub(crate) fn let_time_pass(&self, begins: Option<&TaskThread>) {
        if !self.clock.is_simulated() {
            return;
        }
        // Non-worker threads are no task's: they are woken, and not waited for.
        if self.step(begins) {
            while self.fire_guests() && self.step(None) {}
        }
    }

    /// One jump. False if time stays as it is.
    fn step(&self, begins: Option<&TaskThread>) -> bool {
        let moved = self
            .registry
            .while_all_wait(&self.clock, begins, |quiet, threads| {
                let non_workers = self.simulated_non_workers.get().map(Arc::as_ref);
                let timers = threads.iter().filter_map(|thread| thread.timers());
                let deadlines = timers.filter_map(TimerShard::earliest);
                // Prepared anew: it may still tell only of what is earlier than a timer that is gone.
                let deadlines = deadlines.chain(non_workers.and_then(TimerShard::prepare_park));
                let Some(deadline) = deadlines.min() else {
                    return false;
                };
                // One that is ready wakes its thread, which asks again when it waits again.
                if ThreadUnparker::any_is_ready(
                    threads.iter().filter_map(|thread| thread.unparker()),
                ) {
                    return false;
                }
                if !self.clock.advance(quiet, deadline) {
                    return false;
                }
                // Still under the lock, so that nobody takes those for waiting whose time has come. They fire their
                // timers themselves.
                for thread in threads {
                    if thread
                        .timers()
                        .is_some_and(|timers| timers.is_due(self.clock.now()))
                        && let Some(unparker) = thread.unparker()
                    {
                        unparker.unpark();
                    }
                }
                true
            });
        moved == Some(true)
    }

    /// Wakes the non-worker threads whose time has come. False if there are none.
    fn fire_guests(&self) -> bool {
        let Some(timers) = self.simulated_non_workers.get() else {
            return false;
        };
        let any_due = timers.is_due(self.clock.now());
        timers.fire(self.clock.now());
        timers.prepare_park();
        any_due
    }

    /// The timers of non-worker threads. No thread waits for them: whoever lets time pass fires them.
    pub(crate) fn simulated_non_worker_timers(&self) -> Arc<TimerShard> {
        let made = self.simulated_non_workers.get_or_init(|| {
            let shared = self.me.clone();
            let timers = TimerShard::new(Box::new(move || {
                if let Some(shared) = shared.upgrade() {
                    shared.let_time_pass(None);
                }
            }));
            // From now on it tells of an earlier deadline than all that it has.
            timers.prepare_park();
            timers
        });
        Arc::clone(made)
    }
}
