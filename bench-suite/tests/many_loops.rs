//! Loops in processes, measured as `lab compare` does it, by a child that is the parent of the loops. `workloads.rs`
//! measures loops on threads, with all other runtimes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use bench_suite::Registry;
use serde_json::{Value, json};

/// The measured process's answer for a tiny run.
fn measure(workload: &str, params: &Value) -> Value {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("child")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let request = json!({
        "protocol": "lab.child/1", "workload": workload, "runtime": "n1xProc", "workers": 2,
        "policy": null, "reactor": null, "budget_ns": 50_000_000, "seed": 42, "params": params,
    });
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{request}").unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let answer = answers.last().unwrap().unwrap();
    assert!(child.wait().unwrap().success(), "{workload}");
    drop(input);
    serde_json::from_str(&answer).unwrap()
}

/// Sizes that take only a moment.
fn tiny(workload: &str, parameter: &str, default: u64) -> u64 {
    match (workload, parameter) {
        ("echo" | "http" | "mixed", "connections") => 4,
        ("mixed", "duration_ms") => 300,
        ("timers", "span_ms") => 20,
        ("fib-spawn", "size") => 12,
        ("skynet-spawn" | "hash", "size") => 3,
        ("matmul", "size") => 40,
        ("nqueens", "size") => 6,
        ("timers" | "spawn" | "spawn-batch" | "yield", "size" | "yields") => 250,
        _ => default,
    }
}

#[test]
fn every_workload_of_loops_in_processes_runs_and_counts_their_cost() {
    let registry = Registry::standard();
    let entries = registry.entries.iter();
    let names: Vec<&str> = entries
        .filter(|entry| entry.runtime == "n1xProc")
        .map(|entry| entry.workload)
        .collect();
    assert_eq!(names.len(), 12);
    for name in names {
        let workload = registry.workload(name).unwrap();
        let params: Value = workload
            .parameters
            .iter()
            .map(|p| (p.name.to_owned(), json!(tiny(name, p.name, p.default))))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let answer = measure(name, &params);
        assert_eq!(answer["type"], "result", "{name}: {answer}");
        let sample = &answer["samples"][0];
        assert!(sample["ops"].as_u64() > Some(0), "{name}: {answer}");
        assert!(sample["cpu_ns"].as_u64() > Some(0), "{name}: {answer}");
        // More than one process holds.
        assert!(
            answer["peak_rss_bytes"].as_u64() > Some(6 << 20),
            "{name}: {answer}"
        );
    }
}

/// Computing in the processes is counted, although the measuring process only waits.
#[test]
fn cpu_time_of_the_processes_is_counted() {
    let answer = measure("nqueens", &json!({"size": 11}));
    let samples = answer["samples"].as_array().unwrap();
    for sample in samples {
        let figure = |name: &str| sample[name].as_u64().unwrap();
        // A board of 11 takes at least a millisecond of computing.
        let cpu_ns_per_op = figure("cpu_ns") / figure("ops");
        assert!(cpu_ns_per_op > 500_000, "{answer}");
    }
}
