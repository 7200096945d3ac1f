//! The zoo.

use std::path::PathBuf;

use clap::Args;

use super::groups::SchedulerArgs;

/// `lab zoo`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab zoo                                   every pathology under every installed runtime
  lab zoo --runtime n1,mn,threads --quick   our runtimes, small sizes
  lab zoo --only endless-poll,lifo-chain --runtime mn,tokio-mt,go
  lab zoo --json zoo.json --markdown zoo.md
  lab zoo --html zoo.html                   a page with the timeline of each failure
  lab zoo --runtime mn --without monitor    shows what the monitor is for
  lab zoo --versions                        in which releases documented faults appear

A pathology is a small program with a bound; each cell is a separate process. `ok` means within the
bound, `FAILS` that it is not, `-` that the program can't run. With --expect, the exit code is 1
if an expected pathology does not survive.")]
pub struct ZooArgs {
    /// Runtimes [default: all, those of other languages included].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Pathologies [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Small sizes.
    #[arg(long)]
    pub quick: bool,
    /// Number of worker threads, for runtimes with several.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Settings of the scheduler.
    #[command(flatten)]
    pub scheduler: SchedulerArgs,
    /// Pathologies that must survive: all under RUNTIME, or one.
    #[arg(long, value_name = "RUNTIME[:NAME]", value_delimiter = ',')]
    pub expect: Vec<String>,
    /// Reproduce documented faults with released versions of tokio, futures, Go and Node. Builds them if necessary.
    #[arg(long, conflicts_with_all = ["quick", "expect", "html"])]
    pub versions: bool,
    /// Write the table here, as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the table here, as Markdown; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write a page here, as HTML, with a timeline of each failure; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Record no timelines for the page. Without it, each cell that fails runs once more, traced, for at most 20 s.
    #[arg(long)]
    pub no_timelines: bool,
    /// Print no progress while it runs.
    #[arg(long)]
    pub no_progress: bool,
}

/// `lab zoo-cell`.
#[derive(Clone, Debug, Args)]
pub struct ZooCellArgs {
    /// The pathology.
    pub pathology: String,
    /// The runtime.
    pub runtime: String,
    /// How much of it.
    pub size: u64,
    /// Number of worker threads, for runtimes with several.
    pub workers: usize,
    /// Settings of the scheduler.
    #[command(flatten)]
    pub scheduler: SchedulerArgs,
    /// Record, and write the trace here on SIGUSR1, on an abort, and at the end.
    #[arg(long)]
    pub flight: Option<PathBuf>,
}
