//! Parameters and verdicts in words.

use std::collections::BTreeMap;

use super::Row;
use crate::results::{Comparison, Verdict};
use crate::statistics::MOST_ROUNDS;
use crate::units;

/// `connections=64, bytes=64`, or nothing.
pub fn parameters(params: &BTreeMap<String, u64>) -> String {
    params
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The content of a row's verdict column.
pub fn verdict(row: &Row) -> String {
    if let Some(status) = row.failed {
        return status.describe().to_owned();
    }
    match &row.comparison {
        None if row.baseline => "baseline".to_owned(),
        None => "-".to_owned(),
        Some(comparison) => match (comparison.verdict, comparison.withheld.as_deref()) {
            _ if comparison.ratio.is_none() => "no figure".to_owned(),
            (Some(verdict), _) => verdict_in_words(comparison, verdict),
            (None, Some("a/a")) => "noise".to_owned(),
            (None, Some(flag)) => format!("none ({flag})"),
            (None, None) => "-".to_owned(),
        },
    }
}

/// A verdict with its qualification: `no difference beyond 2%`, `not enough data; about 12 more rounds`.
fn verdict_in_words(comparison: &Comparison, verdict: Verdict) -> String {
    match (verdict, comparison.margin, comparison.more_rounds) {
        (Verdict::NoDifference, Some(margin), _) => {
            format!("{verdict} beyond {}", units::percent(margin))
        }
        (Verdict::NotEnoughData, _, Some(rounds)) => format!(
            "{verdict}; about {rounds} more round{}",
            if rounds == 1 { "" } else { "s" }
        ),
        (Verdict::NotEnoughData, Some(_), None) => {
            format!("{verdict}; over {MOST_ROUNDS} more rounds")
        }
        _ => verdict.to_string(),
    }
}
