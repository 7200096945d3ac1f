//! What a comparison measures, computes and writes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use bench_suite::results::{Role, Verdict};

use crate::process::{code, folder, lab, names, results, run, stderr};
use crate::schema;

/// The tests that `main` runs.
pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "results_follow_the_published_schema",
        results_follow_the_published_schema,
    ),
    (
        "a_verdict_takes_as_many_rounds_as_its_test",
        a_verdict_takes_as_many_rounds_as_its_test,
    ),
    (
        "the_baseline_is_measured_twice",
        the_baseline_is_measured_twice,
    ),
    ("parameters_make_a_matrix", parameters_make_a_matrix),
    (
        "another_program_is_not_mistaken_for_this_one",
        another_program_is_not_mistaken_for_this_one,
    ),
    (
        "a_workload_that_prints_does_not_break_the_protocol",
        a_workload_that_prints_does_not_break_the_protocol,
    ),
    ("a_child_answers_by_hand", a_child_answers_by_hand),
];

fn results_follow_the_published_schema() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "sum",
            "faulty",
            "--runtime",
            "plain,double,crashes,missing",
            "--rounds",
            "2",
            "--seed",
            "5",
            "--json",
            "copy.json",
        ],
    );
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let schema = include_str!("../../schema/lab.results-1.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    for file in ["lab-out/results.json", "copy.json"] {
        let text = fs::read_to_string(folder.path().join(file)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let errors = schema::errors(&schema, &value);
        assert!(errors.is_empty(), "{file}: {errors:#?}");
        assert_eq!(value["environments"][0]["seed"], 5);
        // Check the schema itself: it must reject the same file without a required field, or with an invented status.
        for (pointer, damage) in [
            ("/runs/0/status", "fine"),
            ("/runs/0/wall_ns", "soon"),
            ("/schema", "lab.results/2"),
        ] {
            let mut damaged = value.clone();
            *damaged.pointer_mut(pointer).unwrap() = damage.into();
            assert!(!schema::errors(&schema, &damaged).is_empty(), "{pointer}");
        }
    }
    assert_eq!(
        names(&folder.path().join("lab-out")),
        ["report.html", "results.json"]
    );
}

fn a_verdict_takes_as_many_rounds_as_its_test() {
    let folder = folder();
    let arguments = ["compare", "sum", "--runtime", "plain,double", "--rounds"];
    let output = run(folder.path(), &[&arguments[..], &["24"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    let double = results
        .comparisons
        .iter()
        // Wall time would include everything else on the machine.
        .find(|one| one.runtime == "double" && one.metric == "cpu_ns_per_op")
        .unwrap();
    assert_eq!((double.baseline.as_str(), double.processes), ("plain", 24));
    // Twice the work in each process, and enough rounds that some may be disturbed. Only an absurd noise floor could
    // hide it.
    assert!(double.ratio.unwrap() > 1.2, "{double:?}");
    assert_ne!(double.verdict, Some(Verdict::NotEnoughData));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("signed-rank"), "{printed}");
    assert_eq!(double.interval_method.as_deref(), Some("signed-rank"));
    assert!(
        printed.trim_end().ends_with("report: lab-out/report.html"),
        "{printed}"
    );

    let output = run(folder.path(), &[&arguments[..], &["3"]].concat());
    // In time and in CPU time: 2 / 2^7 is less than 0.05 / 2.
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("not enough data; about "), "{printed}");
    let results = self::results(folder.path());
    assert!(
        results
            .comparisons
            .iter()
            .all(|one| !matches!(one.verdict, Some(Verdict::Better | Verdict::Worse)))
    );
}

fn the_baseline_is_measured_twice() {
    let folder = folder();
    let output = run(
        folder.path(),
        &["compare", "sum", "--runtime", "plain", "--rounds", "3"],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    for round in 0..3 {
        for role in [Role::Arm, Role::Repeat] {
            let runs = results
                .runs
                .iter()
                .filter(|run| run.round == round && run.role == role);
            assert_eq!(runs.count(), 1, "round {round}, {role:?}");
        }
    }
    let repeat = &results.comparisons[0];
    assert_eq!((repeat.role, repeat.verdict), (Role::Repeat, None));
    assert_eq!(
        repeat.noise_floor,
        repeat.ratio.map(|ratio| (ratio - 1.0).abs())
    );
}

fn parameters_make_a_matrix() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "sum",
            "--runtime",
            "plain",
            "--param",
            "size=1_000,2000",
            "--rounds",
            "1",
            "--quick",
        ],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let mut sizes: Vec<u64> = results(folder.path())
        .runs
        .iter()
        .map(|run| run.params["size"])
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1000, 1000, 2000, 2000]);
}

/// This test program is somebody else's: it calls `bench_suite::main` and says nothing about itself.
fn another_program_is_not_mistaken_for_this_one() {
    let folder = folder();
    let output = run(
        folder.path(),
        &["compare", "sum", "--runtime", "plain", "--rounds", "1"],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let environment = &results(folder.path()).environments[0];
    assert_eq!(environment.commit, None, "the lab's commit is not its own");
    assert!(
        environment.versions.is_empty(),
        "{:?}",
        environment.versions
    );
    assert_eq!(environment.program, None);
    // How it was compiled is still known.
    let executable = std::env::current_exe().unwrap();
    let built_in = executable.ancestors().any(|folder| {
        folder
            .file_name()
            .is_some_and(|name| *name == *environment.profile)
    });
    assert!(built_in, "{} in {executable:?}", environment.profile);
    let settings = &environment.profile_settings;
    assert_eq!(
        settings["debug-assertions"],
        cfg!(debug_assertions).to_string()
    );
    assert!(
        environment
            .lab
            .as_deref()
            .is_some_and(|lab| lab.starts_with("bench-suite "))
    );
    let command = environment.command.as_deref().unwrap();
    assert!(command.starts_with("instrument"), "{command}");
}

fn a_workload_that_prints_does_not_break_the_protocol() {
    let folder = folder();
    let output = run(
        folder.path(),
        &["compare", "prints", "--runtime", "plain", "--rounds", "1"],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

fn a_child_answers_by_hand() {
    let folder = folder();
    let mut child = lab(folder.path(), &["child"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let request = r#"{"protocol":"lab.child/1","workload":"sum","runtime":"plain","workers":2,"policy":null,"reactor":null,"budget_ns":1000000,"seed":7,"params":{"size":1000}}"#;
    writeln!(stdin, "{request}").unwrap();
    let lines: Vec<serde_json::Value> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(lines[0]["type"], "progress");
    assert_eq!(lines[1]["type"], "result");
    // Short repetitions share a sample, so a sample contains several of them.
    let ops = lines[1]["samples"][0]["ops"].as_u64().unwrap();
    assert!(ops > 0 && ops.is_multiple_of(1000), "{ops}");
    assert!(lines[1]["samples"][0]["wall_ns"].as_u64().unwrap() > 0);
    assert_eq!(lines.len(), 2);

    let output = run(folder.path(), &["child"]);
    assert_eq!(code(&output), 2, "no request on standard input");
}
