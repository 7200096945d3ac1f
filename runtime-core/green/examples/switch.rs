//! What a switch costs: corosensei alone, a green task polled by hand, and green and stackless tasks on the N:1 loop.

use std::future::poll_fn;
use std::task::Poll;

use corosensei::{Coroutine, Yielder};
use runtime_core::task::{Ran, SafeSchedule, SchedulerArc, Task};
use runtime_core::{green, yield_now};
use rustix::time::{ClockId, clock_gettime};

const TIMES: u32 = 500_000;

/// CPU time of the process: other programs must not count.
fn cpu_time_ns() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// The best of several runs: nanoseconds for each time.
fn best_of(mut run: impl FnMut()) -> f64 {
    let timed = |_| {
        let start = cpu_time_ns();
        run();
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

/// Runs a task, which yields for ever, so many times.
fn run_by_hand(mut task: Task) -> Task {
    for _ in 0..TIMES {
        let Ran::Yielded(again) = task.run() else {
            unreachable!("it yields for ever")
        };
        task = again;
    }
    task
}

fn main() {
    let corosensei = best_of(|| {
        let mut coroutine = Coroutine::<(), (), (), _>::with_stack(
            corosensei::stack::DefaultStack::default(),
            |yielder: &Yielder<(), ()>, ()| {
                for _ in 0..TIMES {
                    yielder.suspend(());
                }
            },
        );
        while coroutine.resume(()).as_yield().is_some() {}
    });
    println!("corosensei, out and in: {corosensei:.1} ns");

    let scheduler = SchedulerArc::new(Nothing);
    let by_hand = best_of(|| {
        let (task, _) = green::bind(scheduler.erased(), || {
            loop {
                green::yield_now();
            }
        });
        run_by_hand(task).cancel();
    });
    let stackless = best_of(|| {
        let (task, _) = runtime_core::task::bind(scheduler.erased(), async {
            loop {
                yield_now().await;
            }
        });
        run_by_hand(task).cancel();
    });
    println!("run of a task that yields: green {by_hand:.1} ns, stackless {stackless:.1} ns");
    let ready = best_of(|| {
        let (task, _) = green::bind(scheduler.erased(), || {
            for _ in 0..TIMES {
                green::wait(poll_fn(|_| Poll::Ready(())));
            }
        });
        drop(task.run());
    });
    println!("wait for what is ready: {ready:.1} ns");

    let event_loop = runtime_n1::Loop::new().expect("a loop");
    let on_the_loop = |green: bool| {
        best_of(|| {
            let _ = event_loop.block_on(async move {
                if green {
                    green::spawn(|| (0..TIMES).for_each(|_| green::yield_now())).await
                } else {
                    runtime_core::spawn(async {
                        for _ in 0..TIMES {
                            yield_now().await;
                        }
                    })
                    .await
                }
            });
        })
    };
    let (green, stackless) = (on_the_loop(true), on_the_loop(false));
    println!("a yield on the N:1 loop: green {green:.1} ns, stackless {stackless:.1} ns");
}
