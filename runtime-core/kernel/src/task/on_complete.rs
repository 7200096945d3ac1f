//! Callbacks that run when a task has ended, without a task that waits for the end.
//!
//! One allocation holds the handle and the callback, and its waker is put into the task. The thread that completes the
//! task wakes it, and the wake takes the outcome and calls the callback.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::error::JoinError;
use super::join::JoinHandle;
use crate::budget;
use crate::contain::contain;
use crate::primitives::Mutex;
use crate::promise::{Promise, Promised};
use crate::thread_stack::on_thread_stack;

impl<T> JoinHandle<T> {
    /// Calls `callback` with the task's outcome when the task ends, or at once, on the calling thread, if it has
    /// already ended. asyncio's `add_done_callback`.
    ///
    /// This needs no waiting task: the callback runs on the thread that ends the task, outside any task, after the
    /// task's future was dropped. It must not block, and should be short, because that worker's other tasks wait. A
    /// panic in it is contained, wherever it runs. To be able to abort the task, first get an
    /// [`abort_handle`](JoinHandle::abort_handle).
    ///
    /// Cost: one allocation.
    ///
    /// # Panics
    /// If the handle has already yielded the outcome.
    pub fn on_complete<F>(self, callback: F)
    where
        T: Send + 'static,
        F: FnOnce(Result<T, JoinError>) + Send + 'static,
    {
        call(self, callback);
    }

    /// A handle that you can clone and await in several places; each gets a clone of the value. The error is
    /// reference counted, because a panic's payload can't be cloned. Like an asyncio task, it can be awaited again
    /// after it has ended.
    ///
    /// The inner error, `Broken`, does not occur: a task always ends with an outcome.
    ///
    /// A task that awaits its own shared handle **waits for ever**: unlike a `JoinHandle`, a shared handle does not
    /// know its task, so it can't panic.
    ///
    /// Cost: one allocation for what the handles share, one for the callback that fills it, and one more for an error;
    /// see [`Promised`].
    ///
    /// ```
    /// # fn main() {}
    /// # async fn example() {
    /// let shared = runtime_core::spawn(async { 42 }).shared();
    /// let (one, other) = (shared.clone().await, shared.await);
    /// assert!(matches!((one, other), (Ok(Ok(42)), Ok(Ok(42)))));
    /// # }
    /// ```
    pub fn shared(self) -> Promised<Result<T, Arc<JoinError>>>
    where
        T: Clone + Send + Sync + 'static,
    {
        let promise = Promise::new();
        let shared = promise.future();
        self.on_complete(move |outcome| promise.set_result(outcome.map_err(Arc::new)));
        shared
    }
}

/// A handle, and the callback for its outcome. The task's waker slot keeps it alive until the task has ended.
struct Completion<T, F> {
    stage: Mutex<Stage<T, F>>,
}

enum Stage<T, F> {
    /// The task is about to get the waker, and may end as soon as it has it.
    Registering,
    Waiting(JoinHandle<T>, F),
    /// The task has ended, and the second to arrive calls the callback.
    Ended,
}

/// Calls `callback` with the task's outcome: at its end, or at once.
fn call<T, F>(mut handle: JoinHandle<T>, callback: F)
where
    T: Send + 'static,
    F: FnOnce(Result<T, JoinError>) + Send + 'static,
{
    let completion = Arc::new(Completion {
        stage: Mutex::new(Stage::Registering),
    });
    let waker = Waker::from(Arc::clone(&completion));
    // Outside the lock: this may drop an earlier waker of the handle, whose destructor is user code.
    if handle.wake_at_end(&waker) {
        let mut stage = completion.stage.lock();
        if let Stage::Registering = *stage {
            *stage = Stage::Waiting(handle, callback);
            return;
        }
    }
    finish(handle, callback);
}

/// Takes the outcome of the task, which has ended, and calls `callback`.
fn finish<T, F>(mut handle: JoinHandle<T>, callback: F)
where
    F: FnOnce(Result<T, JoinError>),
{
    // This is not a loop over handles in a task, and there is no poll that could be repeated with a full budget.
    let _lifted = budget::lift();
    let mut cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(outcome) = Future::poll(Pin::new(&mut handle), &mut cx) {
        // Contains a panic of the callback. It is a failure neither of the task, nor of the code that completed it,
        // nor of the caller, which can't know whether the task has ended. And it can't suspend the caller, if that is
        // a green task.
        contain(|| on_thread_stack(|| callback(outcome)));
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
            finish(handle, callback);
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

    /// Records that the future was dropped.
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
    fn a_task_that_returns_during_registration() {
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
    fn a_task_that_is_dropped_during_registration() {
        loom::model(|| {
            let seen = Seen::default();
            let (_queue, task, handle) = seen.task();
            // Like a scheduler that shuts down.
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
        // Three threads: there are too many orders to try them all.
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
