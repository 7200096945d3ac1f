//! The pool for CPU-bound tasks: separate threads for tasks that do not return from their polls.
//!
//! A task with long polls delays everything behind it, whichever worker runs it. Once the monitor has caught it
//! twice, it is *marked*, and each time that it is woken it comes here: to a few low-priority threads, which the
//! kernel time-slices against the workers. The workers' latency therefore does not depend on it, and it still gets the
//! CPU time that they leave. After a number of short polls the mark is removed, and the task returns to the workers.
//!
//! The threads are started when the first task comes, and end when none has come for a while.

mod builder;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use runtime_core::context::{self, Role};
use runtime_core::primitives::{Condvar, Mutex, now, thread};
use runtime_core::task::{Ran, Task, TaskId};
use runtime_core::time::Hold;
use runtime_core::{Choice, Knob};

use crate::ending::own_this_thread;
use crate::parts::monitor;
use crate::parts::part::{Has, Install, number};
use crate::scheduler::Shared;
use crate::seam::Hooks;
use crate::seam::facts::{SharedEvent, State};
use crate::seam::plan::Plan;

/// A task that is caught this often is marked, and marked again after as many more times.
const CATCHES_PER_MARK: u32 = 2;
/// A shorter poll delays no other task.
const SHORT_POLL: Duration = Duration::from_millis(1);
/// After this many short polls in a row, the task returns to the workers.
const SHORT_POLLS_TO_RETURN: u32 = 16;
/// How long a thread waits for a task before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The part.
#[derive(Debug)]
pub(crate) struct CpuPool {
    most_threads: usize,
    nice: i32,
    state: Mutex<Queue>,
    due: Condvar,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `None`: as many as there are workers.
    threads: Option<usize>,
    nice: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: None,
            nice: 6,
        }
    }
}

/// A task in the queue.
#[derive(Debug)]
struct Due {
    task: Task,
    /// Simulated time does not pass while it is due, or polled.
    hold: Hold,
}

#[derive(Debug, Default)]
struct Queue {
    queue: VecDeque<Due>,
    threads: usize,
    waiting: usize,
    /// Short polls in a row, by task.
    short_polls: HashMap<TaskId, u32>,
}

impl State for CpuPool {
    type Local = ();
    type Remote = ();
}

impl Install for CpuPool {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "cpu-pool",
        about: "tasks that are repeatedly caught in long polls run on low-priority threads",
    }];
    const KNOBS: &'static [Knob] = &[Knob {
        name: "cpu-pool-nice",
        about: "how much less than the workers the threads of the CPU-bound pool get",
        values: "0 to 19",
    }];

    fn new(settings: &Settings, plan: &Plan) -> Self {
        Self {
            most_threads: settings.threads.unwrap_or(plan.workers),
            nice: settings.nice,
            state: Mutex::default(),
            due: Condvar::new(),
        }
    }

    fn leave_out(settings: &mut Settings) {
        settings.threads = Some(0);
    }

    fn turn(settings: &mut Settings, _: &str, value: &str) -> Option<()> {
        settings.nice = number(value, 0, 19)?.cast_signed();
        Some(())
    }
}

impl<H: Has<Self>> Hooks<H> for CpuPool {
    fn local(_: &Shared<H>, _: usize) {}

    #[inline]
    fn divert(shared: &Arc<Shared<H>>, task: Task) -> Option<Task> {
        // A task that has a home runs on a worker.
        if !task.is_marked() || task.home().is_some() {
            return Some(task);
        }
        push(shared, task);
        None
    }

    fn observe_shared(shared: &Shared<H>, event: SharedEvent<'_>) {
        let pool = shared.parts.part();
        match event {
            SharedEvent::Caught(task, times)
                if pool.most_threads > 0 && times.is_multiple_of(CATCHES_PER_MARK) =>
            {
                task.set_marked(true);
            }
            SharedEvent::Closed => {
                // Its threads check whether the runtime has closed.
                let _state = pool.state.lock();
                pool.due.notify_all();
            }
            SharedEvent::Sweep => {
                let queue = std::mem::take(&mut pool.state.lock().queue);
                queue.into_iter().for_each(|due| shared.cancel(due.task));
            }
            _ => {}
        }
    }
}

