//! `idle`: what a task costs while it does nothing.
//!
//! `size` tasks are spawned and park on a future that is never ready. When the last of them has been polled, the growth of the
//! process's resident memory is divided by their number. It counts all that a waiting task keeps: its cell, its handle's share,
//! under 1:1 the touched part of its stack (not the kernel's own stack).
//!
//! One op is one task spawned and parked; the figure is `bytes_per_task`. The check: every task was polled, was still waiting,
//! and ends as cancelled when it is aborted. Memory is only fresh once, so that there is one repetition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime_core::{JoinError, Runtime, TaskHandle};

use super::{Program, check, lost, size};
use crate::measure::Meter;
use crate::registry::{Failure, Group, Mode, Params, Workload};

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
        let tasks = params.value("size");
        // What a runtime allocates at its first task is not the tasks'.
        rt.spawn(async {}).await.map_err(lost)?;
        let (last_is_parked, mut all_parked) = rt.channel(1);
        let parked = Arc::new(AtomicU64::new(0));
        let mut handles = Vec::with_capacity(usize::try_from(tasks).unwrap_or(usize::MAX));
        // Touches the pages of the `Vec`, so that they are not counted as the tasks'.
        handles.resize_with(handles.capacity(), || None);

        let before = resident_bytes();
        meter.start();
        for handle in &mut handles {
            let parked = Arc::clone(&parked);
            let last_is_parked = last_is_parked.clone();
            *handle = Some(rt.spawn(async move {
                // Relaxed: only the count matters; the channel orders the rest.
                if parked.fetch_add(1, Ordering::Relaxed) + 1 == tasks {
                    // The root is the receiver and waits, so that there is always room.
                    let _ = runtime_core::ChannelSender::send(&last_is_parked, ()).await;
                }
                drop((parked, last_is_parked));
                std::future::pending::<()>().await;
            }));
        }
        drop(last_is_parked);
        // A task that did not start reports now; waiting for the last would be for ever.
        for handle in handles.iter_mut().flatten() {
            if handle.is_finished() {
                return match handle.await {
                    Err(error) => Err(lost(error)),
                    Ok(()) => Err(Failure::WrongAnswer("a waiting task ended".to_owned())),
                };
            }
        }
        let answer = runtime_core::ChannelReceiver::recv(&mut all_parked).await;
        meter.stop(tasks);
        check("the message that all tasks wait", answer, Some(()))?;
        if let (Some(before), Some(after)) = (before, resident_bytes()) {
            let growth = after.saturating_sub(before);
            meter
                .extra
                .insert("bytes_per_task", growth as f64 / tasks as f64);
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

/// The process's resident memory, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
