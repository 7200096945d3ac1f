//! What runs cost beyond time: counts, memory by purpose, more workers.

use std::fs;

use serde_json::Value;

use crate::process::{assert_code, folder, lab, results, stderr, stdout};

#[test]
fn counting_runs_in_its_own_process_and_names_what_it_cannot_count() {
    let folder = folder();
    let line = "compare spawn --size 50 --runtime n1,mn --quick --rounds 2 --no-progress \
        --count-syscalls --count-instructions --markdown t.md";
    assert_code(&lab(folder.path(), line).output().unwrap(), 0);
    let results = results(&folder.path().join("lab-out/results.json"));
    // Two arms and the A/A arm, in two rounds.
    assert_eq!(results.runs.len(), 6);
    for runtime in ["n1", "mn"] {
        let counts: Vec<_> = results
            .counts
            .iter()
            .filter(|one| one.runtime == runtime)
            .collect();
        let syscalls = counts.iter().find_map(|one| one.syscalls);
        let explained = counts.iter().all(|one| one.error.is_some());
        assert!(syscalls.is_some() || explained, "{counts:?}");
        for count in &counts {
            let all = [count.syscalls, count.wakeups, count.instructions];
            assert!(count.ops > 0 || all == [None; 3], "{count:?}");
        }
    }
    let instructions = |runtime: &str| {
        let mut counts = results.counts.iter().filter(|one| one.runtime == runtime);
        counts.find_map(|one| Some(one.instructions? / one.ops))
    };
    // Optimised and unoptimised builds differ a lot, but not as much as this.
    if let Some(each) = instructions("n1") {
        assert!(
            (50..200_000).contains(&each),
            "{each} instructions for a task"
        );
    }
    // The processor's counters cover all threads; callgrind's don't.
    let simulated = results
        .counts
        .iter()
        .filter(|one| one.counted_by == "callgrind");
    assert!(
        simulated
            .filter(|one| one.runtime == "mn")
            .all(|one| one.instructions.is_none())
    );
}

#[test]
fn memory_is_reported_by_purpose() {
    let folder = folder();
    let line = "memory --runtime n1,threads --state idle,stack --tasks 50,100,200 --rounds 2 \
        --no-progress --json m.json --markdown m.md";
    let output = lab(folder.path(), line).output().unwrap();
    assert_code(&output, 0);
    let report: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("m.json")).unwrap()).unwrap();
    assert_eq!(report["schema"], "lab.memory/1");
    let figures = report["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 4);
    let stacks = |runtime: &str| {
        let figure = figures
            .iter()
            .find(|one| one["runtime"] == runtime && one["state"] == "stack")
            .unwrap();
        assert_eq!(figure["processes"].as_array().unwrap().len(), 6);
        figure["bytes_per_task"]["grown_stack_bytes"]["estimate"]
            .as_f64()
            .unwrap()
    };
    // At least a page if each task has a stack, and nothing otherwise.
    assert!(
        stacks("threads") > 4000.0 && stacks("n1") < 1000.0,
        "{report}"
    );
    assert!(
        stdout(&output).contains("page tables"),
        "{}",
        stdout(&output)
    );
    assert!(
        fs::read_to_string(folder.path().join("m.md"))
            .unwrap()
            .contains("| threads |")
    );
    for (line, part) in [
        ("memory --runtime nn", "did you mean `n1`"),
        ("memory --tasks 5", "two different numbers"),
        ("memory --rounds 0", "--rounds 0"),
        ("memory --state idel", "did you mean `idle`"),
    ] {
        let output = lab(folder.path(), line).output().unwrap();
        assert_code(&output, 2);
        assert!(
            stderr(&output).contains(part),
            "{line}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn more_workers_are_compared_with_one_and_marked_beyond_the_cores() {
    let folder = folder();
    let line = "scale spawn --size 100 --runtime mn --workers 1,64 --rounds 2 --seed 1 --no-progress --json s.json";
    let output = lab(folder.path(), line).output().unwrap();
    assert_code(&output, 0);
    let report: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("s.json")).unwrap()).unwrap();
    let points = report["curves"][0]["points"].as_array().unwrap();
    let of = |name: &str| {
        points
            .iter()
            .map(|point| point[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("workers"), [1, 64]);
    assert_eq!(of("oversubscribed"), [false, true]);
    assert_eq!(points[0]["speed_up"], 1.0);
    assert_eq!(report["curves"][0]["law"], Value::Null);
    let text = stdout(&output);
    assert!(
        text.contains("64*") && text.contains("Too few numbers"),
        "{text}"
    );
    for (line, part) in [
        ("scale spwan", "did you mean `spawn`"),
        ("scale spawn --workers 0", "--workers 0"),
        ("scale spawn --size 0", "--size 0"),
        ("scale fib-join --runtime n1x", "did you mean"),
    ] {
        let output = lab(folder.path(), line).output().unwrap();
        assert_code(&output, 2);
        assert!(
            stderr(&output).contains(part),
            "{line}: {}",
            stderr(&output)
        );
    }
}
