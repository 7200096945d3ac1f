//! Ten thousand tasks that panic.

use runtime_core::{JoinError, Runtime as _};

use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "panic-storm",
    measured: "panics that reach the task that awaits the panicking task, with the payload",
    about: "Every task panics, or throws. The panic must end only its own task, reach the task that awaits it, and \
            leave threads, locks and queues intact. If it unwinds into the executor, it ends a worker, and when \
            the last worker has ended, nothing runs any more and no error is reported. The program starts 10,000 \
            such tasks, and then one that must still run.",
    issue: "https://github.com/async-rs/async-std/issues/877",
    bound: Bound::All("panics"),
    size: 10_000,
    quick_size: 1_000,
    program,
    drive: None,
    descriptors: None,
};

fn program(stage: &Stage) -> Result<f64, String> {
    let size = stage.size;
    stage.inside(move |rt| async move {
        let mut reported = 0;
        for _ in 0..size / 100 {
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    let pausing = rt.clone();
                    rt.spawn(async move {
                        pausing.yield_now().await;
                        panic!("on purpose")
                    })
                })
                .collect();
            for task in tasks {
                let outcome: Result<(), _> = task.await;
                if let Err(JoinError::Panicked(payload)) = outcome {
                    reported += u64::from(payload.message() == Some("on purpose"));
                }
            }
        }
        let alive = rt.spawn(async { 1 }).await;
        alive.map_err(|error| format!("nothing runs any more ({error})"))?;
        Ok(reported as f64)
    })
}
