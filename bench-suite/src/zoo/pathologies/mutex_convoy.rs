//! A lock that is always contended and only held briefly.

use std::time::{Duration, Instant};

use runtime_core::Runtime as _;

use crate::usage;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

const TASKS: u64 = 32;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "mutex-convoy",
    measured: "times that a thread goes to sleep, per lock taken and released by one of 32 tasks",
    about: "Many tasks take the same lock for an instant. A fair lock is handed to the longest waiter, which must \
            run before any other task can continue: a convoy, in which every lock costs a thread switch. The \
            program has 32 tasks that only lock, compute for 10 us and unlock, and counts the voluntary context \
            switches.",
    issue: "https://github.com/golang/go/issues/33747",
    bound: Bound::AtMost(0.5, "switches per lock"),
    size: 1_000,
    quick_size: 200,
    program,
    drive: None,
    descriptors: None,
};

fn held() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_micros(10) {
        std::hint::spin_loop();
    }
}

fn program(stage: &Stage) -> Result<f64, String> {
    let (size, lock) = (stage.size, stage.lock());
    stage.inside(move |rt| async move {
        let before = usage::counters().voluntary_switches;
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let lock = lock.clone();
                rt.spawn(async move {
                    for _ in 0..size {
                        lock.with(async { held() }).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.map_err(|error| error.to_string())?;
        }
        let switches = usage::counters().voluntary_switches - before;
        Ok(switches as f64 / (size * TASKS) as f64)
    })
}
