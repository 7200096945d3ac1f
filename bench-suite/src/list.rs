//! `lab list`: shows what can be measured.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::ListArgs;
use crate::error::CommandError;
use crate::green;
use crate::peers::external;
use crate::registry::{Registry, RuntimeInfo};
use crate::scheduler_counts::COUNTERS;
use crate::terminal::{self, wrapped};
use crate::vocabulary::{Group, Workload};
use crate::zoo::pathologies;

/// The column where a line's text begins, after the name.
const INDENT: usize = 17;

/// The figures of results and reports, with one line each.
const METRICS: [(&str, &str); 16] = [
    ("wall_ns_per_op", "time per operation"),
    (
        "cpu_ns_per_op",
        "CPU time of the runtime under test per operation",
    ),
    ("cpu_user_ns_per_op", "the part of it outside of the kernel"),
    ("cpu_system_ns_per_op", "the part of it in the kernel"),
    (
        "switches_per_op",
        "context switches per operation, voluntary and not",
    ),
    (
        "page_faults_per_op",
        "page faults per operation, minor and major",
    ),
    (
        "peak_rss_bytes",
        "peak resident memory of the measured process",
    ),
    ("latency_p50_ns", "median latency"),
    ("latency_p99_ns", "99th percentile of latency"),
    ("latency_p999_ns", "99.9th percentile of latency"),
    (
        "client_late_p50_ns",
        "open loop: how late the load generator itself was, median",
    ),
    (
        "client_late_p99_ns",
        "open loop: how late the load generator itself was, 99th percentile",
    ),
    ("bytes_per_task", "memory per parked task"),
    (
        "beyond_future_bytes",
        "memory per parked task, less that of its future",
    ),
    (
        "hog_cores",
        "cores that the CPU-bound tasks beside a server got",
    ),
    (
        "unstarted_requests",
        "open loop: requests that were due and never got a connection",
    ),
];

pub(crate) fn run(registry: &Registry, arguments: &ListArgs) -> Result<(), CommandError> {
    let text = if arguments.json {
        format!("{:#}\n", as_json(registry))
    } else {
        let width = terminal::width();
        // Continuation lines align with the column where the text begins.
        let lines = as_text(registry);
        let lines = lines.lines().map(|line| {
            let indent = if line.starts_with("  ") { INDENT } else { 0 };
            wrapped(line, width, indent) + "\n"
        });
        lines.collect()
    };
    terminal::print(&text)
}

fn runtimes_of<'a>(
    registry: &'a Registry,
    workload: &'a Workload,
) -> impl Iterator<Item = &'static str> + 'a {
    registry
        .runtimes
        .iter()
        .map(|runtime| runtime.name)
        .filter(|runtime| registry.entry(workload.name, runtime).is_some())
}

fn as_text(registry: &Registry) -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let members = || {
            registry
                .workloads
                .iter()
                .filter(move |workload| workload.group == group)
        };
        if members().next().is_none() {
            continue;
        }
        let _ = writeln!(text, "{} workloads", group.title());
        for workload in members() {
            let _ = writeln!(text, "  {:<14} {}", workload.name, workload.about);
            let _ = writeln!(text, "  {:<14} op: {}", "", workload.op);
            for parameter in workload.parameters {
                let _ = writeln!(
                    text,
                    "  {:<14} {}={} ({} to {}): {}",
                    "",
                    parameter.name,
                    parameter.default,
                    parameter.min,
                    parameter.max,
                    parameter.about
                );
            }
            let runtimes: Vec<&str> = runtimes_of(registry, workload).collect();
            let _ = writeln!(text, "  {:<14} under: {}", "", runtimes.join(", "));
            let twins = green::twins_of(registry, workload.name);
            if !twins.is_empty() {
                let twins = twins.join(", ");
                let _ = writeln!(
                    text,
                    "  {:<14} green twin, as blocking-looking code: {twins}",
                    ""
                );
            }
        }
        text.push('\n');
    }
    let _ = writeln!(text, "Runtimes");
    let states = external::states(registry);
    for runtime in &registry.runtimes {
        let state = states.get(runtime.name);
        let state = state.map_or_else(String::new, |state| format!(" [{}]", state.in_words()));
        let _ = writeln!(text, "  {:<14} {}{state}", runtime.name, runtime.about);
    }
    choices(&mut text, registry);
    parts(&mut text, registry);
    let _ = writeln!(text, "\nPathologies, of `lab zoo`");
    for pathology in pathologies::ALL {
        let _ = writeln!(text, "  {:<20} {}", pathology.name, pathology.measured);
    }
    let _ = writeln!(text, "\nMetrics");
    for (name, about) in METRICS {
        let _ = writeln!(text, "  {name:<20} {about}");
    }
    for (name, about) in COUNTERS {
        let name = format!("{name}_per_op");
        let _ = writeln!(text, "  {name:<20} {about}, if the scheduler counts it");
    }
    text
}

