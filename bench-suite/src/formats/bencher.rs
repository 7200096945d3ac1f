//! Bencher Metric Format: `{benchmark: {measure: {value, lower_value, upper_value}}}`.

use serde_json::{Map, Value, json};

use super::arms;
use crate::results::Results;

/// The medians under the lab's own names, with their intervals as bounds.
pub(crate) fn bencher(results: &Results) -> String {
    let mut benchmarks = Map::new();
    for arm in arms(results) {
        let mut measures = Map::new();
        for (metric, value) in arm.figures(results) {
            let mut measure = json!({ "value": value });
            if let Some(interval) = arm.row.intervals.get(&metric) {
                measure["lower_value"] = json!(interval.low);
                measure["upper_value"] = json!(interval.high);
            }
            measures.insert(metric, measure);
        }
        benchmarks.insert(arm.name(), Value::Object(measures));
    }
    format!("{:#}\n", Value::Object(benchmarks))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::formats::tests::results;

    /// The format as Bencher parses it, which allows no other fields in a metric.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Metric {
        value: f64,
        lower_value: Option<f64>,
        upper_value: Option<f64>,
    }

    #[test]
    fn benchmarks_measures_and_bounds_are_read_back() {
        let read: BTreeMap<String, BTreeMap<String, Metric>> =
            serde_json::from_str(&bencher(&results())).unwrap();
        let names: Vec<&str> = read.keys().map(String::as_str).collect();
        assert_eq!(names, ["echo/text=7/a|b", "echo/text=7/mn"]);
        let mn = &read["echo/text=7/mn"];
        let time = &mn["wall_ns_per_op"];
        assert_eq!(
            (time.value, time.lower_value, time.upper_value),
            (100.0, Some(100.0), Some(100.0))
        );
        assert_eq!(mn["syscalls_per_op"].value, 2.5);
        assert!(mn["syscalls_per_op"].lower_value.is_none());
    }
}
