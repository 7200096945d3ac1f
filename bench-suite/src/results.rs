//! Stored results, schema `lab.results/1`: what every other tool relies on.
//!
//! Units are in the field names; what is unknown is `null`, never 0. Fields are added freely, so a reader ignores those that
//! it does not know, but it is strict about those that it does: a file that is cut short or of another schema is refused with
//! one line that says so. `schema/lab.results-1.schema.json` says the same for programs in other languages.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::measure;

/// The value of the field `schema`.
pub const SCHEMA: &str = "lab.results/1";

/// A whole file of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// Where the runs were made; more than one if files were joined.
    pub environments: Vec<Environment>,
    /// One per measured process.
    pub runs: Vec<Run>,
    /// Ratios and verdicts, computed from the runs.
    pub comparisons: Vec<Comparison>,
    /// How the intervals were computed, by name.
    #[serde(default)]
    pub method: Option<String>,
    /// Things that a reader must know, such as rounds dropped for lack of time.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the workloads are, so that a report needs no registry.
    #[serde(default)]
    pub workloads: Vec<WorkloadInfo>,
    /// Pairs that were asked for and do not exist.
    #[serde(default)]
    pub absent: Vec<Absent>,
}

/// A workload that a runtime does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// The workload's name.
    pub workload: String,
    /// The runtime's name.
    pub runtime: String,
    /// Why, in a few words.
    pub reason: String,
}

/// A workload, as the registry described it when it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkloadInfo {
    /// Its name.
    pub name: String,
    /// Heading under which it stands, such as `IO-bound`.
    pub group: String,
    /// What it stresses.
    pub about: String,
    /// What one op is.
    pub op: String,
    /// The figure that verdicts are about.
    pub metric: String,
}

/// A machine and a build.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// What runs refer to it by.
    pub id: String,
    /// Model name of the processor.
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: u64,
    /// Memory of the machine.
    pub memory_bytes: Option<u64>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Compiler that built the measured program.
    pub rustc: Option<String>,
    /// Build profile.
    pub profile: String,
    /// Commit of the measured program, with `-dirty` if files were changed.
    pub commit: Option<String>,
    /// Seed of order and input.
    pub seed: u64,
    /// Versions of the crates that matter.
    pub versions: BTreeMap<String, String>,
    /// When measuring began, in seconds since 1970.
    #[serde(default)]
    pub started_unix_s: Option<u64>,
    /// The command line.
    #[serde(default)]
    pub command: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was measured, and its answer was right.
    Ok,
    /// Its check of its own answer failed.
    WrongAnswer,
    /// The process ended without an answer.
    Crashed,
    /// The process was killed because it took too long.
    TimedOut,
    /// The system refused what the size needs.
    Refused,
    /// Something it needs is not on this machine.
    NotInstalled,
}

impl Status {
    /// In plain words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::WrongAnswer => "wrong answer",
            Self::Crashed => "crashed",
            Self::TimedOut => "timed out",
            Self::Refused => "refused",
            Self::NotInstalled => "not installed",
        }
    }
}

/// What distinguishes two arms of one runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Config {
    /// Worker threads; null where each task has its own.
    pub workers: Option<u64>,
    /// Scheduling policy; null is the runtime's default.
    pub policy: Option<String>,
    /// Readiness backend.
    pub reactor: Option<String>,
    /// Memory allocator.
    pub allocator: Option<String>,
}

/// Why an arm was measured.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Role {
    /// To be compared.
    #[default]
    #[serde(rename = "arm")]
    Arm,
    /// The baseline once more: what it differs from itself by is noise.
    #[serde(rename = "a/a")]
    Repeat,
}

/// Work and time of one timed repetition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Operations.
    pub ops: u64,
    /// Time.
    pub wall_ns: u64,
    /// CPU time of the runtime under test.
    pub cpu_ns: u64,
}

/// Percentiles of latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyNs {
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest.
    pub max: u64,
}

impl From<&measure::Latency> for LatencyNs {
    fn from(latency: &measure::Latency) -> Self {
        Self {
            p50: latency.p50_ns,
            p90: latency.p90_ns,
            p99: latency.p99_ns,
            p999: latency.p999_ns,
            max: latency.max_ns,
        }
    }
}

