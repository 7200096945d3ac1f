//! The models' results if each was compared with a peer, and not with the other models.

use super::models::Model;
use crate::results::{Comparison, Verdict};
use crate::summary::{Row, Section};
use crate::units;

/// The best model, if the models were only compared with a peer; `None` without a figure.
pub(super) fn beside_a_peer(
    section: &Section,
    models: &[(Model, &Row)],
    metric: &str,
) -> Option<(Model, String)> {
    let peer = section.rows.iter().find(|row| row.baseline && row.ok > 0)?;
    let mut compared: Vec<(Model, &Comparison, f64)> = models
        .iter()
        .filter_map(|(model, row)| {
            let one = row.comparison.as_ref()?;
            Some((*model, one, one.ratio?))
        })
        .collect();
    compared.sort_by(|a, b| a.2.total_cmp(&b.2));
    let best = compared.first()?.0;
    let found = |verdict: Verdict| {
        compared
            .iter()
            .filter(move |one| one.1.verdict == Some(verdict))
    };
    let named = |verdict: Verdict| {
        let names: Vec<&str> = found(verdict).map(|one| one.0.name()).collect();
        names.join(" and ")
    };
    let does = |verdict: Verdict, one: &str, several: &str| match found(verdict).count() {
        0 => None,
        1 => Some(format!("{} {one} {}", named(verdict), peer.label)),
        _ => Some(format!("{} {several} {}", named(verdict), peer.label)),
    };
    let said: Vec<String> = [
        does(Verdict::Better, "beats", "beat"),
        does(Verdict::NoDifference, "is as good as", "are as good as"),
        does(Verdict::Worse, "loses to", "lose to"),
        does(
            Verdict::NotEnoughData,
            "is undecided against",
            "are undecided against",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    let each: Vec<String> = compared
        .iter()
        .map(|(model, one, _)| {
            let ratio = units::ratio(one.ratio, one.ci95);
            format!("{} {ratio} of {}'s{}", model.name(), peer.label, doubt(one))
        })
        .collect();
    let verdicts = if said.is_empty() {
        format!("compared with {}", peer.label)
    } else {
        said.join(", ")
    };
    Some((
        best,
        format!(
            "{verdicts} in {metric}: {}; of the models {} has the least, and they were not compared with each other",
            each.join(", "),
            best.name()
        ),
    ))
}

/// The qualification of a ratio: ` (undecided; about 3 more rounds)`, ` (no difference beyond 2%)`, or nothing.
pub(super) fn doubt(one: &Comparison) -> String {
    match (one.verdict, one.more_rounds) {
        (Some(Verdict::NotEnoughData), Some(1)) => " (undecided; about 1 more round)".to_owned(),
        (Some(Verdict::NotEnoughData), Some(rounds)) => {
            format!(" (undecided; about {rounds} more rounds)")
        }
        (Some(Verdict::NotEnoughData), None) => " (undecided)".to_owned(),
        (Some(Verdict::NoDifference), _) => one.margin.map_or_else(String::new, |margin| {
            format!(" (no difference beyond {})", units::percent(margin))
        }),
        _ => String::new(),
    }
}
