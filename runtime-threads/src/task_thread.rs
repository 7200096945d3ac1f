//! A task's thread: polls its task, and is what the task waits with.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use runtime_kernel::Native;
use runtime_kernel::blocking::{BlockingPool, OnBehalf};
use runtime_kernel::context::{self, Ambient, Binding, IoDriver, Refused, Role};
use runtime_kernel::reactor::own_thread::{ThreadParker, ThreadUnparker};
use runtime_kernel::task::{AbortHandle, Ran, Schedule, SchedulerArc, Task, TaskId};
use runtime_kernel::time::{Clock, TimerShard};
use runtime_kernel::trace::{self, Fact, Queue, ThreadKind, WorkerId};

use crate::due::Due;
use crate::handle::Handle;
use crate::os_thread::OsThread;
use crate::overflow::Stack;
use crate::phase::Phase;
use crate::registry::Denied;
use crate::shared::Shared;
use crate::thread_budget::Permit;

/// The scheduler of one task: its thread, as wakers and the shutdown see it.
pub(crate) struct TaskThread {
    shared: Arc<Shared>,
    due: Due,
    phase: Phase,
    /// The thread's own, put here before the first poll.
    unparker: OnceLock<ThreadUnparker>,
    /// Made when the task first waits for a timer.
    timers: OnceLock<Arc<TimerShard>>,
    /// In simulated time: the thread waits, or has just been woken. Written under the registry's lock.
    waits: AtomicBool,
    /// Written by the thread only.
    polls: AtomicU64,
    parks: AtomicU64,
    /// By what traces know the thread.
    worker: WorkerId,
}

thread_local! {
    /// The runtime that the calling thread runs a task of, and its side here. For comparing only.
    static OWN: Cell<(*const Shared, *const TaskThread)> = const { Cell::new((ptr::null(), ptr::null())) };
}

// SAFETY: the memory of tasks is the default's.
unsafe impl Schedule for TaskThread {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        this.put(task);
        // Its own thread (a socket or timer that it has just seen) looks into the place before it parks.
        if OWN.get().1 == ptr::from_ref::<Self>(this) {
            return;
        }
        // Before its first poll a task counts as due, so that nobody schedules it: the parker is there.
        if let Some(unparker) = this.unparker.get() {
            trace::note(Fact::Unparks(this.worker));
            unparker.unpark();
        }
    }
}

impl TaskThread {
    pub(crate) fn new(shared: Arc<Shared>) -> SchedulerArc<Self> {
        SchedulerArc::new(Self {
            shared,
            due: Due::new(),
            phase: Phase::new(),
            unparker: OnceLock::new(),
            timers: OnceLock::new(),
            waits: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            worker: WorkerId::new(trace::next_runtime(), 0),
        })
    }

    /// True on a thread that runs a task of this runtime.
    pub(crate) fn current_is_of(shared: &Arc<Shared>) -> bool {
        OWN.get().0 == Arc::as_ptr(shared)
    }

    /// True on a thread whose task has ended: in its last destructors.
    fn has_left() -> bool {
        let (shared, own) = OWN.get();
        !shared.is_null() && own.is_null()
    }

    /// Whose task the calling thread runs, for one that does a part of it.
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
    /// Gives the task back if the runtime is closed or the system gives no thread.
    pub(crate) fn start(task: Task) -> Result<(), Refused> {
        let Some(this) = task.scheduler().downcast::<Self>().cloned() else {
            return Err(misbound(task));
        };
        if !this.phase.start() {
            return Err(misbound(task));
        }
        let id = task.id();
        let shared = &this.shared;
        let abort = task.abort_handle();
        match shared.registry.enter(this.clone(), abort.clone()) {
            Ok(()) => {}
            Err(Denied::Closed) => return Err(Refused { task, error: None }),
            Err(Denied::Full(max)) => {
                let message = format!("the runtime's limit of {max} threads is reached");
                let error = Some(io::Error::new(io::ErrorKind::WouldBlock, message));
                return Err(Refused { task, error });
            }
        }
        // In its place, so that it is not lost with the closure of a thread that is refused.
        this.put(task);
        let mut spawned = Self::spawn(&this, id, &abort);
        while spawned.is_err() && !Self::has_left() && shared.registry.make_room() {
            spawned = Self::spawn(&this, id, &abort);
        }
        match spawned {
            Ok(os) => {
                shared.registry.started(id, os);
                Ok(())
            }
            Err(error) => {
                shared.registry.withdraw(id);
                shared.let_time_pass(None);
                let task = this.take().expect("no thread has taken it");
                Err(Refused {
                    task,
                    error: Some(error),
                })
            }
        }
    }

