//! A thousand wake-ups a second, and nothing to do.

use std::time::Duration;

use crate::zoo::client::Target;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::{Stage, Word};

use runtime_core::Runtime as _;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "idle-wakeups",
    measured: "CPU of a program that only sleeps for 1 ms, again and again, relative to a thread that spins",
    about: "A program that is nearly idle wakes a thousand times a second. Each wake-up can cost more than the work: \
            workers that search for more before they sleep, neighbours that are woken to help, a timer that is set \
            anew by several system calls. The program sleeps for 1 ms in a loop, and the lab looks at its CPU time \
            over 2 s.",
    issue: "https://github.com/rayon-rs/rayon/issues/642",
    bound: Bound::AtMost(10.0, "% of a spinning thread"),
    size: 2000,
    quick_size: 500,
    program,
    drive: Some(drive),
    descriptors: None,
};

fn program(stage: &Stage) -> Result<f64, String> {
    stage.inside(|rt| async move {
        Word::Listening(0).say();
        loop {
            rt.sleep(Duration::from_millis(1)).await;
        }
    })
}

fn drive(target: &Target) -> Result<f64, String> {
    std::thread::sleep(Duration::from_millis(200));
    Ok(target.percent_of_a_spinner(Duration::from_millis(target.size)))
}
