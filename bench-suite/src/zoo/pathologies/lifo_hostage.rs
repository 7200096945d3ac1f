//! A woken task that is queued behind its waker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runtime_core::Runtime as _;

use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

/// Long enough for another thread to take the task, even on a busy machine.
const TIME_TO_STEAL: Duration = Duration::from_millis(500);

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "lifo-hostage",
    measured: "tasks that run while the task that woke them is still computing",
    about: "A task wakes another and continues to compute. The woken task is queued behind it, while the other \
            workers are asleep. If it can't be stolen from the slot for the most recently woken task, or if no \
            worker is told, it waits until the first task ends. The program does this ten times and gives each \
            task half a second.",
    issue: "https://github.com/tokio-rs/tokio/issues/4941",
    bound: Bound::All("tasks"),
    size: 10,
    quick_size: 3,
    program,
    drive: None,
    descriptors: None,
};

#[derive(Default)]
struct Hostage {
    waker: Mutex<Option<Waker>>,
    called: AtomicBool,
    ran: AtomicBool,
}

fn program(stage: &Stage) -> Result<f64, String> {
    let size = stage.size;
    stage.inside(move |rt| async move {
        let mut free = 0;
        for _ in 0..size {
            let hostage = Arc::new(Hostage::default());
            let waiting = rt.spawn(wait(Arc::clone(&hostage)));
            while hostage.waker.lock().is_none() {
                rt.sleep(Duration::from_millis(1)).await;
            }
            let holding = Arc::clone(&hostage);
            let holder = rt.spawn(async move { hold(&holding) });
            free += u64::from(holder.await.map_err(|error| error.to_string())?);
            waiting.await.map_err(|error| error.to_string())?;
        }
        Ok(free as f64)
    })
}

async fn wait(hostage: Arc<Hostage>) {
    std::future::poll_fn(|cx| {
        if hostage.called.load(Ordering::SeqCst) {
            hostage.ran.store(true, Ordering::SeqCst);
            return Poll::Ready(());
        }
        *hostage.waker.lock() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// Wakes the task and computes. Returns whether the task ran meanwhile.
fn hold(hostage: &Hostage) -> bool {
    hostage.called.store(true, Ordering::SeqCst);
    let waker = hostage.waker.lock().take();
    if let Some(waker) = waker {
        waker.wake();
    }
    let begun = Instant::now();
    while begun.elapsed() < TIME_TO_STEAL && !hostage.ran.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
    hostage.ran.load(Ordering::SeqCst)
}
