//! The schedule: which arm runs when and for how long, and which arms are given up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::plan::{Cell, Plan};
use crate::results::Status;

/// The assumed time of a process beyond its budget, until one has been timed.
const ASSUMED_OVERHEAD: Duration = Duration::from_millis(60);
/// A shorter measured part says little, so rounds are dropped instead.
const MIN_BUDGET: Duration = Duration::from_millis(20);
/// An arm is given up after this many failures.
const MAX_FAILURES: u32 = 3;
/// How long a process may continue after the time limit of the whole run.
const OVERRUN: Duration = Duration::from_secs(3);
/// How far an adaptive run may exceed its time limit for rounds without which it can decide nothing.
const LAST_RESORT: Duration = Duration::from_secs(8);
/// The share of an adaptive run's time before its first look. The rest is for what is undecided then.
const UNTIL_FIRST_LOOK: f64 = 0.7;

pub(super) struct Schedule<'a> {
    plan: &'a Plan,
    random: fastrand::Rng,
    failures: BTreeMap<(usize, usize), u32>,
    /// Arms that no verdict needs any more.
    decided: BTreeSet<(usize, usize)>,
    /// With fewer rounds than this, the last look can decide nothing in some cell.
    deciding: u32,
    processes: u32,
    overhead: Duration,
}

