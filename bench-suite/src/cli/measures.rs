//! Commands with their own measurements: memory, scale, and the lab itself.

use std::path::PathBuf;

use clap::Args;

/// `lab memory`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab memory                                     the three models and every installed peer
  lab memory --runtime n1,mn,threads --state idle,timer
  lab memory --runtime go --tasks 10000,20000,40000 --json memory.json

Each figure is the slope over the number of tasks, so it does not include the fixed memory of a
runtime. The kernel's part is exact if this process may create a control group; otherwise it is
the growth of the whole machine.")]
pub struct MemoryArgs {
    /// Runtimes [default: n1, mn, threads, and all installed peers].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// The state of the tasks [default: all].
    #[arg(
        long = "state",
        value_name = "STATE",
        value_delimiter = ',',
        value_enum
    )]
    pub states: Vec<crate::memory::TaskState>,
    /// Numbers of tasks, at least two [default: 1000,2000,4000 with threads or sockets, else
    /// 10000,20000,40000].
    #[arg(long, value_name = "N1,N2", value_delimiter = ',')]
    pub tasks: Vec<u64>,
    /// Number of processes for each number of tasks or workers.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub rounds: u32,
    /// Write the figures here; `-` is standard output, and nothing else is printed there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the table here, as Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Print no progress while measuring.
    #[arg(long)]
    pub no_progress: bool,
}

/// `lab scale`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab scale                                      mn and tokio-mt, from 1 worker to twice the cores
  lab scale fib-spawn hash --runtime mn,pool
  lab scale spawn-batch --runtime mn --workers 1,2,4,8 --rounds 20 --json scale.json

Speed-up is the rate divided by the rate with one worker, in the same round. Efficiency is
speed-up per core in use. Rows with more workers than cores are marked. The universal scalability
law gives contention (sigma) and coherence (kappa), with intervals from a bootstrap over rounds;
it needs at least four numbers of workers.")]
pub struct ScaleArgs {
    /// Workloads to measure [default: fib-spawn, spawn-batch, hash].
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// Runtimes [default: mn, tokio-mt].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Numbers of workers; 1 is always included [default: from 1 to twice the number of cores].
    #[arg(long, value_name = "N1,N2", value_delimiter = ',')]
    pub workers: Vec<usize>,
    /// Number of processes for each number of tasks or workers.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub rounds: u32,
    /// The parameter named `size` of every chosen workload that has one.
    #[arg(long, value_name = "N")]
    pub size: Option<u64>,
    /// Seed of the order and of all random input [default: a new one, which is printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Write the figures here; `-` is standard output, and nothing else is printed there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Print no progress while measuring.
    #[arg(long)]
    pub no_progress: bool,
}

/// `lab prove`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab prove --quick                      under a minute: fewer tables, fewer processes
  lab prove                              2,000 tables and 200 blocks of processes: under 20 minutes
  lab prove --blocks 50 --out lab-out    reports written to lab-out show this certificate

First come synthetic tables with a known true ratio, with bursts, drift and two modes: how often
an interval contains the truth, and how often a verdict is wrong. Then come real processes: a
program compared with itself, and with itself slowed by 1, 3 and 10%. The exit code is 1 if an
error rate or the power misses its goal.")]
pub struct ProveArgs {
    /// A short run.
    #[arg(long)]
    pub quick: bool,
    /// Number of synthetic tables [default: 2000; 120 with --quick].
    #[arg(long, value_name = "N")]
    pub tables: Option<u32>,
    /// Blocks of real processes, which compare a program with itself, in one block of four also slowed; 0 for none
    /// [default: 200; 3 with --quick].
    #[arg(long, value_name = "N")]
    pub blocks: Option<u32>,
    /// Seed of all randomness [default: a new one, which is printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// The folder for certificate.json.
    #[arg(long, value_name = "DIR", default_value = "lab-out")]
    pub out: PathBuf,
    /// Print no progress while measuring.
    #[arg(long)]
    pub no_progress: bool,
}
