//! The seam between the scheduler and its parts.

pub(crate) mod facts;
pub(crate) mod plan;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use runtime_core::Metrics;
use runtime_core::primitives::MutexGuard;
use runtime_core::task::{Ran, Task};

use crate::policy::{Place, Policy};
use crate::scheduler::{Local, Shared};
use facts::{Duty, Ended, Event, Origin, Pick, Queued, SharedEvent, State};
use plan::Unstarted;

/// The seam: everything that goes beyond the textbook scheduler hooks in here. Each default is Go's behaviour.
///
/// The calls are statically dispatched, so a default costs nothing. `H` is the whole list of parts; `Self` is one of
/// them, or the list itself.
pub(crate) trait Hooks<H: Hooks<H> = Self>: State {
    /// Creates a worker's state of the part, when its thread starts.
    fn local(shared: &Shared<H>, worker: usize) -> Self::Local;

    // ---- Decisions

    /// Called when a task was woken. Returns `None` if the part has taken it, and runs it elsewhere.
    #[inline]
    fn divert(_: &Arc<Shared<H>>, task: Task) -> Option<Task> {
        Some(task)
    }
    /// Called when the worker has put a task where others can take it. Returns whether to wake a sleeper for it.
    #[inline]
    fn wakes_for_own(_: &Local<H>) -> bool {
        true
    }
    /// Called when sockets or timers have woken several tasks. Returns whether to wake a sleeper for them.
    #[inline]
    fn wakes_for_driven(_: &Local<H>) -> bool {
        true
    }
    /// Whether thieves may take from that worker's FIFO queue.
    #[inline]
    fn shares_fifo(_: &Shared<H>, _worker: usize) -> bool {
        true
    }
    /// The worker's current role.
    fn duty(_: &Shared<H>, _worker: usize) -> Duty {
        Duty::Works
    }
    /// Called between two tasks. Returns whether the worker must stop working although the runtime continues.
    #[inline]
    fn must_leave(_: &Local<H>) -> bool {
        false
    }

    // ---- Wrappers around the scheduler's steps

    /// Polls a task.
    #[inline]
    fn poll(_: &Local<H>, task: Task) -> Ran {
        task.run()
    }
    /// Called when the worker goes to sleep. Prepares its timers, and returns when it must wake up by itself.
    fn prepare_park(local: &Local<H>) -> Option<Instant> {
        local.remote.timers.prepare_park()
    }
    /// Waits for a token, a socket or a timer, at most until `deadline`. Returns when the wait ended, if that is
    /// known.
    fn wait(local: &Local<H>, deadline: Option<Instant>) -> Option<Instant> {
        local.wait_for_token(deadline)
    }
    /// Called when it is time for a busy worker to poll the reactor.
    fn poll_in_passing(local: &Local<H>) {
        local.poll_now();
    }
    /// The poller's token, if this worker, which goes to sleep, must wait for the sockets.
    fn poller_token(local: &Local<H>) -> Option<MutexGuard<'_, ()>> {
        local.shared.poller.try_lock()
    }
    /// Whether timers can use a clock that jumps.
    fn has_own_time(_: &Shared<H>) -> bool {
        false
    }
    /// The main function of a worker's thread. `work` returns when the runtime has closed, or when the worker [must
    /// leave](Hooks::must_leave).
    fn live(_: &Local<H>, work: &dyn Fn()) -> Ended {
        work();
        Ended::WithTheRuntime
    }
    /// Takes back the worker of a thread that has [ended](Ended::Idle) although the runtime continues.
    fn take_back(_: &Shared<H>, _: Unstarted) {}

    // ---- Queues for tasks that a policy places

    /// Queues a task where the scheduler has no queue: by rank, or for another worker.
    #[inline]
    fn put(_: &Local<H>, _: Place, task: Task) -> Queued {
        Queued::Nowhere(task)
    }
    /// Takes one of the tasks that the part has queued for that worker. Any thread may call this.
    #[inline]
    fn take(_: &Shared<H>, _worker: usize, _: Pick) -> Option<Task> {
        None
    }
    /// How many such tasks there are.
    #[inline]
    fn queued(_: &Shared<H>, _worker: usize, _: Pick) -> usize {
        0
    }
    /// The lowest rank among them, a moment ago.
    fn first_rank(_: &Shared<H>, _worker: usize) -> Option<u64> {
        None
    }
    /// Puts injected tasks where the policy says.
    #[inline]
    fn place_injected<P: Policy>(_: &Local<H>, _: &P) {}

    // ---- Tasks that a part keeps for one worker alone

    /// A task that the part keeps for this worker, if it is its turn.
    #[inline]
    fn take_kept(_: &Local<H>) -> Option<Task> {
        None
    }
    /// Whether the part keeps a task for this worker.
    #[inline]
    fn has_kept(_: &Local<H>) -> bool {
        false
    }
    /// Called when the runtime has closed. Cancels all tasks that the part keeps for this worker.
    #[inline]
    fn cancel_kept(_: &Local<H>) {}
    /// Called when the runtime has closed. Cancels a task, which may have to happen elsewhere.
    #[inline]
    fn cancel(shared: &Shared<H>, task: Task) {
        shared.cancel(task);
    }

    // ---- Work that is not a task

    /// Searches there for work that is not a task, and does it; see [`Local::found`]. Returns true if there was some.
    #[inline]
    fn do_other_work(_: &Local<H>, _: Origin) -> bool {
        false
    }
    /// Whether there is such work.
    #[inline]
    fn has_other_work(_: &Shared<H>, _: Origin) -> bool {
        false
    }

    // ---- Facts

    /// Called when something has happened on a worker.
    #[inline]
    fn observe(_: &Local<H>, _: Event) {}
    /// Called when something has happened on any thread.
    #[inline]
    fn observe_shared(_: &Shared<H>, _: SharedEvent<'_>) {}
    /// Adds the part's numbers.
    fn report(_: &Shared<H>, _: &mut Metrics) {}
    /// Called when the workers' threads have started.
    ///
    /// # Errors
    /// If the system refuses threads. The runtime then ends.
    fn started(_: &Arc<Shared<H>>) -> io::Result<()> {
        Ok(())
    }
}
