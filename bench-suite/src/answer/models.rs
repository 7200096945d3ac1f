//! The three models, and the runtimes that represent them.

use crate::results::Role;
use crate::summary::{Row, Section};

/// How tasks are mapped to OS threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// All tasks on one thread.
    OneThread,
    /// Tasks on a few threads.
    FewThreads,
    /// A thread per task.
    ThreadEach,
}

impl Model {
    pub(crate) const ALL: [Self; 3] = [Self::OneThread, Self::FewThreads, Self::ThreadEach];

    /// The model's usual short name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneThread => "N:1",
            Self::FewThreads => "M:N",
            Self::ThreadEach => "1:1",
        }
    }

    /// This project's runtime that implements the model.
    pub(crate) fn runtime(self) -> &'static str {
        match self {
            Self::OneThread => "n1",
            Self::FewThreads => "mn",
            Self::ThreadEach => "threads",
        }
    }
}

/// The model that a row represents: one of this project's runtimes with its defaults.
pub(crate) fn model_of(row: &Row) -> Option<Model> {
    let model = Model::ALL
        .into_iter()
        .find(|model| model.runtime() == row.runtime)?;
    // The label differs from the runtime's name if the row has choices of its own.
    (row.label == row.runtime).then_some(model)
}

/// The rows of models that produced a figure, the baseline first.
pub(super) fn models(section: &Section) -> Vec<(Model, &Row)> {
    let mut models: Vec<(Model, &Row)> = section
        .rows
        .iter()
        .filter(|row| row.role == Role::Arm && row.ok > 0)
        .filter_map(|row| Some((model_of(row)?, row)))
        .collect();
    models.sort_by_key(|(_, row)| !row.baseline);
    models
}