/// How late the load generator itself was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateNs {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
}

/// One measured process. Sums are over its samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Id of its environment.
    pub environment: String,
    /// The workload's name.
    pub workload: String,
    /// The workload's parameters.
    pub params: BTreeMap<String, u64>,
    /// `open`, `closed` or `batch`.
    pub mode: String,
    /// The runtime's name.
    pub runtime: String,
    /// Why it was measured.
    #[serde(default)]
    pub role: Role,
    /// The runtime's configuration.
    pub config: Config,
    /// Which round, from 0.
    pub round: u32,
    /// How it ended.
    pub status: Status,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// `shares_cores`, `client_bound`.
    pub flags: Vec<String>,
    /// Operations.
    pub ops: Option<u64>,
    /// Time.
    pub wall_ns: Option<u64>,
    /// CPU time of the runtime under test alone.
    pub cpu_ns: Option<u64>,
    /// CPU time of the load generator.
    pub client_cpu_ns: Option<u64>,
    /// Lateness of the load generator.
    pub client_late_ns: Option<LateNs>,
    /// Peak resident memory.
    pub peak_rss_bytes: Option<u64>,
    /// Context switches because a thread waited.
    pub voluntary_switches: Option<u64>,
    /// Context switches because a thread's time was up.
    pub involuntary_switches: Option<u64>,
    /// Page faults, minor and major.
    pub page_faults: Option<u64>,
    /// The timed repetitions.
    pub samples: Vec<Sample>,
    /// Latencies.
    pub latency_ns: Option<LatencyNs>,
    /// The latencies' histogram, HdrHistogram compressed V2.
    pub histogram_hdr_base64: Option<String>,
    /// Workload-specific figures.
    pub extra: BTreeMap<String, f64>,
}

impl Run {
    /// The run's value of `metric`, per op where the name says so; `None` if the run failed or did not measure it.
    pub fn value(&self, metric: &str) -> Option<f64> {
        if self.status != Status::Ok {
            return None;
        }
        let per_op = |total: Option<u64>| match (total, self.ops) {
            (Some(total), Some(ops)) if ops > 0 => Some(total as f64 / ops as f64),
            _ => None,
        };
        match metric {
            "wall_ns_per_op" => per_op(self.wall_ns),
            "cpu_ns_per_op" => per_op(self.cpu_ns),
            "switches_per_op" => per_op(
                self.voluntary_switches
                    .zip(self.involuntary_switches)
                    .map(|(voluntary, involuntary)| voluntary + involuntary),
            ),
            "page_faults_per_op" => per_op(self.page_faults),
            "peak_rss_bytes" => self.peak_rss_bytes.map(|bytes| bytes as f64),
            "latency_p50_ns" => self.latency_ns.map(|latency| latency.p50 as f64),
            "latency_p99_ns" => self.latency_ns.map(|latency| latency.p99 as f64),
            "latency_p999_ns" => self.latency_ns.map(|latency| latency.p999 as f64),
            other => self.extra.get(other).copied(),
        }
    }
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Less of the metric than the baseline.
    #[serde(rename = "better")]
    Better,
    /// More of the metric than the baseline.
    #[serde(rename = "worse")]
    Worse,
    /// The interval holds 1, or the difference is within the noise floor.
    #[serde(rename = "no difference")]
    NoDifference,
    /// Too few processes to tell.
    #[serde(rename = "not enough data")]
    NotEnoughData,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no difference",
            Self::NotEnoughData => "not enough data",
        })
    }
}

