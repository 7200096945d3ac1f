//! The pool: its queue, its threads, and the lock that both share.
// `Schedule` is an unsafe trait; the implementation here keeps the defaults for memory.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::io;
use std::mem;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::job::BlockingJob;
use super::job_context::JobContext;
use super::queue::{Queue, Queued};
use crate::contain::contain;
use crate::primitives::{Condvar, Mutex, MutexGuard, now, thread, thread_local};
use crate::task::{self, JoinHandle, Ran, Schedule, SchedulerArc, Task, TaskId};
use crate::time::{self, Hold};
use crate::trace::{self, ThreadKind, WorkerId};

/// The bounds of a [`BlockingPool`].
#[derive(Clone, Debug)]
pub struct BlockingConfig {
    /// The maximum number of threads; at least 1.
    pub max_threads: usize,
    /// How long a thread stays without a job.
    pub keep_alive: Duration,
    /// The prefix of the threads' names.
    pub thread_name: String,
    /// What each thread does first. A new thread inherits the processor of the worker that starts it. A runtime that
    /// pins its workers to processors unpins its blocking threads here.
    pub on_thread_start: Option<fn()>,
}

impl Default for BlockingConfig {
    fn default() -> Self {
        Self {
            max_threads: 512,
            keep_alive: Duration::from_secs(10),
            thread_name: "blocking".to_owned(),
            on_thread_start: None,
        }
    }
}

/// Threads for functions that block. They start when jobs arrive, and end when there are none.
///
/// Dropping the pool begins its shutdown and does not wait.
///
/// ```
/// use runtime_core::blocking::{BlockingConfig, BlockingPool};
/// use runtime_core::park::block_on_current_thread;
///
/// let pool = BlockingPool::new(BlockingConfig::default());
/// let answer = pool.spawn(|| 6 * 7);
/// assert_eq!(block_on_current_thread(answer).unwrap(), 42);
/// ```
pub struct BlockingPool {
    core: SchedulerArc<Core>,
    replaced: Mutex<Replaced>,
}

/// Pools that replaced a runtime's own: those of its executors.
#[derive(Default)]
struct Replaced {
    /// The last one takes new jobs. The others are kept, because dropping one would cancel its queued jobs.
    pools: Vec<Arc<BlockingPool>>,
    shut_down: bool,
}

/// What the threads share. Tasks refer to it as their scheduler.
struct Core {
    config: BlockingConfig,
    state: Mutex<State>,
    /// Signalled once for each claim, and for all threads at shutdown.
    work: Condvar,
    /// Signalled when the last thread has ended.
    ended: Condvar,
}

struct State {
    queue: Queue,
    /// Threads that exist or are being started.
    threads: usize,
    /// Threads that wait for a job and have not been claimed.
    idle: usize,
    /// Idle threads that were claimed for a job and have not woken yet.
    claims: usize,
    shut_down: bool,
    context: Option<Weak<dyn JobContext>>,
    /// What each thread runs. A thread keeps its entry as long as it lives.
    running: Vec<Running>,
}

#[derive(Default)]
struct Running {
    taken: bool,
    busy: bool,
    /// The job's name, for shutdown's report. The buffer is reused.
    name: String,
}

thread_local! {
    /// The pool that this thread belongs to.
    static POOL: Cell<*const Core> = const { Cell::new(ptr::null()) };
}

impl BlockingPool {
    /// A pool without threads. They start when jobs arrive.
    ///
    /// # Panics
    /// If `max_threads` is zero.
    pub fn new(config: BlockingConfig) -> Arc<Self> {
        assert!(
            config.max_threads > 0,
            "a blocking pool needs at least one thread"
        );
        Arc::new(Self {
            core: SchedulerArc::new(Core {
                config,
                state: Mutex::new(State {
                    queue: Queue::default(),
                    threads: 0,
                    idle: 0,
                    claims: 0,
                    shut_down: false,
                    context: None,
                    running: Vec::new(),
                }),
                work: Condvar::new(),
                ended: Condvar::new(),
            }),
            replaced: Mutex::default(),
        })
    }

    /// Runs `function` on one of the pool's threads, as soon as one is free. A panic stays in the handle.
    ///
    /// After [`shutdown`](BlockingPool::shutdown) it does not run, and the handle reports `Cancelled`. If the system
    /// refuses a thread and the pool has none, the handle reports `SpawnFailed`. An abort has an effect until the
    /// function starts.
    #[track_caller]
    pub fn spawn<F, T>(&self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // Not under the lock: a refused job is dropped, and its destructor may do anything.
        let default = self.replaced.lock().pools.last().cloned();
        match default {
            None => self.spawn_within(None, function),
            Some(pool) => pool.spawn_within(self.context(), function),
        }
    }

