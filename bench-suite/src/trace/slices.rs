//! What each thread did and when, as nested slices, and which wakes led to which polls. The exports draw this.

use std::collections::HashMap;

use super::format::{ABSENT, Event, Kind, Run};

/// What a thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// It polled the task.
    Polling(i64),
    /// It slept.
    Sleeping,
    /// It ran blocking code, for this task if it is known.
    Blocking(i64),
}

/// A time span in which a thread did something. The slices of a thread nest: two of them are disjoint, or one contains
/// the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) thread: u32,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    pub(super) doing: Activity,
    /// The wakes and spawns that led to this poll, as indices of events.
    pub(super) causes: Vec<usize>,
}

/// All slices in order of their start; an outer slice precedes the inner ones. A slice without an end lasts until the
/// end of the run.
pub(super) fn slices(run: &Run) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    let mut open: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut causes: HashMap<i64, Vec<usize>> = HashMap::new();
    for (index, event) in run.events.iter().enumerate() {
        if matches!(event.kind, Kind::Wake | Kind::Spawn) && event.task != ABSENT {
            causes.entry(event.task).or_default().push(index);
        }
        let stack = open.entry(event.thread).or_default();
        if let Some(doing) = begins(&event) {
            stack.push(slices.len());
            slices.push(Slice {
                thread: event.thread,
                from_ns: event.t_ns,
                to_ns: run.wall_ns.max(event.t_ns),
                doing,
                causes: match doing {
                    Activity::Polling(task) => causes.remove(&task).unwrap_or_default(),
                    _ => Vec::new(),
                },
            });
        } else if let Some(doing) = ends(&event)
            && let Some(depth) = stack
                .iter()
                .rposition(|slice| slices[*slice].doing == doing)
        {
            // Inner slices that are still open end too, because their own ends were not recorded.
            for slice in stack.drain(depth..) {
                slices[slice].to_ns = event.t_ns;
            }
        }
    }
    slices
}

fn begins(event: &Event) -> Option<Activity> {
    Some(match event.kind {
        Kind::PollBegin => Activity::Polling(event.task),
        Kind::Park => Activity::Sleeping,
        Kind::BlockingBegin => Activity::Blocking(event.task),
        _ => return None,
    })
}

fn ends(event: &Event) -> Option<Activity> {
    Some(match event.kind {
        Kind::PollEnd => Activity::Polling(event.task),
        Kind::Unpark => Activity::Sleeping,
        Kind::BlockingEnd => Activity::Blocking(event.task),
        _ => return None,
    })
}

/// The name of a slice.
pub(super) fn name(run: &Run, doing: Activity) -> String {
    match doing {
        Activity::Polling(task) => task_name(run, task),
        Activity::Sleeping => "asleep".to_owned(),
        Activity::Blocking(task) if task == ABSENT => "blocking".to_owned(),
        Activity::Blocking(task) => format!("blocking, {}", task_name(run, task)),
    }
}

/// A task's name, or its number.
pub(super) fn task_name(run: &Run, id: i64) -> String {
    // In our own recordings, a task's id is its index.
    let at = usize::try_from(id).ok().and_then(|at| run.tasks.get(at));
    let task = at
        .filter(|task| i64::from(task.id) == id)
        .or_else(|| run.tasks.iter().find(|task| i64::from(task.id) == id));
    match task {
        Some(task) if !task.name.is_empty() => task.name.clone(),
        _ => format!("task {id}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::format::{Events, Task, Thread, ThreadKind};
    use super::*;

    /// One worker. Task 0 spawns task 1 and wakes it.
    pub(crate) fn small(events: &[(u64, Kind, i64)]) -> Run {
        let mut columns = Events::default();
        for &(t_ns, kind, task) in events {
            columns.push(Event {
                t_ns,
                thread: 0,
                kind,
                task,
                a: ABSENT,
                b: ABSENT,
            });
        }
        let task = |id, name: &str| Task {
            id,
            name: name.to_owned(),
            ..Task::default()
        };
        Run {
            runtime: "mn".to_owned(),
            wall_ns: 100,
            threads: vec![Thread {
                id: 0,
                name: "mn-worker-0".to_owned(),
                kind: ThreadKind::Worker,
            }],
            tasks: vec![task(0, "<b>root</b>"), task(1, "child")],
            events: columns,
            ..Run::default()
        }
    }

    #[test]
    fn polls_nest_and_know_their_causes() {
        let run = small(&[
            (1, Kind::BlockingBegin, 0),
            (2, Kind::Spawn, 1),
            (3, Kind::PollBegin, 1),
            (4, Kind::PollEnd, 1),
            (5, Kind::BlockingEnd, 0),
            (6, Kind::Wake, 1),
            (7, Kind::PollBegin, 1),
        ]);
        let found = slices(&run);
        let times: Vec<_> = found.iter().map(|it| (it.from_ns, it.to_ns)).collect();
        assert_eq!(times, [(1, 5), (3, 4), (7, 100)]);
        assert_eq!(found[1].causes, [1]);
        assert_eq!(found[2].causes, [5]);
    }

    #[test]
    fn an_end_without_a_begin_is_ignored_and_a_missing_end_is_added() {
        let run = small(&[
            (1, Kind::PollEnd, 1),
            (2, Kind::PollBegin, 0),
            (3, Kind::Park, ABSENT),
            (4, Kind::PollEnd, 0),
        ]);
        let times: Vec<_> = slices(&run)
            .iter()
            .map(|it| (it.from_ns, it.to_ns))
            .collect();
        assert_eq!(times, [(2, 4), (3, 4)]);
    }

    #[test]
    fn tasks_without_a_name_have_their_number() {
        let mut run = small(&[]);
        run.tasks[1].name.clear();
        assert_eq!(task_name(&run, 0), "<b>root</b>");
        assert_eq!(task_name(&run, 1), "task 1");
        assert_eq!(task_name(&run, 7), "task 7");
    }
}
