//! The replay: workers, strands and two clocks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::costs::Costs;
use super::queues::{Due, Queues};
use super::throttle::Throttle;
use crate::analysis::contention::Contention;
use crate::analysis::dag::{Dag, EdgeKind, LockOp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum WorkerEvent {
    /// The worker has paid what it owed, and continues its strand.
    Continues(usize),
    /// The worker's strand has reached its next point.
    Reached(usize),
    /// A wait for something outside is over.
    Over(usize),
    /// The worker has been woken.
    Awake(usize),
    /// The monitor looks whether work still waits at the worker.
    Guarded(usize),
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

struct Worker {
    state: State,
    queues: Queues,
    strand: usize,
    /// What it must still pay before it computes again.
    owes_ns: u64,
    /// Whether its last strand had data from another worker.
    has_fetched: bool,
    throttle: Throttle,
}

/// What happens at a point of a strand.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// An edge to that strand is satisfied.
    Release(usize, EdgeKind),
    /// A lock is acquired or released.
    Lock(LockOp),
}

/// The replay's state of a strand.
#[derive(Clone, Default)]
struct Progress {
    missing: usize,
    points: Vec<(u64, Act)>,
    /// The next point.
    next: usize,
    /// How much of its work is done.
    done_ns: u64,
    /// The workers on which its edges came true, and when.
    from: Vec<(usize, u64)>,
    /// The worker that ran it.
    ran_on: usize,
}

#[derive(Default)]
struct Lock {
    is_held: bool,
    waiting: VecDeque<usize>,
    last: Option<usize>,
}

/// Time, sequence number and event.
type Agenda = BinaryHeap<Reverse<(u64, u64, WorkerEvent)>>;

pub(super) struct Replay<'a> {
    dag: &'a Dag,
    costs: Costs,
    strands: Vec<Progress>,
    /// Edges out of the end of each strand: target, kind and latency.
    at_end: Vec<Vec<(usize, EdgeKind, u64)>>,
    workers: Vec<Worker>,
    locks: BTreeMap<i64, Lock>,
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
    pub(super) fn new(dag: &'a Dag, costs: Costs, workers: usize, contention: Contention) -> Self {
        let count = dag.strands.len();
        let mut strands = vec![Progress::default(); count];
        let mut at_end = vec![Vec::new(); count];
        for strand in 0..count {
            for edge in dag.edges_into(strand) {
                // In the replay, a lock is handed over whenever it is free, and not as in the trace.
                if dag.strands[strand].is_given_lock && edge.kind == EdgeKind::Wake {
                    continue;
                }
                strands[strand].missing += 1;
                if edge.offset_ns >= dag.strands[edge.from].work_ns {
                    // Waits for something outside take as long as in the trace.
                    let latency = match edge.kind {
                        EdgeKind::Latency(_) => edge.latency_ns,
                        _ => 0,
                    };
                    at_end[edge.from].push((strand, edge.kind, latency));
                } else {
                    let act = Act::Release(strand, edge.kind);
                    strands[edge.from].points.push((edge.offset_ns, act));
                }
            }
        }
        for (strand, progress) in strands.iter_mut().enumerate() {
            let locks = dag.locks_in(strand).iter();
            let locks = locks.map(|it| (it.offset_ns, Act::Lock(*it)));
            progress.points.extend(locks);
            progress.points.sort_by_key(|(offset, _)| *offset);
        }
        let worker = |_| Worker {
            state: State::Asleep,
            queues: Queues::default(),
            strand: 0,
            owes_ns: 0,
            has_fetched: false,
            throttle: Throttle::new(costs.wake_delay_ns),
        };
        Self {
            dag,
            costs,
            strands,
            at_end,
            workers: (0..workers).map(worker).collect(),
            locks: BTreeMap::new(),
            contention,
            now: 0,
            worked: 0.0,
            in_time: BinaryHeap::new(),
            in_work: BinaryHeap::new(),
            sequence: 0,
        }
    }

    pub(super) fn run(mut self) -> u64 {
        for strand in (0..self.strands.len()).rev() {
            if self.strands[strand].missing == 0 {
                // It came from outside.
                self.workers[0].queues.put(strand, Due::Spawned);
            }
        }
        self.hand_out();
        if self.workers.len() > 1 && self.victim(self.workers.len()).is_some() {
            self.wake_for(0);
        }
        let mut end = 0;
        while let Some(event) = self.next().or_else(|| self.unstick()) {
            match event {
                WorkerEvent::Continues(worker) | WorkerEvent::Reached(worker) => {
                    self.proceed(worker)
                }
                WorkerEvent::Over(strand) => {
                    self.satisfy(strand, EdgeKind::Spawn, None, Due::Behind)
                }
                WorkerEvent::Awake(worker) => self.wakes(worker),
                WorkerEvent::Guarded(worker) => self.guard(worker),
            }
            self.hand_out();
            if matches!(event, WorkerEvent::Reached(_) | WorkerEvent::Continues(_)) {
                // A worker that is still being woken does not prolong the run.
                end = self.now;
            }
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
            let Reverse((at, _, event)) = self.in_time.pop()?;
            self.worked += (at - self.now) as f64 / slow_down;
            self.now = at;
            Some(event)
        } else {
            let Reverse((at, _, event)) = self.in_work.pop()?;
            self.worked = self.worked.max(at as f64);
            self.now = worked?.0;
            Some(event)
        }
    }

    /// Schedules an event by time.
    fn plan(&mut self, after_ns: u64, event: WorkerEvent) {
        self.sequence += 1;
        let at = self.now + after_ns;
        self.in_time.push(Reverse((at, self.sequence, event)));
    }

    /// Schedules an event by the work of one worker.
    fn plan_work(&mut self, after_ns: u64, event: WorkerEvent) {
        self.sequence += 1;
        let at = self.worked.round() as u64 + after_ns;
        self.in_work.push(Reverse((at, self.sequence, event)));
    }

    /// The worker begins a strand, or continues one that waited for a lock.
    fn start(&mut self, strand: usize, worker: usize, cost_ns: u64) {
        let progress = &mut self.strands[strand];
        let it = &mut self.workers[worker];
        let looks_since = match it.state {
            State::Idle(since) => since,
            _ => 0,
        };
        let mut arrives_ns = 0;
        let had_fetched = std::mem::take(&mut it.has_fetched);
        for (_, at) in progress.from.drain(..).filter(|(by, _)| *by != worker) {
            let is_in_a_row = had_fetched && at <= looks_since;
            arrives_ns += if is_in_a_row {
                self.costs.stream_ns
            } else {
                self.costs.transfer_ns
            };
            it.has_fetched = true;
        }
        progress.ran_on = worker;
        it.state = State::Busy;
        it.strand = strand;
        it.owes_ns += cost_ns + arrives_ns;
        self.proceed(worker);
    }

    /// Runs the worker's strand up to the next point at which time passes.
    fn proceed(&mut self, worker: usize) {
        let strand = self.workers[worker].strand;
        loop {
            let owes = std::mem::take(&mut self.workers[worker].owes_ns);
            if owes > 0 {
                self.plan(owes, WorkerEvent::Continues(worker));
                return;
            }
            let work_ns = self.dag.strands[strand].work_ns;
            let progress = &mut self.strands[strand];
            let point = progress.points.get(progress.next).copied();
            let until = point.map_or(work_ns, |(offset, _)| offset.min(work_ns));
            if until > progress.done_ns {
                let left = until - progress.done_ns;
                progress.done_ns = until;
                self.plan_work(left, WorkerEvent::Reached(worker));
                return;
            }
            let Some((_, act)) = point else {
                self.end(strand, worker);
                return;
            };
            progress.next += 1;
            match act {
                Act::Release(to, kind) => self.satisfy(to, kind, Some(worker), Due::Behind),
                Act::Lock(op) if op.is_release => self.unlock(op.lock, worker),
                Act::Lock(op) => {
                    if !self.lock(op.lock, strand, worker) {
                        self.workers[worker].state = State::Idle(self.now);
                        return;
                    }
                }
            }
        }
    }

    fn end(&mut self, strand: usize, worker: usize) {
        self.workers[worker].state = State::Idle(self.now);
        for index in 0..self.at_end[strand].len() {
            let (to, kind, latency) = self.at_end[strand][index];
            if latency > 0 {
                self.plan(latency, WorkerEvent::Over(to));
            } else {
                self.satisfy(to, kind, Some(worker), Due::Behind);
            }
        }
    }

    /// Satisfies one edge into a strand.
    fn satisfy(&mut self, strand: usize, kind: EdgeKind, by: Option<usize>, otherwise: Due) {
        let progress = &mut self.strands[strand];
        progress.missing -= 1;
        progress.from.extend(by.map(|by| (by, self.now)));
        if progress.missing > 0 {
            return;
        }
        let Some(worker) = by else {
            // The first free worker sees it, because one of them waits for sockets and timers.
            let free = (0..self.workers.len()).find(|it| self.is_free(*it));
            self.workers[free.unwrap_or(0)]
                .queues
                .put(strand, otherwise);
            return;
        };
        let it = &self.dag.strands[strand];
        let has_waited = !it.begins_poll || it.is_given_lock || self.awaits_a_task(strand);
        if kind == EdgeKind::Continue && has_waited && self.is_free(worker) {
            // The poll continues, because what it waits for is available.
            self.start(strand, worker, 0);
            return;
        }
        let due = match kind {
            EdgeKind::Spawn => Due::Spawned,
            EdgeKind::Wake | EdgeKind::Join => Due::Woken,
            _ => otherwise,
        };
        self.put(strand, worker, due);
    }

    fn awaits_a_task(&self, strand: usize) -> bool {
        let mut edges = self.dag.edges_into(strand).iter();
        edges.any(|it| matches!(it.kind, EdgeKind::Wake | EdgeKind::Join))
    }

    /// Queues a strand, and wakes a sleeper for it, unless one is being woken or looks for work.
    fn put(&mut self, strand: usize, worker: usize, due: Due) {
        let it = &mut self.workers[worker];
        if !it.queues.put(strand, due) {
            return;
        }
        let waited = it.throttle.waits();
        if it.throttle.wakes_for_one_more(self.now) {
            self.wake_for(worker);
        } else if !waited {
            self.plan(self.costs.guard_ns, WorkerEvent::Guarded(worker));
        }
    }

    /// Work has waited for so long that the monitor wakes a sleeper for it, unless the worker is between polls.
    fn guard(&mut self, worker: usize) {
        let it = &self.workers[worker];
        let waits_since = it
            .throttle
            .waits_since()
            .filter(|_| it.queues.stealable() > 0);
        let Some(since) = waits_since else {
            return;
        };
        let over = since + self.costs.guard_ns;
        if over <= self.now {
            self.wake_for(worker);
        } else {
            self.plan(over - self.now, WorkerEvent::Guarded(worker));
        }
    }

    /// The worker has more to do than it can do at once. It wakes a sleeper, unless another worker seeks work already.
    fn wake_for(&mut self, worker: usize) {
        let mut others = (0..self.workers.len()).filter(|it| *it != worker);
        let sleeper = others.clone().find(|it| self.sleeps(*it));
        if let (false, Some(sleeper)) = (others.any(|it| self.seeks(it)), sleeper) {
            self.workers[sleeper].state = State::Waking;
            let after_ns = self.costs.burden.sleeping_thread_ns;
            self.plan(after_ns, WorkerEvent::Awake(sleeper));
            self.workers[worker].owes_ns += self.costs.waking_ns;
            self.workers[worker].throttle.woke(self.now);
        }
    }

    /// Whether it looks for work, or is being woken to do so.
    fn seeks(&self, worker: usize) -> bool {
        match self.workers[worker].state {
            State::Idle(_) => !self.sleeps(worker),
            state => state == State::Waking,
        }
    }

    /// Acquires a lock for the worker's strand. If it is held, the strand waits.
    fn lock(&mut self, lock: i64, strand: usize, worker: usize) -> bool {
        let lock = self.locks.entry(lock).or_default();
        if lock.is_held {
            lock.waiting.push_back(strand);
            return false;
        }
        lock.is_held = true;
        if lock.last.is_some_and(|last| last != worker) {
            self.workers[worker].owes_ns += self.costs.transfer_ns;
        }
        lock.last = Some(worker);
        true
    }

    fn unlock(&mut self, lock: i64, worker: usize) {
        let lock = self.locks.entry(lock).or_default();
        lock.last = Some(worker);
        let Some(strand) = lock.waiting.pop_front() else {
            lock.is_held = false;
            return;
        };
        let ran_on = self.strands[strand].ran_on;
        let hand_overs = [ran_on, worker].map(|by| (by, self.now));
        self.strands[strand].from.extend(hand_overs);
        self.put(strand, worker, Due::Woken);
    }

    /// A lock that is not released in the trace goes to the next one that waits for it.
    fn unstick(&mut self) -> Option<WorkerEvent> {
        let lock = self.locks.iter().find(|(_, it)| !it.waiting.is_empty());
        let lock = *lock?.0;
        self.unlock(lock, 0);
        self.hand_out();
        self.next()
    }

    /// Gives work to each worker that can take some.
    fn hand_out(&mut self) {
        // A strand without work ends at once, so its worker may need another one.
        while (0..self.workers.len()).any(|worker| self.is_free(worker) && self.gets_next(worker)) {
        }
    }

    /// Gives a worker the next strand: one of its own, or one that it steals. False if there is none.
    fn gets_next(&mut self, worker: usize) -> bool {
        let it = &mut self.workers[worker];
        if it
            .throttle
            .wakes_between_tasks(self.now, it.queues.stealable())
        {
            self.wake_for(worker);
        }
        let it = &mut self.workers[worker];
        if let Some(strand) = it.queues.take() {
            it.throttle.took(self.now, it.queues.stealable());
            self.start(strand, worker, self.costs.burden.same_thread_ns);
            return true;
        }
        !self.sleeps(worker) && self.steal(worker, self.costs.burden.other_thread_ns)
    }

    fn is_free(&self, worker: usize) -> bool {
        matches!(self.workers[worker].state, State::Idle(_) | State::Asleep)
    }

    fn sleeps(&self, worker: usize) -> bool {
        match self.workers[worker].state {
            State::Idle(since) => self.now - since > self.costs.awake_ns,
            state => state == State::Asleep,
        }
    }

    /// The worker is awake. The task that it was woken for may be gone.
    fn wakes(&mut self, worker: usize) {
        let it = &mut self.workers[worker];
        it.state = State::Idle(self.now);
        it.has_fetched = false;
        if it.queues.stealable() == 0 {
            self.steal(worker, 0);
        }
    }

    /// False if there is nothing to steal.
    fn steal(&mut self, worker: usize, cost_ns: u64) -> bool {
        let Some(victim) = self.victim(worker) else {
            return false;
        };
        let mut own = std::mem::take(&mut self.workers[worker].queues);
        let queues = &mut self.workers[victim].queues;
        queues.move_half_to(&mut own, self.costs.steal_limit);
        let strand = own.take_oldest();
        self.workers[worker].queues = own;
        if self.victim(worker).is_some() {
            self.wake_for(worker);
        }
        strand
            .inspect(|strand| self.start(*strand, worker, cost_ns))
            .is_some()
    }

    /// The worker with the longest queue; `None` if there is nothing to steal.
    fn victim(&self, thief: usize) -> Option<usize> {
        let stealable = |worker: &usize| self.workers[*worker].queues.stealable();
        (0..self.workers.len())
            .filter(|worker| *worker != thief && stealable(worker) > 0)
            .max_by_key(stealable)
    }

    fn slow_down_now(&self) -> f64 {
        let busy = |it: &&Worker| it.state == State::Busy;
        let busy = self.workers.iter().filter(busy).count();
        self.contention.slow_down(busy)
    }
}
