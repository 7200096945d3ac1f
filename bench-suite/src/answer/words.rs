//! One section in words.

use super::changes::{self, Facts};
use super::kinds::Kind;
use super::models::Model;
use super::{Answer, model_of, models};
use crate::results::{Comparison, Role, Verdict};
use crate::summary::{self, Row, Section};
use crate::units;

/// What is answered by a section; `None` if it does not compare models.
pub(super) fn answer(section: &Section, cores: u64) -> Option<Answer> {
    let models = models(section);
    let kind = Kind::of(&section.workload.name)?;
    // With a peer as the baseline no model was compared with another.
    if models.len() < 2 || !models[0].1.baseline {
        return None;
    }
    let metric = units::metric_title(&section.metric);
    let (winner, said) = winner(&models, &metric);
    let of = |model: Model, metric: &str| {
        let row = models.iter().find(|(other, _)| *other == model)?.1;
        row.medians.get(metric).copied()
    };
    let facts = Facts {
        winner,
        cores,
        cpu_ns_per_op: of(winner, "cpu_ns_per_op"),
        threads_rss_bytes: of(Model::ThreadEach, "peak_rss_bytes"),
    };
    let parameters = summary::parameters(&section.params);
    Some(Answer {
        kind: kind.title(),
        workload: if parameters.is_empty() {
            section.workload.name.clone()
        } else {
            format!("{} ({parameters})", section.workload.name)
        },
        winner: said,
        cost: models
            .iter()
            .map(|(model, row)| format!("{} {}", model.name(), cost(row)))
            .collect::<Vec<_>>()
            .join("; "),
        beside: beside(section),
        change: changes::change(kind, facts),
    })
}

/// CPU time and memory: `5.60 µs CPU per op, 9.81 MiB`.
fn cost(row: &Row) -> String {
    let figure = |metric: &str| {
        row.medians.get(metric).map_or_else(
            || "unknown".to_owned(),
            |&value| units::metric(metric, value),
        )
    };
    format!(
        "{} CPU per op, {} at most",
        figure("cpu_ns_per_op"),
        figure("peak_rss_bytes")
    )
}

/// Who wins, and in words by how much. The first of `models` is what the others were compared with.
fn winner(models: &[(Model, &Row)], metric: &str) -> (Model, String) {
    let (baseline, _) = models[0];
    let others: Vec<(Model, &Comparison)> = models[1..]
        .iter()
        .filter_map(|(model, row)| Some((*model, row.comparison.as_ref()?)))
        .collect();
    let found = |verdict: Verdict| {
        others
            .iter()
            .copied()
            .filter(move |(_, one)| one.verdict == Some(verdict))
    };
    // A later look may have found somebody better than the best of the first one.
    let better = found(Verdict::Better)
        .filter_map(|(model, one)| Some((model, one, one.ratio?)))
        .min_by(|a, b| a.2.total_cmp(&b.2));
    if let Some((model, one, _)) = better {
        let said = format!(
            "{} wins, {} of {}'s {metric}",
            model.name(),
            units::ratio(one.ratio, one.ci95),
            baseline.name()
        );
        return (model, said);
    }
    let name = baseline.name();
    let equals: Vec<(Model, &Comparison)> = found(Verdict::NoDifference).collect();
    let open: Vec<(Model, &Comparison)> = found(Verdict::NotEnoughData)
        .filter(|(_, one)| one.ratio.is_some())
        .collect();
    let mut said = match (equals.is_empty(), open.is_empty()) {
        (true, true) => format!("{name} wins in {metric}"),
        (false, true) => format!("{name} and {} are alike in {metric}", names(&equals)),
        (_, false) => format!(
            "{name} leads in {metric}, and it is open against {}",
            names(&open)
        ),
    };
    let each: Vec<String> = others
        .iter()
        .filter_map(|(model, one)| {
            // As the winner's share of the other's: what the reader saves.
            let ratio = units::ratio(
                Some(1.0 / one.ratio?),
                one.ci95.map(|[low, high]| [1.0 / high, 1.0 / low]),
            );
            let open = match (one.verdict, one.more_rounds) {
                (Some(Verdict::NotEnoughData), Some(rounds)) => {
                    format!(" (open; about {rounds} more rounds)")
                }
                (Some(Verdict::NotEnoughData), None) => " (open)".to_owned(),
                (Some(Verdict::NoDifference), _) => one.margin.map_or_else(String::new, |margin| {
                    format!(" (no difference beyond {})", units::percent(margin))
                }),
                _ => String::new(),
            };
            Some(format!("{ratio} of {}'s{open}", model.name()))
        })
        .collect();
    if !each.is_empty() {
        said = format!("{said}: {}", each.join(", "));
    }
    (baseline, said)
}

