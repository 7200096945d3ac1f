//! The questions that a scheduler asks its policy.

use core::iter::once;

use crate::{Attempt, Knobs, Place, SearchView, SleeperView, Source, WokenBy, WorkerView};

/// The decisions of an M:N scheduler. Every method has the default of [`GoLike`](crate::GoLike); a policy overrides
/// what it does differently.
///
/// A policy is a function from a view to a decision: it sees numbers and answers where. The scheduler moves the tasks,
/// and a policy never owns one. So whatever a policy answers, and even if it panics, the scheduler keeps the contract:
/// every ready task runs, no wake-up is lost, and a worker sleeps only if there is nothing that it may take.
///
/// - If an answer can't be carried out, for example because the queue is empty or the worker does not exist, it is
///   ignored.
/// - A panic is contained, after the panic hook has reported it, and counts as no answer, too.
/// - If there is no answer, the scheduler uses a default.
/// - A task that the policy does not choose for long still runs: every 32nd tick a worker serves one of its own
///   queues in turn, and every `injector-tick` ticks the injector. The ranked queue has every eighth of these turns;
///   its oldest task gets it, so that no rank starves a task.
/// - A policy that spawns or wakes tasks while it is asked is not asked about those.
///
/// A policy needs no threads, clocks or atomics. Time is a number in the view, randomness comes from a seeded
/// generator in it, and a worker's memory is a few words ([`WorkerView::state`]). The same policy therefore runs in a
/// scheduler and in a simulator.
///
/// ```
/// use runtime_policy::{Place, Policy, Source, WorkerView, fake::FakeWorker};
///
/// /// Shortest job first; a task's tag is how long it takes.
/// struct ShortestFirst;
///
/// impl Policy for ShortestFirst {
///     fn name(&self) -> &'static str {
///         "shortest-first"
///     }
///     fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
///         Place::Ranked(own.task().tag().into())
///     }
///     fn next(&self, _: &WorkerView<'_>) -> Option<Source> {
///         Some(Source::Ranked)
///     }
/// }
///
/// let worker = FakeWorker { tag: 7, ..FakeWorker::default() };
/// assert_eq!(ShortestFirst.place_spawned(&worker.view()), Place::Ranked(7));
/// ```
///
/// The worker asks on its own thread, in the middle of the hot path. The calls are statically dispatched, and should
/// neither block nor allocate.
pub trait Policy: Send + Sync + 'static {
    /// Whether injected tasks go where [`place_injected`](Policy::place_injected) says. If so, a worker that looks
    /// for its next task first moves them out of the injector, and runs none from there. If not, it runs the tasks
    /// that it takes from there.
    ///
    /// This is a constant, so that a policy without it pays nothing.
    const PLACES_INJECTED: bool = false;

    /// Its name in tables and commands. Asked once, when the runtime is built.
    fn name(&self) -> &'static str;

    /// Its default knobs, which the builder can override. Asked once, when the runtime is built.
    fn knobs(&self) -> Knobs {
        Knobs::default()
    }

    /// Whether workers may take from one another's queues. If not, a worker sleeps while others have work, no sleeper
    /// is woken for a task in a worker's own queue, and a worker takes one injected task at a time. Asked once, when
    /// the runtime is built.
    fn steals(&self) -> bool {
        true
    }

    /// Whether to wake a sleeping worker for a task in that place. It is woken only if no worker searches, and if
    /// wake-ups are not throttled ([`Knobs::wake_delay`]). Asked once for each place, when the runtime is built.
    fn wakes_for(&self, place: Place) -> bool {
        #[allow(deprecated)]
        self.tells(place)
    }

    /// The former name of [`wakes_for`](Policy::wakes_for). Policies that implement it keep working. A policy that
    /// wraps another one has to pass on `wakes_for`: this method does not ask it.
    #[deprecated(note = "it is called `wakes_for`")]
    fn tells(&self, place: Place) -> bool {
        // The worker usually empties its slot itself, as soon as the current poll is over.
        place != Place::Slot
    }

    /// Where a task goes that a worker has taken from the injector. It came from a non-worker thread, or from a worker
    /// whose policy put it there. Asked only if the policy [places injected tasks](Policy::PLACES_INJECTED). Without
    /// an answer, and for [`Shared`](Place::Shared), the task goes to [`Back`](Place::Back).
    fn place_injected(&self, own: &WorkerView<'_>) -> Place {
        let _ = own;
        Place::Back
    }

    /// Which sleeping worker to wake, if one must be woken. For `None`, or a worker that does not sleep, the scheduler
    /// wakes the one that went to sleep last, whose cache is warm. Asked by the waking thread, outside any lock, and
    /// only before a wake-up, which is a system call.
    fn wake(&self, sleepers: &SleeperView<'_>) -> Option<usize> {
        let _ = sleepers;
        None
    }

    /// Where a task goes that a task of this worker has spawned. Without an answer: [`Newest`](Place::Newest).
    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        let _ = own;
        Place::Newest
    }

    /// Where a woken task goes. A task that a non-worker thread wakes always goes to the injector. Without an answer:
    /// [`Back`](Place::Back).
    fn place_woken(&self, own: &WorkerView<'_>, by: WokenBy) -> Place {
        let _ = own;
        match by {
            // The task that woke it is usually about to wait, and their shared data is in the cache.
            WokenBy::Task => Place::Slot,
            // Newest first would starve connections.
            WokenBy::Driver | WokenBy::Itself => Place::Back,
        }
    }

    /// Which task a worker runs next, from its own queues or from the injector. For `None`, it takes any task in its
    /// own queues, or else it searches.
    ///
    /// 1. The LIFO slot, a few times in a row at most.
    /// 2. The newest spawned task and the oldest woken one, alternately. Newest first keeps memory hot and trees
    ///    small; alternating ensures that woken tasks do not wait behind a tree that grows faster than it is
    ///    processed.
    /// 3. The inbox, the ranked queue, the injector.
    #[inline]
    fn next(&self, own: &WorkerView<'_>) -> Option<Source> {
        let is_turn_of_woken = own.tick().is_multiple_of(2);
        if own.has_slot() {
            Some(Source::Slot)
        } else if is_turn_of_woken && own.has_woken() {
            Some(Source::Front)
        } else if own.has_spawned() {
            Some(Source::Newest)
        } else if own.has_woken() {
            Some(Source::Front)
        } else if own.has_inbox() {
            Some(Source::Inbox)
        } else if own.has_ranked() {
            Some(Source::Ranked)
        } else {
            own.has_injected().then_some(Source::Injected)
        }
    }

    /// Where a worker without work searches, in this order, until it finds something. At most half of the workers
    /// search at a time. The scheduler follows the order for a few steps per worker; then, or at the end of the order,
    /// the worker goes to sleep. If the policy has overlooked something that the worker may take, the worker first
    /// searches everywhere.
    ///
    /// 1. What other threads injected: tasks, then closures.
    /// 2. From each other worker, beginning at a random one: FIFO queue, LIFO queue, ranked, inbox, forked closures.
    /// 3. Other workers' timers that are due.
    /// 4. The task in another worker's LIFO slot, if that worker is stuck in a poll.
    fn search(&self, thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        once(Attempt::Injected)
            .chain(thief.victims().map(Attempt::Steal))
            .chain(once(Attempt::DueTimers))
            .chain(thief.victims().map(Attempt::StealSlot))
    }
}
