//! How a runtime ends: whether it has closed, why no task stays behind in the injector, and which threads are left.
//! `scheduler/shutdown.rs` uses it.
//!
//! A non-worker thread first pushes and then checks whether the runtime has closed. The thread that ends the runtime
//! first closes it and then empties the injector. Both execute a sequentially consistent fence between the two steps.
//! So either the pusher sees that the runtime has closed, and empties the injector itself, or the other thread sees
//! the push.

use std::cell::Cell;
use std::ptr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use runtime_core::primitives::atomic::{
    AtomicBool,
    Ordering::{self, Relaxed, SeqCst},
    fence,
};
use runtime_core::primitives::{Condvar, Mutex, thread_local};

use crate::seam::plan::Start;

#[derive(Debug)]
pub(crate) struct Closed(AtomicBool);

impl Closed {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Whether the runtime has closed. With Relaxed this is a hint: it may close at any moment.
    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> bool {
        self.0.load(order)
    }

    /// Closes the runtime. The caller then wakes the workers, which end, and empties the queues.
    pub(crate) fn set(&self) {
        self.0.store(true, SeqCst);
        // Pairs with the fence in `since_push`.
        fence(SeqCst);
    }

    /// Call this after a push. If it returns true, the runtime has closed, and the caller must empty the injector. If
    /// it returns false, the thread that closes the runtime will empty it.
    pub(crate) fn since_push(&self) -> bool {
        // Pairs with the fences in `set` and `before_drain`.
        fence(SeqCst);
        self.0.load(Relaxed)
    }

    /// Call this before emptying the injector, on a thread that has seen by any load that the runtime has closed.
    pub(crate) fn before_drain(&self) {
        // Pairs with the fence in `since_push`.
        fence(SeqCst);
    }
}

thread_local! {
    /// The runtime that the calling thread belongs to, for its whole life; only compared.
    static OWN_OF: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

/// Marks the calling thread as one of the runtime whose `Shared` is at this address. Code on it (tasks, destructors,
/// wakers, callbacks, the policy) must not wait for the end of the runtime's threads.
pub(crate) fn own_this_thread<S>(shared: *const S) {
    OWN_OF.set(shared.cast());
}

/// Whether the calling thread belongs to that runtime.
pub(crate) fn owns_this_thread<S>(shared: *const S) -> bool {
    ptr::eq(OWN_OF.get(), shared.cast())
}

/// The runtime's threads.
pub(crate) struct Threads {
    /// Their names, to which a number is added.
    pub(crate) name: String,
    starter: OnceLock<Weak<dyn Start>>,
    counts: Mutex<Counts>,
    one_ended: Condvar,
}

#[derive(Debug)]
struct Counts {
    /// Workers that have not begun to end.
    workers_not_ending: usize,
    /// Threads, workers or not, that have not ended.
    running: usize,
}

impl Threads {
    pub(crate) fn new(name: String) -> Self {
        let counts = Mutex::new(Counts {
            workers_not_ending: 0,
            running: 0,
        });
        Self {
            name,
            starter: OnceLock::new(),
            counts,
            one_ended: Condvar::new(),
        }
    }

    /// Sets, once, how threads are started.
    pub(crate) fn set_starter(&self, starter: &Arc<dyn Start>) {
        let is_first = self.starter.set(Arc::downgrade(starter)).is_ok();
        assert!(is_first, "set once");
    }

    /// The runtime, for starting threads. `None` once it is gone.
    pub(crate) fn starter(&self) -> Option<Arc<dyn Start>> {
        self.starter.get()?.upgrade()
    }

    /// Counts a thread that is about to be started. Returns false if the runtime has closed and accepts no more
    /// threads.
    pub(crate) fn admit(&self, closed: &Closed, is_worker: bool) -> bool {
        let mut counts = self.counts.lock();
        if closed.load(SeqCst) {
            return false;
        }
        counts.workers_not_ending += usize::from(is_worker);
        counts.running += 1;
        true
    }

    /// Call this when a worker begins to end. Returns true for the last one.
    pub(crate) fn is_last_to_end(&self) -> bool {
        let mut counts = self.counts.lock();
        counts.workers_not_ending -= 1;
        counts.workers_not_ending == 0
    }

    /// Call this when a worker ends although the runtime continues. If it returns false, the runtime has closed, and
    /// the worker must end like all others.
    pub(crate) fn one_worker_less(&self, closed: &Closed) -> bool {
        let mut counts = self.counts.lock();
        let may_go = !closed.load(SeqCst);
        // Others remain: they do not begin to end before the runtime is closed.
        counts.workers_not_ending -= usize::from(may_go);
        may_go
    }

    /// A thread calls this last. If the thread could not be started, its starter calls this.
    pub(crate) fn one_ended(&self) {
        self.counts.lock().running -= 1;
        self.one_ended.notify_all();
    }

    /// Call this when a worker's thread could not be started.
    pub(crate) fn worker_failed(&self) {
        self.is_last_to_end();
        self.one_ended();
    }

    /// Waits until every thread has ended, but not past `deadline`. Returns true if they have.
    pub(crate) fn wait_for_end(&self, deadline: Instant) -> bool {
        let mut counts = self.counts.lock();
        while counts.running > 0 {
            if self.one_ended.wait_until(&mut counts, deadline).timed_out() {
                break;
            }
        }
        counts.running == 0
    }
}
