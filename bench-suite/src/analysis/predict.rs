//! Predicts how long a program takes on a number of workers, by replaying its graph with a greedy scheduler.
//!
//! The strands keep their measured work. Each poll costs what polls cost in the same trace. That cost depends on
//! whether the poll runs on the thread that scheduled its task or on another one. A worker goes to sleep once it has
//! been idle for longer than it takes to wake it. A task for which a sleeper is woken stays in its queue, and the first
//! free worker takes it.
//!
//! There are two clocks. Strands advance by the clock of work, which runs slower than time while several workers
//! compute; the factor is a [contention] that is measured on the machine. Waits, wake-ups and the costs of a poll take
//! the time that they took in the trace, where other workers computed too.
//!
//! A worker takes the newest task that it scheduled itself, or else the oldest task of the others, as M:N's workers do
//! with spawned tasks. A schedule in which no worker is idle while a task is ready takes at most twice as long as the
//! best one (Graham 1966), and usually hardly longer.
//!
//! [contention]: super::contention

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::contention::Contention;
use super::dag::{Dag, EdgeKind};
use super::span::Burden;

/// The speed-up of `workers` workers over one, on a machine with this contention.
pub fn speed_up(dag: &Dag, burden: Burden, workers: usize, contention: Contention) -> f64 {
    let one = replay(dag, burden, 1, contention);
    let many = replay(dag, burden, workers.max(1), contention);
    if many == 0 {
        1.0
    } else {
        one as f64 / many as f64
    }
}

/// The time that the program takes on `workers` workers, in nanoseconds.
pub fn replay(dag: &Dag, burden: Burden, workers: usize, contention: Contention) -> u64 {
    Replay::new(dag, burden, workers, contention).run()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum WorkerEvent {
    /// The worker has paid the cost of the poll and begins the strand.
    Begun(usize, usize),
    /// One edge into the strand is satisfied, by this worker if there is one.
    Done(usize, Option<usize>),
    /// The worker has ended the strand.
    Ended(usize, usize),
    /// The worker has been woken.
    Awake(usize),
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Busy,
    /// Looks for work since this time; it goes to sleep after a while.
    Idle(u64),
    /// Sleeps, after a long time without work.
    Asleep,
    /// Was asleep, and is being woken.
    Waking,
}

/// Time, sequence number and event.
type Agenda = BinaryHeap<Reverse<(u64, u64, WorkerEvent)>>;

struct Replay<'a> {
    dag: &'a Dag,
    burden: Burden,
    /// The edges out of each strand: target, offset and latency.
    out: Vec<Vec<(usize, u64, u64)>>,
    missing: Vec<usize>,
    due: Vec<VecDeque<usize>>,
    workers: Vec<State>,
    contention: Contention,
    now: u64,
    /// How much work a worker would have done by now if it had computed all the time.
    worked: f64,
    /// Events by time.
    in_time: Agenda,
    /// Events by amount of work.
    in_work: Agenda,
    sequence: u64,
}

impl<'a> Replay<'a> {
    fn new(dag: &'a Dag, burden: Burden, workers: usize, contention: Contention) -> Self {
        let count = dag.strands.len();
        let mut out = vec![Vec::new(); count];
        let mut missing = vec![0; count];
        for (strand, missing) in missing.iter_mut().enumerate() {
            for edge in dag.edges_into(strand) {
                // Waits for something outside take as long as in the trace.
                let latency = match edge.kind {
                    EdgeKind::Latency(_) => edge.latency_ns,
                    _ => 0,
                };
                out[edge.from].push((strand, edge.offset_ns, latency));
                *missing += 1;
            }
        }
        Self {
            dag,
            burden,
            out,
            missing,
            due: vec![VecDeque::new(); workers],
            workers: vec![State::Asleep; workers],
            contention,
            now: 0,
            worked: 0.0,
            in_time: BinaryHeap::new(),
            in_work: BinaryHeap::new(),
            sequence: 0,
        }
    }

    fn run(mut self) -> u64 {
        for strand in 0..self.dag.strands.len() {
            if self.missing[strand] == 0 {
                // It came from outside.
                self.due[0].push_front(strand);
            }
        }
        self.hand_out();
        let mut end = 0;
        while let Some(happening) = self.next() {
            match happening {
                WorkerEvent::Begun(strand, worker) => self.begin(strand, worker),
                WorkerEvent::Done(strand, by) => self.done(strand, by),
                WorkerEvent::Ended(strand, worker) => {
                    // A worker that is still being woken does not prolong the run.
                    end = self.now;
                    self.workers[worker] = State::Idle(self.now);
                    self.release_at_end(strand, worker);
                }
                WorkerEvent::Awake(worker) => self.wakes(worker),
            }
            self.hand_out();
        }
        end
    }

