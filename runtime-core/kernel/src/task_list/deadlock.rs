//! Which tasks wait for each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::live_task::{Awaited, LiveTask, TaskState};
use crate::task::TaskId;
use crate::trace::Primitive;

/// The circles. Each starts at its smallest identity.
pub(super) fn circles(tasks: &[LiveTask]) -> Vec<Vec<TaskId>> {
    let stuck = stuck(tasks);
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for &start in stuck.keys() {
        // Every stuck task waits for another stuck one, so this path runs into a circle.
        let mut way = Vec::new();
        let mut at = start;
        while seen.insert(at) {
            way.push(at);
            at = stuck[&at];
        }
        if let Some(first) = way.iter().position(|&it| it == at) {
            let mut circle = way.split_off(first);
            let smallest = (0..circle.len()).min_by_key(|&it| circle[it]);
            circle.rotate_left(smallest.unwrap_or(0));
            circles.push(circle);
        }
    }
    circles
}

/// The tasks that only other tasks of this set could wake, each with one of those.
fn stuck(tasks: &[LiveTask]) -> BTreeMap<TaskId, TaskId> {
    let by_id: BTreeMap<TaskId, &LiveTask> = tasks.iter().map(|it| (it.id, it)).collect();
    let mut holders: BTreeMap<usize, Vec<TaskId>> = BTreeMap::new();
    for task in tasks {
        for held in &task.holds {
            holders.entry(held.address).or_default().push(task.id);
        }
    }
    // The tasks that can end this wait. `None`: it may end without any of the listed tasks.
    let blockers = |what: Awaited| -> Option<&[TaskId]> {
        match what {
            Awaited::Lock(Primitive::Mutex | Primitive::Semaphore, at) => {
                holders.get(&at).map(Vec::as_slice)
            }
            Awaited::Task(id) => by_id.get(&id).map(|it| std::slice::from_ref(&it.id)),
            Awaited::Lock(..) | Awaited::Timer | Awaited::Socket(_) => None,
        }
    };
    let waits = |task: &&LiveTask| task.state == TaskState::Waiting && !task.waits.is_empty();
    let mut stuck: BTreeSet<TaskId> = tasks.iter().filter(waits).map(|it| it.id).collect();
    loop {
        let before = stuck.len();
        let all_stuck = |what| {
            let blockers = blockers(what);
            blockers.is_some_and(|them| them.iter().all(|it| stuck.contains(it)))
        };
        let remaining = stuck
            .iter()
            .copied()
            .filter(|id| by_id[id].waits.iter().all(|wait| all_stuck(wait.what)))
            .collect();
        stuck = remaining;
        if stuck.len() == before {
            break;
        }
    }
    stuck
        .iter()
        .filter_map(|id| {
            let first = blockers(by_id[id].waits[0].what)?.first()?;
            Some((*id, *first))
        })
        .collect()
}
