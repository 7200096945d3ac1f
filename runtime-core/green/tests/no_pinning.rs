//! M:N without its part `pinned-tasks`: a green task that must stay on its worker is refused with an error that says
//! why.

#![allow(unsafe_code)]
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use runtime_core::green::{self, wait};
use runtime_core::{JoinError, Native, yield_now};

#[test]
fn a_green_task_is_refused_and_the_runtime_goes_on() {
    let builder = runtime_mn::Runtime::builder().workers(2);
    let runtime = builder.without("pinned-tasks").unwrap().build().unwrap();
    let handle = runtime.handle().clone();
    let has_run = Arc::new(AtomicBool::new(false));
    let ran = Arc::clone(&has_run);
    runtime.block_on(async move {
        for _ in 0..100 {
            let ran = Arc::clone(&ran);
            let task = green::spawn_on(&handle, move || ran.store(true, SeqCst));
            let Err(JoinError::SpawnFailed(error)) = task.await else {
                panic!("it has run, or ended otherwise");
            };
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("`pinned-tasks`"), "{error}");
        }
        // An ordinary task.
        let task = Native::spawn(&handle, async {
            yield_now().await;
            7
        });
        assert_eq!(task.await.unwrap(), 7);
    });
    assert!(!has_run.load(SeqCst));
}

/// A green task that may move needs no pinning.
#[test]
fn a_green_task_that_may_move_runs() {
    let builder = runtime_mn::Runtime::builder().workers(2);
    let runtime = builder.without("pinned-tasks").unwrap().build().unwrap();
    let handle = runtime.handle().clone();
    let task = runtime.block_on(async move {
        // SAFETY: it keeps nothing that belongs to a thread.
        let builder = unsafe { green::Builder::new().may_move() };
        let task = builder.spawn_on(&handle, || {
            wait(async {
                yield_now().await;
                7
            })
        });
        task.await
    });
    assert_eq!(task.unwrap(), 7);
}
