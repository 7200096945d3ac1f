//! Rates, capacities and curves of a server with invented figures, so nothing here depends on time.

use std::fs;

use bench_suite::measure::{Latency, Sample};
use bench_suite::registry::{Group, Mode, Parameter, Workload};
use bench_suite::results::{Status, Verdict};
use bench_suite::{Failure, Meter, Params};

use crate::process::{code, folder, last_line, results, run, stderr};
use crate::schema;

/// The tests that `main` runs.
pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "a_capacity_is_found_and_a_crash_is_named",
        a_capacity_is_found_and_a_crash_is_named,
    ),
    (
        "a_curve_goes_from_compared_rates_to_saturation",
        a_curve_goes_from_compared_rates_to_saturation,
    ),
    (
        "workloads_without_a_rate_and_absurd_targets_are_refused",
        workloads_without_a_rate_and_absurd_targets_are_refused,
    ),
];

const fn parameter(name: &'static str, default: u64) -> Parameter {
    Parameter {
        name,
        about: "of a test",
        default,
        min: 0,
        max: 10_000_000,
    }
}

pub(crate) const LOADED: Workload = Workload {
    name: "loaded",
    group: Group::Io,
    mode: Mode::Closed,
    about: "a server whose figures are made",
    op: "one request",
    parameters: &[parameter("connections", 64), parameter("rate", 0)],
    metric: "cpu_ns_per_op",
};

/// A server that answers up to `capacity` requests per second in 1 ms each. Beyond that rate they take 50 ms.
pub(crate) fn serves(params: &Params, meter: &mut Meter, capacity: u64) -> Result<(), Failure> {
    let rate = params.value("rate");
    let (answered, latency_ns) = match rate {
        0 => (
            capacity,
            params.value("connections") * 1_000_000_000 / capacity,
        ),
        _ if rate <= capacity => (rate, 1_000_000),
        _ => (capacity, 50_000_000),
    };
    let mut latencies = Latency::histogram();
    (0..1000).for_each(|_| latencies.saturating_record(latency_ns));
    meter.record_latency(&latencies);
    meter.client_late_ns = (rate > 0).then_some((1_000, 20_000));
    meter.samples.push(Sample {
        ops: answered,
        wall_ns: 1_000_000_000,
        cpu_ns: answered * 5_000,
        ..Sample::default()
    });
    Ok(())
}

fn a_capacity_is_found_and_a_crash_is_named() {
    let folder = folder();
    let arguments = [
        "capacity",
        "loaded",
        "--runtime",
        "plain,double,crashes",
        "--p99-ms",
        "5",
        "--repeats",
        "2",
        "--no-progress",
    ];
    let output = run(folder.path(), &arguments);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let message = last_line(&output);
    assert!(
        message.contains("loaded under crashes: crashed: panicked: on purpose"),
        "{message}"
    );
    let results = results(folder.path());
    let of = |runtime: &str| {
        let mut all = results.capacities.iter();
        all.find(|one| one.runtime == runtime).unwrap()
    };
    for (runtime, capacity) in [("plain", 2000.0), ("double", 1000.0)] {
        let one = of(runtime);
        let [low, high] = one.ci95.unwrap();
        assert!(
            (one.per_s.unwrap() / capacity - 1.0).abs() < 0.03,
            "{one:?}"
        );
        assert!(low <= capacity * 1.01 && high >= capacity * 0.99, "{one:?}");
        assert_eq!((one.repeats.len(), one.cpu_ns_per_op), (2, Some(5000.0)));
    }
    assert_eq!(of("double").verdict, Some(Verdict::Worse));
    assert_eq!(of("plain").verdict, None, "it carries most");
    assert!(of("crashes").per_s.is_none() && of("crashes").limit.is_some());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("Capacity at p99 <= 5.00 ms: loaded (connections=64)"),
        "{text}"
    );
    let report = fs::read_to_string(folder.path().join("lab-out/report.html")).unwrap();
    assert!(report.contains("Capacity at p99 &le; 5.00 ms"));
}

fn a_curve_goes_from_compared_rates_to_saturation() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "latency",
            "loaded",
            "--runtime",
            "plain,double",
            "--rounds",
            "9",
            "--no-progress",
        ],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    let curve = |runtime: &str| {
        let mut all = results.curves.iter();
        all.find(|one| one.runtime == runtime).unwrap()
    };
    let rates = |runtime: &str| -> Vec<f64> {
        let points = curve(runtime).points.iter();
        points.filter_map(|point| point.offered_per_s).collect()
    };
    // 30, 60 and 90% of the slower server's rate, and up to the first rate that each does not sustain.
    assert_eq!(rates("double"), [300.0, 600.0, 900.0, 950.0, 1100.0]);
    assert_eq!(
        rates("plain"),
        [300.0, 600.0, 900.0, 1200.0, 1600.0, 1900.0, 2200.0]
    );
    for runtime in ["plain", "double"] {
        let curve = curve(runtime);
        let (last, others) = curve.points.split_last().unwrap();
        assert!(
            last.saturated && others.iter().all(|point| !point.saturated),
            "{curve:?}"
        );
        let closed = curve.closed.as_ref().unwrap();
        let doubt = closed.doubt.as_deref().unwrap();
        assert!(
            doubt.starts_with("hides waiting: by Little's law nearly all of 64"),
            "{doubt}"
        );
    }
    let mut ok = results.runs.iter().filter(|run| run.status == Status::Ok);
    assert!(ok.all(|run| ["open", "closed"].contains(&run.mode.as_str())));
    let at_300 = results.comparisons.iter().find(|one| {
        one.params["rate"] == 300 && one.runtime == "double" && one.metric == "latency_p99_ns"
    });
    assert_eq!(at_300.unwrap().verdict, Some(Verdict::NoDifference));
    let value = fs::read_to_string(folder.path().join("lab-out/results.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    let schema = include_str!("../../schema/lab.results-1.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let errors = schema::errors(&schema, &value);
    assert!(errors.is_empty(), "{errors:#?}");
    let mut damaged = value;
    damaged["curves"][0]["points"][0]["p99_ns"] = "soon".into();
    assert!(!schema::errors(&schema, &damaged).is_empty());
}

fn workloads_without_a_rate_and_absurd_targets_are_refused() {
    let folder = folder();
    for (arguments, part) in [
        (
            &["latency", "sum"][..],
            "sum has no selectable rate; take one of: loaded",
        ),
        (
            &["capacity", "loaded", "--p99-ms", "0"],
            "--p99-ms 0 is out of range",
        ),
        (
            &["capacity", "loaded", "--repeats", "0"],
            "--repeats 0 is out of range",
        ),
        (
            &["latency", "loaded", "--runtime", "plian"],
            "did you mean `plain`?",
        ),
        (
            &["advise", "--blocking", "5"],
            "expected a share of the requests",
        ),
        (
            &["advise", "--cpu-us", "20000", "--p99-ms", "5"],
            "a request alone waits and computes for 20.5 ms",
        ),
        (&["advise"], "unknown workload `service`"),
    ] {
        let output = run(folder.path(), arguments);
        let message = stderr(&output);
        assert_eq!(code(&output), 2, "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(part), "{message}");
    }
}
