//! A task's thread: it polls its task, and sleeps while the task waits.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use runtime_kernel::blocking::{BlockingPool, OnBehalf};
use runtime_kernel::context::{self, Ambient, Binding, IoDriver, Refused, Role};
use runtime_kernel::reactor::own_thread::ThreadParker;
use runtime_kernel::task::{AbortHandle, Ran, Schedule, SchedulerArc, Task, TaskId};
use runtime_kernel::time::{Clock, TimerShard};
use runtime_kernel::trace::{self, Fact, ThreadKind};

use crate::os_thread::OsThread;
use crate::overflow::Stack;
use crate::shared::{NAME, Shared};
use crate::thread_budget::Permit;
use crate::thread_list::Denied;
use crate::thread_state::ThreadState;

/// How often a refused thread is asked for again after others have ended.
const MAX_RETRIES: u32 = 32;

/// The scheduler of one task: its thread, as seen by wakers and the shutdown.
pub(crate) struct TaskThread {
    shared: Arc<Shared>,
    /// The same state as in the list of threads. It is in a lower layer, and does not know which task it belongs to.
    state: Arc<ThreadState>,
}

thread_local! {
    /// The runtime whose task the calling thread runs, and its own `TaskThread`. They are only compared.
    static OWN: Cell<(*const Shared, *const TaskThread)> = const { Cell::new((ptr::null(), ptr::null())) };
}

// SAFETY: the memory of tasks is the default's.
unsafe impl Schedule for TaskThread {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        let state = &*this.state;
        state.put(task);
        // A task's own thread (after a socket or timer event) checks the slot before it parks.
        if OWN.get().1 == ptr::from_ref::<Self>(this) {
            return;
        }
        // Before its first poll a task counts as due, so it is not scheduled: therefore the unparker is there.
        if let Some(unparker) = state.unparker() {
            trace::note(Fact::Unparks(state.worker));
            unparker.unpark();
        }
    }
}

impl TaskThread {
    pub(crate) fn new(shared: Arc<Shared>) -> SchedulerArc<Self> {
        SchedulerArc::new(Self {
            shared,
            state: Arc::new(ThreadState::new()),
        })
    }

    /// Whether the calling thread runs a task of this runtime.
    pub(crate) fn current_is_of(shared: &Arc<Shared>) -> bool {
        OWN.get().0 == Arc::as_ptr(shared)
    }

    /// Whether the calling thread's task has ended, so that the thread is in its last destructors.
    fn has_left() -> bool {
        let (shared, own) = OWN.get();
        !shared.is_null() && own.is_null()
    }

    /// The task that the calling thread runs, for another thread that runs a part of it.
    pub(crate) fn part_of_current() -> PartOf {
        PartOf {
            runtime: OWN.get().0.addr(),
            has_left: Self::has_left(),
            job: OnBehalf::current(),
        }
    }

    /// Starts the thread of a task that was bound to its own `TaskThread`.
    ///
    /// # Errors
    /// Returns the task if the runtime is closed or the system refuses a thread.
    pub(crate) fn start(task: Task) -> Result<(), Refused> {
        let Some(this) = task.scheduler().downcast::<Self>().cloned() else {
            return Err(misbound(task));
        };
        if !this.state.phase.start() {
            return Err(misbound(task));
        }
        let id = task.id();
        let shared = &this.shared;
        let abort = task.abort_handle();
        match shared
            .thread_list
            .enter(Arc::clone(&this.state), abort.clone())
        {
            Ok(()) => {}
            Err(Denied::Closed) => return Err(Refused { task, error: None }),
            Err(Denied::Full(max)) => {
                let message = format!("the runtime's limit of {max} threads is reached");
                let error = Some(io::Error::new(io::ErrorKind::WouldBlock, message));
                return Err(Refused { task, error });
            }
        }
        // In its slot, so that it is not dropped with the closure of a refused thread.
        this.state.put(task);
        let mut spawned = Self::spawn(&this, id, &abort);
        for _ in 0..MAX_RETRIES {
            // Others may take the room first.
            if spawned.is_ok() || Self::has_left() || !shared.thread_list.make_room() {
                break;
            }
            spawned = Self::spawn(&this, id, &abort);
        }
        match spawned {
            Ok(os) => {
                shared.thread_list.started(id, os);
                Ok(())
            }
            Err(error) => {
                shared.thread_list.withdraw(id);
                shared.let_time_pass(None);
                let task = this.state.take().expect("no thread has taken it");
                Err(Refused {
                    task,
                    error: Some(error),
                })
            }
        }
    }

    fn spawn(this: &SchedulerArc<Self>, id: TaskId, abort: &AbortHandle) -> io::Result<OsThread> {
        let (permit, starting) = Permit::take()?;
        let (named, abort, thread) = (this.shared.name_thread(), abort.clone(), this.clone());
        thread::Builder::new()
            .name(named)
            .stack_size(this.shared.stack_bytes)
            .spawn(move || {
                let stack = Stack {
                    whose: "task",
                    name: abort.name().unwrap_or("without a name"),
                    bytes: thread.shared.stack_bytes,
                    knob: "`runtime_threads::Builder::stack_bytes`",
                };
                // The closure runs on the new thread, so its mappings exist.
                drop(starting);
                stack.watch(|| Self::run(&thread, id));
            })
            .map(|handle| OsThread::new(handle, permit))
    }

