//! A strict parser for Prometheus' text format 0.0.4. It is stricter than Prometheus, which tolerates wrong order and
//! duplicates.
//!
//! It requires: a line feed at the end; `HELP`, then `TYPE`, then the samples of a family, contiguous and once; names
//! and labels with valid characters; counters that end in `_total` and are not negative; no duplicate samples;
//! histograms with rising bounds and counts, `+Inf`, `_sum` and `_count`, where the count agrees with `+Inf`.

use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeMap<String, String>;

/// A valid page.
pub(crate) struct Exposition {
    samples: BTreeMap<(String, Labels), f64>,
}

impl Exposition {
    /// The value of a sample with this name and exactly these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }
}

struct Family {
    name: String,
    kind: String,
    samples: Vec<(String, Labels, f64)>,
}

/// Parses a page.
pub(crate) fn parse(text: &str) -> Result<Exposition, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no line feed".to_owned());
    }
    let mut families: Vec<Family> = Vec::new();
    let mut helped: Option<String> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest
                .split_once(' ')
                .ok_or_else(|| format!("no help: {line}"))?;
            if help.is_empty() || families.iter().any(|family| family.name == name) {
                return Err(format!("no help, or a family in two parts: {line}"));
            }
            helped = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest
                .split_once(' ')
                .ok_or_else(|| format!("no type: {line}"))?;
            if helped.take().as_deref() != Some(name) || !is_name(name, true) {
                return Err(format!("a type without its help, or no name: {line}"));
            }
            if !["counter", "gauge", "histogram"].contains(&kind) {
                return Err(format!("an unknown type: {line}"));
            }
            families.push(Family {
                name: name.to_owned(),
                kind: kind.to_owned(),
                samples: Vec::new(),
            });
        } else {
            let (name, labels, value) = sample(line).ok_or_else(|| format!("no sample: {line}"))?;
            let family = families
                .last_mut()
                .filter(|family| helped.is_none() && family.owns(&name))
                .ok_or_else(|| format!("a sample outside of its family: {line}"))?;
            family.samples.push((name, labels, value));
        }
    }
    let mut samples = BTreeMap::new();
    for family in families {
        family.check()?;
        for (name, labels, value) in family.samples {
            if samples.insert((name.clone(), labels), value).is_some() {
                return Err(format!("{name} twice with the same labels"));
            }
        }
    }
    Ok(Exposition { samples })
}

impl Family {
    fn owns(&self, sample: &str) -> bool {
        match self.kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|end| sample.strip_suffix(end) == Some(&self.name)),
            _ => sample == self.name,
        }
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if self.samples.is_empty() {
            return Err(format!("{name} has no sample"));
        }
        match self.kind.as_str() {
            "counter" => {
                let negative = self.samples.iter().any(|sample| sample.2 < 0.0);
                if !name.ends_with("_total") || negative {
                    return Err(format!("{name} is no counter"));
                }
            }
            "gauge" if name.ends_with("_total") => {
                return Err(format!("{name} is called like a counter"));
            }
            "histogram" => self.check_histogram()?,
            _ => {}
        }
        Ok(())
    }

    fn check_histogram(&self) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("{}: {why}", self.name));
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (sample, labels, value) in &self.samples {
            if sample.ends_with("_bucket") {
                let Some(bound) = labels.get("le").and_then(|bound| number(bound)) else {
                    return wrong("a bucket without a bound");
                };
                buckets.push((bound, *value));
            }
        }
        let rising = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
        if !buckets.windows(2).all(rising) {
            return wrong("bounds or counts that do not rise");
        }
        let single = |end: &str| {
            let mut found = self.samples.iter().filter(|sample| sample.0.ends_with(end));
            found.next().map(|sample| sample.2)
        };
        match (buckets.last(), single("_count"), single("_sum")) {
            (Some((bound, all)), Some(count), Some(_)) if bound.is_infinite() && *all == count => {
                Ok(())
            }
            _ => wrong("no +Inf, _sum or _count, or they disagree"),
        }
    }
}

/// `name{label="value",...} number`.
fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name, true) {
        return None;
    }
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        let mut seen = BTreeSet::new();
        loop {
            let (label, quoted) = rest.split_once("=\"")?;
            let (value, after) = unquoted(quoted)?;
            if !is_name(label, false) || !seen.insert(label.to_owned()) {
                return None;
            }
            labels.insert(label.to_owned(), value);
            rest = after;
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = rest.strip_prefix(',')?;
        }
    }
    let value = rest.strip_prefix(' ')?;
    Some((name.to_owned(), labels, number(value)?))
}

/// The text before the closing quote, and the rest after it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                same @ ('\\' | '"') => same,
                _ => return None,
            }),
            plain => value.push(plain),
        }
    }
    None
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust accepts words that Go does not.
        _ if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
            text.parse().ok()
        }
        _ => None,
    }
}

fn is_name(name: &str, colons: bool) -> bool {
    let letter = |character: char| {
        character.is_ascii_alphabetic() || character == '_' || (colons && character == ':')
    };
    name.starts_with(letter)
        && name
            .chars()
            .all(|character| letter(character) || character.is_ascii_digit())
}
