//! The public cases about sockets and files, with every driver, on a runtime with one loop.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use runtime_core::blocking::BlockingPool;
use runtime_core::context::{self, Ambient, Binding, IoDriver, Refused, Role};
use runtime_core::reactor::own_thread::{ThreadParker, ThreadUnparker};
use runtime_core::reactor::{Reactor, ReactorKind};
use runtime_core::task::{self, Ran, Schedule, SchedulerArc, SchedulerRef, Task};
use runtime_core::testing::alone;
use runtime_core::time::TimerShard;

#[derive(Clone)]
enum Waits {
    Reactor(Arc<Reactor>),
    OwnThread(ThreadUnparker),
}

impl Waits {
    fn wake(&self) {
        match self {
            Self::Reactor(reactor) => reactor.notify(),
            Self::OwnThread(unparker) => unparker.unpark(),
        }
    }

    fn wait(&self, deadline: Option<Instant>) {
        match self {
            Self::Reactor(reactor) => {
                let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                reactor.poll(timeout).expect("poll");
            }
            // The thread of the only loop.
            Self::OwnThread(_) => ThreadParker::current_or_install().park(deadline),
        }
    }
}

struct OneLoop {
    queue: Mutex<VecDeque<Task>>,
    waits: Waits,
    timers: Arc<TimerShard>,
    pool: Arc<BlockingPool>,
    scheduler: OnceLock<SchedulerRef>,
}

struct Scheduler(Weak<OneLoop>);

// SAFETY: allocation is left to the defaults.
#[allow(unsafe_code)]
unsafe impl Schedule for Scheduler {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        match this.0.upgrade() {
            Some(one_loop) => {
                one_loop.queue.lock().push_back(task);
                one_loop.waits.wake();
            }
            None => task.cancel(),
        }
    }
}

impl Ambient for OneLoop {
    fn name(&self) -> &'static str {
        "one-loop"
    }
    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Shared(self.scheduler.get().expect("set by `run`"))
    }
    fn launch(&self, task: Task) -> Result<(), Refused> {
        self.queue.lock().push_back(task);
        self.waits.wake();
        Ok(())
    }
    fn io_driver(&self) -> IoDriver {
        match &self.waits {
            Waits::Reactor(reactor) => IoDriver::Reactor(reactor.clone()),
            Waits::OwnThread(_) => IoDriver::OwnThread,
        }
    }
    fn timer_shard(&self) -> Arc<TimerShard> {
        self.timers.clone()
    }
    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        &self.pool
    }
    fn files_inline(&self) -> bool {
        matches!(self.waits, Waits::OwnThread(_))
    }
}

fn run_on<F>(waits: Waits, root: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let unpark = waits.clone();
    let one_loop = Arc::new(OneLoop {
        queue: Mutex::new(VecDeque::new()),
        timers: TimerShard::new(Box::new(move || unpark.wake())),
        pool: BlockingPool::new(runtime_core::blocking::BlockingConfig::default()),
        waits,
        scheduler: OnceLock::new(),
    });
    let scheduler = SchedulerArc::new(Scheduler(Arc::downgrade(&one_loop))).erase();
    assert!(one_loop.scheduler.set(scheduler).is_ok());
    let ambient: Weak<dyn Ambient> = Arc::downgrade(&one_loop) as _;
    one_loop.pool.set_ambient(ambient);
    let _entered = context::enter(one_loop.clone(), Role::Worker);
    let (task, handle) = task::bind(one_loop.scheduler.get().expect("just set"), root);
    one_loop.queue.lock().push_back(task);
    while !handle.is_finished() {
        let task = one_loop.queue.lock().pop_front();
        if let Some(task) = task {
            match task.run() {
                Ran::Woken(task) | Ran::Yielded(task) => one_loop.queue.lock().push_back(task),
                _ => {}
            }
            // Polls for events and timers between tasks, even if some task always has work.
            one_loop.waits.wake();
        }
        let deadline = one_loop.timers.prepare_park();
        one_loop.waits.wait(deadline);
        one_loop.timers.finish_park();
        one_loop.timers.fire(Instant::now());
        if one_loop.queue.lock().is_empty() {
            continue;
        }
        one_loop.waits.wake();
    }
    let left = std::mem::take(&mut *one_loop.queue.lock());
    left.into_iter().for_each(Task::cancel);
    if let Err(error) = futures_lite::future::block_on(handle) {
        panic!("the root: {error}");
    }
}

/// Runs the case with every driver, each on its own thread.
fn run<F>(case: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    type Waiter = fn(ReactorKind) -> Waits;
    let mut all: Vec<(String, Waiter, ReactorKind)> = ReactorKind::ALL
        .iter()
        .map(|kind| {
            let make: fn(ReactorKind) -> Waits =
                |kind| Waits::Reactor(Reactor::new(kind).expect("a reactor"));
            (kind.to_string(), make, *kind)
        })
        .collect();
    all.push((
        "own thread".to_owned(),
        |_| Waits::OwnThread(ThreadParker::current_or_install().unparker()),
        ReactorKind::default(),
    ));
    for (name, make, kind) in all {
        let (done, ended) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            run_on(make(kind), case());
            let _ = done.send(());
        });
        let timed_out = matches!(
            ended.recv_timeout(Duration::from_secs(60)),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        );
        assert!(!timed_out, "it hangs with driver `{name}`");
        if let Err(panic) = thread.join() {
            eprintln!("driver: {name}");
            std::panic::resume_unwind(panic);
        }
    }
}

runtime_conformance::__io_cases!(__one_loop_tests, ());

/// Runs the case in a child process, in which this test is the only one.
fn run_alone<F>(name: &str, case: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    const CHILD: &str = "LAB_TEST_ALONE";
    if std::env::var_os(CHILD).is_some() {
        return run(case);
    }
    let output = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("a child process");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{errors}"
    );
}

#[test]
fn accept_when_descriptors_are_exhausted() {
    run_alone(
        "accept_when_descriptors_are_exhausted",
        alone::accept_when_descriptors_are_exhausted,
    );
}

#[test]
fn a_cancelled_read_does_not_spin() {
    run_alone(
        "a_cancelled_read_does_not_spin",
        alone::a_cancelled_read_does_not_spin,
    );
}
