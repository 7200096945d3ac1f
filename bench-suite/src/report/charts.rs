//! The data for the charts, which `charts.js` draws.

use serde_json::{Value, json};

use super::colours;
use crate::results::Role;
use crate::summary::Section;
use crate::units;

/// Observable Plot, which draws SVG; d3, which Plot needs; and our script that draws the sections. Their licences come
/// first, because each page contains a copy.
pub(crate) const SCRIPTS: [&str; 4] = [
    concat!(
        "/* d3 and Observable Plot:\n",
        include_str!("../../assets/d3.LICENSE"),
        include_str!("../../assets/plot.LICENSE"),
        "*/"
    ),
    include_str!("../../assets/d3.min.js"),
    include_str!("../../assets/plot.umd.min.js"),
    include_str!("charts.js"),
];

/// The second cost of a workload, besides its time.
const CPU: &str = "cpu_ns_per_op";
const MEMORY: &str = "peak_rss_bytes";

/// The ratio of the largest to the smallest value from which on an axis is logarithmic. On a linear axis, the small
/// bars would look alike.
const LOGARITHMIC_FROM: f64 = 25.0;

/// One entry per section, in order.
pub(crate) fn data(sections: &[Section]) -> Value {
    sections.iter().map(section).collect()
}

fn section(section: &Section) -> Value {
    let (cpu, memory) = (unit(section, CPU), unit(section, MEMORY));
    let unit = unit(section, &section.metric);
    let rows: Vec<Value> = section
        .rows
        .iter()
        .filter(|row| row.ok > 0)
        .map(|row| {
            let comparison = row.comparison.as_ref();
            let median = |metric: &str, divisor: f64| row.medians.get(metric).map(|value| value / divisor);
            // A single round has no interval.
            let interval = row.intervals.get(&section.metric);
            let interval = interval.filter(|of| row.points.len() > 1 && of.low <= of.high);
            json!({
                "label": row.label,
                "hue": colours::hue(&row.runtime),
                "kind": match (row.baseline, row.role) {
                    (true, _) => "baseline",
                    (false, Role::Repeat) => "repeat",
                    (false, Role::Arm) => "arm",
                },
                "median": median(&section.metric, unit.divisor),
                "interval": interval.map(|of| [of.low / unit.divisor, of.high / unit.divisor]),
                "cpu": median(CPU, cpu.divisor),
                "memory": median(MEMORY, memory.divisor),
                "latency": row.latency.map(|of| [of.p50, of.p90, of.p99, of.p999, of.max].map(|ns| ns.max(1))),
                "points": row.points.iter().map(|(_, value)| value / unit.divisor).collect::<Vec<f64>>(),
                "ratio": comparison.and_then(|one| one.ratio),
                "ci95": comparison.and_then(|one| one.ci95),
            })
        })
        .collect();
    json!({
        "title": units::metric_title(&section.metric),
        "unit": unit.name,
        "cost": {
            "cpu": { "title": format!("CPU time per op, {}", cpu.name), "unit": cpu.name },
            "memory": { "title": format!("peak memory, {}", memory.name), "unit": memory.name },
        },
        "logarithmic": spread(section) > LOGARITHMIC_FROM,
        "noiseFloor": section.noise_floor,
        "baseline": section.rows.iter().find(|row| row.baseline).map(|row| &row.label),
        "rows": rows,
    })
}

/// Whether the section's values can only be distinguished on a logarithmic axis.
pub(crate) fn is_logarithmic(section: &Section) -> bool {
    spread(section) > LOGARITHMIC_FROM
}

fn spread(section: &Section) -> f64 {
    let values = || {
        section
            .rows
            .iter()
            .flat_map(|row| row.points.iter().map(|point| point.1))
    };
    let smallest = values()
        .filter(|value| *value > 0.0)
        .fold(f64::INFINITY, f64::min);
    values().fold(0.0, f64::max) / smallest
}

struct Unit {
    name: &'static str,
    divisor: f64,
}

/// One unit for the whole chart, chosen for the median row so that the axes have short labels.
fn unit(section: &Section, metric: &str) -> Unit {
    let unit = |name, divisor| Unit { name, divisor };
    let medians: Vec<f64> = section
        .rows
        .iter()
        .filter_map(|row| row.medians.get(metric).copied())
        .collect();
    let typical = crate::statistics::median(&medians).unwrap_or(0.0);
    if metric.contains("_ns") {
        match typical {
            ..1e3 => unit("ns", 1.0),
            ..1e6 => unit("µs", 1e3),
            ..1e9 => unit("ms", 1e6),
            _ => unit("s", 1e9),
        }
    } else if metric.contains("bytes") {
        match typical {
            ..10_240.0 => unit("B", 1.0),
            ..10_485_760.0 => unit("KiB", 1024.0),
            _ => unit("MiB", 1024.0 * 1024.0),
        }
    } else {
        unit("", 1.0)
    }
}

/// Whether any arm has a figure for CPU time, and for memory.
pub(crate) fn costs(section: &Section) -> (bool, bool) {
    let has = |metric: &str| {
        let mut rows = section.rows.iter();
        rows.any(|row| row.role == Role::Arm && row.medians.contains_key(metric))
    };
    (has(CPU) && section.metric != CPU, has(MEMORY))
}
