//! The certificate: the lab's measured error rates and power.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Environment, ReadError};

/// The value of [`Certificate::schema`].
pub const CERTIFICATE_SCHEMA: &str = "lab.certificate/1";

/// The name of the file in a folder of results.
const NAME: &str = "certificate.json";

/// The long form, measured for this version on the machine that it names.
const EXAMPLE: &str = include_str!("../../certificates/example.json");

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The number of times that it happened.
    pub happened: u64,
    /// The number of times that it could have happened.
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

    /// The share, from 0 to 1; 0 if `of` is 0.
    pub fn rate(self) -> f64 {
        if self.of == 0 {
            0.0
        } else {
            self.happened as f64 / self.of as f64
        }
    }
}

/// What is found of a true difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// The true difference, in percent.
    pub percent: f64,
    /// Found to be better or worse, in the correct direction.
    pub different: Share,
    /// Found to have no difference beyond the margin.
    pub equal: Share,
}

/// Synthetic tables with one kind of noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Simulated {
    /// The kind of noise.
    pub noise: String,
    /// The number of tables.
    pub tables: u64,
    /// Intervals that contain the truth.
    pub covered: Share,
    /// Tables that contain any wrong "better" or "worse".
    pub false_difference: Share,
    /// Comparisons with a true difference of at least the margin that were found to have none.
    pub false_no_difference: Share,
    /// Comparisons without a decision.
    pub not_enough_data: Share,
    /// By true difference.
    pub power: Vec<Power>,
}

/// Real processes of this build, on this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Real {
    /// The workloads, each with its runtime.
    pub workloads: Vec<String>,
    /// The number of measured processes.
    pub processes: u64,
    /// Comparisons of a program with itself that were found to differ.
    pub false_difference: Share,
    /// By the known slowdown; 0 is the program against itself.
    pub power: Vec<Power>,
}

/// A goal for a rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// The goal in words.
    pub goal: String,
    /// The count.
    pub share: Share,
    /// False if the count contradicts the goal.
    pub met: bool,
}

/// The whole certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// [`CERTIFICATE_SCHEMA`].
    pub schema: String,
    /// The machine and the build.
    pub environment: Environment,
    /// `quick` or `long`.
    pub form: String,
    /// The margin of equivalence, as ratio - 1.
    pub margin: f64,
    /// The method of judging.
    pub method: String,
    /// Results against a known truth.
    pub simulated: Vec<Simulated>,
    /// Results of the lab against itself.
    pub real: Option<Real>,
    /// The goals, and whether they are met.
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
                "is not a certificate ({error}); run `lab prove` again"
            ))
        })?;
        if certificate.schema != CERTIFICATE_SCHEMA {
            let schema = certificate.schema.escape_debug();
            return Err(refuse(format!(
                "has schema `{schema}`, not `{CERTIFICATE_SCHEMA}`"
            )));
        }
        Ok(certificate)
    }

    /// The path of the certificate in a folder.
    pub fn file_in(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// The certificate for results in `folder`: the one in the folder, otherwise the committed one.
    ///
    /// # Errors
    /// One line, if the folder contains a certificate that can't be read.
    pub fn of_folder(folder: &Path) -> Result<Self, ReadError> {
        let path = Self::file_in(folder);
        if path.exists() {
            return Self::read(&path);
        }
        serde_json::from_str(EXAMPLE).map_err(|error| {
            ReadError::new(
                &path,
                format!("does not exist, and the committed one can't be read ({error})"),
            )
        })
    }

    /// Whether every goal is met.
    pub fn holds(&self) -> bool {
        self.goals.iter().all(|goal| goal.met)
    }

    /// A line for reports.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_certificate_is_read_and_one_in_the_folder_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let committed = Certificate::of_folder(folder.path()).unwrap();
        assert!(committed.holds() && committed.form == "long");
        let own = Certificate {
            form: "quick".to_owned(),
            ..committed
        };
        let path = Certificate::file_in(folder.path());
        std::fs::write(&path, serde_json::to_vec(&own).unwrap()).unwrap();
        assert_eq!(Certificate::of_folder(folder.path()).unwrap(), own);
        std::fs::write(&path, "{").unwrap();
        let error = Certificate::of_folder(folder.path())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("certificate.json") && error.contains("is not a certificate"),
            "{error}"
        );
    }
}
