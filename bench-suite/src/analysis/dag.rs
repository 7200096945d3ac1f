//! A run as a graph: strands of code that ran without interruption, and edges for dependencies.
//!
//! A strand is a poll, or a part of one: a poll is cut where it finds the outcome of a task that it joins. An edge
//! comes from a point inside a strand:
//! - [`EdgeKind::Continue`]: the task's strand before this one;
//! - [`EdgeKind::Spawn`]: the strand that spawned the task;
//! - [`EdgeKind::Wake`]: the strand that woke the task since its last poll began, each of them if there were several;
//! - [`EdgeKind::Join`]: the last strand of a task whose outcome was already there when it was used, so that there
//!   was no wake;
//! - [`EdgeKind::Latency`]: the task's strand before this one, and the time until a timer, a socket, another thread
//!   or a blocking job woke the task.
//!
//! There is no edge for a value that was already in a queue, or for a lock that was free. The graph then contains
//! only the task's own order, so the span is a lower bound for programs that pass data in this way. If the recorder
//! does not write [`Kind::Joined`], joins are inferred: a task that ended with a value is assumed to have joined
//! those of its children that ended before its last poll.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use crate::trace::format::ABSENT;
use crate::trace::{Event, Kind, Run};

/// Why a strand did not begin earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeKind {
    /// It continues after its task's previous strand.
    Continue,
    /// Its task was spawned.
    Spawn,
    /// Its task was woken by a task.
    Wake,
    /// It uses the outcome of another task.
    Join,
    /// It waited for something that is not a task.
    Latency(Cause),
}

/// What woke a task, if not another task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A timer.
    Timer,
    /// A socket that became ready.
    Socket,
    /// A thread that runs no tasks.
    Thread,
    /// The end of a blocking job.
    Job,
}

/// One dependency of a strand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Its kind.
    pub kind: EdgeKind,
    /// The strand that the edge comes from.
    pub from: usize,
    /// How much of that strand's work was done at that point. `u64::MAX` means all of it.
    pub offset_ns: u64,
    /// The time from that point to the wake-up, for [`EdgeKind::Latency`].
    pub latency_ns: u64,
}

/// Code of one task that ran without interruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strand {
    /// The task, as an index into [`Run::tasks`].
    pub task: usize,
    /// The thread that ran it.
    pub thread: u32,
    /// When it began.
    pub begin_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// The time that it computed: its length without the time for which the kernel is known to have kept it off the
    /// CPU.
    pub work_ns: u64,
    /// Whether it is the first strand of its poll.
    pub begins_poll: bool,
    /// Whether it is the first strand of its task.
    pub begins_task: bool,
    /// Whether it is the last strand of its task, and the task has ended.
    pub ends_task: bool,
    /// When its task became due, if the trace contains it.
    pub queued_ns: Option<u64>,
    /// The thread that made it due.
    pub queued_by: Option<u32>,
    /// The queue that it was in last before it ran.
    pub queue: Option<Queue>,
    /// Whether its poll returned pending, so that the task still waits.
    pub is_pending: bool,
    /// When its thread ended the previous poll.
    pub thread_free_ns: u64,
    /// Whether its thread slept between that poll and this one.
    pub after_sleep: bool,
    /// Whether its thread stole tasks between that poll and this one.
    pub after_steal: bool,
    /// Whether its task waited for a mutex, and gets it in this strand.
    pub is_given_lock: bool,
    edges: Range<usize>,
    locks: Range<usize>,
}

/// What a strand does with a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockOp {
    /// How much of the strand's work was done at that point.
    pub offset_ns: u64,
    /// The mutex's number.
    pub lock: i64,
    /// Whether it releases the mutex; otherwise it acquires it.
    pub is_release: bool,
}

/// A queue in which a task waits to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The thread that owns the queue; `None` for the injector.
    pub owner: Option<u32>,
    /// Which of the thread's queues: 0 slot, 1 LIFO queue, 2 FIFO queue, 3 injector, 4 inbox.
    pub place: i64,
}

/// The slot of an M:N worker. Its task runs next.
pub const SLOT: i64 = 0;

/// The graph of one run.
#[derive(Clone, Debug, Default)]
pub struct Dag {
    /// In the order in which they began. Each edge comes from an earlier strand.
    pub strands: Vec<Strand>,
    edges: Vec<Edge>,
    locks: Vec<LockOp>,
    /// Whether joins are inferred because the trace does not record them; see the module.
    pub joins_are_inferred: bool,
}

impl Dag {
    /// The edges into `strand`.
    pub fn edges_into(&self, strand: usize) -> &[Edge] {
        &self.edges[self.strands[strand].edges.clone()]
    }

