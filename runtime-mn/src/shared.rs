//! What workers, handles and tasks share, whatever the policy: where a task goes, who is told, and how it all ends.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use runtime_core::blocking::BlockingPool;
use runtime_core::context::Ambient;
use runtime_core::primitives::atomic::Ordering::{Relaxed, SeqCst};
use runtime_core::primitives::{Condvar, Mutex};
use runtime_core::reactor::Reactor;
use runtime_core::sync::Semaphore;
use runtime_core::task::{Arena, Task};
use runtime_core::time::Clock;

use crate::batch_lane::BatchLane;
use crate::clocks::Clocks;
use crate::closed::Closed;
use crate::deque::{Injector, Steal};
use crate::fork_join::JobRef;
use crate::idle::Idle;
use crate::knobs::{Knobs, SocketHelp};
use crate::local::Parts;
use crate::monitor::Monitor;
use crate::policy::{Place, Policy};
use crate::remote::Remote;
use crate::simulated;
use crate::sockets::{Help, Keeper};

/// A runtime that can start more threads of its own.
pub(crate) trait Start: Ambient {
    /// Starts a worker's thread. The caller has counted it by [`Shared::admit_worker`].
    fn start_worker(self: Arc<Self>, parts: Parts, index: usize) -> io::Result<()>;
}

pub(crate) struct Shared {
    pub(crate) arena: Arena,
    pub(crate) injector: CachePadded<Injector<Task>>,
    /// Closures that threads which are no workers have forked.
    pub(crate) job_injector: CachePadded<Injector<JobRef>>,
    /// All workers, the spare ones last.
    pub(crate) remotes: Box<[Remote]>,
    /// How many of them are no spares.
    pub(crate) workers: usize,
    pub(crate) idle: CachePadded<Idle>,
    pub(crate) reactor: Arc<Reactor>,
    /// The poller's token: whoever holds it may call `reactor.poll`. Never held while a task is polled.
    pub(crate) poller: CachePadded<Mutex<Help>>,
    /// The worker that serves the sockets without help.
    pub(crate) keeper: CachePadded<Keeper>,
    pub(crate) blocking: Arc<BlockingPool>,
    pub(crate) closed: Closed,
    /// A permit for each `stop` that has ended no `run_forever` yet.
    pub(crate) stops: Semaphore,
    pub(crate) knobs: Knobs,
    /// Whether the policy lets workers take from one another.
    pub(crate) steals: bool,
    /// Whether the policy has a sleeper told of what is put there; by [`Place`].
    tells: [bool; 4],
    pub(crate) policy_name: &'static str,
    pub(crate) thread_name: String,
    pub(crate) monitor: Monitor,
    pub(crate) batch_lane: BatchLane,
    /// Measurements that cost a clock per poll, if they were asked for.
    pub(crate) clocks: Option<Clocks>,
    pub(crate) counters: SharedCounters,
    /// What timers go by. The counters, the monitor and the batch lane go by the system's clock.
    pub(crate) clock: Clock,
    /// The zero of the counters' times.
    epoch: Instant,
    starter: OnceLock<Weak<dyn Start>>,
    threads: Mutex<Threads>,
    thread_ended: Condvar,
}

/// The runtime's threads.
#[derive(Debug)]
struct Threads {
    /// Workers that have not begun to end.
    workers_not_ending: usize,
    /// Threads, workers or not, that have not ended.
    running: usize,
}

