//! What the other threads may touch of a worker.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::Arc;
// What only counts is no part of a protocol.
use std::sync::atomic::{AtomicU64, AtomicUsize as Count};

use crossbeam_utils::CachePadded;
use runtime_core::park::Unparker;
use runtime_core::primitives::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Relaxed, Release, SeqCst},
    fence,
};
use runtime_core::reactor::Reactor;
use runtime_core::task::{Task, TaskId};
use runtime_core::time::TimerShard;

use crate::deque::Stealer;
use crate::fork_join::JobRef;

/// What [`Remote::current`] is while a closure of a fork-join is run outside of any poll: no task has this number.
pub(crate) const CLOSURE: usize = 1;

/// One worker's side that thieves, tellers and observers see. What is written often lies on cache lines of its own.
pub(crate) struct Remote {
    pub(crate) spawned: Stealer<Task>,
    pub(crate) woken: Stealer<Task>,
    pub(crate) jobs: Stealer<JobRef>,
    pub(crate) timers: Arc<TimerShard>,
    pub(crate) unparker: Unparker,
    /// The worker waits in the reactor, or is about to.
    pub(crate) polling: Arc<AtomicBool>,
    pub(crate) slot: CachePadded<Slot>,
    pub(crate) counters: CachePadded<Counters>,
    pub(crate) observed: CachePadded<Observed>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("counters", &self.counters)
            .field("observed", &self.observed)
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// Wakes the worker wherever it waits.
    pub(crate) fn unpark(&self, reactor: &Reactor) {
        self.observed.unparks.fetch_add(1, Relaxed);
        self.unparker.unpark();
        // SeqCst: the token is left before this is read; pairs with `Local::wait_in_reactor` and `wait_simulated`,
        // which do it the other way round.
        fence(SeqCst);
        if self.polling.load(Relaxed) {
            reactor.notify();
        }
    }

    /// True if there is something that another worker should take. The slot is not counted: it wakes nobody, and keeps
    /// nobody awake. Nor are woken tasks, if they are not shared.
    pub(crate) fn has_work(&self, shares_woken: bool) -> bool {
        !self.spawned.is_empty() || shares_woken && !self.woken.is_empty() || !self.jobs.is_empty()
    }

    /// True if tasks wait for this very worker, in the slot too.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.spawned.is_empty() || !self.woken.is_empty() || self.slot.is_filled()
    }

    /// Tasks in its queues.
    pub(crate) fn queue_depth(&self) -> usize {
        self.spawned.len() + self.woken.len() + usize::from(self.slot.is_filled())
    }
}

/// The LIFO slot: the task that was woken last, next to run. Its worker takes it as a rule; a thief may on its last
/// pass, so that the task does not starve behind a long poll.
#[derive(Default)]
pub(crate) struct Slot(AtomicPtr<()>);

impl Slot {
    /// Puts a task in; gives the one that stood there. By its worker only.
    #[inline]
    pub(crate) fn put(&self, task: Task) -> Option<Task> {
        let task = task.into_raw().as_ptr();
        if !self.is_filled() {
            // Others only ever empty it, so it stays empty until we write: no need to exchange.
            // Release: hands over what the task's waker wrote, as a queue does.
            self.0.store(task, Release);
            return None;
        }
        // AcqRel: the same, and takes over what stood there.
        Self::task(self.0.swap(task, AcqRel))
    }

    /// Takes the task out.
    #[inline]
    pub(crate) fn take(&self) -> Option<Task> {
        // The common case is an empty slot: no need to write to it.
        if !self.is_filled() {
            return None;
        }
        Self::task(self.0.swap(ptr::null_mut(), AcqRel))
    }

    #[inline]
    pub(crate) fn is_filled(&self) -> bool {
        !self.0.load(Relaxed).is_null()
    }

    fn task(raw: *mut ()) -> Option<Task> {
        // SAFETY: only `put` stores pointers, and a swap takes each of them out once.
        NonNull::new(raw).map(|raw| unsafe { Task::from_raw(raw) })
    }
}

