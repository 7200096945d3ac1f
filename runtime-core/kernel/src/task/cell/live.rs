//! A task's entry in a list of live tasks.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::given::{name_of, spawned_at};
use super::header::Header;
use crate::task::id::TaskId;
use crate::task::state::{COMPLETE, RUNNING, SCHEDULED};
use crate::task_list::{LiveTask, TaskState};

/// The task's entry in a list of tasks; `None` once it has ended.
///
/// # Safety
/// The caller has a reference or the entry.
pub(in crate::task) unsafe fn live_task(header: NonNull<Header>) -> Option<LiveTask> {
    // SAFETY: alive by the contract of this function.
    let state = unsafe { header.as_ref() }.state.load();
    let doing = if state.has(COMPLETE) {
        return None;
    } else if state.has(RUNNING) {
        TaskState::Running
    } else if state.has(SCHEDULED) {
        TaskState::Due
    } else {
        TaskState::Waiting
    };
    Some(LiveTask {
        id: TaskId::of(header),
        // SAFETY: as above.
        name: unsafe { name_of(header) }.to_owned(),
        // SAFETY: as above.
        spawned_at: unsafe { spawned_at(header) },
        parent: None,
        state: doing,
        waits: Vec::new(),
        holds: Vec::new(),
    })
}
