//! OpenMetrics 1.0, for a push gateway or a file that a collector reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::arms;
use crate::results::Results;

/// The page: a gauge per metric with a sample per arm. Times are in seconds, as the format requires.
pub(crate) fn open_metrics(results: &Results) -> String {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for arm in arms(results) {
        let workload = &arm.section.workload.name;
        let mut labels = vec![
            ("workload", workload.clone()),
            ("arm", arm.row.label.clone()),
        ];
        labels.push(("runtime", arm.row.runtime.clone()));
        labels.push(("params", crate::summary::parameters(&arm.section.params)));
        for (metric, value) in arm.figures(results) {
            let family = Family::of(&metric);
            let family = families.entry(family.name.clone()).or_insert(family);
            family.samples.push((labels.clone(), value * family.scale));
        }
        if let Some((comparison, ratio)) = arm
            .row
            .comparison
            .as_ref()
            .and_then(|one| Some((one, one.ratio?)))
        {
            let mut labels = labels;
            labels.push(("baseline", comparison.baseline.clone()));
            labels.push(("metric", comparison.metric.clone()));
            let ratios = [
                (
                    "lab_ratio",
                    "Runtime / baseline; less is better",
                    Some(ratio),
                ),
                (
                    "lab_ratio_low",
                    "Lower end of the ratio's interval",
                    comparison.ci95.map(|ends| ends[0]),
                ),
                (
                    "lab_ratio_high",
                    "Upper end of the ratio's interval",
                    comparison.ci95.map(|ends| ends[1]),
                ),
            ];
            for (name, help, value) in ratios {
                if let Some(value) = value {
                    let family = families.entry(name.to_owned()).or_insert_with(|| Family {
                        name: name.to_owned(),
                        unit: None,
                        help: help.to_owned(),
                        scale: 1.0,
                        samples: Vec::new(),
                    });
                    family.samples.push((labels.clone(), value));
                }
            }
        }
    }
    let mut text = String::new();
    for family in families.values() {
        family.write(&mut text);
    }
    text.push_str("# EOF\n");
    text
}

type Labels = Vec<(&'static str, String)>;

struct Family {
    name: String,
    unit: Option<&'static str>,
    help: String,
    scale: f64,
    samples: Vec<(Labels, f64)>,
}

impl Family {
    /// `cpu_ns_per_op` becomes `lab_cpu_per_op_seconds`, because a name must end in its unit.
    fn of(metric: &str) -> Self {
        let words: Vec<&str> = metric.split('_').collect();
        let unit = if words.contains(&"ns") {
            Some(("ns", "seconds", 1e-9))
        } else if words.contains(&"bytes") {
            Some(("bytes", "bytes", 1.0))
        } else {
            None
        };
        let own = unit.map_or("", |(word, ..)| word);
        let words = words.into_iter().filter(|word| *word != own);
        let plain: String = words.collect::<Vec<_>>().join("_");
        let allowed = |one: char| {
            if one.is_ascii_alphanumeric() || one == '_' {
                one
            } else {
                '_'
            }
        };
        let plain: String = plain.chars().map(allowed).collect();
        let suffix = unit
            .map(|(_, unit, _)| format!("_{unit}"))
            .unwrap_or_default();
        Self {
            name: format!("lab_{plain}{suffix}"),
            unit: unit.map(|(_, unit, _)| unit),
            help: format!("Median over processes of {}", metric.replace('_', " ")),
            scale: unit.map_or(1.0, |(.., scale)| scale),
            samples: Vec::new(),
        }
    }

    fn write(&self, text: &mut String) {
        let name = &self.name;
        let _ = writeln!(text, "# TYPE {name} gauge");
        if let Some(unit) = self.unit {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {}", escaped(&self.help));
        for (labels, value) in &self.samples {
            let labels = labels.iter();
            let labels = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
            let _ = writeln!(
                text,
                "{name}{{{}}} {value:e}",
                labels.collect::<Vec<_>>().join(",")
            );
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::results;

    /// Name, labels and value of each sample. Also checks the page: `TYPE`, `UNIT` and `HELP` come before their samples
    /// and in this order, families are contiguous, names and units are valid, and `EOF` occurs once, at the end.
    fn parse(text: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
        let mut samples = Vec::new();
        let (mut family, mut seen) = (String::new(), Vec::new());
        let body = text.strip_suffix("# EOF\n").expect("EOF is last");
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(kind, "gauge");
                assert!(!seen.contains(&name.to_owned()), "{name} is in two places");
                assert!(
                    name.chars()
                        .all(|one| one.is_ascii_alphanumeric() || one == '_'),
                    "{name}"
                );
                family = name.to_owned();
                seen.push(family.clone());
            } else if let Some(rest) = line.strip_prefix("# UNIT ") {
                let (name, unit) = rest.split_once(' ').unwrap();
                assert_eq!(name, family);
                assert!(name.ends_with(&format!("_{unit}")), "{line}");
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                assert!(rest.starts_with(&family), "{line}");
            } else {
                let (name, rest) = line.split_once('{').unwrap();
                assert_eq!(name, family, "{line}");
                let (labels, value) = labels(rest);
                let value: f64 = value.trim().parse().unwrap();
                assert!(value.is_finite());
                samples.push((name.to_owned(), labels, value));
            }
        }
        samples
    }

    fn labels(text: &str) -> (BTreeMap<String, String>, &str) {
        let mut labels = BTreeMap::new();
        let mut rest = text;
        loop {
            let (name, after) = rest.split_once("=\"").unwrap();
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next().expect("the value ends") {
                    (_, '\\') => value.push(match characters.next().unwrap().1 {
                        'n' => '\n',
                        other => other,
                    }),
                    (at, '"') => break at,
                    (_, other) => value.push(other),
                }
            };
            let twice = labels.insert(name.trim_start_matches(',').to_owned(), value);
            assert!(twice.is_none(), "{text}");
            rest = &after[end + 1..];
            if let Some(value) = rest.strip_prefix('}') {
                return (labels, value);
            }
        }
    }

    #[test]
    fn the_output_parses_back_in_seconds_and_bytes() {
        let results = results();
        let samples = parse(&open_metrics(&results));
        let find = |name: &str, arm: &str| {
            let mut of = samples.iter().filter(|(other, labels, _)| {
                other == name && labels["arm"] == arm && labels["workload"] == "echo"
            });
            let value = of
                .next()
                .unwrap_or_else(|| panic!("{name} of {arm} in {samples:?}"))
                .2;
            assert!(of.next().is_none(), "{name} of {arm} is there twice");
            value
        };
        let near =
            |one: f64, other: f64| assert!((one / other - 1.0).abs() < 1e-9, "{one} {other}");
        near(find("lab_wall_per_op_seconds", "mn"), 100e-9);
        near(find("lab_cpu_per_op_seconds", "a|b"), 400e-9);
        near(find("lab_peak_rss_bytes", "mn"), 4096.0);
        near(find("lab_syscalls_per_op", "mn"), 2.5);
        near(find("lab_ratio", "a|b"), 2.0);
        assert!(
            samples
                .iter()
                .all(|(_, labels, _)| labels["params"] == "text=7")
        );
        assert_eq!(parse("# EOF\n"), []);
    }
}
