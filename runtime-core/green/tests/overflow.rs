//! An overflow of a green task's stack ends only that task.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::future::{Future, pending};
use std::hint::black_box;
use std::ptr;
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context, Wake, Waker};
use std::thread;

use runtime_core::green::{self, WaitExt, wait};
use runtime_core::sync::Event;
use runtime_core::task::{Ran, SafeSchedule, SchedulerArc, Task, bind};
use runtime_core::thread_stack::on_thread_stack;
use runtime_core::{JoinError, JoinHandle};

mod each;
use each::each;

/// How many tasks overflow under each scheduler.
const TASKS: usize = 1000;

/// Recursion without an end.
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if black_box(true) {
        overflow(depth + 1) + black_box(frame)[7]
    } else {
        depth
    }
}

/// Recursion that is in the allocator most of the time, with block sizes that the thread's cache does not have.
fn overflow_in_the_allocator(depth: usize) -> usize {
    let block = vec![1_u8; 2000 + depth % 64];
    if black_box(true) {
        overflow_in_the_allocator(depth + 1) + usize::from(black_box(&block)[0])
    } else {
        depth
    }
}

/// Endless recursion, deep inside a library.
fn overflow_in_a_library(depth: u64) -> usize {
    let text = format!("{depth:?} {:?}", black_box(std::env::var_os("PATH")));
    if black_box(true) {
        overflow_in_a_library(depth + 1) + text.len()
    } else {
        0
    }
}

fn assert_overflowed<T>(result: Result<T, JoinError>, name: &str, bytes: usize) {
    let Err(JoinError::StackOverflow(overflow)) = result else {
        panic!("{name} has not overflowed")
    };
    assert_eq!((&*overflow.task, overflow.stack_bytes), (name, bytes));
    let text = overflow.to_string();
    assert!(
        text.contains(name) && text.contains("green::Builder::stack_bytes"),
        "{text}"
    );
}

fn each_overflows<T: Send + 'static>(tasks: usize, body: fn(usize) -> T) {
    each(move |runtime| {
        let before = green::stack_stats().abandoned;
        let spawn = |index: usize| -> JoinHandle<T> {
            let name = format!("deep {index}");
            green::Builder::new()
                .name(name)
                .spawn_on(&runtime, move || {
                    if index.is_multiple_of(2) {
                        green::yield_now();
                    }
                    body(index)
                })
        };
        // A few tasks in between that do not overflow.
        let others: Vec<_> = (0..10)
            .map(|number| {
                green::spawn_on(&runtime, move || {
                    for _ in 0..100 {
                        green::yield_now();
                    }
                    number
                })
            })
            .collect();
        // Not all at a time, because under 1:1 each is a thread.
        for batch in 0..tasks / 100 {
            let handles: Vec<_> = (100 * batch..100 * (batch + 1)).map(spawn).collect();
            for (offset, handle) in handles.into_iter().enumerate() {
                let name = format!("deep {}", 100 * batch + offset);
                assert_overflowed(wait(handle), &name, green::DEFAULT_STACK_BYTES);
            }
        }
        for (number, other) in others.into_iter().enumerate() {
            assert_eq!(wait(other).unwrap(), number);
        }
        assert_eq!(green::stack_stats().abandoned - before, tasks);
    });
}

/// One test, because the count of abandoned stacks belongs to the process.
#[test]
fn each_overflow_ends_its_own_task() {
    each_overflows(TASKS, |_| overflow(0));
    each_overflows(200, overflow_in_the_allocator);
    each_overflows(200, |_| overflow_in_a_library(0));
    // One frame that is larger than the stack and its guard.
    each_overflows(100, |_| {
        let large = black_box([1_u8; 256 * 1024]);
        black_box(&large)
            .iter()
            .map(|byte| usize::from(*byte))
            .sum::<usize>()
    });
    a_larger_stack_holds_more();
    a_task_that_a_waker_runs_is_not_in_the_middle_of_the_batch();
    a_task_that_goes_on_in_its_guard_leaves_the_others_out_of_it();
    a_closure_with_a_large_alignment_harms_no_neighbour();
}

fn a_larger_stack_holds_more() {
    each(|runtime| {
        let deep = |bytes: usize| {
            green::Builder::new()
                .stack_bytes(bytes)
                .spawn_on(&runtime, || {
                    let large = black_box([1_u8; 300 * 1024]);
                    black_box(&large)
                        .iter()
                        .map(|byte| usize::from(*byte))
                        .sum::<usize>()
                })
                .wait()
        };
        assert!(matches!(deep(256 * 1024), Err(JoinError::StackOverflow(_))));
        assert_eq!(deep(2 << 20).unwrap(), 300 * 1024);
    });
}