    /// What `strand` does with mutexes, in order.
    pub fn locks_in(&self, strand: usize) -> &[LockOp] {
        &self.locks[self.strands[strand].locks.clone()]
    }

    /// The graph of `run`. Polls that were still running when the recording ended last until [`Run::wall_ns`].
    pub fn of(run: &Run) -> Self {
        let mut builder = Builder::new(run);
        for (thread, task) in polled_at_begin(run) {
            builder.take(Event {
                t_ns: 0,
                thread,
                kind: Kind::PollBegin,
                task,
                a: ABSENT,
                b: ABSENT,
            });
        }
        for event in run.events.iter() {
            builder.take(event);
        }
        builder.finish(run.wall_ns)
    }
}

/// Threads that were in a poll when the recording began, each with its task. Such a thread spawns or joins before it
/// begins or ends a poll in the trace.
pub(super) fn polled_at_begin(run: &Run) -> BTreeMap<u32, i64> {
    let mut seen = HashSet::new();
    let mut polled = BTreeMap::new();
    for event in run.events.iter() {
        let task = match event.kind {
            Kind::Spawn => event.a,
            Kind::Joined => event.task,
            Kind::PollBegin | Kind::PollEnd | Kind::Park | Kind::Unpark => {
                seen.insert(event.thread);
                continue;
            }
            _ => continue,
        };
        if task != ABSENT && seen.insert(event.thread) {
            polled.insert(event.thread, task);
        }
    }
    polled
}

/// The state of a thread at the current event.
#[derive(Default)]
struct OnThread {
    running: Option<usize>,
    /// How long the running strand has been off the CPU so far.
    off_ns: u64,
    off_since: Option<u64>,
    free_ns: u64,
    slept: bool,
    stole: bool,
    /// What the running strand has done with mutexes.
    locks: Vec<LockOp>,
}

/// The state of a task at the current event.
#[derive(Clone, Default)]
struct OfTask {
    last: Option<usize>,
    running: bool,
    /// Whether it was woken while it ran.
    woken: bool,
    /// Whether it ended with a value.
    has_value: bool,
    ended: bool,
    /// Edges into its next poll.
    due: Vec<Edge>,
    queued: Option<(u64, u32)>,
    queue: Option<Queue>,
    awaits_lock: bool,
}

struct Builder {
    dag: Dag,
    index: HashMap<i64, usize>,
    parents: Vec<Option<usize>>,
    threads: HashMap<u32, OnThread>,
    tasks: Vec<OfTask>,
    has_joins: bool,
}

const ALL: u64 = u64::MAX;
/// The value of `b` in a wake by a task.
const BY_TASK: i64 = 0;
const BY_ABORT: i64 = 5;
/// The value of `b` in the events of a mutex.
const MUTEX: i64 = 0;

impl Builder {
    fn new(run: &Run) -> Self {
        let index: HashMap<_, _> = run
            .tasks
            .iter()
            .enumerate()
            .map(|(index, task)| (i64::from(task.id), index))
            .collect();
        let parent = |task: &crate::trace::Task| index.get(&i64::from(task.parent?)).copied();
        Self {
            parents: run.tasks.iter().map(parent).collect(),
            dag: Dag::default(),
            threads: HashMap::new(),
            tasks: vec![OfTask::default(); run.tasks.len()],
            index,
            has_joins: false,
        }
    }

    fn take(&mut self, event: Event) {
        let task = self.index.get(&event.task).copied();
        match (event.kind, task) {
            (Kind::Spawn, Some(task)) => self.spawn(task, event),
            (Kind::Queued, Some(task)) => {
                self.queue(task, event);
                self.tasks[task].queue = Some(Queue {
                    owner: u32::try_from(event.a).ok(),
                    place: event.b,
                });
            }
            (Kind::Wake, Some(task)) => self.wake(task, event),
            (Kind::PollBegin, Some(task)) => self.begin(task, event),
            (Kind::PollEnd, Some(task)) => self.end(task, event),
            (Kind::Joined, Some(task)) => self.join(task, event),
            (Kind::TaskEnd, Some(task)) => {
                self.tasks[task].ended = true;
                self.tasks[task].has_value = event.a == 0;
                if let Some(last) = self.tasks[task].last {
                    self.dag.strands[last].ends_task = true;
                }
            }
            (Kind::LockWait | Kind::LockGot | Kind::LockRelease, Some(task))
                if event.b == MUTEX =>
            {
                self.lock(task, event);
            }
            (Kind::OsSwitch, _) => self.switch(event),
            (Kind::Steal, _) => self.threads.entry(event.thread).or_default().stole = true,
            (Kind::Park, _) => self.threads.entry(event.thread).or_default().slept = true,
            _ => {}
        }
    }