/// Written by the worker only (a load and a store each, no locked instruction); read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) polls: AtomicU64,
    pub(crate) spawned: AtomicU64,
    pub(crate) finished: AtomicU64,
    pub(crate) lifo_hits: AtomicU64,
    pub(crate) closures: AtomicU64,
    pub(crate) steals_tried: AtomicU64,
    pub(crate) steals_done: AtomicU64,
    pub(crate) tasks_stolen: AtomicU64,
    pub(crate) parks: AtomicU64,
    pub(crate) io_polls: AtomicU64,
    /// Time awake, up to the last sleep.
    busy_ns: AtomicU64,
    /// When the worker woke up, on the runtime's clock; 0 while it sleeps.
    awake_since_ns: AtomicU64,
    /// The task that is polled now, innermost; 0 between polls.
    current: Count,
}

/// What the monitor and tellers look at and write, apart from the counters so that they do not slow the worker down.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// The worker waits for a token, a socket or a timer.
    pub(crate) asleep: AtomicBool,
    /// The worker's task has called `block_in_place`.
    pub(crate) in_place: AtomicBool,
    /// Times that another thread woke it.
    pub(crate) unparks: AtomicU64,
    /// Its thread, as the kernel numbers them; 0 before it runs.
    thread: AtomicU32,
    /// For a spare worker: 1 + the worker whose place it is to take; 0 for none.
    assignment: AtomicUsize,
    /// A spare worker stands in for another one.
    pub(crate) stands_in: AtomicBool,
}

impl Remote {
    /// Announces the task that is polled from now on; gives the one that it is polled inside of.
    #[inline]
    pub(crate) fn enter_poll(&self, task: TaskId) -> usize {
        let current = &self.counters.current;
        let outer = current.load(Relaxed);
        current.store(task.get(), Relaxed);
        outer
    }

    /// As [`enter_poll`](Remote::enter_poll), of a closure that is run outside of any poll.
    pub(crate) fn enter_closure(&self) -> usize {
        let outer = self.counters.current.load(Relaxed);
        self.counters.current.store(CLOSURE, Relaxed);
        outer
    }

    #[inline]
    pub(crate) fn leave_poll(&self, outer: usize) {
        self.counters.current.store(outer, Relaxed);
    }

    /// The task that the worker polls now, as [`TaskId::get`] numbers it; 0 for none.
    pub(crate) fn current(&self) -> usize {
        self.counters.current.load(Relaxed)
    }

    /// Changes whenever the worker gets something done.
    pub(crate) fn progress(&self) -> u64 {
        let counters = &self.counters;
        counters
            .polls
            .load(Relaxed)
            .wrapping_add(counters.closures.load(Relaxed))
    }
}

impl Counters {
    /// The worker wakes up, or begins.
    pub(crate) fn awake_from(&self, now_ns: u64) {
        self.awake_since_ns.store(now_ns.max(1), Relaxed);
    }

    /// The worker goes to sleep.
    pub(crate) fn asleep_from(&self, now_ns: u64) {
        let since = self.awake_since_ns.load(Relaxed);
        add(&self.busy_ns, now_ns.saturating_sub(since));
        self.awake_since_ns.store(0, Relaxed);
    }

    /// For how long the worker was awake in all.
    pub(crate) fn busy_ns(&self, now_ns: u64) -> u64 {
        let until_last_sleep = self.busy_ns.load(Relaxed);
        match self.awake_since_ns.load(Relaxed) {
            0 => until_last_sleep,
            since => until_last_sleep + now_ns.saturating_sub(since),
        }
    }
}

impl Observed {
    /// The calling thread is the worker's.
    pub(crate) fn set_thread(&self) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        self.thread.store(thread.cast_unsigned(), Relaxed);
    }

    pub(crate) fn thread(&self) -> u32 {
        self.thread.load(Relaxed)
    }

    /// Tells a spare worker whose place to take. The caller unparks it.
    pub(crate) fn assign(&self, stuck: usize) {
        self.assignment.store(stuck + 1, Relaxed);
    }

    pub(crate) fn take_assignment(&self) -> Option<usize> {
        self.assignment.swap(0, Relaxed).checked_sub(1)
    }
}

/// Counts by its only writer.
#[inline]
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}
