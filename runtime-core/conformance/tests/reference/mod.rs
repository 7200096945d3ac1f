//! How to add a runtime: a complete one, as simple as possible, from the parts of the core.
//!
//! One queue under one lock, a few threads that run what is in it, and one more thread that waits for sockets and
//! timers. It is slow and scales badly, but nothing is missing: it passes the conformance suite. Read it in this
//! order:
//!
//! 1. [`Scheduler`] answers the one question of a scheduler: where does this woken task go, and who must be woken?
//! 2. [`Core`] is everything that the threads share. It is the [`Ambient`] that sockets, timers and the free functions
//!    find.
//! 3. [`Reference`] owns the threads: it starts them and ends them.
//! 4. [`Handle`] is what users get. As a [`Native`] handle, it has the core's own sockets, timers and channels.
//! 5. As a [`Subject`], it goes through the suite.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle as Thread};
use std::time::{Duration, Instant};

use runtime_core::blocking::{BlockingConfig, BlockingPool, is_in_job_of};
use runtime_core::context::{self, Ambient, Binding, EnterGuard, IoDriver, Refused, Role};
use runtime_core::park::block_on_current_thread;
use runtime_core::reactor::{Reactor, ReactorKind};
use runtime_core::task::{Arena, Ran, SafeSchedule, SchedulerArc, Task};
use runtime_core::testing::{AmbientSubject, Subject};
use runtime_core::time::TimerShard;
use runtime_core::{Capabilities, Metrics, Native, spawn_on};

/// Where does this woken task go? To the end of the only queue. Who must be woken? One idle worker, if there is one.
#[derive(Default)]
struct Scheduler {
    state: Mutex<State>,
    /// Signalled when a task was queued, or when the last task has ended after the shutdown began. Only workers wait
    /// for it: a signal to one thread must reach a thread that takes the task.
    work: Condvar,
    /// Signalled when the last task has ended.
    ended: Condvar,
    /// The memory of all tasks. Waiting tasks are in no queue; a shutdown reaches them through the arena.
    arena: Arena,
}

#[derive(Default)]
struct State {
    due: VecDeque<Task>,
    /// Tasks that were spawned and have not ended.
    live: usize,
    /// The names of the tasks that are being polled.
    running: Vec<String>,
    shutting_down: bool,
}

impl SafeSchedule for Scheduler {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        this.state().due.push_back(task);
        this.work.notify_one();
    }

    fn arena(&self) -> Option<&Arena> {
        Some(&self.arena)
    }
}

impl Scheduler {
    fn state(&self) -> MutexGuard<'_, State> {
        // No user code runs under this lock, so nothing can panic there.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a new task. After the shutdown has begun it returns the task.
    fn launch(&self, task: Task) -> Result<(), Refused> {
        let mut state = self.state();
        if state.shutting_down {
            return Err(Refused { task, error: None });
        }
        state.live += 1;
        state.due.push_back(task);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// What a worker does until the runtime has ended, which means that every task has ended.
    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some(task) = state.due.pop_front() {
                let name = task.name().to_owned();
                state.running.push(name.clone());
                drop(state);
                // After the shutdown has begun every task was aborted: `run` drops its future instead of polling it.
                let ran = task.run();
                state = self.state();
                let position = state.running.iter().position(|running| *running == name);
                state
                    .running
                    .swap_remove(position.expect("it was put there"));
                match ran {
                    Ran::Finished => {
                        state.live -= 1;
                        if state.live == 0 {
                            self.work.notify_all();
                            self.ended.notify_all();
                        }
                    }
                    Ran::Parked => {}
                    // Woken while it ran: to the end of the queue, so that all others get a turn first.
                    Ran::Woken(task) | Ran::Yielded(task) => state.due.push_back(task),
                }
            } else if state.shutting_down && state.live == 0 {
                return;
            } else {
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Begins the shutdown: from now on no task is accepted or polled.
    fn shut_down(&self) {
        self.state().shutting_down = true;
        // This gets the waiting tasks. The workers end them, and those that are already queued or running.
        self.arena
            .abort_all(|task| self.state().due.push_back(task));
        self.work.notify_all();
    }

    /// Waits until every task has ended. Returns the names of those that are still in their poll at `deadline`.
    fn wait_for_the_end(&self, deadline: Option<Instant>) -> Vec<String> {
        let mut state = self.state();
        while state.live > 0 {
            let left = deadline.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return state.running.clone();
            }
            let waited = self
                .ended
                .wait_timeout(state, left.min(Duration::from_secs(3600)));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Vec::new()
    }
}

/// Everything that the runtime's threads and handles share.
struct Core {
    scheduler: SchedulerArc<Scheduler>,
    workers: usize,
    reactor: Arc<Reactor>,
    timers: Arc<TimerShard>,
    blocking: Arc<BlockingPool>,
    driver_ends: AtomicBool,
}

impl Ambient for Core {
    fn name(&self) -> &'static str {
        "reference"
    }
    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Shared(self.scheduler.erased())
    }
    fn launch(&self, task: Task) -> Result<(), Refused> {
        self.scheduler.launch(task)
    }
    fn io_driver(&self) -> IoDriver {
        IoDriver::Reactor(Arc::clone(&self.reactor))
    }
    fn timer_shard(&self) -> Arc<TimerShard> {
        Arc::clone(&self.timers)
    }
    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        &self.blocking
    }
}

