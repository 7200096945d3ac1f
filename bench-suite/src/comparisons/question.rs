//! What to compare in a cell: which arms with which, and how.

use super::arm_key::ArmKey;
use crate::statistics::Looks;

/// An arm that others are compared with. It is measured twice per round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Baseline {
    pub(crate) key: ArmKey,
    pub(crate) of: Against,
}

/// Which arms are compared with a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// Every other arm.
    All,
    /// The other arms of its own runtime: one policy against another.
    OwnRuntime,
}

/// The question about a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// The common baseline comes first. Each baseline has an A/A arm.
    pub(crate) baselines: &'a [Baseline],
    /// If not empty, the best of these replaces the common baseline. All pairs with them are one family.
    pub(crate) best_of: &'a [ArmKey],
    /// The workload's own metric.
    pub(crate) metric: &'a str,
    /// The margin of equivalence, as ratio - 1.
    pub(crate) margin: f64,
    /// `None` if no verdict is sought.
    pub(crate) looks: Option<&'a Looks>,
}
