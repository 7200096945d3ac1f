//! Workloads, peers, and the instrument that measures and compares runtimes.
//!
//! The `lab` command is this library with the registry of this project. Another crate brings its own runtime or
//! workload by filling a [`Registry`] and handing it to [`main`]; every command, the child process included, then
//! works on it.

mod ablation;
mod advise;
pub mod analysis;
mod answer;
mod any_runtime;
mod catalogue;
pub mod cli;
pub mod compare;
mod comparisons;
mod costs;
mod curves;
mod diff;
pub mod environment;
pub mod error;
pub mod foreign;
mod formats;
mod latency;
mod launch_request;
pub mod launcher;
mod list;
pub mod load;
pub mod many_loops;
mod matrix;
pub mod measure;
mod median_interval;
pub mod memory;
pub mod merge;
mod output;
mod parts;
pub mod peers;
pub mod prove;
pub mod provenance;
mod ps;
pub mod registry;
pub mod repetitions;
pub mod report;
pub mod results;
mod scale;
mod scheduler_counts;
pub mod serve;
pub mod soak;
mod standard;
pub mod statistics;
mod stopping;
mod suggest;
pub mod summary;
mod table;
mod terminal;
pub mod timeline;
pub mod trace;
mod ui;
mod units;
mod usage;
mod vocabulary;
pub mod workloads;
mod zoo;

use std::process::ExitCode;

pub use error::CommandError;
pub use measure::Meter;
pub use provenance::Build;
pub use registry::{Entry, Failure, Params, Registry};

use cli::{Command, Parsed};

/// Runs the command line of this process on `registry`: the whole of a `lab` binary.
///
/// Errors become one line on standard error. The exit code is 0 when done, 1 when a workload failed its check or a peer
/// crashed, 2 on wrong usage, 130 when interrupted.
///
/// Results say that nothing is known of the program's commit and dependencies; [`main_of`] takes what there is to be
/// said.
///
/// ```no_run
/// use bench_suite::Registry;
///
/// fn main() -> std::process::ExitCode {
///     let mut registry = Registry::standard();
///     registry.runtimes.retain(|runtime| runtime.ours);
///     bench_suite::main(registry)
/// }
/// ```
pub fn main(registry: Registry) -> ExitCode {
    main_of(Build::unknown(), registry)
}

/// [`main`] of a program that knows what it was built from; see [`build!`].
pub fn main_of(build: Build, registry: Registry) -> ExitCode {
    if let Some(code) = serve_if_asked() {
        return code;
    }
    let outcome = cli::parse(std::env::args_os()).and_then(|parsed| match parsed {
        Parsed::Run(cli) => run(&registry, &build, *cli),
        Parsed::Print(text) => terminal::print(&text),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Does the work of a child, if this process was started as one by a workload or a runtime that needs processes of its
/// own: the code to exit with. The first thing to be called in a `main` that runs workloads without [`main`].
pub fn serve_if_asked() -> Option<ExitCode> {
    // `SIGCHLD` may be ignored by inheritance: then every run would end without a status. It fails for no known
    // reason, and the runs tell.
    let _ = runtime_core::process::keep_ended_children();
    let code = load::companion::serve_if_asked();
    if code.is_none() {
        // Ends the process itself, if it is one of its own.
        many_loops::processes::serve_if_asked();
    }
    code
}

fn run(registry: &Registry, build: &Build, cli: cli::Cli) -> Result<(), CommandError> {
    environment::raise_descriptor_limit();
    ui::end_with_parent_if_asked();
    match cli.command {
        None => compare::run(registry, build, &cli::CompareArgs::default()),
        Some(Command::Compare(arguments)) => compare::run(registry, build, &arguments),
        Some(Command::Sweep(arguments)) => compare::sweep(registry, build, &arguments),
        Some(Command::Advise(arguments)) => advise::run(registry, build, &arguments),
        Some(Command::Latency(arguments)) => latency::latency(registry, build, &arguments),
        Some(Command::Capacity(arguments)) => latency::capacity(registry, build, &arguments),
        Some(Command::List(arguments)) => list::run(registry, &arguments),
        Some(Command::Peers(arguments)) => peers::external::command::run(registry, &arguments),
        Some(Command::Serve(arguments)) => serve::run(registry, &arguments),
        Some(Command::Load(arguments)) => load::run(&arguments),
        Some(Command::Report(arguments)) => report::run(&arguments),
        Some(Command::Ui(arguments)) => ui::run(registry, &arguments),
        Some(Command::Diff(arguments)) => diff::run(&arguments),
        Some(Command::Merge(arguments)) => merge::run(&arguments),
        Some(Command::Memory(arguments)) => memory::run(registry, build, &arguments),
        Some(Command::Scale(arguments)) => scale::run(registry, build, &arguments),
        Some(Command::Prove(arguments)) => prove::run(registry, build, &arguments),
        Some(Command::Soak(arguments)) => soak::run(registry, &arguments),
        Some(Command::Span(arguments)) => analysis::span_command::run(registry, &arguments),
        Some(Command::Diverge(arguments)) => analysis::diverge_command::run(registry, &arguments),
        Some(Command::Ps(arguments)) => ps::run(&arguments),
        Some(Command::Trace(arguments)) => trace::run(registry, &arguments),
        Some(Command::Zoo(arguments)) => zoo::run(registry, &arguments),
        Some(Command::Child) => compare::child::run(registry),
        Some(Command::ZooCell(arguments)) => zoo::cell::run(registry, &arguments),
    }
}

/// The programs in the guide for contributors, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../.github/CONTRIBUTING.md")]
struct Contributing;
