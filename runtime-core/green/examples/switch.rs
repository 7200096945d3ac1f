//! What a switch costs: corosensei alone, a green task polled by hand, and green and stackless tasks on the N:1 loop.
//!
//! `switch KIND TIMES` does only one of them, TIMES times, and prints nothing. Use it with a program that counts
//! instructions: the difference between two runs is the cost of the additional switches.
//!
//! ```text
//! valgrind --tool=callgrind target/release/examples/switch wait-ready 10000
//! ```

use std::future::poll_fn;
use std::task::Poll;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};
use runtime_core::task::{Ran, SafeSchedule, SchedulerArc, Task};
use runtime_core::{green, yield_now};
use rustix::time::{ClockId, clock_gettime};

const TIMES: u32 = 500_000;

/// CPU time of the process, so that other programs do not count.
fn cpu_time_ns() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// The best of several runs: nanoseconds per switch.
fn best_of(mut run: impl FnMut(u32)) -> f64 {
    let timed = |_| {
        let start = cpu_time_ns();
        run(TIMES);
        (cpu_time_ns() - start) as f64 / f64::from(TIMES)
    };
    (0..7).map(timed).fold(f64::INFINITY, f64::min)
}

struct Nothing;

impl SafeSchedule for Nothing {
    fn schedule(_: &SchedulerArc<Self>, _: Task) {
        unreachable!("the task yields, and is run by hand")
    }
}

/// Runs a task that yields for ever this many times, and then ends it.
fn run_by_hand(mut task: Task, times: u32) {
    for _ in 0..times {
        let Ran::Yielded(again) = task.run() else {
            unreachable!("it yields for ever")
        };
        task = again;
    }
    task.cancel();
}

/// Leaves a stack and resumes it.
fn corosensei_alone(times: u32) {
    let body = move |yielder: &Yielder<(), ()>, ()| (0..times).for_each(|_| yielder.suspend(()));
    let mut coroutine = Coroutine::<(), (), (), _>::with_stack(DefaultStack::default(), body);
    while coroutine.resume(()).as_yield().is_some() {}
}

/// The same, with a future that is polled in between.
fn wait_for_a_ready_future(times: u32) {
    let scheduler = SchedulerArc::new(Nothing);
    let (task, _) = green::bind(scheduler.erased(), move || {
        (0..times).for_each(|_| green::wait(poll_fn(|_| Poll::Ready(()))));
    });
    drop(task.run());
}

/// The same, with a task's poll that begins and ends.
fn green_by_hand(times: u32) {
    let scheduler = SchedulerArc::new(Nothing);
    let body = || {
        loop {
            green::yield_now();
        }
    };
    run_by_hand(green::bind(scheduler.erased(), body).0, times);
}

fn stackless_by_hand(times: u32) {
    let scheduler = SchedulerArc::new(Nothing);
    let body = async {
        loop {
            yield_now().await;
        }
    };
    run_by_hand(runtime_core::task::bind(scheduler.erased(), body).0, times);
}

fn on_the_loop(green: bool, times: u32) {
    let event_loop = runtime_n1::Loop::new().expect("a loop");
    let _ = event_loop.block_on(async move {
        if green {
            green::spawn(move || (0..times).for_each(|_| green::yield_now())).await
        } else {
            runtime_core::spawn(async move {
                for _ in 0..times {
                    yield_now().await;
                }
            })
            .await
        }
    });
}

/// A name, and a function that switches this many times.
type Switching = (&'static str, fn(u32));

const KINDS: [Switching; 6] = [
    ("corosensei", corosensei_alone),
    ("wait-ready", wait_for_a_ready_future),
    ("green", green_by_hand),
    ("stackless", stackless_by_hand),
    ("green-on-loop", |times| on_the_loop(true, times)),
    ("stackless-on-loop", |times| on_the_loop(false, times)),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    if let (Some(kind), Some(times)) = (arguments.next(), arguments.next()) {
        let known = KINDS.iter().find(|(name, _)| *name == kind);
        let (_, run) = known.expect("one of the kinds");
        return run(times.parse().expect("a number of times"));
    }
    let corosensei = best_of(corosensei_alone);
    println!("corosensei, out and in: {corosensei:.1} ns");
    let (by_hand, stackless) = (best_of(green_by_hand), best_of(stackless_by_hand));
    println!("run of a task that yields: green {by_hand:.1} ns, stackless {stackless:.1} ns");
    let ready = best_of(wait_for_a_ready_future);
    let ratio = ready / corosensei;
    println!("wait for what is ready: {ready:.1} ns, {ratio:.1}x corosensei alone");
    let on_loop = |green| best_of(move |times| on_the_loop(green, times));
    let (green, stackless) = (on_loop(true), on_loop(false));
    println!("a yield on the N:1 loop: green {green:.1} ns, stackless {stackless:.1} ns");
}
