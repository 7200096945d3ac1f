//! Code on a green task's stack that a wait or an overflow must not interrupt half-way: other tasks' polls, closures
//! of a fork-join, a worker that is away, the end of a loop.

use std::cell::RefCell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use runtime_core::green::{self, wait};
use runtime_core::task::{SafeSchedule, SchedulerArc, Task, bind};
use runtime_core::task_local::TaskLocal;
use runtime_core::{ForkJoin, JoinError, Native, yield_now};

/// The message of the panic.
fn message_of(error: JoinError) -> String {
    let payload = error.try_into_panic().expect("it has panicked");
    let text = payload.downcast::<String>().map(|text| *text);
    text.unwrap_or_else(|payload| payload.downcast_ref::<&str>().unwrap().to_string())
}

fn small() -> green::Builder {
    green::Builder::new().stack_bytes(64 * 1024)
}

/// Uses more stack than a small green task has.
fn deep(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == 0 {
        0
    } else {
        deep(depth - 1) + u64::from(black_box(frame)[7] > 0)
    }
}

const DEEP: u64 = 500;

fn two_workers() -> runtime_mn::Runtime {
    runtime_mn::Runtime::builder().workers(2).build().unwrap()
}

#[test]
fn a_task_of_a_loop_that_runs_in_place_has_no_stack_of_its_own() {
    let message_of = two_workers().block_on(async {
        let outer = small().spawn(|| {
            runtime_mn::block_in_place(|| {
                let event_loop = runtime_n1::Loop::new().unwrap();
                event_loop.block_on(async {
                    let inner = runtime_core::spawn(async { wait(yield_now()) });
                    message_of(inner.await.unwrap_err())
                })
            })
        });
        outer.await.unwrap()
    });
    assert!(message_of.contains("no stack of its own"), "{message_of}");
}

/// Keeps its tasks to be run by hand.
#[derive(Default)]
struct ByHand(Mutex<Vec<Task>>);

impl SafeSchedule for ByHand {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        this.0.lock().unwrap().push(task);
    }
}

#[test]
fn a_task_that_is_run_by_hand_on_a_green_stack_has_no_stack_of_its_own() {
    let event_loop = runtime_n1::Loop::new().unwrap();
    let message_of = event_loop.block_on(async {
        let outer = small().spawn(|| {
            let scheduler = SchedulerArc::new(ByHand::default());
            let (task, inner) = bind(scheduler.erased(), async { wait(yield_now()) });
            drop(task.run());
            message_of(wait(inner).unwrap_err())
        });
        outer.await.unwrap()
    });
    assert!(message_of.contains("no stack of its own"), "{message_of}");
}

#[test]
fn code_that_runs_in_place_has_the_threads_own_stack() {
    let sum = two_workers().block_on(async {
        let task = small().spawn(|| {
            let sum = runtime_mn::block_in_place(|| deep(DEEP));
            green::yield_now();
            sum
        });
        task.await.unwrap()
    });
    assert_eq!(sum, DEEP);
}

#[test]
fn a_panic_in_place_goes_on_to_the_green_task() {
    let caught = two_workers().block_on(async {
        let task = small().spawn(|| {
            let panics = || runtime_mn::block_in_place(|| panic!("this is part of the test"));
            let caught = catch_unwind(AssertUnwindSafe(panics)).is_err();
            green::yield_now();
            caught
        });
        task.await.unwrap()
    });
    assert!(caught);
}

/// A worker that waits for a join runs whatever it finds, also of other tasks. So it must not do so on a small stack.
#[test]
fn closures_of_a_fork_join_have_the_threads_own_stack() {
    let runtime = two_workers();
    let fork_join = runtime.handle().fork_join();
    let sums = runtime.block_on(async move {
        let task = small().spawn(move || {
            let joined = fork_join.join(|| deep(DEEP), || deep(DEEP));
            let in_scope = AtomicUsize::new(0);
            fork_join.scope(|scope| {
                for _ in 0..10 {
                    let in_scope = &in_scope;
                    scope.spawn(move |_| {
                        in_scope.fetch_add(deep(DEEP) as usize, SeqCst);
                    });
                }
            });
            (joined, in_scope.into_inner() as u64)
        });
        task.await.unwrap()
    });
    assert_eq!(sums, ((DEEP, DEEP), 10 * DEEP));
}

/// If a green task were suspended in the middle of a fork, another one could follow, and its closures would lie on top
/// of the first one's.
#[test]
fn a_wait_in_the_middle_of_a_fork_is_refused() {
    let runtime = runtime_mn::Runtime::builder().workers(1).build().unwrap();
    let fork_join = runtime.handle().fork_join();
    let outcomes = runtime.block_on(async move {
        let scoped = fork_join.clone();
        let tasks = [
            small().spawn(move || _ = fork_join.join(green::yield_now, || ())),
            small().spawn(move || scoped.scope(|_| green::yield_now())),
        ];
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await);
        }
        outcomes
    });
    for outcome in outcomes {
        let message_of = message_of(outcome.unwrap_err());
        assert!(message_of.contains("`join` and `scope`"), "{message_of}");
    }
}

