//! A thousand wake-ups per second without work.

use std::time::Duration;

use runtime_core::Runtime as _;

use crate::usage;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "idle-wakeups",
    measured: "CPU per wake-up of a program that repeatedly sleeps for 1 ms and does nothing else",
    about: "A program that is nearly idle wakes a thousand times per second. Each wake-up can cost more than the \
            work: workers search for more work before they sleep, other workers are woken to help, or setting the \
            timer again takes several system calls. The program sleeps for 1 ms, 2,000 times, and divides the CPU \
            time of the process by the number of sleeps.",
    issue: "https://github.com/rayon-rs/rayon/issues/642",
    bound: Bound::AtMost(200.0, "us each"),
    size: 2000,
    quick_size: 500,
    program,
    drive: None,
    descriptors: None,
};

fn program(stage: &Stage) -> Result<f64, String> {
    let size = stage.size;
    stage.inside(move |rt| async move {
        rt.sleep(Duration::from_millis(100)).await;
        let before = usage::process_cpu_time();
        for _ in 0..size {
            rt.sleep(Duration::from_millis(1)).await;
        }
        let used = usage::process_cpu_time() - before;
        Ok(used.as_secs_f64() * 1e6 / size as f64)
    })
}
