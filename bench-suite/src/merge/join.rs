//! Joins several results into one.

use std::collections::BTreeMap;
use std::path::Path;

use super::again;
use super::unlike::{self, Difference};
use crate::results::{Family, LookAt, Results, Run};

/// Joins `parts`, each with the name of its file. Differences of the kinds in `allowed` become notes.
///
/// If several parts contain a workload, its rounds are renumbered consecutively, so that each round's pairs stay
/// together.
///
/// # Errors
/// One line: which two parts can't be joined, and why.
pub(super) fn join(
    parts: Vec<(&Path, Results)>,
    allowed: &[Difference],
) -> Result<Results, String> {
    let mut parts = parts.into_iter();
    let Some((first_path, mut whole)) = parts.next() else {
        return Err("nothing to join; name results that `lab compare` wrote".to_owned());
    };
    asks(first_path, &whole)?;
    let first = whole.clone();
    let mut paths = vec![(first_path, identity(&whole))];
    for (path, part) in parts {
        asks(path, &part)?;
        let own = identity(&part);
        if let Some((twin, _)) = paths.iter().find(|(_, other)| *other == own) {
            return Err(format!(
                "{} and {} are of the same run; name each once",
                twin.display(),
                path.display()
            ));
        }
        for (kind, what) in unlike::differences(&first, &part) {
            if !allowed.contains(&kind) {
                return Err(format!(
                    "{} and {} are of unlike {}: {what}; --unlike {} joins them anyway",
                    first_path.display(),
                    path.display(),
                    kind.name(),
                    kind.name()
                ));
            }
            let note = format!("joined in spite of unlike {}: {what}", kind.name());
            if !whole.notes.contains(&note) {
                whole.notes.push(note);
            }
        }
        if whole.sweep != part.sweep {
            return Err(format!(
                "{} and {} have different questions (`lab sweep`); join results of one kind",
                first_path.display(),
                path.display()
            ));
        }
        add(&mut whole, part).map_err(|what| format!("{}: {what}", path.display()))?;
        paths.push((path, own));
    }
    if paths.len() > 1 {
        let note = format!("joined from {} results", paths.len());
        whole.notes.push(note);
    }
    again::compute(&mut whole);
    Ok(whole)
}

/// Keeps the rounds, and drops the data within each process.
pub(super) fn leave_rounds(results: &mut Results) {
    for run in &mut results.runs {
        run.samples.clear();
        run.histogram_hdr_base64 = None;
    }
    for excerpt in results
        .traced
        .iter_mut()
        .filter_map(|one| one.excerpt.as_mut())
    {
        excerpt.timeline_deflate_base64.clear();
    }
    let note = "samples, histograms and timelines within a process are left out".to_owned();
    if !results.notes.contains(&note) {
        results.notes.push(note);
    }
}

/// Older results don't contain the question.
fn asks(path: &Path, part: &Results) -> Result<(), String> {
    let has = |run: &Run| {
        let families = part.families.iter();
        families
            .clone()
            .any(|one| one.workload == run.workload && one.params == run.params)
    };
    if part.environments.is_empty() || !part.runs.iter().all(has) {
        return Err(format!(
            "{} does not contain the question, so the comparisons can't be recomputed; measure again",
            path.display()
        ));
    }
    Ok(())
}

/// Distinguishes one run of the lab from another.
fn identity(part: &Results) -> impl PartialEq + use<> {
    let one = part.environments.first().cloned().unwrap_or_default();
    let times: Vec<Option<u64>> = part.runs.iter().map(|run| run.wall_ns).collect();
    (one.started_unix_s, one.seed, one.shard, times)
}

fn add(whole: &mut Results, mut part: Results) -> Result<(), String> {
    rename_environments(whole, &mut part);
    whole.curves.append(&mut part.curves);
    whole.capacities.append(&mut part.capacities);
    let mut offsets: BTreeMap<(String, BTreeMap<String, u64>), u32> = BTreeMap::new();
    for run in &whole.runs {
        let next = offsets
            .entry((run.workload.clone(), run.params.clone()))
            .or_default();
        *next = (*next).max(run.round + 1);
    }
    for family in part.families {
        let known = whole
            .families
            .iter_mut()
            .find(|one| one.workload == family.workload && one.params == family.params);
        match known {
            None => whole.families.push(family),
            Some(known) => {
                let cell = (family.workload.clone(), family.params.clone());
                let before = offsets.get(&cell).copied().unwrap_or(0);
                let own = part.runs.iter();
                let own = own.filter(|run| run.workload == cell.0 && run.params == cell.1);
                let rounds = own.map(|run| run.round + 1).max().unwrap_or(0);
                extend(known, &family, before + rounds)?;
            }
        }
    }
    for mut run in part.runs {
        let cell = (run.workload.clone(), run.params.clone());
        run.round += offsets.get(&cell).copied().unwrap_or(0);
        whole.runs.push(run);
    }
    keep_new(&mut whole.notes, part.notes);
    keep_new(&mut whole.workloads, part.workloads);
    keep_new(&mut whole.absent, part.absent);
    keep_new(&mut whole.counts, part.counts);
    keep_new(&mut whole.traced, part.traced);
    whole.default_policies.extend(part.default_policies);
    Ok(())
}

