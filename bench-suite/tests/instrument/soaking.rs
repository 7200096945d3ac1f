//! `lab soak` finds the leaks that it looks for.

use crate::process::{code, folder, run, stderr};

/// The tests that `main` runs.
pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_tidy_scheduler_passes", a_tidy_scheduler_passes),
    ("a_descriptor_left_is_named", a_descriptor_left_is_named),
    ("a_thread_left_is_named", a_thread_left_is_named),
    (
        "tasks_that_are_never_dropped_are_counted",
        tasks_that_are_never_dropped_are_counted,
    ),
    ("memory_that_grows_is_noticed", memory_that_grows_is_noticed),
    (
        "a_scheduler_that_can_not_be_soaked_is_wrong_usage",
        a_scheduler_that_can_not_be_soaked_is_wrong_usage,
    ),
];

fn a_tidy_scheduler_passes() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "soak",
            "--runtime",
            "tidy",
            "--duration",
            "2",
            "--seed",
            "3",
        ],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.starts_with("soaking tidy"), "{printed}");
    assert!(printed.contains("seed 3"), "{printed}");
    assert!(printed.contains("tidy: nothing is left."), "{printed}");
}

/// Soaks one of the leaky runtimes, and returns its final line.
fn found(runtime: &str, seconds: &str) -> String {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "soak",
            "--runtime",
            runtime,
            "--duration",
            seconds,
            "--seed",
            "3",
        ],
    );
    let message = stderr(&output);
    assert_eq!(code(&output), 1, "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    for part in [&format!("soak: {runtime}: "), "repeat it with --seed 3"] {
        assert!(message.contains(part), "{message}");
    }
    message
}

fn a_descriptor_left_is_named() {
    let message = found("leaks-descriptors", "2");
    assert!(
        message.contains("1 descriptor left: /dev/null after life 1"),
        "{message}"
    );
}

fn a_thread_left_is_named() {
    let message = found("leaks-threads", "2");
    assert!(
        message.contains("1 thread left: forgotten after life 1"),
        "{message}"
    );
}

fn tasks_that_are_never_dropped_are_counted() {
    let message = found("leaks-tasks", "2");
    assert!(message.contains("futures were never dropped"), "{message}");
}

fn memory_that_grows_is_noticed() {
    let message = found("leaks-memory", "8");
    assert!(message.contains("memory grows"), "{message}");
}

fn a_scheduler_that_can_not_be_soaked_is_wrong_usage() {
    let folder = folder();
    for (line, expected) in [
        (
            "soak --duration 1 --runtime tiyd",
            "unknown runtime `tiyd`; did you mean `tidy`?",
        ),
        (
            "soak --duration 1 --runtime plain",
            "unknown runtime `plain`",
        ),
        (
            "soak --duration 1 --runtime chooser --policy quik",
            "did you mean `quick`?",
        ),
        (
            "soak --duration 1 --runtime chooser --knob grain=huge",
            "there is no such grain",
        ),
        (
            "soak --duration 1 --runtime tidy --workers 0",
            "at least one worker",
        ),
        ("soak --runtime tidy", "--duration"),
    ] {
        let output = run(folder.path(), &line.split(' ').collect::<Vec<_>>());
        let message = stderr(&output);
        assert_eq!(code(&output), 2, "{line}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(expected), "{line}: {message}");
    }
}
