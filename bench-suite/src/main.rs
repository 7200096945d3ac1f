//! The `lab` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench_suite::main(bench_suite::Registry::standard())
}
