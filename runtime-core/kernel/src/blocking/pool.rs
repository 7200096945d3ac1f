//! The pool: queue, threads, and the lock between them.
// `Schedule` is an unsafe trait; its implementation here keeps the defaults for memory.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::io;
use std::mem;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::executor::Executor;
use super::job::BlockingJob;
use super::queue::{Queue, Queued};
use super::running::RunsFor;
use crate::context::{self, Ambient, Role};
use crate::primitives::{Condvar, Mutex, MutexGuard, thread, thread_local};
use crate::task::{self, JoinHandle, Ran, Schedule, SchedulerArc, Task, TaskId};
use crate::time::{self, Hold};
use crate::trace::{self, ThreadKind, WorkerId};

/// The bounds of a [`BlockingPool`].
#[derive(Clone, Debug)]
pub struct BlockingConfig {
    /// The most threads at a time; at least 1.
    pub max_threads: usize,
    /// How long a thread stays without a job.
    pub keep_alive: Duration,
    /// What the threads' names begin with.
    pub thread_name: String,
    /// What each thread does first. A runtime that keeps its workers on processors lets its blocking threads go, which
    /// begin where the worker is that starts them.
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

/// Threads for functions that block. They are started when jobs come and leave when none do.
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

/// Executors that took the place of a runtime's own pool.
#[derive(Default)]
struct Replaced {
    /// The last one takes new jobs. The others are kept, as a dropped one would cancel the jobs that it has.
    executors: Vec<Executor>,
    shut_down: bool,
}

/// What the threads share. Tasks point to it as their scheduler.
struct Core {
    config: BlockingConfig,
    state: Mutex<State>,
    /// Signalled for each claim, and for all at shutdown.
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
    ambient: Option<Weak<dyn Ambient>>,
    /// What each thread runs; a thread has one place as long as it lives.
    running: Vec<Running>,
}

#[derive(Default)]
struct Running {
    taken: bool,
    busy: bool,
    /// The job's name, for shutdown's report; the memory is used again.
    name: String,
}

thread_local! {
    /// The pool that this thread belongs to.
    static POOL: Cell<*const Core> = const { Cell::new(ptr::null()) };
}

impl BlockingPool {
    /// A pool without threads: they come with the jobs.
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
                    ambient: None,
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
    /// gives no thread and the pool has none, the handle reports `SpawnFailed`. Aborting has an effect until the
    /// function starts.
    #[track_caller]
    pub fn spawn<F, T>(&self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // Not under the lock: a job that is refused is dropped, and that may do anything.
        let default = self.replaced.lock().executors.last().cloned();
        match default {
            None => self.spawn_within(None, function),
            Some(executor) => {
                let ambient = self.core.state.lock().ambient.clone();
                executor.spawn_within(ambient, function)
            }
        }
    }

    /// Runs `function` on this pool's own threads, for the runtime `ambient`; `None` is the pool's.
    #[track_caller]
    pub(super) fn spawn_within<F, T>(
        &self,
        ambient: Option<Weak<dyn Ambient>>,
        function: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let hold = self.hold_clock(ambient.as_ref());
        let job = BlockingJob::new(function, ambient);
        let (task, handle) = task::bind(&self.core.erase(), job);
        Core::queue(&self.core, Queued { task, hold });
        handle
    }

    /// Holds the clock of the runtime that a job is for; `None` is the pool's.
    fn hold_clock(&self, ambient: Option<&Weak<dyn Ambient>>) -> Hold {
        if !time::any_simulated() {
            return Hold::default();
        }
        let ambient = match ambient {
            Some(ambient) => ambient.upgrade(),
            None => {
                let of_pool = self.core.state.lock().ambient.clone();
                of_pool.and_then(|ambient| ambient.upgrade())
            }
        };
        ambient.map_or_else(Hold::default, |ambient| ambient.clock().hold())
    }

    /// Sends new jobs to `executor` instead, which ends with this pool from now on. See
    /// [`set_default_executor`](super::set_default_executor).
    pub fn set_default(&self, executor: Executor) {
        let mut replaced = self.replaced.lock();
        let too_late = replaced.shut_down;
        replaced.executors.push(executor.clone());
        drop(replaced);
        // Not under the lock: jobs that are cancelled are dropped, and that may do anything.
        if too_late {
            executor.begin_shutdown();
        }
    }

    pub(super) fn config(&self) -> &BlockingConfig {
        &self.core.config
    }

