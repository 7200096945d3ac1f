//! Parts of a scheduler that are left out: arms beside the complete one, the matrix of parts, and wrong names.

use std::collections::BTreeSet;
use std::fs;

use bench_suite::results::{Results, Role, Verdict};

use crate::process::{code, folder, results, run, stderr};
use crate::schema;

/// The tests that `main` runs.
pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "an_arm_without_parts_is_compared_with_the_whole_one",
        an_arm_without_parts_is_compared_with_the_whole_one,
    ),
    (
        "the_matrix_has_all_parts_none_each_left_out_and_each_alone",
        the_matrix_has_all_parts_none_each_left_out_and_each_alone,
    ),
    (
        "a_scheduler_may_refuse_to_be_without_a_part",
        a_scheduler_may_refuse_to_be_without_a_part,
    ),
    (
        "an_unknown_part_is_one_line_with_the_parts_there_are",
        an_unknown_part_is_one_line_with_the_parts_there_are,
    ),
    ("parts_are_listed", parts_are_listed),
];

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The sets of parts that the chooser's arms leave out, each once.
fn left_out(results: &Results) -> BTreeSet<String> {
    let runs = results.runs.iter().filter(|run| run.role == Role::Arm);
    let chooser = runs.filter(|run| run.runtime == "chooser");
    chooser
        .map(|run| {
            run.config
                .without
                .iter()
                .cloned()
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

fn an_arm_without_parts_is_compared_with_the_whole_one() {
    let folder = folder();
    let line = "compare sum --runtime chooser,plain --without sharing,counters --without monitor --rounds 24";
    let output = run(folder.path(), &words(line));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    let expected = ["", "counters sharing", "monitor"].map(str::to_owned);
    assert_eq!(left_out(&results), BTreeSet::from(expected));
    let plain = || results.runs.iter().filter(|run| run.runtime == "plain");
    assert!(plain().all(|run| run.config.without.is_empty()));
    let verdicts: Vec<_> = results
        .comparisons
        .iter()
        .filter(|one| one.metric == "wall_ns_per_op" && one.role == Role::Arm)
        .filter(|one| (&*one.runtime, &*one.baseline) == ("chooser", "chooser"))
        .filter(|one| one.config.without.contains("sharing"))
        .map(|one| one.verdict)
        .collect();
    // Eight times the work, and twice as many rounds as the test needs, so that some may be disturbed.
    assert_eq!(verdicts, [Some(Verdict::Worse)]);
    let printed = String::from_utf8_lossy(&output.stdout);
    for name in ["chooser -counters -sharing", "chooser -monitor"] {
        assert!(printed.contains(name), "{name}: {printed}");
    }
}

fn the_matrix_has_all_parts_none_each_left_out_and_each_alone() {
    let folder = folder();
    let line = "sweep --ablate sum --runtime chooser --rounds 6 --json sweep.json --no-progress";
    let output = run(folder.path(), &words(line));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    let rows = [
        ("all", ""),
        ("none", "counters monitor sharing"),
        ("-counters", "counters"),
        ("-monitor", "monitor"),
        ("-sharing", "sharing"),
        ("only counters", "monitor sharing"),
        ("only monitor", "counters sharing"),
        ("only sharing", "counters monitor"),
    ];
    let expected = rows.map(|(_, left_out)| left_out.to_owned());
    assert_eq!(left_out(&results), BTreeSet::from(expected));
    let sweep = results.sweep.as_ref().unwrap();
    assert_eq!(sweep.dimensions.len(), 1);
    assert_eq!(sweep.dimensions[0].name, "parts");
    assert_eq!(sweep.dimensions[0].values, rows.map(|(name, _)| name));

    let printed = String::from_utf8_lossy(&output.stdout);
    let report = fs::read_to_string(folder.path().join("lab-out/report.html")).unwrap();
    for (name, _) in rows {
        assert!(printed.contains(name), "{name}: {printed}");
        assert!(report.contains(&format!("<td>{name}</td>")), "{name}");
    }
    for column in [
        "time/op",
        "CPU/op",
        "switches/op",
        "steals/op",
        "wake-ups/op",
        "p99",
        "ratio of CPU time",
    ] {
        assert!(printed.contains(column), "{column}: {printed}");
        assert!(report.contains(column), "{column}");
    }
    // A figure with its interval, in the row with eight times the work.
    let row = printed
        .lines()
        .find(|line| line.trim_start().starts_with("-sharing"));
    let row = row.unwrap_or_else(|| panic!("{printed}"));
    assert!(row.contains(" [") && row.contains(']'), "{row}");
    // The same in every process, apart from the precision of a histogram.
    assert!(report.contains("8.00 µs [8.00 µs, 8.00 µs]"), "{report}");

    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../schema/lab.results-1.schema.json")).unwrap();
    let text = fs::read_to_string(folder.path().join("sweep.json")).unwrap();
    let errors = schema::errors(&schema, &serde_json::from_str(&text).unwrap());
    assert!(errors.is_empty(), "{errors:#?}");
}

fn a_scheduler_may_refuse_to_be_without_a_part() {
    let folder = folder();
    let line = "sweep sum --ablate --runtime chooser --policy quick,thorough --quick --rounds 1";
    let output = run(folder.path(), &words(line));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    let refused = results.runs.iter().filter(|run| {
        run.config.policy.as_deref() == Some("thorough") && run.config.without.contains("monitor")
    });
    assert_eq!(refused.count(), 0);
    let note = "chooser with policy=thorough, without=monitor is left out: what is thorough needs a monitor";
    assert!(
        results.notes.iter().any(|one| one == note),
        "{:?}",
        results.notes
    );
}

fn an_unknown_part_is_one_line_with_the_parts_there_are() {
    let folder = folder();
    let parts = "the parts are: counters, monitor, sharing";
    for (line, expected) in [
        (
            "compare sum --runtime chooser --without wake-throtling",
            &*format!("unknown part `wake-throtling`; {parts}"),
        ),
        (
            "compare sum --runtime chooser,plain --without sharing,x",
            &*format!("unknown part `x`; {parts}"),
        ),
        (
            "compare sum --runtime chooser --without sharing,",
            &*format!("unknown part ``; {parts}"),
        ),
        (
            "compare sum --runtime plain --without sharing",
            "none of the chosen runtimes has parts that can be left out; those that have are: chooser",
        ),
        (
            "sweep sum --ablate --runtime plain",
            "none of the chosen runtimes has parts that can be left out",
        ),
        (
            "serve echo --runtime chooser --addr 127.0.0.1:0 --without wake-throtling",
            &*format!("unknown part `wake-throtling`; {parts}"),
        ),
        (
            "soak --runtime chooser --duration 1 --without wake-throtling",
            &*format!("unknown part `wake-throtling`; {parts}"),
        ),
    ] {
        let output = run(folder.path(), &words(line));
        let message = stderr(&output);
        assert_eq!(code(&output), 2, "{line}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(expected), "{line}: {message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn parts_are_listed() {
    let folder = folder();
    let printed = run(folder.path(), &["list"]);
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains("Parts that can be left out"), "{printed}");
    assert!(printed.contains("looks after the loop"), "{printed}");
    let json = run(folder.path(), &["list", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let parts = json["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[2]["name"], "sharing");
    assert_eq!(parts[2]["runtime"], "chooser");
}
