//! What all activities of a life share: the runtime, the ledger, and counts.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use runtime_core::{JoinError, Runtime, TaskHandle as _};

use super::ledger::Ledger;

/// Counts what happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(super) tasks: AtomicU64,
    pub(super) aborted: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) sleeps: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) jobs: AtomicU64,
    pub(super) messages: AtomicU64,
}

impl Tally {
    /// Adds one.
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |counter: &AtomicU64| counter.load(Relaxed);
        write!(
            f,
            "{} tasks ({} aborted, {} panicked), {} sleeps, {} connections, {} jobs, {} messages",
            one(&self.tasks),
            one(&self.aborted),
            one(&self.panicked),
            one(&self.sleeps),
            one(&self.connections),
            one(&self.jobs),
            one(&self.messages),
        )
    }
}

/// The faults that were found.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<String>>);

impl Faults {
    /// Records a fault.
    pub(super) fn add(&self, what: String) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One fault can have a million symptoms.
        if faults.len() < 100 {
            faults.push(what);
        }
    }

    /// The first fault.
    pub(super) fn first(&self) -> Option<String> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.first().cloned()
    }
}

/// The environment of every activity.
pub(super) struct World<R> {
    pub(super) rt: R,
    pub(super) ledger: &'static Ledger,
    pub(super) tally: Arc<Tally>,
    pub(super) faults: Arc<Faults>,
    /// Set when the root is about to return. From then on, a task may be cancelled while others still use it, and
    /// answers prove nothing.
    pub(super) ending: Arc<AtomicBool>,
    /// The size of a large burst. It depends on the runtime, because a thread per task costs more than a cell per task.
    pub(super) many: u64,
}

impl<R: Clone> Clone for World<R> {
    fn clone(&self) -> Self {
        Self {
            rt: self.rt.clone(),
            ledger: self.ledger,
            tally: Arc::clone(&self.tally),
            faults: Arc::clone(&self.faults),
            ending: Arc::clone(&self.ending),
            many: self.many,
        }
    }
}

/// A task with its token.
pub(super) struct Spawned<H> {
    handle: H,
    number: usize,
}

impl<R: Runtime> World<R> {
    /// Spawns a task and tracks its end.
    pub(super) fn spawn<F>(&self, future: F) -> Spawned<R::JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Tally::count(&self.tally.tasks);
        let token = self.ledger.token();
        let number = token.number();
        let handle = self.rt.spawn(async move {
            let _token = token;
            future.await
        });
        Spawned { handle, number }
    }

    /// Awaits the end of a task.
    pub(super) async fn join<T: Send + 'static>(
        &self,
        spawned: Spawned<R::JoinHandle<T>>,
    ) -> Result<T, JoinError> {
        let outcome = spawned.handle.await;
        if !self.ledger.is_dropped(spawned.number) {
            // This is always a fault.
            self.faults
                .add("a handle reported before its future was dropped".to_owned());
        }
        outcome
    }

    /// [`join`](World::join) for a task that must succeed; `None` if it does not.
    pub(super) async fn value<T: Send + 'static>(
        &self,
        spawned: Spawned<R::JoinHandle<T>>,
    ) -> Option<T> {
        match self.join(spawned).await {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(format!("a task that should have succeeded: {error}"));
                None
            }
        }
    }

    /// Aborts a task.
    pub(super) fn abort<T: Send + 'static>(&self, spawned: &Spawned<R::JoinHandle<T>>) {
        Tally::count(&self.tally.aborted);
        spawned.handle.abort();
    }

    /// Records a fault, unless the shutdown may have caused it.
    pub(super) fn fault(&self, what: impl Into<String>) {
        // Relaxed is enough, because it was set before the shutdown began, and so before anything that the shutdown
        // caused.
        if !self.ending.load(Relaxed) {
            self.faults.add(what.into());
        }
    }

    /// Records a fault if the answer is wrong.
    pub(super) fn expect<T: PartialEq + fmt::Debug>(&self, what: &str, answer: T, expected: T) {
        if answer != expected {
            self.fault(format!("{what}: {answer:?} instead of {expected:?}"));
        }
    }
}
