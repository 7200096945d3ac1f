//! One section in words.

use super::changes::{self, Facts};
use super::kinds::Kind;
use super::models::Model;
use super::peer::{beside_a_peer, doubt};
use super::{Answer, model_of, models};
use crate::results::{Comparison, Role, Verdict};
use crate::summary::{self, Row, Section};
use crate::units;

/// What is answered by a section; `None` if it does not compare models.
pub(super) fn answer(section: &Section, title: &str, cores: u64) -> Option<Answer> {
    let models = models(section);
    let kind = Kind::of(&section.workload.name)?;
    if models.len() < 2 {
        return None;
    }
    let metric = units::metric_title(&section.metric);
    let (winner, said) = if models[0].1.baseline {
        winner(&models, &metric)
    } else {
        beside_a_peer(section, &models, &metric)?
    };
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
    Some(Answer {
        kind: kind.title(),
        workload: title.to_owned(),
        winner: said,
        own_cost: models
            .iter()
            .find(|(model, _)| *model == winner)
            .map_or_else(String::new, |(_, row)| cost(row)),
        uneven: uneven(section),
        cost: models
            .iter()
            .map(|(model, row)| format!("{} {}", model.name(), cost(row)))
            .collect::<Vec<_>>()
            .join("; "),
        // With a peer as the baseline the models themselves stand beside it.
        beside: beside(section).filter(|_| models[0].1.baseline),
        change: changes::change(kind, facts),
    })
}

/// CPU time and memory: `5.60 µs CPU per op and 9.81 MiB`.
fn cost(row: &Row) -> String {
    let figure = |metric: &str| {
        row.medians.get(metric).map_or_else(
            || "unknown".to_owned(),
            |&value| units::metric(metric, value),
        )
    };
    format!(
        "{} CPU per op and {}",
        figure("cpu_ns_per_op"),
        figure("peak_rss_bytes")
    )
}

/// Which models' and peers' rounds are not all alike, and how: a median hides that.
fn uneven(section: &Section) -> Option<String> {
    let named: Vec<String> = section
        .rows
        .iter()
        .filter_map(|row| {
            let remark = row.remark.as_ref()?;
            Some(match model_of(row).filter(|_| row.role == Role::Arm) {
                Some(model) => format!("{}: {remark}", model.name()),
                None => format!("{}: {remark}", row.label),
            })
        })
        .collect();
    (!named.is_empty()).then(|| named.join("; "))
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
            Some(format!("{ratio} of {}'s{}", model.name(), doubt(one)))
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
    fn results(baseline: &str, n1: u64, mn: u64, threads: u64) -> Results {
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
            key: key(baseline),
            of: Against::All,
        };
        let models = [key("n1"), key("mn"), key("threads")];
        let best_of = if models.contains(&baseline.key) {
            &models[..]
        } else {
            &[]
        };
        let comparisons = among(&[baseline], best_of, &runs, false);
        Results {
            schema: SCHEMA.into(),
            runs,
            comparisons,
            ..Results::default()
        }
    }

    fn said(n1: u64, mn: u64, threads: u64) -> Answer {
        answered(&results("n1", n1, mn, threads))
    }

    fn answered(results: &Results) -> Answer {
        let sections = summary::sections(results);
        let answers = super::super::answers(results, &sections);
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
        assert!(answer.cost.contains("N:1 ") && answer.cost.contains("and 4.00 KiB"));
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
    fn with_a_peer_as_the_baseline_each_model_is_set_against_it() {
        let answer = answered(&results("tokio-mt", 10_000, 20_000, 40_000));
        assert!(
            answer.winner.starts_with(
                "N:1 beats tokio-mt, M:N is as good as tokio-mt, 1:1 loses to tokio-mt in time per op: N:1 0.5"
            ) || answer.winner.starts_with("N:1 beats tokio-mt, 1:1 loses to tokio-mt, M:N is open"),
            "{answer:?}"
        );
        assert!(
            answer.winner.contains("of the models N:1 has the least"),
            "{answer:?}"
        );
        assert!(answer.beside.is_none() && answer.change.starts_with("M:N, for more than"));
    }

    #[test]
    fn a_sentence_has_its_cost_and_what_would_change_it_and_uneven_rounds_are_named() {
        let mut results = results("n1", 10_000, 20_000, 40_000);
        results.remarks.push(crate::results::Remark {
            workload: "echo".into(),
            params: std::collections::BTreeMap::new(),
            metric: "wall_ns_per_op".into(),
            runtime: "mn".into(),
            role: Role::Arm,
            config: Config::default(),
            remark: "two modes, 4 of 12 rounds at 1.30x of the others".into(),
        });
        let answer = answered(&results);
        let lines = super::super::lines(&[answer]);
        let sentence = &lines[1].1;
        for part in [
            "echo: N:1 wins in time per op",
            "at 2.0",
            "CPU per op and 4.00 KiB",
            "; M:N, for more than about",
        ] {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
        assert!(
            lines
                .iter()
                .any(|(_, line)| line.contains("rounds are not all alike: M:N: two modes")),
            "{lines:?}"
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
