//! Ten thousand futures in one task, in nested sets.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::any_runtime::BoxFuture;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

const SETS: u64 = 100;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "futures-unordered",
    measured: "polls of each of 10,000 futures that take one lock, in 100 `FuturesUnordered` within one",
    about: "A set of futures polls those that were woken. Once a task has done enough in one poll, the runtime's \
            budget makes a lock refuse, and wakes the task again. If the set then polls all the other futures, \
            which are also refused, the work grows with the square of their number. The program counts polls.",
    issue: "https://github.com/rust-lang/futures-rs/issues/2526",
    bound: Bound::AtMost(20.0, "polls"),
    size: 10_000,
    quick_size: 2_000,
    program,
    drive: None,
    descriptors: None,
};

fn program(stage: &Stage) -> Result<f64, String> {
    let (size, lock) = (stage.size, stage.lock());
    stage.inside(move |_| async move {
        let polls = Arc::new(AtomicU64::new(0));
        let mut all: FuturesUnordered<BoxFuture<'static, u64>> = FuturesUnordered::new();
        for _ in 0..SETS {
            let mut set = FuturesUnordered::new();
            for _ in 0..size / SETS {
                let lock = lock.clone();
                let future = async move { lock.with(std::future::ready(())).await };
                set.push(Counted(Box::pin(future), Arc::clone(&polls)));
            }
            all.push(Box::pin(async move {
                let mut done = 0;
                while let Some(()) = set.next().await {
                    done += 1;
                }
                done
            }));
        }
        let mut done = 0;
        while let Some(count) = all.next().await {
            done += count;
        }
        if done != size {
            return Err(format!("{done} of {size} futures ended"));
        }
        Ok(polls.load(Ordering::Relaxed) as f64 / size as f64)
    })
}

/// Counts how often it is polled.
struct Counted(BoxFuture<'static, ()>, Arc<AtomicU64>);

impl Future for Counted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.as_mut().poll(cx)
    }
}