/// Its destructor uses more stack than a green task has, and then waits, which is refused.
struct Needs(Arc<AtomicUsize>);

impl Drop for Needs {
    fn drop(&mut self) {
        assert_eq!(deep(DEEP), DEEP);
        let refused = catch_unwind(green::yield_now).is_err();
        self.0.fetch_add(usize::from(refused), SeqCst);
    }
}

#[test]
fn a_loop_that_a_green_task_drops_ends_on_the_threads_own_stack() {
    let refused = Arc::new(AtomicUsize::new(0));
    let event_loop = runtime_n1::Loop::new().unwrap();
    let count = Arc::clone(&refused);
    event_loop.block_on(async move {
        // Unoptimised, creating a loop needs more stack than a small stack has.
        let task = green::Builder::new()
            .stack_bytes(256 * 1024)
            .spawn(move || {
                let inner = runtime_n1::Loop::new().unwrap();
                let needs = Needs(count);
                drop(inner.handle().spawn(async move {
                    let _needs = needs;
                    std::future::pending::<()>().await;
                }));
                drop(inner);
                green::yield_now();
            });
        task.await.unwrap();
    });
    assert_eq!(refused.load(SeqCst), 1);
}

#[test]
fn a_runtime_that_a_green_task_drops_ends_on_the_threads_own_stack() {
    const TASKS: usize = 50;
    let refused = Arc::new(AtomicUsize::new(0));
    let event_loop = runtime_n1::Loop::new().unwrap();
    let count = Arc::clone(&refused);
    event_loop.block_on(async move {
        let task = green::Builder::new()
            .stack_bytes(256 * 1024)
            .spawn(move || {
                let inner = two_workers();
                for _ in 0..TASKS {
                    let needs = Needs(Arc::clone(&count));
                    drop(inner.handle().spawn(async move {
                        let _needs = needs;
                        std::future::pending::<()>().await;
                    }));
                }
                // They wait, and nobody has them but the runtime.
                while Native::metrics(inner.handle()).polls.unwrap_or(0) < TASKS as u64 {
                    green::yield_now();
                }
                drop(inner);
                green::yield_now();
            });
        task.await.unwrap();
    });
    assert_eq!(refused.load(SeqCst), TASKS);
}

/// What a thread serves is noted on the thread: a stack that is suspended would leave the note to others.
#[test]
fn a_wait_while_a_scheduler_is_served_is_refused() {
    let event_loop = runtime_n1::Loop::new().unwrap();
    let message_of = event_loop.block_on(async {
        let task = small().spawn(|| {
            let scheduler = SchedulerArc::new(ByHand::default());
            scheduler.erased().serve(green::yield_now);
        });
        message_of(task.await.unwrap_err())
    });
    assert!(message_of.contains("no stack of its own"), "{message_of}");
}

/// The green task of a loop that a worker ran in place is no task of the worker's, which need not wait for it.
#[test]
fn a_worker_ends_while_a_loop_of_its_thread_has_a_green_task() {
    thread_local! {
        static KEPT: RefCell<Option<runtime_n1::Loop>> = const { RefCell::new(None) };
    }
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let counts = Counts(Arc::clone(&dropped));
    let runtime = two_workers();
    runtime.block_on(async {
        let task = runtime_core::spawn(async move {
            runtime_mn::block_in_place(|| {
                let event_loop = runtime_n1::Loop::new().unwrap();
                event_loop.block_on(async move {
                    drop(green::spawn(move || {
                        let _counts = counts;
                        wait(std::future::pending::<()>());
                    }));
                    yield_now().await;
                });
                // It is dropped with the thread.
                KEPT.set(Some(event_loop));
            });
        });
        task.await.unwrap();
    });
    drop(runtime);
    // The thread's own destructors run after the runtime's end.
    while dropped.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
}

/// Recursion without an end.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if black_box(true) {
        overflow(depth + 1) + black_box(frame)[7]
    } else {
        depth
    }
}

/// Tasks use the memory of earlier tasks, and must not be confused with them.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[cfg(not(lab_asan))]
#[test]
fn task_locals_of_an_overflowed_stack_are_not_found_elsewhere() {
    static BOUND: TaskLocal<u32> = TaskLocal::new("BOUND");
    // One type, so that they use the same memory.
    let spawn = |overflows: bool| {
        small().spawn(move || {
            if overflows {
                BOUND.sync_scope(1, || overflow(0));
            }
            BOUND.try_with(|_| ()).is_some()
        })
    };
    let event_loop = runtime_n1::Loop::new().unwrap();
    let found = event_loop.block_on(async move {
        let mut found = 0;
        for _ in 0..10 {
            let outcome = spawn(true).await;
            assert!(matches!(outcome, Err(JoinError::StackOverflow(_))));
            found += usize::from(spawn(false).await.unwrap());
        }
        found
    });
    assert_eq!(found, 0, "tasks that found another one's value");
}
