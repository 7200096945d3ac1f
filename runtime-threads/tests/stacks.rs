//! The stacks of tasks: what the default holds, and what is said when one overflows.
#![cfg(target_os = "linux")]

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use runtime_core::{ForkJoin, spawn_named, yield_now};
use runtime_threads::{Runtime, ThreadsForkJoin};

/// Runs the test `name` of this file in a process of its own, in which `LAB_OVERFLOWS` is set: how it ends, and what
/// it says.
fn in_a_child(name: &str) -> (Option<i32>, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("LAB_OVERFLOWS", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.signal(), text)
}

fn is_child() -> bool {
    std::env::var_os("LAB_OVERFLOWS").is_some()
}

/// Recursion without an end.
#[expect(
    unconditional_recursion,
    reason = "it overflows the stack, as it is to do"
)]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    overflow(depth + 1) + black_box(frame)[7]
}

#[test]
fn an_overflow_names_the_task_and_the_knob() {
    if is_child() {
        let runtime = Runtime::builder().stack_bytes(256 << 10).build().unwrap();
        runtime.block_on(async {
            let task = spawn_named("the deep one", async {
                yield_now().await;
                overflow(0)
            });
            black_box(task.await.unwrap());
        });
    }
    let (signal, text) = in_a_child("an_overflow_names_the_task_and_the_knob");
    assert_eq!(signal, Some(libc_sigabrt()), "{text}");
    assert!(
        text.contains("The stack of the 1:1 task `the deep one` has overflowed. It has 256 KiB"),
        "{text}"
    );
    assert!(
        text.contains("runtime_threads::Builder::stack_bytes"),
        "{text}"
    );
    // The standard library has its say, too.
    assert!(text.contains("has overflowed its stack"), "{text}");
}

#[test]
fn an_overflow_in_a_branch_names_its_knob() {
    if is_child() {
        let fork_join = ThreadsForkJoin::with_stack_bytes(256 << 10).unwrap();
        black_box(fork_join.join(|| 1, || overflow(0)));
    }
    let (signal, text) = in_a_child("an_overflow_in_a_branch_names_its_knob");
    assert_eq!(signal, Some(libc_sigabrt()), "{text}");
    assert!(text.contains("ThreadsForkJoin::with_stack_bytes"), "{text}");
}

/// An ordinary fault is none of ours.
#[test]
fn a_fault_elsewhere_is_no_overflow() {
    if is_child() {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let this = rustix::process::getpid();
            // The standard library's handler takes itself out at the first one.
            loop {
                rustix::process::kill_process(this, rustix::process::Signal::SEGV).unwrap();
                yield_now().await;
            }
        });
    }
    let (signal, text) = in_a_child("a_fault_elsewhere_is_no_overflow");
    assert_eq!(
        signal,
        Some(rustix::process::Signal::SEGV.as_raw()),
        "{text}"
    );
    assert!(!text.contains("overflowed"), "{text}");
}

fn libc_sigabrt() -> i32 {
    rustix::process::Signal::ABORT.as_raw()
}

/// What the standard library's threads can hold, a task can.
#[test]
fn the_default_holds_large_buffers() {
    async fn with_a_buffer<const BYTES: usize>() -> usize {
        let mut buffer = black_box([1_u8; BYTES]);
        yield_now().await;
        buffer[BYTES / 2] = 2;
        black_box(&buffer)
            .iter()
            .map(|byte| usize::from(*byte))
            .sum()
    }
    /// On the stack itself, whatever the compiler makes of futures.
    #[inline(never)]
    fn on_the_stack() -> usize {
        let buffer = [1_u8; 1 << 20];
        black_box(&buffer)
            .iter()
            .map(|byte| usize::from(*byte))
            .sum()
    }
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.block_on(async { on_the_stack() }), 1 << 20);
    assert_eq!(
        runtime.block_on(with_a_buffer::<{ 128 << 10 }>()),
        (128 << 10) + 1
    );
    let handle = runtime.handle();
    let sum = runtime.block_on(async move {
        // Not through the spawner's stack more often than need be.
        let large = handle.spawn(Box::pin(with_a_buffer::<{ 512 << 10 }>()));
        large.await.unwrap()
    });
    assert_eq!(sum, (512 << 10) + 1);
}
