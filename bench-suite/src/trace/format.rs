//! `lab.trace/1`: the content of a trace file, and how it is read and written.
//!
//! Events are columns of equal length, so that a million of them stay small. All times are nanoseconds since the start
//! of their run. [`ABSENT`] stands for unknown values.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use runtime_core::trace::Kind;

use crate::output::write_whole;
use crate::results::ReadError;

/// The schema of the files that are written and read.
pub const SCHEMA: &str = "lab.trace/1";

/// The value of a task, `a` or `b` that is unknown or has no meaning for the event.
pub const ABSENT: i64 = -1;

/// One program, traced under one or more runtimes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// [`SCHEMA`].
    pub schema: String,
    /// The workload's name.
    pub workload: String,
    /// The parameters of the workload.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// One run per runtime, in the order in which they were requested.
    pub runs: Vec<Run>,
}

/// What was recorded under one runtime.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The runtime's name.
    pub runtime: String,
    /// The runtime's configuration: workers, policy.
    #[serde(default)]
    pub config: BTreeMap<String, Value>,
    /// How long the run took.
    pub wall_ns: u64,
    /// Events that were lost because a ring was full. If this is above 0, the run is incomplete.
    pub dropped: u64,
    /// Activities of the runtime that are not recorded, in words. Their absence from the events means nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The threads that recorded events.
    pub threads: Vec<Thread>,
    /// Every task that occurs in an event.
    pub tasks: Vec<Task>,
    /// The events, in order of time.
    pub events: Events,
}

/// A thread that recorded events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The number of the thread, from 0 in each run.
    pub id: u32,
    /// The thread's name, as the program set it.
    pub name: String,
    /// The thread's purpose.
    pub kind: ThreadKind,
}

/// The purpose of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThreadKind {
    /// It runs a scheduler: M:N's workers, N:1's loop.
    Worker,
    /// It runs blocking jobs.
    Blocking,
    /// M:N's monitor.
    Monitor,
    /// It belongs to one task, on 1:1.
    Task,
    /// None of these, such as the program's main thread.
    Other,
}

/// A task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The number of the task, from 0 in each run, in the order of first events.
    pub id: u32,
    /// The name that the program gave it, or its future's type.
    pub name: String,
    /// The task that spawned it; `None` if it was spawned outside tasks, or before the recording.
    pub parent: Option<u32>,
    /// File and line of the spawn, if known.
    #[serde(default)]
    pub site: Option<String>,
}

/// Events as columns of equal length, sorted by time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Time of the event.
    pub t_ns: Vec<u64>,
    /// The id of the thread on which it happened.
    pub thread: Vec<u32>,
    /// The [`Kind`] of the event, as its number.
    pub kind: Vec<u8>,
    /// The id of the task, or [`ABSENT`].
    pub task: Vec<i64>,
    /// See [`Kind`].
    pub a: Vec<i64>,
    /// See [`Kind`].
    pub b: Vec<i64>,
}

/// One event, taken from the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Time of the event.
    pub t_ns: u64,
    /// The id of the thread on which it happened.
    pub thread: u32,
    /// The kind of event.
    pub kind: Kind,
    /// The id of the task, or [`ABSENT`].
    pub task: i64,
    /// See [`Kind`].
    pub a: i64,
    /// See [`Kind`].
    pub b: i64,
}

impl Events {
    /// The number of events.
    pub fn len(&self) -> usize {
        self.t_ns.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.t_ns.is_empty()
    }

    /// The event at `index`.
    ///
    /// # Panics
    /// If `index` is out of range, or if the columns are invalid, which [`Trace::read`] would reject.
    pub fn get(&self, index: usize) -> Event {
        Event {
            t_ns: self.t_ns[index],
            thread: self.thread[index],
            kind: Kind::of(self.kind[index]).expect("a kind that the format has"),
            task: self.task[index],
            a: self.a[index],
            b: self.b[index],
        }
    }

    /// All events, in order of time.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The first `count` events.
    pub(super) fn first(&self, count: usize) -> Self {
        Self {
            t_ns: self.t_ns[..count].to_vec(),
            thread: self.thread[..count].to_vec(),
            kind: self.kind[..count].to_vec(),
            task: self.task[..count].to_vec(),
            a: self.a[..count].to_vec(),
            b: self.b[..count].to_vec(),
        }
    }

    /// Appends an event. The caller must keep the order of time.
    pub fn push(&mut self, event: Event) {
        self.t_ns.push(event.t_ns);
        self.thread.push(event.thread);
        self.kind.push(event.kind as u8);
        self.task.push(event.task);
        self.a.push(event.a);
        self.b.push(event.b);
    }
}

impl Trace {
    /// Reads a stored trace.
    ///
    /// # Errors
    /// One line: what is wrong with the file (it can't be read, is truncated, has another schema, or contradicts
    /// itself), and what to do.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ReadError::new(
                path,
                format!("cannot be read ({error}); name a trace.json that `lab trace` wrote"),
            )
        })?;
        Self::parse(&text).map_err(|what| ReadError::new(path, what))
    }

    /// Parses a trace.
    ///
    /// # Errors
    /// What is wrong with it, and what to do, without the file's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Check the schema first, so that the error for another version names the schema, and not one of our missing
        // fields.
        let schema: SchemaOnly = serde_json::from_str(text).map_err(|error| {
            if error.is_eof() || error.is_syntax() && is_at_end(text, &error) {
                format!("is truncated at line {}; trace again", error.line())
            } else if error.is_data() {
                format!("has no field `schema`, so it is not a trace; name a file with `{SCHEMA}`")
            } else {
                format!("is not JSON ({error}); name a trace.json that `lab trace` wrote")
            }
        })?;
        if schema.schema != SCHEMA {
            return Err(format!(
                "has schema `{}`, and this lab reads `{SCHEMA}`; trace again or use the lab that wrote it",
                schema.schema.escape_debug()
            ));
        }
        let trace: Self = serde_json::from_str(text)
            .map_err(|error| format!("does not follow `{SCHEMA}` ({error}); trace again"))?;
        for (index, run) in trace.runs.iter().enumerate() {
            run.check().map_err(|what| {
                let runtime = run.runtime.escape_debug();
                format!("has an invalid run {index} ({runtime}): {what}; trace again")
            })?;
        }
        Ok(trace)
    }

    /// Writes the trace, as a whole or not at all.
    ///
    /// # Errors
    /// Errors of creating, writing and renaming the file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec(self).map_err(io::Error::other)?;
        text.push(b'\n');
        write_whole(path, &text)
    }
}

