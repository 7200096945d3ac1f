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

/// The seam. What a scheduler has beyond the textbook hooks in here. Each default is what Go does: nothing special.
///
/// The calls are statically dispatched, so a default costs nothing. `H` is the whole list of parts, of which `Self` is
/// one, or which `Self` is.
pub(crate) trait Hooks<H: Hooks<H> = Self>: State {
    /// A worker's own state of the part, as its thread starts.
    fn local(shared: &Shared<H>, worker: usize) -> Self::Local;

    // ---- Decisions

    /// A task is due. `None`: the part has taken it, and runs it elsewhere.
    #[inline]
    fn divert(_: &Arc<Shared<H>>, task: Task) -> Option<Task> {
        Some(task)
    }
    /// The worker has put a task where others can take it. Whether a sleeper is woken for it.
    #[inline]
    fn wakes_for_own(_: &Local<H>) -> bool {
        true
    }
    /// Sockets or timers have woken several tasks. Whether a sleeper is woken for them.
    #[inline]
    fn wakes_for_driven(_: &Local<H>) -> bool {
        true
    }
    /// Whether thieves may take from that worker's FIFO queue.
    #[inline]
    fn shares_fifo(_: &Shared<H>, _worker: usize) -> bool {
        true
    }
    /// What the worker is there for at the moment.
    fn duty(_: &Shared<H>, _worker: usize) -> Duty {
        Duty::Works
    }
    /// Between two tasks: whether the worker must stop working although the runtime goes on.
    #[inline]
    fn must_leave(_: &Local<H>) -> bool {
        false
    }

    // ---- Around what the scheduler does

    /// Polls a task.
    #[inline]
    fn poll(_: &Local<H>, task: Task) -> Ran {
        task.run()
    }
    /// The worker goes to sleep: prepares its timers. Returns when it must wake up by itself.
    fn prepare_park(local: &Local<H>) -> Option<Instant> {
        local.remote.timers.prepare_park()
    }
    /// Waits for a token, a socket or a timer, at most until then. Returns when the wait ended, if that is known.
    fn wait(local: &Local<H>, deadline: Option<Instant>) -> Option<Instant> {
        local.wait_for_token(deadline)
    }
    /// A busy worker asks for sockets, as it is time to.
    fn poll_in_passing(local: &Local<H>) {
        local.poll_now();
    }
    /// The poller's token, if the worker, which goes to sleep, is the one that waits for sockets.
    fn poller_token(local: &Local<H>) -> Option<MutexGuard<'_, ()>> {
        local.shared.poller.try_lock()
    }
    /// Whether timers can go by a clock that jumps.
    fn has_own_time(_: &Shared<H>) -> bool {
        false
    }
    /// The life of a worker's thread. `work` returns when the runtime has closed, or when the worker
    /// [must leave](Hooks::must_leave).
    fn live(_: &Local<H>, work: &dyn Fn()) -> Ended {
        work();
        Ended::WithTheRuntime
    }
    /// Takes back what is left of a worker whose thread has [ended](Ended::Idle) although the runtime goes on.
    fn take_back(_: &Shared<H>, _: Unstarted) {}

    // ---- Queues for tasks that a policy has sorted

    /// Queues a task where the scheduler has no queue: by rank, or for another worker.
    #[inline]
    fn put(_: &Local<H>, _: Place, task: Task) -> Queued {
        Queued::Nowhere(task)
    }
    /// Takes one of the tasks that the part has queued for that worker. On any thread.
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

    // ---- Work that is no task

    /// Looks there for work that is no task, and does it; see [`Local::found`]. True if there was some.
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

    /// Something has happened on a worker.
    #[inline]
    fn observe(_: &Local<H>, _: Event) {}
    /// Something has happened, on any thread.
    #[inline]
    fn observe_shared(_: &Shared<H>, _: SharedEvent<'_>) {}
    /// Adds what the part has counted.
    fn report(_: &Shared<H>, _: &mut Metrics) {}
    /// The workers' threads have started.
    ///
    /// # Errors
    /// When the system gives no threads. The runtime then ends.
    fn started(_: &Arc<Shared<H>>) -> io::Result<()> {
        Ok(())
    }
}