impl Core {
    /// The root is a task like any other; the caller only waits for it.
    fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        context::assert_may_block("block_on", "spawn the future and await its handle");
        match block_on_current_thread(spawn_on(self, future)) {
            Ok(output) => output,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(error) => panic!("the root of `block_on` gave no value: {error}"),
        }
    }

    /// What the driver thread does: it waits for sockets and timers, wakes their tasks, and repeats.
    fn drive(&self) {
        while !self.driver_ends.load(Ordering::Acquire) {
            let deadline = self.timers.prepare_park();
            let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            self.reactor.poll(timeout).expect("the reactor");
            self.timers.finish_park();
            self.timers.fire(Instant::now());
        }
        // A thread that entered the runtime may still wait for a timer.
        self.timers.close();
    }
}

/// A handle: it shares the runtime's state, and does not keep its threads alive.
#[derive(Clone)]
pub(crate) struct Handle {
    core: Arc<Core>,
    ambient: Arc<dyn Ambient>,
}

impl Native for Handle {
    const NAME: &'static str = "reference";

    fn ambient(&self) -> &Arc<dyn Ambient> {
        &self.ambient
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            workers: Some(self.core.workers),
            parallel: self.core.workers > 1,
            preemptive: false,
            migrates_tasks: self.core.workers > 1,
        }
    }
    fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.live_tasks = Some(self.core.scheduler.state().live as u64);
        metrics.blocking_threads = Some(self.core.blocking.threads() as u64);
        metrics
    }
}

/// The owner: the runtime lives as long as this.
pub(crate) struct Reference<const WORKERS: usize> {
    core: Arc<Core>,
    workers: Vec<Thread<()>>,
    driver: Option<Thread<()>>,
}

impl<const WORKERS: usize> Reference<WORKERS> {
    fn new() -> Self {
        let reactor = Reactor::new(ReactorKind::default()).expect("a reactor");
        let notified = Arc::clone(&reactor);
        let core = Arc::new(Core {
            scheduler: SchedulerArc::new(Scheduler::default()),
            workers: WORKERS,
            // A timer that is earlier than the driver's deadline interrupts its wait.
            timers: TimerShard::new(Box::new(move || notified.notify())),
            reactor,
            blocking: BlockingPool::new(BlockingConfig::default()),
            driver_ends: AtomicBool::new(false),
        });
        let ambient: Weak<dyn Ambient> = Arc::downgrade(&core) as Weak<dyn Ambient>;
        core.blocking.set_ambient(ambient);
        let workers = (0..WORKERS).map(|_| {
            let core = Arc::clone(&core);
            thread::spawn(move || {
                let _entered = context::enter(Arc::clone(&core) as Arc<dyn Ambient>, Role::Worker);
                core.scheduler.work();
            })
        });
        let workers = workers.collect();
        let driving = Arc::clone(&core);
        let driver = Some(thread::spawn(move || driving.drive()));
        Self {
            core,
            workers,
            driver,
        }
    }

    /// `None`: without a time limit.
    fn end(&mut self, timeout: Option<Duration>) -> Vec<String> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.core.scheduler.shut_down();
        let this = thread::current().id();
        let mut own = self.workers.iter().chain(&self.driver);
        let is_own = own.any(|thread| thread.thread().id() == this);
        let ambient = Arc::clone(&self.core) as Arc<dyn Ambient>;
        let mut names = if is_own || timeout.is_none() && is_in_job_of(&ambient) {
            // This thread runs something for the runtime, which waits for it: the other threads end by themselves.
            self.workers.clear();
            self.driver = None;
            Vec::new()
        } else {
            self.core.scheduler.wait_for_the_end(deadline)
        };
        let left = deadline.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now())
        });
        names.extend(self.core.blocking.shutdown(left));
        self.core.driver_ends.store(true, Ordering::Release);
        self.core.reactor.notify();
        if names.is_empty() {
            for thread in self.workers.drain(..).chain(self.driver.take()) {
                thread.join().expect("a thread of the runtime");
            }
        }
        names
    }
}

impl<const WORKERS: usize> Drop for Reference<WORKERS> {
    fn drop(&mut self) {
        if self.driver.is_some() {
            self.end(None);
        }
    }
}

impl<const WORKERS: usize> Subject for Reference<WORKERS> {
    type Runtime = Handle;

    fn start() -> Self {
        Self::new()
    }
    fn handle(&self) -> Handle {
        Handle {
            ambient: Arc::clone(&self.core) as Arc<dyn Ambient>,
            core: Arc::clone(&self.core),
        }
    }
    fn run<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.core.block_on(root)
    }
    fn block_on<F>(runtime: &Handle, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        runtime.core.block_on(future)
    }
    fn shutdown(mut self, timeout: Duration) -> Vec<String> {
        let names = self.end(Some(timeout));
        // What is still running is abandoned.
        self.driver = None;
        names
    }
}

impl<const WORKERS: usize> AmbientSubject for Reference<WORKERS> {
    fn enter(&self) -> EnterGuard {
        context::enter(Arc::clone(&self.core) as Arc<dyn Ambient>, Role::NonWorker)
    }
}