fn keep_new<T: PartialEq>(whole: &mut Vec<T>, part: Vec<T>) {
    for one in part {
        if !whole.contains(&one) {
            whole.push(one);
        }
    }
}

/// The same question with the rounds of another part added. Looks at the first part's rounds are kept if more looks
/// were to follow. The rest of their error rate is spent on all rounds.
fn extend(known: &mut Family, other: &Family, rounds: u32) -> Result<(), String> {
    let same = known.metric == other.metric
        && known.margin.to_bits() == other.margin.to_bits()
        && known.baselines == other.baselines
        && known.best_of == other.best_of
        && known.looks.is_some() == other.looks.is_some();
    if !same {
        return Err(format!(
            "asks something else of {} than the results before it (baseline, margin or --quick); measure both alike",
            known.workload
        ));
    }
    if let Some(looks) = &mut known.looks {
        let spent = |looks: &[LookAt]| looks.iter().map(|look| look.share).sum::<f64>();
        if spent(looks) > 1.0 - 1e-9 {
            looks.pop();
        }
        let share = 1.0 - spent(looks);
        looks.push(LookAt { rounds, share });
    }
    Ok(())
}

/// Gives the part's environments names that do not occur in the whole yet.
fn rename_environments(whole: &mut Results, part: &mut Results) {
    let mut names = BTreeMap::new();
    for mut environment in std::mem::take(&mut part.environments) {
        let old = environment.id.clone();
        for number in 2.. {
            if whole
                .environments
                .iter()
                .all(|one| one.id != environment.id)
            {
                break;
            }
            environment.id = format!("{old}-{number}");
        }
        names.insert(old, environment.id.clone());
        whole.environments.push(environment);
    }
    for run in &mut part.runs {
        if let Some(name) = names.get(&run.environment) {
            run.environment.clone_from(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::tests::run;
    use crate::results::{ArmName, Environment, Role, SCHEMA, Sample, Verdict, WorkloadInfo};

    fn part(seed: u64, workload: &str, rounds: u32) -> Results {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut runs = Vec::new();
        for round in 0..rounds {
            for (runtime, role, time) in [
                ("n1", Role::Arm, 1000),
                ("n1", Role::Repeat, 1000),
                ("mn", Role::Arm, 1200),
            ] {
                let mut one = run(runtime, role, round, time * 100 + random.u64(0..500));
                one.workload = workload.to_owned();
                runs.push(one);
            }
        }
        let mut results = Results {
            schema: SCHEMA.to_owned(),
            environments: vec![Environment {
                id: "e1".to_owned(),
                seed,
                cores: 2,
                ..Environment::default()
            }],
            runs,
            families: vec![Family {
                workload: workload.to_owned(),
                metric: "wall_ns_per_op".to_owned(),
                margin: 0.02,
                baselines: vec![ArmName {
                    runtime: "n1".to_owned(),
                    ..ArmName::default()
                }],
                looks: Some(vec![LookAt { rounds, share: 1.0 }]),
                ..Family::default()
            }],
            workloads: vec![WorkloadInfo {
                name: workload.to_owned(),
                group: "g".to_owned(),
                about: String::new(),
                op: String::new(),
                metric: "wall_ns_per_op".to_owned(),
            }],
            ..Results::default()
        };
        again::compute(&mut results);
        results
    }

    fn joined(parts: Vec<Results>, allowed: &[Difference]) -> Result<Results, String> {
        let names = ["a.json", "b.json", "c.json"].map(Path::new);
        join(names.into_iter().zip(parts).collect(), allowed)
    }

    fn verdict(results: &Results) -> Option<Verdict> {
        let arms = results.comparisons.iter();
        let mut of_mn = arms.filter(|one| one.runtime == "mn" && one.metric == "wall_ns_per_op");
        of_mn.next().and_then(|one| one.verdict)
    }

    #[test]
    fn shards_of_other_workloads_stand_side_by_side_as_they_were() {
        let (one, two) = (part(1, "echo", 8), part(2, "http", 9));
        let whole = joined(vec![one.clone(), two.clone()], &[]).unwrap();
        assert_eq!(whole.runs.len(), one.runs.len() + two.runs.len());
        let both = [one.comparisons, two.comparisons].concat();
        assert_eq!(whole.comparisons, both);
        let ids: Vec<&str> = whole
            .environments
            .iter()
            .map(|one| one.id.as_str())
            .collect();
        assert_eq!(ids, ["e1", "e1-2"]);
        let of = |workload| {
            whole
                .runs
                .iter()
                .filter(move |run| run.workload == workload)
        };
        assert!(of("echo").all(|run| run.environment == "e1"));
        assert!(of("http").all(|run| run.environment == "e1-2" && run.round < 9));
    }

    #[test]
    fn shards_of_one_workload_decide_together() {
        let (one, two) = (part(1, "echo", 4), part(2, "echo", 4));
        assert_eq!(verdict(&one), Some(Verdict::NotEnoughData));
        let whole = joined(vec![one, two], &[]).unwrap();
        assert_eq!(verdict(&whole), Some(Verdict::Worse));
        let rounds: std::collections::BTreeSet<u32> =
            whole.runs.iter().map(|run| run.round).collect();
        assert_eq!(rounds, (0..8).collect());
        assert_eq!(
            whole.families[0].looks,
            Some(vec![LookAt {
                rounds: 8,
                share: 1.0
            }])
        );
    }

    #[test]
    fn rounds_alone_are_a_smaller_file_with_the_same_comparisons() {
        let mut one = part(1, "echo", 8);
        for run in &mut one.runs {
            run.samples = vec![Sample::default(); 20];
        }
        let mut small = joined(vec![one.clone()], &[]).unwrap();
        leave_rounds(&mut small);
        assert_eq!(small.comparisons, one.comparisons);
        assert_eq!(small.runs.len(), one.runs.len());
        assert!(small.runs.iter().all(|run| run.samples.is_empty()));
        assert_eq!(small.notes.len(), 1, "{:?}", small.notes);
    }

    #[test]
    fn error_rate_that_an_adaptive_part_has_spent_stays_spent() {
        let (mut one, two) = (part(1, "echo", 12), part(2, "echo", 4));
        one.families[0].looks = Some(vec![LookAt {
            rounds: 12,
            share: 0.2,
        }]);
        let whole = joined(vec![one, two], &[]).unwrap();
        let looks = whole.families[0].looks.as_ref().unwrap();
        assert_eq!((looks.len(), looks[1].rounds), (2, 16));
        assert!((looks[1].share - 0.8).abs() < 1e-9);
    }

    #[test]
    fn each_difference_is_refused_by_name_until_it_is_allowed() {
        type Change = fn(&mut Results);
        let change: [(Difference, Change); 6] = [
            (Difference::Machines, |one| one.environments[0].cores = 3),
            (Difference::Kernels, |one| {
                one.environments[0].kernel = Some("7".into())
            }),
            (Difference::Governors, |one| {
                one.environments[0].conditions = Some(crate::results::Conditions {
                    governor: Some("powersave".into()),
                    ..Default::default()
                });
            }),
            (Difference::Allocators, |one| {
                one.runs[0].config.allocator = Some("x".into())
            }),
            (Difference::Versions, |one| {
                one.environments[0].rustc = Some("2".into())
            }),
            (Difference::Versions, |one| {
                one.environments[0]
                    .versions
                    .insert("tokio".into(), "2".into());
            }),
        ];
        for (kind, change) in change {
            let (one, mut two) = (part(1, "echo", 4), part(2, "http", 4));
            change(&mut two);
            let both = || vec![one.clone(), two.clone()];
            let refused = joined(both(), &[]).unwrap_err();
            let name = kind.name();
            assert!(refused.contains(&format!("unlike {name}")), "{refused}");
            assert!(
                !refused.contains('\n') && refused.contains("b.json"),
                "{refused}"
            );
            let others = [
                Difference::Machines,
                Difference::Kernels,
                Difference::Governors,
                Difference::Allocators,
                Difference::Versions,
            ];
            let others: Vec<Difference> = others.into_iter().filter(|one| *one != kind).collect();
            assert!(
                joined(both(), &others).is_err(),
                "{name} is not one of the others"
            );
            let whole = joined(both(), &[kind]).unwrap();
            assert!(whole.notes.iter().any(|note| note.contains("in spite of")));
        }
    }

    #[test]
    fn the_same_run_twice_and_another_question_are_refused() {
        let one = part(1, "echo", 4);
        let refused = joined(vec![one.clone(), one.clone()], &[]).unwrap_err();
        assert!(refused.contains("of the same run"), "{refused}");
        let mut other = part(2, "echo", 4);
        other.families[0].margin = 0.05;
        let refused = joined(vec![one.clone(), other], &[]).unwrap_err();
        assert!(refused.contains("asks something else of echo"), "{refused}");
        let mut old = part(3, "echo", 4);
        old.families.clear();
        let refused = joined(vec![one, old], &[]).unwrap_err();
        assert!(refused.contains("measure again"), "{refused}");
    }
}
