//! What the other threads may touch of a worker.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64,
    Ordering::{AcqRel, Relaxed, SeqCst},
};

use crossbeam_deque::Stealer;
use crossbeam_utils::CachePadded;
use runtime_core::park::Unparker;
use runtime_core::reactor::Reactor;
use runtime_core::task::Task;
use runtime_core::time::TimerShard;

use crate::fork_join::JobRef;

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
}

impl Remote {
    /// Wakes the worker wherever it waits.
    pub(crate) fn unpark(&self, reactor: &Reactor) {
        self.unparker.unpark();
        // SeqCst: the token is left before this is read; pairs with `Worker::wait_in_reactor`, which does it the other way round.
        std::sync::atomic::fence(SeqCst);
        if self.polling.load(Relaxed) {
            reactor.notify();
        }
    }

    /// True if there is something that another worker should take. The slot is not counted: it wakes nobody, and keeps nobody
    /// awake.
    pub(crate) fn has_work(&self) -> bool {
        !self.spawned.is_empty() || !self.woken.is_empty() || !self.jobs.is_empty()
    }
}

/// The LIFO slot: the task that was woken last, next to run. Its worker takes it as a rule; a thief may on its last pass, so that
/// the task does not starve behind a long poll.
#[derive(Default)]
pub(crate) struct Slot(AtomicPtr<()>);

impl Slot {
    /// Puts a task in; gives the one that stood there.
    #[inline]
    pub(crate) fn put(&self, task: Task) -> Option<Task> {
        // AcqRel: hands over what the task's waker wrote, as a queue does.
        Self::task(self.0.swap(task.into_raw().as_ptr(), AcqRel))
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
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) polls: AtomicU64,
    pub(crate) spawned: AtomicU64,
    pub(crate) finished: AtomicU64,
    pub(crate) tasks_stolen: AtomicU64,
    pub(crate) parks: AtomicU64,
    pub(crate) io_polls: AtomicU64,
}

/// Counts by its only writer.
#[inline]
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}