/// Written by threads that are no workers, and rarely.
#[derive(Debug, Default)]
pub(crate) struct SharedCounters {
    pub(crate) spawned: AtomicU64,
    pub(crate) cancelled: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("policy", &self.policy_name)
            .field("remotes", &self.remotes)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new<P: Policy>(
        builder: &crate::Builder,
        policy: &P,
    ) -> io::Result<(Self, Vec<Parts>)> {
        let reactor = Reactor::new(builder.reactor)?;
        simulated::ask_when_released(&builder.clock, &reactor);
        let workers = builder.workers;
        let spares = builder.monitor.spares();
        let (mut parts, remotes): (Vec<_>, Vec<_>) =
            (0..workers + spares).map(|_| Parts::new(&reactor)).unzip();
        let spare_parts = parts.split_off(workers);
        let knobs = builder.knobs.apply(policy.knobs());
        let is_patient = builder.monitor.enabled && !knobs.patience.is_zero();
        let socket_help = if is_patient && !builder.clock.is_simulated() {
            knobs.socket_help
        } else {
            SocketHelp::Always
        };
        let blocking = BlockingPool::new(builder.blocking.clone());
        if let Some(executor) = &builder.default_executor {
            blocking.set_default(executor.clone());
        }
        let shared = Self {
            arena: Arena::default(),
            injector: CachePadded::default(),
            job_injector: CachePadded::default(),
            idle: CachePadded::new(Idle::new(workers)),
            remotes: remotes.into_boxed_slice(),
            workers,
            reactor,
            poller: CachePadded::new(Mutex::new(Help::new(socket_help))),
            keeper: CachePadded::default(),
            blocking,
            closed: Closed::new(),
            stops: Semaphore::new(0),
            knobs,
            steals: policy.steals(),
            tells: Place::ALL.map(|place| policy.tells(place)),
            policy_name: policy.name(),
            thread_name: builder.thread_name.clone(),
            monitor: Monitor::new(builder.monitor.clone(), workers, spare_parts),
            batch_lane: BatchLane::new(
                builder.monitor.batch_threads(workers),
                builder.monitor.batch_nice,
            ),
            clocks: builder.histograms.then(|| Clocks::new(workers + spares)),
            counters: SharedCounters::default(),
            clock: builder.clock.clone(),
            epoch: Instant::now(),
            starter: OnceLock::new(),
            threads: Mutex::new(Threads {
                workers_not_ending: 0,
                running: 0,
            }),
            thread_ended: Condvar::new(),
        };
        Ok((shared, parts))
    }

    /// The runtime as it can start threads; nothing once it is gone.
    pub(crate) fn starter(&self) -> Option<Arc<dyn Start>> {
        self.starter.get()?.upgrade()
    }

    pub(crate) fn set_starter(&self, starter: Weak<dyn Start>) {
        assert!(self.starter.set(starter).is_ok(), "set once, at the start");
    }

    /// The workers that exist or ever stood in: no need to look at the other spares.
    pub(crate) fn reach(&self) -> &[Remote] {
        &self.remotes[..self.monitor.reach()]
    }

    pub(crate) fn nanoseconds(&self, instant: Instant) -> u64 {
        instant.duration_since(self.epoch).as_nanos() as u64
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.nanoseconds(Instant::now())
    }

    /// A worker for what belongs to none, such as the timers of a thread that is none: the first one that is not away.
    pub(crate) fn any_worker(&self) -> &Remote {
        let is_here = |remote: &&Remote| !remote.observed.in_place.load(Relaxed);
        let here = self.remotes[..self.workers].iter().find(is_here);
        here.unwrap_or(&self.remotes[0])
    }

    /// Something was injected: a worker must see it, soon.
    #[inline]
    pub(crate) fn notify_one(&self) {
        if let Some(worker) = self.idle.notify_one() {
            self.unpark(worker);
        }
    }

    /// Something was put into the calling worker's own queue, which another worker could take. True if one was woken.
    #[inline]
    pub(crate) fn tell(&self) -> bool {
        let told = self.idle.tell();
        if let Some(worker) = told {
            self.unpark(worker);
        }
        told.is_some()
    }

    /// Whether a sleeper is woken for what was put there.
    #[inline]
    pub(crate) fn tells(&self, place: Place) -> bool {
        self.tells[place as usize]
    }

    /// How long a worker keeps work to itself. Not at all without a monitor, which sees to it if a long poll holds
    /// that up.
    pub(crate) fn patience(&self) -> Duration {
        if self.monitor.is_on() {
            self.knobs.patience
        } else {
            Duration::ZERO
        }
    }

    #[cold]
    fn unpark(&self, worker: usize) {
        self.remotes[worker].unpark(&self.reactor);
    }

    /// Queues a task from a thread that is no worker.
    pub(crate) fn inject(self: &Arc<Self>, task: Task) {
        if task.is_marked() {
            return self.batch_lane.push(self, task);
        }
        self.injector.push(task);
        self.notify_one();
    }

