//! The certificate: how often this lab errs, and what it finds, as measured.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::results::{Environment, ReadError};
use crate::statistics::proportion_interval;

/// The value of [`Certificate::schema`].
pub const SCHEMA: &str = "lab.certificate/1";

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// So often.
    pub happened: u64,
    /// Of so many.
    pub of: u64,
}

impl Share {
    pub(crate) fn add(&mut self, happened: bool) {
        self.happened += u64::from(happened);
        self.of += 1;
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            happened: self.happened + other.happened,
            of: self.of + other.of,
        }
    }

    /// As a share of 1; 0 of nothing.
    pub fn rate(self) -> f64 {
        if self.of == 0 {
            0.0
        } else {
            self.happened as f64 / self.of as f64
        }
    }

    /// The exact 95% interval of the rate.
    pub fn interval(self) -> [f64; 2] {
        proportion_interval(self.happened, self.of).unwrap_or([0.0, 1.0])
    }
}

/// What is found of a true difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// The true difference, in percent.
    pub percent: f64,
    /// Said to be better or worse, and rightly which.
    pub different: Share,
    /// Said to be no difference beyond the margin.
    pub equal: Share,
}

/// Synthetic tables with one kind of noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Simulated {
    /// Which.
    pub noise: String,
    /// How many.
    pub tables: u64,
    /// Intervals that hold the truth.
    pub covered: Share,
    /// Tables with any wrong "better" or "worse" in them.
    pub false_difference: Share,
    /// Comparisons with a true difference of the margin or more that were said to have none.
    pub false_no_difference: Share,
    /// Comparisons left open.
    pub not_enough_data: Share,
    /// By true difference.
    pub power: Vec<Power>,
}

/// Real processes of this build, on this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Real {
    /// Which workloads, each under which runtime.
    pub workloads: Vec<String>,
    /// Measured processes.
    pub processes: u64,
    /// Comparisons of a program with itself that were said to differ.
    pub false_difference: Share,
    /// By the slowdown that was put in; 0 is the program against itself.
    pub power: Vec<Power>,
}

/// A rate and what it has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// In words.
    pub goal: String,
    /// What was counted.
    pub share: Share,
    /// True if the count does not speak against it.
    pub met: bool,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// [`SCHEMA`].
    pub schema: String,
    /// Where, and with what.
    pub environment: Environment,
    /// `quick` or `long`.
    pub form: String,
    /// Of equivalence, as ratio - 1.
    pub margin: f64,
    /// How it judges.
    pub method: String,
    /// Against a known truth.
    pub simulated: Vec<Simulated>,
    /// Against itself.
    pub real: Option<Real>,
    /// What has to hold.
    pub goals: Vec<Goal>,
}

impl Certificate {
    /// Reads a stored certificate.
    ///
    /// # Errors
    /// One line: what is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let refuse = |what: String| ReadError::new(path, what);
        let text = std::fs::read_to_string(path)
            .map_err(|error| refuse(format!("cannot be read ({error})")))?;
        let certificate: Self = serde_json::from_str(&text).map_err(|error| {
            refuse(format!(
                "is no certificate ({error}); run `lab prove` again"
            ))
        })?;
        if certificate.schema != SCHEMA {
            let schema = certificate.schema.escape_debug();
            return Err(refuse(format!("has schema `{schema}`, not `{SCHEMA}`")));
        }
        Ok(certificate)
    }

    /// Whether every goal is met.
    pub fn holds(&self) -> bool {
        self.goals.iter().all(|goal| goal.met)
    }

    /// In one line, for reports.
    pub fn summary(&self) -> String {
        let goals: Vec<String> = self
            .goals
            .iter()
            .map(|goal| {
                format!(
                    "{}: {:.1}% ({} of {})",
                    goal.goal,
                    goal.share.rate() * 100.0,
                    goal.share.happened,
                    goal.share.of
                )
            })
            .collect();
        let cpu = self.environment.cpu.as_deref().unwrap_or("unknown CPU");
        let kernel = self.environment.kernel.as_deref().unwrap_or("unknown");
        format!(
            "{} form on {cpu}, kernel {kernel}, seed {}: {}",
            self.form,
            self.environment.seed,
            goals.join("; ")
        )
    }
}

/// What the counts have to be. An error rate is held to 5%, and a goal is missed only if its exact 95% interval lies
/// beyond it: a count of a few says little. Only what is `powerful` is held to find anything.
pub(super) fn goals(simulated: &[Simulated], real: Option<&Real>, powerful: bool) -> Vec<Goal> {
    let all = |share: fn(&Simulated) -> Share| {
        simulated
            .iter()
            .map(share)
            .fold(Share::default(), Share::plus)
    };
    let at_most = |goal: &str, share: Share, most: f64| Goal {
        goal: goal.to_owned(),
        share,
        met: share.interval()[0] <= most,
    };
    let at_least = |goal: &str, share: Share, least: f64| Goal {
        goal: goal.to_owned(),
        share,
        met: share.interval()[1] >= least,
    };
    let mut goals = vec![
        at_least(
            "simulated intervals hold the truth, at least 95%",
            all(|one| one.covered),
            0.95,
        ),
        at_most(
            "simulated tables with a false difference, at most 5%",
            all(|one| one.false_difference),
            0.05,
        ),
        at_most(
            "simulated false \"no difference\", at most 5%",
            all(|one| one.false_no_difference),
            0.05,
        ),
    ];
    if let Some(real) = real {
        goals.push(at_most(
            "real A/A comparisons said to differ, at most 5%",
            real.false_difference,
            0.05,
        ));
        let at = |percent: f64| real.power.iter().find(|one| one.percent == percent);
        if let Some(power) = at(3.0).filter(|_| powerful) {
            goals.push(at_least(
                "real slowdowns of 3% found, at least 90%",
                power.different,
                0.9,
            ));
        }
        let beyond = real.power.iter().filter(|one| one.percent >= 3.0);
        let equal = beyond
            .map(|one| one.equal)
            .fold(Share::default(), Share::plus);
        goals.push(at_most(
            "real false \"no difference\", at most 5%",
            equal,
            0.05,
        ));
    }
    goals
}
