#![doc = include_str!("README.md")]

pub(crate) mod driver;
pub(crate) mod idle;
pub(crate) mod placement;
pub(crate) mod queues;
pub(crate) mod shutdown;
pub(crate) mod steal;
pub(crate) mod worker;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_utils::CachePadded;
use runtime_core::park::Parker;
use runtime_core::primitives::Mutex;
use runtime_core::primitives::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use runtime_core::reactor::Reactor;
use runtime_core::task::{Arena, BlockCache, Task};
use runtime_core::time::{Clock, TimerShard};

use crate::deque::Injector;
use crate::ending::{Closed, Threads};
use crate::policy::surroundings::Surroundings;
use crate::seam::facts::State;
use crate::seam::plan::Rules;
use crate::waking::Waking;
use idle::Idle;
use queues::{OwnQueues, WorkerQueues};

/// The state that all threads of a runtime share.
pub(crate) struct Shared<H: State> {
    pub(crate) remotes: Box<[Arc<Remote<H>>]>,
    /// How many of them exist or have existed; these come first in the list.
    pub(crate) active: AtomicUsize,
    /// The configured number of workers. There may be more; see [`Hooks::live`].
    pub(crate) workers: usize,
    /// The queue that belongs to no worker.
    pub(crate) injector: CachePadded<Injector<Task>>,
    pub(crate) idle: CachePadded<Idle>,
    pub(crate) closed: Closed,
    pub(crate) threads: Threads,
    pub(crate) reactor: Arc<Reactor>,
    /// The poller's token: its holder may call `reactor.poll`. It is never held while a task is polled.
    pub(crate) poller: CachePadded<Mutex<()>>,
    /// The clock of the timers.
    pub(crate) clock: Clock,
    pub(crate) arena: Arena,
    pub(crate) rules: Rules,
    pub(crate) surroundings: Surroundings,
    pub(crate) parts: H,
}

/// One worker, as seen by the other threads.
pub(crate) struct Remote<H: State> {
    pub(crate) queues: WorkerQueues,
    pub(crate) timers: Arc<TimerShard>,
    pub(crate) waking: Arc<Waking>,
    /// The worker sleeps, or is about to: a hint for policies.
    pub(crate) asleep: AtomicBool,
    /// Polls so far. Only the worker writes it.
    pub(crate) polls: CachePadded<AtomicU64>,
    pub(crate) parts: H::Remote,
}

/// A worker's private state. Its thread finds it through a thread-local; no other thread touches it.
pub(crate) struct Local<H: State> {
    pub(crate) shared: Arc<Shared<H>>,
    /// This worker, as seen by the others.
    pub(crate) remote: Arc<Remote<H>>,
    pub(crate) queues: OwnQueues,
    pub(crate) blocks: RefCell<BlockCache>,
    pub(crate) parker: Parker,
    /// The policy is being asked at this moment.
    pub(crate) is_asking: Cell<bool>,
    pub(crate) searching: Cell<bool>,
    /// When this worker was about to sleep, there was work that its policy's search had not found.
    pub(crate) has_overlooked: Cell<bool>,
    pub(crate) slot_streak: Cell<u32>,
    /// The reactor or the timers are waking tasks.
    pub(crate) in_driver: Cell<bool>,
    /// Ticks until the worker checks sockets and timers.
    pub(crate) until_poll: Cell<u32>,
    /// Ticks until the injector comes first.
    pub(crate) until_injected: Cell<u32>,
    pub(crate) parts: H::Local,
}

impl<H: State> Shared<H> {
    #[inline]
    pub(crate) fn active(&self) -> &[Arc<Remote<H>>] {
        &self.remotes[..self.active.load(Relaxed)]
    }
}

impl<H: State> Local<H> {
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.queues.index
    }
}
