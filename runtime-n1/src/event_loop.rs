//! The event loop: which task runs next, and when the loop polls the kernel.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use runtime_kernel::JoinHandle;
use runtime_kernel::blocking::BlockingPool;
use runtime_kernel::context::{self, EnterGuard, Role};
use runtime_kernel::reactor::{Polled, Reactor};
use runtime_kernel::task::left_over::Ending;
use runtime_kernel::task::{SchedulerArc, Task, bind_local};
use runtime_kernel::thread_stack::on_thread_stack;
use runtime_kernel::time::TimerShard;
use runtime_kernel::trace::{self, Fact, ThreadKind};

use crate::builder::Builder;
use crate::handle::{Handle, LoopAmbient};
use crate::local::{CurrentGuard, Local};
use crate::shared::Shared;
use crate::simulated;
use crate::slow_polls::Watch;

/// The number of intervals between two checks of sockets and timers, if more tasks are ready than one interval runs.
const MAX_INTERVALS_PER_CHECK: u32 = 4;

/// How long a shutdown waits at a time for a waker on another thread to queue the task that the waker has marked.
const FOREIGN_WAKER_TIMEOUT: Duration = Duration::from_millis(1);

/// An event loop. It owns its tasks, polls them on the thread that runs it, and drops them there.
///
/// It is not `Send`; its [`Handle`] is.
///
/// ```
/// let event_loop = runtime_n1::Loop::new()?;
/// let answer = event_loop.block_on(async {
///     let half = std::rc::Rc::new(21); // tasks of a loop need not be `Send`
///     runtime_core::yield_now().await;
///     *half * 2
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Loop {
    local: Rc<Local>,
    handle: Handle,
    io_interval: u32,
    /// Tasks that ran since the last check of sockets and timers.
    since_look: Cell<u32>,
    /// Tasks to run until the next check.
    next_check: Cell<u32>,
    _not_send: PhantomData<*const ()>,
}

