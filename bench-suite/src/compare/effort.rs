//! How much is measured, and for how long.

use std::time::Duration;

use crate::cli::{CompareArgs, SweepArgs};

/// How long everything may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effort {
    pub(super) rounds: u32,
    /// Of each process, for the measured part.
    pub(super) budget: Duration,
    /// Of the whole; `None` takes what it takes.
    pub(super) time_box: Option<Duration>,
    /// After which a process is killed.
    pub(super) limit: Duration,
    /// Intervals only, whatever the rounds.
    pub(super) intervals_only: bool,
}

impl Effort {
    /// What `lab compare` takes.
    pub(super) fn of_comparison(arguments: &CompareArgs) -> Self {
        let bare = arguments.workloads.is_empty();
        let mut effort = if arguments.quick {
            Self {
                rounds: 3,
                budget: Duration::from_millis(100),
                time_box: Some(Duration::from_secs(23)),
                limit: Duration::from_secs(5),
                intervals_only: true,
            }
        } else if arguments.full {
            Self {
                rounds: 15,
                budget: Duration::from_secs(1),
                time_box: None,
                limit: Duration::from_secs(60),
                intervals_only: false,
            }
        } else {
            Self {
                // Who names workloads has time for as many processes as a verdict needs.
                rounds: if bare { 7 } else { 12 },
                budget: Duration::from_millis(350),
                time_box: Some(Duration::from_secs(105)),
                limit: Duration::from_secs(10),
                intervals_only: false,
            }
        };
        if let Some(rounds) = arguments.rounds {
            effort.rounds = rounds;
            if !arguments.quick {
                effort.time_box = None;
                effort.limit = effort.limit.max(Duration::from_secs(30));
            }
        }
        effort
    }

    /// What `lab sweep` takes: a matrix is for finding where to look, so that its cells are many and its rounds few.
    pub(super) fn of_sweep(arguments: &SweepArgs) -> Self {
        let mut effort = Self {
            rounds: 5,
            budget: Duration::from_millis(200),
            time_box: None,
            limit: Duration::from_secs(30),
            intervals_only: false,
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
}
