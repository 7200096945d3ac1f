//! What is called when a task has ended, without a task that waits for that.
//!
//! The handle is put into an allocation together with the callback, and that allocation's own waker into the task:
//! whoever completes the task wakes it, and the wake takes the outcome and calls.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::{JoinError, JoinHandle};
use crate::budget;
use crate::contain::discard;
use crate::primitives::Mutex;

/// A handle, and what is to be done with its outcome. The task's waker slot keeps it alive, until the task has ended.
struct Completion<T, F> {
    stage: Mutex<Stage<T, F>>,
}

enum Stage<T, F> {
    /// The task is being given the waker, and may end as soon as it has it.
    Registering,
    Waiting(JoinHandle<T>, F),
    /// The task has ended, and whoever comes second calls.
    Ended,
}

/// Calls `callback` with the outcome of the task: at its end, or at once.
pub(super) fn call<T, F>(mut handle: JoinHandle<T>, callback: F)
where
    T: Send + 'static,
    F: FnOnce(Result<T, JoinError>) + Send + 'static,
{
    let completion = Arc::new(Completion {
        stage: Mutex::new(Stage::Registering),
    });
    let waker = Waker::from(Arc::clone(&completion));
    // Outside of the lock: an earlier waker of the handle's goes, and its destructor is the user's.
    if handle.wake_at_end(&waker) {
        let mut stage = completion.stage.lock();
        if let Stage::Registering = *stage {
            *stage = Stage::Waiting(handle, callback);
            return;
        }
    }
    finish(handle, callback);
}

/// The task has ended.
fn finish<T, F>(mut handle: JoinHandle<T>, callback: F)
where
    F: FnOnce(Result<T, JoinError>),
{
    // It is nobody's loop over handles, and there is no poll that could be repeated on a full budget.
    let _lifted = budget::lift();
    let mut cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(outcome) = Future::poll(Pin::new(&mut handle), &mut cx) {
        callback(outcome);
    }
}

impl<T, F> Wake for Completion<T, F>
where
    T: Send + 'static,
    F: FnOnce(Result<T, JoinError>) + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let stage = mem::replace(&mut *self.stage.lock(), Stage::Ended);
        if let Stage::Waiting(handle, callback) = stage {
            // The callback's panic ends here: it is no failure of the task, nor of whoever completed it.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| finish(handle, callback))) {
                discard(payload);
            }
        }
    }
}

/// A callback that is registered while its task ends, in every order.
///
/// `RUSTFLAGS="--cfg lab_loom" cargo test -p runtime-core --release --lib loom`
#[cfg(all(test, lab_loom))]
mod loom_tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

    use loom::thread;

    use super::*;
    use crate::task::tests::{Queue, queue};
    use crate::task::{Ran, SchedulerArc, Task, bind};

    /// Says that the future is gone.
    struct Gone(Arc<AtomicBool>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }

    /// What the callbacks of one model saw.
    #[derive(Default)]
    struct Seen {
        gone: Arc<AtomicBool>,
        values: Arc<AtomicUsize>,
        cancelled: Arc<AtomicUsize>,
    }

    impl Seen {
        /// A task that returns 7, and its scheduler.
        fn task(&self) -> (SchedulerArc<Queue>, Task, JoinHandle<Box<u8>>) {
            let queue = queue();
            let gone = Gone(Arc::clone(&self.gone));
            let (task, handle) = bind(&queue.erase(), async move {
                let _gone = gone;
                Box::new(7)
            });
            (queue, task, handle)
        }

        fn register(&self, handle: JoinHandle<Box<u8>>) {
            let (gone, values, cancelled) = (
                Arc::clone(&self.gone),
                Arc::clone(&self.values),
                Arc::clone(&self.cancelled),
            );
            handle.on_complete(move |outcome| {
                assert!(gone.load(SeqCst), "after the future was dropped");
                match outcome {
                    Ok(value) => {
                        assert_eq!(*value, 7);
                        values.fetch_add(1, SeqCst);
                    }
                    Err(error) => {
                        assert!(error.is_cancelled());
                        cancelled.fetch_add(1, SeqCst);
                    }
                }
            });
        }

        fn calls(&self) -> usize {
            self.values.load(SeqCst) + self.cancelled.load(SeqCst)
        }
    }

    #[test]
    fn a_task_that_returns_meanwhile() {
        loom::model(|| {
            let seen = Seen::default();
            let (_queue, task, handle) = seen.task();
            let runner = thread::spawn(move || assert!(matches!(task.run(), Ran::Finished)));
            seen.register(handle);
            runner.join().unwrap();
            assert_eq!(seen.values.load(SeqCst), 1);
            assert_eq!(seen.calls(), 1);
        });
    }

    #[test]
    fn a_task_that_is_dropped_meanwhile() {
        loom::model(|| {
            let seen = Seen::default();
            let (_queue, task, handle) = seen.task();
            // As a scheduler does that shuts down.
            let ender = thread::spawn(move || task.cancel());
            seen.register(handle);
            ender.join().unwrap();
            assert_eq!(seen.cancelled.load(SeqCst), 1);
            assert_eq!(seen.calls(), 1);
        });
    }

    #[test]
    fn a_task_that_is_aborted_while_it_runs() {
        let mut model = loom::model::Builder::new();
        // Three threads: all of their orders are too many.
        model.preemption_bound = Some(3);
        model.check(|| {
            let seen = Seen::default();
            let (queue, task, handle) = seen.task();
            let abort = handle.abort_handle();
            let aborter = thread::spawn(move || abort.abort());
            let runner = thread::spawn(move || {
                assert!(matches!(task.run(), Ran::Finished));
            });
            seen.register(handle);
            aborter.join().unwrap();
            runner.join().unwrap();
            assert_eq!(seen.calls(), 1);
            assert!(queue.pop().is_none());
        });
    }
}
