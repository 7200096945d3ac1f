//! One queue, first come, first served, after a LIFO slot that can't be stolen from.

use core::time::Duration;

use crate::{Knobs, LifoSlot, Place, Policy, Source, WokenBy, WorkerView};

/// How many tasks a worker's own queue holds before the injector gets the rest.
const QUEUE_CAPACITY: usize = 256;

/// The decisions of tokio's multi-thread scheduler: tasks that are spawned or woken by a task go to the LIFO slot,
/// displaced tasks to the back of one bounded queue, and overflow to the injector; thieves take half; the slot can't
/// be stolen.
///
/// One difference remains: tokio moves half of a full queue to the injector at once; this policy moves only the task
/// that finds the queue full.
///
/// Source: tokio, `runtime/scheduler/multi_thread/worker.rs`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioLike;

impl TokioLike {
    fn queue(own: &WorkerView<'_>) -> Place {
        if own.woken_len() < QUEUE_CAPACITY {
            Place::Back
        } else {
            Place::Shared
        }
    }
}

impl Policy for TokioLike {
    fn name(&self) -> &'static str {
        "tokio-like"
    }

    fn knobs(&self) -> Knobs {
        Knobs {
            lifo_slot: LifoSlot::NotStealable,
            wake_delay: Duration::ZERO,
            ..Knobs::default()
        }
    }

    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        match Self::queue(own) {
            // A task that the slot displaces would not fit.
            Place::Shared => Place::Shared,
            _ => Place::Slot,
        }
    }

    fn place_woken(&self, own: &WorkerView<'_>, by: WokenBy) -> Place {
        match (by, Self::queue(own)) {
            (WokenBy::Task, Place::Back) => Place::Slot,
            (_, place) => place,
        }
    }

    fn next(&self, own: &WorkerView<'_>) -> Option<Source> {
        if own.has_slot() {
            Some(Source::Slot)
        } else if own.has_woken() {
            Some(Source::Front)
        } else {
            own.has_injected().then_some(Source::Injected)
        }
    }
}
