//! An overflow of a green task's stack ends that task, and nothing else.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::hint::black_box;

use runtime_core::green::{self, WaitExt, wait};
use runtime_core::{JoinError, JoinHandle};

mod each;
use each::each;

/// How many overflow under each scheduler.
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

/// Recursion that is in the allocator most of the time, with blocks that its thread's cache does not have.
fn overflow_in_the_allocator(depth: usize) -> usize {
    let block = vec![1_u8; 2000 + depth % 64];
    if black_box(true) {
        overflow_in_the_allocator(depth + 1) + usize::from(black_box(&block)[0])
    } else {
        depth
    }
}

/// Deep inside of a library without an end.
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
        // Some that don't, in between.
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
        // Not all at a time: under 1:1 each is a thread.
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

/// One test, as the count of abandoned stacks is the process's.
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
