//! Every interleaving of spawning, ending, failing and giving up, in small models.
//!
//! `RUSTFLAGS="--cfg lab_loom" cargo test -p runtime-core --release --lib loom`

// `Schedule` is an unsafe trait; the implementation here keeps the defaults for memory.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::future::run;
use super::{ScopedHandle, TaskScope};
use runtime_kernel::blocking::BlockingPool;
use runtime_kernel::context::{Ambient, Binding, IoDriver, Refused};
use runtime_kernel::park::block_on_current_thread as block_on;
use runtime_kernel::primitives::Mutex;
use runtime_kernel::task::{Ran, Schedule, SchedulerArc, Task};
use runtime_kernel::time::TimerShard;

/// A scheduler that only queues; a thread of a model that takes a task runs it.
struct Queue(Mutex<VecDeque<Task>>);

// SAFETY: the defaults for memory are kept.
unsafe impl Schedule for Queue {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        this.0.lock().push_back(task);
    }
}

struct Queues(SchedulerArc<Queue>);

impl Queues {
    fn new() -> Arc<Self> {
        Arc::new(Self(SchedulerArc::new(Queue(Mutex::new(VecDeque::new())))))
    }

    fn take(&self) -> Option<Task> {
        self.0.0.lock().pop_front()
    }

    /// Runs tasks until none is left.
    fn run_all(&self) {
        while let Some(task) = self.take() {
            self.run(task);
        }
    }

    fn run(&self, task: Task) {
        if let Ran::Woken(task) | Ran::Yielded(task) = task.run() {
            Queue::schedule(&self.0, task);
        }
    }

    /// Polls `future` and runs tasks until it completes.
    fn run_until<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            match self.take() {
                Some(task) => self.run(task),
                None => thread::yield_now(),
            }
        }
    }
}

impl Ambient for Queues {
    fn name(&self) -> &'static str {
        "model"
    }
    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Shared(self.0.erased())
    }
    fn launch(&self, task: Task) -> Result<(), Refused> {
        Queue::schedule(&self.0, task);
        Ok(())
    }
    fn io_driver(&self) -> IoDriver {
        IoDriver::OwnThread
    }
    fn timer_shard(&self) -> Arc<TimerShard> {
        unreachable!("no child sleeps")
    }
    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        unreachable!("no child blocks")
    }
}

/// Counts how often it was dropped.
struct Probe(Arc<AtomicUsize>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

/// Polls once, which must return `Pending`.
fn begin<F: Future + ?Sized>(future: &mut Pin<Box<F>>) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending());
}

#[test]
fn the_last_child_wakes_the_scope_that_waits_for_it() {
    model(|| {
        let queues = Queues::new();
        let ended = Arc::new(AtomicUsize::new(0));
        let probes = [(); 2].map(|()| Probe(Arc::clone(&ended)));
        let mut scope = Box::pin(run(
            queues.clone(),
            |children: TaskScope<Infallible>| async move {
                for probe in probes {
                    drop(children.spawn(async move {
                        drop(probe);
                        Ok(())
                    }));
                }
                Ok(7)
            },
        ));
        begin(&mut scope);
        let runners = [(); 2].map(|()| {
            let (queues, task) = (queues.clone(), queues.take().expect("both were spawned"));
            thread::spawn(move || queues.run(task))
        });
        // Deadlocks, which loom reports, if the end of the last one is not reported.
        assert_eq!(block_on(scope).expect("none fails"), 7);
        assert_eq!(ended.load(SeqCst), 2, "a child outlived its scope");
        for runner in runners {
            runner.join().unwrap();
        }
    });
}

#[test]
fn a_failure_ends_a_sibling_that_runs() {
    model(|| {
        let queues = Queues::new();
        let ended = Arc::new(AtomicUsize::new(0));
        let probe = Probe(Arc::clone(&ended));
        let mut scope = Box::pin(run(queues.clone(), |children: TaskScope<u8>| async move {
            drop(children.spawn::<_, ()>(async { Err(7) }));
            drop(children.spawn::<_, ()>(async move {
                let _probe = probe;
                pending().await
            }));
            pending::<Result<(), u8>>().await
        }));
        begin(&mut scope);
        let (fails, waits) = (queues.take().expect("it"), queues.take().expect("it"));
        let own = queues.clone();
        let runner = thread::spawn(move || own.run(waits));
        let own = queues.clone();
        let failing = thread::spawn(move || own.run(fails));
        let error = queues.run_until(scope).expect_err("a child failed");
        assert_eq!(error.first().failed(), Some(&7));
        assert_eq!(error.errors().len(), 1);
        assert_eq!(ended.load(SeqCst), 1, "a child outlived its scope");
        runner.join().unwrap();
        failing.join().unwrap();
    });
}

#[test]
fn spawning_while_the_scope_is_dropped() {
    model(|| {
        let queues = Queues::new();
        let (keep, kept) = (
            Arc::new(std::sync::Mutex::new(None)),
            Arc::new(AtomicUsize::new(0)),
        );
        let place = Arc::clone(&keep);
        let mut scope = Box::pin(run(queues.clone(), |children: TaskScope<u8>| async move {
            *place.lock().unwrap() = Some(children);
            pending::<Result<(), u8>>().await
        }));
        begin(&mut scope);
        let children = keep.lock().unwrap().take().expect("its body has run");
        let probe = Probe(Arc::clone(&kept));
        let spawner = thread::spawn(move || {
            children.spawn::<_, ()>(async move {
                let _probe = probe;
                pending().await
            })
        });
        drop(scope);
        let handle: ScopedHandle<()> = spawner.join().unwrap();
        // Refused, or aborted by one of the two: in any case it is dropped, and nobody waits for it for ever.
        queues.run_all();
        assert_eq!(kept.load(SeqCst), 1);
        assert!(
            block_on(handle)
                .expect_err("it had no value")
                .is_cancelled()
        );
    });
}

#[test]
fn spawning_while_the_scope_completes() {
    model(|| {
        let queues = Queues::new();
        let keep = Arc::new(std::sync::Mutex::new(None));
        let (started, place) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&keep));
        let scope = run(queues.clone(), move |children: TaskScope<Infallible>| {
            *place.lock().unwrap() = Some(children);
            async { Ok(()) }
        });
        let children = keep.lock().unwrap().take().expect("its body was made");
        let own = Arc::clone(&started);
        let spawner = thread::spawn(move || {
            children.spawn(async move {
                own.fetch_add(1, SeqCst);
                Ok(())
            })
        });
        queues.run_until(scope).expect("none fails");
        let before = started.load(SeqCst);
        let handle = spawner.join().unwrap();
        queues.run_all();
        assert_eq!(
            started.load(SeqCst),
            before,
            "it was started in a closed scope"
        );
        assert_eq!(block_on(handle).is_ok(), before == 1);
    });
}

#[test]
fn the_last_child_ends_while_the_scope_is_dropped() {
    model(|| {
        let queues = Queues::new();
        let ended = Arc::new(AtomicUsize::new(0));
        let probe = Probe(Arc::clone(&ended));
        let mut scope = Box::pin(run(
            queues.clone(),
            |children: TaskScope<Infallible>| async move {
                drop(children.spawn(async move {
                    drop(probe);
                    Ok(())
                }));
                Ok(())
            },
        ));
        begin(&mut scope);
        let (own, task) = (queues.clone(), queues.take().expect("it was spawned"));
        let runner = thread::spawn(move || own.run(task));
        drop(scope);
        runner.join().unwrap();
        queues.run_all();
        assert_eq!(ended.load(SeqCst), 1);
    });
}
