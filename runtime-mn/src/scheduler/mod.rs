#![doc = include_str!("README.md")]
#![allow(unsafe_code)]

pub(crate) mod driver;
pub(crate) mod idle;
pub(crate) mod placement;
pub(crate) mod queues;
pub(crate) mod shutdown;
pub(crate) mod steal;
pub(crate) mod worker;

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::io;
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use crossbeam_utils::CachePadded;
use runtime_core::Metrics;
use runtime_core::context::Ambient;
use runtime_core::park::{Parker, Unparker};
use runtime_core::primitives::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use runtime_core::primitives::{Mutex, thread_local};
use runtime_core::reactor::{Polled, Reactor};
use runtime_core::task::{AbortHandle, Arena, BlockCache, Ran, Task, TaskId};
use runtime_core::time::{Clock, TimerShard};

use crate::knobs::Knobs;
use idle::Idle;
use queues::{OwnQueues, SharedQueues};
use shutdown::{Closed, Threads};

/// What a part remembers: `Self` once for the runtime, and this for each worker.
pub(crate) trait State: Sized + Send + Sync + 'static {
    /// What only the worker's own thread touches.
    type Local;
    /// What all threads see.
    type Remote: Default + Send + Sync;
}

/// The seam. What a scheduler has beyond the textbook hooks in here. Each default is what Go does: nothing special.
///
/// The calls are statically dispatched, so a default costs nothing. `H` is the whole list of parts, of which `Self` is
/// one, or which `Self` is.
pub(crate) trait Hooks<H: Hooks<H> = Self>: State {
    /// A worker's own state of the part, as its thread starts.
    fn local(shared: &Shared<H>, worker: usize) -> Self::Local;

    // ---- Decisions

    /// A task is due. `None`: the part has taken it, and runs it elsewhere.
    #[inline]
    fn divert(_: &Arc<Shared<H>>, task: Task) -> Option<Task> {
        Some(task)
    }
    /// The worker has put a task where others can take it. Whether a sleeper is woken for it.
    #[inline]
    fn wakes_for_own(_: &Local<H>) -> bool {
        true
    }
    /// Sockets or timers have woken several tasks. Whether a sleeper is woken for them.
    #[inline]
    fn wakes_for_driven(_: &Local<H>) -> bool {
        true
    }
    /// Whether thieves may take from that worker's FIFO queue.
    #[inline]
    fn shares_fifo(_: &Shared<H>, _worker: usize) -> bool {
        true
    }
    /// Whether waiting for sockets is the business of a worker other than this one.
    #[inline]
    fn io_is_anothers(_: &Shared<H>, _worker: usize) -> bool {
        false
    }
    /// The worker was refused the poller's token. True: this has changed who may have it, with a sequentially
    /// consistent fence behind, and the worker tries once more.
    fn gives_up_io(_: &Shared<H>, _worker: usize) -> bool {
        false
    }
    /// What the worker is there for at the moment.
    fn duty(_: &Shared<H>, _worker: usize) -> Duty {
        Duty::Works
    }
    /// Between two tasks: whether the worker must stop working although the runtime goes on.
    #[inline]
    fn must_leave(_: &Local<H>) -> bool {
        false
    }

    // ---- Around what the scheduler does

    /// Polls a task.
    #[inline]
    fn poll(_: &Local<H>, task: Task) -> Ran {
        task.run()
    }
    /// Whether timers go by the part's own time, so that [`wait`](Hooks::wait) replaces a worker's wait.
    #[inline]
    fn has_own_time(_: &Shared<H>) -> bool {
        false
    }
    /// Waits for a token or a socket, or lets time pass. Called only by a part that has its own time.
    fn wait(_: &Local<H>) {}
    /// The life of a worker's thread. `work` returns when the runtime has closed, or when the worker
    /// [must leave](Hooks::must_leave).
    fn live(_: &Local<H>, work: &dyn Fn()) -> Ended {
        work();
        Ended::WithTheRuntime
    }
    /// Takes back what is left of a worker whose thread has [ended](Ended::Idle) although the runtime goes on.
    fn take_back(_: &Shared<H>, _: Unstarted) {}

    // ---- Work that is no task

    /// Looks there for work that is no task, and does it; see [`Local::found`]. True if there was some.
    #[inline]
    fn do_other_work(_: &Local<H>, _: Origin) -> bool {
        false
    }
    /// Whether there is such work.
    #[inline]
    fn has_other_work(_: &Shared<H>, _: Origin) -> bool {
        false
    }

    // ---- Facts

