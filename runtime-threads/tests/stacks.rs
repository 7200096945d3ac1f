//! The stacks of tasks: how much the default holds, and what is printed when one overflows.
#![cfg(target_os = "linux")]

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use runtime_core::{ForkJoin, spawn_named, yield_now};
use runtime_threads::{Runtime, ThreadsForkJoin};

/// Runs the test `name` of this file in a separate process with `LAB_OVERFLOWS` set. Returns how it ends, and what it
/// prints.
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
#[expect(unconditional_recursion, reason = "it must overflow the stack")]
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
    // The standard library prints its message, too.
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

/// An ordinary fault is not reported as an overflow.
#[test]
fn a_fault_elsewhere_is_no_overflow() {
    if is_child() {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let this = rustix::process::getpid();
            // The standard library's handler uninstalls itself at the first fault.
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

/// A task can hold as much as a thread of the standard library.
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
    /// On the stack itself, regardless of how the compiler lays out futures.
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
        // Boxed, so that it is moved through the spawner's stack as rarely as possible.
        let large = handle.spawn(Box::pin(with_a_buffer::<{ 512 << 10 }>()));
        large.await.unwrap()
    });
    assert_eq!(sum, (512 << 10) + 1);
}
