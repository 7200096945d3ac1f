//! Programs of a few lines, run by a scheduler of a few lines that records what it does. Their work and span follow a
//! formula, whatever the order and the number of workers.

use std::collections::VecDeque;

use super::recording::Recording;
use crate::trace::{Kind, Run};
use crate::workloads::nqueens;

/// What a task does next.
#[derive(Clone, Copy)]
enum Step {
    Compute(u64),
    Spawn(usize),
    Await(usize),
}

/// Tasks by number; 0 is the root.
#[derive(Default)]
pub(super) struct Program {
    tasks: Vec<(&'static str, Option<usize>, Vec<Step>)>,
}

impl Program {
    fn task(&mut self, name: &'static str, parent: Option<usize>) -> usize {
        self.tasks.push((name, parent, Vec::new()));
        self.tasks.len() - 1
    }

    fn step(&mut self, task: usize, step: Step) {
        self.tasks[task].2.push(step);
    }

    /// Like the workload: `fib(n)` spawns `fib(n - 1)`, computes `fib(n - 2)` in place, and awaits the task. Each call
    /// computes for `unit_ns` at its end.
    pub(super) fn fib(n: u64, unit_ns: u64) -> Self {
        fn call(program: &mut Program, task: usize, n: u64, unit_ns: u64) {
            if n >= 2 {
                let child = program.task("fib", Some(task));
                program.step(task, Step::Spawn(child));
                call(program, child, n - 1, unit_ns);
                call(program, task, n - 2, unit_ns);
                program.step(task, Step::Await(child));
            }
            program.step(task, Step::Compute(unit_ns));
        }
        let mut program = Self::default();
        let root = program.task("fib", None);
        call(&mut program, root, n, unit_ns);
        program
    }

    /// Each node spawns ten children, awaits them in order, and computes for `unit_ns`. A spawn takes `spawn_ns`.
    pub(super) fn skynet(levels: u32, spawn_ns: u64, unit_ns: u64) -> Self {
        fn node(program: &mut Program, task: usize, levels: u32, spawn_ns: u64, unit_ns: u64) {
            if levels > 0 {
                let children: Vec<_> = (0..10)
                    .map(|_| {
                        let child = program.task("node", Some(task));
                        program.step(task, Step::Compute(spawn_ns));
                        program.step(task, Step::Spawn(child));
                        node(program, child, levels - 1, spawn_ns, unit_ns);
                        child
                    })
                    .collect();
                for child in children {
                    program.step(task, Step::Await(child));
                }
            }
            program.step(task, Step::Compute(unit_ns));
        }
        let mut program = Self::default();
        let root = program.task("node", None);
        node(&mut program, root, levels, spawn_ns, unit_ns);
        program
    }

    /// One task per opening. It computes for 1 µs plus 1 µs per solution. A spawn takes `spawn_ns`.
    pub(super) fn nqueens(queens: u32, spawn_ns: u64) -> Self {
        let mut program = Self::default();
        let root = program.task("root", None);
        let pieces: Vec<_> = pieces(queens)
            .into_iter()
            .map(|ns| {
                let piece = program.task("piece", Some(root));
                program.step(root, Step::Compute(spawn_ns));
                program.step(root, Step::Spawn(piece));
                program.step(piece, Step::Compute(ns));
                piece
            })
            .collect();
        for piece in pieces {
            program.step(root, Step::Await(piece));
        }
        program
    }

    pub(super) fn work_ns(&self) -> u64 {
        let steps = self.tasks.iter().flat_map(|(_, _, steps)| steps);
        steps
            .map(|step| match step {
                Step::Compute(ns) => *ns,
                _ => 0,
            })
            .sum()
    }
}

/// The computing times of the tasks of [`Program::nqueens`].
pub(super) fn pieces(queens: u32) -> Vec<u64> {
    let openings = nqueens::openings(queens).into_iter();
    openings
        .map(|board| 1000 * (1 + board.solutions()))
        .collect()
}

/// Which task a worker takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Newest,
    Oldest,
    Random(u64),
}

