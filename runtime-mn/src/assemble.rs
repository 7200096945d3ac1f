//! How a runtime is assembled: the scheduler with a policy and its parts, and the context of the code on its threads.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use runtime_core::blocking::BlockingPool;
use runtime_core::context::{Ambient, Binding, IoDriver, Refused};
use runtime_core::park::Parker;
use runtime_core::primitives::atomic::{AtomicBool, AtomicUsize};
use runtime_core::primitives::thread;
use runtime_core::reactor::Reactor;
use runtime_core::task::Arena;
use runtime_core::task::{SchedulerArc, Task};
use runtime_core::time::{Clock, TimerShard};

use crate::binding::Scheduler;
use crate::builder::Builder;
use crate::deque::Worker as Deque;
use crate::ending::{Closed, Threads};
use crate::life::Worker;
use crate::parts::list::{Installed, OfRemote};
use crate::policy::asking::ask_for_sleeper;
use crate::policy::surroundings::Surroundings;
use crate::policy::{Place, Policy, SleeperView};
use crate::random::Random;
use crate::scheduler::idle::Idle;
use crate::scheduler::queues::{OwnQueues, WorkerQueues};
use crate::scheduler::{Local, Remote, Shared};
use crate::seam::Hooks;
use crate::seam::facts::Duty;
use crate::seam::plan::{Plan, Rules, Start, Unstarted};
use crate::topology;
use crate::waking::Waking;

/// A runtime, as seen by the code on its threads.
struct Mn<P: Policy> {
    scheduler: SchedulerArc<Scheduler<P, Installed>>,
    blocking: Arc<BlockingPool>,
    pins_workers: bool,
}

/// A runtime whose workers have no threads yet.
pub(crate) struct Assembled {
    pub(crate) shared: Arc<Shared<Installed>>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) starter: Arc<dyn Start>,
    pub(crate) workers: Vec<Unstarted>,
}

/// Assembles a runtime from the builder's settings and the policy.
pub(crate) fn assemble<P: Policy>(builder: &Builder, policy: P) -> io::Result<Assembled> {
    let mut knobs = builder.knobs.apply(policy.knobs());
    builder.parts.adjust(&mut knobs);
    let plan = Plan {
        workers: builder.workers,
        extra_workers: builder.parts.extra_workers(),
        reactor: Reactor::new(builder.reactor)?,
        clock: builder.clock.clone(),
        rules: Rules {
            knobs,
            steals: policy.steals(),
            wakes_for: Place::KINDS.map(|place| policy.wakes_for(place)),
        },
        thread_name: builder.thread_name.clone(),
        topology: builder.checked_topology()?,
    };
    let parts = Installed::new(&builder.parts, &plan);
    let (shared, mut workers) = new_scheduler(plan, parts);
    if shared.clock.is_simulated() && !Installed::has_own_time(&shared) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a simulated clock needs the part `simulated-time`, which this runtime was built without",
        ));
    }
    // In reverse, so that the first one is taken first.
    for extra in workers.split_off(builder.workers).into_iter().rev() {
        Installed::take_back(&shared, extra);
    }
    let mut blocking = builder.blocking.clone();
    if builder.pins_workers {
        topology::before_pinning();
        blocking.on_thread_start = Some(topology::unpin);
    }
    let blocking = BlockingPool::new(blocking);
    if let Some(executor) = &builder.default_executor {
        blocking.set_default(executor.clone());
    }
    let shared = Arc::new(shared);
    let mn = Arc::new(Mn {
        scheduler: SchedulerArc::new(Scheduler::new(policy, Arc::clone(&shared))),
        blocking,
        pins_workers: builder.pins_workers,
    });
    let starter: Arc<dyn Start> = Arc::clone(&mn) as _;
    shared.threads.set_starter(&starter);
    let ambient: Arc<dyn Ambient> = mn;
    ambient
        .blocking_pool()
        .set_ambient(Arc::downgrade(&ambient));
    Ok(Assembled {
        shared,
        ambient,
        starter,
        workers,
    })
}

