//! Workloads, peers, and the instrument that measures and compares runtimes.
//!
//! The `lab` command is this library with the registry of this project. Another crate brings its own runtime or workload
//! by filling a [`Registry`] and handing it to [`main`]; every command, the child process included, then works on it.

pub mod cli;
pub mod compare;
mod comparisons;
pub mod environment;
pub mod error;
pub mod launcher;
mod list;
pub mod load;
pub mod many_loops;
mod matrix;
pub mod measure;
pub mod peers;
pub mod registry;
pub mod repetitions;
pub mod report;
pub mod results;
mod scheduler_counts;
pub mod serve;
pub mod soak;
mod standard;
pub mod statistics;
mod suggest;
pub mod summary;
mod table;
mod units;
mod usage;
pub mod workloads;

use std::io::Write as _;
use std::process::ExitCode;

pub use error::CommandError;
pub use measure::Meter;
pub use registry::{Entry, Failure, Params, Registry};

use cli::{Command, Parsed};

/// Runs the command line of this process on `registry`: the whole of a `lab` binary.
///
/// Errors become one line on standard error. The exit code is 0 when done, 1 when a workload failed its check or a peer
/// crashed, 2 on wrong usage, 130 when interrupted.
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
    if let Some(code) = serve_if_asked() {
        return code;
    }
    let outcome = cli::parse(std::env::args_os()).and_then(|parsed| match parsed {
        Parsed::Run(cli) => run(&registry, *cli),
        Parsed::Print(text) => {
            // A closed pipe (`lab --help | head -1`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(())
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Does the work of a child, if this process was started as one by a workload or a runtime that needs processes of its own: the code
/// to exit with. The first thing to be called in a `main` that runs workloads without [`main`].
pub fn serve_if_asked() -> Option<ExitCode> {
    let code = load::companion::serve_if_asked();
    if code.is_none() {
        // Ends the process itself, if it is one of its own.
        many_loops::processes::serve_if_asked();
    }
    code
}

fn run(registry: &Registry, cli: cli::Cli) -> Result<(), CommandError> {
    environment::raise_descriptor_limit();
    match cli.command {
        None => compare::run(registry, &cli::CompareArgs::default()),
        Some(Command::Compare(arguments)) => compare::run(registry, &arguments),
        Some(Command::Sweep(arguments)) => compare::sweep(registry, &arguments),
        Some(Command::List(arguments)) => list::run(registry, &arguments),
        Some(Command::Peers(arguments)) => peers::external::command::run(registry, &arguments),
        Some(Command::Serve(arguments)) => serve::run(registry, &arguments),
        Some(Command::Load(arguments)) => load::run(&arguments),
        Some(Command::Report(arguments)) => report::run(&arguments),
        Some(Command::Soak(arguments)) => soak::run(registry, &arguments),
        Some(Command::Child) => compare::child::run(registry),
    }
}
