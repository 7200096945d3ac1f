//! The critical path of a run in the page's format.

use serde_json::{Value, json};

use super::columns;
use crate::analysis::critical_path::critical_path;
use crate::analysis::dag::Dag;
use crate::trace::Run;

/// The steps of the path as columns, in order of time; null for an incomplete run, because its path is unknown.
pub(super) fn packed(run: &Run) -> Value {
    if run.dropped > 0 {
        return json!(null);
    }
    let dag = Dag::of(run);
    let mut steps = critical_path(&dag);
    steps.retain(|step| step.work_ns > 0);
    steps.sort_by_key(|step| dag.strands[step.strand].begin_ns);
    let strand = |index: usize| &dag.strands[steps[index].strand];
    let all = 0..steps.len();
    json!({
        "count": steps.len(),
        "begin": columns::rising(all.clone().map(|index| strand(index).begin_ns)),
        "work": columns::numbers(steps.iter().map(|step| step.work_ns.cast_signed())),
        "task": columns::steps(all.clone().map(|index| strand(index).task as i64)),
        "thread": columns::numbers(all.map(|index| i64::from(strand(index).thread))),
    })
}