/// Keeps no task: the tests run theirs by hand.
struct ByHand;

impl SafeSchedule for ByHand {
    fn schedule(_: &SchedulerArc<Self>, task: Task) {
        task.cancel();
    }
}

/// A waker that runs a green task, which overflows.
#[derive(Default)]
struct RunsDeep(StdMutex<Option<JoinHandle<u64>>>);

impl Wake for RunsDeep {
    fn wake(self: Arc<Self>) {
        let scheduler = SchedulerArc::new(ByHand);
        let (task, handle) = green::bind(scheduler.erased(), || overflow(0));
        assert!(matches!(task.run(), Ran::Finished));
        *self.0.lock().unwrap() = Some(handle);
    }
}

/// The task that wakes a batch is in the middle of something. A task that its wakers run is not.
fn a_task_that_a_waker_runs_is_not_in_the_middle_of_the_batch() {
    each(|_| {
        let woken = Event::new();
        let runs: [Arc<RunsDeep>; 3] = Default::default();
        let mut waiting = Vec::new();
        for waker in &runs {
            let mut waits = Box::pin(woken.wait());
            let waker = Waker::from(Arc::clone(waker));
            let polled = waits.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            waiting.push(waits);
        }
        woken.set();
        for waker in runs {
            let deep = waker.0.lock().unwrap().take().expect("it was called");
            assert!(matches!(wait(deep), Err(JoinError::StackOverflow(_))));
        }
    });
}

/// Recursion until the stack is so much lower than at `start`.
fn go_down(start: usize, bytes: usize) -> u64 {
    let frame = black_box([1_u64; 16]);
    if start - ptr::from_ref(&frame).addr() < bytes {
        go_down(start, bytes) + black_box(frame)[7]
    } else {
        0
    }
}

/// Overflows the stack of the green task that wakes a task of it, comes back, and calls something on the thread's own
/// stack.
struct Overflows;

impl SafeSchedule for Overflows {
    fn schedule(_: &SchedulerArc<Self>, task: Task) {
        let here = 0_u8;
        go_down(ptr::from_ref(&here).addr(), green::DEFAULT_STACK_BYTES);
        on_thread_stack(|| task.cancel());
    }
}

/// A stack is not left in the middle of a wake, so the scheduler gets a part of the guard.
fn a_task_that_goes_on_in_its_guard_leaves_the_others_out_of_it() {
    each(|runtime| {
        let before = green::stack_stats().abandoned;
        let scheduler = SchedulerArc::new(Overflows);
        let (task, handle) = bind(scheduler.erased(), pending::<()>());
        assert!(matches!(task.run(), Ran::Parked));
        let go = Arc::new(Event::new());
        let goes = Arc::clone(&go);
        let in_the_guard = green::spawn_on(&runtime, move || {
            handle.abort();
            wait(goes.wait());
            assert!(wait(handle).unwrap_err().is_cancelled());
        });
        for number in 0..20 {
            let innocent = green::spawn_on(&runtime, move || {
                green::yield_now();
                number
            });
            assert_eq!(wait(innocent).unwrap(), number);
        }
        go.set();
        in_the_guard.wait().expect("it has had room enough");
        assert_eq!(green::stack_stats().abandoned - before, 1);
    });
}

/// So large that no small stack has a place for it.
#[derive(Clone, Copy)]
#[repr(align(65536))]
struct Wide;

fn a_closure_with_a_large_alignment_harms_no_neighbour() {
    each(|runtime| {
        let go = Arc::new(Event::new());
        let small = || green::Builder::new().stack_bytes(16 * 1024);
        let neighbours: Vec<_> = (0..20_u64)
            .map(|number| {
                let go = Arc::clone(&go);
                small().spawn_on(&runtime, move || {
                    let values = black_box([number; 64]);
                    wait(go.wait());
                    black_box(values).iter().all(|value| *value == number)
                })
            })
            .collect();
        green::yield_now();
        // From a thread with a large stack: all functions on the way have such frames.
        let spawns = runtime.clone();
        let spawn = move || {
            let wide = Wide;
            green::Builder::new()
                .stack_bytes(16 * 1024)
                .spawn_on(&spawns, move || {
                    black_box(&wide);
                    7
                })
        };
        let large = thread::Builder::new().stack_size(64 << 20);
        let tasks = large.spawn(move || [(); 20].map(|()| spawn())).unwrap();
        for task in tasks.join().unwrap() {
            match wait(task) {
                Ok(7) | Err(JoinError::StackOverflow(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        go.set();
        for neighbour in neighbours {
            assert!(wait(neighbour).unwrap(), "its stack was written to");
        }
    });
}
