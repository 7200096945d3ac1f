//! A runtime's tasks without its type: cases about the primitives are compiled once, and not for each scheduler.
//!
//! They only need a scheduler that runs tasks; they check the primitives' part of the contract.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::Subject;
use super::outcome::Outcome;
use runtime_kernel::{JoinError, TaskHandle};
use runtime_library::Runtime;

/// What a task does.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs `body` as the root task of a new subject.
pub(super) fn on<S: Subject>(body: impl FnOnce(Tasks) -> Work) {
    let subject = S::start();
    let tasks = Tasks(Arc::new(Of(subject.handle())));
    subject.run(body(tasks));
}

/// A runtime that spawns and yields.
#[derive(Clone)]
pub(super) struct Tasks(Arc<dyn Spawns>);

/// A task's handle. Dropping it detaches the task.
pub(super) struct Spawned(Box<dyn Handle>);

trait Spawns: Send + Sync {
    fn spawn(&self, work: Work) -> Spawned;
    fn yield_now(&self) -> Work;
    fn are_overtaken(&self) -> bool;
}

trait Handle: Future<Output = Result<(), JoinError>> + Send + Unpin {
    fn abort(&self);
}

struct Of<R>(R);

impl<R: Runtime> Spawns for Of<R> {
    fn spawn(&self, work: Work) -> Spawned {
        Spawned(Box::new(self.0.spawn(work)))
    }

    fn yield_now(&self) -> Work {
        Box::pin(self.0.yield_now())
    }

    fn are_overtaken(&self) -> bool {
        self.0.capabilities().overtaken_for().is_some()
    }
}

impl<H: TaskHandle<()>> Handle for H {
    fn abort(&self) {
        TaskHandle::abort(self);
    }
}

impl Tasks {
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Spawned {
        self.0.spawn(Box::pin(work))
    }

    pub(super) async fn yield_now(&self) {
        self.0.yield_now().await;
    }

    /// Whether a newcomer may overtake a task whose turn has come, for a bounded time (clause 8).
    pub(super) fn are_overtaken(&self) -> bool {
        self.0.are_overtaken()
    }

    /// Lets others run until `condition` is true; otherwise the watchdog ends it.
    pub(super) async fn until(&self, mut condition: impl FnMut() -> bool) {
        while !condition() {
            self.yield_now().await;
        }
    }
}

impl Spawned {
    pub(super) fn abort(&self) {
        self.0.abort();
    }

    /// Waits for the end, and returns the outcome.
    pub(super) async fn outcome(self) -> Outcome {
        Outcome::of(self.0.await)
    }

    /// Waits for the end, and asserts that the task returned.
    pub(super) async fn returned(self) {
        assert_eq!(self.outcome().await, Outcome::Returned);
    }
}
