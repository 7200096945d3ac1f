//! `cargo bench`: one group per workload with the runtimes in it, for watching one's own change.
//!
//! In one process, so what an earlier benchmark did to heap and caches is still there: verdicts come from
//! `lab compare`. One criterion iteration is one op of the workload. A function of the registry does many ops in one
//! call, so the time of an op is measured by the workload's own meter, and multiplied by the iterations asked for.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use bench_suite::registry::Workload;
use bench_suite::{Entry, Failure, Meter, Params, Registry};
use criterion::{BenchmarkId, Criterion, SamplingMode};

/// Of one call, for its timed part. A hundred pairs of workload and runtime, ten samples each, fit in 15 minutes.
const LONGEST_NS: u64 = 50_000_000;
const SHORTEST_NS: u64 = 2_000_000;

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
    // Every sample asks for as many iterations as the others: each is one call of about the same length.
    group.sampling_mode(SamplingMode::Flat);
    for entry in registry
        .entries
        .iter()
        .filter(|entry| entry.workload == workload.name)
        // Programs of other languages are measured in processes of their own, by `lab compare`.
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
                let budget_ns = wanted.clamp(SHORTEST_NS, LONGEST_NS);
                let ns_per_op = ns_per_op(workload, entry, budget_ns).unwrap_or_else(|failure| {
                    // Criterion wants a time, and there is none: better no figures than a made-up one.
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
