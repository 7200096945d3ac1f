//! `lab serve --tasks`: the live tasks as JSON, `lab.tasks/1`.

use std::sync::Arc;
use std::time::Instant;

use runtime_core::task::TaskId;
use runtime_core::task_list::{Awaited, LiveTask, TaskList, TaskState};
use serde::{Deserialize, Serialize};

use super::endpoint::Page;
use crate::workloads::server::Listed;

/// The schema of the page.
pub(crate) const SCHEMA: &str = "lab.tasks/1";
/// The page's path.
pub(crate) const PATH: &str = "/tasks";

/// The live tasks of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tasks {
    pub(crate) schema: String,
    /// False if the runtime does not list its tasks.
    pub(crate) listed: bool,
    pub(crate) tasks: Vec<Task>,
    /// Cycles of tasks that wait for each other, by id.
    pub(crate) deadlocks: Vec<Vec<String>>,
}

/// A live task. Ids are reused after a task's end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) site: Option<String>,
    pub(crate) parent: Option<String>,
    /// `running`, `due` or `waiting`.
    pub(crate) state: String,
    pub(crate) waits: Vec<Lasting>,
    pub(crate) holds: Vec<Lasting>,
}

/// Something that a task waits for or holds, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lasting {
    /// `mutex`, `semaphore`, `event`, `queue`, `condition`, `task`, `timer`, `socket`.
    pub(crate) kind: String,
    /// The primitive's address, the task's id, or the descriptor.
    pub(crate) which: Option<String>,
    pub(crate) for_ns: u64,
}

/// The page; `listed` may still be empty if the runtime has not started.
pub(super) fn page(listed: &Listed) -> Page {
    let listed = Arc::clone(listed);
    let text = move || {
        let list = listed.get().and_then(|list| list());
        let mut text = serde_json::to_string(&tasks(list.as_ref())).unwrap_or_default();
        text.push('\n');
        text
    };
    Page {
        path: PATH,
        content_type: "application/json",
        text: Arc::new(text),
    }
}

fn tasks(list: Option<&TaskList>) -> Tasks {
    let now = Instant::now();
    let deadlocks = list.map(TaskList::deadlocks).unwrap_or_default();
    let names = |circle: Vec<TaskId>| circle.iter().map(TaskId::to_string).collect();
    Tasks {
        schema: SCHEMA.to_owned(),
        listed: list.is_some(),
        tasks: list
            .iter()
            .flat_map(|list| &list.tasks)
            .map(|it| task(it, now))
            .collect(),
        deadlocks: deadlocks.into_iter().map(names).collect(),
    }
}

fn task(task: &LiveTask, now: Instant) -> Task {
    let lasting = |kind: &str, which: Option<String>, since: Instant| Lasting {
        kind: kind.to_owned(),
        which,
        for_ns: u64::try_from(now.saturating_duration_since(since).as_nanos()).unwrap_or(u64::MAX),
    };
    let waits = task.waits.iter().map(|wait| match wait.what {
        Awaited::Lock(primitive, address) => {
            lasting(primitive.name(), Some(format!("{address:x}")), wait.since)
        }
        Awaited::Task(id) => lasting("task", Some(id.to_string()), wait.since),
        Awaited::Timer => lasting("timer", None, wait.since),
        Awaited::Socket(descriptor) => lasting("socket", Some(descriptor.to_string()), wait.since),
    });
    let holds = task.holds.iter().map(|held| {
        let which = format!("{:x}", held.address);
        lasting(held.primitive.name(), Some(which), held.since)
    });
    let site = task.spawned_at;
    Task {
        id: task.id.to_string(),
        name: task.name.clone(),
        site: site.map(|site| format!("{}:{}", site.file(), site.line())),
        parent: task.parent.map(|parent| parent.to_string()),
        state: match task.state {
            TaskState::Running => "running",
            TaskState::Due => "due",
            TaskState::Waiting => "waiting",
        }
        .to_owned(),
        waits: waits.collect(),
        holds: holds.collect(),
    }
}