    /// The strand that runs on the event's thread, and how much of its work is done.
    fn here(&self, event: Event) -> Option<(usize, u64)> {
        let thread = self.threads.get(&event.thread)?;
        let strand = thread.running?;
        let since = event.t_ns.saturating_sub(self.dag.strands[strand].begin_ns);
        let off = thread.off_since.map_or(0, |since| event.t_ns - since);
        Some((strand, since.saturating_sub(thread.off_ns + off)))
    }

    /// The point in a strand of the task `a` that caused the event: where the task is now, or its end. A task's end may
    /// be recorded before the events that it causes.
    fn cause(&self, event: Event) -> Option<(usize, u64)> {
        let named = self.index.get(&event.a).copied();
        let here = self.here(event);
        let is_named = |it: &(usize, u64)| Some(self.dag.strands[it.0].task) == named;
        match (named, here) {
            (_, Some(here)) if named.is_none() || is_named(&here) => Some(here),
            (Some(task), _) => Some((self.tasks[task].last?, ALL)),
            _ => None,
        }
    }

    fn spawn(&mut self, task: usize, event: Event) {
        if let Some((from, offset_ns)) = self.cause(event) {
            self.tasks[task].due.push(Edge {
                kind: EdgeKind::Spawn,
                from,
                offset_ns,
                latency_ns: 0,
            });
        }
        self.queue(task, event);
    }

    fn queue(&mut self, task: usize, event: Event) {
        let of_task = &mut self.tasks[task];
        if !of_task.running && of_task.queued.is_none() {
            of_task.queued = Some((event.t_ns, event.thread));
        }
    }

    fn wake(&mut self, task: usize, event: Event) {
        let waker = self.cause(event);
        let cause = match event.b {
            1 => Some(Cause::Timer),
            2 => Some(Cause::Socket),
            4 => Some(Cause::Job),
            BY_TASK | BY_ABORT => None,
            _ => Some(Cause::Thread),
        };
        let last = self.tasks[task].last;
        let edge = match (cause, waker, last) {
            // A task that wakes itself continues where it stops.
            (None, Some((from, _)), _) if self.dag.strands[from].task == task => None,
            (None, Some((from, offset_ns)), _) => Some(Edge {
                kind: EdgeKind::Wake,
                from,
                offset_ns,
                latency_ns: 0,
            }),
            // The wait begins only when the task stops running.
            (cause, _, Some(from)) if !self.tasks[task].running => Some(Edge {
                kind: EdgeKind::Latency(cause.unwrap_or(Cause::Thread)),
                from,
                offset_ns: ALL,
                latency_ns: event.t_ns.saturating_sub(self.dag.strands[from].end_ns),
            }),
            _ => None,
        };
        let of_task = &mut self.tasks[task];
        of_task.due.extend(edge);
        of_task.woken = of_task.running;
        self.queue(task, event);
    }

    fn begin(&mut self, task: usize, event: Event) {
        let of_task = &mut self.tasks[task];
        let mut due = std::mem::take(&mut of_task.due);
        due.extend(of_task.last.map(|from| Edge {
            kind: EdgeKind::Continue,
            from,
            offset_ns: ALL,
            latency_ns: 0,
        }));
        of_task.running = true;
        let queued = of_task.queued.take();
        self.open(task, event, due, queued, true);
    }

    /// Begins a strand.
    fn open(
        &mut self,
        task: usize,
        event: Event,
        due: Vec<Edge>,
        queued: Option<(u64, u32)>,
        begins_poll: bool,
    ) {
        let strand = self.dag.strands.len();
        let first_edge = self.dag.edges.len();
        self.dag.edges.extend(due);
        let thread = self.threads.entry(event.thread).or_default();
        thread.running = Some(strand);
        thread.off_ns = 0;
        self.dag.strands.push(Strand {
            task,
            thread: event.thread,
            begin_ns: event.t_ns,
            end_ns: event.t_ns,
            work_ns: 0,
            begins_poll,
            begins_task: self.tasks[task].last.is_none(),
            ends_task: false,
            queued_ns: queued.map(|(at, _)| at),
            queued_by: queued.map(|(_, by)| by),
            queue: self.tasks[task].queue.take(),
            is_pending: false,
            thread_free_ns: thread.free_ns,
            after_sleep: std::mem::take(&mut thread.slept),
            after_steal: std::mem::take(&mut thread.stole),
            is_given_lock: self.tasks[task].awaits_lock,
            edges: first_edge..self.dag.edges.len(),
            locks: 0..0,
        });
        self.tasks[task].last = Some(strand);
    }

