#![doc = include_str!("README.md")]
#![allow(unsafe_code)]

pub(crate) mod driver;
pub(crate) mod idle;
pub(crate) mod pinned;
pub(crate) mod placement;
pub(crate) mod queues;
pub(crate) mod shutdown;
pub(crate) mod steal;
pub(crate) mod worker;

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, Weak};

use crossbeam_utils::CachePadded;
use runtime_core::context::Ambient;
use runtime_core::park::{Parker, Unparker};
use runtime_core::primitives::Mutex;
use runtime_core::primitives::atomic::{AtomicBool, Ordering::Relaxed};
use runtime_core::reactor::Reactor;
use runtime_core::task::{Arena, BlockCache};
use runtime_core::time::{Clock, TimerShard};

use crate::current;
use crate::ending::{Closed, Threads};
use crate::policy::{Knobs, Place, SleeperView};
use crate::seam::facts::State;
use idle::Idle;
use pinned::OwnPinned;
use queues::{OwnQueues, SharedQueues};

/// What all threads of a runtime share.
pub(crate) struct Shared<H: State> {
    pub(crate) queues: Arc<SharedQueues>,
    pub(crate) remotes: Box<[Arc<Remote<H>>]>,
    /// How many workers the builder was told to start. There may be more; see [`Hooks::live`].
    pub(crate) workers: usize,
    pub(crate) idle: CachePadded<Idle>,
    pub(crate) closed: Closed,
    pub(crate) threads: Threads,
    pub(crate) reactor: Arc<Reactor>,
    /// The poller's token: whoever holds it may call `reactor.poll`. Never held while a task is polled.
    pub(crate) poller: CachePadded<Mutex<()>>,
    /// What timers go by.
    pub(crate) clock: Clock,
    pub(crate) arena: Arena,
    pub(crate) knobs: Knobs,
    /// Whether the policy lets workers take from one another.
    pub(crate) steals: bool,
    /// Whether the policy has a sleeper woken for what is put there, by [`Place`](crate::policy::Place).
    pub(crate) wakes_for: [bool; Place::KINDS.len()],
    pub(crate) thread_name: String,
    pub(crate) starter: OnceLock<Weak<dyn Start>>,
    pub(crate) parts: H,
}

/// A runtime that can start more threads of its own.
pub(crate) trait Start: Ambient {
    /// Starts a worker's thread. The caller has counted it by [`Shared::admit`].
    fn start_worker(self: Arc<Self>, worker: Unstarted) -> io::Result<()>;

    /// Which sleeper the policy has woken. Called outside of any lock.
    fn choose_sleeper(&self, sleepers: &SleeperView<'_>) -> Option<usize>;
}

/// One worker, as the other threads see it; for its queues see [`SharedQueues`].
pub(crate) struct Remote<H: State> {
    pub(crate) timers: Arc<TimerShard>,
    pub(crate) unparker: Unparker,
    /// The worker waits in the reactor, or is about to.
    pub(crate) polling: Arc<AtomicBool>,
    /// Polls so far. Only the worker writes it.
    pub(crate) polls: CachePadded<AtomicU64>,
    pub(crate) parts: H::Remote,
}

/// A worker that has no thread.
pub(crate) struct Unstarted {
    pub(crate) queues: OwnQueues,
    pub(crate) parker: Parker,
}

/// One worker's own side. Its thread finds it through a thread-local; no other thread touches it.
pub(crate) struct Local<H: State> {
    pub(crate) shared: Arc<Shared<H>>,
    /// This worker, as the others see it.
    pub(crate) remote: Arc<Remote<H>>,
    pub(crate) queues: OwnQueues,
    pub(crate) pinned: OwnPinned,
    pub(crate) blocks: RefCell<BlockCache>,
    pub(crate) parker: Parker,
    /// The policy is being asked.
    pub(crate) is_asking: Cell<bool>,
    pub(crate) searching: Cell<bool>,
    pub(crate) slot_streak: Cell<u32>,
    /// The reactor or the timers are waking tasks.
    pub(crate) in_driver: Cell<bool>,
    /// Ticks until the worker asks for sockets and timers.
    pub(crate) until_poll: Cell<u32>,
    /// How many more times it then leaves out the sockets, because what they woke before is not done yet.
    pub(crate) polls_left_out: Cell<u32>,
    /// The reactor had as much to report as it does at once.
    pub(crate) has_more_io: Cell<bool>,
    /// Ticks until the injector comes first.
    pub(crate) until_injected: Cell<u32>,
    pub(crate) parts: H::Local,
}

impl<H: State> Local<H> {
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.queues.index
    }

    #[inline]
    pub(crate) fn remote(&self) -> &Remote<H> {
        &self.remote
    }

    /// The calling thread's worker, if it is one of this runtime's.
    #[inline]
    pub(crate) fn current<'a>(shared: &Arc<Shared<H>>) -> Option<&'a Self> {
        let worker = current::worker_of(Arc::as_ptr(shared).cast())?;
        // SAFETY: the worker keeps its `Shared` alive, so no other value stands at that address, and the caller's has
        // the type `Shared<H>`; so the worker is a `Local<H>`. It is alive: `enter` keeps it further up on this
        // thread's stack, and the reference that we return does not leave the calls that come from there.
        Some(unsafe { &*worker.cast() })
    }

    /// Calls `body` with the calling thread's worker, whatever runtime's it is; meanwhile the thread has none. `None`:
    /// it has none already, or one with other parts.
    pub(crate) fn leave<R>(body: impl FnOnce(&Self) -> R) -> Option<R> {
        current::leave(TypeId::of::<H>(), |worker| {
            // SAFETY: the parts have the type `H`, so it is a `Local<H>`. It is alive as in `current`.
            body(unsafe { &*worker.cast::<Self>() })
        })
    }

    /// The number of the calling thread's worker, if it is one of this runtime's.
    fn current_index(shared: &Shared<H>) -> Option<usize> {
        let worker = current::worker_of(std::ptr::from_ref(shared).cast())?;
        // SAFETY: as in `current`: at that address is the caller's `Shared<H>`, and so the worker is a `Local<H>`.
        Some(unsafe { &*worker.cast::<Self>() }.index())
    }
}

impl<H: State> Shared<H> {
    #[inline]
    pub(crate) fn active(&self) -> &[Arc<Remote<H>>] {
        &self.remotes[..self.queues.active().len()]
    }

    /// The runtime as it can start threads; nothing once it is gone.
    pub(crate) fn starter(&self) -> Option<Arc<dyn Start>> {
        self.starter.get()?.upgrade()
    }
}

// A scheduler keeps its tasks' panics apart: none can leave it broken for a caller that catches one.
impl<H: State> std::panic::UnwindSafe for Shared<H> {}
impl<H: State> std::panic::RefUnwindSafe for Shared<H> {}

/// Counts by its only writer: no locked instruction.
#[inline]
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}
