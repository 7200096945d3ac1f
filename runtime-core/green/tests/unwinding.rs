//! Destructors that wait while a stack is being unwound get an error, and nothing is leaked.
//!
//! This is a separate test program, because the count of stacks belongs to the process.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::blocking::BlockingPool;
use runtime_core::context::{self, Ambient, Binding, IoDriver, Refused, Role};
use runtime_core::green::net::TcpListener;
use runtime_core::green::{self, StackStats, wait};
use runtime_core::sync::{Event, Semaphore};
use runtime_core::task::left_over::Ending;
use runtime_core::task::{Ran, SafeSchedule, SchedulerArc, Task};
use runtime_core::time::TimerShard;
use runtime_core::{JoinError, JoinHandle, Native, yield_now};

mod each;
use each::{Any, each};

/// The tests take turns because they count stacks.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads that have ended return their stacks a little later.
fn no_stack_is_leaked(before: &StackStats) {
    let all_are_back = || green::stack_stats().in_use <= before.in_use;
    let begun = Instant::now();
    while !all_are_back() && begun.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(
        all_are_back(),
        "{:?} and before {before:?}",
        green::stack_stats()
    );
    assert_eq!(green::stack_stats().abandoned, before.abandoned);
}

/// Counts when it is dropped.
struct Gone(Arc<Semaphore>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// Waits when it is dropped.
struct Waits<F: Fn()>(F);

impl<F: Fn()> Drop for Waits<F> {
    fn drop(&mut self) {
        self.0();
    }
}

fn is_refused(result: Result<(), JoinError>) {
    let error = result.unwrap_err();
    let message = error.panic_message().unwrap();
    assert!(
        message.contains("a destructor of a green task"),
        "{message}"
    );
}

/// A task with a value on its stack below and one above a destructor that waits by `waits`. When `begun` is set, it
/// ends by a panic or by the caller's abort.
fn task_of(
    runtime: &Any,
    gone: &Arc<Semaphore>,
    begun: &Arc<Event>,
    panics: bool,
    waits: impl Fn() + Send + 'static,
) -> JoinHandle<()> {
    let (gone, begun) = (Arc::clone(gone), Arc::clone(begun));
    green::spawn_on(runtime, move || {
        let _outer = Gone(Arc::clone(&gone));
        let _waits = Waits(|| {
            waits();
            // Counts that the wait has completed.
            gone.add_permits(1);
        });
        let _inner = Gone(Arc::clone(&gone));
        begun.set();
        if panics {
            resume_unwind(Box::new("as planned"));
        }
        wait(std::future::pending::<()>());
    })
}

#[test]
fn a_destructor_may_wait_in_the_ordinary_course() {
    let _turn = turn();
    each(|runtime| {
        let task = green::spawn_on(&runtime, || {
            let _waits = Waits(|| wait(yield_now()));
            7
        });
        assert_eq!(wait(task).unwrap(), 7);
    });
}

#[test]
fn a_destructor_that_waits_is_an_error_and_leaks_no_stack() {
    let _turn = turn();
    let before = green::stack_stats();
    for panics in [false, true] {
        for way in 0..5 {
            each(move |runtime| {
                let (gone, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Event::new()));
                let event = Arc::new(Event::new());
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let mut other =
                    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (stream, _) = listener.accept().unwrap();
                let waits = {
                    let event = Arc::clone(&event);
                    move || match way {
                        0 => wait(async {}),
                        1 => (0..3).for_each(|_| wait(yield_now())),
                        2 => green::sleep(Duration::from_millis(2)),
                        3 => wait(event.wait()),
                        _ => assert_eq!((&stream).read(&mut [0; 1]).unwrap(), 1),
                    }
                };
                let task = task_of(&runtime, &gone, &begun, panics, waits);
                wait(begun.wait());
                if !panics {
                    task.abort();
                }
                // From another thread, because under 1:1 the task's own thread waits.
                let setter = runtime_core::spawn_blocking(move || {
                    // Late, so that in most runs the task waits for it.
                    thread::sleep(Duration::from_millis(2));
                    event.set();
                    other.write_all(&[7]).unwrap();
                });
                is_refused(wait(task));
                wait(setter).unwrap();
                wait(gone.acquire_many(3)).unwrap().forget();
                // The stack is used again, and the task on it does not count as panicking.
                let next = green::spawn_on(&runtime, thread::panicking);
                assert!(!wait(next).unwrap());
                assert!(!thread::panicking());
            });
        }
    }
    no_stack_is_leaked(&before);
}

