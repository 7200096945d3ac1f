//! What becomes of suspended green tasks when their runtime ends, and of those of a worker that is stuck.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use runtime_core::green::{self, wait};
use runtime_core::sync::{Event, Semaphore};
use runtime_core::{JoinError, Native, yield_now};

/// Counts itself while it is there, and says where it was dropped.
struct Alive {
    count: Arc<AtomicUsize>,
    begun_on: ThreadId,
    elsewhere: Arc<AtomicUsize>,
}

impl Alive {
    fn new(count: &Arc<AtomicUsize>, elsewhere: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self {
            count: Arc::clone(count),
            begun_on: thread::current().id(),
            elsewhere: Arc::clone(elsewhere),
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.count.fetch_sub(1, SeqCst);
        if thread::current().id() != self.begun_on {
            self.elsewhere.fetch_add(1, SeqCst);
        }
    }
}

/// Starts so many green tasks that wait for ever, and waits until they do. Drops the runtime by `end`.
fn suspended_tasks_are_unwound<R: Native>(tasks: usize, runtime: &R, end: impl FnOnce(Begun)) {
    let before = green::stack_stats();
    let (alive, elsewhere) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let begun = Arc::new(Semaphore::new(0));
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            let (alive, elsewhere) = (Arc::clone(&alive), Arc::clone(&elsewhere));
            let begun = Arc::clone(&begun);
            green::spawn_on(runtime, move || {
                let _alive = Alive::new(&alive, &elsewhere);
                begun.add_permits(1);
                wait(std::future::pending::<()>());
            })
        })
        .collect();
    end(Begun { begun, tasks });
    assert_eq!(alive.load(SeqCst), 0, "tasks that were not unwound");
    assert_eq!(
        elsewhere.load(SeqCst),
        0,
        "tasks that were unwound on another thread"
    );
    for handle in handles {
        let result = runtime_core::park::block_on_current_thread(handle);
        assert!(matches!(result, Err(JoinError::Cancelled)));
    }
    let after = green::stack_stats();
    assert_eq!(after.in_use, before.in_use);
    assert_eq!(after.abandoned, before.abandoned);
}

struct Begun {
    begun: Arc<Semaphore>,
    tasks: usize,
}

impl Begun {
    async fn all(self) {
        for _ in 0..self.tasks {
            self.begun.acquire().await.unwrap().forget();
        }
    }
}

/// One test, as the count of stacks is the process's.
#[test]
fn a_runtime_that_ends_unwinds_all_stacks_on_their_threads() {
    let event_loop = runtime_n1::Loop::new().unwrap();
    let handle = event_loop.handle().clone();
    suspended_tasks_are_unwound(100_000, &handle, |begun| {
        event_loop.block_on(begun.all());
        drop(event_loop);
    });
    for _ in 0..3 {
        let runtime = runtime_mn::Runtime::builder().workers(2).build().unwrap();
        let handle = runtime.handle().clone();
        suspended_tasks_are_unwound(100_000, &handle, |begun| {
            runtime.block_on(begun.all());
            drop(runtime);
        });
    }
    let runtime = runtime_threads::Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    suspended_tasks_are_unwound(200, &handle, |begun| {
        runtime.block_on(begun.all());
        drop(runtime);
    });
    // Some that were woken in the meantime, and some that never began.
    for _ in 0..100 {
        let runtime = runtime_mn::Runtime::builder().workers(2).build().unwrap();
        let alive = Arc::new(AtomicUsize::new(0));
        let elsewhere = Arc::new(AtomicUsize::new(0));
        for _ in 0..50 {
            let (alive, elsewhere) = (Arc::clone(&alive), Arc::clone(&elsewhere));
            drop(green::spawn_on(runtime.handle(), move || {
                let _alive = Alive::new(&alive, &elsewhere);
                loop {
                    green::yield_now();
                }
            }));
        }
        runtime.block_on(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
        drop(runtime);
        assert_eq!((alive.load(SeqCst), elsewhere.load(SeqCst)), (0, 0));
    }
}

#[test]
fn a_green_task_stays_on_the_worker_that_began_it() {
    let runtime = runtime_mn::Runtime::builder().workers(4).build().unwrap();
    let handle = runtime.handle().clone();
    let threads = Arc::new(Mutex::new(HashSet::new()));
    runtime.block_on(async move {
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let threads = Arc::clone(&threads);
                green::spawn_on(&handle, move || {
                    let own = thread::current().id();
                    threads.lock().unwrap().insert(own);
                    for round in 0..50 {
                        if round % 10 == 0 {
                            green::sleep(Duration::from_micros(100));
                        } else {
                            green::yield_now();
                        }
                        assert_eq!(thread::current().id(), own);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// A stuck worker keeps its own; all else goes on, green tasks that begin meanwhile among it.
#[test]
fn a_stuck_worker_holds_up_its_own_green_tasks_and_no_others() {
    let runtime = runtime_mn::Runtime::builder().workers(1).build().unwrap();
    let handle = runtime.handle().clone();
    let (pinned, released) = (Arc::new(Event::new()), Arc::new(AtomicBool::new(false)));
    let went_on = Arc::new(AtomicBool::new(false));
    runtime.block_on(async move {
        let waits = {
            let (pinned, went_on) = (Arc::clone(&pinned), Arc::clone(&went_on));
            let go = Arc::new(Event::new());
            let inner = Arc::clone(&go);
            let begun = Arc::new(Event::new());
            let inner_begun = Arc::clone(&begun);
            let task = green::spawn_on(&handle, move || {
                pinned.set();
                inner_begun.set();
                wait(inner.wait());
                went_on.store(true, SeqCst);
            });
            begun.wait().await;
            (task, go)
        };
        let stuck = {
            let (released, is_stuck) = (Arc::clone(&released), Arc::new(Event::new()));
            let inner = Arc::clone(&is_stuck);
            let task = Native::spawn(&handle, async move {
                inner.set();
                while !released.load(SeqCst) {
                    std::hint::spin_loop();
                }
            });
            is_stuck.wait().await;
            task
        };
        waits.1.set();
        // A replacement worker runs this, and keeps it until it has ended.
        for _ in 0..10 {
            let thread = green::spawn_on(&handle, || {
                let own = thread::current().id();
                for _ in 0..10 {
                    green::sleep(Duration::from_micros(100));
                    assert_eq!(thread::current().id(), own);
                }
            });
            thread.await.unwrap();
        }
        assert!(!went_on.load(SeqCst), "its worker is stuck");
        released.store(true, SeqCst);
        stuck.await.unwrap();
        waits.0.await.unwrap();
        assert!(went_on.load(SeqCst));
    });
}

#[test]
fn a_green_task_may_block_in_place() {
    let runtime = runtime_mn::Runtime::builder().workers(2).build().unwrap();
    let handle = runtime.handle().clone();
    runtime.block_on(async move {
        // As many as there may be replacement workers.
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let handle = handle.clone();
                green::spawn_on(&handle.clone(), move || {
                    let own = thread::current().id();
                    green::yield_now();
                    let inner = handle.clone();
                    let sum = runtime_mn::block_in_place(move || {
                        inner.block_on(async move {
                            yield_now().await;
                            number + 1
                        })
                    });
                    green::yield_now();
                    assert_eq!(thread::current().id(), own);
                    sum
                })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), number + 1);
        }
    });
}
