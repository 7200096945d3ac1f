//! A lock whose owner waits behind tasks that compute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runtime_core::Runtime as _;

use crate::any_runtime::AnyRuntime;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

/// How often the owner yields while it holds the lock.
const PAUSES: u64 = 5;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "priority-inversion",
    measured: "turns of 1 ms that each busy task has before an urgent task gets a lock from an unimportant one",
    about: "An unimportant task holds a lock, and needs five more turns to release it. Busy tasks that don't want \
            the lock compute all the time, 1 ms per turn. An urgent task waits for the lock, so it waits for the \
            unimportant task's turns. A scheduler that prefers the busy tasks, or that always runs the newest task \
            first, inverts the priorities. The program counts the turns of the busy tasks. There are twice as many \
            of them as workers.",
    issue: "https://github.com/embassy-rs/embassy/issues/1204",
    bound: Bound::AtMost(100.0, "turns"),
    size: 1,
    quick_size: 1,
    program,
    drive: None,
    descriptors: None,
};

fn program(stage: &Stage) -> Result<f64, String> {
    let (lock, busy) = (stage.lock(), stage.workers() as u64 * 2);
    stage.inside(move |rt| async move {
        let (turns, over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let held = Arc::new(AtomicBool::new(false));
        let (owner, pausing, holding) = (lock.clone(), rt.clone(), Arc::clone(&held));
        let owner = rt.spawn(async move {
            let five_turns = async {
                holding.store(true, Ordering::SeqCst);
                for _ in 0..PAUSES {
                    pausing.yield_now().await;
                }
            };
            owner.with(five_turns).await;
        });
        while !held.load(Ordering::SeqCst) {
            rt.yield_now().await;
        }
        for _ in 0..busy {
            let task = compute(rt.clone(), Arc::clone(&turns), Arc::clone(&over));
            drop(rt.spawn(task));
        }
        let (wanted, seen) = (lock.clone(), Arc::clone(&turns));
        let urgent = rt.spawn(async move {
            wanted
                .with(async move { seen.load(Ordering::SeqCst) })
                .await
        });
        let waited = urgent.await.map_err(|error| error.to_string())?;
        over.store(true, Ordering::SeqCst);
        owner.await.map_err(|error| error.to_string())?;
        Ok(waited as f64 / busy as f64)
    })
}

async fn compute(rt: AnyRuntime, turns: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    while !over.load(Ordering::SeqCst) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        turns.fetch_add(1, Ordering::SeqCst);
        rt.yield_now().await;
    }
}
