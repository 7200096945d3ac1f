//! Simulated time: which thread lets time pass, and when. The protocol is in `runtime_core::time`.

use std::sync::{Arc, Weak};

use runtime_kernel::reactor::own_thread::ThreadUnparker;
use runtime_kernel::time::{Clock, TimerShard};

use crate::shared::Shared;
use crate::thread_state::ThreadState;

/// Makes the runtime check whether time may pass when nothing holds its clock any more.
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
    /// Call this after each event that may leave nothing to do: a thread is about to wait (`begins`), a thread ends,
    /// or a hold on the clock ends. If nothing is left to do, it moves simulated time to the next deadline, and wakes
    /// the thread whose deadline it is.
    pub(crate) fn let_time_pass(&self, begins: Option<&ThreadState>) {
        if !self.clock.is_simulated() {
            return;
        }
        // Non-worker threads belong to no task: they are woken, but not waited for.
        if self.step(begins) {
            while self.fire_non_workers() && self.step(None) {}
        }
    }

    /// One jump. Returns false if time does not move.
    fn step(&self, begins: Option<&ThreadState>) -> bool {
        let moved = self
            .thread_list
            .while_all_wait(&self.clock, begins, |quiet, threads| {
                let non_workers = self.simulated_non_workers.get().map(Arc::as_ref);
                let timers = threads.iter().filter_map(|thread| thread.timers());
                let deadlines = timers.filter_map(TimerShard::earliest);
                // Prepared again: so far it may report only deadlines that are earlier than that of a removed timer.
                let deadlines = deadlines.chain(non_workers.and_then(TimerShard::prepare_park));
                let Some(deadline) = deadlines.min() else {
                    return false;
                };
                // A ready source wakes its thread, which calls this again when it waits again.
                if ThreadUnparker::any_is_ready(
                    threads.iter().filter_map(|thread| thread.unparker()),
                ) {
                    return false;
                }
                // A thread that a socket has woken since it was counted awaits that socket no more. It was up before that,
                // and can't wait again before this ends.
                if threads.iter().any(|thread| !thread.waits()) {
                    return false;
                }
                if !self.clock.advance(quiet, deadline) {
                    return false;
                }
                // Still under the lock, so that no thread whose time has come is taken for a waiting one. These
                // threads fire their timers themselves.
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

    /// Wakes the non-worker threads whose time has come. Returns false if there are none.
    fn fire_non_workers(&self) -> bool {
        let Some(timers) = self.simulated_non_workers.get() else {
            return false;
        };
        let any_due = timers.is_due(self.clock.now());
        timers.fire(self.clock.now());
        timers.prepare_park();
        any_due
    }

    /// The timers of non-worker threads. No thread waits for them: the thread that lets time pass fires them.
    pub(crate) fn simulated_non_worker_timers(&self) -> Arc<TimerShard> {
        let made = self.simulated_non_workers.get_or_init(|| {
            let shared = self.me.clone();
            let timers = TimerShard::new(Box::new(move || {
                if let Some(shared) = shared.upgrade() {
                    shared.let_time_pass(None);
                }
            }));
            // From now on it reports each deadline that is earlier than all that it has.
            timers.prepare_park();
            timers
        });
        Arc::clone(made)
    }
}
