//! Traces written by hand.

use crate::trace::format::ABSENT;
use crate::trace::{Event, Kind, Run, Task, Thread, ThreadKind};

/// A run that you write event by event, in any order.
pub(super) struct Recording {
    run: Run,
    events: Vec<Event>,
}

impl Recording {
    /// A run with this many workers, numbered from 0.
    pub(super) fn new(runtime: &str, workers: u32) -> Self {
        let mut it = Self {
            run: Run {
                runtime: runtime.to_owned(),
                ..Run::default()
            },
            events: Vec::new(),
        };
        for _ in 0..workers {
            it.thread(ThreadKind::Worker);
        }
        it
    }

    pub(super) fn thread(&mut self, kind: ThreadKind) -> u32 {
        let id = self.run.threads.len() as u32;
        let name = format!("thread {id}");
        self.run.threads.push(Thread { id, name, kind });
        id
    }

    pub(super) fn task(&mut self, name: &str, parent: Option<u32>) -> u32 {
        let id = self.run.tasks.len() as u32;
        self.run.tasks.push(Task {
            id,
            name: name.to_owned(),
            parent,
            site: None,
        });
        id
    }

    pub(super) fn config(&mut self, name: &str, value: &str) {
        self.run.config.insert(name.to_owned(), value.into());
    }

    pub(super) fn event(
        &mut self,
        t_ns: u64,
        thread: u32,
        kind: Kind,
        task: Option<u32>,
        ab: [i64; 2],
    ) {
        self.events.push(Event {
            t_ns,
            thread,
            kind,
            task: task.map_or(ABSENT, i64::from),
            a: ab[0],
            b: ab[1],
        });
    }

    /// `task` is spawned by its parent.
    pub(super) fn spawn(&mut self, t_ns: u64, thread: u32, task: u32) {
        let parent = self.run.tasks[task as usize].parent;
        let parent = parent.map_or(ABSENT, i64::from);
        self.event(t_ns, thread, Kind::Spawn, Some(task), [parent, ABSENT]);
    }

    pub(super) fn queued(&mut self, t_ns: u64, thread: u32, task: u32, owner: i64, place: i64) {
        self.event(t_ns, thread, Kind::Queued, Some(task), [owner, place]);
    }

    pub(super) fn begin(&mut self, t_ns: u64, thread: u32, task: u32) {
        self.event(t_ns, thread, Kind::PollBegin, Some(task), [ABSENT; 2]);
    }

    pub(super) fn end(&mut self, t_ns: u64, thread: u32, task: u32, how: i64) {
        self.event(t_ns, thread, Kind::PollEnd, Some(task), [how, ABSENT]);
        if how == 1 {
            self.event(t_ns, thread, Kind::TaskEnd, Some(task), [0, ABSENT]);
        }
    }

    /// A whole poll. `how` it ended: 0 pending, 1 ready, 2 yielded.
    pub(super) fn poll(&mut self, thread: u32, task: u32, from_to: [u64; 2], how: i64) {
        self.begin(from_to[0], thread, task);
        self.end(from_to[1], thread, task, how);
    }

    /// `cause`: 0 task, 1 timer, 2 socket, 3 other thread, 4 blocking job.
    pub(super) fn wake(&mut self, t_ns: u64, thread: u32, task: u32, by: i64, cause: i64) {
        self.event(t_ns, thread, Kind::Wake, Some(task), [by, cause]);
    }

    pub(super) fn park(&mut self, thread: u32, from_to: [u64; 2], in_poller: i64) {
        self.event(from_to[0], thread, Kind::Park, None, [in_poller, ABSENT]);
        self.event(from_to[1], thread, Kind::Unpark, None, [ABSENT; 2]);
    }

    /// The finished run. Events of equal time keep the order in which they were written.
    pub(super) fn finish(mut self, wall_ns: u64) -> Run {
        self.events.sort_by_key(|event| event.t_ns);
        for event in self.events {
            self.run.events.push(event);
        }
        self.run.wall_ns = wall_ns;
        self.run
    }
}
