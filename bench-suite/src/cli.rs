//! The command line: the commands with examples, and one-line errors for wrong usage.

mod analysis;
mod compare;
mod duration;
mod groups;
mod measures;
mod servers;
mod stored;
mod trace;
mod under_load;
mod zoo;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};

use crate::error::CommandError;

pub use analysis::{DivergeArgs, PsArgs, RecordingArgs, SpanArgs};
pub use compare::{CompareArgs, FormatArgs, SweepArgs};
pub use groups::{ArmArgs, KeepArgs, SchedulerArgs};
pub use measures::{MemoryArgs, ProveArgs, ScaleArgs};
pub use servers::{LoadArgs, Protocol, ServeArgs, SoakArgs};
pub use stored::{DiffArgs, MergeArgs, ReportArgs, UiArgs};
pub use trace::TraceArgs;
pub use under_load::{AdviseArgs, CapacityArgs, LatencyArgs, LoadedArgs};
pub use zoo::{ZooArgs, ZooCellArgs};

/// Measures, shows and explains what concurrency runtimes cost.
#[derive(Debug, Parser)]
#[command(
    name = "lab",
    version,
    after_help = "\
Examples:
  lab                                   compare the default matrix, in under 2 minutes
  lab list                              show what can be measured
  lab compare echo --runtime mn,tokio-mt
  lab serve http --runtime n1 --addr 127.0.0.1:8080
  lab report lab-out/results.json --out lab-out
  lab diff before/results.json after/results.json
  lab prove --quick                     measure the lab's own error rates

Without a command, `lab` is `lab compare`."
)]
pub struct Cli {
    /// The command; without one, `lab` compares the default matrix.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show workloads, runtimes, policies, metrics and parameters.
    List(ListArgs),
    /// Measure runtimes against each other; print tables and verdicts, write results and a report.
    Compare(Box<CompareArgs>),
    /// Measure open-loop latency at fractions of the slowest arm's rate, and curves up to saturation.
    Latency(LatencyArgs),
    /// Find the highest rate at which each arm meets a p99 latency target.
    Capacity(CapacityArgs),
    /// Recommend a model for a service, from a measurement of its mix of waiting, computing and blocking.
    Advise(AdviseArgs),
    /// Measure one runtime with every combination of policies, knobs and workers; print a matrix.
    Sweep(SweepArgs),
    /// Show the peers in other languages: whether they are installed, their versions, and how to install them.
    Peers(PeersArgs),
    /// Run a real server under one runtime, for any client.
    Serve(ServeArgs),
    /// Generate load for a server.
    Load(LoadArgs),
    /// Start, misuse and end runtimes for a while, and check that nothing leaks.
    Soak(SoakArgs),
    /// Run programs with known pathologies under each runtime; show which runtime survives which.
    Zoo(ZooArgs),
    /// Write the report again from stored results, or the page of timelines from a stored trace.
    Report(ReportArgs),
    /// Show a comparison in the browser while it is measured.
    Ui(UiArgs),
    /// Compare two stored results from their raw rounds; exit with code 1 on a regression.
    Diff(DiffArgs),
    /// Join stored results, such as the shards of an array, and recompute the comparisons from their rounds.
    Merge(MergeArgs),
    /// Measure the memory of a waiting task: user, stacks, kernel, page tables.
    Memory(MemoryArgs),
    /// Measure the gain from more workers: speed-up, efficiency, and the universal scalability law.
    Scale(ScaleArgs),
    /// Measure the lab's own error rates and its power; write the certificate.
    Prove(ProveArgs),
    /// Record what the schedulers do in one workload, and write timelines.
    Trace(TraceArgs),
    /// Show a program's work, span and critical path, and where its time went.
    Span(SpanArgs),
    /// Find the first decision in which two runs of one program differ, and its effect.
    Diverge(DivergeArgs),
    /// Show the live tasks of a `lab serve`, what each waits for, and which task holds it.
    Ps(PsArgs),
    /// The measured process: reads one request from standard input, answers on standard output.
    #[command(hide = true)]
    Child,
    /// The process of one cell of the zoo.
    #[command(hide = true)]
    ZooCell(ZooCellArgs),
}

/// `lab list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lab list
  lab list --json | jq '.workloads[].name'")]
pub struct ListArgs {
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// `lab peers`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lab peers                              which are installed, and how to install the rest
  lab peers --check                      builds each and runs its workloads once, small
  lab peers --check go asyncio
  LAB_PEERS=my-peers lab peers           with the manifests in your own folder")]
pub struct PeersArgs {
    /// Peers to show [default: all].
    #[arg(value_name = "PEER")]
    pub peers: Vec<String>,
    /// Build them, run each of their workloads once at a small size, and check the answers.
    #[arg(long)]
    pub check: bool,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// The result of parsing the command line.
#[derive(Debug)]
pub enum Parsed {
    /// Run this command.
    Run(Box<Cli>),
    /// Print this text, such as help, and exit with code 0.
    Print(String),
}

/// Parses the command line.
///
/// # Errors
/// [`CommandError::Usage`], in one line.
pub fn parse<I>(arguments: I) -> Result<Parsed, CommandError>
where
    I: IntoIterator<Item = OsString>,
{
    match Cli::try_parse_from(arguments) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Ok(Parsed::Print(error.render().to_string()))
            }
            _ => Err(CommandError::Usage(one_line(&error))),
        },
    }
}

/// Shortens clap's paragraphs to one line for a script's log: what is wrong, and what to do.
fn one_line(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let paragraph = rendered.split("\n\n").next().unwrap_or_default();
    let what = paragraph
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let suggestion = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ]
    .into_iter()
    .find_map(|kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.clone()),
        Some(ContextValue::Strings(names)) => names.first().cloned(),
        _ => None,
    });
    match suggestion {
        Some(name) => format!("{what}; did you mean `{name}`? `--help` shows examples"),
        None => format!("{what}; `--help` shows examples"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn help_is_written_for_a_hundred_columns() {
        for command in Cli::command().get_subcommands() {
            let below = command.get_after_help().map(ToString::to_string);
            for line in below.iter().flat_map(|text| text.lines()) {
                assert!(line.len() <= 100, "{}: {line}", command.get_name());
            }
        }
    }

    fn arguments(line: &str) -> impl Iterator<Item = OsString> + '_ {
        line.split_whitespace().map(OsString::from)
    }

    fn usage(line: &str) -> String {
        match parse(arguments(line)) {
            Err(CommandError::Usage(message)) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definitions_are_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_one_line_with_a_suggestion() {
        for line in [
            "lab comapre",
            "lab compare --rouns 3",
            "lab serve htp --runtime mn --addr x:1",
        ] {
            let message = usage(line);
            assert!(!message.contains('\n'), "{message}");
            assert!(message.contains("did you mean"), "{message}");
        }
    }

    #[test]
    fn quick_and_full_exclude_each_other() {
        assert!(usage("lab compare --quick --full").contains("cannot be used with"));
    }

    #[test]
    fn help_is_not_an_error_and_shows_examples() {
        for command in [
            "", "list", "peers", "compare", "latency", "capacity", "advise", "sweep", "serve",
            "load", "soak", "report", "diff", "prove", "merge", "memory", "scale", "zoo", "span",
            "diverge", "ps", "trace", "ui",
        ] {
            let line = format!("lab {command} --help");
            match parse(arguments(&line)) {
                Ok(Parsed::Print(text)) => assert!(text.contains("Examples:"), "{text}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
