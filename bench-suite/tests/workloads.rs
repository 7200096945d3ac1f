//! Runs every pair of the standard table at a tiny size, and asserts a correct answer and a measurement.

use bench_suite::{Meter, Params, Registry};

/// Sizes that every runtime handles in a moment, even with a thread per task.
fn tiny(workload: &str, parameter: &str, default: u64) -> u64 {
    match (workload, parameter) {
        ("echo" | "http" | "mixed", "connections") => 4,
        ("service", "connections") => 4,
        ("service", "block_percent") => 20,
        ("mixed", "duration_ms") => 300,
        ("mixed", "hogs") => 1,
        ("timers", "size") => 200,
        ("timers", "span_ms") => 20,
        ("crawl", "size") => 30,
        ("crawl", "latency_ms") => 5,
        ("crawl", "at_once") => 7,
        ("download", "size") => 200,
        ("fib-spawn" | "fib-join", "size") => 8,
        ("skynet-spawn" | "skynet-join", "size") => 2,
        ("matmul", "size") => 40,
        ("hash", "size") => 3,
        ("nqueens", "size") => 6,
        ("spawn" | "spawn-batch", "size") => 250,
        ("yield", "size" | "yields") => 20,
        ("pingpong", "size") => 100,
        ("lock" | "semaphore", "size") => 300,
        ("mutex-contended", "size") => 50,
        ("mpmc", "size") => 100,
        ("idle" | "idle-timer" | "idle-socket" | "idle-stack", "size") => 100,
        _ => default,
    }
}

fn params(registry: &Registry, workload: &str) -> Params {
    let workload = registry.workload(workload).expect("listed");
    Params {
        workers: 2,
        budget_ns: 50_000_000,
        seed: 42,
        values: workload
            .parameters
            .iter()
            .map(|p| (p.name.to_owned(), tiny(workload.name, p.name, p.default)))
            .collect(),
        ..Params::default()
    }
}

/// Runs all workloads of one runtime, which must have at least `expected` of them.
fn all_workloads_run(runtime: &str, expected: usize) {
    let registry = Registry::standard();
    let mut ran = 0;
    for entry in registry
        .entries
        .iter()
        .filter(|entry| entry.runtime == runtime)
    {
        let workload = entry.workload;
        let mut meter = Meter::default();
        let outcome = (entry.run)(&params(&registry, workload), &mut meter);
        assert_eq!(outcome, Ok(()), "{workload} under {runtime}");
        assert!(
            meter
                .samples
                .iter()
                .all(|sample| sample.ops > 0 && sample.wall_ns > 0),
            "{workload} under {runtime}: {:?}",
            meter.samples
        );
        assert!(!meter.samples.is_empty(), "{workload} under {runtime}");
        match registry.workload(workload).map(|workload| workload.metric) {
            Some("bytes_per_task") => assert!(meter.extra.contains_key("bytes_per_task")),
            Some("latency_p99_ns") => assert!(meter.latency.is_some()),
            _ => {}
        }
        ran += 1;
    }
    assert!(ran >= expected, "{ran} workloads under {runtime}");
}

macro_rules! runtimes {
    ($($name:ident: $runtime:literal, $expected:literal;)*) => {
        $(#[test]
        fn $name() {
            all_workloads_run($runtime, $expected);
        })*
    };
}

runtimes! {
    std_blocking_runs_its_workloads: "std-blocking", 2;
    epoll_loop_runs_its_workload: "epoll-loop", 1;
    pool_runs_its_workloads: "pool", 5;
    n1_runs_every_workload: "n1", 22;
    mn_runs_every_workload: "mn", 22;
    threads_runs_every_workload: "threads", 22;
    n1_green_runs_its_twins: "n1-green", 14;
    mn_green_runs_its_twins: "mn-green", 14;
    mn_green_moving_runs_its_twins: "mn-green-moving", 14;
    threads_green_runs_its_twins: "threads-green", 14;
    n1_on_threads_runs_its_workloads: "n1xP", 12;
    tokio_mt_runs_every_workload: "tokio-mt", 20;
    tokio_ct_runs_every_workload: "tokio-ct", 20;
    smol_runs_every_workload: "smol", 20;
    rayon_runs_its_workloads: "rayon", 9;
}

#[test]
fn ping_pong_runs_over_the_same_channel_everywhere() {
    let registry = Registry::standard();
    let entry = registry
        .entry("pingpong", "tokio-mt")
        .expect("in the table");
    let mut params = params(&registry, "pingpong");
    params.values.insert("same_channel".to_owned(), 1);
    assert_eq!((entry.run)(&params, &mut Meter::default()), Ok(()));
}

#[test]
fn locks_and_queues_have_their_other_forms() {
    let registry = Registry::standard();
    for (workload, form) in [("mutex-contended", "held"), ("mpmc", "alone")] {
        for runtime in ["mn", "tokio-mt", "smol"] {
            let entry = registry.entry(workload, runtime).expect("in the table");
            let mut params = params(&registry, workload);
            params.values.insert(form.to_owned(), 1);
            let outcome = (entry.run)(&params, &mut Meter::default());
            assert_eq!(outcome, Ok(()), "{workload} with {form} under {runtime}");
        }
    }
}

#[test]
fn the_open_loop_reports_the_lateness_of_the_client() {
    let registry = Registry::standard();
    let entry = registry.entry("echo", "tokio-ct").expect("in the table");
    let mut params = params(&registry, "echo");
    params.budget_ns = 200_000_000;
    params.values.insert("rate".to_owned(), 500);
    let mut meter = Meter::default();
    assert_eq!((entry.run)(&params, &mut meter), Ok(()));
    // 100 requests are due in 0.2 s.
    assert_eq!(meter.samples[0].ops, 100);
    assert!(meter.client_late_ns.is_some());
    assert!(meter.latency.is_some());
}
