//! Comparisons and sweeps.

use std::path::PathBuf;

use clap::Args;

use super::groups::{ArmArgs, KeepArgs};

/// `lab compare`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "\
Examples:
  lab compare                                       the default matrix, under 2 minutes
  lab compare --quick                               at most 30 s, intervals only
  lab compare echo http --runtime n1,mn,tokio-mt
  lab compare fib-spawn --size 24 --rounds 20       exactly 20 processes for each
  lab compare echo --param connections=1,64,1000    one comparison for each value
  lab compare spawn --runtime mn --workers 1 --seed 7
  lab compare pingpong --runtime mn,tokio-mt --policy go-like,no-steal
  lab compare echo --runtime mn --knob lifo-slot=on,off
  lab compare --baseline tokio-mt
  lab compare echo --runtime mn --binary before=/tmp/lab-before --margin 1
  lab compare spawn --runtime mn --without wake-throttling
  lab compare --shard 2/4 --json shard-2.json       the second quarter; see lab merge
  lab compare echo --count-syscalls --markdown README-table.md

If several of n1, mn and threads are measured, the best of them is the baseline; otherwise
tokio-mt, if it takes part, or else the first runtime. One arm is measured twice in each round;
the difference between the two is the noise floor. Policies and knobs are also compared with each
other: the baseline is then the default policy, or the first one named, with the first value of
each knob. With --binary, each arm is compared with its counterpart in the first other build.

A verdict is better, worse, no difference beyond the margin, or not enough data. After 12 rounds,
decided arms stop, and the others get their time. The error rate includes these looks: at most one
family of comparisons in twenty contains a false difference. Ctrl-C ends the run, writes the
results so far, and exits with code 130.")]
pub struct CompareArgs {
    /// Workloads to measure; `lab list` shows them [default: the default matrix].
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// The runtimes and settings to measure.
    #[command(flatten)]
    pub arms: ArmArgs,
    /// The parameter named `size` of every chosen workload that has one.
    #[arg(long, value_name = "N")]
    pub size: Option<String>,
    /// Parts of the scheduler to leave out. Adds an arm beside the whole scheduler; repeat the option for more arms.
    #[arg(long, value_name = "PART,PART")]
    pub without: Vec<String>,
    /// Another build of this program. Its arms are interleaved with those of this one.
    #[arg(long = "binary", value_name = "NAME=PATH")]
    pub binaries: Vec<String>,
    /// Differences below this percentage count as none [default: 2; 5 for the default matrix].
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub margin: Option<f64>,
    /// Exact number of processes for each runtime and workload. Removes the limit on the total time.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// How long each process measures, in milliseconds [default: 350; 100 with --quick, 1000 with --full].
    #[arg(long, value_name = "N")]
    pub budget_ms: Option<u64>,
    /// At most 30 s in all; intervals only, no verdicts.
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,
    /// More and longer rounds, without a limit on the total time.
    #[arg(long)]
    pub full: bool,
    /// Write the comparisons here, one per row; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// The results in other formats.
    #[command(flatten)]
    pub formats: FormatArgs,
    /// Measure every Nth workload and setting, from the Ith on. `auto` and `auto/N` read I from a Slurm array, a
    /// Kubernetes indexed job or GNU parallel.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Count system calls and wake-ups, in a separate process for each arm.
    #[arg(long)]
    pub count_syscalls: bool,
    /// Count instructions likewise, with the processor's counters, or else with callgrind for arms with one thread.
    #[arg(long)]
    pub count_instructions: bool,
    /// Record no timelines. Without it, each arm of ours runs once more, traced and apart from the rounds: for where
    /// its time went, and for the start of its timeline in the report.
    #[arg(long)]
    pub no_timelines: bool,
    /// The seed, and where the results go.
    #[command(flatten)]
    pub keep: KeepArgs,
}

/// The results for other programs.
#[derive(Clone, Debug, Default, Args)]
pub struct FormatArgs {
    /// Write a table for a README here; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the medians and ratios here, as OpenMetrics.
    #[arg(long, value_name = "FILE")]
    pub openmetrics: Option<PathBuf>,
    /// Write the medians here, in the Bencher Metric Format.
    #[arg(long, value_name = "FILE")]
    pub bencher: Option<PathBuf>,
    /// Add a row to this CSV, which Apache Otava reads.
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Write the runs here, one row per measured process.
    #[arg(long, value_name = "FILE")]
    pub runs_csv: Option<PathBuf>,
}

/// `lab sweep`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab sweep --policy go-like,tokio-like,no-steal
  lab sweep --knob steal=half,one --knob lifo-slot=on,off --workload pingpong,spawn-batch
  lab sweep --workers 1,2,4,8 --workload fib-spawn --size 22
  lab sweep --policy go-like,random-steal --workers 2,4 --rounds 12 --json sweep.json
  lab sweep --ablate spawn-batch echo --rounds 8

With --ablate, the rows are the scheduler's parts: all, none, each left out, each alone. The lab
measures every combination as `lab compare` does: in separate processes, interleaved, in an order
drawn from the printed seed. The first combination is the baseline of the ratios.")]
pub struct SweepArgs {
    /// Workloads to measure [default: echo, spawn-batch, yield, pingpong].
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// Measure the value of each part of a scheduler: all parts, none, each one left out, each one alone.
    #[arg(long)]
    pub ablate: bool,
    /// A knob of the policy and its values; `lab list` shows them.
    #[arg(long = "knob", value_name = "NAME=V1,V2")]
    pub knobs: Vec<String>,
    /// Scheduling policies.
    #[arg(long = "policy", value_name = "A,B", value_delimiter = ',')]
    pub policies: Vec<String>,
    /// Numbers of worker threads [default: the number of cores].
    #[arg(long, value_name = "N1,N2", value_delimiter = ',')]
    pub workers: Vec<usize>,
    /// Workloads to measure: another way to name them.
    #[arg(long = "workload", value_name = "W1,W2", value_delimiter = ',')]
    pub more_workloads: Vec<String>,
    /// Runtimes [default: mn].
    #[arg(long = "runtime", value_name = "R", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// The parameter named `size` of every chosen workload that has one.
    #[arg(long, value_name = "N")]
    pub size: Option<String>,
    /// A parameter and one or more values; the lab prints a matrix for each combination.
    #[arg(long = "param", value_name = "KEY=V1,V2")]
    pub params: Vec<String>,
    /// Number of processes for each combination and workload [default: 5].
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// Two short rounds, to check that it runs.
    #[arg(long)]
    pub quick: bool,
    /// The seed, and where the results go.
    #[command(flatten)]
    pub keep: KeepArgs,
}
