//! The `lab` command with your own workload: `cargo run --release -p docs --example my_lab -- compare baton`.
// ANCHOR: lab
mod baton;

use std::process::ExitCode;

use bench_suite::workloads::{Program as _, under};
use bench_suite::{Entry, Registry};

use baton::Baton;

fn main() -> ExitCode {
    let mut registry = Registry::standard();
    registry.workloads.push(Baton::INFO);
    for (runtime, run) in [
        (
            "n1",
            under::<runtime_n1::N1, Baton> as bench_suite::registry::RunFn,
        ),
        ("mn", under::<runtime_mn::Mn, Baton>),
        ("threads", under::<runtime_threads::Threads, Baton>),
        (
            "tokio-mt",
            under::<bench_suite::peers::tokio::TokioMt, Baton>,
        ),
    ] {
        registry.entries.push(Entry {
            workload: "baton",
            runtime,
            run,
        });
    }
    bench_suite::main(registry)
}
// ANCHOR_END: lab
