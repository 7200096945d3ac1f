//! Threads of their own for tasks that hog.
//!
//! A task whose polls last holds up everything behind it, wherever it runs among the workers. Once the monitor has
//! caught it several times it is *marked*, and each time that it is due it comes here: to a few threads at a low
//! priority, which the kernel time-slices against the workers. So the workers' latency does not depend on it, and it
//! still gets what they leave. After a number of short polls the mark is taken off, and the task goes back among the
//! others.
//!
//! The threads are started when the first task comes, and end when none has come for a while.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::time::{Duration, Instant};

use runtime_core::context::{self, Role};
use runtime_core::primitives::{Condvar, Mutex, thread, thread_local};
use runtime_core::task::{Ran, Task, TaskId};
use runtime_core::time::Hold;

use crate::shared::Shared;

thread_local! {
    static IN_LANE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is one of some batch lane's.
pub(crate) fn is_on_this_thread() -> bool {
    IN_LANE.try_with(Cell::get).unwrap_or(false)
}

/// A poll that is shorter than this holds nobody up.
const SHORT_POLL: Duration = Duration::from_millis(1);
/// So many short polls in a row, and the task goes back to the workers.
const GOOD_BEHAVIOUR: u32 = 16;
/// How long a thread waits for a task before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct BatchLane {
    most_threads: usize,
    nice: i32,
    state: Mutex<State>,
    due: Condvar,
    pub(crate) polls: AtomicU64,
    pub(crate) finished: AtomicU64,
}

/// A task in the queue.
#[derive(Debug)]
struct Due {
    task: Task,
    /// Simulated time does not pass while it is due, or polled.
    hold: Hold,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Due>,
    threads: usize,
    waiting: usize,
    /// Short polls in a row, by task.
    short_polls: HashMap<TaskId, u32>,
}

impl BatchLane {
    pub(crate) fn new(most_threads: usize, nice: i32) -> Self {
        Self {
            most_threads,
            nice,
            state: Mutex::default(),
            due: Condvar::new(),
            polls: AtomicU64::new(0),
            finished: AtomicU64::new(0),
        }
    }

    /// Whether tasks may be marked at all.
    pub(crate) fn is_open(&self) -> bool {
        self.most_threads > 0
    }

    /// Queues a marked task.
    #[cold]
    pub(crate) fn push(&self, shared: &Arc<Shared>, task: Task) {
        let mut state = self.state.lock();
        let hold = shared.clock.hold();
        state.queue.push_back(Due { task, hold });
        // One that was told of the task before may not have got to it yet, and still counts as waiting.
        if state.queue.len() <= state.waiting || state.threads == self.most_threads {
            self.due.notify_one();
            return;
        }
        state.threads += 1;
        drop(state);
        if !self.start(shared) {
            let mut state = self.state.lock();
            state.threads -= 1;
            if state.threads == 0 {
                // The system gives no thread: better late than never.
                let queue = std::mem::take(&mut state.queue);
                // They go on elsewhere, and may end there.
                state.short_polls.clear();
                drop(state);
                let inject = |Due { task, hold }| {
                    task.set_marked(false);
                    shared.injector.push(task);
                    hold
                };
                let holds: Vec<_> = queue.into_iter().map(inject).collect();
                shared.notify_one();
                drop(holds);
            }
        }
    }

    fn start(&self, shared: &Arc<Shared>) -> bool {
        if !shared.admit_thread() {
            // Closed: a sweep cancels what is queued.
            return true;
        }
        let of_thread = Arc::clone(shared);
        let started = thread::Builder::new()
            .name(format!("{}-batch", shared.thread_name))
            .spawn(move || of_thread.batch_lane.main(&of_thread));
        if started.is_err() {
            shared.thread_ended();
        }
        started.is_ok()
    }

    /// A thread's whole life.
    fn main(&self, shared: &Arc<Shared>) {
        // Failing to be nice, it works all the same.
        let _ = rustix::process::nice(self.nice);
        IN_LANE.set(true);
        shared.own_this_thread();
        if let Some(ambient) = shared.starter() {
            let entered = context::enter(ambient, Role::Worker);
            while let Some(Due { task, hold }) = self.wait(shared) {
                self.run(shared, task);
                drop(hold);
            }
            drop(entered);
        }
        shared.thread_ended();
    }

    /// The next task; `None`: this thread is to end.
    fn wait(&self, shared: &Shared) -> Option<Due> {
        let patience = Instant::now() + KEEP_ALIVE;
        let mut state = self.state.lock();
        loop {
            // What is queued then, a sweep cancels.
            let closed = shared.closed.load(SeqCst);
            let next = if closed {
                None
            } else {
                state.queue.pop_front()
            };
            if next.is_some() {
                return next;
            }
            if closed || Instant::now() >= patience {
                state.threads -= 1;
                return None;
            }
            state.waiting += 1;
            self.due.wait_until(&mut state, patience);
            state.waiting -= 1;
        }
    }

    fn run(&self, shared: &Arc<Shared>, task: Task) {
        let id = task.id();
        if self.has_behaved(id) {
            task.set_marked(false);
            return shared.inject(task);
        }
        let began = Instant::now();
        self.polls.fetch_add(1, Relaxed);
        let ran = task.run();
        let was_short = began.elapsed() < SHORT_POLL;
        let mut state = self.state.lock();
        if was_short && !matches!(ran, Ran::Finished) {
            *state.short_polls.entry(id).or_default() += 1;
        } else {
            state.short_polls.remove(&id);
        }
        drop(state);
        match ran {
            Ran::Finished => {
                self.finished.fetch_add(1, Relaxed);
            }
            Ran::Parked => {}
            Ran::Woken(task) | Ran::Yielded(task) => shared.inject(task),
        }
    }

    /// Whether the task's last polls were all short. It is asked before a poll, as afterwards the task may be another
    /// thread's.
    fn has_behaved(&self, id: TaskId) -> bool {
        let mut state = self.state.lock();
        let behaved = state.short_polls.get(&id) >= Some(&GOOD_BEHAVIOUR);
        if behaved {
            state.short_polls.remove(&id);
        }
        behaved
    }

    /// Lets its threads see that the runtime has closed.
    pub(crate) fn close(&self) {
        let _state = self.state.lock();
        self.due.notify_all();
    }

    /// Empties the queue.
    pub(crate) fn drain(&self, mut end: impl FnMut(Task)) {
        let queue = std::mem::take(&mut self.state.lock().queue);
        queue.into_iter().for_each(|due| end(due.task));
    }
}
