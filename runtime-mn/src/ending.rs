//! How a runtime ends: whether it has closed, that no task stays behind in the injector then, and which threads are
//! left. `scheduler/shutdown.rs` uses it.
//!
//! A thread that is no worker pushes first and then looks whether the runtime has closed. Whoever ends it closes first
//! and then empties the injector. Between the two both have a sequentially consistent fence. So either the pusher sees
//! that it has closed, and empties the injector itself, or whoever empties it sees the push.

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

    /// Whether it has closed. Relaxed, a hint: it may close at any moment.
    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> bool {
        self.0.load(order)
    }

    /// Closes. The caller wakes the workers, who end, and empties the queues.
    pub(crate) fn set(&self) {
        self.0.store(true, SeqCst);
        // Pairs with the fence in `since_push`.
        fence(SeqCst);
    }

    /// Something was pushed. True: it has closed, and the caller must empty the injector. False: whoever closes it
    /// will.
    pub(crate) fn since_push(&self) -> bool {
        // Pairs with the fences in `set` and `before_drain`.
        fence(SeqCst);
        self.0.load(Relaxed)
    }

    /// A thread that has seen it closed, by whatever load, is about to empty the injector.
    pub(crate) fn before_drain(&self) {
        // Pairs with the fence in `since_push`.
        fence(SeqCst);
    }
}

thread_local! {
    /// The runtime that the calling thread belongs to, for its whole life; only compared.
    static OWN_OF: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

/// The calling thread is one of the runtime's whose `Shared` stands there. Whatever runs on it (tasks, destructors,
/// wakers, callbacks, the policy) must not wait for the end of the runtime's threads.
pub(crate) fn own_this_thread<S>(shared: *const S) {
    OWN_OF.set(shared.cast());
}

/// Whether the calling thread is one of that runtime's.
pub(crate) fn owns_this_thread<S>(shared: *const S) -> bool {
    ptr::eq(OWN_OF.get(), shared.cast())
}

/// The runtime's threads.
pub(crate) struct Threads {
    /// What they are called, before a number.
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

    /// Says, once, who starts threads.
    pub(crate) fn set_starter(&self, starter: &Arc<dyn Start>) {
        let is_first = self.starter.set(Arc::downgrade(starter)).is_ok();
        assert!(is_first, "set once");
    }

    /// The runtime as it can start threads; nothing once it is gone.
    pub(crate) fn starter(&self) -> Option<Arc<dyn Start>> {
        self.starter.get()?.upgrade()
    }

    /// Counts a thread that is about to be started. False: the runtime has closed, and takes no more.
    pub(crate) fn admit(&self, closed: &Closed, is_worker: bool) -> bool {
        let mut counts = self.counts.lock();
        if closed.load(SeqCst) {
            return false;
        }
        counts.workers_not_ending += usize::from(is_worker);
        counts.running += 1;
        true
    }

    /// A worker begins to end. True for the last one.
    pub(crate) fn is_last_to_end(&self) -> bool {
        let mut counts = self.counts.lock();
        counts.workers_not_ending -= 1;
        counts.workers_not_ending == 0
    }

    /// A worker ends although the runtime goes on. False: the runtime has closed, and it must end like all.
    pub(crate) fn one_worker_less(&self, closed: &Closed) -> bool {
        let mut counts = self.counts.lock();
        let may_go = !closed.load(SeqCst);
        // Others remain: they do not begin to end before it is closed.
        counts.workers_not_ending -= usize::from(may_go);
        may_go
    }

    /// A thread's last act, or that of whoever could not start it.
    pub(crate) fn one_ended(&self) {
        self.counts.lock().running -= 1;
        self.one_ended.notify_all();
    }

    /// A worker's thread could not be started.
    pub(crate) fn worker_failed(&self) {
        self.is_last_to_end();
        self.one_ended();
    }

    /// Waits until every thread has ended, but not past `deadline`. True if they have.
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
