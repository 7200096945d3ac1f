//! Policies and knobs: as separate arms, compared with each other, swept over, and reported if they are invalid.

use std::collections::BTreeSet;
use std::fs;

use bench_suite::results::{Role, Run, Verdict};

use crate::process::{code, folder, results, run, stderr};
use crate::schema;

/// The tests that `main` runs.
pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "policies_are_compared_with_the_baseline_and_with_each_other",
        policies_are_compared_with_the_baseline_and_with_each_other,
    ),
    (
        "results_say_which_choices_were_really_in_use",
        results_say_which_choices_were_really_in_use,
    ),
    (
        "a_sweep_measures_every_combination_once_a_round",
        a_sweep_measures_every_combination_once_a_round,
    ),
    (
        "a_combination_that_the_scheduler_refuses_is_left_out_and_named",
        a_combination_that_the_scheduler_refuses_is_left_out_and_named,
    ),
    (
        "wrong_choices_are_one_line_with_the_valid_ones",
        wrong_choices_are_one_line_with_the_valid_ones,
    ),
];

fn policies_are_compared_with_the_baseline_and_with_each_other() {
    let folder = folder();
    let line = "compare sum --runtime plain,chooser --policy thorough,quick --rounds 24";
    let output = run(folder.path(), &line.split(' ').collect::<Vec<_>>());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    // Two policies, the plain runtime, and both baselines again.
    assert_eq!(results.runs.len(), 24 * 5);
    let verdicts = |baseline: &str| -> Vec<(Option<&str>, Option<Verdict>)> {
        results
            .comparisons
            .iter()
            .filter(|one| one.metric == "wall_ns_per_op" && one.baseline == baseline)
            .filter(|one| one.role == Role::Arm && one.runtime == "chooser")
            .map(|one| (one.config.policy.as_deref(), one.verdict))
            .collect()
    };
    assert_eq!(verdicts("plain").len(), 2);
    // The default is the baseline, although it was named last.
    let with_default = verdicts("chooser");
    assert_eq!(with_default.len(), 1);
    // Four times the work, and twice as many rounds as the test needs, so that some may be disturbed. Only an absurd
    // noise floor could hide it.
    assert_eq!(with_default[0], (Some("thorough"), Some(Verdict::Worse)));

    let printed = String::from_utf8_lossy(&output.stdout);
    for part in [
        "chooser (quick)",
        "chooser (thorough)",
        "choices of chooser",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let verdict = printed
        .lines()
        .find(|line| line.starts_with("sum: choices of chooser (") && line.contains("noise floor"))
        .unwrap_or_else(|| panic!("{printed}"));
    assert!(
        verdict.contains("chooser (thorough) ") && verdict.contains("x, worse ("),
        "{verdict}"
    );
    assert!(!verdict.contains("plain"), "{verdict}");
    let report = fs::read_to_string(folder.path().join("lab-out/report.html")).unwrap();
    assert!(report.contains("sum: choices of chooser"));
}

fn results_say_which_choices_were_really_in_use() {
    let folder = folder();
    let line = "compare sum --runtime plain,chooser --knob reactor=polling --rounds 1 --workers 3";
    let output = run(folder.path(), &line.split(' ').collect::<Vec<_>>());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    let of = |runtime: &str| -> &Run {
        let mut runs = results.runs.iter();
        runs.find(|run| run.runtime == runtime).unwrap()
    };
    let chooser = &of("chooser").config;
    assert_eq!(chooser.policy.as_deref(), Some("quick"), "its default");
    assert_eq!(chooser.knobs["reactor"], "polling");
    assert_eq!(chooser.reactor.as_deref(), Some("polling"));
    // There is one loop, whatever the request.
    assert_eq!((chooser.workers, chooser.workers_asked), (Some(1), Some(3)));
    // Its scheduler's counters are reported too.
    assert!(of("chooser").extra["polls"] >= 0.0);
    let plain = &of("plain").config;
    assert_eq!((&plain.policy, &plain.reactor), (&None, &None));
    assert!(plain.knobs.is_empty());
}

fn a_sweep_measures_every_combination_once_a_round() {
    let folder = folder();
    let line = "sweep --runtime chooser,plain --workload sum --policy quick,thorough --knob reactor=epoll,polling \
                --workers 2,1 --rounds 3 --seed 8 --json sweep.json";
    let output = run(folder.path(), &line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("seed 8"), "{}", stderr(&output));
    let results = results(folder.path());
    for round in 0..3 {
        let runs = || {
            results
                .runs
                .iter()
                .filter(move |run| run.round == round && run.role == Role::Arm)
        };
        let chooser: BTreeSet<_> = runs()
            .filter(|run| run.runtime == "chooser")
            .map(|run| (&run.config.policy, &run.config.knobs))
            .collect();
        assert_eq!(chooser.len(), 4, "round {round}");
        // Its only loop is not measured twice for two numbers of workers. For `plain`, the number of workers is
        // unknown.
        assert_eq!(runs().count(), 4 + 2, "round {round}");
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    for part in [
        "policy",
        "reactor",
        "ops/s",
        "CPU/op",
        "switches/op",
        "ratio of time per op",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let sweep = results.sweep.as_ref().unwrap();
    let dimensions: Vec<&str> = sweep
        .dimensions
        .iter()
        .map(|dimension| dimension.name.as_str())
        .collect();
    assert_eq!(dimensions, ["runtime", "policy", "reactor", "workers"]);
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../schema/lab.results-1.schema.json")).unwrap();
    let text = fs::read_to_string(folder.path().join("sweep.json")).unwrap();
    let errors = schema::errors(&schema, &serde_json::from_str(&text).unwrap());
    assert!(errors.is_empty(), "{errors:#?}");
    let report = fs::read_to_string(folder.path().join("lab-out/report.html")).unwrap();
    assert!(report.contains("id=\"sweep\"") && report.contains("<td>thorough</td>"));
}

fn a_combination_that_the_scheduler_refuses_is_left_out_and_named() {
    let folder = folder();
    let line = "sweep --runtime chooser --workload sum --policy quick,thorough --knob grain=coarse,fine --quick";
    let output = run(folder.path(), &line.split(' ').collect::<Vec<_>>());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    let combinations: BTreeSet<_> = results
        .runs
        .iter()
        .map(|run| (run.config.policy.clone(), run.config.knobs["grain"].clone()))
        .collect();
    assert_eq!(combinations.len(), 3);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains(
            "chooser with policy=thorough, grain=fine is left out: what is thorough can't be fine"
        ),
        "{printed}"
    );
}

fn wrong_choices_are_one_line_with_the_valid_ones() {
    let folder = folder();
    for (line, expected) in [
        (
            "compare sum --runtime chooser --policy quik",
            "unknown policy `quik`; did you mean `quick`?",
        ),
        (
            "compare sum --runtime plain --policy quick",
            "none of the chosen runtimes has the policy `quick`",
        ),
        (
            "compare sum --runtime chooser --knob grian=fine",
            "unknown knob `grian`; did you mean `grain`?",
        ),
        (
            "compare sum --runtime plain --knob grain=fine",
            "none of the chosen runtimes has the knob `grain`",
        ),
        (
            "compare sum --runtime chooser --knob grain",
            "--knob grain lacks a value; write NAME=V1,V2; `grain` takes coarse, fine",
        ),
        (
            "compare sum --runtime chooser --knob grain=coarse,huge",
            "grain=huge: there is no such grain; `grain` takes coarse, fine",
        ),
        (
            "compare sum --runtime chooser --knob grain=fine --knob grain=coarse",
            "--knob grain is given twice",
        ),
        (
            "sweep --runtime chooser --workload sum",
            "nothing to sweep over",
        ),
        (
            "sweep --runtime chooser --workload smu --policy quick",
            "did you mean `sum`?",
        ),
        (
            "sweep --runtime chooser --workload sum --workers 0,2",
            "--workers 0 is out of range",
        ),
    ] {
        let output = run(folder.path(), &line.split(' ').collect::<Vec<_>>());
        let message = stderr(&output);
        assert_eq!(code(&output), 2, "{line}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(expected), "{line}: {message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
