//! Arguments that several commands take: what to measure, settings of a scheduler, and where the results go.

use std::path::PathBuf;

use clap::Args;

/// The runtimes and settings to measure.
#[derive(Clone, Debug, Default, Args)]
pub struct ArmArgs {
    /// Runtimes to measure [default: n1, mn, threads, tokio-mt].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Number of worker threads, for runtimes with several [default: the number of cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// A parameter and one or more values; the lab measures each combination.
    #[arg(long = "param", value_name = "KEY=V1,V2")]
    pub params: Vec<String>,
    /// Scheduling policies. Each is a separate arm, for runtimes that have policies.
    #[arg(long = "policy", value_name = "A,B", value_delimiter = ',')]
    pub policies: Vec<String>,
    /// A knob of the policy and its values. Each value is a separate arm, for runtimes that have the knob.
    #[arg(long = "knob", value_name = "NAME=V1,V2")]
    pub knobs: Vec<String>,
    /// The baseline: a runtime, or in `lab compare` a build named by --binary [default: the best of the models].
    #[arg(long, value_name = "NAME")]
    pub baseline: Option<String>,
}

/// The seed of a measurement, and where the results go.
#[derive(Clone, Debug, Default, Args)]
pub struct KeepArgs {
    /// Seed of the order and of all random input [default: a new one, which is printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Also write the results here; `-` is standard output, and nothing else is printed there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The folder for results.json and report.html; earlier files move to earlier/ [default: lab-out].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print no progress while measuring.
    #[arg(long)]
    pub no_progress: bool,
}

/// Settings of one scheduler.
#[derive(Clone, Debug, Default, Args)]
pub struct SchedulerArgs {
    /// The scheduling policy, for runtimes that have several.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// A knob of the policy; `lab list` shows them.
    #[arg(long = "knob", value_name = "NAME=VALUE")]
    pub knobs: Vec<String>,
    /// Parts of the scheduler to leave out; `lab list` shows them.
    #[arg(long, value_name = "PART,PART", value_delimiter = ',')]
    pub without: Vec<String>,
}
