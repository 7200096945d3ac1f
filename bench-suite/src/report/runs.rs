//! Every single run of a workload, for the table that the page's script builds.

use serde_json::{Value, json};

use crate::comparisons::ArmKey;
use crate::results::{Results, Role, Run};
use crate::summary::Section;
use crate::units;

/// The columns after the arm, the round and the status.
const FIGURES: [&str; 5] = [
    "wall_ns_per_op",
    "cpu_ns_per_op",
    "switches_per_op",
    "page_faults_per_op",
    "peak_rss_bytes",
];

/// The runs of a section, in stored order. A section about one runtime's choices has none, because they are in the
/// section of all runtimes.
pub(super) fn of<'a>(results: &'a Results, section: &'a Section) -> Vec<&'a Run> {
    let of_section = |run: &&Run| {
        run.workload == section.workload.name
            && run.params == section.params
            && section.choices_of.is_none()
    };
    results.runs.iter().filter(of_section).collect()
}

/// Column titles, and rows of text.
pub(super) fn table(results: &Results, section: &Section) -> Value {
    let mut metrics = vec![section.metric.as_str()];
    metrics.extend(FIGURES.iter().filter(|metric| **metric != section.metric));
    let mut columns = vec![
        "runtime".to_owned(),
        "round".to_owned(),
        "outcome".to_owned(),
    ];
    columns.extend(metrics.iter().map(|metric| units::metric_column(metric)));
    let row = |run: &Run| {
        let mut cells = vec![
            json!(name(run)),
            json!(run.round + 1),
            json!(run.status.describe()),
        ];
        cells.extend(metrics.iter().map(|metric| {
            run.value(metric)
                .map_or(Value::Null, |value| json!(units::metric(metric, value)))
        }));
        Value::Array(cells)
    };
    let rows: Vec<Value> = of(results, section).into_iter().map(row).collect();
    json!({ "columns": columns, "rows": rows })
}

/// The runtime, with all requested choices.
fn name(run: &Run) -> String {
    let key = ArmKey::of(run);
    let mut choices: Vec<String> = key.binary.iter().chain(&key.policy).cloned().collect();
    choices.extend(
        key.knobs
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    choices.extend(key.workers.map(|workers| format!("workers={workers}")));
    choices.extend(key.without.iter().map(|part| format!("without {part}")));
    let mut name = key.runtime.clone();
    if !choices.is_empty() {
        name = format!("{name} ({})", choices.join(", "));
    }
    if key.role == Role::Repeat {
        name.push_str(", again (A/A)");
    }
    name
}
