//! Traces.

use std::path::PathBuf;

use clap::Args;

/// `lab trace`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab trace pingpong --size 1000 --out lab-trace
  lab trace mixed --runtime n1,mn,threads --out lab-trace
  lab trace echo --runtime mn --policy tokio-like --param connections=8 --out lab-trace

Records the first timed repetition, after the warm-up; all runs begin at 0. The folder contains:
  trace.json             every event (lab.trace/1)
  trace.html             the page of timelines; works offline
  trace.perfetto-trace   for https://ui.perfetto.dev
  trace.firefox.json     for https://profiler.firefox.com
If a thread has more events than --records, it drops the rest, and the files say how many.")]
pub struct TraceArgs {
    /// The workload; `lab list` shows them.
    #[arg(value_name = "WORKLOAD")]
    pub workload: String,
    /// Runtimes [default: n1, mn and threads].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// The folder for the files.
    #[arg(long, value_name = "DIR", default_value = "lab-trace")]
    pub out: PathBuf,
    /// The workload's parameter named `size`.
    #[arg(long, value_name = "N")]
    pub size: Option<String>,
    /// The value of a parameter.
    #[arg(long = "param", value_name = "KEY=V")]
    pub params: Vec<String>,
    /// Number of worker threads, for runtimes with several [default: the number of cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// The scheduling policy, for runtimes that have several.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// A knob of the policy, for runtimes that have it.
    #[arg(long = "knob", value_name = "NAME=VALUE")]
    pub knobs: Vec<String>,
    /// Records to keep for each thread, 24 bytes each [default: 1048576].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 26))]
    pub records: Option<u32>,
    /// Seed of all random input [default: 1].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
}
