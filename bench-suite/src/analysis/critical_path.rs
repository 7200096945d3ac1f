//! The critical path: its strands, and their sums by the place where their task was spawned.

use std::collections::BTreeMap;

use super::dag::{Cause, Dag, EdgeKind};
use super::span::{Burden, Depths, Unit};
use crate::trace::{Run, Task};

/// One step of the critical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The strand.
    pub strand: usize,
    /// The kind of edge by which the path enters the strand; `None` at the start.
    pub by: Option<EdgeKind>,
    /// How long the path waited before the strand for something that is not a task.
    pub latency_ns: u64,
    /// How much of the strand's work is on the path, counted from its start.
    pub work_ns: u64,
}

/// The longest path through the graph by time, from start to end.
pub fn critical_path(dag: &Dag) -> Vec<Step> {
    let depths = Depths::of(dag, Unit::Time, Burden::default());
    let mut steps = Vec::new();
    let mut at = depths.deepest().map(|strand| (strand, u64::MAX));
    while let Some((strand, until)) = at {
        let edge = depths.by[strand].map(|index| dag.edges_into(strand)[index]);
        steps.push(Step {
            strand,
            by: edge.map(|edge| edge.kind),
            latency_ns: edge.map_or(0, |edge| edge.latency_ns),
            work_ns: until.min(dag.strands[strand].work_ns),
        });
        at = edge.map(|edge| (edge.from, edge.offset_ns));
    }
    steps.reverse();
    steps
}

/// One row of the list: what a place in the program, or a kind of wait, adds to the span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Where the task was spawned, as `src/x.rs:40`, or the task's name if that is unknown; for a wait, what it waited
    /// for.
    pub place: String,
    /// The number of strands, or of waits.
    pub steps: usize,
    /// The time that they add.
    pub ns: u64,
}

/// The critical path by spawn site, the largest share first.
pub fn by_site(dag: &Dag, run: &Run, path: &[Step]) -> Vec<Share> {
    let mut shares: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    let mut add = |place: String, ns: u64| {
        let share = shares.entry(place).or_default();
        share.0 += 1;
        share.1 += ns;
    };
    for step in path {
        add(
            site(&run.tasks[dag.strands[step.strand].task]),
            step.work_ns,
        );
        if let Some(EdgeKind::Latency(cause)) = step.by {
            add(waited_for(cause).to_owned(), step.latency_ns);
        }
    }
    let shares = shares.into_iter();
    let mut shares: Vec<_> = shares
        .map(|(place, (steps, ns))| Share { place, steps, ns })
        .collect();
    // Break ties by name, so that the list does not depend on a map's order.
    shares.sort_by(|x, y| y.ns.cmp(&x.ns).then_with(|| x.place.cmp(&y.place)));
    shares
}

fn waited_for(cause: Cause) -> &'static str {
    match cause {
        Cause::Timer => "(waiting for a timer)",
        Cause::Socket => "(waiting for a socket)",
        Cause::Thread => "(waiting for another thread)",
        Cause::Job => "(waiting for a blocking job)",
    }
}

fn site(task: &Task) -> String {
    task.site.clone().unwrap_or_else(|| short(&task.name))
}

/// A future's type without paths and arguments: `echo::serve` for `bench_suite::workloads::echo::serve<
/// runtime_mn::Mn>::{{closure}}`. A name that the user gave is unchanged.
pub(crate) fn short(name: &str) -> String {
    let name = name.trim_end_matches("::{{closure}}");
    let mut depth = 0_u32;
    let plain: String = name
        .chars()
        .filter(|letter| {
            depth += u32::from(*letter == '<');
            let keep = depth == 0;
            depth = depth.saturating_sub(u32::from(*letter == '>'));
            keep
        })
        .collect();
    let parts: Vec<_> = plain
        .split("::")
        .filter(|part| !part.is_empty() && *part != "{{closure}}")
        .collect();
    if parts.is_empty() {
        return name.to_owned();
    }
    match parts[parts.len().saturating_sub(2)..].join("::") {
        // The type of a boxed future does not say which future it is.
        boxed if boxed == "pin::Pin" => "future".to_owned(),
        short => short,
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn names_of_futures_are_shortened_and_given_names_are_not() {
        for (name, expected) in [
            (
                "bench_suite::workloads::echo::serve<runtime_mn::Handle, a::B<C>>::{{closure}}",
                "echo::serve",
            ),
            ("a::b::c::{{closure}}::{{closure}}", "b::c"),
            ("core::pin::Pin<alloc::boxed::Box<dyn F>>", "future"),
            ("fetch 7", "fetch 7"),
            ("<x>", "<x>"),
        ] {
            assert_eq!(short(name), expected);
        }
    }
}
