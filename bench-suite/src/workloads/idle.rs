//! `idle`: what a task costs while it does nothing.
//!
//! `size` tasks are spawned and park on a future that is never ready. When the last of them has been polled, the
//! growth of the process's resident memory, but for code, is divided by their number. It counts all that a waiting
//! task keeps: its cell, its handle's share, under 1:1 the touched part of its stack (not the kernel's own stack).
//!
//! The future itself is two words, so that it hides nothing of what a runtime adds: `beyond_future_bytes` is the rest.
//!
//! One op is one task spawned and parked; the figure is `bytes_per_task`. The check: every task was polled, was still
//! waiting, and ends as cancelled when it is aborted. Memory is only fresh once, so that there is one repetition.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use runtime_core::{JoinError, Runtime, TaskHandle};

use super::{Program, check, lost, size};
use crate::measure::Meter;
use crate::memory::reading::Reading;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// Tasks that wait for ever.
pub struct Idle;

impl Program for Idle {
    const INFO: Workload = Workload {
        name: "idle",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "tasks that wait for ever: the memory that a waiting task keeps",
        op: "one task spawned and parked",
        parameters: &[size("tasks", 10_000, 1, 100_000_000)],
        metric: "bytes_per_task",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let mut parking = Parking::begin(&rt, params.value("size"), meter).await?;
        while let Some(muster) = parking.next() {
            parking.spawn(&rt, async move {
                muster.report();
                drop(muster);
                std::future::pending::<()>().await;
            });
        }
        parking.end(meter).await
    }
}

/// Tasks that wait, and how memory grows by them.
pub(super) struct Parking<R: Runtime> {
    muster: Arc<Muster>,
    handles: Vec<Option<R::JoinHandle<()>>>,
    spawned: usize,
    future_bytes: usize,
    before: Option<u64>,
    split_before: Option<Reading>,
}

impl<R: Runtime> Parking<R> {
    /// Gets ready for so many tasks, and begins to measure.
    pub(super) async fn begin(rt: &R, tasks: u64, meter: &mut Meter) -> Result<Self, Failure> {
        // What a runtime allocates at its first task is not the tasks'.
        rt.spawn(async {}).await.map_err(lost)?;
        let mut handles = Vec::with_capacity(usize::try_from(tasks).unwrap_or(usize::MAX));
        // Touches the pages of the `Vec`, so that they are not counted as the tasks'.
        handles.resize_with(handles.capacity(), || None);
        let parking = Self {
            muster: Arc::new(Muster::new(tasks)),
            handles,
            spawned: 0,
            future_bytes: 0,
            split_before: meter.split_memory.then(Reading::of_this_process),
            before: resident_bytes(),
        };
        meter.start();
        Ok(parking)
    }

    /// What the next task reports to when it waits; `None` if all are there.
    pub(super) fn next(&self) -> Option<Arc<Muster>> {
        (self.spawned < self.handles.len()).then(|| Arc::clone(&self.muster))
    }

    /// Spawns that task.
    pub(super) fn spawn<F>(&mut self, rt: &R, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.future_bytes = size_of_val(&future);
        self.handles[self.spawned] = Some(rt.spawn(future));
        self.spawned += 1;
    }

    /// Waits until all tasks have reported, reads how memory has grown, and ends them.
    pub(super) async fn end(mut self, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = self.handles.len() as u64;
        // A task that did not start reports now; waiting for the last would be for ever.
        for handle in self.handles.iter_mut().flatten() {
            if handle.is_finished() {
                return match handle.await {
                    Err(error) => Err(lost(error)),
                    Ok(()) => Err(Failure::WrongAnswer("a waiting task ended".to_owned())),
                };
            }
        }
        self.muster.complete().await;
        meter.stop(tasks);
        if let (Some(before), Some(after)) = (self.before, resident_bytes()) {
            let growth = after.saturating_sub(before);
            let per_task = growth as f64 / tasks as f64;
            meter.extra.insert("bytes_per_task", per_task);
            let beyond = per_task - self.future_bytes as f64;
            meter.extra.insert("beyond_future_bytes", beyond);
        }
        if let Some(before) = self.split_before {
            Reading::of_this_process().since(&before).record(meter);
        }

        for handle in self.handles.iter().flatten() {
            handle.abort();
        }
        let mut cancelled = 0;
        for handle in self.handles.into_iter().flatten() {
            if matches!(handle.await, Err(JoinError::Cancelled)) {
                cancelled += 1;
            }
        }
        check("the number of cancelled tasks", cancelled, tasks)
    }
}

/// Tells the root when all tasks have been polled. Not a channel: its sender and its `send` would be kept in every
/// task.
pub(super) struct Muster {
    missing: AtomicU64,
    root: Mutex<Option<Waker>>,
}

impl Muster {
    fn new(tasks: u64) -> Self {
        Self {
            missing: AtomicU64::new(tasks),
            root: Mutex::new(None),
        }
    }

    pub(super) fn report(&self) {
        // AcqRel: whoever sees 0 sees all that was done before; the lock orders the last report against the root's
        // look.
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(root) = self.root().take()
        {
            root.wake();
        }
    }

    async fn complete(&self) {
        poll_fn(|cx| {
            *self.root() = Some(cx.waker().clone());
            // After the waker is there: a last report before this is seen, and one after this wakes.
            match self.missing.load(Ordering::Acquire) {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    fn root(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.root.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The process's resident memory but for its code, where the system tells. Not `/proc/self/status`, whose counts lag
/// behind by some hundred pages on each processor.
fn resident_bytes() -> Option<u64> {
    let sums = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = sums
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
