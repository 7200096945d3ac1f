//! Wakers of other executors, which a worker calls between two polls.

use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use runtime_core::context;
use runtime_core::sleep;
use runtime_mn::{Handle, Runtime};

/// Enters a runtime and forgets the guard.
struct Enters {
    other: Handle,
    has_entered: AtomicBool,
}

impl Wake for Enters {
    fn wake(self: Arc<Self>) {
        mem::forget(self.other.enter());
        self.has_entered.store(true, SeqCst);
    }
}

#[test]
fn a_worker_stays_in_its_runtime_when_a_timers_waker_forgets_a_guard() {
    let other = Runtime::builder().workers(1).build().unwrap();
    let enters = Arc::new(Enters {
        other: other.handle().clone(),
        has_entered: AtomicBool::new(false),
    });
    // One worker: after it fires the timer, it polls the task.
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let is_same = runtime.block_on(async move {
        let own = context::try_with(Arc::clone).unwrap();
        let mut timer = Box::pin(sleep(Duration::from_millis(1)));
        let waker = Waker::from(Arc::clone(&enters));
        let polled = timer.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        while !enters.has_entered.load(SeqCst) {
            sleep(Duration::from_millis(1)).await;
        }
        let now = context::try_with(Arc::clone).unwrap();
        Arc::ptr_eq(&own, &now)
    });
    assert!(is_same, "the task is in the runtime that runs it");
}
