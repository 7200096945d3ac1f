//! How much is measured, and for how long.

use std::time::Duration;

use crate::cli::{CompareArgs, SweepArgs};
use crate::statistics::LOOKS;

/// How many rounds a command measures, and how long they may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Effort {
    /// The maximum number of rounds.
    pub(crate) rounds: u32,
    /// If true, looks come after some of the rounds, and what is decided then is not measured further. Otherwise there
    /// is one look, after the last round.
    pub(crate) adaptive: bool,
    /// The length of the measured part of each process.
    pub(crate) budget: Duration,
    /// The time limit for the whole run; `None` for no limit.
    pub(crate) time_box: Option<Duration>,
    /// A process is killed after this time.
    pub(crate) limit: Duration,
    /// Gives only intervals, however many rounds there are.
    pub(crate) intervals_only: bool,
    /// Smaller differences count as none, as ratio - 1.
    pub(crate) margin: f64,
}

/// For the default matrix: a finer margin takes more rounds than fit into two minutes.
const COARSE_MARGIN: f64 = 0.05;
const MARGIN: f64 = 0.02;

impl Effort {
    /// The time for recording timelines, after everything else.
    pub(super) fn time_for_timelines(&self) -> Duration {
        // Together with everything else, this stays below half a minute, or below two minutes.
        Duration::from_secs(match self.time_box {
            Some(_) if self.intervals_only => 3,
            Some(_) => 8,
            None => 120,
        })
    }

    /// The effort of `lab compare`.
    pub(super) fn of_comparison(arguments: &CompareArgs) -> Self {
        let bare = arguments.workloads.is_empty();
        let most = LOOKS[LOOKS.len() - 1];
        let usual = Self {
            rounds: most,
            adaptive: true,
            budget: Duration::from_millis(350),
            time_box: Some(Duration::from_secs(105)),
            limit: Duration::from_secs(10),
            intervals_only: false,
            margin: if bare { COARSE_MARGIN } else { MARGIN },
        };
        let mut effort = if arguments.quick {
            Self {
                // The fewest with which a sign test can give an interval: 2 / 2^6 is less than a twentieth.
                rounds: 6,
                adaptive: false,
                budget: Duration::from_millis(100),
                time_box: Some(Duration::from_secs(23)),
                limit: Duration::from_secs(5),
                intervals_only: true,
                ..usual
            }
        } else if arguments.full {
            Self {
                budget: Duration::from_secs(1),
                time_box: None,
                limit: Duration::from_secs(60),
                margin: MARGIN,
                ..usual
            }
        } else {
            usual
        };
        if let Some(rounds) = arguments.rounds {
            effort.rounds = rounds;
            effort.adaptive = false;
            if !arguments.quick {
                effort.time_box = None;
                effort.limit = effort.limit.max(Duration::from_secs(30));
            }
        }
        if let Some(budget_ms) = arguments.budget_ms {
            effort.budget = Duration::from_millis(budget_ms);
            // The parts that are not measured, such as start-up and warm-up, keep their usual limit.
            effort.limit += effort.budget;
        }
        if let Some(percent) = arguments.margin {
            effort.margin = percent / 100.0;
        }
        effort
    }

    /// The effort of `lab sweep`. A matrix shows where to look closer, so it has many cells and few rounds.
    pub(super) fn of_sweep(arguments: &SweepArgs) -> Self {
        let mut effort = Self {
            rounds: 5,
            adaptive: false,
            budget: Duration::from_millis(200),
            time_box: None,
            limit: Duration::from_secs(30),
            intervals_only: false,
            margin: MARGIN,
        };
        if arguments.quick {
            effort.rounds = 2;
            effort.budget = Duration::from_millis(50);
            effort.intervals_only = true;
        }
        if let Some(rounds) = arguments.rounds {
            effort.rounds = rounds;
        }
        effort
    }

    /// The effort of a comparison of latencies of `workloads` workloads. Processes are longer, because a percentile
    /// needs many requests.
    pub(crate) fn of_latency(quick: bool, rounds: Option<u32>, workloads: usize) -> Self {
        let workloads = u32::try_from(workloads.max(1)).unwrap_or(u32::MAX);
        let mut effort = Self {
            rounds: LOOKS[1],
            adaptive: true,
            budget: Duration::from_millis(500),
            time_box: Some(Duration::from_secs(120).saturating_mul(workloads)),
            limit: Duration::from_secs(60),
            intervals_only: false,
            margin: COARSE_MARGIN,
        };
        if quick {
            effort.rounds = 3;
            effort.adaptive = false;
            effort.budget = Duration::from_millis(200);
            effort.intervals_only = true;
        }
        if let Some(rounds) = rounds {
            effort.rounds = rounds;
            effort.adaptive = false;
            effort.time_box = None;
        }
        effort
    }

    /// The same effort for processes of this length. The time limit grows accordingly.
    pub(crate) fn with_budget(self, budget: Duration) -> Self {
        let longer = budget.as_secs_f64() / self.budget.as_secs_f64();
        Self {
            budget,
            time_box: self.time_box.map(|time_box| time_box.mul_f64(longer)),
            ..self
        }
    }

    /// The number of rounds at the next look, after `round` rounds.
    pub(super) fn next_look(&self, round: u32) -> u32 {
        LOOKS
            .into_iter()
            .find(|&look| self.adaptive && look > round && look < self.rounds)
            .unwrap_or(self.rounds)
    }

    /// Whether a look that is not the last one comes after `rounds` rounds.
    pub(super) fn is_interim(&self, rounds: u32) -> bool {
        self.adaptive && rounds < self.rounds && LOOKS.contains(&rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_processes_have_a_longer_whole() {
        let usual = Effort::of_latency(false, None, 2);
        assert_eq!(usual.time_box, Some(Duration::from_secs(240)));
        let longer = usual.with_budget(Duration::from_secs(1));
        assert_eq!(longer.budget, Duration::from_secs(1));
        assert_eq!(longer.time_box, Some(Duration::from_secs(480)));
        assert_eq!(Effort::of_latency(false, Some(9), 2).time_box, None);
    }

    #[test]
    fn a_budget_applies_to_each_process_and_excludes_overhead() {
        let effort = Effort::of_comparison(&CompareArgs {
            budget_ms: Some(50_000),
            ..CompareArgs::default()
        });
        assert_eq!(effort.budget, Duration::from_secs(50));
        assert_eq!(effort.limit, Duration::from_secs(60));
    }
}
