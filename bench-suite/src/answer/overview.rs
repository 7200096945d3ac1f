//! The three models side by side: a row per workload, with each model's ratio to the best one.

use super::models::{Model, model_of, models};
use super::title;
use crate::results::{Role, Verdict};
use crate::summary::{self, Row, Section};
use crate::units;

/// A table of text. The first column contains names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overview {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Overview {
    /// The overview of the sections that compare models; `None` if none does.
    pub(crate) fn of(all: &[Section]) -> Option<Self> {
        let sections: Vec<&Section> = all
            .iter()
            .filter(|section| section.choices_of.is_none() && models(section).len() > 1)
            .collect();
        let mut others: Vec<&str> = Vec::new();
        for row in sections.iter().flat_map(|section| &section.rows) {
            if row.role == Role::Arm
                && model_of(row).is_none()
                && !others.contains(&row.label.as_str())
            {
                others.push(&row.label);
            }
        }
        if sections.is_empty() {
            return None;
        }
        let mut header = vec!["workload".to_owned(), "metric".to_owned()];
        header.extend(Model::ALL.map(|model| model.name().to_owned()));
        header.extend(others.iter().map(|&label| label.to_owned()));
        header.push("A/A".to_owned());
        let rows = sections
            .into_iter()
            .map(|section| {
                let same = |other: &&Section| other.workload.name == section.workload.name;
                let title = if all.iter().filter(same).count() > 1 {
                    title(section, all)
                } else {
                    section.workload.name.clone()
                };
                let arm = |is: &dyn Fn(&Row) -> bool| {
                    let row = section
                        .rows
                        .iter()
                        .find(|row| row.role == Role::Arm && is(row));
                    row.map_or_else(|| "-".to_owned(), cell)
                };
                let mut cells = vec![title, units::metric_title(&section.metric)];
                cells
                    .extend(Model::ALL.map(|model| arm(&|row: &Row| model_of(row) == Some(model))));
                cells.extend(
                    others
                        .iter()
                        .map(|label| arm(&|row: &Row| row.label == *label)),
                );
                cells.push(
                    section
                        .noise_floor
                        .map_or_else(|| "-".to_owned(), |floor| format!("{:.1}%", floor * 100.0)),
                );
                cells
            })
            .collect();
        Some(Self { header, rows })
    }
}

/// `1`, `1.15x worse`, `1.01x alike`, `0.98x open`.
fn cell(row: &Row) -> String {
    if row.baseline && row.ok > 0 {
        return "1".to_owned();
    }
    let Some(ratio) = row.comparison.as_ref().and_then(|one| one.ratio) else {
        return summary::verdict(row);
    };
    let word = match row.comparison.as_ref().and_then(|one| one.verdict) {
        Some(Verdict::Better) => " better",
        Some(Verdict::Worse) => " worse",
        Some(Verdict::NoDifference) => " alike",
        Some(Verdict::NotEnoughData) => " open",
        None => "",
    };
    format!("{}{word}", units::ratio(Some(ratio), None))
}