/// The abort comes while a destructor that a panic called is waiting: a second panic would end the process.
#[test]
fn an_abort_during_a_destructors_wait_leaks_no_stack() {
    let _turn = turn();
    let before = green::stack_stats();
    each(|runtime| {
        let (gone, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Event::new()));
        let (waiting, event) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let waits = {
            let (waiting, event) = (Arc::clone(&waiting), Arc::clone(&event));
            move || {
                waiting.set();
                wait(event.wait());
            }
        };
        let task = task_of(&runtime, &gone, &begun, true, waits);
        wait(waiting.wait());
        task.abort();
        let setter = runtime_core::spawn_blocking(move || event.set());
        is_refused(wait(task));
        wait(setter).unwrap();
        wait(gone.acquire_many(3)).unwrap().forget();
    });
    no_stack_is_leaked(&before);
}

/// Other green tasks of the thread are aborted and unwound while it counts as panicking.
#[test]
fn other_stacks_are_unwound_during_a_destructors_wait() {
    let _turn = turn();
    let before = green::stack_stats();
    each(|runtime| {
        let (gone, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Event::new()));
        let (waiting, event) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let waits = {
            let (waiting, event) = (Arc::clone(&waiting), Arc::clone(&event));
            move || {
                waiting.set();
                wait(event.wait());
            }
        };
        let dropped = Arc::new(Semaphore::new(0));
        let suspended = |runtime: &Any| {
            let (dropped, begun) = (Gone(Arc::clone(&dropped)), Arc::clone(&begun));
            green::spawn_on(runtime, move || {
                let _dropped = dropped;
                begun.set();
                wait(std::future::pending::<()>());
            })
        };
        let earlier = suspended(&runtime);
        wait(begun.wait());
        let task = task_of(&runtime, &gone, &begun, true, waits);
        wait(waiting.wait());
        let later: Vec<_> = (0..4).map(|_| suspended(&runtime)).collect();
        for _ in 0..20 {
            green::yield_now();
        }
        for task in later.into_iter().chain([earlier]) {
            task.abort();
            assert!(matches!(wait(task), Err(JoinError::Cancelled)));
        }
        let setter = runtime_core::spawn_blocking(move || event.set());
        is_refused(wait(task));
        wait(setter).unwrap();
        wait(gone.acquire_many(3)).unwrap().forget();
    });
    no_stack_is_leaked(&before);
}

/// A task that catches the panic continues, but not after an abort, and the error stays.
#[test]
fn a_task_that_catches_the_panic_has_still_failed() {
    let _turn = turn();
    each(|runtime| {
        let went_on = Arc::new(AtomicUsize::new(0));
        let task = green::spawn_on(&runtime, {
            let went_on = Arc::clone(&went_on);
            move || {
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    let _waits = Waits(|| wait(yield_now()));
                    resume_unwind(Box::new("as planned"));
                }));
                assert!(caught.is_err() && !thread::panicking());
                green::yield_now();
                went_on.fetch_add(1, SeqCst);
            }
        });
        is_refused(wait(task));
        assert_eq!(went_on.load(SeqCst), 1);
    });
}

/// A wait that is ready needs no runtime.
#[test]
fn the_end_of_a_runtime_serves_ready_sockets_and_timers() {
    const TASKS: usize = 1000;
    let _turn = turn();
    let before = green::stack_stats();
    let dropped = Arc::new(AtomicUsize::new(0));
    let lock = Arc::new(runtime_core::sync::Mutex::new(0_usize));
    let started = |begun: &Arc<Semaphore>| {
        let (dropped, lock) = (Arc::clone(&dropped), Arc::clone(&lock));
        let begun = Arc::clone(begun);
        move || {
            let _waits = Waits(|| {
                *wait(lock.lock()) += 1;
                dropped.fetch_add(1, SeqCst);
            });
            begun.add_permits(1);
            wait(std::future::pending::<()>());
        }
    };
    let begun = Arc::new(Semaphore::new(0));
    let event_loop = runtime_n1::Loop::new().unwrap();
    for _ in 0..TASKS {
        drop(green::spawn_on(event_loop.handle(), started(&begun)));
    }
    let all = Arc::clone(&begun);
    event_loop.block_on(async move { all.acquire_many(TASKS).await.unwrap().forget() });
    drop(event_loop);
    let runtime = runtime_mn::Runtime::builder().workers(2).build().unwrap();
    for _ in 0..TASKS {
        drop(green::spawn_on(runtime.handle(), started(&begun)));
    }
    runtime.block_on(async move { begun.acquire_many(TASKS).await.unwrap().forget() });
    drop(runtime);
    assert_eq!(dropped.load(SeqCst), 2 * TASKS);
    no_stack_is_leaked(&before);
}

