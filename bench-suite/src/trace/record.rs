//! From what a runtime has recorded to what a trace file holds.

use std::collections::BTreeMap;

use runtime_core::trace::{Recorded, ThreadKind as Recorders};
use serde_json::Value;

use super::format::{ABSENT, Event, Events, Run, Task, Thread, ThreadKind};

impl From<Recorders> for ThreadKind {
    fn from(kind: Recorders) -> Self {
        match kind {
            Recorders::Worker => Self::Worker,
            Recorders::Blocking => Self::Blocking,
            Recorders::Monitor => Self::Monitor,
            Recorders::Task => Self::Task,
            Recorders::Other => Self::Other,
        }
    }
}

/// A run of `runtime` from its recording.
pub fn run(runtime: &str, config: BTreeMap<String, Value>, recorded: &Recorded) -> Run {
    let threads = recorded.threads().iter().map(|thread| Thread {
        id: thread.id,
        name: thread.name.clone(),
        kind: thread.kind.into(),
    });
    let tasks = recorded.tasks().iter().map(|task| Task {
        id: task.id,
        name: task.name.clone(),
        parent: task.parent,
        site: task.site.clone(),
    });
    let mut events = Events::default();
    for event in recorded.events() {
        events.push(Event {
            t_ns: event.t_ns,
            thread: event.thread,
            kind: event.kind,
            task: event.task.map_or(ABSENT, i64::from),
            a: number(event.a),
            b: number(event.b),
        });
    }
    Run {
        runtime: runtime.to_owned(),
        config,
        wall_ns: recorded.wall_ns(),
        dropped: recorded.dropped(),
        threads: threads.collect(),
        tasks: tasks.collect(),
        events,
    }
}

fn number(value: Option<u64>) -> i64 {
    value.map_or(ABSENT, |value| i64::try_from(value).unwrap_or(i64::MAX))
}