/// The scheduler's shared state, and its workers.
fn new_scheduler(plan: Plan, parts: Installed) -> (Shared<Installed>, Vec<Unstarted>) {
    let slots = plan.workers + plan.extra_workers;
    let workers = (0..slots).map(|index| Unstarted {
        queues: own_queues(index),
        parker: Parker::new(),
    });
    let workers: Vec<_> = workers.collect();
    let shared = Shared {
        remotes: workers
            .iter()
            .map(|it| new_remote(it, &plan.reactor))
            .collect(),
        active: AtomicUsize::new(plan.workers),
        workers: plan.workers,
        injector: CachePadded::default(),
        idle: CachePadded::new(Idle::new(plan.workers)),
        closed: Closed::new(),
        threads: Threads::new(plan.thread_name),
        reactor: plan.reactor,
        poller: CachePadded::default(),
        clock: plan.clock.clone(),
        arena: Arena::default(),
        rules: plan.rules,
        surroundings: Surroundings::new(plan.topology, plan.clock),
        parts,
    };
    (shared, workers)
}

fn own_queues(index: usize) -> OwnQueues {
    OwnQueues {
        index,
        lifo: Deque::new_lifo(),
        fifo: Deque::new_fifo(),
        tick: Cell::new(0),
        random: Random::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(index as u64 + 1)),
        state: Default::default(),
    }
}

fn new_remote(worker: &Unstarted, reactor: &Arc<Reactor>) -> Arc<Remote<Installed>> {
    let waking = Arc::new(Waking::of(&worker.parker));
    let of_timers = Arc::clone(&waking);
    let reactor = Arc::downgrade(reactor);
    // A timer that another thread sets must end a wait that would be too long.
    let timers = TimerShard::new(Box::new(move || {
        of_timers.unpark(reactor.upgrade().as_deref());
    }));
    Arc::new(Remote {
        queues: WorkerQueues {
            slot: CachePadded::default(),
            lifo: worker.queues.lifo.stealer(),
            fifo: worker.queues.fifo.stealer(),
        },
        timers,
        waking,
        asleep: AtomicBool::new(false),
        polls: CachePadded::default(),
        parts: OfRemote::default(),
    })
}

/// A worker for work that belongs to none, such as the timers of other threads.
fn any_worker(shared: &Shared<Installed>) -> &Arc<Remote<Installed>> {
    let is_here = |worker: &usize| Installed::duty(shared, *worker) != Duty::Away;
    let here = (0..shared.workers).find(is_here);
    &shared.remotes[here.unwrap_or(0)]
}

impl<P: Policy> Ambient for Mn<P> {
    fn name(&self) -> &'static str {
        "mn"
    }

    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Shared(self.scheduler.erased())
    }

    fn launch(&self, task: Task) -> Result<(), Refused> {
        let scheduler = &self.scheduler;
        let queued = scheduler.shared.spawn(scheduler.policy(), task);
        queued.map_err(|task| Refused { task, error: None })
    }

    fn io_driver(&self) -> IoDriver {
        IoDriver::Reactor(Arc::clone(&self.scheduler.shared.reactor))
    }

    fn timer_shard(&self) -> Arc<TimerShard> {
        let shared = &self.scheduler.shared;
        let remote = Local::current(shared).map_or_else(|| any_worker(shared), |it| &it.remote);
        Arc::clone(&remote.timers)
    }

    fn clock(&self) -> &Clock {
        &self.scheduler.shared.clock
    }

    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        &self.blocking
    }
}

impl<P: Policy> Start for Mn<P> {
    fn start_worker(self: Arc<Self>, worker: Unstarted) -> io::Result<()> {
        let shared = &self.scheduler.shared;
        let name = format!("{}-{}", shared.threads.name, worker.queues.index);
        let life = move || {
            let (shared, index) = (&self.scheduler.shared, worker.queues.index);
            if self.pins_workers && index < shared.workers {
                topology::pin(shared.surroundings.topology().cpu(index).number);
            } else if self.pins_workers {
                topology::unpin();
            }
            Worker::new(self.scheduler.clone(), worker).main(self);
        };
        thread::Builder::new().name(name).spawn(life).map(drop)
    }

    fn choose_sleeper(&self, sleepers: &SleeperView<'_>) -> Option<usize> {
        ask_for_sleeper(self.scheduler.policy(), sleepers)
    }
}