    /// Ends the thread's strand and returns its index.
    fn close(&mut self, event: Event) -> Option<usize> {
        let (strand, work_ns) = self.here(event)?;
        let thread = self.threads.get_mut(&event.thread)?;
        thread.running = None;
        thread.free_ns = event.t_ns;
        let it = &mut self.dag.strands[strand];
        it.end_ns = event.t_ns;
        it.work_ns = work_ns;
        let first_lock = self.dag.locks.len();
        self.dag.locks.append(&mut thread.locks);
        it.locks = first_lock..self.dag.locks.len();
        Some(strand)
    }

    fn lock(&mut self, task: usize, event: Event) {
        self.tasks[task].awaits_lock = event.kind == Kind::LockWait;
        let here = self.here(event);
        let here = here.filter(|(strand, _)| self.dag.strands[*strand].task == task);
        if let (Some((_, offset_ns)), true) = (here, event.kind != Kind::LockWait) {
            let thread = self.threads.entry(event.thread).or_default();
            thread.locks.push(LockOp {
                offset_ns,
                lock: event.a,
                is_release: event.kind == Kind::LockRelease,
            });
        }
    }

    fn end(&mut self, task: usize, event: Event) {
        let Some(strand) = self.close(event) else {
            return;
        };
        let of_task = &mut self.tasks[task];
        of_task.running = false;
        if matches!(event.a, 1 | 3 | 4) {
            of_task.ended = true;
            of_task.has_value = event.a == 1;
            self.dag.strands[strand].ends_task = true;
        }
        self.dag.strands[strand].is_pending = event.a == 0;
        let yielded = event.a == 2;
        if yielded || std::mem::take(&mut of_task.woken) {
            of_task.queued = Some((event.t_ns, event.thread));
        }
    }

    /// Cuts the running strand of `task`, because it uses the outcome of the task `a` here.
    fn join(&mut self, task: usize, event: Event) {
        self.has_joins = true;
        let joined = self.index.get(&event.a).and_then(|it| self.tasks[*it].last);
        let runs = self
            .here(event)
            .is_some_and(|(strand, _)| self.dag.strands[strand].task == task);
        let (Some(from), true) = (joined, runs) else {
            return;
        };
        let Some(before) = self.close(event) else {
            return;
        };
        let edge = |kind, from| Edge {
            kind,
            from,
            offset_ns: ALL,
            latency_ns: 0,
        };
        let due = vec![edge(EdgeKind::Join, from), edge(EdgeKind::Continue, before)];
        self.open(task, event, due, None, false);
    }

    fn switch(&mut self, event: Event) {
        let thread = self.threads.entry(event.thread).or_default();
        if event.a == 0 {
            thread.off_since = Some(event.t_ns);
        } else if let Some(since) = thread.off_since.take() {
            thread.off_ns += event.t_ns - since;
        }
    }

    fn finish(mut self, wall_ns: u64) -> Dag {
        let open: Vec<_> = self
            .threads
            .iter()
            .filter(|(_, it)| it.running.is_some())
            .map(|(thread, _)| *thread)
            .collect();
        for thread in open {
            self.close(Event {
                t_ns: wall_ns,
                thread,
                kind: Kind::PollEnd,
                task: ABSENT,
                a: 0,
                b: 0,
            });
        }
        if !self.has_joins {
            self.infer_joins();
        }
        self.dag
    }

    /// Adds an edge from each child that ended before its parent's last poll began, if the parent ended with a value.
    fn infer_joins(&mut self) {
        let mut into: HashMap<usize, Vec<Edge>> = HashMap::new();
        for (child, parent) in self.parents.iter().enumerate() {
            let parent = parent.filter(|&it| self.tasks[it].has_value);
            let lasts = parent.and_then(|it| Some((self.tasks[child].last?, self.tasks[it].last?)));
            let Some((from, to)) = lasts.filter(|_| self.tasks[child].ended) else {
                continue;
            };
            if self.dag.strands[from].end_ns <= self.dag.strands[to].begin_ns {
                into.entry(to).or_default().push(Edge {
                    kind: EdgeKind::Join,
                    from,
                    offset_ns: ALL,
                    latency_ns: 0,
                });
            }
        }
        self.dag.joins_are_inferred = true;
        let old = std::mem::take(&mut self.dag.edges);
        for (index, strand) in self.dag.strands.iter_mut().enumerate() {
            let first = self.dag.edges.len();
            self.dag.edges.extend_from_slice(&old[strand.edges.clone()]);
            self.dag
                .edges
                .extend(into.remove(&index).unwrap_or_default());
            strand.edges = first..self.dag.edges.len();
        }
    }
}
