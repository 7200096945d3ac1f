//! Tasks of a scope or of a server whose scheduler panics: each of them is aborted all the same.

use std::future::pending;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use futures_lite::future::{block_on, poll_once};
use runtime_core::blocking::BlockingPool;
use runtime_core::context::{self, Ambient, Binding, IoDriver, Refused, Role};
use runtime_core::net::{ServerOptions, TcpListener};
use runtime_core::task::{Ran, SafeSchedule, SchedulerArc, Task};
use runtime_core::task_scope::{TaskScope, scope_on};
use runtime_core::time::TimerShard;
use runtime_core::{Capabilities, Metrics, Native};

/// Keeps its tasks to be run by hand. Panics when a task is woken.
#[derive(Default)]
struct Panics {
    tasks: Mutex<Vec<Task>>,
    /// A new task is run once by the code that starts it.
    runs_at_launch: AtomicBool,
}

impl Panics {
    fn take(&self) -> Vec<Task> {
        std::mem::take(&mut *self.tasks.lock().unwrap())
    }

    /// Runs as many tasks as are queued, which must be `count`, once each.
    fn run(&self, count: usize) {
        let tasks = self.take();
        assert_eq!(tasks.len(), count);
        for task in tasks {
            assert!(matches!(task.run(), Ran::Parked | Ran::Finished));
        }
    }
}

impl SafeSchedule for Panics {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        this.tasks.lock().unwrap().push(task);
        panic!("this scheduler panics, as planned");
    }
}

/// A runtime with that scheduler, and the sockets and timers of a loop.
struct Foreign {
    ambient: Arc<dyn Ambient>,
    scheduler: SchedulerArc<Panics>,
}

impl Ambient for Foreign {
    fn name(&self) -> &'static str {
        "foreign"
    }
    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Shared(self.scheduler.erased())
    }
    fn launch(&self, task: Task) -> Result<(), Refused> {
        if self.scheduler.runs_at_launch.load(SeqCst) {
            assert!(matches!(task.run(), Ran::Parked));
        } else {
            self.scheduler.tasks.lock().unwrap().push(task);
        }
        Ok(())
    }
    fn io_driver(&self) -> IoDriver {
        self.ambient.io_driver()
    }
    fn timer_shard(&self) -> Arc<TimerShard> {
        self.ambient.timer_shard()
    }
    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        self.ambient.blocking_pool()
    }
}

#[derive(Clone)]
struct Handle(Arc<dyn Ambient>);

impl Native for Handle {
    const NAME: &'static str = "foreign";

    fn ambient(&self) -> &Arc<dyn Ambient> {
        &self.0
    }
    fn capabilities(&self) -> Capabilities {
        unreachable!("nobody asks")
    }
    fn metrics(&self) -> Metrics {
        unreachable!("nobody asks")
    }
}

/// A loop, and that scheduler with the loop's sockets and timers.
fn foreign() -> (runtime_n1::Loop, Handle, SchedulerArc<Panics>) {
    let event_loop = runtime_n1::Loop::new().unwrap();
    let scheduler = SchedulerArc::new(Panics::default());
    let handle = Handle(Arc::new(Foreign {
        ambient: Arc::clone(event_loop.handle().ambient()),
        scheduler: scheduler.clone(),
    }));
    (event_loop, handle, scheduler)
}

const CHILDREN: usize = 3;

#[test]
fn a_scheduler_that_panics_at_an_abort_keeps_no_other_child_from_it() {
    let (_event_loop, handle, scheduler) = foreign();
    let mut scope = Box::pin(scope_on(&handle, |children| async move {
        for _ in 0..CHILDREN {
            drop(children.spawn(pending::<Result<(), ()>>()));
        }
        pending::<Result<(), ()>>().await
    }));
    assert!(block_on(poll_once(&mut scope)).is_none());
    scheduler.run(CHILDREN);
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(scope)));
    assert_eq!(scheduler.take().len(), CHILDREN, "those that were aborted");
    assert!(dropped.is_ok(), "the scope's owner is not the scheduler");
}

/// The scope aborts while the child is being started, so the code that starts it also aborts it.
#[test]
fn a_scheduler_that_panics_when_a_late_child_is_aborted_does_not_hang_its_scope() {
    /// Runs the tasks that are queued, as another thread could.
    struct Name(SchedulerArc<Panics>);
    impl From<Name> for Box<str> {
        fn from(name: Name) -> Self {
            name.0.run(1);
            "late".into()
        }
    }
    let (_event_loop, handle, scheduler) = foreign();
    let (tell, told) = std::sync::mpsc::channel::<TaskScope<()>>();
    let mut scope = Box::pin(scope_on(&handle, |children| async move {
        drop(children.spawn(async { Err::<(), ()>(()) }));
        tell.send(children).unwrap();
        pending::<Result<(), ()>>().await
    }));
    assert!(block_on(poll_once(&mut scope)).is_none());
    let children = told.recv().unwrap();
    scheduler.runs_at_launch.store(true, SeqCst);
    let spawned = catch_unwind(AssertUnwindSafe(|| {
        drop(children.spawn_named(Name(scheduler.clone()), pending::<Result<(), ()>>()));
    }));
    scheduler.run(1);
    let ended = block_on(poll_once(&mut scope));
    assert!(
        ended.is_some_and(|outcome| outcome.is_err()),
        "no child is left"
    );
    assert!(spawned.is_ok(), "the spawner is not the scheduler");
}

#[test]
fn a_scheduler_that_panics_at_an_abort_keeps_no_connection_from_it() {
    let (_event_loop, handle, scheduler) = foreign();
    let _entered = context::enter(Arc::clone(&handle.0), Role::NonWorker);
    let listener = block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let _clients: Vec<TcpStream> = (0..CHILDREN)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let server = ServerOptions::default().serve(listener, |_, _| pending::<()>());
    // The task that accepts, and then those of the connections.
    scheduler.run(1);
    scheduler.run(CHILDREN);
    assert_eq!(server.connections(), CHILDREN);
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(server)));
    assert_eq!(
        scheduler.take().len(),
        1 + CHILDREN,
        "those that were aborted"
    );
    assert!(dropped.is_ok(), "the server's owner is not the scheduler");
}