/// Nothing would ever complete the wait. It is given up, and the runtime ends.
#[test]
fn the_end_of_a_runtime_waits_for_no_destructor() {
    let _turn = turn();
    let begun = Arc::new(Event::new());
    let function = {
        let begun = Arc::clone(&begun);
        move || {
            let _waits = Waits(|| wait(std::future::pending::<()>()));
            begun.set();
            wait(std::future::pending::<()>());
        }
    };
    // On separate threads, which end while they count as panicking.
    thread::scope(|scope| {
        scope.spawn(|| {
            let event_loop = runtime_n1::Loop::new().unwrap();
            let task = green::spawn_on(event_loop.handle(), function.clone());
            let begun = Arc::clone(&begun);
            event_loop.block_on(async move { begun.wait().await });
            drop(event_loop);
            is_refused(runtime_core::park::block_on_current_thread(task));
        });
    });
    begun.clear();
    let runtime = runtime_mn::Runtime::builder().workers(2).build().unwrap();
    let task = green::spawn_on(runtime.handle(), function);
    runtime.block_on(async move { begun.wait().await });
    drop(runtime);
    is_refused(runtime_core::park::block_on_current_thread(task));
}

/// The ambient of a loop, but new tasks get another scheduler.
struct Cancelling {
    ambient: Arc<dyn Ambient>,
    scheduler: SchedulerArc<Cancels>,
}

/// A scheduler that is ending: it cancels each task that it is to queue.
struct Cancels;

impl SafeSchedule for Cancels {
    fn schedule(_: &SchedulerArc<Self>, task: Task) {
        task.cancel();
    }
}

impl Ambient for Cancelling {
    fn name(&self) -> &'static str {
        "cancelling"
    }
    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Shared(self.scheduler.erased())
    }
    fn launch(&self, task: Task) -> Result<(), Refused> {
        Err(Refused { task, error: None })
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

/// A runtime on several threads may cancel the task that continues an unwinding before its thread drops its tasks. The
/// thread must not wait then: what completes the wait may come later on this very thread.
#[test]
fn an_unwinding_that_is_cancelled_goes_on_when_its_thread_ends_its_tasks() {
    let _turn = turn();
    let before = green::stack_stats();
    let event_loop = runtime_n1::Loop::new().unwrap();
    let scheduler = SchedulerArc::new(Cancels);
    let ambient = Arc::new(Cancelling {
        ambient: Arc::clone(event_loop.handle().ambient()),
        scheduler: scheduler.clone(),
    });
    let entered = context::enter(ambient, Role::NonWorker);
    let (gone, event) = (Arc::new(Semaphore::new(0)), Arc::new(Event::new()));
    let (counts, waits_for) = (Arc::clone(&gone), Arc::clone(&event));
    let (task, handle) = green::bind(scheduler.erased(), move || {
        let _gone = Gone(counts);
        let _waits = Waits(|| wait(waits_for.wait()));
        wait(std::future::pending::<()>());
    });
    assert!(matches!(task.run(), Ran::Parked));
    handle.abort();
    is_refused(runtime_core::park::block_on_current_thread(handle));
    assert_eq!(gone.available_permits(), 0);
    let ending = Ending::begin();
    event.set();
    ending.serve(thread::sleep);
    assert_eq!(gone.available_permits(), 1);
    drop(entered);
    no_stack_is_leaked(&before);
}

/// A runtime that a destructor has entered does not get the stack.
#[test]
fn a_destructor_that_waits_in_another_runtime_goes_on_where_its_stack_is() {
    let _turn = turn();
    let other = runtime_mn::Runtime::builder().workers(2).build().unwrap();
    let handle = other.handle().clone();
    let threads = Arc::new(Mutex::new(Vec::new()));
    let (gone, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Event::new()));
    let event_loop = runtime_n1::Loop::new().unwrap();
    let seen = Arc::clone(&threads);
    event_loop.block_on(async move {
        let (ends, begins) = (Arc::clone(&gone), Arc::clone(&begun));
        let task = green::spawn(move || {
            let _gone = Gone(ends);
            let _waits = Waits(|| {
                let _entered = handle.enter();
                let before = thread::current().id();
                green::sleep(Duration::from_millis(10));
                let after = thread::current().id();
                seen.lock().unwrap().push((before, after));
            });
            begins.set();
            wait(std::future::pending::<()>());
        });
        begun.wait().await;
        task.abort();
        is_refused(task.await);
        gone.acquire().await.unwrap().forget();
    });
    let seen = threads.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].0, seen[0].1, "the stack has changed its thread");
}