impl Loop {
    /// Creates a loop with the default settings.
    ///
    /// # Errors
    /// If the system refuses descriptors for the reactor.
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// Returns a builder, for other settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn with(builder: Builder) -> io::Result<Self> {
        let reactor = Reactor::new(builder.reactor)?;
        let watch = builder.slow_polls.map(Watch::start).transpose()?;
        // A timer that another thread sets must end a wait that would be too long.
        let notify = Arc::downgrade(&reactor);
        let timers = TimerShard::new(Box::new(move || {
            if let Some(reactor) = notify.upgrade() {
                reactor.notify();
            }
        }));
        let blocking = BlockingPool::new(builder.blocking);
        if let Some(executor) = builder.default_executor {
            blocking.set_default(executor);
        }
        simulated::ask_when_released(&builder.clock, &reactor);
        let shared = Shared::new(reactor, timers, blocking, builder.clock);
        let shared = SchedulerArc::new(shared);
        let ambient: Arc<dyn context::Ambient> = Arc::new(LoopAmbient(shared.clone()));
        shared.blocking.set_ambient(Arc::downgrade(&ambient));
        Ok(Self {
            local: Rc::new(Local {
                shared: shared.clone(),
                ambient: Arc::clone(&ambient),
                ready: RefCell::default(),
                blocks: RefCell::default(),
                closed: Cell::new(false),
                polls: Cell::new(0),
                watch,
            }),
            handle: Handle::new(shared, ambient),
            io_interval: builder.io_interval,
            since_look: Cell::new(0),
            next_check: Cell::new(builder.io_interval),
            _not_send: PhantomData,
        })
    }

    /// Returns a handle, which spawns from other threads.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Enters this loop on the calling thread until the guard is dropped, without running it.
    pub fn enter(&self) -> EnterGuard {
        self.handle.enter()
    }

    /// Starts a task that stays on this thread. The task runs while the loop runs.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let _current = self.local.enter();
        spawn_local_on(&self.local, future)
    }

    /// Runs the loop until `root` has ended; `root` becomes a task. Other tasks stay, and continue in the next run.
    ///
    /// This is asyncio's `run_until_complete`.
    ///
    /// # Panics
    /// With the root task's own panic. Also inside a task of any runtime, and if [`Handle::stop`] ends the loop first.
    pub fn block_on<F>(&self, root: F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.assert_may_run("Loop::block_on");
        let mut root = pin!(self.spawn_local(root));
        self.run(|| root.is_finished());
        match root.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(output)) => output,
            Poll::Ready(Err(error)) => match error.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                Err(error) => panic!("the root task of `Loop::block_on` gave no value: {error}"),
            },
            Poll::Pending => panic!("`Handle::stop` ended the loop before the root task did"),
        }
    }

    /// Runs the loop until [`Handle::stop`]. If `stop` was called before, it runs one round: each task that is ready
    /// now runs once.
    ///
    /// # Panics
    /// Inside a task of any runtime.
    pub fn run_forever(&self) {
        self.assert_may_run("Loop::run_forever");
        self.run(|| false);
    }

    fn assert_may_run(&self, what: &str) {
        context::assert_may_block(
            what,
            "spawn a task and await its handle, or run the loop on a thread of its own",
        );
    }

    /// Ends the loop: drops all tasks on this thread, and then waits up to `timeout` for blocking jobs. Returns the
    /// names of the jobs that are still running.
    pub fn shutdown(self, timeout: Duration) -> Vec<String> {
        on_thread_stack(|| {
            self.drop_tasks();
            self.local.shared.blocking.shutdown(timeout)
        })
    }

    fn enter_as_worker(&self) -> (CurrentGuard, EnterGuard) {
        let ambient = self.handle.ambient_arc();
        (self.local.enter(), context::enter(ambient, Role::Worker))
    }

    fn run(&self, done: impl Fn() -> bool) {
        let _entered = self.enter_as_worker();
        let shared = &self.local.shared;
        let _role = trace::thread_is(ThreadKind::Worker, shared.worker);
        shared.erased().serve(|| {
            while !done() {
                if shared.sleep.is_stopped() {
                    // It came before the run: one round all the same, for all that is ready, including sockets and
                    // timers.
                    self.look(Some(Duration::ZERO));
                }
                self.turn();
                // One stop ends one run.
                if shared.sleep.is_stopped() {
                    shared.sleep.take_stop();
                    break;
                }
            }
        });
        self.publish_counters();
    }

    /// One turn of the loop: runs the tasks that were ready at the start.
    fn turn(&self) {
        let local = &*self.local;
        local.shared.take_remote(&mut local.ready.borrow_mut());
        if local.ready.borrow().is_empty() {
            self.wait();
        }
        // Tasks that become ready from here on run in the next turn.
        let ready = local.ready.borrow().len();
        for _ in 0..ready {
            // Even if many tasks are ready, sockets, timers and other threads get their turn.
            if self.since_look.get() >= self.next_check.get() {
                self.look(Some(Duration::ZERO));
                local.shared.take_remote(&mut local.ready.borrow_mut());
            }
            self.since_look.set(self.since_look.get() + 1);
            let Some(task) = local.ready.borrow_mut().pop_front() else {
                break;
            };
            local.run(task);
        }
    }

    /// Waits in the kernel for a socket, a timer or another thread, because no task is ready.
    fn wait(&self) {
        let shared = &self.local.shared;
        let deadline = shared.timers.prepare_park();
        if shared.sleep.begin() {
            self.publish_counters();
            if shared.clock.is_simulated() {
                simulated::wait(&self.local, deadline, |timeout| self.wait_up_to(timeout));
            } else {
                self.wait_up_to(deadline.map(|at| at.saturating_duration_since(Instant::now())));
            }
            shared.sleep.end();
        }
        shared.timers.finish_park();
        shared.take_remote(&mut self.local.ready.borrow_mut());
    }

    /// Waits in the kernel, up to `timeout`. Returns true if the reactor may have more to report.
    fn wait_up_to(&self, timeout: Option<Duration>) -> bool {
        if timeout != Some(Duration::ZERO) {
            self.local.shared.counters.parks.fetch_add(1, Relaxed);
            trace::note(Fact::Parks(true));
        }
        self.look(timeout)
    }

    /// Polls the reactor, then fires the timers that are due. Returns true if the reactor may have more to report.
    fn look(&self, timeout: Option<Duration>) -> bool {
        self.since_look.set(0);
        let mut polled = Polled::default();
        let shared = &self.local.shared;
        // Without waiting and without sockets, the kernel has nothing to report.
        if timeout != Some(Duration::ZERO) || shared.reactor.has_sources() {
            shared.counters.io_polls.fetch_add(1, Relaxed);
            polled = shared
                .reactor
                .poll(timeout)
                .expect("the reactor's own descriptors stay valid");
            if timeout != Some(Duration::ZERO) {
                trace::note(Fact::Unparked);
            }
            trace::note(Fact::IoPolled(polled.sockets));
        }
        if shared.timers.next_deadline().is_some() {
            shared.timers.fire(shared.clock.now());
        }
        // Tasks that are ready by now run first. Tasks that a further check wakes would have to wait for them anyway,
        // and the check would push the sockets and tasks of the others out of the cache.
        let ready = self.local.ready.borrow().len() as u32;
        let interval = self.io_interval;
        let longest = interval.saturating_mul(MAX_INTERVALS_PER_CHECK);
        self.next_check.set(ready.clamp(interval, longest));
        polled.is_full
    }

    fn publish_counters(&self) {
        let polls = &self.local.shared.counters.polls;
        polls.store(self.local.polls.get(), Relaxed);
    }

    /// Refuses new tasks, and drops every task on this thread.
    fn drop_tasks(&self) {
        let local = &*self.local;
        let shared = &local.shared;
        shared.close();
        local.closed.set(true);
        let _entered = self.enter_as_worker();
        let ending = Ending::begin();
        loop {
            // Dropping a task may wake another one, so this repeats until a walk finds none.
            let mut due: VecDeque<Task> = local.ready.take();
            shared.take_remote(&mut due);
            let alive = shared.arena.abort_all(|task| due.push_back(task));
            if alive == 0 {
                break;
            }
            if due.is_empty() {
                // Wakers on other threads have marked all that are left, and are about to queue them.
                if shared.sleep.begin() {
                    let _ = shared.reactor.poll(Some(FOREIGN_WAKER_TIMEOUT));
                    shared.sleep.end();
                }
            }
            due.into_iter().for_each(Task::cancel);
        }
        ending.serve(|limit| {
            let _ = shared.reactor.poll(Some(limit));
            shared.timers.fire(shared.clock.now());
        });
        local.blocks.borrow_mut().flush(&shared.arena, shared);
        // Threads that have entered the loop may still wait for timers.
        shared.timers.close();
    }
}

