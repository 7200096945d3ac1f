//! The questions that a scheduler asks.

use core::iter::once;

use crate::{Attempt, Knobs, Place, SearchView, SleeperView, Source, WokenBy, WorkerView};

/// The decisions of an M:N scheduler. Everything has the default of [`GoLike`](crate::GoLike); a policy overrides what
/// it does otherwise.
///
/// A policy is a function from a view to a decision: it sees numbers and answers where. The scheduler moves the tasks,
/// and no policy ever holds one. So whatever a policy answers, and even if it panics, the scheduler keeps the contract:
/// every due task runs, no wake-up is lost, and a worker sleeps only when there is nothing that it may take.
///
/// - An answer that can't be carried out, such as a queue that is empty or a worker that does not exist, counts as no
///   answer.
/// - A panic is contained, once the panic hook has reported it, and counts as no answer, too.
/// - Where there is no answer the scheduler takes a default.
/// - What a policy does not choose for long runs all the same: every 32nd tick a worker serves one of its own queues in
///   turn, every `injector-tick` ticks the injector. The ranked queue's turn is that of its oldest task, so that no
///   rank starves a task.
/// - A policy that spawns or wakes tasks while it is asked is not asked about those.
///
/// A policy needs no threads, clocks or atomics. Time is a number in the view, randomness a seeded generator in it, and
/// a worker's memory a few words ([`WorkerView::state`]). So the same policy runs in a scheduler and in a simulator.
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
    /// Whether injected tasks go where [`place_injected`](Policy::place_injected) says: a worker that looks for its
    /// next task takes them out of the injector first, and runs none from there. If not, it runs what it takes there.
    ///
    /// Constant, so that a policy without it pays nothing.
    const PLACES_INJECTED: bool = false;

    /// What tables and commands call it. Asked once, when the runtime is built.
    fn name(&self) -> &'static str;

    /// The values that it runs with, unless the builder is told otherwise. Asked once, when the runtime is built.
    fn knobs(&self) -> Knobs {
        Knobs::default()
    }

    /// Whether workers may take from one another's queues. If not, a worker sleeps while others have work, nobody is
    /// told of a task that lies in a worker's own queue, and one injected task is taken at a time. Asked once, when the
    /// runtime is built.
    fn steals(&self) -> bool {
        true
    }

    /// Whether a sleeping worker is woken for a task that was put there; it is woken if nobody searches, and if
    /// wake-ups are not throttled ([`Knobs::wake_delay`]). Asked once for each place, when the runtime is built.
    fn tells(&self, place: Place) -> bool {
        // A slot is emptied by its own worker, as a rule, as soon as the current poll is over.
        place != Place::Slot
    }

    /// Where a task goes that a worker has taken from the injector. It came from a thread that is no worker, or from a
    /// worker whose policy put it there. Asked only if the policy [places injected tasks](Policy::PLACES_INJECTED). No
    /// answer, and [`Shared`](Place::Shared): [`Back`](Place::Back).
    fn place_injected(&self, own: &WorkerView<'_>) -> Place {
        let _ = own;
        Place::Back
    }

    /// Which sleeping worker is woken, if one must be. `None`, and a worker that does not sleep: the one that went to
    /// sleep last, whose cache is warm. Asked by whoever wakes, outside of any lock, before a wake-up only: a system
    /// call follows.
    fn wake(&self, sleepers: &SleeperView<'_>) -> Option<usize> {
        let _ = sleepers;
        None
    }

    /// Where a task goes that a task of this worker has spawned. No answer: [`Newest`](Place::Newest).
    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        let _ = own;
        Place::Newest
    }

    /// Where a task goes that is due again. From a thread that is no worker it goes to the injector in any case. No
    /// answer: [`Back`](Place::Back).
    fn place_woken(&self, own: &WorkerView<'_>, by: WokenBy) -> Place {
        let _ = own;
        match by {
            // Its waker is about to wait, as a rule, and what they share is in the cache.
            WokenBy::Task => Place::Slot,
            // Newest first would starve connections.
            WokenBy::Driver | WokenBy::Itself => Place::Back,
        }
    }

    /// Which task a worker runs next, of what it has or what nobody has. `None`: whatever is in its own queues, else it
    /// searches.
    ///
    /// 1. The LIFO slot, a few times in a row at most.
    /// 2. The newest spawned task and the oldest woken one, by turns. Newest first keeps memory hot and trees small;
    ///    the turns keep the woken ones from waiting behind a tree that grows faster than it is worked off.
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

    /// Where a worker without work looks, in this order, until it finds something. At most half of the workers search
    /// at a time. The scheduler follows the order for a few steps for each worker; then, or at its end, the worker goes
    /// to sleep. If there is something that it may take, but that the policy has overlooked, it looks everywhere first.
    ///
    /// 1. What other threads injected: tasks, then closures.
    /// 2. From each other worker, beginning at a random one: woken, spawned, ranked, inbox, forked.
    /// 3. Other workers' timers that are due.
    /// 4. The task in another worker's LIFO slot, if that worker is stuck in a poll.
    fn search(&self, thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        once(Attempt::Injected)
            .chain(thief.victims().map(Attempt::Steal))
            .chain(once(Attempt::DueTimers))
            .chain(thief.victims().map(Attempt::StealSlot))
    }
}
