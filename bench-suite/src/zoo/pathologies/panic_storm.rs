//! Ten thousand tasks that panic.

use runtime_core::{JoinError, Runtime as _};

use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "panic-storm",
    measured: "panics of tasks that reach the one who awaits the task, with its payload",
    about: "Every task panics, or throws. The panic must end its task alone, reach whoever awaits it, and leave \
            thread, locks and queues as they were. Where it unwinds into the executor it takes a worker with it, and \
            when the last one is gone nothing runs any more, without a word. The program starts 10,000 such tasks and \
            then one that must still run.",
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
