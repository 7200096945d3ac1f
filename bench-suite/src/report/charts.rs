//! The data of the charts; `charts.js` draws it.

use serde_json::{Value, json};

use crate::results::Role;
use crate::summary::Section;
use crate::units;

/// Between largest and smallest value, from where on an axis is logarithmic: small bars could not be told apart
/// otherwise.
const LOGARITHMIC_FROM: f64 = 25.0;

/// One entry per section, in order.
pub(super) fn data(sections: &[Section]) -> Value {
    sections.iter().map(section).collect()
}

fn section(section: &Section) -> Value {
    let unit = unit(section);
    let rows: Vec<Value> = section
        .rows
        .iter()
        .filter(|row| row.ok > 0)
        .map(|row| {
            let comparison = row.comparison.as_ref();
            json!({
                "label": row.label,
                "kind": match (row.baseline, row.role) {
                    (true, _) => "baseline",
                    (false, Role::Repeat) => "repeat",
                    (false, Role::Arm) => "arm",
                },
                "median": row.medians.get(&section.metric).map(|value| value / unit.divisor),
                "points": row.points.iter().map(|(_, value)| value / unit.divisor).collect::<Vec<f64>>(),
                "ratio": comparison.and_then(|one| one.ratio),
                "ci95": comparison.and_then(|one| one.ci95),
            })
        })
        .collect();
    json!({
        "title": units::metric_title(&section.metric),
        "unit": unit.name,
        "logarithmic": spread(section) > LOGARITHMIC_FROM,
        "noiseFloor": section.noise_floor,
        "baseline": section.rows.iter().find(|row| row.baseline).map(|row| &row.label),
        "rows": rows,
    })
}

/// True if the section's values can only be told apart on a logarithmic axis.
pub(super) fn is_logarithmic(section: &Section) -> bool {
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

/// One unit for a whole chart: that of its median row, so that axes carry short numbers.
fn unit(section: &Section) -> Unit {
    let unit = |name, divisor| Unit { name, divisor };
    let medians: Vec<f64> = section
        .rows
        .iter()
        .filter_map(|row| row.medians.get(&section.metric).copied())
        .collect();
    let typical = crate::statistics::median(&medians).unwrap_or(0.0);
    if section.metric.contains("_ns") {
        match typical {
            ..1e3 => unit("ns", 1.0),
            ..1e6 => unit("µs", 1e3),
            ..1e9 => unit("ms", 1e6),
            _ => unit("s", 1e9),
        }
    } else if section.metric.contains("bytes") {
        match typical {
            ..10_240.0 => unit("B", 1.0),
            _ => unit("KiB", 1024.0),
        }
    } else {
        unit("", 1.0)
    }
}