    /// The runtime that code in blocking functions finds; the threads enter it for each job as non-worker threads.
    pub fn set_ambient(&self, ambient: Weak<dyn Ambient>) {
        let before = self.core.state.lock().ambient.replace(ambient);
        drop(before);
    }

    #[cfg(test)]
    pub(super) fn idle_threads(&self) -> usize {
        self.core.state.lock().idle
    }

    /// How many threads there are, busy or idle, those of executors in its place included.
    pub fn threads(&self) -> usize {
        let own = self.core.state.lock().threads;
        let replaced = self.replaced.lock();
        own + replaced
            .executors
            .iter()
            .map(Executor::threads)
            .sum::<usize>()
    }

    /// How many jobs wait for one of its own threads.
    pub fn queued(&self) -> usize {
        self.core.state.lock().queue.len()
    }

    /// Cancels the queued jobs, waits up to `timeout` for the running ones, and returns the names of those still
    /// running. The same for executors in its place.
    ///
    /// From one of the pool's own threads it does not wait.
    pub fn shutdown(&self, timeout: Duration) -> Vec<String> {
        // `None`: so long that it is for ever.
        let deadline = Instant::now().checked_add(timeout);
        let executors = self.begin_shutdown();
        let mut busy = self.core.wait_for_end(deadline);
        for executor in executors {
            // Each is left what remains of the time.
            let rest = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            busy.extend(executor.shutdown_with_its_runtime(rest));
        }
        busy
    }

    /// Cancels what is queued, here and on the executors in its place, which it returns.
    pub(super) fn begin_shutdown(&self) -> Vec<Executor> {
        let executors = {
            let mut replaced = self.replaced.lock();
            replaced.shut_down = true;
            replaced.executors.clone()
        };
        self.core.begin_shutdown();
        executors.iter().for_each(Executor::begin_shutdown);
        executors
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
        // Outside of the lock: dropping the function may do anything. The hold goes after whoever awaits the job was
        // woken.
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

    /// Starts a thread that has been counted already.
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
            // Each needs an error of its own.
            job.task.fail_to_start(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::from(error.kind()),
            });
        }
    }

    /// The life of a thread.
    fn run(&self, place: usize) {
        POOL.set(self);
        let _role = trace::thread_is(ThreadKind::Blocking, WorkerId::NONE);
        if let Some(begin) = self.config.on_thread_start {
            begin();
        }
        let mut state = self.state.lock();
        loop {
            if let Some(Queued { task, hold }) = state.queue.pop() {
                let ambient = state.begin(place, &task);
                drop(state);
                run_job(task, ambient);
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

    /// False when the thread was not needed for as long as threads are kept.
    fn wait_for_work(&self, state: &mut MutexGuard<'_, State>) -> bool {
        let deadline = Instant::now().checked_add(self.config.keep_alive);
        state.idle += 1;
        loop {
            let timed_out = match deadline {
                None => {
                    self.work.wait(state);
                    false
                }
                Some(deadline) => self.work.wait_until(state, deadline).timed_out(),
            };
            // Whoever consumes a claim was taken off `idle` by it.
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
        // Outside of the lock: their destructors may do anything, spawning included.
        for job in queued.into_jobs() {
            job.task.cancel();
        }
    }

    /// Waits until the last thread has ended, or until `deadline`; the names of the jobs that still run.
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
    /// A place in `running` for a new thread.
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

    /// Notes what a thread is about to run, and tells for which runtime.
    fn begin(&mut self, place: usize, task: &Task) -> Option<Weak<dyn Ambient>> {
        let running = &mut self.running[place];
        running.busy = true;
        running.name.clear();
        running.name.push_str(task.name());
        self.ambient.clone()
    }

    /// A thread is gone, or did not come. The jobs that nobody is left to run, if it was the last.
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

fn run_job(task: Task, ambient: Option<Weak<dyn Ambient>>) {
    // Entered for the job only: an idle thread does not keep a runtime alive.
    let _entered = ambient
        .and_then(|ambient| ambient.upgrade())
        .map(|ambient| {
            (
                RunsFor::begin(&ambient),
                context::enter(ambient, Role::NonWorker),
            )
        });
    let id = task.id();
    match trace::blocking(Some(id), || task.run()) {
        Ran::Finished | Ran::Parked => {}
        // A job ends in its first poll; if that ever changes, it is due again.
        Ran::Woken(task) | Ran::Yielded(task) => run_job(task, None),
    }
}
