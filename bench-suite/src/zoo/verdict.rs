//! The result of one pathology under one runtime.

use serde::{Deserialize, Serialize};

use super::pathology::{Bound, Number};

/// A cell of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The figure keeps the bound.
    Survives { value: f64 },
    /// It does not, or there is no figure because the program died, hung or was refused a resource.
    Fails {
        value: Option<f64>,
        why: Option<String>,
    },
    /// There is nothing to run: the language lacks the feature, or the runtime is not installed.
    CannotRun { why: String },
}

impl Verdict {
    /// The verdict on a figure at `size`.
    pub(crate) fn on(bound: Bound, value: f64, size: u64) -> Self {
        if bound.holds(value, size) {
            Self::Survives { value }
        } else {
            Self::Fails {
                value: Some(value),
                why: None,
            }
        }
    }

    /// A failure without a figure.
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Fails {
            value: None,
            why: Some(why.into()),
        }
    }

    /// The mark in the table. Marks can be distinguished without colour.
    pub(crate) fn mark(&self) -> &'static str {
        match self {
            Self::Survives { .. } => "ok",
            Self::Fails { .. } => "FAILS",
            Self::CannotRun { .. } => "-",
        }
    }

    /// The figure with its unit, or the reason.
    pub(crate) fn words(&self, unit: &str) -> String {
        match self {
            Self::Survives { value } => format!("{} {unit}", Number(*value)),
            Self::Fails { value, why } => match (value, why) {
                (Some(value), _) => format!("{} {unit}", Number(*value)),
                (None, Some(why)) => why.clone(),
                (None, None) => "no figure".to_owned(),
            },
            Self::CannotRun { why } => why.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_out_of_bounds_is_a_failure_that_shows_it() {
        let bound = Bound::AtMost(0.5, "switches per lock");
        assert_eq!(Verdict::on(bound, 0.1, 1).mark(), "ok");
        let failed = Verdict::on(bound, 0.9, 1);
        assert_eq!(failed.mark(), "FAILS");
        assert_eq!(failed.words(bound.unit()), "0.90 switches per lock");
    }
}
