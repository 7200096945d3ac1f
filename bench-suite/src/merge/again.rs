//! Recomputes comparisons from stored rounds.

use crate::comparisons::{self, Against, ArmKey, Baseline, Question};
use crate::results::{ArmName, Comparison, Config, Family, LookAt, Results, Role, Run};
use crate::statistics::Looks;

/// The question, in its stored form.
pub(crate) fn stored(
    workload: &str,
    params: &std::collections::BTreeMap<String, u64>,
    question: &Question,
) -> Family {
    let looks = question.looks.map(|looks| {
        let made = looks.made().iter();
        made.map(|look| LookAt {
            rounds: look.rounds,
            share: look.share,
        })
        .collect()
    });
    Family {
        workload: workload.to_owned(),
        params: params.clone(),
        metric: question.metric.to_owned(),
        margin: question.margin,
        baselines: question
            .baselines
            .iter()
            .map(|one| name(&one.key))
            .collect(),
        best_of: question.best_of.iter().map(name).collect(),
        looks,
    }
}

fn name(key: &ArmKey) -> ArmName {
    ArmName {
        runtime: key.runtime.clone(),
        config: Config {
            binary: key.binary.clone(),
            policy: key.policy.clone(),
            knobs: key.knobs.clone(),
            without: key.without.clone(),
            workers_asked: key.workers,
            ..Config::default()
        },
    }
}

fn key(name: &ArmName) -> ArmKey {
    ArmKey::new(&name.runtime, &name.config, Role::Arm)
}

/// The looks that were made. All but the last one left some of the error rate to spend.
fn looks(stored: &[LookAt]) -> Looks {
    let mut looks = Looks::default();
    for look in stored {
        let spent: f64 = looks.made().iter().map(|look| look.share).sum();
        if (look.share - (1.0 - spent)).abs() < 1e-9 {
            looks.finish(look.rounds);
        } else {
            looks.interim(look.rounds);
        }
    }
    looks
}

/// Sets comparisons and remarks from the families and the runs.
pub(super) fn compute(results: &mut Results) {
    let (mut all, mut remarks) = (Vec::new(), Vec::new());
    for family in &results.families {
        let runs: Vec<&Run> = results
            .runs
            .iter()
            .filter(|run| run.workload == family.workload && run.params == family.params)
            .collect();
        all.extend(of_family(family, &runs));
        remarks.extend(comparisons::remarks(&runs, &family.metric));
    }
    results.comparisons = all;
    results.remarks = remarks;
}

fn of_family(family: &Family, runs: &[&Run]) -> Vec<Comparison> {
    let baselines: Vec<Baseline> = family
        .baselines
        .iter()
        .enumerate()
        .map(|(index, one)| Baseline {
            key: key(one),
            of: if index == 0 {
                Against::All
            } else {
                Against::OwnRuntime
            },
        })
        .collect();
    let best_of: Vec<ArmKey> = family.best_of.iter().map(key).collect();
    let looks = family.looks.as_deref().map(looks);
    let question = Question {
        baselines: &baselines,
        best_of: &best_of,
        metric: &family.metric,
        margin: family.margin,
        looks: looks.as_ref(),
    };
    comparisons::of_cell(runs, &question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_made_again_with_the_shares_that_they_had() {
        for (interim, last) in [(&[][..], 7), (&[12][..], 15), (&[12, 18, 27, 40][..], 60)] {
            let mut made = Looks::default();
            interim.iter().for_each(|&rounds| made.interim(rounds));
            let open = made.clone();
            made.finish(last);
            for one in [open, made] {
                let stored: Vec<LookAt> = one
                    .made()
                    .iter()
                    .map(|look| LookAt {
                        rounds: look.rounds,
                        share: look.share,
                    })
                    .collect();
                assert_eq!(looks(&stored), one);
            }
        }
    }
}
