//! Pairs of tasks that wake each other, and a neighbour.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runtime_core::Runtime as _;

use crate::any_runtime::AnyRuntime;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "lifo-chain",
    measured: "passes between two tasks that wake each other, before a neighbour has its first turn",
    about: "Two tasks pass a ball: each wakes the other and waits. A scheduler that always runs the most recently \
            woken task first, because its data is in the cache, runs these two forever, and the tasks that were \
            queued before them wait. The program has such a pair for each worker. Each pair starts a neighbour, \
            and the program counts the passes until all neighbours have run. The tasks use wakers only, and no \
            channel that could spend a budget.",
    issue: "https://github.com/tokio-rs/tokio/pull/5686",
    bound: Bound::AtMost(100_000.0, "passes"),
    size: 1,
    quick_size: 1,
    program,
    drive: None,
    descriptors: None,
};

#[derive(Default)]
struct Rally {
    passes: AtomicU64,
    players: [Mutex<Option<Waker>>; 2],
    over: AtomicBool,
}

fn program(stage: &Stage) -> Result<f64, String> {
    let workers = stage.workers();
    stage.inside(move |rt| async move {
        let rallies: Vec<Arc<Rally>> = (0..workers).map(|_| Arc::default()).collect();
        let mut neighbours = Vec::new();
        for rally in &rallies {
            drop(rt.spawn(play(Arc::clone(rally))));
            let (rally, starter) = (Arc::clone(rally), rt.clone());
            neighbours.push(rt.spawn(begin(rally, starter)));
        }
        let mut most = 0;
        for neighbour in neighbours {
            most = most.max(neighbour.await.map_err(|error| error.to_string())?);
        }
        Ok(most as f64)
    })
}

/// Plays until the neighbour that it starts has run, or for 3 s. Returns the passes until then.
async fn begin(rally: Arc<Rally>, rt: AnyRuntime) -> u64 {
    let (seen, begun) = (Arc::clone(&rally), Instant::now());
    let neighbour = rt.spawn(async move {
        seen.over.store(true, Ordering::Relaxed);
        seen.passes.load(Ordering::Relaxed)
    });
    while !rally.over.load(Ordering::Relaxed) {
        turn(&rally, 0).await;
        if begun.elapsed() > Duration::from_secs(3) {
            rally.over.store(true, Ordering::Relaxed);
        }
    }
    wake(&rally, 1);
    neighbour.await.unwrap_or(u64::MAX)
}

async fn play(rally: Arc<Rally>) {
    while !rally.over.load(Ordering::Relaxed) {
        turn(&rally, 1).await;
    }
    wake(&rally, 0);
}

/// Waits for the ball and passes it on.
async fn turn(rally: &Rally, me: usize) {
    std::future::poll_fn(|cx| {
        *rally.players[me].lock() = Some(cx.waker().clone());
        if rally.over.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        if rally.passes.load(Ordering::Relaxed) % 2 == me as u64 {
            rally.passes.fetch_add(1, Ordering::Relaxed);
            wake(rally, 1 - me);
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

fn wake(rally: &Rally, player: usize) {
    let waker = rally.players[player].lock().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}
