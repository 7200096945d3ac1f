//! What the size of a stack costs. Tasks yield in turn. Their stacks have several sizes, and each task has touched
//! either only the beginning of its stack or all of it.
//!
//! Untouched size costs only addresses. Touched size costs memory for as long as the task lives; and the processor's
//! caches hold fewer of the tasks, so each switch waits for memory.
//!
//! `stack_sizes [TASKS]`

use std::hint::black_box;

use runtime_core::green;
use rustix::time::{ClockId, clock_gettime};

const TURNS: u32 = 40;
const KIB: usize = 1024;
/// Left untouched for the frames of the task itself.
const FRAMES: usize = 4 * KIB;

/// CPU time of the process, so that other programs do not count.
fn cpu_time_ns() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kibibytes.unwrap_or(0) * KIB as u64
}

/// Touches this many bytes of the stack below the caller, a kilobyte per frame.
#[inline(never)]
fn touch(bytes: usize) -> u8 {
    let mut frame = [0_u8; KIB];
    black_box(&mut frame)[0] = 1;
    if bytes > KIB {
        frame[0] += touch(bytes - KIB) & 1;
    }
    black_box(&frame)[0]
}

/// Bytes for each task, and nanoseconds for each yield.
fn measure(tasks: u32, stack_bytes: usize, touched: usize) -> (f64, f64) {
    let event_loop = runtime_n1::Loop::new().expect("a loop");
    let before = resident_bytes();
    event_loop.block_on(async move {
        let handles: Vec<_> = (0..tasks)
            .map(|_| {
                let builder = green::Builder::new().stack_bytes(stack_bytes);
                builder.spawn(move || {
                    if touched > 0 {
                        black_box(touch(touched));
                    }
                    green::yield_now();
                    for _ in 0..TURNS {
                        green::yield_now();
                    }
                })
            })
            .collect();
        // All have begun, and touched their stacks.
        runtime_core::yield_now().await;
        let bytes = resident_bytes().saturating_sub(before) as f64 / f64::from(tasks);
        let start = cpu_time_ns();
        for handle in handles {
            handle.await.expect("it returns");
        }
        let yields = f64::from(tasks) * f64::from(TURNS);
        (bytes, (cpu_time_ns() - start) as f64 / yields)
    })
}

fn main() {
    let tasks = std::env::args()
        .nth(1)
        .map_or(1000, |tasks| tasks.parse().expect("a number of tasks"));
    println!("{tasks} tasks");
    println!("stack      touched    bytes a task    ns a yield");
    for stack_kib in [8, 64, 256, 1024] {
        for all in [false, true] {
            let stack_bytes = stack_kib * KIB;
            // A frame of `touch` is a little more than a kilobyte.
            let touched = if all {
                (stack_bytes - FRAMES) * 4 / 5
            } else {
                0
            };
            let (bytes, ns) = measure(tasks, stack_bytes, touched);
            let what = if all { "all" } else { "a page" };
            println!("{stack_kib:>4} KiB   {what:<8} {bytes:>14.0} {ns:>13.1}");
        }
    }
}
