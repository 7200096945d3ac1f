//! `cargo bench`: one group per workload with the runtimes in it, for watching your own change.
//!
//! Everything runs in one process, so an earlier benchmark affects the heap and the caches. For verdicts, use `lab
//! compare`. One criterion iteration is one op of the workload. A registry function does many ops per call, so the
//! workload's own meter measures the time per op, and the bench multiplies it by the iterations that criterion asked
//! for.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use bench_suite::registry::Workload;
use bench_suite::{Entry, Failure, Meter, Params, Registry};
use criterion::{BenchmarkId, Criterion, SamplingMode};

/// The timed part of one call takes at most this long. A hundred pairs of workload and runtime, with ten samples each,
/// then fit in 15 minutes.
const MAX_NS: u64 = 50_000_000;
const MIN_NS: u64 = 2_000_000;

fn main() -> ExitCode {
    if let Some(code) = bench_suite::serve_if_asked() {
        return code;
    }
    bench_suite::environment::raise_descriptor_limit();
    let registry = Registry::standard();
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(400))
        .configure_from_args();
    for workload in &registry.workloads {
        group(&mut criterion, &registry, workload);
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}

fn group(criterion: &mut Criterion, registry: &Registry, workload: &Workload) {
    let mut group = criterion.benchmark_group(workload.name);
    // Each sample is one call of about the same length, so all samples ask for the same number of iterations.
    group.sampling_mode(SamplingMode::Flat);
    for entry in registry
        .entries
        .iter()
        .filter(|entry| entry.workload == workload.name)
        // `lab compare` measures programs in other languages, in processes of their own.
        .filter(|entry| {
            registry
                .runtime(entry.runtime)
                .is_some_and(|info| !info.external)
        })
    {
        let mut expected_ns_per_op = 1000.0;
        group.bench_function(BenchmarkId::from_parameter(entry.runtime), |bencher| {
            bencher.iter_custom(|iterations| {
                let wanted = (iterations as f64 * expected_ns_per_op) as u64;
                let budget_ns = wanted.clamp(MIN_NS, MAX_NS);
                let ns_per_op = ns_per_op(workload, entry, budget_ns).unwrap_or_else(|failure| {
                    // Criterion needs a time and there is none. No figure is better than an invented one.
                    let (workload, runtime) = (entry.workload, entry.runtime);
                    eprintln!(
                        "{workload} under {runtime}: {failure}; `cargo bench -- NAME` runs a part"
                    );
                    std::process::exit(1);
                });
                expected_ns_per_op = ns_per_op;
                Duration::from_secs_f64(ns_per_op * iterations as f64 / 1e9)
            });
        });
    }
    group.finish();
}

fn ns_per_op(workload: &Workload, entry: &Entry, budget_ns: u64) -> Result<f64, Failure> {
    let values: BTreeMap<String, u64> = workload
        .parameters
        .iter()
        .map(|parameter| (parameter.name.to_owned(), parameter.default))
        .collect();
    let params = Params {
        workers: bench_suite::environment::cores(),
        budget_ns,
        seed: 1,
        values,
        ..Params::default()
    };
    let mut meter = Meter::default();
    (entry.run)(&params, &mut meter)?;
    let ops: u64 = meter.samples.iter().map(|sample| sample.ops).sum();
    let wall_ns: u64 = meter.samples.iter().map(|sample| sample.wall_ns).sum();
    match ops {
        0 => Err(Failure::WrongAnswer("no operation was measured".to_owned())),
        _ => Ok(wall_ns as f64 / ops as f64),
    }
}
