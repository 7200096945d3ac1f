//! Stored results, and the pages of them.

use std::path::PathBuf;

use clap::Args;

use super::compare::FormatArgs;
use crate::merge::Difference;

/// `lab diff`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab diff before/results.json after/results.json
  lab diff old.json new.json --margin 5

Compares each arm that is in both files, in its workload's own metric, by an exact rank-sum test;
each workload is one family. The exit code is 1 if an arm is worse by more than the margin can
explain, and 2 if the files can't be read or compared. The difference includes drift between the
two runs; `lab compare --binary` measures both builds in one run.")]
pub struct DiffArgs {
    /// The earlier results.
    #[arg(value_name = "OLD.json")]
    pub old: PathBuf,
    /// The later results.
    #[arg(value_name = "NEW.json")]
    pub new: PathBuf,
    /// Differences below this percentage count as none.
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 2.0,
        allow_negative_numbers = true
    )]
    pub margin: f64,
}

/// `lab merge`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab merge shard-*.json --json whole.json
  lab merge here.json there.json --unlike machines,kernels --json both.json --markdown table.md
  lab merge big.json --rounds-only --json small.json

Recomputes the comparisons from all rounds. Refuses results that differ in machine, kernel,
governor, allocator or versions, unless --unlike names that kind; then the results contain a
note.")]
pub struct MergeArgs {
    /// Results that `lab compare` wrote.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Write the joined results here; `-` is standard output, and nothing else is printed there.
    #[arg(long, value_name = "FILE")]
    pub json: PathBuf,
    /// Kinds of differences to accept.
    #[arg(long, value_name = "KIND,KIND", value_delimiter = ',')]
    pub unlike: Vec<Difference>,
    /// Leave out the samples and histograms within each process, for a smaller file. All rounds stay.
    #[arg(long)]
    pub rounds_only: bool,
    /// The results in other formats.
    #[command(flatten)]
    pub formats: FormatArgs,
}

/// `lab report`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab report lab-out/results.json --out lab-out
  lab report lab-out/trace.json --out lab-out      the page of timelines of a trace")]
pub struct ReportArgs {
    /// Results that `lab compare` wrote, or a trace that `lab trace` wrote.
    #[arg(value_name = "RESULTS.json")]
    pub results: PathBuf,
    /// The folder for report.html, or for a trace's timeline.html.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `lab ui`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab ui                                 on a free port of this machine; prints the address to open
  lab ui --addr 127.0.0.1:8080 --out lab-out
  lab ui --addr 0.0.0.0:8080             for anyone who has the address, on any machine

The address contains a secret. The page and `lab compare` use the same folder, so the page shows
the results of both.")]
pub struct UiArgs {
    /// The address to listen on.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub addr: String,
    /// The folder of results, for existing and new ones.
    #[arg(long, value_name = "DIR", default_value = "lab-out")]
    pub out: PathBuf,
}
