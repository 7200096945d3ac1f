//! What the monitor sees of a worker.

use std::sync::atomic::{AtomicU64, AtomicUsize as Count};

use crossbeam_utils::CachePadded;
use runtime_core::primitives::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

use crate::counting::add;

/// The value of [`current`](Observed::current) while the worker does work that is not a task, outside any poll. No
/// task has this number.
pub(super) const NOT_A_TASK: usize = 1;

/// One worker, for the monitor.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    own: CachePadded<Own>,
    /// The worker waits for a token, a socket or a timer.
    pub(super) asleep: AtomicBool,
    /// The worker's task has called `block_in_place`.
    pub(super) in_place: AtomicBool,
    /// A replacement worker that is needed now.
    pub(super) is_replacing: AtomicBool,
    /// A replacement worker to which tasks are pinned.
    pub(super) has_pinned: AtomicBool,
    /// For a replacement worker: 1 + the worker that it must replace; 0 for none.
    assignment: AtomicUsize,
    /// Its thread, as the kernel numbers them; 0 before it runs.
    thread: AtomicU32,
}

/// Values that the worker writes often, by plain stores, on its own cache line.
#[derive(Debug, Default)]
struct Own {
    current: Count,
    /// How often it has done work that is not a task.
    other_work: AtomicU64,
}

impl Observed {
    /// From now on the worker polls that task; 0: none.
    #[inline]
    pub(super) fn begin(&self, task: usize) {
        self.own.current.store(task, Relaxed);
    }

    /// The number of the task that the worker polls now, as in `TaskId::get`; 0 for none.
    pub(super) fn current(&self) -> usize {
        self.own.current.load(Relaxed)
    }

    #[inline]
    pub(super) fn count_other_work(&self) {
        add(&self.own.other_work, 1);
    }

    pub(super) fn other_work(&self) -> u64 {
        self.own.other_work.load(Relaxed)
    }

    /// Notes that the calling thread is the worker's.
    pub(super) fn set_thread(&self) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        self.thread.store(thread.cast_unsigned(), Relaxed);
    }

    pub(super) fn thread(&self) -> u32 {
        self.thread.load(Relaxed)
    }

    /// Tells a replacement worker which worker to replace. The caller unparks it.
    pub(super) fn assign(&self, stuck: usize) {
        self.assignment.store(stuck + 1, Relaxed);
    }

    pub(super) fn take_assignment(&self) -> Option<usize> {
        self.assignment.swap(0, Relaxed).checked_sub(1)
    }
}
