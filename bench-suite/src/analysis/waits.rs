//! How long tasks were due before they ran, and for how much of that time a worker slept.

use std::collections::BTreeSet;

use super::dag::Dag;
use crate::trace::{Kind, Run, ThreadKind};

/// How long one run's tasks were due before they were polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// The sum of all waits.
    pub total_ns: u64,
    /// The longest one.
    pub longest_ns: u64,
    /// The task with the longest wait, as an index into [`Run::tasks`].
    pub longest_task: Option<usize>,
    /// The part of all waits during which some worker slept: "queued while a worker slept".
    pub while_a_worker_slept_ns: u64,
    /// The longest time for which one task was due while a worker slept.
    pub longest_while_a_worker_slept_ns: u64,
}

impl Waits {
    /// The waits of a run, from its graph.
    pub fn of(dag: &Dag, run: &Run) -> Self {
        let asleep = Asleep::of(run);
        let mut waits = Self::default();
        for strand in &dag.strands {
            let Some(queued) = strand.queued_ns else {
                continue;
            };
            let waited = strand.begin_ns.saturating_sub(queued);
            waits.total_ns += waited;
            if waits.longest_task.is_none() || waited > waits.longest_ns {
                waits.longest_ns = waited;
                waits.longest_task = Some(strand.task);
            }
            let slept = asleep.between(queued, strand.begin_ns);
            waits.while_a_worker_slept_ns += slept;
            waits.longest_while_a_worker_slept_ns =
                waits.longest_while_a_worker_slept_ns.max(slept);
        }
        waits
    }
}

/// When at least one worker slept: disjoint intervals in order of time, each with the sum of the intervals before it.
struct Asleep {
    intervals: Vec<(u64, u64, u64)>,
}

impl Asleep {
    fn of(run: &Run) -> Self {
        let workers: BTreeSet<u32> = run
            .threads
            .iter()
            .filter(|thread| thread.kind == ThreadKind::Worker)
            .map(|thread| thread.id)
            .collect();
        let mut asleep = BTreeSet::new();
        let mut since = None;
        let mut intervals = Vec::new();
        let mut sum = 0;
        let mut close = |since: &mut Option<u64>, now: u64| {
            if let Some(begin) = since.take() {
                intervals.push((begin, now, sum));
                sum += now - begin;
            }
        };
        for event in run.events.iter() {
            if !workers.contains(&event.thread) {
                continue;
            }
            match event.kind {
                Kind::Park => {
                    asleep.insert(event.thread);
                    since.get_or_insert(event.t_ns);
                }
                Kind::Unpark | Kind::PollBegin => {
                    let slept = asleep.remove(&event.thread);
                    if slept && asleep.is_empty() {
                        close(&mut since, event.t_ns);
                    }
                }
                _ => {}
            }
        }
        close(&mut since, run.wall_ns);
        Self { intervals }
    }

    /// For how much of that time some worker slept.
    fn between(&self, begin: u64, end: u64) -> u64 {
        self.until(end).saturating_sub(self.until(begin))
    }

    fn until(&self, time: u64) -> u64 {
        let after = self
            .intervals
            .partition_point(|(begin, _, _)| *begin < time);
        match after.checked_sub(1).map(|index| self.intervals[index]) {
            Some((begin, end, before)) => before + end.min(time) - begin,
            None => 0,
        }
    }
}
