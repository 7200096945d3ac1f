//! `idle` as green tasks: what a suspended stack keeps.
//!
//! Beside the bytes of each task it tells of the process's mappings and of the page tables: a stack of which one page
//! is touched has a place in them, and in the kernel's list of mappings only if its guard needs one.

use std::marker::PhantomData;
use std::sync::Arc;

use runtime_core::sync::Semaphore;
use runtime_core::{JoinError, Runtime, green};

use super::memory::{mappings, page_table_bytes};
use super::style::Style;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Params, Workload};
use crate::workloads::idle::{Idle, resident_bytes};
use crate::workloads::{Program, check, lost};

pub(super) struct IdleTwin<S>(PhantomData<S>);

impl<S: Style> Program for IdleTwin<S> {
    const INFO: Workload = Idle::INFO;

    async fn run<R: Runtime>(_: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = params.value("size");
        // What a runtime allocates at its first task is not the tasks'.
        S::spawn(|| ()).await.map_err(lost)?;
        let begun = Arc::new(Semaphore::new(0));
        let mut handles = Vec::with_capacity(usize::try_from(tasks).unwrap_or(usize::MAX));
        // Touches the pages of the `Vec`, so that they are not counted as the tasks'.
        handles.resize_with(handles.capacity(), || None);

        let before = resident_bytes().zip(page_table_bytes());
        meter.start();
        for handle in &mut handles {
            let begun = Arc::clone(&begun);
            *handle = Some(S::spawn(move || {
                begun.add_permits(1);
                drop(begun);
                green::wait(std::future::pending::<()>());
            }));
        }
        // A task that did not start reports now; waiting for the last would be for ever.
        for handle in handles.iter_mut().flatten() {
            if handle.is_finished() {
                return match handle.await {
                    Err(error) => Err(lost(error)),
                    Ok(()) => Err(Failure::WrongAnswer("a waiting task ended".to_owned())),
                };
            }
        }
        let mut missing = tasks;
        while missing > 0 {
            let at_once = missing.min(1024);
            let permits = begun.acquire_many(at_once as usize).await;
            permits
                .map_err(|_| Failure::Crashed("a closed semaphore".to_owned()))?
                .forget();
            missing -= at_once;
        }
        meter.stop(tasks);
        let after = resident_bytes().zip(page_table_bytes());
        if let (Some(before), Some(after)) = (before, after) {
            let per_task = |of: fn((u64, u64)) -> u64| {
                of(after).saturating_sub(of(before)) as f64 / tasks as f64
            };
            meter.extra.insert("bytes_per_task", per_task(|it| it.0));
            let page_tables = per_task(|it| it.1);
            meter.extra.insert("page_table_bytes_per_task", page_tables);
        }
        if let Some(mappings) = mappings() {
            meter.extra.insert("mappings", mappings as f64);
        }

        for handle in handles.iter().flatten() {
            handle.abort();
        }
        let mut cancelled = 0;
        for handle in handles.into_iter().flatten() {
            if matches!(handle.await, Err(JoinError::Cancelled)) {
                cancelled += 1;
            }
        }
        check("the number of cancelled tasks", cancelled, tasks)
    }
}
