#![doc = include_str!("README.md")]

mod global_queue;
mod go_like;
mod no_steal;
mod random_steal;
mod tokio_like;

use runtime_core::task::Task;

pub use crate::knobs::{Knobs, LifoSlot, SocketHelp, Steal};
pub use crate::queues::{Found, Queues, Thief, Victim};
pub use global_queue::GlobalQueue;
pub use go_like::GoLike;
pub use no_steal::NoSteal;
pub use random_steal::RandomSteal;
pub use tokio_like::TokioLike;

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

/// The decisions of an M:N scheduler. Everything has the default of [`GoLike`]; a policy overrides what it does otherwise.
///
/// A policy is asked by the worker that runs, on its own thread, in the middle of the hot path: the calls are statically
/// dispatched, and should neither block nor allocate. Whatever it answers, the mechanism keeps the contract: every due task runs,
/// no wake-up is lost, and a worker sleeps only when there is nothing that it may take.
pub trait Policy: Send + Sync + 'static {
    /// What tables and commands call it.
    fn name(&self) -> &'static str;

    /// The values that it runs with, unless the builder is told otherwise.
    fn knobs(&self) -> Knobs {
        Knobs::default()
    }

    /// Whether workers may take from one another's queues. If not, a worker sleeps while others have work, nobody is told of a
    /// task that lies in a worker's own queue, and one injected task is taken at a time.
    fn steals(&self) -> bool {
        true
    }

    /// Where a task goes that a task of this worker has spawned.
    fn place_spawned(&self, own: &Queues<'_>) -> Place {
        let _ = own;
        Place::Newest
    }

    /// Where a task goes that is due again. From a thread that is no worker it goes to the injector in any case.
    fn place_woken(&self, own: &Queues<'_>, by: WokenBy) -> Place {
        let _ = own;
        match by {
            // Its waker is about to wait, as a rule, and what they share is in the cache.
            WokenBy::Task => Place::Slot,
            // Newest first would starve connections.
            WokenBy::Driver | WokenBy::Itself => Place::Back,
        }
    }

    /// Whether a sleeping worker is told of a task that was put there; it is woken if nobody searches, and if this worker's work has not
    /// lately been too short for that ([`Knobs::patience`]).
    fn tells(&self, place: Place) -> bool {
        // A slot is emptied by its own worker, as a rule, as soon as the current poll is over.
        place != Place::Slot
    }

    /// What a worker runs next, of what it has or what nobody has. `None` sends it to search.
    ///
    /// 1. Every 64th tick, the oldest spawned task, and every 8th the oldest woken one: newest first must starve nobody.
    /// 2. The LIFO slot, a few times in a row at most.
    /// 3. The newest spawned task: its memory is hot, and trees stay small.
    /// 4. The oldest woken task.
    /// 5. The injector.
    #[inline]
    fn next(&self, own: &Queues<'_>) -> Option<Task> {
        own.overdue()
            .or_else(|| own.slot())
            .or_else(|| own.newest())
            .or_else(|| own.front())
            .or_else(|| own.injected())
    }

    /// What a worker without work takes from others. At most half of the workers do this at a time.
    ///
    /// 1. What other threads injected: tasks, then closures.
    /// 2. From each other worker, beginning at a random one: woken, spawned, forked.
    /// 3. Other workers' timers that are due.
    /// 4. The task in another worker's LIFO slot, if that worker is stuck in a poll.
    fn search(&self, thief: &Thief<'_>) -> Option<Found> {
        thief
            .injected()
            .or_else(|| thief.victims().find_map(|victim| victim.steal()))
            .or_else(|| thief.due_timers())
            .or_else(|| thief.victims().find_map(|victim| victim.steal_slot()))
    }
}
