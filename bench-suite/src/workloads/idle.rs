//! `idle`: the memory of a task that does nothing.
//!
//! `size` tasks are spawned and park on a future that is never ready. When the last of them has been polled, the growth
//! of the process's resident memory without code is divided by their number. It includes everything that a waiting task
//! keeps: its cell, its handle, and under 1:1 the touched part of its stack (but not its kernel stack).
//!
//! The future itself is two words, so it hides nothing of what a runtime adds: `beyond_future_bytes` is the rest.
//!
//! One op is one task, spawned and parked. The figure is `bytes_per_task`. The check: every task was polled, still
//! waited, and ends as cancelled when it is aborted. There is only one repetition, because a second one would reuse
//! memory.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use runtime_core::{JoinError, Runtime, TaskHandle};

use super::{Program, check, lost, size};
use crate::measure::Meter;
use crate::memory::reading::Reading;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// Tasks that wait forever.
pub struct Idle;

impl Program for Idle {
    const INFO: Workload = Workload {
        name: "idle",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "tasks that wait forever: the memory of a waiting task",
        op: "one task spawned and parked",
        parameters: &[size("tasks", 10_000, 1, 100_000_000)],
        metric: "bytes_per_task",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let mut parking = Parking::begin(&rt, params.value("size"), meter).await?;
        while let Some(start_counter) = parking.next() {
            parking.spawn(&rt, async move {
                start_counter.report();
                drop(start_counter);
                std::future::pending::<()>().await;
            });
        }
        parking.end(meter).await
    }
}

/// Waiting tasks, and the growth of memory that they cause.
pub(crate) struct Parking<H> {
    start_counter: Arc<StartCounter>,
    handles: Vec<Option<H>>,
    spawned: usize,
    future_bytes: usize,
    before: Option<u64>,
    split_before: Option<Reading>,
}

impl<H: TaskHandle<()>> Parking<H> {
    /// Prepares for `tasks` tasks, and starts to measure.
    pub(crate) async fn begin<R: Runtime>(
        rt: &R,
        tasks: u64,
        meter: &mut Meter,
    ) -> Result<Self, Failure> {
        // What a runtime allocates for its first task must not count for the others.
        rt.spawn(async {}).await.map_err(lost)?;
        let mut handles = Vec::with_capacity(usize::try_from(tasks).unwrap_or(usize::MAX));
        // Touch the pages of the `Vec` now, so that they don't count for the tasks.
        handles.resize_with(handles.capacity(), || None);
        let parking = Self {
            start_counter: Arc::new(StartCounter::new(tasks)),
            handles,
            spawned: 0,
            future_bytes: 0,
            split_before: meter.split_memory.then(Reading::of_this_process),
            before: resident_bytes(),
        };
        meter.start();
        Ok(parking)
    }

    /// The next task must report to this when it waits; `None` if all tasks have been spawned.
    pub(crate) fn next(&self) -> Option<Arc<StartCounter>> {
        (self.spawned < self.handles.len()).then(|| Arc::clone(&self.start_counter))
    }

    /// Spawns the next task.
    pub(super) fn spawn<R, F>(&mut self, rt: &R, future: F)
    where
        R: Runtime<JoinHandle<()> = H>,
        F: Future<Output = ()> + Send + 'static,
    {
        self.future_bytes = size_of_val(&future);
        self.keep(rt.spawn(future));
    }

    /// Keeps the handle of the spawned task.
    pub(crate) fn keep(&mut self, handle: H) {
        self.handles[self.spawned] = Some(handle);
        self.spawned += 1;
    }

    /// Waits until all tasks have reported, reads the growth of memory, and ends the tasks.
    pub(crate) async fn end(mut self, meter: &mut Meter) -> Result<(), Failure> {
        self.wait(meter).await?;
        self.cancel().await
    }

    /// Waits until all tasks have reported, and reads the growth of memory.
    pub(crate) async fn wait(&mut self, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = self.handles.len() as u64;
        // A task that did not start never reports, so waiting for all would never end.
        for handle in self.handles.iter_mut().flatten() {
            if handle.is_finished() {
                return match handle.await {
                    Err(error) => Err(lost(error)),
                    Ok(()) => Err(Failure::WrongAnswer("a waiting task ended".to_owned())),
                };
            }
        }
        self.start_counter.complete().await;
        meter.stop(tasks);
        if let (Some(before), Some(after)) = (self.before, resident_bytes()) {
            let growth = after.saturating_sub(before);
            let per_task = growth as f64 / tasks as f64;
            meter.extra.insert("bytes_per_task", per_task);
            let beyond = per_task - self.future_bytes as f64;
            meter.extra.insert("beyond_future_bytes", beyond);
        }
        if let Some(before) = self.split_before.take() {
            Reading::of_this_process().since(&before).record(meter);
        }
        Ok(())
    }

    /// Ends all tasks.
    pub(crate) async fn cancel(self) -> Result<(), Failure> {
        let tasks = self.handles.len() as u64;
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

/// Tells the root when all tasks have been polled. It is not a channel, because every task would keep a sender and a
/// `send` future.
pub(crate) struct StartCounter {
    missing: AtomicU64,
    root: Mutex<Option<Waker>>,
}

impl StartCounter {
    fn new(tasks: u64) -> Self {
        Self {
            missing: AtomicU64::new(tasks),
            root: Mutex::new(None),
        }
    }

    pub(crate) fn report(&self) {
        // AcqRel: a reader that sees 0 must also see everything that was done before. The lock orders the last report
        // and the root's check.
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(root) = self.root().take()
        {
            root.wake();
        }
    }

    async fn complete(&self) {
        poll_fn(|cx| {
            *self.root() = Some(cx.waker().clone());
            // The waker is registered first. An earlier last report is seen here, and a later one wakes the root.
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

/// The process's resident memory without code, if the system reports it. Not from `/proc/self/status`, whose counts lag
/// behind by some hundred pages per processor.
pub(crate) fn resident_bytes() -> Option<u64> {
    let sums = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = sums
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