    /// Something has happened on a worker.
    #[inline]
    fn observe(_: &Local<H>, _: Event) {}
    /// Something has happened, on any thread.
    #[inline]
    fn observe_shared(_: &Shared<H>, _: SharedEvent<'_>) {}
    /// Adds what the part has counted.
    fn report(_: &Shared<H>, _: &mut Metrics) {}
    /// The workers' threads have started.
    ///
    /// # Errors
    /// When the system gives no threads. The runtime then ends.
    fn started(_: &Arc<Shared<H>>) -> io::Result<()> {
        Ok(())
    }
}

/// What a worker tells the parts. It is constant at each call, so that a part which ignores it costs nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Spawned,
    Queued(TaskId),
    PollBegins(TaskId),
    PollEnds,
    Finished,
    /// The next task came from the LIFO slot.
    SlotHit,
    /// The worker is between two tasks.
    BetweenTasks,
    /// A task of its own was taken out to run.
    Took,
    /// There is nothing left in its queues.
    RanOut,
    /// A sleeper was woken for a task in the worker's queues.
    Woke,
    StealTried,
    /// So many tasks came along. 0: it was work that is no task.
    Stole(usize),
    ReactorPolled(Polled, Instant),
    Sleeps(Instant),
    /// It wakes up, or begins. A sequentially consistent fence comes before what it does next.
    Wakes(Instant),
    /// Work that is no task begins outside of any poll.
    OtherWorkBegins,
    OtherWorkEnds,
    /// A piece of such work was done, inside of a poll or outside.
    OtherWorkDone,
    /// It has given away all that it had.
    Leaves,
}

/// What happens on any thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SharedEvent<'a> {
    SpawnedOutside,
    /// A thread that is no worker has polled a task.
    PolledOutside,
    FinishedOutside,
    Cancelled,
    /// The task has held up its worker in one poll, for so many times by now.
    Caught(&'a AbortHandle, u32),
    /// The worker is being woken.
    Unparks(usize),
    /// Whatever the worker has reserved for itself, others must be able to take now.
    HeldUp(usize),
    Closed,
    /// Whatever tasks a part has queued are to be [cancelled](Shared::cancel).
    Sweep,
}

/// Where a worker looks for work that is no task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Own,
    Worker(usize),
    Outside,
}

/// What a worker is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    Works,
    /// Its task has borrowed its thread: it comes back.
    Away,
    /// It has nothing to do until it is needed.
    Waits,
}

/// Why a worker's thread ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    WithTheRuntime,
    /// It was not needed for a while. Another thread may be its next.
    Idle,
}

/// What all threads of a runtime share.
pub(crate) struct Shared<H: State> {
    pub(crate) queues: Arc<SharedQueues>,
    pub(crate) remotes: Box<[Remote<H>]>,
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
    pub(crate) wakes_for: [bool; 4],
    pub(crate) thread_name: String,
    pub(crate) starter: OnceLock<Weak<dyn Start>>,
    pub(crate) parts: H,
}

/// A runtime that can start more threads of its own.
pub(crate) trait Start: Ambient {
    /// Starts a worker's thread. The caller has counted it by [`Shared::admit`].
    fn start_worker(self: Arc<Self>, worker: Unstarted) -> io::Result<()>;
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
    pub(crate) queues: OwnQueues,
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

/// The calling thread's worker. The pointers are for comparing, until [`Local::current`] knows their type.
#[derive(Clone, Copy)]
struct Current {
    local: *const (),
    shared: *const (),
    parts: Option<TypeId>,
}

const NO_WORKER: Current = Current {
    local: ptr::null(),
    shared: ptr::null(),
    parts: None,
};

thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(NO_WORKER) };
    /// The runtime whose worker has left this thread for a while.
    static AWAY: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

impl<H: Hooks> Local<H> {
    pub(crate) fn new(shared: Arc<Shared<H>>, worker: Unstarted) -> Self {
        Self {
            in_driver: Cell::new(false),
            until_poll: Cell::new(shared.knobs.poll_tick),
            polls_left_out: Cell::new(0),
            has_more_io: Cell::new(false),
            until_injected: Cell::new(shared.knobs.injector_tick),
            parts: H::local(&shared, worker.queues.index),
            shared,
            queues: worker.queues,
            parker: worker.parker,
            blocks: RefCell::default(),
            is_asking: Cell::new(false),
            searching: Cell::new(false),
            slot_streak: Cell::new(0),
        }
    }

    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.queues.index
    }

    #[inline]
    pub(crate) fn remote(&self) -> &Remote<H> {
        &self.shared.remotes[self.queues.index]
    }

    /// Calls `body` with this as the calling thread's worker.
    pub(crate) fn enter(&self, body: impl FnOnce()) {
        CURRENT.set(Current {
            local: ptr::from_ref(self).cast(),
            shared: Arc::as_ptr(&self.shared).cast(),
            parts: Some(TypeId::of::<H>()),
        });
        H::observe(self, Event::Wakes(Instant::now()));
        body();
        CURRENT.set(NO_WORKER);
    }

    /// The calling thread's worker, if it is one of this runtime's.
    #[inline]
    pub(crate) fn current<'a>(shared: &Arc<Shared<H>>) -> Option<&'a Self> {
        let current = CURRENT.try_with(Cell::get).ok()?;
        if !ptr::eq(current.shared, Arc::as_ptr(shared).cast()) {
            return None;
        }
        // SAFETY: the worker keeps its `Shared` alive, so no other value stands at that address, and the caller's has
        // the type `Shared<H>`; so the worker is a `Local<H>`. It is alive: `enter` keeps it further up on this
        // thread's stack, and the reference that we return does not leave the calls that come from there.
        Some(unsafe { &*current.local.cast() })
    }

    /// Calls `body` with the calling thread's worker, whatever runtime's it is; meanwhile the thread has none. `None`:
    /// it has none already, or one with other parts.
    pub(crate) fn leave<R>(body: impl FnOnce(&Self) -> R) -> Option<R> {
        struct Return(Current);
        impl Drop for Return {
            fn drop(&mut self) {
                AWAY.set(ptr::null());
                CURRENT.set(self.0);
            }
        }
        let current = CURRENT.try_with(Cell::get).unwrap_or(NO_WORKER);
        if current.parts != Some(TypeId::of::<H>()) {
            return None;
        }
        CURRENT.set(NO_WORKER);
        AWAY.set(current.shared);
        let _return = Return(current);
        // SAFETY: the parts have the type `H`, so it is a `Local<H>`. It is alive as in `current`.
        Some(body(unsafe { &*current.local.cast::<Self>() }))
    }

    /// Whether a worker of this runtime has [left](Local::leave) the calling thread to what runs there now.
    pub(crate) fn is_away(shared: &Arc<Shared<H>>) -> bool {
        let away = AWAY.try_with(Cell::get).unwrap_or(ptr::null());
        ptr::eq(away, Arc::as_ptr(shared).cast())
    }
}

