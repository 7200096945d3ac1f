//! The part of a task's thread that others see: wakers, the shutdown, and simulated time.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use runtime_kernel::reactor::own_thread::ThreadUnparker;
use runtime_kernel::task::Task;
use runtime_kernel::time::TimerShard;
use runtime_kernel::trace::{self, Fact, Queue, WorkerId};

use crate::due::Due;
use crate::phase::Phase;

/// A task's thread, without the task's type or runtime.
pub(crate) struct ThreadState {
    due: Due,
    pub(crate) phase: Phase,
    /// The thread's own unparker, stored before the first poll.
    unparker: OnceLock<ThreadUnparker>,
    /// Created when the task first waits for a timer.
    timers: OnceLock<Arc<TimerShard>>,
    /// In simulated time: the thread waits, or has just been woken. Written under the lock of the list of threads.
    waits: AtomicBool,
    /// Only the thread writes them.
    polls: AtomicU64,
    parks: AtomicU64,
    /// The thread's number in traces.
    pub(crate) worker: WorkerId,
}

impl ThreadState {
    pub(crate) fn new() -> Self {
        Self {
            due: Due::new(),
            phase: Phase::new(),
            unparker: OnceLock::new(),
            timers: OnceLock::new(),
            waits: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            worker: WorkerId::new(trace::next_runtime(), 0),
        }
    }

    /// Puts the task into the slot of its thread.
    pub(crate) fn put(&self, task: Task) {
        trace::note(Fact::Queued(task.id(), Queue::Slot, self.worker));
        let before = self.due.put(task.into_raw());
        // A task is due once at a time. So this is a different task, which the program has bound to this scheduler,
        // too: it has no thread. SAFETY: as in `take`.
        if let Some(misbound) = before.map(|raw| unsafe { Task::from_raw(raw) }) {
            misbound.cancel();
        }
    }

    pub(crate) fn take(&self) -> Option<Task> {
        // SAFETY: the slot's content is from `put`, and comes out of it once.
        self.due.take().map(|raw| unsafe { Task::from_raw(raw) })
    }

    pub(crate) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The shutdown calls this: no poll begins any more.
    pub(crate) fn close(&self) {
        self.phase.close();
    }

    pub(crate) fn is_polling(&self) -> bool {
        self.phase.is_polling()
    }

    /// Whether the thread waits, and has not been woken. Call this under the lock of the list of threads.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Relaxed) && self.unparker.get().is_some_and(ThreadUnparker::is_asleep)
    }

    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Relaxed);
    }

    /// Call this when the thread has begun. Wakers unpark it by `unparker`.
    pub(crate) fn set_unparker(&self, unparker: ThreadUnparker) {
        let _ = self.unparker.set(unparker);
    }

    pub(crate) fn unparker(&self) -> Option<&ThreadUnparker> {
        self.unparker.get()
    }

    pub(crate) fn timers(&self) -> Option<&TimerShard> {
        self.timers.get().map(Arc::as_ref)
    }

    /// The timers of the thread's task, which wake the thread. Call this on the thread.
    pub(crate) fn timers_or_init(&self) -> &Arc<TimerShard> {
        self.timers.get_or_init(|| {
            let unparker = self.unparker.get();
            let unparker = unparker.expect("put there before the first poll").clone();
            TimerShard::new(Box::new(move || unparker.unpark()))
        })
    }

    pub(crate) fn count_poll(&self) {
        count(&self.polls);
    }

    pub(crate) fn count_park(&self) {
        count(&self.parks);
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Relaxed)
    }

    pub(crate) fn parks(&self) -> u64 {
        self.parks.load(Relaxed)
    }
}

/// Increments a counter that only the thread itself writes.
fn count(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}
