//! A stack overflows while its task is in the middle of the runtime's own code.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::hint::black_box;
use std::sync::Arc;

use runtime_core::context::{self, Role};
use runtime_core::green::{self, wait};
use runtime_core::sync::{Event, Mutex};
use runtime_core::task::{SafeSchedule, SchedulerArc, Task};
use runtime_core::task_local::TaskLocal;
use runtime_core::{JoinError, Native};

mod each;
use each::{Any, each};

/// A scheduler that does nothing: it has a number in a list of the process.
struct Nothing;

impl SafeSchedule for Nothing {
    fn schedule(_: &SchedulerArc<Self>, task: Task) {
        task.cancel();
    }
}

/// What the tasks below share with others.
struct Used {
    event: Event,
    turns: Mutex<u64>,
}

const WAYS: usize = 6;

/// One step inside the runtime's code.
fn use_runtime(way: usize, runtime: &Any, used: &Used) {
    static BOUND: TaskLocal<u64> = TaskLocal::new("BOUND");
    match way {
        0 => {
            used.event.set();
            used.event.clear();
        }
        1 => drop(SchedulerArc::new(Nothing)),
        2 => drop(context::enter(
            Arc::clone(runtime.ambient()),
            Role::NonWorker,
        )),
        // The stacks' own lock, under which a list is copied.
        5 => drop(black_box(green::stack_depths())),
        3 => assert_eq!(BOUND.sync_scope(1, || BOUND.get()), 1),
        _ => drop(runtime.ambient().timer_shard()),
    }
}

fn overflow_in_the_runtime(depth: u64, way: usize, runtime: &Any, used: &Used) -> u64 {
    use_runtime(way, runtime, used);
    if black_box(true) {
        overflow_in_the_runtime(depth + 1, way, runtime, used) + 1
    } else {
        depth
    }
}

/// Calls it this many small frames lower in the stack, so that overflows happen at different places.
fn lower(frames: usize, function: &mut dyn FnMut() -> u64) -> u64 {
    if black_box(frames) == 0 {
        function()
    } else {
        lower(frames - 1, function) + 1
    }
}

/// No lock of the runtime stays locked, and nothing that others wait for is left half-way.
#[test]
fn an_overflow_in_the_runtime_leaves_it_whole() {
    const TASKS: usize = 32 * WAYS;
    each(|runtime| {
        let used = Arc::new(Used {
            event: Event::new(),
            turns: Mutex::new(0),
        });
        for number in 0..TASKS {
            let waits = {
                let used = Arc::clone(&used);
                green::spawn_on(&runtime, move || wait(used.event.wait()))
            };
            green::yield_now();
            let (user, deep) = (runtime.clone(), Arc::clone(&used));
            let overflows = green::spawn_on(&runtime, move || {
                let way = number % WAYS;
                lower(number / WAYS, &mut || {
                    overflow_in_the_runtime(0, way, &user, &deep)
                })
            });
            assert!(matches!(wait(overflows), Err(JoinError::StackOverflow(_))));
            used.event.set();
            wait(waits).unwrap();
            used.event.clear();
            *wait(used.turns.lock()) += 1;
            drop(SchedulerArc::new(Nothing));
        }
        assert_eq!(*wait(used.turns.lock()), TASKS as u64);
    });
}