/// Queues a marked task.
#[cold]
fn push<H: Has<CpuPool>>(shared: &Arc<Shared<H>>, task: Task) {
    let pool = shared.parts.part();
    let mut state = pool.state.lock();
    let hold = shared.clock.hold();
    state.queue.push_back(Due { task, hold });
    // A thread that was notified of an earlier task may not have run yet, and still counts as waiting.
    if state.queue.len() <= state.waiting || state.threads == pool.most_threads {
        pool.due.notify_one();
        return;
    }
    state.threads += 1;
    drop(state);
    if !start(shared) {
        let mut state = pool.state.lock();
        state.threads -= 1;
        if state.threads == 0 {
            // The system refuses a thread: the workers must run the tasks after all.
            let queue = std::mem::take(&mut state.queue);
            // These tasks continue elsewhere, and may end there.
            state.short_polls.clear();
            drop(state);
            let inject = |Due { task, hold }| {
                task.set_marked(false);
                shared.injector.push(task);
                hold
            };
            let holds: Vec<_> = queue.into_iter().map(inject).collect();
            shared.wake_one();
            drop(holds);
        }
    }
}

fn start<H: Has<CpuPool>>(shared: &Arc<Shared<H>>) -> bool {
    if !shared.threads.admit(&shared.closed, false) {
        // The runtime has closed: a sweep cancels the queued tasks.
        return true;
    }
    let of_thread = Arc::clone(shared);
    let started = thread::Builder::new()
        .name(format!("{}-cpu", shared.threads.name))
        .spawn(move || main(&of_thread));
    if started.is_err() {
        shared.threads.one_ended();
    }
    started.is_ok()
}

/// The main function of a thread.
fn main<H: Has<CpuPool>>(shared: &Arc<Shared<H>>) {
    let pool = shared.parts.part();
    // If the priority can't be lowered, the pool still works.
    let _ = rustix::process::nice(pool.nice);
    // No other task waits behind this thread's task.
    monitor::may_block::let_this_thread_block();
    own_this_thread(Arc::as_ptr(shared));
    if let Some(ambient) = shared.threads.starter() {
        let entered = context::enter(ambient, Role::Worker);
        while let Some(Due { task, hold }) = wait(shared) {
            run(shared, task);
            drop(hold);
        }
        drop(entered);
    }
    shared.threads.one_ended();
}

/// The next task. `None`: this thread must end.
fn wait<H: Has<CpuPool>>(shared: &Shared<H>) -> Option<Due> {
    let pool = shared.parts.part();
    let until = now() + KEEP_ALIVE;
    let mut state = pool.state.lock();
    loop {
        // A sweep cancels the tasks that are queued at the close.
        let closed = shared.closed.load(SeqCst);
        let next = if closed {
            None
        } else {
            state.queue.pop_front()
        };
        if next.is_some() {
            return next;
        }
        if closed || now() >= until {
            state.threads -= 1;
            return None;
        }
        state.waiting += 1;
        pool.due.wait_until(&mut state, until);
        state.waiting -= 1;
    }
}

fn run<H: Has<CpuPool>>(shared: &Arc<Shared<H>>, task: Task) {
    let (pool, id) = (shared.parts.part(), task.id());
    if pool.has_behaved(id) {
        task.set_marked(false);
        return shared.inject(task);
    }
    let began = now();
    H::observe_shared(shared, SharedEvent::PolledOutside);
    let ran = task.run();
    let was_short = now().duration_since(began) < SHORT_POLL;
    let mut state = pool.state.lock();
    if was_short && !matches!(ran, Ran::Finished) {
        *state.short_polls.entry(id).or_default() += 1;
    } else {
        state.short_polls.remove(&id);
    }
    drop(state);
    match ran {
        Ran::Finished => H::observe_shared(shared, SharedEvent::FinishedOutside),
        Ran::Parked => {}
        Ran::Woken(task) | Ran::Yielded(task) => shared.inject(task),
    }
}

impl CpuPool {
    /// Whether the task's last polls were all short. Asked before a poll, because after it another thread may have the
    /// task.
    fn has_behaved(&self, id: TaskId) -> bool {
        let mut state = self.state.lock();
        let behaved = state.short_polls.get(&id) >= Some(&SHORT_POLLS_TO_RETURN);
        if behaved {
            state.short_polls.remove(&id);
        }
        behaved
    }
}
