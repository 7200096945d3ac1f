//! The answer: which of the three models to take for which work, by how much, at what cost, and what would change it.
//!
//! It is said only of what was measured, and only where several models were. Who leads is the baseline of a workload's
//! section or whoever was found better than it; what is not decided is said to be open.

mod changes;
mod kinds;
mod models;
mod overview;
mod peer;
mod words;

use std::fmt::Write as _;

use crate::results::{Results, Role};
use crate::summary::{self, Row, Section};

pub(crate) use models::{Model, model_of};
pub(crate) use overview::Overview;

/// What is answered about one workload with one set of parameters.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The kind of work, as a heading.
    pub(crate) kind: &'static str,
    /// The workload and its parameters, if those are not the only ones.
    pub(crate) workload: String,
    /// Who wins, and by how much.
    pub(crate) winner: String,
    /// CPU time and peak memory of the winner.
    pub(crate) own_cost: String,
    /// Models whose rounds are not all alike, and how: rounds far off, two modes, drift.
    pub(crate) uneven: Option<String>,
    /// CPU time and peak memory, of each model.
    pub(crate) cost: String,
    /// How others fare that were measured beside the models.
    pub(crate) beside: Option<String>,
    /// What would change it.
    pub(crate) change: String,
}

impl Answer {
    /// Who wins by how much, at what cost, and what would change it.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "{}: {}; at {}; {}",
            self.workload, self.winner, self.own_cost, self.change
        )
    }
}

/// The answers that `sections` hold; none where fewer than two models were measured.
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

/// The workload, with its parameters where others of it have the same values of none: `echo`, `echo (rate=3000)`.
fn title(section: &Section, sections: &[Section]) -> String {
    let others = || {
        let same = |other: &&Section| other.workload.name == section.workload.name;
        sections.iter().filter(same)
    };
    let mut telling = section.params.clone();
    if others().count() > 1 {
        telling.retain(|name, value| others().any(|other| other.params.get(name) != Some(&*value)));
    }
    let parameters = summary::parameters(&telling);
    if parameters.is_empty() {
        section.workload.name.clone()
    } else {
        format!("{} ({parameters})", section.workload.name)
    }
}

/// The rows of models that gave a figure, the baseline first.
fn models(section: &Section) -> Vec<(Model, &Row)> {
    let mut models: Vec<(Model, &Row)> = section
        .rows
        .iter()
        .filter(|row| row.role == Role::Arm && row.ok > 0)
        .filter_map(|row| Some((model_of(row)?, row)))
        .collect();
    models.sort_by_key(|(_, row)| !row.baseline);
    models
}

/// The answers as lines of text, not yet broken.
pub(crate) fn lines(answers: &[Answer]) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut kind = "";
    for answer in answers {
        if answer.kind != kind {
            kind = answer.kind;
            lines.push((0, kind.to_owned()));
        }
        lines.push((2, answer.sentence()));
        let mut cost = format!("CPU and peak memory: {}", answer.cost);
        if let Some(beside) = &answer.beside {
            let _ = write!(cost, "; beside them: {beside}");
        }
        lines.push((4, cost));
        if let Some(uneven) = &answer.uneven {
            lines.push((4, format!("rounds are not all alike: {uneven}")));
        }
    }
    lines
}
