//! Wrong usage, and text that tries to act as markup or as control characters.

use std::fs;

use bench_suite::results::Status;

use crate::process::{code, folder, results, run, stderr};

/// The tests that `main` runs.
pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "wrong_usage_is_found_before_measuring",
        wrong_usage_is_found_before_measuring,
    ),
    ("the_report_escapes_its_input", the_report_escapes_its_input),
];

fn wrong_usage_is_found_before_measuring() {
    let folder = folder();
    fs::write(folder.path().join("file"), "x").unwrap();
    let cases: [(&[&str], &str); 12] = [
        (
            &["compare", "smu"],
            "unknown workload `smu`; did you mean `sum`?",
        ),
        (
            &["compare", "sum", "--runtime", "plian"],
            "did you mean `plain`?",
        ),
        (
            &["compare", "sum", "--runtime", "crashes"],
            "none of the chosen runtimes",
        ),
        (
            &["compare", "sum", "--param", "sise=1"],
            "no parameter `sise`; there are: size",
        ),
        (&["compare", "sum", "--param", "size"], "has no value"),
        (
            &["compare", "sum", "--size", "0"],
            "size=0 is out of range for sum; 1 to 1000000",
        ),
        (
            &["compare", "sum", "--size", "99999999999999999999999"],
            "is not a whole number",
        ),
        (
            &["compare", "sum", "--workers", "0"],
            "--workers 0 is out of range",
        ),
        (
            &["compare", "sum", "--rounds", "0"],
            "--rounds 0 is out of range",
        ),
        (
            &["compare", "sum", "--policy", "fair"],
            "unknown policy `fair`",
        ),
        (
            &["compare", "sum", "--out", "file/below"],
            "--out file/below: cannot be written to",
        ),
        (
            &["compare", "sum", "--json", "nowhere/x.json"],
            "--json nowhere/x.json",
        ),
    ];
    for (arguments, expected) in cases {
        let output = run(folder.path(), arguments);
        let message = stderr(&output);
        assert_eq!(code(&output), 2, "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(!folder.path().join("lab-out/results.json").exists());
    }
}

fn the_report_escapes_its_input() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "sum",
            "--runtime",
            "plain,double",
            "--rounds",
            "1",
        ],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let harmless = fs::read_to_string(folder.path().join("lab-out/report.html")).unwrap();
    let mut results = results(folder.path());
    let hostile = "</script><img src=x onerror=alert(1)>\"'";
    for run in &mut results.runs {
        run.workload = hostile.to_owned();
        run.flags = vec![hostile.to_owned()];
        run.config.policy = Some(hostile.to_owned());
        run.error = Some(hostile.to_owned());
    }
    results.runs[0].status = Status::Crashed;
    results.notes.push(hostile.to_owned());
    results.environments[0].cpu = Some(hostile.to_owned());
    results.write(&folder.path().join("hostile.json")).unwrap();
    let output = run(folder.path(), &["report", "hostile.json", "--out", "again"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let page = fs::read_to_string(folder.path().join("again/report.html")).unwrap();
    assert!(page.contains("&lt;img src=x"));
    assert!(!page.contains("<img"), "text from results became a tag");
    let scripts = |page: &str| page.matches("</script>").count();
    assert_eq!(
        scripts(&page),
        scripts(&harmless),
        "text from results ended a script"
    );
}
