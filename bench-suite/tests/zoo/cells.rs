//! Who survives what, and that every bound can be missed.

use std::process::{Command, Output};

use serde_json::Value;

use crate::UNDER_TEST;
use crate::faulty::FAULT;

pub(crate) type Test = Box<dyn FnOnce() + Send>;

/// The pathologies that a fault is planted for. Not here: what a runtime can't do wrong through the trait. A convoy
/// comes from the lock, and the polls of `FuturesUnordered` from futures-util, whose old version `lab zoo --versions`
/// catches.
const PLANTED: [&str; 18] = [
    "endless-poll",
    "blocking-call",
    "blocked-poller",
    "self-wake",
    "lifo-chain",
    "lifo-hostage",
    "priority-inversion",
    "new-connections",
    "accept-emfile",
    "emfile-spin",
    "herd",
    "idle-wakeups",
    "outside-spawns",
    "panic-storm",
    "await-chain",
    "drop-million",
    "cancelled-timers",
    "queue-bound",
];

pub(crate) fn tests() -> Vec<(String, Test)> {
    let mut tests: Vec<(String, Test)> = vec![
        (
            "ours_survive_what_they_are_built_for".to_owned(),
            Box::new(ours_survive),
        ),
        (
            "an_expected_survivor_that_fails_is_code_1".to_owned(),
            Box::new(expectations),
        ),
        (
            "unknown_names_are_refused".to_owned(),
            Box::new(unknown_names),
        ),
        (
            "a_slow_reader_is_seen_where_writes_never_wait".to_owned(),
            Box::new(slow_reader),
        ),
    ];
    for name in PLANTED {
        let test = move || {
            assert_eq!(
                mark(&zoo("faulty", name, name), "faulty", name),
                "fails",
                "{name}"
            )
        };
        tests.push((
            format!("a_planted_fault_fails_{}", name.replace('-', "_")),
            Box::new(test),
        ));
    }
    tests
}

/// `lab zoo` on `only`, with a fault planted in the runtime `faulty`.
fn lab(arguments: &[&str], fault: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["zoo", "--quick", "--no-progress", "--json", "-"])
        .args(arguments)
        .env(UNDER_TEST, "1")
        .env(FAULT, fault)
        .output()
        .unwrap()
}

fn zoo(runtimes: &str, only: &str, fault: &str) -> Value {
    let output = lab(&["--runtime", runtimes, "--only", only], fault);
    let text = String::from_utf8_lossy(&output.stdout);
    // The table for people follows the JSON.
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let value = values.next().and_then(Result::ok);
    value.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn mark<'a>(results: &'a Value, runtime: &str, pathology: &str) -> &'a str {
    let rows = results["pathologies"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == pathology).unwrap();
    let cell = &row["cells"][runtime];
    cell["verdict"]
        .as_str()
        .unwrap_or_else(|| panic!("{pathology}: {row}"))
}

fn ours_survive() {
    let both = [
        "self-wake",
        "lifo-chain",
        "priority-inversion",
        "accept-emfile",
        "mutex-convoy",
        "outside-spawns",
        "futures-unordered",
        "panic-storm",
        "await-chain",
        "drop-million",
        "cancelled-timers",
        "queue-bound",
    ];
    let parallel = [
        "blocked-poller",
        "endless-poll",
        "blocking-call",
        "lifo-hostage",
    ];
    let results = zoo(
        "n1,mn,threads",
        &[&both[..], &parallel].concat().join(","),
        "",
    );
    for name in both {
        assert_eq!(mark(&results, "n1", name), "survives", "{name} under n1");
    }
    for name in [&both[..], &parallel].concat() {
        for runtime in ["mn", "threads"] {
            assert_eq!(
                mark(&results, runtime, name),
                "survives",
                "{name} under {runtime}: {results:#}"
            );
        }
    }
    for name in parallel {
        assert_eq!(
            mark(&results, "n1", name),
            "fails",
            "{name} under n1: it has one thread"
        );
    }
}

fn slow_reader() {
    let results = zoo("n1,faulty", "slow-reader", "slow-reader");
    assert_eq!(mark(&results, "n1", "slow-reader"), "survives");
    assert_eq!(mark(&results, "faulty", "slow-reader"), "fails");
}

fn expectations() {
    let arguments = [
        "--runtime",
        "faulty",
        "--only",
        "queue-bound",
        "--expect",
        "faulty",
    ];
    let output = lab(&arguments, "queue-bound");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("queue-bound under faulty"), "{message}");
    let sound = lab(&arguments, "");
    assert_eq!(
        sound.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&sound.stderr)
    );
}

fn unknown_names() {
    for (arguments, part) in [
        (["--only", "queue-bond"], "did you mean `queue-bound`"),
        (["--runtime", "fauly"], "did you mean `faulty`"),
    ] {
        let output = lab(&arguments, "");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(
            message.contains(part) && message.lines().count() == 1,
            "{message}"
        );
    }
}
