//! A recording, for programs.

use std::time::Duration;

use super::table::{Kind, Outcome};

/// What a thread is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadKind {
    /// It runs a scheduler: M:N's workers, N:1's loop.
    Worker,
    /// It runs blocking jobs.
    Blocking,
    /// M:N's monitor.
    Monitor,
    /// It belongs to one task, under 1:1.
    Task,
    /// None of these, such as the program's main thread.
    Other,
}

/// A thread that recorded events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Counts from 0, in the order of the first events.
    pub id: u32,
    /// The name that it was started with; empty if none.
    pub name: String,
    /// What it is for.
    pub kind: ThreadKind,
}

/// A task that events refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Counts from 0, in the order of the first events.
    pub id: u32,
    /// The name that it was spawned with, or else the type of its future; empty if it was spawned before the recording
    /// and not polled since.
    pub name: String,
    /// The task that spawned it, if a task did so during a recording.
    pub parent: Option<u32>,
    /// File and line of the call that spawned it, if known.
    pub site: Option<String>,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened, in nanoseconds since the recording began.
    pub t_ns: u64,
    /// The id of the thread on which it happened.
    pub thread: u32,
    /// What happened.
    pub kind: Kind,
    /// The id of the task.
    pub task: Option<u32>,
    /// See [`Kind`].
    pub a: Option<u64>,
    /// See [`Kind`].
    pub b: Option<u64>,
}

/// A recording: threads, tasks, and events by time. Use it for assertions about what a scheduler did.
///
/// ```
/// use runtime_core::trace::{Kind, Recorder};
/// # use runtime_core::{Sequential, park::block_on_current_thread};
///
/// let session = Recorder::new().records_per_thread(1000).start_in_turn();
/// // ... run something that spawns a task called `greeter` ...
/// let recorded = session.stop();
/// if let Some(greeter) = recorded.task("greeter") {
///     recorded.assert_order(&[(Kind::Spawn, "greeter"), (Kind::PollBegin, "greeter")]);
///     assert!(recorded.polls(greeter.id) > 0);
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub(super) wall_ns: u64,
    pub(super) dropped: u64,
    pub(super) threads: Vec<Thread>,
    pub(super) tasks: Vec<Task>,
    pub(super) events: Vec<Event>,
}

/// A task that waited in a queue while a worker slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// The task.
    pub task: u32,
    /// The worker that slept.
    pub worker: u32,
    /// When both states began to hold, in nanoseconds since the recording began.
    pub since_ns: u64,
    /// How long both held.
    pub lasted: Duration,
}

impl Recorded {
    /// How long the recording took, in nanoseconds.
    pub fn wall_ns(&self) -> u64 {
        self.wall_ns
    }

    /// The number of events that were dropped. If this is above 0, a missing event may still have happened.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The threads, by id.
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// The tasks, by id.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The events, by time.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The first task with that name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// The number of polls of that task that have ended.
    pub fn polls(&self, task: u32) -> usize {
        let of_task = |event: &&Event| event.kind == Kind::PollEnd && event.task == Some(task);
        self.events.iter().filter(of_task).count()
    }

    /// Checks that these events happened in this order, each to the first task with that name. Other events may lie
    /// between them.
    ///
    /// # Panics
    /// If an event is not found after the previous one. The message says which, and what happened to its task.
    pub fn assert_order(&self, expected: &[(Kind, &str)]) {
        let mut rest = self.events.iter();
        for (place, (kind, name)) in expected.iter().enumerate() {
            let task = self.task(name).map(|task| task.id);
            let found = task.is_some() && rest.any(|it| it.kind == *kind && it.task == task);
            assert!(
                found,
                "event {place}, {kind:?} of `{name}`, did not happen after the ones before it. {}{}",
                self.story(name),
                self.warning(),
            );
        }
    }

    /// What happened to the first task with that name, as text.
    fn story(&self, name: &str) -> String {
        let Some(task) = self.task(name) else {
            return format!("No event names a task `{name}`.");
        };
        let own = self.events.iter().filter(|it| it.task == Some(task.id));
        let own: Vec<_> = own
            .map(|it| format!("{:?} at {} ns", it.kind, it.t_ns))
            .collect();
        format!("What happened to it: {}.", own.join(", "))
    }

    fn warning(&self) -> String {
        match self.dropped {
            0 => String::new(),
            dropped => format!(" {dropped} events were dropped: make the rings larger."),
        }
    }