/// Policies and knobs of the runtimes that have any.
fn choices(text: &mut String, registry: &Registry) {
    let _ = writeln!(text, "\nPolicies");
    let none = text.len();
    for runtime in &registry.runtimes {
        for (index, policy) in runtime.policies().iter().enumerate() {
            let default = if index == 0 { ", the default" } else { "" };
            let _ = writeln!(
                text,
                "  {:<14} {}{default}: {}",
                policy.name, runtime.name, policy.about
            );
        }
    }
    if text.len() == none {
        let _ = writeln!(text, "  none: each runtime has only its default");
    }
    let _ = writeln!(text, "\nKnobs");
    let none = text.len();
    for runtime in &registry.runtimes {
        for knob in runtime.knobs() {
            let _ = writeln!(
                text,
                "  {:<14} {}: {} ({})",
                knob.name, runtime.name, knob.about, knob.values
            );
        }
    }
    if text.len() == none {
        let _ = writeln!(text, "  none");
    }
}

/// The parts of runtimes that can be left out.
fn parts(text: &mut String, registry: &Registry) {
    let with_parts = || {
        registry
            .runtimes
            .iter()
            .filter(|info| !info.parts().is_empty())
    };
    if with_parts().next().is_none() {
        return;
    }
    let _ = writeln!(text, "\nParts that can be left out");
    for runtime in with_parts() {
        for part in runtime.parts() {
            let _ = writeln!(text, "  {:<14} {}: {}", part.name, runtime.name, part.about);
        }
    }
}

fn as_json(registry: &Registry) -> Value {
    let workloads: Vec<Value> = registry
        .workloads
        .iter()
        .map(|workload| {
            let parameters: Vec<Value> = workload
                .parameters
                .iter()
                .map(|parameter| {
                    json!({
                        "name": parameter.name, "about": parameter.about, "default": parameter.default,
                        "min": parameter.min, "max": parameter.max,
                    })
                })
                .collect();
            json!({
                "name": workload.name, "group": workload.group.title(), "mode": workload.mode.name(),
                "about": workload.about, "op": workload.op, "metric": workload.metric,
                "parameters": parameters, "runtimes": runtimes_of(registry, workload).collect::<Vec<_>>(),
                "green_twins": green::twins_of(registry, workload.name),
            })
        })
        .collect();
    let states = external::states(registry);
    let runtimes: Vec<Value> = registry
        .runtimes
        .iter()
        .map(|runtime| {
            let state = states.get(runtime.name);
            json!({
                "name": runtime.name, "about": runtime.about, "ours": runtime.ours,
                "installed": state.is_none_or(external::State::installed),
                "version": state.and_then(external::State::version),
            })
        })
        .collect();
    let runtimes_with = |choices: fn(&RuntimeInfo) -> Vec<Value>| -> Vec<Value> {
        registry.runtimes.iter().flat_map(choices).collect()
    };
    let policies = runtimes_with(|runtime| {
        let policies = runtime.policies().iter().enumerate();
        policies
            .map(|(index, policy)| {
                json!({"name": policy.name, "runtime": runtime.name, "about": policy.about, "default": index == 0})
            })
            .collect()
    });
    let knobs = runtimes_with(|runtime| {
        let knobs = runtime.knobs().iter();
        knobs
            .map(|knob| {
                json!({"name": knob.name, "runtime": runtime.name, "about": knob.about, "values": knob.values})
            })
            .collect()
    });
    let parts = runtimes_with(|runtime| {
        let parts = runtime.parts().iter();
        parts
            .map(|part| json!({"name": part.name, "runtime": runtime.name, "about": part.about}))
            .collect()
    });
    let metrics: Vec<Value> = METRICS
        .iter()
        .map(|(name, about)| json!({"name": name, "about": about}))
        .chain(
            COUNTERS
                .iter()
                .map(|(name, about)| json!({"name": format!("{name}_per_op"), "about": about})),
        )
        .collect();
    let pathologies: Vec<Value> = pathologies::ALL
        .iter()
        .map(|one| json!({"name": one.name, "about": one.measured, "issue": one.issue}))
        .collect();
    json!({
        "workloads": workloads, "runtimes": runtimes, "policies": policies, "knobs": knobs, "parts": parts,
        "metrics": metrics, "pathologies": pathologies,
    })
}
