//! What all activities of a life share: the runtime, the ledger, and what went on.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use runtime_core::{JoinError, Runtime, TaskHandle as _};

use super::ledger::Ledger;

/// How often what was done.
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
    /// One more.
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

/// What was found wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<String>>);

impl Faults {
    /// Notes one.
    pub(super) fn add(&self, what: String) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One fault can have a million symptoms.
        if faults.len() < 100 {
            faults.push(what);
        }
    }

    /// The first one.
    pub(super) fn first(&self) -> Option<String> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.first().cloned()
    }
}

/// What every activity is given.
pub(super) struct World<R> {
    pub(super) rt: R,
    pub(super) ledger: &'static Ledger,
    pub(super) tally: Arc<Tally>,
    pub(super) faults: Arc<Faults>,
    /// The root is about to return: from now on a task may be cancelled under the hands of another one that still
    /// runs, and answers say nothing any more.
    pub(super) ending: Arc<AtomicBool>,
    /// Tasks of a large burst: a thread for each is another matter than a cell for each.
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

/// A task with a token.
pub(super) struct Spawned<H> {
    handle: H,
    number: usize,
}

impl<R: Runtime> World<R> {
    /// Spawns a task whose end is watched.
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

    /// Awaits a task's end.
    pub(super) async fn join<T: Send + 'static>(
        &self,
        spawned: Spawned<R::JoinHandle<T>>,
    ) -> Result<T, JoinError> {
        let outcome = spawned.handle.await;
        if !self.ledger.is_dropped(spawned.number) {
            // Always a fault.
            self.faults
                .add("a handle reported before its future was dropped".to_owned());
        }
        outcome
    }

    /// [`join`](World::join) for a task that has to end well; `None` once it did not.
    pub(super) async fn value<T: Send + 'static>(
        &self,
        spawned: Spawned<R::JoinHandle<T>>,
    ) -> Option<T> {
        match self.join(spawned).await {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(format!("a task that should have ended well: {error}"));
                None
            }
        }
    }

    /// Asks a task to end where it stands.
    pub(super) fn abort<T: Send + 'static>(&self, spawned: &Spawned<R::JoinHandle<T>>) {
        Tally::count(&self.tally.aborted);
        spawned.handle.abort();
    }

    /// Notes that something is wrong, unless it may be the end's doing.
    pub(super) fn fault(&self, what: impl Into<String>) {
        // Relaxed: it was set before the shutdown began, and so before whatever that did.
        if !self.ending.load(Relaxed) {
            self.faults.add(what.into());
        }
    }

    /// Notes a wrong answer.
    pub(super) fn expect<T: PartialEq + fmt::Debug>(&self, what: &str, answer: T, expected: T) {
        if answer != expected {
            self.fault(format!("{what}: {answer:?} instead of {expected:?}"));
        }
    }
}
