#![doc = include_str!("README.md")]

mod global_queue;
mod go_like;
mod no_steal;
mod random_steal;
mod tokio_like;
mod view;

use std::iter::once;

pub use crate::knobs::{IoSharing, Knobs, LifoSlot, Steal};

/// The former name of [`IoSharing`].
#[deprecated(note = "use `IoSharing`")]
pub type SocketHelp = IoSharing;
pub use global_queue::GlobalQueue;
pub use go_like::GoLike;
pub use no_steal::NoSteal;
pub use random_steal::RandomSteal;
pub use tokio_like::TokioLike;
pub use view::{SearchView, WorkerView};

/// Where a task can be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The worker's LIFO slot: next to run. What stood there goes to the [`Back`](Place::Back).
    Slot,
    /// The newest end of the worker's `spawned` deque: it takes from there newest first, thieves take oldest first.
    Newest,
    /// The back of the worker's `woken` queue, from which everybody takes oldest first.
    Back,
    /// The injector, which belongs to no worker.
    Shared,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Slot, Self::Newest, Self::Back, Self::Shared];
}

/// Why a task is due again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// Another task of the same worker called its waker.
    Task,
    /// A socket is ready, or a timer is due.
    Driver,
    /// It yielded, or called its own waker.
    Itself,
}

/// Where a worker takes its next task from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The LIFO slot. After many times in a row the task there goes behind the woken ones instead.
    Slot,
    /// The newest task of the `spawned` deque.
    Newest,
    /// The oldest task of the `spawned` deque.
    Oldest,
    /// The oldest task of the `woken` queue.
    Front,
    /// The injector. If workers steal from one another, more of its tasks come along into the `woken` queue.
    Injected,
}

/// Where a worker without work looks for some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// What other threads have injected: tasks, then closures of fork-join.
    Injected,
    /// The queues of the worker with this number: woken tasks first, then spawned ones, then closures. As many tasks
    /// come along as the knob `steal` says. Nothing if there is no such worker, if it is the one that searches, or if
    /// workers do not [steal](Policy::steals). Who serves the sockets without help ([`IoSharing`]) gives no woken
    /// tasks.
    Steal(usize),
    /// The LIFO slot of the worker with this number, if that worker is stuck in a poll and the knob `lifo-slot` is
    /// `on`. A worker that goes on polling is about to run that task, and two tasks that wake each other are best left
    /// where they are.
    StealSlot(usize),
    /// Timers of other workers that are due. What they wake goes to the searching worker.
    DueTimers,
}

/// The decisions of an M:N scheduler. Everything has the default of [`GoLike`]; a policy overrides what it does
/// otherwise.
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
///   turn, every `injector-tick` ticks the injector.
/// - A policy that spawns or wakes tasks while it is asked is not asked about those.
///
/// The worker asks on its own thread, in the middle of the hot path. The calls are statically dispatched, and should
/// neither block nor allocate.
pub trait Policy: Send + Sync + 'static {
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
    /// 3. The injector.
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
        } else {
            own.has_injected().then_some(Source::Injected)
        }
    }

    /// Where a worker without work looks, in this order, until it finds something. At most half of the workers search
    /// at a time. The scheduler follows the order for a few steps for each worker; then, or at its end, the worker goes
    /// to sleep. If there is something that it may take, but that the policy has overlooked, it looks everywhere first.
    ///
    /// 1. What other threads injected: tasks, then closures.
    /// 2. From each other worker, beginning at a random one: woken, spawned, forked.
    /// 3. Other workers' timers that are due.
    /// 4. The task in another worker's LIFO slot, if that worker is stuck in a poll.
    fn search(&self, thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        once(Attempt::Injected)
            .chain(thief.victims().map(Attempt::Steal))
            .chain(once(Attempt::DueTimers))
            .chain(thief.victims().map(Attempt::StealSlot))
    }
}