    /// Takes the earliest event of both clocks, and advances both.
    fn next(&mut self) -> Option<WorkerEvent> {
        let slow_down = self.slow_down_now();
        let timed = self.in_time.peek().map(|it| (it.0.0, it.0.1));
        let worked = self.in_work.peek().map(|it| {
            let left = (it.0.0 as f64 - self.worked).max(0.0);
            (self.now + (left * slow_down).round() as u64, it.0.1)
        });
        let is_timed = timed.is_some_and(|timed| worked.is_none_or(|worked| timed < worked));
        if is_timed {
            let Reverse((at, _, happening)) = self.in_time.pop()?;
            self.worked += (at - self.now) as f64 / slow_down;
            self.now = at;
            Some(happening)
        } else {
            let Reverse((at, _, happening)) = self.in_work.pop()?;
            self.worked = self.worked.max(at as f64);
            self.now = worked?.0;
            Some(happening)
        }
    }

    /// Satisfies one edge into a strand.
    fn done(&mut self, strand: usize, by: Option<usize>) {
        self.missing[strand] -= 1;
        if self.missing[strand] > 0 {
            return;
        }
        let worker = by.unwrap_or(0);
        if !self.dag.strands[strand].begins_poll && self.is_free(worker) {
            // The poll continues, because the outcome that it joins is available.
            self.start(strand, worker, 0);
        } else {
            self.due[worker].push_back(strand);
        }
    }

    fn is_at_end(&self, strand: usize, offset_ns: u64) -> bool {
        offset_ns >= self.dag.strands[strand].work_ns
    }

    fn release_at_end(&mut self, strand: usize, worker: usize) {
        for index in 0..self.out[strand].len() {
            let (to, offset, latency) = self.out[strand][index];
            if !self.is_at_end(strand, offset) {
                continue;
            }
            if latency > 0 {
                self.plan(latency, WorkerEvent::Done(to, None));
            } else {
                self.done(to, Some(worker));
            }
        }
    }

    /// Schedules an event by time.
    fn plan(&mut self, after_ns: u64, happening: WorkerEvent) {
        self.sequence += 1;
        let at = self.now + after_ns;
        self.in_time.push(Reverse((at, self.sequence, happening)));
    }

    /// Schedules an event by the work of one worker.
    fn plan_work(&mut self, after_ns: u64, happening: WorkerEvent) {
        self.sequence += 1;
        let at = self.worked.round() as u64 + after_ns;
        self.in_work.push(Reverse((at, self.sequence, happening)));
    }

    fn hand_out(&mut self) {
        for worker in 0..self.workers.len() {
            if !self.is_free(worker) {
                continue;
            }
            if let Some(strand) = self.due[worker].pop_back() {
                self.start(strand, worker, self.burden.same_thread_ns);
            } else if self.victim(worker).is_some() {
                if self.sleeps(worker) {
                    self.wake(worker);
                } else {
                    self.steal(worker, self.burden.other_thread_ns);
                }
            }
        }
    }

    fn is_free(&self, worker: usize) -> bool {
        matches!(self.workers[worker], State::Idle(_) | State::Asleep)
    }

    fn sleeps(&self, worker: usize) -> bool {
        match self.workers[worker] {
            State::Idle(since) => self.now - since > self.burden.sleeping_thread_ns,
            state => state == State::Asleep,
        }
    }

    /// Wakes at most one sleeper for each strand that is due.
    fn wake(&mut self, worker: usize) {
        let waking = |state: &&State| **state == State::Waking;
        let waking = self.workers.iter().filter(waking).count();
        if waking < self.due.iter().map(VecDeque::len).sum::<usize>() {
            self.workers[worker] = State::Waking;
            self.plan(self.burden.sleeping_thread_ns, WorkerEvent::Awake(worker));
        }
    }

    /// The worker is awake. The task that it was woken for may be gone.
    fn wakes(&mut self, worker: usize) {
        self.workers[worker] = State::Idle(self.now);
        if self.due[worker].is_empty() {
            self.steal(worker, 0);
        }
    }

    fn steal(&mut self, worker: usize, cost_ns: u64) {
        let strand = self.victim(worker).and_then(|it| self.due[it].pop_front());
        if let Some(strand) = strand {
            self.start(strand, worker, cost_ns);
        }
    }

    /// The worker with the longest queue; `None` if all queues are empty.
    fn victim(&self, thief: usize) -> Option<usize> {
        (0..self.due.len())
            .filter(|&worker| worker != thief && !self.due[worker].is_empty())
            .max_by_key(|&worker| self.due[worker].len())
    }

    fn start(&mut self, strand: usize, worker: usize, cost_ns: u64) {
        self.workers[worker] = State::Busy;
        if cost_ns > 0 {
            self.plan(cost_ns, WorkerEvent::Begun(strand, worker));
        } else {
            self.begin(strand, worker);
        }
    }

    fn begin(&mut self, strand: usize, worker: usize) {
        for index in 0..self.out[strand].len() {
            let (to, offset, _) = self.out[strand][index];
            if !self.is_at_end(strand, offset) {
                self.plan_work(offset, WorkerEvent::Done(to, Some(worker)));
            }
        }
        let work_ns = self.dag.strands[strand].work_ns;
        self.plan_work(work_ns, WorkerEvent::Ended(strand, worker));
    }

    fn slow_down_now(&self) -> f64 {
        let busy = self.workers.iter().filter(|it| **it == State::Busy);
        self.contention.slow_down(busy.count())
    }
}
