//! Converts a runtime's recording to the content of a trace file.

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

/// A run of `runtime`, from its recording.
pub fn run(runtime: &str, config: BTreeMap<String, Value>, recorded: &Recorded) -> Run {
    let threads = recorded.threads().iter().map(|thread| Thread {
        id: thread.id,
        name: thread.name.clone(),
        kind: thread.kind.into(),
    });
    let tasks = recorded.tasks().iter().map(|task| Task {
        id: task.id,
        name: short(&task.name, task.site.as_deref()),
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
        missing: Vec::new(),
        threads: threads.collect(),
        tasks: tasks.collect(),
        events,
    }
}

/// A name for a task. A name that the program gave is unchanged. A future's type is shortened to the function that
/// creates it, plus the line of the spawn.
fn short(name: &str, site: Option<&str>) -> String {
    if !name.contains("::") || name.contains(' ') && !name.contains('<') {
        return name.to_owned();
    }
    let mut depth = 0_usize;
    let outside = name.chars().filter(|letter| {
        depth += usize::from(*letter == '<');
        let is_outside = depth == 0;
        depth -= usize::from(*letter == '>' && depth > 0);
        is_outside
    });
    let outside: String = outside.collect();
    let mut parts = outside
        .rsplit("::")
        .filter(|part| !part.is_empty() && !part.starts_with('{'));
    let place = site.map(|site| site.rsplit('/').next().unwrap_or(site));
    match (parts.next(), place) {
        // These types say nothing about the task, but the place of the spawn does.
        (None | Some("Pin" | "Box"), Some(place)) => place.to_owned(),
        (None | Some("Pin" | "Box"), None) => "future".to_owned(),
        (Some("BlockingJob"), Some(place)) => format!("blocking job, {place}"),
        (Some("BlockingJob"), None) => "blocking job".to_owned(),
        (Some(last), place) => match place.and_then(|place| place.rsplit(':').next()) {
            Some(line) => format!("{last}:{line}"),
            None => last.to_owned(),
        },
    }
}

fn number(value: Option<u64>) -> i64 {
    value.map_or(ABSENT, |value| i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_futures_type_is_named_by_its_function_and_line() {
        let closure = "lab::pingpong::rally<mn::Handle, Sender<u64>>::{{closure}}::{{closure}}";
        assert_eq!(short(closure, Some("src/pingpong.rs:76")), "rally:76");
        assert_eq!(short(closure, None), "rally");
        let boxed = "core::pin::Pin<alloc::boxed::Box<dyn core::future::Future<Output = ()>>>";
        assert_eq!(short(boxed, None), "future");
        assert_eq!(short(boxed, Some("src/mixed.rs:40")), "mixed.rs:40");
        let job = "runtime_kernel::blocking::job::BlockingJob<lab::crawl::fetch::{{closure}}>";
        assert_eq!(
            short(job, Some("src/crawl.rs:77")),
            "blocking job, crawl.rs:77"
        );
        assert_eq!(short(job, None), "blocking job");
        assert_eq!(short("lab::Ticker", None), "Ticker");
    }

    #[test]
    fn a_name_of_its_own_stays() {
        for name in ["fetch", "</script><b>", "conn 1::2", ""] {
            assert_eq!(short(name, Some("a.rs:1")), name);
        }
    }
}