/// What a runtime is started with.
pub(crate) struct Plan {
    pub(crate) workers: usize,
    /// How many more workers there may be.
    pub(crate) extra_workers: usize,
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) clock: Clock,
    pub(crate) knobs: Knobs,
    pub(crate) steals: bool,
    pub(crate) wakes_for: [bool; 4],
    pub(crate) thread_name: String,
}

impl<H: Hooks> Shared<H> {
    pub(crate) fn new(plan: Plan, parts: H) -> (Self, Vec<Unstarted>) {
        let slots = plan.workers + plan.extra_workers;
        let (queues, own_queues) = SharedQueues::new(slots, plan.workers);
        let workers = own_queues.into_iter().map(|queues| Unstarted {
            queues,
            parker: Parker::new(),
        });
        let workers: Vec<_> = workers.collect();
        let shared = Self {
            queues,
            remotes: workers
                .iter()
                .map(|it| Remote::new(it, &plan.reactor))
                .collect(),
            workers: plan.workers,
            idle: CachePadded::new(Idle::new(plan.workers)),
            closed: Closed::new(),
            threads: Threads::new(),
            reactor: plan.reactor,
            poller: CachePadded::default(),
            clock: plan.clock,
            arena: Arena::default(),
            knobs: plan.knobs,
            steals: plan.steals,
            wakes_for: plan.wakes_for,
            thread_name: plan.thread_name,
            starter: OnceLock::new(),
            parts,
        };
        (shared, workers)
    }

    #[inline]
    pub(crate) fn active(&self) -> &[Remote<H>] {
        &self.remotes[..self.queues.active().len()]
    }

    /// A worker for what belongs to none, such as the timers of other threads.
    pub(crate) fn any_worker(&self) -> &Remote<H> {
        let here = (0..self.workers).find(|worker| H::duty(self, *worker) != Duty::Away);
        &self.remotes[here.unwrap_or(0)]
    }

    /// The runtime as it can start threads; nothing once it is gone.
    pub(crate) fn starter(&self) -> Option<Arc<dyn Start>> {
        self.starter.get()?.upgrade()
    }

    /// Wakes a worker wherever it waits.
    pub(crate) fn unpark(&self, worker: usize) {
        H::observe_shared(self, SharedEvent::Unparks(worker));
        let remote = &self.remotes[worker];
        unpark(&remote.unparker, &remote.polling, Some(&self.reactor));
    }
}

impl<H: Hooks> Remote<H> {
    fn new(worker: &Unstarted, reactor: &Arc<Reactor>) -> Self {
        let polling = Arc::new(AtomicBool::new(false));
        let (unparker, of_timers) = (worker.parker.unparker(), Arc::clone(&polling));
        let reactor = Arc::downgrade(reactor);
        // A timer that another thread sets must end a wait that would be too long.
        let timers = TimerShard::new(Box::new(move || {
            unpark(&unparker, &of_timers, reactor.upgrade().as_deref());
        }));
        Self {
            timers,
            unparker: worker.parker.unparker(),
            polling,
            polls: CachePadded::default(),
            parts: H::Remote::default(),
        }
    }
}

/// Ends a worker's wait, on its parker or in the reactor.
fn unpark(unparker: &Unparker, polling: &AtomicBool, reactor: Option<&Reactor>) {
    unparker.unpark();
    // The token is left before this is read; pairs with `Local::wait_in_reactor`, which does it the other way round.
    fence(SeqCst);
    if polling.load(Relaxed)
        && let Some(reactor) = reactor
    {
        reactor.notify();
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
