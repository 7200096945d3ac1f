//! The key that distinguishes the arms of one cell.

use std::collections::{BTreeMap, BTreeSet};

use crate::results::{Comparison, Config, Role, Run};

/// The key that distinguishes the arms of one cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ArmKey {
    pub(crate) runtime: String,
    pub(crate) binary: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) knobs: BTreeMap<String, String>,
    pub(crate) without: BTreeSet<String>,
    pub(crate) workers: Option<u64>,
    pub(crate) role: Role,
}

impl ArmKey {
    /// Made from the request, because the actual configuration of a failed run is unknown.
    pub(crate) fn new(runtime: &str, config: &Config, role: Role) -> Self {
        Self {
            runtime: runtime.to_owned(),
            binary: config.binary.clone(),
            policy: config.policy.clone(),
            knobs: config.knobs.clone(),
            without: config.without.clone(),
            workers: config.workers_asked,
            role,
        }
    }

    pub(crate) fn of(run: &Run) -> Self {
        Self::new(&run.runtime, &run.config, run.role)
    }

    pub(crate) fn of_comparison(comparison: &Comparison) -> Self {
        Self::new(&comparison.runtime, &comparison.config, comparison.role)
    }

    pub(crate) fn of_baseline(comparison: &Comparison) -> Self {
        Self::new(&comparison.baseline, &comparison.baseline_config, Role::Arm)
    }

    /// The A/A twin of this arm, or the arm of this twin.
    pub(crate) fn with_role(&self, role: Role) -> Self {
        Self {
            role,
            ..self.clone()
        }
    }
}
