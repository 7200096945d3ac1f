//! Where the time went: what each thread that runs tasks did, from the start of the run to its end.
//!
//! The parts add up to the whole, threads times wall time, without gaps or overlap:
//!
//! | part | when |
//! |---|---|
//! | running tasks | inside a poll, on the CPU as far as is known |
//! | scheduling | awake, between polls, and not searching |
//! | searching | from the start of a search to what ends it |
//! | asleep with work queued | asleep while a task is due in a queue and not running |
//! | kernel | runnable but off the CPU, as far as is known; on 1:1 also asleep while the thread's own task is due |
//! | waiting for I/O | asleep in the poller while nothing is due |
//! | idle | asleep elsewhere while nothing is due; or before the thread's first event and after its last |
//!
//! On N:1 and M:N, the workers count. On 1:1, the tasks' own threads count, each from its first event to its last.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::dag::polled_at_begin;
use crate::trace::{Event, Kind, Run, ThreadKind};

/// Nanoseconds of all threads together, by what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSplit {
    /// The number of threads that count.
    pub threads: usize,
    /// Inside polls.
    pub running_ns: u64,
    /// Between polls.
    pub scheduling_ns: u64,
    /// Looking for work.
    pub searching_ns: u64,
    /// Asleep while a task was due.
    pub asleep_with_work_ns: u64,
    /// Runnable, but not on the CPU.
    pub kernel_ns: u64,
    /// Asleep in the poller, with nothing due.
    pub waiting_for_io_ns: u64,
    /// Asleep elsewhere, with nothing due.
    pub idle_ns: u64,
    /// The sum of the parts.
    pub total_ns: u64,
}

impl TimeSplit {
    /// The parts with their names, in the order of the stacked bar.
    pub fn parts(&self) -> [(&'static str, u64); 7] {
        [
            ("running tasks", self.running_ns),
            ("scheduling", self.scheduling_ns),
            ("searching", self.searching_ns),
            ("asleep with work queued", self.asleep_with_work_ns),
            ("kernel", self.kernel_ns),
            ("waiting for I/O", self.waiting_for_io_ns),
            ("idle", self.idle_ns),
        ]
    }

    /// The time split of a run.
    pub fn of(run: &Run) -> Self {
        let mut threads = counted_threads(run);
        for (thread, task) in polled_at_begin(run) {
            if let Some(thread) = threads.get_mut(&thread) {
                thread.begin_poll(task);
                thread.is_out = false;
            }
        }
        let mut due = Due::default();
        let mut split = Self {
            threads: threads.len(),
            ..Self::default()
        };
        let mut now = 0;
        let last: HashMap<u32, usize> = run.events.thread.iter().copied().zip(0..).collect();
        for (index, event) in run.events.iter().enumerate() {
            let until = event.t_ns.min(run.wall_ns);
            split.pass(threads.values(), &due, until.saturating_sub(now));
            now = now.max(until);
            due.take(event);
            if let Some(thread) = threads.get_mut(&event.thread) {
                thread.take(event);
                // A task's own thread ends with its last event.
                thread.is_out = thread.is_own && last.get(&event.thread) == Some(&index);
            }
        }
        split.pass(threads.values(), &due, run.wall_ns.saturating_sub(now));
        split
    }

    fn pass<'a>(&mut self, threads: impl Iterator<Item = &'a ThreadState>, due: &Due, ns: u64) {
        if ns == 0 {
            return;
        }
        for thread in threads.filter(|thread| !thread.is_out) {
            self.total_ns += ns;
            *match thread {
                ThreadState { off_cpu: true, .. } => &mut self.kernel_ns,
                ThreadState {
                    asleep: true,
                    own: Some(task),
                    ..
                } if due.has(*task) => &mut self.kernel_ns,
                ThreadState {
                    asleep: true,
                    is_own: false,
                    ..
                } if due.any() => &mut self.asleep_with_work_ns,
                ThreadState {
                    asleep: true,
                    in_poller: true,
                    ..
                } => &mut self.waiting_for_io_ns,
                ThreadState { asleep: true, .. } => &mut self.idle_ns,
                ThreadState { polls: 1.., .. } => &mut self.running_ns,
                ThreadState {
                    searching: true, ..
                } => &mut self.searching_ns,
                ThreadState { .. } => &mut self.scheduling_ns,
            } += ns;
        }
    }
}

/// What a thread does at the current event.
#[derive(Clone, Copy, Debug, Default)]
struct ThreadState {
    /// Whether it is a task's own thread (1:1).
    is_own: bool,
    /// The task that it polls, on a task's own thread.
    own: Option<i64>,
    /// Whether it is a task's own thread before its first event or after its last.
    is_out: bool,
    polls: u32,
    asleep: bool,
    in_poller: bool,
    searching: bool,
    off_cpu: bool,
}

impl ThreadState {
    fn begin_poll(&mut self, task: i64) {
        self.polls += 1;
        self.searching = false;
        self.own = self.is_own.then_some(task);
        // The recorder may have no event for the end of a sleep.
        self.asleep = false;
    }

    fn take(&mut self, event: Event) {
        match event.kind {
            Kind::Park => {
                self.asleep = true;
                self.in_poller = event.a == 1;
                self.searching = false;
            }
            Kind::Unpark => self.asleep = false,
            Kind::Search => self.searching = true,
            Kind::PollBegin => self.begin_poll(event.task),
            Kind::PollEnd => self.polls = self.polls.saturating_sub(1),
            Kind::OsSwitch => self.off_cpu = event.a == 0,
            _ => {}
        }
    }
}

/// The threads that count, each before its first event. A worker is idle until then; a task's own thread does not exist
/// yet.
fn counted_threads(run: &Run) -> BTreeMap<u32, ThreadState> {
    let of = |kind| run.threads.iter().filter(move |it| it.kind == kind);
    let workers = of(ThreadKind::Worker).map(|thread| {
        let doing = ThreadState {
            asleep: true,
            ..ThreadState::default()
        };
        (thread.id, doing)
    });
    let own = of(ThreadKind::Task).map(|thread| {
        let doing = ThreadState {
            is_own: true,
            is_out: true,
            ..ThreadState::default()
        };
        (thread.id, doing)
    });
    workers.chain(own).collect()
}

/// The tasks that are due and not running.
#[derive(Default)]
struct Due {
    since: HashMap<i64, u64>,
    running: HashMap<i64, bool>,
}

impl Due {
    fn any(&self) -> bool {
        !self.since.is_empty()
    }

    fn has(&self, task: i64) -> bool {
        self.since.contains_key(&task)
    }

    fn take(&mut self, event: Event) {
        match event.kind {
            Kind::Spawn | Kind::Wake | Kind::Queued => match self.running.get_mut(&event.task) {
                Some(woken) => *woken = true,
                None => {
                    self.since.entry(event.task).or_insert(event.t_ns);
                }
            },
            Kind::PollBegin => {
                self.since.remove(&event.task);
                self.running.insert(event.task, false);
            }
            Kind::PollEnd => {
                let woken = self.running.remove(&event.task).unwrap_or(false);
                let again = event.a == 2 || (event.a == 0 && woken);
                if again {
                    self.since.insert(event.task, event.t_ns);
                }
            }
            Kind::TaskEnd => {
                self.since.remove(&event.task);
                self.running.remove(&event.task);
            }
            _ => {}
        }
    }
}