    /// Runs `function` on this pool's own threads, for the runtime `context`; `None` means the pool's runtime.
    #[track_caller]
    pub(super) fn spawn_within<F, T>(
        &self,
        context: Option<Weak<dyn JobContext>>,
        function: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let hold = self.hold_clock(context.as_ref());
        let job = BlockingJob::new(function, context);
        let (task, handle) = task::bind(&self.core.erase(), job);
        Core::queue(&self.core, Queued { task, hold });
        handle
    }

    /// Holds the clock of the runtime that a job is for; `None` means the pool's runtime.
    fn hold_clock(&self, context: Option<&Weak<dyn JobContext>>) -> Hold {
        if !time::any_simulated() {
            return Hold::default();
        }
        let context = match context {
            Some(context) => context.upgrade(),
            None => self.context().and_then(|context| context.upgrade()),
        };
        context.map_or_else(Hold::default, |context| context.hold_clock())
    }

    /// From now on new jobs go to `pool` instead, which ends with this one.
    pub(super) fn replace_by(&self, pool: Arc<Self>) {
        let mut replaced = self.replaced.lock();
        let too_late = replaced.shut_down;
        replaced.pools.push(Arc::clone(&pool));
        drop(replaced);
        // Not under the lock: cancelled jobs are dropped, and their destructors may do anything.
        if too_late {
            pool.begin_shutdown();
        }
    }

    pub(super) fn config(&self) -> &BlockingConfig {
        &self.core.config
    }

    /// The runtime that jobs are for, unless they bring their own.
    pub(super) fn context(&self) -> Option<Weak<dyn JobContext>> {
        self.core.state.lock().context.clone()
    }

    /// Sets the runtime that jobs are for, unless they bring their own.
    pub(super) fn set_context(&self, context: Weak<dyn JobContext>) {
        let before = self.core.state.lock().context.replace(context);
        drop(before);
    }

    #[cfg(test)]
    pub(super) fn idle_threads(&self) -> usize {
        self.core.state.lock().idle
    }

    /// The number of threads, busy or idle, including those of executors that replaced this pool.
    pub fn threads(&self) -> usize {
        let own = self.core.state.lock().threads;
        let replaced = self.replaced.lock();
        own + replaced
            .pools
            .iter()
            .map(|pool| pool.threads())
            .sum::<usize>()
    }

    /// The number of jobs that wait for one of its own threads.
    pub fn queued(&self) -> usize {
        self.core.state.lock().queue.len()
    }

    /// Cancels the queued jobs, waits up to `timeout` for the running ones, and returns the names of those that are
    /// still running. It does the same for executors that replaced this pool.
    ///
    /// On one of the pool's own threads it does not wait.
    pub fn shutdown(&self, timeout: Duration) -> Vec<String> {
        // `None`: the deadline is so far away that it never comes.
        let deadline = now().checked_add(timeout);
        let pools = self.begin_shutdown();
        let mut busy = self.core.wait_for_end(deadline);
        for pool in pools {
            // Each pool gets what remains of the time.
            let rest = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(now())
            });
            busy.extend(pool.shutdown(rest));
        }
        busy
    }

    /// Cancels what is queued, here and in the pools that replaced this one, and returns those pools.
    fn begin_shutdown(&self) -> Vec<Arc<Self>> {
        let pools = {
            let mut replaced = self.replaced.lock();
            replaced.shut_down = true;
            replaced.pools.clone()
        };
        self.core.begin_shutdown();
        for pool in &pools {
            pool.begin_shutdown();
        }
        pools
    }
}

impl Drop for BlockingPool {
    fn drop(&mut self) {
        self.begin_shutdown();
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool")
            .field("config", &self.core.config)
            .field("threads", &self.threads())
            .finish_non_exhaustive()
    }
}

// SAFETY: the defaults for memory are kept.
unsafe impl Schedule for Core {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        let hold = Hold::default();
        Core::queue(this, Queued { task, hold });
    }

    fn abort_queued(this: &SchedulerArc<Self>, id: TaskId) {
        let aborted = this.state.lock().queue.remove(id);
        // Outside the lock: dropping the function may do anything. The hold is dropped last, after the task that
        // awaits the job was woken.
        if let Some(Queued { task, hold }) = aborted {
            task.cancel();
            drop(hold);
        }
    }
}

impl Core {
    fn queue(this: &SchedulerArc<Self>, job: Queued) {
        let mut state = this.state.lock();
        if state.shut_down {
            drop(state);
            return job.task.cancel();
        }
        state.queue.push(job);
        if state.idle > 0 {
            state.idle -= 1;
            state.claims += 1;
            drop(state);
            this.work.notify_one();
        } else if state.threads < this.config.max_threads {
            state.threads += 1;
            let place = state.take_place();
            drop(state);
            Self::start_thread(this, place);
        }
    }

