//! A runtime that ends with a million live tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runtime_core::{Runtime as _, TaskHandle as _};

use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "drop-million",
    measured: "futures that are dropped when a runtime ends while a million tasks wait forever",
    about: "A runtime is dropped while a million of its tasks wait. Each future owns values, so each must be \
            dropped. None may be forgotten, a destructor that wakes another task must not deadlock, recursion must \
            not grow with the number of tasks, and the drop must not be so slow that it looks like a hang. The \
            program counts destructors.",
    issue: "https://github.com/tokio-rs/tokio/issues/2046",
    bound: Bound::All("futures"),
    size: 1_000_000,
    quick_size: 2_000,
    program,
    drive: None,
    descriptors: None,
};

struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn program(stage: &Stage) -> Result<f64, String> {
    let size = stage.size;
    stage.room_for(size)?;
    let dropped = Arc::new(AtomicU64::new(0));
    let begun = Arc::new(AtomicU64::new(0));
    let (theirs, started) = (Arc::clone(&dropped), Arc::clone(&begun));
    let run = stage.launcher.run(&stage.config, move |rt| async move {
        for number in 0..size {
            let (counted, started) = (Counted(Arc::clone(&theirs)), Arc::clone(&started));
            let task = rt.spawn(async move {
                let _counted = counted;
                started.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            });
            if task.is_finished() {
                let outcome = task.await;
                return Err(format!(
                    "task {number} of {size} did not start: {outcome:?}"
                ));
            }
            if number % 1000 == 0 {
                rt.yield_now().await;
            }
        }
        while started.load(Ordering::SeqCst) < size {
            rt.yield_now().await;
        }
        Ok(())
    });
    run.map_err(|error| error.to_string())??;
    // The launcher may have given up waiting for threads that still run.
    let deadline = Instant::now() + Duration::from_secs(60);
    while dropped.load(Ordering::SeqCst) < size && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(dropped.load(Ordering::SeqCst) as f64)
}
