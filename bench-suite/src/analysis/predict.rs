//! How long a program would take on some number of workers: its graph, replayed by a greedy scheduler.
//!
//! The strands keep the work that was measured. Each poll costs what a poll costs in the same trace, by whether it is
//! on the thread that made its task due, on another one, or on one that slept; a worker sleeps once it has been idle
//! for longer than it takes to wake it. A worker takes the newest of what it made due itself, and else the oldest of
//! all others: that is how M:N's workers take spawned tasks. No schedule that leaves no worker idle while a task is due
//! takes more than twice as long as the best (Graham 1966), and most take hardly longer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::dag::{Dag, EdgeKind};
use super::span::Burden;

/// How many times faster `workers` would be than one.
pub fn speed_up(dag: &Dag, burden: Burden, workers: usize) -> f64 {
    let (one, many) = (replay(dag, burden, 1), replay(dag, burden, workers.max(1)));
    if many == 0 {
        1.0
    } else {
        one as f64 / many as f64
    }
}

/// How long the program takes on so many workers, in nanoseconds.
pub fn replay(dag: &Dag, burden: Burden, workers: usize) -> u64 {
    Replay::new(dag, burden, workers).run()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// One edge into the strand is done, and it was done by this worker, if by any.
    Done(usize, Option<usize>),
    /// The worker has ended the strand.
    Ended(usize, usize),
}

struct Replay<'a> {
    dag: &'a Dag,
    burden: Burden,
    /// Edges from each strand: to which one, from which offset on, after which latency.
    out: Vec<Vec<(usize, u64, u64)>>,
    missing: Vec<usize>,
    due: Vec<VecDeque<usize>>,
    /// Since when each worker is idle; `None` while it runs a strand.
    idle: Vec<Option<u64>>,
    agenda: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    sequence: u64,
}

impl<'a> Replay<'a> {
    fn new(dag: &'a Dag, burden: Burden, workers: usize) -> Self {
        let count = dag.strands.len();
        let mut out = vec![Vec::new(); count];
        let mut missing = vec![0; count];
        for (strand, missing) in missing.iter_mut().enumerate() {
            for edge in dag.edges_into(strand) {
                // What is waited for from outside takes as long as it took.
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
            idle: vec![Some(0); workers],
            agenda: BinaryHeap::new(),
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
        self.hand_out(0);
        let mut end = 0;
        while let Some(Reverse((now, _, happening))) = self.agenda.pop() {
            end = end.max(now);
            match happening {
                Happening::Done(strand, by) => self.done(strand, by, now),
                Happening::Ended(strand, worker) => {
                    self.idle[worker] = Some(now);
                    self.release_at_end(strand, worker, now);
                }
            }
            self.hand_out(now);
        }
        end
    }

    /// One edge into a strand is done.
    fn done(&mut self, strand: usize, by: Option<usize>, now: u64) {
        self.missing[strand] -= 1;
        if self.missing[strand] > 0 {
            return;
        }
        let worker = by.unwrap_or(0);
        if !self.dag.strands[strand].begins_poll && self.idle[worker].is_some() {
            // The poll goes on: what it joins is there.
            self.start(strand, worker, now, 0);
        } else {
            self.due[worker].push_back(strand);
        }
    }

    fn is_at_end(&self, strand: usize, offset_ns: u64) -> bool {
        offset_ns >= self.dag.strands[strand].work_ns
    }

    /// Plans the end of those edges that come from inside of a strand that begins now.
    fn release_inside(&mut self, strand: usize, worker: usize, begin: u64) {
        for index in 0..self.out[strand].len() {
            let (to, offset, _) = self.out[strand][index];
            if !self.is_at_end(strand, offset) {
                self.plan(begin + offset, Happening::Done(to, Some(worker)));
            }
        }
    }

    fn release_at_end(&mut self, strand: usize, worker: usize, now: u64) {
        for index in 0..self.out[strand].len() {
            let (to, offset, latency) = self.out[strand][index];
            if !self.is_at_end(strand, offset) {
                continue;
            }
            if latency > 0 {
                self.plan(now + latency, Happening::Done(to, None));
            } else {
                self.done(to, Some(worker), now);
            }
        }
    }

    fn plan(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.agenda.push(Reverse((at, self.sequence, happening)));
    }

    fn hand_out(&mut self, now: u64) {
        for worker in 0..self.idle.len() {
            let Some(since) = self.idle[worker] else {
                continue;
            };
            if let Some(strand) = self.due[worker].pop_back() {
                self.start(strand, worker, now, self.burden.same_thread_ns);
            } else if let Some(victim) = self.victim(worker) {
                let strand = self.due[victim].pop_front().expect("the victim has some");
                let wake_ns = self.burden.sleeping_thread_ns;
                let sleeps = now == 0 || now - since > wake_ns;
                let awake_ns = self.burden.other_thread_ns;
                self.start(strand, worker, now, if sleeps { wake_ns } else { awake_ns });
            }
        }
    }

    /// Whoever has the most; none if nobody has any.
    fn victim(&self, thief: usize) -> Option<usize> {
        (0..self.due.len())
            .filter(|&worker| worker != thief && !self.due[worker].is_empty())
            .max_by_key(|&worker| self.due[worker].len())
    }

    fn start(&mut self, strand: usize, worker: usize, now: u64, cost: u64) {
        self.idle[worker] = None;
        let begin = now + cost;
        self.release_inside(strand, worker, begin);
        let end = begin + self.dag.strands[strand].work_ns;
        self.plan(end, Happening::Ended(strand, worker));
    }
}