struct Worker {
    now: u64,
    task: Option<usize>,
}

struct State {
    next_step: usize,
    ended: bool,
    waiter: Option<usize>,
}

/// Runs a program. Each poll costs `switch_ns` before it begins. With `with_joins`, the recorder also writes joins that
/// don't have to wait.
pub(super) fn run(
    program: &Program,
    workers: usize,
    order: Order,
    switch_ns: u64,
    with_joins: bool,
) -> Run {
    let mut recording = Recording::new("mn", workers as u32);
    for (name, parent, _) in &program.tasks {
        recording.task(name, parent.map(|it| it as u32));
    }
    let states = program.tasks.iter().map(|_| State {
        next_step: 0,
        ended: false,
        waiter: None,
    });
    let mut states: Vec<_> = states.collect();
    let idle = |_| Worker { now: 0, task: None };
    let mut pool: Vec<Worker> = (0..workers).map(idle).collect();
    let mut queue: VecDeque<(u64, usize)> = VecDeque::from([(0, 0)]);
    let mut random = fastrand::Rng::with_seed(match order {
        Order::Random(seed) => seed,
        _ => 0,
    });
    recording.spawn(0, 0, 0);
    loop {
        let busy = (0..workers).filter(|&it| pool[it].task.is_some());
        let next_busy = busy.min_by_key(|&it| pool[it].now);
        let idle = (0..workers).filter(|&it| pool[it].task.is_none());
        let next_idle = idle.min_by_key(|&it| pool[it].now);
        let horizon = next_busy.map_or(u64::MAX, |it| pool[it].now);
        let due = queue.iter().map(|(at, _)| *at).min();
        if let (Some(worker), Some(due)) = (next_idle, due)
            && pool[worker].now.max(due) <= horizon
        {
            let (at, task) = match order {
                Order::Newest => queue.pop_back(),
                Order::Oldest => queue.pop_front(),
                Order::Random(_) => queue.remove(random.usize(..queue.len())),
            }
            .expect("one is due");
            let worker_now = pool[worker].now.max(at) + switch_ns;
            pool[worker] = Worker {
                now: worker_now,
                task: Some(task),
            };
            recording.begin(worker_now, worker as u32, task as u32);
            continue;
        }
        let Some(worker) = next_busy else { break };
        let (now, thread) = (pool[worker].now, worker as u32);
        let task = pool[worker].task.expect("a busy worker has a task");
        let id = task as u32;
        let step = program.tasks[task].2.get(states[task].next_step).copied();
        match step {
            Some(Step::Compute(ns)) => pool[worker].now += ns,
            Some(Step::Spawn(child)) => {
                recording.spawn(now, thread, child as u32);
                queue.push_back((now, child));
            }
            Some(Step::Await(child)) if !states[child].ended => {
                states[child].waiter = Some(task);
                recording.end(now, thread, id, 0);
                pool[worker].task = None;
            }
            Some(Step::Await(child)) => {
                // No event if the wake-up already delivered the outcome.
                if with_joins && states[child].waiter.is_none() {
                    recording.event(now, thread, Kind::Joined, Some(id), [child as i64, -1]);
                }
            }
            None => {
                states[task].ended = true;
                recording.end(now, thread, id, 1);
                pool[worker].task = None;
            }
        }
        if let (None, Some(waiter)) = (step, states[task].waiter) {
            recording.wake(now, thread, waiter as u32, i64::from(id), 0);
            queue.push_back((now, waiter));
        }
        let is_waiting = pool[worker].task.is_none() && step.is_some();
        if !is_waiting {
            states[task].next_step += 1;
        }
    }
    let end = pool.iter().map(|worker| worker.now).max().unwrap_or(0);
    recording.finish(end)
}
