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
use runtime_core::primitives::atomic::{AtomicBool, AtomicUsize};
use runtime_core::reactor::Reactor;
use runtime_core::task::{Arena, BlockCache, Task};
use runtime_core::time::{Clock, TimerShard};

use crate::deque::Injector;
use crate::ending::{Closed, Threads};
use crate::policy::view::Surroundings;
use crate::seam::facts::State;
use crate::seam::plan::Rules;
use crate::waking::Waking;
use idle::Idle;
use queues::{OwnQueues, WorkerQueues};

/// What all threads of a runtime share.
pub(crate) struct Shared<H: State> {
    pub(crate) remotes: Box<[Arc<Remote<H>>]>,
    /// How many of them exist or ever did: the first so many.
    pub(crate) active: AtomicUsize,
    /// How many workers the builder was told to start. There may be more; see [`Hooks::live`].
    pub(crate) workers: usize,
    /// The queue that belongs to nobody.
    pub(crate) injector: CachePadded<Injector<Task>>,
    pub(crate) idle: CachePadded<Idle>,
    pub(crate) closed: Closed,
    pub(crate) threads: Threads,
    pub(crate) reactor: Arc<Reactor>,
    /// The poller's token: whoever holds it may call `reactor.poll`. Never held while a task is polled.
    pub(crate) poller: CachePadded<Mutex<()>>,
    /// What timers go by.
    pub(crate) clock: Clock,
    pub(crate) arena: Arena,
    pub(crate) rules: Rules,
    pub(crate) surroundings: Surroundings,
    pub(crate) parts: H,
}

/// One worker, as the other threads see it.
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

/// One worker's own side. Its thread finds it through a thread-local; no other thread touches it.
pub(crate) struct Local<H: State> {
    pub(crate) shared: Arc<Shared<H>>,
    /// This worker, as the others see it.
    pub(crate) remote: Arc<Remote<H>>,
    pub(crate) queues: OwnQueues,
    pub(crate) blocks: RefCell<BlockCache>,
    pub(crate) parker: Parker,
    /// The policy is being asked.
    pub(crate) is_asking: Cell<bool>,
    pub(crate) searching: Cell<bool>,
    /// There was work when this worker was about to sleep, and its policy's search had not found it.
    pub(crate) has_overlooked: Cell<bool>,
    pub(crate) slot_streak: Cell<u32>,
    /// The reactor or the timers are waking tasks.
    pub(crate) in_driver: Cell<bool>,
    /// Ticks until the worker asks for sockets and timers.
    pub(crate) until_poll: Cell<u32>,
    /// Ticks until the injector comes first.
    pub(crate) until_injected: Cell<u32>,
    pub(crate) parts: H::Local,
}
