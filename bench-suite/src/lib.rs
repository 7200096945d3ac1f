//! Workloads, peers, and the lab, which measures and compares runtimes.
//!
//! The `lab` command is this library with this project's registry. To add your own runtime or workload, fill a
//! [`Registry`] and pass it to [`main`]. Every command then uses it, the child process included.

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
mod green;
mod latency;
mod launch_request;
pub mod launcher;
mod list;
pub mod load;
pub mod many_loops;
mod marks;
mod matrix;
pub mod measure;
mod median_interval;
pub mod memory;
pub mod merge;
mod narrow;
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

/// Runs this process's command line on `registry`. A `lab` binary needs nothing else.
///
/// Errors become one line on standard error. The exit code is 0 when done, 1 when a workload failed its check or a peer
/// crashed, 2 on wrong usage, 130 when interrupted.
///
/// Results then contain neither the commit nor the dependencies of your program. Use [`main_of`] to provide them.
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

/// [`main`] for a program that provides its build information; see [`build!`].
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

/// Does a child's work and returns its exit code, if a workload or a runtime started this process as its child. Call
/// this first in a `main` that runs workloads without [`main`].
pub fn serve_if_asked() -> Option<ExitCode> {
    // A parent may have set `SIGCHLD` to be ignored, and then no run would have an exit status. The call has no known
    // way to fail; if it does, the runs report it.
    let _ = runtime_core::process::keep_ended_children();
    let code = load::companion::serve_if_asked();
    if code.is_none() {
        // If this process is a child, this call does not return.
        many_loops::processes::serve_if_asked();
    }
    code
}

fn run(registry: &Registry, build: &Build, cli: cli::Cli) -> Result<(), CommandError> {
    environment::raise_descriptor_limit();
    match cli.command {
        None => compare::run(registry, build, &cli::CompareArgs::default()),
        Some(Command::Compare(arguments)) => {
            ui::end_with_parent_if_asked();
            compare::run(registry, build, &arguments)
        }
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

/// Compiles and runs the programs in the contributors' guide.
#[cfg(doctest)]
#[doc = include_str!("../../.github/CONTRIBUTING.md")]
struct Contributing;