    /// The longest time for which a task was in a queue while a worker slept, if there was any. It ends with the
    /// task's poll or with the worker's sleep.
    ///
    /// Only workers that may take the task count: those of the recorded runtime. The result is meaningless for a
    /// recording of several runtimes at once.
    pub fn longest_wait_while_a_worker_slept(&self) -> Option<Waited> {
        let mut queued: Vec<Option<u64>> = vec![None; self.tasks.len()];
        let mut asleep: Vec<Option<u64>> = vec![None; self.threads.len()];
        let mut longest: Option<Waited> = None;
        let mut consider = |task: usize, worker: usize, from: u64, to: u64| {
            let lasted = Duration::from_nanos(to.saturating_sub(from));
            if !lasted.is_zero() && longest.is_none_or(|longest| lasted > longest.lasted) {
                longest = Some(Waited {
                    task: task as u32,
                    worker: worker as u32,
                    since_ns: from,
                    lasted,
                });
            }
        };
        let is_worker = |thread: u32| self.threads[thread as usize].kind == ThreadKind::Worker;
        for event in &self.events {
            let worker = event.thread as usize;
            match (event.kind, event.task) {
                (Kind::Queued, Some(task)) => queued[task as usize] = Some(event.t_ns),
                (Kind::PollBegin | Kind::TaskEnd, Some(task)) => {
                    if let Some(since) = queued[task as usize].take() {
                        for (sleeper, slept) in asleep.iter().enumerate() {
                            if let Some(slept) = slept {
                                consider(task as usize, sleeper, since.max(*slept), event.t_ns);
                            }
                        }
                    }
                }
                (Kind::Park, _) if is_worker(event.thread) => asleep[worker] = Some(event.t_ns),
                (Kind::Unpark, _) => {
                    if let Some(slept) = asleep[worker].take() {
                        for (task, since) in queued.iter().enumerate() {
                            if let Some(since) = since {
                                consider(task, worker, slept.max(*since), event.t_ns);
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        longest
    }

    /// Checks that no task was in a queue for longer than `limit` while a worker slept.
    ///
    /// # Panics
    /// If one was, or if events were dropped, so that this is unknown.
    pub fn assert_no_wait_while_a_worker_slept(&self, limit: Duration) {
        assert_eq!(
            self.dropped, 0,
            "events were dropped: make the rings larger"
        );
        if let Some(waited) = self.longest_wait_while_a_worker_slept() {
            assert!(
                waited.lasted <= limit,
                "task `{}` waited in a queue for {:?} while worker `{}` slept, from {} ns on",
                self.tasks[waited.task as usize].name,
                waited.lasted,
                self.threads[waited.worker as usize].name,
                waited.since_ns,
            );
        }
    }

    /// How often a poll ended with this outcome.
    pub fn outcomes(&self, outcome: Outcome) -> usize {
        let of_outcome = |it: &&Event| it.kind == Kind::PollEnd && it.a == Some(outcome as u64);
        self.events.iter().filter(of_outcome).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two workers; the tasks `a` and `b`.
    fn recorded(events: &[(u64, u32, Kind, Option<u32>)]) -> Recorded {
        let thread = |id, name: &str| Thread {
            id,
            name: name.to_owned(),
            kind: ThreadKind::Worker,
        };
        let task = |id, name: &str| Task {
            id,
            name: name.to_owned(),
            ..Task::default()
        };
        let event = |&(t_ns, thread, kind, task)| Event {
            t_ns,
            thread,
            kind,
            task,
            a: None,
            b: None,
        };
        Recorded {
            wall_ns: 100,
            dropped: 0,
            threads: vec![thread(0, "w0"), thread(1, "w1")],
            tasks: vec![task(0, "a"), task(1, "b")],
            events: events.iter().map(event).collect(),
        }
    }

    const IN_TURN: [(u64, u32, Kind, Option<u32>); 3] = [
        (1, 0, Kind::Queued, Some(0)),
        (2, 0, Kind::PollBegin, Some(0)),
        (3, 0, Kind::PollBegin, Some(1)),
    ];

    #[test]
    fn an_order_that_was_is_confirmed() {
        recorded(&IN_TURN).assert_order(&[(Kind::Queued, "a"), (Kind::PollBegin, "b")]);
    }

    #[test]
    #[should_panic(expected = "event 1, Queued of `a`, did not happen")]
    fn an_order_that_was_not_is_refused() {
        recorded(&IN_TURN).assert_order(&[(Kind::PollBegin, "b"), (Kind::Queued, "a")]);
    }

    #[test]
    #[should_panic(expected = "No event names a task `c`")]
    fn a_task_that_is_not_there_is_named() {
        recorded(&IN_TURN).assert_order(&[(Kind::PollBegin, "c")]);
    }

    #[test]
    fn a_wait_while_a_worker_sleeps_ends_with_the_poll() {
        let waited = recorded(&[
            (10, 1, Kind::Park, None),
            (20, 0, Kind::Queued, Some(0)),
            (50, 0, Kind::PollBegin, Some(0)),
            (60, 1, Kind::Unpark, None),
        ])
        .longest_wait_while_a_worker_slept();
        let expected = Waited {
            task: 0,
            worker: 1,
            since_ns: 20,
            lasted: Duration::from_nanos(30),
        };
        assert_eq!(waited, Some(expected));
    }

    #[test]
    fn a_wait_while_a_worker_sleeps_ends_with_the_sleep() {
        let recorded = recorded(&[
            (20, 0, Kind::Queued, Some(1)),
            (30, 1, Kind::Park, None),
            (40, 1, Kind::Unpark, None),
            (90, 1, Kind::PollBegin, Some(1)),
        ]);
        let waited = recorded.longest_wait_while_a_worker_slept().unwrap();
        assert_eq!((waited.since_ns, waited.lasted.as_nanos()), (30, 10));
        recorded.assert_no_wait_while_a_worker_slept(Duration::from_nanos(10));
    }

    #[test]
    #[should_panic(expected = "task `b` waited in a queue for 10ns while worker `w1` slept")]
    fn too_long_a_wait_is_refused() {
        recorded(&[
            (20, 0, Kind::Queued, Some(1)),
            (30, 1, Kind::Park, None),
            (40, 1, Kind::Unpark, None),
        ])
        .assert_no_wait_while_a_worker_slept(Duration::from_nanos(9));
    }

    #[test]
    fn without_a_sleeper_there_is_no_such_wait() {
        assert_eq!(recorded(&IN_TURN).longest_wait_while_a_worker_slept(), None);
    }
}