    fn spawn(this: &SchedulerArc<Self>, id: TaskId, abort: &AbortHandle) -> io::Result<OsThread> {
        let permit = Permit::take()?;
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
                stack.watch(|| Self::run(&thread, id, permit));
            })
            .map(OsThread::new)
    }

    /// The shutdown: no further poll.
    pub(crate) fn close(&self) {
        self.phase.close();
    }

    pub(crate) fn is_polling(&self) -> bool {
        self.phase.is_polling()
    }

    /// Whether the thread waits, and nobody has woken it. To be called under the registry's lock.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Relaxed) && self.unparker.get().is_some_and(ThreadUnparker::is_asleep)
    }

    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Relaxed);
    }

    pub(crate) fn unparker(&self) -> Option<&ThreadUnparker> {
        self.unparker.get()
    }

    pub(crate) fn timers(&self) -> Option<&TimerShard> {
        self.timers.get().map(Arc::as_ref)
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Relaxed)
    }

    pub(crate) fn parks(&self) -> u64 {
        self.parks.load(Relaxed)
    }

    fn put(&self, task: Task) {
        trace::note(Fact::Queued(task.id(), Queue::Slot, self.worker));
        let before = self.due.put(task.into_raw());
        // A task is due once at a time. So this is another one, that somebody has bound to this scheduler too: it has
        // no thread. SAFETY: as in `take`.
        if let Some(misbound) = before.map(|raw| unsafe { Task::from_raw(raw) }) {
            misbound.cancel();
        }
    }

    fn take(&self) -> Option<Task> {
        // SAFETY: what is in the place is from `put`, and comes out of it once.
        self.due.take().map(|raw| unsafe { Task::from_raw(raw) })
    }

    /// All that the thread does.
    fn run(this: &SchedulerArc<Self>, id: TaskId, permit: Permit) {
        // Dropped in the reverse order: the permit covers the thread to its end.
        let _permit = permit.started();
        let _listed = Listed { this, id };
        let _role = trace::thread_is(ThreadKind::Task, this.worker);
        OWN.set((Arc::as_ptr(&this.shared), ptr::from_ref::<Self>(this)));
        let parker = ThreadParker::current_or_install();
        let _ = this.unparker.set(parker.unparker());
        let entered = context::enter(Arc::new(OnThread(this.clone())), Role::Worker);
        this.work(&parker);
        drop(entered);
        parker.leave();
        if let Some(timers) = this.timers.get() {
            timers.hand_on();
        }
    }

    fn work(&self, parker: &ThreadParker) {
        loop {
            let Some(task) = self.take() else {
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
        if !self.phase.begin_poll() {
            task.cancel();
            return Ran::Finished;
        }
        count(&self.polls);
        let ran = task.run();
        self.phase.end_poll();
        ran
    }

    /// The task is due again. However busy it is, its own sockets and timers have their turn.
    fn go_on(&self, task: Task, parker: &ThreadParker) {
        self.put(task);
        self.wait(parker, Some(Instant::now()));
    }

    /// Waits for a wake, a socket or a timer, up to `deadline` if there is one.
    fn wait(&self, parker: &ThreadParker, deadline: Option<Instant>) {
        // It calls wakers; those of another executor may panic, which is not this task's end.
        let waited = catch_unwind(AssertUnwindSafe(|| {
            let timers = self.timers.get();
            match deadline {
                Some(at_once) => parker.park(Some(at_once)),
                None => {
                    count(&self.parks);
                    let deadline = timers.and_then(|timers| timers.prepare_park());
                    if self.shared.clock.is_simulated() {
                        parker.park_then(None, || {
                            self.shared.let_time_pass(Some(self));
                            // A timer that was fired just now, on this very thread, put the task here without a token.
                            if !self.due.is_empty() {
                                parker.unparker().unpark();
                            }
                        });
                        self.shared.registry.waits_no_more(self);
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

/// Whose task a thread does a part of. That one waits for the part, so the runtime is there.
#[derive(Clone, Copy)]
pub(crate) struct PartOf {
    runtime: usize,
    /// The task's thread is in its last destructors.
    has_left: bool,
    job: OnBehalf,
}

impl PartOf {
    /// The calling thread does a part of it until the end of `part`.
    pub(crate) fn run<R>(self, part: impl FnOnce() -> R) -> R {
        struct Done;
        impl Drop for Done {
            fn drop(&mut self) {
                // Nobody waits for the thread's own destructors.
                OWN.set((ptr::null(), ptr::null()));
            }
        }
        // No task's side. Null says that the task has left, and only then.
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

/// Counts what only the thread itself counts.
fn count(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

fn misbound(task: Task) -> Refused {
    let message = "each task needs a scheduler of its own: bind it to `scheduler_for_new_task()`";
    Refused {
        task,
        error: Some(io::Error::new(io::ErrorKind::InvalidInput, message)),
    }
}

/// Takes the task off the registry's list when dropped.
struct Listed<'a> {
    this: &'a SchedulerArc<TaskThread>,
    id: TaskId,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        // The address may be used again while the thread's own destructors run.
        OWN.set((OWN.get().0, ptr::null()));
        let shared = &self.this.shared;
        shared.registry.leave(self.id);
        shared.let_time_pass(None);
    }
}

/// The runtime as the code of a task sees it.
struct OnThread(SchedulerArc<TaskThread>);

impl Ambient for OnThread {
    fn name(&self) -> &'static str {
        Handle::NAME
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
        let shard = self.0.timers.get_or_init(|| {
            let unparker = self.0.unparker.get();
            let unparker = unparker.expect("put there before the first poll").clone();
            TimerShard::new(Box::new(move || unparker.unpark()))
        });
        Arc::clone(shard)
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

    fn files_inline(&self) -> bool {
        true
    }
}
