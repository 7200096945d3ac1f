//! The table of this project: which runtimes are in it, and with which workloads.
//!
//! This is not a unit test, because the compiler would then copy all workloads a second time.

use std::collections::HashSet;

use bench_suite::Registry;

#[test]
fn every_pair_is_named_once_and_names_what_is_listed() {
    let registry = Registry::standard();
    let mut seen = HashSet::new();
    for entry in &registry.entries {
        let (workload, runtime) = (entry.workload, entry.runtime);
        assert!(registry.workload(workload).is_some(), "{workload}");
        assert!(registry.runtime(runtime).is_some(), "{runtime}");
        assert!(seen.insert((workload, runtime)), "{workload}, {runtime}");
    }
}

#[test]
fn every_workload_has_a_size_or_connections_within_their_bounds() {
    for workload in Registry::standard().workloads {
        assert!(!workload.parameters.is_empty(), "{}", workload.name);
        for parameter in workload.parameters {
            let range = parameter.min..=parameter.max;
            assert!(range.contains(&parameter.default), "{}", parameter.name);
        }
    }
}

#[test]
fn every_peer_in_rust_is_listed_with_its_workloads() {
    let registry = Registry::standard();
    for (runtime, workload) in [
        ("epoll-loop", "echo"),
        ("pool", "matmul"),
        ("rayon", "fib-join"),
        ("smol", "pingpong"),
        ("std-blocking", "http"),
        ("tokio-mt", "mpmc"),
        ("tokio-ct", "idle"),
        ("n1xP", "yield"),
        ("n1xProc", "hash"),
        ("threads", "skynet-join"),
    ] {
        let pair = registry.entry(workload, runtime);
        assert!(pair.is_some(), "{workload} under {runtime}");
    }
    let order = |name: &str| {
        let mut names = registry.runtimes.iter().map(|info| info.name);
        names.position(|one| one == name)
    };
    assert!(
        order("threads") < order("smol"),
        "this project's own come first"
    );
}

#[test]
fn a_knobs_former_name_leads_to_a_knob() {
    let registry = Registry::standard();
    let mn = registry.runtime("mn").unwrap();
    for (former, knob) in [
        ("patience", "wake-delay"),
        ("socket-help", "io-sharing"),
        ("batch-nice", "cpu-pool-nice"),
    ] {
        assert_eq!(mn.knob_formerly(former), Some(knob));
        assert!(mn.knobs().iter().any(|one| one.name == knob), "{knob}");
    }
    assert_eq!(mn.knob_formerly("wake-delay"), None);
}

#[test]
fn every_runtime_has_a_colour_of_its_own() {
    use bench_suite::timeline;
    use bench_suite::trace::{Run, Trace};

    for info in Registry::standard().runtimes {
        let run = Run {
            runtime: info.name.to_owned(),
            ..Run::default()
        };
        let trace = Trace {
            runs: vec![run],
            ..Trace::default()
        };
        let hue = format!("\"hue\":\"{}\"", info.name.to_lowercase());
        assert!(timeline::page(&trace).contains(&hue), "{}", info.name);
    }
}
