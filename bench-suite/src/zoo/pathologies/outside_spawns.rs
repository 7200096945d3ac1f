//! A hundred thousand tasks, spawned from a thread outside the runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runtime_core::Runtime as _;

use crate::any_runtime::AnyRuntime;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "outside-spawns",
    measured: "time for 100,000 tasks spawned by a blocking thread, relative to the same number spawned by a task",
    about: "A thread outside the scheduler, such as a driver's callback or another library's pool, spawns many \
            tasks. Each spawn may take a lock that all workers share, and wake a sleeping loop by writing to a \
            pipe. The program spawns 100,000 tasks from a task, then the same number from a thread for blocking \
            calls, and compares the times until all have run.",
    issue: "https://github.com/dask/distributed/issues/3223",
    bound: Bound::AtMost(20.0, "times as long"),
    size: 100_000,
    quick_size: 5_000,
    program,
    drive: None,
    descriptors: None,
};

fn program(stage: &Stage) -> Result<f64, String> {
    let size = stage.size;
    stage.inside(move |rt| async move {
        start(&rt, size / 10, &Arc::default());
        let inside = {
            let (ended, begun) = (Arc::default(), Instant::now());
            start(&rt, size, &ended);
            all(&rt, &ended, size).await?;
            begun.elapsed()
        };
        let (ended, begun) = (Arc::default(), Instant::now());
        let (outside, theirs) = (rt.clone(), Arc::clone(&ended));
        let thread = rt.spawn_blocking(move || start(&outside, size, &theirs));
        thread.await.map_err(|error| error.to_string())?;
        all(&rt, &ended, size).await?;
        Ok(begun.elapsed().as_secs_f64() / inside.as_secs_f64())
    })
}

fn start(rt: &AnyRuntime, count: u64, ended: &Arc<AtomicU64>) {
    for _ in 0..count {
        let ended = Arc::clone(ended);
        drop(rt.spawn(async move {
            ended.fetch_add(1, Ordering::SeqCst);
        }));
    }
}

async fn all(rt: &AnyRuntime, ended: &AtomicU64, size: u64) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while ended.load(Ordering::SeqCst) < size {
        if Instant::now() > deadline {
            let ended = ended.load(Ordering::SeqCst);
            return Err(format!("{ended} of {size} tasks have run after 30 s"));
        }
        rt.sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