    /// Starts a thread that is already counted.
    fn start_thread(this: &SchedulerArc<Self>, place: usize) {
        let core = this.clone();
        let started = thread::Builder::new()
            .name(format!("{}-{place}", this.config.thread_name))
            .spawn(move || core.run(place));
        let Err(error) = started else { return };
        let mut state = this.state.lock();
        let stranded = state.leave(place);
        this.announce_end(&state);
        drop(state);
        for job in stranded.into_jobs() {
            // Each job needs its own error.
            job.task.fail_to_start(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::from(error.kind()),
            });
        }
    }

    /// What a thread does from its start to its end.
    fn run(&self, place: usize) {
        POOL.set(self);
        let _role = trace::thread_is(ThreadKind::Blocking, WorkerId::NONE);
        if let Some(begin) = self.config.on_thread_start {
            // A thread that it ended would be counted for ever, and its job be lost.
            contain(begin);
        }
        let mut state = self.state.lock();
        loop {
            if let Some(Queued { task, hold }) = state.queue.pop() {
                let context = state.begin(place, &task);
                drop(state);
                run_job(task, context);
                drop(hold);
                state = self.state.lock();
                state.running[place].busy = false;
            } else if state.shut_down || !self.wait_for_work(&mut state) {
                break;
            }
        }
        let stranded = state.leave(place);
        debug_assert!(
            stranded.is_empty(),
            "a thread looks at the queue before it leaves"
        );
        self.announce_end(&state);
    }

    /// Returns false if the thread was not needed for the whole of `keep_alive`.
    fn wait_for_work(&self, state: &mut MutexGuard<'_, State>) -> bool {
        let deadline = now().checked_add(self.config.keep_alive);
        state.idle += 1;
        loop {
            let timed_out = match deadline {
                None => {
                    self.work.wait(state);
                    false
                }
                Some(deadline) => self.work.wait_until(state, deadline).timed_out(),
            };
            // Whoever made the claim has already subtracted this thread from `idle`.
            if state.claims > 0 {
                state.claims -= 1;
                return true;
            }
            if state.shut_down || timed_out {
                state.idle -= 1;
                return state.shut_down;
            }
        }
    }

    fn begin_shutdown(&self) {
        let queued = {
            let mut state = self.state.lock();
            state.shut_down = true;
            mem::take(&mut state.queue)
        };
        self.work.notify_all();
        // Outside the lock: their destructors may do anything, even spawn.
        for job in queued.into_jobs() {
            job.task.cancel();
        }
    }

    /// Waits until the last thread has ended, or until `deadline`. Returns the names of the jobs that are still
    /// running.
    fn wait_for_end(&self, deadline: Option<Instant>) -> Vec<String> {
        let own = ptr::eq(POOL.get(), self);
        let mut state = self.state.lock();
        while state.threads > 0 && !own {
            match deadline {
                None => self.ended.wait(&mut state),
                Some(deadline) => {
                    if self.ended.wait_until(&mut state, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        let busy = state.running.iter().filter(|running| running.busy);
        busy.map(|running| running.name.clone()).collect()
    }

    fn announce_end(&self, state: &State) {
        if state.threads == 0 {
            self.ended.notify_all();
        }
    }
}

impl State {
    /// Takes an entry in `running` for a new thread.
    fn take_place(&mut self) -> usize {
        let place = match self.running.iter().position(|running| !running.taken) {
            Some(place) => place,
            None => {
                self.running.push(Running::default());
                self.running.len() - 1
            }
        };
        self.running[place].taken = true;
        place
    }

    /// Notes what a thread is about to run, and returns the runtime that it runs for.
    fn begin(&mut self, place: usize, task: &Task) -> Option<Weak<dyn JobContext>> {
        let running = &mut self.running[place];
        running.busy = true;
        running.name.clear();
        running.name.push_str(task.name());
        self.context.clone()
    }

    /// Call this when a thread has ended or could not be started. If it was the last, returns the jobs that nobody
    /// will run.
    fn leave(&mut self, place: usize) -> Queue {
        self.running[place].taken = false;
        self.threads -= 1;
        if self.threads == 0 {
            mem::take(&mut self.queue)
        } else {
            Queue::default()
        }
    }
}

fn run_job(task: Task, context: Option<Weak<dyn JobContext>>) {
    let mut task = Some(task);
    let mut job = || {
        while let Some(due) = task.take() {
            let id = due.id();
            task = match trace::blocking(Some(id), || due.run()) {
                Ran::Finished | Ran::Parked => None,
                // A job ends in its first poll; if that ever changes, it is polled again.
                Ran::Woken(due) | Ran::Yielded(due) => Some(due),
            };
        }
    };
    // Entered for the job only: an idle thread must not keep a runtime alive.
    match context.and_then(|context| context.upgrade()) {
        Some(context) => context.run_job(&mut job),
        None => job(),
    }
}
