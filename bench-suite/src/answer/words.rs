//! The answer to one section, in words.

use std::fmt::Write as _;

use super::changes::{self, Facts};
use super::kinds::Kind;
use super::models::{Model, model_of, models};
use super::peer::{beside_a_peer, doubt};
use crate::results::{Comparison, Role, Verdict};
use crate::summary::{self, Row, Section};
use crate::units;

/// The answer for one workload with one set of parameters.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The kind of work, as a heading.
    pub(crate) kind: &'static str,
    /// The workload, with the parameters that distinguish it.
    pub(crate) workload: String,
    /// What one operation is.
    pub(crate) op: String,
    /// The winner, and by how much it wins.
    pub(crate) winner: String,
    /// Models with uneven rounds, and the reason: outliers, two modes, or drift.
    pub(crate) uneven: Option<String>,
    /// CPU time and peak memory of each model, the best one first.
    pub(crate) cost: String,
    /// The results of peers that ran beside the models.
    pub(crate) beside: Option<String>,
    /// What would change the answer, in whole sentences.
    pub(crate) change: String,
}

impl Answer {
    /// The winner, and by how much it wins.
    pub(crate) fn sentence(&self) -> String {
        format!("{}: {}", self.workload, self.winner)
    }

    /// The lines below that sentence, of one or more sentences each.
    pub(crate) fn details(&self) -> Vec<String> {
        let mut cost = format!("Cost: {}.", self.cost);
        if !self.op.is_empty() {
            let _ = write!(cost, " An op is {}.", self.op);
        }
        let mut details = vec![cost, self.change.clone()];
        details.extend(
            self.beside
                .iter()
                .map(|said| format!("Beside the models: {said}.")),
        );
        details.extend(
            self.uneven
                .iter()
                .map(|said| format!("Rounds are uneven: {said}.")),
        );
        details
    }
}

/// The answer to a section; `None` if it does not compare models.
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
    let mut winner_first = models.clone();
    winner_first.sort_by_key(|(model, _)| *model != winner);
    Some(Answer {
        kind: kind.title(),
        workload: title.to_owned(),
        op: section.workload.op.clone(),
        winner: said,
        uneven: uneven(section),
        cost: winner_first
            .iter()
            .map(|(model, row)| format!("{} {}", model.name(), cost(row)))
            .collect::<Vec<_>>()
            .join("; "),
        // If a peer is the baseline, the models' own ratios already compare them with it.
        beside: beside(section).filter(|_| models[0].1.baseline),
        change: changes::change(kind, facts),
    })
}

/// CPU time and memory: `5.60 µs of CPU per op and 9.81 MiB at the peak`.
fn cost(row: &Row) -> String {
    let figure = |metric: &str| {
        row.medians.get(metric).map_or_else(
            || "unknown".to_owned(),
            |&value| units::metric(metric, value),
        )
    };
    format!(
        "{} of CPU per op and {} at the peak",
        figure("cpu_ns_per_op"),
        figure("peak_rss_bytes")
    )
}

/// The models and peers with uneven rounds, and the reason. The median hides this.
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

/// The winner, and in words by how much it wins. The others were compared with the first of `models`.
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
    // A later look may find a model better than the best one at the first look.
    let better = found(Verdict::Better)
        .filter_map(|(model, one)| Some((model, one, one.ratio?)))
        .min_by(|a, b| a.2.total_cmp(&b.2));
    if let Some((model, one, _)) = better {
        let said = format!(
            "{} wins with the least {metric}: {} of {}'s",
            model.name(),
            units::ratio(one.ratio, one.ci95),
            baseline.name()
        );
        return (model, said);
    }
    let name = baseline.name();
    let equals: Vec<(Model, &Comparison)> = found(Verdict::NoDifference).collect();
    // A comparison without a verdict is also undecided: a quick run gives no verdicts.
    let open: Vec<(Model, &Comparison)> = others
        .iter()
        .copied()
        .filter(|(_, one)| matches!(one.verdict, None | Some(Verdict::NotEnoughData)))
        .filter(|(_, one)| one.ratio.is_some())
        .collect();
    let mut said = match (equals.is_empty(), open.is_empty()) {
        (true, true) => format!("{name} wins with the least {metric}"),
        (false, true) => format!("{name} and {} are alike in {metric}", names(&equals)),
        (_, false) => format!(
            "{name} has the least {metric} so far, but it is undecided against {}",
            names(&open)
        ),
    };
    let each: Vec<String> = others
        .iter()
        .filter_map(|(model, one)| {
            // The winner's value as a share of the other's, which shows what the reader saves.
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

/// The results of the peers: `tokio-mt 1.02x [0.98, 1.05], no difference beyond 5%`.
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

    /// Twelve rounds in which the models take about these nanoseconds.
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
            answer
                .winner
                .starts_with("N:1 wins with the least time per op: 0.5"),
            "{answer:?}"
        );
        assert!(answer.winner.contains("of M:N's, 0.2"), "{answer:?}");
        assert!(answer.cost.starts_with("N:1 ") && answer.cost.contains("and 4.00 KiB"));
        let beside = answer.beside.unwrap();
        assert!(
            beside.starts_with("tokio-mt ") && beside.ends_with("worse"),
            "{beside}"
        );
        // 20 µs of CPU for ten ops: half a million per second.
        assert!(
            answer.change.starts_with("Take M:N for more than about 49"),
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
            ) || answer.winner.starts_with("N:1 beats tokio-mt, 1:1 loses to tokio-mt, M:N is undecided"),
            "{answer:?}"
        );
        assert!(
            answer.winner.contains("of the models N:1 has the least"),
            "{answer:?}"
        );
        assert!(answer.beside.is_none() && answer.change.starts_with("Take M:N for more than"));
    }

    #[test]
    fn a_sentence_names_its_cost_what_would_change_it_and_uneven_rounds() {
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
        for part in [
            "echo: N:1 wins with the least time per op: 0.5",
            "Cost: N:1 2.0",
            "of CPU per op and 4.00 KiB at the peak; M:N",
            "Take M:N for more than about",
            "Beside the models: tokio-mt ",
            "Rounds are uneven: M:N: two modes",
        ] {
            assert!(
                lines.iter().any(|(_, line)| line.contains(part)),
                "{part}: {lines:?}"
            );
        }
        assert!(
            lines[1..].iter().all(|(_, line)| line.ends_with('.')),
            "{lines:?}"
        );
    }

    #[test]
    fn without_verdicts_no_winner_is_named() {
        let mut results = results("n1", 10_000, 20_000, 40_000);
        for one in &mut results.comparisons {
            one.verdict = None;
        }
        let answer = answered(&results);
        assert!(
            answer.winner.starts_with(
                "N:1 has the least time per op so far, but it is undecided against M:N and 1:1: 0.5"
            ),
            "{answer:?}"
        );
    }

    #[test]
    fn equal_models_are_called_equal() {
        let answer = said(10_000, 10_000, 40_000);
        let alike = ["N:1 and M:N are alike", "M:N and N:1 are alike"];
        assert!(
            alike.iter().any(|start| answer.winner.starts_with(start)),
            "{answer:?}"
        );
        assert!(answer.winner.contains("no difference beyond 2%"));
    }
}
