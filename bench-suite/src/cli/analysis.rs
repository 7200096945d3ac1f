//! The commands that interpret traces, and show what live tasks wait for.

use std::path::PathBuf;

use clap::Args;

/// `lab span`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab span fib-spawn --runtime mn
  lab span nqueens --size 10 --workers 2
  lab span timers --runtime n1 --json span.json
  lab span lab-trace/trace.json --runtime mn     a trace that `lab trace` wrote

Work is the total computation, span is the length of the critical path, and parallelism is their
ratio: more cores than that can't help. The burdened span adds, for each spawn, wake and join on
the critical path, the cost in this trace of moving a task to another thread. The speed-up is
predicted from a run on one worker. Of three runs each, the one with the median time counts.")]
pub struct SpanArgs {
    /// A workload to record now, or a trace.json.
    #[arg(value_name = "WORKLOAD")]
    pub subject: String,
    /// The runtime [default: mn, or the trace's first].
    #[arg(long, value_name = "R")]
    pub runtime: Option<String>,
    /// Number of places of the critical path to list.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub places: usize,
    /// Also write the figures here; `-` is standard output, and nothing else is printed there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// How the workload is recorded.
    #[command(flatten)]
    pub recording: RecordingArgs,
}

/// How a workload is recorded.
#[derive(Clone, Debug, Default, Args)]
pub struct RecordingArgs {
    /// The workload's parameter named `size`.
    #[arg(long, value_name = "N")]
    pub size: Option<String>,
    /// The value of a parameter.
    #[arg(long = "param", value_name = "KEY=V")]
    pub params: Vec<String>,
    /// Number of worker threads, for runtimes with several [default: the number of cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Records to keep for each thread, 24 bytes each [default: 2097152].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 26))]
    pub records: Option<u32>,
    /// Seed of all random input [default: 1].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
}

/// `lab diverge`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab diverge mixed --runtime n1,mn
  lab diverge pingpong --runtime mn --policy go-like,tokio-like
  lab diverge spawn-batch --runtime mn --knob steal=half,one
  lab diverge before/trace.json after/trace.json
  lab diverge lab-trace/trace.json --runtime mn,threads

Runs one program in two ways, or reads two runs, and reports the first decision that differed, its
cause and its effect. Causes: LIFO slot, blocked worker, late timer, herd, convoy, long holder,
missed batch, sleeping worker, turn, kernel.")]
pub struct DivergeArgs {
    /// A workload to record now, or one or two trace.json files.
    #[arg(value_name = "WORKLOAD", required = true, num_args = 1..=2)]
    pub subjects: Vec<String>,
    /// Runtimes: two, or one with two policies or two values of a knob [default: n1,mn, or the trace's first
    /// two].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Scheduling policies, for runtimes that have several.
    #[arg(long = "policy", value_name = "A,B", value_delimiter = ',')]
    pub policies: Vec<String>,
    /// A knob of the policy and its values.
    #[arg(long = "knob", value_name = "NAME=V1,V2")]
    pub knob: Option<String>,
    /// How the workload is recorded.
    #[command(flatten)]
    pub recording: RecordingArgs,
}

/// `lab ps`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab serve echo --runtime mn --addr 127.0.0.1:7000 --tasks 127.0.0.1:7001
  lab ps --addr 127.0.0.1:7001
  lab ps --addr 127.0.0.1:7001 --json | jq '.tasks[].name'

Asks a `lab serve` that was started with --tasks for its live tasks: where each was spawned and by
which task, what it waits for and since when, and which task holds it. If tasks wait for each
other in a circle, it names them and exits with code 1.")]
pub struct PsArgs {
    /// What `lab serve` printed as `tasks HOST:PORT`.
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: String,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}
