//! A million timers that are dropped before they are due.

use std::pin::pin;
use std::time::Duration;

use runtime_core::Runtime as _;

use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::{Stage, resident_bytes};

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "cancelled-timers",
    measured: "memory that remains per timer after a million timers of an hour were set and cancelled one after \
               another",
    about: "Most timers are time-outs, and most time-outs never fire. If a cancelled timer stays in the queue \
            until its deadline, a time-out of an hour on each request keeps an hour of requests in memory. The \
            program sets a timer of an hour, cancels it, and sets the next one.",
    issue: "https://github.com/golang/go/issues/15698",
    bound: Bound::AtMost(32.0, "bytes each"),
    size: 1_000_000,
    quick_size: 200_000,
    program,
    drive: None,
    descriptors: None,
};

fn program(stage: &Stage) -> Result<f64, String> {
    let size = stage.size;
    stage.inside(move |rt| async move {
        // The structures that the first timers create may stay, so they don't count.
        set_and_cancel(&rt, 10_000).await;
        let before = resident_bytes();
        set_and_cancel(&rt, size).await;
        Ok((resident_bytes() - before).max(0.0) / size as f64)
    })
}

async fn set_and_cancel(rt: &crate::any_runtime::AnyRuntime, count: u64) {
    for number in 0..count {
        {
            let mut sleep = pin!(rt.sleep(Duration::from_secs(3600)));
            let polled = futures_lite::future::poll_once(&mut sleep).await;
            debug_assert!(polled.is_none(), "an hour is not over yet");
        }
        if number % 1000 == 0 {
            rt.yield_now().await;
        }
    }
}
