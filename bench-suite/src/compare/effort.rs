//! How much is measured, and for how long.

use std::time::Duration;

use crate::cli::{CompareArgs, SweepArgs};
use crate::statistics::LOOKS;

/// How long everything may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Effort {
    /// At most.
    pub(crate) rounds: u32,
    /// Looks come after some of the rounds, and what is decided then is not measured any more. Otherwise there is one
    /// look, after the last round.
    pub(crate) adaptive: bool,
    /// Of each process, for the measured part.
    pub(crate) budget: Duration,
    /// Of the whole; `None` takes what it takes.
    pub(crate) time_box: Option<Duration>,
    /// After which a process is killed.
    pub(crate) limit: Duration,
    /// Intervals only, whatever the rounds.
    pub(crate) intervals_only: bool,
    /// Differences smaller than this are none, as ratio - 1.
    pub(crate) margin: f64,
}

/// For the default matrix: finer takes more rounds than two minutes have.
const COARSE_MARGIN: f64 = 0.05;
const MARGIN: f64 = 0.02;

impl Effort {
    /// What `lab compare` takes.
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
                // As many as an interval from signs takes: 2 / 2^6 is less than a twentieth.
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
        if let Some(percent) = arguments.margin {
            effort.margin = percent / 100.0;
        }
        effort
    }

    /// What `lab sweep` takes: a matrix is for finding where to look, so that its cells are many and its rounds few.
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

    /// What a comparison of latencies takes, for each of so many workloads: processes are longer, as a percentile takes
    /// many requests.
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

    /// The same for processes of this length, with a whole that is longer by as much.
    pub(crate) fn with_budget(self, budget: Duration) -> Self {
        let longer = budget.as_secs_f64() / self.budget.as_secs_f64();
        Self {
            budget,
            time_box: self.time_box.map(|time_box| time_box.mul_f64(longer)),
            ..self
        }
    }

    /// The number of rounds after which the next look comes if `round` rounds were made.
    pub(super) fn next_look(&self, round: u32) -> u32 {
        LOOKS
            .into_iter()
            .find(|&look| self.adaptive && look > round && look < self.rounds)
            .unwrap_or(self.rounds)
    }

    /// Whether a look comes after `rounds` rounds that is not the last one.
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
}