    /// The main function of the thread.
    fn run(this: &SchedulerArc<Self>, id: TaskId) {
        let _listed = Listed { this, id };
        let _role = trace::thread_is(ThreadKind::Task, this.state.worker);
        OWN.set((Arc::as_ptr(&this.shared), ptr::from_ref::<Self>(this)));
        let parker = ThreadParker::current_or_install();
        this.state.set_unparker(parker.unparker());
        let entered = context::enter(Arc::new(OnThread(this.clone())), Role::Worker);
        this.work(&parker);
        drop(entered);
        parker.leave();
        if let Some(timers) = this.state.timers() {
            timers.close();
        }
    }

    fn work(&self, parker: &ThreadParker) {
        loop {
            let Some(task) = self.state.take() else {
                self.wait(parker, None);
                continue;
            };
            match self.poll(task) {
                Ran::Finished => return,
                Ran::Parked => {}
                Ran::Woken(task) => self.go_on(task, parker),
                Ran::Yielded(task) => {
                    thread::yield_now();
                    self.go_on(task, parker);
                }
            }
        }
    }

    fn poll(&self, task: Task) -> Ran {
        if !self.state.phase.begin_poll() {
            task.cancel();
            return Ran::Finished;
        }
        self.state.count_poll();
        let ran = task.run();
        self.state.phase.end_poll();
        ran
    }

    /// The task is due again. Even if it is always busy, its own sockets and timers get their turn.
    fn go_on(&self, task: Task, parker: &ThreadParker) {
        self.state.put(task);
        self.wait(parker, Some(Instant::now()));
    }

    /// Waits for a wake, a socket or a timer, up to `deadline` if there is one.
    fn wait(&self, parker: &ThreadParker, deadline: Option<Instant>) {
        // This calls wakers. Those of another executor may panic, and that must not end this task.
        let waited = catch_unwind(AssertUnwindSafe(|| {
            let timers = self.state.timers();
            match deadline {
                Some(at_once) => parker.park(Some(at_once)),
                None => {
                    self.state.count_park();
                    let deadline = timers.and_then(TimerShard::prepare_park);
                    if self.shared.clock.is_simulated() {
                        parker.park_then(None, || {
                            self.shared.let_time_pass(Some(&self.state));
                            // A timer that was fired just now, on this very thread, put the task here without
                            // unparking.
                            if self.state.is_due() {
                                parker.unparker().unpark();
                            }
                        });
                        self.shared.thread_list.waits_no_more(&self.state);
                    } else {
                        parker.park(deadline);
                    }
                }
            }
            if let Some(timers) = timers {
                timers.finish_park();
                if timers.next_deadline().is_some() {
                    timers.fire(self.shared.clock.now());
                }
            }
        }));
        if let Err(payload) = waited {
            // Its destructor may panic, too.
            std::mem::forget(payload);
        }
    }
}

/// The task of which a thread runs a part. The task waits for the part, so the runtime still exists.
#[derive(Clone, Copy)]
pub(crate) struct PartOf {
    runtime: usize,
    /// The task's thread is in its last destructors.
    has_left: bool,
    job: OnBehalf,
}

impl PartOf {
    /// Marks the calling thread as running a part of it until the end of `part`.
    pub(crate) fn run<R>(self, part: impl FnOnce() -> R) -> R {
        struct Done;
        impl Drop for Done {
            fn drop(&mut self) {
                // No code waits for the thread's own destructors.
                OWN.set((ptr::null(), ptr::null()));
            }
        }
        // Not a real `TaskThread`. Null would mean that the task has left.
        let own = if self.has_left {
            ptr::null()
        } else {
            ptr::dangling()
        };
        OWN.set((ptr::without_provenance(self.runtime), own));
        let _done = Done;
        let _job = self.job.begin();
        part()
    }
}

fn misbound(task: Task) -> Refused {
    let message = "each task needs a scheduler of its own: bind it to `scheduler_for_new_task()`";
    Refused {
        task,
        error: Some(io::Error::new(io::ErrorKind::InvalidInput, message)),
    }
}

/// Takes the task off the list when dropped.
struct Listed<'a> {
    this: &'a SchedulerArc<TaskThread>,
    id: TaskId,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        // Another runtime may use the address while the thread's own destructors run.
        OWN.set((OWN.get().0, ptr::null()));
        let shared = &self.this.shared;
        shared.thread_list.leave(self.id);
        shared.let_time_pass(None);
    }
}

/// The runtime, as seen by the code of a task.
struct OnThread(SchedulerArc<TaskThread>);

impl Ambient for OnThread {
    fn name(&self) -> &'static str {
        NAME
    }

    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Own(TaskThread::new(Arc::clone(&self.0.shared)).erase())
    }

    fn launch(&self, task: Task) -> Result<(), Refused> {
        TaskThread::start(task)
    }

    fn io_driver(&self) -> IoDriver {
        IoDriver::OwnThread
    }

    fn timer_shard(&self) -> Arc<TimerShard> {
        if context::in_task() {
            Arc::clone(self.0.state.timers_or_init())
        } else {
            // The thread waits for something else than its task, and fires no timers meanwhile.
            Ambient::timer_shard(&*self.0.shared)
        }
    }

    fn clock(&self) -> &Clock {
        &self.0.shared.clock
    }

    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        &self.0.shared.blocking
    }

    fn has_thread_per_task(&self) -> bool {
        true
    }

    fn has_ended(&self) -> bool {
        self.0.shared.thread_list.is_closed()
    }

    fn files_inline(&self) -> bool {
        true
    }
}