impl<'a> Schedule<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            random: fastrand::Rng::with_seed(plan.seed),
            failures: BTreeMap::new(),
            decided: BTreeSet::new(),
            deciding: plan
                .cells
                .iter()
                .map(Cell::deciding_rounds)
                .max()
                .unwrap_or(0),
            processes: 0,
            overhead: Duration::ZERO,
        }
    }

    /// The (cell, arm) pairs of one round. Cells are in random order. The arms of a cell are in random order too, back
    /// to back.
    pub(super) fn order(&mut self) -> Vec<(usize, usize)> {
        let mut cells: Vec<usize> = (0..self.plan.cells.len()).collect();
        self.random.shuffle(&mut cells);
        let mut order = Vec::new();
        for cell in cells {
            let mut arms: Vec<usize> = (0..self.plan.cells[cell].arms.len()).collect();
            self.random.shuffle(&mut arms);
            order.extend(arms.into_iter().map(|arm| (cell, arm)));
        }
        order
    }

    /// The budget of each process of this round, such that all remaining rounds fit; `None` if not even short ones do.
    /// The first round always takes place.
    pub(super) fn budget(&self, round: u32, elapsed: Duration) -> Option<Duration> {
        let effort = &self.plan.effort;
        let Some(time_box) = self.time_box(round) else {
            return Some(effort.budget);
        };
        let arms = self.plan.round_size() - self.left_out_count();
        let processes = u32::try_from(arms.max(1)).unwrap_or(u32::MAX);
        let overhead = match self.processes {
            0 => ASSUMED_OVERHEAD,
            measured => self.overhead / measured,
        };
        let shortest = MIN_BUDGET.min(effort.budget);
        let look = effort.next_look(round);
        // Take as many of the rounds until the next look as fit with the shortest budget, then make them as long as
        // possible.
        let fitting = |time: Duration| {
            let left = time.saturating_sub(elapsed);
            (1..=look - round)
                .rev()
                .map(|rounds| (left / processes / rounds).saturating_sub(overhead))
                .find(|budget| *budget >= shortest)
                .map(|budget| budget.min(effort.budget))
        };
        let first = look < effort.rounds && effort.next_look(0) == look;
        first
            .then(|| fitting(effort.time_box?.mul_f64(UNTIL_FIRST_LOOK)))
            .flatten()
            .or_else(|| fitting(effort.time_box?))
            .or_else(|| fitting(time_box))
            .or_else(|| (round == 0).then_some(shortest))
    }

    /// The time at which a round must stop.
    fn time_box(&self, round: u32) -> Option<Duration> {
        let effort = &self.plan.effort;
        let more = effort.adaptive && !effort.intervals_only && round < self.deciding;
        let time_box = effort.time_box?;
        Some(if more {
            time_box + LAST_RESORT
        } else {
            time_box
        })
    }

    /// How long the next process of this round may run; `None` if the time limit has passed.
    pub(super) fn limit(&self, round: u32, elapsed: Duration) -> Option<Duration> {
        let effort = &self.plan.effort;
        match self.time_box(round) {
            None => Some(effort.limit),
            Some(time_box) if elapsed >= time_box => None,
            Some(time_box) => Some(effort.limit.min(time_box - elapsed + OVERRUN)),
        }
    }

    /// Records that a process with the budget `budget` took `whole`.
    pub(super) fn took(&mut self, whole: Duration, budget: Duration) {
        self.processes += 1;
        self.overhead += whole.saturating_sub(budget);
    }

    /// Whether this arm failed too often to be run again.
    pub(super) fn given_up(&self, cell: usize, arm: usize) -> bool {
        self.failures
            .get(&(cell, arm))
            .is_some_and(|&failures| failures >= MAX_FAILURES)
    }

    /// Stops measuring this arm, because no verdict needs it any more.
    pub(super) fn decide(&mut self, cell: usize, arm: usize) {
        self.decided.insert((cell, arm));
    }

    /// Whether this arm is not run any more, for whatever reason.
    pub(super) fn left_out(&self, cell: usize, arm: usize) -> bool {
        self.decided.contains(&(cell, arm)) || self.given_up(cell, arm)
    }

    /// Whether nothing is left to run.
    pub(super) fn is_done(&self) -> bool {
        self.left_out_count() == self.plan.round_size()
    }

    fn left_out_count(&self) -> usize {
        let cells = self.plan.cells.iter().enumerate();
        cells
            .flat_map(|(cell, what)| (0..what.arms.len()).map(move |arm| (cell, arm)))
            .filter(|&(cell, arm)| self.left_out(cell, arm))
            .count()
    }

    /// Records how a run ended; returns true if its arm is given up because of this.
    pub(super) fn failed(&mut self, cell: usize, arm: usize, status: Status) -> bool {
        let weight = match status {
            Status::Ok => return false,
            // These would end the same way again, and a time-out costs much time.
            Status::NotInstalled | Status::Refused | Status::TimedOut => MAX_FAILURES,
            Status::WrongAnswer | Status::Crashed => 1,
        };
        let failures = self.failures.entry((cell, arm)).or_default();
        *failures += weight;
        *failures >= MAX_FAILURES
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::compare::arms::Arm;
    use crate::compare::effort::Effort;
    use crate::registry::{Group, Mode, Workload};
    use crate::results::Role;

    fn plan(cells: usize, rounds: u32, time_box: Option<u64>) -> Plan {
        let cell = Cell {
            workload: Workload {
                name: "w",
                group: Group::Cpu,
                mode: Mode::Batch,
                about: "",
                op: "",
                parameters: &[],
                metric: "wall_ns_per_op",
            },
            params: BTreeMap::new(),
            arms: ["a", "b", "c", "a"]
                .iter()
                .map(|&runtime| Arm {
                    runtime,
                    policy: None,
                    knobs: BTreeMap::new(),
                    without: Default::default(),
                    workers: 2,
                    binary: None,
                    role: Role::Arm,
                })
                .collect(),
            baselines: Vec::new(),
            best_of: Vec::new(),
        };
        Plan {
            cells: vec![cell; cells],
            absent: Vec::new(),
            effort: Effort {
                rounds,
                adaptive: false,
                margin: 0.02,
                budget: Duration::from_millis(350),
                time_box: time_box.map(Duration::from_secs),
                limit: Duration::from_secs(10),
                intervals_only: false,
            },
            seed: 1,
            sweep: None,
            binaries: BTreeMap::new(),
            recorded: Vec::new(),
            default_policies: BTreeMap::new(),
            notes: Vec::new(),
            shard: None,
        }
    }

    #[test]
    fn every_arm_runs_once_a_round_next_to_the_others_of_its_cell() {
        let plan = plan(5, 3, None);
        let mut schedule = Schedule::new(&plan);
        let mut orders = BTreeSet::new();
        for _ in 0..20 {
            let order = schedule.order();
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 20);
            for cell in order.chunks(4) {
                assert!(cell.iter().all(|&(index, _)| index == cell[0].0));
            }
            orders.insert(order);
        }
        assert!(orders.len() > 1, "the order changes from round to round");
    }

    #[test]
    fn the_same_seed_gives_the_same_order() {
        let plan = plan(5, 3, None);
        assert_eq!(Schedule::new(&plan).order(), Schedule::new(&plan).order());
    }

    #[test]
    fn budgets_shrink_before_rounds_are_dropped() {
        let plan = plan(10, 7, Some(60));
        let mut schedule = Schedule::new(&plan);
        let first = schedule.budget(0, Duration::ZERO).unwrap();
        assert!(
            first < Duration::from_millis(350) && first > MIN_BUDGET,
            "{first:?}"
        );
        // 40 processes each exceed their budget by 1 s. 7 more rounds don't fit, but one does.
        for _ in 0..40 {
            schedule.took(first + Duration::from_secs(1), first);
        }
        assert!(schedule.budget(1, Duration::from_secs(10)).is_some());
        assert_eq!(schedule.budget(1, Duration::from_secs(30)), None);
        assert_eq!(schedule.limit(1, Duration::from_secs(60)), None);
    }

    #[test]
    fn without_a_time_box_nothing_shrinks() {
        let plan = plan(100, 50, None);
        let schedule = Schedule::new(&plan);
        assert_eq!(
            schedule.budget(49, Duration::from_secs(9999)),
            Some(Duration::from_millis(350))
        );
    }

    #[test]
    fn an_adaptive_run_reserves_time_for_undecided_comparisons() {
        let mut plan = plan(5, 60, Some(60));
        plan.effort.adaptive = true;
        let mut schedule = Schedule::new(&plan);
        let first = schedule.budget(0, Duration::ZERO).unwrap();
        // 12 rounds of 20 processes in 42 s, less the overhead of each process.
        assert_eq!(first, Duration::from_millis(175) - ASSUMED_OVERHEAD);
        for cell in 0..4 {
            (0..4).for_each(|arm| schedule.decide(cell, arm));
        }
        assert!(schedule.left_out(0, 3) && !schedule.left_out(4, 0) && !schedule.is_done());
        // 6 more rounds of 4 processes use the rest of the time, with the longest budget.
        let later = schedule.budget(12, Duration::from_secs(42)).unwrap();
        assert_eq!(later, Duration::from_millis(350));
        (0..4).for_each(|arm| schedule.decide(4, arm));
        assert!(schedule.is_done());
    }

    /// Bare `lab`: eight workloads, four runtimes and an A/A arm, with this overhead per process.
    fn rounds_of_the_default_matrix(overhead: Duration) -> u32 {
        let mut plan = plan(10, 60, Some(105));
        plan.effort.adaptive = true;
        let mut schedule = Schedule::new(&plan);
        let mut elapsed = Duration::ZERO;
        for round in 0..60 {
            let Some(budget) = schedule.budget(round, elapsed) else {
                return round;
            };
            for _ in 0..plan.round_size() {
                if schedule.limit(round, elapsed).is_none() {
                    return round;
                }
                elapsed += budget + overhead;
                schedule.took(budget + overhead, budget);
            }
        }
        60
    }

    #[test]
    fn the_default_matrix_has_the_rounds_that_decide() {
        // Four runtimes make six pairs, each in time and in CPU time.
        let deciding = crate::statistics::rounds_to_reject(crate::statistics::LEVEL / 12.0);
        assert_eq!(deciding, 9);
        assert!(rounds_of_the_default_matrix(Duration::from_millis(100)) >= 12);
        assert!(rounds_of_the_default_matrix(Duration::from_millis(240)) >= deciding);
    }

    #[test]
    fn the_minimum_rounds_for_a_decision_may_exceed_the_time_box() {
        let mut plan = plan(8, 60, Some(105));
        plan.effort.adaptive = true;
        let schedule = Schedule::new(&plan);
        // Three pairs with the first arm, in time and in CPU time: 2 / 2^8 is less than a sixth of a twentieth.
        assert_eq!(schedule.deciding, 8);
        let late = Duration::from_secs(107);
        assert!(schedule.budget(7, late).is_some() && schedule.limit(7, late).is_some());
        assert!(schedule.budget(8, late).is_none() && schedule.limit(8, late).is_none());
        plan.effort.adaptive = false;
        assert!(Schedule::new(&plan).budget(7, late).is_none());
    }

    #[test]
    fn an_arm_is_given_up_at_once_or_after_three_failures() {
        let plan = plan(1, 3, None);
        let mut schedule = Schedule::new(&plan);
        assert!(schedule.failed(0, 0, Status::TimedOut) && schedule.given_up(0, 0));
        assert!(!schedule.failed(0, 1, Status::Crashed));
        assert!(!schedule.failed(0, 1, Status::Ok));
        assert!(!schedule.failed(0, 1, Status::WrongAnswer));
        assert!(schedule.failed(0, 1, Status::Crashed) && schedule.given_up(0, 1));
        assert!(!schedule.given_up(0, 2));
    }
}