/// Whether the text ends in the middle of a number, which the parser does not report as the end of the file.
fn is_at_end(text: &str, error: &serde_json::Error) -> bool {
    let rest = text.split('\n').skip(error.line().saturating_sub(1));
    let mut rest = rest.map(str::len);
    rest.next().is_some_and(|length| error.column() >= length) && rest.next().is_none()
}

#[derive(Deserialize)]
struct SchemaOnly {
    schema: String,
}

impl Run {
    /// Reports contradictions.
    pub(super) fn check(&self) -> Result<(), String> {
        let events = &self.events;
        let count = events.len();
        let columns = [
            ("thread", events.thread.len()),
            ("kind", events.kind.len()),
            ("task", events.task.len()),
            ("a", events.a.len()),
            ("b", events.b.len()),
        ];
        if let Some((name, other)) = columns.iter().find(|(_, length)| *length != count) {
            return Err(format!(
                "events.t_ns has {count} entries and events.{name} has {other}"
            ));
        }
        if let Some(at) = events.t_ns.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(format!(
                "event {} is earlier than the one before it",
                at + 1
            ));
        }
        if let Some(at) = events
            .kind
            .iter()
            .position(|kind| Kind::of(*kind).is_none())
        {
            return Err(format!(
                "event {at} has the unknown kind {}",
                events.kind[at]
            ));
        }
        let threads: HashSet<u32> = self.threads.iter().map(|thread| thread.id).collect();
        let tasks: HashSet<i64> = self.tasks.iter().map(|task| i64::from(task.id)).collect();
        if threads.len() < self.threads.len() || tasks.len() < self.tasks.len() {
            return Err("two threads or two tasks have the same id".to_owned());
        }
        if let Some(at) = events.thread.iter().position(|id| !threads.contains(id)) {
            return Err(format!(
                "event {at} is of the unknown thread {}",
                events.thread[at]
            ));
        }
        let known = |id: &i64| *id == ABSENT || tasks.contains(id);
        if let Some(at) = events.task.iter().position(|id| !known(id)) {
            return Err(format!(
                "event {at} is of the unknown task {}",
                events.task[at]
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Trace {
        let mut events = Events::default();
        for (t_ns, kind, a) in [
            (1, Kind::Spawn, ABSENT),
            (5, Kind::PollBegin, ABSENT),
            (9, Kind::PollEnd, 1),
        ] {
            events.push(Event {
                t_ns,
                thread: 0,
                kind,
                task: 0,
                a,
                b: ABSENT,
            });
        }
        Trace {
            schema: SCHEMA.to_owned(),
            workload: "spawn".to_owned(),
            runs: vec![Run {
                runtime: "n1".to_owned(),
                wall_ns: 10,
                threads: vec![Thread {
                    id: 0,
                    name: "main".to_owned(),
                    kind: ThreadKind::Worker,
                }],
                tasks: vec![Task {
                    name: "</script><b>&\"\n".to_owned(),
                    ..Task::default()
                }],
                events,
                ..Run::default()
            }],
            ..Trace::default()
        }
    }

    #[test]
    fn a_trace_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.json");
        small().write(&path).unwrap();
        assert_eq!(Trace::read(&path).unwrap(), small());
    }

    #[test]
    fn a_truncated_file_is_reported_for_every_length() {
        let text = serde_json::to_string(&small()).unwrap();
        for end in 1..text.len() {
            let what = Trace::parse(&text[..end]).unwrap_err();
            assert!(what.contains("is truncated"), "{end}: {what}");
        }
    }

    #[test]
    fn another_version_is_named() {
        let what = Trace::parse(r#"{"schema":"lab.trace/2","runs":7}"#).unwrap_err();
        assert!(
            what.contains("`lab.trace/2`") && what.contains("`lab.trace/1`"),
            "{what}"
        );
        assert!(
            Trace::parse("{}")
                .unwrap_err()
                .contains("no field `schema`")
        );
        assert!(Trace::parse("hello").unwrap_err().contains("not JSON"));
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        let value = serde_json::to_value(small()).unwrap();
        for (pointer, damage, part) in [
            (
                "/runs/0/events/kind/1",
                serde_json::json!(77),
                "event 1 has the unknown kind 77",
            ),
            (
                "/runs/0/events/t_ns/1",
                serde_json::json!(0),
                "event 1 is earlier",
            ),
            ("/runs/0/events/thread/2", serde_json::json!(9), "thread 9"),
            ("/runs/0/events/task/2", serde_json::json!(9), "task 9"),
            ("/runs/0/events/b", serde_json::json!([]), "events.b has 0"),
            ("/runs/0/dropped", serde_json::json!("x"), "does not follow"),
        ] {
            let mut damaged = value.clone();
            *damaged.pointer_mut(pointer).unwrap() = damage;
            let what = Trace::parse(&damaged.to_string()).unwrap_err();
            assert!(what.contains(part), "{pointer}: {what}");
        }
    }
}
