//! The answer: which of the three models to choose for which work, by how much, at what cost, and what would change it.
//!
//! It covers only what was measured, and only workloads with several models. The leader is the baseline of a workload's
//! section, or the model that was found better than the baseline. Undecided comparisons are reported as open.

mod changes;
mod kinds;
mod models;
mod overview;
mod peer;
mod words;

use crate::results::Results;
use crate::summary::{self, Section};

pub(crate) use models::Model;
pub(crate) use overview::Overview;
pub(crate) use words::Answer;

/// The answers for `sections`; empty if fewer than two models were measured.
pub(crate) fn answers(results: &Results, sections: &[Section]) -> Vec<Answer> {
    if results.sweep.is_some() {
        return Vec::new();
    }
    let cores = results
        .environments
        .first()
        .map_or(0, |environment| environment.cores);
    sections
        .iter()
        .filter(|section| section.choices_of.is_none())
        .filter_map(|section| words::answer(section, &title(section, sections), cores))
        .collect()
}

/// The workload's name, with the parameters that distinguish it from its other sections: `echo`, `echo (rate=3000)`.
fn title(section: &Section, sections: &[Section]) -> String {
    let others = || {
        let same = |other: &&Section| other.workload.name == section.workload.name;
        sections.iter().filter(same)
    };
    let mut telling = section.params.clone();
    if others().count() > 1 {
        telling.retain(|name, value| others().any(|other| other.params.get(name) != Some(&*value)));
    }
    // A rate of 0 means a closed loop.
    let closed = telling.get("rate") == Some(&0);
    telling.retain(|name, _| !(closed && name == "rate"));
    let mut parameters = summary::parameters(&telling);
    if closed && others().count() > 1 {
        let comma = if parameters.is_empty() { "" } else { ", " };
        parameters = format!("closed loop{comma}{parameters}");
    }
    if parameters.is_empty() {
        section.workload.name.clone()
    } else {
        format!("{} ({parameters})", section.workload.name)
    }
}

/// The answers as unwrapped lines of text, each with its indentation.
pub(crate) fn lines(answers: &[Answer]) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut kind = "";
    for answer in answers {
        if answer.kind != kind {
            kind = answer.kind;
            lines.push((0, kind.to_owned()));
        }
        lines.push((2, format!("{}.", answer.sentence())));
        lines.extend(answer.details().into_iter().map(|line| (4, line)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::tests::run;
    use crate::results::Role;

    #[test]
    fn a_title_distinguishes_its_section_from_others_of_the_workload() {
        let at = |rates: &[u64]| -> Vec<String> {
            let runs = rates.iter().map(|&rate| {
                let mut run = run("mn", Role::Arm, 0, 1000);
                run.params.insert("bytes".into(), 64);
                run.params.insert("rate".into(), rate);
                run
            });
            let results = Results {
                runs: runs.collect(),
                ..Results::default()
            };
            let sections = summary::sections(&results);
            let titles = sections.iter().map(|one| title(one, &sections));
            titles.collect()
        };
        assert_eq!(at(&[0]), ["echo (bytes=64)"]);
        assert_eq!(at(&[300]), ["echo (bytes=64, rate=300)"]);
        assert_eq!(at(&[0, 300]), ["echo (closed loop)", "echo (rate=300)"]);
    }
}