/// One runtime against the baseline, on one workload and metric. Less is better in every metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The workload's name.
    pub workload: String,
    /// The workload's parameters.
    pub params: BTreeMap<String, u64>,
    /// `open`, `closed` or `batch`.
    pub mode: String,
    /// What is compared, such as `cpu_ns_per_op`.
    pub metric: String,
    /// The runtime's name.
    pub runtime: String,
    /// `a/a` for the baseline against itself.
    #[serde(default)]
    pub role: Role,
    /// The runtime's configuration.
    pub config: Config,
    /// The baseline's name.
    pub baseline: String,
    /// The baseline's configuration.
    pub baseline_config: Config,
    /// Processes of each that the ratio is from.
    #[serde(default)]
    pub processes: u32,
    /// runtime / baseline; null on failure.
    pub ratio: Option<f64>,
    /// 95% interval of the ratio; null from fewer than two processes.
    pub ci95: Option<[f64; 2]>,
    /// |ratio - 1| of the baseline against itself.
    pub noise_floor: Option<f64>,
    /// The verdict; null where none may be given, and then `withheld` says why.
    pub verdict: Option<Verdict>,
    /// Why there is no verdict: a flag of the runs, or `a/a`.
    #[serde(default)]
    pub withheld: Option<String>,
}

impl Results {
    /// Reads stored results.
    ///
    /// # Errors
    /// One line: what is wrong with the file, and what to do.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let text = fs::read_to_string(path).map_err(|error| ReadError {
            path: path.to_owned(),
            what: format!("cannot be read ({error}); name a results.json that `lab compare` wrote"),
        })?;
        Self::parse(&text).map_err(|what| ReadError {
            path: path.to_owned(),
            what,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // Twice: a file of another schema shall be told that, and not which of our fields it lacks.
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
            if error.is_eof() {
                format!("is cut short at line {}; measure again", error.line())
            } else {
                format!("is no JSON ({error}); name a results.json that `lab compare` wrote")
            }
        })?;
        match value.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) => {
                return Err(format!(
                    "has schema `{}`, and this lab reads `{SCHEMA}`; measure again or use the lab that wrote it",
                    other.escape_debug()
                ));
            }
            None => {
                return Err(format!(
                    "has no field `schema`, so it holds no results; name a file with `{SCHEMA}`"
                ));
            }
        }
        serde_json::from_value(value)
            .map_err(|error| format!("does not follow `{SCHEMA}` ({error}); measure again"))
    }

    /// Writes the results, whole or not at all.
    ///
    /// # Errors
    /// Those of [`write_whole`].
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string(self).map_err(io::Error::other)?;
        text.push('\n');
        write_whole(path, text.as_bytes())
    }
}

/// Replaces the file at `path` in one step: it is written beside, then renamed, so that nothing partial ever stands there.
///
/// # Errors
/// Those of creating, writing and renaming; the old file then stands as it was.
pub fn write_whole(path: &Path, contents: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::Builder::new()
        .prefix(".lab-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder_of(path))?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The folder that a file of this name stands in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Why a results file was refused.
#[derive(Debug)]
pub struct ReadError {
    path: PathBuf,
    what: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for ReadError {}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str =
        r#"{"schema":"lab.results/1","environments":[],"runs":[],"comparisons":[],"later":1}"#;

    #[test]
    fn unknown_fields_are_ignored() {
        assert!(Results::parse(EMPTY).unwrap().runs.is_empty());
    }

    #[test]
    fn a_file_cut_short_says_so_wherever_it_is_cut() {
        for end in 1..EMPTY.len() - 1 {
            let what = Results::parse(&EMPTY[..end]).unwrap_err();
            assert!(what.contains("cut short"), "{end}: {what}");
        }
    }

    #[test]
    fn another_schema_is_named() {
        let what = Results::parse(r#"{"schema":"lab.results/2"}"#).unwrap_err();
        assert!(
            what.contains("`lab.results/2`") && what.contains("`lab.results/1`"),
            "{what}"
        );
        assert!(
            Results::parse("[]")
                .unwrap_err()
                .contains("no field `schema`")
        );
        assert!(Results::parse("hello").unwrap_err().contains("no JSON"));
    }

    #[test]
    fn a_field_of_the_wrong_type_is_refused() {
        let text = EMPTY.replace(r#""runs":[]"#, r#""runs":[{"round":"x"}]"#);
        assert!(
            Results::parse(&text)
                .unwrap_err()
                .contains("does not follow")
        );
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // A folder stands under the final name: the rename fails, and nothing is left beside it.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("file"), b"x").unwrap();
        assert!(write_whole(&taken, b"new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