impl Builder {
    /// Builds the loop. Nothing runs on it until you run it.
    ///
    /// # Errors
    /// If the system refuses descriptors for the reactor, or a thread for [`on_slow_poll`](Builder::on_slow_poll).
    pub fn build(self) -> io::Result<Loop> {
        Loop::with(self)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if !self.local.closed.get() {
            // The stack of a green task may be left for ever, in the middle of this.
            on_thread_stack(|| {
                self.drop_tasks();
                self.local.shared.blocking.shutdown(Duration::ZERO);
            });
        }
        self.local.shared.reactor.shut_down();
    }
}

/// Starts a task on the loop that the calling thread is running. The task stays on this thread.
///
/// # Panics
/// Outside a running [`Loop`].
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let local = Local::running().unwrap_or_else(|| {
        panic!(
            "`spawn_local` was called outside of an N:1 loop: call it from a task of one, or use `Loop::spawn_local`"
        )
    });
    spawn_local_on(local, future)
}

#[allow(unsafe_code)]
#[track_caller]
fn spawn_local_on<F>(local: &Local, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    // SAFETY: tasks of this loop are run and cancelled only by its own thread. That is this one, because a `Local`
    // does not move to another thread.
    let (task, handle) = unsafe { bind_local(local.shared.erased(), future) };
    if let Err(refused) = local.launch(task) {
        refused.settle();
    }
    handle
}