    pub(crate) fn has_injected(&self) -> bool {
        !self.injector.is_empty() || !self.job_injector.is_empty()
    }

    /// Begins the shutdown: spawns are refused, and workers end after their current poll.
    pub(crate) fn close(&self) {
        self.closed.set();
        for worker in &self.remotes {
            worker.unpark(&self.reactor);
        }
        self.monitor.close();
        self.batch_lane.close();
    }

    /// The last look of a worker that goes to sleep: whether there is anything that it may take.
    pub(crate) fn has_work_for_others(&self) -> bool {
        self.has_injected() || self.steals && self.anybody_shares()
    }

    fn anybody_shares(&self) -> bool {
        let mut reach = self.reach().iter().enumerate();
        reach.any(|(index, remote)| remote.has_work(!self.keeper.is(index)))
    }

    pub(crate) fn cancel(&self, task: Task) {
        self.counters.cancelled.fetch_add(1, Relaxed);
        task.cancel();
    }

    pub(crate) fn cancel_injected(&self) {
        loop {
            match self.injector.steal() {
                Steal::Success(task) => self.cancel(task),
                Steal::Retry => {}
                Steal::Empty => break,
            }
        }
    }

    /// Cancels every task that is in a queue or idle. Returns how many were alive: those of them that are being
    /// polled, or are on their way into a queue, still are.
    pub(crate) fn sweep(&self) -> usize {
        self.cancel_injected();
        for worker in &self.remotes {
            for queue in [&worker.spawned, &worker.woken] {
                loop {
                    match queue.steal() {
                        Steal::Success(task) => self.cancel(task),
                        Steal::Retry => {}
                        Steal::Empty => break,
                    }
                }
            }
            if let Some(task) = worker.slot.take() {
                self.cancel(task);
            }
        }
        self.batch_lane.drain(|task| self.cancel(task));
        self.arena.abort_all(|task| self.cancel(task))
    }

    /// Counts a thread that is about to be started. False: the runtime has closed, and takes no more.
    fn admit(&self, workers: usize) -> bool {
        let mut threads = self.threads.lock();
        if self.closed.load(SeqCst) {
            return false;
        }
        threads.workers_not_ending += workers;
        threads.running += 1;
        true
    }

    /// Counts a worker's thread that is about to be started. False: the runtime has closed.
    pub(crate) fn admit_worker(&self) -> bool {
        self.admit(1)
    }

    /// Counts another thread that is about to be started. False: the runtime has closed.
    pub(crate) fn admit_thread(&self) -> bool {
        self.admit(0)
    }

    /// A worker begins to end. True for the last one.
    pub(crate) fn is_last_to_end(&self) -> bool {
        let mut threads = self.threads.lock();
        threads.workers_not_ending -= 1;
        threads.workers_not_ending == 0
    }

    /// A worker ends although the runtime goes on. False: the runtime has closed, and it must end like all.
    pub(crate) fn one_worker_less(&self) -> bool {
        let mut threads = self.threads.lock();
        let may_go = !self.closed.load(SeqCst);
        if may_go {
            // Others remain: they do not begin to end before it is closed.
            threads.workers_not_ending -= 1;
        }
        may_go
    }

    /// A thread's last act, or that of whoever could not start it.
    pub(crate) fn thread_ended(&self) {
        self.threads.lock().running -= 1;
        self.thread_ended.notify_all();
    }

    /// Waits until every thread has ended, but not past `deadline` (`None`: for ever). True if they have.
    pub(crate) fn wait_for_threads(&self, deadline: Option<Instant>) -> bool {
        let mut threads = self.threads.lock();
        while threads.running > 0 {
            match deadline {
                None => self.thread_ended.wait(&mut threads),
                Some(deadline) => {
                    let waited = self.thread_ended.wait_until(&mut threads, deadline);
                    if waited.timed_out() {
                        return threads.running == 0;
                    }
                }
            }
        }
        true
    }
}

// A scheduler keeps its tasks' panics apart: none can leave it broken for a caller that catches one.
impl std::panic::UnwindSafe for Shared {}
impl std::panic::RefUnwindSafe for Shared {}