fn names(models: &[(Model, &Comparison)]) -> String {
    models
        .iter()
        .map(|(model, _)| model.name())
        .collect::<Vec<_>>()
        .join(" and ")
}

/// How the others fare: `tokio-mt 1.02x [0.98, 1.05], no difference beyond 5%`.
fn beside(section: &Section) -> Option<String> {
    let others: Vec<String> = section
        .rows
        .iter()
        .filter(|row| row.role == Role::Arm && model_of(row).is_none())
        .filter_map(|row| {
            let one = row.comparison.as_ref()?;
            one.ratio?;
            Some(format!(
                "{} {}, {}",
                row.label,
                units::ratio(one.ratio, one.ci95),
                summary::verdict(row)
            ))
        })
        .collect();
    (!others.is_empty()).then(|| others.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::tests::{among, run};
    use crate::comparisons::{Against, ArmKey, Baseline};
    use crate::results::{Config, Results, SCHEMA};

    /// Twelve rounds in which the models take these nanoseconds, more or less.
    fn results(n1: u64, mn: u64, threads: u64) -> Results {
        let mut random = fastrand::Rng::with_seed(9);
        let mut runs = Vec::new();
        for round in 0..12 {
            for (runtime, role, wall_ns) in [
                ("n1", Role::Arm, n1),
                ("n1", Role::Repeat, n1),
                ("mn", Role::Arm, mn),
                ("threads", Role::Arm, threads),
                ("tokio-mt", Role::Arm, mn),
            ] {
                let noise = random.u64(0..wall_ns / 50);
                runs.push(run(runtime, role, round, wall_ns + noise));
            }
        }
        let key = |runtime: &str| ArmKey::new(runtime, &Config::default(), Role::Arm);
        let baseline = Baseline {
            key: key("n1"),
            of: Against::All,
        };
        let best_of = [key("n1"), key("mn"), key("threads")];
        let comparisons = among(&[baseline], &best_of, &runs, false);
        Results {
            schema: SCHEMA.into(),
            runs,
            comparisons,
            ..Results::default()
        }
    }

    fn said(n1: u64, mn: u64, threads: u64) -> Answer {
        let results = results(n1, mn, threads);
        let sections = summary::sections(&results);
        let answers = super::super::answers(&results, &sections);
        assert_eq!(answers.len(), 1);
        answers[0].clone()
    }

    #[test]
    fn the_winner_is_named_with_its_share_of_the_others() {
        let answer = said(10_000, 20_000, 40_000);
        assert_eq!(answer.kind, "Many sockets, little work each");
        assert!(
            answer.winner.starts_with("N:1 wins in time per op: 0.5"),
            "{answer:?}"
        );
        assert!(answer.winner.contains("of M:N's, 0.2"), "{answer:?}");
        assert!(answer.cost.contains("N:1 ") && answer.cost.contains("4.00 KiB at most"));
        let beside = answer.beside.unwrap();
        assert!(
            beside.starts_with("tokio-mt ") && beside.ends_with("worse"),
            "{beside}"
        );
        // 20 µs of CPU for ten ops, twice over: half a million a second.
        assert!(
            answer.change.starts_with("M:N, for more than about 49"),
            "{}",
            answer.change
        );
    }

    #[test]
    fn models_that_are_alike_are_said_to_be() {
        let answer = said(10_000, 10_000, 40_000);
        let alike = ["N:1 and M:N are alike", "M:N and N:1 are alike"];
        assert!(
            alike.iter().any(|start| answer.winner.starts_with(start)),
            "{answer:?}"
        );
        assert!(answer.winner.contains("no difference beyond 2%"));
    }
}
