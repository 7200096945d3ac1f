//! Which runtime survives what, and a check that every bound can be missed.

use std::process::{Command, Output};

use serde_json::Value;

use crate::UNDER_TEST;
use crate::faulty::FAULT;

pub(crate) type Test = Box<dyn FnOnce() + Send>;

/// The pathologies for which a fault is planted in the runtime or in its lock. The slow reader has its own test.
const PLANTED: [&str; 20] = [
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
    "mutex-convoy",
    "futures-unordered",
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
            "a_failure_has_its_timeline_in_the_page".to_owned(),
            Box::new(timelines),
        ),
        (
            "a_cell_that_is_killed_by_an_abort_leaves_its_trace".to_owned(),
            Box::new(abort),
        ),
        (
            "a_page_without_timelines_has_the_table".to_owned(),
            Box::new(no_timelines),
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

/// Runs `lab zoo` with a fault planted in the runtime `faulty`.
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
        "herd",
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
            // Under 1:1, the time depends on the load of the machine. The runtime's own tests count parks instead.
            if (runtime, name) == ("threads", "herd") {
                continue;
            }
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

/// The page, and the stored timelines.
fn page(arguments: &[&str], fault: &str) -> (String, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zoo.html");
    let arguments = [arguments, &["--html", file.to_str().unwrap()]].concat();
    let output = lab(&arguments, fault);
    let text = String::from_utf8_lossy(&output.stdout);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let results = values.next().and_then(Result::ok);
    let results = results.unwrap_or_else(|| panic!("{text}"));
    let timelines = results["timelines"].as_array().cloned().unwrap_or_default();
    (std::fs::read_to_string(file).unwrap(), timelines)
}

/// A bound that a server breaks, which the lab then ends; one that a program breaks, which ends itself; and one that is
/// kept.
fn timelines() {
    let only = "endless-poll,queue-bound,self-wake";
    let (page, timelines) = page(&["--runtime", "n1,faulty", "--only", only], "queue-bound");
    let of = |pathology: &str, runtime: &str| {
        let is_it = |it: &&Value| it["pathology"] == pathology && it["runtime"] == runtime;
        timelines.iter().find(is_it).cloned()
    };
    for (pathology, runtime) in [
        ("endless-poll", "n1"),
        ("endless-poll", "faulty"),
        ("queue-bound", "faulty"),
    ] {
        let timeline = of(pathology, runtime).unwrap_or_else(|| panic!("{timelines:?}"));
        let packed = timeline["deflate_base64"].as_str();
        assert!(packed.is_some_and(|text| text.len() > 100), "{timeline}");
        assert!(page.contains(&format!("data-name=\"{pathology} under {runtime}\"")));
    }
    assert_eq!(timelines.len(), 3, "{timelines:?}");
    assert!(page.contains("<a href=\"#p0-0\">FAILS</a>") && page.contains("id=\"p0-0\""));
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
}

fn abort() {
    let (_, timelines) = page(&["--runtime", "faulty", "--only", "queue-bound"], "abort");
    assert_eq!(timelines.len(), 1, "{timelines:?}");
    let note = timelines[0]["note"].as_str().unwrap();
    assert!(note.contains("signal"), "{note}");
    assert!(timelines[0]["deflate_base64"].is_string(), "{note}");
}

fn no_timelines() {
    let arguments = [
        "--runtime",
        "n1",
        "--only",
        "endless-poll",
        "--no-timelines",
    ];
    let (page, timelines) = page(&arguments, "");
    assert!(timelines.is_empty(), "{timelines:?}");
    assert!(
        page.contains(">FAILS</a>") && !page.contains("data-name="),
        "{page}"
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
