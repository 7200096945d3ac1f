//! The `lab` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench_suite::main_of(
        bench_suite::Build::of_this_project(),
        bench_suite::Registry::standard(),
    )
}
